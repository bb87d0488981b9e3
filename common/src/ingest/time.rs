//! Timestamps of logs, to nanoseconds since the Unix epoch.

use crate::call::Nanos;
use jiff::Timestamp;

const SECOND: Nanos = 1_000_000_000;

/// The last calendar day and offset seen: an access log repeats them for thousands of lines.
#[derive(Debug)]
pub struct Stamps {
    day: [u8; 11],
    day_start: i64,
    offset: [u8; 5],
    offset_seconds: i64,
}

impl Default for Stamps {
    fn default() -> Self {
        Stamps { day: *b"01/Jan/1970", day_start: 0, offset: *b"+0000", offset_seconds: 0 }
    }
}

impl Stamps {
    /// Length of a [`Self::clf`] timestamp in bytes.
    pub const LEN: usize = 26;

    /// The timestamp of an access log, `17/May/2015:10:05:03 +0000`. `None` when it is not one, or before
    /// 1970.
    pub fn clf(&mut self, stamp: &[u8]) -> Option<Nanos> {
        let stamp: &[u8; Self::LEN] = stamp.try_into().ok()?;
        let &[ref day @ .., b':', h1, h2, b':', m1, m2, b':', s1, s2, b' ', o0, o1, o2, o3, o4] = stamp
        else {
            return None;
        };
        if *day != self.day {
            self.day_start = day_start(day)?;
            self.day = *day;
        }
        let offset = [o0, o1, o2, o3, o4];
        if offset != self.offset {
            self.offset_seconds = offset_seconds(offset)?;
            self.offset = offset;
        }
        let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = self.day_start + hour * 3600 + minute * 60 + second - self.offset_seconds;
        u64::try_from(seconds).ok()?.checked_mul(SECOND)
    }
}

/// Any timestamp written as text: RFC 3339, or a decimal number as in [`number`].
pub fn text(stamp: &str) -> Option<Nanos> {
    if stamp.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return decimal(stamp);
    }
    let stamp: Timestamp = stamp.parse().ok()?;
    u64::try_from(stamp.as_nanosecond()).ok()
}

/// A count of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by its size: below
/// 10¹¹ seconds (the year 5138), below 10¹⁴ milliseconds, below 10¹⁷ microseconds, else nanoseconds.
pub fn number(count: u64) -> Option<Nanos> {
    count.checked_mul(unit(count))
}

/// As [`number`], for a count with a fraction; exact to a microsecond.
pub fn fraction(count: f64) -> Option<Nanos> {
    if !(0.0..1.8e19).contains(&count) {
        return None;
    }
    let unit = unit(count as u64);
    let nanos = if unit >= 1000 { (count * (unit / 1000) as f64).round() * 1000.0 } else { count };
    (nanos < u64::MAX as f64).then_some(nanos as u64)
}

/// A decimal number, without rounding; digits below a nanosecond are dropped.
fn decimal(text: &str) -> Option<Nanos> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.contains('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let mut place = unit(whole);
    let mut nanos = whole.checked_mul(place)?;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0') * place)?;
    }
    Some(nanos)
}

fn unit(count: u64) -> u64 {
    match count {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

/// Seconds from the epoch to midnight of `dd/Mon/yyyy`.
fn day_start(day: &[u8; 11]) -> Option<i64> {
    let &[d1, d2, b'/', ref month @ .., b'/', y1, y2, y3, y4] = day else { return None };
    let month = match month {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let year = i16::try_from(two(y1, y2)? * 100 + two(y3, y4)?).ok()?;
    let date = jiff::civil::Date::new(year, month, i8::try_from(two(d1, d2)?).ok()?).ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

fn offset_seconds([sign, h1, h2, m1, m2]: [u8; 5]) -> Option<i64> {
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_every_unit_mean_the_same_instant() {
        let instant = Some(1_431_857_103_000_000_000);
        for count in [1_431_857_103, 1_431_857_103_000, 1_431_857_103_000_000, 1_431_857_103_000_000_000] {
            assert_eq!(number(count), instant);
            assert_eq!(text(&count.to_string()), instant);
            assert_eq!(fraction(count as f64), instant);
        }
        assert_eq!(text("2015-05-17T12:05:03+02:00"), instant);
        assert_eq!(text("1431857103.25"), Some(1_431_857_103_250_000_000));
        assert_eq!(fraction(1_431_857_103.123_456), Some(1_431_857_103_123_456_000));
    }

    #[test]
    fn what_is_no_timestamp() {
        let mut stamps = Stamps::default();
        for bad in [
            "31/Feb/2015:10:05:03 +0000",
            "17/May/2015:24:05:03 +0000",
            "17/May/2015:10:05:03 0000 ",
            "",
            "17/Mai/2015:10:05:03 +0000",
            "31/Dec/1969:23:59:59 +0000",
            "17/May/2015:10:05:03 +9900",
        ] {
            assert_eq!(stamps.clf(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["", ".", ".5", "-5", "1.2.3", "99999999999999999999", "NaN", "2015-13-01T00:00:00Z"] {
            assert_eq!(text(bad), None, "{bad}");
        }
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(fraction(bad), None);
        }
    }

    proptest! {
        /// The cache must never carry one line's day or offset over to another.
        #[test]
        fn equals_the_calendar(stamps in proptest::collection::vec((0_i64..4_000_000_000, -86_340_i32..86_340), 1..20)) {
            let mut cache = Stamps::default();
            for (seconds, offset) in stamps {
                let offset = offset / 60 * 60;
                let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(offset).expect("in range"));
                let instant = Timestamp::from_second(seconds).expect("in range");
                let text = instant.to_zoned(zone).strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
                prop_assert_eq!(cache.clf(text.as_bytes()), u64::try_from(seconds).ok().map(|s| s * SECOND), "{}", text);
            }
        }
    }
}

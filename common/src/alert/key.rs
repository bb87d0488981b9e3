//! What names an alert across runs and files: Suricata's own `flow_id` differs from run to run.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::call::Nanos;

/// The name of an alert: when, between whom, in which transaction, by which signature.
///
/// As text, in files of labels: `2023-11-14T22:13:20.000699Z/203.0.0.0:20000/192.168.56.10:80/TCP/0/2006445`, with `-` for
/// a transaction that is not there. Ordered by time first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// When it was raised, in nanoseconds since 1970.
    pub time: Nanos,
    /// Who sent the packet.
    pub source: SocketAddr,
    /// Who was to receive it.
    pub destination: SocketAddr,
    /// Of the transport.
    pub protocol: Protocol,
    /// `tx_id`: which transaction of its flow.
    pub transaction: Option<u64>,
    /// `signature_id`: the rule.
    pub signature: u32,
}

/// The protocol above IP, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

const NAMES: [(&str, u8); 5] = [("TCP", 6), ("UDP", 17), ("ICMP", 1), ("IPv6-ICMP", 58), ("SCTP", 132)];

impl Protocol {
    /// As Suricata writes it: a name, or a number of three digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map(|&(_, number)| number).or_else(|| text.parse().ok()).map(Protocol)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{:03}", self.0),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time(f, self.time)?;
        write!(f, "/{}/{}/{}/", self.source, self.destination, self.protocol)?;
        match self.transaction {
            Some(transaction) => write!(f, "{transaction}")?,
            None => f.write_str("-")?,
        }
        write!(f, "/{}", self.signature)
    }
}

/// A text that is no key; it names the part that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no alert's key: its {0} cannot be read; expected TIME/SOURCE:PORT/DESTINATION:PORT/PROTOCOL/TX_ID/SID"
)]
pub struct KeyError(&'static str);

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split('/');
        let mut part = |name| parts.next().ok_or(KeyError(name));
        let key = Key {
            time: parse_time(part("time")?).ok_or(KeyError("time"))?,
            source: part("source")?.parse().map_err(|_| KeyError("source"))?,
            destination: part("destination")?.parse().map_err(|_| KeyError("destination"))?,
            protocol: Protocol::parse(part("protocol")?).ok_or(KeyError("protocol"))?,
            transaction: match part("tx_id")? {
                "-" => None,
                number => Some(number.parse().map_err(|_| KeyError("tx_id"))?),
            },
            signature: part("sid")?.parse().map_err(|_| KeyError("sid"))?,
        };
        if parts.next().is_some() { Err(KeyError("end")) } else { Ok(key) }
    }
}

/// The time that RFC 3339 or Suricata (`+0000` for `+00:00`) writes; `None` when it is none, or before 1970.
pub(super) fn parse_time(text: &str) -> Option<Nanos> {
    let (date, rest) = text.as_bytes().split_at_checked(19)?;
    let number = |from: usize, to: usize| digits(&date[from..to]);
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| date[at] != mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let sound = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !sound {
        return None;
    }
    let (nanos, zone) = match rest {
        [b'.', rest @ ..] => {
            let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&count) {
                return None;
            }
            (digits(&rest[..count])? * 10_i64.pow(9 - count as u32), &rest[count..])
        }
        _ => (0, rest),
    };
    let offset = match *zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(nanos as u64)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, counting years from March so that the leap day is the last (H. Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// A day's year, month and day of the month: the inverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// A time as keys have it.
pub(super) struct Time(pub(super) Nanos);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time(f, self.0)
    }
}

fn write_time(f: &mut fmt::Formatter<'_>, time: Nanos) -> fmt::Result {
    let (seconds, nanos) = (time / 1_000_000_000, time % 1_000_000_000);
    let (year, month, day) = date((seconds / 86_400) as i64);
    let second = seconds % 86_400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.")?;
    if nanos % 1000 == 0 { write!(f, "{:06}Z", nanos / 1000) } else { write!(f, "{nanos:09}Z") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2023-11-14T22:13:20.000699Z/203.0.0.0:20000/[2001:db8::1]:80/TCP/0/2006445";

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key: Key = TEXT.parse().expect("a key");
        assert_eq!(key.to_string(), TEXT);
        assert_eq!(key.time, 1_700_000_000_000_699_000);
        let none = Key { transaction: None, protocol: Protocol(99), time: 1, ..key };
        assert_eq!(none.to_string().parse(), Ok(none));
        assert!(none < key, "by time first");
        for (bad, part) in [
            ("", "time"),
            ("2023-11-14T22:13:20.000699Z/203.0.0.0/[::1]:80/TCP/0/1", "source"),
            ("2023-11-14T22:13:20.000699Z/203.0.0.0:1/[::1]:80/TCP/x/1", "tx_id"),
            ("2023-11-14T22:13:20.000699Z/203.0.0.0:1/[::1]:80/TCP/0/1/", "end"),
            ("2023-11-14T22:13:20.000699Z/203.0.0.0:1/[::1]:80/TCP/0", "sid"),
        ] {
            assert_eq!(bad.parse::<Key>(), Err(KeyError(part)), "{bad}");
        }
    }

    #[test]
    fn times_are_read_in_every_zone() {
        let same = [
            "2023-11-14T22:13:20.5+0000",
            "2023-11-14T22:13:20.500Z",
            "2023-11-15T00:13:20.500000+02:00",
            "2023-11-14T17:13:20.500000-0500",
        ];
        for text in same {
            assert_eq!(parse_time(text), Some(1_700_000_000_500_000_000), "{text}");
        }
        for bad in [
            "",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T22:13:20.Z",
            "1969-12-31T23:59:59Z",
            "2023-11-14T22:13:20+9999",
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13:20",
            "9999-12-31T00:00:00Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(parse_time("2024-02-29T00:00:00Z"), Some(1_709_164_800_000_000_000));
    }

    #[test]
    fn every_day_has_one_date() {
        for day in (0..80_000).chain([-719_468, -1]) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }
}

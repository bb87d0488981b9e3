//! Quantities with their unit: `"64MiB"`, `"10ms"`. A bare number is refused, for nobody remembers its unit.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A number of bytes, written with its unit: `B`, `KiB`, `MiB`, `GiB`, `TiB`, or `KB`, `MB`, `GB`, `TB` for powers of 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A span of time, written with its unit: `us`, `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// The units of a size, the ones to show first; each divides the ones before it.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
];

/// The units of a period, in nanoseconds.
const PERIODS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];

/// A text that is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct BadQuantity {
    text: String,
    expected: &'static str,
}

/// A number with a unit.
trait Quantity: Sized {
    const EXPECTED: &'static str;
    const UNITS: &'static [(&'static str, u64)];
    fn from_units(count: u64) -> Self;

    fn read(text: &str) -> Result<Self, BadQuantity> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = Self::UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
        factor
            .zip(number.parse::<u64>().ok())
            .and_then(|(factor, number)| number.checked_mul(factor))
            .map(Self::from_units)
            .ok_or_else(|| BadQuantity { text: text.to_owned(), expected: Self::EXPECTED })
    }
}

impl Quantity for Size {
    const EXPECTED: &'static str = r#"a size with its unit, such as "64MiB""#;
    const UNITS: &'static [(&'static str, u64)] = &SIZES;
    fn from_units(count: u64) -> Self {
        Self(count)
    }
}

impl Quantity for Period {
    const EXPECTED: &'static str = r#"a time with its unit, such as "10ms", "5s" or "7d""#;
    const UNITS: &'static [(&'static str, u64)] = &PERIODS;
    fn from_units(count: u64) -> Self {
        Self(Duration::from_nanos(count))
    }
}

impl Period {
    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// The period in nanoseconds; 584 years when it is longer.
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Writes `count` in the largest unit that divides it.
fn show(count: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match units.iter().find(|(_, factor)| count > 0 && count.is_multiple_of(*factor)) {
        Some((unit, factor)) => write!(f, "{}{unit}", count / factor),
        None => write!(f, "0{}", if units == SIZES { "B" } else { "s" }),
    }
}

macro_rules! quantity {
    ($type:ident, $units:ident, $count:expr) => {
        impl FromStr for $type {
            type Err = BadQuantity;
            fn from_str(text: &str) -> Result<Self, BadQuantity> {
                Self::read(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let count: fn(&$type) -> u64 = $count;
                show(count(self), &$units, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    };
}

quantity!(Size, SIZES, |size| size.0);
quantity!(Period, PERIODS, |period| period.as_nanos());

struct Text<T>(PhantomData<T>);

impl<T: Quantity> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_shown() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("1 GiB", 1 << 30), ("5MB", 5_000_000), ("0B", 0), ("1025B", 1025)]
        {
            let size: Size = text.parse().expect(text);
            assert_eq!(size, Size(bytes));
            assert_eq!(size.to_string().parse(), Ok(size), "{size}");
        }
        for (text, millis) in [("10ms", 10), ("2s", 2000), ("1m", 60_000), ("7d", 604_800_000), ("0s", 0)] {
            let period: Period = text.parse().expect(text);
            assert_eq!(period, Period::from_millis(millis));
            assert_eq!(period.to_string(), text);
        }
    }

    #[test]
    fn what_has_no_unit_is_refused() {
        for text in ["", "10", "MiB", "10 parsecs", "-1s", "1.5s", "99999999999999TiB"] {
            assert!(text.parse::<Size>().is_err() && text.parse::<Period>().is_err(), "{text}");
        }
        let error = "10".parse::<Period>().expect_err("no unit").to_string();
        assert_eq!(error, r#""10" is not a time with its unit, such as "10ms", "5s" or "7d""#);
    }
}

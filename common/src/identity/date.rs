//! Dates of birth as lists give them: whole, without day or month, about, or from one year to another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A date of birth, as exact as it is known. Written `1961-03-24`, `1961-03`, `1961`, `circa 1961` or `1961 to 1963`;
/// `24 Mar 1961`, `Mar 1961`, `24/03/1961`, `24.3.1961` and `19610324` are read as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BirthDate {
    /// First year that it may be, 1 to 9999.
    pub year: u16,
    /// Last year that it may be; the same as `year` unless a span was given.
    pub last_year: u16,
    /// Month, 1 to 12; 0 when unknown.
    pub month: u8,
    /// Day, 1 to 31; 0 when unknown.
    pub day: u8,
    /// Whether it is only about right.
    pub circa: bool,
}

/// A date of birth that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no date of birth: write 1961-03-24, 1961-03, 1961, circa 1961 or 1961 to 1963")]
pub struct BirthDateError(String);

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl BirthDate {
    /// A year alone.
    pub fn year(year: u16) -> Self {
        Self { year, last_year: year, month: 0, day: 0, circa: false }
    }

    fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let mut rest = lower.as_str();
        let mut circa = false;
        for word in ["circa", "approximately", "about", "c.", "ca."] {
            if let Some(after) = rest.strip_prefix(word) {
                circa = true;
                rest = after.trim();
            }
        }
        for between in [" to ", " - ", "–"] {
            if let Some((first, last)) = rest.split_once(between) {
                let (first, last) = (Self::single(first.trim())?, Self::single(last.trim())?);
                return (first.year <= last.year).then_some(if first == last {
                    Self { circa, ..first }
                } else {
                    Self { last_year: last.year, circa, ..Self::year(first.year) }
                });
            }
        }
        if let Some((first, last)) = rest.split_once('-')
            && let (Some(first), Some(last)) = (year(first), year(last))
        {
            return (first <= last).then_some(Self { last_year: last, circa, ..Self::year(first) });
        }
        Some(Self { circa, ..Self::single(rest)? })
    }

    /// One date, without a span.
    fn single(text: &str) -> Option<Self> {
        if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::of(year(&text[..4])?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
        }
        let day_only =
            text.split_once('t').filter(|(date, _)| date.len() == 10).map_or(text, |(date, _)| date);
        let parts: Vec<&str> =
            day_only.split([' ', '-', '/', '.', ',']).filter(|part| !part.is_empty()).collect();
        let number = |part: &str| part.parse::<u8>().ok();
        match parts[..] {
            [y] => Some(Self::year(year(y)?)),
            [a, b] => match (year(a), year(b)) {
                (Some(y), None) => Self::of(y, month(b)?, 0),
                (None, Some(y)) => Self::of(y, month(a)?, 0),
                _ => None,
            },
            [y, m, d] if year(y).is_some() => Self::of(year(y)?, month(m)?, number(d)?),
            // Day before month, as most of the world writes; where that cannot be, the other way round.
            [d, m, y] => {
                let y = year(y)?;
                match (number(d), month(m)) {
                    (Some(d), Some(m)) => Self::of(y, m, d),
                    _ => Self::of(y, month(d)?, number(m)?),
                }
            }
            _ => None,
        }
    }

    fn of(year: u16, month: u8, day: u8) -> Option<Self> {
        let days = match month {
            0 => 0,
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (day <= days).then_some(Self { month, day, ..Self::year(year) })
    }
}

/// Four digits that are not 0000.
fn year(text: &str) -> Option<u16> {
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok().filter(|&year| year > 0) } else { None }
}

/// A month by number or by the first three letters of its English name; 0 stays unknown.
fn month(text: &str) -> Option<u8> {
    match text.parse::<u8>() {
        Ok(number) => (number <= 12).then_some(number),
        Err(_) => {
            let head = text.get(..3)?;
            MONTHS.iter().position(|&name| name == head).map(|at| at as u8 + 1)
        }
    }
}

impl FromStr for BirthDate {
    type Err = BirthDateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| BirthDateError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.circa {
            f.write_str("circa ")?;
        }
        write!(f, "{:04}", self.year)?;
        if self.last_year != self.year {
            return write!(f, " to {:04}", self.last_year);
        }
        if self.month > 0 {
            write!(f, "-{:02}", self.month)?;
            if self.day > 0 {
                write!(f, "-{:02}", self.day)?;
            }
        }
        Ok(())
    }
}

/// Text where people read it (JSON), numbers where programs do (the list file).
impl Serialize for BirthDate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.year, self.last_year, self.month, self.day, self.circa).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for BirthDate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(D::Error::custom);
        }
        let (year, last_year, month, day, circa) = Deserialize::deserialize(deserializer)?;
        let date = Self { year, last_year, month, day, circa };
        if Self::of(year, month, day).is_none() || last_year < year {
            return Err(D::Error::custom("not a date of birth"));
        }
        Ok(date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_list_are_read() {
        for (text, shown) in [
            ("1961-03-24", "1961-03-24"),
            ("24 Mar 1961", "1961-03-24"),
            ("24 March 1961", "1961-03-24"),
            ("Mar 1961", "1961-03"),
            ("24/03/1961", "1961-03-24"),
            ("03/24/1961", "1961-03-24"),
            ("19610324", "1961-03-24"),
            ("1961-03-24T00:00:00", "1961-03-24"),
            ("1961-00-00", "1961"),
            ("1961", "1961"),
            ("circa 1961", "circa 1961"),
            ("c. 24 Mar 1961", "circa 1961-03-24"),
            ("1961 to 1963", "1961 to 1963"),
            ("1961-1963", "1961 to 1963"),
            ("01 Jan 1961 to 31 Dec 1963", "1961 to 1963"),
        ] {
            assert_eq!(
                text.parse::<BirthDate>().map(|date| date.to_string()).as_deref(),
                Ok(shown),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in
            ["", "0000", "61", "1961-13-01", "1961-02-30", "1963 to 1961", "né", "1961-03-24-05", "é-é-1961"]
        {
            assert!(text.parse::<BirthDate>().is_err(), "{text}");
        }
    }
}

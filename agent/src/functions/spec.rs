//! What is said of a function's return value: its type, and which values mean success.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An integer: `i8` to `i64`, `u8` to `u64`. The rest of its register means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Type {
    /// 1, 2, 4 or 8.
    pub bytes: u8,
    /// Whether its highest bit is a sign.
    pub signed: bool,
}

/// A comparison of the return value with a number: `ret >= 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    operator: Operator,
    /// Wide enough for every `i64` and `u64`.
    number: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// The longer ones first, for they begin with the shorter ones.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessEqual),
    (">=", Operator::GreaterEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// A success rule as the kernel side tests it. The return value is cut to `bytes` and extended to 64 bits by its sign
/// or with zeros; the call succeeded when `value.wrapping_sub(low) <= span`. Every comparison with a number, signed or
/// not, is such an interval on the circle of 64-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Success {
    /// 1, 2, 4 or 8.
    pub bytes: u8,
    /// Whether the value is extended by its sign.
    pub signed: bool,
    /// Where the interval of success begins.
    pub low: u64,
    /// Its length, less one.
    pub span: u64,
}

/// A specification that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No type.
    #[error("{0:?} is no type: use i8, i16, i32, i64, u8, u16, u32 or u64")]
    Type(String),
    /// No rule.
    #[error(
        "{0:?} is no rule for the return value: use \"ret >= 0\", \"ret == 0\", \"ret != 0\" or the like"
    )]
    Rule(String),
    /// A rule that always or never holds.
    #[error("\"{rule}\" is {always} true of a return value of type {kind}")]
    Constant {
        /// The rule.
        rule: Rule,
        /// `always` or `never`.
        always: &'static str,
        /// The type.
        kind: Type,
    },
}

impl Type {
    /// What a return value is taken for when nothing is said: C's `int`.
    pub const INT: Self = Self { bytes: 4, signed: true };

    /// The least and the greatest value.
    fn range(self) -> (i128, i128) {
        let bits = u32::from(self.bytes) * 8;
        match self.signed {
            true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            false => (0, (1 << bits) - 1),
        }
    }
}

impl Rule {
    /// The rule for a return value of this type.
    ///
    /// # Errors
    /// [`SpecError::Constant`] when it says nothing about such a value.
    pub fn of(self, kind: Type) -> Result<Success, SpecError> {
        let Type { bytes, signed } = kind;
        let (least, greatest) = kind.range();
        let constant = |always| SpecError::Constant { rule: self, always, kind };
        let number = self.number;
        let inside = (least..=greatest).contains(&number);
        let (from, to) = match self.operator {
            Operator::Equal if inside => (number, number),
            Operator::Equal => return Err(constant("never")),
            // From the next number around the circle to the one before.
            Operator::NotEqual if inside => {
                let low = (number + 1) as u64;
                return Ok(Success { bytes, signed, low, span: u64::MAX - 1 });
            }
            Operator::NotEqual => return Err(constant("always")),
            Operator::Less => (least, number - 1),
            Operator::LessEqual => (least, number),
            Operator::Greater => (number + 1, greatest),
            Operator::GreaterEqual => (number, greatest),
        };
        if from <= least && to >= greatest {
            return Err(constant("always"));
        }
        if from > greatest || to < least {
            return Err(constant("never"));
        }
        // Both ends are within 64 bits; the cast takes a negative one to its place on the circle.
        Ok(Success { bytes, signed, low: from as u64, span: (to - from) as u64 })
    }
}

impl Success {
    /// Whether a call that left `register` succeeded.
    pub fn holds(&self, register: u64) -> bool {
        let shift = 64 - u32::from(self.bytes) * 8;
        let high = register << shift;
        let value = if self.signed { ((high as i64) >> shift) as u64 } else { high >> shift };
        value.wrapping_sub(self.low) <= self.span
    }
}

impl FromStr for Type {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let integer = |bits: &str| match bits {
            "8" => Some(1),
            "16" => Some(2),
            "32" => Some(4),
            "64" => Some(8),
            _ => None,
        };
        match (text.get(..1), text.get(1..).and_then(integer)) {
            (Some("i"), Some(bytes)) => Ok(Self { bytes, signed: true }),
            (Some("u"), Some(bytes)) => Ok(Self { bytes, signed: false }),
            _ => Err(SpecError::Type(text.to_owned())),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.signed { 'i' } else { 'u' }, u32::from(self.bytes) * 8)
    }
}

impl FromStr for Rule {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let parse = || {
            let rest = text.trim().strip_prefix("ret")?.trim_start();
            let (sign, operator) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign))?;
            let number = rest[sign.len()..].trim();
            let number = match number.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok()?.into(),
                None => number
                    .parse::<i64>()
                    .map(i128::from)
                    .or_else(|_| number.parse::<u64>().map(i128::from))
                    .ok()?,
            };
            Some(Self { operator: *operator, number })
        };
        parse().ok_or_else(|| SpecError::Rule(text.to_owned()))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign =
            OPERATORS.iter().find(|(_, operator)| *operator == self.operator).map_or("", |(sign, _)| sign);
        write!(f, "ret {sign} {}", self.number)
    }
}

/// Written as text in the configuration.
macro_rules! as_text {
    ($($name:ty),+) => {$(
        impl TryFrom<String> for $name {
            type Error = SpecError;

            fn try_from(text: String) -> Result<Self, SpecError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+};
}
as_text!(Type, Rule);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules_say_what_is_wrong_with_them() {
        let success = |rule: &str, kind: &str| {
            let rule: Rule = rule.parse().map_err(|error: SpecError| error.to_string())?;
            rule.of(kind.parse().expect(kind)).map_err(|error| error.to_string())
        };
        assert!(success("ret>=0", "i32").expect("a rule").holds(0));
        assert!(!success("ret >= 0", "i32").expect("a rule").holds(0xffff_ffff), "-1 as an int");
        assert!(success("ret >= 0", "i64").expect("a rule").holds(0xffff_ffff));
        assert!(success("ret != 0", "u64").expect("a rule").holds(u64::MAX));
        assert!(success("ret == 0x10", "u8").expect("a rule").holds(0xab10));
        let error = success("ret >= 0", "u64").expect_err("nothing is below zero");
        assert_eq!(error, "\"ret >= 0\" is always true of a return value of type u64");
        let error = success("ret == 300", "u8").expect_err("too much for a byte");
        assert_eq!(error, "\"ret == 300\" is never true of a return value of type u8");
        for text in ["", "ret", "ret = 0", "return == 0", "ret == x", "ret > 99999999999999999999"] {
            assert!(success(text, "i32").is_err_and(|error| error.contains("is no rule")), "{text}");
        }
        assert!("str".parse::<Type>().is_err() && "é32".parse::<Type>().is_err());
    }

    fn kinds() -> impl Strategy<Value = Type> {
        (prop::sample::select(vec![1_u8, 2, 4, 8]), any::<bool>())
            .prop_map(|(bytes, signed)| Type { bytes, signed })
    }

    proptest! {
        /// The interval on the circle means what the comparison says, for values beside the number and anywhere.
        #[test]
        fn the_interval_is_the_comparison(
            kind in kinds(),
            operator in prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]),
            number in prop_oneof![-3_i64..3, any::<i64>()],
            value in any::<u64>(),
            beside in -2_i64..=2,
        ) {
            let rule: Rule = format!("ret {operator} {number}").parse().expect("a rule");
            for register in [value, number.wrapping_add(beside) as u64] {
                let Type { bytes, signed } = kind;
                let shift = 64 - u32::from(bytes) * 8;
                let wide = match signed {
                    true => i128::from(((register << shift) as i64) >> shift),
                    false => i128::from((register << shift) >> shift),
                };
                let number = i128::from(number);
                let expected = match operator {
                    "==" => wide == number,
                    "!=" => wide != number,
                    "<" => wide < number,
                    "<=" => wide <= number,
                    ">" => wide > number,
                    _ => wide >= number,
                };
                match rule.of(kind) {
                    Ok(success) => prop_assert_eq!(success.holds(register), expected),
                    Err(SpecError::Constant { always, .. }) => prop_assert_eq!(always == "always", expected),
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
        }
    }
}

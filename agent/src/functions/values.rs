//! Chosen arguments and return values: what the configuration asks for, and where each is when a point is reached.

use std::fmt;
use std::str::FromStr;

use gait_common::wire::tree::{function_id, value};
use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use super::point::Naming;
use super::spec::Type;
use super::usdt::{At, MAX_PLACES, Machine, Place};

/// Arguments of one function that can be taken; its return value comes beside them.
pub const MAX_ARGUMENTS: usize = value::TAKES;

/// Which value of a call: `arg1`, `arg2`, ... or `ret`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Which {
    /// The argument of this number, from 1.
    Argument(u8),
    /// The return value.
    Return,
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Form {
    /// As an integer.
    Integer(Type),
    /// As the address of a C string, of which the first 32 bytes are kept.
    Text,
}

/// A value that is to be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Which one: `arg1` to `arg6` of a function, `arg1` to `arg12` of a USDT probe, or `ret`.
    pub of: Which,
    /// `i8` to `i64`, `u8` to `u64`, or `str`. Default: `i32`, as C's `int`.
    #[serde(rename = "type", default = "int")]
    pub form: Form,
    /// Of which functions, by globs; by default of all of the target. Those of a `str` must be named, without wildcards, as
    /// must those of Python: `file.py:name`.
    #[serde(default)]
    pub functions: Vec<Pattern>,
    /// Keep a keyed hash in place of the value.
    #[serde(default)]
    pub hash: bool,
}

fn int() -> Form {
    Form::Integer(Type::INT)
}

/// Not one of the values that a call has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// No argument and not the return value.
    #[error("{0:?} is no value of a call: use \"arg1\", \"arg2\" and so on, or \"ret\"")]
    Which(String),
    /// No type.
    #[error("{0:?} is no type of a value: use i8, i16, i32, i64, u8, u16, u32, u64 or str")]
    Form(String),
}

/// A value and where it is when a point is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which one.
    pub which: Which,
    /// How it is read.
    pub form: Form,
    /// Whether only its hash is kept.
    pub hash: bool,
    /// Where it is.
    pub at: At,
    /// Of calls of this function only, where the point has many (`wire::tree::function_id`); 0 for all.
    pub only: u64,
}

impl Value {
    /// Whether it is one of a target's functions; `names` are all that the function is called.
    pub(super) fn is_of(&self, names: &[&str]) -> bool {
        self.functions.is_empty()
            || self.functions.iter().any(|glob| names.iter().any(|name| glob.matches(name)))
    }

    /// What is wrong with it; `usdt`: it is of a probe, whose calls are named so.
    pub(super) fn check(&self, usdt: Option<Naming>) -> Result<(), String> {
        let python = usdt == Some(Naming::Python);
        let usdt = usdt.is_some();
        let most = if usdt { MAX_PLACES } else { REGISTERS };
        match self.of {
            Which::Argument(number) if usize::from(number) > most => {
                return Err(format!("{} is beyond arg{most}, the last one that can be read", self.of));
            }
            Which::Return if usdt => {
                return Err("a USDT probe has no return value: use its arguments".to_owned());
            }
            _ => {}
        }
        if usdt && !python && !self.functions.is_empty() {
            return Err("`functions` is about symbols, and this target has `usdt`".to_owned());
        }
        let wild = |glob: &Pattern| glob.to_string().contains(['*', '?']);
        if python && (self.functions.is_empty() || self.functions.iter().any(wild)) {
            return Err(
                "one probe is reached by all of Python's functions: name those that are wanted by `functions`, as \
                 file.py:name, without * and ?"
                    .to_owned(),
            );
        }
        if !usdt && self.form == Form::Text && (self.functions.is_empty() || self.functions.iter().any(wild))
        {
            return Err(
                "strings may hold secrets: name each function whose string is wanted by `functions`, without * and ?"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// The value where the calling convention has it.
    pub(super) fn of_call(&self, machine: Machine) -> Taken {
        let register = match (machine, self.of) {
            (Machine::X86, Which::Argument(number)) => X86[usize::from(number - 1).min(REGISTERS - 1)],
            (Machine::X86, Which::Return) => X86_RETURN,
            (Machine::Arm, Which::Argument(number)) => u16::from(number - 1) * 8,
            (Machine::Arm, Which::Return) => 0,
        };
        self.at(At::Register { register, shift: 0 })
    }

    /// The value where a probe has it, and as wide as it is there, with the functions of which it is to be taken, none for all.
    /// `None` if the probe has no such argument.
    pub(super) fn of_probe(&self, places: &[Place]) -> Option<Vec<(Option<String>, Taken)>> {
        let Which::Argument(number) = self.of else { return None };
        let place = places.get(usize::from(number) - 1)?;
        let mut taken = self.at(place.at);
        if let Form::Integer(kind) = &mut taken.form {
            // What is beyond a narrow argument is not part of it.
            kind.bytes = kind.bytes.min(place.bytes);
        }
        if self.functions.is_empty() {
            return Some(vec![(None, taken)]);
        }
        let of = self.functions.iter().map(|name| {
            let name = name.to_string();
            let only = function_id(name.as_bytes());
            (Some(name), Taken { only, ..taken })
        });
        Some(of.collect())
    }

    fn at(&self, at: At) -> Taken {
        Taken { which: self.of, form: self.form, hash: self.hash, at, only: 0 }
    }
}

/// Arguments in registers.
const REGISTERS: usize = 6;
/// Offsets of rdi, rsi, rdx, rcx, r8 and r9 in `struct pt_regs`.
const X86: [u16; REGISTERS] = [112, 104, 96, 88, 72, 64];
/// Offset of rax.
const X86_RETURN: u16 = 80;

impl Which {
    /// Its number in records.
    pub fn number(self) -> u8 {
        match self {
            Self::Argument(number) => number,
            Self::Return => value::RETURNED_VALUE,
        }
    }
}

impl FromStr for Which {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        if text == "ret" {
            return Ok(Self::Return);
        }
        let number = text.strip_prefix("arg").and_then(|number| number.parse().ok());
        let number = number.filter(|number| (1..=MAX_PLACES as u8).contains(number));
        number.map(Self::Argument).ok_or_else(|| NoValue::Which(text.to_owned()))
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "arg{number}"),
            Self::Return => f.write_str("ret"),
        }
    }
}

impl FromStr for Form {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        match text {
            "str" => Ok(Self::Text),
            text => text.parse().map(Self::Integer).map_err(|_| NoValue::Form(text.to_owned())),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(kind) => kind.fmt(f),
            Self::Text => f.write_str("str"),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}{}", self.which, self.form, if self.hash { ", hashed" } else { "" })
    }
}

/// Written as text in the configuration.
macro_rules! as_text {
    ($($name:ty),+) => {$(
        impl TryFrom<String> for $name {
            type Error = NoValue;

            fn try_from(text: String) -> Result<Self, NoValue> {
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
as_text!(Which, Form);

#[cfg(test)]
mod tests {
    use super::*;

    fn value(of: &str, form: &str, functions: &[&str]) -> Value {
        Value {
            of: of.parse().expect(of),
            form: form.parse().expect(form),
            functions: functions.iter().map(|glob| glob.parse().expect("a glob")).collect(),
            hash: false,
        }
    }

    #[test]
    fn a_string_is_taken_of_functions_that_are_named_only() {
        assert_eq!(value("arg1", "str", &["open_file"]).check(None), Ok(()));
        for globs in [&[][..], &["*"], &["open_*"], &["open_file", "ope?"]] {
            let error = value("arg1", "str", globs).check(None).expect_err("a wildcard");
            assert!(error.contains("secrets"), "{error}");
        }
        assert_eq!(value("arg1", "i32", &[]).check(None), Ok(()), "numbers of all functions may be taken");
        assert_eq!(
            value("arg1", "str", &[]).check(Some(Naming::Fixed)),
            Ok(()),
            "a pair of probes is named by itself"
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["", "arg", "arg0", "arg13", "arg-1", "return", "1"] {
            let error = text.parse::<Which>().expect_err(text).to_string();
            assert!(error.contains("is no value of a call"), "{error}");
        }
        assert!("string".parse::<Form>().is_err_and(|error| error.to_string().contains("or str")));
        assert!(value("arg7", "i32", &[]).check(None).is_err_and(|error| error.contains("beyond arg6")));
        assert_eq!(value("arg12", "i32", &[]).check(Some(Naming::Fixed)), Ok(()));
        assert!(value("ret", "i32", &[]).check(Some(Naming::Fixed)).is_err());
        assert!(value("arg1", "i32", &["f"]).check(Some(Naming::Fixed)).is_err());
        assert_eq!(value("arg3", "i32", &["app.py:f"]).check(Some(Naming::Python)), Ok(()));
        assert!(value("arg3", "i32", &["app.py:*"]).check(Some(Naming::Python)).is_err());
    }

    /// The registers of both calling conventions, by the names that probes use for them.
    #[test]
    fn arguments_are_where_the_calling_convention_has_them() {
        for (number, (x86, arm)) in [
            ("rdi", "x0"),
            ("rsi", "x1"),
            ("rdx", "x2"),
            ("rcx", "x3"),
            ("r8", "x4"),
            ("r9", "x5"),
            ("rax", "x0"),
        ]
        .into_iter()
        .enumerate()
        {
            let of = if number == 6 { "ret".to_owned() } else { format!("arg{}", number + 1) };
            let taken = |machine| value(&of, "i32", &[]).of_call(machine).at;
            let place = |text: &str, machine| {
                super::super::usdt::places(text, machine).expect("a place").remove(0).at
            };
            assert_eq!(taken(Machine::X86), place(&format!("4@%{x86}"), Machine::X86));
            assert_eq!(taken(Machine::Arm), place(&format!("4@{arm}"), Machine::Arm));
        }
    }
}

//! One flat JSON object a line, its fields handed over as they come.

use std::borrow::Cow;
use std::fmt;

use crate::call::Nanos;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Malformed, access, time};

/// A field's value. Arrays and objects are passed over and count as [`Value::Nothing`].
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(u64),
    Number(f64),
    Bool(bool),
    Nothing,
}

impl<'a> Value<'a> {
    /// The text, unless it is empty or the `-` that servers write for "none".
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Value::Text(text) if !text.is_empty() && text != "-" => Some(text),
            _ => None,
        }
    }

    /// A point in time: RFC 3339 or a number, see [`super::time`].
    pub(super) fn instant(&self) -> Option<Nanos> {
        match self {
            Value::Text(text) => time::text(text),
            Value::Integer(count) => time::number(*count),
            Value::Number(count) => time::fraction(*count),
            _ => None,
        }
    }

    /// A status code, as a number or a text; 0 where the field says "none" (`null`, an empty text, `-`).
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Value::Text(text) if text.is_empty() => Some(0),
            Value::Text(text) => access::status(text.as_bytes()),
            Value::Integer(code) => u16::try_from(*code).ok().filter(|&code| code < 1000),
            Value::Nothing => Some(0),
            _ => None,
        }
    }

    /// A duration in units of `seconds`, as a number or a text; 0 where the field says "none".
    pub(super) fn duration(&self, seconds: f64) -> Option<Nanos> {
        let count = match self {
            Value::Text(text) if text.is_empty() || text == "-" => 0.0,
            Value::Text(text) => text.parse().ok()?,
            Value::Integer(count) => *count as f64,
            Value::Number(count) => *count,
            Value::Nothing => 0.0,
            Value::Bool(_) => return None,
        };
        let nanos = (count * seconds * 1e9).round();
        (0.0..1e19).contains(&nanos).then_some(nanos as Nanos)
    }
}

/// Calls `field` with each name and value of the object that `line` is; it returns an error to stop.
pub(super) fn fields<'a>(
    line: &'a str,
    field: impl FnMut(&str, Value<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut stopped = None;
    let mut json = serde_json::Deserializer::from_str(line);
    let parsed = json.deserialize_map(Fields { field, stopped: &mut stopped }).and_then(|()| json.end());
    match stopped {
        Some(reason) => Err(reason),
        None => parsed.map_err(|_| Malformed::NotJson),
    }
}

struct Fields<'s, F> {
    field: F,
    stopped: &'s mut Option<Malformed>,
}

impl<'de, F: FnMut(&str, Value<'de>) -> Result<(), Malformed>> Visitor<'de> for Fields<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value()?;
            if let Err(reason) = (self.field)(&name, value) {
                *self.stopped = Some(reason);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

pub(super) struct Name<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Value::Integer(number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Value::Number(number as f64))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Value::Number(number))
            }
            fn visit_bool<E>(self, yes: bool) -> Result<Self::Value, E> {
                Ok(Value::Bool(yes))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Nothing)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Nothing)
            }
        }
        json.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_and_nothing_behind_it() {
        let mut seen = Vec::new();
        let line = r#"{"a": "x\ny", "b": 7, "c": 1.5, "d": {"e": [1]}, "f": null, "g": true}"#;
        let all = fields(line, |name, value| {
            seen.push((name.to_owned(), value));
            Ok(())
        });
        assert_eq!(all, Ok(()));
        let want = [
            Value::Text("x\ny".into()),
            Value::Integer(7),
            Value::Number(1.5),
            Value::Nothing,
            Value::Nothing,
            Value::Bool(true),
        ];
        assert!(seen.into_iter().eq(["a", "b", "c", "d", "f", "g"].map(str::to_owned).into_iter().zip(want)));
        for bad in ["", "[]", "{", "7", r#"{"a":1} x"#, r#"{"a":01}"#] {
            assert_eq!(fields(bad, |_, _| Ok(())), Err(Malformed::NotJson), "{bad}");
        }
        assert_eq!(fields(line, |_, _| Err(Malformed::TooLong)), Err(Malformed::TooLong));
    }
}

//! Lists of known faults: when each began, what failed, and how.
//!
//! JSON: objects, in lists or objects of any depth, with a time (`time`, `start` or `inject_time`), who is to blame (`instance`,
//! `pod`, `service` or `inject_pod`), and perhaps a `kind` (or `type`, `inject_type`) and a `duration_s`. A time is RFC 3339, a
//! number as [`gait_common::ingest::time`] reads them, or `2023-01-29 08:43:04`, which is taken as UTC.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gait_common::call::Nanos;
use gait_common::ingest::time;
use gait_common::sequence::SECOND;
use serde_json::{Map, Value};

/// Largest list, in bytes.
const MAX_SIZE: u64 = 16 << 20;
/// How deep objects and lists may be nested around a fault.
const MAX_DEPTH: usize = 8;

/// A known fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it began.
    pub start: Nanos,
    /// How long it lasted; `None` where the list does not say.
    pub duration: Option<Nanos>,
    /// The instance or service to blame.
    pub culprit: String,
    /// What kind of fault it is; empty when the list does not say.
    pub kind: String,
}

/// Reads a list, in the order of time.
///
/// # Errors
/// When the file cannot be read, is no such list, or holds no fault.
pub fn read(path: &Path) -> Result<Vec<Fault>> {
    let context = || format!("failed to read the faults in {}", path.display());
    let size = fs::metadata(path).with_context(context)?.len();
    ensure!(size <= MAX_SIZE, "{} is too large for a list of faults", path.display());
    parse(&fs::read(path).with_context(context)?).with_context(context)
}

/// Understands a list.
///
/// # Errors
/// As for [`read`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    collect(&serde_json::from_slice(bytes).context("it is not JSON")?, 0, &mut faults)?;
    ensure!(!faults.is_empty(), "it holds no fault: objects with `time` and `instance` or `service`");
    faults.sort_by(|a, b| (a.start, &a.culprit).cmp(&(b.start, &b.culprit)));
    Ok(faults)
}

fn collect(value: &Value, depth: usize, faults: &mut Vec<Fault>) -> Result<()> {
    ensure!(depth <= MAX_DEPTH, "faults are nested too deeply");
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| collect(value, depth + 1, faults)),
        Value::Object(fields) => match first(fields, &["time", "start", "inject_time"]) {
            Some(time) => {
                faults.push(
                    fault(fields, time).with_context(|| format!("fault {} of the list", faults.len() + 1))?,
                );
                Ok(())
            }
            None => fields.values().try_for_each(|value| collect(value, depth + 1, faults)),
        },
        _ => Ok(()),
    }
}

fn fault(fields: &Map<String, Value>, time: &Value) -> Result<Fault> {
    let text = |names: &[&str]| first(fields, names).and_then(Value::as_str).map(str::to_owned);
    let start = instant(time).with_context(|| format!("{time} is no time"))?;
    let culprit = text(&["instance", "pod", "service", "inject_pod"]);
    let Some(culprit) = culprit.filter(|culprit| !culprit.is_empty()) else {
        bail!("it does not say which `instance` or `service` is to blame");
    };
    let duration = match fields.get("duration_s") {
        None => None,
        Some(value) => {
            let seconds = value.as_f64().filter(|seconds| (0.0..1e9).contains(seconds) && *seconds > 0.0);
            let seconds =
                seconds.with_context(|| format!("duration_s must be a number of seconds, not {value}"))?;
            Some((seconds * SECOND as f64) as Nanos)
        }
    };
    Ok(Fault { start, duration, culprit, kind: text(&["kind", "type", "inject_type"]).unwrap_or_default() })
}

fn first<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| fields.get(*name))
}

fn instant(value: &Value) -> Option<Nanos> {
    match value {
        Value::String(text) => {
            let utc = || Some(format!("{}T{}Z", text.get(..10)?, text.get(11..)?));
            time::text(text).filter(|_| !text.is_empty()).or_else(|| time::text(&utc()?))
        }
        Value::Number(number) => {
            number.as_u64().and_then(time::number).or_else(|| time::fraction(number.as_f64()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_several_shapes() {
        let fault = |start, culprit: &str, kind: &str, duration| Fault {
            start: start * SECOND,
            duration,
            culprit: culprit.to_owned(),
            kind: kind.to_owned(),
        };
        let nested = r#"{"08":[{"inject_time":"2023-01-29 08:43:04","inject_timestamp":"1","inject_pod":"a-1","inject_type":"return"}],
            "07":[{"inject_time":"2023-01-29 07:43:04","inject_pod":"b-1"}]}"#;
        let second = 1_674_981_784;
        assert_eq!(
            parse(nested.as_bytes()).expect("a list"),
            [fault(second - 3600, "b-1", "", None), fault(second, "a-1", "return", None)]
        );
        let plain = r#"[{"time":"2023-01-29T09:43:04+01:00","service":"a","kind":"slow","duration_s":90},{"start":1674981784,"pod":"b"}]"#;
        assert_eq!(
            parse(plain.as_bytes()).expect("a list"),
            [fault(second, "a", "slow", Some(90 * SECOND)), fault(second, "b", "", None)]
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, want) in [
            ("{", "it is not JSON"),
            ("[]", "holds no fault"),
            (r#"[{"time":"noon","pod":"a"}]"#, "fault 1"),
            (r#"[{"time":1}]"#, "fault 1"),
            (r#"[{"time":1,"pod":"a","duration_s":-1}]"#, "fault 1"),
        ] {
            let error = parse(text.as_bytes()).expect_err(text);
            assert!(format!("{error:#}").contains(want), "{error:#}");
        }
    }
}

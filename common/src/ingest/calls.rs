//! Calls as JSON lines, the form for everything that has no log format of its own.
//!
//! ```text
//! {"ts":"2015-05-17T10:05:03.25Z","caller":"alice","method":"GET","path":"/cart?id=7","status":200,"duration_ms":3.5,"host":"shop"}
//! {"ts":1431857103.25,"caller":"alice","interface":"Cart.Get"}
//! ```
//!
//! `ts` is when the call began: RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970
//! (told apart by size). `caller` and `ts` are needed, and either `method` and `path` or `interface`, a name
//! that is used as it is and wins. `status`, `duration_ms`, `host`, `pid`, `comm` and `gap` (the source lost
//! calls just before this one) may be there. Other fields are ignored.

use std::borrow::Cow;

use crate::call::{Call, Process};

use super::access::is_method;
use super::json::{self, Value};
use super::{Malformed, Record, Scratch};

/// Parses one object.
///
/// # Errors
/// The first thing that is wrong with the line.
pub fn parse<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Record<'a>, Malformed> {
    let Scratch { line: text, caller, host, method, target, comm, .. } = scratch;
    let mut call = Call::default();
    let mut fields: Fields<'_> = Fields::default();
    json::fields(text.utf8(line), |name, value| {
        match name {
            "ts" => {
                fields.timed = true;
                call.start = value.instant().ok_or(Malformed::Bad("ts"))?;
            }
            "caller" => fields.caller = value.text(),
            "method" => fields.method = value.text(),
            "path" => fields.path = value.text(),
            "interface" => fields.interface = value.text(),
            "host" => fields.host = value.text(),
            "comm" => fields.comm = value.text(),
            "status" => call.status = value.status().ok_or(Malformed::Bad("status"))?,
            "duration_ms" => call.duration = value.duration(1e-3).ok_or(Malformed::Bad("duration_ms"))?,
            "pid" => match value {
                Value::Integer(pid) => {
                    call.process.pid = pid.try_into().map_err(|_| Malformed::Bad("pid"))?;
                }
                Value::Nothing => {}
                _ => return Err(Malformed::Bad("pid")),
            },
            "gap" => call.gap = value == Value::Bool(true),
            _ => {}
        }
        Ok(())
    })?;
    if !fields.timed {
        return Err(Malformed::Missing("ts"));
    }
    call.caller = caller.keep(fields.caller.ok_or(Malformed::Missing("caller"))?);
    match fields.interface {
        Some(interface) => call.target = target.keep(interface),
        None => {
            call.method = method.keep(fields.method.ok_or(Malformed::Missing("method or interface"))?);
            if !is_method(call.method) {
                return Err(Malformed::Bad("method"));
            }
            call.target = target.keep(fields.path.ok_or(Malformed::Missing("path"))?);
        }
    }
    call.host = fields.host.map_or("", |name| host.keep(name));
    call.process = Process { comm: fields.comm.map_or("", |name| comm.keep(name)), ..call.process };
    Ok(Record::Call(call))
}

#[derive(Default)]
struct Fields<'a> {
    timed: bool,
    caller: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    interface: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    comm: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(line: &str) -> Malformed {
        parse(line.as_bytes(), &mut Scratch::default()).expect_err(line)
    }

    #[test]
    fn calls_by_path_and_by_name() {
        let mut scratch = Scratch::default();
        let line = br#"{"ts":"2015-05-17T10:05:03.25Z","caller":"alice","method":"GET","path":"/cart?id=7","status":200,
            "duration_ms":3.5,"host":"shop","pid":12,"comm":"nginx","gap":true,"extra":{"deep":[1]}}"#;
        let want = Call {
            start: 1_431_857_103_250_000_000,
            duration: 3_500_000,
            method: "GET",
            host: "shop",
            target: "/cart?id=7",
            status: 200,
            caller: "alice",
            process: Process { pid: 12, comm: "nginx" },
            gap: true,
        };
        assert_eq!(parse(line, &mut scratch), Ok(Record::Call(want)));
        let line = br#"{"ts":1431857103250,"caller":"alice","interface":"Cart.Get","method":"ignored"}"#;
        let want = Call { start: want.start, target: "Cart.Get", caller: "alice", ..Call::default() };
        assert_eq!(parse(line, &mut scratch), Ok(Record::Call(want)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let line = r#"{"ts":1,"caller":"a","method":"GET","path":"/"}"#;
        assert!(parse(line.as_bytes(), &mut Scratch::default()).is_ok());
        assert_eq!(reason(&line.replace("ts", "at")), Malformed::Missing("ts"));
        assert_eq!(reason(&line.replace(":1,", ":-1,")), Malformed::Bad("ts"));
        assert_eq!(reason(&line.replace("caller", "who")), Malformed::Missing("caller"));
        assert_eq!(reason(&line.replace("method", "verb")), Malformed::Missing("method or interface"));
        assert_eq!(reason(&line.replace("path", "way")), Malformed::Missing("path"));
        assert_eq!(reason(&line.replace("\"/\"", "\"/\",\"status\":\"ok\"")), Malformed::Bad("status"));
        assert_eq!(reason("[1]"), Malformed::NotJson);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(line in proptest::collection::vec(any::<u8>(), 0..80), value in "[ -~]{0,20}") {
            let mut scratch = Scratch::default();
            let _ = parse(&line, &mut scratch);
            for name in ["ts", "caller", "status", "duration_ms", "pid", "gap"] {
                let _ = parse(format!(r#"{{"{name}":{value}}}"#).as_bytes(), &mut scratch);
            }
        }

        /// Whatever text a caller or path is made of arrives unchanged.
        #[test]
        fn texts_come_back(ts in 0_u64..18_000_000_000, caller in "\\PC{1,20}", path in "/\\PC{0,20}", ms in 0_u32..100_000) {
            prop_assume!(caller != "-");
            let line = serde_json::json!({"ts": ts, "caller": caller, "method": "PUT", "path": path, "duration_ms": ms}).to_string();
            let mut scratch = Scratch::default();
            let want = Call {
                start: ts * 1_000_000_000,
                duration: u64::from(ms) * 1_000_000,
                method: "PUT",
                target: &path,
                caller: &caller,
                ..Call::default()
            };
            prop_assert_eq!(parse(line.as_bytes(), &mut scratch), Ok(Record::Call(want)));
        }
    }
}

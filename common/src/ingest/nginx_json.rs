//! JSON access logs of nginx: `log_format gait escape=json '{…}'`, one object a line.
//!
//! nginx has no fixed form for these, so the usual variable names are the field names and any of these may be
//! there:
//!
//! | field | meaning |
//! |---|---|
//! | `time_iso8601`, `msec`, `time_local`, `time`, `ts`, `timestamp`, `@timestamp` | when the line was written; `msec` wins, then the first that can be read |
//! | `remote_addr`, `remote_user` | the caller: the user, else the address |
//! | `http_x_forwarded_for` | the caller when [`super::Options::forwarded`] is set: its last address, which the nearest proxy wrote |
//! | `request`, or `request_method` and `request_uri` (or `uri` and `args`) | method and target |
//! | `status` | status code |
//! | `request_time` | seconds; nginx logs when a request ends, so the start is the time minus this |
//! | `host`, `http_host`, `server_name` | the host; the first in this order |
//!
//! Numbers may be written as numbers or as texts. Other fields are ignored.

use std::borrow::Cow;

use crate::call::{Call, Nanos};

use super::json::{self, Value};
use super::time::Stamps;
use super::{Malformed, Record, Scratch, access};

#[derive(Default)]
struct Fields<'a> {
    msec: Option<Nanos>,
    time: Option<Nanos>,
    address: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    forwarded: Option<Cow<'a, str>>,
    request: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    target: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    args: Option<Cow<'a, str>>,
    status: u16,
    duration: Nanos,
    /// By rank: `host`, `http_host`, `server_name`.
    hosts: [Option<Cow<'a, str>>; 3],
}

/// Parses one object.
///
/// # Errors
/// The first thing that is wrong with the line.
pub fn parse<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Record<'a>, Malformed> {
    let Scratch { stamps, forwarded, line: text, caller, host, method, target, .. } = scratch;
    let mut fields = Fields::default();
    json::fields(text.utf8(line), |name, value| fields.set(name, value, stamps))?;

    let end = fields.msec.or(fields.time).ok_or(Malformed::Missing("time"))?;
    let proxied = if *forwarded { fields.forwarded.and_then(last_address) } else { None };
    let who = fields.user.or(proxied).or(fields.address).ok_or(Malformed::Missing("remote_addr"))?;
    let (verb, path) = match fields.request {
        Some(request) => {
            let request = method.keep(request);
            let (verb, path) = access::split_request(request.as_bytes())?;
            (verb, target.utf8(path))
        }
        None => {
            let verb = fields.method.ok_or(Malformed::Missing("request"))?;
            let path = match (fields.target, fields.path, fields.args) {
                (Some(path), _, _) | (None, Some(path), None) => path,
                (None, Some(path), Some(args)) => Cow::Owned(format!("{path}?{args}")),
                (None, None, _) => return Err(Malformed::Missing("request_uri")),
            };
            let verb = method.keep(verb);
            if !access::is_method(verb) {
                return Err(Malformed::Bad("request_method"));
            }
            (verb, target.keep(path))
        }
    };
    Ok(Record::Call(Call {
        start: end.saturating_sub(fields.duration),
        duration: fields.duration,
        method: verb,
        host: fields.hosts.into_iter().flatten().next().map_or("", |name| host.keep(name)),
        target: path,
        status: fields.status,
        caller: caller.keep(who),
        ..Call::default()
    }))
}

impl<'a> Fields<'a> {
    fn set(&mut self, name: &str, value: Value<'a>, stamps: &mut Stamps) -> Result<(), Malformed> {
        match name {
            "msec" => self.msec = value.instant(),
            "time_local" => {
                let stamp = value.text().and_then(|text| stamps.clf(text.as_bytes()));
                self.time = self.time.or(stamp);
            }
            "time_iso8601" | "time" | "ts" | "timestamp" | "@timestamp" => {
                self.time = self.time.or_else(|| value.instant());
            }
            "remote_addr" => self.address = value.text(),
            "remote_user" => self.user = value.text(),
            "http_x_forwarded_for" => self.forwarded = value.text(),
            "request" => {
                let Value::Text(request) = value else { return Err(Malformed::Bad("request")) };
                self.request = Some(request);
            }
            "request_method" => self.method = value.text(),
            "request_uri" => self.target = value.text(),
            "uri" => self.path = value.text(),
            "args" => self.args = value.text(),
            "status" => self.status = value.status().ok_or(Malformed::Bad("status"))?,
            "request_time" => {
                self.duration = value.duration(1.0).ok_or(Malformed::Bad("request_time"))?;
            }
            "host" => self.hosts[0] = value.text(),
            "http_host" => self.hosts[1] = value.text(),
            "server_name" => self.hosts[2] = value.text(),
            _ => {}
        }
        Ok(())
    }
}

/// The last of a list of addresses.
fn last_address(list: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match list {
        Cow::Borrowed(list) => list.rsplit(',').next().map(|last| Cow::Borrowed(last.trim())),
        Cow::Owned(list) => list.rsplit(',').next().map(|last| Cow::Owned(last.trim().to_owned())),
    }
    .filter(|last| !last.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Process;
    use proptest::prelude::*;

    fn check(line: &str, forwarded: bool, want: Call<'_>) {
        let mut scratch = Scratch::new(forwarded);
        assert_eq!(parse(line.as_bytes(), &mut scratch), Ok(Record::Call(want)), "{line}");
    }

    fn reason(line: &str) -> Malformed {
        parse(line.as_bytes(), &mut Scratch::default()).expect_err(line)
    }

    const WANT: Call<'_> = Call {
        start: 1_431_857_102_750_000_000,
        duration: 250_000_000,
        method: "GET",
        host: "shop.example",
        target: "/cart?id=7",
        status: 200,
        caller: "192.0.2.7",
        process: Process { pid: 0, comm: "" },
        gap: false,
    };

    #[test]
    fn both_ways_to_write_a_request() {
        let line = r#"{"msec":"1431857103.000","time_iso8601":"2000-01-01T00:00:00Z","remote_addr":"192.0.2.7","remote_user":"",
            "request":"GET /cart?id=7 HTTP/1.1","status":"200","request_time":"0.250","host":"shop.example","http_user_agent":"a\"b"}"#;
        check(line, false, WANT);
        let line = r#"{"time_local":"17/May/2015:12:05:03 +0200","remote_addr":"192.0.2.7","remote_user":"-","request_method":"GET",
            "uri":"/cart","args":"id=7","status":200,"request_time":0.25,"http_host":"shop.example","server_name":"_","upstream":[1,{}]}"#;
        check(line, false, WANT);
    }

    #[test]
    fn callers_behind_a_proxy() {
        let line = r#"{"ts":1431857103,"remote_addr":"10.0.0.1","http_x_forwarded_for":"203.0.113.9, 198.51.100.2","remote_user":"-",
            "request_method":"GET","request_uri":"\/","status":"-"}"#;
        let plain = Call { start: 1_431_857_103_000_000_000, method: "GET", target: "/", ..Call::default() };
        check(line, false, Call { caller: "10.0.0.1", ..plain });
        check(line, true, Call { caller: "198.51.100.2", ..plain });
        check(&line.replace("203.0.113.9, 198.51.100.2", "-"), true, Call { caller: "10.0.0.1", ..plain });
        check(
            &line.replace(r#""remote_user":"-""#, r#""remote_user":"ann""#),
            true,
            Call { caller: "ann", ..plain },
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let line = r#"{"msec":1431857103.5,"remote_addr":"::1","request":"GET / HTTP/1.1","status":200,"request_time":0}"#;
        assert!(parse(line.as_bytes(), &mut Scratch::default()).is_ok());
        for noise in ["", r"\u0016\u0003\u0001", "SSH-2.0-Go", "-"] {
            assert_eq!(reason(&line.replace("GET / HTTP/1.1", noise)), Malformed::NotHttp, "{noise}");
        }
        assert_eq!(reason(&line.replace("msec", "sec")), Malformed::Missing("time"));
        assert_eq!(reason(&line.replace("1431857103.5", "\"yesterday\"")), Malformed::Missing("time"));
        assert_eq!(reason(&line.replace("remote_addr", "addr")), Malformed::Missing("remote_addr"));
        assert_eq!(reason(&line.replace(":200", ":2000")), Malformed::Bad("status"));
        assert_eq!(reason(&line.replace("_time\":0", "_time\":-1")), Malformed::Bad("request_time"));
        assert_eq!(reason(&line[..40]), Malformed::NotJson);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept_readable() {
        let line =
            [&br#"{"ts":1431857103,"remote_addr":"::1","request":"GET /"#[..], b"\xff", br#" HTTP/1.1"}"#]
                .concat();
        let mut scratch = Scratch::default();
        let Ok(Record::Call(call)) = parse(&line, &mut scratch) else { panic!("not a call") };
        assert_eq!(call.target, "/%FF");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(line in proptest::collection::vec(any::<u8>(), 0..80), name in "[a-z_]{2,12}", value in "[ -~]{0,20}") {
            let mut scratch = Scratch::default();
            let _ = parse(&line, &mut scratch);
            for name in [&name, "msec", "time_local", "request", "status", "request_time"] {
                let _ = parse(format!(r#"{{"{name}":{value}}}"#).as_bytes(), &mut scratch);
                let _ = parse(format!(r#"{{"{name}":"{value}"}}"#).as_bytes(), &mut scratch);
            }
        }
    }
}

//! One line of an `eve.json`, read without copying it.

use std::net::{IpAddr, SocketAddr};

use super::json::Scanner;
use super::key::{Key, Protocol, parse_time};
use super::raw::Raw;

/// What a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most lines are alerts, and none is kept")]
pub enum Line<'a> {
    /// An alert about HTTP.
    Alert(Alert<'a>),
    /// An alert about something else.
    NoHttp(Key),
    /// An event of another type: `http`, `flow`, `stats`, ...
    Other(Raw<'a>),
}

/// An alert about HTTP, as its line has it. What is optional is left out by Suricata's configuration or was not in the
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert<'a> {
    /// Its name across runs.
    pub key: Key,
    /// The flow's number in this run of Suricata.
    pub flow_id: Option<u64>,
    /// The packet went from server to client: then the client is [`Key::destination`].
    pub to_client: bool,
    /// Group of the rule.
    pub group: u64,
    /// Revision of the rule.
    pub revision: u64,
    /// The rule's message.
    pub signature: Raw<'a>,
    /// The rule's class, in words.
    pub category: Raw<'a>,
    /// 1 is the worst; 0 where there is none.
    pub severity: u64,
    /// The transaction.
    pub http: Http<'a>,
    /// What the packets carried, unprintable bytes as dots.
    pub payload_printable: Option<Raw<'a>>,
    /// What the packets carried, in base64.
    pub payload: Option<Raw<'a>>,
}

/// The HTTP transaction of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http<'a> {
    /// Host asked for.
    pub hostname: Option<Raw<'a>>,
    /// Path and query.
    pub url: Option<Raw<'a>>,
    /// Method.
    pub method: Option<Raw<'a>>,
    /// `User-Agent`.
    pub user_agent: Option<Raw<'a>>,
    /// `Referer`.
    pub referer: Option<Raw<'a>>,
    /// `Content-Type` (of the response where there was one).
    pub content_type: Option<Raw<'a>>,
    /// `X-Forwarded-For`.
    pub forwarded: Option<Raw<'a>>,
    /// Version of the protocol.
    pub protocol: Option<Raw<'a>>,
    /// Status of the response.
    pub status: Option<u64>,
    /// Length of the response's body.
    pub length: Option<u64>,
    /// The request's body, unprintable bytes as dots.
    pub body_printable: Option<Raw<'a>>,
    /// The request's body, in base64.
    pub body: Option<Raw<'a>>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Malformed {
    /// The line ends within its object.
    #[error("the line is cut off")]
    Cut,
    /// Not one JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// Objects within objects without end.
    #[error("objects are nested too deeply")]
    TooDeep,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A field is not there, or is of another kind.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field is there and cannot be understood.
    #[error("`{0}` cannot be read")]
    Bad(&'static str),
}

impl<'a> Alert<'a> {
    /// Reads a line, with or without its end. The whole line is checked, whatever it holds.
    ///
    /// # Errors
    /// When it is no JSON object in UTF-8 with an `event_type`, or an alert without what makes its key.
    pub fn parse(line: &'a [u8]) -> Result<Line<'a>, Malformed> {
        // A line that was cut off in the middle of a character is cut off.
        if let Err(error) = std::str::from_utf8(line) {
            return Err(if error.error_len().is_none() { Malformed::Cut } else { Malformed::NotUtf8 });
        }
        let mut event = Event::default();
        let mut scanner = Scanner::new(line);
        if scanner.peek()? != b'{' {
            return Err(Malformed::NotJson);
        }
        scanner.object(|scanner, name| event.field(scanner, name))?;
        scanner.end()?;
        event.finish()
    }
}

/// What was found of a line.
#[derive(Default)]
struct Event<'a> {
    event_type: Option<Raw<'a>>,
    timestamp: Option<Raw<'a>>,
    flow_id: Option<u64>,
    source: (Option<Raw<'a>>, Option<u64>),
    destination: (Option<Raw<'a>>, Option<u64>),
    protocol: Option<Raw<'a>>,
    transaction: Option<u64>,
    direction: Option<Raw<'a>>,
    rule: Option<Rule<'a>>,
    http: Option<Http<'a>>,
    payload_printable: Option<Raw<'a>>,
    payload: Option<Raw<'a>>,
}

/// The object `alert`.
#[derive(Default)]
struct Rule<'a> {
    group: Option<u64>,
    id: Option<u64>,
    revision: Option<u64>,
    signature: Raw<'a>,
    category: Raw<'a>,
    severity: Option<u64>,
}

impl<'a> Event<'a> {
    fn field(&mut self, scanner: &mut Scanner<'a>, name: &[u8]) -> Result<(), Malformed> {
        match name {
            b"event_type" => self.event_type = scanner.text()?,
            b"timestamp" => self.timestamp = scanner.text()?,
            b"flow_id" => self.flow_id = scanner.integer()?,
            b"src_ip" => self.source.0 = scanner.text()?,
            b"src_port" => self.source.1 = scanner.integer()?,
            b"dest_ip" => self.destination.0 = scanner.text()?,
            b"dest_port" => self.destination.1 = scanner.integer()?,
            b"proto" => self.protocol = scanner.text()?,
            b"tx_id" => self.transaction = scanner.integer()?,
            b"direction" => self.direction = scanner.text()?,
            b"payload_printable" => self.payload_printable = scanner.text()?,
            b"payload" => self.payload = scanner.text()?,
            b"alert" if scanner.peek()? == b'{' => {
                let rule = self.rule.insert(Rule::default());
                scanner.object(|scanner, name| rule.field(scanner, name))?;
            }
            b"http" if scanner.peek()? == b'{' => {
                let http = self.http.insert(Http::default());
                scanner.object(|scanner, name| http.field(scanner, name))?;
            }
            _ => scanner.skip()?,
        }
        Ok(())
    }

    fn finish(self) -> Result<Line<'a>, Malformed> {
        let event_type = self.event_type.ok_or(Malformed::Missing("event_type"))?;
        if event_type.escaped() != b"alert" {
            return Ok(Line::Other(event_type));
        }
        let rule = self.rule.ok_or(Malformed::Missing("alert"))?;
        let time = plain(self.timestamp, "timestamp")?;
        let protocol = plain(self.protocol, "proto")?;
        let id = rule.id.ok_or(Malformed::Missing("alert.signature_id"))?;
        let key = Key {
            time: parse_time(time).ok_or(Malformed::Bad("timestamp"))?,
            source: address(self.source, "src_ip", "src_port")?,
            destination: address(self.destination, "dest_ip", "dest_port")?,
            protocol: Protocol::parse(protocol).ok_or(Malformed::Bad("proto"))?,
            transaction: self.transaction,
            signature: u32::try_from(id).map_err(|_| Malformed::Bad("alert.signature_id"))?,
        };
        let Some(http) = self.http else {
            return Ok(Line::NoHttp(key));
        };
        Ok(Line::Alert(Alert {
            key,
            flow_id: self.flow_id,
            to_client: self.direction.is_some_and(|direction| direction.escaped() == b"to_client"),
            group: rule.group.unwrap_or(1),
            revision: rule.revision.unwrap_or(0),
            signature: rule.signature,
            category: rule.category,
            severity: rule.severity.unwrap_or(0),
            http,
            payload_printable: self.payload_printable,
            payload: self.payload,
        }))
    }
}

impl<'a> Rule<'a> {
    fn field(&mut self, scanner: &mut Scanner<'a>, name: &[u8]) -> Result<(), Malformed> {
        match name {
            b"gid" => self.group = scanner.integer()?,
            b"signature_id" => self.id = scanner.integer()?,
            b"rev" => self.revision = scanner.integer()?,
            b"signature" => self.signature = scanner.text()?.unwrap_or_default(),
            b"category" => self.category = scanner.text()?.unwrap_or_default(),
            b"severity" => self.severity = scanner.integer()?,
            _ => scanner.skip()?,
        }
        Ok(())
    }
}

impl<'a> Http<'a> {
    fn field(&mut self, scanner: &mut Scanner<'a>, name: &[u8]) -> Result<(), Malformed> {
        match name {
            b"hostname" => self.hostname = scanner.text()?,
            b"url" => self.url = scanner.text()?,
            b"http_method" => self.method = scanner.text()?,
            b"http_user_agent" => self.user_agent = scanner.text()?,
            b"http_refer" => self.referer = scanner.text()?,
            b"http_content_type" => self.content_type = scanner.text()?,
            b"xff" => self.forwarded = scanner.text()?,
            b"protocol" => self.protocol = scanner.text()?,
            b"status" => self.status = scanner.integer()?,
            b"length" => self.length = scanner.integer()?,
            b"http_request_body_printable" => self.body_printable = scanner.text()?,
            b"http_request_body" => self.body = scanner.text()?,
            _ => scanner.skip()?,
        }
        Ok(())
    }
}

/// A text that has to be there and to need no escapes.
fn plain<'a>(raw: Option<Raw<'a>>, name: &'static str) -> Result<&'a str, Malformed> {
    let raw = raw.ok_or(Malformed::Missing(name))?;
    std::str::from_utf8(raw.escaped()).map_err(|_| Malformed::Bad(name))
}

fn address(
    (ip, port): (Option<Raw<'_>>, Option<u64>),
    ip_name: &'static str,
    port_name: &'static str,
) -> Result<SocketAddr, Malformed> {
    let ip: IpAddr = plain(ip, ip_name)?.parse().map_err(|_| Malformed::Bad(ip_name))?;
    // ICMP has none.
    let port = u16::try_from(port.unwrap_or(0)).map_err(|_| Malformed::Bad(port_name))?;
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = concat!(
        r#"{"timestamp":"2023-11-14T22:13:20.000699+0000","flow_id":426058165724,"event_type":"alert","#,
        r#""src_ip":"203.0.0.0","src_port":20000,"dest_ip":"192.168.56.10","dest_port":80,"proto":"TCP","tx_id":0,"#,
        r#""alert":{"action":"allowed","gid":1,"signature_id":2006445,"rev":14,"signature":"SELECT \"FROM\"","#,
        r#""category":"Web Application Attack","severity":1,"metadata":{"tag":["SQL_Injection"]}},"#,
        r#""http":{"hostname":"shop.example","url":"/a?q=1%27","http_user_agent":"curl/8.4.0","http_method":"GET","#,
        r#""protocol":"HTTP/1.1","status":200,"length":11},"direction":"to_server","payload":"R0VU"}"#,
    );

    fn alert(line: &str) -> Alert<'_> {
        match Alert::parse(line.as_bytes()) {
            Ok(Line::Alert(alert)) => alert,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alert_is_read() {
        let alert = alert(LINE);
        let key = "2023-11-14T22:13:20.000699Z/203.0.0.0:20000/192.168.56.10:80/TCP/0/2006445";
        assert_eq!(alert.key.to_string(), key);
        assert_eq!(alert.signature.text(), "SELECT \"FROM\"");
        assert_eq!((alert.flow_id, alert.severity, alert.revision), (Some(426_058_165_724), 1, 14));
        assert_eq!(alert.http.url.map(Raw::escaped), Some(&b"/a?q=1%27"[..]));
        assert_eq!((alert.http.status, alert.http.referer), (Some(200), None));
        assert_eq!(alert.payload.map(Raw::escaped), Some(&b"R0VU"[..]));
        assert!(!alert.to_client);
    }

    #[test]
    fn every_half_of_a_line_is_said_to_be_cut() {
        for len in 0..LINE.len() {
            assert_eq!(Alert::parse(&LINE.as_bytes()[..len]), Err(Malformed::Cut), "{}", &LINE[..len]);
        }
        assert!(Alert::parse(format!(" {LINE} \r\n").as_bytes()).is_ok());
        assert_eq!(Alert::parse(format!("{LINE}{LINE}").as_bytes()), Err(Malformed::NotJson));
        assert_eq!(Alert::parse("{\"é".as_bytes().split_last().expect("bytes").1), Err(Malformed::Cut));
    }

    #[test]
    fn what_is_no_alert_about_http_is_told_apart() {
        let http = LINE.replace("\"http\"", "\"dns\"");
        assert!(matches!(Alert::parse(http.as_bytes()), Ok(Line::NoHttp(key)) if key.signature == 2_006_445));
        let flow = LINE.replace("\"alert\",", "\"flow\",");
        assert!(matches!(Alert::parse(flow.as_bytes()), Ok(Line::Other(kind)) if kind.escaped() == b"flow"));
        let stats =
            br#"{"timestamp":"x","event_type":"stats","stats":{"uptime":0,"a":[1.5e3,-2,null,true,false]}}"#;
        assert!(matches!(Alert::parse(stats), Ok(Line::Other(_))));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, want) in [
            ("\"event_type\"", "\"type\"", Malformed::Missing("event_type")),
            ("\"timestamp\"", "\"time\"", Malformed::Missing("timestamp")),
            ("2023-11", "2023-13", Malformed::Bad("timestamp")),
            ("203.0.0.0", "203.0.0.x", Malformed::Bad("src_ip")),
            (":80,", ":65536,", Malformed::Bad("dest_port")),
            ("\"TCP\"", "\"carrier pigeon\"", Malformed::Bad("proto")),
            ("2006445", "4294967296", Malformed::Bad("alert.signature_id")),
            ("2006445", "\"2006445\"", Malformed::Missing("alert.signature_id")),
            ("\"rev\":14", "\"rev\":014", Malformed::NotJson),
            ("SELECT", "\\x", Malformed::NotJson),
            ("SELECT", "\t", Malformed::NotJson),
        ] {
            assert_eq!(Alert::parse(LINE.replacen(from, to, 1).as_bytes()), Err(want), "{from} {to}");
        }
        assert_eq!(Alert::parse(b"[]"), Err(Malformed::NotJson));
        assert_eq!(Alert::parse(b"{\"\xff\":1}"), Err(Malformed::NotUtf8));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Alert::parse(deep.as_bytes()), Err(Malformed::TooDeep));
    }
}

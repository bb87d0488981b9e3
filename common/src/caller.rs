//! Who called: the first of a configured list of identities that a request carries.
//!
//! Identities that may be secret or personal (header values, token claims, cookies, user names) are replaced by a
//! keyed hash unless names are kept. Addresses stay readable: without them nobody could act on a finding, and
//! every access log holds them anyway.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ipnet::IpNet;

/// Longest identity taken from a request, in bytes; a longer one is cut before it is hashed or kept.
const MAX_IDENTITY: usize = 256;
/// Longest token payload that is decoded in search of a claim, in bytes of base64.
const MAX_TOKEN: usize = 4096;

/// One place where a request may say who sent it. Written `header:NAME`, `jwt:CLAIM`, `cookie:NAME`, `basic`,
/// `client-cert:HEADER`, `forwarded-for` or `address` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The value of a header, e.g. an API key.
    Header(String),
    /// A claim of the bearer token. The token is not verified: this groups calls, it does not authenticate.
    Jwt(String),
    /// The value of a cookie.
    Cookie(String),
    /// The user name of basic authentication.
    Basic,
    /// The subject of the client's certificate, as a TLS-terminating proxy passes it on in this header.
    ClientCert(String),
    /// The last address in `X-Forwarded-For` that is not a trusted proxy's, when the peer is one.
    ForwardedFor,
    /// The peer's address.
    Address,
}

/// An identity source that the configuration spells wrongly.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "unknown caller identity `{0}`: use header:NAME, jwt:CLAIM, cookie:NAME, basic, client-cert:HEADER, \
     forwarded-for or address"
)]
pub struct UnknownIdentity(String);

impl FromStr for Identity {
    type Err = UnknownIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownIdentity(text.to_owned());
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let named = |make: fn(String) -> Self| {
            if name.is_empty() { Err(unknown()) } else { Ok(make(name.to_owned())) }
        };
        match kind {
            "header" => named(Self::Header),
            "jwt" => named(Self::Jwt),
            "cookie" => named(Self::Cookie),
            "client-cert" => named(Self::ClientCert),
            "basic" if name.is_empty() => Ok(Self::Basic),
            "forwarded-for" if name.is_empty() => Ok(Self::ForwardedFor),
            "address" if name.is_empty() => Ok(Self::Address),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Jwt(claim) => write!(f, "jwt:{claim}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Basic => f.write_str("basic"),
            Self::ClientCert(header) => write!(f, "client-cert:{header}"),
            Self::ForwardedFor => f.write_str("forwarded-for"),
            Self::Address => f.write_str("address"),
        }
    }
}

impl Identity {
    /// What a request says in this place, as it stands there; `None` when it says nothing, and for addresses, which no
    /// header alone can say.
    pub fn value<'h>(&self, headers: &'h dyn Headers) -> Option<Cow<'h, [u8]>> {
        let authorization = || headers.get("authorization");
        match self {
            Self::Header(name) | Self::ClientCert(name) => headers.get(name).map(Cow::Borrowed),
            Self::Cookie(name) => cookie(headers.get("cookie")?, name).map(Cow::Borrowed),
            Self::Jwt(claim) => Some(Cow::Owned(jwt_claim(authorization()?, claim)?.into_bytes())),
            Self::Basic => basic_user(authorization()?).map(Cow::Owned),
            Self::ForwardedFor | Self::Address => None,
        }
    }
}

/// The headers of one request, however the source keeps them.
pub trait Headers {
    /// The first value of the header `name` (compared without regard to case).
    fn get(&self, name: &str) -> Option<&[u8]>;
}

/// Names the caller of a request; see [`Identity`] for the order and the sources.
#[derive(Clone, Debug)]
pub struct CallerNamer {
    /// Tried in this order; the peer's address is the last resort even when not listed.
    pub identities: Vec<Identity>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Keep identities readable instead of hashing them.
    pub keep_names: bool,
    /// Key of the hash. Hosts that share it agree on a caller's name.
    pub key: [u8; 32],
}

impl CallerNamer {
    /// Writes the caller's name into `out` (cleared first): `KIND=VALUE`, or `KIND#HASH` where the value is hidden;
    /// a bare address for addresses.
    pub fn name(&self, headers: &dyn Headers, peer: IpAddr, out: &mut String) {
        out.clear();
        let peer = peer.to_canonical();
        for identity in &self.identities {
            if self.try_identity(identity, headers, peer, out) {
                return;
            }
        }
        push_address(out, peer);
    }

    fn try_identity(
        &self,
        identity: &Identity,
        headers: &dyn Headers,
        peer: IpAddr,
        out: &mut String,
    ) -> bool {
        match identity {
            Identity::Header(_)
            | Identity::ClientCert(_)
            | Identity::Cookie(_)
            | Identity::Jwt(_)
            | Identity::Basic => {
                identity.value(headers).is_some_and(|value| self.push_secret(out, identity, &value))
            }
            Identity::ForwardedFor => match self.forwarded_for(headers, peer) {
                Some(address) => {
                    push_address(out, address);
                    true
                }
                None => false,
            },
            Identity::Address => {
                push_address(out, peer);
                true
            }
        }
    }

    fn push_secret(&self, out: &mut String, identity: &Identity, value: &[u8]) -> bool {
        let value = value.trim_ascii();
        let value = &value[..value.len().min(MAX_IDENTITY)];
        if value.is_empty() {
            return false;
        }
        if self.keep_names {
            push_display(out, identity);
            out.push('=');
            for chunk in value.utf8_chunks() {
                out.extend(chunk.valid().chars().filter(|c| !c.is_control()));
                if !chunk.invalid().is_empty() {
                    out.push(char::REPLACEMENT_CHARACTER);
                }
            }
        } else {
            let hash = blake3::keyed_hash(&self.key, value);
            push_display(out, format_args!("{identity}#{}", &hash.to_hex()[..16]));
        }
        true
    }

    fn forwarded_for(&self, headers: &dyn Headers, peer: IpAddr) -> Option<IpAddr> {
        let trusted = |address: IpAddr| self.trusted_proxies.iter().any(|net| net.contains(&address));
        if !trusted(peer) {
            return None;
        }
        let header = std::str::from_utf8(headers.get("x-forwarded-for")?).ok()?;
        header.rsplit(',').map_while(|hop| parse_hop(hop.trim())).find(|&address| !trusted(address))
    }
}

/// An address as proxies write it: bare, bracketed, or with a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(hop);
    bare.parse::<IpAddr>()
        .or_else(|_| hop.parse::<std::net::SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

fn cookie<'a>(cookies: &'a [u8], name: &str) -> Option<&'a [u8]> {
    cookies.split(|&b| b == b';').find_map(|pair| {
        let pair = pair.trim_ascii_start();
        let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value)
    })
}

fn basic_user(header: &[u8]) -> Option<Vec<u8>> {
    let encoded = strip_scheme(header, b"basic ")?;
    let mut decoded = STANDARD.decode(&encoded[..encoded.len().min(MAX_TOKEN)]).ok()?;
    let colon = decoded.iter().position(|&b| b == b':')?;
    decoded.truncate(colon);
    Some(decoded)
}

fn jwt_claim(header: &[u8], claim: &str) -> Option<String> {
    let token = strip_scheme(header, b"bearer ")?;
    let payload = token.split(|&b| b == b'.').nth(1)?;
    if payload.len() > MAX_TOKEN {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&json).ok()?;
    match claims.get(claim)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn strip_scheme<'a>(header: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let header = header.trim_ascii_start();
    let (start, rest) = header.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

/// Writes an address as its `Display` does; in the common case without the formatting machinery, which would be a third
/// of the agent's work per call.
pub fn push_address(out: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => Dotted::new(v4).push_to(out),
        IpAddr::V6(v6) => push_display(out, v6),
    }
}

/// Writes an address and a port as their `Display` does, with the same haste.
pub fn push_socket_address(out: &mut String, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            let mut dotted = Dotted::new(*v4.ip());
            dotted.push(b":");
            dotted.push(itoa::Buffer::new().format(v4.port()).as_bytes());
            dotted.push_to(out);
        }
        SocketAddr::V6(v6) => push_display(out, v6),
    }
}

/// An IPv4 address as text, and room for a port.
struct Dotted {
    text: [u8; 24],
    len: usize,
}

impl Dotted {
    fn new(address: Ipv4Addr) -> Self {
        let mut dotted = Self { text: [0; 24], len: 0 };
        let mut digits = itoa::Buffer::new();
        for (at, octet) in address.octets().into_iter().enumerate() {
            if at > 0 {
                dotted.push(b".");
            }
            dotted.push(digits.format(octet).as_bytes());
        }
        dotted
    }

    fn push(&mut self, part: &[u8]) {
        for &byte in part {
            self.text[self.len] = byte;
            self.len += 1;
        }
    }

    fn push_to(&self, out: &mut String) {
        out.extend(std::str::from_utf8(&self.text[..self.len]));
    }
}

fn push_display(out: &mut String, value: impl fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Headers for &[(&str, &str)] {
        fn get(&self, name: &str) -> Option<&[u8]> {
            self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_bytes())
        }
    }

    fn name(identities: &[&str], keep_names: bool, headers: &[(&str, &str)], peer: &str) -> String {
        let namer = CallerNamer {
            identities: identities.iter().map(|i| i.parse().expect("identity")).collect(),
            trusted_proxies: vec!["10.0.0.0/8".parse().expect("network")],
            keep_names,
            key: [7; 32],
        };
        let mut out = String::new();
        namer.name(&headers, peer.parse().expect("address"), &mut out);
        out
    }

    #[test]
    fn the_first_identity_present_wins() {
        let headers = [("X-Api-Key", "k1"), ("Authorization", "Basic YW5uOnNlY3JldA==")];
        assert_eq!(name(&["basic", "header:x-api-key"], true, &headers, "1.2.3.4"), "basic=ann");
        assert_eq!(name(&["header:x-api-key", "basic"], true, &headers, "1.2.3.4"), "header:x-api-key=k1");
        assert_eq!(name(&["cookie:sid"], true, &headers, "1.2.3.4"), "1.2.3.4");
    }

    #[test]
    fn secrets_are_hidden_and_the_same_everywhere() {
        let headers = [("x-api-key", "very-secret")];
        let hidden = name(&["header:x-api-key"], false, &headers, "1.2.3.4");
        assert!(hidden.starts_with("header:x-api-key#") && !hidden.contains("secret"), "{hidden}");
        assert_eq!(hidden, name(&["header:x-api-key"], false, &headers, "5.6.7.8"));
    }

    #[test]
    fn claims_and_cookies_are_read() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"u-17","uid":42}"#);
        let token = format!("bearer e30.{claims}.x");
        let headers = [("authorization", token.as_str()), ("cookie", "a=1; sid=zz; xsid=no")];
        assert_eq!(name(&["jwt:sub"], true, &headers, "::1"), "jwt:sub=u-17");
        assert_eq!(name(&["jwt:uid"], true, &headers, "::1"), "jwt:uid=42");
        assert_eq!(name(&["jwt:missing", "cookie:sid"], true, &headers, "::1"), "cookie:sid=zz");
    }

    #[test]
    fn forwarded_for_is_believed_from_trusted_peers_only() {
        let headers = [("x-forwarded-for", "6.6.6.6, 9.9.9.9, 10.1.1.1")];
        assert_eq!(name(&["forwarded-for"], true, &headers, "10.0.0.2"), "9.9.9.9");
        assert_eq!(name(&["forwarded-for"], true, &headers, "::ffff:10.0.0.2"), "9.9.9.9");
        assert_eq!(name(&["forwarded-for"], true, &headers, "8.8.8.8"), "8.8.8.8");
    }

    #[test]
    fn addresses_are_written_as_display_writes_them() {
        let mut out = String::new();
        for text in ["0.0.0.0:0", "10.99.100.255:65535", "[::1]:80", "[::ffff:1.2.3.4]:1", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().expect("socket address");
            out.clear();
            push_socket_address(&mut out, address);
            assert_eq!(out, address.to_string());
            out.clear();
            push_address(&mut out, address.ip());
            assert_eq!(out, address.ip().to_string());
        }
    }

    #[test]
    fn wrong_spelling_says_what_is_possible() {
        for text in ["headers:x", "header:", "address:1", ""] {
            let error = text.parse::<Identity>().expect_err(text).to_string();
            assert!(error.contains("header:NAME"), "{error}");
        }
    }
}

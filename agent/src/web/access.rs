//! Who may ask: under which name the server was reached, from which site, and with which token.
//!
//! A page of another site must not make somebody's browser ask for it. That rests on three things, each enough by itself for
//! the browsers of today: the name in `Host` has to be an address or a configured one (a name that was pointed
//! here by DNS rebinding is neither), what `Sec-Fetch-Site` and `Origin` say, and a cookie that other sites' requests do
//! not carry.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::problem::{Problem, wants_page};
use crate::config;

/// Name of the login cookie.
pub(super) const COOKIE: &str = "gait_session";
/// How long a login lasts.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 3600);
/// Shortest token: what is shorter could be guessed.
const MIN_TOKEN: usize = 16;
/// Most bytes of a token's file.
const MAX_TOKEN: u64 = 4096;
/// Wrong tokens that the form takes a minute, from everybody together.
const TRIES: u64 = 30;
/// What may be asked for without a token: the way to log in.
const OPEN: [&str; 3] = ["/login", "/assets/style.css", "/assets/page.js"];

/// A token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The address can be reached from other hosts, and nothing is said of a token.
    #[error("web.listen = {0} can be reached from other hosts: name a file with a token in web.token_file")]
    Owed(std::net::SocketAddr),
    /// The file cannot be read.
    #[error("failed to read web.token_file {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Others can read the file.
    #[error("web.token_file {} can be read by others (mode {mode:o}): chmod 600 it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// What is in it is no token.
    #[error("web.token_file {} must hold one line of {MIN_TOKEN} to {MAX_TOKEN} visible ASCII characters", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

/// Decides who may ask.
#[derive(Debug)]
pub(super) struct Access {
    /// The hash of the token, under the key of this start.
    token: Option<blake3::Hash>,
    /// Signs sessions: they end with the agent.
    key: [u8; 32],
    hosts: Vec<String>,
    /// Minute (Unix) << 16 | wrong tokens in it.
    wrong: AtomicU64,
}

impl Access {
    pub(super) fn new(options: &config::Web) -> Result<Self, TokenError> {
        let mut key = [0; 32];
        let random = "/dev/urandom";
        File::open(random)
            .and_then(|mut file| file.read_exact(&mut key))
            .map_err(|reason| TokenError::Unreadable { path: random.into(), reason })?;
        let token = token(options)?.map(|token| blake3::keyed_hash(&key, token.as_bytes()));
        let hosts = options.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(Self { token, key, hosts, wrong: AtomicU64::new(0) })
    }

    /// Whether another token may be tried in this minute; only the wrong ones count.
    pub(super) fn may_try(&self) -> bool {
        let seen = self.wrong.load(Ordering::Relaxed);
        seen >> 16 != seconds() / 60 || seen & 0xffff < TRIES
    }

    fn note_wrong(&self) {
        let minute = seconds() / 60;
        let _ = self.wrong.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
            let count = if seen >> 16 == minute { seen & 0xffff } else { 0 };
            Some(minute << 16 | (count + 1).min(0xffff))
        });
    }

    /// The cookie's value for whoever has the token.
    pub(super) fn session(&self, token: &[u8]) -> Option<String> {
        if !self.is_token(token) {
            self.note_wrong();
            return None;
        }
        let end = seconds() + SESSION.as_secs();
        Some(format!("{end}.{}", self.sign(end)))
    }

    fn sign(&self, end: u64) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("session until {end}").as_bytes())
    }

    /// Hashes are compared in constant time.
    fn is_token(&self, given: &[u8]) -> bool {
        self.token.is_some_and(|token| blake3::keyed_hash(&self.key, given) == token)
    }

    fn is_session(&self, value: &str) -> bool {
        let Some((end, signature)) = value.split_once('.') else { return false };
        let (Ok(end), Ok(signature)) = (end.parse(), blake3::Hash::from_hex(signature)) else { return false };
        self.sign(end) == signature && end > seconds()
    }

    /// Why a request is refused, if it is.
    fn refuse(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check_host(uri, headers)?;
        check_site(headers)?;
        if self.token.is_none() || OPEN.contains(&uri.path()) {
            return Ok(());
        }
        let bearer = text(headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some((_, token)) = bearer {
            return if self.is_token(token.trim().as_bytes()) { Ok(()) } else { Err(Refusal::Unknown) };
        }
        let logged_in =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).any(|cookies| {
                let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
                pairs.any(|(name, value)| name == COOKIE && self.is_session(value))
            });
        if !logged_in {
            return Err(Refusal::Unknown);
        }
        // A browser says where a request comes from; one that does not is too old for its cookie to be believed.
        let told = headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN);
        if *method == Method::GET || told { Ok(()) } else { Err(Refusal::Site) }
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = text(headers, &header::HOST).or_else(|| uri.authority().map(|a| a.as_str()));
        let host = host.ok_or(Refusal::Host)?.to_ascii_lowercase();
        // In an absolute request target the authority counts, whatever the header says.
        if uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(&host)) {
            return Err(Refusal::Host);
        }
        let name = without_port(&host);
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        let known =
            bare.parse::<IpAddr>().is_ok() || name == "localhost" || self.hosts.iter().any(|h| h == name);
        if known { Ok(()) } else { Err(Refusal::Host) }
    }
}

/// `host` of `host:port`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            // `::1` without brackets is an address, not a name with a port.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

fn check_site(headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return Err(Refusal::Site);
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().map_err(|_| Refusal::Site)?;
        let of = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let host = text(headers, &header::HOST);
        if of.is_none() || !of.zip(host).is_some_and(|(of, host)| of.eq_ignore_ascii_case(host)) {
            return Err(Refusal::Site);
        }
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Host,
    Site,
    Unknown,
}

impl Refusal {
    fn answer(self, headers: &HeaderMap, method: &Method) -> Response {
        let (status, detail) = match self {
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "this server is reached by its address, as localhost, or by a name in web.hosts",
            ),
            Self::Site => (
                StatusCode::FORBIDDEN,
                "the request comes from another site; type the address of this page instead",
            ),
            Self::Unknown if *method == Method::GET && wants_page(headers) => {
                return Redirect::to("/login").into_response();
            }
            Self::Unknown => (StatusCode::UNAUTHORIZED, "a token is owed: Authorization: Bearer TOKEN"),
        };
        let mut response = Problem::new(status, detail).into_response();
        if self == Self::Unknown {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Lets a request through, or says why not.
pub(super) async fn pass(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.refuse(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.answer(request.headers(), request.method()),
    }
}

/// What browsers are told about every answer: it is nobody else's, loads nothing from elsewhere, runs no script but
/// ours, and is kept nowhere.
pub(super) async fn seal(request: Request, next: Next) -> Response {
    const HEADERS: [(&str, &str); 7] = [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        // Not `no-referrer`: forms would then be sent with the origin `null`.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// The token of the configuration.
///
/// # Errors
/// When it is owed and missing, or its file is not fit.
fn token(options: &config::Web) -> Result<Option<String>, TokenError> {
    match (&options.token_file, options.listen) {
        (Some(path), _) => read(path).map(Some),
        (None, Some(listen)) if !listen.ip().to_canonical().is_loopback() => Err(TokenError::Owed(listen)),
        (None, _) => Ok(None),
    }
}

fn read(path: &Path) -> Result<String, TokenError> {
    let unreadable = |reason| TokenError::Unreadable { path: path.to_owned(), reason };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Open { path: path.to_owned(), mode });
    }
    let mut token = String::new();
    let unfit = || TokenError::Unfit { path: path.to_owned() };
    match file.take(MAX_TOKEN + 1).read_to_string(&mut token) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(unfit()),
        other => other.map_err(unreadable)?,
    };
    let token = token.trim();
    let fit = (MIN_TOKEN..=MAX_TOKEN as usize).contains(&token.len())
        && token.bytes().all(|b| b.is_ascii_graphic());
    if fit { Ok(token.to_owned()) } else { Err(unfit()) }
}

/// What is wrong with the token, as `check` says it.
pub(crate) fn check(options: &config::Web) -> Result<bool, TokenError> {
    token(options).map(|token| token.is_some())
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

//! A caller's connection: HTTP/1.1 with keep-alive over a plain socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// No answer of the shop is larger.
const MAX_BODY: u64 = 1 << 20;

/// Who asks, and how its requests look.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The caller's name, sent as the basic-auth user.
    pub(crate) name: String,
    /// Its program.
    pub(crate) user_agent: &'static str,
}

impl Identity {
    fn head(&self, method: &str, target: &str) -> String {
        use base64::Engine as _;
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{}:walk", self.name));
        format!(
            "{method} {target} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: {}\r\nAccept: application/json\r\n\
             Authorization: Basic {credentials}\r\n",
            self.user_agent
        )
    }
}

/// One request of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Its method.
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) target: String,
    /// A JSON body, or an empty one.
    pub(crate) body: String,
}

/// A caller's connections to the shop, opened when needed and kept.
pub(crate) struct Client {
    identity: Identity,
    address: SocketAddr,
    connections: Vec<BufReader<TcpStream>>,
}

impl Client {
    /// A client without a connection yet.
    pub(crate) fn new(identity: Identity, port: u16) -> Self {
        Self { identity, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), connections: Vec::new() }
    }

    /// Sends all requests at once, each on a connection of its own, then reads the answers; gives their statuses.
    pub(crate) fn send(&mut self, requests: &[Request]) -> Result<Vec<u16>> {
        while self.connections.len() < requests.len() {
            self.connections.push(self.connect()?);
        }
        let pairs = || requests.iter().zip(0..);
        for (request, at) in pairs() {
            let Request { method, target, body } = request;
            let mut text = self.identity.head(method, target);
            if !body.is_empty() {
                text.push_str(&format!(
                    "Content-Type: application/json\r\nContent-Length: {}\r\n",
                    body.len()
                ));
            }
            text.push_str("\r\n");
            text.push_str(body);
            let stream: &mut TcpStream = self.connections[at].get_mut();
            stream.write_all(text.as_bytes()).with_context(|| format!("failed to send {method} {target}"))?;
        }
        pairs()
            .map(|(request, at)| {
                read_answer(&mut self.connections[at]).with_context(|| {
                    format!("failed to read the answer to {} {}", request.method, request.target)
                })
            })
            .collect()
    }

    /// Closes all connections, as a browser does some time after its user has left.
    pub(crate) fn hang_up(&mut self) {
        self.connections.clear();
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))
            .with_context(|| format!("failed to connect to the shop at {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(BufReader::new(stream))
    }
}

/// Reads one answer whole and gives its status.
fn read_answer(connection: &mut BufReader<TcpStream>) -> Result<u16> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.with_context(|| format!("not a status line: {line:?}"))?;
    let mut length = 0;
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            bail!("the answer ends within its head");
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().with_context(|| format!("bad content-length {value:?}"))?;
        }
    }
    if length > MAX_BODY {
        bail!("an answer of {length} bytes is too long");
    }
    std::io::copy(&mut connection.take(length), &mut std::io::sink())?;
    Ok(status)
}

//! Raw connections: exactly these bytes, in exactly these segments.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, bail};

/// A connection that sends what it is told.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(super::PATIENCE))?;
        stream.set_write_timeout(Some(super::PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.0.write_all(bytes)?)
    }

    /// Sends each part as a segment of its own.
    pub(crate) fn send_parts(&mut self, parts: &[&[u8]]) -> anyhow::Result<()> {
        for part in parts {
            self.send(part)?;
            std::thread::sleep(Duration::from_micros(300));
        }
        Ok(())
    }

    /// Reads until `needle` has come `times` times; gives everything read.
    pub(crate) fn read_until(&mut self, needle: &str, times: usize) -> anyhow::Result<String> {
        let mut text = String::new();
        let mut buffer = [0; 65536];
        while text.matches(needle).count() < times {
            let len =
                self.0.read(&mut buffer).with_context(|| format!("waiting for {needle:?} after {text:?}"))?;
            if len == 0 {
                bail!("the server closed after {text:?}");
            }
            text.push_str(&String::from_utf8_lossy(&buffer[..len]));
        }
        Ok(text)
    }

    /// Sends one request and reads its answer up to `needle`.
    pub(crate) fn ask(&mut self, request: &[u8], needle: &str) -> anyhow::Result<String> {
        self.send(request)?;
        self.read_until(needle, 1)
    }
}

/// A GET of `target`.
pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: gait\r\n\r\n").into_bytes()
}

//! What the kernel tests share: a watch on some ports, servers, and raw connections.

pub(crate) mod client;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod watch;

use std::{
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

/// How long a test waits for something that should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A port that no other test of this run uses.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(18_000);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(port < 18_500, "more ports used than are set aside for the kernel tests");
    port
}

/// Waits until something listens at `address`.
pub(crate) fn listening(address: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("nothing listens at {address}"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Waits until `done`.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !done()? {
        if Instant::now() >= deadline {
            bail!("gave up waiting: {what}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

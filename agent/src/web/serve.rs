//! Connections: how many, for how long, and how they end.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a request's head may take, and how long a connection may be idle between requests.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection lives: whoever reads slowly must not keep it for ever.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long what is under way may take when a connection is to end.
const DRAIN: Duration = Duration::from_secs(2);
/// Most bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// Threads that look names up; more would take CPUs from those who are watched.
pub(super) const WORKERS: usize = 2;
/// How soon a wish to stop is seen.
const TICK: Duration = Duration::from_millis(50);
/// How long to wait when the host has no more descriptors.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// Answers until `stop` is set.
pub(super) fn run(listener: TcpListener, app: &Router, connections: usize, stop: &AtomicBool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(WORKERS)
        .thread_name("web worker")
        .build()
        .context("failed to start the web server's runtime")?;
    let outcome = runtime.block_on(accept(listener, app, connections, stop));
    runtime.shutdown_timeout(DRAIN);
    outcome
}

async fn accept(listener: TcpListener, app: &Router, connections: usize, stop: &AtomicBool) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener).context("failed to listen")?;
    let slots = Arc::new(Semaphore::new(connections));
    let (close, closing) = watch::channel(());
    let mut open = JoinSet::new();
    while !stop.load(Ordering::Relaxed) {
        tokio::select! {
            () = sleep(TICK) => {}
            Some(_) = open.join_next() => {}
            Some((stream, slot)) = next(&listener, &slots) => {
                open.spawn(connection(stream, slot, app.clone(), closing.clone()));
            }
        }
    }
    drop((listener, close));
    // Those that do not end by then are dropped with the set.
    let _ = timeout(DRAIN, async { while open.join_next().await.is_some() {} }).await;
    Ok(())
}

/// The next connection, once there is room for one; until then it waits in the kernel's queue.
async fn next(
    listener: &tokio::net::TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::debug!("failed to take a connection to the web server: {error}");
            sleep(EXHAUSTED).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    _slot: OwnedSemaphorePermit,
    app: Router,
    mut closing: watch::Receiver<()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // What a client does wrong is its own affair.
        _ = connection.as_mut() => return,
        () = sleep(LIFETIME) => {}
        // The sender is dropped when the server stops.
        Err(_) = closing.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(DRAIN, connection).await;
}

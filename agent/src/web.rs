//! The agent's one HTTP server: pages for people and answers for the programs of this host.
//!
//! It is off unless `[web] listen` is set. Everything that it answers passes `access` first: by which name it was
//! asked, whether another site asked through somebody's browser, and whether a token is owed. It runs on a thread of its
//! own that yields to the rest of the agent, with a bound on connections, bodies and time; nothing on its pages is
//! loaded from elsewhere. What a page is about stands in a file of its own, and in one line of `router`.

mod access;
mod assets;
mod layout;
mod login;
mod problem;
mod screen;
mod serve;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use tokio::signal::unix::{SignalKind, signal};

use crate::config;
use crate::screen::Screener;
use access::Access;
use problem::Problem;

pub use access::TokenError;
pub(crate) use access::check;

/// Most bytes of a request's body: a batch of the longest queries.
const MAX_BODY: usize = 1 << 20;
/// How long a request may take, from its head to its answer.
const REQUEST: Duration = Duration::from_secs(10);
/// How much the server's threads yield to the rest of the host (`nice`).
const NICE: i32 = 5;

/// What the pages are about.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// This host's name.
    pub host: String,
    /// Looks names up; `None` when no list is configured.
    pub screener: Option<Arc<Screener>>,
}

/// A server that has its port.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
    max_connections: usize,
}

impl Server {
    /// Takes the port of the configuration; `None` where the server is off.
    ///
    /// # Errors
    /// When the token cannot be read or is owed and missing, or the port cannot be had.
    pub fn open(options: &config::Web, site: Site) -> Result<Option<Self>> {
        let Some(listen) = options.listen else { return Ok(None) };
        let access = Access::new(options)?;
        let listener = TcpListener::bind(listen).with_context(|| format!("failed to listen on {listen}"))?;
        listener.set_nonblocking(true).context("failed to prepare the web server's socket")?;
        let address = listener.local_addr().context("failed to ask for the web server's address")?;
        let app = router(Arc::new(site), Arc::new(access));
        Ok(Some(Self { listener, address, app, max_connections: options.max_connections }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is set; then it takes no more, and gives what is under way two seconds.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(self, stop: &AtomicBool) -> Result<()> {
        // A host that refuses lets the server compete with capture, which is no reason to have none.
        let _ = rustix::process::setpriority_process(None, NICE);
        serve::run(self.listener, &self.app, self.max_connections, stop)
    }
}

/// Every page, behind what every request passes.
fn router(site: Arc<Site>, access: Arc<Access>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/screen") }))
        .merge(screen::routes(site))
        .merge(login::routes(Arc::clone(&access)))
        .merge(assets::routes())
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address takes no request of this kind")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(access, access::pass))
        .layer(middleware::from_fn(access::seal))
        .layer(middleware::from_fn(problem::render))
}

/// Gives up on a request whose body does not come, or whose answer does not.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let problem =
                Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took longer than 10 seconds");
            problem.into_response()
        }
    }
}

/// Serves without capturing, until SIGTERM or SIGINT.
///
/// # Errors
/// When nothing is to be served, or something of the configuration cannot be used.
pub fn alone(config: &config::Config) -> Result<()> {
    let screener = Screener::open(config)?.map(Arc::new);
    let site = Site { host: crate::host::name(), screener };
    let server = Server::open(&config.web, site)?;
    let server = server.context("there is nothing to serve: set web.listen in the configuration")?;
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("failed to start the runtime for signals")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("failed to handle SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("failed to handle SIGINT")?;
        // Said past the log and its level: whoever starts the server waits for it.
        let _ = writeln!(std::io::stderr(), "gait-agent: ready, serving http://{}", server.address());
        let running = {
            let stop = Arc::clone(&stop);
            tokio::task::spawn_blocking(move || server.run(&stop))
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.store(true, Ordering::Relaxed);
        running.await.context("the web server panicked")?
    })
}

/// What a handler is told of the site.
type TheSite = State<Arc<Site>>;

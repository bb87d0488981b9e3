//! nginx from Debian: each kind of request has a code of its own, which stays the same, and one event.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gait_common::wire::tree::Entry;

use super::followed::{Followed, functions};
use crate::support::{
    client::{Client, get},
    nginx::Nginx,
};

/// Requests of each kind.
const REQUESTS: usize = 20_000;
/// Connections at a time.
const CLIENTS: usize = 8;
/// Functions that nginx exports, on the way of a request.
const FOLLOWED: &[&str] = &[
    "ngx_http_process_request",
    "ngx_http_core_content_phase",
    "ngx_http_core_rewrite_phase",
    "ngx_http_script_regex_start_code",
    "ngx_http_send_header",
    "ngx_http_output_filter",
    "ngx_http_special_response_handler",
    "ngx_http_upstream_init",
    "ngx_http_finalize_request",
];

/// The nginx that runs.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").context("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join("nginx")).find(|path| path.is_file());
    Ok(found.context("nginx is on PATH")?.canonicalize()?)
}

#[test]
fn each_kind_of_request_has_one_stable_code_and_one_event() -> anyhow::Result<()> {
    let backend = Nginx::start(1)?;
    let server = format!(
        "location /old {{ rewrite ^/old(.*)$ /empty last; }}
         location /proxied {{ proxy_pass http://{}/empty; }}",
        backend.address
    );
    let nginx = Nginx::start_with(1, &server)?;
    let mut followed = Followed::start(&[functions(&binary()?, FOLLOWED)?], &[nginx.address.port()])?;
    let kinds =
        [("/empty", "204"), ("/file", "200"), ("/file-not", "404"), ("/proxied", "204"), ("/old", "204")];
    let mut codes = BTreeMap::new();
    for (target, status) in kinds {
        let seen = ask(&mut followed, &nginx, target, status)?;
        // The first ones may wait for a connection to the backend, or a name.
        let mut trees: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        seen.iter()
            .skip(100)
            .for_each(|trees_of_one| *trees.entry(followed.drawn(trees_of_one)).or_default() += 1);
        assert_eq!(trees.len(), 1, "{target} has several codes: {trees:#?}\n{:?}", followed.counters()?);
        codes.extend(trees.into_keys().map(|trees| (trees, target)));
    }
    assert_eq!(codes.len(), kinds.len(), "two kinds of requests share a code: {codes:#?}");
    let (trees, records) = (followed.counters()?, followed.watch.counters()?);
    let requests = (kinds.len() * REQUESTS) as u64;
    assert_eq!((records.emitted, records.lost()), (requests, 0), "one record a request");
    assert_eq!((trees.untied, trees.released, trees.unseen, trees.ring_full), (0, 0, 0, 0), "{trees:?}");
    assert!(trees.new < 20, "no further event but {} new trees", trees.new);
    followed.check_codes();
    Ok(())
}

/// Asks so often for a target, and gives the trees of each request.
fn ask(
    followed: &mut Followed,
    nginx: &Nginx,
    target: &str,
    status: &str,
) -> anyhow::Result<Vec<Vec<Entry>>> {
    let address = nginx.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (request, status) = (get(target), format!("HTTP/1.1 {status} "));
            std::thread::spawn(move || {
                let mut client = Client::connect(address)?;
                (0..REQUESTS / CLIENTS).try_for_each(|_| client.ask(&request, &status).map(drop))
            })
        })
        .collect();
    let mut trees = Vec::new();
    let end = Instant::now() + Duration::from_secs(120);
    while trees.len() < REQUESTS && Instant::now() < end {
        followed.watch.capture.wait(Duration::from_millis(10));
        followed.drain()?;
        let line = format!("GET {target}");
        trees.extend(followed.watch.seen.drain(..).filter(|seen| seen.line == line).map(|seen| seen.trees));
    }
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    anyhow::ensure!(trees.len() == REQUESTS, "{} of {REQUESTS} requests for {target} came", trees.len());
    Ok(trees)
}

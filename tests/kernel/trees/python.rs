//! A Flask application, followed through Python's own probes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use gait_agent::{capture::TreeOptions, config::Functions};

use super::followed::Followed;
use crate::support::{
    client::{Client, get},
    process::Server,
};

/// Debian's python, which has probes.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn a_flask_application_is_followed_by_file_and_function() -> anyhow::Result<()> {
    let server = Server::script(PYTHON, "flask_app.py", &[])?;
    let binary = Path::new(PYTHON).canonicalize()?;
    let python = Functions {
        binary: binary.to_str().map(str::to_owned),
        usdt: Some("python".to_owned().try_into()?),
        ..Functions::default()
    };
    let trees = TreeOptions { max_rate: u64::MAX, ..TreeOptions::default() };
    let mut followed = Followed::start_with(&[python], &[server.port()], trees)?;
    let targets = [("/items/7", "200"), ("/cart/1", "200"), ("/cart/40", "200"), ("/forbidden", "403")];
    let mut codes = BTreeMap::new();
    for (target, status) in targets {
        // The first ones fill caches and compile expressions.
        for _ in 0..30 {
            Client::connect(server.address)?.ask(&get(target), &format!(" {status} "))?;
        }
        followed.drain_for(Duration::from_millis(300))?;
        let seen = std::mem::take(&mut followed.watch.seen);
        assert_eq!(seen.len(), 30, "one record a request");
        let trees: BTreeSet<Vec<String>> =
            seen.iter().skip(10).map(|seen| followed.drawn(&seen.trees)).collect();
        assert_eq!(trees.len(), 1, "{target} has several codes: {trees:#?}");
        codes.extend(trees.into_iter().map(|trees| (target, trees)));
    }
    assert_eq!(codes["/cart/1"], codes["/cart/40"], "a loop of any length is one tree");
    assert_ne!(codes["/cart/1"], codes["/items/7"]);
    assert_ne!(codes["/forbidden"], codes["/items/7"]);
    assert_eq!(codes["/items/7"].len(), 1, "the request is one tree: {:#?}", codes["/items/7"]);
    assert!(codes["/items/7"][0].contains("item(price jsonify("), "{:#?}", codes["/items/7"]);
    let known: BTreeSet<&str> = followed.names.values().map(String::as_str).collect();
    for name in ["flask_app.py:item", "flask_app.py:price", "flask_app.py:total", "app.py:wsgi_app"] {
        assert!(known.contains(name), "{name} is not among {known:#?}");
    }
    assert!(known.iter().all(|name| !name.contains('/')), "names have no directories: {known:#?}");
    let counters = followed.counters()?;
    assert_eq!((counters.unreadable, counters.names_lost, counters.untied, counters.released), (0, 0, 0, 0));
    Ok(())
}

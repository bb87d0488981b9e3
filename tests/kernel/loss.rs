//! What is lost is counted where it happens, and its time is known.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use gait_agent::capture::{Options, PortSet};
use gait_common::wire::exchange::LOST_BEFORE;

use crate::support::{
    PATIENCE,
    client::{Client, get},
    nginx::Nginx,
    until,
    watch::Watch,
};

#[test]
fn a_full_ring_is_counted_to_the_last_record_and_its_gap_is_dated() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let ports = PortSet::Only(vec![nginx.address.port()]);
    let mut watch = Watch::with(Options { ports, ring_bytes: 1 << 16, ..Options::default() })?;
    let before = nginx.served()?;
    let status = Command::new("wrk")
        .args(["-t1", "-c4", "-d1s", &nginx.url("/")])
        .stdout(std::process::Stdio::null())
        .status()?;
    assert!(status.success());
    until("connections to end", || Ok(watch.counters()?.in_flight() == 0))?;
    let served = nginx.served()? - before - 1;
    // The number after a gap comes with the next record of the same CPU, and nginx may stay on another for a while.
    let mut asked = 0;
    let missing = |watch: &Watch| watch.gaps.iter().map(|gap| gap.count).sum::<u64>();
    while asked < 200 || (asked < 20_000 && missing(&watch) < watch.counters()?.ring_full) {
        Client::connect(nginx.address)?.ask(&get("/after"), "hello")?;
        std::thread::sleep(Duration::from_micros(200));
        watch.drain();
        asked += 1;
    }
    watch.drain();
    let counters = watch.counters()?;
    assert!(counters.ring_full > 1000, "the ring was never full: {counters:?}");
    assert_eq!(watch.seen.len() as u64 + counters.ring_full, served + asked, "{counters:?}");
    assert_eq!(missing(&watch), counters.ring_full, "{:?}", watch.gaps);
    for gap in &watch.gaps {
        assert!(gap.from_unix_ns <= gap.to_unix_ns, "{gap:?}");
    }
    Ok(())
}

#[test]
fn the_connection_that_lost_a_record_says_so_in_its_next() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let ports = PortSet::Only(vec![nginx.address.port()]);
    let mut watch = Watch::with(Options { ports, ring_bytes: 1 << 16, ..Options::default() })?;
    let mut client = Client::connect(nginx.address)?;
    let long = format!("GET / HTTP/1.1\r\nHost: gait\r\nX: {}\r\n\r\n", "x".repeat(900));
    while watch.counters()?.ring_full == 0 {
        client.ask(long.as_bytes(), "hello")?;
    }
    watch.drain();
    client.ask(&get("/after"), "hello")?;
    client.ask(&get("/later"), "hello")?;
    watch.drain();
    let last: Vec<(&str, u16)> =
        watch.seen.iter().rev().take(2).map(|seen| (seen.line.as_str(), seen.flags)).collect();
    assert_eq!(last, [("GET /later", 0), ("GET /after", LOST_BEFORE)]);
    Ok(())
}

#[test]
fn connections_beyond_the_bound_are_counted_and_places_are_given_back() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let ports = PortSet::Only(vec![nginx.address.port()]);
    let mut watch = Watch::with(Options { ports, max_connections: 4, ..Options::default() })?;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(nginx.address)?;
        client.ask(&get("/"), "hello")?;
        clients.push(client);
    }
    watch.take(4);
    assert_eq!(watch.counters()?.table_full, 6);
    drop(clients);
    until("the four to end", || Ok(watch.counters()?.ended == 4))?;
    Client::connect(nginx.address)?.ask(&get("/"), "hello")?;
    watch.take(5);
    Ok(())
}

#[test]
fn a_ring_that_is_half_full_wakes_the_reader() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let ports = PortSet::Only(vec![nginx.address.port()]);
    let watch = Watch::with(Options { ports, ring_bytes: 1 << 16, ..Options::default() })?;
    let mut client = Client::connect(nginx.address)?;
    // The first wait may end at once; a few records are no reason to end another.
    watch.capture.wait(Duration::ZERO);
    for _ in 0..10 {
        client.ask(&get("/few"), "hello")?;
    }
    let start = Instant::now();
    watch.capture.wait(Duration::from_millis(200));
    assert!(start.elapsed() >= Duration::from_millis(199), "woken by a few records");
    let asking =
        std::thread::spawn(move || (0..1000).try_for_each(|_| client.ask(&get("/many"), "hello").map(drop)));
    let start = Instant::now();
    watch.capture.wait(PATIENCE);
    assert!(start.elapsed() < PATIENCE / 2, "not woken by a ring half full");
    asking.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
    Ok(())
}

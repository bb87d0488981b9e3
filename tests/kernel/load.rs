//! Full load: what nginx served is captured or counted as lost, to the last request.

use std::{process::Command, time::Duration};

use anyhow::Context as _;

use crate::support::{nginx::Nginx, until, watch::Watch};

/// Runs wrk for a few seconds while the watch drains every 10 ms; gives served, captured and lost.
fn wrk(workers: u32, path: &str, headers: &[&str]) -> anyhow::Result<()> {
    wrk_against(&Nginx::start(workers)?, path, headers)
}

fn wrk_against(nginx: &Nginx, path: &str, headers: &[&str]) -> anyhow::Result<()> {
    let mut watch = Watch::on(&[nginx.address.port()])?;
    let before = nginx.served()?;
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c16", "-d3s"]);
    headers.iter().for_each(|header| {
        command.args(["-H", header]);
    });
    let mut child =
        command.arg(nginx.url(path)).stdout(std::process::Stdio::null()).spawn().context("wrk")?;
    let mut captured = 0;
    let mut missing = 0;
    let mut drain = |watch: &mut Watch| {
        let mut wrong = 0;
        let drained = watch.capture.drain(usize::MAX, &mut |exchange| {
            wrong += u64::from(
                !exchange.head.starts_with(b"GET /") || exchange.status != 200 || exchange.pid == 0,
            );
        });
        assert_eq!(wrong, 0, "exchanges that were not what wrk sent");
        captured += drained.records as u64;
        missing += drained.gaps.iter().map(|gap| gap.count).sum::<u64>();
        (captured, missing)
    };
    while child.try_wait()?.is_none() {
        watch.capture.wait(Duration::from_millis(10));
        drain(&mut watch);
    }
    until("connections to end", || Ok(watch.counters()?.in_flight() == 0))?;
    let (captured, missing) = drain(&mut watch);
    let counters = watch.counters()?;
    // Each reading of nginx's count is itself a request.
    let served = nginx.served()? - before - 1;
    assert_eq!(counters.emitted, captured, "{counters:?}");
    assert_eq!(
        counters.ring_full, missing,
        "gaps in the numbers are the records a ring refused: {counters:?}"
    );
    // wrk ends in the middle of things: what it no longer waits for is counted too, and nginx may have served it.
    let sure = captured + counters.lost() + counters.unpaired;
    let cut_off = counters.unanswered + counters.early_kept - counters.early_taken;
    assert!(cut_off <= 64, "more than wrk's connections were cut off: {counters:?}");
    assert!((sure..=sure + cut_off).contains(&served), "served {served}: {counters:?}");
    assert!(captured as f64 >= served as f64 * 0.999, "captured {captured} of {served}: {counters:?}");
    Ok(())
}

#[test]
fn keep_alive_one_worker() -> anyhow::Result<()> {
    wrk(1, "/", &[])
}

#[test]
fn keep_alive_two_workers() -> anyhow::Result<()> {
    wrk(2, "/", &[])
}

#[test]
fn closing_one_worker() -> anyhow::Result<()> {
    wrk(1, "/", &["Connection: close"])
}

#[test]
fn closing_two_workers() -> anyhow::Result<()> {
    wrk(2, "/", &["Connection: close"])
}

#[test]
fn files_by_sendfile() -> anyhow::Result<()> {
    wrk(1, "/file", &[])
}

#[test]
fn large_files_by_sendfile() -> anyhow::Result<()> {
    wrk(2, "/big", &[])
}

#[test]
fn requests_that_complete_the_handshake() -> anyhow::Result<()> {
    // The kernel makes the connection's socket only when the request has come: it arrives at the listening one.
    wrk_against(&Nginx::start_listening(1, "", "deferred")?, "/", &["Connection: close"])
}

//! Starting: what the host offers, proof that every hook sees, and what is refused.

use gait_agent::capture::{Capture, CaptureError, Options, PortSet, survey};

use crate::support::{
    client::{Client, get},
    nginx::Nginx,
    watch::Watch,
};

#[test]
fn the_survey_loads_but_attaches_nothing() -> anyhow::Result<()> {
    let report = survey(&Options::default())?;
    assert!(report.cgroup2.is_dir());
    assert!(report.hooks.len() >= 2, "{report:?}");
    assert_eq!(
        report.features.missing.len(),
        4 - report.hooks.len() + usize::from(!report.features.current_thread)
    );
    Ok(())
}

#[test]
fn the_self_test_sees_itself_and_is_not_reported() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    // Its port passes a filter that knows nothing of it.
    let mut watch = Watch::on(&[nginx.address.port()])?;
    Client::connect(nginx.address)?.ask(&get("/earlier"), "hello")?;
    let proof = watch.capture.self_test()?;
    assert!(proof.latency_ns > 0 && proof.latency_ns < 3_000_000_000, "{proof:?}");
    let features = watch.capture.features();
    assert_eq!((proof.exact_thread, proof.end_seen), (features.receive, features.state));
    Client::connect(nginx.address)?.ask(&get("/later"), "hello")?;
    let lines: Vec<&str> = watch.take(2).iter().map(|seen| seen.line.as_str()).collect();
    assert_eq!(lines, ["GET /earlier", "GET /later"]);
    Ok(())
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let ring = Options { ring_bytes: 100_000, ..Options::default() };
    let Err(CaptureError::Option { name, .. }) = Capture::start(&ring) else { panic!("accepted") };
    assert_eq!(name, "ring_bytes");
}

#[test]
fn times_are_unix_times() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let ports = PortSet::Only(vec![nginx.address.port()]);
    let mut watch = Watch::with(Options { ports, ..Options::default() })?;
    let now = || {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map(|since| since.as_nanos() as u64)
    };
    let before = now()?;
    Client::connect(nginx.address)?.ask(&get("/"), "hello")?;
    let after = now()?;
    let seen = &watch.take(1)[0];
    assert!(
        before < seen.request_ns && seen.request_ns < seen.response_ns && seen.response_ns < after,
        "{seen:?}"
    );
    Ok(())
}

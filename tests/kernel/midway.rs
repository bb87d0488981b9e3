//! Connections older than the agent, and agents that come and go.

use gait_agent::capture::{Options, PortSet};
use gait_common::wire::exchange::MIDWAY;

use crate::support::{
    client::{Client, get},
    nginx::Nginx,
    process::Server,
    until,
    watch::{Watch, turn},
};

#[test]
fn a_connection_older_than_the_agent_is_seen_at_its_next_request() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let mut client = Client::connect(nginx.address)?;
    client.ask(&get("/before"), "hello")?;
    let mut watch = Watch::on(&[nginx.address.port()])?;
    client.ask(&get("/after"), "hello")?;
    client.ask(&get("/later"), "hello")?;
    let seen = watch.take(2);
    assert_eq!((seen[0].line.as_str(), seen[0].flags), ("GET /after", MIDWAY));
    assert_eq!(seen[1].line, "GET /later");
    Ok(())
}

#[test]
fn an_agent_that_starts_in_the_middle_of_a_download() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let mut client = Client::connect(nginx.address)?;
    // The socket's buffers hold less than this file, so that nginx still sends when the watch begins.
    client.ask(&get("/big"), "\r\n\r\n")?;
    let mut watch = Watch::on(&[nginx.address.port()])?;
    client.read_until("yyyyyyyy", 3_000_000 / 8 - 8192)?;
    client.ask(&get("/after"), "hello")?;
    assert_eq!(watch.take(1)[0].line, "GET /after");
    Ok(())
}

#[test]
fn a_response_whose_request_came_before_the_agent_is_unpaired() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let release = dir.path().join("release");
    let server = Server::script("python3", "peculiar.py", &[&release.display().to_string()])?;
    let mut client = Client::connect(server.address)?;
    let turn = turn();
    client.send(&get("/held"))?;
    let ports = PortSet::Only(vec![server.port()]);
    let mut watch = Watch::in_turn(turn, Options { ports, ..Options::default() })?;
    std::fs::write(&release, "")?;
    client.read_until("hello", 1)?;
    until("the response to be seen", || Ok(watch.counters()?.unpaired == 1))?;
    client.ask(&get("/after"), "hello")?;
    assert_eq!(watch.take(1)[0].line, "GET /after");
    Ok(())
}

#[test]
fn one_agent_after_the_other() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let mut client = Client::connect(nginx.address)?;
    for round in 0..3 {
        let watch = Watch::on(&[nginx.address.port()])?;
        client.ask(&get(&format!("/{round}")), "hello")?;
        let mut lines = Vec::new();
        let (drained, counters) = watch
            .capture
            .stop(&mut |exchange| lines.push(String::from_utf8_lossy(exchange.head).into_owned()))?;
        assert_eq!((drained.records, counters.emitted), (1, 1));
        assert!(lines[0].starts_with(&format!("GET /{round} ")), "{lines:?}");
    }
    Ok(())
}

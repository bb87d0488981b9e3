//! Servers of every kind: each exchange is seen once, with the process and thread that worked on it.

use std::process::Command;

use gait_agent::capture::ProcessSource;

use crate::support::{
    client::{Client, get},
    process::Server,
    watch::{Seen, Watch},
};

/// Asks `connections` times `requests` times; the answers say `pid tid`. Checks that the exchanges say so too.
fn agree(server: &Server, connections: usize, requests: usize) -> anyhow::Result<Vec<Seen>> {
    let mut watch = Watch::on(&[server.port()])?;
    let mut said = Vec::new();
    for _ in 0..connections {
        let mut client = Client::connect(server.address)?;
        for _ in 0..requests {
            let text = client.ask(&get("/who"), "\r\n\r\n")?;
            let body = match text.split_once("\r\n\r\n") {
                Some((_, body)) if !body.is_empty() => body.to_owned(),
                _ => client.read_until(" ", 1)?,
            };
            said.push(body);
        }
    }
    let seen = watch.take(connections * requests);
    let exact: Vec<String> = seen.iter().map(|seen| format!("{} {}", seen.pid, seen.tid)).collect();
    assert_eq!(exact, said);
    assert!(seen.iter().all(|seen| seen.source == ProcessSource::Receiver));
    Ok(seen.to_vec())
}

#[test]
fn python_http_server() -> anyhow::Result<()> {
    let server = Server::script("python3", "python.py", &["single"])?;
    let seen = agree(&server, 20, 1)?;
    assert!(
        seen.iter().all(|seen| seen.comm.starts_with("python") && seen.exe.contains("python")),
        "{seen:?}"
    );
    Ok(())
}

#[test]
fn python_threading_server() -> anyhow::Result<()> {
    let server = Server::script("python3", "python.py", &["threads"])?;
    let seen = agree(&server, 20, 5)?;
    assert!(seen.iter().all(|seen| seen.pid == server.process.id()));
    assert!(seen.iter().any(|seen| seen.tid != seen.pid), "no thread but the first worked");
    Ok(())
}

#[test]
fn a_server_that_forks_per_connection() -> anyhow::Result<()> {
    let server = Server::script("python3", "python.py", &["forks"])?;
    let seen = agree(&server, 10, 3)?;
    assert!(seen.iter().all(|seen| seen.pid != server.process.id()));
    Ok(())
}

#[test]
fn node() -> anyhow::Result<()> {
    let server = Server::script("node", "node.js", &[])?;
    let mut watch = Watch::on(&[server.port()])?;
    for _ in 0..10 {
        let mut client = Client::connect(server.address)?;
        for _ in 0..10 {
            client.ask(&get("/node"), "0\r\n\r\n")?;
        }
    }
    let post = b"POST /node HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
    Client::connect(server.address)?.ask(post, "0\r\n\r\n")?;
    let seen = watch.take(101);
    assert!(seen.iter().all(|seen| seen.pid == server.process.id() && seen.comm.contains("ode")), "{seen:?}");
    assert_eq!(seen[100].line, "POST /node");
    Ok(())
}

#[test]
fn io_uring() -> anyhow::Result<()> {
    let server = Server::start(Command::new(env!("CARGO_BIN_EXE_io-uring-server")), &[])?;
    let mut watch = Watch::on(&[server.port()])?;
    for _ in 0..10 {
        let mut client = Client::connect(server.address)?;
        for _ in 0..10 {
            client.ask(&get("/ring"), "hello")?;
        }
    }
    let seen = watch.take(100);
    assert!(seen.iter().all(|seen| seen.line == "GET /ring" && seen.pid == server.process.id()), "{seen:?}");
    Ok(())
}

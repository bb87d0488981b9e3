//! Real networks: lost, repeated and reordered segments, IPv6, mapped addresses.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, ensure};
use gait_common::wire::exchange::{HEAD_BYTES, MIDWAY, TRUNCATED};

use crate::support::{
    client::{Client, get},
    listening,
    nginx::Nginx,
    port,
    process::{Process, Server, scripts},
    watch::Watch,
};

/// Runs a command of several words.
pub(crate) fn run(command: &str) -> anyhow::Result<()> {
    let mut words = command.split(' ');
    let program = words.next().context("no command")?;
    let output = Command::new(program).args(words).output().with_context(|| command.to_owned())?;
    ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A network namespace of our own, removed when dropped with all that is in it.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn make(name: &str) -> anyhow::Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        run(&format!("ip netns add {name}"))?;
        let namespace = Self(name);
        run(&format!("ip -n {} link set lo up", namespace.0))?;
        Ok(namespace)
    }

    fn inside(&self, command: &str) -> anyhow::Result<()> {
        run(&format!("ip netns exec {} {command}", self.0))
    }

    /// The client of `servers/client.py`, from inside.
    fn ask(&self, host: &str, port: u16, requests: usize, piece: usize) -> anyhow::Result<()> {
        let script = scripts().join("client.py");
        self.inside(&format!("python3 {} {host} {port} {requests} {piece}", script.display()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = run(&format!("ip netns del {}", self.0)) {
            assert!(std::thread::panicking(), "{error}");
        }
    }
}

/// What `servers/client.py` sends as its request with this number.
fn head(number: usize) -> Vec<u8> {
    let mut head = format!("GET /{number} HTTP/1.1\r\nHost: gait\r\n");
    for field in 0..32 {
        head.push_str(&format!("X-{field}: {number:06}{}\r\n", "abcdefgh".repeat(4)));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Checks that every head is what the client sent, to the byte.
fn heads_are_whole(watch: &mut Watch, requests: usize) {
    for (number, seen) in watch.take(requests).iter().enumerate() {
        let sent = head(number);
        let shown = String::from_utf8_lossy(&seen.head);
        assert_eq!(seen.head, &sent[..HEAD_BYTES], "request {number}: {shown}");
        assert_eq!(
            (seen.head_total as usize, seen.flags & !MIDWAY),
            (sent.len(), TRUNCATED),
            "request {number}"
        );
    }
}

#[test]
fn lost_and_repeated_segments() -> anyhow::Result<()> {
    let namespace = Namespace::make("gait-loss")?;
    let name = &namespace.0;
    run(&format!("ip link add gaitV type veth peer name gaitW netns {name}"))?;
    run("ip addr add 10.251.0.1/24 dev gaitV")?;
    run("ip link set gaitV up")?;
    run(&format!("ip -n {name} addr add 10.251.0.2/24 dev gaitW"))?;
    run(&format!("ip -n {name} link set gaitW up"))?;
    let port = port();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name, "python3"]).arg(scripts().join("peculiar.py")).arg(port.to_string());
    let _server = Process::start(&mut command)?;
    listening(SocketAddr::from(([10, 251, 0, 2], port)))?;
    // Of what comes to the server some is lost, and some of its acknowledgements: so the client sends again.
    for chain in ["INPUT", "OUTPUT"] {
        namespace.inside(&format!(
            "iptables -A {chain} -p tcp -m statistic --mode random --probability 0.1 -j DROP"
        ))?;
    }
    let mut watch = Watch::on(&[port])?;
    let mut counters = watch.counters()?;
    // What is lost is drawn by chance, and a segment comes twice only when its acknowledgement is lost.
    for _ in 0..10 {
        run(&format!("python3 {} 10.251.0.2 {port} 40 100", scripts().join("client.py").display()))?;
        heads_are_whole(&mut watch, 40);
        counters = watch.counters()?;
        if counters.reordered > 10 && counters.duplicates > 0 {
            break;
        }
    }
    assert!(counters.reordered > 10 && counters.duplicates > 0, "nothing was lost on the way: {counters:?}");
    assert_eq!(counters.desyncs, 0, "{counters:?}");
    Ok(())
}

/// `servers/shuffle.py`, killed with the value.
struct Shuffle(Child);

impl Shuffle {
    fn start(namespace: &Namespace) -> anyhow::Result<Self> {
        let mut command = Command::new("python3");
        command.arg(scripts().join("shuffle.py")).arg(&namespace.0).stdout(Stdio::piped());
        let mut shuffle = Self(command.spawn()?);
        let mut line = String::new();
        BufReader::new(shuffle.0.stdout.take().context("no stdout")?).read_line(&mut line)?;
        ensure!(line == "up\n", "shuffle.py could not make its devices");
        Ok(shuffle)
    }
}

impl Drop for Shuffle {
    fn drop(&mut self) {
        // Ended by itself, it has nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn reordered_segments() -> anyhow::Result<()> {
    let namespace = Namespace::make("gait-order")?;
    let _shuffle = Shuffle::start(&namespace)?;
    let server = Server::script("python3", "peculiar.py", &[])?;
    let mut watch = Watch::on(&[server.port()])?;
    namespace.ask("10.252.1.1", server.port(), 100, 120)?;
    heads_are_whole(&mut watch, 100);
    let counters = watch.counters()?;
    assert!(counters.reordered > 100, "nothing was out of order: {counters:?}");
    assert_eq!(counters.desyncs, 0, "{counters:?}");
    Ok(())
}

#[test]
fn ipv6() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let address = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, nginx.address.port()));
    let mut watch = Watch::on(&[address.port()])?;
    let mut client = Client::connect(address)?;
    for _ in 0..3 {
        client.ask(&get("/six"), "hello")?;
    }
    let here = client.0.local_addr()?;
    for seen in watch.take(3) {
        assert_eq!((seen.local, seen.peer, seen.line.as_str()), (address, here, "GET /six"));
    }
    Ok(())
}

#[test]
fn ipv4_on_an_ipv6_socket() -> anyhow::Result<()> {
    let server = Server::script("python3", "peculiar.py", &[])?;
    let mut watch = Watch::on(&[server.port()])?;
    let mut client = Client::connect(server.address)?;
    client.ask(&get("/mapped"), "hello")?;
    let seen = &watch.take(1)[0];
    assert_eq!((seen.local, seen.peer), (server.address, client.0.local_addr()?));
    Ok(())
}

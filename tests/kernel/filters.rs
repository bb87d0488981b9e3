//! What is captured and what is not: ports, roles, processes, cgroups, other protocols, the agent itself.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    process::Command,
};

use gait_agent::capture::{Options, PortSet, Role, Roles};

use crate::support::{
    client::{Client, get},
    nginx::Nginx,
    process::Server,
    watch::Watch,
};

/// Sends `GET path` from a process other than this one.
fn curl(server: SocketAddr, path: &str) -> anyhow::Result<()> {
    let code = format!(
        "import http.client; c = http.client.HTTPConnection('{}', {}); c.request('GET', '{path}'); c.getresponse().read()",
        server.ip(),
        server.port(),
    );
    anyhow::ensure!(Command::new("python3").args(["-c", &code]).status()?.success(), "the client failed");
    Ok(())
}

fn only(port: u16) -> Options {
    Options { ports: PortSet::Only(vec![port]), ..Options::default() }
}

#[test]
fn excluded_ports_are_left_out() -> anyhow::Result<()> {
    let (kept, left_out) = (Nginx::start(1)?, Nginx::start(1)?);
    let ports = PortSet::Only(vec![kept.address.port(), left_out.address.port()]);
    let exclude_ports = vec![left_out.address.port()];
    let mut watch = Watch::with(Options { ports, exclude_ports, ..Options::default() })?;
    Client::connect(left_out.address)?.ask(&get("/left-out"), "hello")?;
    Client::connect(kept.address)?.ask(&get("/kept"), "hello")?;
    assert_eq!(watch.take(1)[0].line, "GET /kept");
    Ok(())
}

#[test]
fn the_client_role_sees_what_this_host_sends() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let roles = Roles { server: false, client: true };
    let mut watch = Watch::with(Options { roles, ..only(nginx.address.port()) })?;
    curl(nginx.address, "/sent")?;
    let seen = watch.take(1);
    assert_eq!((seen[0].line.as_str(), seen[0].role, seen[0].status), ("GET /sent", Role::Client, 200));
    assert!(seen[0].comm.starts_with("python"), "{seen:?}");
    assert_eq!(seen[0].peer, nginx.address);
    Ok(())
}

#[test]
fn with_both_ends_on_the_host_an_exchange_counts_once_as_the_servers() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let roles = Roles { server: true, client: true };
    let mut watch = Watch::with(Options { roles, ..only(nginx.address.port()) })?;
    for _ in 0..5 {
        curl(nginx.address, "/once")?;
    }
    for seen in watch.take(5) {
        assert_eq!((seen.role, seen.local), (Role::Server, nginx.address));
    }
    Ok(())
}

#[test]
fn the_agent_itself_is_never_captured() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::support::port()))?;
    let address = listener.local_addr()?;
    let mut watch = Watch::on(&[address.port()])?;
    let mut client = TcpStream::connect(address)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(&get("/own"))?;
    server.read_exact(&mut vec![0; get("/own").len()])?;
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    watch.take(0);
    assert_eq!(watch.counters()?.emitted, 1);
    Ok(())
}

#[test]
fn processes_can_be_chosen_by_pid_and_by_executable() -> anyhow::Result<()> {
    let (nginx, python) = (Nginx::start(1)?, Server::script("python3", "python.py", &["single"])?);
    let ports = || PortSet::Only(vec![nginx.address.port(), python.port()]);
    let ask_both = || -> anyhow::Result<()> {
        Client::connect(nginx.address)?.ask(&get("/nginx"), "hello")?;
        Client::connect(python.address)?.ask(&get("/python"), "\r\n\r\n")?;
        Ok(())
    };
    {
        let pids = vec![python.process.id()];
        let mut watch = Watch::with(Options { ports: ports(), pids, ..Options::default() })?;
        ask_both()?;
        assert_eq!(watch.take(1)[0].line, "GET /python");
    }
    let executables = vec![fs::canonicalize("/usr/sbin/nginx")?];
    let mut watch = Watch::with(Options { ports: ports(), executables, ..Options::default() })?;
    ask_both()?;
    assert_eq!(watch.take(1)[0].line, "GET /nginx");
    Ok(())
}

/// A cgroup, removed when dropped.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn make(name: &str) -> anyhow::Result<Self> {
        let root = gait_agent::capture::survey(&Options::default())?.cgroup2;
        let path = root.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Left behind, an empty cgroup does no harm.
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn cgroups_can_be_chosen() -> anyhow::Result<()> {
    let cgroup = Cgroup::make("gait-test")?;
    let inside = {
        // The server enters the cgroup before it makes its socket.
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", cgroup.0.display());
        let mut command = Command::new("sh");
        command
            .args(["-c", &enter, "sh", "python3"])
            .arg(crate::support::process::scripts().join("python.py"));
        Server::start(command, &["single"])?
    };
    let outside = Server::script("python3", "python.py", &["single"])?;
    let id = fs::metadata(&cgroup.0)?.ino();
    {
        let ports = PortSet::Only(vec![inside.port(), outside.port()]);
        let mut watch = Watch::with(Options { ports, cgroups: vec![id], ..Options::default() })?;
        Client::connect(outside.address)?.ask(&get("/outside"), "\r\n\r\n")?;
        Client::connect(inside.address)?.ask(&get("/inside"), "\r\n\r\n")?;
        let seen = watch.take(1);
        assert_eq!(seen[0].line, "GET /inside");
        assert!(watch.capture.counters()?.filtered >= 1);
    }
    drop(inside);
    Ok(())
}

#[test]
fn other_protocols_are_muted() -> anyhow::Result<()> {
    let server = Server::script("python3", "echo.py", &[])?;
    let mut watch = Watch::on(&[server.port()])?;
    let mut client = Client::connect(server.address)?;
    for i in 0..20 {
        client.ask(format!("EHLO {i:>20}\n").as_bytes(), "\n")?;
    }
    let mut binary = Client::connect(server.address)?;
    for _ in 0..20 {
        binary.ask(b"\x00\x01\x02 something binary \n", "\n")?;
    }
    // The first words of this one might be those of a request.
    let mut short = Client::connect(server.address)?;
    for _ in 0..20 {
        short.ask(b"NOOP\n", "\n")?;
    }
    let mut tls = Client::connect(server.address)?;
    tls.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client hello \n", "\n")?;
    watch.take(0);
    let counters = watch.counters()?;
    // Both ends of each connection are sockets of this host.
    assert_eq!((counters.tls, counters.requests), (2, 0), "{counters:?}");
    assert!(counters.muted >= 5 && counters.connections == counters.ended, "{counters:?}");
    Ok(())
}

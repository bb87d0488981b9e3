//! Kernels that offer less: what remains is right, and says where it comes from.

use gait_agent::capture::{Options, PortSet, ProcessSource, Without};

use crate::support::{
    client::{Client, get},
    nginx::Nginx,
    process::Server,
    until,
    watch::Watch,
};

fn without(port: u16, without: Without) -> anyhow::Result<Watch> {
    Watch::with(Options { ports: PortSet::Only(vec![port]), without, ..Options::default() })
}

#[test]
fn without_the_receiving_thread_the_sending_one_is_named() -> anyhow::Result<()> {
    let server = Server::script("python3", "python.py", &["single"])?;
    let mut watch = without(server.port(), Without { receive: true, ..Without::default() })?;
    assert!(!watch.capture.features().receive);
    for _ in 0..5 {
        Client::connect(server.address)?.ask(&get("/"), "\r\n\r\n")?;
    }
    let pid = server.process.id();
    for seen in watch.take(5) {
        assert_eq!((seen.pid, seen.source), (pid, ProcessSource::Sender));
        assert!(seen.comm.starts_with("python"), "{seen:?}");
    }
    Ok(())
}

#[test]
fn without_any_thread_sock_diag_names_the_process() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let none = Without { receive: true, current_thread: true, ..Without::default() };
    let mut watch = without(nginx.address.port(), none)?;
    let mut client = Client::connect(nginx.address)?;
    for _ in 0..5 {
        client.ask(&get("/"), "hello")?;
    }
    for seen in watch.take(5) {
        assert_eq!((seen.source, seen.tid), (ProcessSource::SockDiag, 0));
        assert!(seen.exe.ends_with("nginx") && seen.pid != nginx.pid(), "not nginx's worker: {seen:?}");
    }
    Ok(())
}

#[test]
fn without_the_state_hook_a_connection_ends_when_both_ends_have_closed_it() -> anyhow::Result<()> {
    let nginx = Nginx::start(1)?;
    let mut watch = without(nginx.address.port(), Without { state: true, ..Without::default() })?;
    for _ in 0..3 {
        Client::connect(nginx.address)?.ask(&get("/"), "hello")?;
    }
    watch.take(3);
    until("the connections to end", || Ok(watch.counters()?.ended == 3))?;
    assert_eq!(watch.counters()?.connections, 3);
    Ok(())
}

#[test]
fn without_the_state_hook_the_self_test_still_passes() -> anyhow::Result<()> {
    let mut watch = without(1, Without { state: true, receive: true, current_thread: true })?;
    let proof = watch.capture.self_test()?;
    assert!(!proof.exact_thread && !proof.end_seen, "{proof:?}");
    assert_eq!(watch.capture.features().missing.len(), 3);
    watch.take(0);
    Ok(())
}

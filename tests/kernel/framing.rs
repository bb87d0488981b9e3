//! Where messages begin and end: pairing is right whatever HTTP/1 allows.

use std::{io::Read as _, time::Duration};

use gait_common::wire::exchange::{EARLY, HEAD_BYTES, PIPELINED, RESYNCED, TRUNCATED, UPGRADED};

use crate::support::{
    client::{Client, get},
    nginx::Nginx,
    process::Server,
    until,
    watch::Watch,
};

fn peculiar() -> anyhow::Result<(Server, Watch)> {
    let server = Server::script("python3", "peculiar.py", &[])?;
    let watch = Watch::on(&[server.port()])?;
    Ok((server, watch))
}

fn nginx(server: &str) -> anyhow::Result<(Nginx, Watch)> {
    let nginx = Nginx::start_with(1, server)?;
    let watch = Watch::on(&[nginx.address.port()])?;
    Ok((nginx, watch))
}

#[test]
fn pipelined_requests_in_one_segment() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("")?;
    let mut client = Client::connect(nginx.address)?;
    client.send(&[get("/a"), get("/empty"), get("/c")].concat())?;
    client.read_until("hello", 2)?;
    let seen = watch.take(3);
    let lines: Vec<(&str, u16, u32)> =
        seen.iter().map(|seen| (seen.line.as_str(), seen.status, seen.ordinal)).collect();
    assert_eq!(lines, [("GET /a", 200, 0), ("GET /empty", 204, 1), ("GET /c", 200, 2)]);
    assert_eq!(seen[0].head, get("/a"));
    assert_eq!(seen.iter().map(|seen| seen.flags).collect::<Vec<_>>(), [0, PIPELINED, PIPELINED]);
    Ok(())
}

#[test]
fn a_pipeline_deeper_than_is_kept_is_counted() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("")?;
    let mut client = Client::connect(nginx.address)?;
    let all: Vec<u8> = (0..100).flat_map(|i| get(&format!("/{i}"))).collect();
    client.send(&all)?;
    client.read_until("hello", 100)?;
    until("all to be answered", || Ok(watch.counters()?.in_flight() == 0))?;
    watch.drain();
    let counters = watch.counters()?;
    assert_eq!(counters.requests, 100, "{counters:?}");
    assert_eq!(counters.emitted + counters.too_deep, 100, "{counters:?}");
    assert!(counters.emitted >= 60, "{counters:?}");
    for seen in &watch.seen {
        assert_eq!(seen.line, format!("GET /{}", seen.ordinal));
    }
    // And the connection goes on as if nothing had been.
    let before = watch.seen.len();
    client.ask(&get("/last"), "hello")?;
    assert_eq!(watch.take(before + 1)[before].line, "GET /last");
    Ok(())
}

#[test]
fn heads_split_anywhere() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("")?;
    let mut client = Client::connect(nginx.address)?;
    let head = b"GET /split HTTP/1.1\r\nHost: gait\r\nContent-Type: a\r\nTE: b\r\n\r\n";
    for at in 1..head.len() {
        client.send_parts(&[&head[..at], &head[at..]])?;
        client.read_until("hello", 1)?;
    }
    client.send_parts(&head.chunks(1).collect::<Vec<_>>())?;
    client.read_until("hello", 1)?;
    for seen in watch.take(head.len()) {
        assert_eq!(String::from_utf8_lossy(&seen.head), String::from_utf8_lossy(head));
        assert_eq!((seen.head_total as usize, seen.flags), (head.len(), 0));
    }
    Ok(())
}

#[test]
fn a_first_segment_too_short_to_judge() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("")?;
    for at in [1, 3, 8, 15, 16, 17] {
        let mut client = Client::connect(nginx.address)?;
        let head = get("/short");
        client.send_parts(&[&head[..at], &head[at..]])?;
        client.read_until("hello", 1)?;
    }
    for seen in watch.take(6) {
        assert_eq!(seen.head, get("/short"));
    }
    Ok(())
}

#[test]
fn a_head_longer_than_is_carried() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("")?;
    let mut client = Client::connect(nginx.address)?;
    let head = format!("GET /long HTTP/1.1\r\nHost: gait\r\nX: {}\r\n\r\n", "x".repeat(3000));
    client.send_parts(&[&head.as_bytes()[..700], &head.as_bytes()[700..]])?;
    client.read_until("hello", 1)?;
    client.ask(&get("/next"), "hello")?;
    let seen = watch.take(2);
    assert_eq!(seen[0].head, &head.as_bytes()[..HEAD_BYTES]);
    assert_eq!((seen[0].head_total as usize, seen[0].flags), (head.len(), TRUNCATED));
    assert_eq!((seen[1].line.as_str(), seen[1].flags), ("GET /next", 0));
    Ok(())
}

#[test]
fn head_requests_and_their_bodiless_answers() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("")?;
    let mut client = Client::connect(nginx.address)?;
    client.send(b"HEAD /file HTTP/1.1\r\nHost: gait\r\n\r\nGET /a HTTP/1.1\r\nHost: gait\r\n\r\n")?;
    client.read_until("hello", 1)?;
    client.ask(b"HEAD /file HTTP/1.1\r\nHost: gait\r\n\r\n", "\r\n\r\n")?;
    client.ask(&get("/b"), "hello")?;
    let lines: Vec<String> =
        watch.take(4).iter().map(|seen| format!("{} {}", seen.line, seen.flags & RESYNCED)).collect();
    assert_eq!(lines, ["HEAD /file 0", "GET /a 0", "HEAD /file 0", "GET /b 0"]);
    Ok(())
}

#[test]
fn hundred_continue_is_no_answer() -> anyhow::Result<()> {
    let server = Server::script("python3", "python.py", &["threads"])?;
    let mut watch = Watch::on(&[server.port()])?;
    let mut client = Client::connect(server.address)?;
    let head = b"POST /upload HTTP/1.1\r\nHost: gait\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    client.ask(head, "100 Continue\r\n\r\n")?;
    client.ask(b"some body", "\r\n\r\n")?;
    client.ask(&get("/next"), "\r\n\r\n")?;
    let lines: Vec<String> =
        watch.take(2).iter().map(|seen| format!("{} {}", seen.line, seen.status)).collect();
    assert_eq!(lines, ["POST /upload 200", "GET /next 200"]);
    assert_eq!(watch.counters()?.interim, 1);
    Ok(())
}

#[test]
fn chunked_answers_and_uploads() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("location /chunks { ssi on; ssi_types *; alias www/file; }")?;
    let mut client = Client::connect(nginx.address)?;
    client.send(&[get("/chunks"), get("/chunks"), get("/a")].concat())?;
    let text = client.read_until("hello", 1)?;
    assert_eq!(text.matches("Transfer-Encoding: chunked").count(), 2, "nginx did not answer in chunks");
    let upload = b"POST /up HTTP/1.1\r\nHost: gait\r\nTransfer-Encoding: chunked\r\n\r\n\
        1f\r\nGET /not-a-request HTTP/1.1\r\n\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /behind HTTP/1.1\r\nHost: gait\r\n\r\n";
    client.send(upload)?;
    client.read_until("hello", 2)?;
    let lines: Vec<String> =
        watch.take(5).iter().map(|seen| format!("{} {}", seen.line, seen.status)).collect();
    assert_eq!(
        lines,
        ["GET /chunks 200", "GET /chunks 200", "GET /a 200", "POST /up 200", "GET /behind 200"]
    );
    assert_eq!(watch.counters()?.desyncs, 0);
    Ok(())
}

#[test]
fn an_answer_that_comes_byte_by_byte() -> anyhow::Result<()> {
    let (server, mut watch) = peculiar()?;
    let mut client = Client::connect(server.address)?;
    for _ in 0..3 {
        client.ask(&get("/pieces"), "X: y\r\n\r\n")?;
    }
    client.ask(&get("/next"), "hello")?;
    for seen in watch.take(4) {
        assert_eq!((seen.status, seen.flags), (200, 0), "{}", seen.line);
    }
    Ok(())
}

#[test]
fn large_uploads_full_of_what_looks_like_requests() -> anyhow::Result<()> {
    let (nginx, mut watch) = nginx("")?;
    let mut client = Client::connect(nginx.address)?;
    let body = "GET /inside HTTP/1.1\r\nHost: gait\r\n\r\n".repeat(600_000);
    client.send(
        format!("POST /up HTTP/1.1\r\nHost: gait\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
    )?;
    client.send(body.as_bytes())?;
    client.read_until("hello", 1)?;
    client.ask(&get("/next"), "hello")?;
    let lines: Vec<String> =
        watch.take(2).iter().map(|seen| format!("{} {}", seen.line, seen.status)).collect();
    assert_eq!(lines, ["POST /up 200", "GET /next 200"]);
    Ok(())
}

#[test]
fn an_answer_before_the_request_is_complete() -> anyhow::Result<()> {
    let (server, mut watch) = peculiar()?;
    let mut client = Client::connect(server.address)?;
    let (first, rest) = ("GET / HTT", "P/1.1 is only the rest of a body");
    let head = format!("POST /early HTTP/1.1\r\nContent-Length: {}\r\n\r\n{first}", first.len() + rest.len());
    client.ask(head.as_bytes(), "hello")?;
    client.send(rest.as_bytes())?;
    std::thread::sleep(Duration::from_millis(20));
    client.send(b"GET /next HTTP/1.1\r\n\r\n")?;
    client.read_until("hello", 1)?;
    let seen = watch.take(2);
    assert_eq!((seen[0].line.as_str(), seen[0].flags), ("POST /early", EARLY));
    assert_eq!((seen[1].line.as_str(), seen[1].flags), ("GET /next", 0));
    Ok(())
}

#[test]
fn an_upgrade_ends_http() -> anyhow::Result<()> {
    let (server, mut watch) = peculiar()?;
    let mut client = Client::connect(server.address)?;
    client.ask(b"GET /upgrade HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "upgrade\r\n\r\n")?;
    for _ in 0..3 {
        client.ask(b"GET /frame HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "200 OK\r\n\r\n")?;
    }
    let seen = watch.take(1);
    assert_eq!((seen[0].status, seen[0].flags), (101, UPGRADED));
    assert_eq!(watch.counters()?.upgraded, 1);
    Ok(())
}

#[test]
fn an_accepted_connect_ends_http() -> anyhow::Result<()> {
    let (server, mut watch) = peculiar()?;
    let mut client = Client::connect(server.address)?;
    client.ask(b"CONNECT gait:443 HTTP/1.1\r\nHost: gait\r\n\r\n", "Connected\r\n\r\n")?;
    client.ask(b"GET /tunnelled HTTP/1.1\r\n\r\n", "\r\n\r\n")?;
    let seen = watch.take(1);
    assert_eq!((seen[0].line.as_str(), seen[0].flags), ("CONNECT gait:443", UPGRADED));
    Ok(())
}

#[test]
fn a_body_that_ends_with_the_connection() -> anyhow::Result<()> {
    let (server, mut watch) = peculiar()?;
    let mut client = Client::connect(server.address)?;
    client.send(b"GET /until-close HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    client.0.read_to_string(&mut text)?;
    assert_eq!(watch.take(1)[0].status, 200);
    Ok(())
}

#[test]
fn a_request_that_is_never_answered_is_counted() -> anyhow::Result<()> {
    let (server, mut watch) = peculiar()?;
    let mut client = Client::connect(server.address)?;
    client.send(&get("/never"))?;
    until("the request to be seen", || Ok(watch.counters()?.in_flight() == 1))?;
    until("its end to be seen", || Ok(watch.counters()?.unanswered == 1))?;
    assert_eq!(watch.counters()?.in_flight(), 0);
    watch.take(0);
    Ok(())
}

#[test]
fn a_request_whose_first_part_completes_the_handshake() -> anyhow::Result<()> {
    let nginx = Nginx::start_listening(1, "", "deferred")?;
    let mut watch = Watch::on(&[nginx.address.port()])?;
    let head = get("/deferred");
    for at in [1, 7, 20, head.len() - 1] {
        let mut client = Client::connect(nginx.address)?;
        client.send_parts(&[&head[..at], &head[at..]])?;
        client.read_until("hello", 1)?;
    }
    for seen in watch.take(4) {
        assert_eq!((String::from_utf8_lossy(&seen.head), seen.flags), (String::from_utf8_lossy(&head), 0));
    }
    Ok(())
}

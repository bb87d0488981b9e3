//! The web server as programs meet it, those that mean no good among them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::made::{self, EXACT, Served};
use super::screening;

const TOKEN: &str = "0123456789abcdef-secret";

struct Desk {
    dir: TempDir,
    served: Served,
}

fn desk(token: bool, web: &str) -> Desk {
    let dir = tempfile::tempdir().expect("a directory");
    made::list(&dir.path().join("list"));
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    let web = if token { format!("token_file = {file:?}\n{web}") } else { web.to_owned() };
    let program = env!("CARGO_BIN_EXE_agent-under-test");
    let served = Served::start(program, dir.path(), &screening(dir.path()), &web);
    Desk { dir, served }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends bytes as they are, and reads until the server closes.
fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    // A server that refuses early does not read it all.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

impl Desk {
    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            request += &format!("host: {}\r\n", self.served.address);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        send(self.served.address, &[request.as_bytes(), b"\r\n", body].concat())
    }

    fn ask(&self, query: &Value) -> Answer {
        self.request("POST", "/screen", &[("content-type", "application/json")], query.to_string().as_bytes())
    }
}

#[test]
fn programs_ask_one_name_or_many() {
    let desk = desk(false, "");
    let answer = desk.ask(&json!({"name": EXACT, "birth_date": "1961", "countries": ["RU"]}));
    let body = answer.json();
    assert_eq!((answer.status, &body["decision"]), (200, &json!("block")));
    assert_eq!((&body["hits"][0]["id"], &body["lists"][0]["date"]), (&json!("100"), &json!("2026-02-27")));
    let weights = body["hits"][0]["fields"].as_array().expect("fields").iter();
    let weights: f64 = weights.filter_map(|field| field["weight"].as_f64()).sum();
    assert!((weights - 1.0).abs() < 1e-6, "{weights}");
    let queries = json!({"queries": [{"name": "Nobody Whatsoever"}, {"name": ""}, 7, {"name": EXACT}]});
    let answers = desk.ask(&queries).json();
    let kinds: Vec<_> = answers["answers"]
        .as_array()
        .expect("answers")
        .iter()
        .map(|answer| {
            answer["decision"].as_str().or(answer["error"]["detail"].as_str()).unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(
        kinds,
        ["pass", "the name is empty: it needs a letter or a digit", "the query is no object", "block"]
    );
    let log = std::fs::read_to_string(desk.dir.path().join("audit.jsonl")).expect("a log");
    assert_eq!(log.lines().count(), 3, "every answer is on record");
    assert!(ends_in_order(desk.served), "SIGTERM ends it in order");
}

#[test]
fn a_list_that_is_replaced_is_used_at_once_and_a_broken_one_never() {
    let desk = desk(false, "");
    let list = desk.dir.path().join("list");
    let decision = |name: &str| desk.ask(&json!({"name": name})).json()["decision"].clone();
    assert_eq!(decision(EXACT), "block");
    std::fs::write(&list, "no list").expect("a file");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(decision(EXACT), "block", "the list that was read before stays in use");
    let mut entities = made::entities();
    entities.remove(0);
    made::write(&list, entities);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(decision(EXACT), "pass");
}

#[test]
fn mistakes_are_problems_with_a_reason() {
    let desk = desk(false, "");
    let json = [("content-type", "application/json")];
    for (body, status, detail) in [
        (&b"{"[..], 400, "the body is no JSON"),
        (b"[]", 400, "the body is no object"),
        (b"{\"nam\": \"x\"}", 422, "the query has no `name`"),
        (b"{\"name\": \"x\", \"dob\": 1}", 422, "unknown field `dob`"),
        (b"{\"name\": \"x\", \"birth_date\": \"soon\"}", 422, "is no date of birth"),
        (b"{\"name\": \"\xff\"}", 400, "the body is no JSON"),
        (b"{\"queries\": [], \"name\": \"x\"}", 400, "unknown field `name` beside `queries`"),
    ] {
        let answer = desk.request("POST", "/screen", &json, body);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        assert!(
            answer.json()["detail"].as_str().is_some_and(|said| said.contains(detail)),
            "{}",
            answer.body
        );
    }
    let nested = "[".repeat(100_000);
    assert_eq!(desk.request("POST", "/screen", &json, nested.as_bytes()).status, 400);
    let long = json!({"name": "x".repeat(1 << 19)});
    assert!(desk.ask(&long).body.contains("the name is longer than 1024 bytes"));
    let many = json!({"queries": vec![json!({"name": "x"}); 101]});
    assert_eq!(desk.ask(&many).status, 413);
    assert_eq!(desk.ask(&json!({"name": "x".repeat(2 << 20)})).status, 413, "1 MiB is the bound");
    assert_eq!(
        desk.request("POST", "/screen", &[("content-type", "text/plain")], b"{\"name\":\"x\"}").status,
        415
    );
    assert_eq!(desk.request("DELETE", "/screen", &[], b"").status, 405);
    assert_eq!(desk.request("GET", "/../etc/passwd", &[], b"").status, 404);
    let page = desk.request("GET", "/nowhere", &[("accept", "text/html")], b"");
    assert!(page.status == 404 && page.body.contains("<!DOCTYPE html>"), "{}", page.body);
}

#[test]
fn without_the_token_there_is_no_answer() {
    let desk = desk(true, "");
    let body = json!({"name": EXACT}).to_string();
    let ask = |headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        desk.request("POST", "/screen", &headers, body.as_bytes())
    };
    assert_eq!(ask(&[]).status, 401);
    assert_eq!(ask(&[("authorization", "Bearer wrong-wrong-wrong-wrong")]).status, 401);
    assert_eq!(ask(&[("authorization", &format!("Bearer {TOKEN}"))]).status, 200);
    assert_eq!(ask(&[("cookie", "gait_session=9999999999.00")]).status, 401, "a made-up session");
    let page = desk.request("GET", "/screen", &[("accept", "text/html")], b"");
    assert!(page.status == 303 && page.head.contains("location: /login"), "{}", page.head);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let login = desk.request("POST", "/login", &form, format!("token={TOKEN}").as_bytes());
    let cookie =
        login.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie").to_owned();
    for part in ["httponly", "samesite=strict", "max-age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap_or_default();
    assert_eq!(ask(&[("cookie", cookie)]).status, 403, "a browser says where a request comes from");
    assert_eq!(ask(&[("cookie", cookie), ("sec-fetch-site", "same-origin")]).status, 200);
    for _ in 0..30 {
        assert_eq!(desk.request("POST", "/login", &form, b"token=wrong-wrong-wrong").status, 403);
    }
    assert_eq!(desk.request("POST", "/login", &form, b"token=wrong-wrong-wrong").status, 429);
}

#[test]
fn other_sites_and_other_names_are_refused() {
    let desk = desk(false, "hosts = [\"gait.example\"]");
    let get = |headers: &[(&str, &str)]| desk.request("GET", "/screen", headers, b"").status;
    assert_eq!(get(&[]), 200);
    for (host, status) in [
        ("localhost", 200),
        ("localhost:1", 200),
        ("[::1]:80", 200),
        ("gait.example", 200),
        ("GAIT.example:8080", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ] {
        assert_eq!(get(&[("host", host)]), status, "{host}");
    }
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        assert_eq!(get(&[(header, value)]), 403, "{header}: {value}");
    }
    assert_eq!(get(&[("host", "localhost:7"), ("origin", "http://localhost:7")]), 200);
    assert_eq!(get(&[("host", "localhost:7"), ("origin", "http://localhost:8")]), 403);
    let page = desk.request("GET", "/screen", &[], b"");
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
}

#[test]
fn slow_and_oversized_requests_do_not_keep_others_waiting_for_long() {
    let desk = desk(false, "max_connections = 4");
    let address = desk.served.address;
    let begin = Instant::now();
    // As many as there may be, each of which sends a head that never ends.
    let mut slow: Vec<TcpStream> =
        (0..4).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"GET /screen HTTP/1.1\r\nx: ").expect("sent"));
    let answer = desk.ask(&json!({"name": EXACT}));
    assert_eq!(answer.status, 200);
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    let large = format!("GET / HTTP/1.1\r\nhost: {address}\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    assert!([431, 0].contains(&send(address, large.as_bytes()).status));
    let many = format!("GET / HTTP/1.1\r\nhost: {address}\r\n{}\r\n", "x: y\r\n".repeat(1000));
    assert_eq!(send(address, many.as_bytes()).status, 431);
    assert_eq!(send(address, b"\x16\x03\x01\x00\xff\xff nonsense\r\n\r\n").status, 400);
    // A body that does not come is not waited for beyond ten seconds.
    let begin = Instant::now();
    let head = format!(
        "POST /screen HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 408");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(desk.ask(&json!({"name": EXACT})).status, 200);
}

#[test]
fn an_address_that_others_reach_needs_a_token_that_others_cannot_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = crate::support::path(dir.path(), "gait.toml");
    let token = dir.path().join("token");
    let start = |web: &str| {
        std::fs::write(&config, format!("[web]\n{web}\n")).expect("a file");
        crate::support::agent(&["web", "--config", &config])
    };
    let owed = start("listen = \"0.0.0.0:0\"");
    assert_eq!(owed.code, Some(2));
    assert!(owed.stderr.contains("name a file with a token in web.token_file"), "{}", owed.stderr);
    let listen = format!("listen = \"0.0.0.0:0\"\ntoken_file = {token:?}");
    std::fs::write(&token, TOKEN).expect("a file");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).expect("permissions");
    assert!(start(&listen).stderr.contains("can be read by others (mode 644)"));
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    std::fs::write(&token, "short").expect("a file");
    assert!(start(&listen).stderr.contains("must hold one line of 16 to 4096 visible ASCII characters"));
    assert!(start("").stderr.contains("there is nothing to serve: set web.listen"));
}

/// Asks the agent to end, and says whether it did so in order.
fn ends_in_order(mut served: Served) -> bool {
    let pid = rustix::process::Pid::from_child(&served.process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    served.process.wait().expect("it ends").success()
}

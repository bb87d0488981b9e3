//! From a header in an exchange to a finding, with every name accounted for.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;

use gait_common::caller::CallerNamer;
use gait_common::identity::file::{self, ListFile, Origin};
use gait_common::identity::{Entity, ListData, Name, Source};
use gait_common::sequence::Limits;

use super::*;
use crate::capture::{Exchange, ProcessSource, Role};
use crate::engine::{Engine, Outputs};
use crate::screen::{Act, Whose};

fn write(path: &Path, names: &[&str]) {
    let entities = (0..).zip(names).map(|(at, name): (u32, _)| Entity {
        id: at.to_string(),
        names: vec![Name::primary(*name)],
        ..Entity::default()
    });
    let source = Source { name: "ours".to_owned(), date: "2026-02-27".to_owned(), ..Source::default() };
    let data = ListData { sources: vec![source], entities: entities.collect(), ..ListData::default() };
    let list = ListFile { data, origins: vec![Origin::default()], links: Vec::new() };
    std::fs::write(path, file::write(&list).expect("a list")).expect("a file");
}

fn config(dir: &Path, more: &str) -> Config {
    let (list, audit) = (dir.join("list"), dir.join("audit.jsonl"));
    let text = format!(
        "state_dir = {dir:?}\n[screening]\nlist = {list:?}\naudit = {audit:?}\n\
         identity = [\"header:x-user-name\", \"basic\"]\n{more}"
    );
    Config::parse(&text, Path::new("gait.toml")).expect("a configuration")
}

struct Bench {
    engine: Engine,
    live: Live,
    listed: Arc<Listed>,
    screener: Arc<Screener>,
}

fn bench(config: &Config) -> Bench {
    let screener = Arc::new(Screener::open(config).expect("a list").expect("it is configured"));
    let (tap, live, listed) = Live::new(config, &screener).expect("identities are configured");
    let namer =
        CallerNamer { identities: Vec::new(), trusted_proxies: Vec::new(), keep_names: false, key: [0; 32] };
    // Findings about behaviour go elsewhere: there is no model.
    let outputs = Outputs { rows: None, findings: mpsc::sync_channel(1).0, stop: Arc::default() };
    let mut engine = Engine::new(namer, None, Limits::default(), outputs);
    engine.screen_callers(tap);
    Bench { engine, live, listed, screener }
}

fn call(engine: &mut Engine, peer: &str, name: &str) {
    let head = format!("GET /a HTTP/1.1\r\nX-User-Name: {name}\r\n\r\n");
    let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
    engine.take(&Exchange {
        request_ns: 1_795_332_600_000_000_000,
        response_ns: 1_795_332_600_001_000_000,
        pid: 42,
        tid: 42,
        process_source: ProcessSource::Receiver,
        comm: "nginx",
        exe: "",
        cgroup: 3,
        local: address("192.0.2.1:80"),
        peer: address(&format!("{peer}:50123")),
        role: Role::Server,
        status: 200,
        head: head.as_bytes(),
        head_total: head.len() as u32,
        trees: &[],
        flags: 0,
        cookie: 1,
        ordinal: 1,
    });
}

fn finish(live: Live) -> (Vec<ListedFinding>, Counts) {
    let (out, findings) = mpsc::sync_channel(100);
    let counts = live.run(&out, &AtomicBool::new(false)).expect("findings are taken");
    let found = findings.try_iter().filter_map(|anomaly| match anomaly {
        Anomaly::Listed(finding) => Some(*finding),
        _ => None,
    });
    (found.collect(), counts)
}

#[test]
fn each_new_name_is_looked_up_once_and_a_hit_is_reported() {
    let dir = tempfile::tempdir().expect("a directory");
    write(&dir.path().join("list"), &["Ivan Petrovich Testov"]);
    let Bench { mut engine, live, listed, .. } = bench(&config(dir.path(), ""));
    for _ in 0..3 {
        call(&mut engine, "198.51.100.7", "Ivan Petrovich Testov");
        call(&mut engine, "198.51.100.8", "Nobody Whatsoever");
        call(&mut engine, "198.51.100.9", "--");
        call(&mut engine, "198.51.100.9", "");
    }
    drop(engine);
    let (found, counts) = finish(live);
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*finding.caller, &*finding.identity), ("198.51.100.7", "header:x-user-name"));
    assert_eq!((finding.decision, &*finding.hits[0].id), (Decision::Block, "0"));
    assert_eq!(finding.lists[0].date, "2026-02-27");
    assert_eq!(finding.name, "I*** P*** T***");
    let json = serde_json::to_string(&finding).expect("JSON");
    assert!(
        json.contains("\"query\":\"I*** P*** T***\""),
        "the caller's side is hidden field by field: {json}"
    );
    let want =
        Counts { sighted: 3, unfit: 1, screened: 2, passed: 1, block: 1, findings: 1, ..Counts::default() };
    assert_eq!(counts, want);
    assert_eq!(listed.standing("198.51.100.7").map(|standing| standing.id).as_deref(), Some("0"));
    assert_eq!(listed.standing("198.51.100.8"), None);
    let audit = std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("a log");
    assert_eq!(audit.lines().count(), 2);
}

#[test]
fn a_caller_cannot_shake_off_a_hit_by_giving_another_name() {
    let dir = tempfile::tempdir().expect("a directory");
    write(&dir.path().join("list"), &["Ivan Petrovich Testov"]);
    let Bench { mut engine, live, listed, .. } = bench(&config(dir.path(), ""));
    for name in ["Ivan Petrovich Testov", "Nobody Whatsoever"] {
        call(&mut engine, "198.51.100.7", name);
    }
    drop(engine);
    finish(live);
    assert!(listed.standing("198.51.100.7").is_some());
}

#[test]
fn of_many_names_those_that_weigh_most_are_remembered() {
    let listed = Listed(Mutex::new(Recent::new(10)));
    let standing = |decision, score| Standing {
        decision,
        source: "ours".to_owned(),
        id: "0".to_owned(),
        name: "Ivan Petrovich Testov".to_owned(),
        score,
    };
    listed.set("a", "first", Some(standing(Decision::Block, 1.0)));
    for name in 0..20 {
        listed.set("a", &name.to_string(), Some(standing(Decision::Review, 0.9 - f64::from(name) / 100.0)));
    }
    assert_eq!(listed.standing("a").map(|standing| standing.decision), Some(Decision::Block));
    let mut table = listed.0.lock().expect("no panic");
    assert_eq!(table.get(&"a".to_owned()).map(|names| names.len()), Some(NAMES));
}

#[test]
fn a_clearance_and_its_revocation_reach_callers_that_were_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    write(&dir.path().join("list"), &["Ivan Petrovich Testov"]);
    let cleared = dir.path().join("cleared.jsonl");
    let Bench { mut engine, live, listed, screener } =
        bench(&config(dir.path(), &format!("cleared = {cleared:?}\n")));
    let (out, findings) = mpsc::sync_channel(100);
    let worker = std::thread::spawn(move || live.run(&out, &AtomicBool::new(false)));
    let act = Act { source: "ours", id: "0", by: "ann", note: "another one", revoke: false };
    let caller = "198.51.100.7";
    call(&mut engine, caller, "Ivan Petrovich Testov");
    assert!(findings.recv().is_ok());
    screener.clear(Whose::Caller(caller), &act).expect("cleared");
    call(&mut engine, caller, "Ivan Petrovich Testov");
    let since = Instant::now();
    while listed.standing(caller).is_some() {
        assert!(since.elapsed() < Duration::from_secs(60), "the clearance did not arrive");
        std::thread::sleep(Duration::from_millis(1));
    }
    screener.clear(Whose::Caller(caller), &Act { revoke: true, ..act }).expect("revoked");
    call(&mut engine, caller, "Ivan Petrovich Testov");
    drop(engine);
    assert_eq!(findings.iter().count(), 1);
    let counts = worker.join().expect("no panic").expect("findings are taken");
    assert_eq!((counts.screened, counts.cleared, counts.findings), (3, 1, 2), "{counts:?}");
    assert!(listed.standing(caller).is_some());
}

#[test]
fn a_full_queue_is_counted_and_the_name_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    write(&dir.path().join("list"), &["Ivan Petrovich Testov"]);
    let Bench { mut engine, live, .. } = bench(&config(dir.path(), "max_waiting = 2\n"));
    for name in ["Ann", "Bob", "Ivan Petrovich Testov"] {
        call(&mut engine, "198.51.100.7", name);
    }
    let worker = std::thread::spawn(move || finish(live));
    // Once there is room the next sight of the name is enough.
    for _ in 0..1000 {
        call(&mut engine, "198.51.100.7", "Ivan Petrovich Testov");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(engine);
    let (found, counts) = worker.join().expect("no panic");
    assert_eq!((found.len(), counts.screened, counts.sighted), (1, 3, 3), "{counts:?}");
    assert!(counts.dropped >= 1, "{counts:?}");
}

#[test]
fn a_new_list_is_asked_about_everybody_and_only_news_is_reported() {
    let dir = tempfile::tempdir().expect("a directory");
    let list = dir.path().join("list");
    write(&list, &["Ivan Petrovich Testov", "Gone Tomorrow Person"]);
    let Bench { mut engine, live, listed, screener } = bench(&config(dir.path(), ""));
    let names = [
        ("198.51.100.1", "Ivan Petrovich Testov"),
        ("198.51.100.2", "Gone Tomorrow Person"),
        ("198.51.100.3", "New Today Person"),
    ];
    let (out, findings) = mpsc::sync_channel(100);
    let worker = std::thread::spawn(move || live.run(&out, &AtomicBool::new(false)));
    names.iter().for_each(|(peer, name)| call(&mut engine, peer, name));
    let two: Vec<_> = findings.iter().take(2).collect();
    assert_eq!(two.len(), 2);
    write(&list, &["Ivan Petrovich Testov", "New Today Person"]);
    screener.look_now();
    assert!(screener.refresh(), "the list is another one");
    names.iter().for_each(|(peer, name)| call(&mut engine, peer, name));
    drop(engine);
    let news: Vec<_> = findings.iter().collect();
    assert!(matches!(&news[..], [Anomaly::Listed(finding)] if finding.caller == "198.51.100.3"), "{news:?}");
    let counts = worker.join().expect("no panic").expect("findings are taken");
    assert_eq!((counts.screened, counts.findings), (6, 3), "{counts:?}");
    let standing = |caller: &str| listed.standing(caller).is_some();
    assert_eq!(names.map(|(peer, _)| standing(peer)), [true, false, true]);
}

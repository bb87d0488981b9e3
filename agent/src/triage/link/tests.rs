//! Alerts and exchanges find each other in any order, and never somebody else's.

use super::*;

const SECOND: Nanos = 1_000_000_000;
const START: Nanos = 1_795_332_600 * SECOND;
const CLIENT: &str = "198.51.100.7:50123";
const SERVER: &str = "192.0.2.1:80";

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("a socket")
}

fn request(target: &str) -> Request {
    Request::of_call(&Call { method: "GET", target, ..Call::default() })
}

/// An exchange of 100 ms, seconds after the start.
fn seen(at: u64, target: &str, caller: &str, ordinal: u32) -> Seen {
    let call = Call {
        start: START + at * SECOND,
        duration: SECOND / 10,
        method: "GET",
        target,
        caller,
        ..Call::default()
    };
    let mut sightings = Sightings::default();
    sightings.add(&call, socket(SERVER), socket(CLIENT), ordinal);
    sightings.seen.remove(0)
}

fn exchange(links: &mut Links, at: u64, target: &str, caller: &str, ordinal: u32) {
    links.exchange(seen(at, target, caller, ordinal));
}

fn sought(at: u64, target: &str, tx: u64) -> Sought {
    let key = Key {
        time: START + at * SECOND + SECOND / 20,
        source: socket(CLIENT),
        destination: socket(SERVER),
        protocol: gait_common::alert::Protocol(6),
        transaction: Some(tx),
        signature: 7,
    };
    Sought { key, verdict: Verdict::Real, request: request(target), signature: "SQL".to_owned() }
}

fn find(links: &mut Links, sought: &Sought) -> Option<String> {
    links.seek();
    links.find(sought).map(|link| link.caller.to_string())
}

fn finding(caller: &str, at: u64, ended: bool) -> Finding {
    serde_json::from_value(serde_json::json!({
        "id": format!("f-{at}"), "time": START + at * SECOND, "session_start": START, "caller": caller, "pid": 0,
        "comm": "", "score": 9.0, "threshold": 1.0, "reasons": [], "steps": [], "earlier_steps": 0, "nearest": null,
        "expected": [], "ended": ended, "gap": false,
    }))
    .expect("a finding")
}

#[test]
fn an_alert_finds_its_exchange_among_others_of_the_connection() {
    let mut links = Links::new(60 * SECOND);
    exchange(&mut links, 1, "/a", "ann", 0);
    exchange(&mut links, 1, "/b", "bob", 1);
    exchange(&mut links, 1, "/b", "cid", 2);
    exchange(&mut links, 9, "/b", "dan", 3);
    assert_eq!(find(&mut links, &sought(1, "/b", 2)).as_deref(), Some("cid"));
    assert_eq!(find(&mut links, &sought(1, "/b", 1)).as_deref(), Some("bob"));
    // Suricata counts from another start: the nearest in time.
    assert_eq!(find(&mut links, &sought(9, "/b", 70)).as_deref(), Some("dan"));
    assert_eq!(find(&mut links, &sought(1, "/c", 0)), None, "another request");
    assert_eq!(find(&mut links, &sought(5, "/b", 1)), None, "another time");
    let mut back = sought(1, "/a", 0);
    std::mem::swap(&mut back.key.source, &mut back.key.destination);
    assert_eq!(find(&mut links, &back).as_deref(), Some("ann"), "raised by the response");
    let mut other = sought(1, "/a", 0);
    other.key.source = socket("198.51.100.8:50123");
    assert_eq!(find(&mut links, &other), None, "another client");
}

#[test]
fn an_alert_names_the_open_finding_and_a_later_finding_names_its_alerts() {
    let mut links = Links::new(60 * SECOND);
    exchange(&mut links, 1, "/a", "ann", 0);
    links.seek();
    assert_eq!(links.find(&sought(1, "/a", 0)).expect("found").finding, None);
    let mut first = finding("ann", 2, false);
    links.finding(&mut first);
    assert_eq!(first.alerts.len(), 1);
    assert_eq!((first.alerts[0].sid, first.alerts[0].signature.as_str()), (7, "SQL"));
    exchange(&mut links, 30, "/a", "ann", 1);
    links.seek();
    let link = links.find(&sought(30, "/a", 1)).expect("found");
    assert_eq!(link.finding.as_deref(), Some("f-2"));
    // The session is over: what comes later is not about it.
    exchange(&mut links, 100, "/a", "ann", 2);
    links.seek();
    assert_eq!(links.find(&sought(100, "/a", 2)).expect("found").finding, None);
    let mut later = finding("ann", 101, true);
    later.session_start = START + 100 * SECOND;
    links.finding(&mut later);
    assert_eq!(later.alerts.len(), 1, "only those of its session");
    let mut other = finding("bob", 102, false);
    links.finding(&mut other);
    assert!(other.alerts.is_empty());
    let counts = links.counts();
    assert_eq!((counts.matched, counts.findings_with_alerts, counts.alerts_with_finding), (3, 2, 1));
}

#[test]
fn an_alert_that_was_written_out_waits_for_the_findings() {
    let mut links = Links::new(60 * SECOND);
    for tx in 0..3 {
        assert_eq!(find(&mut links, &sought(1, "/slow", tx)), None);
        links.wait(sought(1, "/slow", tx));
    }
    assert_eq!(links.counts().waiting, 3);
    exchange(&mut links, 1, "/slow", "ann", 0);
    let mut found = finding("ann", 3, false);
    links.finding(&mut found);
    assert_eq!(found.alerts.len(), 3);
    links.seek();
    links.wait(sought(1, "/never", 0));
    exchange(&mut links, 500, "/a", "ann", 1);
    let counts = links.counts();
    assert_eq!((counts.alerts, counts.matched_late, counts.unmatched, counts.waiting), (4, 3, 1, 0));
}

#[test]
fn one_connection_takes_no_more_than_its_latest_exchanges() {
    let mut links = Links::new(60 * SECOND);
    exchange(&mut links, 1, "/first", "ann", 0);
    for ordinal in 1..MAX_NEAR as u32 {
        exchange(&mut links, 1, "/a", "ann", ordinal);
    }
    assert_eq!(find(&mut links, &sought(1, "/first", 0)).as_deref(), Some("ann"));
    exchange(&mut links, 1, "/last", "bob", MAX_NEAR as u32);
    assert_eq!(find(&mut links, &sought(1, "/first", 0)), None, "too many came behind it");
    assert_eq!(find(&mut links, &sought(1, "/last", MAX_NEAR as u64)).as_deref(), Some("bob"));
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_counted() {
    let mut links = Links::new(SECOND);
    for turn in 0..(MAX_EXCHANGES + 1000) as u32 {
        let mut one = seen(1, "/a", &format!("caller {turn}"), turn);
        one.ends = Ends::new(socket(SERVER), SocketAddr::new(std::net::Ipv4Addr::from(turn).into(), 1));
        links.exchange(one);
    }
    assert_eq!((links.order.len(), links.exchanges.len()), (MAX_EXCHANGES, MAX_EXCHANGES));
    assert_eq!(links.counts().exchanges_forgotten, 1000);
    for turn in 0..(MAX_WAITING + 10) as u64 {
        links.seek();
        links.wait(sought(1, "/b", turn));
    }
    let counts = links.counts();
    assert_eq!((counts.waiting_forgotten, counts.unmatched, counts.waiting), (10, 10, MAX_WAITING as u64));
    for turn in 0..MAX_CALLERS + 10 {
        links.finding(&mut finding(&format!("caller {turn}"), 1, false));
    }
    assert!(links.callers.len() <= MAX_CALLERS && links.counts().callers_forgotten > 0);
    for turn in 0..100 {
        exchange(&mut links, 2, "/c", "ann", turn);
        find(&mut links, &sought(2, "/c", turn.into())).expect("found");
    }
    assert_eq!(links.callers["ann"].alerts.len(), MAX_ALERTS);
    exchange(&mut links, 100, "/d", "ann", 100);
    assert_eq!((links.order.len(), links.exchanges.len()), (1, 1), "what is old is gone");
}

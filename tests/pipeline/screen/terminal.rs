//! `gait-agent screen` for one name: the answer, the exit code, clearances and the audit log.

use serde_json::Value;

use super::Place;
use super::made::{self, EXACT};
use crate::support::agent;

#[test]
fn people_and_scripts_get_the_same_answer() {
    let place = Place::new();
    let text = place.screen(&[EXACT]);
    assert_eq!(text.code, Some(11), "{}", text.stderr);
    for part in ["BLOCK", EXACT, "made-up 100", "2026-02-27, version 7"] {
        assert!(text.stdout.contains(part), "{part} is missing: {}", text.stdout);
    }
    let json = place.screen(&[EXACT, "--json"]);
    let answer: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((json.code, answer["decision"].as_str()), (Some(11), Some("block")));
    assert_eq!(answer["lists"][0]["date"], "2026-02-27");
    assert_eq!(place.screen(&["Nobody Whatsoever"]).code, Some(0));
}

#[test]
fn check_shows_what_names_would_be_looked_up_in() {
    let place = Place::new();
    let config = format!("{}\n[web]\nlisten = \"127.0.0.1:7878\"\n", place.read("gait.toml"));
    std::fs::write(&place.config, config).expect("a file");
    let text = agent(&["check", "--config", &place.config]).stdout;
    for part in [
        "3 identities, 6 names; review from 0.8, block from 0.97",
        "source         made-up 2026-02-27, version 7",
        "callers        not screened",
        "web            http://127.0.0.1:7878, open to every user of this host",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    std::fs::write(place.file("list"), "no list").expect("a file");
    let broken = agent(&["check", "--config", &place.config]).stdout;
    assert!(broken.contains("screening      WRONG: the list") && broken.contains("is refused"), "{broken}");
}

#[test]
fn mistakes_are_named_and_cost_their_own_code() {
    let place = Place::new();
    for (args, code, message) in [
        (&["--birth-date", "yesterday", EXACT][..], 2, "`yesterday` is no date of birth"),
        (&["--", "--"], 2, "the name is empty: it needs a letter or a digit"),
        (&["\u{1b}[2J\u{7}"], 11, ""),
        (&["--list", "/nowhere", EXACT], 3, "failed to read the list /nowhere"),
        (&["--list", &place.config, EXACT], 3, "is refused: this is not a gait watchlist"),
        (&["--batch", "x.csv"], 2, "--out"),
    ] {
        let ended = place.screen(args);
        if message.is_empty() {
            assert!(!ended.stdout.contains('\u{1b}'), "what steers a terminal is not printed: {ended:?}");
            continue;
        }
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    let long = "x".repeat(100_000);
    let ended = place.screen(&[&long]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("the name is longer than 1024 bytes"), "{}", ended.stderr);
    let none = agent(&["screen", EXACT]);
    assert!(none.stderr.contains("there is no list: name one by --list"), "{}", none.stderr);
}

#[test]
fn a_clearance_holds_for_one_caller_until_the_list_changes() {
    let place = Place::new();
    let ask = |caller: &str| place.screen(&[EXACT, "--caller", caller]).code;
    let clear =
        ["--clear", "made-up:100", "--caller", "ann", "--by", "bob", "--note", "born in another century"];
    assert_eq!(ask("ann"), Some(11));
    let ended = place.screen(&clear).good();
    assert!(ended.stdout.contains("is cleared for caller#"), "{}", ended.stdout);
    assert!(!place.read("cleared.jsonl").contains("ann"), "the caller stands there as a hash");
    assert_eq!((ask("ann"), ask("zoe")), (Some(0), Some(11)));
    // A line that is none clears nothing, and spoils no other.
    let spoilt = format!("{{\"subject\": \n{}{{\"half", place.read("cleared.jsonl"));
    std::fs::write(place.file("cleared.jsonl"), spoilt).expect("a file");
    assert_eq!(ask("ann"), Some(0));
    place.screen(&[&clear[..], &["--revoke"]].concat()).good();
    assert_eq!(ask("ann"), Some(11));
    place.screen(&clear).good();
    assert_eq!(ask("ann"), Some(0));
    let mut entities = made::entities();
    entities[0].notes.push_str(" Or is there?");
    made::write(&place.dir.path().join("list"), entities);
    assert_eq!(ask("ann"), Some(11), "what the list says now nobody has looked at");
    let unknown = place.screen(&["--clear", "made-up:7", "--caller", "ann", "--by", "bob", "--note", "x"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("the list has no identity 7 of the source made-up"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn every_answer_is_on_record_and_a_gap_in_the_record_shows() {
    let place = Place::new();
    for name in [EXACT, "Nobody Whatsoever", EXACT] {
        place.screen(&[name]);
    }
    let log = place.read("audit.jsonl");
    assert!(!log.contains("Nobody") && !log.contains("Ivan"), "names are hashed unless audit_names is set");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["decision"], &lines[0]["hits"][0]["id"]), (&"block".into(), &"100".into()));
    assert_eq!((&lines[0]["query"], lines[1]["query"] == lines[0]["query"]), (&lines[2]["query"], false));
    let file = place.file("audit.jsonl");
    let verified = agent(&["screen", "--verify-audit", &file]).good();
    let tip = verified.stdout.lines().find_map(|line| line.strip_prefix("tip ")).expect("a tip").to_owned();
    let kept: Vec<&str> = log.lines().collect();
    std::fs::write(&file, [kept[0], kept[2], ""].join("\n")).expect("a file");
    let broken = agent(&["screen", "--verify-audit", &file]);
    assert_eq!(broken.code, Some(1));
    assert!(broken.stderr.contains("audit.jsonl:2: the chain is broken"), "{}", broken.stderr);
    std::fs::write(&file, [kept[0], kept[1], ""].join("\n")).expect("a file");
    agent(&["screen", "--verify-audit", &file]).good();
    let cut = agent(&["screen", "--verify-audit", &file, "--tip", &tip]);
    assert!(cut.stderr.contains("the log was cut after it"), "{}", cut.stderr);
}

//! `gait-agent triage FILE`.

use std::fs;
use std::io::Write as _;

use serde_json::Value;

use crate::eve::{self, FALSE, REAL, UNKNOWN, alert, flow};
use crate::{agent, path, piped};

/// Everything that may stand in a log.
fn log() -> String {
    let mut log = String::new();
    for number in 0..400 {
        log += &alert([REAL, FALSE, UNKNOWN][number as usize % 3], number);
        log += &flow(number);
    }
    log += "\n{\"event_type\":\"alert\",\"timestamp\":\"2024-\n\u{0} not json \u{7f}\n[1,2]\n{}\n";
    log += &alert(REAL, 401).replace("\"http\"", "\"dns\"");
    log += &alert(REAL, 402)
        .replace("{\"timestamp\"", "  {\"a\" : [1.0e5, \"\\u00e9\\/\"], \"timestamp\"")
        .replace("}\n", "} \t\r\n");
    log += &"[".repeat(100_000);
    log += "\n";
    log += &format!("{{\"pad\":\"{}\"}}\n", "y".repeat(2 << 20));
    log += alert(FALSE, 403).trim_end();
    log
}

#[test]
fn every_alert_has_its_verdict_and_every_other_byte_is_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let model = eve::model(&dir.path().join("m.gait"), REAL, FALSE);
    let log = log();
    let eve = path(dir.path(), "eve.json");
    fs::write(&eve, &log).expect("a file");
    let ended = agent(&["triage", "--model", &model, "--json", &eve]).good();
    assert!(eve::without(&ended.stdout) == log, "the order is kept and nothing else is touched");
    let verdicts = eve::verdicts(&ended.stdout);
    let of = |number: usize| verdicts[2 * number].as_str();
    assert_eq!([of(0), of(1), of(2), verdicts[1].as_str()], ["real", "false_alarm", "abstain", ""]);
    let first = eve::member(ended.stdout.lines().next().expect("a line"));
    assert_eq!(first["key"], "2024-05-17T10:00:00.000000Z/203.0.113.7:0/192.0.2.1:80/TCP/0/7100001");
    assert!(first["probability"].as_f64() > Some(0.8) && first["reasons"][0].is_string(), "{first}");
    assert_eq!(first["rules"], "12ab".repeat(16));
    let check: Value =
        serde_json::from_str(&agent(&["check", "--json", "--model", &model]).stdout).expect("JSON");
    assert_eq!(first["model"], check["model"]["fingerprint"]);
    let counts: Value = serde_json::from_str(ended.stderr.lines().last().expect("counts")).expect("JSON");
    let named =
        ["lines", "alerts", "real", "false_alarm", "abstain", "not_http", "other", "malformed", "too_long"];
    let numbers = named.map(|name| counts[name].as_u64().expect(name));
    assert_eq!(numbers, [810, 403, 135, 134, 134, 1, 401, 5, 1], "{counts}");
    assert_eq!(counts["malformed_because"]["the line is cut off"], 1, "{counts}");
}

#[test]
fn packed_piped_on_one_core_or_many_the_outcome_is_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let model = eve::model(&dir.path().join("m.gait"), REAL, FALSE);
    let log = log().repeat(3);
    let [plain, gz, zst] = ["eve.json", "eve.json.1.gz", "eve.json.2.zst"].map(|name| path(dir.path(), name));
    fs::write(&plain, &log).expect("a file");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(log.as_bytes()).expect("packed");
    fs::write(&gz, packed.finish().expect("packed")).expect("a file");
    fs::write(&zst, zstd::encode_all(log.as_bytes(), 1).expect("packed")).expect("a file");
    let want = agent(&["triage", "--model", &model, "--threads", "1", &plain]).good().stdout;
    for input in [&plain, &gz, &zst] {
        let got = agent(&["triage", "--model", &model, "--threads", "3", input]).good().stdout;
        assert!(got == want, "{input}");
    }
    let piped = piped(&["triage", "--model", &model, "-"], &log).good();
    assert!(piped.stdout == want);
    // Into the very file that is read.
    agent(&["triage", "--model", &model, "--out", &plain, &plain]).good();
    assert!(fs::read_to_string(&plain).expect("a file") == want);
}

#[test]
fn another_model_replaces_the_verdicts_and_none_passes_them_with_a_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let [one, two] = [(REAL, FALSE), (FALSE, REAL)]
        .map(|(real, harmless)| eve::model(&dir.path().join(format!("{real}.gait")), real, harmless));
    let text = alert(REAL, 1) + &alert(FALSE, 2);
    let [eve, judged] = ["eve.json", "judged.json"].map(|name| path(dir.path(), name));
    fs::write(&eve, &text).expect("a file");
    agent(&["triage", "--model", &one, "--out", &judged, &eve]).good();
    let again = agent(&["triage", "--model", &two, &judged]).good().stdout;
    assert_eq!(eve::verdicts(&again), ["false_alarm", "real"]);
    assert_eq!(again, agent(&["triage", "--model", &two, &eve]).good().stdout, "one member, not two");
    let ended = agent(&["triage", &eve]).good();
    assert!(ended.stderr.contains("there is no model: every alert passes"), "{}", ended.stderr);
    let member = eve::member(ended.stdout.lines().next().expect("a line"));
    assert_eq!((&member["verdict"], &member["model"]), (&"abstain".into(), &Value::Null));
    assert_eq!(member["reasons"][0], "there is no model");
    assert_eq!(eve::without(&ended.stdout), text);
}

#[test]
fn rules_that_differ_from_what_was_learned_from_are_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let model = eve::model(&dir.path().join("m.gait"), REAL, FALSE);
    let [eve, rules, config] = ["eve.json", "web.rules", "gait.toml"].map(|name| path(dir.path(), name));
    fs::write(&eve, alert(REAL, 1)).expect("a file");
    fs::write(&rules, "alert http any any -> any any (msg:\"x\"; sid:1;)\n").expect("a file");
    fs::write(&config, format!("[triage]\nrules = [{rules:?}]\n")).expect("a file");
    let ended = agent(&["triage", "--config", &config, "--model", &model, &eve]).good();
    assert!(
        ended.stderr.contains("the rules are not those that the model was learned from"),
        "{}",
        ended.stderr
    );
    let member = eve::member(&ended.stdout);
    let now = gait_common::alert::rules::hash([fs::read(&rules).expect("a file")]);
    assert_eq!((&member["rules_now"], &member["rules"]), (&now.into(), &"12ab".repeat(16).into()));
    fs::remove_file(&rules).expect("removed");
    let ended = agent(&["triage", "--config", &config, "--model", &model, &eve]);
    assert!(ended.code == Some(1) && ended.stderr.contains("failed to read the rules"), "{ended:?}");
}

#[test]
fn what_is_no_log_is_said_to_be_none_and_nothing_half_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let [noise, cut, out] = ["noise", "cut.gz", "out.json"].map(|name| path(dir.path(), name));
    fs::write(&noise, "one\ntwo\n").expect("a file");
    let ended = agent(&["triage", &noise]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "one\ntwo\n"));
    assert!(ended.stderr.contains("none of the 2 lines"), "{}", ended.stderr);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(flow(1).repeat(10_000).as_bytes()).expect("packed");
    let packed = packed.finish().expect("packed");
    fs::write(&cut, &packed[..packed.len() / 2]).expect("a file");
    let ended = agent(&["triage", "--out", &out, &cut]);
    assert!(ended.code == Some(1) && ended.stderr.contains("cut.gz"), "{ended:?}");
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 2, "no output, and no part of one");
    let ended = agent(&["triage", "--model", &noise, &noise]);
    assert_eq!(ended.code, Some(3));
    assert_eq!(agent(&["triage", "/nowhere/eve.json"]).code, Some(1));
    fs::write(&noise, "").expect("a file");
    assert_eq!(agent(&["triage", &noise]).good().stdout, "");
}

#[test]
fn check_shows_what_would_be_followed_and_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let model = eve::model(&dir.path().join("m.gait"), REAL, FALSE);
    let [eve, out, rules, config] =
        ["eve.json", "out.json", "a.rules", "gait.toml"].map(|name| path(dir.path(), name));
    fs::write(&eve, flow(1)).expect("a file");
    fs::write(&rules, "alert http a\n").expect("a file");
    let text = format!(
        "state_dir = {:?}\n[spool]\nenabled = false\n[triage]\neve = [{eve:?}, {:?}]\nout = {out:?}\nrules = [{rules:?}]\n",
        path(dir.path(), "state"),
        path(dir.path(), "later.json")
    );
    fs::write(&config, text).expect("a file");
    let check = |args: &[&str]| agent(&[&["check", "--config", &config], args].concat());
    let said = check(&["--model", &model]).stdout;
    for part in [
        "follows ",
        "eve.json, ",
        " bytes now",
        "which is not there yet",
        "but learned from 12ab",
        "triage.out",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(check(&[]).stdout.contains("passes with the verdict \"abstain\": there is no model"));
    fs::remove_file(&rules).expect("removed");
    let ended = check(&["--json", "--model", &model]);
    let answer: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(
        answer["triage"]["rules_error"].as_str().is_some_and(|error| error.contains("a.rules")),
        "{answer}"
    );
    assert_ne!(ended.code, Some(0));
}

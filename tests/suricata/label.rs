//! From a capture and two rule sets to a model, in one command.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::capture::{PACKETS, STRICT, pcap, shop, truth};
use crate::{file, inside, trainer};

/// The rows of a table of labels: key, and everything by name.
fn rows(path: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).expect("a table");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Fills in what a person would say, by the truth; gives how many rows.
fn review(from: &str, to: &str, attack: impl Fn(&str) -> bool) -> usize {
    let mut table = "key,label\n".to_owned();
    let rows = rows(from);
    for row in &rows {
        let label = if attack(&row[0]) { "real" } else { "false_alarm" };
        table.push_str(&format!("{},{label}\n", row[0]));
    }
    fs::write(to, table).expect("a file");
    rows.len()
}

/// Which of the files that two runs left differ.
fn differing(one: &str, other: &str) -> Vec<&'static str> {
    let files =
        ["strict.jsonl", "loose.jsonl", "labels.csv", "review.csv", "review.bulk.ndjson", "model.gait"];
    let read = |dir: &str, name: &str| fs::read(Path::new(dir).join(name)).expect("a file");
    files.into_iter().filter(|name| read(one, name) != read(other, name)).collect()
}

/// Requests, in tens: of ten, the strict rules raise five alerts and the loose ones ten.
const TENS: usize = 30;

#[test]
fn one_command_raises_labels_learns_and_reports() {
    let dir = tempfile::tempdir().expect("a directory");
    let requests = shop(TENS * 10);
    let packets =
        file(dir.path(), "shop.pcap.zst", zstd::encode_all(pcap(&requests).as_slice(), 1).expect("zstd"));
    let strict = file(dir.path(), "strict.rules", STRICT);
    let known = file(dir.path(), "truth.jsonl", truth(&requests));
    let loose = inside(dir.path(), "loose.rules");
    trainer(&["triage", "loosen", &strict, "--out", &loose]).good();
    let label = |out: &str, more: &[&str]| {
        let args = [
            "triage", "label", "--pcap", &packets, "--strict", &strict, "--loose", &loose, "--out", out,
            "--json",
        ];
        trainer(&[&args[..], more].concat())
    };

    // Nobody has looked at anything: the seed method as it is, and said so.
    let first = inside(dir.path(), "first");
    let ended = label(&first, &["--review", "60"]).good();
    assert!(ended.stderr.contains("nobody has looked at an alert"), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(found["about"]["packets"], requests.len() * PACKETS);
    let (strict_alerts, loose_alerts) = (found["join"]["strict"].clone(), found["join"]["loose"].clone());
    assert_eq!(
        (&strict_alerts, &loose_alerts),
        (&(TENS * 5).into(), &(TENS * 10).into()),
        "{}",
        ended.stderr
    );
    assert_eq!(
        (&found["join"]["equal"], &found["join"]["missing"]),
        (&strict_alerts, &serde_json::json!({}))
    );
    assert_eq!(found["estimate"]["noise"], Value::Null);
    let page = fs::read_to_string(format!("{first}/report.html")).expect("a page");
    assert!(page.contains("Nobody has looked at an alert that only the loose rules raised"));

    // The proposed ones are looked at, and three strict ones, of a rule that is always right.
    let attack = |key: &str| {
        let port = key.split('/').nth(1).and_then(|client| client.rsplit(':').next()).expect("a key");
        requests[port.parse::<usize>().expect("a port") - 20_000].attack
    };
    let reviewed = inside(dir.path(), "reviewed.csv");
    assert_eq!(review(&format!("{first}/review.csv"), &reviewed, attack), 60);
    let rules = file(dir.path(), "known.csv", "sid,label\n9000001,real\n9000002,real\n");
    let second = inside(dir.path(), "second");
    let more = ["--labels", &rules, "--labels", &reviewed];
    let ended = label(&second, &[&more[..], &["--score-with", &known]].concat()).good();
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        (&found["applied"]["sources"]["copied"], &found["applied"]["sources"]["reviewed"]),
        (&(TENS * 5).into(), &60.into())
    );
    // Three in five of what only the loose rules raised are attacks; the seed rule calls them all false alarms.
    let share = |of: &Value| of.as_f64().expect("a share");
    assert!((share(&found["scored"]["seed"]["noise"]) - 0.6).abs() < 1e-9, "{found:#}");
    let (low, high) = (
        share(&found["estimate"]["noise"]["interval"][0]),
        share(&found["estimate"]["noise"]["interval"][1]),
    );
    assert!(low < 0.6 && 0.6 < high && high - low < 0.3, "{low} to {high}");
    assert!((share(&found["scored"]["seed"]["seed_recall"]) - 5.0 / 8.0).abs() < 1e-9);
    let held_out = &found["scored"]["by_flow"];
    let recall = share(&held_out["real"]["real"]) / (TENS * 8) as f64;
    let wrong = share(&held_out["false_alarm"]["real"]);
    assert!(recall > 0.9 && wrong < 10.0, "{held_out:#}");
    assert!(fs::read_to_string(format!("{second}/report.html")).expect("a page").contains("by the truth"));

    // The same again gives the same bytes, and so do the logs that it left, without Suricata.
    let third = inside(dir.path(), "third");
    label(&third, &more).good();
    assert_eq!(differing(&second, &third), [""; 0]);
    let fourth = inside(dir.path(), "fourth");
    let (strict_log, loose_log) = (format!("{second}/strict.jsonl"), format!("{second}/loose.jsonl"));
    let from_logs =
        ["--strict-eve", &strict_log, "--loose-eve", &loose_log, "--loose", &loose, "--out", &fourth];
    trainer(&[&["triage", "label"], &from_logs[..], &more].concat()).good();
    assert_eq!(differing(&second, &fourth), [""; 0]);
    // Nothing of the runs is left behind.
    let left = fs::read_dir(&second).expect("a directory").count();
    assert_eq!(left, 7);
}

//! Triage from finished logs, without Suricata: what is in them, whose labels they get, and what is left behind.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, SHOP, path, text, trainer};

/// Alerts of the strict rule, and of the loose one besides.
const STRICT: usize = 60;
const LOOSE: usize = 160;

/// Whether the request of this number is an attack: all that the strict rule raised, and half of the others.
fn is_attack(at: usize) -> bool {
    at < STRICT || at.is_multiple_of(2)
}

/// The name of an alert.
fn key(at: usize) -> String {
    format!(
        "2026-11-22T10:{:02}:{:02}.000000Z/203.0.113.9:{}/10.0.0.1:80/TCP/0/7",
        at / 60,
        at % 60,
        20_000 + at
    )
}

/// An alert as Suricata writes it.
fn event(at: usize) -> String {
    let (query, agent) = match is_attack(at) {
        true => (format!("1%27+union+select+{at},password+from+users--"), "curl/8.4.0"),
        false => (format!("red+union+jack+shoes+size+{at}"), "Mozilla/5.0"),
    };
    format!(
        r#"{{"timestamp":"2026-11-22T10:{:02}:{:02}.000000+0000","flow_id":{},"event_type":"alert","src_ip":"203.0.113.9","src_port":{},"dest_ip":"10.0.0.1","dest_port":80,"proto":"TCP","tx_id":0,"alert":{{"action":"allowed","gid":1,"signature_id":7,"rev":1,"signature":"SQL injection","category":"Web","severity":1}},"http":{{"hostname":"shop.example","url":"/search?q={query}","http_user_agent":"{agent}","http_method":"GET","protocol":"HTTP/1.1","status":200,"length":9}}}}"#,
        at / 60,
        at % 60,
        at * 31 + 7,
        20_000 + at
    )
}

fn log(count: usize) -> String {
    (0..count).fold(String::new(), |mut log, at| {
        writeln!(log, "{}", event(at)).expect("memory can be written");
        log
    })
}

/// A directory with both logs; their paths.
struct Logs {
    dir: tempfile::TempDir,
    strict: String,
    loose: String,
}

impl Logs {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (strict, loose) = (path(dir.path(), "strict.jsonl"), path(dir.path(), "loose.jsonl"));
        fs::write(&strict, log(STRICT)).expect("a file");
        fs::write(&loose, log(LOOSE)).expect("a file");
        Self { dir, strict, loose }
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let file = path(self.dir.path(), name);
        fs::write(&file, bytes).expect("a file");
        file
    }

    /// Labels into a directory of this name.
    fn label(&self, out: &str, more: &[&str]) -> Ended {
        self.label_logs(&self.strict, &self.loose, out, more)
    }

    fn label_logs(&self, strict: &str, loose: &str, out: &str, more: &[&str]) -> Ended {
        let out = path(self.dir.path(), out);
        let args = ["triage", "label", "--strict-eve", strict, "--loose-eve", loose, "--out", &out, "--json"];
        trainer(&[&args[..], more].concat())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).expect(name)
    }

    /// What a person says of every fifth alert that only the loose rules raised.
    fn reviewed(&self) -> String {
        let row = |at: usize| format!("{},{}\n", key(at), if is_attack(at) { "real" } else { "false alarm" });
        self.file("reviewed.csv", (STRICT..LOOSE).step_by(5).map(row).collect::<String>())
    }
}

fn found(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).expect("one JSON object")
}

fn fails(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not in: {}", ended.stderr);
    }
}

#[test]
fn what_is_no_alert_about_http_is_counted_and_changes_nothing() {
    let logs = Logs::new();
    let reviewed = logs.reviewed();
    let labels = ["--labels", &reviewed, "--exclude-net", "192.0.2.0/24"];
    let plain = found(&logs.label("plain", &labels).good());
    // Other events, alerts about other protocols, excluded addresses, repetitions, and the half line of a full disk.
    let noise = [
        r#"{"timestamp":"2026-11-22T10:00:00.000000+0000","event_type":"flow","src_ip":"203.0.113.9"}"#
            .to_owned(),
        event(900).replace("\"http\":", "\"dns\":"),
        event(901).replace("203.0.113.9", "192.0.2.7"),
        event(3),
        String::new(),
        event(902)[..200].to_owned(),
    ]
    .join("\n");
    let noisy = logs.file("noisy.json", format!("{}{noise}", log(LOOSE)));
    let mixed = found(&logs.label_logs(&logs.strict, &noisy, "mixed", &labels).good());
    let counts = &mixed["read"][1];
    for (name, wanted) in [
        ("lines", LOOSE + 6),
        ("alerts", LOOSE),
        ("no_http", 1),
        ("excluded", 1),
        ("repeated", 1),
        ("blank", 1),
    ] {
        assert_eq!(counts[name], wanted, "{name}: {counts:#}");
    }
    assert_eq!(
        (&counts["other"]["flow"], &counts["malformed"]["the line is cut off"]),
        (&1.into(), &1.into())
    );
    assert!(
        counts["samples"][0]
            .as_str()
            .is_some_and(|place| place.contains(&format!("noisy.json:{}: ", LOOSE + 6)))
    );
    assert_eq!(mixed["learned"], plain["learned"]);
    assert_eq!(logs.read("plain/model.gait"), logs.read("mixed/model.gait"));
    // Packed logs are the same logs.
    let packed = logs.file("loose.json.zst", zstd::encode_all(log(LOOSE).as_bytes(), 1).expect("zstd"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, log(STRICT).as_bytes()).expect("memory can be written");
    let strict = logs.file("strict.json.gz", gzip.finish().expect("memory can be written"));
    logs.label_logs(&strict, &packed, "packed", &labels).good();
    assert_eq!(logs.read("plain/model.gait"), logs.read("packed/model.gait"));
}

#[test]
fn logs_that_teach_nothing_are_refused_with_the_reason() {
    let logs = Logs::new();
    let empty = logs.file("empty.json", "");
    fails(
        &logs.label_logs(&empty, &logs.loose, "a", &[]),
        &["there is no alert about HTTP in", "empty.json (0 lines"],
    );
    let flows = logs.file("flows.json", "{\"event_type\":\"flow\"}\n".repeat(3));
    fails(
        &logs.label_logs(&logs.strict, &flows, "a", &[]),
        &["flows.json (3 lines", "3 other events", "the loose rules raised none"],
    );
    let access =
        logs.file("access.log", "203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 2\n");
    fails(
        &logs.label_logs(&access, &logs.loose, "a", &[]),
        &["are no events of an eve.json", "access.log:1: not a JSON object"],
    );
    // Other packets: nothing of the strict log is in the loose one.
    let other = logs.file("other.json", log(LOOSE).replace("203.0.113.9", "198.51.100.9"));
    fails(
        &logs.label_logs(&logs.strict, &other, "a", &[]),
        &["only 0 of the 60 strict alerts", "same packets"],
    );
    fails(
        &logs.label_logs(&path(logs.dir.path(), "none"), &logs.loose, "a", &[]),
        &["failed to read the log", "none"],
    );
    let ended = trainer(&["triage", "label", "--pcap", &logs.strict, "--out", "x"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let args = [
        "triage",
        "label",
        "--pcap",
        &logs.strict,
        "--strict",
        &logs.strict,
        "--loose",
        &logs.strict,
        "--out",
    ];
    let out = path(logs.dir.path(), "a");
    fails(
        &trainer(&[&args[..], &[out.as_str(), "--suricata", "/nowhere/suricata"]].concat()),
        &["/nowhere/suricata", "--strict-eve"],
    );
}

#[test]
fn a_few_strict_alerts_that_the_loose_log_lacks_are_named_and_survived() {
    let logs = Logs::new();
    let reviewed = logs.reviewed();
    let without: String = log(LOOSE).lines().skip(3).map(|line| format!("{line}\n")).collect();
    let loose = logs.file("without.json", without);
    let ended = logs.label_logs(&logs.strict, &loose, "out", &["--labels", &reviewed]).good();
    let found = found(&ended);
    assert_eq!(
        (&found["join"]["equal"], &found["join"]["missing"]["no_such_flow"]["count"]),
        (&57.into(), &3.into())
    );
    assert!(
        ended.stderr.contains("3 strict alerts are missing") && ended.stderr.contains(&key(0)),
        "{}",
        ended.stderr
    );
    let labels = String::from_utf8(logs.read("out/labels.csv")).expect("text");
    assert!(labels.contains(&key(0)) && labels.lines().count() == LOOSE + 1);
}

/// The review goes out, is filled in by hand or in Kibana, and comes back; what a person says wins.
#[test]
fn reviews_come_back_as_csv_and_as_documents() {
    let logs = Logs::new();
    logs.label("first", &["--review", "30", "--seed", "3"]).good();
    let review = String::from_utf8(logs.read("first/review.csv")).expect("text");
    assert_eq!(review.lines().count(), 31);
    let number = |line: &str| -> usize {
        let port = line.split('/').nth(1).and_then(|client| client.rsplit(':').next()).expect("a key");
        port.parse::<usize>().expect("a port") - 20_000
    };
    let said = |line: &str| if is_attack(number(line)) { "real" } else { "false_alarm" };
    let filled: String = review
        .lines()
        .map(|line| {
            if line.starts_with("key,") {
                format!("{line}\n")
            } else {
                format!("{}\n", line.replacen(",,", &format!(",{},", said(line)), 1))
            }
        })
        .collect();
    let csv = logs.file("filled.csv", filled);
    let documents = String::from_utf8(logs.read("first/review.bulk.ndjson")).expect("text");
    let hits: Vec<Value> = documents
        .lines()
        .skip(1)
        .step_by(2)
        .map(|line| {
            let mut source: Value = serde_json::from_str(line).expect("JSON");
            let id = source["gait"]["key"].as_str().expect("a key").to_owned();
            source["gait"]["label"] = said(&id).into();
            serde_json::json!({"_index": "gait-triage", "_id": id, "_source": source})
        })
        .collect();
    let answer = logs.file("search.json", serde_json::json!({"took": 3, "hits": {"hits": hits}}).to_string());
    let by_csv = found(&logs.label("csv", &["--labels", &csv, "--seed", "3"]).good());
    let by_search = found(&logs.label("search", &["--labels", &answer, "--seed", "3"]).good());
    assert_eq!(by_csv["applied"]["sources"]["reviewed"], 30);
    assert_eq!(by_csv["estimate"], by_search["estimate"]);
    assert_eq!(logs.read("csv/model.gait"), logs.read("search/model.gait"));
    // Half of what only the loose rules raised is real; the interval says so.
    let interval = &by_csv["estimate"]["noise"]["interval"];
    assert!(interval[0].as_f64() < Some(0.5) && interval[1].as_f64() > Some(0.5), "{interval}");
    // The labels that were written are labels again, and only what a person said of an alert is.
    let table = path(logs.dir.path(), "csv/labels.csv");
    let again = found(&logs.label("again", &["--labels", &table, "--seed", "3"]).good());
    assert_eq!(again["applied"]["sources"], by_csv["applied"]["sources"]);
    assert_eq!(logs.read("csv/model.gait"), logs.read("again/model.gait"));

    // An analyst and the feedback of an agent that contradict each other, and one who speaks of what is not there.
    let at = number(review.lines().nth(1).expect("a row"));
    let other = if is_attack(at) { "false_alarm" } else { "real" };
    let line = format!(
        r#"{{"key":"{}","class":"{other}","by":"ann","time":"2026-11-22T11:00:00Z","note":""}}"#,
        key(at)
    );
    let feedback = logs.file("feedback.jsonl", format!("{line}\n{}\n", line.replace(":80/", ":8080/")));
    let ended = logs.label("both", &["--labels", &csv, "--labels", &feedback, "--seed", "3"]).good();
    let both = found(&ended);
    assert_eq!(
        (&both["labels"]["contradictions"], &both["applied"]["unknown_alerts"]),
        (&1.into(), &1.into())
    );
    assert!(
        ended.stderr.contains("feedback.jsonl:1 says") && ended.stderr.contains("filled.csv:2 says"),
        "{}",
        ended.stderr
    );
    // A review is not written over.
    let inside = path(logs.dir.path(), "first/review.csv");
    fails(&logs.label("first", &["--labels", &inside]), &["first/review.csv would be written over"]);
    let odd = logs.file("odd.csv", "7,real\n8,perhaps\n");
    fails(
        &logs.label("odd", &["--labels", &odd]),
        &["odd.csv", "line 2: the label must be `real` or `false_alarm`"],
    );
}

#[test]
fn a_model_keeps_what_it_knew() {
    let logs = Logs::new();
    let reviewed = logs.reviewed();
    let ended = logs.label("out", &["--labels", &reviewed, "--onto", &SHOP.model]).good();
    assert_eq!(found(&ended)["applied"]["sources"]["presumed_real"], STRICT);
    let model = path(logs.dir.path(), "out/model.gait");
    let today = SHOP.today_as("combined");
    let score = |model: &str| {
        trainer(&["score", "--format", "combined", "--model", model, text(&today)]).good().stdout
    };
    assert_eq!(score(&model), score(&SHOP.model));
    let data = gait_trainer::model::load_data(Path::new(&model)).expect("a model");
    let triage = data.triage.expect("triage");
    assert_eq!(
        (triage.origin.labelled, triage.origin.reviewed),
        (STRICT as u64, (LOOSE - STRICT) as u64 / 5)
    );
}

/// Half a page of typed text has no way to run anything in the report, and the strict rules can be loosened without Suricata.
#[test]
fn rules_are_loosened_without_suricata() {
    let logs = Logs::new();
    let rule = "alert http any any -> any any (msg:\"a\"; http.uri; content:\"union\"; content:\"select\"; distance:0; sid:1;)\n";
    let rules = logs.file("strict.rules", rule);
    let ended = trainer(&["triage", "loosen", &rules, "--unchecked"]).good();
    assert_eq!(ended.stdout, rule.replace(" distance:0;", ""));
    assert!(
        ended.stderr.contains("1 loosened") && ended.stderr.contains("not checked by Suricata"),
        "{}",
        ended.stderr
    );
    let kept = trainer(&["triage", "loosen", &rules, "--unchecked", "--drop", "pcre"]).good();
    assert_eq!(kept.stdout, rule);
    let none = logs.file("none.rules", "# nothing\n");
    fails(&trainer(&["triage", "loosen", &none]), &["there is no active rule in", "none.rules"]);
}

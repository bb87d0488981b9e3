//! Labels: what is known to be anomalous is not learned, and helps to choose the threshold.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::support::{SHOP, log, path, shop, text, train, trainer};

/// Training on a log with attacks in it, once without and once with labels.
#[test]
fn labelled_attacks_are_not_learned() {
    let dir = tempfile::tempdir().expect("a directory");
    // Every kind of abnormal visit so often that it passes for normal when nobody says otherwise.
    let visits = shop::day(31, 0, 600, 40);
    let log = log::write(dir.path(), "mixed", "combined", &shop::requests(&visits));
    let labels = path(dir.path(), "labels.csv");
    let mut lines = "id,label\n".to_owned();
    for visit in &visits {
        let label = if visit.fault.is_some() { "anomalous" } else { "normal" };
        writeln!(lines, "{},{label}", visit.caller).expect("memory can be written");
    }
    fs::write(&labels, lines).expect("a file");
    let (without, with) = (path(dir.path(), "without.gait"), path(dir.path(), "with.gait"));
    let report = path(dir.path(), "report.html");
    train("combined", &log, &without);
    let args = [
        "train",
        "--format",
        "combined",
        "--labels",
        &labels,
        "--report",
        &report,
        "--out",
        &with,
        text(&log),
    ];
    let said = trainer(&args).good().stderr;
    assert!(said.contains("200 sessions are labelled anomalous"), "{said}");
    let page = fs::read_to_string(&report).expect("a page");
    assert!(page.contains("id=\"labels\"") && page.contains("Receiver operating characteristic"));

    let judged = |model: &str| -> Value {
        let today = SHOP.today_as("combined");
        let known = path(dir.path(), "known.csv");
        let known_lines: String =
            SHOP.abnormal().map(|visit| format!("{},anomalous\n", visit.caller)).collect();
        fs::write(&known, known_lines).expect("a file");
        let args = [
            "evaluate",
            "--json",
            "--model",
            model,
            "--labels",
            &known,
            "--format",
            "combined",
            text(&today),
        ];
        serde_json::from_str(&trainer(&args).good().stdout).expect("JSON")
    };
    let (without, with) = (judged(&without), judged(&with));
    let recall = |of: &Value| of["recall"].as_f64().expect("a share");
    assert_eq!(with["abnormal"], SHOP.abnormal().count());
    assert!(recall(&with) > recall(&without) + 0.2, "with labels {with:#}, without {without:#}");
    assert!(recall(&with) > 0.7, "{with:#}");
}

#[test]
fn mistakes_in_labels_are_placed() {
    let dir = tempfile::tempdir().expect("a directory");
    let labels = path(dir.path(), "labels.csv");
    let today = SHOP.today_as("combined");
    let out = path(dir.path(), "m.gait");
    for (content, message) in [
        ("a,normal\nb,maybe\n", "labels.csv:2: the label must be `normal` or `anomalous`"),
        ("nobody,anomalous\n", "none of the 1 labels"),
    ] {
        fs::write(&labels, content).expect("a file");
        let ended =
            trainer(&["train", "--format", "combined", "--labels", &labels, "--out", &out, text(&today)]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    assert!(!fs::exists(&out).expect("a directory"));
}

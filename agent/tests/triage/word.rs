//! `gait-agent feedback`: from a judged alert to what a trainer reads.

use std::fs;

use gait_common::alert::Class;
use gait_common::alert::labels::Labels;

use crate::eve::{self, FALSE, REAL, alert};
use crate::{agent, path, piped};

#[test]
fn what_an_analyst_says_of_a_judged_alert_is_kept_with_its_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let [eve, config, noted] =
        ["eve.json", "gait.toml", "state/feedback.jsonl"].map(|name| path(dir.path(), name));
    fs::write(&config, format!("state_dir = {:?}\n", path(dir.path(), "state"))).expect("a file");
    fs::write(&eve, alert(REAL, 1) + &alert(FALSE, 2)).expect("a file");
    let judged = agent(&["triage", &eve]).good().stdout;
    let key = eve::member(judged.lines().next().expect("a line"))["key"].as_str().expect("a key").to_owned();
    let arguments = ["feedback", "--config", &config, "-", "real", "--by", "ann"];
    let said = piped(&arguments, &judged).good().stderr;
    assert!(said.contains("real for 2 alerts") && said.contains(&noted), "{said}");
    agent(&["feedback", "--config", &config, &key, "false_alarm", "--note", "our scanner", "--by", "bob"])
        .good();

    let mut labels = Labels::default();
    for line in fs::read_to_string(&noted).expect("a file").lines() {
        labels.take(line.as_bytes()).expect("a label");
    }
    assert_eq!((labels.len(), labels.replaced), (2, 1));
    let label = labels.get(&key.parse().expect("a key")).expect("a label");
    assert_eq!(
        (label.class, label.by.as_str(), label.note.as_str()),
        (Class::FalseAlarm, "bob", "our scanner")
    );

    for (arguments, code, why) in [
        (["feedback", "2000001", "real"], 1, "\"2000001\" names no alert"),
        (["feedback", key.as_str(), "maybe"], 2, "`real` or `false_alarm`"),
    ] {
        let ended = agent(&arguments);
        assert!(ended.code == Some(code) && ended.stderr.contains(why), "{ended:?}");
    }
}

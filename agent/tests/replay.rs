//! Replay of what a live agent recorded, and of logs, through the program itself.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use gait_agent::exit;
use gait_agent::spool::{Options, Spool};
use gait_common::call::Call;
use gait_common::model::{ModelData, file};
use gait_common::spool::{CALLS, Extra, Rows};
use serde_json::Value;

fn replay(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gait-agent"))
        .arg("replay")
        .args(args)
        .output()
        .expect("the agent can be started")
}

fn summary(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a summary")).expect("JSON")
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

fn model(dir: &Path) -> String {
    let data = ModelData { interfaces: vec!["~new".to_owned(), "GET /a".to_owned()], ..ModelData::default() };
    fs::write(dir.join("m.gait"), file::write(&data).expect("model")).expect("file");
    path(dir, "m.gait")
}

fn record(dir: &Path) {
    let options = Options {
        dir: dir.to_owned(),
        table: CALLS,
        host: "web1".to_owned(),
        started: 0,
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3600),
        flush_interval: Duration::from_secs(10),
        max_waiting: 1 << 20,
    };
    let mut spool = Spool::open(options).expect("spool");
    let mut rows = Rows::default();
    for at in 0..100_u64 {
        let target = if at % 4 == 0 { "/b" } else { "/a" };
        let call = Call { start: at * 1_000_000, method: "GET", target, caller: "ann", ..Call::default() };
        rows.push(&call, &Extra { interrupted: at == 50, ..Extra::default() });
    }
    spool.push(&rows.finish().expect("columns of equal length")).expect("push");
    spool.finish().expect("written");
}

#[test]
fn a_recording_is_replayed_whole_with_its_interruptions() {
    let dir = tempfile::tempdir().expect("directory");
    record(&dir.path().join("spool"));
    let (spool, model, counted) = (path(dir.path(), "spool"), model(dir.path()), path(dir.path(), "s.json"));
    let output = replay(&["--format", "spool", "--model", &model, "--summary", &counted, &spool]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = summary(&dir.path().join("s.json"));
    assert_eq!(
        (&summary["captured"], &summary["lost"], &summary["balanced"]),
        (&100.into(), &0.into(), &true.into())
    );
    let funnel = &summary["pipeline"];
    let counts = ["named", "new", "sequenced", "scored", "interruptions"].map(|name| funnel[name].as_u64());
    assert_eq!(counts, [75, 25, 100, 100, 1].map(Some));
}

#[test]
fn a_log_is_counted_without_a_model_and_every_line_accounted_for() {
    let dir = tempfile::tempdir().expect("directory");
    let good = r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 512 "-" "curl/8""#;
    let noise = good.replace("GET /a HTTP/1.1", "-");
    fs::write(dir.path().join("access.log"), format!("{}\n{noise}\n\nwhat\n", [good; 20].join("\n")))
        .expect("file");
    let (log, counted) = (path(dir.path(), "access.log"), path(dir.path(), "s.json"));
    let output = replay(&["--format", "combined", "--summary", &counted, &log]);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && said.contains("there is no model"), "{said}");
    let summary = summary(&dir.path().join("s.json"));
    let counts = ["captured", "blank", "not_http", "malformed"].map(|name| summary[name].as_u64());
    assert_eq!(counts, [20, 1, 1, 1].map(Some));
    assert_eq!((&summary["pipeline"], &summary["balanced"]), (&Value::Null, &true.into()));
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let dir = tempfile::tempdir().expect("directory");
    let broken = path(dir.path(), "broken.parquet");
    fs::write(&broken, "PAR1 and no more").expect("file");
    for (args, code, message) in [
        (["--format", "combined", "/nowhere/access.log"], exit::FAILURE, "/nowhere/access.log"),
        (["--format", "spool", &broken], exit::FAILURE, "broken.parquet"),
        (["--format", "sequences", "-"], exit::FAILURE, "gait-trainer score"),
        (["--format", "syslog", "-"], exit::USAGE, "possible values: combined"),
    ] {
        let output = replay(&args);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code.into()), "{said}");
        assert!(said.contains(message), "{said}");
    }
}

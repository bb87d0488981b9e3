//! The program as a user meets it: what a mistake costs, and how scripts can tell mistakes apart.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gait_agent::exit;

fn agent(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gait-agent")).args(args).output().expect("the agent can be started")
}

fn failure(args: &[&str]) -> (Option<i32>, String) {
    let output = agent(args);
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

fn write(path: &Path, text: &str) -> String {
    fs::write(path, text).expect("file");
    path.display().to_string()
}

#[test]
fn a_wrong_configuration_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().expect("directory");
    let file = write(&dir.path().join("gait.toml"), "[capture]\nprots = [80]\n");
    for command in ["run", "check"] {
        let (code, said) = failure(&[command, "--config", &file]);
        assert_eq!(code, Some(exit::USAGE.into()), "{said}");
        let want = format!("gait-agent: {file}:2: unknown key `prots` in [capture]: did you mean `ports`?\n");
        assert_eq!(said, want);
    }
    let (code, said) = failure(&["run", "--duration", "soon"]);
    assert!(said.contains("\"soon\" is not a time with its unit"), "{said}");
    assert_eq!(code, Some(exit::USAGE.into()));
}

#[test]
fn a_model_that_is_none_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().expect("directory");
    let spool = dir.path().join("spool");
    let config = write(&dir.path().join("gait.toml"), &format!("[spool]\ndir = {spool:?}\n"));
    let model = write(&dir.path().join("m.gait"), "not a model");
    let (code, said) = failure(&["run", "--config", &config, "--model", &model]);
    assert_eq!(code, Some(exit::MODEL.into()), "{said}");
    assert!(said.contains("m.gait is refused: this is not a gait model"), "{said}");
    assert!(!spool.exists());
}

#[test]
fn check_answers_people_and_programs_alike() {
    let dir = tempfile::tempdir().expect("directory");
    let config = write(
        &dir.path().join("gait.toml"),
        &format!("state_dir = {:?}\n[spool]\nenabled = false\n", dir.path()),
    );
    let text = agent(&["check", "--config", &config]);
    let json = agent(&["check", "--config", &config, "--json"]);
    assert_eq!(text.status.code(), json.status.code());
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one JSON object");
    assert_eq!(answer["exit_code"].as_i64(), json.status.code().map(i64::from));
    // Whether this host can capture is the host's matter; that the answer and the code agree is ours.
    let possible = answer["capture"]["possible"].as_bool().expect("an answer");
    assert_eq!(json.status.code(), Some(if possible { exit::OK } else { exit::HOST }.into()), "{answer}");
    let text = String::from_utf8(text.stdout).expect("text");
    assert_eq!(text.contains("attaches"), possible, "{text}");
    assert_eq!(text.contains("NOT POSSIBLE"), !possible, "{text}");
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let text = |args: &[&str]| String::from_utf8(agent(args).stdout).expect("text");
    assert!(text(&["--help"]).contains("Exit codes:"));
    for command in ["run", "check"] {
        assert!(
            text(&[command, "--help"]).contains(&format!("Examples:\n  gait-agent {command}")),
            "{command}"
        );
    }
}

#[test]
fn a_run_does_what_check_foretold() {
    let dir = tempfile::tempdir().expect("directory");
    let text = format!("state_dir = {:?}\n[spool]\ndir = {:?}\n", dir.path(), dir.path().join("spool"));
    let config = write(&dir.path().join("gait.toml"), &text);
    let summary = dir.path().join("summary.json");
    let shown = summary.display().to_string();
    let run = agent(&["run", "--config", &config, "--duration", "200ms", "--summary", &shown]);
    let said = String::from_utf8(run.stderr).expect("text");
    let check = agent(&["check", "--config", &config]).status.code();
    assert_eq!(run.status.code(), check, "{said}");
    if check == Some(exit::OK.into()) {
        assert!(said.contains("ready, capturing") && said.contains("there is no model"), "{said}");
        let summary: serde_json::Value =
            serde_json::from_slice(&fs::read(summary).expect("a summary")).expect("JSON");
        assert_eq!(summary["balanced"], true, "{summary}");
    } else {
        assert!(!said.contains("ready"), "{said}");
        assert!(!dir.path().join("spool").exists(), "nothing is begun on a host that cannot capture");
    }
}

#[test]
fn functions_of_a_file_are_explored_and_checked() {
    let own = env!("CARGO_BIN_EXE_gait-agent");
    let text = |args: &[&str]| {
        let output = agent(args);
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, said) = text(&["functions", own, "gait_agent::cli::main"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("1 can be followed; their returns are seen at their return instructions"),
        "{said}"
    );
    let (_, said) = text(&["functions", own, "gait_agent::cli::main", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(answer["functions"][0]["name"], "gait_agent::cli::main");
    assert!(answer["functions"][0]["offset"].as_u64() > Some(0), "{said}");
    let (code, said) = text(&["functions", own, "gait_agent::cli::mian"]);
    assert_eq!(code, Some(exit::FAILURE.into()));
    assert!(said.contains("gait_agent::cli::main"), "what is near is named: {said}");
    let (code, said) = failure(&["functions", "/nowhere/nginx"]);
    assert_eq!(code, Some(exit::FAILURE.into()));
    assert!(said.contains("failed to find /nowhere/nginx"), "{said}");

    let dir = tempfile::tempdir().expect("directory");
    let base = format!("state_dir = {:?}\n[spool]\nenabled = false\n", dir.path());
    let target =
        |binary: &str, glob: &str| format!("[[functions]]\nbinary = {binary:?}\ninclude = [{glob:?}]\n");
    let targets = [target(own, "gait_agent::cli::main"), target("/nowhere/shop", "*")].concat();
    let config = write(&dir.path().join("gait.toml"), &format!("{base}{targets}"));
    let (_, said) = text(&["check", "--config", &config]);
    assert!(said.contains(": 1 functions, their returns at their instructions ("), "{said}");
    assert!(said.contains("/nowhere/shop: no such file is there or runs now"), "{said}");
    assert!(said.contains("cost of a call"), "{said}");
    let (_, said) = text(&["check", "--config", &config, "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(answer["functions"]["targets"][0]["functions"][0], "gait-agent:gait_agent::cli::main");
    assert!(answer["functions"]["targets"][1]["file"].is_null());
}

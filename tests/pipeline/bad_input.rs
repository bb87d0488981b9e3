//! Mistakes of users and faults of hosts: each ends with a documented code and a message that says where and what.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use assert_cmd::Command;

use crate::support::{Ended, SHOP, agent, log, path, replay, run, score, text, train, trainer};

/// The exit codes that `--help` documents.
const FAILURE: i32 = 1;
const USAGE: i32 = 2;
const HOST: i32 = 4;

fn write(dir: &Path, name: &str, content: &str) -> String {
    fs::write(dir.join(name), content).expect("file");
    path(dir, name)
}

fn fails(ended: &Ended, code: i32, messages: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for message in messages {
        assert!(ended.stderr.contains(message), "{message:?} is not said: {}", ended.stderr);
    }
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
}

/// Training, scoring and replaying `input` must all fail, with these messages.
fn cannot_be_read(format: &str, input: &str, messages: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory");
    let out = path(dir.path(), "out.gait");
    fails(&trainer(&["train", "--format", format, "--out", &out, input]), FAILURE, messages);
    assert!(!Path::new(&out).exists(), "a model was written though nothing could be read");
    fails(&trainer(&["score", "--format", format, "--model", &SHOP.model, input]), FAILURE, messages);
    fails(&agent(&["replay", "--format", format, "--model", &SHOP.model, input]), FAILURE, messages);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let dir = tempfile::tempdir().expect("a directory");
    for (text, messages) in [
        (
            "[capture]\nports = [80]\nring_byte = \"4MiB\"\n",
            [":3: ", "`ring_byte`", "[capture]", "`ring_bytes`"],
        ),
        ("\n\n[spol]\nenabled = false\n", [":3: ", "`spol`", "top level", "`spool`"]),
        ("[capture]\ndrain_interval = 10\n", [":2: ", "", "", ""]),
        ("[spool]\nmax_bytes = \"1KiB\"\n", [":2: ", "spool.max_bytes", "less than 1MiB", ""]),
        ("[log]\nlevel = \"loud\"\n", [":2: ", "log.level", "\"loud\"", ""]),
        ("[capture\n", [":1: ", "", "", ""]),
    ] {
        let config = write(dir.path(), "gait.toml", text);
        for command in [&["run"][..], &["check"], &["replay", "--format", "calls", "-"]] {
            let ended = agent(&[command, &["--config", &config]].concat());
            fails(&ended, USAGE, &[&[config.as_str()][..], &messages].concat());
        }
    }
    let none = path(dir.path(), "none.toml");
    fails(&agent(&["run", "--config", &none]), USAGE, &[&none, "No such file"]);
}

#[test]
fn a_wrong_command_line_says_what_is_known() {
    for (arguments, message) in [
        (&["replay", "--format", "sylog", "x"][..], "possible values: combined, "),
        (&["replay", "x"], "--format <FORMAT>"),
        (&["rum"], "'run'"),
        (&[], "Usage:"),
    ] {
        let ended = agent(arguments);
        assert_eq!(ended.code, Some(USAGE), "{ended:?}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    for arguments in [&["train", "--format", "combined", "x"][..], &["score"], &[]] {
        assert_eq!(trainer(arguments).code, Some(USAGE));
    }
    let ended =
        trainer(&["train", "--format", "combined", "--out", "/dev/null", "--order", "9", "/dev/null"]);
    fails(&ended, FAILURE, &["order must be 1 to"]);
}

#[test]
fn a_log_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let none = path(dir.path(), "none.log");
    cannot_be_read("combined", &none, &[&none, "no file is named or matched"]);
    let empty = path(dir.path(), "empty");
    fs::create_dir(&empty).expect("directory");
    cannot_be_read("combined", &empty, &[&empty, "holds no files"]);
    cannot_be_read("spool", &empty, &[&empty, "holds no files *.parquet"]);
    let glob = path(dir.path(), "*.gz");
    cannot_be_read("combined", &glob, &[&glob]);
}

#[test]
fn a_log_that_may_not_be_read_is_named() {
    let dir = public_directory();
    let log = write(dir.path(), "secret.log", "x\n");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o000)).expect("permissions");
    let ended = unprivileged(dir.path(), &["replay", "--format", "combined", &log]);
    fails(&ended, FAILURE, &[&log, "Permission denied"]);
}

#[test]
fn a_log_of_another_format_is_told_by_its_first_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let combined = text(&SHOP.today_as("combined")).to_owned();
    let calls = text(&SHOP.today_as("calls")).to_owned();
    cannot_be_read("calls", &combined, &["lines are not in format calls", "today-", ":1: not a JSON object"]);
    cannot_be_read(
        "nginx-json",
        &calls,
        &["lines are not in format nginx-json", ":1: remote_addr is missing"],
    );
    cannot_be_read("combined", &calls, &["lines are not in format combined", ":1: "]);
    cannot_be_read("spool", &combined, &[&combined, "not a whole Parquet file"]);
    // The common form is a part of the combined one.
    assert_eq!(
        score("common", combined.as_ref(), &SHOP.model),
        score("combined", combined.as_ref(), &SHOP.model)
    );
    let noise: String = (0..500u32).map(|at| format!("{:x}\n", at.wrapping_mul(0x9e37_79b9))).collect();
    let noise = write(dir.path(), "noise.log", &noise);
    cannot_be_read(
        "combined",
        &noise,
        &["500 of 500 lines are not in format combined (more than 10 %)", &noise],
    );
}

#[test]
fn a_few_bad_lines_are_counted_shown_and_survived() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut lines = log::lines(&SHOP.today, log::combined);
    lines.push_str("what is this\n\n\x01\x02\n");
    let log = write(dir.path(), "today.log", &lines);
    let counted = path(dir.path(), "s.json");
    agent(&["replay", "--format", "combined", "--model", &SHOP.model, "--summary", &counted, &log]).good();
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(&counted).expect("a summary")).expect("JSON");
    assert_eq!((&summary["malformed"], &summary["blank"]), (&2.into(), &1.into()));
    assert_eq!((&summary["captured"], &summary["balanced"]), (&SHOP.today.len().into(), &true.into()));
    let said = train("combined", log.as_ref(), &path(dir.path(), "m.gait"));
    let place = format!("{log}:{}: ", SHOP.today.len() + 1);
    assert!(said.contains(&place) && said.contains("what is this"), "{said}");
    let ended =
        trainer(&["score", "--format", "combined", "--max-malformed", "0", "--model", &SHOP.model, &log]);
    fails(&ended, FAILURE, &["2 of", "more than 0 %"]);
}

#[test]
fn an_empty_log_teaches_nothing_and_raises_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    for content in ["", "\n\n", "\u{feff}"] {
        let log = write(dir.path(), "empty.log", content);
        let out = path(dir.path(), "out.gait");
        let ended = trainer(&["train", "--format", "combined", "--out", &out, &log]);
        fails(&ended, FAILURE, &["there is nothing to learn from", &log]);
        assert_eq!(score("combined", log.as_ref(), &SHOP.model), []);
        assert!(replay("combined", log.as_ref(), &SHOP.model).is_empty());
    }
}

#[test]
fn a_packed_log_that_was_cut_is_not_taken_for_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = log::lines(&SHOP.today, log::combined);
    let packed = zstd::encode_all(lines.as_bytes(), 1).expect("memory can be written");
    let log = path(dir.path(), "today.zst");
    fs::write(&log, &packed[..packed.len() / 2]).expect("file");
    let out = path(dir.path(), "out.gait");
    fails(&trainer(&["train", "--format", "combined", "--out", &out, &log]), FAILURE, &[&log]);
}

/// A model of another kind of input judges everything as unknown: the user is told, and not just flooded.
#[test]
fn a_model_of_another_input_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let sessions: String = (0..60).map(|at| format!("open read{} close\n", " read".repeat(at % 3))).collect();
    let sessions = write(dir.path(), "sessions.txt", &sessions);
    let tokens = path(dir.path(), "tokens.gait");
    train("sequences", sessions.as_ref(), &tokens);
    let log = SHOP.today_as("combined");
    let said = "the model knows none of the interfaces";
    for ended in [
        trainer(&["score", "--format", "combined", "--model", &tokens, text(&log)]),
        trainer(&["score", "--format", "sequences", "--model", &SHOP.model, &sessions]),
        agent(&["replay", "--format", "combined", "--model", &tokens, text(&log)]),
    ] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert_eq!(ended.code, Some(0));
    }
    fails(
        &agent(&["replay", "--format", "sequences", "--model", &tokens, &sessions]),
        FAILURE,
        &["format sequences holds no calls", "gait-trainer score"],
    );
}

/// Capture needs privileges, and an agent with its kernel programs inside: what is missing is said, and nothing starts.
#[test]
fn run_says_what_it_lacks() {
    let dir = public_directory();
    let config =
        write(dir.path(), "gait.toml", &format!("state_dir = {:?}\n[spool]\nenabled = false\n", dir.path()));
    let ended = unprivileged(dir.path(), &["run", "--config", &config, "--duration", "1s"]);
    let checked = unprivileged(dir.path(), &["check", "--config", &config]);
    // `cargo xtask test` builds the agent with its kernel programs, plain `cargo test` without.
    let built = !checked.stdout.contains("built without kernel programs");
    let reason = if built { "run as root, or grant CAP_BPF" } else { "build it with `cargo xtask build`" };
    fails(&ended, HOST, &[reason]);
    assert!(!ended.stderr.contains("ready"), "{}", ended.stderr);
    assert_eq!(checked.code, Some(HOST), "{checked:?}");
    assert!(checked.stdout.contains("NOT POSSIBLE") && checked.stdout.contains(reason), "{}", checked.stdout);
}

/// A directory that everybody may use, with a copy of the agent: the build's own may be closed to others.
fn public_directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
    // By another program: a file that this one has open for writing cannot be run, nor what a fork elsewhere holds.
    let copied = std::process::Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_agent-under-test"))
        .arg(dir.path().join("gait-agent"))
        .status();
    assert!(copied.expect("cp can be started").success());
    dir
}

/// Runs the agent in a public directory as a user without any privilege.
fn unprivileged(dir: &Path, arguments: &[&str]) -> Ended {
    const NOBODY: u32 = 65_534;
    let mut command = std::process::Command::new(dir.join("gait-agent"));
    command.args(arguments).current_dir(dir);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    run(&mut Command::from_std(command))
}

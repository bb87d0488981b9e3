//! `gait-trainer mine` as a user calls it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn mine(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gait-trainer"))
        .arg("mine")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that gives up at once does not read.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SESSIONS: &str = "1,login list item item cart\n2,login list cart\n\n3,login help\n";

#[test]
fn sessions_become_patterns() {
    let arguments = ["--format", "sequences", "--min-support", "60%", "--closed", "-"];
    let output = mine(&arguments, SESSIONS);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "login -1 #SUP: 3\nlogin -1 list -1 cart -1 #SUP: 2\n");
    assert!(text(&output.stderr).contains("2 patterns that at least 2 of 3 sequences support"));
}

#[test]
fn options_narrow_the_result() {
    let run = |more: &[&str]| {
        let arguments = [&["--format", "sequences", "--min-support", "2"], more, &["-"]].concat();
        text(&mine(&arguments, SESSIONS).stdout)
    };
    assert_eq!(run(&["--max-gap", "0", "--maximal"]), "login -1 list -1 #SUP: 2\ncart -1 #SUP: 2\n");
    assert_eq!(run(&["--first", "list"]), "list -1 #SUP: 2\nlist -1 cart -1 #SUP: 2\n");
    assert_eq!(run(&["--first", "unknown"]), "");
    assert_eq!(run(&["--max-length", "1"]), "login -1 #SUP: 3\nlist -1 #SUP: 2\ncart -1 #SUP: 2\n");
}

#[test]
fn a_result_that_is_not_whole_says_so() {
    let arguments = ["--format", "sequences", "--min-support", "2", "--max-patterns", "1", "-"];
    let output = mine(&arguments, SESSIONS);
    assert_eq!(text(&output.stdout), "login -1 #SUP: 3\n");
    assert!(text(&output.stderr).contains("these are not all"));
}

#[test]
fn mistakes_are_named() {
    let error = |arguments: &[&str], code: i32| {
        let output = mine(arguments, "1 -1 2 -1 -2\n1 2\n");
        assert_eq!(output.status.code(), Some(code));
        assert!(output.stdout.is_empty());
        text(&output.stderr)
    };
    let message = error(&["--format", "spmf", "--min-support", "1", "-"], 1);
    assert_eq!(
        message,
        "gait-trainer: failed to read <stdin>: line 2 is not a sequence: it does not end with -2\n"
    );
    assert!(
        error(&["--format", "spmf", "--min-support", "0", "/dev/null"], 1).contains("at least 1 sequence")
    );
    assert!(error(&["--format", "spmf", "--min-support", "half", "-"], 2).contains("neither a number"));
    assert!(error(&["--format", "spmf", "--min-support", "1", "no/such/file"], 1).contains("no/such/file"));
}

#[test]
fn sessions_of_a_log_of_calls_are_mined_by_interface() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let log = dir.path().join("calls.jsonl");
    let call = |caller: usize, second: usize, path: String| {
        format!(
            "{{\"ts\":{},\"caller\":\"c{caller}\",\"method\":\"GET\",\"path\":\"{path}\"}}\n",
            1_700_000_000 + second
        )
    };
    let visit = |caller: usize| {
        [format!("/items/{}", 1000 + caller), "/cart".to_owned(), "/pay".to_owned()]
            .into_iter()
            .zip(0..)
            .map(move |(path, step)| call(caller, caller * 60 + step, path))
    };
    std::fs::write(&log, (0..30).flat_map(visit).collect::<String>()).expect("file");
    let out = dir.path().join("patterns.txt");
    let arguments = ["--format", "calls", "--min-support", "100%", "--maximal", "--out"];
    let files = [&out, &log].map(|path| path.display().to_string());
    let output = mine(&[&arguments[..], &[&files[0], &files[1]]].concat(), "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = std::fs::read_to_string(&out).expect("patterns");
    assert_eq!(found, "GET /items/{int} -1 GET /cart -1 GET /pay -1 #SUP: 30\n");
}

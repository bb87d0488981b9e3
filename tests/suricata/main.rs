//! Triage with the real Suricata: its rules, its words, its logs.
//!
//! `cargo xtask test` installs Suricata and runs these tests; without it they fail.

mod bad_input;
mod capture;
mod label;
mod loosen;

use std::fs;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;

/// How the trainer ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// What it said, given that it succeeded.
    fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// That it failed as a user's mistake does, with these words.
    fn fails(self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        assert!(
            !self.stderr.contains("panicked") && !self.stderr.contains("RUST_BACKTRACE"),
            "{}",
            self.stderr
        );
    }
}

fn trainer(args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_trainer-under-test"))
        .args(args)
        .timeout(Duration::from_secs(300))
        .output()
        .expect("the trainer starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Writes a file and gives its path as text.
fn file(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    fs::write(&path, bytes).expect("a file");
    path.to_str().expect("a path that is text").to_owned()
}

/// A directory's path as text.
fn inside(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().expect("a path that is text").to_owned()
}

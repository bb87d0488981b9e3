//! Alerts judged by the program itself: in finished files, in logs that grow while they are rotated and it is killed, and an
//! analyst's word.

#[path = "triage/eve.rs"]
mod eve;
#[path = "triage/files.rs"]
mod files;
#[path = "triage/followed.rs"]
mod followed;
#[path = "triage/word.rs"]
mod word;

use std::path::Path;
use std::process::{Command, Stdio};

/// How the program ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// What it printed, given that it succeeded.
    #[track_caller]
    fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }
}

fn agent(args: &[&str]) -> Ended {
    piped(args, "")
}

/// The program with something on its standard input.
fn piped(args: &[&str], input: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gait-agent"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the agent can be started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        // It may end without having read.
        scope.spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
        child.wait_with_output().expect("it ends")
    });
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ended =
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(ended.code.is_some() && !ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

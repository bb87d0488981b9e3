//! What the pipeline tests share: the programs, a shop's traffic, and one model that is trained once.

pub(crate) mod log;
pub(crate) mod shop;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use assert_cmd::Command;
use gait_common::finding::Finding;
use serde::Deserialize;
use tempfile::TempDir;

use shop::{Request, Visit};

/// Ordinary visits that are trained on.
const TRAINED: usize = 1200;
/// Ordinary visits of the day that is judged, and abnormal ones of each kind.
const NORMAL: usize = 300;
const ABNORMAL: usize = 4;

/// A day that was learned from, a day to judge, and what was learned.
pub(crate) struct Shop {
    dir: TempDir,
    pub(crate) training: Vec<Request>,
    pub(crate) visits: Vec<Visit>,
    pub(crate) today: Vec<Request>,
    pub(crate) model: String,
}

/// The shop that most tests look at; its model was trained on a combined log.
pub(crate) static SHOP: LazyLock<Shop> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let training = shop::requests(&shop::day(1, 0, TRAINED, 0));
    let visits = shop::day(2, 1, NORMAL, ABNORMAL);
    let today = shop::requests(&visits);
    let log = log::write(dir.path(), "training", "combined", &training);
    let model = path(dir.path(), "shop.gait");
    train("combined", &log, &model);
    Shop { dir, training, visits, today, model }
});

impl Shop {
    /// Today's requests in a format.
    pub(crate) fn today_as(&self, format: &str) -> PathBuf {
        let name = format!("today-{:?}", std::thread::current().id()).replace(['(', ')'], "-");
        log::write(self.dir.path(), &name, format, &self.today)
    }

    /// The callers of abnormal visits.
    pub(crate) fn abnormal(&self) -> impl Iterator<Item = &Visit> {
        self.visits.iter().filter(|visit| visit.fault.is_some())
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What it printed, given that it succeeded.
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }
}

pub(crate) fn agent(args: &[&str]) -> Ended {
    run(Command::new(env!("CARGO_BIN_EXE_agent-under-test")).args(args))
}

pub(crate) fn trainer(args: &[&str]) -> Ended {
    run(Command::new(env!("CARGO_BIN_EXE_trainer-under-test")).args(args))
}

/// Runs a program; one that panics or does not end fails the test.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.timeout(Duration::from_secs(120)).output().expect("the program can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ended =
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(ended.code.is_some() && !ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

pub(crate) fn path(dir: &Path, name: &str) -> String {
    text(&dir.join(name)).to_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// Trains on a log; gives what was said.
pub(crate) fn train(format: &str, log: &Path, model: &str) -> String {
    trainer(&["train", "--format", format, "--out", model, text(log)]).good().stderr
}

/// One line of `score`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Scored {
    pub(crate) id: String,
    pub(crate) score: f64,
    pub(crate) threshold: f64,
    pub(crate) anomalous: bool,
    pub(crate) reasons: Vec<String>,
}

impl Scored {
    /// The caller; the id also has the session's start.
    pub(crate) fn caller(&self) -> &str {
        self.id.split_once('@').map_or(&self.id, |(caller, _)| caller)
    }
}

/// Scores a log by a model.
pub(crate) fn score(format: &str, log: &Path, model: &str) -> Vec<Scored> {
    scored(&trainer(&["score", "--format", format, "--model", model, text(log)]).good())
}

/// What `score` printed.
pub(crate) fn scored(ended: &Ended) -> Vec<Scored> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Replays a log; gives the findings by caller.
pub(crate) fn replay(format: &str, log: &Path, model: &str) -> BTreeMap<String, Finding> {
    findings(&agent(&["replay", "--format", format, "--model", model, text(log)]).good())
}

/// The findings that the agent printed, by caller.
pub(crate) fn findings(ended: &Ended) -> BTreeMap<String, Finding> {
    ended
        .stdout
        .lines()
        .map(|line| {
            let mut event: serde_json::Value = serde_json::from_str(line).expect(line);
            let finding: Finding =
                serde_json::from_value(event["unmapped"]["gait"].take()).expect("a finding");
            (finding.caller.clone(), finding)
        })
        .collect()
}

//! `gait-agent triage --follow` while the log is rotated, truncated and compressed, and the agent is killed.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::eve::{self, FALSE, REAL, UNKNOWN, alert, flow};

/// How long something that should come at once is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent that follows a log.
struct Follower(Child);

impl Follower {
    fn start(dir: &Path, model: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gait-agent"));
        command
            .args(["triage", "--model", model, "--json", "--follow", "--out"])
            .arg(dir.join("judged.json"));
        command.arg(dir.join("eve.json")).stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().expect("the agent can be started"))
    }

    /// Asks it to end; gives what it counted.
    fn end(mut self) -> serde_json::Value {
        // One that has only just started would simply die of it.
        let began = Instant::now();
        while !self.minds_sigterm() {
            assert!(began.elapsed() < PATIENCE, "it does not come to mind SIGTERM");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        let mut said = String::new();
        let mut stderr = self.0.stderr.take().expect("a pipe");
        std::io::Read::read_to_string(&mut stderr, &mut said).expect("text");
        assert!(self.0.wait().expect("it ends").success(), "{said}");
        serde_json::from_str(said.lines().last().expect("counts")).expect(&said)
    }

    /// Whether it has a handler of SIGTERM by now, as the kernel says (proc_pid_status(5)).
    fn minds_sigterm(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask").trim();
        let caught = u64::from_str_radix(mask, 16).expect("hexadecimal");
        caught >> (Signal::TERM.as_raw() - 1) & 1 == 1
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A log as Suricata writes it: appended to, reopened when told.
struct Writer {
    dir: PathBuf,
    file: File,
    written: String,
    number: u64,
    rotated: u64,
}

impl Writer {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), file: open(dir), written: String::new(), number: 0, rotated: 0 }
    }

    /// Writes some lines, some of them in two pieces.
    fn lines(&mut self, count: u64) {
        for _ in 0..count {
            self.number += 1;
            let line = match self.number % 4 {
                0 => flow(self.number),
                kind => alert([REAL, FALSE, UNKNOWN][kind as usize - 1], self.number),
            };
            let cut = (self.number as usize * 7) % line.len();
            self.file.write_all(&line.as_bytes()[..cut]).expect("written");
            if self.number.is_multiple_of(50) {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.file.write_all(&line.as_bytes()[cut..]).expect("written");
            self.written += &line;
        }
    }

    fn reopen(&mut self) {
        self.file = open(&self.dir);
    }

    fn rename(&mut self) {
        for number in (1..=self.rotated).rev() {
            for packed in ["", ".gz"] {
                let name = |number: u64| self.dir.join(format!("eve.json.{number}{packed}"));
                if name(number).exists() {
                    fs::rename(name(number), name(number + 1)).expect("renamed");
                }
            }
        }
        self.rotated += 1;
        fs::rename(self.dir.join("eve.json"), self.dir.join("eve.json.1")).expect("renamed");
    }

    /// Compresses the file rotated last, as logrotate does: with its time.
    fn pack(&self) {
        let plain = self.dir.join("eve.json.1");
        let modified = fs::metadata(&plain).and_then(|meta| meta.modified()).expect("a time");
        let packed = File::create(self.dir.join("eve.json.1.gz")).expect("a file");
        let mut out = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        out.write_all(&fs::read(&plain).expect("a file")).expect("packed");
        out.finish().expect("packed").set_modified(modified).expect("a time");
        fs::remove_file(&plain).expect("removed");
    }
}

fn open(dir: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(dir.join("eve.json")).expect("a file")
}

fn judged(dir: &Path) -> String {
    fs::read_to_string(dir.join("judged.json")).unwrap_or_default()
}

/// Waits until as many lines as were written came out.
fn wait_for(writer: &Writer) {
    let (deadline, lines) = (Instant::now() + PATIENCE, writer.written.matches('\n').count());
    while judged(&writer.dir).matches('\n').count() < lines {
        if Instant::now() >= deadline {
            same(&judged(&writer.dir), writer);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Each line once, in order.
#[track_caller]
fn same(judged: &str, writer: &Writer) {
    let judged = eve::without(judged);
    for (number, (got, want)) in judged.lines().zip(writer.written.lines()).enumerate() {
        assert_eq!(got, want, "line {number}");
    }
    assert_eq!(judged.len(), writer.written.len());
}

#[test]
fn nothing_is_lost_or_repeated_though_the_log_is_rotated_and_the_agent_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let models = [(REAL, FALSE), (FALSE, REAL)]
        .map(|(real, harmless)| eve::model(&dir.path().join(format!("{real}.gait")), real, harmless));
    let mut writer = Writer::new(dir.path());
    let mut rng = fastrand::Rng::with_seed(7);
    let mut follower = Follower::start(dir.path(), &models[0]);
    // What was rotated before anybody ever followed is nobody's business.
    let began = Instant::now();
    while !dir.path().join("judged.json.position").exists() {
        assert!(began.elapsed() < PATIENCE, "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    for turn in 0..24 {
        writer.lines(rng.u64(1..400));
        match rng.u32(..5) {
            0 => {
                writer.rename();
                writer.lines(rng.u64(..20));
                writer.reopen();
            }
            1 => {
                writer.rename();
                writer.reopen();
                writer.lines(rng.u64(1..200));
                writer.rename();
                writer.reopen();
                writer.pack();
            }
            2 => std::thread::sleep(Duration::from_millis(rng.u64(..1500))),
            _ => {}
        }
        writer.lines(rng.u64(1..200));
        if rng.u32(..3) > 0 {
            // At any moment: in the middle of a line, before and after a commit.
            std::thread::sleep(Duration::from_micros(rng.u64(..200_000)));
            follower.0.kill().expect("it runs");
            follower.0.wait().expect("it ends");
            writer.lines(rng.u64(..100));
            follower = Follower::start(dir.path(), &models[turn / 12]);
        }
    }
    wait_for(&writer);
    let counts = follower.end();
    let judged = judged(dir.path());
    same(&judged, &writer);
    let fingerprints: std::collections::BTreeSet<String> = judged
        .lines()
        .filter(|line| line.contains("\"alert\""))
        .map(|line| eve::member(line)["model"].as_str().expect("a model").to_owned())
        .collect();
    assert_eq!(fingerprints.len(), 2, "the later ones are judged by the later model");
    assert_eq!((&counts["inputs"]["missing"], &counts["unwritten"]), (&0.into(), &0.into()), "{counts}");
}

#[test]
fn a_truncated_log_and_one_that_is_not_there_yet() {
    let dir = tempfile::tempdir().expect("a directory");
    let model = eve::model(&dir.path().join("m.gait"), REAL, FALSE);
    let follower = Follower::start(dir.path(), &model);
    std::thread::sleep(Duration::from_millis(200));
    let mut writer = Writer::new(dir.path());
    writer.lines(300);
    wait_for(&writer);
    for round in 0..3 {
        writer.lines(50);
        fs::copy(dir.path().join("eve.json"), dir.path().join("eve.json.1")).expect("copied");
        writer.file.set_len(0).expect("truncated");
        writer.lines(20 + 200 * round);
        wait_for(&writer);
    }
    let counts = follower.end();
    same(&judged(dir.path()), &writer);
    assert_eq!(counts["inputs"]["truncations"], 3, "{counts}");
    // Another run has nothing to do.
    let follower = Follower::start(dir.path(), &model);
    std::thread::sleep(Duration::from_millis(300));
    let counts = follower.end();
    assert_eq!(counts["lines"], 0, "{counts}");
    same(&judged(dir.path()), &writer);
}

#[test]
fn the_output_is_opened_anew_when_it_was_moved_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let model = eve::model(&dir.path().join("m.gait"), REAL, FALSE);
    let mut writer = Writer::new(dir.path());
    writer.lines(100);
    let follower = Follower::start(dir.path(), &model);
    wait_for(&writer);
    fs::rename(dir.path().join("judged.json"), dir.path().join("judged.1")).expect("renamed");
    kill_process(Pid::from_child(&follower.0), Signal::HUP).expect("it runs");
    let deadline = Instant::now() + PATIENCE;
    while !dir.path().join("judged.json").exists() {
        assert!(Instant::now() < deadline, "no new file");
        std::thread::sleep(Duration::from_millis(10));
    }
    writer.lines(100);
    // Killed, not ended: what was written to the new file is recognised there.
    std::thread::sleep(Duration::from_millis(1500));
    drop(follower);
    let follower = Follower::start(dir.path(), &model);
    writer.lines(10);
    let moved = fs::read_to_string(dir.path().join("judged.1")).expect("a file");
    while (moved.clone() + &judged(dir.path())).matches('\n').count() < 210 {
        assert!(Instant::now() < deadline, "lines are missing");
        std::thread::sleep(Duration::from_millis(20));
    }
    follower.end();
    same(&(moved + &judged(dir.path())), &writer);
}

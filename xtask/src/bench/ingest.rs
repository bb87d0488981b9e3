//! A large access log: read by ours, read by GoAccess, and trained on end to end, in one run.
//!
//! The log is made of lines (a user's own with `--data`, else some thousand made here) that are repeated with their
//! times shifted on, as if the same day came again and again, each time with other callers.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::Options;
use super::measured::{self, Cost};
use crate::apt::{self, need};
use crate::build;
use crate::shell::{cargo, run, say, target_dir, which};

/// Lines made when a user brings none.
const MADE: usize = 10_000;
/// Months as access logs spell them.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Measures and prints.
pub(crate) fn ingest(options: &Options) -> Result<()> {
    apt::ensure(&[need("goaccess", "goaccess")])?;
    let trainer = build::trainer()?;
    say("building the reader (release)");
    run(cargo().args(["build", "--release", "--package", "gait-trainer", "--example", "read_log"]))?;
    let reader = target_dir().join("release/examples/read_log");
    let dir =
        tempfile::Builder::new().prefix("gait-ingest-").tempdir().context("failed to create a directory")?;
    let log = dir.path().join("access.log");
    say(format!("making a log of {} MB", options.megabytes));
    let lines = make(&log, &seeds(options)?, u64::from(options.megabytes) * 1_000_000)
        .with_context(|| format!("failed to write {}", log.display()))?;

    let mut goaccess = Command::new(which("goaccess").context("goaccess is not on PATH")?);
    goaccess.arg(&log).args(["--log-format=COMBINED", "--no-global-config", "--no-progress", "-o"]);
    goaccess.arg(dir.path().join("goaccess.json"));
    let mut ours = Command::new(&reader);
    ours.arg(&log);
    let mut train = Command::new(&trainer);
    train.args(["train", "--format", "combined", "--out"]).arg(dir.path().join("model.gait")).arg(&log);

    let (mut read, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..options.rounds.min(3) {
        say(format!("round {}: ours and GoAccess read it", round + 1));
        let (counted, cost) = measured::run(&ours, dir.path())?;
        ensure!(counted.trim() == lines.to_string(), "{counted} of {lines} lines were read");
        read.push(cost);
        theirs.push(measured::run(&goaccess, dir.path())?.1);
    }
    say("training on it");
    let (_, trained) = measured::run(&train, dir.path())?;
    print(lines, fs::metadata(&log)?.len(), [fastest(&read), fastest(&theirs), trained], options.json);
    Ok(())
}

fn fastest(costs: &[Cost]) -> Cost {
    let none = Cost { seconds: f64::INFINITY, cpu: 0.0, memory: 0.0 };
    costs.iter().copied().fold(none, |best, cost| if cost.seconds < best.seconds { cost } else { best })
}

fn print(lines: u64, bytes: u64, [read, goaccess, train]: [Cost; 3], as_json: bool) {
    let rows = [("gait, reading", read), ("GoAccess", goaccess), ("gait-trainer train", train)];
    if as_json {
        let cost =
            |cost: Cost| json!({ "seconds": cost.seconds, "cpu": cost.cpu, "memory_mib": cost.memory });
        println!(
            "{}",
            json!({ "lines": lines, "bytes": bytes, "read": cost(read), "goaccess": cost(goaccess),
                    "train": cost(train), "ratio": read.seconds / goaccess.seconds })
        );
        return;
    }
    println!("{lines} lines, {} MB", bytes / 1_000_000);
    println!("{:<20} {:>9} {:>9} {:>10}", "", "seconds", "CPU", "MiB");
    for (name, Cost { seconds, cpu, memory }) in rows {
        println!("{name:<20} {seconds:>9.2} {cpu:>9.2} {memory:>10.0}");
    }
    println!("reading against GoAccess: {:.2}", read.seconds / goaccess.seconds);
}

/// The lines that are repeated, each as what stands before, in and behind its time.
fn seeds(options: &Options) -> Result<Vec<Seed>> {
    let mut text = String::new();
    for file in &options.data {
        text += &fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    }
    if options.data.is_empty() {
        text = made();
    }
    let seeds: Vec<Seed> = text.lines().filter_map(Seed::new).collect();
    ensure!(!seeds.is_empty(), "--data holds no line of the combined format");
    Ok(seeds)
}

/// A line without the first number of its caller's address, and without its time.
struct Seed {
    first: u64,
    before: String,
    behind: String,
}

impl Seed {
    fn new(line: &str) -> Option<Self> {
        let (first, rest) = line.split_once('.')?;
        let (before, timed) = rest.split_once('[')?;
        let (_, behind) = timed.split_once(']')?;
        Some(Self { first: first.parse().ok()?, before: before.to_owned(), behind: behind.to_owned() })
    }
}

/// Writes the lines again and again until the file is as large as wanted; gives their number.
fn make(file: &Path, seeds: &[Seed], bytes: u64) -> std::io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(file)?);
    let (mut written, mut lines, mut line) = (0, 0_u64, String::new());
    while written < bytes {
        let (turn, at) = (lines / seeds.len() as u64, lines % seeds.len() as u64);
        let Seed { first, before, behind } = &seeds[at as usize];
        // A turn takes eight hours; every 16th has the same callers.
        let seconds = turn * 28_800 + at * 28_800 / seeds.len() as u64;
        let (day, month) = (seconds / 86_400 % 28 + 1, seconds / 86_400 / 28);
        let (year, month) = (2024 + month / 12, MONTHS[(month % 12) as usize]);
        let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
        line.clear();
        let _ = writeln!(
            line,
            "{}.{before}[{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000]{behind}",
            (first + turn % 16) % 223 + 1
        );
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        lines += 1;
    }
    out.flush()?;
    Ok(lines)
}

/// Lines of a made-up shop: callers with journeys over a few dozen interfaces.
fn made() -> String {
    let mut rng = fastrand::Rng::with_seed(1);
    let agent =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36";
    let mut text = String::new();
    for _ in 0..MADE {
        let id = rng.u32(1..100_000);
        let path = match rng.u32(0..20) {
            0..9 => format!("/api/items/{id}"),
            9..13 => format!("/api/items?page={}", id % 50),
            13..15 => format!("/static/app-{}.js", id % 9),
            15..17 => format!("/api/carts/{id}/lines"),
            17 => format!("/api/users/{id}/profile"),
            18 => "/api/login".to_owned(),
            _ => "/api/checkout".to_owned(),
        };
        let status = if rng.u32(0..50) == 0 { 404 } else { 200 };
        let _ = writeln!(
            text,
            "10.{}.{}.{} - - [01/Jan/2024:00:00:00 +0000] \"GET {path} HTTP/1.1\" {status} {} \"-\" \"{agent}\"",
            rng.u8(0..4),
            rng.u8(..),
            rng.u8(1..9),
            rng.u32(100..20_000),
        );
    }
    text
}

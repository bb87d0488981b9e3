//! `gait-trainer mine` beside the PyPI package `prefixspan`, on the same files, in one run.
//!
//! The files are made here, seeded: sessions over a few hundred items with skewed frequencies, in which a few dozen
//! ways are walked with detours. With `--data` they are a user's own, in SPMF's form.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::Options;
use super::measured::{self, Cost};
use crate::shell::say;
use crate::{build, python};

/// Made files: sequences, items, and the least supports at which they are mined.
const MADE: &[(usize, usize, &[u32])] =
    &[(2_000, 200, &[20, 10]), (20_000, 500, &[400, 100]), (100_000, 1000, &[1000])];
/// Ways that sessions follow.
const WAYS: usize = 40;

/// Least support of a user's own files, as shares of their sequences.
const SHARES: [f64; 2] = [0.02, 0.01];

/// Prints all frequent patterns in SPMF's form.
const PREFIXSPAN: &str = r#"
import sys
from prefixspan import PrefixSpan
sequences = [[item for item in line.split() if item[0] != "-"] for line in open(sys.argv[1])]
for support, items in PrefixSpan(sequences).frequent(int(sys.argv[2])):
    print(" -1 ".join(items), "-1 #SUP:", support)
"#;

/// Measures and prints.
pub(crate) fn mine(options: &Options) -> Result<()> {
    let trainer = build::trainer()?;
    let python = python::with(&["prefixspan==0.5.2"])?;
    let dir =
        tempfile::Builder::new().prefix("gait-mine-").tempdir().context("failed to create a directory")?;
    let script = dir.path().join("theirs.py");
    fs::write(&script, PREFIXSPAN).context("failed to write the Python script")?;
    let mut rows = Vec::new();
    for (file, supports) in files(options, dir.path())? {
        for support in supports {
            say(format!("mining {} at support {support}", file.display()));
            let mut ours = Command::new(&trainer);
            ours.args(["mine", "--format", "spmf", "--min-support", &support.to_string()]).arg(&file);
            ours.args(["--max-patterns", "100000000"]);
            let mut theirs = Command::new(&python);
            theirs.arg(&script).arg(&file).arg(support.to_string());
            let (found, cost) = measured::best_of(options.rounds.min(3), &ours, dir.path())?;
            let (wanted, theirs) = measured::run(&theirs, dir.path())?;
            let (found, wanted) = (patterns(&found), patterns(&wanted));
            ensure!(found == wanted, "the two disagree on {} at {support}", file.display());
            rows.push(Row { file: file.clone(), support, patterns: found.len(), ours: cost, theirs });
        }
    }
    print(&rows, options.json);
    Ok(())
}

/// One file at one support.
struct Row {
    file: PathBuf,
    support: u32,
    patterns: usize,
    ours: Cost,
    theirs: Cost,
}

fn print(rows: &[Row], as_json: bool) {
    if as_json {
        for row in rows {
            let cost = |cost: Cost| json!({ "seconds": cost.seconds, "memory_mib": cost.memory });
            println!(
                "{}",
                json!({ "file": row.file, "support": row.support, "patterns": row.patterns,
                        "gait": cost(row.ours), "prefixspan": cost(row.theirs) })
            );
        }
        return;
    }
    println!(
        "{:<16} {:>8} {:>9} {:>10} {:>10} {:>14} {:>14} {:>7}",
        "file", "support", "patterns", "gait", "MiB", "prefixspan", "MiB", "ratio"
    );
    for Row { file, support, patterns, ours, theirs } in rows {
        println!(
            "{:<16} {support:>8} {patterns:>9} {:>8.2} s {:>10.0} {:>12.2} s {:>14.0} {:>7.4}",
            file.file_name().unwrap_or_default().to_string_lossy(),
            ours.seconds,
            ours.memory,
            theirs.seconds,
            theirs.memory,
            ours.seconds / theirs.seconds,
        );
    }
}

/// The patterns of an output, in one order.
fn patterns(output: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    lines.sort_unstable();
    lines
}

/// The files to mine, each with supports.
fn files(options: &Options, dir: &Path) -> Result<Vec<(PathBuf, Vec<u32>)>> {
    if options.data.is_empty() {
        let made = MADE.iter().map(|&(sequences, items, supports)| {
            let file = dir.join(format!("made-{sequences}.txt"));
            make(&file, sequences, items).with_context(|| format!("failed to write {}", file.display()))?;
            Ok((file, supports.to_vec()))
        });
        return made.collect();
    }
    let own = options.data.iter().map(|file| {
        let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        let sequences = text.lines().filter(|line| !line.trim().is_empty()).count() as f64;
        Ok((file.clone(), SHARES.iter().map(|share| (share * sequences).ceil() as u32).collect()))
    });
    own.collect()
}

fn make(file: &Path, sequences: usize, items: usize) -> std::io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(1);
    // Squaring a uniform number makes the small ones common.
    let item = |rng: &mut fastrand::Rng| 1 + (rng.f64().powi(2) * items as f64) as usize;
    let ways: Vec<Vec<usize>> =
        (0..WAYS).map(|_| (0..rng.usize(4..10)).map(|_| item(&mut rng)).collect()).collect();
    let mut out = BufWriter::new(fs::File::create(file)?);
    for _ in 0..sequences {
        for step in &ways[(rng.f64().powi(2) * WAYS as f64) as usize] {
            if rng.f64() < 0.3 {
                write!(out, "{} -1 ", item(&mut rng))?;
            }
            if rng.f64() < 0.95 {
                write!(out, "{step} -1 ")?;
            }
        }
        writeln!(out, "{} -1 -2", item(&mut rng))?;
    }
    out.flush()
}

//! Mines benchmark files of the SPMF library and holds the result against recorded ones: number of patterns,
//! SHA-256 of the sorted "pattern #SUP: n" lines, and time.
//!
//! `cargo run --release -p gait-trainer --example spmf_counts -- DIRECTORY [closed|maximal]`, where the
//! directory holds `counts.json` and `<dataset>.txt` files. The recorded results are all frequent patterns;
//! closed and maximal ones are held against those of them that the definition leaves. Data sets whose file is
//! absent are passed over.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gait_trainer::mine::{Database, Keep, Mined, Params, Support, mine, spmf};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Runs of which the fastest counts.
const RUNS: usize = 5;

#[derive(Deserialize)]
struct Recorded {
    dataset: String,
    minsup_rel: f64,
    minsup_abs: u32,
    prefixspan: Run,
    cmspam: Run,
}

#[derive(Deserialize)]
struct Run {
    patterns: usize,
    sha256: String,
    wall_ms: f64,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory =
        arguments.next().context("the first argument must be the directory of the benchmark files")?;
    let keep = match arguments.next().as_deref() {
        None => Keep::All,
        Some("closed") => Keep::Closed,
        Some("maximal") => Keep::Maximal,
        Some(other) => anyhow::bail!("{other:?} is neither closed nor maximal"),
    };
    let directory = Path::new(&directory);
    let recorded: Vec<Recorded> = serde_json::from_reader(open(&directory.join("counts.json"))?)?;
    println!(
        "{:13} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "data set", "support", "patterns", "read ms", "mine ms", "PrefixSp.", "CM-SPAM", "ratio"
    );
    for recorded in recorded {
        let path = directory.join(format!("{}.txt", recorded.dataset));
        if path.exists() {
            compare(&path, &recorded, keep).with_context(|| format!("{} does not match", path.display()))?;
        }
    }
    Ok(())
}

fn compare(path: &Path, recorded: &Recorded, keep: Keep) -> Result<()> {
    let params =
        Params { keep, max_patterns: 100_000_000, ..Params::new(Support::Share(recorded.minsup_rel)) };
    let (mut best, mut result) = ((Duration::MAX, Duration::ZERO), None);
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut database = Database::new();
        spmf::read(open(path)?, &mut database)?;
        let read = start.elapsed();
        let mined = mine(&database, &params)?;
        let total = start.elapsed();
        if total < best.0 + best.1 {
            best = (read, total - read);
        }
        result = Some((database, mined));
    }
    let (database, mined) = result.context("no run")?;
    ensure!(mined.min_support == recorded.minsup_abs, "the threshold is {}", mined.min_support);
    ensure!(mined.complete, "the result is not complete");
    if keep == Keep::All {
        let want = &recorded.prefixspan;
        ensure!(
            mined.patterns.len() == want.patterns,
            "{} patterns, not {}",
            mined.patterns.len(),
            want.patterns
        );
        ensure!(checksum(&lines(&mined)) == want.sha256, "the patterns differ");
    } else {
        let all = mine(&database, &Params { keep: Keep::All, ..params })?;
        ensure!(lines(&mined) == filtered(&all, keep), "the patterns differ from the filtered ones");
    }
    let (read, mine) = (best.0.as_secs_f64() * 1e3, best.1.as_secs_f64() * 1e3);
    println!(
        "{:13} {:7} {:9} {read:9.1} {mine:9.1} {:9.0} {:9.0} {:7.3}",
        recorded.dataset,
        recorded.minsup_abs,
        mined.patterns.len(),
        recorded.prefixspan.wall_ms,
        recorded.cmspam.wall_ms,
        (read + mine) / recorded.prefixspan.wall_ms,
    );
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("failed to open {}", path.display()))
}

fn line(items: &[u32], support: u32) -> String {
    let items: Vec<String> = items.iter().map(u32::to_string).collect();
    format!("{} #SUP: {support}\n", items.join(" -1 "))
}

fn lines(mined: &Mined) -> Vec<String> {
    let mut lines: Vec<String> =
        mined.patterns.iter().map(|pattern| line(pattern.items(), pattern.support())).collect();
    lines.sort_unstable();
    lines
}

fn checksum(lines: &[String]) -> String {
    let hash = lines.iter().fold(Sha256::new(), |hash, line| hash.chain_update(line));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Closed or maximal patterns by their definition: a pattern that one item less makes of a longer one is
/// covered by it.
fn filtered(all: &Mined, keep: Keep) -> Vec<String> {
    let mut covered = std::collections::HashSet::new();
    let supports: std::collections::HashMap<&[u32], u32> =
        all.patterns.iter().map(|pattern| (pattern.items(), pattern.support())).collect();
    for (items, support) in &supports {
        for left_out in 0..items.len() {
            let shorter = [&items[..left_out], &items[left_out + 1..]].concat();
            if keep == Keep::Maximal || supports.get(&shorter[..]) == Some(support) {
                covered.insert(shorter);
            }
        }
    }
    let kept = supports.iter().filter(|(items, _)| !covered.contains(**items));
    let mut lines: Vec<String> = kept.map(|(items, support)| line(items, *support)).collect();
    lines.sort_unstable();
    lines
}

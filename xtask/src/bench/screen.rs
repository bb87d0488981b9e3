//! Names looked up in a list by ours and by rapidfuzz (PyPI), which compares each with every name of the list.
//!
//! The queries are made here, seeded, from the list's own names: as they stand, in another order, with a letter left out,
//! doubled or changed, with a word left out; and as many that are on no list.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::Options;
use crate::shell::{cargo, output, run, say, target_dir};
use crate::{build, python};

/// Queries for ours, and of these the first so many for rapidfuzz, which takes milliseconds for each.
const QUERIES: usize = 20_000;
const THEIR_QUERIES: usize = 1_000;

/// Looks queries up by the scorer named, over all names, as its documentation does.
const RAPIDFUZZ: &str = r#"
import json, sys, time
from rapidfuzz import fuzz, process, utils
names = [utils.default_process(line) for line in open(sys.argv[1], encoding="utf-8").read().split("\n") if line]
queries = [utils.default_process(line) for line in open(sys.argv[2], encoding="utf-8").read().split("\n") if line]
out = {}
for scorer in (fuzz.ratio, fuzz.token_sort_ratio):
    times, found = [], 0
    began = time.perf_counter()
    for query in queries:
        start = time.perf_counter()
        best = process.extractOne(query, names, scorer=scorer, score_cutoff=80)
        times.append(time.perf_counter() - start)
        found += best is not None
    took = time.perf_counter() - began
    times.sort()
    at = lambda share: 1000 * times[int((len(times) - 1) * share)]
    out[scorer.__name__] = {"p50_ms": at(.5), "p99_ms": at(.99), "per_second": len(queries) / took, "found": found}
print(json.dumps(out))
"#;

#[derive(Deserialize)]
struct Ours {
    entities: u64,
    names: u64,
    queries: u64,
    found: u64,
    load_seconds: f64,
    resident_mib: f64,
    peak_mib: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    per_second: f64,
}

#[derive(Deserialize)]
struct Theirs {
    ratio: Fit,
    token_sort_ratio: Fit,
}

#[derive(Deserialize)]
struct Fit {
    p50_ms: f64,
    p99_ms: f64,
    per_second: f64,
    found: u64,
}

/// Measures and prints.
pub(crate) fn screen(options: &Options) -> Result<()> {
    say("building the look-up of names (release)");
    run(cargo().args(["build", "--release", "--package", "gait-agent", "--example", "screen"]))?;
    let example = target_dir().join("release/examples/screen");
    let python = python::with(&["rapidfuzz==3.14.6"])?;
    let dir =
        tempfile::Builder::new().prefix("gait-screen-").tempdir().context("failed to create a directory")?;
    let list = list(options, &example, dir.path())?;
    let (names, queries, few) =
        (dir.path().join("names"), dir.path().join("queries"), dir.path().join("few"));
    run(Command::new(&example).arg("names").arg(&list).arg(&names))?;
    let text = fs::read_to_string(&names).context("failed to read the list's names")?;
    let asked = asked(&text)?;
    fs::write(&queries, asked.join("\n")).context("failed to write the queries")?;
    fs::write(&few, asked[..THEIR_QUERIES].join("\n")).context("failed to write the queries")?;
    let mut best: Option<Ours> = None;
    for _ in 0..options.rounds.max(1) {
        let mut ours = Command::new(&example);
        let ours = output(ours.arg("measure").arg(&list).arg(&queries))?;
        let ours: Ours = serde_json::from_str(&ours).context("the look-up printed something else")?;
        if best.as_ref().is_none_or(|best| ours.p50_ms < best.p50_ms) {
            best = Some(ours);
        }
    }
    let ours = best.context("no round was run")?;
    say("running rapidfuzz");
    let theirs = output(Command::new(python).args(["-c", RAPIDFUZZ]).arg(&names).arg(&few))?;
    let theirs: Theirs = serde_json::from_str(&theirs).context("rapidfuzz printed something else")?;
    print(&ours, &theirs, options.json);
    Ok(())
}

/// The list to look up in: the one named, one built from the files named, or a made one.
fn list(options: &Options, example: &Path, dir: &Path) -> Result<PathBuf> {
    if let Some(list) = &options.list {
        return Ok(list.clone());
    }
    let list = dir.join("list");
    if options.data.is_empty() {
        run(Command::new(example).arg("make").arg(&list))?;
    } else {
        let mut build = Command::new(build::trainer()?);
        build.args(["watchlist", "build", "--max-rejected", "1", "--out"]).arg(&list);
        options.data.iter().for_each(|file| {
            build.arg("--source").arg(file);
        });
        run(&mut build)?;
    }
    Ok(list)
}

/// The queries, made of the list's names.
fn asked(names: &str) -> Result<Vec<String>> {
    let names: Vec<&str> = names.lines().filter(|name| !name.trim().is_empty()).collect();
    ensure!(!names.is_empty(), "the list has no names");
    let mut rng = fastrand::Rng::with_seed(1);
    let queries = (0..QUERIES).map(|at| {
        let name = names[rng.usize(..names.len())];
        match at % 8 {
            0 => name.to_owned(),
            1 => turned(name, &mut rng),
            2 => changed(name, &mut rng),
            3 => shortened(name, &mut rng),
            // Half of all is on no list: the words of two names, mixed and misspelt.
            _ => {
                let other = names[rng.usize(..names.len())];
                let words: Vec<&str> = name.split(' ').take(1).chain(other.split(' ').skip(1)).collect();
                changed(&changed(&words.join(" "), &mut rng), &mut rng)
            }
        }
    });
    Ok(queries.collect())
}

fn turned(name: &str, rng: &mut fastrand::Rng) -> String {
    let mut words: Vec<&str> = name.split(' ').collect();
    rng.shuffle(&mut words);
    words.join(" ")
}

fn changed(name: &str, rng: &mut fastrand::Rng) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = rng.usize(..letters.len().max(1));
    match rng.u8(..3) {
        0 if letters.len() > 3 => drop(letters.remove(at)),
        1 => letters.insert(at, rng.lowercase()),
        _ => letters.iter_mut().skip(at).take(1).for_each(|letter| *letter = rng.lowercase()),
    }
    letters.into_iter().collect()
}

fn shortened(name: &str, rng: &mut fastrand::Rng) -> String {
    let mut words: Vec<&str> = name.split(' ').collect();
    if words.len() > 2 {
        words.remove(rng.usize(..words.len()));
    }
    words.join(" ")
}

fn print(ours: &Ours, theirs: &Theirs, as_json: bool) {
    if as_json {
        let fit = |fit: &Fit| {
            json!({ "p50_ms": fit.p50_ms, "p99_ms": fit.p99_ms, "per_second": fit.per_second, "found": fit.found,
                    "queries": THEIR_QUERIES })
        };
        println!(
            "{}",
            json!({
                "entities": ours.entities, "names": ours.names,
                "gait": { "p50_ms": ours.p50_ms, "p99_ms": ours.p99_ms, "max_ms": ours.max_ms,
                          "per_second": ours.per_second, "found": ours.found, "queries": ours.queries,
                          "load_seconds": ours.load_seconds, "resident_mib": ours.resident_mib,
                          "peak_mib": ours.peak_mib },
                "rapidfuzz_ratio": fit(&theirs.ratio),
                "rapidfuzz_token_sort_ratio": fit(&theirs.token_sort_ratio),
            })
        );
        return;
    }
    println!("{} identities with {} names; one thread", ours.entities, ours.names);
    println!("{:<30} {:>9} {:>9} {:>12} {:>8}", "", "p50 ms", "p99 ms", "a second", "found");
    let row = |name: &str, p50: f64, p99: f64, rate: f64, share: f64| {
        println!("{name:<30} {p50:>9.3} {p99:>9.3} {rate:>12.0} {:>6.1} %", share * 100.0);
    };
    row("gait", ours.p50_ms, ours.p99_ms, ours.per_second, ours.found as f64 / ours.queries as f64);
    for (name, fit) in
        [("rapidfuzz, ratio", &theirs.ratio), ("rapidfuzz, token_sort_ratio", &theirs.token_sort_ratio)]
    {
        row(name, fit.p50_ms, fit.p99_ms, fit.per_second, fit.found as f64 / THEIR_QUERIES as f64);
    }
    println!(
        "gait's slowest query {:.3} ms; list loaded in {:.3} s; {:.0} MiB resident, {:.0} MiB at most",
        ours.max_ms, ours.load_seconds, ours.resident_mib, ours.peak_mib
    );
}

//! What `cargo xtask bench screen` measures of ours: a list is made, its names are written out, or names are looked up in it
//! and timed.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use gait_common::identity::file::{self, ListFile, Origin};
use gait_common::identity::{Entity, ListData, Name, NameKind, Policy, Query, Source, Watchlist};
use serde_json::json;

/// Identities of a list that is made.
const MADE: usize = 15_000;
/// Queries that are asked before anything is measured.
const WARM_UP: usize = 200;

const GIVEN: [&str; 24] = [
    "Ivan", "Olga", "Ahmed", "Fatima", "Wei", "Ming", "Jose", "Maria", "John", "Anna", "Sergei", "Natalia",
    "Hassan", "Leila", "Jun", "Hua", "Carlos", "Elena", "Peter", "Ruth", "Dmitri", "Irina", "Yusuf", "Amina",
];
const SYLLABLES: [&str; 32] = [
    "ba", "cher", "da", "el", "fa", "gor", "ha", "il", "ja", "kov", "lu", "ma", "nov", "o", "pet", "qa",
    "ra", "shi", "ta", "u", "vi", "wen", "xu", "ya", "zha", "min", "ber", "dor", "san", "tor", "rim", "kul",
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", list] => make(list),
        ["names", list, out] => names(list, out),
        ["measure", list, queries] => measure(list, queries),
        _ => bail!("use: make LIST | names LIST OUT | measure LIST QUERIES"),
    }
}

/// A list of made-up names, 15,000 identities with 35,000 names.
fn make(path: &str) -> Result<()> {
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        // SplitMix64: the same list everywhere.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    };
    let mut name = || {
        let mut text = format!("{} ", GIVEN[draw(GIVEN.len())]);
        for word in 0..1 + draw(2) {
            if word > 0 {
                text.push(' ');
            }
            (0..2 + draw(3)).for_each(|_| text.push_str(SYLLABLES[draw(SYLLABLES.len())]));
        }
        text
    };
    let mut entities = Vec::new();
    for at in 0..MADE {
        let mut names = vec![Name::primary(&*name())];
        (0..[1, 1, 2][at % 3]).for_each(|_| names.push(Name::new(&*name(), NameKind::Alias)));
        entities.push(Entity { id: at.to_string(), names, ..Entity::default() });
    }
    let sources = vec![Source { name: "made".to_owned(), ..Source::default() }];
    let data = ListData { sources, entities, ..ListData::default() };
    let bytes = file::write(&ListFile { data, origins: vec![Origin::default()], links: Vec::new() })?;
    fs::write(path, bytes).with_context(|| format!("failed to write {path}"))
}

/// Every name of a list, a line each.
fn names(list: &str, out: &str) -> Result<()> {
    let data = file::read(&fs::read(list).with_context(|| format!("failed to read {list}"))?)?.data;
    let mut text = String::new();
    for name in data.entities.iter().flat_map(|entity| &entity.names) {
        writeln!(text, "{}", name.text.replace(['\n', '\r'], " "))?;
    }
    fs::write(out, text).with_context(|| format!("failed to write {out}"))
}

/// Looks every line up, on one thread.
fn measure(list: &str, queries: &str) -> Result<()> {
    let begun = Instant::now();
    let data = file::read(&fs::read(list).with_context(|| format!("failed to read {list}"))?)?.data;
    let (entities, names) = (data.entities.len(), data.name_count());
    let watchlist = Watchlist::new(data)?;
    let load = begun.elapsed().as_secs_f64();
    let (resident, peak) = memory()?;
    let queries = fs::read_to_string(queries).with_context(|| format!("failed to read {queries}"))?;
    let queries: Vec<Query> = queries.lines().map(Query::name).collect();
    let policy = Policy::default();
    let mut found = 0_usize;
    queries.iter().take(WARM_UP).for_each(|query| drop(watchlist.screen(query, &policy)));
    let mut nanos = Vec::with_capacity(queries.len());
    let begun = Instant::now();
    for query in &queries {
        let begun = Instant::now();
        let answer = watchlist.screen(query, &policy);
        nanos.push(begun.elapsed().as_nanos() as f64);
        found += usize::from(!answer.hits.is_empty());
    }
    let seconds = begun.elapsed().as_secs_f64();
    nanos.sort_by(f64::total_cmp);
    let at = |share: f64| nanos[((nanos.len() - 1) as f64 * share) as usize] / 1e6;
    let answer = json!({
        "entities": entities, "names": names, "queries": queries.len(), "found": found,
        "load_seconds": load, "resident_mib": resident, "peak_mib": peak,
        "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0), "per_second": queries.len() as f64 / seconds,
    });
    #[expect(clippy::print_stdout, reason = "the answer, which xtask reads")]
    {
        println!("{answer}");
    }
    Ok(())
}

/// Memory in MiB: now, and at its most.
fn memory() -> Result<(f64, f64)> {
    let status = fs::read_to_string("/proc/self/status").context("failed to read /proc/self/status")?;
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok())
            .map(|kib| kib / 1024.0)
    };
    Ok((of("VmRSS:").context("no VmRSS")?, of("VmHWM:").context("no VmHWM")?))
}

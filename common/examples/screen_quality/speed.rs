//! How long a query takes against the full list, and how long the index.

use gait_common::identity::{ListData, Policy, Query, Watchlist};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::heldout::{self, Random};

/// Queries that are timed, one after the other on one core.
const QUERIES: usize = 4000;

pub(crate) fn measure(
    list: &ListData,
    watchlist: &Watchlist,
    as_json: bool,
) -> Result<Value, Box<dyn std::error::Error>> {
    let names = list.name_count();
    let copy = list.clone();
    let before = resident();
    let start = on_cpu();
    let second = Watchlist::new(copy)?;
    let load = on_cpu() - start;
    let memory = resident().saturating_sub(before);
    drop(second);

    // Half are changed names of the list, half are names as callers have them: given and family names at random.
    let mut queries: Vec<String> = heldout::latin(list, 23).into_iter().map(|case| case.query).collect();
    let mut random = Random::new(5);
    let shuffle = |queries: &mut Vec<String>, random: &mut Random| {
        for at in (1..queries.len()).rev() {
            queries.swap(at, random.below(at + 1));
        }
    };
    shuffle(&mut queries, &mut random);
    queries.truncate(QUERIES);
    let policy = Policy::default();
    for query in queries.iter().take(200) {
        watchlist.screen(&Query::name(query), &policy);
    }
    let mut times = Vec::with_capacity(QUERIES);
    let all = on_cpu();
    let mut slowest = (0.0, "");
    for query in &queries {
        let start = on_cpu();
        std::hint::black_box(watchlist.screen(&Query::name(query), &policy));
        let took = (on_cpu() - start) * 1e3;
        if took > slowest.0 {
            slowest = (took, query);
        }
        if std::env::var_os("SLOW").is_some() && took > 4.0 {
            println!("{took:.2} {query}");
        }
        times.push(took);
    }
    let per_second = queries.len() as f64 / (on_cpu() - all);
    // Common words of the list, as many as are compared, and every other bound of a name.
    let hostile = [
        "mohammad ali hassan ".repeat(100),
        "a b c d e f ".repeat(100),
        "abdulrahman".repeat(1000),
        "欧阳".repeat(1000),
    ];
    let mut worst = 0.0f64;
    for query in &hostile {
        let start = on_cpu();
        std::hint::black_box(watchlist.screen(&Query::name(query), &policy));
        worst = worst.max((on_cpu() - start) * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    if !as_json {
        println!(
            "\nspeed against {names} names: p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, most {:.3} ms ({}); {per_second:.0} names/s; index {load:.2} s, {:.0} MiB; the worst hostile query {worst:.1} ms",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0),
            slowest.1,
            memory as f64 / 1048576.0
        );
    }
    Ok(json!({"names": names, "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1.0),
              "names_per_second": per_second, "index_seconds": load, "hostile_ms": worst, "memory_bytes": memory}))
}

/// Seconds that this thread has had a processor: what others do on the machine is left out.
fn on_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

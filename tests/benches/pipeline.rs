//! Replays calls through naming, sequences and all detectors, and measures rate, allocations and memory.
//!
//! The calls are those of a small shop: 10,000 callers walk at any time, and sessions begin and end all along. The model is trained on other
//! sessions of the same shop by the trainer itself. One core, one thread; the calls are made before the clock starts.
//! `cargo xtask bench pipeline` runs it; `--json` prints one object.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context as _, Result};
use gait_common::call::{Call, Process};
use gait_common::ingest::{self, Format};
use gait_common::model::Model;
use gait_common::pipeline::Pipeline;
use gait_common::sequence::{Limits, SECOND};
use gait_trainer::corpus::Input;
use gait_trainer::train::{TrainParams, train};

const CALLERS: u32 = 10_000;
const CALLS: usize = 2_000_000;
const ROUNDS: usize = 3;
/// Calls handed over at once, about what one drain of the kernel's rings brings under load.
const BATCH: usize = 512;
const START: u64 = 1_700_000_000 * SECOND;

/// Counts what is allocated.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator unchanged; the counters are atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        LIVE.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One call before it is borrowed.
struct Made {
    start: u64,
    caller: u32,
    method: &'static str,
    target: Box<str>,
}

/// A small deterministic generator (SplitMix64; Steele et al., 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// No place: the caller's session is over.
const LOGGED_OUT: usize = usize::MAX;
/// Where a shopper goes from each place, each way as often as it is listed.
const WAYS: [(&str, &str, &[usize]); 9] = [
    ("POST", "/api/login", &[1, 1, 1, 6]),
    ("GET", "/api/items?page&sort", &[2, 2, 2, 1]),
    ("GET", "/api/items/{}", &[2, 1, 3, 3]),
    ("POST", "/api/cart", &[1, 4, 4, 2]),
    ("GET", "/api/cart", &[5, 5, 1, 3]),
    ("POST", "/api/checkout/{}", &[6, 7, 7, 1]),
    ("GET", "/api/profile", &[1, 7, 1, 8]),
    ("GET", "/api/orders/{}/status", &[7, 8, 8, 6]),
    ("POST", "/api/logout", &[LOGGED_OUT]),
];

/// `count` calls, and how many callers made them. At any time `live` callers walk; when one has logged out (the end of
/// its session) a new one takes its place, so that sessions begin and end all the time.
fn shop(live: u32, count: usize, seed: u64) -> (Vec<Made>, u32) {
    let mut random = Random(seed);
    let mut walking: Vec<(u32, usize)> = (0..live).map(|caller| (caller, 0)).collect();
    let mut callers = live;
    let made = (0..count as u64).map(|n| {
        let walker = &mut walking[random.below(u64::from(live)) as usize];
        let (caller, at) = *walker;
        let (method, path, ways) = WAYS[at];
        *walker = match ways[random.below(ways.len() as u64) as usize] {
            LOGGED_OUT => {
                callers += 1;
                (callers - 1, 0)
            }
            at => (caller, at),
        };
        let id = (random.below(5000) + 1).to_string();
        let target = path.replace("{}", &id).replace("page&sort", "page=2&sort=price").into();
        // A walker calls about every two seconds.
        Made { start: START + n * 2 * SECOND / u64::from(live), caller, method, target }
    });
    (made.collect(), callers)
}

fn names(callers: u32) -> Vec<String> {
    (0..callers).map(|caller| format!("jwt:sub#{caller:016x}")).collect()
}

/// The trainer's model of the same shop.
fn model() -> Result<Arc<Model>> {
    let mut log = tempfile::NamedTempFile::new()?;
    let (made, callers) = shop(400, 40_000, 1);
    let names = names(callers);
    for Made { start, caller, method, target } in made {
        let (ts, caller) = (start, &names[caller as usize]);
        writeln!(
            log,
            r#"{{"ts":{ts},"caller":"{caller}","method":"{method}","path":"{target}","status":200,"duration_ms":3}}"#
        )?;
    }
    log.flush()?;
    let paths = vec![log.path().display().to_string()];
    let input = Input::new(paths, Format::Calls, ingest::Options::default());
    let trained = train(&input, &TrainParams { session_idle: 10 * SECOND, ..TrainParams::default() })?;
    Ok(Arc::new(Model::new(trained.model)?))
}

fn main() -> Result<()> {
    // `cargo test` runs benches too, with `--test`: it only wants to know that this one works.
    let (calls, rounds) =
        if std::env::args().any(|arg| arg == "--bench") { (CALLS, ROUNDS) } else { (20_000, 1) };
    let model = model()?;
    let (made, callers) = shop(CALLERS, calls, 2);
    let names = names(callers);
    let calls: Vec<Call<'_>> = made
        .iter()
        .map(|made| Call {
            start: made.start,
            duration: 3_000_000,
            method: made.method,
            host: "shop.example",
            target: &made.target,
            status: 200,
            caller: &names[made.caller as usize],
            process: Process { pid: 100, comm: "nginx" },
            gap: false,
        })
        .collect();
    let (warm_up, steady) = calls.split_at(calls.len() / 2);
    let mut best = f64::INFINITY;
    let (mut allocations, mut live, mut funnel) = (0, 0, None);
    for _ in 0..rounds {
        let before = LIVE.load(Relaxed);
        let mut pipeline = Pipeline::new(Arc::clone(&model), Limits::default());
        let mut findings = Vec::new();
        replay(&mut pipeline, warm_up, &mut findings);
        let (began, allocated) = (cpu_seconds(), ALLOCATIONS.load(Relaxed));
        replay(&mut pipeline, steady, &mut findings);
        best = best.min(cpu_seconds() - began);
        allocations = ALLOCATIONS.load(Relaxed) - allocated;
        live = LIVE.load(Relaxed) - before;
        funnel = Some(pipeline.funnel());
        black_box(findings);
    }
    let funnel = funnel.context("no round was run")?;
    let rate = steady.len() as f64 / best;
    let per_call = allocations as f64 / steady.len() as f64;
    let mib = live as f64 / f64::from(1 << 20);
    if std::env::args().any(|arg| arg == "--json") {
        println!(
            "{}",
            serde_json::json!({
                "calls": steady.len(), "calls_per_cpu_second": rate.round(), "allocations_per_call": per_call,
                "live_callers": funnel.open_sessions, "memory_mib": mib, "findings": funnel.findings,
            })
        );
        return Ok(());
    }
    println!(
        "naming, sequences and all detectors, one core, best of {rounds} rounds of {} calls",
        steady.len()
    );
    println!("calls per CPU second  {rate:>12.0}");
    println!("allocations per call  {per_call:>12.5}");
    println!("live callers          {:>12}", funnel.open_sessions);
    println!("memory of all state   {mib:>12.1} MiB");
    println!("findings              {:>12}", funnel.findings);
    Ok(())
}

/// CPU time of this thread: what others do on the machine does not count.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn replay(pipeline: &mut Pipeline, calls: &[Call<'_>], findings: &mut Vec<gait_common::finding::Finding>) {
    for batch in calls.chunks(BATCH) {
        pipeline.process(batch, findings);
        if let Some(last) = batch.last() {
            pipeline.advance(last.start, findings);
        }
    }
}

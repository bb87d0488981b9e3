//! What the probes of one call cost on this host, measured on a function of the agent's own.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::sys::{Place, Uprobes};

/// Calls per measurement, and measurements; the quickest counts.
const CALLS: u32 = 1000;
const ROUNDS: usize = 5;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeCost {
    /// What the probes add to one call: one on entry and one on return, without what is done there.
    pub call: Duration,
}

/// Puts probes on a function of this process for some milliseconds, and calls it. Nobody else has it.
///
/// # Errors
/// When the kernel does not admit uprobes, or not for this user.
pub fn probe_cost() -> io::Result<ProbeCost> {
    let uprobes = Uprobes::of_this_kernel()?;
    let offset = offset_of(traced as *const () as u64)?;
    let path = Path::new("/proc/self/exe");
    let without = quickest();
    let place = |is_return| Place { path, offset, is_return, semaphore: None };
    let probes = [uprobes.event(&place(false))?, uprobes.event(&place(true))?];
    let with = quickest();
    drop(probes);
    Ok(ProbeCost { call: with.saturating_sub(without) / CALLS })
}

/// Something that takes next to no time, and is called.
#[inline(never)]
extern "C" fn traced(number: u64) -> u64 {
    black_box(number).wrapping_mul(3)
}

fn quickest() -> Duration {
    let round = || {
        let start = Instant::now();
        (0..CALLS).for_each(|number| {
            black_box(black_box(traced as extern "C" fn(u64) -> u64)(number.into()));
        });
        start.elapsed()
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

/// Where in the program's file the code at an address is.
fn offset_of(address: u64) -> io::Result<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let find = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (start, end, offset) = (hex(start)?, hex(end)?, hex(fields.nth(1)?)?);
        (start..end).contains(&address).then(|| address - start + offset)
    };
    maps.lines().find_map(find).ok_or_else(|| io::Error::other("the program does not find itself in its map"))
}

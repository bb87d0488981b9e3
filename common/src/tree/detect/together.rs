//! Whether a source is slow as a whole: then what its functions share is slow (its CPU, its disk, a service that they all call),
//! and that is said once, not of each.
//!
//! Nothing is tested here: a latency shift is reported because its evidence passed the limit, and the stated rate of false
//! alarms stays what it is. That nearly all others are slow too is a reason to say something else of it, and to
//! say it of all.

use rustc_hash::FxHashMap;

use super::QUIET;
use crate::finding::{Together, TreeFinding};
use crate::tree::FunctionId;

/// Roots that must have been timed in a window.
const LEAST_ROOTS: usize = 4;
/// Of the roots that were timed, those that may be as fast as ever.
const SPARED: f64 = 0.2;
/// A root that is so many times slower than the others has a reason of its own.
const APART: f64 = 2.0;

/// What a window shows of how fast a source's roots are.
#[derive(Debug, Default)]
pub(super) struct Speeds {
    /// For each root its calls, and how much slower they were altogether, as a logarithm.
    roots: FxHashMap<FunctionId, (f64, f64)>,
    /// Latency shifts that were reported: place among the findings, and how much slower.
    shifts: Vec<(usize, f64)>,
    /// Sources that were reported as a whole, and windows since then in which they were not slow.
    reported: FxHashMap<u32, u32>,
}

impl Speeds {
    /// Some calls of a root were slower than usual by this logarithm.
    pub(super) fn timed(&mut self, root: FunctionId, calls: f64, slower: f64) {
        let (all, sum) = self.roots.entry(root).or_default();
        *all += calls;
        *sum += calls * slower;
    }

    /// A latency shift was reported.
    pub(super) fn shifted(&mut self, at: usize, slower: f64) {
        self.shifts.push((at, slower));
    }

    /// Ends the window of a source: where nearly all of its roots were slow, the strongest of its shifts stands for all.
    pub(super) fn conclude(&mut self, source: u32, least: f64, calls: f64, out: &mut Vec<TreeFinding>) {
        let mut slower: Vec<f64> =
            self.roots.drain().filter(|(_, (n, _))| *n >= calls).map(|(_, (n, sum))| sum / n).collect();
        let mut shifts = std::mem::take(&mut self.shifts);
        slower.sort_by(f64::total_cmp);
        let spared = (SPARED * slower.len() as f64) as usize;
        if slower.len() < LEAST_ROOTS || slower[spared] < least {
            if let Some(quiet) = self.reported.get_mut(&source) {
                *quiet += 1;
                if *quiet >= QUIET {
                    self.reported.remove(&source);
                }
            }
            return;
        }
        let median = slower[slower.len() / 2];
        shifts.retain(|&(_, by)| by < median + APART.ln());
        let strongest =
            |a: &&(usize, f64), b: &&(usize, f64)| out[a.0].evidence.total_cmp(&out[b.0].evidence);
        let Some(&(stands, _)) = shifts.iter().max_by(strongest) else { return };
        let said = self.reported.insert(source, 0).is_some();
        if !said {
            let finding = &mut out[stands];
            let slow = slower.iter().filter(|by| **by >= least).count() as u32;
            let together = Together { slow, of: slower.len() as u32, factor: median.exp() };
            finding.text = format!(
                "{slow} of {} roots are slower at once ({:.1} times, median): what they share is slow (CPU, disk, a service that they call) rather than one of them; the surest: {}",
                together.of, together.factor, finding.text
            );
            finding.together = Some(together);
        }
        for &(at, _) in shifts.iter().rev().filter(|&&(at, _)| said || at != stands) {
            out.remove(at);
        }
    }
}

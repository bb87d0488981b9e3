//! Groups of callers with like habits, and what a session says about its caller's.
//!
//! Training builds a matrix with a row per caller and a column per frequent call group (calls made one after the other),
//! the value the call group's weighted frequency among those of its length, and deals the rows into groups by k-means.
//! Two kinds of evidence come of it, each against the habits of the session's caller (see [`Habits`]):
//!
//! *Distance.* The session's own row is compared with the row that the caller's habits make expect: the groups' centres,
//! mixed as the caller mixes them, both brought to length 1. A short session says little, so its row is first drawn towards the expected one by
//! [`DRAWN`] calls' worth. The amount is the distance in units of the group's limit, which is wider for callers who mix groups
//! that are far from each other. A caller of little history is
//! compared with the nearest centre.
//!
//! *Another group.* Each group has its own probability for every step. `L_k` is the session's probability under group k,
//! over that in the whole population; `H` the same under the caller's habits: step by step a mixture of the groups, or
//! one group for the whole session, whichever explains the session better. The amount is `log2(sum_k P(k) L_k / H)`: by
//! how many bits somebody out of the population explains the session better than its caller. Without history that is 0;
//! h steps of it are good for `log2(1 + h / 8)` bits at most. A blend of the caller's group and another is not held
//! against it, as no single group explains that better: that is how habits drift.

mod columns;
mod habits;

pub use columns::{Columns, MAX_COLUMNS, Tally};
pub use habits::{Habit, Habits, MAX_HISTORY};

use serde::{Deserialize, Serialize};

use crate::interface::InterfaceId;

use super::{Context, Markov};
pub(super) use columns::NONE;
use habits::{LITTLE, PRIOR};

/// Most groups there may be.
pub const MAX_GROUPS: usize = 10;
/// Most callers of which a model knows the habits.
pub const MAX_CALLERS: usize = 1 << 16;
/// Calls by which a session's row is drawn towards what is expected of its caller.
const DRAWN: f32 = 16.0;
/// How much further the sessions of a caller who mixes groups may be from the mixture, squared, per squared spread of the
/// groups: now it does the one, now the other.
const MIXED: f32 = 3.0;
/// Evidence for another group below this many bits is nothing.
const LEAST_BITS: f32 = 0.5;
/// Rounds in which a session's steps are dealt out to the groups.
const DEALS: usize = 12;
/// No step speaks for or against a group by more bits than a model may say.
const MAX_BITS: f32 = 16.0;

/// The groups as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupsData {
    /// The key of the callers' hashes.
    pub key: [u8; 32],
    /// The columns of the matrix: call groups, each the interfaces called one after the other.
    pub columns: Vec<Vec<InterfaceId>>,
    /// How much the call groups of each length count, from length 1.
    pub weights: Vec<f32>,
    /// The groups.
    pub groups: Vec<GroupData>,
    /// The callers whose habits are known, by ascending hash.
    pub callers: Vec<CallerData>,
    /// The numbers of groups that were tried, with the Davies-Bouldin index of each.
    pub tried: Vec<(u32, f64)>,
}

/// One group as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupData {
    /// Callers in it.
    pub callers: u64,
    /// Its centre, a value per column.
    pub centre: Vec<f32>,
    /// `log2` of how much likelier each column's last call is in this group, after the column's other calls, than in the
    /// whole population.
    pub bits: Vec<f32>,
    /// Mean distance of its callers from the centre.
    pub mean: f64,
    /// Standard deviation of that distance. Two above the mean is anomalous, three extreme.
    pub deviation: f64,
    /// The distance that callers held out exceed at the stated false-alarm rate.
    pub limit: f64,
    /// The same for single sessions, drawn towards what is expected: what sessions are judged by.
    pub session_limit: f64,
}

/// What a model keeps of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerData {
    /// Keyed hash of its name.
    pub hash: u64,
    /// Its group.
    pub group: u8,
    /// Steps of history, at most [`MAX_HISTORY`].
    pub history: u16,
    /// How much of them was done the way of each group; only their ratios count.
    pub shares: Vec<u8>,
}

/// The groups ready for use.
#[derive(Debug, Default)]
pub struct Groups {
    data: GroupsData,
    columns: Columns,
    /// By column and group: `log2` of the likelihood ratio, the ratio, and the centres.
    bits: Vec<f32>,
    ratio: Vec<f32>,
    centre: Vec<f32>,
    /// Dot products of the centres.
    dots: [[f32; MAX_GROUPS]; MAX_GROUPS],
    /// Each group's share of the callers.
    prior: [f32; MAX_GROUPS],
}

/// What a session has shown about its caller's habits so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stance {
    /// The caller's hash; none before the session has begun, or when there are no groups.
    caller: Option<u64>,
    /// Steps of history behind `shares`.
    history: f32,
    /// What is expected of the caller: a share per group.
    shares: [f32; MAX_GROUPS],
    /// `log2` of the session's likelihood under each group, and under `shares` step by step, over the population's.
    bits: [f32; MAX_GROUPS],
    own: f32,
    /// The session's steps as far as they were dealt out to the groups.
    steps: [f32; MAX_GROUPS],
    /// The group that the session was last measured against.
    pub(super) group: u8,
}

impl Groups {
    /// Checks stored data and builds the look-up tables. `interfaces` is how many interface ids there are.
    ///
    /// # Errors
    /// What is wrong with the data.
    pub fn new(data: GroupsData, markov: &Markov, interfaces: u32) -> Result<Self, &'static str> {
        let columns = Columns::new(&data.columns, markov, interfaces)?;
        if data.groups.is_empty() || data.groups.len() > MAX_GROUPS {
            return Err("there are too many groups of callers, or none");
        }
        if data.weights.len() < columns.order() || data.weights.len() > super::MAX_ORDER {
            return Err("the group matrix has no weight for a length of its columns, or too many");
        }
        let is_share = |x: &f32| (0.0..=1.0).contains(x);
        if !data.weights.iter().chain(data.groups.iter().flat_map(|group| &group.centre)).all(is_share) {
            return Err("a weight or a centre of the group matrix is not a number from 0 to 1");
        }
        for group in &data.groups {
            if group.centre.len() != columns.len() || group.bits.len() != columns.len() {
                return Err("a group of callers has other columns than the group matrix");
            }
            if group.bits.iter().any(|bits| !bits.is_finite() || bits.abs() > MAX_BITS) {
                return Err("a likelihood ratio of a group of callers is not finite, or too large");
            }
            let distances = [group.mean, group.deviation, group.limit, group.session_limit];
            if distances.iter().any(|x| !x.is_finite() || *x < 0.0) || group.session_limit <= 0.0 {
                return Err("a distance of a group of callers is negative or not finite");
            }
            if group.callers > u64::from(u32::MAX) {
                return Err("a group has too many callers");
            }
        }
        if data.callers.len() > MAX_CALLERS || !data.callers.is_sorted_by(|a, b| a.hash < b.hash) {
            return Err("the table of callers is too long or not sorted");
        }
        let k = data.groups.len();
        let sound = |caller: &CallerData| {
            caller.shares.len() == k
                && caller.shares.iter().any(|&share| share > 0)
                && usize::from(caller.group) < k
                && f32::from(caller.history) <= MAX_HISTORY
        };
        if !data.callers.iter().all(sound) {
            return Err("a caller's habits are not those of the groups");
        }
        if data.tried.iter().any(|(_, index)| !index.is_finite()) {
            return Err("a Davies-Bouldin index is not finite");
        }
        Ok(Self::build(data, columns))
    }

    fn build(data: GroupsData, columns: Columns) -> Self {
        let by_column = |value: &dyn Fn(&GroupData, usize) -> f32| -> Vec<f32> {
            (0..columns.len()).flat_map(|at| data.groups.iter().map(move |group| value(group, at))).collect()
        };
        let bits = by_column(&|group, at| group.bits[at]);
        let centre = by_column(&|group, at| group.centre[at]);
        let ratio = bits.iter().map(|bits| bits.exp2()).collect();
        let (mut dots, mut prior) = ([[0.0; MAX_GROUPS]; MAX_GROUPS], [0.0; MAX_GROUPS]);
        let all: f32 = data.groups.iter().map(|group| group.callers as f32 + 1.0).sum();
        for (a, group) in data.groups.iter().enumerate() {
            prior[a] = (group.callers as f32 + 1.0) / all;
            for (b, other) in data.groups.iter().enumerate() {
                dots[a][b] = group.centre.iter().zip(&other.centre).map(|(x, y)| x * y).sum();
            }
        }
        Self { data, columns, bits, ratio, centre, dots, prior }
    }

    /// What is stored.
    pub fn data(&self) -> &GroupsData {
        &self.data
    }

    /// The key of a model's callers: not a secret, but another for each training run.
    pub fn key(run: &[u64]) -> [u8; 32] {
        let bytes: Vec<u8> = run.iter().flat_map(|number| number.to_le_bytes()).collect();
        blake3::derive_key("gait 2026 groups of callers", &bytes)
    }

    /// The columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The hash by which a caller is known.
    pub fn hash(key: &[u8; 32], caller: &str) -> u64 {
        let hash = blake3::keyed_hash(key, caller.as_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default())
    }

    /// The interfaces whose calls tell a group from the others, the most telling first.
    pub fn typical(&self, group: usize) -> impl Iterator<Item = InterfaceId> + '_ {
        typical(&self.data, group).into_iter()
    }

    /// What training knows of a caller's habits.
    fn trained(&self, caller: u64) -> Habit {
        let Ok(at) = self.data.callers.binary_search_by_key(&caller, |known| known.hash) else {
            return Habit::default();
        };
        let CallerData { history, shares, .. } = &self.data.callers[at];
        let sum: f32 = shares.iter().map(|&share| f32::from(share)).sum();
        let mut habit = Habit::default();
        for (steps, &share) in habit.0.iter_mut().zip(shares) {
            *steps = f32::from(*history) * f32::from(share) / sum;
        }
        habit
    }

    /// Begins a session of a caller.
    pub(super) fn begin(&self, caller: &str, habits: &Habits) -> Stance {
        let hash = Self::hash(&self.data.key, caller);
        let habit = habits.of(self, hash);
        let history = habit.history();
        let mut shares = self.prior;
        for (share, steps) in shares.iter_mut().zip(habit.0) {
            *share = (steps + PRIOR * *share) / (history + PRIOR);
        }
        Stance { caller: Some(hash), history, shares, ..Stance::default() }
    }

    /// Takes a step in, after which the session stands at `context`; gives the column that ends there.
    pub(super) fn observe(&self, stance: &mut Stance, context: &Context) -> u16 {
        if stance.caller.is_none() {
            return NONE;
        }
        let column = self.columns.longest(context);
        if column == NONE {
            return NONE;
        }
        let k = self.data.groups.len();
        let row = usize::from(column) * k..(usize::from(column) + 1) * k;
        let mixed: f32 =
            stance.shares.iter().zip(&self.ratio[row.clone()]).map(|(share, ratio)| share * ratio).sum();
        stance.own += mixed.log2();
        stance.bits.iter_mut().zip(&self.bits[row]).for_each(|(sum, bits)| *sum += bits);
        column
    }

    /// Deals steps out to the groups, each step given by the longest column that ends with it: the shares under which the
    /// steps together are likeliest, found by expectation maximisation from the whole population's. Begun at what is expected
    /// of the caller it would find that again: habits would grow ever surer of themselves, and follow no change.
    pub(super) fn deal(&self, stance: &mut Stance, steps: impl Iterator<Item = u16> + Clone) {
        let k = self.data.groups.len();
        let rows = || steps.clone().filter_map(|column| self.ratio.get(usize::from(column) * k..)?.get(..k));
        let count = rows().count() as f32;
        if stance.caller.is_none() || count == 0.0 {
            return;
        }
        let mut shares = self.prior;
        for _ in 0..DEALS {
            let mut sums = [0.0; MAX_GROUPS];
            for row in rows() {
                let mut parts = [0.0; MAX_GROUPS];
                let parts = &mut parts[..k];
                parts
                    .iter_mut()
                    .zip(&shares)
                    .zip(row)
                    .for_each(|((part, share), ratio)| *part = share * ratio);
                let scale = 1.0 / parts.iter().sum::<f32>();
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += *part * scale);
            }
            shares = sums.map(|sum| sum / count);
        }
        stance.steps.iter_mut().zip(shares).for_each(|(steps, share)| *steps += share * count);
    }

    /// By how many bits somebody of the population explains the session better than its caller. Amounts of at most
    /// `floor` are not worked out.
    pub(super) fn another(&self, stance: &Stance, floor: f32) -> f32 {
        let k = self.data.groups.len();
        let most = stance.bits[..k].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // No mixture explains more than the best of its parts.
        if stance.caller.is_none() || most - stance.own <= floor.max(LEAST_BITS) {
            return 0.0;
        }
        let mixture = |shares: &[f32; MAX_GROUPS]| {
            let sum: f32 =
                shares.iter().zip(&stance.bits[..k]).map(|(share, bits)| share * (bits - most).exp2()).sum();
            most + sum.log2()
        };
        let amount = mixture(&self.prior) - mixture(&stance.shares).max(stance.own);
        if amount >= LEAST_BITS { amount } else { 0.0 }
    }

    /// What was seen so far counts half from here on: in a session without end, the latest steps must be heard.
    pub(super) fn fade(&self, stance: &mut Stance) {
        stance.own /= 2.0;
        stance.bits.iter_mut().for_each(|bits| *bits /= 2.0);
    }

    /// Distance of a session's row, given by the longest column that ends at each step and whether something was lost
    /// before it, from what is expected of its caller, in units of the group's limit.
    pub(super) fn distance(&self, stance: &mut Stance, steps: impl Iterator<Item = (u16, bool)>) -> f32 {
        if stance.caller.is_none() {
            return 0.0;
        }
        let k = self.data.groups.len();
        let mut tally = Tally::default();
        for (column, gap) in steps {
            if gap {
                tally.cut();
            }
            tally.add(&self.columns, column);
        }
        let (mut square, mut dots) = (0.0, [0.0; MAX_GROUPS]);
        for (column, value) in tally.values(&self.columns, &self.data.weights) {
            square += value * value;
            let centres = &self.centre[column * k..(column + 1) * k];
            dots.iter_mut().zip(centres).for_each(|(dot, centre)| *dot += value * centre);
        }
        // |x - m| for the row x and the mixture m of the centres by `shares`, both brought to length one.
        let from = |shares: &[f32; MAX_GROUPS]| {
            let (mut across, mut expected) = (0.0, 0.0);
            for a in 0..k {
                across += shares[a] * dots[a];
                expected += shares[a] * (0..k).map(|b| shares[b] * self.dots[a][b]).sum::<f32>();
            }
            let lengths = (square * expected).sqrt();
            let cosine = if lengths > 0.0 { across / lengths } else { 0.0 };
            (2.0 - 2.0 * cosine).max(0.0).sqrt()
        };
        let alone = |group: usize| {
            let mut shares = [0.0; MAX_GROUPS];
            shares[group] = 1.0;
            from(&shares)
        };
        let (group, distance) = if !stance.has_history() {
            let nearest = (0..k).map(|group| (group, alone(group))).min_by(|a, b| a.1.total_cmp(&b.1));
            nearest.unwrap_or_default()
        } else {
            (largest(&stance.shares[..k]), from(&stance.shares))
        };
        stance.group = group as u8;
        let mixed = if stance.has_history() { self.spread(&stance.shares) } else { 0.0 };
        let usual = self.data.groups[group].session_limit as f32 * (1.0 + MIXED * mixed).sqrt();
        let calls = tally.calls() as f32;
        calls / (calls + DRAWN) * distance / usual
    }

    /// Mean squared distance of the centres from their mixture by `shares`.
    fn spread(&self, shares: &[f32; MAX_GROUPS]) -> f32 {
        let k = self.data.groups.len();
        let to_mixture =
            |a: usize| self.dots[a][a] - (0..k).map(|b| shares[b] * self.dots[a][b]).sum::<f32>();
        (0..k).map(|a| shares[a] * to_mixture(a)).sum::<f32>().max(0.0)
    }

    /// Takes a session into its caller's habits; gives what it adds.
    pub(super) fn learn(&self, stance: &Stance, habits: &mut Habits) -> Habit {
        if let Some(caller) = stance.caller {
            habits.learn(self, caller, &stance.steps);
        }
        Habit(stance.steps)
    }

    /// Takes in what another session of a caller added.
    pub(super) fn recall(&self, caller: &str, steps: &Habit, habits: &mut Habits) {
        habits.learn(self, Self::hash(&self.data.key, caller), &steps.0);
    }

    /// The groups that the caller's habits and the session come nearest to.
    pub(super) fn sides(&self, stance: &Stance) -> (usize, usize) {
        let k = self.data.groups.len();
        (largest(&stance.shares[..k]), largest(&stance.bits[..k]))
    }
}

impl Stance {
    /// Whether the caller is judged by its own habits.
    pub(super) fn has_history(&self) -> bool {
        self.history >= LITTLE
    }
}

/// The interfaces whose calls tell a group from the others, the most telling first.
pub fn typical(data: &GroupsData, group: usize) -> Vec<InterfaceId> {
    let Some(this) = data.groups.get(group) else { return Vec::new() };
    let others = data.groups.len().max(2) as f32 - 1.0;
    let mut telling: Vec<(f32, InterfaceId)> = Vec::new();
    for (at, column) in data.columns.iter().enumerate() {
        let at_centre = |group: &GroupData| group.centre.get(at).copied().unwrap_or_default();
        let [call] = column[..] else { continue };
        let rest = data.groups.iter().map(at_centre).sum::<f32>() - at_centre(this);
        let more = at_centre(this) - rest / others;
        if more > 0.0 {
            telling.push((more, call));
        }
    }
    telling.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    telling.into_iter().map(|(_, call)| call).collect()
}

/// The place of the largest number, the first of equals.
fn largest(numbers: &[f32]) -> usize {
    (0..numbers.len()).rev().max_by(|&a, &b| numbers[a].total_cmp(&numbers[b])).unwrap_or_default()
}

#[cfg(test)]
mod tests;

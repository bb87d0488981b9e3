//! What is known of a caller's habits: how much of what it does is done the way of each group.
//!
//! Training leaves the habits of the callers it knows in the model. The live side goes on from there: every session
//! that was not reported adds its steps, a bounded number of them, and what is old fades. So habits that drift slowly
//! are followed, and a session of other habits stands out before it is learned.

use std::mem;

use rustc_hash::FxHashMap;

use super::{Groups, MAX_GROUPS};

/// Steps for which the whole population speaks, beside a caller's own.
pub(super) const PRIOR: f32 = 8.0;
/// Steps of history from which on a caller is judged by its own habits; before, by the group it comes nearest to.
pub(super) const LITTLE: f32 = 16.0;
/// Steps that are remembered: what is older fades.
pub const MAX_HISTORY: f32 = 256.0;
/// The share of its history that one session may add.
const MOST_AT_ONCE: f32 = 0.25;
/// Callers remembered in each of the two generations.
const GENERATION: usize = 1 << 15;

/// How many steps a caller made the way of each group, old ones fading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habit(pub [f32; MAX_GROUPS]);

impl Habit {
    /// Steps remembered.
    pub fn history(&self) -> f32 {
        self.0.iter().sum()
    }

    /// Adds a session's steps: not more than a share of what is there, and so that the whole stays bounded.
    pub fn add(&mut self, steps: &[f32; MAX_GROUPS]) {
        let (have, sum) = (self.history(), steps.iter().sum::<f32>());
        if !sum.is_finite() || sum <= 0.0 {
            return;
        }
        let taken = sum.min((MOST_AT_ONCE * have).max(PRIOR));
        let kept = if have > 0.0 { have.min(MAX_HISTORY - taken) / have } else { 0.0 };
        for (have, new) in self.0.iter_mut().zip(steps) {
            *have = *have * kept + new * taken / sum;
        }
    }
}

/// The habits of callers that were seen live, and the sessions they learned from.
#[derive(Debug, Default)]
pub struct Habits {
    /// Callers seen lately. When this is full it becomes `old`, and what was in that is forgotten.
    young: FxHashMap<u64, Habit>,
    old: FxHashMap<u64, Habit>,
    forgotten: u64,
}

impl Habits {
    /// What is known of a caller.
    pub fn of(&self, groups: &Groups, caller: u64) -> Habit {
        let live = self.young.get(&caller).or_else(|| self.old.get(&caller));
        live.copied().unwrap_or_else(|| groups.trained(caller))
    }

    pub(super) fn learn(&mut self, groups: &Groups, caller: u64, steps: &[f32; MAX_GROUPS]) {
        let mut habit = self.of(groups, caller);
        habit.add(steps);
        if self.young.len() >= GENERATION && !self.young.contains_key(&caller) {
            let gone = mem::replace(&mut self.old, mem::take(&mut self.young));
            self.forgotten += gone.keys().filter(|caller| !self.old.contains_key(caller)).count() as u64;
        }
        self.young.insert(caller, habit);
    }

    /// Callers that were forgotten for room: for them the model's knowledge counts again.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(group: usize, count: f32) -> [f32; MAX_GROUPS] {
        let mut steps = [0.0; MAX_GROUPS];
        steps[group] = count;
        steps
    }

    #[test]
    fn habits_follow_slowly_and_stay_bounded() {
        let mut habit = Habit::default();
        (0..200).for_each(|_| habit.add(&steps(0, 10.0)));
        assert!((habit.history() - MAX_HISTORY).abs() < 0.1, "{habit:?}");
        habit.add(&steps(1, 1e6));
        assert!(
            habit.0[1] <= MOST_AT_ONCE * MAX_HISTORY + 0.1,
            "one session does not turn a habit: {habit:?}"
        );
        (0..200).for_each(|_| habit.add(&steps(1, 10.0)));
        assert!(habit.0[1] > 0.95 * MAX_HISTORY && habit.history() <= MAX_HISTORY + 0.1, "{habit:?}");
        let before = habit;
        habit.add(&steps(2, f32::INFINITY));
        habit.add(&steps(2, f32::NAN));
        assert_eq!(habit, before);
    }

    #[test]
    fn the_table_is_bounded_and_counts_what_it_forgets() {
        let (groups, mut habits) = (Groups::default(), Habits::default());
        for caller in 0..4 * GENERATION as u64 {
            habits.learn(&groups, caller, &steps(0, 5.0));
        }
        assert!(habits.young.len() + habits.old.len() <= 2 * GENERATION);
        assert_eq!(habits.forgotten() as usize + habits.young.len() + habits.old.len(), 4 * GENERATION);
        assert!(habits.of(&groups, 4 * GENERATION as u64 - 1).history() > 0.0);
    }
}

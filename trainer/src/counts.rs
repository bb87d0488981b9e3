//! Counting how often sessions call what.

use gait_common::detect::{CountsData, Histogram, SessionState};
use gait_common::sequence::Step;

/// How often sessions call what. Each session comes with its witness; numbers that only one witness reaches are left
/// out, as a single caller's excess is not what is normal.
pub fn count<'a>(sessions: impl Iterator<Item = (u32, &'a [Step])>, interfaces: usize) -> CountsData {
    let mut length = Tally::default();
    let mut calls = vec![Tally::default(); interfaces];
    let mut values = vec![Tally::default(); interfaces];
    let mut state = SessionState::default();
    let mut counted = 0;
    for (witness, steps) in sessions {
        counted += 1;
        length.add(steps.len() as u32, witness);
        state.reset();
        for step in steps {
            state.count(step);
        }
        for (interface, called, different) in state.counts() {
            calls[interface as usize].add(called, witness);
            if different > 0 {
                values[interface as usize].add(different, witness);
            }
        }
    }
    let finish = |tallies: Vec<Tally>| tallies.into_iter().map(Tally::finish).collect();
    CountsData { sessions: counted, length: length.finish(), calls: finish(calls), values: finish(values) }
}

/// A histogram that knows how far two witnesses agree.
#[derive(Clone, Debug, Default)]
struct Tally {
    histogram: Histogram,
    /// The largest number, with its witness, and the largest of any other witness.
    most: Option<(u32, u32)>,
    next: Option<u32>,
}

impl Tally {
    fn add(&mut self, number: u32, witness: u32) {
        self.histogram.add(number);
        match self.most {
            Some((most, of)) if of == witness => self.most = Some((most.max(number), of)),
            Some((most, _)) if number > most => {
                self.next = Some(most);
                self.most = Some((number, witness));
            }
            Some(_) => self.next = self.next.max(Some(number)),
            None => self.most = Some((number, witness)),
        }
    }

    fn finish(mut self) -> Histogram {
        self.histogram.cut_above(self.next.unwrap_or(0));
        self.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_only_one_witness_reaches_are_left_out() {
        let mut tally = Tally::default();
        for (number, witness) in [(3, 1), (5, 1), (9, 2), (100, 2), (4, 3), (200, 2)] {
            tally.add(number, witness);
        }
        let histogram = tally.finish();
        assert_eq!((histogram.largest(), histogram.total()), (5, 3));
    }

    #[test]
    fn calls_and_values_are_counted_per_session() {
        let step = |interface, value| Step { interface, value, ..Step::default() };
        let session = [step(1, 7), step(1, 8), step(1, 8), step(2, 0)];
        let data = count([(1, &session[..]), (2, &session[..])].into_iter(), 3);
        assert_eq!((data.sessions, data.length.largest()), (2, 4));
        assert_eq!((data.calls[1].largest(), data.values[1].largest()), (3, 2));
        assert_eq!((data.calls[2].total(), data.values[2].total()), (2, 0));
    }
}

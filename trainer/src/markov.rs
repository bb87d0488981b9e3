//! Counting n-grams, and tuning the back-off on sessions held out.

use std::collections::VecDeque;

use gait_common::detect::{BEGIN, END, Gram, MAX_ORDER, Markov, MarkovData};
use gait_common::interface::InterfaceId;
use rustc_hash::FxHashMap;

/// Candidates for a back-off strength.
const STRENGTHS: [f64; 7] = [0.02, 0.05, 0.15, 0.4, 1.0, 2.5, 6.0];

/// Counts the n-grams of sessions.
#[derive(Clone, Debug)]
pub struct Counter {
    order: usize,
    child: FxHashMap<(u32, InterfaceId), u32>,
    nodes: Vec<Node>,
}

/// One n-gram while it is counted.
#[derive(Clone, Copy, Debug)]
struct Node {
    count: u64,
    /// The witness that showed it first, and whether another one did too.
    witness: u32,
    shared: bool,
}

impl Counter {
    /// A counter for a model of this order, at most [`MAX_ORDER`].
    pub fn new(order: usize) -> Self {
        Self {
            order: order.min(MAX_ORDER),
            child: FxHashMap::default(),
            nodes: vec![Node { count: 0, witness: 0, shared: true }],
        }
    }

    /// Counts one session: its calls, each with whether something was lost just before it. The end counts where the
    /// session is `complete`. What no second `witness` shows is left out of the model: a single caller's oddities are
    /// not what is normal, even when they are in the training data.
    pub fn add(&mut self, session: impl Iterator<Item = (InterfaceId, bool)>, complete: bool, witness: u32) {
        let mut active = vec![0];
        self.push(&mut active, BEGIN, witness);
        for (symbol, gap) in session {
            if gap {
                active.truncate(1);
            }
            self.push(&mut active, symbol, witness);
        }
        if complete {
            self.push(&mut active, END, witness);
        }
    }

    /// Counts `symbol` after every context in `active` (the nodes of the last 0, 1, ... symbols), and moves them on.
    fn push(&mut self, active: &mut Vec<u32>, symbol: InterfaceId, witness: u32) {
        let mut next = Vec::with_capacity(self.order + 1);
        next.push(0);
        for &context in active.iter() {
            let fresh = self.nodes.len() as u32;
            let node = *self.child.entry((context, symbol)).or_insert(fresh);
            if node == fresh {
                self.nodes.push(Node { count: 0, witness, shared: false });
            }
            let seen = &mut self.nodes[node as usize];
            seen.count += 1;
            seen.shared |= seen.witness != witness;
            if next.len() <= self.order {
                next.push(node);
            }
        }
        *active = next;
    }

    /// The counts as a model stores them: parents first, children sorted.
    pub fn finish(&self, backoff: Vec<f64>) -> MarkovData {
        let mut children: FxHashMap<u32, Vec<(InterfaceId, u32)>> = FxHashMap::default();
        for (&(parent, symbol), &node) in
            self.child.iter().filter(|(_, node)| self.nodes[**node as usize].shared)
        {
            children.entry(parent).or_default().push((symbol, node));
        }
        children.values_mut().for_each(|list| list.sort_unstable());
        let mut grams = Vec::with_capacity(self.child.len());
        let mut queue = VecDeque::from([(0, 0)]);
        while let Some((node, place)) = queue.pop_front() {
            for &(symbol, child) in children.get(&node).map_or(&[][..], Vec::as_slice) {
                grams.push(Gram { parent: place, symbol, count: self.nodes[child as usize].count });
                queue.push_back((child, grams.len() as u32));
            }
        }
        MarkovData { backoff, grams }
    }

    /// The back-off strengths under which `held_out` is least surprising, found one order after the other, twice over.
    pub fn tune(&self, held_out: &[Vec<InterfaceId>], interfaces: u32) -> Vec<f64> {
        let mut backoff = vec![1.0; self.order + 1];
        let Ok(mut model) = Markov::new(self.finish(backoff.clone()), interfaces) else { return backoff };
        if held_out.is_empty() {
            return backoff;
        }
        for order in (0..backoff.len()).chain(0..backoff.len()) {
            let mut surprise = |strength: f64| {
                model.set_backoff(order, strength);
                total(&model, held_out)
            };
            let costs = STRENGTHS.map(&mut surprise);
            let best = (0..costs.len()).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or_default();
            backoff[order] = STRENGTHS[best];
            model.set_backoff(order, STRENGTHS[best]);
        }
        backoff
    }
}

/// Surprise of all sessions, in bits.
fn total(model: &Markov, sessions: &[Vec<InterfaceId>]) -> f64 {
    let session = |steps: &Vec<InterfaceId>| {
        let mut context = model.start();
        steps
            .iter()
            .chain([&END])
            .map(|&symbol| f64::from(model.step(&mut context, symbol).bits))
            .sum::<f64>()
    };
    sessions.iter().map(session).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(session: &[InterfaceId]) -> impl Iterator<Item = (InterfaceId, bool)> + '_ {
        session.iter().map(|&symbol| (symbol, false))
    }

    #[test]
    fn counts_are_those_of_the_sessions() {
        let mut counter = Counter::new(2);
        for witness in 0..2 {
            counter.add(whole(&[1, 2, 1, 2]), true, witness);
            counter.add(whole(&[1, 3]), true, witness);
        }
        counter.add(whole(&[1, 4]), true, 0);
        let data = counter.finish(vec![1.0; 3]);
        let count = |gram: &[u32]| {
            let mut parent = 0;
            let mut count = 0;
            for &symbol in gram {
                let place = data.grams.iter().position(|g| g.parent == parent && g.symbol == symbol)?;
                (parent, count) = (place as u32 + 1, data.grams[place].count);
            }
            Some(count)
        };
        assert_eq!(count(&[1]), Some(7));
        assert_eq!(count(&[1, 2]), Some(4));
        assert_eq!(count(&[1, 2, 1]), Some(2));
        assert_eq!(count(&[BEGIN, 1]), Some(5));
        assert_eq!(count(&[1, 3, END]), Some(2));
        assert_eq!(count(&[1, 4]), None, "one witness is none");
        assert_eq!(count(&[2, 3]), None);
        assert!(Markov::new(data, 4).is_ok());
    }

    #[test]
    fn the_same_sessions_in_another_order_give_the_same_model() {
        let sessions = [vec![1, 2, 3], vec![3, 2], vec![1, 2, 2]];
        let count = |order: &[usize]| {
            let mut counter = Counter::new(3);
            order.iter().for_each(|&at| counter.add(whole(&sessions[at]), true, at as u32));
            counter.finish(vec![1.0; 4])
        };
        assert_eq!(count(&[0, 1, 2]), count(&[2, 0, 1]));
    }

    #[test]
    fn tuning_makes_held_out_sessions_less_surprising() {
        let mut counter = Counter::new(3);
        (0..50u32).for_each(|i| counter.add(whole(&[1, 2, 3, 4 + i % 3]), true, i));
        let held_out = vec![vec![1, 2, 3, 4], vec![1, 2, 3, 6]];
        let tuned = counter.tune(&held_out, 8);
        let cost =
            |backoff: Vec<f64>| total(&Markov::new(counter.finish(backoff), 8).expect("sound"), &held_out);
        assert!(cost(tuned) <= cost(vec![1.0; 4]));
    }
}

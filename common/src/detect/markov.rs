//! The weighted n-order Markov model.
//!
//! All orders 0 to n are kept in one trie of n-grams: a node is a group of consecutive calls, its count how often
//! training saw it. The conditional probability of order i is `P_i(x | c) = C(c x) / C(c)`. The orders are mixed as
//! `P_w = sum_i w_i P_i` by interpolated back-off (Witten and Bell, 1991): coming from the lowest order,
//! `P <- (C(c x) + k_i T(c) P) / (C(c) + k_i T(c))`, where `T(c)` is the number of different calls seen after c. So the
//! weight of an order grows with how often its context was seen, and falls with how many ways it went on; `k_i` is tuned
//! by the trainer on held-out sessions.
//!
//! While a session runs, a [`Context`] holds the trie node of its last i calls for each order i: one look-up per order
//! gives both the probability of the next call and the next context.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::interface::InterfaceId;

/// The symbol before a session's first call.
pub const BEGIN: InterfaceId = u32::MAX - 1;
/// The symbol after a session's last call.
pub const END: InterfaceId = u32::MAX;
/// Highest order a model may have.
pub const MAX_ORDER: usize = 6;

const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;

/// One n-gram: what its parent says, and then `symbol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gram {
    /// The gram without its last symbol: 0 for the empty one, else one plus its place in the list.
    pub parent: u32,
    /// Its last symbol.
    pub symbol: InterfaceId,
    /// How often training saw it.
    pub count: u64,
}

/// A Markov model as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MarkovData {
    /// Back-off strengths `k_i`, one per order from 0 to n.
    pub backoff: Vec<f64>,
    /// All n-grams up to length n + 1, sorted by parent and symbol, parents first.
    pub grams: Vec<Gram>,
}

/// A Markov model ready for use.
#[derive(Debug, Default)]
pub struct Markov {
    backoff: Vec<f64>,
    nodes: Vec<Node>,
    grams: Vec<Gram>,
    child: FxHashMap<u64, u32>,
    /// Probability of any one symbol before anything is known.
    floor: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Sum of the children's counts: how often something followed.
    total: u64,
    /// How many different calls followed.
    kinds: u32,
    /// The children's places in `grams`.
    first: u32,
    len: u32,
}

/// Where a session stands: the trie node of its last i calls, for each order i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context([u32; MAX_ORDER + 1]);

impl Context {
    /// The trie nodes of the last 0, 1, ... calls.
    pub(super) fn nodes(&self) -> &[u32] {
        &self.0
    }
}

impl Default for Context {
    fn default() -> Self {
        Self([NONE; MAX_ORDER + 1])
    }
}

/// How one step looked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surprise {
    /// Surprise `-log2 P_w`, in bits.
    pub bits: f32,
    /// Training never saw this call right after the one before it.
    pub new_transition: bool,
}

impl Markov {
    /// Checks stored data and builds the trie. `interfaces` is how many interface ids there are.
    ///
    /// # Errors
    /// What is wrong with the data.
    pub fn new(data: MarkovData, interfaces: u32) -> Result<Self, &'static str> {
        if data.backoff.len() > MAX_ORDER + 1 {
            return Err("the markov model's order is too high");
        }
        if data.backoff.iter().any(|k| !k.is_finite() || *k <= 0.0) {
            return Err("a back-off strength of the markov model is not a positive number");
        }
        if data.grams.len() >= NONE as usize - 1 {
            return Err("the markov model has too many n-grams");
        }
        let order = data.backoff.len().saturating_sub(1);
        let mut nodes = vec![Node::default(); data.grams.len() + 1];
        let mut depth = vec![0u8; nodes.len()];
        let mut child = FxHashMap::default();
        child.reserve(data.grams.len());
        let mut last = (0, None);
        for (place, gram) in (0u32..).zip(&data.grams) {
            let node = place + 1;
            if gram.parent >= node {
                return Err("an n-gram of the markov model precedes its parent");
            }
            if gram.symbol >= interfaces && gram.symbol != BEGIN && gram.symbol != END {
                return Err("an n-gram of the markov model names an interface that does not exist");
            }
            if gram.count == 0 || (gram.parent, Some(gram.symbol)) <= last {
                return Err("the n-grams of the markov model are not sorted, or one has no count");
            }
            last = (gram.parent, Some(gram.symbol));
            depth[node as usize] = depth[gram.parent as usize] + 1;
            if usize::from(depth[node as usize]) > order + 1 {
                return Err("an n-gram of the markov model is longer than its order");
            }
            child.insert(key(gram.parent, gram.symbol), node);
            let parent = &mut nodes[gram.parent as usize];
            if parent.len == 0 {
                parent.first = place;
            }
            parent.len += 1;
            // How sessions begin says nothing about what follows an unknown context.
            if gram.symbol != BEGIN {
                parent.total =
                    parent.total.checked_add(gram.count).ok_or("a count of the markov model overflows")?;
                parent.kinds += 1;
            }
        }
        let floor = 1.0 / (f64::from(interfaces) + 1.0);
        Ok(Self { backoff: data.backoff, nodes, grams: data.grams, child, floor })
    }

    /// Sets the back-off strength of one order, a positive number; orders that the model does not have are ignored.
    pub fn set_backoff(&mut self, order: usize, strength: f64) {
        if let Some(k) = self.backoff.get_mut(order) {
            *k = strength;
        }
    }

    /// Where every session starts.
    pub fn start(&self) -> Context {
        self.advance(&self.unknown(), BEGIN)
    }

    /// Where a session stands when what went before is not known.
    pub fn unknown(&self) -> Context {
        let mut context = Context::default();
        context.0[0] = ROOT;
        context
    }

    /// The context after `symbol`.
    pub fn advance(&self, context: &Context, symbol: InterfaceId) -> Context {
        let mut next = self.unknown();
        for order in 0..self.backoff.len().saturating_sub(1) {
            next.0[order + 1] = self.child(context.0[order], symbol).unwrap_or(NONE);
        }
        next
    }

    /// How many trie nodes there are, the root among them.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The trie node of an n-gram.
    pub(super) fn node(&self, gram: &[InterfaceId]) -> Option<u32> {
        gram.iter().try_fold(ROOT, |node, &symbol| self.child(node, symbol))
    }

    /// Whether training saw `symbol` at all.
    pub fn knows(&self, symbol: InterfaceId) -> bool {
        self.child(ROOT, symbol).is_some()
    }

    /// Scores `symbol` and moves the context past it.
    pub fn step(&self, context: &mut Context, symbol: InterfaceId) -> Surprise {
        let mut next = self.unknown();
        let mut p = self.floor;
        let mut new_transition = false;
        for (order, k) in self.backoff.iter().enumerate() {
            let node = context.0[order];
            if node == NONE {
                break;
            }
            let child = self.child(node, symbol);
            p = self.mix(node, child, *k, p);
            new_transition |= order == 1 && child.is_none();
            if order + 1 < self.backoff.len() {
                next.0[order + 1] = child.unwrap_or(NONE);
            }
        }
        *context = next;
        Surprise { bits: -(p.log2()) as f32, new_transition }
    }

    /// The likeliest next symbols and their probabilities, best first, at most `most`.
    pub fn likely(&self, context: &Context, most: usize) -> Vec<(InterfaceId, f64)> {
        let mut symbols: Vec<InterfaceId> = Vec::new();
        for &node in context.0.iter().rev().filter(|&&node| node != NONE) {
            let Node { first, len, .. } = self.nodes[node as usize];
            let grams = &self.grams[first as usize..(first + len) as usize];
            symbols.extend(grams.iter().map(|gram| gram.symbol).filter(|&symbol| symbol != BEGIN));
            if symbols.len() >= 4 * most {
                break;
            }
        }
        symbols.sort_unstable();
        symbols.dedup();
        let mut likely: Vec<_> =
            symbols.into_iter().map(|symbol| (symbol, self.probability(context, symbol))).collect();
        likely.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        likely.truncate(most);
        likely
    }

    /// `P_w(symbol | context)`.
    pub fn probability(&self, context: &Context, symbol: InterfaceId) -> f64 {
        f64::from(-self.step(&mut context.clone(), symbol).bits).exp2()
    }

    fn mix(&self, node: u32, child: Option<u32>, k: f64, lower: f64) -> f64 {
        let Node { total, kinds, .. } = self.nodes[node as usize];
        let count = child.map_or(0, |child| self.grams[child as usize - 1].count) as f64;
        let escape = k * f64::from(kinds.max(1));
        (count + escape * lower) / (total as f64 + escape)
    }

    fn child(&self, node: u32, symbol: InterfaceId) -> Option<u32> {
        if node == NONE { None } else { self.child.get(&key(node, symbol)).copied() }
    }
}

fn key(node: u32, symbol: InterfaceId) -> u64 {
    u64::from(node) << 32 | u64::from(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1 2` seen three times and `1 3` once, each a whole session.
    fn model() -> Markov {
        let gram = |parent, symbol, count| Gram { parent, symbol, count };
        let grams = vec![
            gram(0, 1, 4),
            gram(0, 2, 3),
            gram(0, 3, 1),
            gram(0, BEGIN, 4),
            gram(0, END, 4),
            gram(1, 2, 3),
            gram(1, 3, 1),
            gram(2, END, 3),
            gram(3, END, 1),
            gram(4, 1, 4),
        ];
        Markov::new(MarkovData { backoff: vec![1.0, 0.5], grams }, 5).expect("sound")
    }

    #[test]
    fn probabilities_of_a_context_sum_to_one() {
        let model = model();
        let mut context = model.start();
        model.step(&mut context, 1);
        let sum: f64 = (0..5).chain([END]).map(|symbol| model.probability(&context, symbol)).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn what_was_seen_more_often_is_likelier() {
        let model = model();
        let mut context = model.start();
        model.step(&mut context, 1);
        let likely = model.likely(&context, 3);
        assert_eq!(likely[0].0, 2);
        assert!(likely[0].1 > 0.6 && likely[1].1 < 0.3, "{likely:?}");
        assert!(model.step(&mut context.clone(), 4).new_transition);
        assert!(!model.step(&mut context, 3).new_transition);
    }

    #[test]
    fn a_gap_is_no_transition() {
        let model = model();
        let mut context = model.unknown();
        assert!(!model.step(&mut context, 3).new_transition);
    }

    #[test]
    fn unsound_data_is_refused() {
        let gram = |parent, symbol, count| Gram { parent, symbol, count };
        for grams in [
            vec![gram(1, 1, 1)],
            vec![gram(0, 9, 1)],
            vec![gram(0, 2, 1), gram(0, 1, 1)],
            vec![gram(0, 1, 0)],
            vec![gram(0, 1, u64::MAX), gram(0, 2, 1)],
            vec![gram(0, 1, 1), gram(1, 1, 1), gram(2, 1, 1)],
        ] {
            assert!(Markov::new(MarkovData { backoff: vec![1.0, 1.0], grams }, 3).is_err());
        }
    }
}

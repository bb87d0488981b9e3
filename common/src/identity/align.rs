//! Which word of one name stands for which of the other, and what that makes of the two names.
//!
//! Words may come in any order, be joined or apart, be initials, or be missing. A word of the query that the list does
//! not have counts in full, for it says that this is somebody else; a listed word that the query lacks counts by a
//! third, for people leave out names.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::name::{Role, Word};
use super::similar::{How, Spelt, loose, similar};
use super::translit::Origin;

/// How much a listed word counts that the query does not have.
const MISSING: f64 = 0.35;
/// What joining or splitting words costs.
const REJOINED: f64 = 0.98;
/// Most steps of the search for the best assignment; only hostile names come near it.
const STEPS: usize = 4000;

/// Words of the query with their counterparts; one of the two ranges is empty where there are none.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub query: Range<usize>,
    pub listed: Range<usize>,
    pub score: f64,
    /// Share of the name's score.
    pub weight: f64,
    pub how: How,
}

/// Two names side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Aligned {
    pub score: f64,
    pub pairs: Vec<Pair>,
    /// Whether the words come in another order.
    pub reordered: bool,
}

/// Similarities of a query's words to words of the vocabulary that were already found.
pub(super) type Known = FxHashMap<(u16, u32), (f64, How)>;

struct Edge {
    query: Range<usize>,
    listed: Range<usize>,
    score: f64,
    gain: f64,
    how: How,
}

/// Aligns two names. The weights say how much each word tells; `known` remembers similarities from name to name.
pub(super) fn align(query: (&[Word], &[f64]), listed: (&[Word], &[f64]), known: &mut Known) -> Aligned {
    let edges = edges(query, listed, known);
    let chosen = assign(&edges, query.0.len());
    score(&chosen, query.1, listed.1, query.0)
}

/// Every pair of words, or runs of words, that may stand for each other, by the query's first word.
fn edges(query: (&[Word], &[f64]), listed: (&[Word], &[f64]), known: &mut Known) -> Vec<Vec<Edge>> {
    let mut all: Vec<Vec<Edge>> = Vec::with_capacity(query.0.len());
    for (i, word) in query.0.iter().enumerate() {
        let mut of_word = Vec::new();
        let mut push = |q: Range<usize>, l: Range<usize>, score: f64, how: How| {
            if score > 0.0 {
                let weight: f64 =
                    query.1[q.clone()].iter().sum::<f64>() + listed.1[l.clone()].iter().sum::<f64>();
                of_word.push(Edge { query: q, listed: l, score, gain: weight * score, how });
            }
        };
        for (j, other) in listed.0.iter().enumerate() {
            let cut = word.dotted || i + 1 == query.0.len();
            let (score, how) = if other.id == u32::MAX {
                words(word, other, cut)
            } else {
                *known.entry((i as u16, other.id)).or_insert_with(|| words(word, other, cut))
            };
            push(i..i + 1, j..j + 1, score, how);
        }
        for run in 2..=3 {
            if let Some(parts) = query.0.get(i..i + run) {
                for (j, other) in listed.0.iter().enumerate() {
                    let score = joined(parts, other);
                    push(i..i + run, j..j + 1, score, How::Apart);
                }
            }
            for (j, parts) in listed.0.windows(run).enumerate() {
                let score = joined(parts, word);
                push(i..i + 1, j..j + run, score, How::Joined);
            }
        }
        of_word.sort_by(|a, b| b.gain.total_cmp(&a.gain).then_with(|| a.listed.start.cmp(&b.listed.start)));
        all.push(of_word);
    }
    all
}

/// The best similarity of any spelling of the one word to any of the other.
fn words(a: &Word, b: &Word, cut: bool) -> (f64, How) {
    let mut best = similar(a.spelt(), b.spelt(), cut);
    if a.also.is_empty() && b.also.is_empty() {
        return best;
    }
    for (nth, text) in std::iter::once(&a.text).chain(&a.also).enumerate() {
        for other in std::iter::once(&b.text).chain(&b.also).skip(usize::from(nth == 0)) {
            let (sound, other_sound) = (loose(text), loose(other));
            let one = Spelt { text, loose: &sound, origin: a.origin };
            let next = similar(one, Spelt { text: other, loose: &other_sound, origin: b.origin }, cut);
            if next.0 > best.0 {
                best = next;
            }
        }
    }
    best
}

/// How well a run of words, written as one, fits a single word; the last of them in every spelling.
fn joined(parts: &[Word], whole: &Word) -> f64 {
    let Some((last, before)) = parts.split_last() else { return 0.0 };
    let length: usize = before.iter().map(|part| part.text.len()).sum();
    let mut best = 0.0f64;
    for end in std::iter::once(&last.text).chain(&last.also) {
        let length = length + end.len();
        for text in std::iter::once(&whole.text).chain(&whole.also) {
            if text.len().abs_diff(length) > 2 || text.len() < 4 {
                continue;
            }
            let mut run: String = before.iter().map(|part| part.text.as_str()).collect();
            run.push_str(end);
            let (sound, other) = (loose(&run), loose(text));
            let consonants = parts.iter().any(|part| part.origin == Origin::Consonants);
            let origin = if consonants { Origin::Consonants } else { Origin::Letters };
            let one = Spelt { text: &run, loose: &sound, origin };
            let (score, how) = similar(one, Spelt { text, loose: &other, origin: whole.origin }, false);
            if how != How::GivenName && score >= 0.85 {
                best = best.max(score * REJOINED);
            }
        }
    }
    best
}

/// The assignment with the highest gain: depth first, the best pair first, so that what is found when the steps run out
/// is what a greedy choice would have found, or better.
fn assign(edges: &[Vec<Edge>], words: usize) -> Vec<&Edge> {
    struct Search<'a> {
        edges: &'a [Vec<Edge>],
        most: Vec<f64>,
        steps: usize,
        best: (f64, Vec<(usize, usize)>),
        path: Vec<(usize, usize)>,
    }
    impl Search<'_> {
        fn go(&mut self, at: usize, used: u64, gain: f64) {
            if gain > self.best.0 + 1e-9 {
                self.best = (gain, self.path.clone());
            }
            self.steps += 1;
            if at >= self.edges.len() || self.steps > STEPS || gain + self.most[at] <= self.best.0 + 1e-9 {
                return;
            }
            for (nth, edge) in self.edges[at].iter().enumerate() {
                let bits = ((1u64 << edge.listed.len()) - 1) << edge.listed.start;
                if used & bits == 0 {
                    self.path.push((at, nth));
                    self.go(edge.query.end, used | bits, gain + edge.gain);
                    self.path.pop();
                }
            }
            self.go(at + 1, used, gain);
        }
    }
    // What can still be gained from a word on: each word by its best edge, shared out over the words the edge takes.
    let mut most = vec![0.0; words + 1];
    for at in (0..words).rev() {
        let reach = |edge: &Edge| edge.gain + most[edge.query.end.min(words)];
        most[at] = edges[at].iter().map(reach).fold(most[at + 1], f64::max);
    }
    let mut search = Search { edges, most, steps: 0, best: (0.0, Vec::new()), path: Vec::new() };
    search.go(0, 0, 0.0);
    search.best.1.iter().map(|&(at, nth)| &edges[at][nth]).collect()
}

fn score(chosen: &[&Edge], query: &[f64], listed: &[f64], words: &[Word]) -> Aligned {
    let mut pairs: Vec<Pair> = Vec::new();
    let (mut free_query, mut free_listed) = (vec![true; query.len()], vec![true; listed.len()]);
    let (mut gained, mut total, mut whole) = (0.0, 0.0, 0.0);
    for edge in chosen {
        let weight = (query[edge.query.clone()].iter().sum::<f64>()
            + listed[edge.listed.clone()].iter().sum::<f64>())
            / 2.0;
        free_query[edge.query.clone()].fill(false);
        free_listed[edge.listed.clone()].fill(false);
        gained += weight * edge.score;
        total += weight;
        let told = words[edge.query.clone()].iter().any(|word| word.role == Role::Core);
        if told && !matches!(edge.how, How::Initial) && edge.score >= 0.7 {
            whole += weight;
        }
        let (query, listed) = (edge.query.clone(), edge.listed.clone());
        pairs.push(Pair { query, listed, score: edge.score, weight, how: edge.how });
    }
    for (at, _) in free_query.iter().enumerate().filter(|(_, free)| **free) {
        total += query[at];
        pairs.push(Pair {
            query: at..at + 1,
            listed: 0..0,
            score: 0.0,
            weight: query[at],
            how: How::Different,
        });
    }
    for (at, _) in free_listed.iter().enumerate().filter(|(_, free)| **free) {
        let weight = listed[at] * MISSING;
        total += weight;
        pairs.push(Pair { query: 0..0, listed: at..at + 1, score: 0.0, weight, how: How::Different });
    }
    if total <= 0.0 || whole <= 0.0 {
        return Aligned { score: 0.0, pairs, reordered: false };
    }
    pairs.iter_mut().for_each(|pair| pair.weight /= total);
    let starts: Vec<usize> = chosen.iter().map(|edge| edge.listed.start).collect();
    let reordered = starts.windows(2).any(|pair| pair[0] > pair[1]);
    let order = if reordered { 0.99 } else { 1.0 };
    Aligned { score: gained / total * order, pairs, reordered }
}

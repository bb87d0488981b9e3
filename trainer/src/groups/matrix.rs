//! The group matrix: a row per caller who came back, a column per frequent call group.

use anyhow::{Result, anyhow};
use gait_common::detect::{Columns, MAX_COLUMNS, Markov, MarkovData, Tally};
use gait_common::interface::InterfaceId;
use rayon::prelude::*;

use crate::corpus::Corpus;

use super::kmeans::Points;

/// Rows at most: the callers with the most sessions.
const MAX_ROWS: usize = 1 << 13;
/// Sessions from which on a caller has habits.
const MIN_SESSIONS: usize = 2;

/// The rows and columns of callers.
pub(super) struct Matrix {
    /// The call groups.
    pub(super) groups: Vec<Vec<InterfaceId>>,
    /// How much those of each length count.
    pub(super) weights: Vec<f32>,
    /// The callers, by their places in the corpus, ascending.
    pub(super) callers: Vec<u32>,
    /// What each of them called.
    pub(super) tallies: Vec<Tally>,
    /// The columns ready for look-up.
    pub(super) columns: Columns,
    /// The rows, each of length 1.
    pub(super) rows: Points,
}

/// The sessions of each caller that came back, in their order; the callers ascending.
pub(super) fn returning(corpus: &Corpus, chosen: &[usize]) -> Vec<(u32, Vec<usize>)> {
    let mut sessions: Vec<(u32, usize)> = chosen.iter().map(|&at| (corpus.sessions[at].caller, at)).collect();
    sessions.sort_unstable();
    sessions
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|of_one| of_one.len() >= MIN_SESSIONS)
        .map(|of_one| (of_one[0].0, of_one.iter().map(|&(_, at)| at).collect()))
        .collect()
}

impl Matrix {
    /// The matrix of these callers and their sessions; the columns are the most frequent call groups of the Markov model.
    pub(super) fn new(
        corpus: &Corpus,
        callers: &[(u32, Vec<usize>)],
        markov: &MarkovData,
        interfaces: u32,
    ) -> Result<Self> {
        let unsound = |what: &str| anyhow!("{what}");
        let groups = frequent(markov);
        let markov = Markov::new(markov.clone(), interfaces).map_err(unsound)?;
        let columns = Columns::new(&groups, &markov, interfaces).map_err(unsound)?;
        let mut most: Vec<usize> = (0..callers.len()).collect();
        most.sort_by_key(|&at| (std::cmp::Reverse(callers[at].1.len()), at));
        most.truncate(MAX_ROWS);
        most.sort_unstable();
        let tallies: Vec<Tally> =
            most.par_iter().map(|&at| tally(corpus, &callers[at].1, &markov, &columns)).collect();
        let weights = weights(&columns, &tallies);
        let rows: Vec<Vec<f64>> = tallies.par_iter().map(|tally| row(tally, &columns, &weights)).collect();
        let rows = Points { values: rows.into_iter().flatten().collect(), columns: columns.len().max(1) };
        let callers = most.into_iter().map(|at| callers[at].0).collect();
        Ok(Self { groups, weights, callers, tallies, columns, rows })
    }

    /// Rows of other callers in the same columns.
    pub(super) fn rows_of(
        corpus: &Corpus,
        callers: &[(u32, Vec<usize>)],
        markov: &Markov,
        columns: &Columns,
        weights: &[f32],
    ) -> Points {
        let rows: Vec<Vec<f64>> = callers
            .iter()
            .map(|(_, sessions)| row(&tally(corpus, sessions, markov, columns), columns, weights))
            .collect();
        Points { values: rows.into_iter().flatten().collect(), columns: columns.len().max(1) }
    }
}

/// The most frequent n-grams that are no longer than the model's order and lie within a session. Among equals the shorter
/// ones come first, so that what a column begins and ends with are columns too.
fn frequent(markov: &MarkovData) -> Vec<Vec<InterfaceId>> {
    use gait_common::detect::{BEGIN, END};
    let order = markov.backoff.len().saturating_sub(1);
    let mut texts: Vec<Option<Vec<InterfaceId>>> = vec![Some(Vec::new())];
    let mut found: Vec<(u64, Vec<InterfaceId>)> = Vec::new();
    for gram in &markov.grams {
        let text = texts.get(gram.parent as usize).and_then(Option::as_ref);
        let text = text.filter(|text| text.len() < order && gram.symbol != BEGIN && gram.symbol != END).map(
            |text| {
                let mut text = text.clone();
                text.push(gram.symbol);
                text
            },
        );
        found.extend(text.iter().map(|text| (gram.count, text.clone())));
        texts.push(text);
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.len().cmp(&b.1.len())).then(a.1.cmp(&b.1)));
    found.truncate(MAX_COLUMNS);
    found.into_iter().map(|(_, text)| text).collect()
}

/// Counts the call groups of some sessions.
fn tally(corpus: &Corpus, sessions: &[usize], markov: &Markov, columns: &Columns) -> Tally {
    let mut tally = Tally::default();
    for &session in sessions {
        tally.cut();
        let mut context = markov.start();
        for step in corpus.steps(&corpus.sessions[session]) {
            if step.gap {
                tally.cut();
                context = markov.unknown();
            }
            context = markov.advance(&context, step.interface);
            tally.add(columns, columns.longest(&context));
        }
    }
    tally
}

/// The chance that two call groups of a length are the same one: a length counts as much as its frequencies recur.
/// What is spread over hundreds of call groups is mostly noise in a single session.
fn weights(columns: &Columns, tallies: &[Tally]) -> Vec<f32> {
    let mut counts = vec![0.0; columns.len()];
    let mut of_length = vec![0.0; columns.order()];
    for tally in tallies {
        counts.iter_mut().enumerate().for_each(|(at, count)| *count += f64::from(tally.count(at)));
        of_length.iter_mut().enumerate().for_each(|(at, n)| *n += f64::from(tally.of_length(at + 1)));
    }
    let mut weights = vec![0.0; columns.order()];
    for (at, count) in counts.iter().enumerate() {
        let length = columns.length(at) - 1;
        weights[length] += (count / of_length[length].max(1.0)).powi(2);
    }
    let sum: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// A row of length 1.
fn row(tally: &Tally, columns: &Columns, weights: &[f32]) -> Vec<f64> {
    let mut row = vec![0.0; columns.len().max(1)];
    tally.values(columns, weights).for_each(|(at, value)| row[at] = f64::from(value));
    let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm > 0.0 {
        row.iter_mut().for_each(|x| *x /= norm);
    }
    row
}

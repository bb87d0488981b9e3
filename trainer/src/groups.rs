//! Groups of callers with like habits.
//!
//! Callers who came back make the rows of the group matrix (`matrix`), k-means ([`kmeans`]) deals them into groups
//! for every number of groups in a range, and the lowest Davies-Bouldin index decides. Of each group a model keeps the
//! centre, how far its callers are from it, and how likely each step is in it; of each caller, how much it does the way of
//! each group. Callers who came once have no habits: where fewer than [`MIN_CALLERS`] came back there are no groups, and
//! detection does without.

pub mod kmeans;
mod matrix;

use anyhow::{Context, Result};
use gait_common::detect::{
    CallerData, Detector, GroupData, Groups, GroupsData, Habits, MAX_CALLERS, MAX_GROUPS, MAX_HISTORY,
    SessionState, Tail, Tally,
};
use gait_common::interface::InterfaceId;
use gait_common::model::{Model, ModelData};
use rayon::prelude::*;

use crate::calibrate::Judged;
use crate::corpus::Corpus;

use kmeans::{Clustering, Points, cluster, davies_bouldin, refine};
use matrix::{Matrix, returning};

/// Callers who came back that make groups worth finding.
pub const MIN_CALLERS: usize = 20;
/// Callers per group, on average, at least.
const CALLERS_PER_GROUP: usize = 5;
/// Calls by which a group's probabilities are drawn towards the whole population's.
const STRENGTH: f64 = 8.0;
/// No step speaks for or against a group by more bits.
const MOST_BITS: f64 = 5.0;
/// Held-out distances that a group's own limit takes; with fewer the limit is that of all groups together.
const MIN_HELD_OUT: usize = 50;
/// The smallest difference of distances that means something.
const LEAST_DISTANCE: f32 = 0.01;

/// What was found while the callers were grouped: for the report, not for detection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupsReport {
    /// Every number of groups that was tried, with its Davies-Bouldin index; the lowest was chosen.
    pub tried: Vec<(usize, f64)>,
    /// The columns of the matrix: frequent call groups, each the interfaces called one after the other.
    pub columns: Vec<Vec<InterfaceId>>,
    /// The group matrix, row after row, a row per entry of `callers` and a value per entry of `columns`. Rows have
    /// length 1 (or 0).
    pub matrix: Vec<f32>,
    /// The callers, in the order of the matrix' rows.
    pub callers: Vec<Grouped>,
    /// The groups, in the order of the model's.
    pub groups: Vec<GroupBands>,
}

/// One caller and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped {
    /// Its name.
    pub caller: Box<str>,
    /// Its group.
    pub group: usize,
    /// Distance of its row from the group's centre.
    pub distance: f64,
}

/// How far the callers of a group are from its centre.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupBands {
    /// The centre, a value per column.
    pub centre: Vec<f32>,
    /// Mean distance.
    pub mean: f64,
    /// Standard deviation of the distance; two above the mean is anomalous, three extreme.
    pub deviation: f64,
    /// The distance that held-out callers exceed at the stated false-alarm rate.
    pub limit: f64,
}

/// How far held-out callers are from the nearest centre, each with its group.
pub type Distances = Vec<(usize, f32)>;

/// Groups the callers of the chosen sessions, and adds the groups to the model, whose other parts but the calibration are
/// learned already. The limits are those of nobody yet.
///
/// # Errors
/// When the model is not sound.
pub fn learn(
    corpus: &Corpus,
    chosen: &[usize],
    model: &mut ModelData,
    seed: u64,
) -> Result<Option<GroupsReport>> {
    let callers = returning(corpus, chosen);
    if callers.len() < MIN_CALLERS {
        return Ok(None);
    }
    let matrix = Matrix::new(corpus, &callers, &model.markov, model.interfaces.len() as u32)?;
    let mut tried = Vec::new();
    let mut best: Option<(f64, Clustering)> = None;
    for k in 2..=MAX_GROUPS.min(matrix.callers.len() / CALLERS_PER_GROUP) {
        let found = cluster(&matrix.rows, k, seed)?;
        let Some(index) = davies_bouldin(&matrix.rows, &found.labels) else { continue };
        tried.push((k, index));
        if best.as_ref().is_none_or(|(least, _)| index < *least) {
            best = Some((index, found));
        }
    }
    let Some((_, mut found)) = best else { return Ok(None) };
    sort(&mut found);
    let mut data = describe(&matrix, &found);
    data.key = Groups::key(&[seed, model.meta.first_call, model.meta.calls, model.meta.sessions]);
    data.tried = tried.iter().map(|&(k, index)| (k as u32, index)).collect();
    model.groups = Some(data);
    let known = habits(corpus, &callers, &Model::new(model.clone())?);
    let report = report(corpus, &matrix, &found, tried);
    model.groups.as_mut().context("the groups were just made")?.callers = known;
    Ok(Some(report))
}

/// Groups the callers of the chosen sessions like the groups of a model of all sessions, so that both have the same groups.
///
/// # Errors
/// When the model is not sound.
pub fn learn_like(corpus: &Corpus, chosen: &[usize], model: &mut ModelData, all: &GroupsData) -> Result<()> {
    let callers = returning(corpus, chosen);
    if callers.len() < all.groups.len().max(2) {
        return Ok(());
    }
    let matrix = Matrix::new(corpus, &callers, &model.markov, model.interfaces.len() as u32)?;
    let place = |column| all.columns.iter().position(|other| other == column);
    let places: Vec<Option<usize>> = matrix.groups.iter().map(place).collect();
    let start = all
        .groups
        .iter()
        .flat_map(|group| places.iter().map(|place| place.map_or(0.0, |at| f64::from(group.centre[at]))));
    let start = Points { values: start.collect(), columns: matrix.rows.columns };
    model.groups = Some(GroupsData { key: all.key, ..describe(&matrix, &refine(&matrix.rows, start)?) });
    Ok(())
}

/// Distances of callers that the model does not know from the nearest of its centres.
pub fn held_out(corpus: &Corpus, chosen: &[usize], model: &Model) -> Distances {
    let Some(groups) = model.groups() else { return Distances::new() };
    let data = groups.data();
    let callers = returning(corpus, chosen);
    let rows = Matrix::rows_of(corpus, &callers, model.markov(), groups.columns(), &data.weights);
    let centres: Vec<Vec<f64>> =
        data.groups.iter().map(|group| group.centre.iter().map(|&x| f64::from(x)).collect()).collect();
    let nearest = rows.rows().map(|row| {
        let distances = centres.iter().map(|centre| kmeans::squared(row, centre).sqrt() as f32);
        distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default()
    });
    nearest.collect()
}

/// Sets the limits by what was held out: distances of callers and of sessions, for the stated false-alarm rate. The
/// sessions' distances are in units of the limit from then on.
pub fn set_limits(
    data: &mut GroupsData,
    report: &mut GroupsReport,
    callers: &Distances,
    sessions: &mut [Judged],
    rate: f64,
) {
    let of_sessions: Distances = sessions.iter().map(Judged::habits).collect();
    let limit = |sample: &Distances, group: usize| {
        let own: Vec<f32> = sample.iter().filter(|(of, _)| *of == group).map(|&(_, far)| far).collect();
        let all = || sample.iter().map(|&(_, far)| far).collect();
        let taken: Vec<f32> = if own.len() >= MIN_HELD_OUT { own } else { all() };
        f64::from(Tail::quantile(&taken, rate, LEAST_DISTANCE).max(LEAST_DISTANCE))
    };
    for (at, group) in data.groups.iter_mut().enumerate() {
        group.limit = limit(callers, at);
        group.session_limit = limit(&of_sessions, at);
        report.groups[at].limit = group.limit;
    }
    let limits: Vec<f32> = data.groups.iter().map(|group| group.session_limit as f32).collect();
    sessions.iter_mut().for_each(|judged| judged.measure_habits(&limits));
}

/// Puts the clusters into the order of their sizes, the largest first.
fn sort(found: &mut Clustering) {
    let k = found.centres.len();
    let size = |label: usize| found.labels.iter().filter(|&&of| of as usize == label).count();
    let sizes: Vec<usize> = (0..k).map(size).collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by_key(|&label| (std::cmp::Reverse(sizes[label]), label));
    let mut place = vec![0; k];
    order.iter().enumerate().for_each(|(at, &label)| place[label] = at as u32);
    let centres = order.iter().flat_map(|&label| found.centres.row(label).to_vec()).collect();
    found.centres = Points { values: centres, columns: found.centres.columns };
    found.labels.iter_mut().for_each(|label| *label = place[*label as usize]);
}

/// What a model keeps of the groups, without limits and callers.
fn describe(matrix: &Matrix, found: &Clustering) -> GroupsData {
    let k = found.centres.len();
    let mut counts = vec![vec![0.0; matrix.columns.len()]; k];
    let mut calls = vec![0.0; k];
    for (tally, &label) in matrix.tallies.iter().zip(&found.labels) {
        let sums = &mut counts[label as usize];
        sums.iter_mut().enumerate().for_each(|(at, sum)| *sum += f64::from(Tally::count(tally, at)));
        calls[label as usize] += f64::from(tally.calls());
    }
    let before = contexts(&matrix.groups);
    let groups = (0..k).map(|label| {
        let distances = distances(matrix, found, label);
        let n = distances.len().max(1) as f64;
        let mean = distances.iter().sum::<f64>() / n;
        let variance = distances.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        // The number of times that a column's context occurred: in this group, and in all.
        let occurred = |at: usize| match before[at] {
            Some(context) => (counts[label][context], counts.iter().map(|sums| sums[context]).sum::<f64>()),
            None => (calls[label], calls.iter().sum()),
        };
        let bits = (0..matrix.columns.len()).map(|at| {
            let all: f64 = counts.iter().map(|sums| sums[at]).sum();
            let (here, everywhere) = occurred(at);
            if all <= 0.0 || everywhere <= 0.0 {
                return 0.0;
            }
            let usual = all / everywhere;
            let probability = (counts[label][at] + STRENGTH * usual) / (here + STRENGTH);
            (probability / usual).log2().clamp(-MOST_BITS, MOST_BITS) as f32
        });
        GroupData {
            callers: distances.len() as u64,
            centre: found.centres.row(label).iter().map(|&x| x as f32).collect(),
            bits: bits.collect(),
            mean,
            deviation: variance.sqrt(),
            limit: 1.0,
            session_limit: 1.0,
        }
    });
    GroupsData {
        columns: matrix.groups.clone(),
        weights: matrix.weights.clone(),
        groups: groups.collect(),
        ..GroupsData::default()
    }
}

/// For each call group the place of the one without its last call; none for a single call.
fn contexts(groups: &[Vec<InterfaceId>]) -> Vec<Option<usize>> {
    let places: std::collections::HashMap<&[InterfaceId], usize> =
        groups.iter().enumerate().map(|(at, group)| (&group[..], at)).collect();
    groups.iter().map(|group| places.get(&group[..group.len() - 1]).copied()).collect()
}

/// Distances of a group's callers from its centre.
fn distances(matrix: &Matrix, found: &Clustering, label: usize) -> Vec<f64> {
    let centre = found.centres.row(label);
    let members = matrix.rows.rows().zip(&found.labels).filter(|(_, of)| **of as usize == label);
    members.map(|(row, _)| kmeans::squared(row, centre).sqrt()).collect()
}

/// What the model keeps of the callers: those with the most sessions.
fn habits(corpus: &Corpus, callers: &[(u32, Vec<usize>)], model: &Model) -> Vec<CallerData> {
    let Some(groups) = model.groups() else { return Vec::new() };
    let k = groups.data().groups.len();
    let detector = Detector::new(model);
    let mut most: Vec<&(u32, Vec<usize>)> = callers.iter().collect();
    most.sort_by_key(|(caller, sessions)| (std::cmp::Reverse(sessions.len()), *caller));
    most.truncate(MAX_CALLERS);
    let mut known: Vec<CallerData> = most
        .into_par_iter()
        .map_init(SessionState::default, |state, (caller, sessions)| {
            let name = &corpus.callers[*caller as usize];
            let mut habits = Habits::default();
            for &session in sessions {
                state.reset();
                detector.begin(state, name, &habits);
                let operations = corpus.operations(&corpus.sessions[session]);
                operations.for_each(|steps| detector.observe(state, steps));
                detector.learn(state, &mut habits);
            }
            let hash = Groups::hash(&groups.data().key, name);
            let habit = habits.of(groups, hash);
            let most = habit.0.iter().copied().fold(0.0, f32::max);
            let share = |steps: &f32| (255.0 * steps / most.max(f32::MIN_POSITIVE)).round() as u8;
            let group = habit.0.iter().position(|&steps| steps == most).unwrap_or_default();
            CallerData {
                hash,
                group: group as u8,
                history: habit.history().min(MAX_HISTORY) as u16,
                shares: habit.0[..k].iter().map(share).collect(),
            }
        })
        .filter(|caller| caller.shares.iter().any(|&share| share > 0))
        .collect();
    known.sort_by_key(|caller| caller.hash);
    known.dedup_by_key(|caller| caller.hash);
    known
}

fn report(corpus: &Corpus, matrix: &Matrix, found: &Clustering, tried: Vec<(usize, f64)>) -> GroupsReport {
    let callers = matrix.callers.iter().zip(&found.labels).zip(matrix.rows.rows());
    let callers = callers.map(|((&caller, &label), row)| Grouped {
        caller: corpus.callers[caller as usize].clone(),
        group: label as usize,
        distance: kmeans::squared(row, found.centres.row(label as usize)).sqrt(),
    });
    let bands = describe(matrix, found).groups.into_iter().map(|group| GroupBands {
        centre: group.centre,
        mean: group.mean,
        deviation: group.deviation,
        limit: group.limit,
    });
    GroupsReport {
        tried,
        columns: matrix.groups.clone(),
        matrix: matrix.rows.values.iter().map(|&x| x as f32).collect(),
        callers: callers.collect(),
        groups: bands.collect(),
    }
}

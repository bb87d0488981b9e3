//! From two logs to a model: joins, labels, learns, scores, and leaves everything behind in a directory.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gait_common::alert::{Class, Key, Rates, Scratch, Triage, TriageData, Verdict};
use gait_common::detect::CalibrationData;
use gait_common::interface::NEW_NAME;
use gait_common::model::{Meta, ModelData};
use serde::Serialize;

use super::join::{Found, Join, join};
use super::labels::{Applied, Labelled, Labelling, Read, Source, Words, apply};
use super::learn::{self, Example, Known, LearnReport, learn};
use super::logs::Counts;
use super::pair::{About, Pair};
use super::review::{self, Estimate};
use super::score::{Judged, Score};
use super::truth::{Exact, Truth, exact};
use super::write;

/// Share of the strict alerts that the loose log must have: with fewer, the logs are not of the same packets.
const LEAST_JOINED: f64 = 0.5;
/// Parts that the flows are dealt into when a truth scores the model.
const FOLDS: u64 = 5;

/// How labelling is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Alerts proposed for review.
    pub review: usize,
    /// Seed of what is drawn.
    pub seed: u64,
    /// Name of the index for Elasticsearch.
    pub index: String,
    /// How to learn.
    pub learn: learn::Options,
}

/// What labelling found and made.
#[derive(Debug)]
pub struct Outcome {
    /// The logs.
    pub pair: Pair,
    /// How they fit together.
    pub join: Join,
    /// The class of each alert.
    pub labelling: Labelling,
    /// People's words.
    pub words: Words,
    /// How wrong the seed rule is.
    pub estimate: Estimate,
    /// Alerts of the loose log that a person should look at.
    pub proposed: Vec<usize>,
    /// What was learned.
    pub triage: TriageData,
    /// How.
    pub learned: LearnReport,
    /// Nobody looked at an alert that only the loose rules raised, and there were too few false alarms without them: the seed
    /// rule was learned as it is.
    pub seed_rule: bool,
    /// The scores by a truth, if there is one.
    pub scored: Option<Scored>,
}

/// Scores by a truth that nothing was learned from.
#[derive(Clone, Debug, Serialize)]
pub struct Scored {
    /// The seed rule.
    pub seed: Exact,
    /// The model: each alert judged by one that learned from other connections.
    pub by_flow: Option<Score>,
    /// The model: learned from the first 70 % of the time, judged on the rest.
    pub by_time: Option<Score>,
    /// What the seed rule's labels come to, scored in the same way.
    pub seed_rule: Score,
}

/// What is said of a run, for scripts.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// Where the logs come from.
    pub about: &'a About,
    /// What was read of the strict and of the loose log.
    pub read: [&'a Counts; 2],
    /// How they fit together.
    pub join: &'a Found,
    /// Files of labels.
    pub labels: &'a Read,
    /// What became of them.
    pub applied: &'a Applied,
    /// How wrong the seed rule is, by what was reviewed.
    pub estimate: &'a Estimate,
    /// Alerts proposed for review.
    pub proposed: usize,
    /// How it was learned.
    pub learned: &'a LearnReport,
    /// Whether the seed rule had to be learned as it is.
    pub seed_rule: bool,
    /// Scores by a truth.
    pub scored: Option<&'a Scored>,
}

impl Outcome {
    /// All of it but the alerts.
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            about: &self.pair.about,
            read: [&self.pair.strict.counts, &self.pair.loose.counts],
            join: &self.join.found,
            labels: &self.words.read,
            applied: &self.labelling.applied,
            estimate: &self.estimate,
            proposed: self.proposed.len(),
            learned: &self.learned,
            seed_rule: self.seed_rule,
            scored: self.scored.as_ref(),
        }
    }

    /// A model that knows this, and what `base` knows otherwise.
    pub fn model(&self, base: Option<ModelData>, seed: u64) -> ModelData {
        let base = base.unwrap_or_else(|| {
            let times = || self.pair.loose.keys().map(|key| key.time);
            let meta = Meta {
                trainer: env!("CARGO_PKG_VERSION").to_owned(),
                first_call: times().min().unwrap_or_default(),
                last_call: times().max().unwrap_or_default(),
                seed,
                ..Meta::default()
            };
            let calibration = CalibrationData { threshold: f64::MAX, ..CalibrationData::default() };
            ModelData { meta, calibration, interfaces: vec![NEW_NAME.to_owned()], ..ModelData::default() }
        });
        ModelData { triage: Some(self.triage.clone()), ..base }
    }
}

/// Writes the logs, the labels, and what is to be reviewed.
fn leave(
    dir: &Path,
    pair: &Pair,
    labelling: &Labelling,
    words: &Words,
    proposed: &[usize],
    index: &str,
) -> Result<()> {
    write::log(&dir.join("strict.jsonl"), &pair.strict)?;
    write::log(&dir.join("loose.jsonl"), &pair.loose)?;
    let lost = labelling.lost.iter().map(|&(at, labelled)| (&pair.strict, at, labelled));
    let all = labelling.loose.iter().enumerate().map(|(at, &labelled)| (&pair.loose, at, labelled));
    write::table(&dir.join("labels.csv"), words, all.chain(lost))?;
    let rows = || proposed.iter().map(|&at| (&pair.loose, at, labelling.loose[at]));
    write::table(&dir.join("review.csv"), words, rows())?;
    write::documents(&dir.join("review.bulk.ndjson"), index, rows())
}

/// Labels, writes logs and labels to a directory, and learns: what is to be reviewed is there even if too little is known to learn.
///
/// # Errors
/// When the logs do not fit together, a file cannot be written, or learning refuses what it is given.
pub fn label(
    pair: Pair,
    words: Words,
    truth: Option<&Truth>,
    dir: &Path,
    options: &Options,
) -> Result<Outcome> {
    for (log, rules) in [(&pair.strict, "strict"), (&pair.loose, "loose")] {
        ensure!(
            !log.is_empty(),
            "there is no alert about HTTP in {} ({} lines; {} alerts about something else, {} from or to excluded addresses, {} \
             other events): the {rules} rules raised none",
            log.counts.file,
            log.counts.lines,
            log.counts.no_http,
            log.counts.excluded,
            log.counts.other.values().sum::<u64>()
        );
    }
    let join = join(&pair.strict, &pair.loose);
    check(&join.found)?;
    let labelling = apply(&words, &pair.strict, &pair.loose, &join);
    let estimate = review::estimate(&pair.loose, &labelling);
    let proposed = review::propose(&pair.loose, &labelling.loose, options.review, options.seed);
    leave(dir, &pair, &labelling, &words, &proposed, &options.index)?;
    let known = |labelled: &Labelled| match labelled.source {
        Source::Reviewed => Known::Reviewed(labelled.class),
        Source::PresumedFalse => Known::Presumed,
        Source::Said | Source::Copied | Source::PresumedReal => Known::Labelled(labelled.class),
    };
    let mut examples = examples(&pair, labelling.loose.iter().map(known))?;
    // Without any reviewed one nothing is known of the noise, so the learner leaves presumed ones out; unless there would be no
    // false alarms to learn from but those that the seed rule names.
    let is_false_alarm = |one: &&Example| one.known == Known::Labelled(Class::FalseAlarm);
    let seed_rule = estimate.reviewed == 0 && examples.iter().filter(is_false_alarm).count() < learn::LEAST;
    let mut presumed = HashSet::new();
    if seed_rule {
        for example in examples.iter_mut().filter(|example| example.known == Known::Presumed) {
            example.known = Known::Labelled(Class::FalseAlarm);
            presumed.insert(example.key);
        }
    }
    let learning =
        learn::Options { rules: pair.about.hash.clone(), seed: options.seed, ..options.learn.clone() };
    let (mut triage, learned) = learn(&examples, &learning).with_context(|| {
        format!("no model was learned; the logs, their labels and what to review are in {}", dir.display())
    })?;
    if seed_rule {
        own_up(&mut triage, learn::sampled(&examples, &learning), &presumed);
    }
    let scored = match truth {
        Some(truth) => Some(scores(&pair, &labelling, &examples, truth, &learning)?),
        None => None,
    };
    Ok(Outcome { pair, join, labelling, words, estimate, proposed, triage, learned, seed_rule, scored })
}

/// What nobody has looked at shall not pass for a person's word because it had to be learned like one.
fn own_up<'a>(triage: &mut TriageData, learned: impl Iterator<Item = &'a Key>, presumed: &HashSet<Key>) {
    let count = learned.filter(|key| presumed.contains(key)).count() as u64;
    triage.origin.labelled = triage.origin.labelled.saturating_sub(count);
    triage.origin.presumed = count;
    triage.origin.method = "seed rule, unreviewed".to_owned();
    let is_presumed = |key: &str| key.parse().is_ok_and(|key| presumed.contains(&key));
    triage.exemplars.retain(|one| !is_presumed(&one.key));
}

fn check(found: &Found) -> Result<()> {
    let joined = found.equal + found.moved;
    let examples: Vec<String> = found
        .missing
        .iter()
        .map(|(reason, missing)| {
            format!("{} of them: {} (such as {})", missing.count, reason.words(), missing.examples[0])
        })
        .collect();
    ensure!(
        joined as f64 >= LEAST_JOINED * found.strict as f64,
        "only {joined} of the {} strict alerts are in the loose log:\n  {}",
        found.strict,
        examples.join("\n  ")
    );
    Ok(())
}

/// The alerts of the loose log as examples, with the rates that they had when they came.
fn examples(pair: &Pair, known: impl Iterator<Item = Known>) -> Result<Vec<Example>> {
    let known: Vec<Known> = known.collect();
    let (mut rates, mut scratch) = (Rates::default(), Scratch::new());
    let mut examples = Vec::with_capacity(known.len());
    for at in in_time(pair) {
        let alert = pair.loose.alert(at).context("an alert that was read cannot be read again")?;
        let rate = rates.observe(&alert);
        examples.push((at, Example::new(&alert, rate, known[at], &mut scratch)));
    }
    examples.sort_by_key(|(at, _)| *at);
    Ok(examples.into_iter().map(|(_, example)| example).collect())
}

/// The places of the loose log's alerts in the order of their times.
fn in_time(pair: &Pair) -> Vec<usize> {
    let mut places: Vec<usize> = (0..pair.loose.len()).collect();
    places.sort_by_key(|&at| pair.loose.key(at).time);
    places
}

/// Scores seed rule and model by a truth: on connections that the judging model did not learn from, and on later ones.
fn scores(
    pair: &Pair,
    labelling: &Labelling,
    examples: &[Example],
    truth: &Truth,
    options: &learn::Options,
) -> Result<Scored> {
    let ends =
        |key: &Key| -> [SocketAddr; 2] { [key.source.min(key.destination), key.source.max(key.destination)] };
    let fold = |key: &Key| {
        let hash = blake3::hash(format!("{}/{:?}", options.seed, ends(key)).as_bytes());
        u64::from(hash.as_bytes()[0]) % FOLDS
    };
    let mut judged = Vec::new();
    let mut wholly = true;
    for held_out in 0..FOLDS {
        let (rest, tried): (Vec<usize>, Vec<usize>) =
            (0..examples.len()).partition(|&at| fold(pair.loose.key(at)) != held_out);
        wholly &= judge(pair, examples, &rest, &tried, truth, options, &mut judged)?;
    }
    let by_flow = wholly.then(|| tally(&judged));
    let order = in_time(pair);
    let (earlier, later) = order.split_at(order.len() * 7 / 10);
    // Of a connection that goes on over the cut the model has learned: it is no test.
    let begun: HashSet<_> = earlier.iter().map(|&at| ends(pair.loose.key(at))).collect();
    let later: Vec<usize> =
        later.iter().copied().filter(|&at| !begun.contains(&ends(pair.loose.key(at)))).collect();
    let mut judged = Vec::new();
    let enough = judge(pair, examples, earlier, &later, truth, options, &mut judged)?;
    let by_time = (enough && !judged.is_empty()).then(|| tally(&judged));
    let seed = labelling.loose.iter().zip(pair.loose.keys()).filter_map(|(labelled, key)| {
        let verdict = if labelled.seed == Class::Real { Verdict::Real } else { Verdict::FalseAlarm };
        Some((truth.of(key)?, verdict, if labelled.seed == Class::Real { 1.0 } else { 0.0 }))
    });
    let seed_rule = tally(&seed.collect::<Vec<_>>());
    Ok(Scored { seed: exact(&pair.loose, labelling, truth), by_flow, by_time, seed_rule })
}

/// What an alert is, and what was said of it.
type Said = (Class, Verdict, f32);

/// Learns from some alerts and judges others; whether there was enough to learn from.
fn judge(
    pair: &Pair,
    examples: &[Example],
    from: &[usize],
    tried: &[usize],
    truth: &Truth,
    options: &learn::Options,
    out: &mut Vec<Said>,
) -> Result<bool> {
    let some: Vec<Example> = from.iter().map(|&at| examples[at].clone()).collect();
    let Ok((data, _)) = learn(&some, options) else { return Ok(false) };
    let triage = Triage::new(data).map_err(anyhow::Error::msg)?;
    let wanted: HashSet<usize> = tried.iter().copied().collect();
    let (mut rates, mut scratch) = (Rates::default(), Scratch::new());
    for at in in_time(pair) {
        let alert = pair.loose.alert(at)?;
        let rate = rates.observe(&alert);
        if let Some(class) = truth.of(&alert.key).filter(|_| wanted.contains(&at)) {
            let judgement = triage.judge(&alert, rate, &mut scratch);
            out.push((class, judgement.verdict, judgement.probability));
        }
    }
    Ok(true)
}

/// The score of verdicts that models with bands of their own gave.
fn tally(said: &[Said]) -> Score {
    let mut score = Score::default();
    for &(class, verdict, probability) in said {
        let of = if class == Class::Real { &mut score.real } else { &mut score.false_alarm };
        *match verdict {
            Verdict::Real => &mut of.real,
            Verdict::FalseAlarm => &mut of.false_alarm,
            Verdict::Abstain => &mut of.abstain,
        } += 1.0;
        let right = Judged { class, probability, weight: 1.0 }.right();
        score.brier += (1.0 - right).powi(2) / said.len() as f64;
        score.log_loss -= right.max(1e-6).ln() / said.len() as f64;
    }
    score
}

//! How often normal sessions are flagged that training did not see, for several stated rates and seeds.
//!
//! `false_alarms [SEEDS [SEQUENCES]]`: without a file, callers of three roles are made, each with sixteen sessions to learn
//! from; callers that training knows and new ones are judged. A file of ready-made sequences, all of them normal, is dealt
//! in two at random instead, and what was held out is altered, once each, to see how much of that is found.
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use anyhow::{Context, Result};
use gait_common::call::{Call, Nanos};
use gait_common::model::Model;
use gait_trainer::corpus::{Choice, Source, collect};
use gait_trainer::ingest::{Format, Options, ReadReport, Record, Tokens, read};
use gait_trainer::score::scores;
use gait_trainer::train::{TrainParams, train};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

const RATES: [f64; 5] = [0.001, 0.005, 0.01, 0.02, 0.05];
const DAY: u64 = 86_400;
/// What callers do, and of twenty tasks how many are which, by role.
const TASKS: [&[&str]; 6] = [
    &["/items", "/items/7", "/cart", "/checkout"],
    &["/items", "/items/7", "/items/7"],
    &["/orders", "/orders/9", "/orders/ship"],
    &["/orders", "/orders/9", "/refunds", "/refunds/new"],
    &["/reports", "/reports/sales"],
    &["/reports", "/reports/stock", "/export"],
];
const ROLES: [[u64; TASKS.len()]; 3] = [[8, 8, 1, 1, 1, 1], [1, 1, 8, 8, 1, 1], [1, 1, 1, 1, 8, 8]];
const CALLERS: usize = 180;
const LEARNED: u64 = 16;
const JUDGED: u64 = 50;

/// What is learned from, or judged.
enum Sessions {
    /// Time, caller and target of each call.
    Calls(Vec<(Nanos, String, &'static str)>),
    /// Ready-made ones.
    Ready(Vec<String>),
}

impl Source for Sessions {
    fn read(&self, each: &mut dyn FnMut(Record<'_>, u64)) -> Result<ReadReport> {
        match self {
            Self::Calls(calls) => calls.iter().for_each(|(start, caller, target)| {
                let (start, method) = (*start, "GET");
                each(Record::Call(Call { start, method, target, caller, ..Call::default() }), start);
            }),
            Self::Ready(lines) => (0..).zip(lines).for_each(|(at, line)| {
                each(Record::Sequence { id: None, tokens: Tokens::new(line) }, at);
            }),
        }
        // The report of an input without anything in it.
        read(&["/dev/null".to_owned()], Format::Sequences, &Options::default(), &mut |_, _| Ok(()))
    }

    fn name(&self) -> String {
        "what was made".to_owned()
    }
}

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n.max(1)
    }

    fn place(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }
}

/// A session of each caller on each day.
fn roles(random: &mut Random, kind: &str, days: std::ops::Range<u64>) -> Sessions {
    let mut calls = Vec::new();
    for (day, at) in days.flat_map(|day| (0..CALLERS).map(move |at| (day, at))) {
        let mut walk = vec!["/login"];
        for _ in 0..4 + random.below(3) {
            let mut left = random.below(20);
            let drawn = ROLES[at % ROLES.len()].iter().position(|&count| {
                let here = left < count;
                left = left.wrapping_sub(count);
                here
            });
            walk.extend(TASKS[drawn.unwrap_or_default()]);
        }
        let mut time = 1_772_409_600 + day * DAY + random.below(20 * 3600);
        for target in walk {
            time += 2 + random.below(28);
            calls.push((time * 1_000_000_000, format!("{kind}-{at}"), target));
        }
    }
    calls.sort();
    Sessions::Calls(calls)
}

/// A session with steps swapped, left out, repeated, or with the end of another.
fn altered(random: &mut Random, line: &str, other: &str) -> String {
    let mut steps: Vec<&str> = line.split_whitespace().collect();
    let other: Vec<&str> = other.split_whitespace().collect();
    let (at, to) = (random.place(steps.len()), random.place(steps.len()));
    match random.below(4) {
        0 => steps.swap(at, to),
        1 if steps.len() > 1 => drop(steps.remove(at)),
        2 => (0..=random.below(5)).for_each(|_| steps.insert(at, steps[at])),
        _ => {
            steps.truncate(at);
            steps.extend(&other[random.place(other.len())..]);
        }
    }
    steps.join(" ")
}

/// Shuffles lines and deals them: those to learn from, the rest, and the rest altered into what is nowhere normal.
fn deal(random: &mut Random, lines: &[String]) -> (Sessions, Vec<(&'static str, Sessions)>) {
    let mut lines = lines.to_vec();
    (1..lines.len()).rev().for_each(|at| lines.swap(at, random.place(at + 1)));
    let normal: std::collections::HashSet<&str> = lines.iter().map(|line| line.trim()).collect();
    let (learned, held_out) = lines.split_at(lines.len() * 3 / 5);
    let made = held_out.iter().map(|line| {
        let other = random.place(held_out.len());
        altered(random, line, &held_out[other])
    });
    let made = made.filter(|line| !line.is_empty() && !normal.contains(line.as_str())).collect();
    let judged = vec![("held out", Sessions::Ready(held_out.to_vec())), ("altered", Sessions::Ready(made))];
    (Sessions::Ready(learned.to_vec()), judged)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seeds: u64 =
        arguments.next().map_or(Ok(4), |seeds| seeds.parse()).context("SEEDS is not a number")?;
    let lines: Option<Vec<String>> = match arguments.next() {
        Some(file) => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("failed to read {file}"))?;
            Some(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
        }
        None => None,
    };
    println!(
        "share of the sessions that is flagged, per stated rate; each column is a seed, the last their mean"
    );
    for false_alarm_rate in RATES {
        let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
        for seed in 0..seeds {
            let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
            let (learned, judged) = match &lines {
                Some(lines) => deal(&mut random, lines),
                None => (
                    roles(&mut random, "known", 0..LEARNED),
                    ["known", "new"].map(|kind| (kind, roles(&mut random, kind, 40..40 + JUDGED))).into(),
                ),
            };
            let params = TrainParams { false_alarm_rate, ..TrainParams::default() };
            let model = Model::new(train(&learned, &params)?.model)?;
            for (kind, sessions) in judged {
                let (corpus, _) = collect(&sessions, &model.interfaces, Choice::Fixed(model.timing))?;
                let scores = scores(&corpus, &model);
                let flagged = scores.iter().filter(|&&score| score >= model.threshold()).count();
                let share = flagged as f64 / scores.len().max(1) as f64;
                match rows.iter_mut().find(|(of, _)| *of == kind) {
                    Some((_, shares)) => shares.push(share),
                    None => rows.push((kind, vec![share])),
                }
            }
        }
        for (kind, shares) in rows {
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            let unit = if kind == "altered" { 1.0 } else { false_alarm_rate };
            let columns: String = shares.iter().map(|share| format!("{:6.2}", share / unit)).collect();
            println!("{:5} % {kind:9}{columns}  {:6.2}", 100.0 * false_alarm_rate, mean / unit);
        }
    }
    Ok(())
}

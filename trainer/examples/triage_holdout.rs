//! Measures triage on flows held out of a capture whose every request is known:
//!
//! ```text
//! cargo run --release -p gait-trainer --example triage_holdout -- strict/eve.json loose/eve.json truth.jsonl
//! ```
//!
//! Strict alerts get their labels from the truth, and of those that only the loose rules raised, 200, 50 or none, drawn
//! with five seeds. Three flows in ten are held out by a hash of the client's address and port, before anything is
//! learned; with `--training`, the ten are the other seven, of which three in ten are held out, so that choices need
//! not look at the former. With `--texts`, three in ten of the texts that requests carry are held out in place of flows: then no
//! attack and no harmless text that is judged was learned from.
#![expect(clippy::print_stdout, reason = "its output is the measurement")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use gait_common::alert::{Alert, Band, Class, Key, Line, Rate, Rates, Scratch, Triage, Verdict, hash};
use gait_trainer::triage::score::{Judged, Score, reliability};
use gait_trainer::triage::{Example, Known, Options, learn};

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut option =
        |name: &str| arguments.iter().position(|one| one == name).map(|at| arguments.remove(at)).is_some();
    let (training, texts) = (option("--training"), option("--texts"));
    let [strict, loose, truth] = &arguments[..] else {
        bail!("expected the strict and the loose eve.json, and the truth");
    };
    let read = |path: &String| std::fs::read(path).with_context(|| format!("failed to read {path}"));
    let (strict, loose) = (read(strict)?, read(loose)?);
    let truth = Truth::parse(&read(truth)?)?;
    let strict: BTreeSet<Key> = alerts(&strict).map(|alert| alert.key).collect();
    let mut alerts: Vec<Alert<'_>> = alerts(&loose).collect();
    alerts.sort_by_key(|alert| alert.key);
    let mut rates = Rates::default();
    let mut all: Vec<Seen<'_>> = alerts
        .into_iter()
        .map(|alert| {
            let rate = rates.observe(&alert);
            let (class, client) = truth.of(&alert.key)?;
            Some(Seen {
                rate,
                class,
                held: part(if texts { text(&alert) } else { &client }),
                client,
                strict: strict.contains(&alert.key),
                alert,
            })
        })
        .collect::<Option<_>>()
        .context("an alert belongs to no request of the truth")?;
    if training {
        all.retain(|seen| !seen.held);
        all.iter_mut().for_each(|seen| seen.held = part(&format!("{} within", seen.client)));
    }
    for reviewed in [200, 50, 0] {
        for seed in 0..if reviewed == 0 { 1 } else { 5 } {
            measure(&all, reviewed, seed)?;
        }
    }
    Ok(())
}

/// An alert of the loose log.
struct Seen<'a> {
    alert: Alert<'a>,
    rate: Rate,
    client: String,
    class: Class,
    strict: bool,
    held: bool,
}

/// Whether a flow is held out: FNV-1a of its client, spread by a multiplication.
fn part(client: &str) -> bool {
    let fnv = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = client.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    (((hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 32) % 10 < 3
}

/// What a request carries: its URL from the first `=` on.
fn text<'a>(alert: &Alert<'a>) -> &'a str {
    let url = alert.http.url.unwrap_or_default().escaped();
    let from = url.iter().position(|&byte| byte == b'=').unwrap_or(0);
    std::str::from_utf8(&url[from..]).unwrap_or_default()
}

struct Truth(BTreeMap<String, Class>);

impl Truth {
    fn parse(text: &[u8]) -> Result<Self> {
        let mut of = BTreeMap::new();
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let row: serde_json::Value =
                serde_json::from_slice(line).context("a row of the truth is no JSON")?;
            let client = format!("{}:{}", row["src_ip"].as_str().context("no src_ip")?, row["src_port"]);
            let class = if row["label"] == "anom" { Class::Real } else { Class::FalseAlarm };
            of.insert(client, class);
        }
        Ok(Self(of))
    }

    fn of(&self, key: &Key) -> Option<(Class, String)> {
        [key.source, key.destination].iter().find_map(|end| {
            let client = end.to_string();
            Some((*self.0.get(&client)?, client))
        })
    }
}

fn alerts(eve: &[u8]) -> impl Iterator<Item = Alert<'_>> {
    eve.split(|&byte| byte == b'\n').filter_map(|line| match Alert::parse(line) {
        Ok(Line::Alert(alert)) => Some(alert),
        _ => None,
    })
}

fn measure(all: &[Seen<'_>], reviewed: usize, seed: u64) -> Result<()> {
    let (held, known): (Vec<&Seen<'_>>, Vec<&Seen<'_>>) = all.iter().partition(|seen| seen.held);
    let mut loose: Vec<Key> = known.iter().filter(|seen| !seen.strict).map(|seen| seen.alert.key).collect();
    loose.sort_by_key(|key| hash(format!("{seed} {key}").as_bytes()));
    let drawn: BTreeSet<Key> = loose.into_iter().take(reviewed).collect();
    let mut scratch = Scratch::new();
    let examples: Vec<Example> = known
        .iter()
        .map(|seen| {
            let label = match (seen.strict, drawn.contains(&seen.alert.key)) {
                (true, _) => Known::Labelled(seen.class),
                (_, true) => Known::Reviewed(seen.class),
                _ => Known::Presumed,
            };
            Example::new(&seen.alert, seen.rate, label, &mut scratch)
        })
        .collect();
    let start = Instant::now();
    let (data, report) = learn(&examples, &Options::default())?;
    let took = start.elapsed();
    let triage = Triage::new(data).map_err(anyhow::Error::msg)?;
    let mut judge = |seen: &&Seen<'_>| Judged {
        class: seen.class,
        probability: triage.judge(&seen.alert, seen.rate, &mut scratch).probability,
        weight: 1.0,
    };
    let judged: Vec<Judged> = held.iter().map(&mut judge).collect();
    let halves = Band { false_alarm: 0.5, real: 0.5 };
    println!(
        "== {reviewed} reviewed, seed {seed}: {} alerts learned from in {took:.1?}, {} held out",
        examples.len(),
        held.len()
    );
    if seed == 0 {
        for candidate in &report.candidates {
            print(&format!("   cv, {}", candidate.method), &candidate.score);
        }
        print("   seed rule, estimated", &report.seed_rule);
        if let Some(later) = &report.later {
            print("   later", later);
        }
    }
    println!(
        "   noise {:.3} ({:.3} to {:.3}), {}, penalty {}, {} calibration, band {:.3} to {:.3}, {} weights",
        report.noise.share,
        report.noise.low,
        report.noise.high,
        report.method,
        report.penalty,
        report.calibration,
        report.band.false_alarm,
        report.band.real,
        report.features
    );
    print("   cv, calibrated, band", &report.held_out);
    print("held out, with band", &Score::of(&judged, triage.band()));
    print("held out, no band", &Score::of(&judged, halves));
    let rule = |seen: &&Seen<'_>| Judged {
        class: seen.class,
        probability: f32::from(u8::from(seen.strict && seen.class == Class::Real)),
        weight: 1.0,
    };
    print("held out, seed rule", &Score::of(&held.iter().map(rule).collect::<Vec<_>>(), halves));
    if seed == 0 {
        for bin in reliability(&judged) {
            println!(
                "   {:.2}-{:.2}: {} alerts, said {:.3}, real {:.3}",
                bin.from, bin.to, bin.count, bin.said, bin.real
            );
        }
        for seen in held.iter().filter(|seen| !training_agrees(seen, &triage)).take(8) {
            let judgement = triage.judge(&seen.alert, seen.rate, &mut scratch);
            println!(
                "   wrong: {} {:.3} is {}: {:?}",
                judgement.verdict,
                judgement.probability,
                seen.class,
                seen.alert.http.url.unwrap_or_default().text()
            );
            println!("      {:?} {:?}", judgement.reasons, judgement.nearest);
        }
    }
    Ok(())
}

fn training_agrees(seen: &Seen<'_>, triage: &Triage) -> bool {
    let mut scratch = Scratch::new();
    let verdict = triage.judge(&seen.alert, seen.rate, &mut scratch).verdict;
    matches!((verdict, seen.class), (Verdict::Real, Class::Real) | (Verdict::FalseAlarm, Class::FalseAlarm))
}

fn print(what: &str, score: &Score) {
    println!(
        "{what:<40} real recall {:.3} precision {:.3} | false alarm recall {:.3} precision {:.3} | coverage {:.3} brier {:.4} log loss {:.4}",
        score.recall(),
        score.precision(),
        score.false_alarm_recall(),
        score.false_alarm_precision(),
        score.coverage(),
        score.brier,
        score.log_loss
    );
}

//! The page about a labelling: what was read, how sure the labels are, what the seed rule alone would have cost, and what to
//! look at next. It is made like the training report: no script, and hostile text is only text.

mod input;
mod learned;
mod review;

use std::path::Path;

use anyhow::Result;
use maud::{Markup, html};

use super::label::Outcome;
use super::score::Score;
use crate::report::chart::{count, percent, shown};
use crate::report::{frame, tile};

/// What the page says of the run itself.
#[derive(Clone, Debug)]
pub struct Names {
    /// Where everything was written.
    pub dir: String,
    /// The model's fingerprint.
    pub fingerprint: String,
    /// The seed.
    pub seed: u64,
}

/// Writes the page, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, outcome: &Outcome, names: &Names) -> Result<()> {
    crate::whole::write(path, render(outcome, names)?.as_bytes(), "the report")
}

/// The page as HTML.
///
/// # Errors
/// When an alert cannot be read again, which was read before.
pub fn render(outcome: &Outcome, names: &Names) -> Result<String> {
    let sections = [
        input::section(outcome),
        input::join(outcome),
        input::labels(outcome),
        learned::costs(outcome),
        learned::classifier(outcome),
        review::rules(outcome)?,
        review::proposed(outcome)?,
        review::next(outcome, names),
    ];
    let title = format!("Gait triage report: {}", shown(&names.dir));
    let foot = html! {
        "Written by gait-trainer " (env!("CARGO_PKG_VERSION")) ". This page shows requests as they were sent: keep it where you "
        "keep the capture. Colours follow your system; it prints as it is."
    };
    Ok(frame(&title, &head(outcome, names), &sections, &foot).into_string())
}

fn head(outcome: &Outcome, names: &Names) -> Markup {
    let found = &outcome.join.found;
    let noise = match &outcome.estimate.noise {
        Some(noise) => (percent(noise.share), format!("of those are real, {}", between(noise.interval))),
        None => ("unknown".to_owned(), "nobody has looked at one of those".to_owned()),
    };
    let (recall, precision, how) = match best(outcome) {
        Some((score, how)) => (percent(score.recall()), percent(score.precision()), how),
        None => ("unknown".to_owned(), "unknown".to_owned(), "nothing was reviewed"),
    };
    html! {
        header {
            h1 { "Alert triage report" }
            p class="soft" {
                code { (shown(&names.dir)) } " · model " code { (names.fingerprint) } " · seed " (names.seed)
            }
            dl class="tiles" {
                (tile("Strict alerts", &count(found.strict as u64), &format!("{} equal ones in the loose log", count(found.equal as u64))))
                (tile("Loose alerts", &count(found.loose as u64), "learned from"))
                (tile("Only loose", &count(found.loose_only as u64), "the seed rule calls them false alarms"))
                (tile("Label noise", &noise.0, &noise.1))
                (tile("Recall of real ones", &recall, how))
                (tile("Precision", &precision, how))
            }
        }
    }
}

/// The best founded score of the model, and what it is of; the seed rule's labels are no measure.
fn best(outcome: &Outcome) -> Option<(&Score, &'static str)> {
    match outcome.scored.as_ref().and_then(|scored| scored.by_flow.as_ref()) {
        Some(score) => Some((score, "held out, by the truth")),
        None => (!outcome.seed_rule).then_some((&outcome.learned.held_out, "held out, by the labels")),
    }
}

fn between((low, high): (f64, f64)) -> String {
    format!("{} to {}", percent(low), percent(high))
}

/// A table of names and counts, the largest first; nothing where there is nothing.
fn table<'a>(caption: &str, what: &str, rows: impl Iterator<Item = (&'a str, u64)>) -> Markup {
    let mut rows: Vec<_> = rows.filter(|row| row.1 > 0).collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    html! {
        @if !rows.is_empty() {
            div class="scroll" {
                table {
                    caption { (caption) }
                    thead { tr { th { (what) } th class="num" { "count" } } }
                    tbody { @for (name, number) in rows { tr { td { (shown(name)) } td class="num" { (count(number)) } } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! The training report: one HTML page that needs nothing but itself.
//!
//! Every figure comes from the structs that the model was made of ([`Trained`]) or from the finished model. Pictures are
//! SVG inside the page; there is no script, and a content policy forbids any. Names from logs are text that others
//! wrote: maud escapes them, and `chart::shown` makes characters visible that would hide or reorder their neighbours.
//! The page holds no time of its own, so the same training gives the same page.

mod activity;
pub(crate) mod chart;
mod groups;
mod histogram;
mod input;
mod interfaces;
mod next;
mod patterns;
mod pca;
mod roc;
mod scores;
mod transitions;
mod trees;
mod unusual;
mod volumes;

use std::path::{Path, PathBuf};

use anyhow::Result;
use gait_common::model::Model;
use gait_common::tree::TreesData;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::ingest::Format;
use crate::train::Trained;
use chart::{count, percent, plain, shown};
use volumes::Volume;

const STYLE: &str = include_str!("report/style.css");
/// Nothing is loaded and nothing runs, whatever a name in the log may try.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// What the page says of the training run itself.
#[derive(Clone, Debug)]
pub struct About {
    /// What was read, as it was named on the command line.
    pub inputs: Vec<String>,
    /// Its format.
    pub format: Format,
    /// Where the model was written.
    pub model: PathBuf,
    /// The model's fingerprint.
    pub fingerprint: String,
}

/// What every section looks at.
struct View<'a> {
    trained: &'a Trained,
    about: &'a About,
    model: &'a Model,
    /// Every interface that was called, the most called first.
    volumes: &'a [Volume],
    /// The score of each session of the corpus by the finished model.
    scores: &'a [f64],
}

/// A part of the page: its anchor, its title, and what stands in it.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) body: Markup,
}

/// Writes the report, whole or not at all.
///
/// # Errors
/// When the model is not sound or the file cannot be written.
pub fn save(path: &Path, trained: &Trained, about: &About) -> Result<()> {
    crate::whole::write(path, render(trained, about)?.as_bytes(), "the report")
}

/// The report as HTML.
///
/// # Errors
/// When the model is not sound.
pub fn render(trained: &Trained, about: &About) -> Result<String> {
    let model = Model::new(trained.model.clone())?;
    let volumes = volumes::count(trained);
    let scores = crate::score::scores(&trained.corpus, &model);
    let view = View { trained, about, model: &model, volumes: &volumes, scores: &scores };
    if trained.corpus.sessions.is_empty() {
        // Nothing but spans: there is nothing to say of sessions.
        let sections: Vec<Section> =
            [Some(input::section(&view)), trees::section(&view)].into_iter().flatten().collect();
        return Ok(page(&view, &sections).into_string());
    }
    let sections: Vec<Section> = [
        Some(input::section(&view)),
        activity::section(&view),
        Some(interfaces::section(&view)),
        Some(patterns::section(&view)),
        Some(transitions::section(&view)),
        groups::section(&view),
        trees::section(&view),
        Some(scores::section(&view)),
        roc::section(&view),
        Some(unusual::section(&view)),
        Some(next::section(&view)),
    ]
    .into_iter()
    .flatten()
    .collect();
    Ok(page(&view, &sections).into_string())
}

fn page(view: &View<'_>, sections: &[Section]) -> Markup {
    let title = format!("Gait training report: {}", shown(&view.about.model.display().to_string()));
    let foot = html! {
        "Written by gait-trainer " (view.model.meta.trainer) ". This page names callers as the log does: "
        "keep it where you keep the log. Colours follow your system; it prints as it is."
    };
    frame(&title, &head(view), sections, &foot)
}

/// A page around its sections, for every report.
pub(crate) fn frame(title: &str, head: &Markup, sections: &[Section], foot: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#main" { "Skip to the report" }
                (head)
                nav aria-label="Sections" {
                    ul { @for section in sections { li { a href=(format!("#{}", section.id)) { (section.title) } } } }
                }
                main id="main" {
                    @for section in sections {
                        section id=(section.id) aria-labelledby=(format!("{}-title", section.id)) {
                            h2 id=(format!("{}-title", section.id)) { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer { p { (foot) } }
            }
        }
    }
}

fn head(view: &View<'_>) -> Markup {
    let meta = &view.model.meta;
    let flagged = view.flagged().count();
    let span = meta.last_call.saturating_sub(meta.first_call);
    html! {
        header {
            h1 { "Training report" }
            p class="soft" {
                code { (shown(&view.about.model.display().to_string())) } " · fingerprint "
                code { (view.about.fingerprint) } " · seed " (meta.seed)
            }
            @if view.trained.corpus.sessions.is_empty() {
                @let trees = view.model.trees().map(|trees| trees.data());
                @let number = |of: &dyn Fn(&TreesData) -> usize| count(trees.map_or(0, of) as u64);
                dl class="tiles" {
                    (tile("Call trees", &number(&|trees| trees.trees.len()), "different ones"))
                    (tile("Roots", &number(&|trees| trees.scopes.len()), "where they begin"))
                    (tile("Functions", &number(&|trees| trees.functions.len()), "or operations of services"))
                }
            } @else {
                dl class="tiles" {
                    (tile("Calls", &count(meta.calls), &if span > 0 { format!("in {}", duration(span)) } else { "in ready-made sequences".to_owned() }))
                    (tile("Sessions", &count(meta.sessions), &format!("{} calls each on average", plain(mean(meta.calls, meta.sessions)))))
                    (tile("Callers", &count(meta.callers), &format!("{} sessions each on average", plain(mean(meta.sessions, meta.callers)))))
                    (tile("Interfaces", &count(view.model.interfaces.len() as u64 - 1), "names for what was called"))
                    (tile("Threshold", &plain(view.model.threshold()), &format!("for {} false alarms", percent(view.false_alarm_rate()))))
                    (tile("Would be reported", &count(flagged as u64), &format!("of these {} sessions", count(meta.sessions))))
                }
            }
        }
    }
}

pub(crate) fn tile(name: &str, value: &str, note: &str) -> Markup {
    html! { div class="tile" { dt { (name) } dd { (value) small { (note) } } } }
}

impl View<'_> {
    /// The sessions of the corpus that the finished model would report.
    fn flagged(&self) -> impl Iterator<Item = usize> + '_ {
        let threshold = self.model.threshold();
        self.scores.iter().enumerate().filter(move |(_, score)| **score >= threshold).map(|(at, _)| at)
    }

    fn false_alarm_rate(&self) -> f64 {
        self.trained.model.calibration.false_alarm_rate
    }
}

fn mean(of: u64, among: u64) -> f64 {
    of as f64 / among.max(1) as f64
}

/// A length of time in the unit that suits it.
fn duration(nanos: u64) -> String {
    let seconds = nanos as f64 / 1e9;
    for (unit, length) in [("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)] {
        if seconds >= 2.0 * length {
            return format!("{} {unit}", plain(seconds / length));
        }
    }
    format!("{} seconds", plain(seconds))
}

#[cfg(test)]
mod tests;

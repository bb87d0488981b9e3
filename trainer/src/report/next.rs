//! What to do with the model, and what would make it better.

use maud::{Markup, html};

use super::chart::{count, percent, plain, shown};
use super::{Section, View, duration};
use crate::ingest::Format;

/// With less than this expected number of false alarms in the training data the threshold is extrapolated
/// (`Tail::quantile`).
const ENOUGH_ALARMS: f64 = 20.0;
/// With fewer callers than this nobody can tell one caller's oddity from what is normal.
const FEW_CALLERS: u64 = 20;
const WEEK: u64 = 7 * 86_400 * 1_000_000_000;
/// A share of malformed lines that is worth a look.
const MALFORMED: f64 = 0.01;

/// One thing to do.
struct Advice {
    title: String,
    why: Markup,
}

pub(super) fn section(view: &View<'_>) -> Section {
    let body = html! {
        ol class="next" {
            @for advice in weaknesses(view).into_iter().chain(steps(view)) {
                li { strong { (advice.title) } (advice.why) }
            }
        }
    };
    Section { id: "next", title: "What to do next", body }
}

/// What in this data keeps the model from being as good as it could be, worst first.
fn weaknesses(view: &View<'_>) -> Vec<Advice> {
    let (report, meta) = (&view.trained.report, &view.model.meta);
    let mut found = Vec::new();
    let malformed = report.faults() as f64 / report.lines.max(1) as f64;
    if malformed > MALFORMED {
        found.push(Advice {
            title: format!("Look at the malformed lines: {} of all", percent(malformed)),
            why: html! { "What cannot be read is not learned. " a href="#input" { "The first of them are listed above." } },
        });
    }
    if meta.callers < FEW_CALLERS {
        found.push(Advice {
            title: format!("Train on more callers than {}", meta.callers),
            why: html! {
                "With fewer than " (FEW_CALLERS) " callers every session counts as its own witness, so one odd caller "
                "can pass for normal."
            },
        });
    }
    let flagged = view.flagged().count() as f64;
    let expected = view.false_alarm_rate() * meta.sessions as f64;
    // Twice the square root: chance alone seldom exceeds a Poisson mean by more.
    if flagged > expected + 2.0 * expected.sqrt().max(1.0) {
        found.push(Advice {
            title: format!("Look at the {flagged:.0} sessions that would be reported"),
            why: html! {
                "About " (plain(expected)) " were to be expected by chance at the stated rate. " a href="#unusual" { "The most unusual callers" }
                " may be attacks, scanners or broken clients that the log recorded; the model did not learn from what "
                "only one of them did."
            },
        });
    }
    if expected < ENOUGH_ALARMS {
        let wanted = (ENOUGH_ALARMS / view.false_alarm_rate()).ceil() as u64;
        found.push(Advice {
            title: format!("Train on more sessions, or state a higher rate than {}", percent(view.false_alarm_rate())),
            why: html! {
                "The threshold lies where only " (plain(expected)) " of " (count(meta.sessions)) " sessions are expected, so it is "
                "extrapolated from the tail. From about " (count(wanted)) " sessions on it rests on what was seen."
            },
        });
    }
    let span = meta.last_call.saturating_sub(meta.first_call);
    if span > 0 && span < WEEK {
        found.push(Advice {
            title: "Train on a whole week".to_owned(),
            why: html! { "This log covers " (duration(span)) ". What happens only at weekends or in nightly jobs is not in it, and would be reported." },
        });
    }
    found
}

/// The way from a model to a running agent; ready-made sequences know no calls, and no agent makes them.
fn steps(view: &View<'_>) -> Vec<Advice> {
    let model = quoted(&view.about.model.display().to_string());
    let format = view.about.format;
    let sequences = format == Format::Sequences;
    let judge = if sequences { "gait-trainer score" } else { "gait-agent replay" };
    let mut steps = vec![Advice {
        title: "Try the model on days it has not seen".to_owned(),
        why: html! {
            "The first command says how many sessions it would report and whether the traffic has drifted since; the "
            "second one names them and says why."
            pre {
                code {
                    (format!("gait-trainer evaluate --model {model} --format {format} NEW\n"))
                    (format!("{judge} --model {model} --format {format} NEW"))
                }
            }
        },
    }];
    if !sequences {
        steps.push(Advice {
            title: "Roll it out".to_owned(),
            why: html! {
                "Name the file in each agent's configuration and start the agent anew; its findings carry the fingerprint "
                code { (view.about.fingerprint) } "."
                pre { code { "[model]\npath = " (format!("{:?}", shown(&view.about.model.display().to_string()))) } }
            },
        });
    }
    steps.push(Advice {
        title: "Train again when the service changes".to_owned(),
        why: html! {
            "A release that brings new interfaces makes its first callers look unusual, and " code { "evaluate" } " calls "
            "it drift."
            @if !sequences && format != Format::Spool {
                " The agent's own records know overlapping calls and response times that a log does not: train on its "
                "spool once it has run for a while."
            }
        },
    });
    if view.trained.labelled.is_none() {
        steps.push(Advice {
            title: "Say what you know".to_owned(),
            why: html! {
                "Callers that you know to be attackers or broken can be left out of learning, and help to choose the "
                "threshold: one " code { "id,label" } " a line in a file for " code { "--labels" } "."
            },
        });
    }
    steps
}

/// A file's name as a shell takes it, whatever is in it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", shown(name).replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_become_a_command() {
        assert_eq!(quoted("/tmp/a-b.gait"), "/tmp/a-b.gait");
        assert_eq!(quoted("a b'; rm x"), r"'a b'\''; rm x'");
    }
}

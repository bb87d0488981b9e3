//! The most unusual sessions of the training data, explained as findings are.

use gait_common::finding::Finding;
use maud::{Markup, html};
use rustc_hash::FxHashMap;

use super::chart::{count, percent, plain, short, shown};
use super::scores::about;
use super::{Section, View};

/// Callers shown.
const SHOWN: usize = 10;
/// Callers shown at once.
const FIRST: usize = 3;
/// Steps shown of a session, and characters of a step's name.
const STEPS: usize = 9;
const NAME: usize = 48;

pub(super) fn section(view: &View<'_>) -> Section {
    let flagged = view.flagged().count() as u64;
    let cases = cases(view);
    let wanted: Vec<usize> = cases.iter().map(|&(session, _)| session).collect();
    let findings = crate::score::findings(&view.trained.corpus, &wanted, view.model);
    let explained: Vec<_> = findings.iter().zip(cases.iter().map(|&(_, more)| more)).collect();
    let body = html! {
        p {
            "These callers of the training data look least like the others to the finished model, with their most "
            "unusual session each. " (count(flagged)) " of " (count(view.model.meta.sessions)) " sessions pass the threshold of "
            (plain(view.model.threshold())) " and would be reported if the same data were replayed. Look at them: what is "
            "an attack or a broken client should not be taken for normal."
        }
        @if explained.is_empty() { p { strong { "No session shows anything unusual." } } }
        @for (finding, more) in explained.iter().take(FIRST) { (case(finding, *more)) }
        @if explained.len() > FIRST {
            details {
                summary { "The next " (explained.len() - FIRST) }
                @for (finding, more) in &explained[FIRST..] { (case(finding, *more)) }
            }
        }
    };
    Section { id: "unusual", title: "Most unusual callers", body }
}

/// The most unusual session of each caller, the most unusual first, with how many more of its sessions are reported.
fn cases(view: &View<'_>) -> Vec<(usize, usize)> {
    let sessions = &view.trained.corpus.sessions;
    let mut order: Vec<usize> = (0..sessions.len()).filter(|&at| view.scores[at] > 0.0).collect();
    order.sort_by(|&a, &b| view.scores[b].total_cmp(&view.scores[a]).then(a.cmp(&b)));
    let mut seen: FxHashMap<u32, usize> = FxHashMap::default();
    let mut cases: Vec<(usize, usize)> = Vec::new();
    for at in order {
        match seen.get(&sessions[at].caller) {
            Some(&case) if view.scores[at] >= view.model.threshold() => cases[case].1 += 1,
            Some(_) => {}
            None if cases.len() < SHOWN => {
                seen.insert(sessions[at].caller, cases.len());
                cases.push((at, 0));
            }
            None => {}
        }
    }
    cases
}

fn case(finding: &Finding, more: usize) -> Markup {
    let reported = finding.score >= finding.threshold;
    html! {
        article class="case" {
            h3 {
                code { (shown(&finding.caller)) }
                span class=(if reported { "tag bad" } else { "tag" }) {
                    "score " (plain(finding.score)) @if reported { ", would be reported" }
                }
                @if more > 0 { span class="tag" { (more) @if more == 1 { " more session like this" } @else { " more such sessions" } } }
            }
            ul class="why" {
                @for reason in &finding.reasons {
                    li {
                        span class="meter" title=(percent(reason.share)) { i style=(format!("width:{:.0}%", 100.0 * reason.share)) {} }
                        span { strong { (about(reason.part).0) } ": " (reason_text(&reason.text)) }
                    }
                }
            }
            (walk(finding))
            @if !finding.expected.is_empty() {
                p class="soft" {
                    "Usual here: "
                    @for (at, expected) in finding.expected.iter().enumerate() {
                        @if at > 0 { ", " } code { (shown(&expected.interface)) } " " (percent(expected.probability))
                    }
                }
            }
        }
    }
}

/// The steps around the one that stands out.
fn walk(finding: &Finding) -> Markup {
    let offending = finding.steps.iter().position(|step| step.offending);
    let last = finding.steps.len().saturating_sub(STEPS);
    let first = offending.map_or(last, |at| last.min(at.saturating_sub(STEPS / 2)));
    let after = finding.steps.len().saturating_sub(first + STEPS);
    html! {
        ol class="walk" aria-label="steps" {
            @let before = u64::from(finding.earlier_steps) + first as u64;
            @if before > 0 { li class="more" { "after " (count(before)) @if before == 1 { " other" } @else { " others" } } }
            @for step in finding.steps.iter().skip(first).take(STEPS) {
                li class=[step.offending.then_some("off")] {
                    code title=(shown(&step.interface)) { (short(&step.interface, NAME)) }
                    " " small { (format!("{:.1} bits", step.surprise)) }
                }
            }
            @if after > 0 { li class="more" { (after) " more" } }
        }
    }
}

/// A reason's text, in which names stand between backticks.
fn reason_text(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (shown(piece)) } } @else { (shown(piece)) }
        }
    }
}

//! The interfaces and how much each was called.

use maud::{Markup, html};

use super::chart::{count, percent, shown};
use super::volumes::Volume;
use super::{Section, View};

/// Interfaces listed at once, and at all; whoever wants more asks `inspect`.
const FIRST: usize = 15;
const MOST: usize = 300;

pub(super) fn section(view: &View<'_>) -> Section {
    let volumes = view.volumes;
    let templates = volumes.iter().filter(|volume| is_template(view, volume)).count();
    let single = volumes.iter().filter(|volume| !volume.learned).count();
    let failing = volumes.iter().any(|volume| volume.answered > 0);
    let body = html! {
        p {
            (count(volumes.len() as u64)) " interfaces were called; " (count(templates as u64))
            " of them are templates that stand for many addresses (" code { "{int}" } ", " code { "{*}" } " and their like)."
            @if single > 0 {
                " " (count(single as u64)) " were called by one caller alone. That says nothing about what is normal, so "
                "the model treats them as unknown; they are marked "
                span class="tag" { "one caller" } "."
            }
        }
        (table(view, &volumes[..volumes.len().min(FIRST)], failing))
        @if volumes.len() > FIRST {
            details {
                summary { "The next " (count((volumes.len().min(MOST) - FIRST) as u64)) }
                (table(view, &volumes[FIRST..volumes.len().min(MOST)], failing))
                @if volumes.len() > MOST {
                    p class="soft" { (count((volumes.len() - MOST) as u64)) " more are in the model: " code { "gait-trainer inspect" } " lists them." }
                }
            }
        }
    };
    Section { id: "interfaces", title: "Interfaces", body }
}

fn is_template(view: &View<'_>, volume: &Volume) -> bool {
    view.model.interfaces.name(volume.interface).contains('{')
}

fn table(view: &View<'_>, volumes: &[Volume], failing: bool) -> Markup {
    let all = view.model.meta.calls.max(1) as f64;
    let sessions = view.model.meta.sessions.max(1) as f64;
    let largest = view.volumes.first().map_or(1, |volume| volume.calls) as f64;
    html! {
        div class="scroll" {
            table {
                thead {
                    tr {
                        th { "Interface" } th class="num" { "Calls" } th class="num" { "Share" } th { span class="soft" { "" } }
                        th class="num" { "In sessions" } th class="num" { "Callers" }
                        @if failing { th class="num" { "Status ≥ 400" } }
                    }
                }
                tbody {
                    @for volume in volumes {
                        tr {
                            td {
                                code { (shown(view.model.interfaces.name(volume.interface))) }
                                @if !volume.learned { " " span class="tag" { "one caller" } }
                            }
                            td class="num" { (count(volume.calls)) }
                            td class="num" { (percent(volume.calls as f64 / all)) }
                            td { span class="meter" { i style=(format!("width:{:.1}%", 100.0 * volume.calls as f64 / largest)) {} } }
                            td class="num" { (percent(volume.sessions as f64 / sessions)) }
                            td class="num" { (count(volume.callers)) }
                            @if failing { td class="num" { (percent(volume.failed as f64 / volume.answered.max(1) as f64)) } }
                        }
                    }
                }
            }
        }
    }
}

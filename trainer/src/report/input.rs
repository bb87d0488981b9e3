//! What was read, and what of it could not be used.

use maud::{Markup, html};

use super::chart::{count, percent, shown};
use super::{Section, View};

pub(super) fn section(view: &View<'_>) -> Section {
    let report = &view.trained.report;
    let parts = [
        ("kept", "Records that were used", report.records),
        ("skipped", "Well-formed, but no HTTP request", report.not_http),
        ("blank", "Blank", report.blank),
        ("bad", "Malformed", report.faults()),
    ];
    let share = |number: u64| number as f64 / report.lines.max(1) as f64;
    let body = html! {
        p {
            "From " (count(report.files)) @if report.files == 1 { " file" } @else { " files" } " in format "
            code { (view.about.format) } @if !view.about.inputs.is_empty() { ": " }
            @for (place, input) in view.about.inputs.iter().take(8).enumerate() {
                @if place > 0 { ", " } code { (shown(input)) }
            }
            @if view.about.inputs.len() > 8 { " and " (view.about.inputs.len() - 8) " more" } "."
        }
        div class="split" role="img" aria-label=(format!("{} of {} lines were used", report.records, report.lines)) {
            @for (class, name, number) in &parts {
                @if *number > 0 {
                    i class=(class) style=(format!("flex:{number}")) title=(format!("{name}: {}", count(*number))) {}
                }
            }
        }
        table {
            thead { tr { th { "Lines" } th class="num" { "Number" } th class="num" { "Share" } th class="wide" {} } }
            tbody {
                @for (class, name, number) in parts {
                    tr {
                        td { i class=(format!("swatch {class}")) {} (name) }
                        td class="num" { (count(number)) } td class="num" { (percent(share(number))) } td {}
                    }
                }
                tr { td { strong { "All" } } td class="num" { strong { (count(report.lines)) } } td {} td {} }
            }
        }
        (malformed(view))
        @if view.trained.share < 1.0 {
            p {
                "There were more calls than memory was granted for (" code { "--max-calls" } "): "
                (percent(view.trained.share)) " of the callers were learned from, drawn by chance and each with all of "
                "its calls."
            }
        }
        @if view.trained.partial > 0 {
            p {
                (count(view.trained.partial as u64)) " sessions were not captured whole. The order of their calls was "
                "learned, not their lengths and counts."
            }
        }
    };
    Section { id: "input", title: "What was read", body }
}

fn malformed(view: &View<'_>) -> Markup {
    let report = &view.trained.report;
    html! {
        @if report.faults() > 0 {
            h3 { "Why lines were malformed" }
            table {
                thead { tr { th { "Reason" } th class="num" { "Lines" } th class="wide" {} } }
                tbody {
                    @for (reason, lines) in &report.malformed {
                        tr { td { (reason) } td class="num" { (count(*lines)) } td {} }
                    }
                }
            }
            details open {
                summary { "The first of them" }
                div class="scroll" {
                    table {
                        thead { tr { th { "Where" } th { "Line, without values" } } }
                        tbody {
                            @for sample in &report.samples {
                                tr {
                                    td { code { (shown(&sample.file)) ":" (sample.line) } }
                                    td { code { (shown(&sample.excerpt)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

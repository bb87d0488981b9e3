//! An answer for people: both sides of every field beside each other, and where each point of a score comes from.

use gait_common::identity::{self, Decision, Entity, FieldScore, Hit, NameKind, Script, TokenScore};
use maud::{Markup, html};

use super::form::Filled;
use crate::screen::{ClearedHit, Loaded, Screened, Screener, word};
use crate::screen::{field_name, script_name};

/// Other names, addresses and the like that are shown of an entity.
const SHOWN: usize = 12;

pub(super) fn render(screened: &Screened, filled: &Filled, screener: &Screener) -> Markup {
    let answer = &screened.answer;
    let loaded = screener.list();
    // After a reload the places of entities are others.
    let list = (loaded.fingerprint == screened.list).then_some(&*loaded);
    html! {
        section #answer tabindex="-1" aria-label="Answer" {
            (verdict(screened, filled.name.trim()))
            @for note in &answer.notes {
                p .notice { (super::form::sentence(note)) }
            }
            @for (at, hit) in answer.hits.iter().enumerate() {
                (card(at, hit, list, filled, screener.can_clear()))
            }
            @if answer.more > 0 {
                p .quiet { (answer.more) " more come near enough and are not shown; say more about who it is." }
            }
            @if !screened.cleared.is_empty() { (cleared(&screened.cleared)) }
            p .quiet .basis {
                "Answered from list " code { (screened.list) } " under policy " code { (screened.policy) }
                ". On record as " code { (screened.query) } "."
            }
        }
    }
}

fn verdict(screened: &Screened, name: &str) -> Markup {
    let answer = &screened.answer;
    let count = answer.hits.len() + answer.more;
    let identities = if count == 1 { "identity comes" } else { "identities come" };
    let (sign, title) = match answer.decision {
        Decision::Pass => ("✓", "Pass"),
        Decision::Review => ("?", "Review"),
        Decision::Block => ("!", "Block"),
    };
    html! {
        div class={ "verdict " (word(answer.decision)) } role="status" {
            span .sign aria-hidden="true" { (sign) }
            div {
                h2 { (title) ": " bdi { (name) } }
                p {
                    @if count == 0 {
                        "No listed identity comes near enough"
                        @if !screened.cleared.is_empty() { ", but for what was cleared" }
                        "."
                    } @else {
                        (count) " listed " (identities) " near enough"
                        @match (answer.decision, count) {
                            (Decision::Block, 1) => ": it is as good as certain.",
                            (Decision::Block, _) => ", one of them as good as certain.",
                            _ => ". A person has to look.",
                        }
                    }
                }
            }
        }
    }
}

fn card(at: usize, hit: &Hit, list: Option<&Loaded>, filled: &Filled, can_clear: bool) -> Markup {
    let data = list.map(|list| list.watchlist.data());
    let entity = data.and_then(|data| data.entities.get(hit.entity as usize));
    let source = entity.and_then(|entity| data?.sources.get(usize::from(entity.source)));
    let kind = serde_json::to_value(hit.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    html! {
        article class={ "card hit " (word(hit.decision)) } id={ "hit-" (at + 1) } tabindex="-1" {
            header {
                div {
                    h3 { bdi { (hit.name) } }
                    p .quiet {
                        @if kind != "unknown" { (kind) " · " }
                        strong { (hit.source) } " " (hit.id)
                        @if let Some(source) = source {
                            @if !source.date.is_empty() { " · list of " (source.date) }
                            @if !source.version.is_empty() { " · version " (source.version) }
                        }
                    }
                }
                div .score {
                    span .figure { (percent(hit.score)) }
                    span class={ "tag " (word(hit.decision)) } { (word(hit.decision)) }
                }
            }
            (bar(hit.score))
            (fields(hit))
            @if let Some(entity) = entity { (about(entity, hit, list)) }
            (clear(hit, filled, can_clear))
        }
    }
}

/// Both sides of every field.
fn fields(hit: &Hit) -> Markup {
    html! {
        div .scroll tabindex="0" role="group" aria-label="Fields" {
            table .fields {
                thead {
                    tr {
                        th scope="col" { "Field" }
                        th scope="col" { "Asked for" }
                        th scope="col" { "Listed" }
                        th scope="col" .number { "Fits" }
                        th scope="col" .number { "Weight" }
                        th scope="col" .number { "Points" }
                        th scope="col" { "Why" }
                    }
                }
                @for field in &hit.fields { tbody { (row(field)) } }
                tfoot {
                    tr {
                        th scope="row" colspan="5" { "Score" }
                        td .number { strong { (points(hit.score)) } }
                        td .quiet { "of 100" }
                    }
                }
            }
        }
    }
}

fn row(field: &FieldScore) -> Markup {
    html! {
        tr {
            th scope="row" { (field_name(field.field)) }
            td data-label="Asked for" { bdi { (side(&field.query)) } }
            td data-label="Listed" { bdi { (side(&field.listed)) } }
            td .number data-label="Fits" { (percent(field.score)) }
            td .number data-label="Weight" { (percent(field.weight)) }
            td .number data-label="Points" { strong { (points(field.score * field.weight)) } }
            td data-label="Why" { (field.reason) }
        }
        @for (at, form) in forms(field).iter().enumerate() {
            tr .form {
                th scope="row" { (form.writing) }
                td data-label="Asked for" { bdi { (side(form.query)) } }
                td data-label="Listed" { bdi { (side(form.listed)) } }
                td .gap colspan="3" {}
                td { @if at == 0 && form.both() && field.forms.len() > 1 { "decided in this writing" } }
            }
        }
        @if field.tokens.len() > 1 || field.tokens.iter().any(|token| token.score < 1.0) {
            tr .form {
                td .gap {}
                td colspan="6" { (tokens(&field.tokens)) }
            }
        }
    }
}

/// A name in one writing, or one side in pinyin beside the other in Latin letters.
struct Form<'a> {
    writing: &'static str,
    query: &'a str,
    listed: &'a str,
}

impl Form<'_> {
    fn both(&self) -> bool {
        !self.query.is_empty() && !self.listed.is_empty()
    }
}

/// The writings of a name: where one side is in pinyin and the other in Latin letters they stand beside each other.
fn forms(field: &FieldScore) -> Vec<Form<'_>> {
    let of = |script| field.forms.iter().find(|form| form.script == script);
    let crossed = of(Script::Pinyin).zip(of(Script::Latin)).and_then(|(pinyin, latin)| {
        let sides = [&pinyin.query, &latin.listed, &latin.query, &pinyin.listed];
        let empty = sides.map(|side| side.is_empty());
        match empty {
            [false, false, true, true] => Some((&*pinyin.query, &*latin.listed)),
            [true, true, false, false] => Some((&*latin.query, &*pinyin.listed)),
            _ => None,
        }
    });
    let whole = |form: &identity::Form| crossed.is_none() || form.script == Script::Han;
    let crossed = crossed.map(|(query, listed)| Form { writing: "Pinyin, Latin", query, listed });
    let rest = field.forms.iter().filter(|form| whole(form)).map(|form| Form {
        writing: script_name(form.script),
        query: &form.query,
        listed: &form.listed,
    });
    crossed.into_iter().chain(rest).collect()
}

/// Word by word.
fn tokens(tokens: &[TokenScore]) -> Markup {
    html! {
        ul .tokens aria-label="Word by word" {
            @for token in tokens {
                li class=(if token.score >= 0.999 { "same" } else if token.score > 0.0 { "near" } else { "apart" }) {
                    bdi { (side(&token.query)) } " → " bdi { (side(&token.listed)) }
                    span .quiet { " " (token.how) ", " (percent(token.score)) " of " (percent(token.weight)) }
                }
            }
        }
    }
}

/// What else the list says.
fn about(entity: &Entity, hit: &Hit, list: Option<&Loaded>) -> Markup {
    let names: Vec<String> = entity
        .names
        .iter()
        .filter(|name| name.text != hit.name)
        .map(|name| match name.kind {
            NameKind::Weak => format!("{} (weak)", name.text),
            _ => name.text.clone(),
        })
        .collect();
    let dates: Vec<String> = entity.birth_dates.iter().map(ToString::to_string).collect();
    let documents: Vec<String> = entity
        .documents
        .iter()
        .map(|document| format!("{} {}", document.kind, document.number).trim().to_owned())
        .collect();
    let same: Vec<String> = hit
        .same
        .iter()
        .filter_map(|&at| {
            let data = list?.watchlist.data();
            let other = data.entities.get(at as usize)?;
            let source = data.sources.get(usize::from(other.source))?;
            Some(format!("{} {} ({})", source.name, other.id, other.title()))
        })
        .collect();
    let notes: Vec<String> =
        Some(entity.notes.trim().to_owned()).filter(|notes| !notes.is_empty()).into_iter().collect();
    let all = [
        ("Also listed as", names),
        ("Born", dates),
        ("Countries", entity.countries.clone()),
        ("Documents", documents),
        ("Addresses", entity.addresses.clone()),
        ("Programmes", entity.programs.clone()),
        ("Held to be the same as", same),
        ("Remarks", notes),
    ];
    html! {
        @if all.iter().any(|(_, values)| !values.is_empty()) {
            details .about {
                summary { "What the list says" }
                dl {
                    @for (what, values) in &all {
                        @if !values.is_empty() {
                            dt { (what) }
                            @for value in values.iter().take(SHOWN) { dd { bdi { (value) } } }
                            @if values.len() > SHOWN { dd .quiet { (values.len() - SHOWN) " more" } }
                        }
                    }
                }
            }
        }
    }
}

fn clear(hit: &Hit, filled: &Filled, can_clear: bool) -> Markup {
    html! {
        @if can_clear && !filled.caller.trim().is_empty() {
            details .clear {
                summary { "This is somebody else" }
                form method="post" action="/screen/clear" {
                    @for (name, value) in filled.values() { input type="hidden" name=(name) value=(value); }
                    input type="hidden" name="source" value=(hit.source);
                    input type="hidden" name="id" value=(hit.id);
                    p .quiet {
                        "The match no longer counts for the caller " code { (filled.caller.trim()) }
                        ", until the list says something else of " bdi { (hit.name) } "."
                    }
                    div .more {
                        div .field {
                            label for={ "by-" (hit.entity) } { "Your name" }
                            input id={ "by-" (hit.entity) } name="by" required maxlength="200" autocomplete="name";
                        }
                        div .field .wide {
                            label for={ "note-" (hit.entity) } { "Why it is somebody else" }
                            input id={ "note-" (hit.entity) } name="note" required maxlength="1000" autocomplete="off";
                        }
                    }
                    button type="submit" .plain { "Clear this match" }
                }
            }
        }
    }
}

fn cleared(hits: &[ClearedHit]) -> Markup {
    html! {
        section .card .cleared {
            h3 { "Cleared before" }
            ul {
                @for hit in hits {
                    li {
                        bdi { strong { (hit.name) } } " (" (hit.source) " " (hit.id) ", " (percent(hit.score)) ")"
                        span .quiet { " by " (hit.by) " on " (hit.time.get(..10).unwrap_or(&hit.time)) ": " (hit.note) }
                    }
                }
            }
        }
    }
}

/// A bar without style: policy forbids styles that stand in the markup.
fn bar(share: f64) -> Markup {
    html! {
        svg .bar viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" {
            rect .back width="100" height="1" {}
            rect .fill width=(format!("{:.1}", share.clamp(0.0, 1.0) * 100.0)) height="1" {}
        }
    }
}

fn side(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn percent(share: f64) -> String {
    // What is not whole must not look it.
    let rounded = (share * 100.0).round();
    if rounded >= 100.0 && share < 1.0 - 1e-9 {
        format!("{:.1} %", (share * 1000.0).floor() / 10.0)
    } else {
        format!("{rounded:.0} %")
    }
}

fn points(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

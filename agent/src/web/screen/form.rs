//! The search page: what was filled in, and what came of it.

use gait_common::identity::{EntityKind, ListVersion, Query};
use maud::{Markup, html};
use serde::Deserialize;

use super::answer;
use crate::screen::{Screened, Screener, check};
use crate::web::layout;

/// The channel of the risk matrix that the page's queries come by.
const CHANNEL: &str = "search";
/// Kinds that can be chosen.
const KINDS: [(&str, &str, Option<EntityKind>); 5] = [
    ("", "anything", None),
    ("person", "a person", Some(EntityKind::Person)),
    ("organisation", "an organisation", Some(EntityKind::Organisation)),
    ("vessel", "a ship", Some(EntityKind::Vessel)),
    ("aircraft", "an aircraft", Some(EntityKind::Aircraft)),
];

/// The form as somebody filled it in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    pub(super) name: String,
    pub(super) birth_date: String,
    pub(super) country: String,
    pub(super) document: String,
    pub(super) kind: String,
    pub(super) channel: String,
    pub(super) caller: String,
}

/// A clearance, with the query that led to it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Clearing {
    name: String,
    birth_date: String,
    country: String,
    document: String,
    kind: String,
    channel: String,
    pub(super) caller: String,
    pub(super) source: String,
    pub(super) id: String,
    pub(super) by: String,
    pub(super) note: String,
}

impl Clearing {
    pub(super) fn filled(&self) -> Filled {
        let Self { name, birth_date, country, document, kind, channel, caller, .. } = self.clone();
        Filled { name, birth_date, country, document, kind, channel, caller }
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    field: &'static str,
    why: String,
}

impl Filled {
    /// The query.
    ///
    /// # Errors
    /// Which field is wrong, and why.
    pub(super) fn query(&self) -> Result<Query, Wrong> {
        let many = |text: &str| -> Vec<String> {
            text.split([',', ';'])
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let wrong = |field, why: String| Wrong { field, why };
        let birth_date =
            Some(self.birth_date.trim()).filter(|date| !date.is_empty()).map(str::parse).transpose();
        let kind = KINDS.iter().find(|(value, ..)| *value == self.kind);
        let query = Query {
            name: self.name.trim().to_owned(),
            kind: kind.ok_or_else(|| wrong("kind", "choose one of the list".to_owned()))?.2,
            birth_date: birth_date.map_err(|error: gait_common::identity::BirthDateError| {
                wrong("birth_date", error.to_string())
            })?,
            countries: many(&self.country),
            documents: many(&self.document),
            address: None,
            channel: match self.channel.trim() {
                "" => CHANNEL.to_owned(),
                channel => channel.to_owned(),
            },
        };
        check(&query).map_err(|error| {
            let why = error.to_string();
            let fields = [("countries", "country"), ("documents", "document")];
            let field = fields.iter().find(|(what, _)| why.contains(what)).map_or("name", |(_, field)| field);
            wrong(field, why)
        })?;
        Ok(query)
    }

    /// The form's fields with their values.
    pub(super) fn values(&self) -> [(&'static str, &str); 7] {
        [
            ("name", &self.name),
            ("birth_date", &self.birth_date),
            ("country", &self.country),
            ("document", &self.document),
            ("kind", &self.kind),
            ("channel", &self.channel),
            ("caller", &self.caller),
        ]
    }
}

/// All that the page shows.
pub(super) struct Page<'a> {
    pub(super) host: &'a str,
    pub(super) screener: Option<&'a Screener>,
    /// The lists, and how many identities each has.
    pub(super) lists: Vec<(ListVersion, usize)>,
    /// Channels that can be chosen.
    pub(super) channels: Vec<String>,
    pub(super) filled: Filled,
    pub(super) wrong: Option<Wrong>,
    pub(super) screened: Option<Screened>,
    /// Why there is no answer.
    pub(super) failure: Option<String>,
    /// What became of a clearance.
    pub(super) said: Option<Result<String, String>>,
}

impl<'a> Page<'a> {
    pub(super) fn new(host: &'a str, screener: &'a Screener) -> Self {
        let loaded = screener.list();
        let data = loaded.watchlist.data();
        let mut counts = vec![0; data.sources.len()];
        data.entities.iter().for_each(|entity| counts[usize::from(entity.source)] += 1);
        let mut channels: Vec<String> = vec![CHANNEL.to_owned()];
        for channel in screener.policy().matrix.iter().filter_map(|cell| cell.channel.clone()) {
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        let lists = loaded.watchlist.versions().into_iter().zip(counts).collect();
        Self { screener: Some(screener), lists, channels, ..Self::without_list(host) }
    }

    pub(super) fn without_list(host: &'a str) -> Self {
        Self {
            host,
            screener: None,
            lists: Vec::new(),
            channels: Vec::new(),
            filled: Filled::default(),
            wrong: None,
            screened: None,
            failure: None,
            said: None,
        }
    }

    pub(super) fn render(&self) -> Markup {
        let asked = Some(self.filled.name.trim()).filter(|_| self.screened.is_some());
        let title = asked.map_or("Screening".to_owned(), |name| format!("{name} · Screening"));
        layout::page(
            &title,
            html! {
                @match self.screener {
                    None => (no_list()),
                    Some(screener) => {
                        (self.search())
                        (self.outcome(screener))
                    }
                }
            },
        )
    }

    fn search(&self) -> Markup {
        let filled = &self.filled;
        let said =
            |(field, value): &(&str, &str)| !value.is_empty() && (*field != "channel" || *value != CHANNEL);
        let more = filled.values()[1..].iter().any(said)
            || self.wrong.as_ref().is_some_and(|wrong| wrong.field != "name");
        html! {
            form .card .search method="post" action="/screen" {
                h1 { "Is this name on a list?" }
                p .quiet .lists {
                    "Asked on " (self.host) ": "
                    @for (at, (list, count)) in self.lists.iter().enumerate() {
                        @if at > 0 { " · " }
                        span .list title={ "version " (list.version) } {
                            strong { (list.name) } " " (if list.date.is_empty() { "of unknown date" } else { &list.date })
                            ", " (grouped(*count)) " identities"
                        }
                    }
                }
                div .ask {
                    label .hidden for="name" { "Name" }
                    input #name name="name" value=(filled.name) required maxlength="1024" autocomplete="off"
                        autofocus[self.screened.is_none() && self.wrong.as_ref().is_none_or(|wrong| wrong.field == "name")]
                        spellcheck="false" dir="auto"
                        placeholder="A name, in any script and order"
                        aria-invalid[self.is_wrong("name")] aria-describedby="name-wrong";
                    button type="submit" { "Look up" }
                }
                (self.why_wrong("name"))
                details open[more] {
                    summary { "More about who it is" }
                    div .more {
                        (self.text("birth_date", "Birth date", &filled.birth_date, "1961-03-24, 1961 or circa 1961"))
                        (self.text("country", "Country", &filled.country, "RU, China"))
                        (self.text("document", "Document number", &filled.document, ""))
                        div .field {
                            label for="kind" { "It is" }
                            select #kind name="kind" {
                                @for (value, text, _) in KINDS {
                                    option value=(value) selected[filled.kind == value] { (text) }
                                }
                            }
                        }
                        div .field {
                            label for="channel" { "Channel" }
                            select #channel name="channel" {
                                @for channel in &self.channels {
                                    option value=(channel) selected[filled.channel == *channel] { (channel) }
                                }
                            }
                        }
                        (self.text("caller", "Caller", &filled.caller, "as findings name it"))
                    }
                }
            }
        }
    }

    fn text(&self, name: &'static str, label: &str, value: &str, hint: &str) -> Markup {
        html! {
            div .field {
                label for=(name) { (label) }
                input id=(name) name=(name) value=(value) placeholder=(hint) maxlength="1024" autocomplete="off"
                    spellcheck="false" autofocus[self.is_wrong(name)] aria-invalid[self.is_wrong(name)] aria-describedby={ (name) "-wrong" };
                (self.why_wrong(name))
            }
        }
    }

    fn is_wrong(&self, field: &str) -> bool {
        self.wrong.as_ref().is_some_and(|wrong| wrong.field == field)
    }

    fn why_wrong(&self, field: &str) -> Markup {
        html! {
            @if let Some(wrong) = self.wrong.as_ref().filter(|wrong| wrong.field == field) {
                p .error role="alert" id={ (field) "-wrong" } { (sentence(&wrong.why)) }
            }
        }
    }

    fn outcome(&self, screener: &Screener) -> Markup {
        html! {
            @match &self.said {
                Some(Ok(said)) => p .notice .good role="status" { (sentence(said)) },
                Some(Err(why)) => p .notice .bad role="alert" { "Nothing was cleared: " (why) "." },
                None => {}
            }
            @if let Some(failure) = &self.failure {
                section .notice .bad role="alert" {
                    h2 { "No answer" }
                    p { (sentence(failure)) }
                }
            }
            @if let Some(screened) = &self.screened {
                (answer::render(screened, &self.filled, screener))
            }
        }
    }
}

fn no_list() -> Markup {
    html! {
        section .notice .bad role="alert" {
            h1 { "There is no list" }
            p {
                "Nothing can be looked up until " code { "screening.list" }
                " of the agent's configuration names a list. Build one with " code { "gait-trainer watchlist build" } "."
            }
        }
    }
}

/// A message as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

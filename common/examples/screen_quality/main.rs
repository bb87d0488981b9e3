//! Measures identity screening: how well, on labelled pairs and on pairs it makes itself, and how fast.
//!
//! `cargo run --release -p gait-common --features identity --example screen_quality -- DIRECTORY [--json]`, where the
//! directory holds the lists and labelled pairs that the README there describes.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod data;
mod heldout;
mod speed;

use std::collections::BTreeMap;
use std::path::PathBuf;

use gait_common::identity::{Entity, ListData, Name, NameKind, Policy, Query, Source, Watchlist};
use serde_json::{Value, json};

/// Something to be looked up, and what should come of it.
pub(crate) struct Case {
    pub class: String,
    pub query: String,
    /// The place of the entity that should be found, or, where none should be, of the one it was made from.
    pub entity: u32,
    pub found: bool,
}

/// What came of the cases of one class.
#[derive(Clone, Copy, Default)]
struct Count {
    wanted: u32,
    found: u32,
    unwanted: u32,
    raised: u32,
    /// Raised for the very entity that the case was made from.
    raised_own: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("name the directory of the data")?);
    let as_json = arguments.next().is_some_and(|argument| argument == "--json");
    let mut report = serde_json::Map::new();
    let policy = Policy { max_hits: usize::MAX, ..Policy::default() };

    let (list, cases) = data::pairs(&directory)?;
    let watchlist = Watchlist::new(list)?;
    report.insert(
        "zh_names_dev".into(),
        table("zh_names_dev (of the list)", &run(&watchlist, &cases, &policy), as_json),
    );
    report.insert("watchman".into(), cross_script(&data::cross_script(&directory)?, as_json)?);
    report.insert("opencc".into(), variants(&data::variants(&directory)?, as_json)?);

    let (list, cases) = data::ssb(&directory)?;
    let watchlist = Watchlist::new(list)?;
    report.insert("ssb_ofac_500".into(), table("ssb_ofac_500", &run(&watchlist, &cases, &policy), as_json));

    let sdn = data::sdn(&directory)?;
    let cases = heldout::latin(&sdn, 7);
    let watchlist = Watchlist::new(sdn)?;
    report.insert(
        "heldout_sdn".into(),
        table("held out: SDN, perturbed here", &run(&watchlist, &cases, &policy), as_json),
    );
    let (list, cases) = heldout::han(11);
    let han = Watchlist::new(list)?;
    report.insert(
        "heldout_han".into(),
        table("held out: Han, made here", &run(&han, &cases, &policy), as_json),
    );
    let (list, cases) = data::un(&directory)?;
    let un = Watchlist::new(list)?;
    report.insert(
        "un_scripts".into(),
        table("UN: original script against Latin", &run(&un, &cases, &policy), as_json),
    );

    report.insert("speed".into(), speed::measure(&data::sdn(&directory)?, &watchlist, as_json)?);
    if as_json {
        println!("{}", serde_json::to_string_pretty(&Value::Object(report))?);
    }
    Ok(())
}

/// A list of one source with these names, each its own entity.
pub(crate) fn list_of(names: impl IntoIterator<Item = Vec<String>>) -> ListData {
    let entity = |(at, names): (usize, Vec<String>)| {
        let kind = |nth| if nth == 0 { NameKind::Primary } else { NameKind::Alias };
        let names = names.into_iter().enumerate().map(|(nth, text)| Name::new(text, kind(nth)));
        Entity { id: at.to_string(), names: names.collect(), ..Entity::default() }
    };
    ListData {
        sources: vec![Source { name: "measured".into(), ..Source::default() }],
        entities: names.into_iter().enumerate().map(entity).collect(),
        same: Vec::new(),
    }
}

fn run(watchlist: &Watchlist, cases: &[Case], policy: &Policy) -> BTreeMap<String, Count> {
    let show = std::env::var("SHOW").ok();
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for case in cases {
        let answer = watchlist.screen(&Query::name(&case.query), policy);
        let own = answer.hits.iter().any(|hit| hit.entity == case.entity);
        let count = counts.entry(case.class.clone()).or_default();
        if case.found {
            count.wanted += 1;
            count.found += u32::from(own);
        } else {
            count.unwanted += 1;
            count.raised += u32::from(!answer.hits.is_empty());
            count.raised_own += u32::from(own);
        }
        if show.as_deref() == Some(case.class.as_str()) && own != case.found {
            let alone = watchlist.compare_with(&Query::name(&case.query), case.entity, policy);
            let title = watchlist.data().entities[case.entity as usize].title();
            let why = alone.as_ref().map_or("", |hit| &hit.fields[0].reason);
            println!("{} | {title} | {:.3} {why}", case.query, alone.as_ref().map_or(0.0, |hit| hit.score));
        }
    }
    counts
}

/// Prints a table per class, and the whole by precision, recall and F1.
fn table(title: &str, counts: &BTreeMap<String, Count>, as_json: bool) -> Value {
    let mut sum = Count::default();
    let mut classes = serde_json::Map::new();
    if !as_json {
        println!(
            "\n{title}\n  {:<24} {:>7} {:>7} {:>9} {:>7} {:>7}",
            "class", "wanted", "found", "unwanted", "raised", "(own)"
        );
    }
    for (class, count) in counts {
        sum.wanted += count.wanted;
        sum.found += count.found;
        sum.unwanted += count.unwanted;
        sum.raised += count.raised;
        sum.raised_own += count.raised_own;
        classes.insert(
            class.clone(),
            json!({"wanted": count.wanted, "found": count.found, "unwanted": count.unwanted, "raised": count.raised, "raised_own": count.raised_own}),
        );
        if !as_json {
            println!(
                "  {class:<24} {:>7} {:>7} {:>9} {:>7} {:>7}",
                count.wanted, count.found, count.unwanted, count.raised, count.raised_own
            );
        }
    }
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
    let recall = share(sum.found, sum.wanted);
    let false_rate = share(sum.raised, sum.unwanted);
    let false_own = share(sum.raised_own, sum.unwanted);
    let precision = share(sum.found, sum.found + sum.raised);
    let pairwise = share(sum.found, sum.found + sum.raised_own);
    let f1 = |precision: f64| 2.0 * precision * recall / (precision + recall).max(1e-12);
    if !as_json {
        println!(
            "  recall {recall:.4}; any hit: false {false_rate:.4}, precision {precision:.4}, F1 {:.4}; the pair's own: false {false_own:.4}, precision {pairwise:.4}, F1 {:.4}",
            f1(precision),
            f1(pairwise)
        );
    }
    json!({"recall": recall, "false_positive_rate": false_rate, "false_positive_rate_pairs": false_own,
           "precision": precision, "f1": f1(precision), "precision_pairs": pairwise, "f1_pairs": f1(pairwise), "classes": classes})
}

/// Every pair alone on a list: its score must reach its minimum.
fn cross_script(pairs: &[(String, String, f64)], as_json: bool) -> Result<Value, Box<dyn std::error::Error>> {
    let mut short = Vec::new();
    let mut scores = Vec::new();
    for (query, listed, least) in pairs {
        let watchlist = Watchlist::new(list_of([vec![listed.clone()]]))?;
        let policy = Policy { review: 0.01, block: 2.0, ..Policy::default() };
        let score = watchlist.screen(&Query::name(query), &policy).hits.first().map_or(0.0, |hit| hit.score);
        if score < *least {
            short.push(format!("{query} {listed}: {score:.3} of {least}"));
        }
        scores.push(json!({"query": query, "listed": listed, "score": score, "least": least}));
    }
    if !as_json {
        println!(
            "\ncross-script pairs: {} of {} reach their minimum {short:?}",
            pairs.len() - short.len(),
            pairs.len()
        );
    }
    Ok(json!({"pairs": pairs.len(), "reached": pairs.len() - short.len(), "scores": scores}))
}

/// The traditional text, looked up in a list that has the simplified one, must be the same name.
fn variants(pairs: &[(String, String)], as_json: bool) -> Result<Value, Box<dyn std::error::Error>> {
    let mut short = Vec::new();
    for (traditional, simplified) in pairs {
        let watchlist = Watchlist::new(list_of([vec![simplified.clone()]]))?;
        let score = watchlist
            .compare_with(&Query::name(traditional), 0, &Policy::default())
            .map_or(0.0, |hit| hit.score);
        if score < 1.0 {
            short.push(format!("{traditional}: {score:.3}"));
        }
    }
    if !as_json {
        println!(
            "\ntraditional and simplified: {} of {} the same {short:?}",
            pairs.len() - short.len(),
            pairs.len()
        );
    }
    Ok(json!({"pairs": pairs.len(), "same": pairs.len() - short.len()}))
}

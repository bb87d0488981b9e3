use gait_common::alert::Class;

use super::super::label::{Options, label};
use super::super::labels::Words;
use super::super::logs::tests::{line, log};
use super::super::pair::{About, Pair, StandIn};
use super::super::review::estimate;
use super::*;

const HOSTILE: &str = "</code></style><script>alert(1)</script><img/src=x/onerror=alert(2)>\\u202e";

/// Requests whose URLs and rules' messages an attacker wrote.
fn outcome() -> Outcome {
    let hostile = |second: u32, port: u16, sid: u32, real: bool| {
        let url =
            if real { format!("/a?q=select%20union{HOSTILE}") } else { format!("/shop?item={HOSTILE}") };
        line(second, port, sid)
            .replace(&format!("/a?q={port}"), &url)
            .replace(&format!("rule {sid}"), &format!("{HOSTILE}{sid}"))
    };
    let strict: Vec<String> = (0..30).map(|at| hostile(at, at as u16, 7, true)).collect();
    let more = (30..59).map(|at| hostile(at, at as u16, 8, false));
    let loose: Vec<String> = strict.iter().cloned().chain(more).collect();
    let mut about =
        About { suricata: Some("7.0.10".to_owned()), pcap: Some(HOSTILE.to_owned()), ..About::default() };
    about.stand_ins.push(StandIn { sid: 7, line: 3, words: HOSTILE.to_owned() });
    let pair = Pair { strict: log(&strict), loose: log(&loose), about };
    let options = Options {
        review: 10,
        seed: 1,
        index: "i".to_owned(),
        learn: super::super::learn::Options::default(),
    };
    let dir = tempfile::tempdir().expect("a directory");
    label(pair, Words::default(), None, dir.path(), &options).expect("labels")
}

#[test]
fn hostile_text_stays_text_and_the_page_says_what_is_not_known() {
    let outcome = outcome();
    assert!(outcome.seed_rule);
    // The model owns up to it too: 30 strict alerts were labelled, of the other 29 nobody said anything.
    let origin = &outcome.triage.origin;
    assert_eq!((origin.labelled, origin.presumed, origin.method.as_str()), (30, 29, "seed rule, unreviewed"));
    assert!(outcome.triage.exemplars.iter().all(|one| one.class == Class::Real));
    let names = Names { dir: HOSTILE.to_owned(), fingerprint: "f".to_owned(), seed: 1 };
    let page = render(&outcome, &names).expect("a page");
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
    for wanted in ["Nobody has looked at an alert", "id=\"proposed\"", "review.csv", "&lt;script&gt;"] {
        assert!(page.contains(wanted), "{wanted}");
    }
    assert_eq!(page, render(&outcome, &names).expect("a page"));
}

#[test]
fn what_was_reviewed_is_estimated_on_the_page() {
    let mut outcome = outcome();
    for at in 30..40 {
        let class = if at < 39 { Class::Real } else { Class::FalseAlarm };
        let labelled = &mut outcome.labelling.loose[at];
        *labelled = super::super::labels::Labelled {
            class,
            source: super::super::labels::Source::Reviewed,
            ..*labelled
        };
    }
    outcome.estimate = estimate(&outcome.pair.loose, &outcome.labelling);
    let page = render(&outcome, &Names { dir: "d".to_owned(), fingerprint: "f".to_owned(), seed: 1 })
        .expect("a page");
    assert!(
        page.contains("10 were reviewed and 9 of those are real") && page.contains("<strong>90 %</strong>"),
        "{page}"
    );
}

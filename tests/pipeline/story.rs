//! From a log to findings: what is abnormal is found, what is normal is left alone, and a person can see why.

use gait_common::finding::Finding;

use crate::support::shop::{Fault, Request};
use crate::support::{SHOP, Scored, log, path, replay, score, train};

/// Share of the normal callers that may be found, in percent.
const FALSE_ALARMS: usize = 1;

#[test]
fn abnormal_callers_are_found_and_normal_ones_left_alone() {
    let log = SHOP.today_as("combined");
    let scored = score("combined", &log, &SHOP.model);
    let found = replay("combined", &log, &SHOP.model);
    assert_eq!(scored.len(), SHOP.visits.len(), "every caller makes one visit");
    for visit in SHOP.abnormal() {
        let one = scored.iter().find(|one| one.caller() == visit.caller).expect("every visit is scored");
        assert!(one.anomalous && !one.reasons.is_empty(), "{:?} is not found: {one:?}", visit.fault);
        assert!(found.contains_key(&visit.caller), "replay does not find {:?} of {}", visit.fault, one.id);
    }
    let is_abnormal = |caller| SHOP.abnormal().any(|visit| visit.caller == caller);
    let (_, normal): (Vec<_>, Vec<_>) = scored.iter().partition(|one| is_abnormal(one.caller()));
    let alarms: Vec<_> = normal.iter().filter(|one| one.anomalous).collect();
    assert!(100 * alarms.len() <= FALSE_ALARMS * normal.len(), "false alarms: {alarms:#?}");
}

/// What operators see live must be what training was judged by.
#[test]
fn replay_and_score_agree() {
    let log = SHOP.today_as("combined");
    let scored = score("combined", &log, &SHOP.model);
    let mut found = replay("combined", &log, &SHOP.model);
    for one in &scored {
        let Some(finding) = found.remove(one.caller()) else {
            assert!(!one.anomalous, "replay does not report {one:?}");
            continue;
        };
        assert!(one.anomalous, "score does not flag {finding:?}");
        assert_eq!(one.id, format!("{}@{}", finding.caller, finding.session_start));
        assert_eq!(one.threshold, finding.threshold);
        // A finding is made as soon as the threshold is passed; what follows can only add to the score.
        assert!(finding.threshold <= finding.score && finding.score <= one.score, "{one:?} {finding:?}");
        let then = if finding.ended { one.clone() } else { score_until(&finding) };
        assert_eq!(then.score, finding.score, "{finding:?}");
    }
    assert!(found.is_empty(), "{found:?}");
}

/// The score of what the caller had done when the finding was made.
fn score_until(finding: &Finding) -> Scored {
    let dir = tempfile::tempdir().expect("a directory");
    let until =
        |request: &&Request| request.caller == finding.caller && request.time * 1_000_000_000 <= finding.time;
    let requests: Vec<Request> = SHOP.today.iter().filter(until).cloned().collect();
    let scored = score("combined", &log::write(dir.path(), "until", "combined", &requests), &SHOP.model);
    let [one] = &scored[..] else { panic!("{} is one session: {scored:?}", finding.caller) };
    one.clone()
}

/// Without these a finding is a number that nobody can act on.
#[test]
fn findings_say_who_where_and_what_was_expected() {
    let log = SHOP.today_as("combined");
    let found = replay("combined", &log, &SHOP.model);
    for visit in SHOP.abnormal() {
        let finding = &found[&visit.caller];
        let fault = visit.fault.expect("an abnormal visit");
        let first = visit.requests[0].time * 1_000_000_000;
        assert_eq!((finding.session_start, finding.gap), (first, false));
        assert!(finding.score >= finding.threshold && finding.threshold > 0.0);
        let share: f64 = finding.reasons.iter().map(|reason| reason.share).sum();
        assert!(share > 0.5 && share <= 1.0 + 1e-9, "{finding:?}");
        assert!(finding.reasons.iter().all(|reason| !reason.text.is_empty()));
        let nearest = finding.nearest.as_ref().expect("a learned way to compare with");
        assert!(nearest.support > 0 && nearest.path.len() > 1, "{nearest:?}");
        assert!((0.0..=1.0).contains(&nearest.similarity));
        let offending = finding.steps.iter().find(|step| step.offending);
        let named = |name: &str| offending.is_some_and(|step| step.interface == name);
        match fault {
            Fault::Skipped => {
                assert!(named("POST /api/checkout"), "{finding:#?}");
                let expected: Vec<_> = finding.expected.iter().map(|e| e.interface.as_str()).collect();
                assert!(expected.contains(&"POST /api/cart"), "{expected:?}");
                assert!(nearest.edits.iter().any(|edit| edit.contains("/api/cart")), "{nearest:?}");
            }
            Fault::Reversed => assert!(named("GET /api/orders/{int}"), "{finding:#?}"),
            Fault::Enumeration => {
                assert!(named("GET /api/orders/{int}"), "{finding:#?}");
                let counted = |text: &str| text.contains("`GET /api/orders/{int}` was called");
                assert!(finding.reasons.iter().any(|reason| counted(&reason.text)), "{finding:#?}");
            }
            Fault::Foreign => {
                assert!(offending.is_some_and(|step| step.interface.contains("/admin/")), "{finding:#?}");
            }
            Fault::Loop => assert!(named("GET /api/items/{int}"), "{finding:#?}"),
        }
    }
}

/// A model that differs from run to run cannot be reviewed, compared or reproduced.
#[test]
fn training_twice_gives_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log::write(dir.path(), "again", "combined", &SHOP.training);
    let model = path(dir.path(), "again.gait");
    train("combined", &log, &model);
    let bytes = |path: &str| std::fs::read(path).expect("a model");
    assert!(bytes(&model) == bytes(&SHOP.model), "two trainings on one log differ");
    assert_eq!(std::fs::read_dir(dir.path()).expect("directory").count(), 2, "no temporary file is left");
}

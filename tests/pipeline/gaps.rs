//! What the capture lost must never look like something that a caller did.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::shop::{self, Request};
use crate::support::{SHOP, log, path, replay, score, train};

/// The callers that `replay` finds in a recording, and those that `score` flags.
fn found(name: &str, requests: &[Request]) -> (BTreeSet<String>, BTreeSet<String>) {
    let dir = tempfile::tempdir().expect("a directory");
    let spool = log::write(dir.path(), name, "spool", requests);
    let found = replay("spool", &spool, &SHOP.model).into_keys().collect();
    let scored = score("spool", &spool, &SHOP.model);
    (found, scored.iter().filter(|one| one.anomalous).map(|one| one.caller().to_owned()).collect())
}

fn normal_day() -> Vec<Request> {
    shop::requests(&shop::day(3, 1, 300, 0))
}

/// Checks that a day from which requests were lost has no finding that the whole day does not have, as long as the
/// recording says where they were lost. `damage` returns what is left, with or without saying so.
fn gaps_raise_no_finding(damage: impl Fn(Vec<Request>, bool) -> Vec<Request>) {
    let (whole, whole_scored) = found("whole", &normal_day());
    let (marked, marked_scored) = found("marked", &damage(normal_day(), true));
    let (silent, _) = found("silent", &damage(normal_day(), false));
    let new: Vec<_> = marked.difference(&whole).collect();
    assert!(new.is_empty(), "found only because something was lost: {new:?}");
    let new: Vec<_> = marked_scored.difference(&whole_scored).collect();
    assert!(new.is_empty(), "flagged only because something was lost: {new:?}");
    assert!(silent.len() > whole.len() + 5, "the loss is too small to prove anything: {}", silent.len());
}

/// The ring was full for two minutes out of every twenty: nobody knows whose requests those were.
#[test]
fn an_interruption_of_the_whole_capture_raises_no_finding() {
    gaps_raise_no_finding(|requests, say| {
        let lost = |request: &Request| request.time % 1200 < 120;
        let mut before = false;
        let mut left = Vec::new();
        for mut request in requests {
            if lost(&request) {
                before = true;
            } else {
                request.interrupted = say && std::mem::take(&mut before);
                left.push(request);
            }
        }
        left
    });
}

/// Segments of a connection were missing: its next request says so.
#[test]
fn a_loss_on_one_connection_raises_no_finding() {
    gaps_raise_no_finding(|requests, say| {
        let mut of_caller = BTreeMap::<String, usize>::new();
        requests.iter().for_each(|request| *of_caller.entry(request.caller.clone()).or_default() += 1);
        let mut seen = BTreeMap::<String, usize>::new();
        let mut left = Vec::new();
        for mut request in requests {
            let count = seen.entry(request.caller.clone()).or_default();
            *count += 1;
            // The second to fourth request of all who go on afterwards, and of half of them the first, too.
            let from = if request.caller.ends_with(['0', '2', '4', '6', '8']) { 1 } else { 2 };
            if of_caller[&request.caller] < 5 || !(from..=4).contains(count) {
                request.gap = say && *count == 5;
                left.push(request);
            }
        }
        left
    });
}

/// A recording with losses can be learned from, and training says how much of it was not whole.
#[test]
fn training_tells_how_much_was_not_captured_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut requests = SHOP.training.clone();
    let last = requests.len() - 1;
    requests[last].gap = true;
    let spool = log::write(dir.path(), "training", "spool", &requests);
    let model = path(dir.path(), "m.gait");
    let said = train("spool", &spool, &model);
    assert!(said.contains("1 of the sessions were not captured whole"), "{said}");
    let scored = score("spool", &SHOP.today_as("spool"), &model);
    let missed = |caller: &str| scored.iter().any(|one| one.caller() == caller && !one.anomalous);
    assert!(!SHOP.abnormal().any(|visit| missed(&visit.caller)));
}

/// A gap hides what was lost, not what is there.
#[test]
fn behind_a_gap_detection_goes_on() {
    let mut requests = SHOP.today.clone();
    let mut seen = BTreeSet::new();
    for request in &mut requests {
        request.gap = seen.insert(request.caller.clone());
    }
    let (found, scored) = found("gaps", &requests);
    assert_eq!(found, scored);
    let of = |fault| SHOP.abnormal().filter(move |visit| visit.fault == Some(fault));
    for fault in [shop::Fault::Enumeration, shop::Fault::Foreign, shop::Fault::Loop] {
        assert!(of(fault).all(|visit| found.contains(&visit.caller)), "{fault:?} is hidden by a gap");
    }
}

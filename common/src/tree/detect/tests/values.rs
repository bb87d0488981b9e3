//! That arguments and results which are other than they were are found, and normal ones are left alone.

use super::{Draw, month, once_in};
use crate::finding::TreeFinding;
use crate::tree::{
    Limits, Shapes, Slot, TreeDetector, TreeKind, Trees, ValueCell, ValueStats, WINDOW, learn,
};
use crate::wire::tree::function_id;

/// A function whose result and arguments are drawn, called in trees of one code.
#[derive(Clone)]
struct Calls {
    /// Results with their shares; the rest is 0.
    results: Vec<(i64, f64)>,
    /// Customers' numbers: as many as there are customers.
    customers: u64,
    /// Kinds of an order: so many, the first ones more often.
    kinds: u64,
    requests: u64,
    varies: f64,
}

impl Calls {
    fn new() -> Self {
        Self {
            results: vec![(-1, 0.001), (3, 0.03)],
            customers: 1_000_000,
            kinds: 4,
            requests: 400,
            varies: 0.2,
        }
    }

    fn slot(which: u8) -> Slot {
        Slot { root: function_id(b"shop:handle"), code: 77, function: function_id(b"shop:find"), which }
    }

    fn window(&self, number: u64, draw: &mut Draw) -> Vec<ValueCell> {
        let mut stats = ValueStats::default();
        let (time, source) = ((number + 1) * WINDOW, "web1".into());
        for _ in 0..draw.around(self.requests as f64, self.varies) {
            let mut at = draw.share();
            let result = self.results.iter().find(|(_, share)| {
                at -= share;
                at < 0.0
            });
            let kind = (draw.share() * draw.share() * self.kinds as f64) as u64;
            let values = [
                (0, result.map_or(0, |(value, _)| *value).to_string()),
                (1, (draw.next() % self.customers).to_string()),
                (2, format!("\"kind {kind}\"")),
            ];
            for (which, value) in values {
                stats.add(time, &source, Self::slot(which), Some(&value), 1);
            }
        }
        stats.cells()
    }

    fn learned(&self, windows: u64, seed: u64) -> std::sync::Arc<Trees> {
        let mut draw = Draw(seed);
        let cells: Vec<_> = (0..windows).flat_map(|number| self.window(number, &mut draw)).collect();
        let mut shapes = Shapes::default();
        ["shop:handle", "shop:find"].iter().for_each(|name| _ = shapes.name(name));
        Trees::new(learn(WINDOW, &[], &cells, &shapes)).expect("sound").into()
    }

    fn found(&self, detector: &mut TreeDetector, windows: u64, seed: u64) -> Vec<TreeFinding> {
        let (mut draw, mut out) = (Draw(seed), Vec::new());
        for number in 0..windows {
            detector.judge_values(&self.window(5000 + number, &mut draw), &mut out);
        }
        out
    }
}

/// The stated rate holds for values too: one finding in 200 windows at most, and by default none.
#[test]
fn normal_runs_have_no_more_findings_than_stated() {
    let calls = Calls::new();
    let (mut often, mut seldom) = (0, 0);
    for seed in 0..4 {
        let trees = calls.learned(60, seed);
        often += calls.found(&mut TreeDetector::new(trees.clone(), once_in(200.0)), 400, seed + 100).len();
        seldom += calls.found(&mut TreeDetector::new(trees, month()), 400, seed + 100).len();
    }
    assert!(often <= 8, "{often} findings in 1600 windows");
    assert_eq!(seldom, 0);
}

#[test]
fn little_training_makes_no_false_findings() {
    for (windows, requests) in [(1, 400), (3, 5), (10, 3), (5, 40)] {
        let calls = Calls { requests, ..Calls::new() };
        for seed in 0..5 {
            let mut detector = TreeDetector::new(calls.learned(windows, seed), month());
            let found = calls.found(&mut detector, 200, seed + 50);
            assert!(found.is_empty(), "{windows} windows of {requests}, seed {seed}: {found:?}");
        }
    }
}

/// The first finding within five windows of a change.
fn first(change: impl Fn(&mut Calls), kind: TreeKind) -> TreeFinding {
    let mut last = None;
    for seed in 0..4 {
        let mut calls = Calls::new();
        let mut detector = TreeDetector::new(calls.learned(60, seed), month());
        change(&mut calls);
        let found = calls.found(&mut detector, 5, seed + 10);
        last = found.iter().find(|finding| finding.kind == kind).cloned();
        assert!(last.is_some(), "seed {seed}: {found:?}");
    }
    last.expect("four seeds")
}

#[test]
fn an_error_result_from_a_thousandth_to_a_fiftieth_is_found() {
    let finding = first(|calls| calls.results[0].1 = 0.02, TreeKind::RareValue);
    let value = finding.value.expect("a value");
    assert_eq!((value.argument, &*value.values[0].value, value.distinct_before), (0, "-1", 3));
    assert!(finding.now.share > 0.008 && finding.before.expect("known").share < 0.003);
    assert!(finding.text.starts_with("the return value of `shop:find` was -1 in "), "{}", finding.text);
    assert!(finding.text.ends_with(" % in training") || finding.text.contains(" %; 0."), "{}", finding.text);
}

#[test]
fn a_result_that_was_never_seen_is_found_and_named_once() {
    let fault = |calls: &mut Calls| calls.results.push((-22, 0.02));
    let finding = first(fault, TreeKind::UnseenValue);
    let value = finding.value.expect("a value");
    assert_eq!(value.values[0].value, "-22");
    assert!(
        finding.text.contains("was -22 in ") && finding.text.contains("never in training"),
        "{}",
        finding.text
    );
    // It is known from then on, and another one is not.
    let mut calls = Calls::new();
    let mut detector = TreeDetector::new(calls.learned(60, 1), month());
    fault(&mut calls);
    assert_eq!(calls.found(&mut detector, 100, 2).len(), 1);
    calls.results.push((-5, 0.02));
    let second = calls.found(&mut detector, 20, 3);
    assert_eq!(second.len(), 1, "{second:?}");
    assert_eq!(second[0].value.as_ref().map(|value| &*value.values[0].value), Some("-5"));
}

#[test]
fn a_string_that_was_never_seen_is_found() {
    let finding = first(|calls| calls.kinds = 5, TreeKind::UnseenValue);
    assert_eq!(finding.value.expect("a value").values[0].value, "\"kind 4\"");
    assert!(finding.text.starts_with("argument 2 of `shop:find` was \"kind 4\" in "), "{}", finding.text);
}

/// A customer who comes back a hundred times in a minute is one of many, but not as often as that.
#[test]
fn values_that_are_always_new_are_known_to_be_and_are_no_findings() {
    let calls = Calls::new();
    let trees = calls.learned(60, 3);
    let slot = trees.data().values.slots.iter().find(|slot| slot.which == 1).expect("the customers");
    assert!(slot.others.mean > 0.9 && slot.distinct > 10_000 && slot.values.len() <= 32, "{slot:?}");
    let mut detector = TreeDetector::new(trees, month());
    assert_eq!(calls.found(&mut detector, 300, 4), []);
    let counts = detector.counts();
    assert!(counts.values > 300_000 && counts.values_unscoped == 0, "{counts:?}");
}

/// What the capture could not count by itself is new as well.
#[test]
fn values_beyond_the_captures_bound_are_reported_where_there_were_few() {
    let calls = Calls::new();
    let mut detector =
        TreeDetector::new(calls.learned(60, 5), Limits::once_in(30 * 86_400_000_000_000, WINDOW));
    let mut out = Vec::new();
    for number in 0..5 {
        let mut stats = ValueStats::default();
        let (time, source) = ((5000 + number) * WINDOW, "web1".into());
        stats.add(time, &source, Calls::slot(0), Some("0"), 380);
        stats.add(time, &source, Calls::slot(0), None, 20);
        detector.judge_values(&stats.cells(), &mut out);
    }
    assert_eq!(out.len(), 1, "{out:?}");
    assert!(out[0].text.contains("something new"), "{}", out[0].text);
}

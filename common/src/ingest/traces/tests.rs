//! Spans in every order, with every damage, and the trees they make.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::tree::{Fold, RETURNED, TRUNCATED};

/// A span as a test writes it.
#[derive(Clone, Debug)]
struct Own {
    trace: u128,
    id: u64,
    parent: Option<u64>,
    service: String,
    operation: String,
    start: Nanos,
    duration: Nanos,
}

fn span(id: u64, parent: u64, service: &str, operation: &str, start: Nanos, duration: Nanos) -> Own {
    let parent = (parent != 0).then_some(parent);
    let (service, operation) = (service.to_owned(), operation.to_owned());
    Own { trace: 1, id, parent, service, operation, start, duration }
}

fn assemble_within(limits: Limits, spans: &[Own]) -> (Vec<Trace>, Counts) {
    let (mut assembler, mut traces) = (Assembler::new(limits), Vec::new());
    let mut sink = |trace: &Trace| {
        traces.push(trace.clone());
        Ok(())
    };
    for own in spans {
        let &Own { trace, id, parent, ref service, ref operation, start, duration } = own;
        let span =
            Span { trace, id, parent, service, instance: "", operation, start, duration, failed: false };
        assembler.push(&span, &mut sink).expect("the sink takes it");
    }
    assembler.finish(&mut sink).expect("the sink takes it");
    let counts = assembler.counts();
    (traces, counts)
}

fn assemble(spans: &[Own]) -> (Vec<Trace>, Counts) {
    assemble_within(Limits::default(), spans)
}

/// A call, in which service, and what it calls; those it calls in parallel come in groups.
#[derive(Clone, Debug)]
struct Call {
    service: u8,
    operation: u8,
    groups: Vec<Vec<Call>>,
}

fn calls() -> impl Strategy<Value = Call> {
    let leaf =
        (0_u8..2, 0_u8..4).prop_map(|(service, operation)| Call { service, operation, groups: Vec::new() });
    leaf.prop_recursive(4, 24, 6, |inner| {
        (0_u8..2, 0_u8..4, vec(vec(inner, 1..4), 0..4)).prop_map(|(service, operation, groups)| Call {
            service,
            operation,
            groups,
        })
    })
}

impl Call {
    /// Writes its spans from `start` on; gives its end. Members of a group overlap, and groups follow each other.
    fn spans(
        &self,
        parent: u64,
        start: Nanos,
        order: &mut impl FnMut(usize) -> usize,
        out: &mut Vec<Own>,
    ) -> Nanos {
        let id = out.len() as u64 + 1;
        let (service, operation) = (format!("s{}", self.service), format!("o{}", self.operation));
        out.push(span(id, parent, &service, &operation, start, 0));
        let mut now = start + 10;
        for group in &self.groups {
            let mut members: Vec<&Call> = group.iter().collect();
            let (mut latest, mut begin) = (now, now);
            while !members.is_empty() {
                let member = members.remove(order(members.len()));
                latest = latest.max(member.spans(id, begin, order, out));
                begin += 1;
            }
            // The first one lasts until all have begun.
            now = latest + 10;
        }
        let end = now + 10;
        out[id as usize - 1].duration = end - start;
        end
    }

    /// The tree of the service that it enters, as nested calls: groups sorted by code.
    fn fold(&self, fold: &mut Fold) {
        fold.enter(self.function());
        for group in &self.groups {
            let mut members: Vec<(Code, &Call)> =
                group.iter().map(|call| (self.code_of(call), call)).collect();
            members.sort_by_key(|(code, _)| *code);
            for (_, call) in members {
                if call.service == self.service {
                    call.fold(fold);
                } else {
                    fold.enter(call.function());
                    fold.leave(RETURNED);
                }
            }
        }
        fold.leave(RETURNED);
    }

    fn function(&self) -> FunctionId {
        function_id(format!("s{}:o{}", self.service, self.operation).as_bytes())
    }

    fn code_of(&self, call: &Call) -> Code {
        let mut fold = Box::new(Fold::new());
        match call.service == self.service {
            true => call.fold(&mut fold),
            false => Call { groups: Vec::new(), ..call.clone() }.fold(&mut fold),
        }
        fold.code()
    }

    /// The codes of its entry and of those below it that enter other services.
    fn codes(&self, out: &mut Vec<Code>, is_entry: bool) {
        if is_entry {
            let mut fold = Box::new(Fold::new());
            self.fold(&mut fold);
            out.push(fold.code());
        }
        for call in self.groups.iter().flatten() {
            call.codes(out, call.service != self.service);
        }
    }
}

/// Times and order left out.
fn sorted_codes(trace: &Trace) -> Vec<Code> {
    let mut codes: Vec<Code> = trace.entries.iter().map(|entry| entry.code).collect();
    codes.sort_unstable();
    codes
}

proptest! {
    /// Whoever collects traces delivers spans as they come.
    #[test]
    fn no_order_of_arrival_changes_anything(call in calls(), swaps in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60)) {
        let mut spans = Vec::new();
        call.spans(0, 1000, &mut |_| 0, &mut spans);
        let whole = assemble(&spans);
        let mut shuffled = spans.clone();
        for (a, b) in swaps {
            let (a, b) = (a.index(shuffled.len()), b.index(shuffled.len()));
            shuffled.swap(a, b);
        }
        prop_assert_eq!(&assemble(&shuffled), &whole);
        shuffled.extend(spans);
        let (traces, counts) = assemble(&shuffled);
        prop_assert_eq!(traces, whole.0);
        prop_assert_eq!(counts.duplicates, whole.1.spans);
    }

    /// The code of a tree from spans is that of the same nested calls, in whatever order the parallel ones began.
    #[test]
    fn spans_have_the_codes_of_nested_calls(call in calls(), seed in vec(any::<prop::sample::Index>(), 40)) {
        let (mut spans, mut draws) = (Vec::new(), seed.iter().cycle());
        call.spans(0, 1000, &mut |len| draws.next().map_or(0, |draw| draw.index(len)), &mut spans);
        let (traces, counts) = assemble(&spans);
        let mut want = Vec::new();
        call.codes(&mut want, true);
        want.sort_unstable();
        prop_assert_eq!(traces.len(), 1);
        prop_assert_eq!(sorted_codes(&traces[0]), want);
        prop_assert_eq!((counts.orphans, counts.skewed), (0, 0));
        for entry in &traces[0].entries {
            prop_assert_eq!(entry.tree.code(), entry.code);
            prop_assert!(entry.own <= entry.elapsed);
        }
    }

    /// Spans of any parents, circles among them, are placed once each.
    #[test]
    fn every_span_is_placed_or_counted(links in vec((1_u64..12, 0_u64..14, 0_u8..3, any::<u64>(), any::<u64>()), 0..30)) {
        let spans: Vec<Own> = links
            .iter()
            .map(|&(id, parent, service, start, duration)| span(id, parent, &format!("s{service}"), "o", start, duration))
            .collect();
        let (traces, counts) = assemble(&spans);
        let mut reversed = spans.clone();
        reversed.reverse();
        prop_assert_eq!(&assemble(&reversed).0, &traces);
        let distinct: std::collections::BTreeSet<u64> = spans.iter().map(|span| span.id).collect();
        prop_assert_eq!(counts.duplicates, (spans.len() - distinct.len()) as u64);
        for entry in traces.iter().flat_map(|trace| &trace.entries) {
            prop_assert!(entry.own <= entry.elapsed);
        }
    }
}

#[test]
fn a_trace_is_cut_where_services_call_each_other_and_time_is_each_ones_own() {
    let spans = [
        span(1, 0, "gate", "GET /cart", 1000, 900),
        span(2, 1, "gate", "HTTP GET", 1100, 600),
        span(3, 2, "cart", "list", 1200, 400),
        span(4, 3, "cart", "SELECT", 1250, 100),
        span(5, 1, "gate", "render", 1750, 50),
    ];
    let (traces, counts) = assemble(&spans);
    let entries = &traces[0].entries;
    let names: Vec<_> = entries.iter().map(|e| (&*e.name, e.caller, e.elapsed, e.own)).collect();
    assert_eq!(names, [("gate:GET /cart", None, 900, 500), ("cart:list", Some(0), 400, 400)]);
    let id = |name: &str| function_id(name.as_bytes());
    let nodes: Vec<_> = entries[0].tree.nodes().iter().map(|node| (node.function, node.depth)).collect();
    assert_eq!(
        nodes,
        [(id("gate:GET /cart"), 0), (id("gate:HTTP GET"), 1), (id("cart:list"), 2), (id("gate:render"), 1)]
    );
    assert_eq!((counts.spans, counts.trees, counts.traces), (5, 2, 1));
}

#[test]
fn a_clock_that_differs_does_not_change_the_order() {
    let of = |skew: u64| {
        [
            span(1, 0, "gate", "GET /", 10_000, 1000),
            span(2, 1, "gate", "first", 10_010, 100),
            span(3, 1, "cart", "list", 10_200 + skew, 300),
            span(4, 1, "gate", "last", 10_800, 100),
        ]
    };
    let (plain, counts) = assemble(&of(0));
    assert_eq!(counts.skewed, 0);
    let (skewed, counts) = assemble(&of(5000));
    assert_eq!(counts.skewed, 1);
    assert_eq!(skewed[0].entries[0].own, plain[0].entries[0].own);
    assert_eq!(skewed[0].entries[1].code, plain[0].entries[1].code);
}

#[test]
fn what_is_missing_is_marked() {
    let (traces, counts) =
        assemble(&[span(2, 1, "cart", "list", 1200, 400), span(3, 2, "cart", "SELECT", 1250, 100)]);
    assert_eq!(counts.orphans, 1);
    assert!(traces[0].entries[0].orphan && traces[0].entries[0].tree.flags() & TRUNCATED != 0);
    let deep: Vec<Own> = (1..=300).map(|id| span(id, id - 1, "s", "recurse", id, 1000 - id)).collect();
    let (traces, _) = assemble(&deep);
    assert!(traces[0].entries[0].tree.flags() & TRUNCATED != 0);
}

#[test]
fn more_spans_than_may_wait_complete_the_oldest_trace() {
    let of = |trace: u128, id| Own { trace, ..span(id, id - 1, "s", "o", id, 10) };
    let limits = Limits { spans: 3, ..Limits::default() };
    let (traces, counts) =
        assemble_within(limits, &[of(1, 1), of(2, 1), of(1, 2), of(3, 1), of(2, 2), of(1, 3)]);
    assert_eq!((counts.pressed, counts.late, counts.traces), (2, 1, 3));
    assert_eq!(traces[0].id, 2, "it was not added to for the longest time");
    let limits = Limits { names: 2, ..Limits::default() };
    assert!(assemble_within(limits, &[of(1, 1), of(2, 1)]).1.names_passed > 0);
}

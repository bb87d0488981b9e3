//! Who is to blame for a window: the instances whose own trees explain its score, the most suspect first.
//!
//! Evidence of slowness and of failures belongs to the instance that shows it, since durations are each one's own time. A
//! tree of an unusual shape may be the work of a service below it: an exception that passes through five services
//! changes the trees of all of them. So an entry whose shape is unusual hands the blame on to the entries that it called and
//! whose shapes are unusual too; it stays with those that have none below them. If such a one leaves the nearest known way
//! just behind a call of another service, that service may have answered what nobody expected, though its own tree looks as
//! ever: it takes a third of the blame.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use gait_common::call::Nanos;
use gait_common::tree::{FunctionId, Node, Shapes, TreeKind, Trees};

use super::judge::Sign;
use super::rows::{Row, Rows};

/// The share of the blame of a service after whose answer its caller went another way.
const ANSWERED: f64 = 1.0 / 3.0;

/// Instances and their parts of the blame.
type Culprits = BTreeMap<u32, f64>;

/// The instances by how much of the evidence against normality is theirs: place in [`Rows::names`], and evidence (nats).
pub fn rank(rows: &Rows, time: &Range<Nanos>, signs: &[Sign], trees: &Trees) -> Vec<(u32, f64)> {
    let mut blame: BTreeMap<u32, f64> = BTreeMap::new();
    let frequent: BTreeSet<(u32, FunctionId, u64)> = signs
        .iter()
        .filter(|sign| sign.kind == TreeKind::RareTree && sign.ln_e > 0.0)
        .map(|sign| (sign.instance, sign.root, sign.code))
        .collect();
    // For each instance, root and code (0: unseen), whom its unusual trees blame, and how often.
    let mut blamed: BTreeMap<(u32, FunctionId, u64), Culprits> = BTreeMap::new();
    for (_, trace) in rows.within(time) {
        blame.extend(trace.iter().map(|row| (row.instance, 0.0)));
        for (row, key, culprits) in unusual(trace, trees, &rows.shapes, &frequent) {
            let by_culprit = blamed.entry((row.instance, key.0, key.1)).or_default();
            culprits.into_iter().for_each(|(culprit, part)| *by_culprit.entry(culprit).or_default() += part);
        }
    }
    for sign in signs.iter().filter(|sign| sign.ln_e > 0.0) {
        let shape = matches!(sign.kind, TreeKind::UnseenTree | TreeKind::RareTree);
        match blamed.get(&(sign.instance, sign.root, sign.code)).filter(|_| shape) {
            Some(culprits) => {
                let all: f64 = culprits.values().sum();
                for (&culprit, &part) in culprits {
                    *blame.entry(culprit).or_default() += sign.ln_e * part / all;
                }
            }
            None => *blame.entry(sign.instance).or_default() += sign.ln_e,
        }
    }
    let mut ranked: Vec<(u32, f64)> = blame.into_iter().collect();
    let name = |place: u32| &rows.names[place as usize];
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| name(a.0).cmp(name(b.0))));
    ranked
}

/// The entries of a trace whose shape is unusual: each with root and code (0: unseen) of the test that it counts in, and the
/// instances that it blames.
fn unusual<'r>(
    trace: &'r [Row],
    trees: &Trees,
    shapes: &Shapes,
    frequent: &BTreeSet<(u32, FunctionId, u64)>,
) -> Vec<(&'r Row, (FunctionId, u64), Culprits)> {
    let keys: Vec<Option<(FunctionId, u64)>> = trace
        .iter()
        .map(|row| match trees.scope("", row.root) {
            None => Some((0, 0)),
            Some(scope) if trees.data().scopes[scope].place(row.code.ordered).is_none() => {
                Some((row.root, 0))
            }
            Some(_) => Some((row.root, row.code.ordered))
                .filter(|key| frequent.contains(&(row.instance, key.0, key.1))),
        })
        .collect();
    // Callers stand before whom they call.
    let mut culprits: Vec<Culprits> = vec![Culprits::new(); trace.len()];
    for (place, row) in trace.iter().enumerate().rev() {
        if keys[place].is_none() {
            continue;
        }
        if culprits[place].is_empty() {
            let answered = answered(trace, place, trees, shapes);
            let own = if answered.is_some() { 1.0 - ANSWERED } else { 1.0 };
            culprits[place].insert(row.instance, own);
            answered.into_iter().for_each(|callee| *culprits[place].entry(callee).or_default() += ANSWERED);
        }
        let caller = place - row.caller as usize;
        if row.caller > 0 && keys[caller].is_some() {
            for (culprit, part) in culprits[place].clone() {
                *culprits[caller].entry(culprit).or_default() += part;
            }
        }
    }
    let found = trace.iter().zip(keys).zip(culprits);
    found.filter_map(|((row, key), culprits)| Some((row, key?, culprits))).collect()
}

/// The instance whose answer came just before an entry left the known ways of its root.
fn answered(trace: &[Row], place: usize, trees: &Trees, shapes: &Shapes) -> Option<u32> {
    let row = &trace[place];
    let own = shapes.get(row.root, row.code.ordered)?.tree.nodes();
    let scope = &trees.data().scopes[trees.scope("", row.root)?];
    let known = scope.codes.iter().filter(|code| code.code != row.code.ordered);
    let known = known.filter_map(|code| Some(trees.shape(row.root, code.code)?.tree.nodes()));
    let alike = known.map(|known| common(own, known)).max()?;
    let called = |node: &Node| {
        let calls = |(at, callee): (usize, &Row)| {
            callee.caller > 0 && at - callee.caller as usize == place && callee.root == node.function
        };
        trace.iter().enumerate().skip(place + 1).find(|&(at, callee)| calls((at, callee)))
    };
    // The last call that both ways make.
    called(own.get(alike.checked_sub(1)?)?).map(|(_, callee)| callee.instance)
}

/// How many calls two trees begin with alike.
fn common(a: &[Node], b: &[Node]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

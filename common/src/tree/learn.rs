//! Learning what is normal about trees from the cells of normal time.
//!
//! Every rate is learned from what it was in each window of each source. What p-values are worth is then found by
//! judging windows by rates learned from the others, eight blocks of time in turn: normal windows must give no
//! evidence on average.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Chain;
use std::slice;

use super::known::learn_values;
use super::model::{LEVELS, calls};
use super::pace::Moments;
use super::{
    Cell, CodeData, Durations, FunctionId, Novelty, Pace, Rate, ScopeData, Shapes, Sketch, TREE_TESTS,
    TreeData, TreeKind, TreesData, ValueCell, ValuesData, temper,
};
use crate::call::Nanos;
use crate::wire::tree::NODE_DEAD;

/// Calls that a code must have for its failures and durations to be judged.
const ENOUGH_CALLS: u64 = 20;
/// Windows of them that it must have.
const ENOUGH_WINDOWS: usize = 3;
/// Calls beyond a limit that make it a limit.
const ENOUGH_BEYOND: f64 = 10.0;
/// Blocks of time that are judged by the rest.
const BLOCKS: usize = 8;

/// `k` of `n` in one window.
type Window = (u64, u64);

/// Windows of a scope: each with when it was and of which source.
type Slots<'a> = BTreeMap<(Nanos, &'a str), u64>;

/// Learns from cells (of one window length, in any order, each key once), those of the values that were seen, and what
/// the trees look like.
#[must_use]
pub fn learn(window: Nanos, cells: &[Cell], values: &[ValueCell], shapes: &Shapes) -> TreesData {
    let mut scopes_of: BTreeMap<(&str, FunctionId), BTreeMap<u64, Vec<&Cell>>> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.tally.calls > 0 && cell.root != 0) {
        let codes = scopes_of.entry((&cell.interface, cell.root)).or_default();
        codes.entry(cell.code).or_default().push(cell);
    }
    let mut normal: [Vec<f64>; TREE_TESTS] = Default::default();
    let learned = scopes_of.iter().map(|(&(interface, root), codes)| {
        let mut slots = Slots::new();
        for cell in codes.values().flatten() {
            *slots.entry((cell.window, &*cell.source)).or_default() += cell.tally.calls;
        }
        ScopeData {
            interface: interface.to_owned(),
            root,
            calls: slots.values().sum(),
            novel: novelty(root, codes, &slots, shapes, &mut normal[TreeKind::UnseenTree as usize]),
            codes: codes.iter().map(|(&code, cells)| learn_code(code, cells, &slots, &mut normal)).collect(),
        }
    });
    let scopes: Vec<_> = learned.collect();
    let paces =
        scopes_of.values().map(|codes| learn_pace(codes, &mut normal[TreeKind::LatencyShift as usize]));
    let paces: Vec<_> = paces.collect();
    let known: BTreeSet<_> =
        scopes.iter().flat_map(|scope| scope.codes.iter().map(|code| (scope.root, code.code))).collect();
    let values = learn_values(values);
    let (functions, trees) = store(&known, &values, shapes);
    let windows: BTreeSet<_> = cells.iter().map(|cell| (cell.window, &*cell.source)).collect();
    TreesData {
        window,
        windows: windows.len() as u64,
        functions,
        trees,
        scopes,
        tempers: normal.each_ref().map(|ln_p| temper(ln_p)),
        paces,
        values,
    }
}

fn learn_code(
    code: u64,
    cells: &[&Cell],
    slots: &Slots<'_>,
    normal: &mut [Vec<f64>; TREE_TESTS],
) -> CodeData {
    let mut whole = super::Tally::default();
    let mut by_slot = BTreeMap::new();
    for cell in cells {
        whole.merge(&cell.tally);
        by_slot.insert((cell.window, &*cell.source), &cell.tally);
    }
    let shares: Vec<Window> =
        slots.iter().map(|(slot, &n)| (by_slot.get(slot).map_or(0, |tally| tally.calls), n)).collect();
    let mut learned = CodeData {
        code,
        calls: whole.calls,
        failures: whole.failures,
        windows: by_slot.len() as u64,
        first: whole.first,
        last: whole.last,
        share: Rate::learn(shares.iter().copied()),
        failing: None,
        normal: None,
        durations: Sketch::default(),
    };
    if learned.is_rare() {
        held_out(&shares, &mut normal[TreeKind::RareTree as usize]);
    }
    let enough = |calls: u64| calls >= ENOUGH_CALLS && by_slot.len() >= ENOUGH_WINDOWS;
    if enough(whole.calls) {
        let windows: Vec<Window> = by_slot.values().map(|tally| (tally.failures, tally.calls)).collect();
        held_out(&windows, &mut normal[TreeKind::FailureShift as usize]);
        learned.failing = Some(Rate::learn(windows.iter().copied()));
    }
    if enough(whole.durations.count()) {
        let durations: Vec<&Sketch> = by_slot.values().map(|tally| &tally.durations).collect();
        learned.normal =
            learn_durations(&whole.durations, &durations, &mut normal[TreeKind::LatencyShift as usize]);
    }
    learned.durations = whole.durations;
    learned
}

fn learn_durations(whole: &Sketch, windows: &[&Sketch], normal: &mut Vec<f64>) -> Option<Durations> {
    let moments: Vec<Moments> = windows.iter().map(|durations| Moments::of(durations)).collect();
    let mut learned = Durations { pace: Pace::learn(moments.iter().copied())?, beyond: Vec::new() };
    each_block(&moments, |others, held| {
        if let Some(pace) = Pace::learn(others.copied()) {
            normal.extend(held.iter().map(|window| pace.ln_tail(window)));
        }
    });
    for level in LEVELS {
        if (whole.count() as f64) * (1.0 - level) < ENOUGH_BEYOND {
            break;
        }
        let limit = whole.quantile_bucket(level).unwrap_or_default();
        let each = windows.iter().zip(&moments);
        let beyond: Vec<Window> = each
            .map(|(durations, window)| (learned.slow(limit, window, durations), durations.count()))
            .collect();
        held_out(&beyond, normal);
        learned.beyond.push((limit, Rate::learn(beyond.iter().copied())));
    }
    Some(learned)
}

/// How fast a scope of several codes is. Durations are taken relative to what their code took in the other windows: a code that
/// came in one window only says nothing of that, and one that came in few is as uncertain as it is when it comes again.
fn learn_pace(codes: &BTreeMap<u64, Vec<&Cell>>, normal: &mut Vec<f64>) -> Option<Pace> {
    if codes.len() < 2 {
        return None;
    }
    let mut windows: BTreeMap<(Nanos, &str), Vec<(Moments, f64)>> = BTreeMap::new();
    for cells in codes.values() {
        let each = || cells.iter().map(|cell| (*cell, Moments::of(&cell.tally.durations)));
        let whole = each().fold(Moments::default(), |whole, (_, part)| whole.merge(&part));
        for (cell, part) in each().filter(|(_, part)| part.n > 0.0) {
            if let Some(others) = whole.mean_without(&part) {
                windows.entry((cell.window, &*cell.source)).or_default().push((part, others));
            }
        }
    }
    let windows: Vec<Moments> =
        windows.values().map(|codes| Moments::relative(codes.iter().copied())).collect();
    let calls = windows.iter().map(|window| window.n).sum::<f64>();
    if calls < ENOUGH_CALLS as f64 || windows.len() < ENOUGH_WINDOWS {
        return None;
    }
    each_block(&windows, |others, held| {
        if let Some(pace) = Pace::learn(others.copied()) {
            normal.extend(held.iter().map(|window| pace.ln_tail(window)));
        }
    });
    Pace::learn(windows.iter().copied())
}

/// The rates of calls whose code only one window has: had it not been learned from, they would have been new.
fn novelty(
    root: FunctionId,
    codes: &BTreeMap<u64, Vec<&Cell>>,
    slots: &Slots<'_>,
    shapes: &Shapes,
    normal: &mut Vec<f64>,
) -> [Rate; 3] {
    // In how many codes of this scope a function, and a call of one by another, occur.
    let mut functions: BTreeMap<FunctionId, u32> = BTreeMap::new();
    let mut pairs: BTreeMap<(FunctionId, FunctionId), u32> = BTreeMap::new();
    for shape in codes.keys().filter_map(|&code| shapes.get(root, code)) {
        let called: BTreeSet<_> = shape.tree.nodes().iter().map(|node| node.function).collect();
        called.into_iter().for_each(|function| *functions.entry(function).or_default() += 1);
        let called: BTreeSet<_> = calls(&shape.tree).collect();
        called.into_iter().for_each(|pair| *pairs.entry(pair).or_default() += 1);
    }
    let class = |code: u64| {
        let Some(shape) = shapes.get(root, code) else { return Novelty::Combination };
        let tree = &shape.tree;
        // In a scope with a single code everything is in one code only.
        if tree.nodes().iter().any(|node| functions.get(&node.function).is_none_or(|&codes| codes < 2)) {
            Novelty::Function
        } else if calls(tree).any(|pair| pairs.get(&pair).is_none_or(|&codes| codes < 2)) {
            Novelty::Call
        } else {
            Novelty::Combination
        }
    };
    let mut new: BTreeMap<(Novelty, (Nanos, &str)), u64> = BTreeMap::new();
    for (&code, cells) in codes {
        if let [cell] = cells[..] {
            *new.entry((class(code), (cell.window, &*cell.source))).or_default() += cell.tally.calls;
        }
    }
    Novelty::ALL.map(|class| {
        let windows: Vec<Window> =
            slots.iter().map(|(&slot, &n)| (new.get(&(class, slot)).copied().unwrap_or(0), n)).collect();
        held_out(&windows, normal);
        Rate::learn(windows.iter().copied())
    })
}

/// The p-values of windows by a rate learned from the others.
pub(super) fn held_out(windows: &[Window], ln_p: &mut Vec<f64>) {
    each_block(windows, |others, held| {
        let rate = Rate::learn(others.copied());
        ln_p.extend(held.iter().map(|&(k, n)| rate.ln_tail(k, n)));
    });
}

/// Hands over each block of time, after all the others.
fn each_block<T>(windows: &[T], mut judge: impl FnMut(Chain<slice::Iter<'_, T>, slice::Iter<'_, T>>, &[T])) {
    if windows.len() < ENOUGH_WINDOWS {
        return;
    }
    let block = windows.len().div_ceil(BLOCKS);
    for (from, held) in (0..).step_by(block).zip(windows.chunks(block)) {
        judge(windows[..from].iter().chain(&windows[from + held.len()..]), held);
    }
}

/// Functions and trees as they are stored.
fn store(
    known: &BTreeSet<(FunctionId, u64)>,
    values: &ValuesData,
    shapes: &Shapes,
) -> (Vec<(FunctionId, String)>, Vec<TreeData>) {
    let with_shape = || known.iter().filter_map(|&(root, code)| Some((code, shapes.get(root, code)?)));
    let roots = known.iter().map(|&(root, _)| root);
    let called = with_shape().flat_map(|(_, shape)| shape.tree.nodes().iter().map(|node| node.function));
    let slots = values.slots.iter().flat_map(|slot| [slot.root, slot.function]);
    let ids: BTreeSet<FunctionId> = roots.chain(called).chain(slots).collect();
    let functions: Vec<_> =
        ids.iter().map(|&id| (id, shapes.name_of(id).unwrap_or_default().to_owned())).collect();
    let number = |id| functions.binary_search_by_key(&id, |&(id, _)| id).unwrap_or_default() as u32;
    let trees = with_shape().map(|(code, shape)| TreeData {
        code,
        unordered: shape.unordered,
        flags: shape.tree.flags(),
        nodes: shape
            .tree
            .nodes()
            .iter()
            .map(|node| (number(node.function), node.depth | if node.dead { NODE_DEAD } else { 0 }))
            .collect(),
    });
    (functions.clone(), trees.collect())
}

//! From a test that passed its limit to a finding that a person can follow.

use crate::finding::{Mark, NearestTree, Tie, TreeFigures, TreeFinding, TreeLine};
use crate::tree::model::LEVELS;
use crate::tree::{
    Cell, CodeData, Edit, FunctionId, Node, Novelty, ScopeData, Shapes, Tally, Tree, TreeKind, Trees,
    code_text, compare, least_distance,
};

/// Known trees, the most frequent ones, among which the nearest is looked for.
const FREQUENT: usize = 4096;
/// Known trees that an unseen one is compared with.
const CANDIDATES: usize = 24;
/// Lines of a tree that are shown.
const LINES: usize = 40;
/// Lines shown before and after one that differs.
const AROUND: usize = 2;
/// Differences that are put into words.
const EDITS: usize = 16;
/// Of these, those that the text has room for.
const IN_TEXT: usize = 3;

/// What is to be explained.
pub(super) struct Case {
    pub(super) kind: TreeKind,
    pub(super) code: u64,
    /// The place of a known code in its scope.
    pub(super) place: Option<usize>,
    pub(super) novelty: Option<Novelty>,
    /// Of a latency shift: which of [`LEVELS`]; none where it is slower as a whole.
    pub(super) level: Option<usize>,
    /// Calls, of an unseen tree since it was first seen.
    pub(super) calls: u64,
    /// Unseen trees that are not reported one by one; of a root as a whole, how many trees it has in the window.
    pub(super) more: usize,
    /// Of a root as a whole: how many times as long its trees take.
    pub(super) factor: Option<f64>,
}

/// What an explanation looks at.
pub(super) struct Explain<'a> {
    pub(super) trees: &'a Trees,
    pub(super) shapes: &'a Shapes,
    pub(super) scope: usize,
    /// Any cell of the scope and window.
    pub(super) first: &'a Cell,
    /// Calls of the scope in the window.
    pub(super) n: u64,
}

/// A known tree beside an unseen one.
struct Near<'a> {
    known: &'a CodeData,
    tree: &'a Tree,
    distance: u32,
    edits: Vec<Edit>,
}

impl Explain<'_> {
    pub(super) fn finding(&self, case: &Case, tally: &Tally, evidence: f64, limit: f64) -> TreeFinding {
        let Cell { window, ref source, ref interface, root, .. } = *self.first;
        let scope = &self.trees.data().scopes[self.scope];
        let tree = self.tree(root, case.code);
        let near = case.novelty.and(tree).and_then(|tree| self.nearest(scope, tree));
        let known = case.place.map(|place| &scope.codes[place]).or(near.as_ref().map(|near| near.known));
        let before = match case.factor {
            Some(_) => Some(figures_of_all(scope)),
            None => known.map(|known| figures_before(known, scope)),
        };
        let now = figures(tally, self.n);
        let (lines, more_lines) = match (tree, &near) {
            (Some(tree), Some(near)) => self.compared(tree, near),
            (Some(tree), None) => self.plain(tree),
            (None, _) => (Vec::new(), 0),
        };
        let nearest = near.as_ref().zip(tree).map(|(near, tree)| NearestTree {
            code: code_text(near.known.code),
            distance: near.distance,
            edits: self.edits(tree, near),
        });
        let time = window.saturating_add(self.trees.data().window);
        TreeFinding {
            id: id(case, time, source, interface, root),
            kind: case.kind,
            time,
            window_start: window,
            source: source.to_string(),
            interface: interface.to_string(),
            tie: Tie::None,
            root: self.name(root),
            code: code_text(case.code),
            novelty: case.novelty,
            evidence,
            limit,
            text: text(case, &now, before.as_ref(), nearest.as_ref()),
            now,
            before,
            nearest,
            tree: lines,
            more_lines,
            together: None,
            value: None,
        }
    }

    fn tree(&self, root: FunctionId, code: u64) -> Option<&Tree> {
        let shape = self.trees.shape(root, code).or_else(|| self.shapes.get(root, code));
        shape.map(|shape| &shape.tree)
    }

    fn name(&self, id: FunctionId) -> String {
        let name = self.trees.name(id).or_else(|| self.shapes.name_of(id));
        name.map_or_else(|| format!("function {}", code_text(id)), str::to_owned)
    }

    fn call(&self, node: &Node) -> String {
        let name = self.name(node.function);
        if node.dead { format!("{name} (never returned)") } else { name }
    }

    /// The known tree of the scope that is nearest; of several the most frequent one.
    fn nearest<'t>(&'t self, scope: &'t ScopeData, new: &Tree) -> Option<Near<'t>> {
        let mut frequent: Vec<&CodeData> = scope.codes.iter().collect();
        frequent.sort_by_key(|known| (std::cmp::Reverse(known.calls), known.code));
        let mut candidates: Vec<(u32, &CodeData, &Tree)> = frequent
            .into_iter()
            .take(FREQUENT)
            .filter_map(|known| {
                let tree = &self.trees.shape(scope.root, known.code)?.tree;
                Some((least_distance(tree, new), known, tree))
            })
            .collect();
        candidates.sort_by_key(|&(least, known, _)| (least, std::cmp::Reverse(known.calls), known.code));
        let mut best: Option<Near<'_>> = None;
        for (least, known, tree) in candidates.into_iter().take(CANDIDATES) {
            if best.as_ref().is_some_and(|best| best.distance <= least) {
                break;
            }
            let Some((distance, edits)) = compare(tree, new) else { continue };
            if best.as_ref().is_none_or(|best| distance < best.distance) {
                best = Some(Near { known, tree, distance, edits });
            }
        }
        best
    }

    /// The differences in words. What is added or missing as a whole branch is named by its topmost call.
    fn edits(&self, new: &Tree, near: &Near<'_>) -> Vec<String> {
        let under = |tree: &Tree, at: usize| {
            caller(tree, at).map_or(String::new(), |node| format!(" under `{}`", self.name(node.function)))
        };
        let (old, mut out) = (near.tree, Vec::new());
        let is_added = |at: usize| near.edits.contains(&Edit::Added(at));
        let is_missing = |at: usize| near.edits.contains(&Edit::Missing(at));
        for edit in &near.edits {
            if out.len() >= EDITS {
                out.push("and more".to_owned());
                break;
            }
            let said = match *edit {
                Edit::Same(..) => continue,
                Edit::Added(at) if above(new, at).is_some_and(is_added) => continue,
                Edit::Missing(at) if above(old, at).is_some_and(is_missing) => continue,
                Edit::Added(at) => {
                    let below = below(new, at).filter(|&at| is_added(at)).count();
                    format!("added `{}`{}{}", self.call(&new.nodes()[at]), with(below), under(new, at))
                }
                Edit::Missing(at) => {
                    let below = below(old, at).filter(|&at| is_missing(at)).count();
                    format!("missing `{}`{}{}", self.call(&old.nodes()[at]), with(below), under(old, at))
                }
                Edit::Changed(was, is) => format!(
                    "`{}` instead of `{}`{}",
                    self.call(&new.nodes()[is]),
                    self.call(&old.nodes()[was]),
                    under(new, is)
                ),
            };
            out.push(said);
        }
        out
    }

    /// The new tree with its differences from the known one: what differs, what is near it, and the way to it.
    fn compared(&self, new: &Tree, near: &Near<'_>) -> (Vec<TreeLine>, u32) {
        let mut lines: Vec<(TreeLine, bool)> = Vec::new();
        for edit in &near.edits {
            let (node, mark) = match *edit {
                Edit::Same(_, at) => (&new.nodes()[at], Mark::Same),
                Edit::Added(at) => (&new.nodes()[at], Mark::Added),
                Edit::Missing(at) => (&near.tree.nodes()[at], Mark::Missing),
                Edit::Changed(was, is) => {
                    let was = &near.tree.nodes()[was];
                    let line = TreeLine { depth: was.depth, function: self.call(was), mark: Mark::Missing };
                    lines.push((line, false));
                    (&new.nodes()[is], Mark::Changed)
                }
            };
            lines.push((TreeLine { depth: node.depth, function: self.call(node), mark }, false));
        }
        let differs: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].0.mark != Mark::Same).collect();
        for at in differs {
            let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(lines.len()));
            lines[from..to].iter_mut().for_each(|line| line.1 = true);
            // The way from the root.
            let mut depth = lines[at].0.depth;
            for line in lines[..at].iter_mut().rev() {
                if line.0.depth < depth && line.0.mark != Mark::Missing {
                    depth = line.0.depth;
                    line.1 = true;
                }
            }
        }
        let all = lines.len();
        let shown: Vec<_> = lines.into_iter().filter(|line| line.1).map(|line| line.0).take(LINES).collect();
        let more = all - shown.len();
        (shown, more as u32)
    }

    fn plain(&self, tree: &Tree) -> (Vec<TreeLine>, u32) {
        let line = |node: &Node| TreeLine { depth: node.depth, function: self.call(node), mark: Mark::Same };
        let lines: Vec<_> = tree.nodes().iter().take(LINES).map(line).collect();
        let more = tree.nodes().len() - lines.len();
        (lines, more as u32)
    }
}

/// The place of a node's caller.
fn above(tree: &Tree, at: usize) -> Option<usize> {
    let depth = tree.nodes()[at].depth;
    tree.nodes()[..at].iter().rposition(|node| node.depth < depth)
}

fn caller(tree: &Tree, at: usize) -> Option<&Node> {
    above(tree, at).map(|at| &tree.nodes()[at])
}

/// The places of all nodes below one.
fn below(tree: &Tree, at: usize) -> impl Iterator<Item = usize> {
    let nodes = tree.nodes();
    (at + 1..nodes.len()).take_while(move |&below| nodes[below].depth > nodes[at].depth)
}

fn with(below: usize) -> String {
    match below {
        0 => String::new(),
        1 => " with 1 call below it".to_owned(),
        more => format!(" with {more} calls below it"),
    }
}

fn figures(tally: &Tally, n: u64) -> TreeFigures {
    TreeFigures {
        calls: tally.calls,
        share: ratio(tally.calls, n),
        failed: ratio(tally.failures, tally.calls),
        p50: tally.durations.quantile(0.5),
        p90: tally.durations.quantile(0.9),
        p99: tally.durations.quantile(0.99),
    }
}

fn figures_before(known: &CodeData, scope: &ScopeData) -> TreeFigures {
    TreeFigures {
        calls: known.calls,
        share: ratio(known.calls, scope.calls),
        failed: ratio(known.failures, known.calls),
        p50: known.durations.quantile(0.5),
        p90: known.durations.quantile(0.9),
        p99: known.durations.quantile(0.99),
    }
}

/// What all trees of a scope are like together.
fn figures_of_all(scope: &ScopeData) -> TreeFigures {
    let mut all = Tally::default();
    for known in &scope.codes {
        all.calls += known.calls;
        all.failures += known.failures;
        all.durations.merge(&known.durations);
    }
    figures(&all, scope.calls)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn text(case: &Case, now: &TreeFigures, before: Option<&TreeFigures>, near: Option<&NearestTree>) -> String {
    let was = before.copied().unwrap_or_default();
    match case.kind {
        TreeKind::UnseenTree => {
            let how = match case.novelty {
                Some(Novelty::Function) => ", with a function that no known tree has",
                Some(Novelty::Call) => ", with a call that was never made before",
                _ => "",
            };
            let mut text = format!("a tree that training never saw{how}: {} calls", case.calls);
            match near {
                Some(near) => {
                    let shown = near.edits.iter().take(IN_TEXT).map(String::as_str).collect::<Vec<_>>();
                    let more = near.edits.len().saturating_sub(shown.len());
                    text += &format!("; beside the nearest known tree: {}", shown.join(", "));
                    if more > 0 {
                        text += &format!(" and {more} more");
                    }
                    if now.p50 > 0 {
                        text +=
                            &format!("; it takes {} (median) in place of {}", time(now.p50), time(was.p50));
                    }
                    if now.failed > 0.0 {
                        text += &format!(
                            "; {} of its calls fail, {} before",
                            percent(now.failed),
                            percent(was.failed)
                        );
                    }
                }
                None => text += "; no known tree of the same root can be compared with it",
            }
            if case.more > 0 {
                text += &format!("; {} more unseen trees at the same time", case.more);
            }
            text
        }
        TreeKind::RareTree => format!(
            "a rare tree runs more often: {} of {} calls ({}), {} before",
            now.calls,
            calls_of(now),
            percent(now.share),
            percent(was.share)
        ),
        TreeKind::LatencyShift if let Some(factor) = case.factor => format!(
            "it takes longer, whatever its trees: {factor:.1} times as long as each of {} did on average ({} calls); median {}, {} before",
            case.more,
            now.calls,
            time(now.p50),
            time(was.p50)
        ),
        TreeKind::LatencyShift => {
            let (name, is, was) = match case.level.map(|level| LEVELS[level]) {
                None => ("median", now.p50, was.p50),
                Some(level) if level < 0.95 => ("ninth decile", now.p90, was.p90),
                Some(_) => ("99th percentile", now.p99, was.p99),
            };
            format!("it takes longer: {name} {}, {} before ({} calls)", time(is), time(was), now.calls)
        }
        TreeKind::FailureShift => format!(
            "it fails more often: {} of {} calls, {} before",
            percent(now.failed),
            now.calls,
            percent(was.failed)
        ),
        // Those have words of their own.
        TreeKind::UnseenValue | TreeKind::RareValue => String::new(),
    }
}

/// The calls of which a tree has its share.
fn calls_of(figures: &TreeFigures) -> u64 {
    if figures.share > 0.0 { (figures.calls as f64 / figures.share).round() as u64 } else { 0 }
}

pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.01 => "< 0.01 %".to_owned(),
        percent if percent < 10.0 => format!("{percent:.2} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// A duration as people write it.
fn time(ns: u64) -> String {
    let ns = ns as f64;
    let (value, unit) = match ns {
        ns if ns < 1e3 => return format!("{ns:.0} ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    if value < 10.0 { format!("{value:.2} {unit}") } else { format!("{value:.0} {unit}") }
}

fn id(case: &Case, time: u64, source: &str, interface: &str, root: FunctionId) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in [case.kind.name(), source, interface] {
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    }
    for number in [root, case.code, time] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

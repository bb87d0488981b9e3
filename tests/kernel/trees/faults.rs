//! Faults in a service that runs: each is found and explained, and without one nothing is.
//!
//! A window of the detector is a minute. Here it is half a second of real time under a minute's name, so that the test
//! takes minutes and not hours; what is counted, learned and judged is otherwise what the agent counts, learns and judges.

use std::{
    io::Write as _,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gait_agent::{
    capture::{Options, PortSet, TreeEvent, TreeOptions},
    config::Functions,
    functions::{Plan, values::Value},
};
use gait_common::{
    finding::TreeFinding,
    tree::{
        Cell, FALSE_FINDING_IN, Limits, Shape, Shapes, Slot, Tally, Tree, TreeDetector, TreeKind, Trees,
        ValueStats, WINDOW, learn, value_text,
    },
};

use super::followed::{Program, functions};
use crate::support::watch::Watch;

/// Real time of a window.
const REAL: Duration = Duration::from_millis(500);
/// Windows learned from.
const LEARNED: u64 = 80;
/// Normal windows in which nothing may be found.
const NORMAL: u64 = 160;
/// Windows in which a fault must be found.
const FOUND_WITHIN: u64 = 20;

/// The service, followed.
struct Shop {
    child: Child,
    stdin: ChildStdin,
    watch: Watch,
    shapes: Shapes,
    names: Vec<String>,
    window: u64,
    calls: u64,
    /// What was seen of arguments and results, and not taken out.
    values: ValueStats,
    _program: Program,
}

impl Drop for Shop {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, only to reap.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shop {
    fn start() -> anyhow::Result<Self> {
        Self::start_with(Functions { success: Some("ret == 0".parse()?), ..Functions::default() })
    }

    /// Follows it as `target` says, but for the file and its functions.
    fn start_with(target: Functions) -> anyhow::Result<Self> {
        let program = Program::compile("shop.c", &[])?;
        let Functions { binary, include, .. } = functions(&program.path, &["f_*"])?;
        let target = Functions { binary, include, ..target };
        let values = !target.values.is_empty();
        let mut plan = Plan::new(&[target]).expect("a target");
        let (ports, trees) = (PortSet::Only(vec![1]), Some(TreeOptions { values, ..TreeOptions::default() }));
        let mut watch = Watch::with(Options { ports, trees, ..Options::default() })?;
        let change = plan.refresh(Instant::now());
        let mut shapes = Shapes::default();
        let names: Vec<String> = change.add.iter().map(|point| point.function.name.clone()).collect();
        for name in &names {
            shapes.name(name);
        }
        let done = watch.capture.follow(&change);
        assert_eq!((done.attached, done.refusals), (16, 0), "{done:?}");
        let mut child = Command::new(&program.path).stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().context("a pipe")?;
        let values = ValueStats::default();
        Ok(Self { child, stdin, watch, shapes, names, window: 0, calls: 0, values, _program: program })
    }

    fn fault(&mut self, name: &str) -> anyhow::Result<()> {
        writeln!(self.stdin, "{name}")?;
        // What is under way ends as it began.
        self.next()?;
        Ok(())
    }

    /// What was counted in the next window.
    fn next(&mut self) -> anyhow::Result<Vec<Cell>> {
        std::thread::sleep(REAL);
        self.watch.drain();
        self.window += 1;
        let start = self.window * WINDOW;
        let (shapes, total, values) = (&mut self.shapes, &mut self.calls, &mut self.values);
        let mut cells = Vec::new();
        let mut take = |event: TreeEvent<'_>| match event {
            TreeEvent::New { tree, .. } => {
                let shape = Tree::from_wire(tree.nodes(), tree.header.flags).expect("a tree");
                shapes.add(tree.header.ordered, Shape { tree: shape, unordered: tree.code().unordered });
            }
            TreeEvent::Name { name, .. } => panic!("{name} was named by nobody"),
            TreeEvent::Value { key, trees } => {
                let text = value_text(&key.value, &[0; 32]);
                values.add(start, &"here".into(), Slot::of_kernel(key), text.as_deref(), trees);
            }
            TreeEvent::Counts { key, counts } => {
                *total += counts.calls;
                cells.push(Cell {
                    window: start,
                    source: "here".into(),
                    interface: "".into(),
                    root: key.root,
                    code: key.ordered,
                    tally: Tally::of_kernel(counts, start, start + WINDOW),
                });
            }
        };
        self.watch.capture.drain_trees(&mut take);
        self.watch.capture.tree_counts(&mut take)?;
        Ok(cells)
    }

    /// A detector that knows what is known by now.
    fn detector(&self, trees: &Arc<Trees>) -> TreeDetector {
        let mut detector = TreeDetector::new(Arc::clone(trees), Limits::once_in(FALSE_FINDING_IN, WINDOW));
        self.names.iter().for_each(|name| detector.name(name));
        detector
    }

    /// The first finding within so many windows, and how many it took.
    fn first_finding(
        &mut self,
        trees: &Arc<Trees>,
        windows: u64,
    ) -> anyhow::Result<Option<(TreeFinding, u64)>> {
        let mut detector = self.detector(trees);
        for window in 1..=windows {
            let cells = self.next()?;
            for (_, _, shape) in self.shapes.iter() {
                detector.shape(shape.tree.code(), &shape.tree);
            }
            let mut found = Vec::new();
            detector.judge(&cells, &mut found);
            if let Some(first) = found.into_iter().next() {
                return Ok(Some((first, window)));
            }
        }
        Ok(None)
    }
}

impl Shop {
    /// As [`first_finding`](Self::first_finding), of values only.
    fn first_value(
        &mut self,
        trees: &Arc<Trees>,
        windows: u64,
    ) -> anyhow::Result<Option<(TreeFinding, u64)>> {
        let mut detector = self.detector(trees);
        for window in 1..=windows {
            self.next()?;
            let mut found = Vec::new();
            detector.judge_values(&self.values.take_ended(u64::MAX), &mut found);
            if let Some(first) = found.into_iter().next() {
                return Ok(Some((first, window)));
            }
        }
        Ok(None)
    }
}

/// Without any rule of success: that a function returns -1 more often is seen from what it returns.
#[test]
fn a_result_that_comes_more_often_is_found_and_a_normal_run_has_no_finding() -> anyhow::Result<()> {
    let value = Value { of: "ret".parse()?, form: "i32".parse()?, functions: Vec::new(), hash: false };
    let mut shop = Shop::start_with(Functions { values: vec![value], ..Functions::default() })?;
    shop.fault("none")?;
    let mut cells = Vec::new();
    for _ in 0..LEARNED {
        cells.extend(shop.next()?);
    }
    let values = shop.values.take_ended(u64::MAX);
    let trees = Arc::new(Trees::new(learn(WINDOW, &cells, &values, &shop.shapes)).expect("sound trees"));
    assert!(trees.data().values.slots.len() > 5, "{:?}", trees.data().values);
    let normal = shop.first_value(&trees, NORMAL)?;
    assert!(normal.is_none(), "without a fault: {normal:#?}");
    shop.fault("failing")?;
    let (found, windows) = shop.first_value(&trees, FOUND_WITHIN)?.context("it is found")?;
    println!("after {windows} windows: {}", found.text);
    let value = found.value.as_ref().context("it is about a value")?;
    assert_eq!(
        (&*value.function, value.argument, &*value.values[0].value),
        ("shop:f_order", 0, "-1"),
        "{found:#?}"
    );
    Ok(())
}

#[test]
fn faults_are_found_and_explained_and_nothing_else_is() -> anyhow::Result<()> {
    let mut shop = Shop::start()?;
    shop.fault("none")?;
    let mut cells = Vec::new();
    for _ in 0..LEARNED {
        cells.extend(shop.next()?);
    }
    let trees = Arc::new(Trees::new(learn(WINDOW, &cells, &[], &shop.shapes)).expect("sound trees"));
    let before = shop.calls;
    let normal = shop.first_finding(&trees, NORMAL)?;
    println!("{NORMAL} normal windows, {} orders", shop.calls - before);
    assert!(normal.is_none(), "without a fault: {normal:#?}");

    for (fault, kind, edits) in [
        (
            "branch",
            TreeKind::UnseenTree,
            &["`shop:f_reject` instead of `shop:f_save` under `shop:f_order`"][..],
        ),
        ("missing", TreeKind::UnseenTree, &["missing `shop:f_check` under `shop:f_order`"]),
        ("added", TreeKind::UnseenTree, &["added `shop:f_audit` under `shop:f_order`"]),
        ("slow", TreeKind::LatencyShift, &[]),
        ("failing", TreeKind::FailureShift, &[]),
    ] {
        shop.fault(fault)?;
        let found = shop.first_finding(&trees, FOUND_WITHIN)?;
        let (finding, windows) = found.with_context(|| format!("{fault} was not found"))?;
        println!("{fault}: after {windows} windows: {}", finding.text);
        assert_eq!(finding.kind, kind, "{fault}: {finding:#?}");
        assert_eq!(finding.root, "shop:f_order");
        let said = finding.nearest.iter().flat_map(|nearest| &nearest.edits).collect::<Vec<_>>();
        assert_eq!(said, edits, "{fault}: {finding:#?}");
        let (now, known) = (finding.now, finding.before.context("what was normal")?);
        match kind {
            TreeKind::LatencyShift => assert!(now.p50 > known.p50 * 3 / 2, "{finding:#?}"),
            TreeKind::FailureShift => {
                assert!((0.01..0.04).contains(&now.failed) && known.failed < 0.003, "{finding:#?}");
            }
            _ => {}
        }
        shop.fault("none")?;
    }
    Ok(())
}

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
    functions::Plan,
};
use gait_common::{
    finding::TreeFinding,
    tree::{
        Cell, FALSE_FINDING_IN, Limits, Shape, Shapes, Tally, Tree, TreeDetector, TreeKind, Trees, WINDOW,
        learn,
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
        let program = Program::compile("shop.c", &[])?;
        let target = Functions { success: Some("ret == 0".parse()?), ..functions(&program.path, &["f_*"])? };
        let mut plan = Plan::new(&[target]).expect("a target");
        let (ports, trees) = (PortSet::Only(vec![1]), Some(TreeOptions::default()));
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
        Ok(Self { child, stdin, watch, shapes, names, window: 0, calls: 0, _program: program })
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
        let (shapes, total) = (&mut self.shapes, &mut self.calls);
        let mut cells = Vec::new();
        let mut take = |event: TreeEvent<'_>| match event {
            TreeEvent::New { tree, .. } => {
                let shape = Tree::from_wire(tree.nodes(), tree.header.flags).expect("a tree");
                shapes.add(tree.header.ordered, Shape { tree: shape, unordered: tree.code().unordered });
            }
            TreeEvent::Name { name, .. } => panic!("{name} was named by nobody"),
            TreeEvent::Value { key, .. } => panic!("nobody asked for {key:?}"),
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

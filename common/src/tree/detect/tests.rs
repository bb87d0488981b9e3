//! That trees which run differently are found and explained, and normal ones are left alone.

mod values;

use std::sync::Arc;

use super::*;
use crate::finding::Mark;
use crate::tree::{Node, Observed, TreeStats, WINDOW, learn};
use crate::wire::tree::{TRUNCATED, function_id};

/// Drawn numbers: the same for a seed on every machine.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Below 1, at least 0.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The product of a duration and a log-normal number (12 uniform ones make a normal one).
    fn around(&mut self, duration: f64, deviation: f64) -> u64 {
        let normal = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
        (duration * (deviation * normal).exp()) as u64
    }
}

/// A tree of names, each with its depth in front: `0a 1b 2c`.
fn tree(text: &str, flags: u32) -> Tree {
    let node = |word: &str| {
        let (depth, name) = word.split_at(1);
        Node { function: function_id(name.as_bytes()), depth: depth.parse().expect("depth"), dead: false }
    };
    Tree::new(text.split(' ').map(node).collect(), flags).expect("a tree")
}

/// A service with a few kinds of requests.
struct Service {
    /// Trees, how frequent each is, how long it takes (ns), how often it fails.
    kinds: Vec<(Tree, f64, f64, f64)>,
    /// Requests in a window.
    requests: u64,
    /// Load and speed vary by so much between windows.
    varies: f64,
}

impl Service {
    fn new() -> Self {
        let kind = |text, share, took, fails| (tree(text, 0), share, took, fails);
        Self {
            kinds: vec![
                kind("0handle 1parse 1find 2open 2stat 1send", 0.70, 1e6, 0.001),
                kind("0handle 1parse 1find 2cache 1send", 0.25, 2e5, 0.001),
                kind("0handle 1parse 1redirect 1send", 0.04, 1e5, 0.001),
                kind("0handle 1parse 1find 2open 1error 2log 1send", 0.01, 3e5, 1.0),
            ],
            requests: 400,
            varies: 0.1,
        }
    }

    /// What runs in one window, as kinds with their numbers.
    fn window(&self, number: u64, draw: &mut Draw, stats: &mut TreeStats) {
        let load = draw.around(self.requests as f64, self.varies);
        let speed = draw.around(1000.0, self.varies) as f64 / 1000.0;
        for _ in 0..load {
            let mut at = draw.share();
            let kind = self.kinds.iter().find(|kind| {
                at -= kind.1;
                at < 0.0
            });
            let Some((tree, _, took, fails)) = kind.or(self.kinds.first()) else { continue };
            stats.observe(&Observed {
                time: (number + 1) * WINDOW + draw.next() % WINDOW,
                source: "web1",
                interface: Some("GET /"),
                root: tree.root(),
                code: tree.code().ordered,
                tree: Some(tree),
                duration: draw.around(took * speed, 0.4),
                failed: draw.share() < *fails,
            });
        }
    }

    fn run(&self, windows: std::ops::Range<u64>, draw: &mut Draw) -> Vec<Cell> {
        let mut stats = TreeStats::default();
        windows.for_each(|number| self.window(number, draw, &mut stats));
        stats.cells()
    }

    fn shapes(&self) -> Shapes {
        let mut shapes = Shapes::default();
        for (tree, ..) in &self.kinds {
            let code = tree.code();
            shapes.add(code.ordered, Shape { tree: tree.clone(), unordered: code.unordered });
        }
        for name in "handle parse find open stat send cache redirect error log".split(' ') {
            shapes.name(name);
        }
        shapes
    }

    fn learned(&self, windows: u64, seed: u64) -> Arc<Trees> {
        let cells = self.run(0..windows, &mut Draw(seed));
        Arc::new(Trees::new(learn(WINDOW, &cells, &[], &self.shapes())).expect("sound"))
    }
}

/// What a detector finds in a service's windows, and after how many of them the first.
fn found(service: &Service, detector: &mut TreeDetector, windows: u64, seed: u64) -> Vec<TreeFinding> {
    for (tree, ..) in &service.kinds {
        detector.shape(tree.code(), tree);
    }
    let mut out = Vec::new();
    let mut draw = Draw(seed);
    for number in 0..windows {
        detector.judge(&service.run(5000 + number..5001 + number, &mut draw), &mut out);
    }
    out
}

fn once_in(windows: f64) -> Limits {
    Limits { run: windows, ..Limits::once_in(0, 1) }
}

fn month() -> Limits {
    Limits::once_in(FALSE_FINDING_IN, WINDOW)
}

/// The stated rate holds: with a limit of one in 200 windows, 12 runs of 400 windows have 24 findings at most; and with
/// the default they have none.
#[test]
fn normal_runs_have_no_more_findings_than_stated() {
    let service = Service::new();
    let (mut often, mut seldom) = (0, 0);
    for seed in 0..4 {
        let trees = service.learned(60, seed);
        let mut strict = TreeDetector::new(Arc::clone(&trees), once_in(200.0));
        often += found(&service, &mut strict, 400, seed + 100).len();
        let mut lenient = TreeDetector::new(trees, month());
        seldom += found(&service, &mut lenient, 400, seed + 100).len();
    }
    assert!(often <= 8, "{often} findings in 1600 windows");
    assert_eq!(seldom, 0);
}

/// Few windows and few calls teach little, and then little is claimed.
#[test]
fn little_training_makes_no_false_findings() {
    for (windows, requests) in [(1, 400), (3, 5), (10, 3), (5, 40)] {
        let service = Service { requests, ..Service::new() };
        for seed in 0..5 {
            let mut detector = TreeDetector::new(service.learned(windows, seed), month());
            let found = found(&service, &mut detector, 200, seed + 50);
            assert!(found.is_empty(), "{windows} windows of {requests}, seed {seed}: {found:?}");
        }
    }
}

/// A service whose speed and load are never the same is not reported for it.
#[test]
fn wild_services_are_known_to_be_wild() {
    let service = Service { varies: 0.6, ..Service::new() };
    for seed in 0..3 {
        let mut detector = TreeDetector::new(service.learned(60, seed), month());
        let found = found(&service, &mut detector, 300, seed + 50);
        assert!(found.is_empty(), "seed {seed}: {found:?}");
    }
}

/// What every injected fault is found within, in windows.
const SOON: u64 = 5;

fn first(fault: impl Fn(&mut Service), kind: TreeKind) -> TreeFinding {
    let mut last = None;
    for seed in 0..4 {
        let mut service = Service::new();
        let mut detector = TreeDetector::new(service.learned(60, seed), month());
        fault(&mut service);
        let found = found(&service, &mut detector, SOON, seed + 10);
        let mut of_kind = found.iter().filter(|finding| finding.kind == kind);
        last = of_kind.next().cloned();
        assert!(last.is_some(), "seed {seed}: {found:?}");
    }
    last.expect("four seeds")
}

#[test]
fn an_error_branch_is_found_and_shown() {
    let branch = |service: &mut Service| {
        service.kinds[0].1 -= 0.02;
        service.kinds.push((tree("0handle 1parse 1find 2open 1fail 2log 1send", 0), 0.02, 4e5, 1.0));
    };
    let finding = first(branch, TreeKind::UnseenTree);
    assert_eq!(finding.novelty, Some(Novelty::Function));
    let nearest = finding.nearest.expect("a known tree");
    assert_eq!(nearest.distance, 1);
    let fail = format!("function {}", code_of("fail"));
    assert_eq!(nearest.edits, [format!("`{fail}` instead of `error` under `handle`")]);
    let marks: Vec<_> = finding.tree.iter().filter(|line| line.mark != Mark::Same).collect();
    assert_eq!((&*marks[0].function, marks[0].mark), ("error", Mark::Missing));
    assert_eq!((&*marks[1].function, marks[1].mark), (&*fail, Mark::Changed));
    assert!(finding.text.contains("training never saw"), "{}", finding.text);
}

fn code_of(name: &str) -> String {
    super::super::code_text(function_id(name.as_bytes()))
}

#[test]
fn a_missing_call_is_found_and_named() {
    let skip = |service: &mut Service| service.kinds[0].0 = tree("0handle 1parse 1find 2open 1send", 0);
    let finding = first(skip, TreeKind::UnseenTree);
    assert_eq!(finding.novelty, Some(Novelty::Combination));
    assert_eq!(finding.nearest.expect("a known tree").edits, ["missing `stat` under `find`"]);
    // The figures beside each other are those of the unseen and of the nearest known tree.
    let before = finding.before.expect("of the nearest");
    assert!(before.share > 0.6 && finding.now.share > 0.6, "{before:?} {:?}", finding.now);
}

#[test]
fn an_added_call_is_found_and_named() {
    let add = |service: &mut Service| {
        service.kinds[1].0 = tree("0handle 1parse 1find 2cache 1redirect 2log 1send", 0);
    };
    let finding = first(add, TreeKind::UnseenTree);
    assert_eq!(finding.novelty, Some(Novelty::Call));
    let edits = finding.nearest.expect("a known tree").edits;
    assert_eq!(edits, ["added `redirect` with 1 call below it under `handle`"]);
}

#[test]
fn a_call_that_is_five_times_slower_is_found() {
    let finding = first(|service| service.kinds[1].2 *= 5.0, TreeKind::LatencyShift);
    let before = finding.before.expect("known");
    let ratio = finding.now.p50 as f64 / before.p50 as f64;
    assert!((4.0..6.5).contains(&ratio), "{ratio}");
    assert!(finding.text.starts_with("it takes longer: "), "{}", finding.text);
}

#[test]
fn failures_from_a_thousandth_to_a_fiftieth_are_found() {
    let finding = first(|service| service.kinds[0].3 = 0.02, TreeKind::FailureShift);
    let before = finding.before.expect("known");
    assert!(before.failed < 0.003 && finding.now.failed > 0.005, "{finding:?}");
}

#[test]
fn a_rare_tree_that_becomes_frequent_is_found() {
    let more = |service: &mut Service| {
        service.kinds[0].1 -= 0.1;
        service.kinds[3].1 += 0.1;
    };
    let finding = first(more, TreeKind::RareTree);
    assert!(finding.now.share > 0.05 && finding.before.expect("known").share < 0.02);
}

/// The same calls in another order, and trees that the capture cut off, are named and not reported.
#[test]
fn reordered_and_cut_trees_are_no_findings() {
    let mut service = Service::new();
    let mut detector = TreeDetector::new(service.learned(60, 1), month());
    service.kinds[0].0 = tree("0handle 1parse 1find 2stat 2open 1send", 0);
    service.kinds[1].0 = tree("0handle 1parse 1find 2cache", TRUNCATED);
    assert_eq!(found(&service, &mut detector, 20, 7), []);
    let counts = detector.counts();
    assert!(counts.reordered > 1000 && counts.truncated > 1000, "{counts:?}");
    assert_eq!(counts.unseen, 0);
    assert_eq!(
        counts.calls,
        counts.unscoped + counts.doubled + counts.known + counts.reordered + counts.truncated + counts.unseen
    );
}

/// A service in which there is always something new, whose trees the capture may lose, is not reported for one thing more.
#[test]
fn a_service_with_ever_new_trees_is_known_to_have_them() {
    let one_more = |service: &Service, number: u64, draw: &mut Draw| {
        let mut stats = TreeStats::default();
        service.window(number, draw, &mut stats);
        for _ in 0..draw.next() % 5 {
            let tree = tree(&format!("0handle 1parse 1new{}", draw.next()), 0);
            let (root, code, time) = (tree.root(), tree.code().ordered, (number + 1) * WINDOW);
            let (source, interface) = ("web1", Some("GET /"));
            let tree = None;
            stats.observe(&Observed {
                time,
                source,
                interface,
                root,
                code,
                tree,
                duration: 0,
                failed: false,
            });
        }
        stats.cells()
    };
    let service = Service::new();
    for seed in 0..3 {
        let mut draw = Draw(seed);
        let cells: Vec<_> = (0..60).flat_map(|number| one_more(&service, number, &mut draw)).collect();
        let mut shapes = service.shapes();
        // What training knew of these trees made half of them of one kind, half of another.
        for cell in cells.iter().filter(|cell| cell.tally.calls == 1).step_by(2) {
            let tree = tree(&format!("0handle 1parse 1{}", cell.code), 0);
            shapes.add(cell.code, Shape { tree, unordered: cell.code });
        }
        let trees = Trees::new(learn(WINDOW, &cells, &[], &shapes)).expect("sound");
        let mut detector = TreeDetector::new(trees.into(), month());
        let mut out = Vec::new();
        for number in 0..300 {
            detector.judge(&one_more(&service, 5000 + number, &mut draw), &mut out);
        }
        assert!(detector.counts().unseen > 300 && out.is_empty(), "seed {seed}: {out:?}");
    }
}

/// A shift is reported once, not every minute, and again when it comes back.
#[test]
fn what_goes_on_is_reported_once() {
    let mut service = Service::new();
    let mut detector = TreeDetector::new(service.learned(60, 3), month());
    service.kinds[1].2 *= 5.0;
    let shifts = |found: Vec<TreeFinding>| found.iter().filter(|f| f.kind == TreeKind::LatencyShift).count();
    assert_eq!(shifts(found(&service, &mut detector, 60, 4)), 1);
    assert_eq!(shifts(found(&Service::new(), &mut detector, 60, 5)), 0);
    assert_eq!(shifts(found(&service, &mut detector, 60, 6)), 1);
}

/// Where every tree is rare none of them has calls enough to be judged by itself, and the root is still known to be slow.
#[test]
fn a_root_of_many_rare_trees_that_gets_slower_is_found() {
    // 150 trees, 40 requests a window, 25 windows: fewer than twenty calls of each.
    let kinds = (0..150).map(|n| (tree(&format!("0handle 1parse 1way{n}"), 0), 1.0 / 150.0, 1e6, 0.0));
    let service = || Service { kinds: kinds.clone().collect(), requests: 40, varies: 0.1 };
    for seed in 0..4 {
        let trees = service().learned(25, seed);
        let alone = trees.data().scopes[0].codes.iter().filter(|code| code.normal.is_some()).count();
        assert_eq!((trees.data().paces[0].is_some(), alone), (true, 0));
        let mut detector = TreeDetector::new(Arc::clone(&trees), month());
        let normal = found(&service(), &mut detector, 100, seed + 60);
        assert!(normal.is_empty(), "seed {seed}: {normal:?}");
        let mut slow = service();
        slow.kinds.iter_mut().for_each(|kind| kind.2 *= 3.0);
        let mut detector = TreeDetector::new(trees, month());
        let finding = found(&slow, &mut detector, SOON, seed + 10).into_iter().next().expect("it is slow");
        assert_eq!((finding.kind, &*finding.code), (TreeKind::LatencyShift, "0000000000000000"));
        let before = finding.before.expect("what was normal");
        assert!(finding.now.p50 > 2 * before.p50, "{finding:?}");
        assert!(finding.text.contains("whatever its trees: "), "{}", finding.text);
    }
}

/// A root whose trees become slower ones, each as fast as ever, is not slow: which trees run is another test's matter.
#[test]
fn more_of_the_slow_trees_is_no_slow_root() {
    let mut service = Service::new();
    let mut detector = TreeDetector::new(service.learned(60, 1), month());
    (service.kinds[0].1, service.kinds[1].1) = (0.25, 0.70);
    let faster = found(&service, &mut detector, 100, 4);
    assert!(faster.iter().all(|finding| finding.kind != TreeKind::LatencyShift), "{faster:?}");
    let mut service = Service::new();
    (service.kinds[0].1, service.kinds[1].1) = (0.25, 0.70);
    let mut detector = TreeDetector::new(service.learned(60, 1), month());
    let slower = found(&Service::new(), &mut detector, 100, 4);
    assert!(slower.iter().all(|finding| finding.kind != TreeKind::LatencyShift), "{slower:?}");
}

/// Latency shifts of a host with six roots of two trees each, in which each takes so many times as long.
fn shifts(seed: u64, slower: [f64; 6]) -> Vec<TreeFinding> {
    let host = |slower: [f64; 6]| {
        let kinds = slower.iter().enumerate().flat_map(|(root, by)| {
            [("find", 1e6), ("cache 1find", 4e5)].map(|(calls, took)| {
                (tree(&format!("0root{root} 1{calls}"), 0), 1.0 / 12.0, took * (root + 1) as f64 * by, 0.0)
            })
        });
        Service { kinds: kinds.collect(), requests: 400, varies: 0.1 }
    };
    let mut detector = TreeDetector::new(host([1.0; 6]).learned(60, seed), month());
    let found = found(&host(slower), &mut detector, 30, seed + 70);
    found.into_iter().filter(|finding| finding.kind == TreeKind::LatencyShift).collect()
}

/// A host that is short of CPU makes all slow, which is one finding and not one for each tree; what is slow beside
/// the others is told by itself.
#[test]
fn a_host_that_is_slow_as_a_whole_is_one_finding() {
    for seed in 0..4 {
        assert_eq!(shifts(seed, [1.0; 6]), []);
        let all = shifts(seed, [3.0, 4.0, 2.5, 3.0, 3.5, 3.0]);
        assert_eq!(all.len(), 1, "{all:#?}");
        let together = all[0].together.expect("all are slow");
        assert_eq!((together.slow, together.of), (6, 6));
        assert!((2.5..3.7).contains(&together.factor), "{together:?}");
        assert!(all[0].text.contains("6 of 6 roots are slower at once"), "{}", all[0].text);
        let one = shifts(seed, [1.0, 1.0, 5.0, 1.0, 1.0, 1.0]);
        assert!(!one.is_empty() && one.iter().all(|finding| finding.together.is_none()), "{one:#?}");
        let root = &one[0].root;
        assert!(one.iter().all(|finding| finding.root == *root), "{one:#?}");
        let both = shifts(seed, [2.0, 2.0, 30.0, 2.0, 2.0, 2.0]);
        let (host, own): (Vec<_>, Vec<_>) = both.iter().partition(|finding| finding.together.is_some());
        assert!(host.len() == 1 && !own.is_empty(), "{both:#?}");
        assert!(own.iter().all(|finding| finding.root == *root), "{both:#?}");
    }
}

//! Call trees from the spool to the model and to findings, through the programs themselves.

use std::path::Path;
use std::sync::mpsc::channel;

use gait_agent::spool::TreeSpool;
use gait_common::call::Call;
use gait_common::finding::{Tie, TreeFinding};
use gait_common::model::{Model, file};
use gait_common::spool::trees::{CellRows, TreeCall, TreeCallRows, TreeRows, TreeTable, ValueRows};
use gait_common::tree::{
    Limits, Node, Observed, Shape, Shapes, Slot, Tree, TreeDetector, TreeKind, TreeStats, TreesData,
    ValueStats, WINDOW, learn,
};
use gait_common::wire::tree::function_id;

use crate::support::shop::{self, Request};
use crate::support::{agent, log, path, text, trainer};

/// A tree of the shop's functions, each word a depth and a name: `0handle 1find`.
fn tree(calls: &str) -> Tree {
    let node = |word: &str| {
        let (depth, name) = word.split_at(1);
        let function = function_id(format!("shop:{name}").as_bytes());
        Node { function, depth: depth.parse().expect("depth"), dead: false }
    };
    Tree::new(calls.split(' ').map(node).collect(), 0).expect("a tree")
}

const NAMES: [&str; 7] = ["handle", "auth", "find", "query", "render", "fail", "log"];
const NORMAL: [&str; 2] = ["0handle 1auth 1find 2query 1render", "0handle 1auth 1render"];
const UNSEEN: &str = "0handle 1auth 1find 2fail 3log 1render";

fn names() -> Shapes {
    let mut names = Shapes::default();
    for name in NAMES {
        names.name(&format!("shop:{name}"));
    }
    names
}

/// What a request runs, how long it takes (ns) and whether it fails.
type Ran = (Tree, u64, bool);

fn normal(request: &Request, at: usize) -> Ran {
    let which = usize::from(request.target.len().is_multiple_of(3));
    (tree(NORMAL[which]), 1_000_000 + (at as u64 * 7919) % 400_000, at.is_multiple_of(997))
}

/// Records requests as the agent does where functions are followed: the calls, and beside them their trees.
fn record(dir: &Path, name: &str, requests: &[Request], ran: impl Fn(&Request, usize) -> Ran) -> String {
    record_with(dir, name, requests, ran, |_, at| if at.is_multiple_of(499) { "-1" } else { "0" })
}

/// As [`record`]; `answer` is what one of the functions returns.
fn record_with(
    dir: &Path,
    name: &str,
    requests: &[Request],
    ran: impl Fn(&Request, usize) -> Ran,
    answer: impl Fn(&Request, usize) -> &'static str,
) -> String {
    let spool = log::write(dir, name, "spool", requests);
    let options = log::spool_options(&spool);
    let names = names();
    let (mut trees, mut cells, mut calls) =
        (TreeRows::default(), CellRows::default(), TreeCallRows::default());
    let (mut stats, mut values) = (TreeStats::default(), ValueStats::default());
    let mut value_rows = ValueRows::default();
    let mut known = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let (tree, duration, failed) = ran(request, at);
        let (code, time) = (tree.code(), request.time * 1_000_000_000);
        if !known.contains(&code) {
            known.push(code);
            trees.push(
                time,
                "web1",
                code.ordered,
                &Shape { tree: tree.clone(), unordered: code.unordered },
                &names,
            );
        }
        let call = Call {
            start: time,
            method: request.method,
            host: "shop.example",
            target: request.target.split('?').next().unwrap_or_default(),
            ..Call::default()
        };
        let (root, code) = ("shop:handle", code.ordered);
        calls.push(&TreeCall { source: "web1", call, root, code, duration, failed, tie: Tie::Sender });
        let root = tree.root();
        let slot = Slot { root, code, function: function_id(b"shop:auth"), which: 0 };
        values.add(time, &"web1".into(), slot, Some(answer(request, at)), 1);
        let tree = None;
        stats.observe(&Observed {
            time,
            source: "web1",
            interface: None,
            root,
            code,
            tree,
            duration,
            failed,
        });
    }
    stats.cells().iter().for_each(|cell| cells.push(cell, stats.window(), &names));
    values.cells().iter().for_each(|cell| value_rows.push(cell, values.window(), &names));
    let (sender, receiver) = channel();
    let all = [
        (TreeTable::Trees, trees.finish()),
        (TreeTable::Stats, cells.finish()),
        (TreeTable::Calls, calls.finish()),
        (TreeTable::Values, value_rows.finish()),
    ];
    for (table, batch) in all {
        sender.send((table, batch.expect("columns of equal length"))).expect("the receiver is there");
    }
    drop(sender);
    let counts =
        TreeSpool::open(options.with_trees().1).expect("a spool").run(&receiver).expect("rows are taken");
    assert_eq!((counts.rows_lost, counts.rows_in), (0, counts.rows_written));
    text(&spool).to_owned()
}

/// The findings about trees that a replay prints, and its account.
fn replay(dir: &Path, spool: &str, model: &str) -> (Vec<TreeFinding>, serde_json::Value) {
    let summary = path(dir, "summary.json");
    let args = ["replay", "--format", "spool", "--model", model, "--summary", &summary, spool];
    let ended = agent(&args).good();
    let events = ended.stdout.lines().map(|line| serde_json::from_str(line).expect(line));
    let found = events.filter_map(|mut event: serde_json::Value| {
        let is_tree = event["finding_info"]["analytic"]["name"] == "call tree";
        is_tree.then(|| serde_json::from_value(event["unmapped"]["gait"].take()).expect("a finding"))
    });
    let account = serde_json::from_slice(&std::fs::read(&summary).expect("a summary")).expect("JSON");
    (found.collect(), account)
}

/// The whole way: an agent records, the trainer learns, and the next day an error branch, a slow tree and failures
/// are found at the interface whose requests they served. A day like the others has no finding.
#[test]
fn trees_are_recorded_learned_and_judged() {
    let dir = tempfile::tempdir().expect("a directory");
    let requests = shop::requests(&shop::day(21, 0, 1200, 0));
    let training = record(dir.path(), "training", &requests, normal);
    let model = path(dir.path(), "trees.gait");
    trainer(&["train", "--format", "spool", "--out", &model, &training]).good();

    let today = shop::requests(&shop::day(22, 1, 1200, 0));
    let good = record(dir.path(), "good", &today, |request, at| normal(request, at + 5));
    let (found, account) = replay(dir.path(), &good, &model);
    assert_eq!(found, [], "a day like the others");
    let judged = &account["trees"]["judged"];
    assert!(judged["known"].as_u64().is_some_and(|known| known > 1000), "{account}");
    assert_eq!((&judged["unseen"], &account["trees"]["refused"]), (&0.into(), &0.into()));

    let noon = today[today.len() / 2].time;
    let bad = record(dir.path(), "bad", &today, |request, at| {
        let (ran, took, failed) = normal(request, at);
        match request.time >= noon {
            true if request.target.starts_with("/api/items/") && at.is_multiple_of(2) => {
                (tree(UNSEEN), took, true)
            }
            true if request.target.starts_with("/api/login") => (ran, 5 * took, failed),
            _ => (ran, took, failed),
        }
    });
    let (found, account) = replay(dir.path(), &bad, &model);
    let of = |kind| found.iter().find(|finding| finding.kind == kind);
    let unseen = of(TreeKind::UnseenTree).unwrap_or_else(|| panic!("{found:?} {account}"));
    assert!(unseen.interface.contains("/api/items") && unseen.time > noon * 1_000_000_000, "{unseen:?}");
    assert_eq!((unseen.tie, &*unseen.root, &*unseen.source), (Tie::Sender, "shop:handle", "web1"));
    let edits = unseen.nearest.as_ref().map(|nearest| nearest.edits.join("; ")).unwrap_or_default();
    assert!(edits.contains("shop:fail") && edits.contains("shop:query"), "{edits}");
    let slow = of(TreeKind::LatencyShift).unwrap_or_else(|| panic!("{found:?} {account}"));
    assert!(slow.interface.contains("/api/login"), "{slow:?}");
    let counted = account["trees"]["judged"]["findings"].as_u64();
    assert_eq!(counted, Some(found.len() as u64));
}

/// What a function returned is recorded, learned and judged with its trees, and `inspect` shows it.
#[test]
fn values_are_recorded_learned_and_judged() {
    let dir = tempfile::tempdir().expect("a directory");
    let requests = shop::requests(&shop::day(21, 0, 1200, 0));
    let training = record(dir.path(), "training", &requests, normal);
    let model = path(dir.path(), "values.gait");
    trainer(&["train", "--format", "spool", "--out", &model, &training]).good();
    let shown = trainer(&["inspect", "--tree", "shop:handle", &model]).good().stdout;
    assert!(
        shown.contains("the return value of shop:auth") && shown.contains("2 different values"),
        "{shown}"
    );

    let today = shop::requests(&shop::day(22, 1, 1200, 0));
    let noon = today[today.len() / 2].time;
    let bad = record_with(dir.path(), "bad", &today, normal, |request, at| match request.time >= noon {
        true if at.is_multiple_of(2) => "-1",
        true if at.is_multiple_of(3) => "-22",
        _ => "0",
    });
    let (found, account) = replay(dir.path(), &bad, &model);
    assert!(
        found.iter().all(|finding| finding.kind.is_of_values() && finding.time > noon * 1_000_000_000),
        "{found:?}"
    );
    for (kind, value) in [(TreeKind::RareValue, "-1"), (TreeKind::UnseenValue, "-22")] {
        let of = found.iter().filter(|finding| finding.kind == kind);
        let shift = of.filter_map(|finding| finding.value.as_ref()).next();
        let shift = shift.unwrap_or_else(|| panic!("no {kind:?}: {found:?} {account}"));
        assert_eq!((&*shift.function, shift.argument, &*shift.values[0].value), ("shop:auth", 0, value));
    }
    let judged = &account["trees"]["judged"];
    assert_eq!(
        (judged["values"].as_u64(), judged["values_unscoped"].as_u64()),
        (Some(today.len() as u64), Some(0))
    );
}

/// What is learned from 60 minutes of two trees; the same on every machine.
pub(crate) fn learned() -> TreesData {
    let mut stats = TreeStats::default();
    let mut shapes = names();
    for n in 0..30_000_u64 {
        let tree = tree(NORMAL[usize::from(n.is_multiple_of(5))]);
        let code = tree.code();
        stats.observe(&Observed {
            time: n * WINDOW / 500,
            source: "web1",
            interface: Some("GET /"),
            root: tree.root(),
            code: code.ordered,
            tree: Some(&tree),
            duration: 1_000_000 + n * 7919 % 500_000,
            failed: n.is_multiple_of(1000),
        });
        shapes.add(code.ordered, Shape { tree, unordered: code.unordered });
    }
    let mut values = ValueStats::default();
    for n in 0..30_000_u64 {
        let value = if n.is_multiple_of(1000) { "-1" } else { "0" };
        values.add(n * WINDOW / 500, &"web1".into(), result(), Some(value), 1);
    }
    learn(stats.window(), &stats.cells(), &values.cells(), &shapes)
}

/// The return value of a function that the usual tree calls.
fn result() -> Slot {
    let tree = tree(NORMAL[0]);
    Slot { root: tree.root(), code: tree.code().ordered, function: tree.nodes()[1].function, which: 0 }
}

/// What a model that has [`learned`] says of a minute in which much is wrong.
pub(crate) fn verdicts(model: &Path) -> Vec<(String, String, f64)> {
    let bytes = std::fs::read(model).expect("a model");
    let model = Model::new(file::read(&bytes).expect("a model")).expect("sound");
    let trees = model.trees().expect("it knows trees");
    let mut detector = TreeDetector::new(trees.clone(), Limits::once_in(86_400_000_000_000, WINDOW));
    let mut stats = TreeStats::default();
    for n in 0..500_u64 {
        let tree = tree([NORMAL[0], NORMAL[1], UNSEEN][(n % 10) as usize % 3]);
        detector.shape(tree.code(), &tree);
        stats.observe(&Observed {
            time: 1_000_000 * WINDOW + n,
            source: "web1",
            interface: Some("GET /"),
            root: tree.root(),
            code: tree.code().ordered,
            tree: None,
            duration: 5_000_000 + n * 1000,
            failed: n.is_multiple_of(10),
        });
    }
    let mut found = Vec::new();
    detector.judge(&stats.cells(), &mut found);
    let mut values = ValueStats::default();
    for (value, trees) in [("0", 300), ("-1", 100), ("-22", 100)] {
        values.add(1_000_000 * WINDOW, &"web1".into(), result(), Some(value), trees);
    }
    detector.judge_values(&values.cells(), &mut found);
    found.into_iter().map(|f| (f.kind.name().to_owned(), f.code, f.evidence)).collect()
}

/// A model whose trees contradict themselves is refused, whoever signed it.
#[test]
fn trees_that_contradict_themselves_are_refused() {
    type Alter = fn(&mut TreesData);
    let dir = tempfile::tempdir().expect("a directory");
    let data = gait_common::model::ModelData {
        interfaces: vec!["~new".to_owned(), "GET /".to_owned()],
        trees: Some(learned()),
        ..Default::default()
    };
    let write = |alter: Alter| {
        let mut data = data.clone();
        alter(data.trees.as_mut().expect("trees"));
        let path = path(dir.path(), "m.gait");
        std::fs::write(&path, file::write(&data).expect("it can be written")).expect("file");
        agent(&["replay", "--format", "combined", "--model", &path, "/dev/null"])
    };
    write(|_| {}).good();
    for (alter, reason) in [
        ((|trees| trees.window = 0) as Alter, "windows of trees have no length"),
        (|trees| trees.functions[0].0 = 0, "functions of trees do not ascend"),
        (|trees| trees.functions[0].1 = "other".to_owned(), "not that of its name"),
        (|trees| trees.tempers[2] = f64::NAN, "exponent of trees"),
        (|trees| trees.trees[0].nodes[0].0 = 99, "nodes are no tree"),
        (|trees| trees.trees[0].nodes[1].1 = 9, "nodes are no tree"),
        (|trees| trees.trees.push(trees.trees[0].clone()), "a tree is listed twice"),
        (|trees| trees.scopes.push(trees.scopes[0].clone()), "listed twice"),
        (|trees| trees.paces.push(None), "paces of trees"),
        (|trees| trees.scopes[0].novel[1].mean = 2.0, "a rate of trees"),
        (|trees| trees.scopes[0].codes.reverse(), "a rate of trees"),
        (|trees| trees.scopes[0].codes[0].share.concentration = f64::INFINITY, "a rate of trees"),
        (|trees| trees.scopes[0].codes[0].failures = u64::MAX, "a rate of trees"),
        (|trees| trees.values.slots.push(trees.values.slots[0].clone()), "slots of values"),
        (|trees| trees.values.tempers[1] = f64::NAN, "exponent of values"),
        (|trees| trees.values.slots[0].total = 1, "known of values"),
        (|trees| trees.values.slots[0].values.reverse(), "known of values"),
        (|trees| trees.values.slots[0].others.mean = 0.0, "known of values"),
    ] {
        let ended = write(alter);
        assert_eq!(ended.code, Some(3), "{reason}: {ended:?}");
        assert!(ended.stderr.contains("is not sound") && ended.stderr.contains(reason), "{}", ended.stderr);
    }
}

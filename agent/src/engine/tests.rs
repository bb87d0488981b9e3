//! From exchanges to rows and findings, with everything accounted for.

use std::sync::mpsc::{Receiver, sync_channel};

use gait_common::finding::Tie;
use gait_common::model::ModelData;
use gait_common::spool::Calls;
use gait_common::spool::trees::TreeTable;
use gait_common::tree::{Node, Observed, Shape, Shapes, Tree, TreeStats};
use gait_common::wire::tree::{Entry, KIND_TREE, Key, NewTree, OPEN, Statistics, function_id};

use super::*;
use crate::capture::ProcessSource;

const START: Nanos = 1_795_332_600_000_000_000;

struct Bench {
    engine: Engine,
    rows: Receiver<RecordBatch>,
    findings: Receiver<Anomaly>,
    stop: Arc<AtomicBool>,
}

fn bench(model: Option<ModelData>) -> Bench {
    let (rows_in, rows) = sync_channel(100);
    let (findings_in, findings) = sync_channel(100);
    let stop = Arc::new(AtomicBool::new(false));
    let namer =
        CallerNamer { identities: Vec::new(), trusted_proxies: Vec::new(), keep_names: false, key: [0; 32] };
    let model = model.map(|data| Arc::new(Model::new(data).expect("sound")));
    let outputs = Outputs { rows: Some(rows_in), findings: findings_in, stop: Arc::clone(&stop) };
    Bench { engine: Engine::new(namer, model, Limits::default(), outputs), rows, findings, stop }
}

fn take(engine: &mut Engine, at: Nanos, head: &str) {
    take_with(engine, at, head, &[]);
}

fn take_with(engine: &mut Engine, at: Nanos, head: &str, trees: &[Entry]) {
    engine.take(&Exchange {
        request_ns: at,
        response_ns: at + 1_000_000,
        pid: 42,
        tid: 42,
        process_source: ProcessSource::Receiver,
        comm: "nginx",
        exe: "",
        cgroup: 3,
        local: "192.0.2.1:80".parse().expect("socket"),
        peer: "198.51.100.7:50123".parse().expect("socket"),
        role: Role::Server,
        status: 200,
        head: head.as_bytes(),
        head_total: head.len() as u32,
        trees,
        flags: 0,
        cookie: 1,
        ordinal: 1,
    });
}

fn recorded(rows: &Receiver<RecordBatch>) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for batch in rows.try_iter() {
        let calls = Calls::new(&batch).expect("the schema");
        all.extend((0..calls.len()).map(|row| (calls.call(row).target.to_owned(), calls.interrupted(row))));
    }
    all
}

#[test]
fn without_a_model_calls_are_recorded() {
    let Bench { mut engine, rows, findings, .. } = bench(None);
    take(&mut engine, START, "GET /a?b=1 HTTP/1.1\r\n\r\n");
    take(&mut engine, START, "\x16\x03\x01");
    engine.end_batch(START, false).expect("receivers are there");
    let Account { counts, funnel, .. } = engine.finish().expect("receivers are there");
    assert_eq!(recorded(&rows), [("/a?b".to_owned(), false)]);
    let want = Counts { exchanges: 2, unreadable: 1, calls: 1, recorded: 1, ..Counts::default() };
    assert_eq!((counts, funnel), (want, None));
    assert!(findings.try_recv().is_err());
}

#[test]
fn with_a_model_every_call_is_scored_in_the_end() {
    let data = ModelData { interfaces: vec!["~new".to_owned(), "GET /a".to_owned()], ..ModelData::default() };
    let Bench { mut engine, rows, .. } = bench(Some(data));
    for batch in 0..3 {
        for call in 0..100 {
            let target = if call % 2 == 0 { "/a" } else { "/b" };
            let at = START + batch * SECOND + call * 1_000_000;
            take(&mut engine, at, &format!("GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n"));
        }
        engine.end_batch(START + batch * SECOND, false).expect("receivers are there");
    }
    let Account { counts, funnel, .. } = engine.finish().expect("receivers are there");
    let funnel = funnel.expect("a model");
    assert_eq!(
        (counts.calls, funnel.named, funnel.new, funnel.sequenced, funnel.scored),
        (300, 150, 150, 300, 300)
    );
    assert_eq!(recorded(&rows).len(), 300);
}

#[test]
fn a_loss_is_marked_before_the_batch_and_after_it() {
    let Bench { mut engine, rows, .. } = bench(None);
    let head = "GET /a HTTP/1.1\r\n\r\n";
    for lost in [false, true, false, false] {
        take(&mut engine, START, head);
        take(&mut engine, START, head);
        engine.end_batch(START, lost).expect("receivers are there");
    }
    engine.finish().expect("receivers are there");
    let marks: Vec<bool> = recorded(&rows).into_iter().map(|(_, interrupted)| interrupted).collect();
    assert_eq!(marks, [false, false, true, false, true, false, false, false]);
}

#[test]
fn rows_are_handed_over_when_there_are_many_or_they_are_old() {
    let Bench { mut engine, rows, .. } = bench(None);
    for _ in 0..ROWS + 1 {
        take(&mut engine, START, "GET /a HTTP/1.1\r\n\r\n");
    }
    engine.end_batch(START, false).expect("receivers are there");
    assert_eq!(recorded(&rows).len(), ROWS + 1);
    take(&mut engine, START, "GET /a HTTP/1.1\r\n\r\n");
    engine.end_batch(START, false).expect("receivers are there");
    assert_eq!(recorded(&rows).len(), 0);
    engine.end_batch(START + ROWS_HELD, false).expect("receivers are there");
    assert_eq!(recorded(&rows).len(), 1);
}

#[test]
fn an_engine_whose_reader_is_gone_says_so() {
    let Bench { mut engine, rows, .. } = bench(None);
    drop(rows);
    take(&mut engine, START, "GET /a HTTP/1.1\r\n\r\n");
    engine.end_batch(START, false).expect("rows are kept back");
    let error = engine.finish().expect_err("nobody reads").to_string();
    assert_eq!(error, "the writer of the spool has ended");
}

#[test]
fn a_sink_that_hangs_cannot_keep_calls_from_the_spool() {
    let Bench { mut engine, rows, findings, stop } = bench(None);
    take(&mut engine, START, "GET /a HTTP/1.1\r\n\r\n");
    engine.end_batch(START, false).expect("rows are kept back");
    // More than the channel holds, and nobody takes any out.
    engine.found = (0..150).map(|_| finding()).collect();
    stop.store(true, Ordering::Relaxed);
    let begin = Instant::now();
    let Account { counts, .. } = engine.finish().expect("receivers are there");
    assert!((PATIENCE..2 * PATIENCE).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    assert_eq!((counts.findings_given_up, recorded(&rows).len(), findings.try_iter().count()), (50, 1, 100));
}

fn finding() -> Finding {
    Finding {
        id: String::new(),
        time: 0,
        session_start: 0,
        caller: String::new(),
        pid: 0,
        comm: String::new(),
        score: 2.0,
        threshold: 1.0,
        reasons: Vec::new(),
        steps: Vec::new(),
        earlier_steps: 0,
        nearest: None,
        expected: Vec::new(),
        ended: false,
        gap: false,
        alerts: Vec::new(),
    }
}

/// A new tree's record as the kernel writes it.
fn tree_record(tree: &Tree) -> Vec<u8> {
    let (nodes, code) = (tree.nodes(), tree.code());
    let mut bytes = vec![0_u8; 64 + 256];
    bytes[..4].copy_from_slice(&KIND_TREE.to_le_bytes());
    bytes[4..8].copy_from_slice(&(nodes.len() as u32).to_le_bytes());
    for (place, word) in [tree.root(), code.ordered, code.unordered, START].into_iter().enumerate() {
        bytes[8 + 8 * place..][..8].copy_from_slice(&word.to_le_bytes());
    }
    for (place, node) in nodes.iter().enumerate() {
        bytes[64 + place] = node.depth;
        bytes.extend_from_slice(&node.function.to_le_bytes());
    }
    bytes
}

fn tree(text: &str) -> Tree {
    let node = |word: &str| {
        let (depth, name) = word.split_at(1);
        let function = function_id(format!("shop:{name}").as_bytes());
        Node { function, depth: depth.parse().expect("depth"), dead: false }
    };
    Tree::new(text.split(' ').map(node).collect(), 0).expect("a tree")
}

/// A model that knows `GET /a` to run one tree in 1 ms, from 60 minutes of 200 requests.
fn model_with_trees(normal: &Tree) -> ModelData {
    let mut stats = TreeStats::default();
    for n in 0..12_000_u64 {
        stats.observe(&Observed {
            time: START - (n + 1) * 300_000_000,
            source: "web0",
            interface: Some("GET /a"),
            root: normal.root(),
            code: normal.code().ordered,
            tree: None,
            duration: 900_000 + n % 7 * 30_000,
            failed: false,
        });
    }
    let mut shapes = Shapes::default();
    let code = normal.code();
    shapes.add(code.ordered, Shape { tree: normal.clone(), unordered: code.unordered });
    for name in ["shop:handle", "shop:find", "shop:send"] {
        shapes.name(name);
    }
    ModelData {
        interfaces: vec!["~new".to_owned(), "GET /a".to_owned()],
        trees: Some(gait_common::tree::learn(stats.window(), &stats.cells(), &[], &shapes)),
        ..ModelData::default()
    }
}

/// The kernel says what a tree looks like and how often it ran; the engine says that it never did before, whose request
/// it served, and what is different, and records all of it.
#[test]
fn a_tree_that_nobody_saw_before_is_reported_with_its_interface() {
    let (normal, strange) = (tree("0handle 1find 1send"), tree("0handle 1find 2retry 1send"));
    let Bench { mut engine, rows: _rows, findings, .. } = bench(Some(model_with_trees(&normal)));
    let (trees_in, trees) = sync_channel(100);
    engine.follow_trees("web1", None, Some(trees_in), [0; 32]);
    ["shop:handle", "shop:find", "shop:retry"].iter().for_each(|name| engine.name_function(name));
    let record = tree_record(&strange);
    let tree = NewTree::from_bytes(&record).expect("as the kernel writes it");
    engine.tree_event(&TreeEvent::New { start_ns: START, tree }, START);
    for n in 0..400 {
        let ran = if n % 10 == 0 { &strange } else { &normal };
        let entry =
            Entry { root: ran.root(), ordered: ran.code().ordered, duration_ns: 950_000, ..Entry::default() };
        take_with(&mut engine, START + n * 300_000_000, "GET /a HTTP/1.1\r\n\r\n", &[entry]);
    }
    let open = Entry { root: normal.root(), flags: OPEN, ..Entry::default() };
    take_with(&mut engine, START, "\x16\x03\x01", &[open]);
    let now = START + 150 * SECOND;
    let mut counted = Statistics { calls: 400, sum_ns: 400 * 950_000, ..Statistics::default() };
    counted.buckets[20] = 400;
    let key = Key { root: normal.root(), ordered: normal.code().ordered };
    assert!(engine.wants_tree_counts(now));
    engine.tree_event(&TreeEvent::Counts { key, counts: &counted }, now);
    engine.end_tree_counts(now);
    assert!(!engine.wants_tree_counts(now + SECOND));
    engine.end_batch(now, false).expect("receivers are there");
    let found: Vec<TreeFinding> = findings.try_iter().filter_map(tree_finding).collect();
    let account = engine.finish().expect("receivers are there");
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*finding.interface, &*finding.root, finding.tie), ("GET /a", "shop:handle", Tie::Thread));
    let edits = &finding.nearest.as_ref().expect("a known tree").edits;
    assert_eq!(edits, &["added `shop:retry` under `shop:find`"]);
    let counts = account.trees.expect("trees are followed");
    assert_eq!((counts.served, counts.by_thread, counts.untied, counts.shapes), (401, 400, 1, 1));
    let judged = counts.judged.expect("the model knows trees");
    assert_eq!((judged.known, judged.unseen, judged.unscoped), (360, 40, 400));
    let all: Vec<TreeBatch> = trees.try_iter().collect();
    let rows = |wanted| all.iter().filter(|batch| batch.0 == wanted).map(|batch| batch.1.num_rows()).sum();
    assert_eq!(TreeTable::ALL.map::<_, usize>(rows), [1, 1, 400, 0]);
    assert_eq!(counts.recorded, 402);
}

fn tree_finding(anomaly: Anomaly) -> Option<TreeFinding> {
    match anomaly {
        Anomaly::Tree(finding) => Some(*finding),
        _ => None,
    }
}

/// While the breaker keeps a function off, and while points change, trees lack calls that were made: they are neither recorded
/// nor reported, whether they come with an exchange or as counts.
#[test]
fn trees_that_were_seen_in_part_are_held_back() {
    let (whole, partial) = (tree("0handle 1find 1send"), tree("0handle 1send"));
    let Bench { mut engine, rows: _rows, findings, .. } = bench(Some(model_with_trees(&whole)));
    let (trees_in, trees) = sync_channel(100);
    engine.follow_trees("web1", None, Some(trees_in), [0; 32]);
    for shape in [&whole, &partial] {
        let record = tree_record(shape);
        let tree = NewTree::from_bytes(&record).expect("as the kernel writes it");
        engine.tree_event(&TreeEvent::New { start_ns: START, tree }, START);
    }
    let find = function_id(b"shop:find");
    let serve = |engine: &mut Engine, at: u64, ran: &Tree| {
        let entry =
            Entry { root: ran.root(), ordered: ran.code().ordered, duration_ns: 950_000, ..Entry::default() };
        take_with(engine, START + at * SECOND, "GET /a HTTP/1.1\r\n\r\n", &[entry]);
    };
    engine.functions_off(&[find], START + 10 * SECOND, START + 11 * SECOND);
    (0..60).for_each(|n| serve(&mut engine, 20 + n, &partial));
    let counted = Statistics { calls: 60, ..Statistics::default() };
    let key = Key { root: partial.root(), ordered: partial.code().ordered };
    engine.tree_event(&TreeEvent::Counts { key, counts: &counted }, START + 80 * SECOND);
    engine.functions_off(&[], START + 90 * SECOND, START + 91 * SECOND);
    (0..60).for_each(|n| serve(&mut engine, 120 + n, &whole));
    engine.tree_event(&TreeEvent::Counts { key, counts: &counted }, START + 200 * SECOND);
    engine.functions_changed(START + 210 * SECOND, START + 220 * SECOND);
    serve(&mut engine, 215, &whole);
    engine.end_batch(START + 400 * SECOND, false).expect("receivers are there");
    assert_eq!(findings.try_iter().filter_map(tree_finding).filter(|f| f.interface == "GET /a").count(), 0);
    let counts = engine.finish().expect("receivers are there").trees.expect("trees are followed");
    assert_eq!((counts.served, counts.by_thread, counts.partial), (121, 60, 61), "{counts:?}");
    assert_eq!((counts.counted, counts.unsettled), (60, 60), "{counts:?}");
    let calls: usize = trees.try_iter().filter(|b| b.0 == TreeTable::Calls).map(|b| b.1.num_rows()).sum();
    assert_eq!(calls, 60);
}

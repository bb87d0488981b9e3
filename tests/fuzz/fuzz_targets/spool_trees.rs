//! A file of the spool's tables of call trees, and what is learned from it. Mutations begin with files that the agent's
//! own columns make.
#![no_main]

use std::sync::LazyLock;

use gait_common::call::{Call, Nanos};
use gait_common::finding::Tie;
use gait_common::ingest::read_spooled_trees;
use gait_common::spool::trees::{
    CellRows, TreeCall, TreeCallRows, TreeRecord, TreeRows, TreeTable, ValueRows,
};
use gait_common::spool::{VERSION, VERSION_KEY};
use gait_common::tree::{
    Code, Limits, Node, Observed, Shape, Shapes, Slot, Tree, TreeDetector, TreeStats, Trees, ValueStats,
    WINDOW, learn,
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));
static GOOD: LazyLock<[Vec<u8>; 4]> = LazyLock::new(good);

fuzz_target!(|bytes: &[u8]| {
    for table in TreeTable::ALL {
        let spool = DIR.path().join(format!("spool-{}", table.directory()));
        let dir = spool.join(table.directory());
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("fuzz.parquet"), bytes).expect("file");
        let (mut names, mut shapes) = (Shapes::default(), Shapes::default());
        let (mut stats, mut values) = (TreeStats::default(), ValueStats::default());
        let reading = read_spooled_trees(&[spool.display().to_string()], &mut names, &mut |record| {
            match record {
                TreeRecord::Tree(code, shape) => shapes.add(code, shape),
                TreeRecord::Cell(cell, _) => stats.add(&cell),
                TreeRecord::Call(_) => {}
                TreeRecord::Value(cell) => values.add_cell(&cell),
            }
            Ok(())
        });
        if reading.is_ok() {
            judge(&stats, &values, &shapes);
        }
    }
});

/// Whatever was read can be learned from, and judged by what was learned.
fn judge(stats: &TreeStats, values: &ValueStats, shapes: &Shapes) {
    let (cells, values) = (stats.cells(), values.cells());
    let learned = learn(WINDOW, &cells, &values, shapes);
    let trees = Trees::new(learned).expect("what is learned is sound");
    let mut detector = TreeDetector::new(trees.into(), Limits::once_in(Nanos::MAX, WINDOW));
    for (_, ordered, shape) in shapes.iter() {
        detector.shape(Code { ordered, unordered: shape.unordered }, &shape.tree);
    }
    detector.judge(&cells, &mut Vec::new());
    detector.judge_values(&values, &mut Vec::new());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let good = &GOOD[seed as usize % GOOD.len()];
    if !data[..size].starts_with(b"PAR1") && max_size >= good.len() {
        data[..good.len()].copy_from_slice(good);
        return good.len();
    }
    fuzzer_mutate(data, size, max_size)
});

fn good() -> [Vec<u8>; 4] {
    let mut names = Shapes::default();
    let root = names.name("shop:handle");
    let nodes = [(root, 0), (names.name("shop:find"), 1), (7, 2)];
    let nodes = nodes.map(|(function, depth)| Node { function, depth, dead: false });
    let tree = Tree::new(nodes.to_vec(), 0).expect("a tree");
    let code = tree.code();
    let (mut trees, mut cells, mut calls) =
        (TreeRows::default(), CellRows::default(), TreeCallRows::default());
    let mut stats = TreeStats::default();
    for at in 0..200_u64 {
        stats.observe(&Observed {
            time: at << 31,
            source: "web1",
            interface: None,
            root,
            code: code.ordered,
            tree: None,
            duration: 1_000_000 + at,
            failed: at == 7,
        });
    }
    trees.push(1, "web1", code.ordered, &Shape { tree, unordered: code.unordered }, &names);
    stats.cells().iter().for_each(|cell| cells.push(cell, WINDOW, &names));
    let (mut values, mut rows) = (ValueStats::default(), ValueRows::default());
    let slot = Slot { root, code: code.ordered, function: names.name("shop:find"), which: 1 };
    for at in 0..100_u64 {
        let value = (at % 7).to_string();
        values.add(at << 31, &"web1".into(), slot, (at % 9 > 0).then_some(&value), 1 + at);
    }
    values.cells().iter().for_each(|cell| rows.push(cell, WINDOW, &names));
    let call = Call { start: 1 << 31, method: "GET", target: "/item/7", ..Call::default() };
    let (root, code) = ("shop:handle", code.ordered);
    calls.push(&TreeCall { source: "web1", call, root, code, duration: 5, failed: false, tie: Tie::Thread });
    [trees.finish(), cells.finish(), calls.finish(), rows.finish()].map(|batch| {
        let batch = batch.expect("columns of equal length");
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("writer");
        writer.append_key_value_metadata(KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned()));
        writer.write(&batch).expect("memory can be written");
        writer.into_inner().expect("memory can be written")
    })
}

//! What was recorded of trees is what is trained on, and hostile files are no trees.

use arrow_array::RecordBatch;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::spool::BadSpool;
use crate::tree::{Cell, MAX_VALUE_TEXT, Node, Seen, Shape, Slot, Tally, Tree, ValueCell, ValueStats};

fn read(table: TreeTable, batch: &RecordBatch) -> (Vec<TreeRecord<'static>>, Shapes) {
    let (mut names, mut all) = (Shapes::default(), Vec::new());
    let refused = read_trees::<BadSpool>(table, batch, &mut names, &mut |record| {
        // The texts of calls are borrowed from the batch.
        all.push(match record {
            TreeRecord::Tree(code, shape) => TreeRecord::Tree(code, shape),
            TreeRecord::Cell(cell, window) => TreeRecord::Cell(cell, window),
            TreeRecord::Value(cell) => TreeRecord::Value(cell),
            TreeRecord::Call(TreeCall { call, code, duration, failed, tie, .. }) => {
                let call = Call { start: call.start, method: "GET", target: "/", ..Call::default() };
                TreeRecord::Call(TreeCall { source: "", call, root: "", code, duration, failed, tie })
            }
        });
        Ok(())
    });
    assert_eq!(refused, Ok(0));
    (all, names)
}

proptest! {
    #[test]
    fn trees_come_back(calls in vec((0_u64..4, 0_u8..5, any::<bool>()), 1..30), flags in 0_u32..8,
                       code: u64, unordered: u64, first in 0_u64..1 << 60) {
        let mut names = Shapes::default();
        let known = names.name("nginx:ngx_http_process_request");
        let mut before = None;
        let nodes = calls.into_iter().map(|(function, depth, dead)| {
            let depth = before.map_or(0, |before: u8| depth.clamp(1, before + 1));
            before = Some(depth);
            // Some functions have no name.
            Node { function: if function == 0 { known } else { function }, depth, dead }
        });
        let tree = Tree::new(nodes.collect(), flags).expect("a tree");
        let shape = Shape { tree, unordered };
        let mut rows = TreeRows::default();
        rows.push(first, "web1", code, &shape, &names);
        rows.push(first, "web1", code, &shape, &names);
        prop_assert_eq!(rows.len(), 2);
        let batch = rows.finish().expect("the schema");
        prop_assert!(rows.is_empty());
        let (all, read_names) = read(TreeTable::Trees, &batch);
        let named = shape.tree.nodes().iter().any(|node| node.function == known);
        prop_assert_eq!(read_names.name_of(known).is_some(), named);
        prop_assert_eq!(all, vec![TreeRecord::Tree(code, shape); 2]);
    }

    #[test]
    fn statistics_come_back(runs in vec((0_u64..1 << 40, 0_u64..1 << 50, any::<bool>()), 0..30), code: u64,
                            window in 1_u64..1 << 40) {
        let mut tally = Tally::default();
        for (micros, duration, failed) in runs {
            tally.add(micros * 1000, duration, failed);
        }
        let cell = Cell { window: 60_000_000_000, source: "web1".into(), interface: "".into(), root: 7, code, tally };
        let mut rows = CellRows::default();
        rows.push(&cell, window * 1000, &Shapes::default());
        let batch = rows.finish().expect("the schema");
        prop_assert_eq!(read(TreeTable::Stats, &batch).0, [TreeRecord::Cell(cell, window * 1000)]);
    }

    #[test]
    fn trees_of_exchanges_come_back(micros in 0_u64..1 << 50, code: u64, duration in 0_u64..1 << 60, failed: bool,
                                    tie in 0_usize..3) {
        let tie = [Tie::None, Tie::Sender, Tie::Thread][tie];
        let call = Call { start: micros * 1000, method: "GET", target: "/", ..Call::default() };
        let row = TreeCall { source: "", call, root: "", code, duration, failed, tie };
        let mut rows = TreeCallRows::default();
        rows.push(&TreeCall { source: "web1", root: "nginx:main", ..row });
        let batch = rows.finish().expect("the schema");
        prop_assert_eq!(read(TreeTable::Calls, &batch).0, [TreeRecord::Call(row)]);
    }
}

proptest! {
    #[test]
    fn values_come_back(seen in vec((0_u64..20, 1_u64..1 << 40), 1..40), others in 0_u64..5, code: u64, which in 0_u8..13) {
        let mut names = Shapes::default();
        let slot = Slot { root: names.name("shop:handle"), code, function: names.name("shop:find"), which };
        let (mut stats, source) = (ValueStats::default(), "web1".into());
        for (value, trees) in seen {
            stats.add(60_000_000_000, &source, slot, Some(&format!("\"{value}\"")), trees);
        }
        stats.add(60_000_000_000, &source, slot, None, others);
        let mut rows = ValueRows::default();
        stats.cells().iter().for_each(|cell| rows.push(cell, stats.window(), &names));
        let batch = rows.finish().expect("the schema");
        let (read, read_names) = read(TreeTable::Values, &batch);
        prop_assert!([slot.root, slot.function].iter().all(|id| read_names.name_of(*id).is_some()));
        let mut again = ValueStats::default();
        for record in read {
            if let TreeRecord::Value(cell) = record {
                again.add_cell(&cell);
            }
        }
        prop_assert_eq!(again.cells(), stats.cells());
    }
}

#[test]
fn values_that_no_agent_writes_are_passed_over() {
    let slot = Slot { root: 1, code: 1, function: 2, which: 1 };
    let mut rows = ValueRows::default();
    for (value, trees) in [(String::new(), 1), ("x".repeat(MAX_VALUE_TEXT + 1), 1), ("5".to_owned(), 0)] {
        let seen = Seen { values: [(value.into(), trees)].into(), others: 0 };
        rows.push(&ValueCell { window: 0, source: "".into(), slot, seen }, 1000, &Shapes::default());
    }
    let batch = rows.finish().expect("the schema");
    let mut none = |_: TreeRecord<'_>| -> Result<(), BadSpool> { unreachable!("no values") };
    assert_eq!(read_trees(TreeTable::Values, &batch, &mut Shapes::default(), &mut none), Ok(3));
}

#[test]
fn rows_that_no_agent_writes_are_passed_over() {
    let tally = Tally { calls: 1, failures: 5, ..Tally::default() };
    let cell = Cell { window: 0, source: "".into(), interface: "".into(), root: 1, code: 1, tally };
    let mut rows = CellRows::default();
    rows.push(&cell, 1000, &Shapes::default());
    let batch = rows.finish().expect("the schema");
    let mut none = |_: TreeRecord<'_>| -> Result<(), BadSpool> { unreachable!("more failures than calls") };
    assert_eq!(read_trees(TreeTable::Stats, &batch, &mut Shapes::default(), &mut none), Ok(1));
    let other = read_trees(TreeTable::Trees, &batch, &mut Shapes::default(), &mut none);
    assert_eq!(other, Err(BadSpool::Missing("unordered")));
}

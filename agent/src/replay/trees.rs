//! The call trees of a spool, through the chain that judges them live.

use std::sync::Arc;

use anyhow::Result;
use gait_common::call::Nanos;
use gait_common::finding::TreeFinding;
use gait_common::ingest::read_spooled_trees;
use gait_common::model::Model;
use gait_common::spool::trees::{TreeRecord, function};
use gait_common::tree::{Code, Served, Shapes, TreeCounts, TreePipeline};
use serde::Serialize;

/// What became of a spool's trees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trees {
    /// Files read.
    pub files: u64,
    /// Rows read.
    pub rows: u64,
    /// Rows that no agent writes.
    pub refused: u64,
    /// Calls left out because there were too many codes and windows at a time.
    pub passed: u64,
    /// What became of the calls that were judged; absent without a model that knows trees.
    pub judged: Option<TreeCounts>,
}

/// Judges all windows of the spools' trees. `None` where they hold none.
pub(super) fn judge(
    inputs: &[String],
    model: Option<&Arc<Model>>,
    false_finding_in: Nanos,
    found: &mut Vec<TreeFinding>,
) -> Result<Option<Trees>> {
    let mut pipeline = TreePipeline::new(model, Some(false_finding_in));
    // Roots of exchanges' trees are named while the reader has its own names.
    let (mut names, mut roots) = (Shapes::default(), Shapes::default());
    let read = read_spooled_trees(inputs, &mut names, &mut |record| {
        match record {
            TreeRecord::Tree(ordered, shape) => {
                pipeline.shape(Code { ordered, unordered: shape.unordered }, &shape.tree);
            }
            TreeRecord::Cell(cell, _) => pipeline.counted(&cell),
            TreeRecord::Value(cell) => pipeline.valued_cell(&cell),
            TreeRecord::Call(tree) => {
                if let Some(root) = function(tree.root, &mut roots) {
                    pipeline.served(&Served {
                        source: tree.source,
                        call: tree.call,
                        root,
                        code: tree.code,
                        duration: tree.duration,
                        failed: tree.failed,
                        tie: tree.tie,
                    });
                }
            }
        }
        Ok(())
    })?;
    names.names().for_each(|name| pipeline.name(name));
    pipeline.advance(Nanos::MAX, found);
    let (passed, judged) = (pipeline.passed(), pipeline.counts());
    let trees = Trees { files: read.files, rows: read.rows, refused: read.refused, passed, judged };
    Ok((read.files > 0).then_some(trees))
}

//! Call trees in words.

use std::fmt::Write as _;

use gait_common::tree::TreesData;

use super::SHOWN;
use crate::draw::duration;
use crate::trees::view::{View, views};

/// How many trees are known, and of what: the most called first.
pub(super) fn overview(data: &TreesData, out: &mut String) -> std::fmt::Result {
    let views = views(data, None);
    writeln!(
        out,
        "{} call trees of {} roots, {} functions, learned from {} windows of {} s",
        data.trees.len(),
        views.len(),
        data.functions.len(),
        data.windows,
        data.window as f64 / 1e9
    )?;
    for view in views.iter().take(2 * SHOWN) {
        let root = view.nodes.first();
        let [median, p99] = [root.map_or(0, |root| root.median), root.map_or(0, |root| root.p99)];
        writeln!(
            out,
            "{:>10}  {}: {} trees, median {}, p99 {}",
            view.calls,
            title(view),
            view.trees,
            duration(median),
            duration(p99)
        )?;
    }
    Ok(())
}

/// The trees whose root or interface contains `part`, drawn.
pub fn describe(data: &TreesData, part: &str) -> String {
    let views = views(data, Some(part));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{} roots with call trees contain {part:?}", views.len());
    for view in &views {
        let _ = draw(view, &mut out);
    }
    out
}

fn draw(view: &View, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n{} ({} calls, {} failed, {} different trees)",
        title(view),
        view.calls,
        view.failures,
        view.trees
    )?;
    writeln!(out, "{:>10} {:>8} {:>12} {:>12}", "calls", "share", "median", "p99")?;
    for node in &view.nodes {
        writeln!(
            out,
            "{:>10} {:>6.1} % {:>12} {:>12}  {:indent$}{}{}",
            node.calls,
            node.share * 100.0,
            duration(node.median),
            duration(node.p99),
            "",
            node.function,
            if node.dead { " (never returned)" } else { "" },
            indent = 2 * usize::from(node.depth)
        )?;
    }
    Ok(())
}

fn title(view: &View) -> String {
    match view.interface.as_str() {
        "" => view.root.clone(),
        interface => format!("{} for {interface}", view.root),
    }
}

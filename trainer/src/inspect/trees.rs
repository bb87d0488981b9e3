//! Call trees in words.

use std::fmt::Write as _;

use gait_common::tree::{KnownValue, Slot, TreesData, code_text};

use super::SHOWN;
use crate::draw::duration;
use crate::trees::view::{View, name_of, views};

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
    if !data.values.slots.is_empty() {
        let slots = &data.values.slots;
        let distinct: u64 = slots.iter().map(|slot| slot.distinct).sum();
        writeln!(out, "{} arguments and return values, {distinct} values", slots.len())?;
    }
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
    let _ = values(data, part, &mut out);
    out
}

/// What is known of arguments and return values of functions whose name, or that of their root, contains `part`.
fn values(data: &TreesData, part: &str, out: &mut String) -> std::fmt::Result {
    for slot in &data.values.slots {
        let (root, function) = (name_of(data, slot.root), name_of(data, slot.function));
        if !root.contains(part) && !function.contains(part) {
            continue;
        }
        let which = Slot::which_text(slot.which);
        let code = code_text(slot.code);
        writeln!(out, "\n{which} of {function}, in trees {code} of {root}")?;
        writeln!(out, "{:>10} {:>8}  {} different values", "trees", "share", slot.distinct)?;
        let mut known: Vec<&KnownValue> = slot.values.iter().collect();
        known.sort_by_key(|value| (std::cmp::Reverse(value.trees), &value.text));
        let others = slot.unlisted();
        let rows = known.iter().map(|value| (value.trees, value.text.as_str()));
        for (trees, text) in rows.chain((others > 0).then_some((others, "all others"))) {
            let share = trees as f64 / slot.total.max(1) as f64 * 100.0;
            writeln!(out, "{trees:>10} {share:>6.2} %  {text}")?;
        }
    }
    Ok(())
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

//! Follows functions while the agent runs: what the host's processes and files change is attached and detached, and said.

use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};

use super::now;
use crate::capture::{Attachment, Capture};
use crate::config::Functions;
use crate::engine::Engine;
use crate::functions::{Change, Plan, Watcher};

/// Points that could not be attached to are named up to this many at a time.
const NAMED: usize = 3;

/// The functions that are followed.
pub(super) struct Follower {
    watcher: Watcher,
    /// Names of functions that nobody was told yet.
    names: Vec<String>,
    /// Functions that the breaker keeps off.
    off: Vec<u64>,
}

impl Follower {
    /// Attaches to what the targets mean now, and watches for what they will mean. `None` without targets.
    ///
    /// # Errors
    /// When a target is wrong or there can be no thread. What cannot be found or attached to is no error, for it may come.
    pub(super) fn start(capture: &mut Capture, targets: &[Functions]) -> Result<Option<Self>> {
        if targets.is_empty() {
            return Ok(None);
        }
        let mut plan = Plan::new(targets)
            .map_err(|(index, key, reason)| anyhow!("[[functions]] {}, {key}: {reason}", index + 1))?;
        let change = plan.refresh(Instant::now());
        for report in plan.reports() {
            let target = report.target.label();
            match (report.file, report.selection) {
                (Some(file), Some(selection)) => {
                    let file = file.display();
                    if let Some(trouble) = &selection.trouble {
                        tracing::warn!("nothing to follow in {file} for {target}: {trouble}");
                    }
                    if selection.beyond > 0 {
                        let beyond = selection.beyond;
                        tracing::warn!(
                            "{beyond} functions of {file} are beyond max_functions and not followed"
                        );
                    }
                }
                _ => tracing::info!("no file for {target} is there or runs now; it is looked for again"),
            }
        }
        apply(capture, &change);
        let names = names(&change).collect();
        let watcher =
            Watcher::start(plan).context("failed to start the thread that watches for functions")?;
        Ok(Some(Self { watcher, names, off: Vec::new() }))
    }

    /// Attaches and detaches what has changed, and detaches what costs too much. The engine is told every function's name
    /// once it is attached to, and takes in what was counted before.
    ///
    /// # Errors
    /// When the kernel does not let its counts be read.
    pub(super) fn look(&mut self, capture: &mut Capture, engine: &mut Engine) -> Result<()> {
        if !self.names.is_empty() {
            self.names.drain(..).for_each(|name| engine.name_function(&name));
            pass_over(capture, engine)?;
            engine.functions_changed(0, now());
        }
        while let Some(change) = self.watcher.next_change() {
            take(capture, engine, true)?;
            let from = now();
            apply(capture, &change);
            names(&change).for_each(|name| engine.name_function(&name));
            pass_over(capture, engine)?;
            engine.functions_changed(from, now());
        }
        let from = now();
        let tripped = capture.break_circuits();
        let off = capture.functions_off();
        if off != self.off {
            pass_over(capture, engine)?;
            engine.functions_off(&off, from, now());
            self.off = off;
        }
        for tripped in tripped {
            tracing::warn!(
                "{} was called {} times a second, more than its budget: it is not followed for {} s",
                tripped.function,
                tripped.rate,
                tripped.pause.as_secs()
            );
        }
        Ok(())
    }

    /// Takes in what was counted to the end, and detaches from everything.
    ///
    /// # Errors
    /// When the kernel does not let its counts be read.
    pub(super) fn end(self, capture: &mut Capture, engine: &mut Engine) -> Result<()> {
        take(capture, engine, true)?;
        capture.unfollow();
        pass_over(capture, engine)
    }
}

/// Takes in trees that are new, and, when it is time or `at_once`, how often each ran.
///
/// # Errors
/// When the kernel does not let its counts be read.
pub(super) fn take(capture: &mut Capture, engine: &mut Engine, at_once: bool) -> Result<()> {
    let now = now();
    capture.drain_trees(&mut |event| engine.tree_event(&event, now));
    if at_once || engine.wants_tree_counts(now) {
        capture.tree_counts(&mut |event| engine.tree_event(&event, now))?;
        engine.end_tree_counts(now);
    }
    Ok(())
}

/// Passes over what was counted while points changed: of a tree that was under way some calls were seen and some not.
fn pass_over(capture: &mut Capture, engine: &mut Engine) -> Result<()> {
    Ok(capture.tree_counts(&mut |event| engine.pass_over(&event))?)
}

fn names(change: &Change) -> impl Iterator<Item = String> {
    change.add.iter().map(|point| point.function.name.clone())
}

fn apply(capture: &mut Capture, change: &Change) {
    let Attachment { attached, detached, refused, refusals } = capture.follow(change);
    if attached + detached > 0 {
        tracing::info!("functions: {attached} points attached, {detached} detached");
    }
    for (function, reason) in refused.iter().take(NAMED) {
        tracing::warn!("{function} cannot be followed: {reason}");
    }
    if refusals > NAMED {
        tracing::warn!("{} more points could not be attached to", refusals - NAMED);
    }
}

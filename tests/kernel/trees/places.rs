//! Files that come and go: programs in containers, services that start later, and new versions of a running one.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use gait_agent::{
    capture::{Options, PortSet, TreeEvent, TreeOptions},
    config::Functions,
    functions::{Change, INTERVAL, Plan, Watcher},
};
use gait_common::wire::tree::Statistics;

use super::followed::{Program, functions};
use crate::support::{process::Process, until, watch::Watch};

/// A watch, and how often `f_tick` ran.
struct Ticks {
    watch: Watch,
    total: Statistics,
}

impl Ticks {
    fn watch() -> anyhow::Result<Self> {
        let (ports, trees) = (PortSet::Only(vec![1]), Some(TreeOptions::default()));
        let watch = Watch::with(Options { ports, trees, ..Options::default() })?;
        Ok(Self { watch, total: Statistics::default() })
    }

    fn follow(&mut self, change: &Change) -> (usize, usize) {
        let done = self.watch.capture.follow(change);
        assert_eq!(done.refusals, 0, "{done:?}");
        (done.attached, done.detached)
    }

    /// Calls seen from now on within a while.
    fn new_calls(&mut self) -> anyhow::Result<u64> {
        let before = self.total.calls;
        std::thread::sleep(Duration::from_millis(100));
        self.watch.drain();
        let total = &mut self.total;
        let mut count = |event: TreeEvent<'_>| {
            if let TreeEvent::Counts { counts, .. } = event {
                total.add(counts);
            }
        };
        self.watch.capture.drain_trees(&mut count);
        self.watch.capture.tree_counts(&mut count)?;
        Ok(self.total.calls - before)
    }

    fn wait_for_calls(&mut self) -> anyhow::Result<()> {
        until("calls of f_tick", || Ok(self.new_calls()? > 10))
    }
}

fn plan(functions: Functions) -> Plan {
    Plan::new(&[functions]).expect("a target")
}

/// The first change that a look at the host finds; looks are made at once.
fn next_change(plan: &mut Plan, at: &mut Instant) -> anyhow::Result<Change> {
    let mut change = Change::default();
    until("something changes", || {
        *at += INTERVAL;
        change = plan.refresh(*at);
        Ok(change != Change::default())
    })?;
    Ok(change)
}

#[test]
fn a_container_s_own_file_is_followed_while_it_runs() -> anyhow::Result<()> {
    let program = Program::compile("ticker.c", &[])?;
    let inside = Path::new("/mnt/gait-ticker");
    assert!(!inside.exists(), "the container's file is not the host's");
    let target = Functions { success: Some("ret >= 0".parse()?), ..functions(inside, &["f_tick"])? };
    let (mut plan, mut at) = (plan(target), Instant::now());
    let mut ticks = Ticks::watch()?;
    assert_eq!(plan.refresh(at), Change::default());

    let script = format!(
        "mount -t tmpfs none /mnt && cp {} {1} && exec {1}",
        program.path.display(),
        inside.display()
    );
    let container = Process::start(Command::new("unshare").args(["--mount", "sh", "-c", &script]))?;
    let change = next_change(&mut plan, &mut at)?;
    assert_eq!(change.add[0].function.name, "gait-ticker:f_tick");
    assert_eq!(ticks.follow(&change), (2, 0));
    ticks.wait_for_calls()?;
    let share = ticks.total.failures as f64 / ticks.total.calls as f64;
    assert!((0.4..0.6).contains(&share), "every other call fails: {:?}", ticks.total);

    drop(container);
    let change = next_change(&mut plan, &mut at)?;
    assert_eq!(ticks.follow(&change), (0, 2));
    Ok(())
}

#[test]
fn a_service_that_starts_later_is_found_by_the_watcher() -> anyhow::Result<()> {
    let program = Program::compile("ticker.c", &[])?;
    let target = Functions {
        binary: None,
        service: Some("ticker".to_owned()),
        ..functions(&program.path, &["f_tick"])?
    };
    let mut plan = plan(target);
    let mut ticks = Ticks::watch()?;
    assert_eq!(plan.refresh(Instant::now()), Change::default(), "another program is called ticker");
    let watcher = Watcher::start(plan)?;
    let _service = Process::start(&mut Command::new(&program.path))?;
    let mut change = None;
    until("the service is found", || {
        change = watcher.next_change();
        Ok(change.is_some())
    })?;
    assert_eq!(ticks.follow(&change.expect("found")), (2, 0));
    ticks.wait_for_calls()
}

#[test]
fn a_new_version_is_followed_and_the_old_one_while_it_runs() -> anyhow::Result<()> {
    let program = Program::compile("ticker.c", &[])?;
    let (mut plan, mut at) = (plan(functions(&program.path, &["f_tick"])?), Instant::now());
    let mut ticks = Ticks::watch()?;
    assert_eq!(ticks.follow(&plan.refresh(at)), (2, 0), "before anybody runs it");
    let old = Process::start(&mut Command::new(&program.path))?;
    ticks.wait_for_calls()?;

    let next = program.path.with_extension("next");
    fs::copy(&program.path, &next)?;
    fs::rename(&next, &program.path)?;
    let change = next_change(&mut plan, &mut at)?;
    assert_eq!(ticks.follow(&change), (2, 0), "the old file is still run: {change:?}");
    ticks.wait_for_calls()?;
    drop(old);
    let change = next_change(&mut plan, &mut at)?;
    assert_eq!(ticks.follow(&change), (0, 2));
    assert_eq!(ticks.new_calls()?, 0, "nobody runs it");
    let _new = Process::start(&mut Command::new(&program.path))?;
    ticks.wait_for_calls()
}

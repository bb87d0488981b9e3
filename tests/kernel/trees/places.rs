//! Files that come and go: programs in containers, services that start later, and new versions of a running one.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;
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
    /// How many calls each new tree had.
    shapes: Vec<usize>,
}

impl Ticks {
    fn watch() -> anyhow::Result<Self> {
        let (ports, trees) = (PortSet::Only(vec![1]), Some(TreeOptions::default()));
        let watch = Watch::with(Options { ports, trees, ..Options::default() })?;
        Ok(Self { watch, total: Statistics::default(), shapes: Vec::new() })
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
        let (total, shapes) = (&mut self.total, &mut self.shapes);
        let mut count = |event: TreeEvent<'_>| match event {
            TreeEvent::Counts { counts, .. } => total.add(counts),
            TreeEvent::New { tree, .. } => shapes.push(tree.nodes().count()),
            TreeEvent::Name { .. } | TreeEvent::Value { .. } => {}
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

/// Containers of one image see its files under a device of each one's own; the kernel has each file once.
#[test]
fn containers_of_one_image_share_their_probes() -> anyhow::Result<()> {
    let program = Program::compile("ticker.c", &[])?;
    let image = program.path.parent().context("a directory")?;
    let start = |number: u32| {
        let [upper, work] = ["upper", "work"].map(|name| image.with_extension(format!("{name}{number}")));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let layers =
            format!("lowerdir={},upperdir={},workdir={}", image.display(), upper.display(), work.display());
        let script = format!("mount -t overlay none -o {layers} /mnt && exec /mnt/ticker");
        let process = Process::start(Command::new("unshare").args(["--mount", "sh", "-c", &script]))?;
        anyhow::Ok((process, [upper, work]))
    };
    let (mut plan, mut at) = (plan(functions(Path::new("/mnt/ticker"), &["f_tick"])?), Instant::now());
    let mut ticks = Ticks::watch()?;
    assert_eq!(plan.refresh(at), Change::default());
    let (first, rest) = start(1)?;
    let change = next_change(&mut plan, &mut at)?;
    assert_eq!(ticks.follow(&change), (2, 0));
    let (second, more) = start(2)?;
    ticks.wait_for_calls()?;
    for _ in 0..5 {
        at += INTERVAL;
        let change = plan.refresh(at);
        assert_eq!(change, Change::default(), "its probes are there already");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(first);
    ticks.new_calls()?;
    at += INTERVAL;
    assert_eq!(plan.refresh(at), Change::default(), "the other one has the file still");
    ticks.wait_for_calls()?;
    assert!(ticks.shapes.iter().all(|nodes| *nodes == 1), "each call is seen once: {:?}", ticks.shapes);
    drop(second);
    rest.iter().chain(&more).try_for_each(fs::remove_dir_all)?;
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

//! Functions that are followed, and what became known of their trees.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use gait_agent::{
    capture::{Options, PortSet, TreeCounters, TreeEvent, TreeOptions},
    config::Functions,
    functions::Plan,
};
use gait_common::{
    tree::value_text,
    wire::tree::{Code, Entry, Fold, Key, NODE_DEAD, RETURNED, Statistics, value::ValueKey},
};

use crate::support::watch::Watch;

/// What is known of a code.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Function and depth of each node.
    pub(crate) nodes: Vec<(u64, u8)>,
    pub(crate) code: Code,
    pub(crate) flags: u32,
}

/// A watch that follows functions.
pub(crate) struct Followed {
    pub(crate) watch: Watch,
    /// Names of functions.
    pub(crate) names: HashMap<u64, String>,
    pub(crate) known: BTreeMap<Key, Known>,
    pub(crate) counts: BTreeMap<Key, Statistics>,
    /// In how many trees each value was seen.
    pub(crate) values: BTreeMap<ValueKey, u64>,
    /// Points attached.
    pub(crate) points: usize,
    /// Trees that came once more than others.
    pub(crate) again: u64,
}

/// `[[functions]]` for the functions of a file that match.
pub(crate) fn functions(binary: &Path, include: &[&str]) -> anyhow::Result<Functions> {
    Ok(Functions {
        binary: Some(binary.to_str().context("a path that is text")?.to_owned()),
        include: include.iter().map(|glob| (*glob).to_owned().try_into()).collect::<Result<_, _>>()?,
        ..Functions::default()
    })
}

impl Followed {
    pub(crate) fn start(functions: &[Functions], ports: &[u16]) -> anyhow::Result<Self> {
        Self::start_with(functions, ports, TreeOptions::default())
    }

    pub(crate) fn start_with(
        functions: &[Functions],
        ports: &[u16],
        trees: TreeOptions,
    ) -> anyhow::Result<Self> {
        let mut plan = match Plan::new(functions) {
            Ok(plan) => plan,
            Err((_, key, reason)) => bail!("{key}: {reason}"),
        };
        let values = functions.iter().any(|target| !target.values.is_empty());
        let trees = TreeOptions { values, ..trees };
        let ports = PortSet::Only(ports.to_vec());
        let watch = Watch::with(Options { ports, trees: Some(trees), ..Options::default() })?;
        let (names, known, counts) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        let values = BTreeMap::new();
        let mut followed = Self { watch, names, known, counts, values, points: 0, again: 0 };
        let change = plan.refresh(Instant::now());
        for point in &change.add {
            followed.names.insert(point.function.id, point.function.name.clone());
        }
        let done = followed.watch.capture.follow(&change);
        if done.refusals > 0 || done.attached == 0 {
            bail!("{done:?} {:?}", plan.reports());
        }
        followed.points = done.attached;
        Ok(followed)
    }

    /// Takes what has come: exchanges, new trees, names and counts.
    pub(crate) fn drain(&mut self) -> anyhow::Result<()> {
        self.watch.drain();
        let Self { watch, names, known, counts, values, again, .. } = self;
        let mut take = |event: TreeEvent<'_>| match event {
            TreeEvent::New { tree, .. } => {
                let key = Key { root: tree.header.root, ordered: tree.header.ordered };
                let new =
                    Known { nodes: tree.nodes().collect(), code: tree.code(), flags: tree.header.flags };
                *again += u64::from(known.insert(key, new).is_some());
            }
            TreeEvent::Name { function, name } => {
                names.insert(function, name.to_owned());
            }
            TreeEvent::Counts { key, counts: new } => counts.entry(key).or_default().add(new),
            TreeEvent::Value { key, trees } => *values.entry(*key).or_default() += trees,
        };
        watch.capture.drain_trees(&mut take);
        watch.capture.tree_counts(&mut take)?;
        Ok(())
    }

    /// Takes what comes within a while.
    pub(crate) fn drain_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.watch.capture.wait(Duration::from_millis(5));
            self.drain()?;
        }
        Ok(())
    }

    pub(crate) fn counters(&self) -> anyhow::Result<TreeCounters> {
        let counters = self.watch.capture.tree_counters()?.context("trees are followed")?;
        assert!(self.again <= counters.codes_evicted, "{} trees came twice: {counters:?}", self.again);
        assert_eq!(
            counters.trees,
            counters.counted + counters.codes_full + counters.ring_full,
            "trees are not accounted for: {counters:?}"
        );
        assert_eq!(counters.malformed, 0);
        Ok(counters)
    }

    /// The function's name, without its file.
    pub(crate) fn name(&self, function: u64) -> &str {
        let name = self.names.get(&function).map_or("?", String::as_str);
        name.split_once(':').map_or(name, |(_, function)| function)
    }

    /// Every tree with its number of runs, as `2 a(b c(!d))`: a call that never returned has a `!`.
    pub(crate) fn trees(&self) -> Vec<String> {
        let mut trees: Vec<String> =
            self.counts.iter().map(|(key, c)| format!("{} {}", c.calls, self.draw(*key))).collect();
        trees.sort();
        trees
    }

    /// A tree of this code.
    pub(crate) fn draw(&self, key: Key) -> String {
        let Some(known) = self.known.get(&key) else { return format!("unknown {key:?}") };
        let mut text = String::new();
        let mut depth = None;
        for &(function, mark) in &known.nodes {
            let at = mark & !NODE_DEAD;
            match depth {
                None => {}
                Some(before) if at > before => text.push('('),
                Some(before) => {
                    (at..before).for_each(|_| text.push(')'));
                    text.push(' ');
                }
            }
            text.push_str(if mark & NODE_DEAD == 0 { "" } else { "!" });
            text.push_str(self.name(function));
            depth = Some(at);
        }
        (0..depth.unwrap_or(0)).for_each(|_| text.push(')'));
        text
    }

    /// Checks that every code is what user space makes of the same tree.
    pub(crate) fn check_codes(&self) {
        for (key, known) in &self.known {
            if known.flags & !gait_common::wire::tree::FAILED & !gait_common::wire::tree::UNRETURNED == 0 {
                assert_eq!(fold(&known.nodes), known.code, "{}", self.draw(*key));
            }
        }
    }

    /// Every value with the number of its trees, as `5 f_find arg1 "x"`, over all codes.
    pub(crate) fn all_values(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (key, trees) in &self.values {
            let value = value_text(&key.value, &[7; 32]).unwrap_or_else(|| "*".to_owned());
            let which =
                if key.value.which == 0 { "ret".to_owned() } else { format!("arg{}", key.value.which) };
            *all.entry(format!("{} {which} {value}", self.name(key.value.function))).or_default() += trees;
        }
        all
    }

    /// Trees that ran within a request, by name.
    pub(crate) fn drawn(&self, entries: &[Entry]) -> Vec<String> {
        entries.iter().map(|entry| self.draw(Key { root: entry.root, ordered: entry.ordered })).collect()
    }
}

/// The code of nodes in preorder.
fn fold(nodes: &[(u64, u8)]) -> Code {
    let mut fold = Box::new(Fold::new());
    let mut open: Vec<u32> = Vec::new();
    for &(function, mark) in nodes {
        while open.len() > usize::from(mark & !NODE_DEAD) {
            open.pop().map(|how| fold.leave(how));
        }
        fold.enter(function);
        open.push(if mark & NODE_DEAD == 0 { RETURNED } else { gait_common::wire::tree::DEAD });
    }
    while let Some(how) = open.pop() {
        fold.leave(how);
    }
    fold.code()
}

/// A program of our own, compiled for the test.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Program {
    /// Compiles C, or C++ if the source's name says so.
    pub(crate) fn compile(source: &str, options: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let compiler = if source.ends_with(".cpp") { "g++" } else { "gcc" };
        let path = directory.path().join(Path::new(source).file_stem().context("a file name")?);
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernel/programs").join(source);
        let outcome = Command::new(compiler)
            .args(["-O1", "-fno-inline", "-fno-optimize-sibling-calls", "-pthread", "-o"])
            .arg(&path)
            .arg(from)
            .args(options)
            .output()
            .with_context(|| format!("running {compiler}"))?;
        if !outcome.status.success() {
            bail!("{source} does not compile: {}", String::from_utf8_lossy(&outcome.stderr));
        }
        fs::metadata(&path)?;
        Ok(Self { path, _directory: directory })
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let outcome = Command::new(&self.path).args(arguments).output()?;
        if !outcome.status.success() {
            bail!(
                "{arguments:?} ended with {}: {}",
                outcome.status,
                String::from_utf8_lossy(&outcome.stderr)
            );
        }
        Ok(String::from_utf8(outcome.stdout)?)
    }
}

//! The plan: all points on this host that the targets ask for, kept up to date.
//!
//! A probe sits in a file, not in a process: it is there for every process that runs or maps the file, those that start
//! later included. So what has to be noticed is new *files*: another version under the same path, a container with a file
//! of its own, a service that starts. [`Plan::refresh`] looks for them with one `stat` a process; a file's symbols are
//! read once. A file whose probes are in place keeps them while it is at its path, so that a service that restarts is
//! followed from its first call, and while a process still runs it after it was replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::elf::ElfError;
use super::point::{Change, FileId, Key, Point};
use super::process::{Process, Processes, Stamp, below};
use super::select::{Contents, Selection, select};
use super::target::Target;
use crate::config::Functions as Configured;

/// How often the host is looked at, at most.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// Files of all targets.
pub const MAX_FILES: usize = 256;
/// Processes whose maps are read in one look.
const MAPS_A_LOOK: usize = 32;

/// All points that the targets ask for.
#[derive(Debug)]
pub struct Plan {
    targets: Vec<Target>,
    processes: Processes,
    files: BTreeMap<FileId, Known>,
    points: BTreeMap<Key, Arc<Point>>,
    /// Files of this host that services run or map, with the targets that they are for.
    remembered: BTreeMap<PathBuf, BTreeSet<usize>>,
    beyond: usize,
    looked: Option<Instant>,
}

/// A file that a target wants.
#[derive(Clone, Debug)]
struct Wanted {
    stamp: Stamp,
    /// Where it is reached.
    path: PathBuf,
    /// What those who run it call it.
    name: PathBuf,
    root: PathBuf,
    targets: BTreeSet<usize>,
}

/// A file that was read.
#[derive(Debug)]
struct Known {
    wanted: Wanted,
    program: bool,
    unwinds: bool,
    /// It could not be opened or read, and may be the next time.
    unreachable: bool,
    /// For each of its targets, what was found or why nothing could be.
    found: Vec<(usize, Selection)>,
}

/// What became of one target in one file.
#[derive(Debug)]
pub struct Report<'a> {
    /// The target.
    pub target: &'a Target,
    /// The file, by its name; none when no file was found.
    pub file: Option<&'a Path>,
    /// What was found in it.
    pub selection: Option<&'a Selection>,
    /// Points that were made of it.
    pub points: usize,
    /// Whether returns are seen at return instructions.
    pub unwinds: bool,
}

impl Plan {
    /// The plan for the configuration's targets, before the first look at the host.
    ///
    /// # Errors
    /// The target that is wrong, from 0, its key, and what is wrong with it.
    pub fn new(targets: &[Configured]) -> Result<Self, (usize, &'static str, String)> {
        let targets = targets
            .iter()
            .enumerate()
            .map(|(index, target)| Target::new(index, target).map_err(|(key, reason)| (index, key, reason)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            targets,
            processes: Processes::new(),
            files: BTreeMap::new(),
            points: BTreeMap::new(),
            remembered: BTreeMap::new(),
            beyond: 0,
            looked: None,
        })
    }

    /// Whether there is nothing to follow.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Looks at the host and says what has changed; the first time that is all there is. Within [`INTERVAL`] of the last
    /// look nothing is done. Reading a large program takes up to a second or so: this is for a thread of its own.
    pub fn refresh(&mut self, now: Instant) -> Change {
        if self.is_empty() || self.looked.is_some_and(|looked| now.duration_since(looked) < INTERVAL) {
            return Change::default();
        }
        self.looked = Some(now);
        self.processes.look();
        let mapping = |process: &Process| self.targets.iter().any(|target| self.needs_maps(target, process));
        // The closure looks at the targets and files only.
        let due: BTreeSet<u32> =
            self.processes.all().filter(|process| mapping(process)).map(|process| process.pid).collect();
        self.processes.look_at_maps(MAPS_A_LOOK, &|process| due.contains(&process.pid));
        let wanted = self.wanted();
        if self.read(wanted) { self.change() } else { Change::default() }
    }

    /// All points as of the last look.
    pub fn points(&self) -> impl Iterator<Item = &Arc<Point>> {
        self.points.values()
    }

    /// What became of each target, in each of its files.
    pub fn reports(&self) -> Vec<Report<'_>> {
        let mut reports = Vec::new();
        for target in &self.targets {
            let before = reports.len();
            for (id, known) in &self.files {
                for (_, selection) in known.found.iter().filter(|(index, _)| *index == target.index) {
                    let here =
                        |point: &&Arc<Point>| point.key.file == *id && point.function.target == target.index;
                    reports.push(Report {
                        target,
                        file: Some(&known.wanted.name),
                        selection: Some(selection),
                        points: self.points.values().filter(here).count(),
                        unwinds: known.unwinds,
                    });
                }
            }
            if reports.len() == before {
                reports.push(Report { target, file: None, selection: None, points: 0, unwinds: false });
            }
        }
        reports
    }

    /// Files beyond [`MAX_FILES`] at the last look.
    pub fn beyond(&self) -> usize {
        self.beyond
    }

    /// Whether only a process's map can tell if it uses a file of the target.
    fn needs_maps(&self, target: &Target, process: &Process) -> bool {
        let Some(binary) = &target.binary else { return false };
        if target.service.is_some() {
            return target.is_of_service(&process.comm, &process.path, process.unit.as_deref());
        }
        // A program is found as such. A library on this host is found by its path; other versions of it, in containers or
        // deleted, only in maps.
        let mut own =
            self.files.values().filter(|known| known.wanted.targets.contains(&target.index)).peekable();
        !binary.matches(&process.path) && (own.peek().is_none() || own.any(|known| !known.program))
    }

    /// The files that the targets mean now.
    fn wanted(&mut self) -> BTreeMap<FileId, Wanted> {
        let mut wanted = BTreeMap::new();
        for target in self.targets.iter().filter(|target| target.service.is_none()) {
            for path in target.binary.iter().flat_map(|binary| binary.here(MAX_FILES)) {
                want_here(&mut wanted, &path, target.index);
            }
        }
        for process in self.processes.all() {
            let of_service = |target: &&Target| {
                target.is_of_service(&process.comm, &process.path, process.unit.as_deref())
            };
            for target in self.targets.iter().filter(of_service) {
                let process_root = self.processes.root(process);
                if target.binary.as_ref().is_none_or(|binary| binary.matches(&process.path)) {
                    let path = self.processes.reach(process);
                    want(&mut wanted, (&path, process.exe), &process.path, &process_root, target.index);
                    if path == process.path && self.remembered.len() < MAX_FILES {
                        self.remembered.entry(path).or_default().insert(target.index);
                    }
                }
                let Some(binary) = &target.binary else { continue };
                for path in process.mapped.iter().filter(|path| binary.matches(path)) {
                    let Some(stamp) = self.processes.stamp(process, path) else { continue };
                    let reach = below(&process_root, path);
                    want(&mut wanted, (&reach, stamp), path, &process_root, target.index);
                    if !process.contained && self.remembered.len() < MAX_FILES {
                        self.remembered.entry(path.clone()).or_default().insert(target.index);
                    }
                }
            }
        }
        for (path, targets) in &self.remembered {
            for target in targets {
                want_here(&mut wanted, path, *target);
            }
        }
        // A library that was replaced stays while a process has one of that name mapped, as far as maps were read.
        for (id, known) in &self.files {
            let uses = |process: &Process| process.mapped.contains(&known.wanted.name);
            if !known.program && !wanted.contains_key(id) && self.processes.all().any(uses) {
                wanted.insert(*id, known.wanted.clone());
            }
        }
        wanted
    }

    /// Reads the files that are new or have changed, and forgets those that are not wanted any more. Says whether there
    /// were any.
    fn read(&mut self, wanted: BTreeMap<FileId, Wanted>) -> bool {
        self.beyond = wanted.len().saturating_sub(MAX_FILES);
        let before = self.files.len();
        self.files.retain(|id, _| wanted.contains_key(id));
        let mut changed = self.files.len() != before;
        for (id, file) in wanted {
            let full = self.files.len() >= MAX_FILES;
            match self.files.get_mut(&id) {
                Some(known)
                    if known.wanted.stamp == file.stamp
                        && known.wanted.targets == file.targets
                        && !known.unreachable =>
                {
                    // Its process may have ended; another one still leads there.
                    changed |= known.wanted.path != file.path;
                    known.wanted.path = file.path;
                }
                None if full => {}
                _ => {
                    let known = Known::read(file, &self.targets);
                    self.files.insert(id, known);
                    changed = true;
                }
            }
        }
        changed
    }

    /// Makes points of what the files hold, and compares them with those there were.
    fn change(&mut self) -> Change {
        let mut points = BTreeMap::new();
        let mut add = Vec::new();
        for (id, known) in &self.files {
            for (_, selection) in &known.found {
                for spot in &selection.spots {
                    let key = Key { file: *id, offset: spot.offset, kind: spot.kind };
                    // Two targets may mean one place; the first one has it.
                    if points.contains_key(&key) {
                        continue;
                    }
                    let point = match self.points.get(&key) {
                        Some(point)
                            if point.function == spot.function
                                && point.values == spot.values
                                && point.places == spot.places
                                && point.path == known.wanted.path =>
                        {
                            Arc::clone(point)
                        }
                        _ => Arc::new(Point {
                            key,
                            path: known.wanted.path.clone(),
                            function: Arc::clone(&spot.function),
                            semaphore: spot.semaphore,
                            places: spot.places.clone(),
                            values: spot.values.clone(),
                        }),
                    };
                    if !self.points.get(&key).is_some_and(|old| is_same(old, &point)) {
                        add.push(Arc::clone(&point));
                    }
                    points.insert(key, point);
                }
            }
        }
        let same = |point: &Arc<Point>| points.get(&point.key).is_some_and(|new| is_same(new, point));
        // Entries are the last kinds: what begins calls goes first.
        let mut remove: Vec<Arc<Point>> =
            self.points.values().filter(|point| !same(point)).map(Arc::clone).collect();
        remove.sort_by_key(|point| (point.key.file, std::cmp::Reverse(point.key.kind), point.key.offset));
        add.sort_by_key(|point| (point.key.file, point.key.kind, point.key.offset));
        self.points = points;
        Change { remove, add }
    }
}

/// Whether what is attached at a place does for what is wanted there.
fn is_same(one: &Point, other: &Point) -> bool {
    one.function == other.function && one.values == other.values && one.places == other.places
}

/// Adds a file of this host to those that are wanted, if it is there.
fn want_here(wanted: &mut BTreeMap<FileId, Wanted>, path: &Path, target: usize) {
    let Some(stamp) = Stamp::at(path) else { return };
    // A link such as /usr/bin/python3 goes by the name of its file.
    let name = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    want(wanted, (path, stamp), &name, Path::new("/"), target);
}

/// Adds a file, where it is reached and what it is there, to those that are wanted.
fn want(
    wanted: &mut BTreeMap<FileId, Wanted>,
    (path, stamp): (&Path, Stamp),
    name: &Path,
    root: &Path,
    target: usize,
) {
    let file = wanted.entry(stamp.id).or_insert_with(|| Wanted {
        stamp,
        path: path.to_owned(),
        name: name.to_owned(),
        root: root.to_owned(),
        targets: BTreeSet::new(),
    });
    file.targets.insert(target);
}

impl Known {
    fn read(file: Wanted, targets: &[Target]) -> Self {
        let wanted = targets.iter().filter(|target| file.targets.contains(&target.index));
        let contents = Contents::read(&file.path, &file.name, &file.root);
        let found = wanted.map(|target| {
            let selection = match &contents {
                Ok(contents) => select(contents, target),
                Err(error) => Selection { trouble: Some(error.to_string()), ..Selection::default() },
            };
            (target.index, selection)
        });
        let found = found.collect();
        let program = contents.as_ref().is_ok_and(Contents::is_program);
        let unwinds = contents.as_ref().is_ok_and(Contents::unwinds);
        let unreachable = matches!(contents, Err(ElfError::Io(_)));
        Self { wanted: file, program, unwinds, unreachable, found }
    }
}

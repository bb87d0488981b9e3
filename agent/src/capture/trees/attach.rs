//! Attaches the programs to points, and takes them off again.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::{Array, MapData, PerCpuArray};
use gait_common::wire::tree::{MAX_DEPTH, point, value};

use super::sys::{self, Place, Uprobes};
use crate::capture::CaptureError;
use crate::capture::kernel::{self, Wire};
use crate::functions::spec::Success;
use crate::functions::usdt::At;
use crate::functions::values::{Form, Taken};
use crate::functions::{Change, Key, Kind, Naming, Point};

/// The program that runs at every point.
pub(in crate::capture) enum PointProgram {
    /// Attached by links of the kind `uprobe_multi`.
    Multi(OwnedFd),
    /// Attached by links to perf events.
    Single(OwnedFd),
}

/// What is attached where.
pub(super) struct Attachments {
    uprobes: Uprobes,
    program: PointProgram,
    points: Array<MapData, Wire<point::Point>>,
    /// What is taken at points that have values.
    takes: Array<MapData, Wire<point::Takes>>,
    hits: PerCpuArray<MapData, u64>,
    attached: BTreeMap<Key, Attached>,
    /// Cookies given back.
    free: Vec<u32>,
    /// Cookies never given out yet begin here.
    unused: u32,
    max_points: u32,
}

struct Attached {
    point: Arc<Point>,
    cookie: u32,
    /// Dropping it detaches; none while the breaker keeps the point off.
    link: Option<OwnedFd>,
    /// Reached so often when last looked at, over all CPUs.
    seen: u64,
}

/// What became of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Points attached.
    pub attached: usize,
    /// Points detached.
    pub detached: usize,
    /// Points that could not be attached, at most the first hundred, with the reason.
    pub refused: Vec<(String, String)>,
    /// Points that could not be attached.
    pub refusals: usize,
}

/// Refusals that are kept in words.
const MAX_WORDS: usize = 100;

/// A function that was called more often than its budget allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripped {
    /// Its name.
    pub function: String,
    /// Times a second that its points were reached.
    pub rate: u64,
    /// How long it stays detached.
    pub pause: Duration,
}

/// Detaches functions that are called too often, and attaches them again later.
pub(super) struct Breaker {
    /// Times a second that one function's points may be reached.
    budget: u64,
    pause: Duration,
    looked: Option<Instant>,
    /// Functions kept off, and until when.
    off: BTreeMap<u64, Instant>,
}

/// Links that are closed at a time.
const CLOSERS: usize = 128;

/// How often rates are looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Attachments {
    pub(super) fn new(ebpf: &mut Ebpf, program: PointProgram, max_points: u32) -> Result<Self, CaptureError> {
        let uprobes = Uprobes::of_this_kernel().map_err(|error| CaptureError::Unsupported {
            what: "uprobes".to_owned(),
            reason: error.to_string(),
        })?;
        let points = kernel::take_map(ebpf, "POINTS")?;
        let takes = kernel::take_map(ebpf, "TAKES")?;
        let hits = kernel::take_map(ebpf, "POINT_HITS")?;
        Ok(Self {
            uprobes,
            program,
            points,
            takes,
            hits,
            attached: BTreeMap::new(),
            free: Vec::new(),
            unused: 0,
            max_points,
        })
    }

    /// Number of points attached.
    pub(super) fn len(&self) -> usize {
        self.attached.values().filter(|attached| attached.link.is_some()).count()
    }

    /// Detaches from everything, entries first.
    pub(super) fn detach(&mut self) {
        let mut links: Vec<(Kind, OwnedFd)> =
            self.attached.values_mut().filter_map(|on| Some((on.point.key.kind, on.link.take()?))).collect();
        links.sort_by_key(|(kind, _)| !kind.enters());
        close(links.into_iter().map(|(_, link)| link).collect());
        self.attached.clear();
    }

    /// Detaches and attaches, in the order given.
    pub(super) fn apply(&mut self, change: &Change) -> Attachment {
        let mut done = Attachment::default();
        let mut off: Vec<Attached> =
            change.remove.iter().filter_map(|point| self.attached.remove(&point.key)).collect();
        close(off.iter_mut().filter_map(|attached| attached.link.take()).collect());
        for attached in off {
            // A program that is just running may still read it; it is zero or whole.
            let _ = self.points.set(attached.cookie, Wire(point::Point::default()), 0);
            self.free.push(attached.cookie);
            done.detached += 1;
        }
        for point in &change.add {
            match self.add(point) {
                Ok(()) => done.attached += 1,
                Err(reason) => {
                    done.refusals += 1;
                    if done.refused.len() < MAX_WORDS {
                        done.refused.push((point.function.name.clone(), reason));
                    }
                }
            }
        }
        done
    }

    fn add(&mut self, point: &Arc<Point>) -> Result<(), String> {
        if self.attached.contains_key(&point.key) {
            return Ok(());
        }
        let cookie = match self.free.pop() {
            Some(cookie) => cookie,
            None if self.unused < self.max_points => {
                self.unused += 1;
                self.unused - 1
            }
            None => return Err(format!("more than {} points are attached", self.max_points)),
        };
        let seen = self.reached(cookie);
        let mut set = Ok(());
        if !point.values.is_empty() {
            set = self.takes.set(cookie, Wire(takes(&point.values)), 0);
        }
        let link = set
            .and_then(|()| self.points.set(cookie, Wire(self.wire(point)), 0))
            .map_err(|error| error.to_string())
            .and_then(|()| self.link(point, cookie));
        match link {
            Ok(link) => {
                let attached = Attached { point: Arc::clone(point), cookie, link: Some(link), seen };
                self.attached.insert(point.key, attached);
                Ok(())
            }
            Err(reason) => {
                self.free.push(cookie);
                Err(reason)
            }
        }
    }

    fn link(&self, point: &Point, cookie: u32) -> Result<OwnedFd, String> {
        let place = Place {
            path: &point.path,
            offset: point.key.offset,
            is_return: point.key.kind == Kind::Return,
            semaphore: point.semaphore,
        };
        let link = match &self.program {
            PointProgram::Multi(program) => sys::attach_multi(program.as_fd(), &place, u64::from(cookie)),
            PointProgram::Single(program) => self.uprobes.attach(program.as_fd(), &place, u64::from(cookie)),
        };
        link.map_err(|error| {
            format!("attaching to {} at {:#x}: {error}", point.path.display(), point.key.offset)
        })
    }

    /// The point as the kernel side reads it.
    fn wire(&self, from: &Point) -> point::Point {
        let success = from.function.success.unwrap_or(Success { bytes: 0, signed: false, low: 0, span: 0 });
        // Exits are attached first, and a return probe at the place where the function is entered.
        let by_return_probe = self.attached.contains_key(&Key { kind: Kind::Return, ..from.key });
        let mut places = [point::Place::default(); point::PLACES];
        places.iter_mut().zip(&from.places).for_each(|(to, from)| *to = place(from.at));
        point::Point {
            function: from.function.id,
            success_low: success.low,
            success_span: success.span,
            success_bytes: success.bytes,
            success_signed: u8::from(success.signed),
            naming: match from.function.naming {
                Naming::Fixed => point::NAMED,
                Naming::Python => point::PYTHON,
            },
            kind: match from.key.kind {
                Kind::Enter => point::ENTER,
                Kind::Return => point::RETURN,
                Kind::Exit => point::EXIT,
                Kind::Tail => point::TAIL,
                Kind::UsdtEnter => point::USDT_ENTER,
                Kind::UsdtReturn => point::USDT_RETURN,
            },
            values: from.values.len().min(value::TAKES) as u8,
            max_depth: if by_return_probe { point::RETURN_DEPTH } else { MAX_DEPTH as u8 },
            places,
            ..point::Point::default()
        }
    }

    /// How often the point with this cookie was reached.
    fn reached(&self, cookie: u32) -> u64 {
        self.hits.get(&cookie, 0).map_or(0, |hits| hits.iter().copied().fold(0, u64::wrapping_add))
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        self.detach();
    }
}

impl Breaker {
    pub(super) fn new(budget: u64, pause: Duration) -> Self {
        Self { budget, pause, looked: None, off: BTreeMap::new() }
    }

    /// Detaches what was reached too often since the last look, and attaches what has been off long enough.
    pub(super) fn look(&mut self, all: &mut Attachments, now: Instant) -> Vec<Tripped> {
        let Some(before) = self.looked else {
            self.looked = Some(now);
            return Vec::new();
        };
        let passed = now.saturating_duration_since(before);
        if passed < LOOK {
            return Vec::new();
        }
        self.looked = Some(now);
        let mut rates: BTreeMap<u64, u64> = BTreeMap::new();
        for (key, reached) in
            all.attached.iter().map(|(key, on)| (*key, all.reached(on.cookie))).collect::<Vec<_>>()
        {
            if let Some(attached) = all.attached.get_mut(&key) {
                let times = reached.wrapping_sub(attached.seen);
                attached.seen = reached;
                *rates.entry(attached.point.function.id).or_default() += times;
            }
        }
        let per_second = |times: u64| (times as f64 / passed.as_secs_f64()) as u64;
        rates.retain(|function, times| per_second(*times) > self.budget && !self.off.contains_key(function));
        let (mut tripped, mut links) = (Vec::new(), Vec::new());
        for (function, times) in rates {
            let mut name = None;
            for attached in all.attached.values_mut().filter(|on| on.point.function.id == function) {
                links.extend(attached.link.take());
                name = Some(attached.point.function.name.clone());
            }
            self.off.insert(function, now + self.pause);
            tripped.extend(name.map(|function| Tripped {
                function,
                rate: per_second(times),
                pause: self.pause,
            }));
        }
        close(links);
        self.resume(all, now);
        tripped
    }

    /// Attaches again what has been off for the pause, exits first.
    fn resume(&mut self, all: &mut Attachments, now: Instant) {
        let due: Vec<u64> =
            self.off.iter().filter(|(_, until)| **until <= now).map(|(function, _)| *function).collect();
        for function in due {
            self.off.remove(&function);
            let mut points: Vec<(Arc<Point>, u32)> = all
                .attached
                .values()
                .filter(|on| on.link.is_none() && on.point.function.id == function)
                .map(|on| (Arc::clone(&on.point), on.cookie))
                .collect();
            points.sort_by_key(|(point, _)| point.key.kind);
            for (point, cookie) in points {
                match all.link(&point, cookie) {
                    Ok(link) => {
                        if let Some(attached) = all.attached.get_mut(&point.key) {
                            attached.link = Some(link);
                        }
                    }
                    Err(reason) => tracing::warn!("{} is not attached again: {reason}", point.function.name),
                }
            }
        }
    }

    /// Functions that are off now, ascending.
    pub(super) fn off(&self) -> impl ExactSizeIterator<Item = u64> {
        self.off.keys().copied()
    }
}

/// Detaches. The kernel waits for a tenth of a second with each, so this is done for many at a time.
fn close(links: Vec<OwnedFd>) {
    let links = std::sync::Mutex::new(links.into_iter());
    let next = || links.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..CLOSERS {
            let Some(link) = next() else { break };
            scope.spawn(|| {
                drop(link);
                while let Some(link) = next() {
                    drop(link);
                }
            });
        }
    });
}

/// What is taken at a point, as the kernel side reads it.
fn takes(values: &[Taken]) -> point::Takes {
    let mut takes = point::Takes::default();
    for (to, from) in takes.takes.iter_mut().zip(values) {
        let (kind, bytes) = match from.form {
            Form::Integer(kind) if kind.signed => (value::SIGNED, kind.bytes),
            Form::Integer(kind) => (value::UNSIGNED, kind.bytes),
            Form::Text => (value::TEXT, 8),
        };
        *to = point::Take {
            place: place(from.at),
            function: from.only,
            which: from.which.number(),
            kind: kind | if from.hash { value::HASHED } else { 0 },
            bytes,
            shift: match from.at {
                At::Register { shift, .. } => shift,
                _ => 0,
            },
            unused: 0,
        };
    }
    takes
}

fn place(from: At) -> point::Place {
    let none = point::Place { index: point::NO_REGISTER, ..point::Place::default() };
    match from {
        At::Constant(value) => point::Place { kind: point::CONSTANT, displacement: value, ..none },
        At::Register { register, .. } => point::Place { kind: point::REGISTER, register, ..none },
        At::Memory { base, index, displacement } => {
            let (index, factor) = index.unwrap_or((point::NO_REGISTER, 1));
            let scale = factor.trailing_zeros() as u8;
            point::Place { kind: point::MEMORY, register: base, displacement, index, scale, unused: 0 }
        }
    }
}

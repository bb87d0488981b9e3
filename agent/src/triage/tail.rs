//! Follows a file that grows, over rotation, truncation and restarts.
//!
//! The file is known by device and inode while it is open, and by its first bytes and the bytes before the place that was
//! reached when it has to be found again. What happens to it, and what then is read:
//!
//! - *rotated by renaming*: the old file to its end, then those that came and went between two looks, in the order in which
//!   they were last written, then the new one from its start. The old one is left only when the new one has something in
//!   it: until its writer was told to reopen, it goes on in the old one.
//! - *compressed meanwhile*: the old one is held open; after a restart it is found again by what it holds, unpacked.
//! - *truncated*, or written anew: found by its size, or by its first and latest bytes being others. What was not read yet is
//!   taken from the copy that `copytruncate` made, if there is one; then the file is read from its start.
//!
//! What cannot be had: lines written between the copy and the truncation of `copytruncate`, and what was in a file that
//! was deleted before anybody looked. Nothing is read twice.

mod rotated;
mod source;

use std::collections::VecDeque;
use std::io;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use memchr::memchr;
use serde::{Deserialize, Serialize};

use source::Source;

pub use source::Mark;

/// Longest line that is handed over in one piece, in bytes.
pub const MAX_LINE: usize = 1 << 20;
/// How much is read at a time.
const BLOCK: usize = 256 << 10;
/// Files that were read to their end and may still lie about.
const DONE: usize = 16;

/// Where reading stands: enough to go on after a restart, whatever became of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The device that holds the file.
    pub device: u64,
    /// The file's inode; 0 when it was read from a compressed one.
    pub inode: u64,
    /// Bytes that were read, up to the end of a line.
    pub offset: u64,
    /// When the file was last written (Unix, ns).
    pub modified: i128,
    /// The file's first bytes.
    pub head: Mark,
    /// The bytes before `offset`.
    pub tail: Mark,
    /// First bytes of the files that were read to their end, the latest last.
    pub done: Vec<Mark>,
}

/// What happened to the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Lines read, of any length.
    pub lines: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Times that another file took its place.
    pub rotations: u64,
    /// Times that it had become shorter, or another under the same inode.
    pub truncations: u64,
    /// Files that ended within a line and were left for the next.
    pub cut: u64,
    /// Lines longer than what is handed over in one piece.
    pub too_long: u64,
    /// Files of which the rest could not be found again.
    pub missing: u64,
    /// Rotated files that could not be read.
    pub unreadable: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        let Self { lines, bytes, rotations, truncations, cut, too_long, missing, unreadable } = more;
        self.lines += lines;
        self.bytes += bytes;
        self.rotations += rotations;
        self.truncations += truncations;
        self.cut += cut;
        self.too_long += too_long;
        self.missing += missing;
        self.unreadable += unreadable;
    }
}

/// What is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line with its line end, or without it the last one of a file that is over.
    Line(&'a [u8]),
    /// Part of a line that is too long. The last part has the line end, which is made up for the last line of a file that is over.
    Part(&'a [u8]),
}

/// A file that is followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// When it was opened, if there was no file (Unix, ns).
    opened: i128,
    max_line: usize,
    /// What is being read; `None` until there is a file.
    source: Option<Source>,
    /// What comes after it. Empty while it is the file at `path`.
    next: VecDeque<Source>,
    done: VecDeque<Mark>,
    buffer: Vec<u8>,
    /// The part of the buffer that was not handed over.
    from: usize,
    to: usize,
    /// Bytes of a line that is too long which were handed over.
    handed: u64,
    counts: Counts,
}

impl Tail {
    /// Follows the file at `path` from a position, or from its start. It need not be there yet.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn open(path: &Path, position: Option<&Position>) -> Result<Self> {
        let mut tail = Self {
            path: path.to_owned(),
            opened: position.map_or_else(now, |position| position.modified),
            max_line: MAX_LINE,
            source: None,
            next: VecDeque::new(),
            done: position.iter().flat_map(|position| position.done.iter().cloned()).collect(),
            buffer: Vec::new(),
            from: 0,
            to: 0,
            handed: 0,
            counts: Counts::default(),
        };
        tail.find(position).with_context(|| format!("failed to open {}", path.display()))?;
        Ok(tail)
    }

    /// Hands lines longer than `bytes` over in parts.
    #[must_use]
    pub fn with_max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes.max(1);
        self
    }

    /// The file that is followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Where reading stands: behind the last line that was handed over.
    pub fn position(&self) -> Position {
        let done = self.done.iter().cloned().collect();
        let Some(source) = &self.source else {
            // Whatever is written from now on is to be read.
            return Position { modified: self.opened, done, ..Position::default() };
        };
        let (offset, tail) = source.settled();
        Position {
            device: source.device(),
            inode: source.inode(),
            offset,
            modified: source.modified(),
            head: source.head(),
            tail,
            done,
        }
    }

    /// Reads some more, at most a block, and hands over the lines that it ends. False when there is nothing now.
    ///
    /// # Errors
    /// When the file cannot be read, or `each` fails; what it failed on is not handed over again.
    pub fn poll(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<bool> {
        if self.source.is_none() {
            self.source = Source::plain(&self.path).with_context(|| self.failed("open"))?;
        }
        let Some(source) = &mut self.source else { return Ok(false) };
        if self.next.is_empty() && !source.is_as_it_was().with_context(|| self.failed("read"))? {
            self.truncated(each)?;
            return Ok(true);
        }
        match self.fill() {
            Ok(0) => self.at_end(each),
            Ok(read) => {
                self.counts.bytes += read as u64;
                self.hand_over(each)?;
                Ok(true)
            }
            // Half a compressed file: what could be unpacked of it was handed over.
            Err(error) if !self.next.is_empty() => {
                self.counts.unreadable += 1;
                tracing::error!("the rest of a rotated {} cannot be read: {error}", self.path.display());
                self.leave(each)?;
                Ok(true)
            }
            Err(error) => Err(error).with_context(|| self.failed("read")),
        }
    }

    fn failed(&self, what: &str) -> String {
        format!("failed to {what} {}", self.path.display())
    }

    /// Looks for the file that a position is of, and opens what follows it.
    fn find(&mut self, position: Option<&Position>) -> io::Result<()> {
        let live = Source::plain(&self.path)?;
        let Some(position) = position else {
            self.source = live;
            return Ok(());
        };
        if let Some(mut live) = live {
            if live.resume(position)? {
                self.source = Some(live);
                return Ok(());
            }
            if (live.device(), live.inode()) == (position.device, position.inode) {
                self.counts.truncations += 1;
                tracing::warn!("{} was truncated or written anew", self.path.display());
            }
            live.rewind();
            self.next.push_back(live);
        }
        let mut sources = self.rotated(position.modified)?;
        let mut found = None;
        for (place, source) in sources.iter_mut().enumerate() {
            if source.resume(position)? {
                found = Some(place);
                break;
            }
            source.rewind();
        }
        match found {
            Some(place) => {
                self.counts.rotations += 1;
                self.source = sources.remove(place);
                let modified = self.source.as_ref().map_or(0, Source::modified);
                sources.retain(|source| source.modified() >= modified);
            }
            None if position.offset == 0 => {}
            None => {
                self.counts.missing += 1;
                tracing::warn!(
                    "the file that {} was is gone: what it held behind byte {} is lost",
                    self.path.display(),
                    position.offset
                );
            }
        }
        self.queue(sources);
        if self.source.is_none() {
            self.source = self.next.pop_front();
        }
        Ok(())
    }

    /// The rotated files that were written at `since` or later, but for the ones that were read, in the order in which they
    /// were last written.
    fn rotated(&mut self, since: i128) -> io::Result<VecDeque<Source>> {
        let known: Vec<(u64, u64)> = self.source.iter().chain(&self.next).map(Source::file_id).collect();
        let (mut sources, unreadable) = rotated::newer(&self.path, since, &known)?;
        self.counts.unreadable += unreadable;
        let mut kept = VecDeque::new();
        for mut source in sources.drain(..) {
            let mut seen = false;
            for mark in self.done.iter().chain(&self.source.as_ref().map(Source::head)) {
                seen |= source.begins_with(mark)?;
            }
            if !seen {
                kept.push_back(source);
            }
        }
        Ok(kept)
    }

    /// Puts rotated files before the newest.
    fn queue(&mut self, sources: VecDeque<Source>) {
        let later = std::mem::replace(&mut self.next, sources);
        self.next.extend(later);
    }

    /// The file is shorter than what was read of it, or does not begin or go on as it did.
    fn truncated(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        self.counts.truncations += 1;
        let Some(mut source) = self.source.take() else { return Ok(()) };
        let copy = self.copy_of(&source).with_context(|| self.failed("look for a copy of"))?;
        let found = if copy.is_some() { "; the rest of it is read from its copy" } else { "" };
        tracing::warn!("{} was truncated{found}", self.path.display());
        if let Some(copy) = copy {
            // It goes on behind what was handed over, so what waits in the buffer is read again.
            (self.from, self.to) = (0, 0);
            source.rewind();
            self.next.push_back(source);
            self.source = Some(copy);
        } else {
            self.finish(&source);
            self.cut(each)?;
            source.rewind();
            self.source = Some(source);
        }
        Ok(())
    }

    /// The copy that was made of a file before it was truncated, at the place that was reached in the file.
    fn copy_of(&self, source: &Source) -> io::Result<Option<Source>> {
        let (offset, tail) = source.passed();
        if offset == 0 {
            return Ok(None);
        }
        let position = Position { offset, tail, head: source.head(), ..Position::default() };
        let known = [source.file_id()];
        for mut copy in rotated::newer(&self.path, i128::MIN, &known)?.0 {
            if copy.resume(&position)? {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }

    /// Remembers a file that was read to its end.
    fn finish(&mut self, source: &Source) {
        self.done.push_back(source.head());
        while self.done.len() > DONE {
            self.done.pop_front();
        }
    }

    /// Nothing more can be read of the source now.
    fn at_end(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<bool> {
        if !self.next.is_empty() {
            self.leave(each)?;
            return Ok(true);
        }
        let Some(source) = &self.source else { return Ok(false) };
        // Missing: between two steps of a rotation.
        let Some(live) = Source::plain(&self.path).with_context(|| self.failed("open"))? else {
            return Ok(false);
        };
        let same = (live.device(), live.inode()) == (source.device(), source.inode());
        if same || live.size()? == 0 {
            return Ok(false);
        }
        let modified = source.modified();
        self.counts.rotations += 1;
        tracing::info!("{} was rotated", self.path.display());
        self.next.push_back(live);
        let between = self.rotated(modified).with_context(|| self.failed("look for what came before"))?;
        self.counts.rotations += between.len() as u64;
        self.queue(between);
        // The old one is read once more: something may have come before its writer left it.
        Ok(true)
    }

    /// Leaves a file that is over for the next.
    fn leave(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        if let Some(source) = self.source.take() {
            self.finish(&source);
        }
        self.cut(each)?;
        self.source = self.next.pop_front();
        Ok(())
    }

    /// Hands over what is left of a line that will never end.
    fn cut(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        let rest = &self.buffer[self.from..self.to];
        let handed = std::mem::take(&mut self.handed);
        (self.from, self.to) = (0, 0);
        if rest.is_empty() && handed == 0 {
            return Ok(());
        }
        self.counts.cut += 1;
        self.counts.lines += 1;
        if handed == 0 {
            return each(Piece::Line(rest));
        }
        each(Piece::Part(rest))?;
        // Whoever puts the parts together again needs to know where the next line begins.
        each(Piece::Part(b"\n"))
    }

    /// Reads behind what is in the buffer.
    fn fill(&mut self) -> io::Result<usize> {
        let Some(source) = &mut self.source else { return Ok(0) };
        self.buffer.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        // What waits is never longer than a line may be, see `hand_over`.
        self.buffer.resize((self.to + BLOCK).max(self.buffer.len()), 0);
        let read = source.read(&mut self.buffer[self.to..self.to + BLOCK])?;
        self.to += read;
        Ok(read)
    }

    /// Hands over every line that has an end.
    fn hand_over(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        let start = self.from;
        let outcome = self.hand_lines_over(each);
        if let Some(source) = &mut self.source
            && self.from > start
        {
            source.pass(&self.buffer[start..self.from], true);
        }
        outcome?;
        let rest = &self.buffer[self.from..self.to];
        if rest.len() > self.max_line || (self.handed > 0 && !rest.is_empty()) {
            self.counts.too_long += u64::from(self.handed == 0);
            self.handed += rest.len() as u64;
            if let Some(source) = &mut self.source {
                source.pass(rest, false);
            }
            self.from = self.to;
            each(Piece::Part(rest))?;
        }
        Ok(())
    }

    fn hand_lines_over(&mut self, each: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        while let Some(len) = memchr(b'\n', &self.buffer[self.from..self.to]) {
            let line = &self.buffer[self.from..self.from + len + 1];
            self.from += line.len();
            self.counts.lines += 1;
            if self.handed > 0 || len > self.max_line {
                self.counts.too_long += u64::from(self.handed == 0);
                self.handed = 0;
                each(Piece::Part(line))?;
            } else {
                each(Piece::Line(line))?;
            }
        }
        Ok(())
    }
}

/// The time of files (Unix, ns), a little early: they have the time of the clock's last tick.
fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as i128 - 1_000_000_000
}

#[cfg(test)]
mod tests;

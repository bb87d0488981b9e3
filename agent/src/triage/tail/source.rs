//! One file that is read: plain and growing, or compressed and over.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use gait_common::ingest;
use serde::{Deserialize, Serialize};

use super::Position;

/// How many of a file's first bytes, and of the last that were read, tell it from others.
const MARKED: usize = 1024;

/// Bytes of a file, by their number and BLAKE3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// How many bytes; 0 says nothing about a file.
    pub bytes: usize,
    /// Their BLAKE3, in hexadecimal digits.
    pub blake3: String,
}

impl Mark {
    fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        Self { bytes: bytes.len(), blake3: blake3::hash(bytes).to_hex()[..32].to_owned() }
    }
}

enum Input {
    Plain(File),
    Packed(Box<dyn Read + Send>),
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Input::Plain(_) => "plain",
            Input::Packed(_) => "packed",
        })
    }
}

/// A file and how far it was read.
#[derive(Debug)]
pub(super) struct Source {
    input: Input,
    /// The file itself, whatever is read of it.
    file: File,
    device: u64,
    inode: u64,
    /// Bytes read, unpacked.
    at: u64,
    /// The first bytes, as many as were read and are marked.
    head: Vec<u8>,
    /// Bytes behind `at` that were read already, to look at them.
    ahead: Vec<u8>,
    /// Bytes handed over, and the last of them.
    passed: u64,
    tail: Vec<u8>,
    /// The same at the last end of a line.
    settled: u64,
    settled_tail: Vec<u8>,
}

impl Source {
    /// The file at `path` as it lies there; `None` when there is none.
    pub(super) fn plain(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let meta = file.metadata()?;
        Ok(Some(Self {
            input: Input::Plain(file.try_clone()?),
            file,
            device: meta.dev(),
            inode: meta.ino(),
            at: 0,
            head: Vec::new(),
            ahead: Vec::new(),
            passed: 0,
            tail: Vec::new(),
            settled: 0,
            settled_tail: Vec::new(),
        }))
    }

    /// A file that may be compressed with gzip or zstd; `None` when there is none.
    pub(super) fn unpacked(path: &Path) -> io::Result<Option<Self>> {
        let Some(mut source) = Self::plain(path)? else { return Ok(None) };
        if let Some(stream) = ingest::unpacked(source.file.try_clone()?)? {
            source.input = Input::Packed(stream);
        }
        Ok(Some(source))
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    /// The inode; 0 for a compressed file, which is not the one that was written.
    pub(super) fn inode(&self) -> u64 {
        if let Input::Packed(_) = self.input { 0 } else { self.inode }
    }

    /// Device and inode of what lies on disk, compressed or not.
    pub(super) fn file_id(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// When it was last written (Unix, ns).
    pub(super) fn modified(&self) -> i128 {
        let time = |meta: std::fs::Metadata| {
            i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())
        };
        self.file.metadata().map_or(0, time)
    }

    /// A mark of the first bytes.
    pub(super) fn head(&self) -> Mark {
        Mark::of(&self.head)
    }

    /// The end of the last line that was handed over, and a mark of the bytes before it.
    pub(super) fn settled(&self) -> (u64, Mark) {
        (self.settled, Mark::of(&self.settled_tail))
    }

    /// Bytes handed over, and a mark of the last of them.
    pub(super) fn passed(&self) -> (u64, Mark) {
        (self.passed, Mark::of(&self.tail))
    }

    /// Reads on.
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.read_raw(out)?;
        if self.head.len() < MARKED && self.head.len() as u64 == self.at {
            self.head.extend_from_slice(&out[..read.min(MARKED - self.head.len())]);
        }
        self.at += read as u64;
        Ok(read)
    }

    fn read_raw(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let read = self.ahead.len().min(out.len());
            out[..read].copy_from_slice(&self.ahead[..read]);
            self.ahead.drain(..read);
            return Ok(read);
        }
        loop {
            let read = match &mut self.input {
                Input::Plain(file) => file.read_at(out, self.at),
                Input::Packed(stream) => stream.read(out),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Says which of the bytes read were handed over; `whole` when they end a line.
    pub(super) fn pass(&mut self, bytes: &[u8], whole: bool) {
        self.passed += bytes.len() as u64;
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(MARKED)..]);
        self.tail.drain(..self.tail.len().saturating_sub(MARKED));
        if whole {
            self.settled = self.passed;
            self.settled_tail.clone_from(&self.tail);
        }
    }

    /// Whether a plain file still begins, and still has before the place reached, what was read there.
    pub(super) fn is_as_it_was(&self) -> io::Result<bool> {
        let Input::Plain(file) = &self.input else { return Ok(true) };
        let size = file.metadata()?.len();
        if size <= self.at {
            return Ok(size == self.at);
        }
        Ok(holds(file, 0, &self.head)? && holds(file, self.passed - self.tail.len() as u64, &self.tail)?)
    }

    /// Whether the file, of which nothing was read, begins with marked bytes.
    pub(super) fn begins_with(&mut self, mark: &Mark) -> io::Result<bool> {
        if mark.bytes == 0 || mark.bytes > MARKED || self.at > 0 {
            return Ok(false);
        }
        while self.ahead.len() < mark.bytes {
            let mut more = [0; MARKED];
            let have = self.ahead.len();
            let read = match &mut self.input {
                Input::Plain(file) => file.read_at(&mut more, have as u64)?,
                Input::Packed(stream) => stream.read(&mut more)?,
            };
            if read == 0 {
                return Ok(false);
            }
            self.ahead.extend_from_slice(&more[..read]);
        }
        Ok(Mark::of(&self.ahead[..mark.bytes]) == *mark)
    }

    /// Goes to a position if it is one of this file, of which nothing was read. Otherwise it is to be rewound.
    pub(super) fn resume(&mut self, position: &Position) -> io::Result<bool> {
        if position.offset == 0 {
            // Nothing was read of it, so nothing but the inode tells it.
            let inode = self.inode();
            return Ok(inode == position.inode && self.device == position.device && inode != 0);
        }
        if !self.begins_with(&position.head)? {
            return Ok(false);
        }
        if let Input::Plain(file) = &self.input {
            let mut block = vec![0; MARKED];
            let (head, tail) = (position.offset.min(MARKED as u64) as usize, position.tail.bytes.min(MARKED));
            let before = position.offset.checked_sub(tail as u64);
            let Some(before) =
                before.filter(|_| file.metadata().is_ok_and(|meta| meta.len() >= position.offset))
            else {
                return Ok(false);
            };
            file.read_exact_at(&mut block[..tail], before)?;
            self.tail = block[..tail].to_vec();
            file.read_exact_at(&mut block[..head], 0)?;
            self.head = block[..head].to_vec();
            (self.at, self.passed) = (position.offset, position.offset);
            self.ahead.clear();
        } else {
            let mut block = vec![0; 64 << 10];
            while self.at < position.offset {
                let want = (position.offset - self.at).min(block.len() as u64) as usize;
                match self.read(&mut block[..want]) {
                    Ok(0) => return Ok(false),
                    Ok(read) => self.pass(&block[..read], false),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
        }
        self.settled = self.passed;
        self.settled_tail = self.tail[self.tail.len().saturating_sub(position.tail.bytes)..].to_vec();
        Ok(Mark::of(&self.settled_tail) == position.tail)
    }

    /// Begins at the start again. A compressed file that was read is opened anew.
    pub(super) fn rewind(&mut self) {
        if let Input::Packed(_) = self.input
            && self.at > 0
            && let Ok(Some(stream)) = self.file.try_clone().and_then(rewound).and_then(ingest::unpacked)
        {
            self.input = Input::Packed(stream);
            self.ahead.clear();
        }
        if let Input::Plain(_) = self.input {
            self.ahead.clear();
        }
        (self.at, self.passed, self.settled) = (0, 0, 0);
        self.head.clear();
        self.tail.clear();
        self.settled_tail.clear();
    }
}

fn rewound(mut file: File) -> io::Result<File> {
    io::Seek::rewind(&mut file)?;
    Ok(file)
}

/// Whether a file has `bytes` at a place.
fn holds(file: &File, at: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut there = [0; MARKED];
    let there = &mut there[..bytes.len()];
    match file.read_exact_at(there, at) {
        Ok(()) => Ok(there == bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

//! The file that judged lines are appended to, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use memchr::memrchr;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::member;

/// How much is read at a time when the end is looked at.
const BLOCK: usize = 64 << 10;
/// Lines behind a place that are remembered, at most. Many more than are written between two commits.
const MAX_WRITTEN: usize = 1 << 20;

/// A place in the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The device that holds the file.
    pub device: u64,
    /// The file's inode.
    pub inode: u64,
    /// Bytes before the place.
    pub size: u64,
}

/// Where judged lines go.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    place: Place,
    failing: bool,
}

impl Output {
    /// Opens the file, or makes it. A line that was not finished is cut off: what was to be in it comes again.
    ///
    /// # Errors
    /// When it cannot be opened or is no regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = || format!("failed to open the output {}", path.display());
        let (file, mut place) = open(path).with_context(failed)?;
        let whole = whole_lines(&file, place.size).with_context(failed)?;
        if whole < place.size {
            file.set_len(whole).with_context(failed)?;
            place.size = whole;
        }
        Ok(Self { path: path.to_owned(), file, place, failing: false })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next line will stand: at the end, also when others have cut the file short since.
    pub fn place(&self) -> Place {
        let there = self.file.metadata().map_or(self.place.size, |meta| meta.len());
        Place { size: self.place.size.min(there), ..self.place }
    }

    /// Appends lines. False when they cannot be written now: then nothing of them was, and it is to be tried again.
    pub fn write(&mut self, lines: &[u8]) -> bool {
        self.place = self.place();
        match self.file.write_all(lines) {
            Ok(()) => {
                self.place.size += lines.len() as u64;
                if std::mem::take(&mut self.failing) {
                    tracing::info!("judged alerts can be written to {} again", self.path.display());
                }
                true
            }
            Err(error) => {
                // Half a line, as a full disk leaves it, would spoil the next one.
                let _ = self.file.set_len(self.place.size);
                if !std::mem::replace(&mut self.failing, true) {
                    let name = self.path.display();
                    tracing::error!(
                        "failed to write judged alerts to {name}: {error}; they wait and are tried again"
                    );
                }
                false
            }
        }
    }

    /// Makes sure that what was written outlives the host.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Opens the file anew, after somebody moved it away.
    ///
    /// # Errors
    /// When it cannot be opened; then the old one is kept.
    pub fn reopen(&mut self) -> Result<()> {
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// The lines that were written behind a place, without what was added to them; none when the file is another one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn written_since(&self, place: &Place) -> io::Result<Written> {
        let mut written = Written::default();
        if (place.device, place.inode) != (self.place.device, self.place.inode) {
            return Ok(written);
        }
        let mut lines = Vec::new();
        let (mut at, mut block) = (place.size, vec![0; BLOCK]);
        while at < self.place.size {
            let want = (self.place.size - at).min(BLOCK as u64) as usize;
            let read = self.file.read_at(&mut block[..want], at)?;
            if read == 0 {
                break;
            }
            at += read as u64;
            lines.extend_from_slice(&block[..read]);
            let whole = memrchr(b'\n', &lines).map_or(0, |end| end + 1);
            for line in lines[..whole].split_inclusive(|&byte| byte == b'\n') {
                written.add(line);
            }
            lines.drain(..whole);
            if lines.len() > super::tail::MAX_LINE {
                // Such a line is not remembered: it was never in one piece.
                lines.clear();
            }
        }
        Ok(written)
    }
}

fn open(path: &Path) -> io::Result<(File, Place)> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok((file, Place { device: meta.dev(), inode: meta.ino(), size: meta.len() }))
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &File, size: u64) -> io::Result<u64> {
    let (mut end, mut block) = (size, vec![0; BLOCK]);
    while end > 0 {
        let from = end.saturating_sub(BLOCK as u64);
        let block = &mut block[..(end - from) as usize];
        file.read_exact_at(block, from)?;
        if let Some(at) = memrchr(b'\n', block) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// Lines that are in the output already, though nobody remembered how far the input was read.
#[derive(Debug, Default)]
pub struct Written {
    lines: FxHashMap<[u8; 16], u32>,
    left: usize,
}

impl Written {
    fn add(&mut self, line: &[u8]) {
        if self.lines.len() < MAX_WRITTEN {
            *self.lines.entry(name(line)).or_default() += 1;
            self.left += 1;
        }
    }

    /// Whether there are none left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Whether a line is among them, once for each time that it is there.
    pub fn take(&mut self, line: &[u8]) -> bool {
        if self.left == 0 {
            return false;
        }
        match self.lines.get_mut(&name(line)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                self.left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Forgets the rest.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A line without what was added to it, and without its end, hashed.
fn name(line: &[u8]) -> [u8; 16] {
    let (before, after) = member::without(line);
    let mut hasher = blake3::Hasher::new();
    if after.is_empty() {
        hasher.update(before.trim_ascii_end());
    } else {
        hasher.update(before).update(after.trim_ascii_end());
    }
    let mut name = [0; 16];
    name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn half_a_line_is_cut_off_and_whole_ones_are_recognised() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("out.json");
        let long = "x".repeat(BLOCK * 2);
        fs::write(&path, format!("old\n{{\"a\":1,\"gait\":{{\"verdict\":1}}}}\nb\nb\n{long}")).expect("file");
        let mut out = Output::open(&path).expect("opened");
        let place = Place { size: 4, ..out.place() };
        assert_eq!(fs::metadata(&path).expect("file").len(), out.place().size);
        let mut written = out.written_since(&place).expect("read");
        assert!(!written.take(b"old\n"));
        for (line, there) in [
            (&b"{\"a\":1}\n"[..], true),
            (b"{\"a\":1}\n", false),
            (b"b\r\n", true),
            (b"b", true),
            (b"b\n", false),
        ] {
            assert_eq!(written.take(line), there, "{line:?}");
        }
        assert!(written.is_empty());
        assert!(out.written_since(&Place { inode: 1, ..place }).expect("read").is_empty());
        assert!(out.write(b"new\n"));
        assert!(fs::read_to_string(&path).expect("file").ends_with("b\nnew\n"));
    }

    #[test]
    fn the_place_follows_a_truncation_by_others() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("out.json");
        let mut out = Output::open(&path).expect("opened");
        assert!(out.write(b"one\ntwo\n"));
        File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("truncated");
        assert_eq!(out.place().size, 0);
        assert!(out.write(b"three\n"));
        assert_eq!((out.place().size, fs::read_to_string(&path).expect("file").as_str()), (6, "three\n"));
    }

    #[test]
    fn a_full_disk_leaves_no_half_line() {
        let error = Output::open(Path::new("/dev/full")).expect_err("no file").to_string();
        assert!(error.contains("/dev/full"), "{error}");
    }
}

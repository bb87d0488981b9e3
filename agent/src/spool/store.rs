//! The spool's files: their names, their atomic appearance, their bounds.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use gait_common::spool::CALLS;
use jiff::Timestamp;

use super::encode::{Encoded, Micros};
use super::{Counts, Options};

/// What the name of an unfinished file ends with.
const UNFINISHED: &str = ".tmp";

/// The files on disk, and those that wait for it.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    prefix: String,
    started: Micros,
    number: u64,
    max_bytes: u64,
    max_age: Duration,
    max_waiting: usize,
    /// The files there are, the oldest first.
    files: VecDeque<Stored>,
    bytes: u64,
    waiting: VecDeque<Encoded>,
    failing: bool,
    counts: Counts,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stored {
    written: SystemTime,
    path: PathBuf,
    size: u64,
}

impl Store {
    /// Opens the directory of the calls, below that of the spool.
    pub(super) fn open(options: Options) -> Result<Self> {
        let root = options.dir.join(CALLS);
        make_dir(&root)
            .with_context(|| format!("failed to make the spool's directory {}", root.display()))?;
        let mut store = Self {
            root,
            prefix: host_prefix(&options.host),
            started: i64::try_from(options.started / 1000).unwrap_or(i64::MAX),
            number: 0,
            max_bytes: options.max_bytes,
            max_age: options.max_age,
            max_waiting: options.max_waiting,
            files: VecDeque::new(),
            bytes: 0,
            waiting: VecDeque::new(),
            failing: false,
            counts: Counts::default(),
        };
        store.scan().with_context(|| format!("failed to list the spool {}", store.root.display()))?;
        store.make_room();
        Ok(store)
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn count_in(&mut self, rows: usize) {
        self.counts.rows_in += rows as u64;
    }

    /// Takes a file in to be written.
    pub(super) fn queue(&mut self, file: Encoded) {
        self.waiting.push_back(file);
    }

    /// Writes the files that wait, the oldest first, until the disk refuses one. What may not wait any longer is given up.
    pub(super) fn write(&mut self) {
        while let Some(file) = self.waiting.front() {
            let path = self.path(file.start);
            let size = file.bytes.len() as u64;
            if let Err(error) = write_whole(&path, &file.bytes) {
                self.counts.failed_writes += 1;
                self.keep_waiting(&path, &error);
                return;
            }
            self.counts.rows_written += file.rows as u64;
            self.counts.files_written += 1;
            self.counts.bytes_written += size;
            self.number += 1;
            self.bytes += size;
            self.files.push_back(Stored { written: SystemTime::now(), path, size });
            self.waiting.pop_front();
            self.make_room();
        }
        if std::mem::take(&mut self.failing) {
            tracing::info!(dir = %self.root.display(), "the spool can be written again; nothing waits any more");
        }
    }

    /// Gives up all that still waits.
    pub(super) fn give_up(&mut self) {
        self.drop_waiting(0);
    }

    fn keep_waiting(&mut self, path: &Path, error: &io::Error) {
        let lost = self.drop_waiting(self.max_waiting);
        let rows: usize = self.waiting.iter().map(|file| file.rows).sum();
        // Said at once and then whenever it costs rows, not with every attempt.
        if !std::mem::replace(&mut self.failing, true) || lost > 0 {
            tracing::error!(
                "failed to write {}: {error}; {rows} calls wait in memory and are tried again, {lost} were given up; \
                 free some space or lower spool.max_bytes",
                path.display()
            );
        }
    }

    /// Drops the oldest of what waits until no more than `bound` bytes do. Returns how many rows that were.
    fn drop_waiting(&mut self, bound: usize) -> u64 {
        let mut bytes: usize = self.waiting.iter().map(|file| file.bytes.len()).sum();
        let mut lost = 0;
        while bytes > bound
            && let Some(file) = self.waiting.pop_front()
        {
            bytes -= file.bytes.len();
            lost += file.rows as u64;
        }
        self.counts.rows_lost += lost;
        lost
    }

    /// Deletes the oldest files until the rest is within the bounds, but never the newest.
    fn make_room(&mut self) {
        let now = SystemTime::now();
        while self.files.len() > 1
            && let Some(oldest) = self.files.front()
        {
            let age = now.duration_since(oldest.written).unwrap_or_default();
            if self.bytes <= self.max_bytes && age <= self.max_age {
                return;
            }
            match fs::remove_file(&oldest.path) {
                Ok(()) => self.counts.files_deleted += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!("failed to delete the old spool file {}: {error}", oldest.path.display());
                    return;
                }
            }
            // The hour's and the day's directory go with their last file: rmdir refuses while there is another.
            let hour = oldest.path.parent();
            for dir in [hour, hour.and_then(Path::parent)].into_iter().flatten() {
                let _ = fs::remove_dir(dir);
            }
            self.bytes -= oldest.size;
            self.files.pop_front();
        }
    }

    /// Finds the files of earlier runs, and removes the unfinished ones among them.
    fn scan(&mut self) -> io::Result<()> {
        let mut files = Vec::new();
        for day in entries(&self.root, "date=")? {
            for hour in entries(&day, "hour=")? {
                for path in entries(&hour, "")? {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    if name.ends_with(UNFINISHED) {
                        // Another agent's unfinished file may be in the making right now.
                        if name.trim_start_matches('.').starts_with(&self.prefix) {
                            fs::remove_file(&path)?;
                            self.counts.leftovers_removed += 1;
                        }
                    } else if name.ends_with(".parquet") {
                        let meta = fs::metadata(&path)?;
                        files.push(Stored { written: meta.modified()?, size: meta.len(), path });
                    }
                }
            }
        }
        files.sort_unstable();
        self.bytes = files.iter().map(|file| file.size).sum();
        self.files = files.into();
        Ok(())
    }

    fn path(&self, start: Micros) -> PathBuf {
        let time = Timestamp::from_microsecond(start).unwrap_or_default();
        let name = format!("{}{}-{}.parquet", self.prefix, self.started, self.number);
        self.root.join(time.strftime("date=%Y-%m-%d/hour=%H").to_string()).join(name)
    }
}

/// What the names of a host's files begin with; the host's name is not trusted to be one.
fn host_prefix(host: &str) -> String {
    let name: String = host
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
        .collect();
    format!("{}-", if name.is_empty() { "host" } else { &name })
}

/// The entries of a directory whose name begins with `prefix`, sorted.
fn entries(dir: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix)
            && (prefix.is_empty() || entry.file_type()?.is_dir())
        {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(dir)
}

/// Writes a file so that it appears whole under its name, or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = dir.join(format!(".{name}{UNFINISHED}"));
    make_dir(dir)?;
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(dir)?.sync_all()
    })();
    if written.is_err() {
        // On a full disk the unfinished file is in the way itself.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

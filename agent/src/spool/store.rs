//! The spool's files: their names, their atomic appearance, their bounds.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
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
    /// Hours with files, but for the oldest one. Files are listed hour by hour, as they come to be deleted: a month of
    /// them would take more memory than all the rest of the agent.
    hours: BTreeSet<PathBuf>,
    oldest_hour: PathBuf,
    /// The files of the oldest hour, the oldest first.
    oldest: VecDeque<Stored>,
    /// The file written last, which is never deleted.
    newest: Option<PathBuf>,
    /// Bytes of all files.
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
    /// Opens the table's directory, below that of the spool.
    pub(super) fn open(options: Options) -> Result<Self> {
        let root = options.dir.join(options.table);
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
            hours: BTreeSet::new(),
            oldest_hour: PathBuf::new(),
            oldest: VecDeque::new(),
            newest: None,
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
            self.waiting.pop_front();
            self.add(path, size);
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
                "failed to write {}: {error}; {rows} rows wait in memory and are tried again, {lost} were given up; \
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

    /// Takes a file that was written into the account.
    fn add(&mut self, path: PathBuf, size: u64) {
        self.bytes += size;
        let hour = path.parent().unwrap_or(&self.root).to_owned();
        if hour == self.oldest_hour {
            self.oldest.push_back(Stored { written: SystemTime::now(), path: path.clone(), size });
        } else {
            self.hours.insert(hour);
        }
        self.newest = Some(path);
    }

    /// Deletes the oldest files until the rest is within the bounds, but never the newest.
    fn make_room(&mut self) {
        if let Err((path, error)) = self.delete_oldest(SystemTime::now()) {
            tracing::warn!("failed to make room in the spool: {}: {error}", path.display());
        }
    }

    fn delete_oldest(&mut self, now: SystemTime) -> Result<(), (PathBuf, io::Error)> {
        loop {
            while self.oldest.is_empty() {
                let Some(hour) = self.hours.pop_first() else { return Ok(()) };
                self.oldest = list(&hour).map_err(|error| (hour.clone(), error))?.into();
                self.oldest_hour = hour;
            }
            let Some(file) = self.oldest.front() else { return Ok(()) };
            let age = now.duration_since(file.written).unwrap_or_default();
            let within = self.bytes <= self.max_bytes && age <= self.max_age;
            if within || self.newest.as_ref() == Some(&file.path) {
                return Ok(());
            }
            match fs::remove_file(&file.path) {
                Ok(()) => self.counts.files_deleted += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((file.path.clone(), error)),
            }
            self.bytes = self.bytes.saturating_sub(file.size);
            self.oldest.pop_front();
            if self.oldest.is_empty() {
                // The hour's and the day's directory go with their last file: rmdir refuses while there is another.
                for dir in self.oldest_hour.ancestors().take(2) {
                    let _ = fs::remove_dir(dir);
                }
            }
        }
    }

    /// Finds the hours of earlier runs, and removes the unfinished files in them.
    fn scan(&mut self) -> io::Result<()> {
        for day in entries(&self.root, "date=")? {
            for hour in entries(&day, "hour=")? {
                for path in entries(&hour, ".")? {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    // Another agent's unfinished file may be in the making right now.
                    if name.ends_with(UNFINISHED) && name[1..].starts_with(&self.prefix) {
                        fs::remove_file(&path)?;
                        self.counts.leftovers_removed += 1;
                    }
                }
                self.bytes += list(&hour)?.iter().map(|file| file.size).sum::<u64>();
                self.hours.insert(hour);
            }
        }
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

/// The finished files of an hour, the oldest first.
fn list(hour: &Path) -> io::Result<Vec<Stored>> {
    let mut files = Vec::new();
    for path in entries(hour, "")? {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "parquet") {
            let meta = match fs::metadata(&path) {
                // Somebody else has just deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                meta => meta?,
            };
            files.push(Stored { written: meta.modified()?, size: meta.len(), path });
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The entries of a directory whose name begins with `prefix`. One that is not there has none.
fn entries(dir: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    match fs::read_dir(dir) {
        Ok(all) => {
            for entry in all {
                let entry = entry?;
                if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
                    found.push(entry.path());
                }
            }
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(error) => return Err(error),
    }
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

//! Matches that a person has looked at and found to be false: JSON lines that are only ever appended to.
//!
//! A clearance holds for one caller, or for one query in just its words, and for one listed identity as the list had it
//! then: once the source changes the identity, the match is asked about again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use gait_common::identity::{Entity, Hit};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::stamp::Stamp;
use super::{Act, Loaded};

/// Most bytes of the file.
const MAX_FILE: u64 = 64 << 20;
/// Longest name of who clears a match, in bytes. It stands in lines of the audit log, which are read back up to a bound.
const MAX_BY: usize = 800;
/// Longest note, in bytes.
const MAX_NOTE: usize = 4000;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearance {
    /// The keyed hash of the caller or query.
    pub subject: String,
    /// Name of the source.
    pub source: String,
    /// The source's identifier of the identity.
    pub entity: String,
    /// The hash of what the source said of it.
    pub fingerprint: String,
    /// The name it was listed under.
    pub name: String,
    /// Who cleared it.
    pub by: String,
    /// When.
    pub time: String,
    /// Why.
    pub note: String,
    /// The clearance is taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

impl Clearance {
    fn is_about(&self, source: &str, entity: &str) -> bool {
        self.source == source && self.entity == entity
    }
}

/// A match that cannot be cleared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCleared {
    /// The list has no such identity.
    #[error("the list has no identity {0} of the source {1}")]
    Unknown(String, String),
    /// It is not said who clears it, or why.
    #[error("say {0}")]
    Unsaid(&'static str),
    /// A text is longer than its bound.
    #[error("{0} is longer than {1} bytes")]
    Long(&'static str, usize),
}

/// By subject.
type Table = HashMap<String, Vec<Clearance>>;

/// The clearances in force.
#[derive(Debug)]
pub struct Cleared {
    path: PathBuf,
    table: RwLock<Table>,
    stamp: Mutex<Option<Stamp>>,
}

impl Cleared {
    /// Reads the clearances; there are none before the first is made.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let stamp = Stamp::of(path);
        let table =
            read(path).with_context(|| format!("failed to read the clearances {}", path.display()))?;
        Ok(Self { path: path.to_owned(), table: RwLock::new(table), stamp: Mutex::new(stamp) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.read().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the file anew if it has changed, and says whether the clearances are others now. A file that cannot be read
    /// leaves them as they are.
    pub(super) fn refresh(&self) -> bool {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Stamp::of(&self.path);
        if now == *stamp {
            return false;
        }
        *stamp = now;
        match read(&self.path) {
            Ok(table) => {
                let mut known = self.table.write().unwrap_or_else(PoisonError::into_inner);
                let changed = *known != table;
                *known = table;
                changed
            }
            Err(error) => {
                tracing::error!("failed to read the clearances {} anew: {error}", self.path.display());
                false
            }
        }
    }

    /// How many clearances the subjects have.
    pub(super) fn count(&self, subjects: &[Option<String>]) -> usize {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        subjects.iter().flatten().filter_map(|subject| table.get(subject)).map(Vec::len).sum()
    }

    /// The clearance of a hit, if it holds for one of the subjects and the identity is still what it was.
    pub(super) fn find(&self, subjects: &[Option<String>], hit: &Hit, list: &Loaded) -> Option<Clearance> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let entity = list.watchlist.data().entities.get(hit.entity as usize)?;
        let mut cleared = subjects.iter().flatten().filter_map(|subject| table.get(subject)).flatten();
        cleared.find(|c| c.is_about(&hit.source, &hit.id) && c.fingerprint == fingerprint(entity)).cloned()
    }

    /// Appends a clearance. It holds from the next [`refresh`](Self::refresh) on.
    ///
    /// # Errors
    /// [`NotCleared`], or when the file cannot be written.
    pub(super) fn add(&self, subject: &str, act: &Act<'_>, list: &Loaded, time: &str) -> Result<Clearance> {
        if act.by.trim().is_empty() {
            return Err(NotCleared::Unsaid("who clears the match").into());
        }
        if act.note.trim().is_empty() {
            return Err(NotCleared::Unsaid("in a note why the match is false").into());
        }
        for (what, text, most) in
            [("the name of who clears the match", act.by, MAX_BY), ("the note", act.note, MAX_NOTE)]
        {
            if text.trim().len() > most {
                return Err(NotCleared::Long(what, most).into());
            }
        }
        let unknown = || NotCleared::Unknown(act.id.to_owned(), act.source.to_owned());
        let entity = list.entity(act.source, act.id).ok_or_else(unknown)?;
        let clearance = Clearance {
            subject: subject.to_owned(),
            source: act.source.to_owned(),
            entity: act.id.to_owned(),
            fingerprint: fingerprint(entity),
            name: entity.title().to_owned(),
            by: act.by.trim().to_owned(),
            time: time.to_owned(),
            note: act.note.trim().to_owned(),
            revoked: act.revoke,
        };
        let mut line = serde_json::to_vec(&clearance).context("failed to render the clearance")?;
        line.push(b'\n');
        append(&self.path, &line)
            .with_context(|| format!("failed to write to the clearances {}", self.path.display()))?;
        Ok(clearance)
    }
}

/// What a source says of an identity, in one hash. The place of the source in its list says nothing.
fn fingerprint(entity: &Entity) -> String {
    let entity = Entity { source: 0, ..entity.clone() };
    let bytes = serde_json::to_vec(&entity).unwrap_or_default();
    blake3::hash(&bytes).to_hex()[..32].to_owned()
}

/// Appends a line, whole or not at all.
fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    let before = file.metadata()?.len();
    let mut text = Vec::with_capacity(line.len() + 1);
    if before > 0 && !ends_a_line(&file, before)? {
        // Half a line of a host that failed stays what it is: no clearance.
        text.push(b'\n');
    }
    text.extend_from_slice(line);
    let written = file.write_all(&text).and_then(|()| file.sync_data());
    if written.is_err() {
        let _ = file.set_len(before);
    }
    written
}

fn ends_a_line(file: &File, len: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let mut last = [0];
    file.read_exact_at(&mut last, len - 1)?;
    Ok(last == *b"\n")
}

/// The clearances of a file; a later line on the same match takes the place of an earlier one. What is no clearance clears
/// nothing, and is said.
fn read(path: &Path) -> io::Result<Table> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MAX_FILE + 1).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Table::new()),
        Err(error) => return Err(error),
    };
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    let mut table = Table::new();
    let mut malformed = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&b| b == b'\n')).filter(|(_, line)| !line.is_empty()) {
        let Ok(clearance) = serde_json::from_slice::<Clearance>(line) else {
            malformed.push(number);
            continue;
        };
        let of_subject = table.entry(clearance.subject.clone()).or_default();
        of_subject.retain(|earlier| !earlier.is_about(&clearance.source, &clearance.entity));
        if !clearance.revoked {
            of_subject.push(clearance);
        }
    }
    if let Some(first) = malformed.first() {
        let (count, path) = (malformed.len(), path.display());
        tracing::warn!("{path}:{first}: no clearance; {count} such lines clear nothing");
    }
    Ok(table)
}

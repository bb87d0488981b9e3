//! The store: what a trainer remembers from run to run, in one file.
//!
//! It keeps the sessions that models are learned from (`tape`), bounded and decayed (`thin`), and the pattern
//! graphs of the latest model, which can be looked up by the interfaces they share. A run reads the sessions, adds its
//! input to them, learns a whole model from both, and writes back what changed: in one transaction, so that a run
//! that is killed leaves the store as it was. Graphs and names are kept by text, not by a model's numbers, as the
//! names that a later run learns may differ.
//!
//! The database is redb's, which also locks it; every page is checked when it is opened, and what is read from it is
//! checked again before use.

mod code;
mod graphs;
mod tables;
mod tape;
mod texts;
mod thin;

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use gait_common::model::ModelData;
use redb::{
    Database, DatabaseError, MultimapTableHandle as _, ReadableDatabase as _, ReadableTableMetadata as _,
    TableHandle as _,
};
use serde::{Deserialize, Serialize};

use crate::corpus::Source;
pub use graphs::StoredGraph;
use tape::Tape;
pub use thin::Memory;

/// The file in a store's directory.
const FILE: &str = "gait-store.redb";
/// The version of what is in it.
const VERSION: u64 = 1;

/// A store on disk.
pub struct Store {
    path: PathBuf,
    database: Database,
}

/// What one run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Calls and ready-made sessions that were read.
    pub read: u64,
    /// Of these, how many were in the store already.
    pub known: u64,
    /// Days of log time after which half of the sessions are dropped; none for their age without.
    pub half_life: Option<f64>,
    /// Start of the earliest and of the latest call kept after it, Unix time in nanoseconds; 0 without times.
    pub first_call: u64,
    /// See `first_call`.
    pub last_call: u64,
    /// Sessions, calls and callers learned from, and graphs made of them.
    pub sessions: u64,
    /// See `sessions`.
    pub calls: u64,
    /// See `sessions`.
    pub callers: u64,
    /// See `sessions`.
    pub graphs: u64,
}

/// What is in a store.
#[derive(Debug, Serialize)]
pub struct Contents {
    /// The store's file.
    pub path: PathBuf,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The runs, oldest first.
    pub runs: Vec<Run>,
    /// Sessions kept, with and without times.
    pub sessions: u64,
    /// Texts kept: callers, requests and interfaces.
    pub texts: u64,
    /// Pattern graphs that were asked for.
    pub graphs: Vec<StoredGraph>,
}

/// A store's sessions and those of an input, to be learned from and then written back.
pub struct Recorded {
    tape: Tape,
    run: Run,
}

impl Store {
    /// Opens the store in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// When there is something else in its place, it is damaged, or another run uses it.
    pub fn open(directory: &Path) -> Result<Self> {
        // What is in it is as private as the logs it comes from.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(directory)
            .with_context(|| format!("failed to make the directory of the store {}", directory.display()))?;
        let path = directory.join(FILE);
        if !path.exists() {
            create(&path).with_context(|| format!("failed to make the store {}", path.display()))?;
        }
        Self::open_existing(directory)
    }

    /// Opens a store that is there.
    ///
    /// # Errors
    /// As [`Self::open`], and when there is none.
    pub fn open_existing(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let opened = Database::builder().set_check_integrity_on_open(true).open(&path);
        let opened = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                anyhow!("another run is using it; wait until that has ended")
            }
            DatabaseError::Storage(redb::StorageError::Io(error))
                if error.kind() != std::io::ErrorKind::InvalidData =>
            {
                error.into()
            }
            other => damaged(&other.to_string()),
        });
        let store = opened.map(|database| Self { path: path.clone(), database });
        let checked = store.and_then(|store| store.check().map(|()| store));
        checked.with_context(|| format!("failed to open the store {}", path.display()))
    }

    /// Whether this is a store of ours, of a known version, or empty.
    fn check(&self) -> Result<()> {
        let read = self.database.begin_read()?;
        let known: Vec<_> = tables::NAMES.into();
        let names = read.list_tables()?.map(|table| table.name().to_owned());
        let names: Vec<String> =
            names.chain(read.list_multimap_tables()?.map(|table| table.name().to_owned())).collect();
        if let Some(foreign) = names.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("this is another program's database: it has a table `{foreign}`; give another directory");
        }
        let Ok(meta) = read.open_table(tables::META) else {
            return if names.is_empty() { Ok(()) } else { Err(damaged("its version is missing")) };
        };
        match meta.get("version")?.map(|version| version.value()) {
            Some(VERSION) => Ok(()),
            Some(version) => bail!(
                "it is of version {version}, and this program knows version {VERSION}: use the program that wrote it, or train anew into another directory"
            ),
            None => Err(damaged("its version is missing")),
        }
    }

    /// Adds an input to the store's sessions, in memory; without input, gives the store's sessions. What `memory`
    /// forgets is left out.
    ///
    /// # Errors
    /// When the input cannot be read, or the store is damaged.
    pub fn record(&self, input: Option<&dyn Source>, memory: &Memory) -> Result<Recorded> {
        let mut tape =
            self.tape().with_context(|| format!("failed to read the store {}", self.path.display()))?;
        let mut run = Run { half_life: memory.half_life, ..Run::default() };
        if let Some(input) = input {
            (run.read, run.known) = tape.record(input)?;
        }
        thin::thin(&mut tape, memory);
        run.first_call = tape.rows.first().map_or(0, |row| row.start);
        run.last_call = tape.rows.last().map_or(0, |row| row.start);
        Ok(Recorded { tape, run })
    }

    fn tape(&self) -> Result<Tape> {
        let read = self.database.begin_read()?;
        if read.list_tables()?.next().is_none() {
            return Ok(Tape::default());
        }
        tables::read(&read)?.ok_or_else(|| damaged("its sessions contradict themselves"))
    }

    /// Writes back what changed, with the graphs of the model that was learned: all of it or nothing.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn commit(&self, recorded: Recorded, model: &ModelData, session_idle: u64) -> Result<Run> {
        let Recorded { mut tape, mut run } = recorded;
        run.sessions = model.meta.sessions;
        run.calls = model.meta.calls;
        run.callers = model.meta.callers;
        run.graphs = model.patterns.graphs.len() as u64;
        let graphs = graphs::named(&mut tape.texts, model);
        let write = |tape: &mut Tape| -> Result<()> {
            let transaction = self.database.begin_write()?;
            tables::write(&transaction, tape, graphs, session_idle)?;
            {
                let mut runs = transaction.open_table(tables::RUNS)?;
                let number = runs.len()?;
                runs.insert(number, serde_json::to_string(&run)?.as_str())?;
                transaction.open_table(tables::META)?.insert("version", VERSION)?;
            }
            transaction.commit()?;
            Ok(())
        };
        write(&mut tape).with_context(|| format!("failed to write the store {}", self.path.display()))?;
        Ok(run)
    }

    /// What is in the store. With `interface`, the graphs are those that hold an interface whose name contains it.
    ///
    /// # Errors
    /// When the store is damaged.
    pub fn contents(&self, interface: Option<&str>) -> Result<Contents> {
        let context = || format!("failed to read the store {}", self.path.display());
        let bytes = std::fs::metadata(&self.path).with_context(context)?.len();
        let mut contents = Contents {
            path: self.path.clone(),
            bytes,
            runs: Vec::new(),
            sessions: 0,
            texts: 0,
            graphs: Vec::new(),
        };
        let read = self.database.begin_read()?;
        if read.list_tables()?.next().is_some() {
            tables::describe(&read, interface, &mut contents).with_context(context)?;
        }
        Ok(contents)
    }
}

impl Recorded {
    /// What is to be learned from.
    pub fn source(&self) -> &dyn Source {
        &self.tape
    }
}

/// Makes an empty database, whole or not at all.
fn create(path: &Path) -> Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let created = Database::create(&temporary).map(drop).map_err(anyhow::Error::from);
    let created = created.and_then(|()| Ok(std::fs::rename(&temporary, path)?));
    if created.is_err() {
        // Whatever went wrong, no half file stays behind; the first error is the one to report.
        let _ = std::fs::remove_file(&temporary);
    }
    created
}

fn damaged(why: &str) -> anyhow::Error {
    anyhow!(
        "it is damaged, or no store of gait-trainer ({why}); move it away and train anew from the logs there are"
    )
}

/// Sessions by key.
type Sessions = BTreeMap<(u64, u32), Vec<u8>>;

#[cfg(test)]
mod tests;

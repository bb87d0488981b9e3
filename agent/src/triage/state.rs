//! How far the inputs were read and the output was written: what a restart goes on from.
//!
//! It is written after the output: what it says is there. Lines that were written to the output after it are recognised
//! there by what they hold, so that a process that was killed repeats none of them.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::output::Place;
use super::tail::Position;

/// The form of the file.
const VERSION: u32 = 1;
/// More than the state of many inputs needs.
const MAX_FILE: u64 = 1 << 20;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The form of this file.
    pub version: u32,
    /// Where the output ended; `None` when it was no file.
    pub output: Option<Place>,
    /// The inputs.
    pub inputs: Vec<Input>,
}

/// How far an input was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its path, as it was named.
    pub path: PathBuf,
    /// How far.
    pub position: Position,
}

impl State {
    /// Reads what was remembered; nothing when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || format!("failed to read how far alerts were judged, {}", path.display());
        let mut text = String::new();
        match File::open(path) {
            Ok(file) => file.take(MAX_FILE).read_to_string(&mut text).with_context(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(failed),
        };
        let state: Self = serde_json::from_str(&text)
            .with_context(failed)
            .context("delete the file to judge everything from its start")?;
        if state.version != VERSION {
            bail!("{} is of version {}, this program writes {VERSION}", path.display(), state.version);
        }
        Ok(state)
    }

    /// What is remembered of an input.
    pub fn position(&self, path: &Path) -> Option<&Position> {
        self.inputs.iter().find(|input| input.path == path).map(|input| &input.position)
    }

    /// Writes it, so that after a crash there is either the old state or this one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, path: &Path) -> Result<()> {
        self.version = VERSION;
        let failed = || format!("failed to write how far alerts were judged, {}", path.display());
        let mut text = serde_json::to_vec(self).with_context(failed)?;
        text.push(b'\n');
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".tmp");
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::create_dir_all(dir).with_context(failed)?;
        }
        let mut file = File::create(&unfinished).with_context(failed)?;
        file.write_all(&text).with_context(failed)?;
        file.sync_data().with_context(failed)?;
        fs::rename(&unfinished, path).with_context(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_refused() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("a/state.json");
        assert_eq!(State::read(&path).expect("nothing"), State::default());
        let position = Position { offset: 7, ..Position::default() };
        let mut state =
            State { inputs: vec![Input { path: "eve.json".into(), position }], ..State::default() };
        state.write(&path).expect("written");
        assert_eq!(State::read(&path).expect("read"), state);
        assert_eq!(state.position(Path::new("eve.json")).map(|position| position.offset), Some(7));
        for bad in ["", "{}", "{\"version\":9,\"output\":null,\"inputs\":[]}"] {
            fs::write(&path, bad).expect("file");
            let error = format!("{:#}", State::read(&path).expect_err(bad));
            assert!(error.contains("state.json"), "{error}");
        }
    }
}

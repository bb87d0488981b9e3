//! Findings as JSON lines, appended to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Options, Report, Sink};

#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: File,
}

pub(super) fn open(options: &Options) -> Result<Option<Box<dyn Sink>>> {
    let Some(path) = &options.file else { return Ok(None) };
    let file =
        append(path).with_context(|| format!("failed to open the findings file {}", path.display()))?;
    Ok(Some(Box::new(Lines { path: path.clone(), file })))
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

impl Sink for Lines {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn write(&mut self, report: &Report) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(&report.line);
        if written.is_err() {
            // Half a line, as a full disk leaves it, would spoil the next one.
            let _ = self.file.set_len(before);
        }
        written
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        Ok(())
    }
}

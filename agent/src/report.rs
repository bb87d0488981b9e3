//! Findings on their way out: rendered once, written to every sink. The only place that writes findings.
//!
//! A new sink is one file with a function that opens it, and one line in `SINKS`.

mod file;
mod listed;
mod ocsf;
mod outlet;
mod pretty;
mod stdout;
mod trees;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use std::{fmt, io};

use anyhow::Result;
use gait_common::finding::Anomaly;
use serde::Serialize;

use crate::screen::{Listed, Standing};
use outlet::Outlet;

pub use pretty::paragraph;

/// How often a sink that failed is tried again, and how soon a wish to reopen is met.
const RETRY: Duration = Duration::from_millis(500);

/// Opens a kind of sink if the options ask for it.
type Open = fn(&Options) -> Result<Option<Box<dyn Sink>>>;

/// Every kind of sink.
const SINKS: &[Open] = &[file::open, stdout::open, pretty::open];

/// Where findings go.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A file to append JSON lines to; without one they go to stdout.
    pub file: Option<PathBuf>,
    /// Write for people, on stdout, in place of JSON lines.
    pub pretty: bool,
    /// Who reports.
    pub origin: Origin,
    /// Callers whose name is on a list: what they do weighs more.
    pub listed: Option<Arc<Listed>>,
}

/// Who reports; part of every finding.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The host's name.
    pub host: String,
    /// The model's fingerprint.
    pub model: String,
}

/// A finding and its form as one line of JSON, with its line end.
#[derive(Debug)]
pub struct Report {
    /// The finding.
    pub finding: Anomaly,
    /// It as an OCSF Detection Finding.
    pub line: Vec<u8>,
    /// What is known of the caller, where its behaviour is reported.
    pub listed: Option<Standing>,
}

/// A place that findings are written to.
pub trait Sink: fmt::Debug + Send {
    /// Its name in messages.
    fn name(&self) -> String;

    /// Writes one finding, whole or not at all.
    ///
    /// # Errors
    /// When it could not be written; it will be tried again.
    fn write(&mut self, report: &Report) -> io::Result<()>;

    /// Opens its file anew, after somebody moved it away.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of the findings, over all sinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Findings taken in.
    pub reported: u64,
    /// Findings written, once for each sink.
    pub written: u64,
    /// Findings that a sink never took.
    pub lost: u64,
}

/// Writes findings to all sinks.
#[derive(Debug)]
pub struct Reporter {
    outlets: Vec<Outlet>,
    origin: Origin,
    listed: Option<Arc<Listed>>,
    reported: u64,
}

impl Reporter {
    /// Opens the sinks that are asked for.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open(options: &Options) -> Result<Self> {
        let mut outlets = Vec::new();
        for open in SINKS {
            outlets.extend(open(options)?.map(Outlet::new));
        }
        Ok(Self { outlets, origin: options.origin.clone(), listed: options.listed.clone(), reported: 0 })
    }

    /// Writes a finding to every sink. A sink that fails is reported, and tried again with the next finding.
    ///
    /// # Errors
    /// When the finding cannot be rendered, which would be a defect.
    pub fn report(&mut self, finding: impl Into<Anomaly>) -> Result<()> {
        let finding = finding.into();
        self.reported += 1;
        let listed = match (&self.listed, &finding) {
            (Some(listed), Anomaly::Session(finding)) => listed.standing(&finding.caller),
            _ => None,
        };
        let line = ocsf::line(&finding, &self.origin, listed.as_ref())?;
        let report = Arc::new(Report { finding, line, listed });
        self.outlets.iter_mut().for_each(|outlet| outlet.take(&report));
        Ok(())
    }

    /// Writes the findings that come through `findings` until their senders are gone. When `reopen` is set, files are
    /// opened anew and it is cleared.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn run(mut self, findings: &Receiver<Anomaly>, reopen: &AtomicBool) -> Result<Counts> {
        loop {
            let next = findings.recv_timeout(RETRY);
            if reopen.swap(false, Ordering::Relaxed) {
                self.outlets.iter_mut().for_each(Outlet::reopen);
            }
            match next {
                Ok(finding) => self.report(finding)?,
                Err(RecvTimeoutError::Timeout) => self.outlets.iter_mut().for_each(Outlet::retry),
                Err(RecvTimeoutError::Disconnected) => return Ok(self.finish()),
            }
        }
    }

    /// Tries what still waits once more and gives it up.
    pub fn finish(mut self) -> Counts {
        let mut counts = Counts { reported: self.reported, ..Counts::default() };
        for outlet in &mut self.outlets {
            let (written, lost) = outlet.finish();
            counts.written += written;
            counts.lost += lost;
        }
        counts
    }
}

#[cfg(test)]
mod tests;

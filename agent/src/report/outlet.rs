//! A sink and the findings that wait for it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Report, Sink};

/// Findings that wait for a sink that fails. Beyond it the oldest are lost.
const MAX_WAITING: usize = 10_000;

/// A sink with its queue: one that fails does not hold up the others.
#[derive(Debug)]
pub(super) struct Outlet {
    sink: Box<dyn Sink>,
    waiting: VecDeque<Arc<Report>>,
    failing: bool,
    written: u64,
    lost: u64,
}

impl Outlet {
    pub(super) fn new(sink: Box<dyn Sink>) -> Self {
        Self { sink, waiting: VecDeque::new(), failing: false, written: 0, lost: 0 }
    }

    /// Takes a finding, and writes it if the sink lets.
    pub(super) fn take(&mut self, report: &Arc<Report>) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(Arc::clone(report));
        self.retry();
    }

    /// Writes what waits, the oldest first, until the sink refuses.
    pub(super) fn retry(&mut self) {
        while let Some(report) = self.waiting.front() {
            if let Err(error) = self.sink.write(report) {
                if !std::mem::replace(&mut self.failing, true) {
                    let name = self.sink.name();
                    tracing::error!(
                        "failed to write a finding to {name}: {error}; it waits and is tried again"
                    );
                }
                return;
            }
            self.waiting.pop_front();
            self.written += 1;
        }
        if std::mem::take(&mut self.failing) {
            tracing::info!("findings can be written to {} again; none waits any more", self.sink.name());
        }
    }

    pub(super) fn reopen(&mut self) {
        match self.sink.reopen() {
            Ok(()) => tracing::debug!("opened {} anew", self.sink.name()),
            Err(error) => tracing::error!("failed to open {} anew: {error}", self.sink.name()),
        }
    }

    /// Tries once more; gives how many findings were written in all, and how many are lost.
    pub(super) fn finish(&mut self) -> (u64, u64) {
        self.retry();
        self.lost += self.waiting.len() as u64;
        self.waiting.clear();
        (self.written, self.lost)
    }
}

//! A thread that keeps the plan up to date, since reading a large program takes longer than the rings can wait.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::plan::{INTERVAL, Plan};
use super::point::Change;

/// Changes that may wait to be taken.
const WAITING: usize = 4;

/// A running watch. Dropping it ends the thread.
#[derive(Debug)]
pub struct Watcher {
    /// `None` once the thread is to end.
    ends: Option<(Sender<()>, Receiver<Change>)>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Looks at the host every [`INTERVAL`]. What is in the plan already is not reported again.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(mut plan: Plan) -> io::Result<Self> {
        let (end, ended) = channel::<()>();
        let (changes, taken) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("functions".to_owned()).spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let change = plan.refresh(Instant::now());
                if change != Change::default() && changes.send(change).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { ends: Some((end, taken)), thread: Some(thread) })
    }

    /// The next change, if there is one. Does not wait.
    pub fn next_change(&self) -> Option<Change> {
        self.ends.as_ref()?.1.try_recv().ok()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ends = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

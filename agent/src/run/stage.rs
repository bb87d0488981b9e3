//! A thread that is waited for, with a deadline.

use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// A part of the agent on its own thread.
pub(super) struct Stage<T> {
    name: &'static str,
    outcome: oneshot::Receiver<Result<T>>,
    early: Option<Result<T>>,
}

impl<T: Send + 'static> Stage<T> {
    /// Starts a part.
    pub(super) fn start(
        name: &'static str,
        part: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let (done, outcome) = oneshot::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Nobody waits any more once the deadline has passed.
                let _ = done.send(part());
            })
            .with_context(|| format!("failed to start the {name} thread"))?;
        Ok(Self { name, outcome, early: None })
    }

    /// Resolves when the part has ended. May be dropped and called again.
    pub(super) async fn ended(&mut self) {
        if self.early.is_none() {
            let outcome = (&mut self.outcome).await;
            self.early = Some(flatten(self.name, outcome));
        }
    }

    /// The part's outcome, by `deadline`.
    pub(super) async fn end(mut self, deadline: Instant) -> Result<T> {
        if timeout_at(deadline, self.ended()).await.is_err() {
            bail!("the {} thread did not finish in time; what it held is lost", self.name);
        }
        self.early.unwrap_or_else(|| Err(anyhow!("the {} thread left no outcome", self.name)))
    }
}

/// Resolves when a part that may not be there has ended; never when it is not there.
pub(super) async fn any_ended<T: Send + 'static>(stage: &mut Option<Stage<T>>) {
    match stage {
        Some(stage) => stage.ended().await,
        None => std::future::pending().await,
    }
}

/// The outcome of a part that may not be there, by `deadline`.
pub(super) async fn end_any<T: Send + 'static>(
    stage: Option<Stage<T>>,
    deadline: Instant,
) -> Result<Option<T>> {
    match stage {
        Some(stage) => stage.end(deadline).await.map(Some),
        None => Ok(None),
    }
}

fn flatten<T>(name: &str, outcome: Result<Result<T>, oneshot::error::RecvError>) -> Result<T> {
    outcome.unwrap_or_else(|_| Err(anyhow!("the {name} thread panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime").block_on(future)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(100)
    }

    #[test]
    fn a_part_hands_over_what_it_did() {
        let stage = Stage::start("test", || Ok(7)).expect("thread");
        assert_eq!(block_on(async { stage.end(soon()).await }).expect("ended"), 7);
    }

    #[test]
    fn a_part_that_hangs_does_not_hold_up_the_end() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let stage = Stage::start("stuck", move || Ok(receiver.recv().is_ok())).expect("thread");
        let error = block_on(async { stage.end(soon()).await }).expect_err("stuck").to_string();
        assert_eq!(error, "the stuck thread did not finish in time; what it held is lost");
        drop(sender);
    }

    #[test]
    fn a_part_that_fails_early_is_noticed_and_its_error_kept() {
        let mut stage = Stage::<()>::start("test", || bail!("no space")).expect("thread");
        let error = block_on(async {
            stage.ended().await;
            stage.ended().await;
            stage.end(soon()).await
        });
        assert_eq!(error.expect_err("failed").to_string(), "no space");
    }
}

//! Ctrl-C and SIGTERM: noticed by the commands that have something to clean up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static SEEN: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on an interrupt is remembered instead of ending us at once; a second one ends us.
pub(crate) fn watch() -> Result<()> {
    let seen = SEEN.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(seen))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(seen)))
            .with_context(|| format!("failed to handle signal {signal}"))?;
    }
    Ok(())
}

/// Whether an interrupt came since [`watch`].
pub(crate) fn seen() -> bool {
    SEEN.get().is_some_and(|seen| seen.load(Ordering::Relaxed))
}

/// An error once an interrupt came.
pub(crate) fn check() -> Result<()> {
    if seen() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps, but no longer than until an interrupt.
pub(crate) fn sleep(time: std::time::Duration) -> Result<()> {
    let until = std::time::Instant::now() + time;
    loop {
        check()?;
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(std::time::Duration::from_millis(20)));
    }
}

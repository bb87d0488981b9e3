//! How far long work has come, for whoever watches a terminal; in a pipe nothing is shown.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::ingest::{Reading, Watch};

/// How often what is shown is drawn anew when nothing moves.
const TICK: Duration = Duration::from_millis(200);

/// A line on the terminal: what is done, how far it is, how fast it goes, and how long it will take.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Default for Progress {
    fn default() -> Self {
        Self(ProgressBar::hidden())
    }
}

impl Progress {
    /// Shown on standard error where that is a terminal.
    #[must_use]
    pub fn on_terminal() -> Self {
        Self(ProgressBar::no_length())
    }

    /// Begins to read: `what` is shown until the next step begins.
    pub fn reads(&self, what: &'static str) {
        self.begin(what, "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
    }

    /// Begins `total` steps of work.
    pub fn works(&self, what: &'static str, total: usize) {
        self.begin(what, "{msg} {wide_bar} {pos}/{len}, {eta} left");
        self.0.set_length(total as u64);
    }

    /// One more step is done.
    pub fn step(&self) {
        self.0.inc(1);
    }

    /// Nothing more comes: the line goes away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }

    /// What reading tells its progress to.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let bar = self.0.clone();
        Watch(Arc::new(move |reading| match reading {
            Reading::Begins(bytes) => bar.set_length(bytes),
            Reading::Read(bytes) => bar.inc(bytes),
        }))
    }

    fn begin(&self, what: &'static str, template: &str) {
        self.0.reset();
        self.0.set_length(0);
        // A template is fixed text: the fallback is for the type alone.
        let style = ProgressStyle::with_template(template);
        self.0.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.0.set_message(what);
        self.0.enable_steady_tick(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Format, Options, read};

    #[test]
    fn reading_is_told_to_the_last_byte() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let paths: Vec<String> =
            ["a.txt", "b.txt"].map(|name| dir.path().join(name).display().to_string()).into();
        paths.iter().for_each(|path| std::fs::write(path, "1,a b c\n".repeat(10_000)).expect("file"));
        let progress = Progress::default();
        progress.reads("reading");
        let options = Options { watch: Some(progress.watch()), ..Options::default() };
        read(&paths, Format::Sequences, &options, &mut |_, _| Ok(())).expect("sequences");
        assert_eq!((progress.0.position(), progress.0.length()), (160_000, Some(160_000)));
    }
}

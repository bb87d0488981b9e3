//! Screening as a user meets it: at a terminal, in files of names, by HTTP.

mod batch;
mod made;
mod terminal;
mod web;

use std::path::Path;

use tempfile::TempDir;

/// A configuration with the made-up list, clearances and an audit log, each in a directory of its own.
struct Place {
    dir: TempDir,
    config: String,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        made::list(&dir.path().join("list"));
        let config = crate::support::path(dir.path(), "gait.toml");
        let text = format!("state_dir = {:?}\n[screening]\n{}\n", dir.path(), screening(dir.path()));
        std::fs::write(&config, text).expect("a file");
        Self { dir, config }
    }

    fn file(&self, name: &str) -> String {
        crate::support::path(self.dir.path(), name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).expect("a file")
    }

    fn screen(&self, args: &[&str]) -> crate::support::Ended {
        crate::support::agent(&[&["screen", "--config", &self.config], args].concat())
    }
}

fn screening(dir: &Path) -> String {
    let file = |name: &str| dir.join(name);
    format!(
        "list = {:?}\ncleared = {:?}\naudit = {:?}",
        file("list"),
        file("cleared.jsonl"),
        file("audit.jsonl")
    )
}

//! Files that are written whole or not at all.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file under a temporary name first, then renames it, so that an interrupted run leaves no half file and a
/// reader never sees one. `what` names it in an error: "the model".
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, bytes: &[u8], what: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut out = File::create(&temporary)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // Whatever went wrong, no half file stays behind; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("failed to write {what} {}", path.display()))
}

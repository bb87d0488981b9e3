//! Whether a file is still the one that was read.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What tells editions of a file apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp([i64; 6]);

impl Stamp {
    /// The file as it is now; `None` when there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = path.metadata().ok()?;
        let whole = |n: u64| n.cast_signed();
        Some(Self([
            whole(meta.dev()),
            whole(meta.ino()),
            whole(meta.len()),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime_nsec(),
        ]))
    }
}

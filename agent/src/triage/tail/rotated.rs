//! Finds the files that a file was rotated to.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};

use super::source::Source;

/// Rotated files that are looked at, at most: the latest.
const MAX_FILES: usize = 64;

/// How often the directory is listed anew because files were renamed meanwhile, at most.
const LISTINGS: usize = 50;

/// The files that `path` was rotated to and that were written at `since` (Unix, ns) or later, the latest last; how many
/// could not be opened or unpacked. Left out are those in `known`, by device and inode.
pub(super) fn newer(path: &Path, since: i128, known: &[(u64, u64)]) -> io::Result<(VecDeque<Source>, u64)> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Default::default()) };
    // A file that is renamed between the listing and its opening would be missed, or taken for another.
    let mut listed = list(dir, name)?;
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for _ in 0..LISTINGS {
        (found, unreadable) = open(dir, &listed);
        let again = list(dir, name)?;
        if again == listed {
            break;
        }
        listed = again;
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    found.retain(|(modified, _, source)| *modified >= since && !known.contains(&source.file_id()));
    // Of files that were written at the same time the one rotated last has the lowest number.
    let number =
        |name: &str| (plain_name(name).unwrap_or(name).len(), plain_name(name).unwrap_or(name).to_owned());
    found.sort_by_cached_key(|(modified, name, _)| (*modified, std::cmp::Reverse(number(name))));
    let latest = found.len().saturating_sub(MAX_FILES);
    Ok((found.drain(latest..).map(|(_, _, source)| source).collect(), unreadable))
}

/// Names that the file was rotated to, with their inodes. Of a file and its compressed form only the file: it is being
/// compressed.
fn list(dir: &Path, name: &str) -> io::Result<Vec<(String, u64)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let inode = entry.ino();
        all.extend(
            entry
                .file_name()
                .into_string()
                .ok()
                .filter(|other| is_rotated(name, other))
                .map(|name| (name, inode)),
        );
    }
    all.sort_unstable();
    let is_packing = |name: &str| {
        plain_name(name)
            .is_some_and(|plain| all.binary_search_by(|(name, _)| name.as_str().cmp(plain)).is_ok())
    };
    Ok(all.iter().filter(|(name, _)| !is_packing(name)).cloned().collect())
}

fn open(dir: &Path, listed: &[(String, u64)]) -> (Vec<(i128, String, Source)>, u64) {
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for (name, _) in listed {
        let file: PathBuf = dir.join(name);
        match Source::unpacked(&file) {
            Ok(Some(source)) => found.push((source.modified(), name.clone(), source)),
            // Renamed: the next listing has it.
            Ok(None) => {}
            Err(error) => {
                unreadable += 1;
                tracing::warn!("failed to read {}: {error}", file.display());
            }
        }
    }
    (found, unreadable)
}

/// The name without the ending of a compressed file.
fn plain_name(name: &str) -> Option<&str> {
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst"))
}

/// Whether `other` is a name that `name` is rotated to: `eve.json.1`, `eve.json-20240517`, `eve.json.2.gz`, `eve-20240517.json`,
/// `eve.json.old`.
fn is_rotated(name: &str, other: &str) -> bool {
    let other = plain_name(other).unwrap_or(other);
    let number = |rest: &str, marks: &[u8]| {
        rest.as_bytes().split_first().is_some_and(|(mark, rest)| {
            let digit =
                |&b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b':' | b'T' | b'Z' | b'+');
            marks.contains(mark) && rest.first().is_some_and(u8::is_ascii_digit) && rest.iter().all(digit)
        })
    };
    if let Some(rest) = other.strip_prefix(name) {
        return rest == ".old" || number(rest, b".-");
    }
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let dated = other.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
    // Not `eve.2.json`: Suricata's threads write such files beside each other.
    dated.is_some_and(|rest| number(rest, b"-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_never_taken_for_a_rotated_file() {
        for other in [
            "eve.json.1",
            "eve.json.12.gz",
            "eve.json-20240517",
            "eve.json-20240517-1715904000.zst",
            "eve-20240517.json.gz",
            "eve.json.old",
            "eve.json.2024-05-17T00:00:00Z",
        ] {
            assert!(is_rotated("eve.json", other), "{other}");
        }
        for other in [
            "eve.json",
            "eve.json.gz",
            "eve.json.triaged",
            "eve.json.1.tmp",
            "eve.2.json",
            "evening.json.1",
            "eve.json.bak",
            "eve-strict.json",
            "eve.json.",
        ] {
            assert!(!is_rotated("eve.json", other), "{other}");
        }
    }
}

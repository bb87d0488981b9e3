//! Finds the files that a file was rotated to.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::source::Source;

/// Rotated files that are looked at, at most: the latest.
const MAX_FILES: usize = 64;

/// The files that `path` was rotated to and that were written at `since` (Unix, ns) or later, the latest last; how many
/// could not be opened or unpacked. Left out are those in `known`, by device and inode.
pub(super) fn newer(path: &Path, since: i128, known: &[(u64, u64)]) -> io::Result<(VecDeque<Source>, u64)> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Default::default()) };
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string().ok().filter(|other| is_rotated(name, other)));
    }
    let mut found = Vec::new();
    let mut unreadable = 0;
    for other in &names {
        // While it is being compressed, the file itself is still there.
        if plain_name(other).is_some_and(|plain| names.iter().any(|name| name == plain)) {
            continue;
        }
        let file: PathBuf = dir.join(other);
        match Source::unpacked(&file) {
            Ok(Some(source)) => {
                let modified = source.modified();
                if modified >= since && !known.contains(&(source.device(), source.inode())) {
                    found.push((modified, other, source));
                }
            }
            Ok(None) => {}
            Err(error) => {
                unreadable += 1;
                tracing::warn!("failed to read {}: {error}", file.display());
            }
        }
    }
    // Of files that were written at the same time the one rotated last has the lowest number.
    found.sort_by(|a, b| (a.0, b.1.len(), b.1).cmp(&(b.0, a.1.len(), a.1)));
    let latest = found.len().saturating_sub(MAX_FILES);
    Ok((found.drain(latest..).map(|(_, _, source)| source).collect(), unreadable))
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

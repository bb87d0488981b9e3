//! The audit log: every answer as one line of JSON, each line chained to the one before it.
//!
//! A line's `prev` is the BLAKE3 hash of the line before it, its `seq` one more than that line's. Whoever takes a line
//! out, changes one or cuts the beginning off breaks the chain; what was cut off the end shows by comparison with a
//! tip that was noted earlier ([`verify`] takes one). The chain goes on over files that are moved away, and several
//! processes may write one log: each line is written under the file's lock, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest line that is read back; far more than any that is written.
const MAX_LINE: u64 = 1 << 20;
/// How every line begins.
const BEGINNING: &[u8] = b"{\"seq\":";
/// What stands in `prev` of a chain's first line.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A log that answers are appended to.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// The chain's end as of `len`.
    tip: Tip,
    len: u64,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Lines so far.
    pub seq: u64,
    /// The hash of the last one, in hexadecimal.
    pub hash: String,
}

/// What a line has besides what was answered.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    prev: &'a str,
    #[serde(flatten)]
    entry: &'a Value,
}

#[derive(Deserialize)]
struct Link {
    seq: u64,
    prev: String,
}

impl Default for Tip {
    fn default() -> Self {
        Self { seq: 0, hash: NOTHING.to_owned() }
    }
}

impl Audit {
    /// Opens a log, or makes it, and reads where its chain ends.
    ///
    /// # Errors
    /// When it cannot be opened, or its last line is none of an audit log.
    pub fn open(path: &Path) -> Result<Self> {
        let file =
            append(path).with_context(|| format!("failed to open the audit log {}", path.display()))?;
        let mut open = Open { file, tip: Tip::default(), len: 0 };
        lock(&open.file, |file| end_of_chain(file, &Tip::default()))
            .with_context(|| format!("failed to go on with the audit log {}", path.display()))?
            .clone_into(&mut open.tip);
        open.len = open.file.metadata().context("failed to look at the audit log")?.len();
        Ok(Self { path: path.to_owned(), open: Mutex::new(open) })
    }

    /// Appends entries, each an object, as one write.
    ///
    /// # Errors
    /// When they could not be written; then none of them was.
    pub fn append(&self, entries: &[Value]) -> Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.append(&self.path, entries)
            .with_context(|| format!("failed to write to the audit log {}", self.path.display()))
    }
}

impl Open {
    fn append(&mut self, path: &Path, entries: &[Value]) -> Result<()> {
        // Moved away, as log rotation does: the chain goes on in a new file.
        let moved = !path.metadata().is_ok_and(|now| {
            self.file.metadata().is_ok_and(|ours| (now.dev(), now.ino()) == (ours.dev(), ours.ino()))
        });
        if moved {
            self.file = append(path)?;
            self.len = 0;
        }
        let Self { file, tip, len } = self;
        lock(file, |file| {
            let before = file.metadata()?.len();
            // Somebody else wrote in between, or the file is new to us.
            let mut end = if before == *len { tip.clone() } else { end_of_chain(file, tip)? };
            let mut text = Vec::new();
            for entry in entries {
                let from = text.len();
                serde_json::to_writer(&mut text, &Line { seq: end.seq + 1, prev: &end.hash, entry })?;
                end = Tip { seq: end.seq + 1, hash: hash(&text[from..]) };
                text.push(b'\n');
            }
            if let Err(error) = file.write_all(&text) {
                // Half a line would break the chain for whoever comes next.
                let _ = file.set_len(before);
                return Err(error.into());
            }
            *len = before + text.len() as u64;
            *tip = end;
            Ok(())
        })
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

/// Does something while nobody else writes to the file.
fn lock<T>(file: &File, act: impl FnOnce(&mut &File) -> Result<T>) -> Result<T> {
    flock(file, FlockOperation::LockExclusive).context("failed to lock it")?;
    let outcome = act(&mut &*file);
    let _ = flock(file, FlockOperation::Unlock);
    outcome
}

/// Where the chain ends in a file; `before` when the file is empty. Half a line, as a host that failed leaves it, is
/// taken off.
fn end_of_chain(file: &mut &File, before: &Tip) -> Result<Tip> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(2 * MAX_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(2 * MAX_LINE).read_to_end(&mut end)?;
    let whole = end.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    ensure!(whole > 0 || from == 0, "its end holds no line");
    let tip = match end[..whole].split(|&b| b == b'\n').rfind(|line| !line.is_empty()) {
        None => before.clone(),
        Some(line) => {
            let link: Link =
                serde_json::from_slice(line).context("its last line is no line of an audit log")?;
            Tip { seq: link.seq, hash: hash(line) }
        }
    };
    let half = &end[whole..];
    if !half.is_empty() {
        // Somebody may have named another file by mistake: nothing is taken off that.
        ensure!(is_half_a_line(half), "it ends with what is no line of an audit log");
        tracing::warn!("the audit log ended with half a line, which was taken off");
        file.set_len(from + whole as u64)?;
    }
    Ok(tip)
}

/// Whether a line that was cut off is one of ours. A host that failed may leave zeroes in place of it.
fn is_half_a_line(half: &[u8]) -> bool {
    half.starts_with(BEGINNING) || BEGINNING.starts_with(half) || half.iter().all(|&byte| byte == 0)
}

fn hash(line: &[u8]) -> String {
    blake3::hash(line).to_hex().to_string()
}

/// What a whole chain is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Lines in the files.
    pub lines: u64,
    /// The first line's `seq`: more than 1 when what came before stands in another file.
    pub first: u64,
    /// The chain's end.
    pub tip: Tip,
}

/// Checks that the files, one after the other, hold one unbroken chain; and, given an earlier `tip`, that it is in it.
///
/// # Errors
/// When a file cannot be read, or the chain is broken: the error names the file and the line.
pub fn verify(files: &[PathBuf], tip: Option<&str>) -> Result<Verified> {
    let mut found: Option<Verified> = None;
    let mut seen = tip.is_none();
    for path in files {
        let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let place = || format!("{}:{number}", path.display());
            let read = (&mut reader).take(MAX_LINE + 1).read_until(b'\n', &mut line);
            if read.with_context(|| format!("failed to read {}", path.display()))? == 0 {
                break;
            }
            ensure!(line.pop() == Some(b'\n'), "{}: the line is cut short", place());
            let link: Link = serde_json::from_slice(&line)
                .with_context(|| format!("{}: no line of an audit log", place()))?;
            let before = found.as_ref().map(|verified| verified.tip.clone());
            let whole = match &before {
                Some(before) => link.prev == before.hash && link.seq == before.seq + 1,
                None => link.seq > 1 || (link.seq == 1 && link.prev == NOTHING),
            };
            if !whole {
                let after =
                    before.map_or_else(|| "the beginning".to_owned(), |tip| format!("line {}", tip.seq));
                bail!("{}: the chain is broken: {} does not follow {after}", place(), link.seq);
            }
            let end = Tip { seq: link.seq, hash: hash(&line) };
            seen |= tip.is_some_and(|tip| tip.eq_ignore_ascii_case(&end.hash));
            found = Some(match found {
                Some(verified) => Verified { lines: verified.lines + 1, tip: end, ..verified },
                None => Verified { lines: 1, first: link.seq, tip: end },
            });
        }
    }
    ensure!(
        seen,
        "no line has the hash {}: the log was cut after it, or is another one",
        tip.unwrap_or_default()
    );
    Ok(found.unwrap_or(Verified { lines: 0, first: 0, tip: Tip::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn three_lines(path: &Path) -> Vec<String> {
        let audit = Audit::open(path).expect("a log");
        audit.append(&[json!({"decision": "pass"}), json!({"decision": "block"})]).expect("written");
        Audit::open(path).expect("a log").append(&[json!({"decision": "review"})]).expect("written");
        fs::read_to_string(path).expect("file").lines().map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_line_taken_out_or_changed_is_seen() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("audit.jsonl");
        let lines = three_lines(&path);
        let files = [path.clone()];
        let whole = verify(&files, None).expect("whole");
        assert_eq!((whole.lines, whole.first, whole.tip.seq), (3, 1, 3));
        for (damaged, message) in [
            (lines[..1].concat() + &lines[2], "audit.jsonl:2: the chain is broken: 3 does not follow line 1"),
            (lines.concat().replace("block", "pass"), "audit.jsonl:3: the chain is broken"),
            (lines.concat() + "{\"seq\":4", "audit.jsonl:4: the line is cut short"),
            (lines.concat() + "no line\n", "audit.jsonl:4: no line of an audit log"),
        ] {
            fs::write(&path, damaged).expect("file");
            let error = verify(&files, None).expect_err(message).to_string();
            assert!(error.contains(message), "{error}");
        }
        fs::write(&path, lines[..2].concat()).expect("file");
        assert!(verify(&files, None).is_ok(), "a cut at the end needs a tip to show");
        let error = verify(&files, Some(&whole.tip.hash)).expect_err("cut").to_string();
        assert!(error.contains("the log was cut after it"), "{error}");
    }

    #[test]
    fn the_chain_goes_on_over_files_and_after_half_a_line() {
        let dir = tempfile::tempdir().expect("directory");
        let (path, moved) = (dir.path().join("audit.jsonl"), dir.path().join("audit.1"));
        let audit = Audit::open(&path).expect("a log");
        audit.append(&[json!({"n": 1})]).expect("written");
        fs::rename(&path, &moved).expect("moved");
        audit.append(&[json!({"n": 2})]).expect("written");
        // Another process writes in between, and one dies while it writes.
        Audit::open(&path).expect("a log").append(&[json!({"n": 3})]).expect("written");
        OpenOptions::new().append(true).open(&path).expect("file").write_all(b"{\"seq\":9").expect("written");
        audit.append(&[json!({"n": 4})]).expect("written");
        let verified = verify(&[moved, path.clone()], None).expect("one chain");
        assert_eq!((verified.lines, verified.tip.seq), (4, 4));
        assert_eq!(verify(&[path], None).expect("the rest of a chain").first, 2);
    }

    #[test]
    fn a_file_that_is_no_audit_log_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("audit.jsonl");
        let lines = three_lines(&path).concat();
        for other in ["name,id", "a note\nof mine", "{\"time\":1}", "\0\0x", &format!("{lines}of mine")] {
            fs::write(&path, other).expect("file");
            let error = format!("{:#}", Audit::open(&path).map(|_| ()).expect_err(other));
            assert!(error.contains("no line of an audit log"), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("file"), other);
        }
        for half in ["{", "{\"seq\":4,\"pr", "\0\0\0"] {
            fs::write(&path, format!("{lines}{half}")).expect("file");
            Audit::open(&path).expect(half);
            assert_eq!(fs::read_to_string(&path).expect("file"), lines);
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so() {
        let audit = Audit::open(Path::new("/dev/full"));
        let error = audit.and_then(|audit| audit.append(&[json!({})])).expect_err("full");
        assert!(format!("{error:#}").contains("/dev/full"), "{error:#}");
    }
}

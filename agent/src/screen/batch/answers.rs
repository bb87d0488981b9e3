//! The answers' file: a row for each row of the input, and how far it had come when it was cut off.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

use super::rows::{Row, Rows};
use crate::screen::{Screened, word};

/// The columns of the answers.
pub(super) const HEADER: &str =
    "row,id,name,decision,score,source,entity,listed_name,hits,reason,error,list,policy,check\n";
/// Fields of a row, and the places of some.
const FIELDS: usize = 14;
const LIST: usize = 11;
const POLICY: usize = 12;
const CHECK: usize = 13;
/// Most characters of a text that is copied from the input or the list.
const MAX_COPIED: usize = 256;
/// Longest row of answers: every field at its bound, in the longest UTF-8, quoted.
const MAX_ANSWER: u64 = 32 << 10;

/// The answers' file, locked against a second run.
#[derive(Debug)]
pub(super) struct Answers {
    file: BufWriter<File>,
}

/// Where an earlier run was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// The last row that is answered.
    pub(super) row: u64,
    /// The hash of the input up to there.
    pub(super) check: String,
}

impl Answers {
    /// Opens the file: a new one, or with `resume` one that was cut off, without its last row if that is not whole.
    ///
    /// # Errors
    /// When the file cannot be written, somebody writes it, it holds answers and `resume` is not set, or it cannot be gone on
    /// with.
    pub(super) fn open(path: &Path, resume: bool, list: &str, policy: &str) -> Result<(Self, Option<Done>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o640);
        let mut file = options.open(path).with_context(|| format!("failed to open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("{} is being written by another run", path.display());
        }
        let len = file.metadata()?.len();
        ensure!(
            len == 0 || resume,
            "{} holds answers: go on with it by --resume, or remove it",
            path.display()
        );
        let done = recover(&mut file, len, list, policy)
            .with_context(|| format!("{} cannot be gone on with", path.display()))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        if done.is_none() {
            file.write_all(HEADER.as_bytes())?;
        }
        Ok((Self { file }, done))
    }

    /// Appends rows and hands them to the system.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn append(&mut self, rows: &str) -> Result<()> {
        self.file.write_all(rows.as_bytes())?;
        self.file.flush()?;
        Ok(())
    }

    /// Waits until the disk has everything.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn finish(mut self) -> Result<()> {
        self.file.flush()?;
        match self.file.get_ref().sync_all() {
            // A pipe or a terminal has nothing to wait for.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
            other => Ok(other?),
        }
    }
}

/// The last whole row; what follows it is cut off. `None` when there is no row.
fn recover(file: &mut File, len: u64, list: &str, policy: &str) -> Result<Option<Done>> {
    if len == 0 {
        return Ok(None);
    }
    // Rows are lines: line breaks within fields are never written.
    let mut reader = BufReader::with_capacity(1 << 18, &mut *file);
    let (mut lines, mut last, mut whole) = (0_u64, (0_u64, 0_u64), 0_u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_ANSWER).read_until(b'\n', &mut line)? as u64;
        if !line.ends_with(b"\n") {
            ensure!(read < MAX_ANSWER, "line {} is longer than any answer", lines + 1);
            // Somebody may have named another file by mistake: that is not emptied.
            ensure!(lines > 0 || HEADER.as_bytes().starts_with(&line), "it does not begin as answers do");
            break;
        }
        lines += 1;
        last = (whole, whole + read);
        whole += read;
        ensure!(lines > 1 || line == HEADER.as_bytes(), "it does not begin as answers do");
    }
    file.set_len(if lines > 1 { whole } else { 0 })?;
    file.seek(SeekFrom::End(0))?;
    if lines <= 1 {
        return Ok(None);
    }
    let mut text = vec![0; (last.1 - last.0) as usize];
    file.seek(SeekFrom::Start(last.0))?;
    file.read_exact(&mut text)?;
    file.seek(SeekFrom::End(0))?;
    let row = Rows::new(&text[..], b',').next()?.context("its last row is empty")?;
    let field = |at| row.get(at).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let number = field(0).parse::<u64>().ok().filter(|_| row.len() == FIELDS);
    let number = number.context("its last row is no answer")?;
    ensure!(number == lines - 1, "it has {} rows, and the last one calls itself {number}", lines - 1);
    for (at, what, now) in [(LIST, "list", list), (POLICY, "policy", policy)] {
        let then = field(at);
        ensure!(then == now, "it was begun with the {what} {then}, this one is {now}: begin anew");
    }
    Ok(Some(Done { row: number, check: field(CHECK).to_owned() }))
}

/// Writes the row of an answer, or of why there is none.
pub(super) fn push(
    out: &mut String,
    row: &Row,
    (id, name): (&[u8], &[u8]),
    outcome: &Result<Screened, String>,
    (list, policy): (&str, &str),
) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{},", row.number);
    copied(out, &String::from_utf8_lossy(&id[..id.len().min(4 * MAX_COPIED)]));
    field(out, &String::from_utf8_lossy(&name[..name.len().min(4 * MAX_COPIED)]));
    match outcome {
        Ok(screened) => {
            let answer = &screened.answer;
            let _ = write!(out, "{},", word(answer.decision));
            match answer.hits.first() {
                Some(hit) => {
                    let _ = write!(out, "{:.4},", hit.score);
                    field(out, &hit.source);
                    copied(out, &hit.id);
                    field(out, &hit.name);
                    let _ = write!(out, "{},", answer.hits.len() + answer.more);
                    let reasons: Vec<_> = hit.fields.iter().map(|field| &*field.reason).collect();
                    field(out, &reasons.join("; "));
                }
                None => out.push_str(",,,,0,,"),
            }
            out.push(',');
        }
        Err(why) => {
            out.push_str("error,,,,,,,");
            field(out, why);
        }
    }
    let _ = writeln!(out, "{list},{policy},{}", row.check);
}

/// A field and the comma after it. What a spreadsheet would run as a formula is made text.
fn field(out: &mut String, text: &str) {
    if text.starts_with(['=', '+', '-', '@']) { copied(out, &format!("'{text}")) } else { copied(out, text) }
}

/// A field as it is, and the comma after it; on one line whatever it holds.
fn copied(out: &mut String, text: &str) {
    let quoted = text.contains([',', '"']) || text.starts_with(' ');
    let mark = if quoted { "\"" } else { "" };
    out.push_str(mark);
    for c in text.chars().take(MAX_COPIED) {
        out.push(if c.is_control() { ' ' } else { c });
        if c == '"' {
            out.push('"');
        }
    }
    out.push_str(mark);
    out.push(',');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_answers_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("answers.csv");
        for other in ["mine", "mine\n", "row,id,mine\n1,2,3\n"] {
            std::fs::write(&path, other).expect("file");
            let error = format!("{:#}", Answers::open(&path, true, "l", "p").map(|_| ()).expect_err(other));
            assert!(error.contains("does not begin as answers do"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("file"), other);
        }
        for cut in ["row,id", HEADER] {
            std::fs::write(&path, cut).expect("file");
            let (answers, done) = Answers::open(&path, true, "l", "p").expect(cut);
            answers.finish().expect("written");
            assert_eq!(done, None);
            assert_eq!(std::fs::read_to_string(&path).expect("file"), HEADER);
        }
    }
}

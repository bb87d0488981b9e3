//! `feedback`: an analyst's word about alerts, appended to a file that the trainer reads.

use std::fs::OpenOptions;
use std::io::{BufRead, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use gait_common::alert::labels::Label;
use gait_common::alert::{Alert, Class, Key, Line};
use gait_common::call::Nanos;
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;

use super::tail::MAX_LINE;

/// Alerts that are spoken of at a time, at most.
const MAX_ALERTS: usize = 100_000;

/// What is said, and where it is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The alert's key, or `-` for lines on standard input.
    pub alert: String,
    /// What it is.
    pub class: Class,
    /// Who says so.
    pub by: String,
    /// Why.
    pub note: String,
    /// The file.
    pub file: PathBuf,
    /// When (Unix, ns).
    pub time: Nanos,
}

/// Notes what is said; gives of how many alerts. `input` is read when the options say so.
///
/// # Errors
/// When an alert cannot be told, or the file cannot be written; then nothing is noted.
pub fn note(options: &Options, input: &mut dyn BufRead) -> Result<usize> {
    let keys = match options.alert.as_str() {
        "-" => keys(input)?,
        key => vec![key.parse().with_context(|| format!("{key:?} names no alert"))?],
    };
    let mut lines = String::new();
    for key in &keys {
        let Options { class, by, note, time, .. } = options;
        let label = Label { key: *key, class: *class, by: by.clone(), time: *time, note: note.clone() };
        lines += &label.line()?;
    }
    append(&options.file, &lines)
        .with_context(|| format!("failed to note it in {}", options.file.display()))?;
    Ok(keys.len())
}

/// The keys of alerts, one a line: judged or not, or the keys themselves.
fn keys(input: &mut dyn BufRead) -> Result<Vec<Key>> {
    let (mut keys, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        let read = std::io::Read::take(&mut *input, MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        ensure!(read <= MAX_LINE, "line {number} is longer than {MAX_LINE} bytes");
        let text = line.trim_ascii();
        if !text.is_empty() {
            keys.push(key(text).with_context(|| format!("line {number} names no alert"))?);
        }
        ensure!(keys.len() <= MAX_ALERTS, "more than {MAX_ALERTS} alerts are spoken of at a time");
    }
    ensure!(!keys.is_empty(), "no alert is named on standard input");
    Ok(keys)
}

fn key(text: &[u8]) -> Result<Key> {
    /// Of a judged alert only its key is read: it may have been stored by something that changed all else.
    #[derive(Deserialize)]
    struct Judged {
        gait: Option<Member>,
    }
    #[derive(Deserialize)]
    struct Member {
        key: String,
    }
    if !text.starts_with(b"{") {
        return Ok(str::from_utf8(text)?.parse()?);
    }
    if let Ok(Judged { gait: Some(Member { key }) }) = serde_json::from_slice(text) {
        return Ok(key.parse()?);
    }
    match Alert::parse(text)? {
        Line::Alert(alert) => Ok(alert.key),
        Line::NoHttp(key) => Ok(key),
        Line::Other(_) => bail!("it is an event, but no alert"),
    }
}

/// Appends lines in one piece, also beside others who do the same, and waits until they are on disk.
fn append(path: &Path, lines: &str) -> std::io::Result<()> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    let before = file.metadata()?.len();
    let mut last = [b'\n'];
    if before > 0 {
        file.read_exact_at(&mut last, before - 1)?;
    }
    // What a crash left unfinished shall not spoil this.
    let text = if last == [b'\n'] { lines.to_owned() } else { format!("\n{lines}") };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = file.set_len(before);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use gait_common::alert::labels::Labels;

    const KEY: &str = "2023-11-14T22:13:20.000699Z/203.0.0.0:20000/192.168.56.10:80/TCP/0/2006445";

    fn options(dir: &Path, alert: &str, class: Class) -> Options {
        let (by, note) = ("ann".to_owned(), "own \"scanner\"".to_owned());
        Options {
            alert: alert.to_owned(),
            class,
            by,
            note,
            file: dir.join("state/feedback.jsonl"),
            time: 1_795_332_600_000_000_000,
        }
    }

    fn labels(dir: &Path) -> Labels {
        let text = std::fs::read(dir.join("state/feedback.jsonl")).expect("a file");
        let mut labels = Labels::default();
        text.split(|&byte| byte == b'\n').for_each(|line| labels.take(line).expect("a label"));
        labels
    }

    #[test]
    fn the_last_word_is_what_the_trainer_reads() {
        let dir = tempfile::tempdir().expect("directory");
        for class in [Class::Real, Class::FalseAlarm] {
            assert_eq!(note(&options(dir.path(), KEY, class), &mut &b""[..]).expect("noted"), 1);
        }
        let labels = labels(dir.path());
        let label = labels.get(&KEY.parse().expect("a key")).expect("a label");
        assert_eq!(
            (label.class, label.by.as_str(), label.note.as_str()),
            (Class::FalseAlarm, "ann", "own \"scanner\"")
        );
    }

    #[test]
    fn alerts_are_told_from_lines_of_any_kind_or_none_is_noted() {
        let dir = tempfile::tempdir().expect("directory");
        let other = KEY.replace("2006445", "7");
        let raw = r#"{"timestamp":"2023-11-14T22:13:20.000699+0000","event_type":"alert","src_ip":"203.0.0.0","src_port":20000,"dest_ip":"192.168.56.10","dest_port":80,"proto":"TCP","tx_id":0,"alert":{"signature_id":9,"signature":"x"}}"#;
        let lines = format!("{{\"gait\": {{\"key\": \"{KEY}\"}}, \"a\": 1}}\n\n{other}\n{raw}\n");
        assert_eq!(note(&options(dir.path(), "-", Class::Real), &mut lines.as_bytes()).expect("noted"), 3);
        assert_eq!(labels(dir.path()).len(), 3);
        for (bad, why) in [
            (
                format!("{KEY}\n{{\"event_type\":\"flow\"}}\n"),
                "line 2 names no alert: it is an event, but no alert",
            ),
            ("{\"half".to_owned(), "line 1 names no alert: the line is cut off"),
            (String::new(), "no alert is named"),
        ] {
            let error = note(&options(dir.path(), "-", Class::Real), &mut bad.as_bytes()).expect_err(why);
            assert!(format!("{error:#}").contains(why), "{error:#}");
        }
        assert!(note(&options(dir.path(), "2006445", Class::Real), &mut &b""[..]).is_err());
        assert_eq!(labels(dir.path()).len(), 3);
    }

    #[test]
    fn what_a_crash_left_does_not_spoil_the_next_word() {
        let dir = tempfile::tempdir().expect("directory");
        let options = options(dir.path(), KEY, Class::Real);
        note(&options, &mut &b""[..]).expect("noted");
        let mut text = std::fs::read_to_string(&options.file).expect("a file");
        text += "{\"key\":\"2023";
        std::fs::write(&options.file, text).expect("a file");
        note(&options, &mut &b""[..]).expect("noted");
        let text = std::fs::read_to_string(&options.file).expect("a file");
        let whole: Vec<bool> = text.lines().map(|line| Label::parse(line.as_bytes()).is_ok()).collect();
        assert_eq!(whole, [true, false, true]);
    }
}

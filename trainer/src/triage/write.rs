//! The files that labelling leaves behind: logs, labels, and what is to be reviewed.

use std::path::Path;

use anyhow::Result;
use gait_common::alert::{Alert, Key};

use super::labels::{Labelled, Source, Words, bulk, csv};
use super::logs::Log;
use crate::whole;

/// Characters of a URL in a table.
const URL: usize = 300;

/// Writes a log of alerts.
///
/// # Errors
/// When it cannot be written.
pub fn log(path: &Path, log: &Log) -> Result<()> {
    whole::write(path, &log.written(), "the alerts")
}

/// One row of a table of labels: an alert, its place in its log, and what it is learned as.
pub type Row<'a> = (&'a Log, usize, Labelled);

/// Writes a table of labels. `label` and `note` are what a person says of that very alert, to be filled in or changed; `class` and
/// `source` are what it was learned as, and are not read back.
///
/// # Errors
/// When it cannot be written.
pub fn table<'a>(path: &Path, words: &Words, rows: impl Iterator<Item = Row<'a>>) -> Result<()> {
    let mut out = "key,label,note,class,source,sid,signature,method,host,url\n".to_owned();
    for (log, at, labelled) in rows {
        row(&mut out, words, &log.alert(at)?, &labelled);
    }
    whole::write(path, out.as_bytes(), "the labels")
}

fn row(out: &mut String, words: &Words, alert: &Alert<'_>, labelled: &Labelled) {
    let key = alert.key.to_string();
    let word = words.of(&alert.key);
    let text = |raw: Option<gait_common::alert::Raw<'_>>| {
        raw.map_or_else(String::new, |raw| raw.text().into_owned())
    };
    let mut url = text(alert.http.url);
    if let Some((end, _)) = url.char_indices().nth(URL) {
        url.truncate(end);
        url.push('…');
    }
    // What is not said of this alert is not repeated: presumed labels must not come back as a person's.
    let said = word.filter(|_| matches!(labelled.source, Source::Said | Source::Reviewed));
    let fields = [
        key,
        said.map_or_else(String::new, |word| word.class.to_string()),
        said.map_or_else(String::new, |word| word.note.clone()),
        labelled.class.to_string(),
        labelled.source.as_str().to_owned(),
        alert.key.signature.to_string(),
        alert.signature.text().into_owned(),
        text(alert.http.method),
        text(alert.http.hostname),
        url,
    ];
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        csv::field(out, field);
    }
    out.push('\n');
}

/// Writes documents for Elasticsearch's `_bulk`.
///
/// # Errors
/// When they cannot be written.
pub fn documents<'a>(path: &Path, index: &str, rows: impl Iterator<Item = Row<'a>>) -> Result<()> {
    let mut out = Vec::new();
    for (log, at, labelled) in rows {
        let key: &Key = log.key(at);
        bulk::write(&mut out, index, key, &log.lasting(at), labelled.seed.as_str());
    }
    whole::write(path, &out, "the documents")
}

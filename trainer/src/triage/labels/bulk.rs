//! Labels as documents of Elasticsearch, for labelling in Kibana: out as bodies for `_bulk`, and back in from a `_search`, from
//! a dump of documents, or from the very form they went out in. The lines of `gait-agent feedback` are read here too.
//!
//! A document is the event with `gait.key`, `gait.label` and `gait.note`, and its id is the alert's key, so that importing it
//! again changes nothing but what was labelled.

use anyhow::{Context, Result, bail};
use gait_common::alert::Key;
use gait_common::alert::labels::Label;
use serde::Deserialize;

use super::{About, Given, class};

/// Of a document what labels need.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    #[serde(rename = "_id")]
    id: Option<String>,
    #[serde(rename = "_source")]
    source: Option<Box<Document>>,
    doc: Option<Box<Document>>,
    gait: Option<Gait>,
    hits: Option<Hits>,
    index: Option<Action>,
    create: Option<Action>,
    update: Option<Action>,
    delete: Option<Action>,
    event_type: Option<String>,
    class: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Gait {
    key: Option<String>,
    label: Option<String>,
    note: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Hits {
    hits: Vec<Document>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Action {
    #[serde(rename = "_id")]
    id: Option<String>,
}

/// Reads labels from JSON; gives which form they had, and the lines of feedback that a crash left unfinished: they are passed
/// over, and what was noted afterwards is read.
///
/// # Errors
/// When something in it is neither a label nor a document; its line is named.
pub(super) fn read(bytes: &[u8], give: &mut dyn FnMut(usize, Given)) -> Result<(&'static str, Vec<usize>)> {
    let mut form = "feedback";
    let mut pending: Option<(usize, Option<String>)> = None;
    let (mut unfinished, mut first) = (Vec::new(), true);
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).zip(1..);
    for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
        let place = || format!("line {number}");
        let first = std::mem::take(&mut first);
        let mut document: Document = match serde_json::from_slice(line) {
            Ok(document) => document,
            Err(error) if error.is_eof() && form == "feedback" && pending.is_none() => {
                // The first line may begin an answer of `_search` over many lines.
                match first.then(|| serde_json::from_slice(bytes)) {
                    Some(Ok(whole)) => {
                        search(whole, give)?;
                        return Ok(("Elasticsearch", unfinished));
                    }
                    Some(Err(error)) if line == b"{" => {
                        let error = anyhow::Error::new(error);
                        return Err(error.context("no label, nor a whole answer of `_search`"));
                    }
                    _ => unfinished.push(number),
                }
                continue;
            }
            Err(error) => return Err(anyhow::Error::new(error).context(format!("line {number}: no label"))),
        };
        if let Some((_, id)) = pending.take() {
            let source = document.doc.take().map_or(document, |inner| *inner);
            take(source, id, number, give).with_context(place)?;
        } else if document.hits.is_some() {
            form = "Elasticsearch";
            search(document, give)?;
        } else if let Some(source) = document.source {
            form = "Elasticsearch";
            take(*source, document.id, number, give).with_context(place)?;
        } else if let Some(action) = [document.index.take(), document.create.take(), document.update.take()]
            .into_iter()
            .flatten()
            .next()
        {
            form = "Elasticsearch";
            pending = Some((number, action.id));
        } else if document.delete.is_some() {
            form = "Elasticsearch";
        } else if document.class.is_some() && document.event_type.is_none() {
            let label = Label::parse(line).with_context(place)?;
            give(number, (About::Alert(label.key), Some(label.class), label.note));
        } else if document.gait.is_some() {
            form = "Elasticsearch";
            take(document, None, number, give).with_context(place)?;
        } else {
            bail!("line {number}: no label, nor a document with `gait.label`");
        }
    }
    match pending {
        Some((number, _)) => bail!("line {number}: no document follows this action"),
        None => Ok((form, unfinished)),
    }
}

fn search(document: Document, give: &mut dyn FnMut(usize, Given)) -> Result<()> {
    let hits = document.hits.map(|hits| hits.hits).context("no label, nor an answer of `_search`")?;
    for (hit, number) in hits.into_iter().zip(1..) {
        let source = hit.source.map(|source| *source).unwrap_or_default();
        take(source, hit.id, number, give).with_context(|| format!("document {number}"))?;
    }
    Ok(())
}

fn take(
    document: Document,
    id: Option<String>,
    number: usize,
    give: &mut dyn FnMut(usize, Given),
) -> Result<()> {
    let Gait { key, label, note } = document.gait.unwrap_or_default();
    let class = class(label.as_deref().unwrap_or_default())?;
    let name = key.or(id).or(document.id).context("it has neither an `_id` nor a `gait.key`")?;
    let key: Key = name.parse().with_context(|| name.clone())?;
    give(number, (About::Alert(key), class, note.unwrap_or_default()));
    Ok(())
}

/// Adds a document and the action that indexes it. `line` is the event as Suricata wrote it; `seed` what the seed rule says.
pub fn write(out: &mut Vec<u8>, index: &str, key: &Key, line: &[u8], seed: &str) {
    let key = key.to_string();
    let action = serde_json::json!({"index": {"_index": index, "_id": key}});
    // The time of the key is the event's, in the form that Elasticsearch takes without being told.
    let time = key.split('/').next().unwrap_or_default();
    let gait = serde_json::json!({"key": key, "label": null, "note": "", "seed": seed});
    out.extend_from_slice(format!("{action}\n{{\"@timestamp\":\"{time}\",\"gait\":{gait}").as_bytes());
    let rest = line.trim_ascii_start().strip_prefix(b"{").unwrap_or(b"}").trim_ascii_start();
    if rest.first() != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::super::logs::tests::{line, log};
    use super::*;

    fn given(bytes: &[u8]) -> Vec<(String, Option<&'static str>)> {
        let mut all = Vec::new();
        read(bytes, &mut |_, (about, class, _)| {
            let About::Alert(key) = about else { panic!("a rule") };
            all.push((key.to_string(), class.map(|class| class.as_str())));
        })
        .expect("labels");
        all
    }

    #[test]
    fn what_a_crash_left_of_feedback_is_passed_over() {
        let key = log(&[line(1, 1, 7)]).key(0).to_string();
        let label =
            format!(r#"{{"key":"{key}","class":"real","by":"ann","note":"","time":"2026-11-22T16:00:00Z"}}"#);
        let half = &label[..20];
        for (text, labels, lines) in [
            (format!("{label}\n{half}\n{label}\n"), 2, vec![2]),
            (format!("{half}\n{label}\n"), 1, vec![1]),
            (format!("{label}\n{half}"), 1, vec![2]),
        ] {
            let mut count = 0;
            let (form, unfinished) = read(text.as_bytes(), &mut |_, _| count += 1).expect(&text);
            assert_eq!((form, count, unfinished), ("feedback", labels, lines));
        }
        let error = read(b"{\n  \"took\": 1,\n", &mut |_, _| ()).expect_err("half an answer").to_string();
        assert!(error.contains("`_search`"), "{error}");
    }

    #[test]
    fn what_goes_out_comes_back_with_its_labels() {
        let log = log(&[line(1, 1, 7), line(2, 2, 7)]);
        let keys = [log.key(0).to_string(), log.key(1).to_string()];
        let mut out = Vec::new();
        for at in 0..2 {
            write(&mut out, "gait-triage", log.key(at), log.line(at), "false_alarm");
        }
        let text = String::from_utf8(out.clone()).expect("text");
        assert_eq!(text.lines().count(), 4);
        for document in text.lines() {
            let value: serde_json::Value = serde_json::from_str(document).expect("JSON");
            assert!(value["index"]["_id"].is_string() || value["http"]["url"].is_string(), "{value}");
        }
        assert_eq!(given(&out), [(keys[0].clone(), None), (keys[1].clone(), None)]);
        let labelled = text.replacen("\"label\":null", "\"label\":\"real\"", 1);
        let wanted = [(keys[0].clone(), Some("real")), (keys[1].clone(), None)];
        assert_eq!(given(labelled.as_bytes()), wanted);
        // What `_search` answers, on one line and on many, and what dumps it line by line.
        let documents: Vec<serde_json::Value> = labelled
            .lines()
            .skip(1)
            .step_by(2)
            .zip(&keys)
            .map(|(source, id)| {
                serde_json::json!({"_index": "i", "_id": id, "_source": serde_json::from_str::<serde_json::Value>(source).expect("JSON")})
            })
            .collect();
        let answer = serde_json::json!({"took": 1, "hits": {"total": {"value": 2}, "hits": documents}});
        assert_eq!(given(answer.to_string().as_bytes()), wanted);
        assert_eq!(given(serde_json::to_string_pretty(&answer).expect("JSON").as_bytes()), wanted);
        let dump: String = documents.iter().map(|document| format!("{document}\n")).collect();
        assert_eq!(given(dump.as_bytes()), wanted);
        let update = format!(
            r#"{{"update":{{"_id":"{}"}}}}{}{{"doc":{{"gait":{{"label":"false_alarm"}}}}}}"#,
            keys[0], '\n'
        );
        assert_eq!(given(update.as_bytes()), [(keys[0].clone(), Some("false_alarm"))]);
    }
}

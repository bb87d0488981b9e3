//! Labels as CSV: columns by name, or `sid,label,note` and `key,label,note` without a first line of names.

use anyhow::{Context, Result, bail, ensure};

use super::{About, Given, class};

/// Longest field, in bytes.
const MAX_FIELD: usize = 1 << 20;

/// Where the columns are.
#[derive(Clone, Copy, Debug, Default)]
struct Columns {
    key: Option<usize>,
    sid: Option<usize>,
    label: Option<usize>,
    note: Option<usize>,
}

impl Columns {
    /// From a first line of names; Kibana's exports have the names of fields. Of names for the same thing the first one here
    /// counts, wherever it stands.
    fn named(names: &[String]) -> Option<Self> {
        let of = |wanted: &[&str]| {
            let place =
                |wanted: &&str| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
            wanted.iter().find_map(place)
        };
        // In our own table `class` is what was learned, mostly presumed, as `source` says: no person's word.
        let class = || of(&["class"]).filter(|_| of(&["source"]).is_none());
        let label = of(&["label", "gait.label"]).or_else(class)?;
        Some(Self {
            key: of(&["key", "gait.key", "_id", "id"]),
            sid: of(&["sid", "signature_id", "alert.signature_id"]),
            label: Some(label),
            note: of(&["note", "gait.note"]),
        })
    }
}

/// Reads the labels of a CSV file.
///
/// # Errors
/// When a line is no label; it is named.
pub(super) fn read(bytes: &[u8], give: &mut dyn FnMut(usize, Given)) -> Result<()> {
    let text = std::str::from_utf8(bytes).context("it is not UTF-8")?;
    let mut columns: Option<Columns> = None;
    records(text, &mut |line, fields| {
        let place = || format!("line {line}");
        let known = match columns {
            Some(known) => known,
            None => match Columns::named(fields) {
                Some(named) => {
                    ensure!(
                        named.key.or(named.sid).is_some(),
                        "line {line}: no column says what a label is about: `sid` or `key`"
                    );
                    columns = Some(named);
                    return Ok(());
                }
                None => *columns.insert(Columns { key: Some(0), sid: None, label: Some(1), note: Some(2) }),
            },
        };
        let field =
            |place: Option<usize>| place.and_then(|at| fields.get(at)).map_or("", |field| field.trim());
        ensure!(fields.len() > 1, "line {line}: expected `sid,label` or `key,label`");
        let class = class(field(known.label)).with_context(place)?;
        let about = match (field(known.key), field(known.sid)) {
            ("", "") => bail!("line {line}: it does not say what the label is about"),
            ("", name) | (name, _) => about(name).with_context(place)?,
        };
        give(line, (about, class, field(known.note).to_owned()));
        Ok(())
    })?;
    ensure!(columns.is_some(), "there are no labels in it");
    Ok(())
}

/// The rule or the alert that a text names.
fn about(text: &str) -> Result<About> {
    if let Ok(sid) = text.parse() {
        return Ok(About::Rule(sid));
    }
    match text.parse() {
        Ok(key) => Ok(About::Alert(key)),
        Err(_) if !text.contains('/') => {
            bail!("{text:?} is neither the id of a rule nor the key of an alert")
        }
        Err(error) => Err(anyhow::Error::new(error).context(format!("{text:?}"))),
    }
}

/// Hands over the records that are not empty, each with its first line.
fn records(text: &str, take: &mut dyn FnMut(usize, &[String]) -> Result<()>) -> Result<()> {
    let (mut fields, mut field) = (Vec::<String>::new(), String::new());
    let (mut line, mut first) = (1, 1);
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    loop {
        let next = chars.next();
        ensure!(field.len() <= MAX_FIELD, "line {first}: a field has more than {MAX_FIELD} bytes");
        match next {
            Some('"') if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            Some('"') if quoted => quoted = false,
            Some('"') if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            Some('\n') if quoted => {
                line += 1;
                field.push('\n');
            }
            None if quoted => bail!("line {first}: a quote is not closed"),
            Some(',') if !quoted => fields.push(std::mem::take(&mut field)),
            Some('\n') | None => {
                fields.push(std::mem::take(&mut field));
                if fields.len() > 1 || !fields[0].trim().is_empty() {
                    take(first, &fields)?;
                }
                fields.clear();
                if next.is_none() {
                    return Ok(());
                }
                line += 1;
                first = line;
            }
            Some(char) => field.push(char),
        }
    }
}

/// Writes a field: quoted where it has to be, control characters written out, and with a quote before what a spreadsheet
/// would take for a formula.
pub fn field(out: &mut String, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t']);
    let mut clean = String::with_capacity(text.len() + 2);
    if formula {
        clean.push('\'');
    }
    for char in text.chars() {
        if char.is_control() { clean.extend(char.escape_default()) } else { clean.push(char) }
    }
    if clean.contains(['"', ',', ';']) {
        out.push('"');
        out.push_str(&clean.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(&clean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "2023-11-14T22:13:20.000699Z/203.0.0.0:20000/192.168.56.10:80/TCP/0/2006445";

    fn given(text: &str) -> Vec<(usize, String, Option<&'static str>, String)> {
        let mut all = Vec::new();
        read(text.as_bytes(), &mut |line, (about, class, note)| {
            let about = match about {
                About::Alert(key) => key.to_string(),
                About::Rule(sid) => sid.to_string(),
            };
            all.push((line, about, class.map(|class| class.as_str()), note));
        })
        .expect(text);
        all
    }

    #[test]
    fn what_analysts_write_is_read() {
        let mine = given(&format!("\n 7 , Real ,\n{KEY},false alarm,\"two\nlines, \"\"quoted\"\"\"\r\n8,\n"));
        let row =
            |line: usize, about: &str, class, note: &str| (line, about.to_owned(), class, note.to_owned());
        assert_eq!(
            mine,
            [
                row(2, "7", Some("real"), ""),
                row(3, KEY, Some("false_alarm"), "two\nlines, \"quoted\""),
                row(5, "8", None, "")
            ]
        );
        // The columns of review.csv, and those of Kibana's export.
        let ours = given(&format!("label,note,key,sid\nreal,x,{KEY},2006445\n,,{KEY},2006445\n-,,,12\n"));
        assert_eq!(ours, [row(2, KEY, Some("real"), "x"), row(3, KEY, None, ""), row(4, "12", None, "")]);
        // Of two names for the label the better one counts, wherever it stands.
        let learned = given(&format!("class,source,label,id,key\nreal,presumed_real,,1,{KEY}\n"));
        assert_eq!(learned, [row(2, KEY, None, "")]);
        assert_eq!(given("sid,class\n7,real\n"), [row(2, "7", Some("real"), "")]);
        assert!(
            read(format!("key,class,source\n{KEY},real,presumed_real\n").as_bytes(), &mut |_, _| ()).is_err()
        );
        let kibana = given(&format!("\"_id\",\"gait.label\",\"gait.note\"\n\"{KEY}\",\"real\",\"-\"\n"));
        assert_eq!(kibana[0].1, KEY);
        assert!(read(b"7,\"real", &mut |_, _| ()).is_err());
    }

    #[test]
    fn hostile_fields_stay_one_field() {
        let mut out = String::new();
        for text in ["=cmd()", "a,\"b\"\n\u{202e}c\0", "plain"] {
            field(&mut out, text);
            out.push('|');
        }
        assert_eq!(out, "'=cmd()|\"a,\"\"b\"\"\\n\u{202e}c\\u{0}\"|plain|");
    }
}

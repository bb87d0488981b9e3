//! What a source is read from, as the command line or a file of sources says it.
//!
//! On the command line: `FILE[,key=value]...`, e.g. `un.xml.gz,name=un-sc,licence=UN terms of use`. A part that begins with no known
//! key belongs to the value before it, so that values may hold commas. In a file, TOML:
//!
//! ```toml
//! [[source]]
//! file = "barred.csv"            # relative to this file
//! name = "barred"
//! version = "12"
//! date = "2026-11-01"
//! licence = "internal"
//! format = "csv"                 # else told by the content
//! encoding = "latin-1"           # else utf-8
//! split = "|"                    # between several values of one column; else ;
//! [source.fields]                # else columns are known by their usual names
//! id = "no"
//! name = "{given} {family}"
//! alias = ["aka 1", "aka 2"]
//! kind = "=person"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum as _;
use serde::Deserialize;

use super::decode::Encoding;
use super::format::Format;
use super::table::{Columns, Mapping};

/// Largest file of sources, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// What may stand before `=`; `field.` goes with the name of a field.
const KEYS: [&str; 13] = [
    "name", "version", "date", "licence", "url", "format", "encoding", "split", "alt", "add", "comments",
    "all", "field.",
];

/// What one source is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceSpec {
    /// The file, or an archive of files.
    pub file: PathBuf,
    /// The source's name; otherwise the format's or the file's.
    pub name: Option<String>,
    /// Its version; otherwise the publisher's or a digest of the files.
    pub version: Option<String>,
    /// Its date, `YYYY-MM-DD`; otherwise the publisher's or the one in the file's name.
    pub date: Option<String>,
    /// Under what terms it may be used.
    pub licence: Option<String>,
    /// Where it was published.
    pub url: Option<String>,
    /// How it is written; otherwise told by the content.
    pub format: Option<Format>,
    /// How its text is encoded.
    pub encoding: Encoding,
    /// Where the fields of CSV and JSON come from.
    pub fields: Mapping,
    /// OFAC's other names, if they are not beside the file.
    pub alt: Option<PathBuf>,
    /// OFAC's addresses, likewise.
    pub add: Option<PathBuf>,
    /// OFAC's long remarks, likewise.
    pub comments: Option<PathBuf>,
    /// Whether FollowTheMoney's entities that are no targets are taken too.
    pub all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sources {
    source: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: PathBuf,
    name: Option<String>,
    version: Option<String>,
    date: Option<String>,
    licence: Option<String>,
    url: Option<String>,
    format: Option<Format>,
    #[serde(default)]
    encoding: Encoding,
    split: Option<String>,
    alt: Option<PathBuf>,
    add: Option<PathBuf>,
    comments: Option<PathBuf>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    fields: BTreeMap<String, Columns>,
}

/// The sources that one `--source` names: itself, or those of a file that ends in `.toml`.
///
/// # Errors
/// When it cannot be understood, or the file not be read.
pub fn parse(text: &str) -> Result<Vec<SourceSpec>> {
    if text.ends_with(".toml") {
        return read(Path::new(text)).with_context(|| format!("failed to read the sources in {text}"));
    }
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(',') {
        let key = part.split_once('=').map(|(key, _)| key);
        let known = key.is_some_and(|key| KEYS.contains(&key) || key.starts_with("field."));
        match parts.last_mut() {
            Some(last) if !known => {
                last.push(',');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    let mut parts = parts.into_iter();
    let mut spec = SourceSpec { file: parts.next().unwrap_or_default().into(), ..SourceSpec::default() };
    ensure!(!spec.file.as_os_str().is_empty(), "the source {text:?} names no file");
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((&part, ""));
        spec.set(key, value).with_context(|| format!("in the source {text:?}"))?;
    }
    spec.check()?;
    Ok(vec![spec])
}

fn read(path: &Path) -> Result<Vec<SourceSpec>> {
    ensure!(std::fs::metadata(path)?.len() <= MAX_FILE, "it is too large for a file of sources");
    let Sources { source } = toml::from_str(&std::fs::read_to_string(path)?)?;
    ensure!(!source.is_empty(), "it has no [[source]]");
    let beside = path.parent().unwrap_or(Path::new(""));
    source.into_iter().map(|entry| entry.spec(beside)).collect()
}

impl Entry {
    fn spec(self, beside: &Path) -> Result<SourceSpec> {
        let mut fields = Mapping::default();
        fields.split = self.split;
        for (field, columns) in &self.fields {
            fields.add(field, columns).with_context(|| format!("in the source {}", self.file.display()))?;
        }
        let at = |path: PathBuf| beside.join(path);
        let spec = SourceSpec {
            file: at(self.file),
            name: self.name,
            version: self.version,
            date: self.date,
            licence: self.licence,
            url: self.url,
            format: self.format,
            encoding: self.encoding,
            fields,
            alt: self.alt.map(at),
            add: self.add.map(at),
            comments: self.comments.map(at),
            all: self.all,
        };
        spec.check()?;
        Ok(spec)
    }
}

impl SourceSpec {
    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let text = || Some(value.to_owned());
        let path = || Some(PathBuf::from(value));
        let wrong = |error: String| anyhow::anyhow!("{key}={value}: {error}");
        match key {
            "name" => self.name = text(),
            "version" => self.version = text(),
            "date" => self.date = text(),
            "licence" => self.licence = text(),
            "url" => self.url = text(),
            "format" => self.format = Some(Format::from_str(value, true).map_err(wrong)?),
            "encoding" => self.encoding = Encoding::from_str(value, true).map_err(wrong)?,
            "split" => self.fields.split = text(),
            "alt" => self.alt = path(),
            "add" => self.add = path(),
            "comments" => self.comments = path(),
            "all" => self.all = value.parse().map_err(|_| wrong("write true or false".to_owned()))?,
            _ => match key.strip_prefix("field.") {
                Some(field) => self.fields.add(field, &Columns::One(value.to_owned()))?,
                None => bail!("there is no key `{key}`"),
            },
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if let Some(date) = &self.date {
            ensure!(is_date(date), "the date {date:?} is not of the form YYYY-MM-DD");
        }
        if let Some(name) = &self.name {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            ensure!(
                !name.is_empty() && name.len() <= 64 && name.chars().all(plain),
                "the source's name {name:?} must be 1 to 64 letters, digits, and - _ ."
            );
        }
        Ok(())
    }
}

/// Whether a text is a date of the form `YYYY-MM-DD`.
pub(super) fn is_date(text: &str) -> bool {
    let form = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    form && text.parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_commas() {
        let text =
            "a,b.csv,name=x,licence=free, as in beer,field.name={first}, {last},field.id=no,encoding=latin-1";
        let [spec] = &parse(text).expect("a source")[..] else { panic!("one source") };
        assert_eq!(spec.file, Path::new("a,b.csv"));
        assert_eq!(spec.licence.as_deref(), Some("free, as in beer"));
        assert_eq!(spec.encoding, Encoding::Latin1);
        let mut fields = Mapping::default();
        fields.add("name", &Columns::One("{first}, {last}".to_owned())).expect("a template");
        fields.add("id", &Columns::One("no".to_owned())).expect("a column");
        assert_eq!(spec.fields, fields);
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (text, reason) in [
            ("", "names no file"),
            ("a.csv,date=2026-13-01", "YYYY-MM-DD"),
            ("a.csv,format=xls", "xls"),
            ("a.csv,field.colour=x", "there is no field `colour`"),
            ("a.csv,field.name={x", "a brace that is not closed"),
            ("a.csv,name=a b", "must be 1 to 64 letters"),
            ("a.csv,all=maybe", "true or false"),
            ("none.toml", "No such file"),
        ] {
            let error = format!("{:#}", parse(text).expect_err(text));
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_of_sources_names_files_beside_itself() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("s.toml");
        let text = "[[source]]\nfile = 'a.csv'\nname = 'a'\nformat = 'csv'\n[source.fields]\nname = ['x', 'y']\n\
                    [[source]]\nfile = '/b.xml'\n";
        std::fs::write(&path, text).expect("file");
        let sources = parse(&path.display().to_string()).expect("sources");
        assert_eq!((&*sources[0].file, &*sources[1].file), (&*dir.path().join("a.csv"), Path::new("/b.xml")));
        assert_eq!(sources[0].format, Some(Format::Csv));
        std::fs::write(&path, "[[source]]\nfile = 'a'\ncolour = 1\n").expect("file");
        let error = format!("{:#}", parse(&path.display().to_string()).expect_err("unknown key"));
        assert!(error.contains("colour") && error.contains("line 3"), "{error}");
    }
}

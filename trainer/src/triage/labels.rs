//! What people say of alerts, from files of three forms, and which class each alert is learned with.
//!
//! A word about a rule (`sid`) holds for its alerts in the strict log; a word about an alert (its key) holds for that alert,
//! wherever it was raised, and wins. Of two words about the same thing the later one counts, in the order of the files and
//! then of their lines, and the contradiction is reported.

pub mod bulk;
pub mod csv;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gait_common::alert::{Class, Key};
use serde::Serialize;

use super::join::Join;
use super::logs::Log;

/// Largest file of labels, in bytes.
const MAX_FILE: u64 = 1 << 30;
/// Contradictions that are kept to be shown.
const MAX_SHOWN: usize = 20;

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// One alert.
    Alert(Key),
    /// The alerts of a rule in the strict log.
    Rule(u32),
}

/// A word of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What the alert is.
    pub class: Class,
    /// Why, or anything else; may be empty.
    pub note: String,
    /// Where it stands: the file's place in the list, and the line.
    place: (usize, usize),
}

/// All that people say.
#[derive(Clone, Debug, Default)]
pub struct Words {
    alerts: HashMap<Key, Word>,
    rules: BTreeMap<u32, Word>,
    /// What was read.
    pub read: Read,
}

/// What was read of files of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Read {
    /// The files: name, form, labels in it.
    pub files: Vec<(String, &'static str, u64)>,
    /// Rows and documents that nobody has labelled yet.
    pub blank: u64,
    /// Lines of feedback that a crash left unfinished.
    pub unfinished: u64,
    /// The first of them, with their files.
    pub unfinished_at: Vec<String>,
    /// How many words contradict an earlier one.
    pub contradictions: u64,
    /// The first contradictions, with their places.
    pub contradicting: Vec<String>,
}

impl Words {
    /// Reads files of labels: CSV, documents of Elasticsearch, or the JSON lines of `gait-agent feedback`, told by their content.
    ///
    /// # Errors
    /// When one cannot be read, or a line is no label; file and line are named.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self> {
        let mut words = Self::default();
        for file in files {
            let file = file.as_ref();
            let name = file.display().to_string();
            let failed = || format!("failed to read the labels {name}");
            let size = std::fs::metadata(file).with_context(failed)?.len();
            ensure!(size <= MAX_FILE, "the labels {name} have {size} bytes, over the limit of {MAX_FILE}");
            words.take(name.clone(), &std::fs::read(file).with_context(failed)?)?;
        }
        Ok(words)
    }

    fn take(&mut self, name: String, bytes: &[u8]) -> Result<()> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let at = self.read.files.len();
        self.read.files.push((name.clone(), "", 0));
        let json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte == b'{');
        self.read.files[at].1 = if json {
            bulk::read(bytes, &mut |line, word| self.give(at, line, word)).map(|(form, unfinished)| {
                self.read.unfinished += unfinished.len() as u64;
                let room = MAX_SHOWN.saturating_sub(self.read.unfinished_at.len());
                let places = unfinished.into_iter().take(room).map(|line| format!("{name}:{line}"));
                self.read.unfinished_at.extend(places);
                form
            })
        } else {
            csv::read(bytes, &mut |line, word| self.give(at, line, word)).map(|()| "CSV")
        }
        .with_context(|| format!("failed to read the labels {name}"))?;
        Ok(())
    }

    /// Takes one word in: what it is about, the class if one was given, and the note.
    fn give(&mut self, file: usize, line: usize, (about, class, note): Given) {
        let Some(class) = class else {
            self.read.blank += 1;
            return;
        };
        self.read.files[file].2 += 1;
        let word = Word { class, note, place: (file, line) };
        let (before, what) = match about {
            About::Alert(key) => (self.alerts.insert(key, word), key.to_string()),
            About::Rule(sid) => (self.rules.insert(sid, word), format!("sid {sid}")),
        };
        if let Some(before) = before.filter(|before| before.class != class) {
            self.read.contradictions += 1;
            if self.read.contradicting.len() < MAX_SHOWN {
                let place = |(file, line): (usize, usize)| format!("{}:{line}", self.read.files[file].0);
                self.read.contradicting.push(format!(
                    "{what}: {} says {}, {} says {class}, which counts",
                    place(before.place),
                    before.class,
                    place((file, line))
                ));
            }
        }
    }

    /// What is said of an alert itself.
    pub fn of(&self, key: &Key) -> Option<&Word> {
        self.alerts.get(key)
    }

    /// What is said of a rule.
    pub fn of_rule(&self, sid: u32) -> Option<&Word> {
        self.rules.get(&sid)
    }
}

/// A word as a file gives it: what it is about, the class unless it is blank, a note.
type Given = (About, Option<Class>, String);

/// A class as people write it; `None` where they wrote nothing.
fn class(text: &str) -> Result<Option<Class>> {
    let text = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    Ok(match text.as_str() {
        // `_` is the dash that Kibana's CSV has for what is not there.
        "" | "_" | "null" | "(null)" | "(blank)" => None,
        text => match text.parse() {
            Ok(class) => Some(class),
            Err(_) => bail!("the label must be `real` or `false_alarm`, not {text:?}"),
        },
    })
}

/// Where an alert's class comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A person said it of this alert, which the strict rules raised too.
    Said,
    /// A person said it of this alert, which only the loose rules raised.
    Reviewed,
    /// A person said it of the rule, whose strict alert this is.
    Copied,
    /// The strict rules raised it and nobody said anything: taken for real.
    PresumedReal,
    /// Only the loose rules raised it and nobody looked at it: the seed rule takes it for a false alarm.
    PresumedFalse,
}

impl Source {
    /// As files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Reviewed => "reviewed",
            Self::Copied => "copied",
            Self::PresumedReal => "presumed_real",
            Self::PresumedFalse => "presumed_false",
        }
    }

    /// Whether a person looked at it, or at its rule.
    pub fn is_given(self) -> bool {
        matches!(self, Self::Said | Self::Reviewed | Self::Copied)
    }
}

/// The class an alert is learned with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The class.
    pub class: Class,
    /// Who says so.
    pub source: Source,
    /// What the seed rule alone would say: the strict alert's label copied, else a false alarm.
    pub seed: Class,
}

/// The labels of a loose log, and of what the strict one has besides.
#[derive(Clone, Debug, Default)]
pub struct Labelling {
    /// For each alert of the loose log.
    pub loose: Vec<Labelled>,
    /// Alerts of the strict log that the loose one does not have, and their labels.
    pub lost: Vec<(usize, Labelled)>,
    /// What was applied.
    pub applied: Applied,
}

/// What became of people's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Alerts by where their class comes from.
    pub sources: BTreeMap<Source, u64>,
    /// Alerts whose own word overrules that about their rule, or the seed rule.
    pub overruled: u64,
    /// Words about alerts that are in neither log.
    pub unknown_alerts: u64,
    /// Words about rules of which the strict log has no alert.
    pub unknown_rules: Vec<u32>,
}

/// Gives every alert its class.
pub fn apply(words: &Words, strict: &Log, loose: &Log, join: &Join) -> Labelling {
    let mut labelling = Labelling::default();
    let mut used: BTreeSet<&Key> = BTreeSet::new();
    let mut taken = vec![false; strict.len()];
    let mut decide = |loose_key: Option<&'_ Key>, strict_key: Option<&'_ Key>| {
        let own =
            [loose_key, strict_key].into_iter().flatten().find_map(|key| words.alerts.get_key_value(key));
        let rule = strict_key.and_then(|key| words.of_rule(key.signature));
        let copied = match (strict_key, rule) {
            (Some(_), Some(word)) => Labelled { class: word.class, source: Source::Copied, seed: word.class },
            (Some(_), None) => {
                Labelled { class: Class::Real, source: Source::PresumedReal, seed: Class::Real }
            }
            (None, _) => {
                Labelled { class: Class::FalseAlarm, source: Source::PresumedFalse, seed: Class::FalseAlarm }
            }
        };
        let labelled = match own {
            Some((key, word)) => {
                used.insert(key);
                labelling.applied.overruled += u64::from(word.class != copied.class);
                match strict_key {
                    Some(_) => Labelled { class: word.class, source: Source::Said, seed: word.class },
                    None => Labelled { class: word.class, source: Source::Reviewed, ..copied },
                }
            }
            None => copied,
        };
        *labelling.applied.sources.entry(labelled.source).or_default() += 1;
        labelled
    };
    for (at, key) in loose.keys().enumerate() {
        let partner = join.strict_of[at];
        partner.into_iter().for_each(|at| taken[at] = true);
        labelling.loose.push(decide(Some(key), partner.map(|at| strict.key(at))));
    }
    for at in (0..strict.len()).filter(|&at| !taken[at]) {
        labelling.lost.push((at, decide(None, Some(strict.key(at)))));
    }
    labelling.applied.unknown_alerts = words.alerts.keys().filter(|key| !used.contains(key)).count() as u64;
    let rules: BTreeSet<u32> = strict.keys().map(|key| key.signature).collect();
    labelling.applied.unknown_rules =
        words.rules.keys().copied().filter(|sid| !rules.contains(sid)).collect();
    labelling
}

#[cfg(test)]
mod tests {
    use super::super::join::join;
    use super::super::logs::tests::{line, log};
    use super::*;

    fn words(files: &[(&str, &str)]) -> Result<Words> {
        let mut words = Words::default();
        for (name, text) in files {
            words.take((*name).to_owned(), text.as_bytes())?;
        }
        Ok(words)
    }

    #[test]
    fn words_about_alerts_win_and_contradictions_are_placed() {
        let strict = log(&[line(1, 1, 7), line(2, 2, 7), line(3, 3, 8), line(8, 8, 9)]);
        let loose = log(&[line(1, 1, 7), line(2, 2, 7), line(3, 3, 8), line(4, 4, 7), line(5, 5, 7)]);
        let join = join(&strict, &loose);
        let [second, fourth] = [1, 3].map(|at| loose.key(at).to_string());
        let rules = "sid,label,note\n7,false_alarm,\n4711,real,gone\n";
        let keys = format!("{second},false_alarm\n{fourth},real,\n{second},real,\"seen, twice\"\n");
        let elsewhere = fourth.replace(":4/", ":5555/");
        let feedback =
            format!(r#"{{"key":"{elsewhere}","class":"real","by":"ann","time":"2026-11-22T10:00:00Z"}}"#);
        let words = words(&[("a.csv", rules), ("b.csv", &keys), ("c.jsonl", &feedback)]).expect("labels");
        assert_eq!(words.read.contradictions, 1);
        assert!(
            words.read.contradicting[0].contains("b.csv:1 says false_alarm, b.csv:3 says real, which counts")
        );
        let labelling = apply(&words, &strict, &loose, &join);
        let seen: Vec<_> = labelling.loose.iter().map(|one| (one.class, one.source)).collect();
        assert_eq!(
            seen,
            [
                (Class::FalseAlarm, Source::Copied),
                (Class::Real, Source::Said),
                (Class::Real, Source::PresumedReal),
                (Class::Real, Source::Reviewed),
                (Class::FalseAlarm, Source::PresumedFalse),
            ]
        );
        assert_eq!(labelling.loose[3].seed, Class::FalseAlarm);
        assert_eq!(
            labelling.lost,
            [(3, Labelled { class: Class::Real, source: Source::PresumedReal, seed: Class::Real })]
        );
        let Applied { overruled, unknown_alerts, unknown_rules, .. } = labelling.applied;
        assert_eq!((overruled, unknown_alerts, unknown_rules), (2, 1, vec![4711]));
    }

    #[test]
    fn mistakes_are_placed() {
        for (text, message) in [
            ("sid,label\n7,maybe\n", "line 2: the label must be `real` or `false_alarm`, not \"maybe\""),
            ("7,real\nx,real\n", "line 2: \"x\" is neither the id of a rule nor the key of an alert"),
            ("label,note\nreal,\n", "line 1: no column says what a label is about"),
            ("7\n", "line 1: expected `sid,label` or `key,label`"),
            ("", "there are no labels in it"),
            (r#"{"index":{"_id":"x"}}"#, "line 1: no document follows"),
            (r#"{"key":"x","class":"real"}"#, "line 1: no label"),
            (
                r#"{"hits":{"hits":[{"_id":"x","_source":{"gait":{"label":"real"}}}]}}"#,
                "document 1: x: no alert's key",
            ),
        ] {
            let error = format!("{:#}", words(&[("l", text)]).expect_err(text));
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}

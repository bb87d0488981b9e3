//! Judges one line at a time, and writes it out with what is thought of it.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use gait_common::alert::{Alert, Key, Line, Malformed, Rate, Rates, Scratch, Triage, Verdict};
use serde::Serialize;

use super::member::{self, push_plain, push_share, push_text};
use super::request::Request;
use crate::model::Loaded;

/// What a verdict is made with, shared by all that judge.
#[derive(Clone, Debug)]
pub struct Setup {
    triage: Result<Arc<Triage>, &'static str>,
    /// What stands at the end of every member: the model and the rules.
    origin: Vec<u8>,
}

impl Setup {
    /// To judge by a model; without one, or with one that knows nothing of alerts, nothing is said of any. `rules_now` is the
    /// hash of the rules that raise the alerts, where somebody knows them.
    pub fn new(model: Option<&Loaded>, rules_now: Option<&str>) -> Self {
        let triage = match model {
            None => Err("there is no model"),
            Some(loaded) => loaded.model.triage().cloned().ok_or("the model knows nothing of alerts"),
        };
        let mut origin = b",\"model\":".to_vec();
        let or_null = |out: &mut Vec<u8>, text: Option<&str>| match text {
            Some(text) if !text.is_empty() => push_text(out, text),
            _ => out.extend_from_slice(b"null"),
        };
        or_null(&mut origin, model.map(|loaded| loaded.fingerprint.as_str()));
        origin.extend_from_slice(b",\"rules\":");
        let learned = triage.as_ref().ok().map(|triage| triage.origin().rules.as_str());
        or_null(&mut origin, learned);
        if let Some(now) = rules_now {
            origin.extend_from_slice(b",\"rules_now\":");
            push_text(&mut origin, now);
        }
        Self { triage, origin }
    }

    /// Why nothing can be said of any alert, if so.
    pub fn trouble(&self) -> Option<&'static str> {
        self.triage.as_ref().err().copied()
    }

    /// The hash of the rules that the model was learned from; `None` where that is not known.
    pub fn rules(&self) -> Option<&str> {
        self.triage
            .as_ref()
            .ok()
            .map(|triage| triage.origin().rules.as_str())
            .filter(|rules| !rules.is_empty())
    }
}

/// What became of the lines. `lines = alerts + other + malformed + too_long`, and `alerts = real + false_alarm + abstain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Lines that went out, all that came in.
    pub lines: u64,
    /// Alerts.
    pub alerts: u64,
    /// Alerts found real.
    pub real: u64,
    /// Alerts found to be false alarms.
    pub false_alarm: u64,
    /// Alerts of which neither was said.
    pub abstain: u64,
    /// Of those, alerts about something else than HTTP.
    pub not_http: u64,
    /// Alerts that had a verdict, which was replaced.
    pub judged_before: u64,
    /// Events that are no alerts, and empty lines.
    pub other: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The same, by what is wrong with them.
    pub malformed_because: BTreeMap<String, u64>,
    /// Lines too long to be read.
    pub too_long: u64,
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, more: &Self) {
        let Self {
            lines, alerts, real, false_alarm, abstain, not_http, judged_before, other, malformed, ..
        } = more;
        self.lines += lines;
        self.alerts += alerts;
        self.real += real;
        self.false_alarm += false_alarm;
        self.abstain += abstain;
        self.not_http += not_http;
        self.judged_before += judged_before;
        self.other += other;
        self.malformed += malformed;
        self.too_long += more.too_long;
        for (why, count) in &more.malformed_because {
            *self.malformed_because.entry(why.clone()).or_default() += count;
        }
    }
}

/// An alert as others than its reader have to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its key.
    pub key: Key,
    /// What it was found to be.
    pub verdict: Verdict,
    /// The request it is about, and the rule's message; `None` when it is not about HTTP, or nobody wants to know.
    pub about: Option<(Request, String)>,
    /// Where in the output more members of `gait` can be put.
    pub end: usize,
}

/// What a line was read as, with the rates before it.
#[derive(Debug)]
pub struct Read<'l> {
    parsed: Result<Line<'l>, Malformed>,
    rate: Rate,
}

impl<'l> Read<'l> {
    /// Reads a line.
    pub fn new(line: &'l [u8]) -> Self {
        // A line that is cut off within a text is to be told from a text with a line end in it.
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        Self { parsed: Alert::parse(text.strip_suffix(b"\r").unwrap_or(text)), rate: Rate::default() }
    }

    /// Takes note of its rates. To be called for each line in their order.
    pub fn observe(&mut self, rates: &mut Rates) {
        if let Ok(Line::Alert(alert)) = &self.parsed {
            self.rate = rates.observe(alert);
        }
    }
}

/// Judges lines. Holds the buffers, so that nothing is allocated per line once they have grown.
#[derive(Debug)]
pub struct Judge {
    setup: Arc<Setup>,
    scratch: Scratch,
    /// For requests, where somebody wants to know them.
    text: Option<Vec<u8>>,
    counts: Counts,
    malformed: BTreeMap<Malformed, u64>,
}

impl Judge {
    /// A judge.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self {
            setup,
            scratch: Scratch::new(),
            text: None,
            counts: Counts::default(),
            malformed: BTreeMap::new(),
        }
    }

    /// Tells of each alert what it is about.
    #[must_use]
    pub fn with_requests(mut self) -> Self {
        self.text = Some(Vec::new());
        self
    }

    /// What became of the lines so far.
    pub fn counts(&self) -> Counts {
        let malformed_because = self.malformed.iter().map(|(why, count)| (why.to_string(), *count)).collect();
        Counts { malformed_because, ..self.counts.clone() }
    }

    /// Counts a line that is too long to be read.
    pub fn pass_over(&mut self) {
        self.counts.lines += 1;
        self.counts.too_long += 1;
    }

    /// Appends a line to `out`: an alert with what is thought of it, anything else as it is.
    pub fn write(&mut self, line: &[u8], read: &Read<'_>, out: &mut Vec<u8>) -> Option<Judged> {
        self.counts.lines += 1;
        match &read.parsed {
            Ok(Line::Alert(alert)) => return Some(self.alert(line, alert, read.rate, out)),
            Ok(Line::NoHttp(key)) => {
                self.counts.not_http += 1;
                return Some(self.abstain(line, key, "the alert is not about HTTP", out));
            }
            Ok(Line::Other(_)) => self.counts.other += 1,
            Err(_) if line.trim_ascii().is_empty() => self.counts.other += 1,
            Err(why) => {
                self.counts.malformed += 1;
                *self.malformed.entry(*why).or_default() += 1;
            }
        }
        out.extend_from_slice(line);
        None
    }

    fn alert(&mut self, line: &[u8], alert: &Alert<'_>, rate: Rate, out: &mut Vec<u8>) -> Judged {
        let setup = Arc::clone(&self.setup);
        let mut judged = match &setup.triage {
            Err(trouble) => self.abstain(line, &alert.key, trouble, out),
            Ok(triage) => {
                let after = self.open(line, out);
                let judgement = triage.judge(alert, rate, &mut self.scratch);
                push_plain(out, judgement.verdict);
                out.extend_from_slice(b",\"probability\":");
                push_share::<4>(out, judgement.probability);
                out.extend_from_slice(b",\"reasons\":[");
                for (place, reason) in judgement.reasons.iter().enumerate() {
                    out.extend_from_slice(if place == 0 { b"" } else { b"," });
                    push_text(out, &reason.words);
                }
                let (verdict, nearest) = (judgement.verdict, judgement.nearest);
                out.push(b']');
                if let Some(nearest) = nearest {
                    out.extend_from_slice(b",\"nearest\":{\"key\":");
                    push_text(out, nearest.key);
                    out.extend_from_slice(b",\"class\":");
                    push_plain(out, nearest.class);
                    out.extend_from_slice(b",\"likeness\":");
                    push_share::<2>(out, nearest.likeness);
                    out.push(b'}');
                }
                self.close(&alert.key, verdict, after, out)
            }
        };
        let text = self.text.as_mut();
        judged.about = text.map(|text| (Request::of_alert(alert, text), alert.signature.text().into_owned()));
        judged
    }

    fn abstain(&mut self, line: &[u8], key: &Key, why: &str, out: &mut Vec<u8>) -> Judged {
        let after = self.open(line, out);
        push_plain(out, Verdict::Abstain);
        out.extend_from_slice(b",\"probability\":null,\"reasons\":[");
        push_text(out, why);
        out.push(b']');
        self.close(key, Verdict::Abstain, after, out)
    }

    /// Writes the line up to where its verdict stands; gives what stands behind.
    fn open<'l>(&mut self, line: &'l [u8], out: &mut Vec<u8>) -> &'l [u8] {
        let (before, after) = match member::find(line) {
            Some(member) => {
                self.counts.judged_before += 1;
                (member.start, member.end)
            }
            None => {
                // An alert is an object, so its last byte but for white space is a brace.
                let brace = line.trim_ascii_end().len() - 1;
                (brace, brace)
            }
        };
        out.extend_from_slice(&line[..before]);
        out.extend_from_slice(member::BEGIN);
        &line[after..]
    }

    /// Writes the rest of the member, and of the line.
    fn close(&mut self, key: &Key, verdict: Verdict, after: &[u8], out: &mut Vec<u8>) -> Judged {
        out.extend_from_slice(b",\"key\":");
        push_plain(out, key);
        out.extend_from_slice(&self.setup.origin);
        let end = out.len();
        out.push(b'}');
        out.extend_from_slice(after);
        self.counts.alerts += 1;
        *match verdict {
            Verdict::Real => &mut self.counts.real,
            Verdict::FalseAlarm => &mut self.counts.false_alarm,
            Verdict::Abstain => &mut self.counts.abstain,
        } += 1;
        Judged { key: *key, verdict, about: None, end }
    }
}

//! Identity screening: names looked up in a list, with what a person cleared taken out and every answer on record.
//!
//! Four ways lead here: callers as they appear (`live`), the web server's `POST /screen` and its search page
//! ([`crate::web`]), and `gait-agent screen` for one name or a whole file (`command`, `batch`). All of them ask one
//! [`Screener`]. What a name is like and how it is scored is `gait_common::identity`'s affair.

mod audit;
mod batch;
mod cleared;
mod command;
mod list;
mod live;
mod recent;
mod stamp;
mod text;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};
use gait_common::identity::{Answer, Decision, Policy, Query};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{self, Config};
use crate::key;

pub use audit::{Audit, Tip, Verified, verify};
pub use batch::fuzz;
pub use cleared::{Clearance, Cleared, NotCleared};
pub use command::{Arguments, command};
pub use list::{ListFile, LoadError, Loaded};
pub use live::{Counts, Listed, Live, Made, Standing, Tap};
pub(crate) use text::{field_name, script_name};

/// Longest name or address that is looked up, in bytes.
pub const MAX_TEXT: usize = 1024;
/// Most countries or documents of a query.
pub const MAX_VALUES: usize = 16;
/// Longest name of a channel, in bytes. It stands in every line of the audit log, which are read back up to a bound.
pub const MAX_CHANNEL: usize = 64;
/// Hits that a line of the audit log names.
const AUDITED_HITS: usize = 5;

/// Why a query is not looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is nothing to look up.
    #[error("the name is empty: it needs a letter or a digit")]
    Empty,
    /// A text is longer than [`MAX_TEXT`].
    #[error("the {0} is longer than {MAX_TEXT} bytes")]
    Long(&'static str),
    /// There are more values than [`MAX_VALUES`].
    #[error("there are more than {MAX_VALUES} {0}")]
    Many(&'static str),
    /// The channel's name is longer than [`MAX_CHANNEL`].
    #[error("the channel is longer than {MAX_CHANNEL} bytes")]
    Channel,
}

/// Looks names up.
#[derive(Debug)]
pub struct Screener {
    list: ListFile,
    policy: Policy,
    policy_hash: String,
    cleared: Option<Cleared>,
    audit: Option<Audit>,
    audit_names: bool,
    /// Hides callers and queries where they are kept.
    key: [u8; 32],
}

/// An answer and what it rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Screened {
    /// The answer, without the hits that were cleared.
    #[serde(flatten)]
    pub answer: Answer,
    /// Hits that a person cleared, and that count for nothing.
    pub cleared: Vec<ClearedHit>,
    /// The fingerprint of the list's file.
    pub list: String,
    /// The fingerprint of thresholds, weights and risk matrix.
    pub policy: String,
    /// The keyed hash of the query, as the audit log has it.
    pub query: String,
    /// The keyed hash of the caller, if one was named.
    pub caller: Option<String>,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    channel: String,
}

/// A hit that a person cleared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClearedHit {
    /// Name of the source.
    pub source: String,
    /// The source's identifier.
    pub id: String,
    /// The listed name.
    pub name: String,
    /// How near it comes.
    pub score: f64,
    /// Who cleared it.
    pub by: String,
    /// When.
    pub time: String,
    /// Why.
    pub note: String,
}

impl Screener {
    /// What the configuration asks for; `None` where no list is named.
    ///
    /// # Errors
    /// When the list is refused, or a file cannot be opened.
    pub fn open(config: &Config) -> Result<Option<Self>> {
        let options = &config.screening;
        let Some(path) = &options.list else { return Ok(None) };
        let list = ListFile::open(path)?;
        Self::with(list, options, config).map(Some)
    }

    fn with(list: ListFile, options: &config::Screening, config: &Config) -> Result<Self> {
        let kept = options.cleared.is_some() || options.audit.is_some() || !options.identity.is_empty();
        let policy = serde_json::to_vec(&options.policy).context("failed to render the policy")?;
        Ok(Self {
            list,
            policy: options.policy.clone(),
            policy_hash: blake3::hash(&policy).to_hex()[..16].to_owned(),
            cleared: options.cleared.as_deref().map(Cleared::open).transpose()?,
            audit: options.audit.as_deref().map(Audit::open).transpose()?,
            audit_names: options.audit_names,
            key: if kept { key::secret(config)? } else { [0; 32] },
        })
    }

    /// The list as it is now.
    pub fn list(&self) -> Arc<Loaded> {
        self.list.current()
    }

    /// The list's file.
    pub fn list_path(&self) -> &Path {
        self.list.path()
    }

    /// Thresholds, weights and risk matrix.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether hits can be cleared.
    pub fn can_clear(&self) -> bool {
        self.cleared.is_some()
    }

    /// Reads list and clearances anew where their files have changed; says whether the list has.
    pub fn refresh(&self) -> bool {
        if self.cleared.as_ref().is_some_and(Cleared::refresh) {
            // Callers that were seen before are looked up anew, as with another list: what is known of them rests on the
            // clearances of then.
            self.list.edition().fetch_add(1, Ordering::Release);
        }
        self.list.refresh()
    }

    /// Has the next [`refresh`](Self::refresh) look at the files, however lately they were looked at, and read the list even
    /// if its file looks as it did.
    pub fn look_now(&self) {
        self.list.look_now();
    }

    /// Looks a query up, and puts the answer on record.
    ///
    /// # Errors
    /// When the audit log cannot be written: an answer that is not on record is not given.
    pub fn screen(&self, query: &Query, caller: Option<&str>) -> Result<Screened> {
        let screened = self.ask(query, caller);
        self.record(std::slice::from_ref(&screened))?;
        Ok(screened)
    }

    /// Looks a query up. Whoever asks is to [`record`](Self::record) the answer.
    pub fn ask(&self, query: &Query, caller: Option<&str>) -> Screened {
        let loaded = self.list.current();
        let subjects = [caller.map(|caller| self.caller_subject(caller)), Some(self.query_subject(query))];
        let known = self.cleared.as_ref().map_or(0, |cleared| cleared.count(&subjects));
        let mut answer = match known {
            0 => loaded.watchlist.screen(query, &self.policy),
            // What is cleared must not push out of the answer what is not.
            known => {
                let max_hits = self.policy.max_hits.saturating_add(known);
                loaded.watchlist.screen(query, &Policy { max_hits, ..self.policy.clone() })
            }
        };
        let mut cleared = Vec::new();
        if known > 0 {
            let before = answer.hits.len();
            answer.hits.retain(|hit| {
                let found = self.cleared.as_ref().and_then(|list| list.find(&subjects, hit, &loaded));
                found.is_none_or(|clearance| {
                    cleared.push(ClearedHit {
                        source: hit.source.clone(),
                        id: hit.id.clone(),
                        name: hit.name.clone(),
                        score: hit.score,
                        by: clearance.by,
                        time: clearance.time,
                        note: clearance.note,
                    });
                    false
                })
            });
            let over = answer.hits.len().saturating_sub(self.policy.max_hits);
            let strictest = answer.hits.iter().map(|hit| hit.decision).max().unwrap_or_default();
            // Hits come strictest first: what was left out is no stricter than what is still there.
            if answer.hits.len() < before && (answer.more == 0 || !answer.hits.is_empty()) {
                answer.decision = strictest;
            }
            answer.hits.truncate(self.policy.max_hits);
            answer.more += over;
        }
        let [caller, query_subject] = subjects;
        Screened {
            answer,
            cleared,
            list: loaded.fingerprint.clone(),
            policy: self.policy_hash.clone(),
            query: query_subject.unwrap_or_default(),
            caller,
            name: query.name.clone(),
            channel: query.channel.clone(),
        }
    }

    /// Puts answers on record, all or none.
    ///
    /// # Errors
    /// When the audit log cannot be written.
    pub fn record(&self, answers: &[Screened]) -> Result<()> {
        let Some(audit) = &self.audit else { return Ok(()) };
        if answers.is_empty() {
            return Ok(());
        }
        let time = Timestamp::now().to_string();
        let entries: Vec<Value> = answers.iter().map(|answer| self.entry(answer, &time)).collect();
        audit.append(&entries)
    }

    fn entry(&self, screened: &Screened, time: &str) -> Value {
        let hits: Vec<Value> = screened
            .answer
            .hits
            .iter()
            .take(AUDITED_HITS)
            .map(|hit| json!({"source": hit.source, "id": hit.id, "score": hit.score, "decision": hit.decision}))
            .collect();
        let cleared: Vec<Value> = screened
            .cleared
            .iter()
            .map(|hit| json!({"source": hit.source, "id": hit.id, "by": hit.by}))
            .collect();
        let mut entry = json!({
            "time": time,
            "channel": screened.channel,
            "query": screened.query,
            "decision": screened.answer.decision,
            "hits": hits,
            "hits_in_all": screened.answer.hits.len() + screened.answer.more,
            "cleared": cleared,
            "list": screened.list,
            "policy": screened.policy,
        });
        if let Some(caller) = &screened.caller {
            entry["caller"] = json!(caller);
        }
        if self.audit_names {
            entry["name"] = json!(screened.name);
        }
        entry
    }

    /// Says that a listed identity is not the one that was asked for, in all answers to this caller or query.
    ///
    /// # Errors
    /// When clearances are not configured, the list has no such identity, or the file cannot be written.
    pub fn clear(&self, whose: Whose<'_>, act: &Act<'_>) -> Result<Clearance> {
        let Some(cleared) = &self.cleared else { bail!("screening.cleared names no file for clearances") };
        let subject = match whose {
            Whose::Caller(caller) => self.caller_subject(caller),
            Whose::Query(query) => self.query_subject(query),
        };
        let time = Timestamp::now().to_string();
        let clearance = cleared.add(&subject, act, &self.list.current(), &time)?;
        self.refresh();
        Ok(clearance)
    }

    fn caller_subject(&self, caller: &str) -> String {
        self.hide("caller", caller.as_bytes())
    }

    /// The channel is no part of whom a query is about.
    fn query_subject(&self, query: &Query) -> String {
        let query = Query { channel: String::new(), ..query.clone() };
        self.hide("query", &serde_json::to_vec(&query).unwrap_or_default())
    }

    fn hide(&self, what: &str, bytes: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(what.as_bytes()).update(b"\0").update(bytes);
        format!("{what}#{}", &hasher.finalize().to_hex()[..16])
    }
}

/// Whose match is cleared.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// A caller, as findings name it.
    Caller(&'a str),
    /// Whoever is asked for in just these words.
    Query(&'a Query),
}

/// What a person says of a match.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// The source's identifier.
    pub id: &'a str,
    /// Who says it.
    pub by: &'a str,
    /// Why.
    pub note: &'a str,
    /// Take it back.
    pub revoke: bool,
}

/// Whether a query keeps to its bounds.
///
/// # Errors
/// What is wrong with it.
pub fn check(query: &Query) -> Result<(), Unfit> {
    let long = |text: &str| text.len() > MAX_TEXT;
    if long(&query.name) {
        return Err(Unfit::Long("name"));
    }
    if !query.name.chars().any(char::is_alphanumeric) {
        return Err(Unfit::Empty);
    }
    if query.channel.len() > MAX_CHANNEL {
        return Err(Unfit::Channel);
    }
    if query.address.as_deref().is_some_and(long) {
        return Err(Unfit::Long("address"));
    }
    for (what, values) in [("countries", &query.countries), ("documents", &query.documents)] {
        if values.len() > MAX_VALUES {
            return Err(Unfit::Many(what));
        }
        if values.iter().any(|value| long(value)) {
            return Err(Unfit::Long(what));
        }
    }
    Ok(())
}

/// A decision in one word.
pub fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Pass => "pass",
        Decision::Review => "review",
        Decision::Block => "block",
    }
}

#[cfg(test)]
mod tests;

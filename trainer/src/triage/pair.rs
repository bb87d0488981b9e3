//! The two logs to learn from: raised by the real Suricata over one capture, or read from files that it wrote before.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use gait_common::alert::rules::hash;
use serde::Serialize;

use super::logs::{Filter, Log};
use super::pcap;
use super::rules::{Rule, RuleFile};
use super::suricata::{Loading, Suricata};

/// Refused rules that an error shows.
const MAX_SHOWN: usize = 10;

/// What is done with a loose rule that Suricata refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Refused {
    /// The strict rule of the same id runs in its place, and is named; without one, nothing is run.
    #[default]
    KeepStrict,
    /// Nothing is run.
    Fail,
}

/// A capture and the two rule sets.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The packets: pcap or pcapng; plain, gzip or zstd.
    pub pcap: PathBuf,
    /// The strict rules.
    pub strict: PathBuf,
    /// The loose rules.
    pub loose: PathBuf,
    /// What runs them.
    pub suricata: Suricata,
    /// Bytes that a packed capture may unpack to.
    pub max_unpacked: u64,
    /// A capture that is cut short is used as far as it is whole.
    pub allow_cut: bool,
    /// What is done with loose rules that Suricata refuses.
    pub refused: Refused,
}

/// The two logs, and where they come from.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What the strict rules raised.
    pub strict: Log,
    /// What the loose rules raised.
    pub loose: Log,
    /// Where they come from.
    pub about: About,
}

/// Where two logs come from.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    /// Version of Suricata, if it was run.
    pub suricata: Option<String>,
    /// The capture, if there was one.
    pub pcap: Option<String>,
    /// Its packets; Suricata decoded as many in each run.
    pub packets: u64,
    /// Where the capture is cut, if it is.
    pub cut: Option<String>,
    /// The rule sets, strict and loose, if they are known.
    pub rules: Vec<RuleSet>,
    /// Loose rules that Suricata refused, in whose place the strict ones ran.
    pub stand_ins: Vec<StandIn>,
    /// Alerts lost because one packet had too many.
    pub overflown: u64,
    /// Hash of the loose rules as [`hash`] makes it; empty when they are not known.
    pub hash: String,
}

/// A rule set that was run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleSet {
    /// The file.
    pub file: String,
    /// Active rules in it.
    pub rules: usize,
    /// How many of them were loaded.
    pub loaded: usize,
}

/// A loose rule that Suricata refused.
#[derive(Clone, Debug, Serialize)]
pub struct StandIn {
    /// Its id.
    pub sid: u64,
    /// Its line in the loose file.
    pub line: usize,
    /// What Suricata says.
    pub words: String,
}

impl Pair {
    /// Reads two logs that are there already. The rules only give the model their hash.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(strict: &Path, loose: &Path, rules: Option<&Path>, filter: &Filter) -> Result<Self> {
        let hash = match rules {
            Some(rules) => hash([RuleFile::read(rules)?.bytes]),
            None => String::new(),
        };
        let read = |path: &Path| Log::read(path, &path.display().to_string(), filter);
        Ok(Self { strict: read(strict)?, loose: read(loose)?, about: About { hash, ..About::default() } })
    }
}

impl Capture {
    /// Runs both rule sets over the capture, each in a fresh directory below `dir`.
    ///
    /// # Errors
    /// When Suricata refuses a rule, fails, or sees fewer rules or packets than there are.
    pub fn run(&self, dir: &Path, filter: &Filter) -> Result<Pair> {
        let (strict, loose) = (RuleFile::read(&self.strict)?, RuleFile::read(&self.loose)?);
        let dir = tempfile::Builder::new()
            .prefix(".triage-")
            .tempdir_in(dir)
            .context("failed to create a directory")?;
        let dir = dir.path();
        let strict_check = self.check(&self.strict, &strict, &dir.join("check-strict"))?;
        self.refuse(&self.strict, &strict, &strict_check)?;
        let loose_check = self.check(&self.loose, &loose, &dir.join("check-loose"))?;
        let mut about = About {
            suricata: Some(self.suricata.version.clone()),
            pcap: Some(self.pcap.display().to_string()),
            hash: hash([&loose.bytes]),
            ..About::default()
        };
        let mut loose_rules = self.loose.clone();
        if !loose_check.refused.is_empty() {
            let (bytes, stand_ins) = self.stand_in(&strict, &loose, &loose_check)?;
            // Beside the original nothing may be written; what its rules load stands by its path.
            loose_rules = dir.join("loose.rules");
            fs::write(&loose_rules, bytes)
                .with_context(|| format!("failed to write {}", loose_rules.display()))?;
            about.stand_ins = stand_ins;
        }
        let pcap = pcap::prepare(&self.pcap, dir, self.max_unpacked, self.allow_cut)?;
        ensure!(pcap.packets > 0, "there is no packet in {}", self.pcap.display());
        (about.packets, about.cut) = (pcap.packets, pcap.cut);
        let mut logs = Vec::new();
        let sets = [
            (&self.strict, &self.strict, &strict, "strict.rules"),
            (&self.loose, &loose_rules, &loose, "loose.rules"),
        ];
        for (named, used, file, name) in sets {
            let base = named.parent().unwrap_or(Path::new("."));
            let run =
                self.suricata.run(used, base, &pcap.path, &dir.join(name.trim_end_matches(".rules")))?;
            ensure!(
                run.packets == pcap.packets,
                "Suricata decoded {} packets of {} with {}, but there are {}",
                run.packets,
                self.pcap.display(),
                named.display(),
                pcap.packets
            );
            about.overflown += run.overflown;
            about.rules.push(RuleSet {
                file: named.display().to_string(),
                rules: file.rules.len(),
                loaded: run.rules,
            });
            logs.push(Log::read(&run.eve, &format!("the log of {}", named.display()), filter)?);
        }
        let (loose, strict) = (logs.pop().unwrap_or_default(), logs.pop().unwrap_or_default());
        Ok(Pair { strict, loose, about })
    }

    /// What Suricata says of a rule file, given that it says something of every rule.
    fn check(&self, path: &Path, file: &RuleFile, dir: &Path) -> Result<Loading> {
        ensure!(!file.rules.is_empty(), "there is no active rule in {}", path.display());
        let base = path.parent().unwrap_or(Path::new("."));
        let check = self.suricata.check(path, base, dir)?;
        ensure!(
            check.errors.is_empty(),
            "Suricata cannot use {}: {}",
            path.display(),
            check.errors.join("; ")
        );
        let seen = check.loaded + check.failed + check.skipped;
        // A file without any good rule gets no count.
        ensure!(
            seen == file.rules.len() || (seen == 0 && !check.refused.is_empty()),
            "Suricata saw {seen} of the {} rules in {}",
            file.rules.len(),
            path.display()
        );
        Ok(check)
    }

    /// An error that names every refused rule, if there is one.
    fn refuse(&self, path: &Path, file: &RuleFile, check: &Loading) -> Result<()> {
        if check.refused.is_empty() {
            return Ok(());
        }
        let name = |line: usize| match at_line(file, line).and_then(Rule::sid) {
            Some(sid) => format!("sid {sid}: "),
            None => String::new(),
        };
        let mut words: Vec<String> = check
            .refused
            .iter()
            .take(MAX_SHOWN)
            .map(|(line, words)| format!("{}:{line}: {}{words}", path.display(), name(*line)))
            .collect();
        if check.refused.len() > MAX_SHOWN {
            words.push(format!("and {} more", check.refused.len() - MAX_SHOWN));
        }
        bail!(
            "Suricata {} refuses {} of the {} rules in {}:\n  {}",
            self.suricata.version,
            check.refused.len(),
            file.rules.len(),
            path.display(),
            words.join("\n  ")
        )
    }

    /// The loose file with the strict rules in place of the refused ones.
    fn stand_in(
        &self,
        strict: &RuleFile,
        loose: &RuleFile,
        check: &Loading,
    ) -> Result<(Vec<u8>, Vec<StandIn>)> {
        let by_sid = |sid: u64| strict.rules.iter().find(|rule| rule.sid() == Some(sid));
        let mut stand_ins = Vec::new();
        for (&line, words) in &check.refused {
            let sid = at_line(loose, line).and_then(Rule::sid).filter(|sid| by_sid(*sid).is_some());
            match sid {
                Some(sid) if self.refused == Refused::KeepStrict => {
                    stand_ins.push(StandIn { sid, line, words: words.clone() });
                }
                _ => self.refuse(&self.loose, loose, check)?,
            }
        }
        let bytes = loose.rewrite(|_, rule| {
            let stand_in = stand_ins.iter().find(|stand_in| stand_in.line == rule.line)?;
            by_sid(stand_in.sid).map(|strict| strict.text.clone())
        });
        Ok((bytes, stand_ins))
    }
}

fn at_line(file: &RuleFile, line: usize) -> Option<&Rule> {
    file.rules.iter().find(|rule| rule.line == line)
}

//! `gait-trainer triage loosen`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::super::{note, print};
use super::SuricataArgs;
use crate::triage::loosen::{Loosened, Operator, Options, Report, loosen};
use crate::triage::rules::RuleFile;
use crate::triage::suricata::Suricata;

/// Rounds of asking Suricata: each keeps strict what the one before found to be refused.
const ROUNDS: usize = 4;
/// Rules that are named one by one on the terminal.
const MAX_SHOWN: usize = 20;

/// Make the loose rule set from the strict one: the same rules without what narrows them down.
///
/// Whatever hangs on a dropped option is dropped with it, so that the rules stay valid and raise every alert that the strict ones
/// raise; rules that would match everything are kept strict, and named. Where Suricata is installed it checks the result.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer triage loosen strict.rules --out loose.rules
  gait-trainer triage loosen strict.rules --drop distance,within,pcre > loose.rules
  gait-trainer triage loosen strict.rules --out loose.rules --json | jq .kept")]
pub(super) struct LoosenArgs {
    /// The strict rules
    #[arg(value_name = "RULES")]
    rules: PathBuf,
    /// What to drop; all but `flowbits` when not given
    #[arg(long, value_name = "OPERATORS", value_delimiter = ',', value_enum)]
    drop: Vec<Operator>,
    /// Where to write the loose rules; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep rules strict whose longest content would have fewer bytes
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().min_content)]
    min_content: usize,
    /// Do not ask Suricata whether it takes the rules
    #[arg(long)]
    unchecked: bool,
    /// Print the report as one JSON object (needs --out)
    #[arg(long, requires = "out")]
    json: bool,
    #[command(flatten)]
    suricata: SuricataArgs,
}

impl LoosenArgs {
    pub(super) fn run(self) -> Result<()> {
        let file = RuleFile::read(&self.rules)?;
        ensure!(!file.rules.is_empty(), "there is no active rule in {}", self.rules.display());
        let mut options = Options { min_content: self.min_content, ..Options::default() };
        if !self.drop.is_empty() {
            options.drop.clone_from(&self.drop);
        }
        let Loosened { bytes, report } = self.checked(&file, &options)?;
        match &self.out {
            Some(out) => crate::whole::write(out, &bytes, "the loose rules")?,
            None => std::io::stdout().lock().write_all(&bytes).context("failed to write the loose rules")?,
        }
        if self.json {
            print(&mut std::io::stdout().lock(), &serde_json::to_string(&report)?)?;
            return Ok(());
        }
        words(&report).iter().for_each(|line| note(line));
        if let Some(out) = &self.out {
            note(&format!("wrote {}", out.display()));
        }
        Ok(())
    }

    /// The loosened rules that Suricata takes, where there is one to be asked.
    fn checked(&self, file: &RuleFile, options: &Options) -> Result<Loosened> {
        let mut refused = BTreeMap::new();
        let mut loosened = loosen(file, options, &refused);
        if self.unchecked {
            return Ok(loosened);
        }
        let suricata = match Suricata::find(self.suricata.suricata.as_deref(), &self.suricata.home_net) {
            Ok(suricata) => suricata,
            Err(_) if self.suricata.suricata.is_none() && !on_path("suricata") => return Ok(loosened),
            Err(error) => return Err(error),
        };
        let dir = tempfile::tempdir().context("failed to create a directory")?;
        let base = self.rules.parent().unwrap_or(Path::new("."));
        for round in 0..ROUNDS {
            let rules = dir.path().join(format!("{round}.rules"));
            std::fs::write(&rules, &loosened.bytes)
                .with_context(|| format!("failed to write {}", rules.display()))?;
            let check = suricata.check(&rules, base, &dir.path().join(round.to_string()))?;
            ensure!(check.errors.is_empty(), "Suricata cannot use the rules: {}", check.errors.join("; "));
            if check.refused.is_empty() {
                loosened.report.checked_by = Some(suricata.version);
                return Ok(loosened);
            }
            // A rule over several lines may have lost one: what stands where in the new file is asked anew.
            let new = RuleFile::parse(loosened.bytes);
            for (line, words) in check.refused {
                let at = new.rules.iter().position(|rule| rule.line == line);
                let line = at.and_then(|at| file.rules.get(at)).map_or(line, |rule| rule.line);
                if let Some(before) = refused.insert(line, words) {
                    bail!(
                        "Suricata refuses the strict rule at {}:{line} too: {before}",
                        self.rules.display()
                    );
                }
            }
            loosened = loosen(file, options, &refused);
        }
        bail!("Suricata still refuses rules after {ROUNDS} rounds")
    }
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn words(report: &Report) -> Vec<String> {
    let Report { rules, loosened, unchanged, kept, dropped, checked_by, cautions } = report;
    let mut lines = vec![format!(
        "{rules} rules: {loosened} loosened, {unchanged} with nothing to drop, {} kept strict",
        kept.len()
    )];
    if !dropped.is_empty() {
        let dropped: Vec<String> = dropped.iter().map(|(name, count)| format!("{name} {count}")).collect();
        lines.push(format!("dropped: {}", dropped.join(", ")));
    }
    for (about, rules) in [("kept strict", kept), ("may hide alerts of another rule", cautions)] {
        for rule in rules.iter().take(MAX_SHOWN) {
            let sid = rule.sid.map_or_else(String::new, |sid| format!(" sid {sid}"));
            lines.push(format!("{about}: line {}{sid}: {}", rule.line, rule.reason));
        }
        if rules.len() > MAX_SHOWN {
            lines.push(format!("{about}: {} more (--json names all)", rules.len() - MAX_SHOWN));
        }
    }
    lines.push(match checked_by {
        Some(version) => format!("Suricata {version} takes every rule"),
        None => "not checked by Suricata: it is not on PATH, or --unchecked was given".to_owned(),
    });
    lines
}

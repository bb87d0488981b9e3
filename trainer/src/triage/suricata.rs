//! Runs the real Suricata over a capture, with a configuration of our own, and reads what it says of rules and packets.
//!
//! Each run has a fresh directory, as Suricata appends to the files it finds, and every error in the rules is fatal: without
//! `--init-errors-fatal` it leaves out what it cannot read and still ends with 0.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

const CONFIG: &str = include_str!("suricata.yaml");
/// Where distributions keep Suricata's own tables.
const TABLES: [&str; 2] = ["/etc/suricata", "/usr/local/etc/suricata"];
/// Longest log of a run that is read, in bytes.
const MAX_LOG: u64 = 64 << 20;

/// A Suricata that can be run.
#[derive(Clone, Debug)]
pub struct Suricata {
    program: PathBuf,
    /// Its version, such as `7.0.10`.
    pub version: String,
    home_net: String,
}

/// What Suricata says of a rule file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Rules it took.
    pub loaded: usize,
    /// Rules it did not take.
    pub failed: usize,
    /// Rules it passed over because they ask for what this Suricata does not have.
    pub skipped: usize,
    /// What it says of those, by the line in the file.
    pub refused: BTreeMap<usize, String>,
    /// Other errors.
    pub errors: Vec<String>,
}

/// What a run over a capture gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its log of events.
    #[serde(skip)]
    pub eve: PathBuf,
    /// Rules that were used.
    pub rules: usize,
    /// Packets that were decoded.
    pub packets: u64,
    /// Alerts that Suricata could not keep, as one packet had too many.
    pub overflown: u64,
}

/// A line of Suricata's own log.
#[derive(Deserialize)]
struct Said {
    log_level: String,
    engine: Engine,
}

#[derive(Deserialize)]
struct Engine {
    message: String,
}

impl Suricata {
    /// The Suricata of this path, or the one on PATH. `home_net` is what the rules call `$HOME_NET`: a list of networks as
    /// Suricata takes it, or `any`.
    ///
    /// # Errors
    /// When there is none, or it does not say its version.
    pub fn find(program: Option<&Path>, home_net: &str) -> Result<Self> {
        ensure!(
            !home_net.is_empty()
                && home_net.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"[],.:/! ".contains(&byte)),
            "the home network {home_net:?} is no list of networks such as 10.0.0.0/8 or [10.0.0.0/8,192.168.0.0/16]"
        );
        let program = program.unwrap_or(Path::new("suricata")).to_owned();
        let output = Command::new(&program).arg("-V").stdin(Stdio::null()).output().with_context(|| {
            format!(
                "failed to start {}: install Suricata (`cargo xtask toolchain --suricata` does on Debian), or give its logs \
                 by --strict-eve and --loose-eve",
                program.display()
            )
        })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
        let version = version
            .with_context(|| format!("{} does not say that it is Suricata", program.display()))?
            .to_owned();
        Ok(Self { program, version, home_net: home_net.to_owned() })
    }

    /// Asks what it makes of a rule file, without any packet. `base` is where files are that rules name, `dir` must not have
    /// been used before.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn check(&self, rules: &Path, base: &Path, dir: &Path) -> Result<Loading> {
        let mut command = self.command(rules, base, dir)?;
        command.arg("-T");
        let (status, said) = run(&mut command, dir)?;
        let loading = Loading::read(&said);
        ensure!(
            status || !loading.refused.is_empty() || !loading.errors.is_empty(),
            "{} failed on {} and did not say why; its log is {}",
            self.program.display(),
            rules.display(),
            dir.join("suricata.log").display()
        );
        Ok(loading)
    }

    /// Runs over a capture. `base` and `dir` as in [`Suricata::check`].
    ///
    /// # Errors
    /// When it cannot be run, or refuses a rule, or fails in any other way.
    pub fn run(&self, rules: &Path, base: &Path, pcap: &Path, dir: &Path) -> Result<Run> {
        let mut command = self.command(rules, base, dir)?;
        // One thread: the order of events, and which packet an alert is raised at, is then the same in every run.
        command.arg("-r").arg(pcap).args(["--runmode", "single", "-k", "none"]);
        let (status, said) = run(&mut command, dir)?;
        let loading = Loading::read(&said);
        if !status || loading.failed > 0 || !loading.refused.is_empty() || !loading.errors.is_empty() {
            let refused =
                loading.refused.iter().map(|(line, words)| format!("{}:{line}: {words}", rules.display()));
            let words: Vec<String> = refused.chain(loading.errors.iter().cloned()).collect();
            bail!("Suricata failed on {} with {}: {}", pcap.display(), rules.display(), words.join("; "));
        }
        let eve = dir.join("eve.json");
        let stats = stats(&eve)?;
        let number = |path: [&str; 2]| stats[path[0]][path[1]].as_u64();
        Ok(Run {
            rules: loading.loaded,
            packets: number(["decoder", "pkts"])
                .context("Suricata did not say how many packets it decoded")?,
            overflown: number(["detect", "alert_queue_overflow"]).unwrap_or(0),
            eve,
        })
    }

    fn command(&self, rules: &Path, base: &Path, dir: &Path) -> Result<Command> {
        fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let rules = fs::canonicalize(rules)
            .with_context(|| format!("failed to read the rules {}", rules.display()))?;
        let config = dir.join("suricata.yaml");
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        let base = fs::canonicalize(base).with_context(|| format!("failed to find {}", base.display()))?;
        fs::write(&config, self.config(&base, dir)?)
            .with_context(|| format!("failed to write {}", config.display()))?;
        let mut command = Command::new(&self.program);
        // Times are written in the zone of the process.
        command.env("TZ", "UTC").arg("-c").arg(config).arg("-S").arg(rules).arg("-l").arg(dir);
        command.arg("--init-errors-fatal");
        Ok(command)
    }

    fn config(&self, base: &Path, dir: &Path) -> Result<String> {
        let table = |name: &str| -> Result<String> {
            let known = TABLES.iter().map(|dir| Path::new(dir).join(name)).find(|file| file.is_file());
            let file = known.unwrap_or_else(|| dir.join(name));
            if !file.exists() {
                fs::write(&file, "").with_context(|| format!("failed to write {}", file.display()))?;
            }
            quotable(&file)
        };
        let outside = if self.home_net.contains("any") { "any" } else { "!$HOME_NET" };
        Ok(CONFIG
            .replace("@HOME_NET@", &self.home_net)
            .replace("@EXTERNAL_NET@", outside)
            .replace("@RULES@", &quotable(base)?)
            .replace("@CLASSIFICATION@", &table("classification.config")?)
            .replace("@REFERENCE@", &table("reference.config")?))
    }
}

/// A path as it may stand between the quotes of a configuration.
fn quotable(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['"', '\\', '\n']));
    Ok(text
        .with_context(|| {
            format!("the path {} cannot be written into Suricata's configuration", path.display())
        })?
        .to_owned())
}

/// Runs it, and gives whether it ended well and what it logged.
fn run(command: &mut Command, dir: &Path) -> Result<(bool, String)> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {}", command.get_program().display()))?;
    let log = dir.join("suricata.log");
    let Ok(meta) = fs::metadata(&log) else {
        let said = [output.stdout, output.stderr].concat();
        bail!("Suricata failed before it opened its log: {}", String::from_utf8_lossy(&said).trim());
    };
    ensure!(meta.len() <= MAX_LOG, "{} has {} bytes, over the limit of {MAX_LOG}", log.display(), meta.len());
    let said = fs::read(&log).with_context(|| format!("failed to read {}", log.display()))?;
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

impl Loading {
    /// From Suricata's log: what is wrong with a rule stands in the errors before the one that names its line.
    fn read(said: &str) -> Self {
        let mut loading = Self::default();
        let mut words: Vec<String> = Vec::new();
        for said in said.lines().filter_map(|line| serde_json::from_str::<Said>(line).ok()) {
            let message = said.engine.message;
            if let Some(counts) = message.split_once("rule files processed. ").map(|(_, counts)| counts) {
                let mut numbers = counts.split([' ', ',']).filter_map(|word| word.parse().ok());
                let mut next = || numbers.next().unwrap_or(0);
                (loading.loaded, loading.failed, loading.skipped) = (next(), next(), next());
            } else if said.log_level == "Error" {
                match message.rsplit_once(" at line ").and_then(|(_, line)| line.trim().parse().ok()) {
                    Some(line) if message.starts_with("error parsing signature") => {
                        loading.refused.insert(line, std::mem::take(&mut words).join("; "));
                    }
                    _ if message == "Loading signatures failed." => {}
                    _ => words.push(message),
                }
            }
        }
        loading.errors = words;
        loading
    }
}

/// The last count of everything.
fn stats(eve: &Path) -> Result<serde_json::Value> {
    use std::io::BufRead as _;
    let failed = || format!("failed to read {}", eve.display());
    let mut lines = std::io::BufReader::new(fs::File::open(eve).with_context(failed)?);
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while lines.read_until(b'\n', &mut line).with_context(failed)? > 0 {
        if line.windows(20).take(200).any(|window| window == br#""event_type":"stats""#) {
            std::mem::swap(&mut line, &mut last);
        }
        line.clear();
    }
    ensure!(!last.is_empty(), "Suricata wrote no statistics to {}", eve.display());
    let mut event: serde_json::Value = serde_json::from_slice(&last).with_context(failed)?;
    Ok(event["stats"].take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_rules_are_told_with_their_words() {
        let line = |level: &str, message: &str| {
            let said = serde_json::json!({"log_level": level, "engine": {"message": message}, "event_type": "engine"});
            format!("{said}\n")
        };
        let log = [
            line("Notice", "This is Suricata"),
            line("Error", "previous sticky buffer has no matches"),
            line("Error", "error parsing signature \"alert at line 9\" from file a.rules at line 3"),
            line("Info", "1 rule files processed. 604 rules successfully loaded, 6 rules failed, 0"),
            line("Error", "Loading signatures failed."),
            line("Error", "no space left"),
            "half a li".to_owned(),
        ];
        let loading = Loading::read(&log.concat());
        assert_eq!((loading.loaded, loading.failed), (604, 6));
        assert_eq!(
            loading.refused,
            BTreeMap::from([(3, "previous sticky buffer has no matches".to_owned())])
        );
        assert_eq!(loading.errors, ["no space left"]);
    }

    #[test]
    fn what_would_break_the_configuration_is_refused() {
        assert!(Suricata::find(Some(Path::new("/bin/true")), "any\"\nplugins: x").is_err());
        let error = Suricata::find(Some(Path::new("/nowhere/suricata")), "any").expect_err("no such program");
        assert!(format!("{error:#}").contains("--strict-eve"), "{error:#}");
        assert!(quotable(Path::new("/a\"b")).is_err());
    }
}

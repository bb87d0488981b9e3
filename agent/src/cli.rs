//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use gait_common::alert::Class;
use gait_common::ingest::{self, Format};

use crate::config::{Config, Period};
use crate::functions::pattern::Pattern;
use crate::triage::{command as triage, feedback};
use crate::{check, exit, functions, replay, run, screen, web};

/// Captures the HTTP exchanges of this host and reports callers that walk differently from what a model has learned.
#[derive(Debug, Parser)]
#[command(name = "gait-agent", version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Capture until SIGTERM or SIGINT; SIGHUP opens the findings file anew
    #[command(after_help = concat!("Examples:
  gait-agent run                                      record with the defaults, as root
  gait-agent run --config /etc/gait/gait.toml         as configured
  gait-agent run --model shop.gait --pretty           detect, and show findings to people
  gait-agent run --duration 10m --summary count.json  record for ten minutes and say what was counted"))]
    Run(Run),
    /// Tell whether the configuration is right and what this host lets the agent capture; changes nothing
    #[command(after_help = "Examples:
  gait-agent check --config /etc/gait/gait.toml
  gait-agent check --json")]
    Check(Check),
    /// Run recorded calls through the same pipeline, without the kernel and without root
    #[command(after_help = "Examples:
  gait-agent replay --format combined --model shop.gait --pretty /var/log/nginx/access.log
  gait-agent replay --format spool --model shop.gait /var/lib/gait/spool
  zcat access.log.*.gz | gait-agent replay --format common --model shop.gait -")]
    Replay(Replay),
    /// List the functions and USDT probes of a program or library, and say which can be followed
    #[command(after_help = "Examples:
  gait-agent functions /usr/sbin/nginx 'ngx_http_*'
  gait-agent functions python3.11 'python:*'
  gait-agent functions ./shop 'shop::cart::*' --json")]
    Functions(Functions),
    /// Judge Suricata's alerts in a file: each line goes out as it is, alerts with `gait` added: verdict, probability, reasons
    #[command(after_help = "Examples:
  gait-agent triage --model ids.gait /var/log/suricata/eve.json > judged.json
  gait-agent triage --model ids.gait --out judged.json eve.json.1.gz
  gait-agent triage --model ids.gait --out /var/log/gait/eve.json --follow /var/log/suricata/eve.json
  tail -F eve.json | gait-agent triage --model ids.gait - | jq 'select(.gait.verdict == \"real\")'

Lines that are no alerts or cannot be read go out unchanged and are counted. Nothing is left out, and the order is kept.")]
    Triage(Triage),
    /// Note what an alert is; the trainer reads it with --labels
    #[command(after_help = "Examples:
  gait-agent feedback 2026-11-22T14:00:00.000699Z/203.0.0.4:20004/192.168.56.10:80/TCP/0/2006445 false_alarm --note 'our scanner'
  jq -c 'select(.gait.verdict == \"abstain\")' judged.json | head -1 | gait-agent feedback - real --by ann

The key of an alert is what its `gait.key` says. The last word about an alert counts.")]
    Feedback(Feedback),
    /// Look names up in a list: one, or a file of them; clear a match; check the audit log
    #[command(after_help = "Examples:
  gait-agent screen --list list.gait-list 'Ivan Ivanov' --birth-date 1961
  gait-agent screen --config gait.toml --batch customers.csv --out answers.csv --resume
  gait-agent screen --config gait.toml --clear ofac-sdn:36 --caller 203.0.113.9 --by ann --note 'another birth date'
  gait-agent screen --verify-audit audit.1 audit.jsonl")]
    Screen(Box<screen::Arguments>),
    /// Serve the page and the local API of [web] without capturing, until SIGTERM or SIGINT
    #[command(after_help = "Example:
  gait-agent web --config /etc/gait/gait.toml")]
    Web(Web),
}

/// What every command that captures or judges is told.
#[derive(Debug, Args)]
struct Common {
    /// The configuration; without it the defaults are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The model, in place of the configuration's model.path
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
}

impl Common {
    fn read(&self) -> Result<Config> {
        let mut config = Config::read(self.config.as_deref())?;
        if self.model.is_some() {
            config.model.path.clone_from(&self.model);
        }
        log(&config);
        Ok(config)
    }
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    common: Common,
    /// Write what was counted, as JSON, when the agent ends
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// End after this time, e.g. 30s or 5m
    #[arg(long, value_name = "TIME")]
    duration: Option<Period>,
    /// Write findings on stdout for people, not as JSON
    #[arg(long)]
    pretty: bool,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    common: Common,
    /// Answer as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    common: Common,
    /// Format of the input
    #[arg(long, value_enum)]
    format: Format,
    /// Files, directories or globs; `-` is standard input. gzip and zstd are unpacked
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// Write what was counted, as JSON
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Write findings on stdout for people, not as JSON
    #[arg(long)]
    pretty: bool,
    /// Share of malformed lines above which reading fails, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = ingest::Options::default().max_malformed)]
    max_malformed: f64,
    /// Take callers from X-Forwarded-For where the format has it (only behind a proxy that sets it)
    #[arg(long)]
    forwarded: bool,
}

#[derive(Debug, Args)]
struct Triage {
    #[command(flatten)]
    common: Common,
    /// An eve.json, plain or packed with gzip or zstd; `-` is standard input
    #[arg(value_name = "FILE")]
    input: String,
    /// Write to this file in place of standard output. It appears whole; with --follow it is appended to
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Go on while the file grows, over rotation and truncation, until SIGTERM or SIGINT; SIGHUP opens the output anew
    #[arg(long)]
    follow: bool,
    /// With --follow: remember here how far the file was read, so that a restart goes on. Default: OUT.position
    #[arg(long, value_name = "FILE", requires = "follow")]
    state: Option<PathBuf>,
    /// Threads that judge a finished file. Default: one for each core
    #[arg(long, value_name = "N", conflicts_with = "follow", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Say what was counted, on stderr, as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Feedback {
    /// The configuration; of it triage.feedback and state_dir are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The alert's key; `-`: alerts, judged ones, or keys, one a line of standard input
    #[arg(value_name = "KEY")]
    alert: String,
    /// What it is: real or false_alarm
    #[arg(value_name = "CLASS")]
    class: Class,
    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Who says so. Default: the user's name
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Where to note it, in place of the configuration's triage.feedback
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Functions {
    /// A file, or the name of a process that runs or of a program on PATH
    #[arg(value_name = "BINARY")]
    binary: String,
    /// Names to list: `*` is any text, `?` any character
    #[arg(value_name = "GLOB", default_value = "*")]
    glob: Pattern,
    /// Answer as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Web {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "gait-agent: {error:#}");
            ExitCode::from(exit::code(&error))
        }
    }
}

fn dispatch(command: Command) -> Result<u8> {
    match command {
        Command::Run(Run { common, summary, duration, pretty }) => {
            let duration = duration.map(|period| period.0);
            run::run(&run::Options { config: common.read()?, summary, duration, pretty })?;
            Ok(exit::OK)
        }
        Command::Check(Check { common, json }) => {
            let findings = check::check(&common.read()?);
            let text = if json { findings.json()? } else { findings.text() };
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(findings.code())
        }
        Command::Replay(Replay { common, format, inputs, summary, pretty, max_malformed, forwarded }) => {
            let reading = ingest::Options { max_malformed, forwarded, ..ingest::Options::default() };
            replay::replay(&replay::Options {
                config: common.read()?,
                format,
                inputs,
                reading,
                summary,
                pretty,
            })?;
            Ok(exit::OK)
        }
        Command::Functions(Functions { binary, glob, json }) => {
            let found = functions::explore(&binary, &glob)?;
            let text = if json { found.json()? } else { found.text() };
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(if found.any() { exit::OK } else { exit::FAILURE })
        }
        Command::Triage(Triage { common, input, out, follow, state, threads, json }) => {
            let threads = threads.map_or_else(triage::all_cores, usize::from);
            let config = common.read()?;
            triage::run(&triage::Options { config, input, output: out, follow, state, threads, json })?;
            Ok(exit::OK)
        }
        Command::Feedback(Feedback { config, alert, class, note, by, file }) => {
            let config = Config::read(config.as_deref())?;
            let user = || ["SUDO_USER", "USER"].iter().find_map(|name| std::env::var(name).ok());
            let options = feedback::Options {
                alert,
                class,
                by: by.or_else(user).unwrap_or_default(),
                note,
                file: file.unwrap_or_else(|| config.triage.feedback_file(&config.state_dir)),
                time: run::now(),
            };
            let count = feedback::note(&options, &mut std::io::stdin().lock())?;
            let file = options.file.display();
            let _ = writeln!(std::io::stderr(), "gait-agent: noted in {file}: {class} for {count} alerts");
            Ok(exit::OK)
        }
        Command::Screen(arguments) => screen::command(&arguments, log),
        Command::Web(Web { config }) => {
            let config = Config::read(Some(&config))?;
            log(&config);
            web::alone(&config)?;
            Ok(exit::OK)
        }
    }
}

/// Sends the agent's messages to stderr.
fn log(config: &Config) {
    use tracing_subscriber::{fmt, prelude::*};
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    // The level was checked with the configuration; a second start in one process keeps the first's log.
    let filter = config.log.targets().unwrap_or_default();
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}

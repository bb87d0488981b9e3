//! The command line of `gait-trainer`: one file per command.

mod evaluate;
mod inspect;
mod learn;
mod mine;
mod score;
mod store;
mod train;
mod trees;
mod triage;
mod watchlist;
mod words;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::corpus::Input;
use crate::ingest::{Format, Options};
use crate::progress::Progress;

/// Learns how callers normally walk through a service, from logs or from the agent's spool.
///
/// Exit codes: 0 done, 1 failed, 2 wrong command line.
#[derive(Debug, Parser)]
#[command(name = "gait-trainer", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Learn a model from normal traffic.
    Train(train::TrainArgs),
    /// Judge recorded sessions by a model, one JSON object a line.
    Score(score::ScoreArgs),
    /// Measure a model on sessions whose kind is known.
    Evaluate(evaluate::EvaluateArgs),
    /// Show what a model knows.
    Inspect(inspect::InspectArgs),
    /// Mine frequent sequential patterns.
    Mine(mine::MineArgs),
    /// Learn which of Suricata's alerts are real.
    Triage(triage::TriageArgs),
    /// Build and look at lists of identities to screen callers against.
    #[command(subcommand)]
    Watchlist(watchlist::WatchlistCommand),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("gait-trainer: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever kept the command from finishing.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Train(args) => args.run(),
            Command::Score(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Mine(args) => args.run(),
            Command::Triage(args) => args.run(),
            Command::Watchlist(command) => command.run(),
        }
    }
}

/// What is read.
#[derive(Clone, Debug, Args)]
struct InputArgs {
    /// Format of the input
    #[arg(long, value_enum)]
    format: Format,
    /// Share of malformed lines above which reading fails, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().max_malformed)]
    max_malformed: f64,
    /// Take callers from X-Forwarded-For where the format has it (only behind a proxy that sets it)
    #[arg(long)]
    forwarded: bool,
}

impl InputArgs {
    fn input(&self, paths: &[String]) -> Input {
        let options =
            Options { max_malformed: self.max_malformed, forwarded: self.forwarded, ..Options::default() };
        Input::new(paths.to_vec(), self.format, options)
    }

    /// An input that is read more than once, its progress shown.
    fn repeated(&self, paths: &[String], progress: &Progress) -> Result<Input> {
        let mut input = self.input(paths).kept()?;
        input.options.watch = Some(progress.watch());
        Ok(input)
    }
}

/// Prints a line of results.
fn print(out: &mut impl std::io::Write, line: &str) -> Result<bool> {
    match writeln!(out, "{line}") {
        Ok(()) => Ok(true),
        // The reader has seen enough, e.g. `| head`.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Tells the user something that is not a result.
fn note(text: &str) {
    #[expect(clippy::print_stderr, reason = "messages go to standard error")]
    {
        eprintln!("{text}");
    }
}

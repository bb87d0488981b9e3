//! `gait-trainer triage`: one file per command.

mod label;
mod loosen;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Learn which of Suricata's alerts are real.
#[derive(Debug, Args)]
pub(super) struct TriageArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Raise alerts by a strict and a loose rule set, label them, learn from them, and report.
    Label(Box<label::LabelArgs>),
    /// Make the loose rule set from the strict one.
    Loosen(loosen::LoosenArgs),
}

impl TriageArgs {
    pub(super) fn run(self) -> Result<()> {
        match self.command {
            Command::Label(args) => args.run(),
            Command::Loosen(args) => args.run(),
        }
    }
}

/// Which Suricata runs.
#[derive(Clone, Debug, Args)]
struct SuricataArgs {
    /// Suricata's program, if it is not the one on PATH
    #[arg(long, value_name = "FILE")]
    suricata: Option<PathBuf>,
    /// What the rules call $HOME_NET: networks as Suricata takes them, or `any`; all else is $EXTERNAL_NET
    #[arg(long, value_name = "NETS", default_value = "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]")]
    home_net: String,
}

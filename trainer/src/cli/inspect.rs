//! `gait-trainer inspect`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::print;

/// Show what a model knows.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer inspect shop.gait
  gait-trainer inspect shop.gait --interface /login")]
pub(super) struct InspectArgs {
    /// The model
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Show the pattern graphs that begin at interfaces whose name contains this
    #[arg(long, value_name = "TEXT")]
    interface: Option<String>,
}

impl InspectArgs {
    pub(super) fn run(self) -> Result<()> {
        let model = crate::model::load_data(&self.model)?;
        let text = crate::inspect::describe(&model, self.interface.as_deref());
        print(&mut std::io::stdout().lock(), text.trim_end())?;
        Ok(())
    }
}

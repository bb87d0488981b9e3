//! `gait-trainer inspect`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use gait_common::model::ModelData;

use super::print;
use crate::store::Store;
use crate::trees::NO_TREES;
use crate::trees::view::views;
use crate::{draw, inspect, whole};

/// Show what a model knows.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer inspect shop.gait
  gait-trainer inspect shop.gait --interface /login
  gait-trainer inspect shop.gait --interface 'POST /login' --svg login.svg
  gait-trainer inspect shop.gait --tree 'cart:GET /cart' --svg cart.svg
  gait-trainer inspect --store /var/lib/gait/store --interface /login
  gait-trainer inspect shop.gait --json | jq '.graphs[].edges[] | select(.relation == \"parallel\")'")]
pub(super) struct InspectArgs {
    /// The model
    #[arg(value_name = "MODEL", required_unless_present = "store")]
    model: Option<PathBuf>,
    /// Show what is in a store instead: its runs, its sessions, and its graphs
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "dot", "svg"])]
    store: Option<PathBuf>,
    /// Show the pattern graphs that begin at interfaces whose name contains this; of a store, those that hold one
    #[arg(long, value_name = "TEXT")]
    interface: Option<String>,
    /// Show the call trees whose root, or the interface they serve, has a name that contains this
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["store", "interface", "dot"])]
    tree: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long, conflicts_with_all = ["dot", "svg"])]
    json: bool,
    /// Write the graph that most sessions begin in, of those shown, for Graphviz ('-': to standard output)
    #[arg(long, value_name = "FILE", conflicts_with = "svg")]
    dot: Option<PathBuf>,
    /// Draw the graph that most sessions begin in, of those shown, or with --tree the root with the most calls ('-': to
    /// standard output)
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl InspectArgs {
    pub(super) fn run(self) -> Result<()> {
        let interface = self.interface.as_deref();
        if let Some(directory) = &self.store {
            let contents = Store::open_existing(directory)?.contents(interface)?;
            let text = match self.json {
                true => serde_json::to_string_pretty(&contents)?,
                false => inspect::describe_store(&contents, interface.is_some()),
            };
            print(&mut std::io::stdout().lock(), text.trim_end())?;
            return Ok(());
        }
        let model = crate::model::load_data(self.model.as_deref().context("name a model or a store")?)?;
        if let Some(part) = &self.tree {
            return self.trees(&model, part);
        }
        let text = match (&self.dot, &self.svg) {
            (Some(file), _) => return self.picture(&model, file, draw::dot),
            (_, Some(file)) => return self.picture(&model, file, draw::svg),
            _ if self.json => serde_json::to_string_pretty(&inspect::Summary::new(&model, interface))?,
            _ => inspect::describe(&model, interface),
        };
        print(&mut std::io::stdout().lock(), text.trim_end())?;
        Ok(())
    }

    fn picture(
        &self,
        model: &ModelData,
        file: &Path,
        draw: fn(&gait_common::detect::GraphData, &[String]) -> String,
    ) -> Result<()> {
        let graphs = inspect::graphs_of(model, self.interface.as_deref());
        let graph =
            graphs.first().context("no pattern graph to draw: see `inspect` without --svg and --dot")?;
        deliver(file, &draw(graph, &model.interfaces))
    }

    fn trees(&self, model: &ModelData, part: &str) -> Result<()> {
        let data = model.trees.as_ref().context(NO_TREES)?;
        let views = views(data, Some(part));
        let first =
            views.first().with_context(|| format!("no call tree has a root that contains {part:?}"))?;
        let text = match &self.svg {
            Some(file) => return deliver(file, &draw::trees(first)),
            None if self.json => serde_json::to_string_pretty(&views)?,
            None => inspect::describe_trees(data, part),
        };
        print(&mut std::io::stdout().lock(), text.trim_end())?;
        Ok(())
    }
}

/// Writes a picture where it is wanted.
fn deliver(file: &Path, picture: &str) -> Result<()> {
    if file == Path::new("-") {
        print(&mut std::io::stdout().lock(), picture.trim_end())?;
        return Ok(());
    }
    whole::write(file, picture.as_bytes(), "the picture")
}

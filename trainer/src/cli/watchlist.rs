//! `gait-trainer watchlist`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

use super::{note, print};
use crate::watchlist::diff::{Diff, diff};
use crate::watchlist::input::Limits;
use crate::watchlist::inspect;
use crate::watchlist::list::{self, UpdateOptions};
use crate::watchlist::sink::{Outcome, Problem};
use crate::watchlist::source::{Loaded, Options, load_all};
use crate::watchlist::spec;

/// Rejected rows that are shown; the rest is counted, and in the file of --rejects.
const SAMPLES: usize = 5;

/// Build and look at lists of identities to screen callers against.
#[derive(Debug, Subcommand)]
pub(super) enum WatchlistCommand {
    /// Build a list from what publishers publish.
    Build(BuildArgs),
    /// Put new editions of sources in the place of old ones, and say what changed.
    Update(UpdateArgs),
    /// Say what is different between two lists.
    Diff(DiffArgs),
    /// Show what is in a list.
    Inspect(InspectArgs),
}

/// What is read.
#[derive(Debug, Args)]
struct SourceArgs {
    /// A source: FILE[,key=value]..., or a file of sources that ends in .toml. Keys: name, version, date, licence, url, format
    /// (else told by the content), encoding (utf-8, latin-1), alt, add, comments (OFAC's other files, else found beside it),
    /// split, field.NAME=COLUMN (for CSV and JSON), all=true (FollowTheMoney: not targets only)
    #[arg(long = "source", value_name = "SOURCE", required = true)]
    sources: Vec<String>,
    /// Write every rejected row, left out value and repaired text here, one JSON object a line
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Share of a source's rows above which rejected ones are an error, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().max_rejected)]
    max_rejected: f64,
    /// Most bytes that a packed file may unpack to
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().unpacked)]
    max_unpacked: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer watchlist build --source sdn.csv --source un.xml.gz --out list.gait-list
  gait-trainer watchlist build --source 'barred.csv,name=barred,licence=internal,field.name={given} {family}' --out own.gait-list
  gait-trainer watchlist build --source sources.toml --rejects rejects.jsonl --out list.gait-list")]
pub(super) struct BuildArgs {
    #[command(flatten)]
    sources: SourceArgs,
    /// The list to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was read as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer watchlist update list.gait-list --source sdn.csv
  gait-trainer watchlist update list.gait-list --source sdn.csv --out new.gait-list --json | jq '.sources[].counts'")]
pub(super) struct UpdateArgs {
    /// The list; it is replaced unless --out is given
    #[arg(value_name = "LIST")]
    list: PathBuf,
    #[command(flatten)]
    sources: SourceArgs,
    /// Write the new list here and leave the old one as it is
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Forget other names and addresses where a new OFAC edition comes without the files that hold them. Otherwise those of
    /// the old edition stay for whoever is still listed: that they are not given is no sign that they were withdrawn
    #[arg(long)]
    drop_missing: bool,
    /// Share of a source's entries above which their removal is refused, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = UpdateOptions::default().max_removed)]
    max_removed: f64,
    #[command(flatten)]
    shown: ShownArgs,
}

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The older list
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The newer list
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    shown: ShownArgs,
}

/// How differences are shown.
#[derive(Debug, Args)]
struct ShownArgs {
    /// Print all differences as one JSON object
    #[arg(long)]
    json: bool,
    /// Most entries of each kind to show; 0 for the counts alone
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "all")]
    most: usize,
    /// Show every entry
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The list
    #[arg(value_name = "LIST")]
    list: PathBuf,
    /// Show the entries with this identifier
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Show the entries with a name that contains this (screening itself is `gait-agent screen`)
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Most entries to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    most: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl WatchlistCommand {
    pub(super) fn run(self) -> Result<()> {
        match self {
            Self::Build(args) => args.run(),
            Self::Update(args) => args.run(),
            Self::Diff(args) => args.run(),
            Self::Inspect(args) => args.run(),
        }
    }
}

impl BuildArgs {
    fn run(self) -> Result<()> {
        let sources = self.sources.load()?;
        let json = serde_json::to_string_pretty(&sources.iter().map(Loaded::summary).collect::<Vec<_>>())?;
        let list = list::build(sources)?;
        let fingerprint = list::save(&self.out, &list)?;
        note(&format!(
            "list {fingerprint}: {} entries with {} names from {} sources, {} of them on more than one",
            list.data.entities.len(),
            list.data.name_count(),
            list.data.sources.len(),
            list.data.same.len()
        ));
        if self.json {
            print(&mut std::io::stdout().lock(), &json)?;
        }
        Ok(())
    }
}

impl UpdateArgs {
    fn run(self) -> Result<()> {
        let old = list::load(&self.list)?;
        let sources = self.sources.read()?;
        let options = UpdateOptions { keep: !self.drop_missing, max_removed: self.max_removed };
        let (new, loaded) = list::update(&old, sources, &options)?;
        loaded.iter().for_each(|text| note(text));
        let fingerprint = list::save(self.out.as_deref().unwrap_or(&self.list), &new)?;
        note(&format!("list {fingerprint}: {} entries", new.data.entities.len()));
        self.shown.show(&diff(&old, &new))
    }
}

impl DiffArgs {
    fn run(self) -> Result<()> {
        self.shown.show(&diff(&list::load(&self.old)?, &list::load(&self.new)?))
    }
}

impl ShownArgs {
    fn show(&self, diff: &Diff) -> Result<()> {
        let text = match self.json {
            true => serde_json::to_string_pretty(diff)?,
            false => diff.describe(if self.all { usize::MAX } else { self.most }),
        };
        print(&mut std::io::stdout().lock(), text.trim_end())?;
        Ok(())
    }
}

impl InspectArgs {
    fn run(self) -> Result<()> {
        let list = list::load(&self.list)?;
        let text = if self.id.is_some() || self.name.is_some() {
            let (entries, count) = inspect::find(&list, self.id.as_deref(), self.name.as_deref(), self.most);
            ensure!(count > 0, "no entry of {} fits", self.list.display());
            if count > entries.len() {
                note(&format!("{count} entries fit, {} are shown (--most)", entries.len()));
            }
            match self.json {
                true => serde_json::to_string_pretty(&entries)?,
                false => entries.iter().map(inspect::Entry::describe).collect::<Vec<_>>().join("\n"),
            }
        } else {
            let summary = inspect::Summary::new(&list);
            match self.json {
                true => serde_json::to_string_pretty(&summary)?,
                false => summary.describe(),
            }
        };
        print(&mut std::io::stdout().lock(), text.trim_end())?;
        Ok(())
    }
}

impl SourceArgs {
    /// Reads all sources and says what was read.
    fn load(&self) -> Result<Vec<Loaded>> {
        let sources = self.read()?;
        sources.iter().for_each(|source| note(&source.describe()));
        Ok(sources)
    }

    fn read(&self) -> Result<Vec<Loaded>> {
        let specs = self.sources.iter().map(|text| spec::parse(text)).collect::<Result<Vec<_>>>()?.concat();
        let options = Options {
            limits: Limits { unpacked: self.max_unpacked, ..Limits::default() },
            max_rejected: self.max_rejected,
        };
        let mut rejects = self.rejects.as_deref().map(Rejects::create).transpose()?;
        let mut samples: Vec<String> = Vec::new();
        let mut count = 0_usize;
        let mut tell = |problem: &Problem| -> Result<()> {
            if problem.outcome == Outcome::Rejected {
                count += 1;
                if samples.len() < SAMPLES {
                    samples.push(problem.to_string());
                }
            }
            rejects.as_mut().map_or(Ok(()), |rejects| rejects.write(problem))
        };
        let loaded = load_all(&specs, &options, &mut tell);
        samples.iter().for_each(|sample| note(sample));
        if count > samples.len() {
            note(&format!("and {} more rejected rows: see --rejects FILE", count - samples.len()));
        }
        if let Some(rejects) = rejects {
            rejects.finish()?;
        }
        loaded
    }
}

/// The file of all faults.
struct Rejects {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Rejects {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file) })
    }

    fn write(&mut self, problem: &Problem) -> Result<()> {
        let written = serde_json::to_writer(&mut self.out, problem).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.out.write_all(b"\n"));
        written.with_context(|| format!("failed to write {}", self.path.display()))
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush().with_context(|| format!("failed to write {}", self.path.display()))
    }
}

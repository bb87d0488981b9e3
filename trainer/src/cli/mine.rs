//! `gait-trainer mine`.

use std::io::{self, BufWriter, Write};
use std::iter;
use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use gait_common::interface::Interfaces;
use rustc_hash::FxHashMap;

use super::note;
use crate::corpus::{Choice, Input, collect, survey};
use crate::ingest::{self, Format, Options, Record};
use crate::mine::{Database, Keep, Mined, Params, Support, mine, spmf};
use crate::train::TrainParams;
use crate::whole;

/// Mine frequent sequential patterns; they are written in SPMF's form, one a line: `item -1 item -1 #SUP: n`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer mine --format sequences --min-support 5% --closed --max-length 8 sessions.txt
  gait-trainer mine --format combined --min-support 100 --maximal --max-gap 0 access.log
  gait-trainer mine --format spmf --min-support 42 --out patterns.txt BMS1.txt")]
pub(super) struct MineArgs {
    /// Format of the input
    #[arg(long, value_enum)]
    format: InputForm,
    /// Least support: a number of sequences (42), or a share of them (5% or 0.05)
    #[arg(long, value_name = "SUPPORT")]
    min_support: Support,
    /// Only patterns that no longer one of the same support contains
    #[arg(long, conflicts_with = "maximal")]
    closed: bool,
    /// Only patterns that no longer one contains
    #[arg(long)]
    maximal: bool,
    /// Most elements that may be skipped between two neighbours of a pattern; 0 for contiguous patterns
    #[arg(long, value_name = "N")]
    max_gap: Option<u32>,
    /// Most items in a pattern
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// Item that patterns must begin with
    #[arg(long, value_name = "ITEM")]
    first: Option<String>,
    /// Most patterns to find
    #[arg(long, value_name = "N", default_value_t = Params::new(Support::Share(1.0)).max_patterns)]
    max_patterns: usize,
    /// File to write; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Files, directories and globs; - for standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

/// What can be mined: SPMF's own form, and every format that holds sessions. Each session of a caller is a sequence of the
/// interfaces' names, as `train` learns them.
#[derive(Clone, Copy, Debug)]
enum InputForm {
    Spmf,
    Records(Format),
}

impl ValueEnum for InputForm {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<InputForm>> = LazyLock::new(|| {
            let formats = Format::value_variants().iter().filter(|format| !format.holds_spans());
            iter::once(InputForm::Spmf).chain(formats.map(|&format| InputForm::Records(format))).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Spmf => {
                let help = "SPMF's form: numbers, -1 after each element, -2 at the end";
                Some(PossibleValue::new("spmf").help(help))
            }
            Self::Records(format) => format.to_possible_value(),
        }
    }
}

impl MineArgs {
    pub(super) fn run(self) -> Result<()> {
        let (database, tokens) = match self.format {
            InputForm::Spmf => (self.read_spmf()?, None),
            InputForm::Records(Format::Sequences) => {
                let (database, tokens) = self.read_sequences()?;
                (database, Some(tokens))
            }
            InputForm::Records(format) => self.read_sessions(format)?,
        };
        let first = self.first.as_deref().map(|name| match &tokens {
            // A token that does not occur begins no pattern; no token has this number.
            Some(tokens) => {
                Ok(tokens.iter().position(|token| **token == *name).map_or(u32::MAX, |at| at as u32))
            }
            None => name.parse().with_context(|| format!("--first {name:?} is not an item of SPMF's form")),
        });
        let params = Params {
            keep: match (self.closed, self.maximal) {
                (true, _) => Keep::Closed,
                (_, true) => Keep::Maximal,
                _ => Keep::All,
            },
            max_gap: self.max_gap,
            max_length: self.max_length,
            first: first.transpose()?,
            max_patterns: self.max_patterns,
            ..Params::new(self.min_support)
        };
        let mined = mine(&database, &params)?;
        match &self.out {
            Some(path) => {
                let mut bytes = Vec::new();
                write(&mined, tokens, &mut bytes).context("failed to write to memory")?;
                whole::write(path, &bytes, "the patterns")?;
            }
            None => match write(&mined, tokens, io::stdout().lock()) {
                // The reader has seen enough, e.g. `| head`.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written.context("failed to write to standard output")?,
            },
        }
        let Mined { patterns, min_support, sequences, .. } = &mined;
        note(&format!(
            "{} patterns that at least {min_support} of {sequences} sequences support",
            patterns.len()
        ));
        if !mined.complete {
            note(
                "these are not all: raise --min-support or --max-patterns, or set --max-length (patterns of more \
                 than 1000 items are never searched)",
            );
        }
        Ok(())
    }

    /// The sessions of a log of calls, and the interfaces' names by item number.
    fn read_sessions(&self, format: Format) -> Result<(Database, Option<Vec<Box<str>>>)> {
        let input = Input::new(self.inputs.clone(), format, Options::default()).kept()?;
        let params = TrainParams::default();
        let survey = survey(&input, &params.naming, &params.templates)?;
        note(&format!("read: {}", survey.report));
        let interfaces = Interfaces::new(&survey.names, params.naming)?;
        let choice = Choice::Derived { session_idle: params.session_idle };
        let (corpus, _) = collect(&input, &interfaces, choice)?;
        let mut database = Database::new();
        corpus.sessions.iter().for_each(|session| database.push(corpus.interfaces(session)));
        Ok((database, Some(survey.names.into_iter().map(Into::into).collect())))
    }

    fn read_spmf(&self) -> Result<Database> {
        let mut database = Database::new();
        for stream in ingest::streams(&self.inputs)? {
            let (name, bytes) = stream?;
            spmf::read(bytes, &mut database).with_context(|| format!("failed to read {name}"))?;
        }
        Ok(database)
    }

    /// The sequences, and their tokens by item number.
    fn read_sequences(&self) -> Result<(Database, Vec<Box<str>>)> {
        let mut database = Database::new();
        let mut tokens: Vec<Box<str>> = Vec::new();
        let mut numbers: FxHashMap<Box<str>, u32> = FxHashMap::default();
        let report = ingest::read(&self.inputs, Format::Sequences, &Options::default(), &mut |record, _| {
            if let Record::Sequence { tokens: sequence, .. } = record {
                database.push(sequence.map(|token| {
                    numbers.get(token).copied().unwrap_or_else(|| {
                        let number = tokens.len() as u32;
                        tokens.push(token.into());
                        numbers.insert(token.into(), number);
                        number
                    })
                }));
            }
            Ok(())
        })?;
        note(&format!("read: {report}"));
        Ok((database, tokens))
    }
}

fn write(mined: &Mined, tokens: Option<Vec<Box<str>>>, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match tokens {
        Some(tokens) => spmf::write(&mined.patterns, &mut out, |item| &tokens[item as usize])?,
        None => spmf::write(&mined.patterns, &mut out, |item| item)?,
    }
    out.flush()
}

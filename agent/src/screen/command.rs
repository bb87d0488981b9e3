//! `gait-agent screen`: one name, a file of names, a clearance, or a check of the audit log.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use gait_common::identity::{BirthDate, EntityKind, Query};

use super::batch::{self, Mapped};
use super::{Act, Screener, Whose, audit, check, text};
use crate::config::Config;
use crate::exit;

/// What `screen` is told.
#[derive(Debug, Args)]
#[command(next_line_help = false)]
pub struct Arguments {
    /// The name to look up
    #[arg(value_name = "NAME", required_unless_present_any = ["batch", "verify_audit", "clear"])]
    name: Option<String>,
    /// The configuration; without it the defaults are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The list, in place of the configuration's screening.list
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Date of birth, as exact as it is known: 1961-03-24, 1961-03, 1961, "circa 1961"
    #[arg(long, value_name = "DATE", conflicts_with = "batch")]
    birth_date: Option<BirthDate>,
    /// A country, by code or name; may be given several times
    #[arg(long, value_name = "COUNTRY", conflicts_with = "batch")]
    country: Vec<String>,
    /// The number of a document; may be given several times
    #[arg(long, value_name = "NUMBER", conflicts_with = "batch")]
    document: Vec<String>,
    /// Address
    #[arg(long, value_name = "TEXT", conflicts_with = "batch")]
    address: Option<String>,
    /// What it is: person, organisation, vessel or aircraft
    #[arg(long, value_name = "KIND", value_parser = batch::kind, conflicts_with = "batch")]
    kind: Option<EntityKind>,
    /// The caller, as findings name it: what was cleared for it is left out
    #[arg(long, value_name = "CALLER", conflicts_with = "batch")]
    caller: Option<String>,
    /// The channel of the risk matrix. Default: search, or batch with --batch
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Answer as one JSON object
    #[arg(long, conflicts_with = "batch")]
    json: bool,

    /// Look up every row of a CSV file whose header names the columns
    #[arg(
        long,
        value_name = "FILE",
        requires = "out",
        conflicts_with = "name",
        help_heading = "A file of names"
    )]
    batch: Option<PathBuf>,
    /// Where the answers go: CSV, a row for each row, in the same order
    #[arg(long, value_name = "FILE", requires = "batch", help_heading = "A file of names")]
    out: Option<PathBuf>,
    /// Go on with answers that were cut off
    #[arg(long, requires = "batch", help_heading = "A file of names")]
    resume: bool,
    /// Which column is which field, e.g. name=CUSTOMER; fields: id, name, birth_date, country, document, address, kind,
    /// caller
    #[arg(long, value_name = "FIELD=HEADER", requires = "batch", help_heading = "A file of names")]
    column: Vec<Mapped>,
    /// What stands between fields
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter, help_heading = "A file of names")]
    delimiter: u8,
    /// Threads that look names up. Default: one per CPU
    #[arg(long, value_name = "COUNT", requires = "batch", help_heading = "A file of names")]
    workers: Option<usize>,

    /// Clear this listed identity for --caller, or for the query: it is another one. Needs --by and --note
    #[arg(long, value_name = "SOURCE:ID", requires_all = ["by", "note"], conflicts_with = "batch", help_heading = "Clearances")]
    clear: Option<String>,
    /// Who clears it
    #[arg(long, value_name = "NAME", requires = "clear", help_heading = "Clearances")]
    by: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "clear", help_heading = "Clearances")]
    note: Option<String>,
    /// Take the clearance back
    #[arg(long, requires = "clear", help_heading = "Clearances")]
    revoke: bool,

    /// Check that these files, the oldest first, are one unbroken audit log
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["name", "batch", "clear"], help_heading = "Audit")]
    verify_audit: Vec<PathBuf>,
    /// A hash that an earlier check ended with: it must be in the log
    #[arg(long, value_name = "HASH", requires = "verify_audit", help_heading = "Audit")]
    tip: Option<String>,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        &[byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && byte != b'"' => Ok(byte),
        _ => Err("use one character, or \\t".to_owned()),
    }
}

/// Does what the arguments ask for, and gives the exit code.
///
/// # Errors
/// When there is no list, something cannot be read or written, or the audit log is broken.
pub fn command(arguments: &Arguments, log: impl FnOnce(&Config)) -> Result<u8> {
    let mut config = Config::read(arguments.config.as_deref())?;
    if arguments.list.is_some() {
        config.screening.list.clone_from(&arguments.list);
    }
    log(&config);
    if !arguments.verify_audit.is_empty() {
        return verify(arguments);
    }
    // Of the configuration's callers nothing is needed here.
    config.screening.identity.clear();
    let screener = Screener::open(&config)?
        .context("there is no list: name one by --list, or in screening.list of the configuration")?;
    if let (Some(input), Some(out)) = (&arguments.batch, &arguments.out) {
        let counts = batch::run(&screener, &arguments.batch_options(input.clone(), out.clone()))?;
        writeln!(std::io::stderr(), "gait-agent: {}", counts.line())?;
        return Ok(if counts.errors > 0 { exit::ROWS } else { exit::OK });
    }
    let query = arguments.query();
    if let Some(entity) = &arguments.clear {
        return clear(&screener, &query, entity, arguments);
    }
    check(&query)?;
    let screened = screener.screen(&query, arguments.caller.as_deref())?;
    let text = if arguments.json {
        serde_json::to_string(&screened).context("failed to render the answer")? + "\n"
    } else {
        text::answer(&query.name, &screened)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(text::code(screened.answer.decision))
}

impl Arguments {
    fn query(&self) -> Query {
        Query {
            name: self.name.clone().unwrap_or_default(),
            kind: self.kind,
            birth_date: self.birth_date,
            countries: self.country.clone(),
            documents: self.document.clone(),
            address: self.address.clone(),
            channel: self.channel.clone().unwrap_or_else(|| "search".to_owned()),
        }
    }

    fn batch_options(&self, input: PathBuf, out: PathBuf) -> batch::Options {
        let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
        batch::Options {
            input,
            out,
            resume: self.resume,
            columns: self.column.clone(),
            delimiter: self.delimiter,
            channel: self.channel.clone().unwrap_or_else(|| "batch".to_owned()),
            workers: self.workers.unwrap_or_else(cpus).clamp(1, 256),
        }
    }
}

fn clear(screener: &Screener, query: &Query, entity: &str, arguments: &Arguments) -> Result<u8> {
    let (source, id) = entity.split_once(':').context("--clear takes SOURCE:ID, e.g. ofac-sdn:36")?;
    let whose = match &arguments.caller {
        Some(caller) => Whose::Caller(caller),
        None => {
            ensure!(
                !query.name.is_empty(),
                "say whose match is false: --caller CALLER, or the name that was asked for"
            );
            Whose::Query(query)
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (by, note) = (text(&arguments.by), text(&arguments.note));
    let clearance =
        screener.clear(whose, &Act { source, id, by: &by, note: &note, revoke: arguments.revoke })?;
    let how = if clearance.revoked { "is no longer cleared" } else { "is cleared" };
    let name = text::printable(&clearance.name);
    writeln!(std::io::stdout(), "{source} {id} ({name}) {how} for {}", clearance.subject)?;
    Ok(exit::OK)
}

fn verify(arguments: &Arguments) -> Result<u8> {
    let verified = audit::verify(&arguments.verify_audit, arguments.tip.as_deref())?;
    let mut out = std::io::stdout();
    writeln!(out, "unbroken: {} lines, from {} to {}", verified.lines, verified.first, verified.tip.seq)?;
    if verified.first > 1 {
        writeln!(out, "what came before line {} stands in another file", verified.first)?;
    }
    writeln!(out, "tip {}", verified.tip.hash)?;
    Ok(exit::OK)
}

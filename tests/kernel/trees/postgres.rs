//! PostgreSQL from Debian under pgbench: the trees of its statements are few, and stay the same.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

use super::followed::{Followed, functions};
use crate::support::{port, process::Process, until};

/// Functions that PostgreSQL exports, on the way of a statement.
const FOLLOWED: &[&str] = &[
    "pg_parse_query",
    "pg_plan_queries",
    "PortalStart",
    "PortalRun",
    "ProcessUtility",
    "StartTransactionCommand",
    "CommitTransactionCommand",
    "ExecutorRun",
    "ExecutorFinish",
];
const CLIENTS: u32 = 4;
const TRANSACTIONS: u32 = 500;

/// Debian's newest PostgreSQL: where its programs are.
fn programs() -> anyhow::Result<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is installed")?
        .flatten()
        .map(|dir| dir.path())
        .collect();
    versions.sort();
    Ok(versions.pop().context("PostgreSQL is installed")?.join("bin"))
}

/// A server of our own.
pub(super) struct Postgres {
    pub(super) programs: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
    process: Option<Process>,
}

impl Postgres {
    pub(super) fn start() -> anyhow::Result<Self> {
        let mut server = Self {
            programs: programs()?,
            directory: tempfile::tempdir_in("/tmp")?,
            port: port(),
            process: None,
        };
        let directory = server.directory.path();
        // It refuses to be run by root: nobody's is the directory and the server.
        std::os::unix::fs::chown(directory, Some(NOBODY), Some(NOBODY))?;
        let data = directory.join("data");
        server.run("initdb", &["--no-sync", "--auth=trust", "--username=gait", "-D", text(&data)?])?;
        let mut command = server.command("postgres", &["-D", text(&data)?, "-k", text(directory)?, "-F"])?;
        command.args(["-c", "autovacuum=off", "-c", "listen_addresses=", "-p", &server.port.to_string()]);
        command.stderr(Stdio::null());
        server.process = Some(Process::start(&mut command)?);
        let socket = directory.join(format!(".s.PGSQL.{}", server.port));
        until("PostgreSQL listens", || Ok(socket.exists()))?;
        Ok(server)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.directory.path()).uid(NOBODY).gid(NOBODY);
        command.env("PGHOST", text(self.directory.path())?).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "gait").env("PGDATABASE", "postgres").env("HOME", self.directory.path());
        Ok(command)
    }

    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let outcome = self.command(program, arguments)?.output()?;
        if !outcome.status.success() {
            bail!("{program} failed: {}", String::from_utf8_lossy(&outcome.stderr));
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Ended by signal, it ends its children; killed, it would leave them behind.
            if let Err(error) = process.terminate() {
                assert!(std::thread::panicking(), "PostgreSQL did not end: {error}");
            }
        }
    }
}

/// The user `nobody`.
const NOBODY: u32 = 65534;

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is text")
}

#[test]
fn pgbench_has_few_trees_and_every_statement_is_counted() -> anyhow::Result<()> {
    let server = Postgres::start()?;
    server.run("pgbench", &["--initialize", "--quiet", "--scale=1"])?;
    let binary = server.programs.join("postgres").canonicalize()?;
    let mut followed = Followed::start(&[functions(&binary, FOLLOWED)?], &[])?;
    let (clients, transactions) = (CLIENTS.to_string(), TRANSACTIONS.to_string());
    server.run("pgbench", &["--no-vacuum", "-c", &clients, "-j1", "-t", &transactions])?;
    followed.drain_for(Duration::from_millis(300))?;
    let counters = followed.counters()?;
    assert_eq!((counters.unseen, counters.truncated, counters.ring_full), (0, 0, 0), "{counters:?}");
    followed.check_codes();
    // Each transaction is BEGIN, three UPDATEs, a SELECT, an INSERT and END, each run by a call of its own.
    let statements = followed
        .counts
        .iter()
        .filter(|(key, _)| followed.name(key.root) == "PortalRun")
        .map(|(key, counts)| (followed.draw(*key), counts.calls))
        .collect::<Vec<_>>();
    let sum: u64 = statements.iter().map(|(_, calls)| calls).sum();
    let sent = u64::from(CLIENTS * TRANSACTIONS) * 7;
    // pgbench asks a few things for itself before it begins.
    ensure!((sent..sent + 20).contains(&sum), "{sum} statements, {sent} were sent: {statements:#?}");
    let times =
        |tree: &str| statements.iter().find(|(known, _)| known == tree).map_or(0, |(_, calls)| *calls);
    let each = u64::from(CLIENTS * TRANSACTIONS);
    assert_eq!(
        times("PortalRun(ExecutorRun ExecutorFinish)"),
        4 * each,
        "UPDATE and INSERT: {statements:#?}"
    );
    assert_eq!(times("PortalRun(ProcessUtility)"), 2 * each, "BEGIN and END: {statements:#?}");
    ensure!(statements.len() < 10, "{} codes: {statements:#?}", statements.len());
    Ok(())
}

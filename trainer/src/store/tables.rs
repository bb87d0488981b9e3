//! The tables of a store, and how they are read and written.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use gait_common::call::Nanos;
use redb::{
    MultimapTableDefinition, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, WriteTransaction,
};

use super::graphs::{Graph, StoredGraph};
use super::tape::{Row, Tape};
use super::texts::{TextId, Texts};
use super::{Contents, Sessions, code, damaged, thin};

/// The version, and how many ready-made sessions there ever were.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("gait-meta");
/// The runs as JSON, by their number.
pub(super) const RUNS: TableDefinition<'_, u64, &str> = TableDefinition::new("gait-runs");
const TEXTS: TableDefinition<'_, TextId, &str> = TableDefinition::new("gait-texts");
/// Sessions by start and caller.
const SESSIONS: TableDefinition<'_, (u64, TextId), &[u8]> = TableDefinition::new("gait-sessions");
/// Ready-made sessions by their number.
const SEQUENCES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("gait-sequences");
const INTERRUPTIONS: TableDefinition<'_, Nanos, ()> = TableDefinition::new("gait-interruptions");
/// Graphs as JSON, by their entry.
const GRAPHS: TableDefinition<'_, TextId, &str> = TableDefinition::new("gait-graphs");
/// The entries of the graphs that an interface occurs in.
const INDEX: MultimapTableDefinition<'_, TextId, TextId> = MultimapTableDefinition::new("gait-graphs-of");

/// The names of all tables.
pub(super) const NAMES: [&str; 8] = [
    "gait-meta",
    "gait-runs",
    "gait-texts",
    "gait-sessions",
    "gait-sequences",
    "gait-interruptions",
    "gait-graphs",
    "gait-graphs-of",
];

/// The recorded sessions; `None` when they contradict themselves.
pub(super) fn read(read: &ReadTransaction) -> Result<Option<Tape>> {
    let Some(texts) = texts(read)? else { return Ok(None) };
    let mut tape = Tape::default();
    tape.texts = texts;
    for entry in read.open_table(SESSIONS)?.iter()? {
        let (key, value) = entry?;
        let (start, caller) = key.value();
        if code::read_session(value.value(), caller, start, &mut tape.rows).is_none() {
            return Ok(None);
        }
    }
    for entry in read.open_table(SEQUENCES)?.iter()? {
        let (key, value) = entry?;
        let Some(sequence) = code::read_sequence(value.value(), key.value()) else { return Ok(None) };
        tape.sequences.push(sequence);
    }
    for entry in read.open_table(INTERRUPTIONS)?.iter()? {
        tape.interruptions.push(entry?.0.value());
    }
    let numbered = read.open_table(META)?.get("sequences")?;
    tape.numbered = numbered.map_or(0, |numbered| numbered.value());
    let used = used(&tape);
    tape.sort();
    Ok(used.iter().all(|&id| tape.texts.has(id)).then_some(tape))
}

fn texts(read: &ReadTransaction) -> Result<Option<Texts>> {
    let mut texts = Vec::new();
    for entry in read.open_table(TEXTS)?.iter()? {
        let (key, value) = entry?;
        texts.push((key.value(), value.value().into()));
    }
    Ok(Texts::load(texts))
}

/// The texts that the sessions need, sorted.
fn used(tape: &Tape) -> Vec<TextId> {
    let calls = tape.rows.iter().flat_map(|row| [row.caller, row.method, row.host, row.target]);
    let steps =
        tape.sequences.iter().flat_map(|sequence| sequence.tokens.iter().copied().chain([sequence.id]));
    let mut used: Vec<TextId> = calls.chain(steps).collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// Writes what differs from what is there.
pub(super) fn write(
    write: &WriteTransaction,
    tape: &mut Tape,
    graphs: BTreeMap<TextId, Graph>,
    session_idle: Nanos,
) -> Result<()> {
    let nodes: BTreeMap<TextId, Vec<TextId>> =
        graphs.iter().map(|(&entry, graph)| (entry, graph.nodes(entry))).collect();
    let mut used = used(tape);
    used.extend(nodes.values().flatten());
    used.sort_unstable();
    used.dedup();
    tape.texts.retain(&used);

    let mut table = write.open_table(TEXTS)?;
    table.retain(|id, text| tape.texts.has(id) && tape.texts.get(id) == text)?;
    for (id, text) in tape.texts.iter() {
        if table.get(id)?.is_none() {
            table.insert(id, text)?;
        }
    }

    let sessions = sessions(tape, session_idle);
    let mut table = write.open_table(SESSIONS)?;
    table.retain(|key, bytes| sessions.get(&key).is_some_and(|session| session == bytes))?;
    for (key, bytes) in &sessions {
        if table.get(key)?.is_none() {
            table.insert(key, bytes.as_slice())?;
        }
    }

    let mut table = write.open_table(SEQUENCES)?;
    let place = |number| tape.sequences.binary_search_by_key(&number, |sequence| sequence.number);
    table.retain(|number, _| place(number).is_ok())?;
    for sequence in &tape.sequences {
        if table.get(sequence.number)?.is_none() {
            table.insert(sequence.number, code::sequence(sequence).as_slice())?;
        }
    }
    write.open_table(META)?.insert("sequences", tape.numbered)?;

    let mut table = write.open_table(INTERRUPTIONS)?;
    table.retain(|time, ()| tape.interruptions.binary_search(&time).is_ok())?;
    for time in &tape.interruptions {
        table.insert(time, ())?;
    }
    drop(table);
    write_graphs(write, &graphs, &nodes)
}

/// Puts changed graphs in the place of their former selves, and keeps the index in step.
fn write_graphs(
    write: &WriteTransaction,
    graphs: &BTreeMap<TextId, Graph>,
    nodes: &BTreeMap<TextId, Vec<TextId>>,
) -> Result<()> {
    let mut texts = BTreeMap::new();
    for (entry, graph) in graphs {
        texts.insert(*entry, serde_json::to_string(graph)?);
    }
    let (mut table, mut index) = (write.open_table(GRAPHS)?, write.open_multimap_table(INDEX)?);
    let mut gone: Vec<(TextId, String)> = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        if texts.get(&key.value()).is_none_or(|text| text != value.value()) {
            gone.push((key.value(), value.value().to_owned()));
        }
    }
    for (entry, text) in gone {
        for node in parse(&text)?.nodes(entry) {
            index.remove(node, entry)?;
        }
        table.remove(entry)?;
    }
    for (entry, text) in &texts {
        if table.get(entry)?.is_none() {
            table.insert(entry, text.as_str())?;
            for node in &nodes[entry] {
                index.insert(node, entry)?;
            }
        }
    }
    Ok(())
}

fn parse(graph: &str) -> Result<Graph> {
    serde_json::from_str(graph).map_err(|error| damaged(&format!("a graph cannot be read: {error}")))
}

/// The calls of each session, by start and caller.
fn sessions(tape: &Tape, idle: Nanos) -> Sessions {
    let mut count = 0;
    let of_row = thin::cut(tape, idle, |_, _| {
        count += 1;
        count - 1
    });
    let mut rows: Vec<Vec<&Row>> = vec![Vec::new(); count];
    for (row, session) in tape.rows.iter().zip(of_row) {
        rows[session].push(row);
    }
    let key = |rows: &Vec<&Row>| rows.first().map(|row| (row.start, row.caller));
    rows.iter()
        .filter_map(|rows| {
            let key = key(rows)?;
            Some((key, code::session(rows.iter().copied(), key.0)))
        })
        .collect()
}

/// Fills in what is in a store.
pub(super) fn describe(
    read: &ReadTransaction,
    interface: Option<&str>,
    contents: &mut Contents,
) -> Result<()> {
    for entry in read.open_table(RUNS)?.iter()? {
        let run = serde_json::from_str(entry?.1.value());
        contents.runs.push(run.map_err(|error| damaged(&format!("a run cannot be read: {error}")))?);
    }
    contents.sessions = read.open_table(SESSIONS)?.len()? + read.open_table(SEQUENCES)?.len()?;
    contents.texts = read.open_table(TEXTS)?.len()?;
    let texts = texts(read)?.context("its texts contradict themselves")?;
    let (table, index) = (read.open_table(GRAPHS)?, read.open_multimap_table(INDEX)?);
    let mut entries = Vec::new();
    match interface {
        None => {
            for entry in table.iter()? {
                entries.push(entry?.0.value());
            }
        }
        Some(part) => {
            for (id, _) in texts.iter().filter(|(_, text)| text.contains(part)) {
                for entry in index.get(id)? {
                    entries.push(entry?.value());
                }
            }
        }
    }
    entries.sort_unstable();
    entries.dedup();
    for entry in entries {
        let graph = table.get(entry)?.ok_or_else(|| damaged("its index names a graph that is not there"))?;
        let graph = parse(graph.value())?;
        contents.graphs.push(StoredGraph {
            entry: texts.get(entry).to_owned(),
            sessions: graph.support,
            paths: graph.paths.len(),
            calls: graph.nodes(entry).len(),
            edges: graph.edges.len(),
        });
    }
    contents.graphs.sort_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| a.entry.cmp(&b.entry)));
    Ok(())
}

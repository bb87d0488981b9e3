//! What a store promises: nothing counted twice, nothing lost but by forgetting, and forgetting at the stated rate.

use anyhow::Result;
use gait_common::call::Call;
use gait_common::sequence::SECOND;
use proptest::prelude::*;

use super::*;
use crate::ingest::{ReadReport, Record, Tokens};

const DAY: u64 = 86_400 * SECOND;
const FOREVER: Memory = Memory { half_life: None, calls: usize::MAX, session_idle: 1800 * SECOND };

/// Calls as an input has them: caller, time in seconds, target.
#[derive(Clone, Debug, Default)]
struct Log {
    calls: Vec<(String, u64, String)>,
    sequences: Vec<(Option<String>, String)>,
}

impl Source for Log {
    fn read(&self, each: &mut dyn FnMut(Record<'_>, u64)) -> Result<ReadReport> {
        for (caller, time, target) in &self.calls {
            let start = time * SECOND;
            each(Record::Call(Call { caller, start, method: "GET", target, ..Call::default() }), start);
        }
        for (id, tokens) in &self.sequences {
            each(Record::Sequence { id: id.as_deref(), tokens: Tokens::new(tokens) }, 0);
        }
        Tape::default().read(&mut |_, _| {})
    }

    fn name(&self) -> String {
        "a test".to_owned()
    }
}

fn log(calls: &[(u8, u64, u8)]) -> Log {
    let call = |&(caller, time, target): &(u8, u64, u8)| {
        (format!("10.0.0.{caller}"), time, format!("/page{target}?q={time}&p"))
    };
    Log { calls: calls.iter().map(call).collect(), sequences: Vec::new() }
}

/// What a source plays, in words.
fn played(source: &dyn Source) -> Vec<String> {
    let mut played = Vec::new();
    source.read(&mut |record, _| played.push(format!("{record:?}"))).expect("it is in memory");
    played
}

fn model(entry: &str) -> ModelData {
    let mut model = ModelData { interfaces: vec!["~new".into(), entry.into()], ..ModelData::default() };
    let edges = vec![gait_common::detect::EdgeData { from: 1, to: 1, weight: 2.5 }];
    model.patterns.graphs =
        vec![gait_common::detect::GraphData { entry: 1, support: 3, paths: Vec::new(), edges }];
    model
}

/// One run on a store.
fn run(directory: &Path, input: Option<&dyn Source>, memory: &Memory) -> Vec<String> {
    let store = Store::open(directory).expect("a store");
    let recorded = store.record(input, memory).expect("it can be read");
    let played = played(recorded.source());
    store.commit(recorded, &model("GET /page1"), memory.session_idle).expect("it can be written");
    played
}

#[test]
fn query_values_are_not_kept_and_everything_else_is() {
    let mut tape = Tape::default();
    tape.record(&log(&[(1, 77, 3)])).expect("it is in memory");
    let [call] = &played(&tape)[..] else { panic!("one call") };
    assert!(call.contains(r#"target: "/page3?p&q""#) && call.contains(r#"caller: "10.0.0.1""#), "{call}");
    assert!(call.contains("start: 77000000000"), "{call}");
}

#[test]
fn sessions_without_a_name_are_numbered_and_named_ones_are_known_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let sequence = |id: Option<&str>, tokens: &str| (id.map(str::to_owned), tokens.to_owned());
    let input = |sequences: &[_]| Log { sequences: sequences.to_vec(), ..Log::default() };
    run(dir.path(), Some(&input(&[sequence(None, "a b"), sequence(Some("x"), "a c")])), &FOREVER);
    let again = input(&[sequence(Some("x"), "a c"), sequence(Some("x"), "a d"), sequence(None, "a b")]);
    let played = run(dir.path(), Some(&again), &FOREVER);
    let ids: Vec<_> =
        ["1", "x", "x", "4"].into_iter().map(|id| format!("Sequence {{ id: Some({id:?})")).collect();
    assert_eq!(played.len(), 4, "{played:?}");
    assert!(played.iter().zip(ids).all(|(played, id)| played.starts_with(&id)), "{played:?}");
}

#[test]
fn sessions_fade_at_the_stated_rate_and_the_newest_stay() {
    let calls: Vec<_> = (0..4000_u64).map(|at| (1, at * 3600, 1)).collect();
    let mut tape = Tape::default();
    tape.record(&log(&calls)).expect("it is in memory");
    let days = calls.last().map_or(0, |call| call.1) as f64 / 86_400.0;
    thin::thin(&mut tape, &Memory { half_life: Some(days / 4.0), ..FOREVER });
    // Of each quarter, youngest last, half as many as of the next; the share of the youngest is 1 / (2 ln 2).
    let quarter = |of: u64| {
        let within = |row: &&tape::Row| row.start / SECOND / 3600 / 1000 == of;
        tape.rows.iter().filter(within).count() as f64 / 1000.0
    };
    for (of, want) in [(3, 0.721), (2, 0.361), (1, 0.180), (0, 0.090)] {
        assert!((quarter(of) - want).abs() < 0.05, "quarter {of}: {} of {want}", quarter(of));
    }
}

#[test]
fn what_has_faded_does_not_depend_on_the_runs() {
    let calls: Vec<_> = (0..7200_u64).map(|at| (at as u8 % 9, at * 1200, 1)).collect();
    let memory = Memory { half_life: Some(20.0), session_idle: 60 * SECOND, ..FOREVER };
    let (whole, parts) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let want = run(whole.path(), Some(&log(&calls)), &memory);
    let mut played = Vec::new();
    for part in calls.chunks(1500) {
        played = run(parts.path(), Some(&log(part)), &memory);
    }
    assert!(played == want, "{} calls are left, not {}", played.len(), want.len());
    // 72 calls a day for 20 / ln 2 days, less the part before the first day.
    assert!((1850..2150).contains(&want.len()), "{}", want.len());
}

#[test]
fn a_clock_that_is_ahead_does_not_age_the_rest() {
    let mut calls: Vec<_> = (0..2000_u64).map(|at| (1, at * 60, 1)).collect();
    calls.push((2, 100 * 365 * 86_400, 1));
    let mut tape = Tape::default();
    tape.record(&log(&calls)).expect("it is in memory");
    thin::thin(&mut tape, &Memory { half_life: Some(365.0), ..FOREVER });
    assert!(tape.rows.len() > 1990, "{}", tape.rows.len());
}

#[test]
fn texts_nothing_needs_are_dropped_and_their_numbers_used_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let memory = Memory { half_life: Some(1.0), ..FOREVER };
    let day =
        |day: u64| log(&(0..50).map(|at| (at as u8, day * DAY / SECOND + at, at as u8)).collect::<Vec<_>>());
    run(dir.path(), Some(&day(0)), &FOREVER);
    let texts = |dir: &Path| Store::open(dir).expect("a store").contents(None).expect("contents").texts;
    let before = texts(dir.path());
    (1..5).for_each(|month| drop(run(dir.path(), Some(&day(month * 60)), &memory)));
    assert!(texts(dir.path()) <= before, "what has faded left its texts behind");
}

#[test]
fn graphs_are_found_by_what_is_in_them_and_replaced_by_newer_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a store");
    for entry in ["GET /old", "GET /new"] {
        let recorded = store.record(Some(&log(&[(1, 1, 1)])), &FOREVER).expect("it can be read");
        store.commit(recorded, &model(entry), FOREVER.session_idle).expect("it can be written");
    }
    let found = |part| store.contents(Some(part)).expect("contents").graphs;
    assert_eq!(found("/old"), []);
    let graph = StoredGraph { entry: "GET /new".to_owned(), sessions: 3, paths: 0, calls: 1, edges: 1 };
    assert_eq!(found("/new"), [graph]);
    assert_eq!(store.contents(None).expect("contents").runs.len(), 2);
}

#[test]
fn databases_of_others_and_of_other_versions_are_told() {
    let refused = |alter: &dyn Fn(&redb::WriteTransaction)| {
        let dir = tempfile::tempdir().expect("a directory");
        let database = Database::create(dir.path().join(FILE)).expect("a database");
        let write = database.begin_write().expect("a transaction");
        alter(&write);
        write.commit().expect("it can be written");
        drop(database);
        Store::open(dir.path()).err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let put = |write: &redb::WriteTransaction, key: &str| {
        write.open_table(tables::META).expect("a table").insert(key, VERSION + 1).expect("it can be written");
    };
    let other: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("blocks");
    let error = refused(&|write| drop(write.open_table(other).expect("a table")));
    assert!(error.contains("another program's database") && error.contains("blocks"), "{error}");
    let error = refused(&|write| put(write, "version"));
    assert!(error.contains("version 2") && error.contains("train anew"), "{error}");
    let error = refused(&|write| put(write, "something"));
    assert!(error.contains("its version is missing"), "{error}");
}

#[test]
fn two_runs_at_once_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let _held = Store::open(dir.path()).expect("a store");
    let error = Store::open(dir.path()).err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(error.contains("another run is using it"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However an input is cut into runs, and however often a part comes again, what is played is the whole, once.
    #[test]
    fn runs_add_up_to_the_whole(
        mut calls in prop::collection::vec((0..4_u8, 0..20_000_u64, 0..3_u8), 1..60),
        cuts in prop::collection::vec(0..60_usize, 0..4),
        half_life in prop::option::of(0.05..1.0),
        most in 10..80_usize,
    ) {
        calls.sort_by_key(|call| call.1);
        let memory = Memory { half_life, calls: most, session_idle: 600 * SECOND };
        let (whole, parts) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let want = run(whole.path(), Some(&log(&calls)), &memory);
        prop_assert_eq!(&run(whole.path(), None, &memory), &want);
        if half_life.is_none() && most >= calls.len() {
            let mut from = 0;
            for cut in cuts {
                let to = cut.min(calls.len());
                run(parts.path(), Some(&log(&calls[from.min(to)..to])), &memory);
                from = to;
            }
            prop_assert_eq!(&run(parts.path(), Some(&log(&calls)), &memory), &want);
            prop_assert_eq!(want.len(), calls.len());
        }
        prop_assert!(want.len() <= most);
    }
}

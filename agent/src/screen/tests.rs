//! Bounds of queries and clearances, and what is left of an answer once a hit is cleared.

use gait_common::identity::file::{self, ListFile as File, Origin};
use gait_common::identity::{Entity, ListData, Name, NameKind, Source};

use super::*;

#[test]
fn a_long_channel_is_refused() {
    let query = |len: usize| Query { channel: "c".repeat(len), ..Query::name("Ivan") };
    assert_eq!(check(&query(MAX_CHANNEL)), Ok(()));
    assert_eq!(check(&query(MAX_CHANNEL + 1)), Err(Unfit::Channel));
}

fn screener(dir: &Path) -> Screener {
    let entities = (0..4).map(|at: u32| Entity {
        id: at.to_string(),
        names: vec![Name::new("Old Wolf", if at == 0 { NameKind::Primary } else { NameKind::Weak })],
        ..Entity::default()
    });
    let source = Source { name: "ours".to_owned(), ..Source::default() };
    let data = ListData { sources: vec![source], entities: entities.collect(), ..ListData::default() };
    let list = File { data, origins: vec![Origin::default()], links: Vec::new() };
    std::fs::write(dir.join("list"), file::write(&list).expect("a list")).expect("a file");
    let text = format!(
        "state_dir = {dir:?}\n[screening]\nlist = {:?}\ncleared = {:?}\n[screening.policy]\nmax_hits = 1\n",
        dir.join("list"),
        dir.join("cleared")
    );
    let config = Config::parse(&text, Path::new("gait.toml")).expect("a configuration");
    Screener::open(&config).expect("a list").expect("it is configured")
}

#[test]
fn what_is_left_once_a_hit_is_cleared_decides_even_if_not_all_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let screener = screener(dir.path());
    let query = Query::name("Old Wolf");
    let before = screener.ask(&query, None).answer;
    assert_eq!((before.decision, before.hits.len(), before.more), (Decision::Block, 1, 3));
    let act = Act { source: "ours", id: "0", by: "ann", note: "another one", revoke: false };
    screener.clear(Whose::Query(&query), &act).expect("cleared");
    let after = screener.ask(&query, None).answer;
    assert_eq!((after.decision, after.hits.len(), after.more), (Decision::Review, 1, 2));
}

#[test]
fn long_texts_of_a_clearance_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let screener = screener(dir.path());
    let (by, note) = ("b".repeat(801), "n".repeat(4001));
    let act = Act { source: "ours", id: "0", by: "ann", note: "another one", revoke: false };
    for (act, message) in [
        (Act { by: &by, ..act }, "the name of who clears the match is longer than 800 bytes"),
        (Act { note: &note, ..act }, "the note is longer than 4000 bytes"),
    ] {
        let error = screener.clear(Whose::Caller("a"), &act).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(error.is::<NotCleared>());
    }
    assert!(!dir.path().join("cleared").exists());
}

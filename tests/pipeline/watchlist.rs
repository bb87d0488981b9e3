//! Watchlists as an officer keeps them: built, updated, compared and looked at on the command line.
//!
//! `tests/fixtures/watchlist` holds a list file of each format version and what is in it. After an intended change, record anew
//! with
//!
//! ```text
//! GAIT_BLESS=1 cargo test --package gait-tests --test pipeline watchlist
//! ```
//!
//! which also writes the list of a version that has none; one that is there is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use gait_common::identity::file::{self, VERSION};
use gait_common::identity::{Decision, Policy, Query, Watchlist};
use serde_json::Value;

use crate::support::{path, trainer};

const SDN: &str = "\
36,\"AERO TRADING, S.A.\",-0- ,\"CUBA\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,\"Tax ID No. 7701234567 (Cuba).\"\r
37,\"IVANOV, Ivan Petrovich\",\"individual\",\"SDGT] [IFSR\",\"Director\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,\"DOB 24 Mar 1961; nationality Russia; a.k.a. 'VANYA'.\"\r
38,\"LONG SHIP\",\"vessel\",\"IRAN\",-0- ,\"C4XX\",\"Tanker\",-0- ,-0- ,\"Iran\",-0- ,\"Vessel Registration Identification IMO 9037678.\"\r
\u{1a}";
const ALT: &str = "37,1,\"aka\",\"IVANOFF, Ivan\",-0- \r\n";
const UN: &str = r#"<CONSOLIDATED_LIST dateGenerated="2026-02-27T00:00:09.554Z"><INDIVIDUALS><INDIVIDUAL>
<DATAID>1</DATAID><FIRST_NAME>IVAN</FIRST_NAME><SECOND_NAME>PETROVICH IVANOV</SECOND_NAME><UN_LIST_TYPE>DRC</UN_LIST_TYPE>
<REFERENCE_NUMBER>CDi.001</REFERENCE_NUMBER><NAME_ORIGINAL_SCRIPT>Иван Петрович Иванов</NAME_ORIGINAL_SCRIPT>
<INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><YEAR>1961</YEAR></INDIVIDUAL_DATE_OF_BIRTH>
</INDIVIDUAL></INDIVIDUALS><ENTITIES/></CONSOLIDATED_LIST>"#;

/// Writes the sources of an edition and builds a list of them.
fn built(dir: &Path, alt: bool) -> String {
    fs::write(dir.join("sdn_2021-07-07.csv"), SDN).expect("file");
    if alt {
        fs::write(dir.join("alt_2021-07-07.csv"), ALT).expect("file");
    }
    fs::write(dir.join("un.xml"), UN).expect("file");
    let (sdn, un, out) = (path(dir, "sdn_2021-07-07.csv"), path(dir, "un.xml"), path(dir, "list.gait-list"));
    let un = format!("{un},licence=as the UN says");
    trainer(&["watchlist", "build", "--source", &sdn, "--source", &un, "--out", &out]).good();
    out
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&trainer(args).good().stdout).expect("JSON")
}

#[test]
fn a_list_is_built_looked_at_and_screened_against() {
    let dir = tempfile::tempdir().expect("a directory");
    let list = built(dir.path(), true);
    let shown = trainer(&["watchlist", "inspect", &list]).good().stdout;
    for part in
        ["4 entries with 7 names from 2 sources", "date     2021-07-07", "as the UN says", "1 vessels"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = trainer(&["watchlist", "inspect", &list, "--name", "ivanoff"]).good().stdout;
    assert!(shown.contains("also on un-sc CDi.001 IVAN PETROVICH IVANOV: same name"), "{shown}");
    let none = trainer(&["watchlist", "inspect", &list, "--id", "99"]);
    assert!(none.code == Some(1) && none.stderr.contains("no entry"), "{none:?}");

    let bytes = fs::read(&list).expect("a list");
    let watchlist = Watchlist::new(file::read(&bytes).expect("a list").data).expect("a sound list");
    let answer = watchlist.screen(&Query::name("Ivan Petrovich Ivanov"), &Policy::default());
    assert_ne!(answer.decision, Decision::Pass);
    assert_eq!(answer.lists.len(), 2);
    let other = tempfile::tempdir().expect("a directory");
    assert_eq!(bytes, fs::read(built(other.path(), true)).expect("a list"), "same sources, same bytes");
}

#[test]
fn an_update_says_what_changed_and_what_is_not_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let list = built(dir.path(), true);
    let before = fs::read(&list).expect("a list");
    let edition = SDN.replace("38,\"LONG SHIP\"", "39,\"NEW SHIP\"").replace("24 Mar 1961", "25 Mar 1961");
    fs::write(dir.path().join("sdn_2024-05-03.csv"), edition).expect("file");
    let (sdn, out) = (path(dir.path(), "sdn_2024-05-03.csv"), path(dir.path(), "new.gait-list"));
    let updated = trainer(&["watchlist", "update", &list, "--source", &sdn, "--out", &out]).good();
    for line in [
        "ofac-sdn: 2021-07-07 (3 entries) -> 2024-05-03 (3 entries)",
        "  1 added, 1 changed, 1 removed, 1 the same",
        "  not known: other names are those of an earlier edition",
        "+ 39 NEW SHIP (vessel) IRAN",
        "- 38 LONG SHIP (vessel) IRAN",
        "~ 37 IVANOV, Ivan Petrovich",
        "    birth dates: - 1961-03-24",
        "    birth dates: + 1961-03-25",
    ] {
        assert!(updated.stdout.lines().any(|said| said.starts_with(line)), "{line}: {}", updated.stdout);
    }
    assert!(
        updated.stderr.contains("1 other names of the edition of 2021-07-07 were kept"),
        "{}",
        updated.stderr
    );
    assert_eq!(before, fs::read(&list).expect("a list"), "with --out the old list stays");
    let shown = trainer(&["watchlist", "inspect", &out, "--id", "37"]).good().stdout;
    assert!(shown.contains("alias: IVANOFF, Ivan"), "{shown}");

    let diff = json(&["watchlist", "diff", &list, &out, "--json"]);
    assert_eq!(diff["sources"][0]["counts"]["removed"], 1);
    assert_eq!(diff["sources"][1]["counts"]["same"], 1);
    trainer(&["watchlist", "update", &list, "--source", &sdn]).good();
    assert_eq!(
        fs::read(&list).expect("a list"),
        fs::read(&out).expect("a list"),
        "without --out it is replaced"
    );
}

#[test]
fn what_was_rejected_stands_in_a_file_with_its_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = path(dir.path(), "own.csv");
    fs::write(&source, "id,name,dob\n1,Ann,1961\n2,,1962\n3,Bo,soon\n4,Cy\n").expect("file");
    let (out, rejects) = (path(dir.path(), "own.gait-list"), path(dir.path(), "rejects.jsonl"));
    let build = |more: &[&str]| {
        let args = ["watchlist", "build", "--source", &source, "--out", &out, "--rejects", &rejects];
        trainer(&[&args[..], more].concat())
    };
    let refused = build(&[]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("2 of 4 rows") && refused.stderr.contains("--max-rejected"),
        "{}",
        refused.stderr
    );
    assert!(!Path::new(&out).exists(), "a list that is half rejected is not written");
    let summary: Value =
        serde_json::from_str(&build(&["--max-rejected", "0.5", "--json"]).good().stdout).expect("JSON");
    assert_eq!(summary[0]["counts"]["rejected"], 2);
    let lines: Vec<Value> = fs::read_to_string(&rejects)
        .expect("rejects")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let said: Vec<_> =
        lines.iter().map(|p| (p["outcome"].as_str(), p["line"].as_u64(), p["field"].as_str())).collect();
    assert_eq!(
        said,
        [
            (Some("rejected"), Some(3), Some("name")),
            (Some("dropped"), Some(4), Some("birth date")),
            (Some("rejected"), Some(5), Some("row")),
        ]
    );
}

#[test]
fn hostile_sources_and_lists_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = path(dir.path(), "out.gait-list");
    let zeros = zstd::encode_all(&vec![b'1'; 128 << 20][..], 1).expect("memory can be written");
    let bomb = "<!DOCTYPE x [<!ENTITY a 'ha'>]><CONSOLIDATED_LIST>&a;</CONSOLIDATED_LIST>";
    for (name, bytes, reason) in [
        ("bomb.csv.zst", &zeros[..], "refused as a bomb"),
        ("bomb.xml", bomb.as_bytes(), "entities of its own"),
        ("cut.xml", &UN.as_bytes()[..UN.len() / 2], "cut.xml"),
        ("noise.bin", &[0, 1, 2, 3], "neither text nor packed"),
    ] {
        let source = path(dir.path(), name);
        fs::write(&source, bytes).expect("file");
        let ended = trainer(&["watchlist", "build", "--source", &source, "--out", &out]);
        assert!(ended.code == Some(1) && ended.stderr.contains(reason), "{name}: {ended:?}");
        assert!(!Path::new(&out).exists(), "{name}");
    }
    let list = built(dir.path(), false);
    let good = fs::read(&list).expect("a list");
    for (bytes, reason) in [
        (&good[..good.len() / 2], "cut short"),
        (&b"id,name\n"[..], "this is not a gait watchlist"),
        (&[&good[..100], &[good[100] ^ 1], &good[101..]].concat(), "is damaged"),
    ] {
        fs::write(&out, bytes).expect("file");
        for args in [&["watchlist", "inspect", &out][..], &["watchlist", "diff", &list, &out]] {
            let ended = trainer(args);
            assert!(ended.code == Some(1) && ended.stderr.contains(reason), "{reason}: {ended:?}");
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/watchlist").join(name)
}

/// List files of every format version that was ever written stay readable.
#[test]
fn golden_lists_are_read_as_recorded() {
    let bless = std::env::var_os("GAIT_BLESS").is_some();
    for version in 1..=VERSION {
        let (list, recorded) =
            (fixture(&format!("v{version}.gait-list")), fixture(&format!("v{version}.json")));
        if bless && !list.exists() {
            let dir = tempfile::tempdir().expect("a directory");
            fs::copy(built(dir.path(), true), &list).expect("the fixtures can be written");
        }
        let read = file::read(&fs::read(&list).expect("a list")).expect("a list of a known version");
        let now = serde_json::to_string_pretty(&read).expect("JSON") + "\n";
        if bless {
            fs::write(&recorded, &now).expect("the fixtures can be written");
        }
        assert_eq!(now, fs::read_to_string(&recorded).expect("what was recorded"), "version {version}");
    }
}

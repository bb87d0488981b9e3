//! What a finding looks like to those who read it, and that none is lost or torn.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;

use gait_common::detect::Part;
use gait_common::finding::{
    Expected, Finding, FindingStep, Mark, NearestPattern, NearestTree, Reason, Tie, TreeFigures, TreeFinding,
    TreeLine, ValueFigures, ValueShift,
};
use gait_common::tree::{Novelty, TreeKind};

use super::*;

fn finding() -> Finding {
    let step = |interface: &str, offending| FindingStep {
        interface: interface.to_owned(),
        time: 1_795_332_600_000_000_000,
        surprise: if offending { 9.5 } else { 0.5 },
        offending,
    };
    Finding {
        id: "f-1".to_owned(),
        time: 1_795_332_600_123_000_000,
        session_start: 1_795_332_500_000_000_000,
        caller: "198.51.100.7".to_owned(),
        pid: 42,
        comm: "nginx".to_owned(),
        score: 12.0,
        threshold: 5.0,
        reasons: vec![
            Reason {
                part: Part::RareStep,
                share: 0.75,
                text: "POST /checkout seldom follows POST /login".to_owned(),
            },
            Reason {
                part: Part::NewTransition,
                share: 0.25,
                text: "1 step never seen in this order".to_owned(),
            },
        ],
        steps: vec![
            step("POST /login", false),
            step("POST /checkout", true),
            step("GET /profile/\u{1b}[2J", false),
        ],
        earlier_steps: 2,
        nearest: Some(NearestPattern {
            path: vec!["POST /login".to_owned(), "POST /cart".to_owned(), "POST /checkout".to_owned()],
            support: 40,
            similarity: 0.67,
            edits: vec!["missing POST /cart".to_owned()],
        }),
        expected: vec![Expected { interface: "POST /cart".to_owned(), probability: 0.81 }],
        ended: false,
        gap: true,
        alerts: Vec::new(),
    }
}

fn origin() -> Origin {
    Origin { host: "web1".to_owned(), model: "abcd".to_owned() }
}

#[test]
fn a_person_reads_who_why_which_step_and_what_instead() {
    insta::assert_snapshot!("paragraph", paragraph(&finding().into()));
}

#[test]
fn a_machine_reads_an_ocsf_detection_finding() {
    let line = ocsf::line(&finding().into(), &origin(), None).expect("rendered");
    assert_eq!(line.iter().filter(|&&b| b == b'\n').count(), 1, "one line");
    let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    insta::assert_json_snapshot!("ocsf", event);
}

fn tree_finding() -> TreeFinding {
    let line = |depth, function: &str, mark| TreeLine { depth, function: function.to_owned(), mark };
    let figures =
        |calls, p50| TreeFigures { calls, share: 0.25, failed: 0.02, p50, p90: 2 * p50, p99: 4 * p50 };
    TreeFinding {
        id: "t-1".to_owned(),
        kind: TreeKind::UnseenTree,
        time: 1_795_332_660_000_000_000,
        window_start: 1_795_332_600_000_000_000,
        source: "web1".to_owned(),
        interface: "GET /\u{1b}[2J".to_owned(),
        tie: Tie::Thread,
        root: "nginx:ngx_http_process_request".to_owned(),
        code: "00000000000000ab".to_owned(),
        novelty: Some(Novelty::Function),
        evidence: 14.5,
        limit: 6.0,
        text: "a tree that training never saw: 57 calls; beside the nearest known tree: missing `auth` under `handle`"
            .to_owned(),
        now: figures(57, 6_000_000),
        before: Some(figures(4000, 1_200_000)),
        nearest: Some(NearestTree {
            code: "00000000000000aa".to_owned(),
            distance: 2,
            edits: vec!["missing `auth` under `handle`".to_owned(), "added `debug` under `handle`".to_owned()],
        }),
        tree: vec![
            line(0, "handle", Mark::Same),
            line(1, "auth", Mark::Missing),
            line(1, "debug", Mark::Added),
        ],
        more_lines: 3,
        together: None,
        value: None,
    }
}

/// What an argument was, in a log that somebody reads at a terminal.
#[test]
fn a_finding_about_a_value_shows_it_and_hides_what_is_hostile() {
    let one = |value: &str, calls| ValueFigures { value: value.to_owned(), calls };
    let finding = TreeFinding {
        kind: TreeKind::UnseenValue,
        interface: String::new(),
        novelty: None,
        now: TreeFigures { calls: 12, share: 0.03, ..TreeFigures::default() },
        before: Some(TreeFigures::default()),
        nearest: None,
        tree: Vec::new(),
        more_lines: 0,
        text: "argument 2 of `shop:open` was \"/etc/shadow\" in 12 of 400 trees (3.00 %)".to_owned(),
        value: Some(ValueShift {
            function: "shop:open".to_owned(),
            argument: 2,
            values: vec![one("\"/etc/shadow\"", 9), one("\"\u{1b}[2J\"", 3)],
            more: 1,
            total: 400,
            distinct_before: 7,
        }),
        ..tree_finding()
    };
    insta::assert_snapshot!("value_paragraph", paragraph(&finding.clone().into()));
    let line = ocsf::line(&finding.into(), &origin(), None).expect("rendered");
    let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    assert_eq!(event["evidences"][0]["data"]["function"], "shop:open");
    assert_eq!(event["unmapped"]["gait"]["value"]["values"][0]["value"], "\"/etc/shadow\"");
}

#[test]
fn a_finding_about_trees_shows_what_differs() {
    insta::assert_snapshot!("tree_paragraph", paragraph(&tree_finding().into()));
    let line = ocsf::line(&tree_finding().into(), &origin(), None).expect("rendered");
    let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    insta::assert_json_snapshot!("tree_ocsf", event);
}

#[test]
fn lines_are_appended_and_the_file_can_be_moved_away() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("findings.jsonl");
    fs::write(&path, "earlier\n").expect("file");
    let options = Options { file: Some(path.clone()), origin: origin(), ..Options::default() };
    let reporter = Reporter::open(&options).expect("opened");
    let (sender, receiver) = mpsc::sync_channel(0);
    let reopen = std::sync::Arc::new(AtomicBool::new(false));
    let writer = {
        let reopen = std::sync::Arc::clone(&reopen);
        std::thread::spawn(move || reporter.run(&receiver, &reopen))
    };
    sender.send(finding().into()).expect("the writer is there");
    // A channel without room: when this is taken the first has been written.
    sender.send(finding().into()).expect("the writer is there");
    sender.send(finding().into()).expect("the writer is there");
    let moved = dir.path().join("findings.1");
    fs::rename(&path, &moved).expect("moved");
    reopen.store(true, Ordering::Relaxed);
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    sender.send(finding().into()).expect("the writer is there");
    drop(sender);
    let counts = writer.join().expect("no panic").expect("written");
    assert_eq!(counts, Counts { reported: 4, written: 4, lost: 0 });
    let text = [&moved, &path].map(|path| fs::read_to_string(path).expect("file"));
    assert!(text[0].starts_with("earlier\n{") && text[1].ends_with("}\n"), "{text:?}");
    assert_eq!(text.concat().lines().count(), 5);
    assert_eq!(fs::metadata(path).expect("file").permissions().mode() & 0o777, 0o640 & !umask());
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("umask");
    u32::from_str_radix(line.trim(), 8).expect("octal")
}

#[test]
fn a_sink_that_refuses_loses_nothing_silently() {
    let options = Options { file: Some("/dev/full".into()), origin: origin(), ..Options::default() };
    let mut reporter = Reporter::open(&options).expect("opened");
    reporter.report(finding()).expect("rendered");
    reporter.report(finding()).expect("rendered");
    assert_eq!(reporter.finish(), Counts { reported: 2, written: 0, lost: 2 });
}

/// The rule that the documentation states: one step up for a name to look at, two for one that is as good as certain.
#[test]
fn what_a_listed_caller_does_weighs_more() {
    use gait_common::identity::Decision::{self, Block, Review};
    let severity = |decision: Option<Decision>| {
        let standing = decision.map(|decision| Standing {
            decision,
            source: "un".to_owned(),
            id: "7".to_owned(),
            name: "Ivan Testov".to_owned(),
            score: 0.9,
        });
        let line = ocsf::line(&finding().into(), &origin(), standing.as_ref()).expect("rendered");
        let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        let said =
            event["message"].as_str().is_some_and(|said| said.contains("Ivan Testov (un 7) by 90 of 100"));
        assert_eq!(
            (said, event["unmapped"]["gait"]["listed"].is_object()),
            (standing.is_some(), standing.is_some())
        );
        (event["severity_id"].as_u64(), event["severity"].as_str().map(str::to_owned))
    };
    assert_eq!(severity(None), (Some(3), Some("Medium".to_owned())));
    assert_eq!(severity(Some(Review)), (Some(4), Some("High".to_owned())));
    assert_eq!(severity(Some(Block)), (Some(5), Some("Critical".to_owned())));
}

#[test]
fn a_listed_caller_is_explained_field_by_field() {
    use gait_common::finding::{ListedFinding, ListedHit};
    use gait_common::identity::{Decision, EntityKind, Field, FieldScore, ListVersion};
    let field = FieldScore {
        field: Field::Name,
        weight: 1.0,
        score: 0.9,
        query: "I*** T***".to_owned(),
        listed: "Ivan Testov".to_owned(),
        forms: Vec::new(),
        tokens: Vec::new(),
        reason: "1 letter differs".to_owned(),
    };
    let hit = ListedHit {
        source: "un".to_owned(),
        id: "7".to_owned(),
        kind: EntityKind::Person,
        name: "Ivan Testov\u{1b}[2J".to_owned(),
        score: 0.9,
        decision: Decision::Review,
        fields: vec![field],
    };
    let list = ListVersion { name: "un".to_owned(), version: "3".to_owned(), date: "2026-02-27".to_owned() };
    let finding = ListedFinding {
        id: "listed-1".to_owned(),
        time: 1_795_332_660_000_000_000,
        caller: "198.51.100.7".to_owned(),
        identity: "header:x-user-name".to_owned(),
        name: "I*** T***".to_owned(),
        pid: 42,
        comm: "nginx".to_owned(),
        decision: Decision::Review,
        score: 0.9,
        channel: "caller".to_owned(),
        hits: vec![hit],
        more: 1,
        list: "abcd".to_owned(),
        lists: vec![list],
    };
    insta::assert_snapshot!("listed_paragraph", paragraph(&finding.clone().into()));
    let line = ocsf::line(&finding.into(), &origin(), None).expect("rendered");
    let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    insta::assert_json_snapshot!("listed_ocsf", event);
}

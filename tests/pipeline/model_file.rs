//! Model files that are damaged, foreign or hostile: refused with the reason, by both programs, whatever is wrong.

use std::fs::{self, File};

use gait_common::model::file::{MAX_SIZE, VERSION};

use crate::support::{SHOP, agent, path, trainer};

/// Offsets of the header's parts and of the section table: see the model file's format.
const COUNT_AT: usize = 12;
const TABLE_AT: usize = 16;
const SECTIONS: usize = 14;
const BODIES_AT: usize = TABLE_AT + SECTIONS * 16;
const CHECKSUM: usize = 32;

/// Puts a valid checksum behind altered bytes, as a hostile writer would.
fn sign(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - CHECKSUM);
    let checksum: [u8; 32] = blake3::hash(bytes).into();
    bytes.extend_from_slice(&checksum);
}

/// Both programs must refuse the file and say why, each with its documented exit code.
fn refused(name: &str, bytes: &[u8], reason: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let model = path(dir.path(), "m.gait");
    fs::write(&model, bytes).expect("file");
    refused_file(name, &model, reason);
}

fn refused_file(name: &str, model: &str, reason: &str) {
    let replayed = agent(&["replay", "--format", "combined", "--model", model, "/dev/null"]);
    let scored = trainer(&["score", "--format", "combined", "--model", model, "/dev/null"]);
    let inspected = trainer(&["inspect", model]);
    for (ended, code) in [(replayed, 3), (scored, 1), (inspected, 1)] {
        assert_eq!(ended.code, Some(code), "{name}: {ended:?}");
        assert!(ended.stderr.contains(model) && ended.stderr.contains(reason), "{name}: {}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{name}: {}", ended.stdout);
    }
}

#[test]
fn a_wrong_model_file_is_refused_with_its_reason() {
    let good = fs::read(&SHOP.model).expect("a model");
    refused("empty", b"", "does not begin with the magic bytes");
    refused("a log", b"192.0.2.1 - - [", "does not begin with the magic bytes");
    refused("text mode", &[&good[..5], b"\n", &good[7..]].concat(), "does not begin with the magic bytes");
    let mut other = good.clone();
    other[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
    sign(&mut other);
    refused("version", &other, &format!("version {} is not supported", VERSION + 1));
    refused("trailing", &[&good[..], b"\n"].concat(), "1 bytes follow the end of the model");
    let dir = tempfile::tempdir().expect("a directory");
    refused_file("missing", &path(dir.path(), "none.gait"), "No such file");
    refused_file("directory", &path(dir.path(), ""), "directory");

    // A file of holes: as large as wanted, and no disk is filled.
    let huge = path(dir.path(), "huge.gait");
    fs::write(&huge, &good).expect("file");
    File::options()
        .write(true)
        .open(&huge)
        .and_then(|file| file.set_len(MAX_SIZE + 1))
        .expect("a large file");
    refused_file("huge", &huge, "over the limit");
}

#[test]
fn a_model_that_was_cut_is_refused_wherever_it_was_cut() {
    let good = fs::read(&SHOP.model).expect("a model");
    let middle = BODIES_AT + (good.len() - BODIES_AT) / 2;
    for len in [1, 7, COUNT_AT, TABLE_AT + 5, BODIES_AT, middle, good.len() - CHECKSUM, good.len() - 1] {
        refused(&format!("{len} bytes"), &good[..len], "cut short");
    }
}

#[test]
fn a_change_in_any_section_is_noticed() {
    let good = fs::read(&SHOP.model).expect("a model");
    let mut at = BODIES_AT;
    for section in 0..SECTIONS {
        let length_at = TABLE_AT + section * 16 + 8;
        let length = u64::from_le_bytes(good[length_at..length_at + 8].try_into().expect("8 bytes")) as usize;
        let mut altered = good.clone();
        altered[at + length / 2] ^= 0x10;
        refused(&format!("section {section}"), &altered, "its checksum does not match");

        // The same with a length that lies, and a checksum that covers the lie.
        let mut longer = good.clone();
        longer[length_at..length_at + 8].copy_from_slice(&(MAX_SIZE + 1).to_le_bytes());
        sign(&mut longer);
        refused(&format!("length of section {section}"), &longer, "over the limit");
        at += length;
    }
    assert_eq!(at + CHECKSUM, good.len(), "the format's constants are right");
    let mut kind = good.clone();
    kind[TABLE_AT] = 9;
    sign(&mut kind);
    refused("kind", &kind, "unknown kind");
    let mut count = good.clone();
    count[COUNT_AT] = 7;
    sign(&mut count);
    refused("count", &count, &format!("7 sections where version {VERSION} has {SECTIONS}"));
}

/// Bytes that are a model by their form, signed, and contradict themselves.
#[test]
fn a_model_that_contradicts_itself_is_refused() {
    use gait_common::detect::{EntryInterval, GroupsData};
    use gait_common::model::{Model, ModelData, file};
    let good = file::read(&fs::read(&SHOP.model).expect("a model")).expect("a model");
    let unsound = |name: &str, alter: &dyn Fn(&mut ModelData), reason: &str| {
        let mut data = good.clone();
        alter(&mut data);
        let bytes = file::write(&data).expect("it can be written");
        let dir = tempfile::tempdir().expect("a directory");
        let model = path(dir.path(), "m.gait");
        fs::write(&model, bytes).expect("file");
        let ended = agent(&["replay", "--format", "combined", "--model", &model, "/dev/null"]);
        assert_eq!(ended.code, Some(3), "{name}: {ended:?}");
        assert!(ended.stderr.contains("is not sound") && ended.stderr.contains(reason), "{}", ended.stderr);
    };
    unsound("names", &|data| data.interfaces.clear(), "the first interface must be `~new`");
    unsound("twice", &|data| data.interfaces.push("~new".to_owned()), "listed twice");
    unsound("timing", &|data| data.timing.operation_gap = u64::MAX, "operation gap");
    unsound("markov", &|data| data.markov.grams[0].symbol = 1 << 20, "an interface that does not exist");
    unsound("order", &|data| data.markov.backoff = vec![1.0; 99], "order is too high");
    unsound("back-off", &|data| data.markov.backoff[0] = f64::NAN, "not a positive number");
    unsound("counts", &|data| data.counts.length.buckets = vec![1; 5000], "too many buckets");
    unsound(
        "graphs",
        &|data| data.patterns.graphs.last_mut().expect("a graph").entry = 1 << 20,
        "an interface that does not exist",
    );
    unsound("intervals", &|data| data.similarity.all.limit = f32::NAN, "interval of similarity");
    unsound(
        "entries",
        &|data| {
            let entry = EntryInterval { entry: 1 << 20, ..EntryInterval::default() };
            data.similarity.of_entry.push(entry);
        },
        "an interface that does not exist",
    );
    unsound("tails", &|data| data.calibration.tails.truncate(2), "other kinds of evidence");
    let groups =
        |alter: fn(&mut GroupsData)| move |data: &mut ModelData| alter(data.groups.insert(two_groups()));
    let accepted = file::write(&ModelData { groups: Some(two_groups()), ..good.clone() }).expect("bytes");
    assert!(
        Model::new(file::read(&accepted).expect("a model")).is_ok(),
        "what is altered below is sound before"
    );
    for (alter, reason) in [
        (
            (|groups| groups.columns[0] = vec![1 << 20]) as fn(&mut GroupsData),
            "an interface that does not exist",
        ),
        (|groups| groups.columns[1] = vec![0], "listed twice"),
        (|groups| groups.columns[0] = vec![1; 99], "no calls or too many"),
        (|groups| groups.columns = (0..9999).map(|_| vec![1]).collect(), "too many columns"),
        (|groups| groups.weights.clear(), "no weight for a length"),
        (|groups| groups.weights[0] = f32::NAN, "not a number from 0 to 1"),
        (|groups| groups.groups.clear(), "too many groups of callers, or none"),
        (|groups| groups.groups = vec![groups.groups[0].clone(); 11], "too many groups of callers, or none"),
        (|groups| groups.groups[1].centre.clear(), "other columns"),
        (|groups| groups.groups[1].centre[0] = f32::INFINITY, "not a number from 0 to 1"),
        (|groups| groups.groups[0].bits[1] = 1e9, "not finite, or too large"),
        (|groups| groups.groups[0].session_limit = 0.0, "negative or not finite"),
        (|groups| groups.groups[0].deviation = f64::NAN, "negative or not finite"),
        (|groups| groups.groups[0].callers = u64::MAX, "too many callers"),
        (|groups| groups.callers[1].hash = 0, "not sorted"),
        (|groups| groups.callers[0].group = 2, "not those of the groups"),
        (|groups| groups.callers[0].shares = vec![0, 0], "not those of the groups"),
        (|groups| groups.callers[0].history = u16::MAX, "not those of the groups"),
        (|groups| groups.tried[0].1 = f64::NAN, "Davies-Bouldin"),
    ] {
        unsound("groups", &groups(alter), reason);
    }
    unsound("threshold", &|data| data.calibration.threshold = f64::NAN, "not finite");
}

/// Two small groups that fit any model of more than one interface.
fn two_groups() -> gait_common::detect::GroupsData {
    use gait_common::detect::{CallerData, GroupData, GroupsData};
    let group = |centre: [f32; 2]| GroupData {
        callers: 10,
        centre: centre.to_vec(),
        bits: vec![1.0, -1.0],
        mean: 0.1,
        deviation: 0.1,
        limit: 0.4,
        session_limit: 0.5,
    };
    let caller = |hash| CallerData { hash, group: 0, history: 9, shares: vec![255, 1] };
    GroupsData {
        columns: vec![vec![0], vec![1]],
        weights: vec![1.0],
        groups: vec![group([1.0, 0.0]), group([0.0, 1.0])],
        callers: vec![caller(1), caller(2)],
        tried: vec![(2, 0.5)],
        ..GroupsData::default()
    }
}

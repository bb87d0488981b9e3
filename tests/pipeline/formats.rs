//! The same traffic from every kind of source: plain, packed and piped.

use std::collections::BTreeSet;
use std::io::Write as _;

use assert_cmd::Command;
use flate2::{Compression, write::GzEncoder};
use gait_trainer::model::load_data;

use crate::support::{SHOP, log, path, replay, run, score, scored, text, train, trainer};

/// Who is found must not depend on how the server happens to log.
#[test]
fn every_format_gives_the_same_names_and_verdicts() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut seen = Vec::new();
    for format in log::FORMATS {
        let model = path(dir.path(), &format!("{format}.gait"));
        let training = log::write(dir.path(), "training", format, &SHOP.training);
        train(format, &training, &model);
        let names = load_data(model.as_ref()).expect("a model").interfaces;

        let today = SHOP.today_as(format);
        let scored = score(format, &today, &SHOP.model);
        let anomalous: BTreeSet<String> =
            scored.iter().filter(|one| one.anomalous).map(|one| one.caller().to_owned()).collect();
        let found: BTreeSet<String> = replay(format, &today, &SHOP.model).into_keys().collect();
        assert_eq!(found, anomalous, "replay and score differ for {format}");
        seen.push((format, scored.len(), names, anomalous));
    }
    let (_, sessions, names, anomalous) = &seen[0];
    assert!(names.contains(&"GET /api/items/{int}".to_owned()) && !anomalous.is_empty());
    for (format, other_sessions, other_names, others) in &seen[1..] {
        assert_eq!((other_names, other_sessions), (names, sessions), "{format}");
        assert_eq!(others, anomalous, "{format}");
    }
}

#[test]
fn packed_and_piped_logs_are_read_like_plain_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = log::lines(&SHOP.today, log::combined);
    let plain = score("combined", &SHOP.today_as("combined"), &SHOP.model);
    assert!(!plain.is_empty());

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(lines.as_bytes()).expect("memory can be written");
    let gz = dir.path().join("today.gz");
    std::fs::write(&gz, gzip.finish().expect("memory can be written")).expect("file");
    assert_eq!(score("combined", &gz, &SHOP.model), plain);

    // What it is packed with is told by the content, not by the name.
    let zst = dir.path().join("today.log");
    std::fs::write(&zst, zstd::encode_all(lines.as_bytes(), 1).expect("memory can be written"))
        .expect("file");
    assert_eq!(score("combined", &zst, &SHOP.model), plain);

    let mut piped = Command::new(env!("CARGO_BIN_EXE_trainer-under-test"));
    piped.args(["score", "--format", "combined", "--model", &SHOP.model, "-"]).write_stdin(lines.clone());
    assert_eq!(scored(&run(&mut piped).good()), plain);

    // Training reads twice, and a pipe can be read but once.
    let training = log::write(dir.path(), "training", "combined", &SHOP.training);
    let model = path(dir.path(), "piped.gait");
    let mut piped = Command::new(env!("CARGO_BIN_EXE_trainer-under-test"));
    piped.args(["train", "--format", "combined", "--out", &model, "-"]);
    run(piped.write_stdin(std::fs::read(&training).expect("the log"))).good();
    let read = path(dir.path(), "read.gait");
    train("combined", &training, &read);
    assert_eq!(std::fs::read(&model).expect("a model"), std::fs::read(&read).expect("a model"));

    let found = replay("combined", &gz, &SHOP.model);
    let mut piped = Command::new(env!("CARGO_BIN_EXE_agent-under-test"));
    piped.args(["replay", "--format", "combined", "--model", &SHOP.model, "-"]).write_stdin(lines);
    assert_eq!(crate::support::findings(&run(&mut piped).good()), found);

    // A log that is rotated into several files, some of them packed, is one log.
    let (first, second) = SHOP.today.split_at(SHOP.today.len() / 2);
    let parts = dir.path().join("parts");
    std::fs::create_dir(&parts).expect("directory");
    log::write(&parts, "1", "combined", first);
    log::write(&parts, "2", "combined", second);
    assert_eq!(score("combined", &parts, &SHOP.model), plain);
}

/// Sessions that other tools have already cut and named are judged too, and keep their ids.
#[test]
fn ready_made_sequences_are_learned_and_judged() {
    let dir = tempfile::tempdir().expect("a directory");
    let normal: String =
        (0..600).map(|at| format!("s{at},open read{} close\n", " read".repeat(at % 4))).collect();
    let (training, today, model) =
        (dir.path().join("training.txt"), dir.path().join("today.txt"), path(dir.path(), "s.gait"));
    std::fs::write(&training, &normal).expect("file");
    train("sequences", &training, &model);
    std::fs::write(
        &today,
        "good,open read read close\nbackwards,close read open\nstrange,open erase close\nopen read close\n",
    )
    .expect("file");
    let scored = score("sequences", &today, &model);
    let verdicts: Vec<_> = scored.iter().map(|one| (one.id.as_str(), one.anomalous)).collect();
    assert_eq!(verdicts, [("good", false), ("backwards", true), ("strange", true), ("4", false)]);
    let strange = scored[2].reasons.join("; ");
    assert!(strange.contains("`erase`") || strange.contains("never seen"), "{strange}");

    let arguments = ["evaluate", "--format", "sequences", "--model", &model, "--json"];
    let files = ["--normal", text(&training), "--abnormal", text(&today)];
    let ended = trainer(&[&arguments[..], &files[..]].concat()).good();
    let result: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    assert_eq!(
        (&result["normal"], &result["abnormal"], &result["recall"]),
        (&600.into(), &4.into(), &0.5.into())
    );
}

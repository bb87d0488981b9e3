//! `train --store`: a model that is updated is the model that would have been trained on everything.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{SHOP, Scored, log, path, run, score, trainer};

/// Trains with a store; gives the model's bytes.
fn update(dir: &Path, store: &str, inputs: &[&str], more: &[&str]) -> Vec<u8> {
    let (store, model) = (path(dir, store), path(dir, "updated.gait"));
    let arguments = ["train", "--format", "combined", "--store", &store, "--out", &model];
    trainer(&[&arguments[..], more, inputs].concat()).good();
    fs::read(model).expect("a model")
}

/// Trains without a store; gives the model's bytes.
fn whole(dir: &Path, input: &str) -> Vec<u8> {
    let model = path(dir, "whole.gait");
    trainer(&["train", "--format", "combined", "--out", &model, input]).good();
    fs::read(model).expect("a model")
}

/// What is in a store; its size is not.
fn contents(store: &str) -> Value {
    let said = trainer(&["inspect", "--json", "--store", store]).good().stdout;
    let mut contents: Value = serde_json::from_str(&said).expect("JSON");
    contents["bytes"].take();
    contents
}

/// The first and the second part of the shop's training log.
fn halves(dir: &Path) -> [String; 2] {
    let middle = SHOP.training.len() / 2;
    let halves = [("first", &SHOP.training[..middle]), ("second", &SHOP.training[middle..])];
    halves.map(|(name, requests)| log::write(dir, name, "combined", requests).display().to_string())
}

/// The whole log of which [`halves`] are the halves.
fn all(dir: &Path) -> String {
    log::write(dir, "all", "combined", &SHOP.training).display().to_string()
}

/// The tolerance without decay is none: the store keeps what the model is learned from, sessions that the cut went
/// through are whole again, and reading something twice is reading it once.
#[test]
fn a_half_and_an_update_give_the_model_of_the_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let [first, second] = halves(dir.path());
    let never = ["--decay", "0"];
    let half = update(dir.path(), "store", &[&first], &never);
    let both = update(dir.path(), "store", &[&second], &never);
    assert_ne!(half, both);
    assert!(both == whole(dir.path(), &all(dir.path())), "the models differ");
    // Once more, in another order, and from the store alone.
    assert!(update(dir.path(), "store", &[&second, &first], &never) == both, "reading twice is not once");
    assert!(update(dir.path(), "store", &[], &never) == both, "the store alone gives another model");
    let contents = contents(&path(dir.path(), "store"));
    let known: Vec<_> = contents["runs"].as_array().expect("runs").iter().map(|run| &run["known"]).collect();
    assert_eq!(known, [0, 0, SHOP.training.len(), 0]);
    let said = trainer(&["inspect", "--store", &path(dir.path(), "store"), "--interface", "/api/cart"])
        .good()
        .stdout;
    assert!(said.contains("4 runs") && said.contains("POST /api/login?next ("), "{said}");
}

/// With the default decay a store forgets 2 % of the sessions of a day by the day after, and with them go as many of
/// the counts. A score is a sum of logarithms of shares of counts, so nearly all of them move by a few hundredths; the
/// threshold lies at the tail of what held-out sessions show, where single sessions count, and moves more. Tolerance:
/// a tenth of the threshold for the mean of the differences, and the same verdict for 98 of 100.
#[test]
fn decay_moves_scores_by_less_than_the_tolerance() {
    let dir = tempfile::tempdir().expect("a directory");
    let [first, second] = halves(dir.path());
    update(dir.path(), "store", &[&first], &[]);
    update(dir.path(), "store", &[&second], &[]);
    let today = SHOP.today_as("combined");
    let ours = score("combined", &today, &path(dir.path(), "updated.gait"));
    let want = score("combined", &today, &SHOP.model);
    assert_eq!(ours.len(), want.len());
    let apart = |(a, b): (&Scored, &Scored)| (a.score - b.score).abs() / b.threshold;
    let mean = ours.iter().zip(&want).map(apart).sum::<f64>() / want.len() as f64;
    let other = ours.iter().zip(&want).filter(|(a, b)| a.anomalous != b.anomalous).count();
    assert!(mean <= 0.1, "the scores differ by {mean} of the threshold");
    assert!(other * 50 <= want.len(), "{other} of {} verdicts differ", want.len());
}

/// What a later run learns to be values is a value in the sessions of earlier runs too.
#[test]
fn names_learned_later_hold_for_older_sessions() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = |at: usize, word: usize| {
        let name: String =
            [b'a' + (word / 26) as u8, b'a' + (word % 26) as u8].map(char::from).iter().collect();
        let caller = format!("10.0.{}.{}", at / 250, at % 250 + 1);
        let (hour, minute) = (8 + at / 60, at % 60);
        format!(
            "{caller} - - [02/Mar/2026:{hour:02}:{minute:02}:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n\
             {caller} - - [02/Mar/2026:{hour:02}:{minute:02}:05 +0000] \"GET /users/{name} HTTP/1.1\" 200 1 \"-\" \"-\"\n"
        )
    };
    let few: String = (0..22).map(|at| line(at, at % 11)).collect();
    let many: String = (22..322).map(|at| line(at, at)).collect();
    let file = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).expect("file");
        path(dir.path(), name)
    };
    let (few, many, all) = (file("few", &few), file("many", &many), file("all", &(few.clone() + &many)));
    let names = || trainer(&["inspect", &path(dir.path(), "updated.gait")]).good().stdout;
    update(dir.path(), "store", &[&few], &["--decay", "0"]);
    assert!(names().contains("GET /users/aa"), "{}", names());
    let both = update(dir.path(), "store", &[&many], &["--decay", "0"]);
    assert!(names().contains("GET /users/{*}") && !names().contains("GET /users/aa"), "{}", names());
    assert!(both == whole(dir.path(), &all), "older sessions kept their old names");
}

#[test]
fn sessions_that_come_named_are_kept_too_and_the_bound_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let sessions = |from: usize| -> String {
        (from..from + 200).map(|at| format!("open read{} close\n", " read".repeat(at % 3))).collect()
    };
    let train = |store: &str, text: String, more: &[&str]| {
        let (log, store, model) =
            (path(dir.path(), "log"), path(dir.path(), store), path(dir.path(), "m.gait"));
        fs::write(&log, text).expect("file");
        let arguments = ["train", "--format", "sequences", "--store", &store, "--out", &model, &log];
        trainer(&[&arguments[..], more].concat()).good();
        fs::read(model).expect("a model")
    };
    let all = train("whole", sessions(0) + &sessions(200), &[]);
    train("parts", sessions(0), &[]);
    assert!(train("parts", sessions(200), &[]) == all, "the models differ");
    train("parts", sessions(400), &["--store-calls", "500"]);
    let kept = contents(&path(dir.path(), "parts"));
    let calls = kept["runs"][2]["calls"].as_u64().expect("a number");
    assert!((450..=500).contains(&calls), "{kept}");
}

/// A run that is killed leaves the store as it was or as it would have been, at whatever moment that happens.
#[test]
fn a_killed_run_leaves_a_whole_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let [first, second] = halves(dir.path());
    let store = path(dir.path(), "store");
    update(dir.path(), "store", &[&first], &["--decay", "0"]);
    let mut ended = false;
    for wait in [1, 10, 30, 80, 150, 250, 400, 600, 900, 1500, 2500, 4000, 8000] {
        let before = contents(&store);
        let mut child = Command::new(env!("CARGO_BIN_EXE_trainer-under-test"))
            .args(["train", "--format", "combined", "--decay", "0", "--store", &store, "--out"])
            .args([path(dir.path(), "killed.gait"), second.clone()])
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        std::thread::sleep(Duration::from_millis(wait));
        // It may have ended by itself.
        let _ = child.kill();
        ended |= child.wait().expect("it ends").success();
        let after = contents(&store);
        let (count, runs) = (|contents: &Value| contents["runs"].as_array().map_or(0, Vec::len), 1);
        assert!(after == before || count(&after) == count(&before) + runs, "{before}\n{after}");
        if ended {
            break;
        }
    }
    let both = update(dir.path(), "store", &[&second], &["--decay", "0"]);
    assert!(both == whole(dir.path(), &all(dir.path())), "the models differ after the kills");
}

/// The very first run, too: what it leaves is a store, or nothing that a second one would stumble over.
#[test]
fn a_killed_first_run_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let [first, _] = halves(dir.path());
    for wait in (0..12).map(|at| 2 * at * at) {
        let store = path(dir.path(), &format!("store-{wait}"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_trainer-under-test"))
            .args(["train", "--format", "combined", "--store", &store, "--out"])
            .args([path(dir.path(), "killed.gait"), first.clone()])
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        std::thread::sleep(Duration::from_millis(wait));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().expect("it ends");
        if Path::new(&store).join("gait-store.redb").exists() {
            contents(&store);
        }
    }
    update(dir.path(), "store-0", &[&first], &[]);
}

/// Whatever byte of a store is wrong: it is told, or it makes no difference. Nothing crashes.
#[test]
fn a_damaged_store_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let [first, _] = halves(dir.path());
    update(dir.path(), "store", &[&first], &[]);
    let store = path(dir.path(), "store");
    let file = dir.path().join("store/gait-store.redb");
    let good = fs::read(&file).expect("a store");
    let before = contents(&store);
    let mut refused = 0;
    for at in (0..64).chain((64..good.len()).step_by(good.len() / 60)) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&file, bad).expect("file");
        let ended = trainer(&["inspect", "--json", "--store", &store]);
        match ended.code {
            Some(0) => {
                let after: Value = serde_json::from_str(&ended.stdout).expect("JSON");
                assert_eq!(
                    (&after["runs"], &after["graphs"]),
                    (&before["runs"], &before["graphs"]),
                    "byte {at}"
                );
            }
            code => {
                refused += 1;
                assert_eq!(code, Some(1), "byte {at}: {ended:?}");
                assert!(ended.stderr.contains("store/gait-store.redb"), "byte {at}: {}", ended.stderr);
            }
        }
    }
    assert!(refused > 10, "only {refused} damages were noticed");
    for (name, bytes) in [("cut", &good[..good.len() / 2]), ("a log", b"192.0.2.1 - - [".as_slice())] {
        fs::write(&file, bytes).expect("file");
        let model = path(dir.path(), "none.gait");
        let ended = trainer(&["train", "--format", "combined", "--store", &store, "--out", &model, &first]);
        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        for said in ["gait-store.redb", "damaged", "move it away and train anew"] {
            assert!(ended.stderr.contains(said), "{name}: {}", ended.stderr);
        }
        assert!(!Path::new(&model).exists(), "{name}: a model was written");
    }
}

#[test]
fn a_store_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let none = path(dir.path(), "none");
    let ended = trainer(&["inspect", "--store", &none]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&none) && ended.stderr.contains("No such file"), "{}", ended.stderr);
    let file = path(dir.path(), "file");
    fs::write(&file, "x").expect("file");
    let out = path(dir.path(), "m.gait");
    let train = |store: &str, more: &[&str]| {
        trainer(&[&["train", "--format", "combined", "--store", store, "--out", &out], more].concat())
    };
    let ended = train(&file, &["/dev/null"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&file), "{}", ended.stderr);
    let ended = train(&none, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("there is nothing to learn from in the store"), "{}", ended.stderr);
    assert_eq!(train(&none, &["--decay=-1", "/dev/null"]).code, Some(1));
    let mut without = assert_cmd::Command::new(env!("CARGO_BIN_EXE_trainer-under-test"));
    assert_eq!(
        run(without.args(["train", "--format", "combined", "--decay", "3", "--out", &out, "x"])).code,
        Some(2)
    );
}

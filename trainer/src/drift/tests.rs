//! Drift of synthetic populations: chance is no drift, and a change is one.

use std::fmt::Write as _;

use gait_common::model::{Model, ModelData};

use super::{Drift, drift};
use crate::corpus::{Choice, Input, collect};
use crate::ingest::{Format, Options};
use crate::score::scores;
use crate::train::{TrainParams, train};

/// Sessions of a shop as lines, each of a visitor of its own. `search` of 100 visitors search before they look, and
/// `extra` is what some of them call as well.
fn visits(seed: u64, sessions: usize, search: u64, extra: impl Fn(usize) -> &'static str) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut lines = String::new();
    for at in 0..sessions {
        let looked = "look ".repeat(1 + draw(6) as usize);
        let searched =
            if draw(100) < search { "search ".repeat(1 + draw(3) as usize) } else { String::new() };
        let paid = if draw(100) < 40 { "cart pay" } else { "leave" };
        writeln!(lines, "v{seed}-{at},home {searched}{looked}{}{paid}", extra(at))
            .expect("memory can be written");
    }
    lines
}

fn input(dir: &tempfile::TempDir, lines: &str) -> Input {
    let file = dir.path().join("sessions.txt");
    std::fs::write(&file, lines).expect("a file");
    Input::new(vec![file.display().to_string()], Format::Sequences, Options::default())
}

fn model(lines: &str) -> ModelData {
    let dir = tempfile::tempdir().expect("a directory");
    train(&input(&dir, lines), &TrainParams::default()).expect("a model").model
}

fn compare(data: &ModelData, lines: &str) -> Drift {
    let dir = tempfile::tempdir().expect("a directory");
    let model = Model::new(data.clone()).expect("sound");
    let (corpus, _) =
        collect(&input(&dir, lines), &model.interfaces, Choice::Fixed(model.timing)).expect("sessions");
    let sessions: Vec<_> = corpus.sessions.iter().collect();
    drift(&corpus, &sessions, &scores(&corpus, &model), data)
}

#[test]
fn chance_is_no_drift() {
    let data = model(&visits(1, 600, 30, |_| ""));
    let drifted = (2..42).filter(|&seed| compare(&data, &visits(seed, 60, 30, |_| "")).drifted).count();
    // Each of the bounds lets one sample in a hundred pass.
    assert!(drifted <= 2, "{drifted} of 40 days like those of training are called drifted");
}

#[test]
fn what_changes_is_told() {
    let data = model(&visits(1, 600, 30, |_| ""));
    let searching = compare(&data, &visits(2, 300, 95, |_| ""));
    assert!(searching.frequencies.drifted, "{:?}", searching.frequencies);
    assert!(searching.appeared.is_empty() && searching.vanished.is_empty());

    let without = compare(&data, &visits(3, 300, 0, |_| ""));
    let gone: Vec<_> = without.vanished.iter().map(|gone| gone.interface.as_str()).collect();
    assert_eq!(gone, ["search"]);

    let released = compare(&data, &visits(4, 300, 30, |at| if at % 4 == 0 { "wishlist " } else { "" }));
    assert_eq!((released.appeared[0].interface.as_str(), released.appeared[0].callers), ("wishlist", 75));
    assert!(released.appeared[0].drifted && released.drifted);
    assert!(released.frequencies.unknown_share.1 > 0.01 && released.frequencies.unknown_share.0 == 0.0);
}

#[test]
fn one_odd_caller_is_no_drift() {
    let data = model(&visits(1, 600, 30, |_| ""));
    let scanned =
        compare(&data, &visits(5, 300, 30, |at| if at == 7 { "x1 x2 x3 x4 x5 x6 x7 x8 " } else { "" }));
    assert_eq!(scanned.appeared.len(), 8);
    assert!(!scanned.drifted, "{scanned:?}");
}

#[test]
fn strange_sessions_move_the_scores() {
    let data = model(&visits(1, 600, 30, |_| ""));
    // The same calls in another order.
    let turned: String = visits(6, 200, 30, |_| "")
        .lines()
        .map(|line| {
            let (id, steps) = line.split_once(',').expect("an id");
            let turned: Vec<_> = steps.split(' ').rev().collect();
            format!("{id},{}\n", turned.join(" "))
        })
        .collect();
    let turned = compare(&data, &turned);
    assert!(turned.scores.drifted && !turned.frequencies.drifted, "{turned:?}");
}

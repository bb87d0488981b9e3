//! Model files of every format version that was ever written stay readable, and judge as they did.
//!
//! `tests/fixtures/model` holds a small model of each version, `scores.json` what each says about the sessions of
//! `today.log`. After an intended change of scoring, record the new scores with
//!
//! ```text
//! GAIT_BLESS=1 cargo test --package gait-tests --test pipeline golden
//! ```
//!
//! and look at the difference. That also writes the model of a version that has none; one that is there is left alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gait_common::model::file::VERSION;

use crate::support::{log, score, shop, text, train};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/model").join(name)
}

/// Scores by session, by version.
type Scores = BTreeMap<String, BTreeMap<String, f64>>;

#[test]
fn golden_models_judge_as_recorded() {
    let bless = std::env::var_os("GAIT_BLESS").is_some();
    let today = fixture("today.log");
    let newest = fixture(&format!("v{VERSION}.gait"));
    if bless && !newest.exists() {
        write_fixture(&today, &newest);
    }
    let mut now = Scores::new();
    for version in 1..=VERSION {
        let name = format!("v{version}.gait");
        let scored = score("combined", &today, text(&fixture(&name)));
        assert!(scored.iter().any(|one| one.anomalous) && scored.iter().any(|one| !one.anomalous));
        let threshold = scored[0].threshold;
        let mut scores: BTreeMap<_, _> = scored.into_iter().map(|one| (one.id, one.score)).collect();
        scores.insert("threshold".to_owned(), threshold);
        now.insert(name, scores);
    }
    let recorded = fixture("scores.json");
    if bless {
        let text = serde_json::to_string_pretty(&now).expect("numbers") + "\n";
        std::fs::write(&recorded, text).expect("the fixtures can be written");
    }
    let text = std::fs::read_to_string(&recorded).expect("recorded scores");
    let then: Scores = serde_json::from_str(&text).expect("recorded scores");
    for (name, scores) in &now {
        assert_eq!(scores.keys().collect::<Vec<_>>(), then[name].keys().collect::<Vec<_>>(), "{name}");
        for (session, score) in scores {
            let before = then[name][session];
            // Logarithms differ in their last bits from platform to platform.
            assert!((score - before).abs() < 1e-6, "{name}: {session} scored {before}, and now {score}");
        }
    }
}

fn write_fixture(today: &std::path::Path, model: &std::path::Path) {
    let dir = tempfile::tempdir().expect("a directory");
    // The same callers come twice, so that there are groups.
    let training = shop::requests(&[shop::day(7, 0, 200, 0), shop::day(8, 0, 200, 0)].concat());
    train("combined", &log::write(dir.path(), "training", "combined", &training), text(model));
    if !today.exists() {
        let lines = log::lines(&shop::requests(&shop::day(8, 1, 5, 1)), log::combined);
        std::fs::write(today, lines).expect("the fixtures can be written");
    }
}

//! Model files of every format version that was ever written stay readable, and judge as they did.
//!
//! `tests/fixtures/model` holds a small model of each version, `scores.json` what each says about the sessions of
//! `today.log`. After an intended change of scoring, record the new scores with
//!
//! ```text
//! GAIT_BLESS=1 cargo test --package gait-tests --test pipeline golden
//! ```
//!
//! and look at the difference. `trees.json` holds what each that knows call trees says about a minute of them. That also writes the model of a version that has none; one that is there is left alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gait_common::model::file::{self, VERSION};

use crate::support::{log, score, shop, text, train};
use crate::trees::{learned, verdicts};

/// The first version that knows call trees.
const FIRST_WITH_TREES: u32 = 3;

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

/// What models that know call trees say about a minute of them, by version.
#[test]
fn golden_trees_judge_as_recorded() {
    type Verdicts = BTreeMap<String, Vec<(String, String, f64)>>;
    let models = (FIRST_WITH_TREES..=VERSION).map(|version| format!("v{version}.gait"));
    let now: Verdicts = models.map(|name| (name.clone(), verdicts(&fixture(&name)))).collect();
    let recorded = fixture("trees.json");
    if std::env::var_os("GAIT_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&now).expect("numbers") + "\n";
        std::fs::write(&recorded, text).expect("the fixtures can be written");
    }
    let text = std::fs::read_to_string(&recorded).expect("recorded verdicts");
    let then: Verdicts = serde_json::from_str(&text).expect("recorded verdicts");
    assert_eq!(now.keys().collect::<Vec<_>>(), then.keys().collect::<Vec<_>>());
    for (name, found) in &now {
        assert!(found.len() >= 3, "{name}: {found:?}");
        for ((kind, code, evidence), then) in found.iter().zip(&then[name]) {
            assert_eq!((kind, code), (&then.0, &then.1), "{name}");
            assert!(
                (evidence - then.2).abs() < 1e-6 * evidence.abs(),
                "{name}: {kind} {evidence}, was {}",
                then.2
            );
        }
        assert_eq!(found.len(), then[name].len(), "{name}");
    }
}

fn write_fixture(today: &std::path::Path, model: &std::path::Path) {
    let dir = tempfile::tempdir().expect("a directory");
    // The same callers come twice, so that there are groups.
    let training = shop::requests(&[shop::day(7, 0, 200, 0), shop::day(8, 0, 200, 0)].concat());
    train("combined", &log::write(dir.path(), "training", "combined", &training), text(model));
    let mut data = file::read(&std::fs::read(model).expect("a model")).expect("a model");
    data.trees = Some(learned());
    std::fs::write(model, file::write(&data).expect("a model")).expect("the fixtures can be written");
    if !today.exists() {
        let lines = log::lines(&shop::requests(&shop::day(8, 1, 5, 1)), log::combined);
        std::fs::write(today, lines).expect("the fixtures can be written");
    }
}

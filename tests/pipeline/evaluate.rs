//! How good a model is, as a user asks: without labels, by holding out, and on traffic that has changed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{SHOP, log, shop, text, trainer};

fn json(args: &[&str]) -> Value {
    let out = trainer(&[&["evaluate", "--json"], args].concat()).good().stdout;
    serde_json::from_str(&out).expect("one JSON object")
}

fn normal_day(dir: &Path, seed: u64, number: u64, visits: usize) -> String {
    let requests = shop::requests(&shop::day(seed, number, visits, 0));
    text(&log::write(dir, &format!("day-{seed}"), "combined", &requests)).to_owned()
}

#[test]
fn a_day_like_those_of_training_has_not_drifted_and_raises_no_more_alarms_than_stated() {
    let dir = tempfile::tempdir().expect("a directory");
    let day = normal_day(dir.path(), 21, 1, 300);
    let result = json(&["--model", &SHOP.model, "--format", "combined", &day]);
    assert_eq!(result["drift"]["drifted"], false, "{result:#}");
    let low = result["false_alarm_interval"][0].as_f64().expect("a share");
    assert!(low <= result["stated_rate"].as_f64().expect("a share"), "{result:#}");
    assert_eq!(result["sessions"], 300);
}

#[test]
fn a_release_that_moves_a_page_is_drift() {
    let dir = tempfile::tempdir().expect("a directory");
    let day = normal_day(dir.path(), 22, 1, 300);
    let moved = fs::read_to_string(&day).expect("a log").replace("/cart", "/basket");
    assert!(moved.contains("/basket"));
    fs::write(&day, moved).expect("a log");
    let result = json(&["--model", &SHOP.model, "--format", "combined", &day]);
    let names = |what: &str| -> Vec<String> {
        let list = result["drift"][what].as_array().expect("a list");
        list.iter().map(|one| one["interface"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(result["drift"]["drifted"], true);
    assert!(names("appeared").iter().any(|name| name.contains("/basket")), "{result:#}");
    assert!(names("vanished").iter().any(|name| name.contains("/cart")), "{result:#}");
    let said = trainer(&["evaluate", "--model", &SHOP.model, "--format", "combined", &day]).good().stdout;
    assert!(said.contains("drift             yes") && said.contains("/basket"), "{said}");
}

#[test]
fn the_later_part_of_a_log_is_held_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let day = normal_day(dir.path(), 23, 1, 800);
    let result = json(&["--holdout", "0.25", "--format", "combined", &day]);
    let sessions = |of: &Value| of["sessions"].as_u64().expect("a number");
    let (before, after) = (sessions(&result["trained"]), sessions(&result));
    let severed = result["severed"].as_u64().expect("a number");
    assert!(before + after + severed >= 800, "{result:#}");
    // A session that was going on at the cut is learned from up to there, and is not judged.
    assert!(before + after <= 800 + severed, "{result:#}");
    let share = after as f64 / (before + after) as f64;
    assert!((0.15..0.3).contains(&share), "{result:#}");
    assert_eq!(result["drift"]["drifted"], false, "{result:#}");
}

#[test]
fn what_cannot_be_evaluated_is_said() {
    let today = text(&SHOP.today_as("combined")).to_owned();
    for (args, code, message) in [
        (&["--model", &SHOP.model, "--format", "combined"][..], 2, "INPUT"),
        (&["--format", "combined", &today], 2, "--model"),
        (&["--model", &SHOP.model, "--format", "combined", "--normal", &today], 2, "--abnormal"),
        (&["--holdout", "1.5", "--format", "combined", &today], 1, "between 0 and 1, not at 1.5"),
        (&["--holdout", "0.0000001", "--format", "combined", &today], 1, "leaves nothing on one side"),
    ] {
        let ended = trainer(&[&["evaluate"], args].concat());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

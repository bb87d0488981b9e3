//! The training report, as a user gets it.

use std::fs;

use crate::support::{SHOP, log, path, text, trainer};

#[test]
fn the_report_tells_what_the_run_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log::write(dir.path(), "training", "combined", &SHOP.training);
    let pages: Vec<String> = ["one", "two"]
        .into_iter()
        .map(|name| {
            let (model, report) = (path(dir.path(), "m.gait"), path(dir.path(), name));
            let args = ["train", "--format", "combined", "--out", &model, "--report", &report, text(&log)];
            let said = trainer(&args).good().stderr;
            assert!(said.contains(&format!("wrote {report}")), "{said}");
            fs::read_to_string(report).expect("a page")
        })
        .collect();
    assert!(pages[0] == pages[1], "the same training gave two pages");
    assert!(pages[0].starts_with("<!DOCTYPE html>") && pages[0].ends_with("</html>"));
    for shown in ["/cart", "1,200", "Davies-Bouldin", "What to do next", "training.combined"] {
        let optional = shown == "Davies-Bouldin" && !pages[0].contains("id=\"groups\"");
        assert!(optional || pages[0].contains(shown), "{shown} is not in the report");
    }
    assert!(!pages[0].contains("<script"), "the report runs nothing");
    let left: Vec<_> =
        fs::read_dir(dir.path()).expect("files").map(|file| file.expect("a file").file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".tmp")), "{left:?}");
}

#[test]
fn a_report_that_cannot_be_written_is_named_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log::write(dir.path(), "training", "combined", &SHOP.training);
    let (model, report) = (path(dir.path(), "m.gait"), path(dir.path(), "none/report.html"));
    let ended = trainer(&["train", "--format", "combined", "--out", &model, "--report", &report, text(&log)]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("failed to write the report") && ended.stderr.contains(&report),
        "{}",
        ended.stderr
    );
}

//! Pages in a real browser: they load whole, say nothing on the console, and ask nobody for anything. Here the training
//! report; in `screen` the agent's search page.
//!
//! `cargo xtask test` installs Chromium and runs these tests.

mod devtools;
#[path = "../pipeline/screen/made.rs"]
mod made;
mod screen;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// What an attacker would like to be more than text.
const HOSTILE: &str =
    "</code></style><script>alert(1)</script><img/src=http://127.0.0.1:9/x/onerror=alert(2)>";

/// A page as the browser has it after it was loaded.
struct Seen {
    /// The elements, as markup.
    dom: String,
    /// What was written to the console.
    console: Vec<String>,
    /// What the page asked for over the network.
    requests: Vec<String>,
}

/// Chromium without a window, and without any request of its own.
fn chromium() -> Command {
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]);
    command
}

/// Loads a page in Chromium. No name is resolved, so that nothing leaves this host.
fn load(page: &Path) -> Seen {
    let dir = tempfile::tempdir().expect("a directory");
    let net_log = dir.path().join("net.json");
    let output = chromium()
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!("--log-net-log={}", net_log.display()))
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .timeout(Duration::from_secs(120))
        .output()
        .expect("chromium starts; `cargo xtask test` installs it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stderr = text(&output.stderr);
    let console = stderr.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
    Seen { dom: text(&output.stdout), console, requests: requests(&net_log) }
}

/// The addresses that a page asked for: what the browser does for itself has no origin.
fn requests(net_log: &Path) -> Vec<String> {
    let log = fs::read_to_string(net_log).expect("a log of the network");
    let log: Value = serde_json::from_str(&log).expect("JSON");
    let events = log["events"].as_array().expect("events");
    let of_pages = events
        .iter()
        .map(|event| &event["params"])
        .filter(|params| params["initiator"].as_str().is_some_and(|initiator| initiator != "not an origin"));
    of_pages.filter_map(|params| params["url"].as_str()).map(str::to_owned).collect()
}

/// The report of a training run on a log in which an attacker chose some paths and names of callers.
fn report(dir: &TempDir) -> std::path::PathBuf {
    let mut log = String::new();
    for at in 0..600 {
        let (time, caller) = (1000 + at * 4000, at % 40);
        // Two kinds of callers, so that there are groups.
        let usual = if caller % 2 == 0 { ["/shop", "/item", "/cart"] } else { ["/desk", "/orders", "/mail"] };
        let last = if at % 3 == 0 { HOSTILE } else { usual[at / 40 % 3] };
        for (step, path) in usual.into_iter().chain([last]).enumerate() {
            let ts = time + step;
            writeln!(
                log,
                r#"{{"ts":{ts},"caller":"{HOSTILE}{caller}","method":"GET","path":"{path}","status":200}}"#
            )
            .expect("memory can be written");
        }
    }
    let (file, labels, page) =
        (dir.path().join("log.jsonl"), dir.path().join("labels.csv"), dir.path().join("report.html"));
    fs::write(&file, log).expect("a file");
    fs::write(&labels, format!("{HOSTILE}7,anomalous\n")).expect("a file");
    let output = Process::new(env!("CARGO_BIN_EXE_trainer-under-test"))
        .args(["train", "--format", "calls", "--out"])
        .arg(dir.path().join("model.gait"))
        .arg("--report")
        .arg(&page)
        .arg("--labels")
        .arg(&labels)
        .arg(&file)
        .output()
        .expect("the trainer starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    page
}

#[test]
fn the_report_loads_whole_and_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let seen = load(&report(&dir));
    assert_eq!(seen.console, Vec::<String>::new());
    assert_eq!(seen.requests, Vec::<String>::new());
    let ids = [
        "input",
        "traffic",
        "interfaces",
        "patterns",
        "transitions",
        "groups",
        "scores",
        "labels",
        "unusual",
        "next",
    ];
    for id in ids {
        assert!(seen.dom.contains(&format!(r#"<section id="{id}""#)), "section {id} is missing");
    }
    // In the serialised document only real elements still begin with a bracket.
    for element in ["<script", "<img", "onerror=\""] {
        assert!(!seen.dom.contains(element), "{element} came to life");
    }
    assert!(seen.dom.contains("&lt;script&gt;"), "the hostile name is shown");
    assert!(seen.dom.trim_end().ends_with("</html>"), "the page is cut");
}

#[test]
fn it_can_be_printed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (page, pdf) = (report(&dir), dir.path().join("report.pdf"));
    let status = chromium()
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", page.display()))
        .timeout(Duration::from_secs(120))
        .output()
        .expect("chromium starts")
        .status;
    assert!(status.success());
    let pdf = fs::read(pdf).expect("a document");
    assert!(pdf.starts_with(b"%PDF") && pdf.len() > 20_000, "{} bytes", pdf.len());
}

/// The tests above can fail: a page that does what the report must not do is noticed.
#[test]
fn a_page_that_talks_and_fetches_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let page = dir.path().join("page.html");
    let body = "<!DOCTYPE html><img src=http://127.0.0.1:9/x.png><script>console.error('heard')</script>";
    fs::write(&page, body).expect("a file");
    let seen = load(&page);
    assert!(seen.console.iter().any(|line| line.contains("heard")), "{:?}", seen.console);
    assert_eq!(seen.requests, ["http://127.0.0.1:9/x.png"]);
    assert!(seen.dom.contains("<script"));
}

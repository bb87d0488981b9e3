//! `inspect`: what a model's pattern graphs look like to a reader, a script, a browser and Graphviz.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::{SHOP, path, train, trainer};

/// A model of sessions in which every relation occurs: a login, two calls in either order, one of two, a loop.
static MODEL: LazyLock<(tempfile::TempDir, String)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let ways = [
        "login stock price buy done",
        "login price stock gift pay pay pay done",
        "login stock price gift pay pay done",
        "login price stock buy done",
    ];
    let log = path(dir.path(), "sessions.txt");
    fs::write(&log, (0..200).map(|at| format!("{}\n", ways[at % 4])).collect::<String>()).expect("file");
    let model = path(dir.path(), "m.gait");
    train("sequences", log.as_ref(), &model);
    (dir, model)
});

fn inspect(arguments: &[&str]) -> String {
    trainer(&[&["inspect", MODEL.1.as_str()], arguments].concat()).good().stdout
}

#[test]
fn text_and_json_name_the_relations() {
    let text = inspect(&["--interface", "login"]);
    for line in [
        "from login (200 sessions)",
        "normal ones are at least ",
        "100  login > stock > price > done",
        "100  serial: buy > done",
        "50  choice: price > buy",
        "100  parallel: stock > price",
        "100  parallel: price > stock",
        "150  loop: pay again",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    let json: Value = serde_json::from_str(&inspect(&["--json"])).expect("JSON");
    let edges = json["graphs"][0]["edges"].as_array().expect("edges");
    let relation = |from: &str, to: &str| {
        let edge = edges.iter().find(|edge| edge["from"] == from && edge["to"] == to);
        edge.map(|edge| edge["relation"].as_str().expect("a name"))
    };
    assert_eq!(relation("stock", "price"), Some("parallel"));
    assert_eq!(relation("login", "stock"), Some("parallel"));
    assert_eq!(relation("gift", "pay"), Some("serial"));
    assert_eq!(relation("pay", "pay"), Some("loop"));
    assert_eq!(json["graphs"][0]["sessions"], 200);
    let least = json["graphs"][0]["least_similarity"].as_f64().expect("a similarity");
    assert!((0.5..1.0).contains(&least), "every session takes one of four ways: {least}");
}

#[test]
fn pictures_go_to_a_file_or_to_standard_output() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = path(dir.path(), "graph.svg");
    assert_eq!(inspect(&["--svg", &file]), "");
    let svg = fs::read_to_string(&file).expect("a picture");
    assert_eq!(svg.trim_end(), inspect(&["--svg", "-"]).trim_end(), "the same graph, the same bytes");
    assert!(
        svg.starts_with("<svg ") && svg.contains("stock and price: parallel, in either order, 100:100 times")
    );
    assert!(svg.contains(">serial</text>") && svg.contains(">loop</text>"), "{svg}");
    let dot = inspect(&["--dot", "-"]);
    assert!(dot.starts_with("digraph ") && dot.contains("[label=\"loop 150\""), "{dot}");
    // The shop's graph as well, with names that need escaping in XML.
    let svg = trainer(&["inspect", &SHOP.model, "--interface", "login", "--svg", "-"]).good().stdout;
    assert!(svg.contains("POST /api/login?next"), "{svg}");
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let none = trainer(&["inspect", &MODEL.1, "--interface", "nowhere", "--svg", "-"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("no pattern graph to draw"), "{}", none.stderr);
    let nowhere = path(Path::new("/nonexistent"), "graph.svg");
    let unwritten = trainer(&["inspect", &MODEL.1, "--svg", &nowhere]);
    assert_eq!(unwritten.code, Some(1));
    assert!(unwritten.stderr.contains(&nowhere), "{}", unwritten.stderr);
    assert_eq!(trainer(&["inspect", &MODEL.1, "--json", "--svg", "-"]).code, Some(2));
}

//! The report as a whole: what stands in it, and that names from logs stay text.

use std::fmt::Write as _;

use super::*;
use crate::corpus::Input;
use crate::groups::{GroupBands, Grouped, GroupsReport};
use crate::ingest::Options;
use crate::train::{Labelled, TrainParams, train};

/// What an attacker would like to be more than text.
const HOSTILE: &str = "</code></style><script>alert(1)</script><img/src=x/onerror=alert(2)>\\u0022'";

/// A training run on a log in which an attacker chose callers and paths. 30 callers walk a shop.
fn hostile() -> (Trained, About) {
    let mut log = String::new();
    for at in 0..300 {
        let (time, caller) = (1000 + at * 4000, at % 30);
        let path = if at % 3 == 0 { HOSTILE } else { "/cart" };
        for (step, path) in ["/shop", "/item", path, "/pay\\u202e"].into_iter().enumerate() {
            let ts = time + step as i32;
            writeln!(
                log,
                r#"{{"ts":{ts},"caller":"<b>{caller}{HOSTILE}","method":"GET","path":"{path}","status":200}}"#
            )
            .expect("memory can be written");
        }
    }
    log.push_str("<script>alert(3)</script>\n");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("<script>alert(4)<_script>.log");
    std::fs::write(&file, log).expect("a file");
    let inputs = vec![file.display().to_string()];
    let input = Input::new(inputs.clone(), Format::Calls, Options::default());
    let trained = train(&input, &TrainParams::default()).expect("a model");
    let model = PathBuf::from("a\"><script>alert(5)<_script>.gait");
    (trained, About { inputs, format: Format::Calls, model, fingerprint: "0123".to_owned() })
}

/// Two groups of callers in a plane, one caller far out.
fn groups() -> GroupsReport {
    let caller = |at: usize| Grouped {
        caller: HOSTILE.into(),
        group: at % 2,
        distance: if at == 7 { 3.0 } else { 0.2 + at as f64 / 100.0 },
    };
    let row = |at: usize| [if at.is_multiple_of(2) { 1.0 } else { 0.0 }, at as f32 / 40.0, 0.5];
    let bands = |x: f32| GroupBands { centre: vec![x, 0.5, 0.5], mean: 0.4, deviation: 0.1, limit: 0.9 };
    GroupsReport {
        tried: vec![(2, 0.41), (3, 0.73), (4, 0.9)],
        columns: vec![vec![1], vec![1, 2], vec![2, 3]],
        matrix: (0..40).flat_map(row).collect(),
        callers: (0..40).map(caller).collect(),
        groups: vec![bands(1.0), bands(0.0)],
    }
}

/// The names of all elements of a page, and of all attributes.
fn markup(page: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut elements, mut attributes) = (Vec::new(), Vec::new());
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("every < begins a tag");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).expect("every tag has a name");
        elements.push(name);
        attributes.extend(tag.split("=\"").filter_map(|before| before.rsplit([' ', '"']).next()));
    }
    (elements, attributes)
}

#[test]
fn every_section_stands_in_the_page_and_is_linked() {
    let (mut trained, about) = hostile();
    trained.groups = Some(groups());
    trained.labelled = Some(Labelled { scores: vec![0.5, 9.0], chosen: true, unlabelled_threshold: 5.0 });
    let page = render(&trained, &about).expect("a page");
    for id in [
        "labels",
        "input",
        "traffic",
        "interfaces",
        "patterns",
        "transitions",
        "groups",
        "scores",
        "unusual",
        "next",
    ] {
        assert!(page.contains(&format!(r##"href="#{id}""##)), "{id} is not linked");
        assert!(page.contains(&format!(r#"<section id="{id}""#)), "{id} is not there");
    }
    assert!(page.contains("Davies-Bouldin") && page.contains("class=\"point c1 far\""));
    let (elements, _) = markup(&page);
    let opened = elements.iter().filter(|name| **name == "svg").count();
    assert!(opened >= 8, "{opened} pictures");
    assert!(!page.contains("NaN") && !page.contains(">inf"), "a number is none");
}

#[test]
fn groups_and_labels_are_shown_only_where_there_are_any() {
    let (trained, about) = hostile();
    let page = render(&Trained { groups: None, ..trained }, &about).expect("a page");
    assert!(!page.contains("id=\"groups\"") && !page.contains("id=\"labels\""));
}

#[test]
fn names_from_logs_stay_text() {
    let (mut trained, about) = hostile();
    trained.groups = Some(groups());
    let page = render(&trained, &about).expect("a page");
    assert!(page.contains("&lt;script&gt;"), "the name is shown");
    assert!(!page.contains('\u{202e}'), "a character that reorders text is not written as it is");
    let (elements, attributes) = markup(&page);
    for element in ["script", "img", "b", "iframe", "object", "a\""] {
        assert!(!elements.contains(&element), "<{element}> became an element");
    }
    let handler = attributes.iter().find(|name| name.starts_with("on"));
    assert_eq!(handler, None, "a name became an attribute");
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let (trained, about) = hostile();
    let page = render(&trained, &about).expect("a page");
    assert!(page.contains("default-src 'none'"));
    let fetched = ["src=\"", "href=\"http", "href=\"//", "@import", "url(http", "url(//", "srcset"];
    for way in fetched {
        assert!(!page.contains(way), "{way} would fetch something");
    }
    // A namespace is a name, not an address that anybody opens.
    assert_eq!(page.matches("http://").count(), page.matches("http://www.w3.org/2000/svg").count());
    assert!(!page.contains("https://"));
}

#[test]
fn the_same_training_gives_the_same_page() {
    let (trained, about) = hostile();
    assert_eq!(render(&trained, &about).expect("a page"), render(&trained, &about).expect("a page"));
}

//! Pictures that a browser and Graphviz can read, whatever the names.

use gait_common::detect::EdgeData;

use super::*;

fn graph(edges: &[(u32, u32, f64)]) -> GraphData {
    let mut edges: Vec<_> = edges.iter().map(|&(from, to, weight)| EdgeData { from, to, weight }).collect();
    edges.sort_by_key(|edge| (edge.from, edge.to));
    GraphData { entry: 1, support: 10, paths: Vec::new(), edges }
}

fn names(names: &[&str]) -> Vec<String> {
    std::iter::once("~new").chain(names.iter().copied()).map(str::to_owned).collect()
}

#[test]
fn a_picture_shows_every_call_every_edge_and_every_relation() {
    let graph = graph(&[(1, 2, 5.0), (1, 3, 5.0), (2, 4, 5.0), (3, 4, 5.0), (4, 4, 9.0)]);
    let names = names(&["GET /", "GET /a?x&y", "GET /b", "POST /<c>\u{7}\""]);
    let svg = svg(&graph, &names);
    for text in [
        "GET /a?x&amp;y",
        "POST /&lt;c&gt;\u{fffd}&quot;",
        "10 sessions",
        "GET /b to POST",
        "GET / to GET /b: choice, 5 times",
    ] {
        assert!(svg.contains(text), "{text} is not in {svg}");
    }
    assert_eq!(svg.matches("<path class=\"gait-e\"").count(), graph.edges.len() + Relation::ALL.len());
    assert_eq!(svg.matches("class=\"gait-box\"").count(), 4);
    assert!(!svg.contains("http") || svg.matches("http").count() == 1, "nothing is fetched");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let (_, style) = svg.split_once("<style>").expect("a style");
    let (style, _) = style.split_once("</style>").expect("its end");
    let mut rules = style.split_terminator('}');
    assert!(rules.all(|rule| rule.starts_with(".gait-g ")), "a rule would hold for the whole page: {style}");
    let dot = dot(&graph, &names);
    assert!(dot.contains("n0 -> n1 [label=\"choice 5\""), "{dot}");
    assert!(dot.contains(r#"[label="POST /<c>"#) && dot.contains(r#"\""];"#), "{dot}");
    assert!(dot.contains("n3 -> n3 [label=\"loop 9\""), "{dot}");
}

#[test]
fn a_large_graph_is_drawn_in_part_and_says_so() {
    let edges: Vec<_> =
        (1..200).flat_map(|at| [(1, at + 1, f64::from(at)), (at + 1, at % 7 + 1, 1.0)]).collect();
    let svg = svg(&graph(&edges), &names(&["x"; 200]));
    assert!(svg.contains("not drawn: 176 rarer calls"), "{}", &svg[..2000]);
    assert_eq!(svg.matches("class=\"gait-box\"").count(), 24);
}

#[test]
fn a_single_call_and_a_long_name_can_be_drawn() {
    let long = format!("GET /{}/end", "x".repeat(500));
    let svg = svg(&graph(&[]), &names(&[&long]));
    assert!(svg.contains("…") && svg.contains("/end</text>") && svg.contains(&long), "{svg}");
    assert!(super::svg(&graph(&[]), &[]).contains("~new"), "a number without a name");
}

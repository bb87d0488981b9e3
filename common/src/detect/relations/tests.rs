//! What a reader of a graph would be told wrongly if these failed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The graph of sessions that begin at `sessions[0][0]`, each written with a letter per call.
fn graph(sessions: &[(&str, usize)]) -> GraphData {
    let mut weights = BTreeMap::<(u32, u32), f64>::new();
    for (session, times) in sessions {
        for pair in session.as_bytes().windows(2) {
            *weights.entry((u32::from(pair[0]), u32::from(pair[1]))).or_default() += *times as f64;
        }
    }
    GraphData {
        entry: u32::from(sessions[0].0.as_bytes()[0]),
        support: sessions.iter().map(|(_, times)| *times as u64).sum(),
        paths: Vec::new(),
        edges: weights.into_iter().map(|((from, to), weight)| EdgeData { from, to, weight }).collect(),
    }
}

/// The edges of one relation, e.g. `AB AC`.
fn named(graph: &GraphData, relation: Relation) -> String {
    let relations = Relations::new(graph);
    let letter = |id: u32| char::from_u32(id).expect("a letter");
    let edges = graph.edges.iter().zip(relations.edges()).filter(|(_, found)| **found == relation);
    edges.map(|(edge, _)| format!("{}{}", letter(edge.from), letter(edge.to))).collect::<Vec<_>>().join(" ")
}

fn check(sessions: &[(&str, usize)], serial: &str, choice: &str, parallel: &str, round: &str) {
    let graph = graph(sessions);
    let found = Relation::ALL.map(|relation| named(&graph, relation));
    assert_eq!(found, [serial, choice, parallel, round], "{sessions:?}");
}

#[test]
fn one_after_the_other_is_serial() {
    check(&[("ABCD", 20)], "AB BC CD", "", "", "");
}

#[test]
fn one_of_several_is_a_choice_and_what_they_lead_to_is_serial() {
    check(&[("ABD", 12), ("ACD", 8)], "BD CD", "AB AC", "", "");
}

#[test]
fn a_way_that_hardly_anyone_takes_leaves_the_other_one_serial() {
    check(&[("ABC", 40), ("AC", 1)], "AB BC", "AC", "", "");
}

#[test]
fn calls_in_either_order_are_parallel_and_so_is_the_split() {
    check(&[("PABX", 10), ("PBAX", 7)], "AX BX", "", "AB BA PA PB", "");
}

#[test]
fn three_calls_in_any_order_are_parallel() {
    let sessions = ["PABCX", "PACBX", "PBACX", "PBCAX", "PCABX", "PCBAX"].map(|session| (session, 5));
    check(&sessions, "AX BX CX", "", "AB AC BA BC CA CB PA PB PC", "");
}

#[test]
fn parallel_calls_beside_a_third_way_are_a_choice() {
    check(&[("PABX", 10), ("PBAX", 10), ("PCX", 20)], "AX BX CX", "PA PB PC", "AB BA", "");
}

#[test]
fn a_repeated_call_is_a_loop() {
    check(&[("ABBBC", 10), ("ABC", 10)], "AB BC", "", "", "BB");
}

#[test]
fn two_calls_in_turn_are_a_loop_and_not_parallel() {
    check(&[("PABABX", 10), ("PABX", 10)], "AB BX PA", "", "", "BA");
    check(&[("PABAX", 10)], "PA", "AB AX", "", "BA");
}

#[test]
fn the_way_round_is_the_edge_back_however_heavy_it_is() {
    // Once round a body with a choice in it, the edge back is the heaviest of all.
    check(&[("PABDACDABDACDX", 10)], "BD CD DX PA", "AB AC", "", "DA");
    // A single stray session does not hide that the loop begins at A.
    check(&[("PABDACDABDACDX", 100), ("PDX", 1)], "BD CD DX PA", "AB AC PD", "", "DA");
}

#[test]
fn back_to_the_entry_is_a_loop() {
    check(&[("ABCABC", 10)], "AB BC", "", "", "CA");
}

#[test]
fn a_graph_without_edges_has_its_entry() {
    let relations = Relations::new(&graph(&[("A", 3)]));
    assert_eq!((relations.edges(), relations.order()), (&[][..], &[u32::from(b'A')][..]));
}

/// Whether a way leads from one call to another.
fn leads(graph: &GraphData, from: u32, to: u32) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(&call) = reached.get(at) {
        for edge in graph.edges.iter().filter(|edge| edge.from == call) {
            if !reached.contains(&edge.to) {
                reached.push(edge.to);
            }
        }
        at += 1;
    }
    reached.contains(&to)
}

proptest! {
    /// Whatever the sessions: every edge has a relation, what leads forward has an order in which it does, repetitions
    /// are loops, loops close a circle, and parallel calls are so both ways.
    #[test]
    fn relations_are_consistent(sessions in prop::collection::vec(("A[A-H]{0,12}", 1..20_usize), 1..30)) {
        let sessions: Vec<_> = sessions.iter().map(|(session, times)| (session.as_str(), *times)).collect();
        let graph = graph(&sessions);
        let relations = Relations::new(&graph);
        prop_assert_eq!(relations.edges().len(), graph.edges.len());
        prop_assert_eq!(relations.order()[0], graph.entry);
        let place = |id| relations.order().iter().position(|&other| other == id).expect("every call has its place");
        let of = |from, to| {
            let at = graph.edges.iter().position(|edge| (edge.from, edge.to) == (from, to))?;
            Some(relations.edges()[at])
        };
        for (edge, relation) in graph.edges.iter().zip(relations.edges()) {
            let forward = place(edge.from) < place(edge.to);
            let back = of(edge.to, edge.from);
            match relation {
                Relation::Loop => prop_assert!(leads(&graph, edge.to, edge.from)),
                Relation::Parallel => prop_assert!(forward || back == Some(Relation::Parallel)),
                Relation::Serial | Relation::Choice => prop_assert!(forward),
            }
            prop_assert!(edge.from != edge.to || *relation == Relation::Loop);
            prop_assert!(edge.to != graph.entry || !matches!(relation, Relation::Serial | Relation::Choice));
        }
    }
}

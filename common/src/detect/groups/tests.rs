//! Two groups over four interfaces: one calls 1 and 2, the other 3 and 4, and sometimes each the other's.

use super::super::{Gram, MarkovData};
use super::*;

fn markov() -> Markov {
    let gram = |symbol| Gram { parent: 0, symbol, count: 100 };
    Markov::new(MarkovData { backoff: vec![1.0, 1.0], grams: (1..5).map(gram).collect() }, 5).expect("sound")
}

fn groups() -> Groups {
    let group = |centre: [f32; 4], bits: [f32; 4]| GroupData {
        callers: 10,
        centre: centre.to_vec(),
        bits: bits.to_vec(),
        mean: 0.1,
        deviation: 0.05,
        limit: 0.3,
        session_limit: 0.3,
    };
    let data = GroupsData {
        columns: (1..5).map(|call| vec![call]).collect(),
        weights: vec![1.0],
        groups: vec![
            group([0.7, 0.7, 0.1, 0.1], [0.9, 0.9, -3.0, -3.0]),
            group([0.1, 0.1, 0.7, 0.7], [-3.0, -3.0, 0.9, 0.9]),
        ],
        callers: vec![CallerData {
            hash: Groups::hash(&[0; 32], "ann"),
            group: 0,
            history: 200,
            shares: vec![255, 3],
        }],
        ..GroupsData::default()
    };
    Groups::new(data, &markov(), 5).expect("sound")
}

/// What a session of a caller shows: its distance, and the bits for another group.
fn judge(groups: &Groups, habits: &mut Habits, caller: &str, calls: &[InterfaceId]) -> (f32, f32) {
    let markov = markov();
    let mut stance = groups.begin(caller, habits);
    let (mut context, mut columns) = (markov.start(), Vec::new());
    for &call in calls {
        context = markov.advance(&context, call);
        columns.push(groups.observe(&mut stance, &context));
    }
    let another = groups.another(&stance, 0.0);
    let distance = groups.distance(&mut stance, columns.iter().map(|&column| (column, false)));
    groups.deal(&mut stance, columns.iter().copied());
    groups.learn(&stance, habits);
    (distance, another)
}

const FIRST: [InterfaceId; 12] = [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2];
const SECOND: [InterfaceId; 12] = [3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4];

#[test]
fn a_session_of_another_group_stands_out_for_a_known_caller_alone() {
    let groups = groups();
    let show = |caller, calls: &[u32]| judge(&groups, &mut Habits::default(), caller, calls);
    let (usual, foreign) = (show("ann", &FIRST), show("ann", &SECOND));
    assert!(usual.0 < 0.5 && usual.1 == 0.0, "{usual:?}");
    assert!(foreign.0 > 1.5 && foreign.1 > 3.0, "{foreign:?}");
    for calls in [FIRST, SECOND] {
        let (distance, another) = show("bob", &calls);
        assert!(distance < 0.5 && another == 0.0, "whoever is new belongs to the nearest group");
    }
}

#[test]
fn habits_that_drift_are_followed() {
    let (groups, mut habits) = (groups(), Habits::default());
    let mut most = (0.0f32, 0.0f32);
    for day in 0..=120 {
        let foreign = (day * FIRST.len() / 96).min(FIRST.len());
        let session: Vec<u32> =
            (0..FIRST.len()).map(|at| if at < foreign { SECOND[at] } else { FIRST[at] }).collect();
        let (distance, another) = judge(&groups, &mut habits, "ann", &session);
        most = (most.0.max(distance), most.1.max(another));
    }
    assert!(most.0 < 1.0 && most.1 < 1.5, "{most:?}");
    let back = judge(&groups, &mut habits, "ann", &FIRST);
    assert!(back.1 > 2.0, "what was usual once is unusual now: {back:?}");
}

#[test]
fn evidence_is_finite_whatever_is_called() {
    let groups = groups();
    for calls in [vec![], vec![0; 500], vec![9; 3], [FIRST, SECOND].concat(), vec![1; 100_000]] {
        for caller in ["ann", "bob", ""] {
            let (distance, another) = judge(&groups, &mut Habits::default(), caller, &calls);
            assert!(distance.is_finite() && another.is_finite() && distance >= 0.0, "{distance} {another}");
        }
    }
}

#[test]
fn a_group_is_named_by_what_it_calls_more_than_others() {
    assert_eq!(groups().typical(0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(groups().typical(1).collect::<Vec<_>>(), [3, 4]);
    assert!(typical(&GroupsData::default(), 3).is_empty());
}

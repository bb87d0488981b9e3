//! Labelled alerts that a model shows beside new ones: few, and as unlike each other as can be.

use gait_common::alert::{Class, alike};

use super::learn::Example;

/// Chooses at most `most` labelled alerts, about as many of either class, each time the one that is the least like those
/// that were chosen (farthest-first traversal: Gonzalez 1985).
pub(super) fn choose<'a>(examples: &[&'a Example], most: usize) -> Vec<&'a Example> {
    let of = |class| -> Vec<&Example> {
        examples.iter().copied().filter(|one| one.known.class() == Some(class)).collect()
    };
    let (real, false_alarm) = (of(Class::Real), of(Class::FalseAlarm));
    let few = real.len().min(false_alarm.len()).min(most / 2);
    let share = |of: usize| of.min(most - few.min(most / 2));
    let (real_share, false_share) = if real.len() > false_alarm.len() {
        (share(real.len()), few)
    } else {
        (few, share(false_alarm.len()))
    };
    let mut chosen = farthest(&real, real_share);
    chosen.extend(farthest(&false_alarm, false_share));
    chosen
}

fn farthest<'a>(of: &[&'a Example], most: usize) -> Vec<&'a Example> {
    // How like each is to the chosen one that is the most like it; of equals the first is taken.
    let mut likeness = vec![0.0_f32; of.len()];
    let mut chosen: Vec<usize> = Vec::with_capacity(most);
    while chosen.len() < most.min(of.len()) {
        let next = (0..of.len())
            .filter(|at| !chosen.contains(at))
            .min_by(|&a, &b| likeness[a].total_cmp(&likeness[b]));
        let Some(next) = next else {
            break;
        };
        if likeness[next] >= 1.0 {
            break;
        }
        for (most_alike, one) in likeness.iter_mut().zip(of) {
            *most_alike = most_alike.max(alike(one.sketch(), of[next].sketch()));
        }
        chosen.push(next);
    }
    chosen.into_iter().map(|at| of[at]).collect()
}

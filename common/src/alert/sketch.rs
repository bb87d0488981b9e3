//! How alike two alerts are: sketches of their features by MinHash with one permutation (Li, Owen and Zhang 2012), of
//! which equal places estimate the share of features that both have (Jaccard's coefficient).

use super::Class;
use super::features::Scratch;
use super::model::{Exemplar, SKETCH};

/// A labelled alert that is like another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest<'s> {
    /// Its key.
    pub key: &'s str,
    /// What it is.
    pub class: Class,
    /// Share of their features that both have, about.
    pub likeness: f32,
}

/// The sketch of the alert that was looked at last.
pub fn sketch(scratch: &Scratch) -> [u8; SKETCH] {
    let mut least = [u32::MAX; SKETCH];
    for found in &scratch.found {
        let hash = u64::from(found.place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &mut least[(hash >> 16) as usize % SKETCH];
        *slot = (*slot).min((hash >> 32) as u32);
    }
    // The low bits of a minimum are as good as random, the high ones are zero.
    least.map(|hash| hash as u8)
}

/// Share of features that two alerts have in common, by their sketches.
pub fn alike(a: &[u8; SKETCH], b: &[u8; SKETCH]) -> f32 {
    let equal = a.iter().zip(b).fold(0_u8, |equal, (a, b)| equal + u8::from(a == b));
    // One place in 256 is equal by chance.
    ((f32::from(equal) / SKETCH as f32 - CHANCE) / (1.0 - CHANCE)).max(0.0)
}

const CHANCE: f32 = 1.0 / 256.0;

/// Less alike is not worth showing.
const LEAST: f32 = 0.5;

/// The one of `exemplars` that is the most like a sketch. `sketches` are theirs.
pub(super) fn nearest<'s>(
    sketch: &[u8; SKETCH],
    exemplars: &'s [Exemplar],
    sketches: &[[u8; SKETCH]],
) -> Option<Nearest<'s>> {
    let likeness = sketches.iter().map(|one| alike(sketch, one)).zip(exemplars);
    // Of equals the first.
    let (likeness, one) = likeness.reduce(|best, one| if one.0 > best.0 { one } else { best })?;
    (likeness >= LEAST).then_some(Nearest { key: &one.key, class: one.class, likeness })
}

//! What training learned about values: of each slot the most frequent ones, and how often anything else was seen.
//!
//! The share of a listed value among what was seen in its slot is a [`Rate`], as is that of all others together. The
//! latter is learned by leaving out windows (Good-Turing, by windows): a value that only one window had would have been
//! one of the others, had that window not been learned from. So a slot that always shows something new, such as a
//! customer's number, is known to do so, and one that has shown three values for a month is not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::learn::held_out;
use super::values::{MAX_VALUE_TEXT, Slot, ValueCell};
use super::{FunctionId, Rate, temper};
use crate::call::Nanos;

/// Values of a slot that are listed by themselves.
pub const MAX_LISTED: usize = 32;
/// Most slots of a model.
const MAX_SLOTS: usize = 1 << 16;
/// The share up to which a value's share is watched: those of frequent values move with what callers want.
const RARE: f64 = 0.2;

/// What is known of values, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValuesData {
    /// The slots, ascending.
    pub slots: Vec<SlotData>,
    /// The exponents of p-values, as [`super::TreesData::tempers`]: of values never seen, and of rare ones.
    pub tempers: [f64; 2],
}

/// What is known of a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotData {
    /// The function at the trees' root.
    pub root: FunctionId,
    /// Their ordered code.
    pub code: u64,
    /// The function that was called.
    pub function: FunctionId,
    /// Number of its argument from 1 on, 0 for its return value.
    pub which: u8,
    /// How often anything was seen in it.
    pub total: u64,
    /// Windows in which something was.
    pub windows: u64,
    /// Different values, those not counted that were beyond a bound of the capture.
    pub distinct: u64,
    /// The most frequent values, by their texts.
    pub values: Vec<KnownValue>,
    /// The share of all that is not listed, and what is to be expected of values never seen.
    pub others: Rate,
}

/// A value of a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownValue {
    /// Its text.
    pub text: String,
    /// In how many trees it was seen.
    pub trees: u64,
    /// Its share of what was seen in the slot.
    pub share: Rate,
}

impl Default for ValuesData {
    fn default() -> Self {
        Self { slots: Vec::new(), tempers: [1.0; 2] }
    }
}

impl ValuesData {
    /// What contradicts itself, if anything.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.slots.len() > MAX_SLOTS || !self.slots.is_sorted_by(|a, b| a.slot() < b.slot()) {
            return Err("the slots of values do not ascend");
        }
        if self.tempers.iter().any(|temper| !(0.0..=1.0).contains(temper)) {
            return Err("an exponent of values is no share");
        }
        if !self.slots.iter().all(SlotData::is_sound) {
            return Err("what is known of values contradicts itself");
        }
        Ok(())
    }

    /// The place of a slot.
    pub(super) fn place(&self, slot: &Slot) -> Option<usize> {
        self.slots.binary_search_by_key(slot, SlotData::slot).ok()
    }

    /// How many tests are made of values never seen, and of rare ones.
    pub(super) fn tests(&self) -> [usize; 2] {
        let rare = |slot: &SlotData| slot.values.iter().filter(|value| value.is_rare()).count();
        [self.slots.len(), self.slots.iter().map(rare).sum()]
    }
}

impl SlotData {
    /// Which slot it is.
    pub fn slot(&self) -> Slot {
        Slot { root: self.root, code: self.code, function: self.function, which: self.which }
    }

    /// The place of a listed value.
    pub fn place(&self, text: &str) -> Option<usize> {
        self.values.binary_search_by(|known| known.text.as_str().cmp(text)).ok()
    }

    /// How often something was seen that is not listed.
    pub fn unlisted(&self) -> u64 {
        self.values.iter().fold(self.total, |rest, value| rest.saturating_sub(value.trees))
    }

    /// Whether every value that training saw is listed.
    pub fn is_closed(&self) -> bool {
        self.unlisted() == 0
    }

    fn is_sound(&self) -> bool {
        let sum = self.values.iter().try_fold(0_u64, |sum, value| sum.checked_add(value.trees));
        self.root != 0
            && self.function != 0
            && self.values.len() <= MAX_LISTED
            && self.values.is_sorted_by(|a, b| a.text < b.text)
            && self.values.iter().all(|value| value.text.len() <= MAX_VALUE_TEXT && value.share.is_sound())
            && sum.is_some_and(|sum| sum <= self.total)
            && self.others.is_sound()
    }
}

impl KnownValue {
    /// Whether its share is watched.
    pub fn is_rare(&self) -> bool {
        self.share.mean <= RARE
    }
}

/// Learns from cells of one window length, in any order, each once.
#[must_use]
pub(super) fn learn_values(cells: &[ValueCell]) -> ValuesData {
    let mut slots: BTreeMap<Slot, BTreeMap<(Nanos, &str), &ValueCell>> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.slot.root != 0 && cell.slot.function != 0) {
        slots.entry(cell.slot).or_default().insert((cell.window, &cell.source), cell);
    }
    let mut normal: [Vec<f64>; 2] = Default::default();
    // Were there more of them, those with the least calls would be left out.
    let mut order: Vec<_> = slots.into_iter().collect();
    order.sort_by_key(|(slot, windows)| {
        (
            std::cmp::Reverse(
                windows.values().fold(0, |sum: u64, cell| sum.saturating_add(cell.seen.total())),
            ),
            *slot,
        )
    });
    order.truncate(MAX_SLOTS);
    order.sort_by_key(|(slot, _)| *slot);
    let slots = order.iter().map(|(slot, windows)| {
        let windows: Vec<&ValueCell> = windows.values().copied().collect();
        learn_slot(*slot, &windows, &mut normal)
    });
    let slots = slots.collect();
    ValuesData { slots, tempers: normal.each_ref().map(|ln_p| temper(ln_p)) }
}

fn learn_slot(slot: Slot, windows: &[&ValueCell], normal: &mut [Vec<f64>; 2]) -> SlotData {
    let mut all: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut total = 0_u64;
    for cell in windows {
        total = total.saturating_add(cell.seen.total());
        for (value, trees) in &cell.seen.values {
            let (sum, windows) = all.entry(value).or_default();
            *sum = sum.saturating_add(*trees);
            *windows += 1;
        }
    }
    let mut frequent: Vec<(&str, u64)> = all.iter().map(|(&value, &(trees, _))| (value, trees)).collect();
    frequent.sort_by_key(|&(value, trees)| (std::cmp::Reverse(trees), value));
    frequent.truncate(MAX_LISTED);
    frequent.sort_unstable();
    let listed: BTreeSet<&str> = frequent.iter().map(|&(value, _)| value).collect();
    let share = |k: &dyn Fn(&ValueCell) -> u64| -> Vec<(u64, u64)> {
        windows.iter().map(|cell| (k(cell), cell.seen.total())).collect()
    };
    let others = share(&|cell| {
        let one_window = |value: &str| all.get(value).is_some_and(|&(_, windows)| windows < 2);
        let new =
            cell.seen.values.iter().filter(|(value, _)| !listed.contains(&***value) || one_window(value));
        new.fold(cell.seen.others, |sum, (_, &trees)| sum.saturating_add(trees))
    });
    held_out(&others, &mut normal[0]);
    let values = frequent.iter().map(|&(text, trees)| {
        let shares = share(&|cell| cell.seen.values.get(text).copied().unwrap_or(0));
        let known = KnownValue { text: text.to_owned(), trees, share: Rate::learn(shares.iter().copied()) };
        if known.is_rare() {
            held_out(&shares, &mut normal[1]);
        }
        known
    });
    let Slot { root, code, function, which } = slot;
    SlotData {
        root,
        code,
        function,
        which,
        total,
        windows: windows.len() as u64,
        distinct: all.len() as u64,
        values: values.collect(),
        others: Rate::learn(others.iter().copied()),
    }
}

//! Chosen arguments and return values: how often each was seen, code by code and window by window.
//!
//! A *slot* is one argument, or the return value, of one function within trees of one code. A value is kept as text, the
//! same on every host: `-1`, `"GET"`, `null`, or `#` and the digits of a keyed hash. Like the cells of trees, those of
//! values are counts, and merge in any order to the same result; what passes a bound goes to the slot's *others*.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::FunctionId;
use crate::call::Nanos;
use crate::wire::tree::value::{HASHED, NULL, SIGNED, TEXT, UNSIGNED, Value, ValueKey};

/// Most values that are counted by themselves by default, over all slots and windows: some 40 MB of them.
pub const MAX_VALUES: usize = 1 << 18;
/// Longest text of a value, in bytes: 32 characters that are written by their numbers, and the quotes.
pub const MAX_VALUE_TEXT: usize = 400;

/// An argument or return value within trees of one code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The function at the trees' root.
    pub root: FunctionId,
    /// Their ordered code.
    pub code: u64,
    /// The function that was called.
    pub function: FunctionId,
    /// Number of its argument from 1 on, 0 for its return value.
    pub which: u8,
}

/// What was seen in a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// In how many trees each value was seen.
    pub values: BTreeMap<Box<str>, u64>,
    /// Those beyond a bound, together.
    pub others: u64,
}

/// One cell: a window of time, a source and a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueCell {
    /// When the window began.
    pub window: Nanos,
    /// The host.
    pub source: Arc<str>,
    /// The slot.
    pub slot: Slot,
    /// What was seen there.
    pub seen: Seen,
}

/// Cells of values.
#[derive(Clone, Debug)]
pub struct ValueStats {
    window: Nanos,
    max: usize,
    cells: BTreeMap<(Nanos, Arc<str>, Slot), Seen>,
    /// Cells and the values in them.
    size: usize,
    passed: u64,
}

impl Slot {
    /// The slot of what a kernel counted.
    pub fn of_kernel(key: &ValueKey) -> Self {
        let Value { function, which, .. } = key.value;
        Self { root: key.root, code: key.ordered, function, which }
    }

    /// The argument as people say it: `argument 1`, `the return value`.
    pub fn which_text(which: u8) -> String {
        if which == 0 { "the return value".to_owned() } else { format!("argument {which}") }
    }
}

/// The text of a value; `None` for those that are beyond a bound. Of one that is to be hidden a hash with this key.
pub fn value_text(value: &Value, key: &[u8; 32]) -> Option<String> {
    let number = value.words[0];
    match value.kind & !HASHED {
        NULL => Some("null".to_owned()),
        SIGNED | UNSIGNED | TEXT if value.kind & HASHED != 0 => Some(hidden(value, key)),
        SIGNED => Some((number as i64).to_string()),
        UNSIGNED => Some(number.to_string()),
        TEXT => {
            let (bytes, len) = value.text();
            Some(quoted(&String::from_utf8_lossy(bytes.get(..len)?)))
        }
        _ => None,
    }
}

/// A hash that tells values of one argument apart, and nothing of them: 64 bits of BLAKE3 under the key.
fn hidden(value: &Value, key: &[u8; 32]) -> String {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(b"value");
    hasher.update(&value.function.to_le_bytes());
    hasher.update(&[value.which, value.kind]);
    value.words.iter().for_each(|word| {
        hasher.update(&word.to_le_bytes());
    });
    format!("#{}", &hasher.finalize().to_hex()[..16])
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            char if char.is_control() => out.extend(char.escape_unicode()),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

impl Seen {
    /// How often anything was seen.
    pub fn total(&self) -> u64 {
        self.values.values().fold(self.others, |sum, &trees| sum.saturating_add(trees))
    }
}

impl Default for ValueStats {
    fn default() -> Self {
        Self::new(super::WINDOW, MAX_VALUES)
    }
}

impl ValueStats {
    /// Statistics in windows of this length (ns, at least 1), of at most so many values and cells.
    pub fn new(window: Nanos, max: usize) -> Self {
        Self { window: window.max(1), max, cells: BTreeMap::new(), size: 0, passed: 0 }
    }

    /// Length of a window (ns).
    pub fn window(&self) -> Nanos {
        self.window
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Values that were not counted, not even as others, because there were too many cells.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Counts a value that was seen in so many trees; `None` for those beyond a bound.
    pub fn add(&mut self, time: Nanos, source: &Arc<str>, slot: Slot, value: Option<&str>, trees: u64) {
        if trees == 0 {
            return;
        }
        let key = (time - time % self.window, Arc::clone(source), slot);
        let full = self.size >= self.max;
        if full && !self.cells.contains_key(&key) {
            self.passed = self.passed.saturating_add(trees);
            return;
        }
        let size = &mut self.size;
        let seen = self.cells.entry(key).or_insert_with(|| {
            *size += 1;
            Seen::default()
        });
        let to = match value {
            Some(value) if seen.values.contains_key(value) => seen.values.get_mut(value),
            Some(value) if !full && value.len() <= MAX_VALUE_TEXT => {
                self.size += 1;
                Some(seen.values.entry(value.into()).or_default())
            }
            // There is no room for it; but what it is, is known, and it is none of the others.
            Some(value) if value.len() <= MAX_VALUE_TEXT => {
                self.passed = self.passed.saturating_add(trees);
                return;
            }
            _ => None,
        };
        let to = to.unwrap_or(&mut seen.others);
        *to = to.saturating_add(trees);
    }

    /// Adds a cell: what other statistics, or a spool, hold.
    pub fn add_cell(&mut self, cell: &ValueCell) {
        let ValueCell { window, source, slot, seen } = cell;
        for (value, &trees) in &seen.values {
            self.add(*window, source, *slot, Some(value), trees);
        }
        self.add(*window, source, *slot, None, seen.others);
    }

    /// Adds other statistics.
    pub fn merge(&mut self, other: &Self) {
        self.passed = self.passed.saturating_add(other.passed);
        other.cells().iter().for_each(|cell| self.add_cell(cell));
    }

    /// All cells: by window, source and slot.
    pub fn cells(&self) -> Vec<ValueCell> {
        self.cells.iter().map(|(key, seen)| cell(key.clone(), seen.clone())).collect()
    }

    /// Takes out the cells of windows that ended by `now`, in the order of [`cells`](Self::cells).
    pub fn take_ended(&mut self, now: Nanos) -> Vec<ValueCell> {
        let Some(last) = now.checked_sub(self.window) else { return Vec::new() };
        let ended = match now {
            Nanos::MAX => std::mem::take(&mut self.cells),
            _ => {
                let rest = self.cells.split_off(&(last.saturating_add(1), Arc::from(""), Slot::default()));
                std::mem::replace(&mut self.cells, rest)
            }
        };
        let ended: Vec<_> = ended.into_iter().map(|(key, seen)| cell(key, seen)).collect();
        self.size -= ended.iter().map(|cell| 1 + cell.seen.values.len()).sum::<usize>();
        ended
    }
}

fn cell((window, source, slot): (Nanos, Arc<str>, Slot), seen: Seen) -> ValueCell {
    ValueCell { window, source, slot, seen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::sequence::SECOND;
    use crate::tree::WINDOW;

    fn stats(runs: &[u64]) -> ValueStats {
        let mut stats = ValueStats::default();
        observe(&mut stats, runs);
        stats
    }

    fn observe(stats: &mut ValueStats, runs: &[u64]) {
        let sources: [Arc<str>; 2] = ["web1".into(), "web2".into()];
        for &n in runs {
            let slot = Slot { root: 1, code: n % 3, function: 2, which: (n % 2) as u8 };
            let value = (n % 7).to_string();
            let value = (n % 11 != 0).then_some(&*value);
            stats.add(n * 7 % 400 * SECOND, &sources[n as usize % 2], slot, value, 1 + n % 3);
        }
    }

    fn merged(a: &ValueStats, b: &ValueStats) -> ValueStats {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    fn wire(kind: u8, words: [u64; 4]) -> Value {
        Value { function: 1, which: 1, kind, words, unused: [0; 6] }
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        let key = [1; 32];
        let text = |kind, words| value_text(&wire(kind, words), &key);
        assert_eq!(text(SIGNED, [u64::MAX, 0, 0, 0]).as_deref(), Some("-1"));
        assert_eq!(text(UNSIGNED, [u64::MAX, 0, 0, 0]).as_deref(), Some("18446744073709551615"));
        let word = u64::from_le_bytes(*b"a\"b\n\\\xff\0\0");
        assert_eq!(text(TEXT, [word, 0, 0, 0]).as_deref(), Some("\"a\\\"b\\u{a}\\\\\u{fffd}\""));
        assert_eq!(text(NULL, [0; 4]).as_deref(), Some("null"));
        assert_eq!(text(0, [0; 4]), None);
        let longest = text(TEXT, [u64::from_le_bytes([1; 8]); 4]).expect("a text");
        assert!(longest.len() <= MAX_VALUE_TEXT, "{}", longest.len());
    }

    #[test]
    fn a_hidden_value_shows_nothing_and_is_the_same_under_the_same_key() {
        let secret = wire(TEXT | HASHED, [u64::from_le_bytes(*b"hunter2\0"), 0, 0, 0]);
        let [one, again, other] =
            [[1; 32], [1; 32], [2; 32]].map(|key| value_text(&secret, &key).expect("text"));
        assert!(one.starts_with('#') && one.len() == 17 && !one.contains("hunter"), "{one}");
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    proptest! {
        /// Spools of many hosts are merged in whatever order they are found.
        #[test]
        fn merging_is_associative_and_commutative(a in vec(0_u64..1000, 0..60), b in vec(0_u64..1000, 0..60),
                                                  c in vec(0_u64..1000, 0..60)) {
            let (x, y, z) = (stats(&a), stats(&b), stats(&c));
            prop_assert_eq!(merged(&x, &y).cells(), merged(&y, &x).cells());
            let whole = stats(&[a, b, c].concat()).cells();
            prop_assert_eq!(merged(&merged(&x, &y), &z).cells(), &whole[..]);
            prop_assert_eq!(merged(&x, &merged(&y, &z)).cells(), whole);
        }

        /// Nothing is lost without being counted, whatever the bound.
        #[test]
        fn every_value_is_counted_somewhere(runs in vec(0_u64..1000, 0..200), max in 0_usize..30) {
            let mut stats = ValueStats::new(WINDOW, max);
            observe(&mut stats, &runs);
            let size: usize = stats.cells().iter().map(|cell| 1 + cell.seen.values.len()).sum();
            prop_assert!(size <= max + 1, "{size} of {max}");
            let counted: u64 = stats.cells().iter().map(|cell| cell.seen.total()).sum();
            prop_assert_eq!(counted + stats.passed(), runs.iter().map(|n| 1 + n % 3).sum::<u64>());
        }

        #[test]
        fn a_window_is_taken_once_and_whole(runs in vec(0_u64..1000, 0..200), now in 0_u64..500) {
            let mut left = stats(&runs);
            let all = left.cells();
            let taken = left.take_ended(now * SECOND);
            prop_assert!(taken.iter().all(|cell| cell.window + WINDOW <= now * SECOND));
            prop_assert!(left.cells().iter().all(|cell| cell.window + WINDOW > now * SECOND));
            prop_assert_eq!([taken, left.take_ended(u64::MAX)].concat(), all);
            prop_assert!(left.is_empty() && left.size == 0);
        }
    }
}

//! The names of calls that the model does not know, remembered for a while so that a finding can show them.

use std::collections::{HashMap, VecDeque};

use super::segment::{MAX_PARAMETERS, split};
use crate::call::Call;

/// Names remembered at once; the oldest make room.
const MAX_NAMES: usize = 4096;
/// Longest name remembered, in bytes.
const MAX_LEN: usize = 160;

/// Recent unknown calls, by the low half of the hash that [`super::Named::value`] has for them.
#[derive(Clone, Debug, Default)]
pub struct Unknowns {
    names: HashMap<u32, Box<str>>,
    order: VecDeque<u32>,
    scratch: String,
}

impl Unknowns {
    /// Remembers a call whose interface is unknown: method, path and parameter names, no values of the query.
    pub fn remember(&mut self, hash: u64, call: &Call<'_>) {
        let hash = hash as u32;
        if self.names.contains_key(&hash) {
            return;
        }
        if self.order.len() == MAX_NAMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let name = if call.method.is_empty() { call.target.to_owned() } else { spell(call, &mut scratch) };
        self.scratch = scratch;
        let name: String =
            name[..name.floor_char_boundary(MAX_LEN)].chars().filter(|c| !c.is_control()).collect();
        self.names.insert(hash, name.into());
        self.order.push_back(hash);
    }

    /// The name remembered under the low half of a hash.
    pub fn get(&self, hash: u32) -> Option<&str> {
        self.names.get(&hash).map(AsRef::as_ref)
    }
}

fn spell(call: &Call<'_>, scratch: &mut String) -> String {
    let target = split(call.target, scratch);
    let mut name = format!("{} {}", call.method, target.path);
    let mut names = [""; MAX_PARAMETERS];
    let names = target.parameters(&mut names);
    if !names.is_empty() {
        name.push('?');
        name.push_str(&names.join("&"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_without_values_and_within_bounds() {
        let mut unknowns = Unknowns::default();
        let call = Call { method: "GET", target: "/x?token=secret&a=1", ..Call::default() };
        unknowns.remember(7, &call);
        assert_eq!(unknowns.get(7), Some("GET /x?a&token"));
        (100..100 + MAX_NAMES as u64).for_each(|hash| unknowns.remember(hash, &call));
        assert_eq!((unknowns.get(7), unknowns.names.len()), (None, MAX_NAMES));
    }
}

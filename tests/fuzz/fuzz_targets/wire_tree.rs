//! An entry of the ring of new trees.
#![no_main]

use gait_common::wire::tree::{ENTRY_BYTES, Entry, MAX_NODES, NAME_BYTES, Name, NewTree};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(tree) = NewTree::from_bytes(bytes) {
        assert!((1..=MAX_NODES).contains(&tree.nodes().len()));
        tree.nodes().for_each(drop);
    }
    if let Some(name) = Name::from_bytes(bytes) {
        assert!(name.text().len() <= NAME_BYTES);
    }
    if let Some(entry) = Entry::from_bytes(bytes) {
        assert_eq!(entry.to_bytes()[..], bytes[..ENTRY_BYTES]);
    }
});

//! An entry of the ring between kernel and agent.
#![no_main]

use gait_common::wire::exchange::{HEAD_BYTES, RECORD_BYTES, Record};
use gait_common::wire::tree::MAX_ENTRIES;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((record, head)) = Record::from_bytes(bytes) {
        assert!(head.len() <= HEAD_BYTES && head.len() == usize::from(record.head_len));
        assert_eq!(record.to_bytes()[..], bytes[..RECORD_BYTES]);
        assert!(record.trees(bytes).count() <= MAX_ENTRIES);
        gait_agent::decode::fuzz(head);
    }
});

//! The head of a request, as far as the agent reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gait_agent::decode::fuzz(bytes));

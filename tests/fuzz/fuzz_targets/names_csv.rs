//! Files of names to screen: any bytes, as rows and as queries.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gait_agent::screen::fuzz(bytes));

//! Spans as CSV.
#![no_main]

use gait_common::ingest::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gait_fuzz::spans(bytes, Format::SpansCsv));

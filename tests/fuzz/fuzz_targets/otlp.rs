//! Spans as OpenTelemetry's protocol has them in JSON.
#![no_main]

use gait_common::ingest::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gait_fuzz::spans(bytes, Format::Otlp));

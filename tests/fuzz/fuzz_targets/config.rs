//! The agent's configuration, and everything the agent makes of one that is accepted.
#![no_main]

use std::path::Path;

use gait_agent::config::Config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match Config::parse(text, Path::new("gait.toml")) {
        Ok(config) => {
            config.capture.options().expect("checked when it was read");
            config.log.targets().expect("checked when it was read");
            assert!(config.sequence.limits().callers > 0);
        }
        Err(error) => assert!(error.to_string().starts_with("gait.toml:"), "{error}"),
    }
});

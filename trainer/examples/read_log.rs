//! Reads an access log in the combined format and prints how many lines it had: what `cargo xtask bench ingest` times.
//!
//! `cargo run --release -p gait-trainer --example read_log -- FILE...`
#![expect(clippy::print_stdout, reason = "the number is what this program is for")]

use anyhow::Result;
use gait_trainer::ingest::{self, Format, Options};

fn main() -> Result<()> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let report = ingest::read(&files, Format::Combined, &Options::default(), &mut |_, _| Ok(()))?;
    println!("{}", report.records);
    Ok(())
}

//! Gait.
fn main() {}

//! Gait's offline trainer.

pub mod ingest;
pub mod mine;

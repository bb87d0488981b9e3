//! Gait's offline trainer.

pub mod ingest;

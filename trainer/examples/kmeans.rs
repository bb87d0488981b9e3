//! Clusters points as training clusters callers, and prints how well and how fast: what `cargo xtask bench kmeans` sets
//! beside scikit-learn.
//!
//! `kmeans FILE COLUMNS K SEED LABELS`: FILE holds the points as little-endian 64-bit floats, row after row; the labels are
//! written to LABELS as little-endian 32-bit numbers. Prints one JSON object.
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use gait_trainer::groups::kmeans::{Points, cluster, davies_bouldin};
use serde_json::json;

/// Points in one dimension with labels, on the edges of the index' definition.
const EDGES: [(&[f64], &[u32]); 8] = [
    (&[0.0, 1.0, 4.0, 6.0], &[0, 0, 1, 1]),
    (&[0.0, 1.0, 4.0, 6.0], &[7, 7, 2, 2]),
    (&[1.0, 1.0, 2.0, 2.0], &[0, 0, 1, 1]),
    (&[-1.0, 1.0, -2.0, 2.0], &[0, 0, 1, 1]),
    (&[-1.0, 1.0, -2.0, 2.0, 9.0, 10.0], &[0, 0, 1, 1, 2, 2]),
    (&[0.0, 5.0, 5.0], &[0, 1, 1]),
    (&[0.0, 1.0, 2.0], &[0, 0, 0]),
    (&[0.0, 1.0, 2.0], &[0, 1, 2]),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, columns, k, seed, labels] = &arguments[..] else {
        anyhow::bail!("usage: kmeans FILE COLUMNS K SEED LABELS");
    };
    let (columns, k, seed) = (columns.parse()?, k.parse()?, seed.parse()?);
    let bytes = fs::read(file).with_context(|| format!("failed to read {file}"))?;
    let values = bytes.chunks_exact(8).map(|number| number.try_into().map_or(f64::NAN, f64::from_le_bytes));
    let points = Points { values: values.collect(), columns };
    ensure!(
        columns > 0 && points.values.len().is_multiple_of(columns),
        "{file} does not hold rows of {columns} numbers"
    );
    let began = Instant::now();
    let found = cluster(&points, k, seed)?;
    let seconds = began.elapsed().as_secs_f64();
    let bytes: Vec<u8> = found.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    fs::write(labels, bytes).with_context(|| format!("failed to write {labels}"))?;
    let edges = EDGES.map(|(values, labels)| {
        let points = Points { values: values.to_vec(), columns: 1 };
        json!({ "points": values, "labels": labels, "index": davies_bouldin(&points, labels) })
    });
    println!(
        "{}",
        json!({
            "seconds": seconds, "inertia": found.inertia, "edges": edges,
            "davies_bouldin": davies_bouldin(&points, &found.labels),
        })
    );
    Ok(())
}

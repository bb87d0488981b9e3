//! K-means as training runs it beside scikit-learn's, on the same points, in one run.
//!
//! The points are made here, seeded: overlapping clouds, so that starts differ in where they end. Both sides' Davies-Bouldin
//! indices are held against each other on the same labels, on the edges of the definition too.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Options;
use crate::python;
use crate::shell::{cargo, output, run, say, target_dir};

const POINTS: usize = 100_000;
const COLUMNS: usize = 64;
const K: usize = 8;
/// How far two indices of one clustering may differ.
const EQUAL: f64 = 1e-9;

/// Clusters with one start, its default, and with ten; gives its indices for our labels and for the edges.
const SKLEARN: &str = r#"
import json, sys, time
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import davies_bouldin_score
file, columns, k, labels, edges = sys.argv[1:]
points = np.fromfile(file).reshape(-1, int(columns))
def fit(starts):
    began = time.perf_counter()
    found = KMeans(n_clusters=int(k), n_init=starts, random_state=0).fit(points)
    return {"seconds": time.perf_counter() - began, "inertia": float(found.inertia_)}
def index(points, labels):
    try:
        return float(davies_bouldin_score(points, labels))
    except ValueError:
        return None
edges = [index(np.array(e["points"]).reshape(-1, 1), e["labels"]) for e in json.loads(edges)]
ours = index(points, np.fromfile(labels, dtype=np.uint32))
print(json.dumps({"one": fit(1), "ten": fit(10), "davies_bouldin": ours, "edges": edges}))
"#;

#[derive(Deserialize)]
struct Ours {
    seconds: f64,
    inertia: f64,
    davies_bouldin: f64,
    edges: Vec<Value>,
}

#[derive(Deserialize)]
struct Theirs {
    one: Fit,
    ten: Fit,
    davies_bouldin: f64,
    edges: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Fit {
    seconds: f64,
    inertia: f64,
}

/// Measures and prints.
pub(crate) fn kmeans(options: &Options) -> Result<()> {
    say("building the trainer's k-means (release)");
    run(cargo().args(["build", "--release", "--package", "gait-trainer", "--example", "kmeans"]))?;
    let python = python::with(&["scikit-learn==1.7.2"])?;
    let dir =
        tempfile::Builder::new().prefix("gait-kmeans-").tempdir().context("failed to create a directory")?;
    let (points, labels) = (dir.path().join("points"), dir.path().join("labels"));
    make(&points).with_context(|| format!("failed to write {}", points.display()))?;
    let (columns, k) = (COLUMNS.to_string(), K.to_string());
    let mut best: Option<Ours> = None;
    for _ in 0..options.rounds.max(1) {
        let mut ours = Command::new(target_dir().join("release/examples/kmeans"));
        ours.arg(&points).args([&columns, &k, "0"]).arg(&labels);
        let ours: Ours =
            serde_json::from_str(&output(&mut ours)?).context("k-means printed something else")?;
        if best.as_ref().is_none_or(|best| ours.seconds < best.seconds) {
            best = Some(ours);
        }
    }
    let ours = best.context("no round was run")?;
    say("running scikit-learn");
    let mut theirs = Command::new(python);
    theirs.args(["-c", SKLEARN]).arg(&points).args([&columns, &k]).arg(&labels);
    theirs.arg(serde_json::to_string(&ours.edges)?);
    let theirs: Theirs =
        serde_json::from_str(&output(&mut theirs)?).context("scikit-learn printed something else")?;
    let apart = (ours.davies_bouldin - theirs.davies_bouldin).abs();
    ensure!(apart <= EQUAL, "the Davies-Bouldin indices differ by {apart:e}");
    for (ours, theirs) in ours.edges.iter().zip(&theirs.edges) {
        let equal = match (ours["index"].as_f64(), theirs) {
            (Some(a), Some(b)) => (a - b).abs() <= EQUAL,
            (a, b) => a.is_none() && b.is_none(),
        };
        ensure!(equal, "the Davies-Bouldin indices of {ours} differ: scikit-learn gives {theirs:?}");
    }
    print(&ours, &theirs, options.json);
    Ok(())
}

fn print(ours: &Ours, theirs: &Theirs, as_json: bool) {
    if as_json {
        let fit = |fit: &Fit| json!({ "seconds": fit.seconds, "inertia": fit.inertia });
        println!(
            "{}",
            json!({
                "points": POINTS, "columns": COLUMNS, "k": K,
                "gait": { "seconds": ours.seconds, "inertia": ours.inertia, "davies_bouldin": ours.davies_bouldin },
                "scikit_learn": { "one_start": fit(&theirs.one), "ten_starts": fit(&theirs.ten),
                                  "davies_bouldin_of_gait": theirs.davies_bouldin },
            })
        );
        return;
    }
    println!("{POINTS} points of {COLUMNS} numbers, k = {K}");
    println!("{:<28} {:>9} {:>16} {:>8}", "", "seconds", "inertia", "ratio");
    let row = |name: &str, seconds: f64, inertia: f64| {
        println!("{name:<28} {seconds:>9.3} {inertia:>16.6} {:>8.3}", ours.seconds / seconds);
    };
    row("gait", ours.seconds, ours.inertia);
    row("scikit-learn, one start", theirs.one.seconds, theirs.one.inertia);
    row("scikit-learn, ten starts", theirs.ten.seconds, theirs.ten.inertia);
    println!(
        "Davies-Bouldin index of gait's labels: {:.12}, by scikit-learn {:.12}; {} edges of the definition agree",
        ours.davies_bouldin,
        theirs.davies_bouldin,
        ours.edges.len()
    );
}

/// Twelve clouds of different sizes and widths for eight clusters.
fn make(file: &Path) -> std::io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(1);
    let centres: Vec<Vec<f64>> = (0..12).map(|_| (0..COLUMNS).map(|_| rng.f64()).collect()).collect();
    let mut bytes = Vec::with_capacity(POINTS * COLUMNS * 8);
    for _ in 0..POINTS {
        // Squaring a uniform number makes the first clouds the large ones.
        let cloud = (rng.f64().powi(2) * centres.len() as f64) as usize;
        for centre in &centres[cloud] {
            let noise = (0..4).map(|_| rng.f64() - 0.5).sum::<f64>() * 0.2 * (1 + cloud % 3) as f64;
            bytes.extend_from_slice(&(centre + noise).to_le_bytes());
        }
    }
    fs::write(file, bytes)
}

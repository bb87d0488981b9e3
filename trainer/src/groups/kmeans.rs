//! K-means, and the Davies-Bouldin index by which its number of clusters is chosen. The only place that knows linfa.
//!
//! linfa iterates; where it starts is ours, since its own k-means++ takes far longer than all iterations together.
//! Starts are greedy k-means++ (Arthur and Vassilvitskii, 2007, with several candidates per centre as in their section 5),
//! drawn on a sample of the points, improved there, and the best one is iterated on all points. Sums are made over fixed
//! pieces in their order, so that the result does not depend on how many cores there are.

use anyhow::{Context, Result, ensure};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::{KMeans, KMeansInit};
use linfa_nn::distance::L2Dist;
use ndarray::{Array2, ArrayView2};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

/// Starts that are drawn; the best one counts.
const STARTS: usize = 20;
/// Points on which starts are drawn and compared, at most.
const SAMPLE: usize = 4096;
/// Iterations by which all starts are improved before they are compared, and then the promising ones.
const FIRST_TRIAL: usize = 4;
const SECOND_TRIAL: usize = 12;
/// Starts that come into the second trial.
const PROMISING: usize = 5;
/// Iterations at most.
const MAX_ITERATIONS: u64 = 300;
/// Centres that move by less have arrived.
const TOLERANCE: f64 = 1e-4;
/// So little of the inertia is not worth another iteration.
const SETTLED: f64 = 1e-6;
/// Rows per piece of parallel work: fixed, so that sums do not depend on the number of cores.
const PIECE: usize = 1024;

/// Points, row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// The rows' values, one row after the other.
    pub values: Vec<f64>,
    /// Values per row, at least 1.
    pub columns: usize,
}

impl Points {
    /// How many points there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One point.
    pub fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.columns..(at + 1) * self.columns]
    }

    /// All points in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.columns.max(1))
    }

    fn view(&self) -> Result<ArrayView2<'_, f64>> {
        Ok(ArrayView2::from_shape((self.len(), self.columns), &self.values)?)
    }

    /// Every so-manieth point, so that there are not more than [`SAMPLE`].
    fn sample(&self) -> Self {
        let step = self.len().div_ceil(SAMPLE).max(1);
        Self { values: self.rows().step_by(step).flatten().copied().collect(), columns: self.columns }
    }
}

/// Points dealt into clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// The clusters' centres.
    pub centres: Points,
    /// The cluster of each point.
    pub labels: Vec<u32>,
    /// Summed squared distance of the points from their centres.
    pub inertia: f64,
}

/// Deals points into `k` clusters.
///
/// # Errors
/// When there are fewer points than clusters, or a value is not finite.
pub fn cluster(points: &Points, k: usize, seed: u64) -> Result<Clustering> {
    ensure!(k > 0 && points.len() >= k, "{} points cannot make {k} clusters", points.len());
    ensure!(points.values.iter().all(|x| x.is_finite()), "a point to be clustered is not finite");
    let sample = points.sample();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let seeds: Vec<u64> = (0..STARTS).map(|_| random.next_u64()).collect();
    let start = |seed: &u64| draw(&sample, k, &mut Xoshiro256PlusPlus::seed_from_u64(*seed));
    let mut tried: Vec<(f64, Points)> =
        seeds.par_iter().map(|seed| improve(&sample, start(seed), FIRST_TRIAL)).collect();
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    tried.truncate(PROMISING);
    let tried: Vec<(f64, Points)> =
        tried.into_par_iter().map(|(_, centres)| improve(&sample, centres, SECOND_TRIAL)).collect();
    let best = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let (_, start) = best.context("no start was drawn")?;
    refine(points, start)
}

/// Centres after so many of Lloyd's iterations (1982), and the inertia before the last one moved them. On a small sample
/// this takes a fraction of what linfa takes to set out.
fn improve(points: &Points, mut centres: Points, iterations: usize) -> (f64, Points) {
    let mut inertia = f64::INFINITY;
    for _ in 0..iterations {
        let (labels, now) = assign(points, &centres);
        inertia = now;
        centres = means(points, &labels, &centres);
    }
    (inertia, centres)
}

/// Deals points into clusters, beginning with these centres.
///
/// # Errors
/// When the centres are not of the points' form.
pub fn refine(points: &Points, start: Points) -> Result<Clustering> {
    ensure!(start.columns == points.columns && !start.is_empty(), "the centres are not of the points' form");
    let mut centres = iterate(points, start)?;
    // linfa counts a centre among its own points, which keeps it a little short of the mean.
    let (mut labels, mut inertia) = assign(points, &centres);
    for _ in 0..MAX_ITERATIONS {
        centres = means(points, &labels, &centres);
        let (next, now) = assign(points, &centres);
        let settled = next == labels || inertia - now <= SETTLED * inertia;
        (labels, inertia) = (next, now);
        if settled {
            break;
        }
    }
    Ok(Clustering { centres, labels, inertia })
}

fn iterate(points: &Points, start: Points) -> Result<Points> {
    let (k, columns) = (start.len(), start.columns);
    let start = Array2::from_shape_vec((k, columns), start.values)?;
    // The generator is never asked: the start is given.
    let unused = Xoshiro256PlusPlus::seed_from_u64(0);
    let fitted = KMeans::params_with(k, unused, L2Dist)
        .init_method(KMeansInit::Precomputed(start))
        .n_runs(1)
        .max_n_iterations(MAX_ITERATIONS)
        .tolerance(TOLERANCE)
        .fit(&DatasetBase::from(points.view()?))
        .context("k-means found no clusters")?;
    Ok(Points { values: fitted.centroids().iter().copied().collect(), columns })
}

/// Centres drawn by greedy k-means++: each the best of a few candidates, drawn with a chance that grows with their squared
/// distance from the centres so far.
fn draw(points: &Points, k: usize, random: &mut Xoshiro256PlusPlus) -> Points {
    let mut unit = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let first = ((unit() * points.len() as f64) as usize).min(points.len() - 1);
    let mut centres = points.row(first).to_vec();
    let mut nearest = distances(points, points.row(first));
    let candidates = 2 + (k as f64).ln() as usize;
    for _ in 1..k {
        let total: f64 = nearest.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..candidates {
            let mut left = unit() * total;
            let drawn = nearest.iter().position(|&d| {
                left -= d;
                left < 0.0
            });
            let drawn = drawn.unwrap_or(points.len() - 1);
            let mut closer = distances(points, points.row(drawn));
            closer.iter_mut().zip(&nearest).for_each(|(d, &before)| *d = d.min(before));
            let potential: f64 = closer.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| potential < *least) {
                best = Some((potential, drawn, closer));
            }
        }
        if let Some((_, drawn, closer)) = best {
            centres.extend_from_slice(points.row(drawn));
            nearest = closer;
        }
    }
    Points { values: centres, columns: points.columns }
}

/// Squared distance of every point from one.
fn distances(points: &Points, from: &[f64]) -> Vec<f64> {
    points.values.par_chunks_exact(points.columns).with_min_len(PIECE).map(|row| squared(row, from)).collect()
}

/// The nearest centre of each point, the first of equals, and the summed squared distance.
pub fn assign(points: &Points, centres: &Points) -> (Vec<u32>, f64) {
    let nearest = |row: &[f64]| {
        let mut best = (0, f64::INFINITY);
        for (label, centre) in (0u32..).zip(centres.rows()) {
            let distance = squared(row, centre);
            if distance < best.1 {
                best = (label, distance);
            }
        }
        best
    };
    let pieces: Vec<(Vec<u32>, f64)> = points
        .values
        .par_chunks(PIECE * points.columns)
        .map(|piece| {
            let mut sum = 0.0;
            let labels = piece.chunks_exact(points.columns).map(|row| {
                let (label, distance) = nearest(row);
                sum += distance;
                label
            });
            (labels.collect(), sum)
        })
        .collect();
    let inertia = pieces.iter().map(|(_, sum)| sum).sum();
    (pieces.into_iter().flat_map(|(labels, _)| labels).collect(), inertia)
}

/// The mean of each cluster's points; a cluster without points stays where it was.
fn means(points: &Points, labels: &[u32], before: &Points) -> Points {
    let columns = points.columns;
    let pieces: Vec<(Vec<f64>, Vec<u64>)> = points
        .values
        .par_chunks(PIECE * columns)
        .zip(labels.par_chunks(PIECE))
        .map(|(piece, labels)| {
            let (mut sums, mut counts) = (vec![0.0; before.values.len()], vec![0; before.len()]);
            for (row, &label) in piece.chunks_exact(columns).zip(labels) {
                let at = label as usize * columns;
                sums[at..at + columns].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                counts[label as usize] += 1;
            }
            (sums, counts)
        })
        .collect();
    let (mut sums, mut counts) = (vec![0.0; before.values.len()], vec![0u64; before.len()]);
    for (some, of) in &pieces {
        sums.iter_mut().zip(some).for_each(|(sum, x)| *sum += x);
        counts.iter_mut().zip(of).for_each(|(count, n)| *count += n);
    }
    for ((sums, before), &count) in sums.chunks_exact_mut(columns).zip(before.rows()).zip(&counts) {
        match count {
            0 => sums.copy_from_slice(before),
            n => sums.iter_mut().for_each(|sum| *sum /= n as f64),
        }
    }
    Points { values: sums, columns }
}

/// Squared Euclidean distance.
pub fn squared(a: &[f64], b: &[f64]) -> f64 {
    // Eight sums side by side: what a compiler may not do by itself, as it changes the rounding.
    const LANES: usize = 8;
    let mut lanes = [0.0; LANES];
    let ((chunks_a, rest_a), (chunks_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in chunks_a.iter().zip(chunks_b) {
        for lane in 0..LANES {
            let apart = a[lane] - b[lane];
            lanes[lane] += apart * apart;
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| (a - b) * (a - b)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// The Davies-Bouldin index of clustered points: the mean, over the clusters, of the worst ratio of two clusters' mean
/// distances from their centres to the distance of these centres (Davies and Bouldin, 1979). Lower is better. As in
/// scikit-learn, labels without points do not count, and the index is 0 where all points of all clusters, or all centres,
/// coincide. None when there are fewer than two clusters, or as many as points.
pub fn davies_bouldin(points: &Points, labels: &[u32]) -> Option<f64> {
    let mut used: Vec<u32> = labels.to_vec();
    used.sort_unstable();
    used.dedup();
    if used.len() < 2 || used.len() >= points.len() || labels.len() != points.len() {
        return None;
    }
    let labels: Vec<u32> =
        labels.iter().map(|label| used.partition_point(|other| other < label) as u32).collect();
    let nowhere = Points { values: vec![0.0; used.len() * points.columns], columns: points.columns };
    let centres = means(points, &labels, &nowhere);
    let (mut spread, mut counts) = (vec![0.0; used.len()], vec![0u64; used.len()]);
    for (row, &label) in points.rows().zip(&labels) {
        spread[label as usize] += squared(row, centres.row(label as usize)).sqrt();
        counts[label as usize] += 1;
    }
    spread.iter_mut().zip(&counts).for_each(|(spread, &n)| *spread /= n as f64);
    let apart = |a: usize, b: usize| squared(centres.row(a), centres.row(b)).sqrt();
    let pairs = || (0..used.len()).flat_map(|a| (0..used.len()).map(move |b| (a, b)));
    // What scikit-learn takes for zero.
    const ZERO: f64 = 1e-8;
    if spread.iter().all(|&s| s <= ZERO) || pairs().all(|(a, b)| apart(a, b) <= ZERO) {
        return Some(0.0);
    }
    let worst = |a: usize| {
        let ratio = |b: usize| match apart(a, b) {
            0.0 => 0.0,
            distance => (spread[a] + spread[b]) / distance,
        };
        (0..used.len()).map(ratio).fold(0.0, f64::max)
    };
    Some((0..used.len()).map(worst).sum::<f64>() / used.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `k` clouds of `each` points around the corners of a cube.
    fn clouds(k: usize, each: usize, spread: f64) -> Points {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut unit = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        let values = (0..k * each).flat_map(|at| {
            let corner = at % k;
            [0, 1, 2].map(|axis| ((corner >> axis) & 1) as f64 + spread * unit())
        });
        Points { values: values.collect(), columns: 3 }
    }

    #[test]
    fn clouds_that_lie_apart_are_found() {
        let points = clouds(8, 50, 0.2);
        let found = cluster(&points, 8, 1).expect("clusters");
        for (at, label) in found.labels.iter().enumerate() {
            assert_eq!(*label, found.labels[at % 8], "point {at}");
        }
        // A point of a cloud is 3 * 0.2^2 / 12 from its centre, squared.
        assert!(found.inertia < 400.0 * 0.011, "{}", found.inertia);
        assert_eq!(found, cluster(&points, 8, 1).expect("clusters"));
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_cores() {
        let points = clouds(5, 300, 1.5);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| cluster(&points, 4, 3).expect("clusters"))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn the_index_prefers_the_clusters_that_are_there() {
        let points = clouds(4, 60, 0.3);
        let index = |k| davies_bouldin(&points, &cluster(&points, k, 1).expect("clusters").labels);
        let tried: Vec<f64> = (2..8).map(|k| index(k).expect("an index")).collect();
        assert_eq!((0..6).min_by(|&a, &b| tried[a].total_cmp(&tried[b])), Some(2), "{tried:?}");
    }

    /// By hand, after the definition; scikit-learn gives the same (`cargo xtask bench kmeans` holds the two together).
    #[test]
    fn the_index_is_that_of_the_definition() {
        let points = |values: &[f64], columns| Points { values: values.to_vec(), columns };
        let four = points(&[0.0, 0.0, 0.0, 1.0, 4.0, 4.0, 6.0, 4.0], 2);
        let by_hand = 1.5 / (25.0f64 + 12.25).sqrt();
        assert!((davies_bouldin(&four, &[0, 0, 5, 5]).expect("an index") - by_hand).abs() < 1e-12);
        let pairs = points(&[1.0, 1.0, 2.0, 2.0], 1);
        assert_eq!(davies_bouldin(&pairs, &[0, 0, 1, 1]), Some(0.0), "points that coincide");
        let mirrored = points(&[-1.0, 1.0, -2.0, 2.0], 1);
        assert_eq!(davies_bouldin(&mirrored, &[0, 0, 1, 1]), Some(0.0), "centres that coincide");
        let three = points(&[-1.0, 1.0, -2.0, 2.0, 9.0, 10.0], 1);
        let got = davies_bouldin(&three, &[0, 0, 1, 1, 2, 2]).expect("an index");
        assert!((got - (1.5 + 2.5 + 2.5) / 9.5 / 3.0).abs() < 1e-12, "{got}");
        assert_eq!(davies_bouldin(&pairs, &[0, 0, 0, 0]), None);
        assert_eq!(davies_bouldin(&pairs, &[0, 1, 2, 3]), None);
    }

    #[test]
    fn points_that_cannot_be_dealt_are_refused() {
        let points = clouds(1, 3, 0.1);
        assert!(cluster(&points, 4, 0).is_err() && cluster(&points, 0, 0).is_err());
        let broken = Points { values: vec![f64::NAN; 6], columns: 3 };
        assert!(cluster(&broken, 1, 0).is_err());
        let same = Points { values: vec![1.0; 30], columns: 3 };
        assert_eq!(cluster(&same, 3, 0).expect("clusters").inertia, 0.0);
    }
}

//! The two directions in which rows differ most: principal components (Pearson, 1901; Hotelling, 1933), found by
//! orthogonal iteration, which needs no other matrix than the rows themselves.

/// Rounds of the iteration, and how little the directions move when it ends earlier.
const ROUNDS: usize = 200;
const SETTLED: f64 = 1e-9;

/// Rows seen from the side that shows most of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Components {
    mean: Vec<f64>,
    directions: [Vec<f64>; 2],
    /// Share of the rows' variance along each direction.
    pub(super) explained: [f64; 2],
}

impl Components {
    /// The components of `rows`, all of the same length.
    pub(super) fn fit(rows: &[&[f32]]) -> Self {
        let width = rows.first().map_or(0, |row| row.len());
        let n = rows.len().max(1) as f64;
        let mut mean = vec![0.0; width];
        rows.iter().for_each(|row| mean.iter_mut().zip(*row).for_each(|(sum, &x)| *sum += f64::from(x) / n));
        let centred =
            |row: &[f32]| -> Vec<f64> { row.iter().zip(&mean).map(|(&x, m)| f64::from(x) - m).collect() };
        let centred: Vec<Vec<f64>> = rows.iter().map(|row| centred(row)).collect();
        // Any start will do that is not orthogonal to the answer; these depend on nothing but the width.
        let start = |step: f64| normal((0..width).map(|at| 1.0 + (step * (at as f64 + 1.0)).sin()).collect());
        let mut directions = [start(1.0), start(2.3)];
        for _ in 0..ROUNDS {
            let first = normal(times(&centred, &directions[0]));
            let mut second = times(&centred, &directions[1]);
            let along = dot(&second, &first);
            second.iter_mut().zip(&first).for_each(|(x, f)| *x -= along * f);
            let next = [first, normal(second)];
            let moved = next.iter().zip(&directions).map(|(a, b)| 1.0 - dot(a, b).abs()).fold(0.0, f64::max);
            directions = next;
            if moved < SETTLED {
                break;
            }
        }
        let total: f64 = centred.iter().map(|row| dot(row, row)).sum();
        for direction in &mut directions {
            // A direction and its opposite are the same: the larger side points right and up.
            let largest =
                direction.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or_default();
            if largest < 0.0 {
                direction.iter_mut().for_each(|x| *x = -*x);
            }
        }
        let along = |direction: &[f64]| centred.iter().map(|row| dot(row, direction).powi(2)).sum::<f64>();
        let explained =
            [0, 1].map(|at: usize| if total > 0.0 { along(&directions[at]) / total } else { 0.0 });
        Self { mean, directions, explained }
    }

    /// Where a row lies.
    pub(super) fn project(&self, row: &[f32]) -> (f64, f64) {
        let along = |direction: &[f64]| {
            row.iter()
                .zip(&self.mean)
                .zip(direction)
                .map(|((&x, mean), d)| (f64::from(x) - mean) * d)
                .sum::<f64>()
        };
        (along(&self.directions[0]), along(&self.directions[1]))
    }
}

/// The covariance (times the number of rows) times a vector.
fn times(centred: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; vector.len()];
    for row in centred {
        let along = dot(row, vector);
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += along * x);
    }
    sum
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn normal(mut vector: Vec<f64>) -> Vec<f64> {
    let length = dot(&vector, &vector).sqrt();
    if length > 1e-300 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_directions_of_a_cloud_are_found() {
        // Twice as wide along (1, 1, 0) as along (0, 0, 1), and flat otherwise.
        let rows: Vec<[f32; 3]> = (0..40)
            .map(|at| {
                let (a, b) = ((at as f32 * 0.7).sin() * 2.0, (at as f32 * 1.9).cos());
                [5.0 + a, a, b]
            })
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
        let found = Components::fit(&rows);
        let root = std::f64::consts::FRAC_1_SQRT_2;
        for (x, wanted) in found.directions[0].iter().zip([root, root, 0.0]) {
            assert!((x.abs() - wanted).abs() < 0.05, "{:?}", found.directions);
        }
        assert!((found.explained[0] + found.explained[1] - 1.0).abs() < 1e-9, "{:?}", found.explained);
        assert!(found.explained[0] > found.explained[1]);
    }

    #[test]
    fn rows_that_do_not_differ_lie_on_one_point() {
        let found = Components::fit(&[&[1.0, 2.0], &[1.0, 2.0]]);
        assert_eq!((found.project(&[1.0, 2.0]), found.explained), ((0.0, 0.0), [0.0, 0.0]));
        assert_eq!(Components::fit(&[]).project(&[]), (0.0, 0.0));
    }
}

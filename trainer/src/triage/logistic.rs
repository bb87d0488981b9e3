//! Logistic regression on sparse features, with weights, soft labels and labels of known noise.
//!
//! linfa's and smartcore's take neither weights nor soft labels, without which noisy labels cannot be learned from. The
//! objective is the weighted mean loss plus a ridge penalty, minimised by L-BFGS (Nocedal 1980) over all rows at once: no
//! learning rate, no randomness, the same bytes on every run.

/// What is known of a row's class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// It is real with this probability: 1 and 0 are labels, what lies between is a corrected one.
    Soft(f32),
    /// Its label says "false alarm", as it does of real ones too unless they were noticed, with this probability
    /// (forward correction: Patrini et al. 2017; positive-unlabelled learning: Elkan and Noto 2008).
    Unnoticed(f32),
}

/// One alert to fit.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Places of its features, and the index from which on they are grams.
    pub places: &'a [u32],
    /// How many of them are traits, which come first and count 1.
    pub traits: usize,
    /// What each of the others counts.
    pub gram: f32,
    /// What is known of it.
    pub target: Target,
    /// How much it counts.
    pub weight: f32,
}

/// A fitted model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linear {
    /// Added to every score.
    pub bias: f32,
    /// By place; shorter than the space of features where the last ones have none.
    pub weights: Vec<f32>,
}

impl Linear {
    /// The log-odds of being real.
    pub fn score(&self, places: &[u32], traits: usize, gram: f32) -> f32 {
        let sum = |places: &[u32]| -> f32 {
            places.iter().map(|&place| self.weights.get(place as usize).copied().unwrap_or(0.0)).sum()
        };
        let (traits, grams) = places.split_at(traits);
        self.bias + sum(traits) + gram * sum(grams)
    }
}

/// Iterations, at most: the fit is good long before.
const ITERATIONS: usize = 100;
/// Pairs of steps and changes of the gradient that are remembered.
const MEMORY: usize = 6;
/// The gradient's norm, relative to its first, at which the fit is good.
const TOLERANCE: f64 = 1e-4;

/// Fits rows. `penalty` is the ridge penalty on half the squared norm of the weights, as against the *sum* of the losses.
/// Features with a false `use_place` get no weight.
pub fn fit(rows: &[Row<'_>], penalty: f64, use_place: &[bool]) -> Linear {
    let problem = Problem::new(rows, penalty, use_place);
    let solution = minimise(vec![0.0; problem.places.len() + 1], |x, gradient| problem.loss(x, gradient));
    let mut weights = vec![0.0; use_place.len()];
    for (&place, &weight) in problem.places.iter().zip(&solution) {
        weights[place as usize] = weight as f32;
    }
    Linear { bias: solution.last().map_or(0.0, |&bias| bias as f32), weights }
}

/// The rows with their features numbered without holes.
struct Problem<'a> {
    rows: &'a [Row<'a>],
    /// Place of each number.
    places: Vec<u32>,
    /// Numbers of the features of all rows, one row after the other, traits first; and where each row's traits and its
    /// grams end.
    numbers: Vec<u32>,
    ends: Vec<(usize, usize)>,
    penalty: f64,
}

impl<'a> Problem<'a> {
    fn new(rows: &'a [Row<'a>], penalty: f64, use_place: &[bool]) -> Self {
        let mut number_of = vec![u32::MAX; use_place.len()];
        let (mut places, mut numbers, mut ends) = (Vec::new(), Vec::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            let mut add = |part: &[u32]| {
                for &place in part {
                    if !use_place[place as usize] {
                        continue;
                    }
                    let number = &mut number_of[place as usize];
                    if *number == u32::MAX {
                        *number = places.len() as u32;
                        places.push(place);
                    }
                    numbers.push(*number);
                }
                numbers.len()
            };
            let (traits, grams) = row.places.split_at(row.traits);
            ends.push((add(traits), add(grams)));
        }
        Self { rows, places, numbers, ends, penalty }
    }

    /// The objective at `x`, whose last is the bias, and its gradient.
    fn loss(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let (&bias, weights) = x.split_last().expect("there is a bias");
        let mut sum = 0.5 * self.penalty * dot(weights, weights);
        for (slope, weight) in gradient.iter_mut().zip(weights) {
            *slope = self.penalty * weight;
        }
        let at_bias = weights.len();
        gradient[at_bias] = 0.0;
        let mut start = 0;
        for (row, &(traits, grams)) in self.rows.iter().zip(&self.ends) {
            let gram = f64::from(row.gram);
            let part = |from: usize, to: usize| {
                self.numbers[from..to].iter().map(|&n| weights[n as usize]).sum::<f64>()
            };
            let (loss, slope) = row.target.loss(bias + part(start, traits) + gram * part(traits, grams));
            let weight = f64::from(row.weight);
            sum += weight * loss;
            let slope = weight * slope;
            self.numbers[start..traits].iter().for_each(|&n| gradient[n as usize] += slope);
            self.numbers[traits..grams].iter().for_each(|&n| gradient[n as usize] += gram * slope);
            gradient[at_bias] += slope;
            start = grams;
        }
        sum
    }
}

impl Target {
    /// The loss at these log-odds, and its slope.
    fn loss(self, odds: f64) -> (f64, f64) {
        let real = sigmoid(odds);
        match self {
            // ln(1 + e^z) - q z
            Target::Soft(share) => (softplus(odds) - f64::from(share) * odds, real - f64::from(share)),
            // -ln(1 - k f)
            Target::Unnoticed(noticed) => {
                let kept = f64::from(noticed);
                let left = (1.0 - kept * real).max(1e-12);
                (-left.ln(), kept * real * (1.0 - real) / left)
            }
        }
    }
}

/// The logistic function.
pub fn sigmoid(odds: f64) -> f64 {
    if odds >= 0.0 { 1.0 / (1.0 + (-odds).exp()) } else { odds.exp() / (1.0 + odds.exp()) }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where a smooth function is least, by L-BFGS from `x` on. `at` gives its value and fills in its gradient.
pub fn minimise(mut x: Vec<f64>, at: impl Fn(&[f64], &mut [f64]) -> f64) -> Vec<f64> {
    let mut gradient = vec![0.0; x.len()];
    let mut value = at(&x, &mut gradient);
    let stop = TOLERANCE * dot(&gradient, &gradient).sqrt().max(1e-9);
    let mut pairs: std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)> = std::collections::VecDeque::new();
    let (mut next, mut next_gradient) = (x.clone(), gradient.clone());
    for _ in 0..ITERATIONS {
        if dot(&gradient, &gradient).sqrt() <= stop {
            break;
        }
        let mut direction = direction(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // What is remembered misleads: begin anew.
            pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = dot(&direction, &gradient);
        }
        let first = if pairs.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let Some(found) = (0..40).map(|halved| first * 0.5_f64.powi(halved)).find_map(|step| {
            for ((next, x), d) in next.iter_mut().zip(&x).zip(&direction) {
                *next = x + step * d;
            }
            let found = at(&next, &mut next_gradient);
            (found <= value + 1e-4 * step * slope).then_some(found)
        }) else {
            break;
        };
        let step: Vec<f64> = next.iter().zip(&x).map(|(next, x)| next - x).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(next, g)| next - g).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-12 {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((step, change, 1.0 / curvature));
        }
        std::mem::swap(&mut x, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = found;
    }
    x
}

/// Minus the gradient times the inverse of the curvature that was seen (the two-loop recursion).
fn direction(gradient: &[f64], pairs: &std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (step, change, inverse) in pairs.iter().rev() {
        let share = inverse * dot(step, &direction);
        direction.iter_mut().zip(change).for_each(|(d, change)| *d -= share * change);
        shares.push(share);
    }
    if let Some((_, change, inverse)) = pairs.back() {
        let scale = 1.0 / (inverse * dot(change, change));
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((step, change, inverse), share) in pairs.iter().zip(shares.into_iter().rev()) {
        let more = share - inverse * dot(change, &direction);
        direction.iter_mut().zip(step).for_each(|(d, step)| *d += more * step);
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_a_valley_is_found() {
        // Rosenbrock's, whose valley is curved.
        let found = minimise(vec![-1.2, 1.0], |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!((found[0] - 1.0).abs() < 0.01 && (found[1] - 1.0).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn slopes_are_those_of_the_losses() {
        for target in [Target::Soft(1.0), Target::Soft(0.3), Target::Unnoticed(0.7), Target::Unnoticed(1.0)] {
            for odds in [-30.0, -1.0, 0.0, 0.5, 4.0] {
                let (_, slope) = target.loss(odds);
                let rise = (target.loss(odds + 1e-5).0 - target.loss(odds - 1e-5).0) / 2e-5;
                assert!((slope - rise).abs() < 1e-4, "{target:?} at {odds}: {slope} for {rise}");
            }
        }
    }

    #[test]
    fn shares_become_odds_and_weights_count() {
        let row = |place: &'static [u32], share, weight| Row {
            places: place,
            traits: 1,
            gram: 1.0,
            target: Target::Soft(share),
            weight,
        };
        let rows =
            [row(&[0], 1.0, 300.0), row(&[0], 0.0, 100.0), row(&[1], 0.25, 400.0), row(&[2], 1.0, 9.0)];
        let linear = fit(&rows, 0.01, &[true, true, false]);
        let odds = |place| f64::from(linear.score(place, 1, 1.0));
        assert!((sigmoid(odds(&[0])) - 0.75).abs() < 0.01, "{linear:?}");
        assert!((sigmoid(odds(&[1])) - 0.25).abs() < 0.01, "{linear:?}");
        assert!(linear.weights[2] == 0.0, "not to be used");
    }
}

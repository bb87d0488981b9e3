//! Whether a window's calls take longer than they should, as a whole.
//!
//! The mean logarithm of the durations is compared with that of the windows of training. How it varies among windows
//! that were normal is learned apart from how single durations do (by moments, after DerSimonian and Laird, 1986),
//! and the test is Student's, with as many degrees of freedom as there were windows: a machine that is sometimes twice as
//! slow for a minute is known to be, and few windows claim little. A share of calls beyond a limit, the other test of
//! latencies, is taken relative to the window's pace: it speaks of calls that are slow beside their neighbours.

use serde::{Deserialize, Serialize};

use super::Sketch;
use super::rate::ln_beta;

/// Deviation of the mean logarithm between windows that is assumed before any window is seen.
const PRIOR: f64 = 0.25;
/// For how many windows that assumption counts.
const PRIOR_WINDOWS: f64 = 4.0;
/// Deviation that there always is.
const LEAST: f64 = 0.05;

/// How fast something is, and how steadily.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Mean logarithm of the durations (ns).
    pub mean: f64,
    /// Its variance between windows.
    pub between: f64,
    /// Variance of the logarithm of a single duration within a window.
    pub within: f64,
    /// Windows learned from.
    pub windows: f64,
    /// Durations learned from.
    pub calls: f64,
}

/// Number, mean and squared deviations of the logarithms in a sketch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) n: f64,
    pub(super) mean: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn of(sketch: &Sketch) -> Self {
        let each = || sketch.middles().map(|(middle, count)| ((middle.max(1) as f64).ln(), count as f64));
        let n: f64 = each().map(|(_, count)| count).sum();
        let mean = each().map(|(x, count)| x * count).sum::<f64>() / n.max(1.0);
        let squares = each().map(|(x, count)| (x - mean).powi(2) * count).sum();
        Self { n, mean, squares }
    }

    /// Both together.
    pub(super) fn merge(&self, other: &Self) -> Self {
        let n = self.n + other.n;
        let mean = (self.n * self.mean + other.n * other.mean) / n.max(1.0);
        let apart = |part: &Self| part.squares + part.n * (part.mean - mean).powi(2);
        Self { n, mean, squares: apart(self) + apart(other) }
    }

    /// The mean of what is left when a part is taken away; `None` if nothing is.
    pub(super) fn mean_without(&self, part: &Self) -> Option<f64> {
        let n = self.n - part.n;
        (n >= 0.5).then(|| (self.n * self.mean - part.n * part.mean) / n)
    }

    /// Trees of several codes as one: each with the mean of its code, to which its durations are taken relative.
    pub(super) fn relative(codes: impl Iterator<Item = (Self, f64)>) -> Self {
        codes.fold(Self::default(), |all, (code, mean)| all.merge(&Self { mean: code.mean - mean, ..code }))
    }
}

impl Pace {
    /// Learns from windows; `None` where fewer than two have durations.
    pub(super) fn learn(windows: impl Iterator<Item = Moments> + Clone) -> Option<Self> {
        let windows = windows.filter(|window| window.n > 0.0);
        let (mut count, mut calls, mut squares) = (0.0, 0.0, 0.0);
        for window in windows.clone() {
            count += 1.0;
            calls += window.n;
            squares += window.squares;
        }
        if count < 2.0 {
            return None;
        }
        let within = (squares / (calls - count).max(1.0)).max(1e-4);
        let weighted_mean = |weight: &dyn Fn(&Moments) -> f64| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for window in windows.clone() {
                sum += weight(&window) * window.mean;
                weights += weight(&window);
            }
            sum / weights
        };
        let mean = weighted_mean(&|window| window.n);
        // What chance explains of the windows' differences is one for each but the first.
        let heterogeneity: f64 =
            windows.clone().map(|window| window.n / within * (window.mean - mean).powi(2)).sum();
        let largest = windows.clone().map(|window| window.n.powi(2)).sum::<f64>() / calls;
        let scale = ((calls - largest) / within).max(f64::MIN_POSITIVE);
        let seen = ((heterogeneity - (count - 1.0)) / scale).max(0.0);
        let shrunk = ((count - 1.0) * seen + PRIOR_WINDOWS * PRIOR * PRIOR) / (count - 1.0 + PRIOR_WINDOWS);
        let between = shrunk.max(LEAST * LEAST);
        let mean = weighted_mean(&|window| 1.0 / (between + within / window.n));
        Some(Self { mean, between, within, windows: count, calls })
    }

    /// Logarithm of the chance that a normal window is as slow as this; 0 where it is not slower than the mean.
    pub(super) fn ln_tail(&self, window: &Moments) -> f64 {
        let excess = window.mean - self.mean;
        if window.n < 1.0 || excess <= 0.0 {
            return 0.0;
        }
        let variance =
            self.between * (1.0 + 1.0 / self.windows) + self.within * (1.0 / window.n + 1.0 / self.calls);
        ln_student(excess / variance.sqrt(), self.windows - 1.0)
    }

    pub(crate) fn is_sound(&self) -> bool {
        let positive = [self.between, self.within, self.calls];
        self.mean.is_finite()
            && positive.iter().all(|x| x.is_finite() && *x > 0.0)
            && (2.0..1e15).contains(&self.windows)
    }
}

/// Logarithm of the chance that Student's t with so many degrees of freedom is above `t`, which is not negative: half
/// of the regularised incomplete beta function of `df / (df + t²)`, by its continued fraction.
fn ln_student(t: f64, df: f64) -> f64 {
    let (a, b) = (df / 2.0, 0.5);
    let x = df / (df + t * t);
    let ln_front = |a: f64, b: f64, x: f64| a * x.ln() + b * (-x).ln_1p() - a.ln() - ln_beta(a, b);
    if x < (a + 1.0) / (a + b + 2.0) {
        return ln_front(a, b, x) + fraction(a, b, x).ln() - std::f64::consts::LN_2;
    }
    let y = t * t / (df + t * t);
    if y <= 0.0 {
        return -std::f64::consts::LN_2;
    }
    (0.5 * (1.0 - ln_front(b, a, y).exp() * fraction(b, a, y))).max(f64::MIN_POSITIVE).ln()
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |x: f64| if x.abs() < TINY { TINY } else { x };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..=300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = value;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            value *= c * d;
        }
        if (value - before).abs() < 1e-12 * value.abs() {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn students_tail_is_as_in_tables() {
        for (t, df, p) in [
            (0.0, 5.0, 0.5),
            (2.015, 5.0, 0.05),
            (6.869, 5.0, 0.0005),
            (12.706, 1.0, 0.025),
            (1.671, 60.0, 0.05),
            (3.460, 60.0, 0.0005),
            (0.679, 60.0, 0.25),
        ] {
            assert!(
                (ln_student(t, df).exp() / p - 1.0).abs() < 2e-3,
                "{t} {df}: {}",
                ln_student(t, df).exp()
            );
        }
        assert!(ln_student(1e9, 100.0).is_finite());
    }

    fn moments(n: f64, mean: f64) -> Moments {
        Moments { n, mean, squares: 0.16 * (n - 1.0) }
    }

    #[test]
    fn a_pace_that_varies_is_believed_to_vary() {
        let windows = |by: f64| (0..60).map(move |n| moments(300.0, 14.0 + by * f64::from(n % 5 - 2)));
        let steady = Pace::learn(windows(0.01)).expect("windows");
        let wild = Pace::learn(windows(0.5)).expect("windows");
        let twice = moments(300.0, 14.0 + std::f64::consts::LN_2);
        assert!(steady.ln_tail(&twice) < -20.0, "{}", steady.ln_tail(&twice));
        assert!(wild.ln_tail(&twice) > -3.0, "{}", wild.ln_tail(&twice));
        assert!((wild.mean - 14.0).abs() < 1e-6 && (wild.between - 0.5).abs() < 0.05, "{wild:?}");
        // Two windows are hardly anything.
        let little = Pace::learn(windows(0.01).take(2)).expect("windows");
        assert!(little.ln_tail(&twice) > -3.0, "{}", little.ln_tail(&twice));
    }

    proptest! {
        #[test]
        fn what_is_learned_is_sound(windows in proptest::collection::vec(
            proptest::collection::vec((any::<u64>(), 1_u64..1 << 40), 0..4), 2..20)) {
            let windows: Vec<_> = windows.iter().map(|durations| {
                let mut sketch = Sketch::default();
                durations.iter().for_each(|&(duration, count)| sketch.add_many(duration, count));
                Moments::of(&sketch)
            }).collect();
            if let Some(pace) = Pace::learn(windows.iter().copied()) {
                prop_assert!(pace.is_sound(), "{pace:?}");
                for window in &windows {
                    let tail = pace.ln_tail(window);
                    prop_assert!(tail.is_finite() && tail <= 0.0, "{tail}");
                }
            }
        }
    }
}

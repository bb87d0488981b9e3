//! Whether `k` of `n` are too many: the one test that all findings about trees are made of.
//!
//! Failures of calls, calls slower than a limit, calls of one code among those of its interface, calls of codes never
//! seen: each is a rate, learned from windows of normal time. Between windows rates vary by more than chance, so the
//! number in a window is taken to be beta-binomial: the rate itself is drawn for each window from a beta distribution
//! whose spread is learned (by moments, shrunk towards [`PRIOR_CV`] where windows are few), and is wider the less was
//! seen. The test is one-sided and exact under that model, for small numbers too.
//!
//! A p-value alone says nothing about a long run. [`evidence`] makes of it an *e-value* (Vovk and Wang, 2021), whose mean
//! is at most 1 while all is normal, and [`Watch`] adds up e-values over windows as Shiryaev and Roberts do. The mean
//! of that sum after `t` normal windows is at most `t`, so it passes a limit `A` once in `A` windows at most,
//! whatever the windows have to do with each other (Shin, Ramdas and Rinaldo, 2022). Weak signs that go on add up; strong
//! ones pass in one window.

use serde::{Deserialize, Serialize};

/// Relative deviation of a rate between windows that is assumed before any window is seen.
const PRIOR_CV: f64 = 0.5;
/// For how many windows that assumption counts.
const PRIOR_WINDOWS: f64 = 4.0;
/// Relative deviation that every rate has, however steady it looked.
const LEAST_CV: f64 = 0.05;
/// Trials counted of one window; more of them say no more about a rate that varies by itself.
const MAX_TRIALS: u64 = 20_000;
/// Nearest that a mean rate is to 0 or 1.
const LEAST_MEAN: f64 = 1e-15;
/// Surest rate: beyond it the gamma function's logarithm has too few digits.
const MAX_CONCENTRATION: f64 = 1e9;
/// Logarithm of the largest sum of evidence that is told from larger ones.
const MAX_LN: f64 = 600.0;

/// A rate and how it varies from window to window: a beta distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The mean rate, above 0 and below 1.
    pub mean: f64,
    /// How sure it is: the sum of the beta distribution's two parameters.
    pub concentration: f64,
}

impl Rate {
    /// Learns a rate from windows of `(k, n)`, each `k` at most `n`.
    pub fn learn(windows: impl Iterator<Item = (u64, u64)> + Clone) -> Self {
        let (mut hits, mut trials, mut count) = (0.0, 0.0, 0.0);
        for (k, n) in windows.clone().filter(|&(_, n)| n > 0) {
            hits += k as f64;
            trials += n as f64;
            count += 1.0;
        }
        let mean = ((hits + 0.5) / (trials + 1.0)).clamp(LEAST_MEAN, 1.0 - LEAST_MEAN);
        // Pearson's statistic is what chance explains, one per window, and the spread between windows beyond.
        let (mut pearson, mut pairs) = (0.0, 0.0);
        for (k, n) in windows.filter(|&(_, n)| n > 0) {
            let (k, n) = (k as f64, n as f64);
            pearson += (k - n * mean).powi(2) / (n * mean * (1.0 - mean));
            pairs += n - 1.0;
        }
        let spread = if pairs > 0.0 { ((pearson - count) / pairs).clamp(0.0, 1.0) } else { 0.0 };
        let square_cv = spread * (1.0 - mean) / mean;
        let shrunk = (count * square_cv + PRIOR_WINDOWS * PRIOR_CV.powi(2)) / (count + PRIOR_WINDOWS);
        let spread = (shrunk.max(LEAST_CV.powi(2)) * mean / (1.0 - mean)).clamp(1e-12, 0.5);
        let between = 1.0 / (1.0 / spread - 1.0);
        // The spread of a window around the mean, and the doubt about the mean itself.
        let doubt = between / count.max(1.0) + 1.0 / (trials + 1.0);
        Self { mean, concentration: (1.0 / (between + doubt)).min(MAX_CONCENTRATION) }
    }

    /// Logarithm of the chance that a normal window of `n` has `k` or more; 0 where `k` is not above the mean.
    pub fn ln_tail(&self, k: u64, n: u64) -> f64 {
        if n == 0 || k as f64 <= n as f64 * self.mean {
            return 0.0;
        }
        let (k, n) = match n > MAX_TRIALS {
            true => ((k as f64 * (MAX_TRIALS as f64 / n as f64)) as u64, MAX_TRIALS),
            false => (k.min(n), n),
        };
        let (a, b) = (self.mean * self.concentration, (1.0 - self.mean) * self.concentration);
        let (kf, nf) = (k as f64, n as f64);
        let first = ln_gamma(nf + 1.0) - ln_gamma(kf + 1.0) - ln_gamma(nf - kf + 1.0)
            + ln_beta(kf + a, nf - kf + b)
            - ln_beta(a, b);
        // The terms that follow, in units of the first.
        let (mut sum, mut term) = (1.0, 1.0);
        for j in k..n {
            let j = j as f64;
            term *= (nf - j) / (j + 1.0) * (a + j) / (b + nf - j - 1.0);
            sum += term;
            if term < sum * 1e-12 {
                break;
            }
        }
        (first + f64::ln(sum)).min(0.0)
    }

    pub(crate) fn is_sound(&self) -> bool {
        (LEAST_MEAN..=1.0 - LEAST_MEAN).contains(&self.mean)
            && (1e-3..=MAX_CONCENTRATION).contains(&self.concentration)
    }
}

/// Logarithm of the e-value of a p-value, both as natural logarithms: the mean of `c p^(c-1)` over all `c` from 0 to 1.
/// Between -ln 2 (for p = 1) and about `-ln_p`.
#[must_use]
pub fn evidence(ln_p: f64) -> f64 {
    let x = -ln_p;
    // (1 - p - p x) / (p x²), whose series at x = 0 begins 1/2 + x/6.
    if x < 1e-3 { (0.5 + x / 6.0).ln() } else { (-(-x).exp_m1() - x * (-x).exp()).ln() + x - 2.0 * x.ln() }
}

/// Evidence of one kind added up over windows (Shiryaev and Roberts).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch(f64);

impl Default for Watch {
    fn default() -> Self {
        Self(f64::NEG_INFINITY)
    }
}

impl Watch {
    /// Takes in the logarithm of a window's e-value; gives that of the sum so far.
    pub fn add(&mut self, ln_e: f64) -> f64 {
        let before = if self.0 > 30.0 { self.0 } else { self.0.exp().ln_1p() };
        self.0 = (before + ln_e).min(MAX_LN);
        self.0
    }

    /// The logarithm of the sum so far.
    pub fn sum(&self) -> f64 {
        self.0
    }
}

/// The greatest exponent, at most 1, by which the p-values of normal windows may be raised so that their evidence is 1 on
/// average, as evidence must be. Below 1 where real windows vary more than the model of them says.
#[must_use]
pub fn temper(ln_p: &[f64]) -> f64 {
    let within = |exponent: f64| {
        let sum: f64 = ln_p.iter().map(|&p| evidence(p * exponent).exp()).sum();
        sum <= ln_p.len() as f64
    };
    if within(1.0) {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if within(middle) { low = middle } else { high = middle }
    }
    low
}

/// Logarithm of the beta function.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// Logarithm of the gamma function for positive numbers: Stirling's series above 10, reached by recurrence from below.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0_f64);
    while x < 10.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_gamma_function_is_the_factorial() {
        let mut factorial = 0.0;
        for n in 1..60_u32 {
            factorial += f64::from(n).ln();
            assert!((ln_gamma(f64::from(n) + 1.0) - factorial).abs() < 1e-9, "{n}!");
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
    }

    /// With parameters 1 and 1 every number from 0 to n is equally likely.
    #[test]
    fn the_tail_of_a_uniform_rate_is_known() {
        let rate = Rate { mean: 0.5, concentration: 2.0 };
        for k in 51..=100 {
            let exact = (101.0 - f64::from(k as u32)) / 101.0;
            assert!((rate.ln_tail(k, 100) - f64::ln(exact)).abs() < 1e-6, "{k}");
        }
    }

    /// With a sure rate the number is binomial.
    #[test]
    fn the_tail_of_a_sure_rate_is_binomial() {
        let rate = Rate { mean: 0.001, concentration: MAX_CONCENTRATION };
        let two_or_more = 1.0 - 0.999_f64.powi(1000) - 1000.0 * 0.001 * 0.999_f64.powi(999);
        assert!((rate.ln_tail(2, 1000) - two_or_more.ln()).abs() < 1e-4);
    }

    /// The mean e-value of a normal window is 1: p is uniform then.
    #[test]
    fn evidence_is_one_on_average() {
        let steps = 1_000_000;
        let mean =
            (0..steps).map(|n| evidence(((f64::from(n) + 0.5) / f64::from(steps)).ln()).exp()).sum::<f64>()
                / f64::from(steps);
        assert!((0.9..=1.0).contains(&mean), "{mean}");
        assert!((evidence(0.0) - 0.5_f64.ln()).abs() < 1e-12);
        assert!((evidence(-1.000_001e-3) - evidence(-0.999_999e-3)).abs() < 1e-6);
        assert!(evidence(-700.0).is_finite());
    }

    #[test]
    fn windows_that_vary_are_believed_to_vary() {
        let steady: Vec<_> = (0..60).map(|n| (10 + n % 3, 1000)).collect();
        let wild: Vec<_> = (0..60).map(|n| (if n % 10 == 0 { 80 } else { 3 }, 1000)).collect();
        let [steady, wild] = [steady, wild].map(|windows| Rate::learn(windows.into_iter()));
        assert!((steady.mean - wild.mean).abs() < 0.001);
        assert!(steady.ln_tail(80, 1000) < -40.0, "{}", steady.ln_tail(80, 1000));
        assert!(wild.ln_tail(80, 1000) > -8.0, "{}", wild.ln_tail(80, 1000));
    }

    #[test]
    fn evidence_is_tempered_until_normal_windows_are_no_evidence() {
        let mut p: Vec<f64> = (1..1000).map(|n| (f64::from(n) / 1000.0).ln()).collect();
        assert!(temper(&p) > 0.99);
        p.push(-60.0);
        let exponent = temper(&p);
        let mean = p.iter().map(|p| evidence(p * exponent).exp()).sum::<f64>() / p.len() as f64;
        assert!((0.1..0.5).contains(&exponent) && (0.9..=1.0).contains(&mean), "{exponent} {mean}");
    }

    proptest! {
        /// More hits are never less surprising; nothing is more than certain; nothing is not a number.
        #[test]
        fn the_tail_falls(mean in 1e-6..0.999_f64, concentration in 0.1..1e6_f64, n in 1_u64..500, k in 0_u64..500) {
            let rate = Rate { mean, concentration };
            let (k, less) = (k.min(n), rate.ln_tail(k.min(n).saturating_sub(1), n));
            let tail = rate.ln_tail(k, n);
            prop_assert!(tail.is_finite() && tail <= less + 1e-9 && less <= 0.0, "{tail} {less}");
        }

        #[test]
        fn what_is_learned_is_sound(windows in proptest::collection::vec((0_u64..1 << 40, 0_u64..1 << 40), 0..20)) {
            let windows = windows.into_iter().map(|(k, n)| (k.min(n), n));
            let rate = Rate::learn(windows.clone());
            prop_assert!(rate.is_sound(), "{rate:?}");
            for (k, n) in windows {
                prop_assert!(rate.ln_tail(k, n).is_finite());
            }
        }
    }
}

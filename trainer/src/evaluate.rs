//! How good a model is on sessions whose kind is known.

use serde::Serialize;

/// Figures of an evaluation. Where sessions of one kind are weighted, all figures are of the weighted population.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Normal sessions.
    pub normal: usize,
    /// Abnormal sessions.
    pub abnormal: usize,
    /// Share of the abnormal sessions that are flagged (true positive rate).
    pub recall: f64,
    /// 95 % confidence interval of the recall (Wilson, 1927).
    pub recall_interval: (f64, f64),
    /// Share of the flagged sessions that are abnormal.
    pub precision: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Share of the normal sessions that are flagged.
    pub false_alarm_rate: f64,
    /// Its 95 % confidence interval.
    pub false_alarm_interval: (f64, f64),
    /// Area under the receiver operating characteristic: the chance that an abnormal session scores above a normal one.
    pub auc: f64,
}

/// How many sessions of each kind the ones at hand stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Abnormal sessions.
    pub positive: f64,
    /// Normal sessions.
    pub negative: f64,
}

/// How many sessions are flagged among those that are thought to be normal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarms {
    /// Sessions judged.
    pub sessions: usize,
    /// Sessions flagged.
    pub flagged: usize,
    /// Their share.
    pub false_alarm_rate: f64,
    /// Its 95 % confidence interval.
    pub false_alarm_interval: (f64, f64),
    /// The share that the threshold was set for.
    pub stated_rate: f64,
}

/// Counts the scores from the threshold on.
pub fn alarms(scores: &[f64], threshold: f64, stated_rate: f64) -> Alarms {
    let flagged = scores.iter().filter(|&&score| score >= threshold).count();
    Alarms {
        sessions: scores.len(),
        flagged,
        false_alarm_rate: share(flagged, scores.len()),
        false_alarm_interval: wilson(flagged, scores.len()),
        stated_rate,
    }
}

/// Compares scores with what is known. Without `weights` every session stands for itself.
pub fn evaluate(normal: &[f64], abnormal: &[f64], threshold: f64, weights: Option<Weights>) -> Evaluation {
    let flagged = |scores: &[f64]| scores.iter().filter(|&&score| score >= threshold).count();
    let (hits, alarms) = (flagged(abnormal), flagged(normal));
    let (recall, rate) = (share(hits, abnormal.len()), share(alarms, normal.len()));
    let weights =
        weights.unwrap_or(Weights { positive: abnormal.len() as f64, negative: normal.len() as f64 });
    let (found, false_alarms) = (recall * weights.positive, rate * weights.negative);
    let precision = if found + false_alarms > 0.0 { found / (found + false_alarms) } else { 0.0 };
    let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
    Evaluation {
        normal: normal.len(),
        abnormal: abnormal.len(),
        recall,
        recall_interval: wilson(hits, abnormal.len()),
        precision,
        f1,
        false_alarm_rate: rate,
        false_alarm_interval: wilson(alarms, normal.len()),
        auc: auc(normal, abnormal),
    }
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// Wilson's score interval for a share, at 95 %.
pub(crate) fn wilson(part: usize, of: usize) -> (f64, f64) {
    wilson_of(share(part, of), of as f64)
}

/// The same for a share `p` of `n`, which need not be a whole number: as many as would give a share its variance.
pub(crate) fn wilson_of(p: f64, n: f64) -> (f64, f64) {
    if n <= 0.0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// Mann-Whitney statistic; equal scores count half.
fn auc(normal: &[f64], abnormal: &[f64]) -> f64 {
    if normal.is_empty() || abnormal.is_empty() {
        return 0.5;
    }
    let mut all: Vec<(f64, bool)> = normal.iter().map(|&score| (score, false)).collect();
    all.extend(abnormal.iter().map(|&score| (score, true)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let abnormal = group.iter().filter(|(_, abnormal)| *abnormal).count() as f64;
        let normal = group.len() as f64 - abnormal;
        wins += abnormal * (below + normal / 2.0);
        below += normal;
    }
    wins / (normal.len() as f64 * abnormal.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_definitions() {
        let result = evaluate(&[0.0, 1.0, 2.0, 9.0], &[5.0, 6.0, 1.0, 8.0], 5.0, None);
        assert_eq!((result.recall, result.false_alarm_rate, result.precision), (0.75, 0.25, 0.75));
        assert_eq!(result.auc, (3.0 + 3.0 + 1.5 + 3.0) / 16.0);
        assert!(result.recall_interval.0 < 0.75 && result.recall_interval.1 > 0.75);
    }

    #[test]
    fn weights_change_the_precision_alone() {
        let weights = Some(Weights { positive: 1.0, negative: 99.0 });
        let result = evaluate(&[0.0, 9.0], &[9.0, 9.0], 5.0, weights);
        assert_eq!(result.recall, 1.0);
        assert!((result.precision - 1.0 / (1.0 + 49.5)).abs() < 1e-12);
    }
}

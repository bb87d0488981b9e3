//! The results of an evaluation in words.

use crate::drift::Drift;
use crate::evaluate::Evaluation;
use crate::holdout::{HoldOut, Trial};
use crate::ingest::Format;

/// Interfaces named of those that appeared or vanished.
const NAMED: usize = 8;

/// Precision, recall and the like.
pub(super) fn evaluation(result: &Evaluation) -> Vec<String> {
    vec![
        format!("sessions          {} normal, {} abnormal", result.normal, result.abnormal),
        format!("recall            {} {}", percent(result.recall), range(result.recall_interval)),
        format!(
            "false-alarm rate  {} {}",
            percent(result.false_alarm_rate),
            range(result.false_alarm_interval)
        ),
        format!("precision         {}", percent(result.precision)),
        format!("F1                {:.4}", result.f1),
        format!("AUC               {:.4}", result.auc),
    ]
}

/// A time as people write it.
pub(super) fn time(nanos: gait_common::call::Nanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanos))
        .map_or_else(|_| nanos.to_string(), |time| time.strftime("%F %T UTC").to_string())
}

/// What was held out, and how the model did on it.
pub(super) fn held_out(result: &HoldOut, format: Format) -> Vec<String> {
    let at = match format {
        Format::Sequences => format!("session {}", result.cut + 1),
        _ => time(result.cut),
    };
    let trained = &result.trained;
    let mut lines = vec![format!(
        "trained on        {} sessions of {} callers before {at}",
        trained.sessions, trained.callers
    )];
    if result.severed > 0 {
        lines.push(format!("left out          {} sessions that were going on then", result.severed));
    }
    lines.extend(trial(&result.trial));
    lines
}

/// How many are flagged, and what has drifted.
pub(super) fn trial(result: &Trial) -> Vec<String> {
    let alarms = &result.alarms;
    let verdict = match alarms.false_alarm_interval {
        (low, _) if low > alarms.stated_rate => "more than stated",
        (_, high) if high < alarms.stated_rate => "less than stated",
        _ => "as stated, as far as so many sessions can tell",
    };
    let mut lines = vec![
        format!("judged            {} sessions, {} flagged", alarms.sessions, alarms.flagged),
        format!(
            "false-alarm rate  {} {}",
            percent(alarms.false_alarm_rate),
            range(alarms.false_alarm_interval)
        ),
        format!("stated rate       {}: {verdict}", percent(alarms.stated_rate)),
    ];
    lines.extend(drift(&result.drift));
    lines
}

fn drift(drift: &Drift) -> Vec<String> {
    let mark = |drifted: bool| if drifted { "DRIFTED" } else { "no drift" };
    let (frequencies, scores) = (&drift.frequencies, &drift.scores);
    let mut lines = vec![
        format!("drift             {}", if drift.drifted { "yes" } else { "no" }),
        format!(
            "  frequencies     {}: stability index {:.3} (from {:.2} on), {:.1} deviations (from {:.1} on)",
            mark(frequencies.drifted),
            frequencies.stability_index,
            frequencies.index_bound,
            frequencies.deviation,
            frequencies.deviation_bound
        ),
        format!(
            "  unknown calls   {} of all, {} in training",
            percent(frequencies.unknown_share.1),
            percent(frequencies.unknown_share.0)
        ),
        format!(
            "  scores          {}: distributions differ by {:.3} (over {:.3}), most at {:.2}",
            mark(scores.drifted),
            scores.difference,
            scores.bound,
            scores.at
        ),
    ];
    let appeared = drift.appeared.iter().filter(|interface| interface.drifted);
    lines.extend(appeared.take(NAMED).map(|new| {
        format!("  appeared        {} ({} callers, {} calls)", new.interface, new.callers, new.calls)
    }));
    lines.extend(drift.vanished.iter().take(NAMED).map(|gone| {
        format!(
            "  vanished        {} (in {} of the sessions of training)",
            gone.interface,
            percent(gone.share_in_training)
        )
    }));
    lines
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn range((low, high): (f64, f64)) -> String {
    format!("(95 % interval {} to {})", percent(low), percent(high))
}

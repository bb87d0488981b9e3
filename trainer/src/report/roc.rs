//! What labels tell: how well anomalous sessions are told from normal ones, at every threshold.

use maud::{Markup, html};

use super::chart::{Room, count, labelled, num, percent, plain};
use super::{Section, View};
use crate::evaluate::evaluate;
use crate::train::Labelled;

/// The section; none without labels.
pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let known = view.trained.labelled.as_ref()?;
    let normal: Vec<f64> = view.trained.held_out.scores.iter().map(|&score| f64::from(score)).collect();
    let result = evaluate(&normal, &known.scores, view.model.threshold(), None);
    let range = |(low, high): (f64, f64)| format!("{} to {}", percent(low), percent(high));
    let body = html! {
        p {
            (count(known.scores.len() as u64)) " sessions are labelled anomalous. They were not learned from. Here their scores "
            "stand against those of the " (count(normal.len() as u64)) " held-out normal sessions."
        }
        div class="pair" {
            figure {
                (curve(&normal, &known.scores, (result.false_alarm_rate, result.recall)))
                figcaption { "Receiver operating characteristic: what share of each kind is flagged as the threshold falls. The dot is the threshold in use." }
            }
            div {
                table {
                    tbody {
                        tr { th { "Area under the curve" } td class="num" { (plain(result.auc)) } td {} }
                        tr { th { "Recall" } td class="num" { (percent(result.recall)) } td class="soft" { (range(result.recall_interval)) } }
                        tr { th { "False-alarm rate" } td class="num" { (percent(result.false_alarm_rate)) } td class="soft" { (range(result.false_alarm_interval)) } }
                        tr { th { "Precision" } td class="num" { (percent(result.precision)) } td class="soft" { "among these sessions" } }
                        tr { th { "F1" } td class="num" { (plain(result.f1)) } td {} }
                    }
                }
                p class="soft" { "Intervals are of 95 %." }
                (rule(view, known))
            }
        }
    };
    Some(Section { id: "labels", title: "Labels", body })
}

/// How the threshold came about.
fn rule(view: &View<'_>, known: &Labelled) -> Markup {
    let threshold = view.model.threshold();
    html! {
        p {
            @if !known.chosen {
                "No labelled session scores above what " (percent(view.false_alarm_rate())) " of the normal ones reach, so the "
                "threshold is the one that normal sessions alone give, " (plain(threshold)) "."
            } @else if threshold == known.unlabelled_threshold {
                "The threshold that normal sessions alone give, " (plain(threshold)) ", already finds every labelled session that can "
                "be found at the stated rate."
            } @else {
                "With the labels the threshold moved from " (plain(known.unlabelled_threshold)) " to " (plain(threshold))
                ": of all thresholds that flag at most " (percent(view.false_alarm_rate())) " of the held-out normal sessions, it finds "
                "the most labelled ones."
            }
        }
    }
}

fn curve(normal: &[f64], anomalous: &[f64], used: (f64, f64)) -> Markup {
    let room = Room::HALF;
    let (x, y) = (room.x(0.0, 1.0), room.y(0.0, 1.0));
    let points: Vec<String> = points(normal, anomalous)
        .into_iter()
        .map(|(alarms, recall)| format!("{},{}", num(x.at(alarms)), num(y.at(recall))))
        .collect();
    let whole = |share: f64| format!("{:.0} %", 100.0 * share);
    let contents = html! {
        (room.axes(&labelled(&x, 5, whole), &labelled(&y, 5, whole), "normal sessions flagged", "anomalous sessions flagged"))
        line class="even" x1=(num(x.at(0.0))) y1=(num(y.at(0.0))) x2=(num(x.at(1.0))) y2=(num(y.at(1.0))) {}
        polyline class="curve" points=(points.join(" ")) {}
        circle class="dot chosen" cx=(num(x.at(used.0))) cy=(num(y.at(used.1))) r="6" {
            title { (percent(used.0)) " of the normal and " (percent(used.1)) " of the anomalous sessions are flagged" }
        }
    };
    room.picture("receiver operating characteristic", &contents)
}

/// The corners of the curve: shares of normal and of anomalous scores from each score on, the highest first.
fn points(normal: &[f64], anomalous: &[f64]) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, bool)> = normal.iter().map(|&score| (score, false)).collect();
    all.extend(anomalous.iter().map(|&score| (score, true)));
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (n, m) = (normal.len().max(1) as f64, anomalous.len().max(1) as f64);
    let (mut alarms, mut hits) = (0.0, 0.0);
    let mut points = vec![(0.0, 0.0)];
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let of_group = group.iter().filter(|(_, anomalous)| *anomalous).count() as f64;
        hits += of_group;
        alarms += group.len() as f64 - of_group;
        let next = (alarms / n, hits / m);
        // Of a straight stretch only its ends are kept.
        if let [.., before, last] = points[..]
            && (before.0 == last.0 && last.0 == next.0 || before.1 == last.1 && last.1 == next.1)
        {
            points.pop();
        }
        points.push(next);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_from_nothing_to_everything() {
        assert_eq!(
            points(&[0.0, 0.0, 1.0, 5.0], &[5.0, 7.0]),
            [(0.0, 0.0), (0.0, 0.5), (0.25, 1.0), (1.0, 1.0)]
        );
    }
}

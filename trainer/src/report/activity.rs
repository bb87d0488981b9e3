//! When the calls were made, and how long sessions are.

use gait_common::sequence::SECOND;
use maud::{Markup, html};

use super::chart::{Room, brief, count, labelled, num};
use super::{Section, View, duration, mean};

/// Most bars over the whole time.
const BARS: u64 = 100;
/// Bars of the lengths of sessions; the last one holds everything longer.
const LENGTHS: usize = 40;

/// The section; none when the input has no times.
pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let meta = &view.model.meta;
    let body = html! {
        @if meta.last_call > meta.first_call {
            figure class="scroll" {
                (over_time(view))
                figcaption {
                    "Calls over time (UTC), a bar for every "
                    (duration(bar_width(meta.last_call - meta.first_call))) ". Habits of times that are not in here are not learned."
                }
            }
        }
        figure class="scroll" {
            (lengths(view))
            figcaption {
                @let timing = &view.model.timing;
                "Sessions by their number of calls. A session ends after " (duration(timing.session_idle)) " of silence"
                @if meta.last_call > 0 {
                    ", an operation of one user action after " (duration(timing.operation_gap))
                }
                "; " (count(view.trained.corpus.sessions.iter().filter(|session| session.complete).count() as u64))
                " of " (count(meta.sessions)) " sessions were seen from beginning to end."
            }
        }
    };
    (meta.sessions > 0).then_some(Section { id: "traffic", title: "Traffic", body })
}

/// The width of a bar: round, and such that there are at most [`BARS`].
fn bar_width(span: u64) -> u64 {
    const MINUTE: u64 = 60 * SECOND;
    const DAY: u64 = 1440 * MINUTE;
    let round = [1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600].map(|seconds| seconds * SECOND);
    let fits = round.into_iter().find(|width| span / width < BARS);
    fits.unwrap_or_else(|| DAY * (span / BARS).div_ceil(DAY))
}

fn over_time(view: &View<'_>) -> Markup {
    let (first, last) = (view.model.meta.first_call, view.model.meta.last_call);
    let width = bar_width(last - first);
    let begin = first - first % width;
    let mut bars = vec![0u64; ((last - begin) / width + 1) as usize];
    let corpus = &view.trained.corpus;
    for step in corpus.sessions.iter().flat_map(|session| corpus.steps(session)) {
        if let Some(bar) = bars.get_mut((step.start.saturating_sub(begin) / width) as usize) {
            *bar += 1;
        }
    }
    let most = bars.iter().copied().max().unwrap_or_default();
    let room = Room { height: 205.0, top: 12.0, bottom: 26.0, ..Room::WIDE };
    let (x, y) = (room.x(0.0, bars.len() as f64), room.y(0.0, most as f64));
    let moment = |bar: usize| moment_text(begin + bar as u64 * width, last - first);
    let stride = bars.len().div_ceil(7).max(1);
    let moments: Vec<_> =
        (0..bars.len()).step_by(stride).map(|bar| (x.at(bar as f64 + 0.5), moment(bar))).collect();
    let columns_of = bars.iter().enumerate().map(|(at, &calls)| {
        (at as f64, at as f64 + 1.0, calls as f64, format!("{}: {} calls", moment(at), count(calls)))
    });
    let contents = html! {
        (room.axes(&moments, &labelled(&y, 4, brief), "", "calls"))
        (columns(columns_of, |at| x.at(at), |calls| y.at(calls), room.height - room.bottom))
    };
    room.picture("calls over time", &contents)
}

fn lengths(view: &View<'_>) -> Markup {
    let corpus = &view.trained.corpus;
    let lengths: Vec<usize> = corpus.sessions.iter().map(|session| corpus.steps(session).len()).collect();
    let longest = lengths.iter().copied().max().unwrap_or(1);
    let width = longest.div_ceil(LENGTHS).max(1);
    let mut bars = vec![0u64; longest.div_ceil(width)];
    lengths.iter().for_each(|length| bars[(length.max(&1) - 1) / width] += 1);
    let room = Room { height: 220.0, top: 12.0, ..Room::WIDE };
    let most = bars.iter().copied().max().unwrap_or(1);
    let (x, y) = (room.x(0.5, bars.len() as f64 * width as f64 + 0.5), room.y_counts(most as f64));
    let columns_of = bars.iter().enumerate().map(|(at, &sessions)| {
        let (from, to) = (at * width + 1, (at + 1) * width);
        let which = if from == to { format!("{from}") } else { format!("{from} to {to}") };
        let about = format!("{which} calls: {} sessions", count(sessions));
        (from as f64 - 0.5, to as f64 + 0.5, sessions as f64, about)
    });
    let contents = html! {
        (room.axes(&labelled(&x, 10, |x| format!("{x}")), &labelled(&y, 4, brief), "calls in a session", "sessions (log scale)"))
        (columns(columns_of, |at| x.at(at), |sessions| y.at(sessions), room.height - room.bottom))
    };
    let average = mean(view.model.meta.calls, view.model.meta.sessions);
    room.picture(&format!("lengths of sessions, {average:.1} calls on average"), &contents)
}

/// Columns from one place to the next, each with its height and what it says when it is pointed at.
pub(super) fn columns(
    bars: impl Iterator<Item = (f64, f64, f64, String)>,
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
    ground: f64,
) -> Markup {
    html! {
        @for (from, to, height, about) in bars {
            @if height > 0.0 {
                @let (left, right, top) = (x(from), x(to), y(height).min(ground - 1.5));
                @let space = if right - left > 4.0 { 1.0 } else { 0.0 };
                rect class="bar" x=(num(left)) y=(num(top)) width=(num((right - left - space).max(1.0)))
                    height=(num(ground - top)) { title { (about) } }
            }
        }
    }
}

/// A moment, to what matters within so long a time.
fn moment_text(nanos: u64, span: u64) -> String {
    let Ok(moment) = jiff::Timestamp::from_nanosecond(i128::from(nanos)) else { return String::new() };
    let long = span > 3 * 86_400 * 1_000_000_000;
    moment.strftime(if long { "%d %b %H:00" } else { "%d %b %H:%M" }).to_string()
}

//! Exports of several shapes, whole and damaged.

use super::super::spans::read_stream;
use super::super::{Format, Options, ReadReport};
use proptest::prelude::*;

/// Service, instance, operation, id, parent, start, duration, failed.
type Read = (String, String, String, u64, Option<u64>, u64, u64, bool);

fn read(text: &[u8]) -> (Vec<Read>, ReadReport) {
    let mut spans = Vec::new();
    let options = Options { max_malformed: 1.0, ..Options::default() };
    let report = read_stream(text, "t", Format::Jaeger, &options, &mut |span, _| {
        let own = str::to_owned;
        spans.push((
            own(span.service),
            own(span.instance),
            own(span.operation),
            span.id,
            span.parent,
            span.start,
            span.duration,
            span.failed,
        ));
        Ok(())
    })
    .expect("memory can be read");
    (spans, report)
}

const TRACE: &str = r#"{"traceID":"ab","spans":[
  {"traceID":"ab","spanID":"1","operationName":"GET /","references":[],"startTime":5,"duration":7,"tags":[],"processID":"p1"},
  {"traceID":"ab","spanID":"2","operationName":"find","startTime":6,"duration":"2","processID":"p2","warnings":null,
   "references":[{"refType":"FOLLOWS_FROM","traceID":"ab","spanID":"9"},{"refType":"CHILD_OF","traceID":"ab","spanID":"1",
      "span":{"traceID":"ab","spanID":"1","references":[]}}],
   "tags":[{"key":"error","type":"bool","value":true}]},
  {"traceID":"ab","spanID":"3","operationName":"link","startTime":6,"duration":2,"process":{"serviceName":"own"},
   "references":[{"refType":"CHILD_OF","traceID":"cd","spanID":"1"}]}],
 "processes":{"p1":{"serviceName":"shop","tags":[{"key":"ip","value":"10.0.0.1"},{"key":"hostname","value":"a1"}]},"p2":{"serviceName":"db"}}}"#;

fn want() -> Vec<Read> {
    let of = |service: &str, instance: &str, operation: &str| {
        (service.to_owned(), instance.to_owned(), operation.to_owned())
    };
    let (a, b, c) = (of("shop", "a1", "GET /"), of("db", "", "find"), of("own", "", "link"));
    vec![
        (a.0, a.1, a.2, 1, None, 5000, 7000, false),
        (b.0, b.1, b.2, 2, Some(1), 6000, 2000, true),
        (c.0, c.1, c.2, 3, None, 6000, 2000, false),
    ]
}

#[test]
fn exports_of_every_shape() {
    let line = TRACE.replace('\n', " ");
    let documents = [
        format!(r#"{{"data":[{TRACE}],"total":0,"errors":null}}"#),
        format!(r#"{{"data":{TRACE}}}"#),
        TRACE.to_owned(),
        format!("[{TRACE}]"),
    ];
    for document in documents {
        let (spans, report) = read(document.as_bytes());
        assert_eq!(spans, want(), "{document}");
        assert_eq!(report.faults(), 0);
    }
    let (spans, report) = read(format!("{line}\nbroken\n{line}\n").as_bytes());
    assert_eq!(spans, [want(), want()].concat());
    assert_eq!((report.faults(), report.samples[0].line), (1, 2));
}

#[test]
fn what_is_wrong_with_a_span_is_named_and_the_others_are_read() {
    for (from, to, reason) in [
        (r#""spanID":"1","operationName""#, r#""operationName""#, "spanID is missing"),
        (r#""operationName":"find""#, r#""operationName":7"#, "operationName is missing"),
        (r#""startTime":5"#, r#""startTime":-5"#, "startTime cannot be read"),
        (r#""duration":"2""#, r#""duration":"two""#, "duration cannot be read"),
        (r#""processID":"p2""#, r#""processID":"p9""#, "serviceName is missing"),
    ] {
        let (spans, report) = read(TRACE.replacen(from, to, 1).as_bytes());
        assert_eq!((spans.len(), report.faults()), (2, 1), "{to}");
        assert_eq!(report.samples[0].reason.to_string(), reason);
    }
}

#[test]
fn a_trace_of_too_many_spans_costs_bounded_memory() {
    let span = r#"{"traceID":"ab","spanID":"1","operationName":"o","startTime":5,"duration":7,"process":{"serviceName":"s"}},"#;
    let text = format!(r#"{{"spans":[{}{{}}]}}"#, span.repeat(super::MAX_SPANS + 4));
    let (spans, report) = read(text.as_bytes());
    assert_eq!((spans.len(), report.faults()), (super::MAX_SPANS, 5));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..2000, put in any::<u8>()) {
        read(&bytes);
        let mut damaged = TRACE.as_bytes().to_vec();
        let at = at % damaged.len();
        damaged[at] = put;
        read(&damaged);
        damaged.truncate(at);
        read(&damaged);
    }
}

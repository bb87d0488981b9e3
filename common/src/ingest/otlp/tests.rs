//! Documents and lines, whole and damaged.

use super::super::spans::{Span, read_stream};
use super::super::{Format, Options, ReadReport};
use proptest::prelude::*;

type Read = (String, String, String, u128, u64, Option<u64>, u64, u64, bool, u64);

fn read(text: &[u8], options: &Options) -> (Vec<Read>, ReadReport) {
    let mut spans = Vec::new();
    let report = read_stream(text, "t", Format::Otlp, options, &mut |span: Span<'_>, place| {
        let Span { trace, id, parent, service, instance, operation, start, duration, failed } = span;
        spans.push((
            service.to_owned(),
            instance.to_owned(),
            operation.to_owned(),
            trace,
            id,
            parent,
            start,
            duration,
            failed,
            place.line,
        ));
        Ok(())
    })
    .expect("memory can be read");
    (spans, report)
}

fn lenient() -> Options {
    Options { max_malformed: 1.0, ..Options::default() }
}

const RESOURCE: &str = r#""resource":{"attributes":[{"key":"host.name","value":{"stringValue":"h"}},
    {"value":{"stringValue":"shop"},"key":"service.name"},{"key":"k8s.pod.name","value":{"stringValue":"shop-1"}},{"key":"x","value":{"intValue":"7"}}]}"#;
const SPAN: &str = r#"{"traceId":"0102030405060708090A0b0c0d0e0f10","spanId":"00000000000000ff","parentSpanId":"",
    "name":"GET /","startTimeUnixNano":"1000","endTimeUnixNano":2500,"kind":2,"attributes":[{"key":"a","value":{"arrayValue":{}}}],"status":{"code":2}}"#;

fn document(resource_first: bool, spans: &str) -> String {
    let spans = format!(r#""scopeSpans":[{{"scope":{{}},"spans":[{spans}]}}]"#);
    let (first, second) =
        if resource_first { (RESOURCE.to_owned(), spans) } else { (spans, RESOURCE.to_owned()) };
    format!(r#"{{"resourceSpans":[{{{first},{second}}}]}}"#)
}

#[test]
fn one_document_over_many_lines_in_any_order_of_fields() {
    for resource_first in [true, false] {
        let (spans, report) = read(document(resource_first, SPAN).as_bytes(), &Options::default());
        let want = (
            "shop".to_owned(),
            "shop-1".to_owned(),
            "GET /".to_owned(),
            0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
            255,
            None,
            1000,
            1500,
            true,
            spans[0].9,
        );
        assert_eq!(spans, [want]);
        assert_eq!((report.records, report.faults()), (1, 0));
    }
}

#[test]
fn lines_damaged_lines_and_base64() {
    let base64 = SPAN
        .replace("0102030405060708090A0b0c0d0e0f10", "AQIDBAUGBwgJCgsMDQ4PEA==")
        .replace("00000000000000ff", "AAAAAAAAAP8=");
    let line = |span: &str| document(true, span).replace('\n', " ");
    let text = format!(
        "{}\n{}\nno json\n{{\"resourceSpans\":[{{]\n\n{}\n7\n{}",
        line(SPAN),
        line(&base64),
        line(&SPAN.replace("1000", "soon")),
        line(SPAN),
    );
    let (spans, report) = read(text.as_bytes(), &lenient());
    assert_eq!(spans.iter().map(|span| span.9).collect::<Vec<_>>(), [1, 2, 8]);
    assert!(spans.iter().all(|span| span.3 == spans[0].3 && span.4 == 255));
    let places: Vec<u64> = report.samples.iter().map(|sample| sample.line).collect();
    assert_eq!((report.faults(), places), (4, vec![3, 4, 6, 7]));
    assert_eq!(report.lines, report.records + report.faults());
}

#[test]
fn what_is_wrong_with_a_span_is_named_and_the_others_are_read() {
    for (from, to, reason) in [
        ("\"traceId\"", "\"x\"", "traceId cannot be read"),
        ("00000000000000ff", "zz", "spanId cannot be read"),
        ("\"parentSpanId\":\"\"", "\"parentSpanId\":\"?\"", "parentSpanId cannot be read"),
        ("GET /", "", "name is missing"),
        ("\"name\":\"GET /\"", "\"name\":[1]", "name is missing"),
        ("2500", "true", "endTimeUnixNano cannot be read"),
    ] {
        let spans = format!("{},{SPAN}", SPAN.replace(from, to));
        let (read, report) = read(document(true, &spans).as_bytes(), &lenient());
        assert_eq!((read.len(), report.faults()), (1, 1), "{to}");
        assert_eq!(report.samples[0].reason.to_string(), reason);
    }
}

#[test]
fn a_text_of_any_length_costs_bounded_memory() {
    let long =
        format!("{}\n{}", document(true, &SPAN.replace("GET /", &"x".repeat(5000))), document(true, SPAN));
    let (spans, report) = read(
        long.replace('\n', " ").replacen("} {", "}\n{", 1).as_bytes(),
        &Options { max_line: 4000, ..lenient() },
    );
    assert!(report.samples.iter().any(|sample| sample.reason.to_string() == "line is too long"), "{report}");
    assert!(spans.len() <= 1);
    let deep = "[".repeat(100_000);
    assert_eq!(read(deep.as_bytes(), &lenient()).1.faults(), 1);
}

#[test]
fn the_visitor_can_end_the_reading() {
    let error = read_stream(document(true, SPAN).as_bytes(), "t", Format::Otlp, &lenient(), &mut |_, _| {
        anyhow::bail!("enough")
    });
    assert_eq!(error.expect_err("the visitor failed").to_string(), "enough");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..600, put in any::<u8>()) {
        read(&bytes, &lenient());
        let mut damaged = document(true, SPAN).into_bytes();
        let at = at % damaged.len();
        damaged[at] = put;
        read(&damaged, &lenient());
        damaged.truncate(at);
        read(&damaged, &lenient());
    }
}

//! Headers of several kinds, quotes, and damaged lines.

use super::super::spans::{Span, read_stream};
use super::super::{Format, Options, ReadReport};
use proptest::prelude::*;

/// Service, instance, operation; id, parent; start, duration; failed.
type Read = ([String; 3], u64, Option<u64>, u64, u64, bool);

fn read(text: &[u8]) -> (Vec<Read>, ReadReport) {
    let mut spans = Vec::new();
    let options = Options { max_malformed: 1.0, max_line: 2000, ..Options::default() };
    let report = read_stream(text, "t", Format::SpansCsv, &options, &mut |span: Span<'_>, _| {
        let texts = [span.service, span.instance, span.operation].map(str::to_owned);
        spans.push((texts, span.id, span.parent, span.start, span.duration, span.failed));
        Ok(())
    })
    .expect("memory can be read");
    (spans, report)
}

#[test]
fn columns_of_every_name_in_every_order() {
    let second = 1_674_982_159_000_000_000;
    let want = |service: &str, instance: &str, parent, failed| {
        (
            [service.to_owned(), instance.to_owned(), "GET /a, b".to_owned()],
            0xab,
            parent,
            second,
            28_000,
            failed,
        )
    };
    for (text, want) in [
        (
            "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n\
             1,ab,root,shop-6f6cfc45b-h5m2n,\"GET /a, b\",1674982159000000000,1674982159000028000,7\r\n",
            want("shop", "shop-6f6cfc45b-h5m2n", None, false),
        ),
        (
            "\u{feff}duration_ms, Operation ,service,host,Start Time,span_id,trace-id,parent_span_id,error\n\
             0.028,\"GET /a, b\",shop,h1,2023-01-29T08:49:19Z,AB,t-1,1f,true\n",
            want("shop", "h1", Some(0x1f), true),
        ),
        (
            "trace,span,parent,service,name,timestamp,duration,status,extra\n\
             t,ab,0,shop,\"GET /a, b\",1674982159.0,28,503,\"x\"\"y\"\n",
            want("shop", "", None, true),
        ),
    ] {
        let (spans, report) = read(text.as_bytes());
        assert_eq!(spans, [want], "{report}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let header = "TraceID,SpanID,ParentID,service,operation,start,duration\n";
    let lines = [
        ("1,2,root,s,o,soon,1", "start cannot be read"),
        ("1,2,root,s,o,1,-1", "duration cannot be read"),
        ("1,2,root,s,o,1", "duration cannot be read"),
        (",2,root,s,o,1,1", "TraceID is missing"),
        ("1,,root,s,o,1,1", "SpanID is missing"),
        ("1,2,root,,o,1,1", "service is missing"),
        ("1,2,root,s,,1,1", "operation is missing"),
    ];
    let text: String =
        lines.iter().map(|(line, _)| format!("{line}\n1,2,root,s,\"o,1,1\"\",2,3\n\n")).collect();
    let (spans, report) = read(format!("{header}{text}1,2,root,s,o,1,1").as_bytes());
    assert_eq!((spans.len(), report.faults()), (1, 14), "an open quote takes the rest of its line");
    for ((line, reason), sample) in lines.iter().zip(report.samples.iter().step_by(2)) {
        assert_eq!(sample.reason.to_string(), *reason, "{line}");
    }
    assert_eq!(report.samples[2].line, 5);
    let long = format!("{header}{}\n1,2,root,s,o,1,1\n", "x".repeat(3000));
    assert_eq!((read(long.as_bytes()).0.len(), read(long.as_bytes()).1.faults()), (1, 1));
}

#[test]
fn a_file_without_names_of_columns_is_refused() {
    let error = read_stream(
        &b"1,2,root,s,o,1,1\n1,3,2,s,o,1,1\n"[..],
        "f.csv",
        Format::SpansCsv,
        &Options::default(),
        &mut |_, _| Ok(()),
    )
    .expect_err("no header");
    assert!(error.to_string().contains("f.csv:1: column TraceID is missing"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), line in "[a-f0-9,\" ]{0,80}") {
        read(&bytes);
        read(format!("trace,span,service,operation,start,duration,end,pod,error\n{line}\n").as_bytes());
    }

    /// Whatever text an operation is made of arrives unchanged.
    #[test]
    fn quoted_texts_come_back(name in "[^\r\n\u{0}]{1,40}") {
        prop_assume!(!name.trim().is_empty());
        let quoted = name.replace('"', "\"\"");
        let text = format!("trace,span,service,operation,start,duration\n1,2,s,\"{quoted}\",3,4\n");
        let (spans, _) = read(text.as_bytes());
        prop_assert_eq!(&spans[0].0[2], name.trim());
    }
}

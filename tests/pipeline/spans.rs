//! Traces of a small shop in every format of spans: learned alike, drawn, and judged against known faults.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::{path, trainer};

const SECOND: u64 = 1_000_000_000;
/// When the shop opened: the beginning of a minute.
const OPENED: u64 = 1_700_000_040 * SECOND;
/// Minutes without a fault, and traces in each.
const MINUTES: u64 = 40;
const VISITS: u64 = 40;

#[derive(Clone)]
struct Span {
    trace: u64,
    id: u64,
    parent: u64,
    service: &'static str,
    name: &'static str,
    start: u64,
    duration: u64,
    failed: bool,
}

/// What is wrong with the shop.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Nothing.
    None,
    /// Prices take ten times as long.
    SlowPrice,
    /// The cart cannot be read; who called it gives up.
    BrokenCart,
    /// Prices look as ever and are nonsense; who asked gives up.
    WrongPrice,
}

/// The spans of one visit: the gate asks the cart, then the price twice in parallel.
fn visit(trace: u64, start: u64, fault: Fault, rng: &mut Rng) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut add = |parent: u64, service, name, start: u64, duration: u64, failed| {
        let id = spans.len() as u64 + 1;
        spans.push(Span { trace, id, parent, service, name, start, duration, failed });
        id
    };
    let broken = fault == Fault::BrokenCart;
    let mut ms = |mean: u64| rng.u64(mean * 700_000..mean * 1_300_000);
    let (read, find, quote) = (ms(8), ms(3), if fault == Fault::SlowPrice { ms(40) } else { ms(4) });
    let total = read + if broken { ms(2) } else { quote + ms(10) };
    let gate = add(0, "gate", "GET /cart", start, total, broken);
    let cart = add(gate, "cart", "list", start + 1_000_000, read, broken);
    if broken {
        add(cart, "cart", "error", start + 2_000_000, 50_000, true);
        add(gate, "gate", "error", start + read + 1_500_000, 50_000, true);
    } else {
        add(cart, "cart", "SELECT", start + 2_000_000, find, false);
        let asked = start + read + 2_000_000;
        for (offset, rows) in [(0, 1), (rng.u64(1000..9000), 2)] {
            let price = add(gate, "price", "quote", asked + offset, quote, false);
            (0..rows).for_each(|row| {
                add(price, "price", "SELECT", asked + offset + 100_000 * (row + 1), 50_000, false);
            });
        }
        let last = if fault == Fault::WrongPrice { "error" } else { "render" };
        add(gate, "gate", last, asked + quote + 100_000, 2_000_000, false);
    }
    spans
}

/// Minutes from `from` on, their spans in no order at all.
fn minutes(from: u64, count: u64, fault: Fault, seed: u64) -> Vec<Span> {
    let mut rng = Rng::with_seed(seed);
    let mut spans = Vec::new();
    for number in from * VISITS..(from + count) * VISITS {
        let start = OPENED + number * 60 * SECOND / VISITS;
        spans.extend(visit(number + 1, start, fault, &mut rng));
    }
    rng.shuffle(&mut spans);
    spans
}

fn csv(spans: &[Span]) -> String {
    let mut out =
        "TraceID,SpanID,ParentID,PodName,service,OperationName,start,end,duration,error\n".to_owned();
    for Span { trace, id, parent, service, name, start, duration, failed } in spans {
        let end = start + duration;
        writeln!(out, "{trace:x},{id:x},{parent:x},{service}-1,{service},{name},{start},{end},,{failed}")
            .expect("memory can be written");
    }
    out
}

fn otlp(spans: &[Span]) -> String {
    let line = |span: &Span| {
        json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": span.service}},
                {"key": "k8s.pod.name", "value": {"stringValue": format!("{}-1", span.service)}}]},
            "scopeSpans": [{"spans": [{
                "traceId": format!("{:032x}", span.trace), "spanId": format!("{:016x}", span.id),
                "parentSpanId": if span.parent == 0 { String::new() } else { format!("{:016x}", span.parent) },
                "name": span.name, "startTimeUnixNano": span.start.to_string(),
                "endTimeUnixNano": (span.start + span.duration).to_string(),
                "status": {"code": if span.failed { 2 } else { 0 }}}]}]}]})
        .to_string()
    };
    spans.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn jaeger(spans: &[Span]) -> String {
    let mut traces: std::collections::BTreeMap<u64, Vec<&Span>> = Default::default();
    spans.iter().for_each(|span| traces.entry(span.trace).or_default().push(span));
    let trace = |(id, spans): (&u64, &Vec<&Span>)| {
        let span = |span: &&Span| {
            let parent = format!("{:x}", span.parent);
            let references = json!([{"refType": "CHILD_OF", "traceID": format!("{id:x}"), "spanID": parent}]);
            json!({"traceID": format!("{id:x}"), "spanID": format!("{:x}", span.id), "operationName": span.name,
                "references": if span.parent == 0 { json!([]) } else { references },
                "startTime": span.start / 1000, "duration": span.duration / 1000,
                "tags": [{"key": "error", "type": "bool", "value": span.failed}], "processID": span.service})
        };
        let process = |name: &str| json!({"serviceName": name, "tags": [{"key": "hostname", "value": format!("{name}-1")}]});
        json!({"traceID": format!("{id:x}"), "spans": spans.iter().map(span).collect::<Vec<_>>(),
            "processes": {"gate": process("gate"), "cart": process("cart"), "price": process("price")}})
    };
    json!({"data": traces.iter().map(trace).collect::<Vec<_>>()}).to_string()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let file = path(dir, name);
    fs::write(&file, text).expect("a file");
    file
}

fn evaluated(args: &[&str]) -> Value {
    let out = trainer(&[&["evaluate", "--json", "--false-alarm-rate", "0.01"], args].concat()).good().stdout;
    serde_json::from_str(&out).expect("one JSON object")
}

#[test]
fn the_same_traces_in_every_format_and_order_teach_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole: Vec<Span> = minutes(0, 5, Fault::None, 1)
        .into_iter()
        .map(|span| Span { start: span.start / 1000 * 1000, duration: span.duration / 1000 * 1000, ..span })
        .collect();
    let mut reversed = whole.clone();
    reversed.reverse();
    let (first, second) = whole.split_at(whole.len() / 2);
    let parts = [write(dir.path(), "a.csv", &csv(first)), write(dir.path(), "b.csv", &csv(second))];
    let inputs: [(&str, Vec<String>); 5] = [
        ("spans-csv", vec![write(dir.path(), "whole.csv", &csv(&whole))]),
        ("spans-csv", vec![write(dir.path(), "reversed.csv", &csv(&reversed))]),
        ("spans-csv", parts.to_vec()),
        ("otlp", vec![write(dir.path(), "t.jsonl", &otlp(&whole))]),
        ("jaeger", vec![write(dir.path(), "t.json", &jaeger(&whole))]),
    ];
    let models = inputs.map(|(format, files)| {
        let out = path(dir.path(), "m.gait");
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let said =
            trainer(&[&["train", "--format", format, "--out", &out], &files[..]].concat()).good().stderr;
        assert!(said.contains("put together: 1800 spans, 200 traces, 800 trees"), "{said}");
        fs::read(out).expect("a model")
    });
    assert!(models.iter().all(|model| *model == models[0]));
}

#[test]
fn a_model_of_spans_is_shown_and_drawn() {
    let dir = tempfile::tempdir().expect("a directory");
    let spans = write(dir.path(), "t.csv", &csv(&minutes(0, 5, Fault::None, 2)));
    let (model, report) = (path(dir.path(), "m.gait"), path(dir.path(), "r.html"));
    trainer(&["train", "--format", "spans-csv", "--out", &model, "--report", &report, &spans]).good();
    let shown = trainer(&["inspect", &model, "--tree", "gate:GET /cart"]).good().stdout;
    assert!(shown.contains("gate:GET /cart (200 calls, 0 failed, 1 different trees)"), "{shown}");
    let line = shown.lines().find(|line| line.contains("  price:quote")).expect("a callee");
    assert!(line.contains("200") && line.contains("100.0 %"), "{line}");
    let picture = trainer(&["inspect", &model, "--tree", "cart", "--svg", "-"]).good().stdout;
    assert!(picture.starts_with("<svg ") && picture.contains("cart:SELECT"), "{picture}");
    let page = fs::read_to_string(report).expect("a page");
    assert!(page.contains("Call trees") && page.contains("gate:GET /cart") && !page.contains("<script"));
    let refused = trainer(&["evaluate", "--model", &model, "--format", "calls", &spans]);
    assert_eq!(refused.code, Some(1));
    let refused = trainer(&["inspect", &crate::support::SHOP.model, "--tree", "x"]);
    assert!(refused.stderr.contains("knows no call trees"), "{}", refused.stderr);
}

/// The faults come at the end: a service that is slow by itself, one whose failure changes who called it, and one whose
/// answer does.
#[test]
fn known_faults_are_found_and_the_right_service_is_blamed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut spans = minutes(0, MINUTES, Fault::None, 3);
    let faults = [
        (MINUTES + 1, Fault::SlowPrice, "price-1"),
        (MINUTES + 4, Fault::BrokenCart, "cart"),
        (MINUTES + 6, Fault::WrongPrice, "price"),
    ];
    let mut list = Vec::new();
    for (minute, fault, culprit) in faults {
        spans.extend(minutes(minute, 1, fault, minute));
        list.push(json!({"time": (OPENED / SECOND + minute * 60), "instance": culprit, "kind": "test", "duration_s": 60}));
    }
    let all = write(dir.path(), "all.csv", &csv(&spans));
    let list = write(dir.path(), "faults.json", &json!({ "day": list }).to_string());
    let model = path(dir.path(), "m.gait");
    let normal = write(dir.path(), "normal.csv", &csv(&minutes(0, MINUTES / 2, Fault::None, 4)));
    trainer(&["train", "--format", "spans-csv", "--out", &model, &normal]).good();
    let taught = ["--model", model.as_str()];
    for known in [&taught[..], &[]] {
        let result = evaluated(&[known, &["--format", "spans-csv", "--faults", &list, &all]].concat());
        assert_eq!(result["normal"].as_array().expect("windows").len() as u64, MINUTES, "{result:#}");
        assert_eq!((&result["false_alarms"], &result["detected"]), (&json!(0), &json!(3)), "{result:#}");
        assert_eq!(result["above_all_normal"], 3);
        let ranks: Vec<_> = (0..3).map(|fault| result["faults"][fault]["culprit_rank"].as_u64()).collect();
        // A caller that gives up after an answer is the first suspect, who answered the second.
        assert_eq!(ranks, [Some(1), Some(1), Some(2)], "{result:#}");
        assert_eq!(result["cross_judged"], known.is_empty());
    }
    let said = trainer(&["evaluate", "--format", "spans-csv", "--faults", &list, &all]).good().stdout;
    assert!(said.contains("faults: 3, detected 3"), "{said}");
}

#[test]
fn what_cannot_be_used_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let spans = csv(&minutes(0, 1, Fault::None, 5));
    let good = write(dir.path(), "good.csv", &spans);
    let headless = write(dir.path(), "headless.csv", spans.split_once('\n').expect("a header").1);
    // From 1970 to as late as a number can say.
    let far =
        format!("{spans}7,1,root,p-1,late,x,{},{},1,\n8,1,root,p-1,early,x,1,1,1,\n", u64::MAX, u64::MAX);
    let far = write(dir.path(), "far.csv", &far);
    let faults = write(dir.path(), "faults.json", r#"[{"time":18446744073709551615,"pod":"late"}]"#);
    let out = path(dir.path(), "m.gait");
    let model = &crate::support::SHOP.model;
    for (args, code, message) in [
        (
            &["train", "--format", "spans-csv", "--out", &out, &headless][..],
            1,
            "headless.csv:1: column TraceID is missing",
        ),
        (&["train", "--format", "otlp", "--out", &out, &good], 1, "not a JSON object"),
        (&["train", "--format", "combined", "--onto", model, "--out", &out, &good], 1, "--onto is for spans"),
        (&["score", "--format", "otlp", "--model", model, &good], 1, "holds spans of traces, not calls"),
        (&["evaluate", "--format", "spans-csv", "--model", model, &good], 1, "knows no call trees"),
        (&["evaluate", "--format", "spans-csv", "--faults", &good, &good], 1, "it is not JSON"),
        (&["evaluate", "--format", "spans-csv", "--faults", &faults, &far], 1, "too few to learn from"),
    ] {
        let ended = trainer(args);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

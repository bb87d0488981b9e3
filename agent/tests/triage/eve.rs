//! Lines as Suricata writes them, and models that know one rule from another.

use std::fs;
use std::path::Path;

use gait_common::alert::{Alert, Band, Line, Origin, Rate, Scratch, TriageData, look};
use gait_common::model::{ModelData, file};
use serde_json::Value;

/// A rule whose alerts are real to [`model`], and one whose alerts are false.
pub(crate) const REAL: u32 = 7_100_001;
pub(crate) const FALSE: u32 = 7_200_002;
/// One that no model knows.
pub(crate) const UNKNOWN: u32 = 7_300_003;

/// An alert with its number in its time, its ports and its payload.
pub(crate) fn alert(sid: u32, number: u64) -> String {
    let pad = "x".repeat(number as usize * 131 % 1500);
    let time = format!(
        "2024-05-17T10:{:02}:{:02}.{:06}+0000",
        number / 60_000 % 60,
        number / 1000 % 60,
        number % 1000
    );
    format!(
        "{{\"timestamp\":\"{time}\",\"flow_id\":{number},\"event_type\":\"alert\",\"src_ip\":\"203.0.113.7\",\"src_port\":{},\
         \"dest_ip\":\"192.0.2.1\",\"dest_port\":80,\"proto\":\"TCP\",\"tx_id\":0,\"alert\":{{\"action\":\"allowed\",\"gid\":1,\
         \"signature_id\":{sid},\"rev\":1,\"signature\":\"rule \\\"{sid}\\\"\",\"category\":\"\",\"severity\":1}},\"http\":{{\
         \"hostname\":\"shop\",\"url\":\"/a?n={number}\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\",\"length\":1.50e1}},\
         \"payload_printable\":\"{pad}\"}}\n",
        number % 60_000
    )
}

/// An event that is no alert.
pub(crate) fn flow(number: u64) -> String {
    format!("{{\"timestamp\":\"2024-05-17T10:00:00.000000+0000\",\"event_type\":\"flow\",\"n\":{number}}}\n")
}

/// Writes a model to which alerts of one rule are real and those of another false, and nothing else matters.
pub(crate) fn model(path: &Path, real: u32, false_alarm: u32) -> String {
    let places = |sid: u32| -> Vec<u32> {
        let line = alert(sid, 0);
        let Ok(Line::Alert(alert)) = Alert::parse(line.as_bytes()) else { panic!("no alert: {line}") };
        let mut scratch = Scratch::new();
        look(&alert, Rate::default(), &mut scratch);
        scratch.features().map(|(place, _)| place).collect()
    };
    let (known, others) = (places(UNKNOWN), [(real, 50.0), (false_alarm, -50.0)]);
    let mut weights: Vec<(u32, f32)> = others
        .into_iter()
        .flat_map(|(sid, weight)| places(sid).into_iter().map(move |place| (place, weight)))
        .filter(|(place, _)| !known.contains(place))
        .collect();
    weights.sort_by_key(|(place, _)| *place);
    weights.dedup_by_key(|(place, _)| *place);
    let triage = TriageData {
        origin: Origin { rules: "12ab".repeat(16), ..Origin::default() },
        weights,
        calibration: vec![(-5.0, 0.02), (5.0, 0.98)],
        band: Band { false_alarm: 0.2, real: 0.8 },
        ..TriageData::default()
    };
    let data =
        ModelData { interfaces: vec!["~new".to_owned()], triage: Some(triage), ..ModelData::default() };
    fs::write(path, file::write(&data).expect("a model")).expect("a file");
    path.display().to_string()
}

/// What was added to a line.
pub(crate) fn member(line: &str) -> Value {
    serde_json::from_str::<Value>(line).expect(line)["gait"].take()
}

/// The verdict on each line; nothing where there is none.
pub(crate) fn verdicts(text: &str) -> Vec<String> {
    let verdict = |line: &str| {
        let Ok(event) = serde_json::from_str::<Value>(line) else { return String::new() };
        let verdict = event.get("gait").and_then(|gait| gait["verdict"].as_str());
        verdict.unwrap_or_default().to_owned()
    };
    text.lines().map(verdict).collect()
}

/// The text without what was added: what the agent was given, if it did as promised.
pub(crate) fn without(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.rfind(",\"gait\":{\"verdict\"") {
            Some(at) => format!("{}{}", &line[..at], &line[line.rfind("}}").map_or(at, |end| end + 1)..]),
            None => line.to_owned(),
        })
        .collect()
}

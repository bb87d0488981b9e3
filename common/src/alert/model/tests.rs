//! What is refused, and that the stored model of version 4 judges as it did: features are found by hashing, so whoever
//! changes how they are hashed or cut changes what every model says.
//!
//! After an intended change, `GAIT_BLESS=1 cargo test -p gait-common --lib golden` puts triage anew into the fixture; look at
//! what it then says.

use std::path::PathBuf;

use super::super::{Line, Rates};
use super::*;
use crate::model::file;

const REAL: &str = r#"{"timestamp":"2026-01-02T03:04:05.000699+0000","event_type":"alert","src_ip":"192.0.2.1","src_port":20000,"dest_ip":"192.0.2.9","dest_port":80,"proto":"TCP","tx_id":0,"alert":{"signature_id":2006445,"signature":"SQL SELECT FROM","category":"Web Application Attack","severity":1},"http":{"hostname":"shop.example","url":"/blog/post?q=1%27%20union%20select%20pass%2C2%20from%20users--","http_user_agent":"curl/8.4.0","http_method":"GET"},"payload_printable":"GET /blog/post HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n"}"#;
const FALSE: &str = r#"{"timestamp":"2026-01-02T03:04:06.000000+0000","event_type":"alert","src_ip":"192.0.2.2","src_port":20001,"dest_ip":"192.0.2.9","dest_port":80,"proto":"TCP","tx_id":0,"alert":{"signature_id":2006445,"signature":"SQL SELECT FROM","category":"Web Application Attack","severity":1},"http":{"hostname":"shop.example","url":"/api/search?q=students+select+courses+from+our+list","http_user_agent":"curl/8.4.0","http_method":"GET"},"payload":"R0VUIC9hcGkgSFRUUC8xLjENCkhvc3Q6IGENCg0K"}"#;

fn alert(line: &'static str) -> Alert<'static> {
    match Alert::parse(line.as_bytes()) {
        Ok(Line::Alert(alert)) => alert,
        other => panic!("{other:?}"),
    }
}

/// What only one of the two alerts has speaks for it.
fn data() -> TriageData {
    let (mut rates, mut scratch) = (Rates::default(), Scratch::new());
    let mut weights = std::collections::BTreeMap::<u32, f32>::new();
    let mut exemplars = Vec::new();
    for (line, class, weight) in [(REAL, Class::Real, 0.125), (FALSE, Class::FalseAlarm, -0.125)] {
        let alert = alert(line);
        features::look(&alert, rates.observe(&alert), &mut scratch);
        for (place, _) in scratch.features() {
            *weights.entry(place).or_default() += weight;
        }
        let sketch = sketch::sketch(&scratch).to_vec();
        exemplars.push(Exemplar { key: alert.key.to_string(), class, sketch });
    }
    weights.retain(|_, weight| *weight != 0.0);
    TriageData {
        origin: Origin {
            rules: "none".to_owned(),
            labelled: 2,
            method: "by hand".to_owned(),
            ..Origin::default()
        },
        weights: weights.into_iter().collect(),
        calibration: vec![(-4.0, 0.0), (4.0, 1.0)],
        band: Band { false_alarm: 0.25, real: 0.75 },
        exemplars,
        ..TriageData::default()
    }
}

#[test]
fn golden_triage_judges_as_recorded() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/model/v4.gait");
    let mut model = file::read(&std::fs::read(&path).expect("the fixture")).expect("a model");
    if std::env::var_os("GAIT_BLESS").is_some() {
        model.triage = Some(data());
        std::fs::write(&path, file::write(&model).expect("a model")).expect("the fixtures can be written");
    }
    let triage = Triage::new(model.triage.expect("triage")).expect("sound");
    let (mut rates, mut scratch) = (Rates::default(), Scratch::new());
    let mut found = Vec::new();
    for line in [REAL, FALSE] {
        let alert = alert(line);
        let judgement = triage.judge(&alert, rates.observe(&alert), &mut scratch);
        let words: Vec<&str> = judgement.reasons.iter().map(|reason| reason.words.as_str()).collect();
        found.push((judgement.verdict, (judgement.probability * 1000.0).round() / 1000.0, words.join("; ")));
        let nearest = judgement.nearest.expect("itself");
        assert_eq!((nearest.key, nearest.likeness), (&*alert.key.to_string(), 1.0));
    }
    let recorded = RECORDED.map(|(verdict, probability, words)| (verdict, probability, words.to_owned()));
    assert_eq!(found, recorded);
}

/// Verdict, probability and reasons of either alert.
const RECORDED: [(Verdict, f32, &str); 2] = [
    (
        Verdict::Real,
        1.0,
        "values have 3 different marks; up to 25 % of values came as %XX; there is a header \"accept\"; values have 4.0 bits of entropy a byte",
    ),
    (
        Verdict::FalseAlarm,
        0.122,
        "the longest word has 8 to 15 letters; values are plain words; the rule raised 1 of the alerts in the last minute; the path has \"api\"",
    ),
];

#[test]
fn what_contradicts_itself_is_refused() {
    assert!(Triage::new(data()).is_ok());
    type Change = fn(&mut TriageData);
    let changes: [(Change, &str); 11] = [
        (|data| data.bias = f32::NAN, "no number"),
        (|data| data.weights[0].1 = f32::INFINITY, "no number"),
        (|data| data.weights.push((SPACE, 1.0)), "out of place"),
        (|data| data.weights.swap(0, 1), "out of order"),
        (|data| data.calibration.clear(), "empty"),
        (|data| data.calibration.swap(0, 1), "does not rise"),
        (|data| data.calibration[1].1 = 1.5, "does not rise"),
        (|data| data.band.false_alarm = 0.9, "overlap"),
        (|data| data.origin.noise = -0.1, "no probability"),
        (|data| data.exemplars[0].sketch.truncate(9), "without its sketch"),
        (|data| data.exemplars = vec![data.exemplars[0].clone(); MAX_EXEMPLARS + 1], "too many"),
    ];
    for (change, reason) in changes {
        let mut data = data();
        change(&mut data);
        let error = Triage::new(data).expect_err(reason);
        assert!(error.contains(reason), "{error:?} does not say {reason:?}");
    }
}

//! Lines of Suricata's eve.json: read, looked at, judged, and held against another reader of JSON.
#![no_main]

use std::cell::RefCell;

use gait_common::alert::{
    Alert, Band, Key, Line, Malformed, Rate, Rates, SPACE, Scratch, Triage, TriageData,
};
use serde_json::Value;
use serde_json::value::RawValue;

thread_local! {
    static STATE: RefCell<(Triage, Scratch, Rates)> = RefCell::new({
        let weights = (0..SPACE).map(|place| (place, (place % 7) as f32 - 3.0)).collect();
        let calibration = vec![(-5.0, 0.01), (5.0, 0.99)];
        let band = Band { false_alarm: 0.2, real: 0.8 };
        let data = TriageData { weights, calibration, band, ..TriageData::default() };
        (Triage::new(data).expect("sound"), Scratch::new(), Rates::new(16))
    });
}

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    let read = Alert::parse(line);
    let is_object = std::str::from_utf8(line).is_ok_and(|text| {
        text.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
    });
    match &read {
        Err(Malformed::TooDeep) => {}
        Err(Malformed::Cut | Malformed::NotJson | Malformed::NotUtf8) => assert!(!is_object),
        _ => assert!(is_object),
    }
    let Ok(Line::Alert(alert)) = read else {
        return;
    };
    assert_eq!(alert.key.to_string().parse::<Key>(), Ok(alert.key));
    // What another reader takes for the URL, where it reads the line at all and each name stands once.
    if let (Ok(value), Some(url)) = (serde_json::from_slice::<Value>(line), alert.http.url)
        && line.windows(5).filter(|five| five == b"\"url\"").count() == 1
        && let Some(other) = value["http"]["url"].as_str()
    {
        assert_eq!(url.text(), other);
    }
    STATE.with_borrow_mut(|(triage, scratch, rates)| {
        let rate = rates.observe(&alert);
        let judgement = triage.judge(&alert, rate, scratch);
        assert!((0.0..=1.0).contains(&judgement.probability));
        assert!(
            judgement
                .reasons
                .iter()
                .all(|reason| reason.words.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
        );
        let (verdict, probability) = (judgement.verdict, judgement.probability);
        // What was looked at before leaves no trace.
        let mut fresh = Scratch::new();
        let again = triage.judge(&alert, rate, &mut fresh);
        assert_eq!((verdict, probability), (again.verdict, again.probability));
        assert!(triage.judge(&alert, Rate::default(), scratch).reasons.len() <= 4);
    });
});

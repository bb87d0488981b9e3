//! What is seen of an alert, and what must hold whatever a line holds.

use proptest::prelude::*;

use super::super::{Band, Key, Line, Malformed, Protocol, Triage, TriageData, Verdict};
use super::*;

/// A line with the given URL, and payload, both as they stand in JSON.
fn line(url: &str, payload: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-01-02T03:04:05.000699+0000","event_type":"alert","src_ip":"192.0.2.1","src_port":2,"dest_ip":"192.0.2.2","dest_port":80,"proto":"TCP","tx_id":0,"alert":{{"signature_id":7,"signature":"A rule","category":"Web","severity":1}},"http":{{"hostname":"shop","url":"{url}","http_user_agent":"curl/8","http_method":"GET"}},"payload_printable":"{payload}"}}"#
    )
}

fn alert(line: &str) -> Alert<'_> {
    match Alert::parse(line.as_bytes()) {
        Ok(Line::Alert(alert)) => alert,
        other => panic!("{other:?} of {line}"),
    }
}

/// The kinds and texts or numbers that are seen.
fn seen(line: &str) -> Vec<(Kind, String)> {
    let mut scratch = Scratch::new();
    look(&alert(line), Rate { client: 5, signature: 0 }, &mut scratch);
    let text = |found: &Found| {
        let range = found.start as usize..(found.start + found.len) as usize;
        let text = String::from_utf8_lossy(&scratch.text[range]).into_owned();
        if found.len == 0 { found.number.to_string() } else { text }
    };
    scratch.found.iter().map(|found| (found.kind, text(found))).collect()
}

#[test]
fn what_is_said_of_features_is_seen() {
    let url = "/shop/item.php?name=1%2527+UNION+SELECT+pass&x";
    let payload = r"GET / HTTP/1.1\r\nHost: a\r\nX-Odd: b\r\nCookie: id=%3Cscript%3E\r\n\r\nbody=..%2Fup";
    let seen = seen(&line(url, payload));
    let has = |kind, text: &str| {
        assert!(seen.contains(&(kind, text.to_owned())), "no {kind:?} {text:?} in {seen:?}");
    };
    has(Kind::Word, "select");
    has(Kind::Word, "script");
    has(Kind::Pair, "union select");
    has(Kind::Triple, "' union select");
    has(Kind::Letters, "' u");
    has(Kind::PathWord, "shop");
    has(Kind::Extension, "php");
    has(Kind::Parameter, "name");
    has(Kind::Header, "x-odd");
    has(Kind::Method, "get");
    has(Kind::AgentWord, "curl");
    has(Kind::Message, "rule");
    has(Kind::Signature, "7");
    has(Kind::ClientRate, "3");
    has(Kind::Ups, "1");
    has(Kind::Keywords, "2");
    has(Kind::Flag, &(Flag::TwiceEncoded as u32).to_string());
    has(Kind::Flag, &(Flag::OddQuotes as u32).to_string());
}

/// Longer texts have more grams, each of which counts less.
#[test]
fn long_texts_do_not_shout() {
    let mut scratch = Scratch::new();
    let mut gram = |words: usize| {
        let url = format!("/?q={}", (0..words).map(|at| format!("w{at}x+")).collect::<String>());
        look(&alert(&line(&url, "")), Rate::default(), &mut scratch);
        (scratch.gram_value(), scratch.features().count())
    };
    let (short, long) = (gram(2), gram(60));
    assert!(short.0 > 3.0 * long.0 && long.1 > 5 * short.1, "{short:?} {long:?}");
    let endless = format!("/?q={}", "a%20'b(".repeat(100_000));
    let mut scratch = Scratch::new();
    look(&alert(&line(&endless, "")), Rate::default(), &mut scratch);
    assert!(scratch.text.len() < 3 * MOST && scratch.found.len() <= MAX_FEATURES);
}

fn triage() -> Triage {
    let weights = (0..SPACE).map(|place| (place, (place % 11) as f32 - 5.0)).collect();
    let calibration = vec![(-5.0, 0.01), (5.0, 0.99)];
    let data = TriageData {
        weights,
        calibration,
        band: Band { false_alarm: 0.2, real: 0.8 },
        ..TriageData::default()
    };
    Triage::new(data).expect("sound")
}

#[test]
fn reasons_are_what_moved_the_score_the_most() {
    let mut scratch = Scratch::new();
    let line = line("/a?q=union+select", "");
    look(&alert(&line), Rate::default(), &mut scratch);
    let place = scratch.found.iter().find(|one| one.kind == Kind::Pair).expect("a pair").place;
    let data = TriageData {
        weights: vec![(place, 9.0)],
        calibration: vec![(-1.0, 0.0), (1.0, 1.0)],
        band: Band { false_alarm: 0.2, real: 0.8 },
        ..TriageData::default()
    };
    let triage = Triage::new(data).expect("sound");
    let judgement = triage.judge(&alert(&line), Rate::default(), &mut scratch);
    assert_eq!((judgement.verdict, judgement.probability), (Verdict::Real, 1.0));
    assert_eq!(judgement.reasons.len(), 1);
    assert_eq!(judgement.reasons[0].words, "a value has \"union select\"");
    assert!(judgement.reasons[0].weight > 1.0 && judgement.nearest.is_none());
}

proptest! {
    /// The scanner takes what another reader of JSON takes, and nothing else.
    #[test]
    fn lines_are_taken_as_json_is(mut line in r#"[{]?("[a-z\\"]{0,3}"|[0-9eE.+-]{1,4}|[{}\[\]:, \\nu0-9"]|true|null|\PC){0,12}[}]?"#) {
        for _ in 0..2 {
            let object = line.trim_start().starts_with('{')
                && serde_json::from_str::<serde::de::IgnoredAny>(&line).is_ok();
            match Alert::parse(line.as_bytes()) {
                Err(Malformed::Cut | Malformed::NotJson) => prop_assert!(!object, "{line}"),
                _ => prop_assert!(object, "{line}"),
            }
            line = format!(r#"{{"a":{line}}}"#);
        }
    }

    /// Texts come out as another reader has them, whatever is in them.
    #[test]
    fn urls_and_payloads_are_read_as_they_are(url in any::<String>(), payload in any::<String>()) {
        let json = |text: &str| {
            let quoted = serde_json::to_string(text).expect("a text");
            quoted[1..quoted.len() - 1].to_owned()
        };
        let line = line(&json(&url), &json(&payload));
        let alert = alert(&line);
        prop_assert_eq!(alert.http.url.expect("a URL").text(), url.as_str());
        prop_assert_eq!(alert.payload_printable.expect("a payload").text(), payload.as_str());
    }

    /// What was looked at before leaves no trace, and nothing is out of bounds.
    #[test]
    fn alerts_are_judged_one_by_one(texts in prop::collection::vec((r#"[/?&=a-zA-Z0-9 %+'"<>(.;-]{0,80}"#, r"([A-Za-z-]{1,6}: [ -~]{0,20}(\\r\\n)?){0,5}"), 1..5)) {
        let triage = triage();
        let mut used = Scratch::new();
        for (url, payload) in texts {
            let json = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let line = line(&json(&url), &json(&payload));
            let alert = alert(&line);
            let rate = Rate { client: 1, signature: 1000 };
            let mut fresh = Scratch::new();
            let want = triage.judge(&alert, rate, &mut fresh);
            let found = triage.judge(&alert, rate, &mut used);
            prop_assert_eq!((want.verdict, want.probability), (found.verdict, found.probability));
            prop_assert_eq!(want.reasons, found.reasons);
            let places: std::collections::BTreeSet<u32> = used.features().map(|one| one.0).collect();
            prop_assert_eq!(places.len(), used.features().count(), "each once");
            prop_assert!(places.into_iter().all(|place| place < SPACE));
        }
    }

    /// A key is read back from its text, whatever it is of.
    #[test]
    fn keys_are_read_back(time in any::<u64>(), a in any::<std::net::SocketAddr>(), b in any::<std::net::IpAddr>(), protocol in any::<u8>(), transaction in any::<Option<u64>>(), signature in any::<u32>()) {
        let plain = |ip, port| std::net::SocketAddr::new(ip, port);
        let key = Key { time, source: plain(a.ip(), a.port()), destination: plain(b, 80), protocol: Protocol(protocol), transaction, signature };
        prop_assert_eq!(key.to_string().parse::<Key>(), Ok(key));
    }
}

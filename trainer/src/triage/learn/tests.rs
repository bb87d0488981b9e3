//! A small world of alerts whose truth is known, with labels as the seed method gives them.

use gait_common::alert::{Line, Rates, Triage, Verdict};
use gait_common::model::{ModelData, file};

use super::*;

/// A number between 0 and 1 that only `what` decides.
fn draw(what: &str) -> f64 {
    hash(what.as_bytes()) as f64 / u64::MAX as f64
}

/// Alert number `at`: the line, and what it is in truth. One in five is harmless.
fn line(at: u32) -> (String, Class) {
    let class = if draw(&format!("class {at}")) < 0.2 { Class::FalseAlarm } else { Class::Real };
    let pick =
        |of: &[&'static str], what: &str| of[(draw(&format!("{what} {at}")) * of.len() as f64) as usize];
    let thing = pick(&["garden", "table", "concert", "book", "union", "house", "version"], "thing");
    let other = (draw(&format!("number {at}")) * 9999.0) as u32;
    let value = match class {
        Class::Real => [
            format!("{other}%27%20union%20select%20{other},{other}--"),
            format!("1)%20or%20{other}=(select%20count(*)%20from%20{thing})--"),
            format!("%22%3E%3Cscript%3Ealert({other})%3C/script%3E"),
        ],
        Class::FalseAlarm => [
            format!("please+select+a+{thing}+from+our+list"),
            format!("how+do+I+drop+my+{thing}+order"),
            format!("students+select+{thing}+courses+{other}"),
        ],
    };
    let value = &value[(draw(&format!("value {at}")) * 3.0) as usize];
    let (minute, second) = (at / 60 % 60, at % 60);
    let rule = 2_000_001 + u32::from(draw(&format!("rule {at}")) < 0.5);
    let line = format!(
        r#"{{"timestamp":"2026-01-02T03:{minute:02}:{second:02}.{at:06}+0000","event_type":"alert","src_ip":"192.0.2.{}","src_port":{},"dest_ip":"198.51.100.1","dest_port":80,"proto":"TCP","tx_id":0,"alert":{{"signature_id":{rule},"signature":"SQL","category":"Web","severity":1}},"http":{{"hostname":"shop","url":"/search?q={value}","http_method":"GET"}}}}"#,
        at % 250,
        10_000 + at,
    );
    (line, class)
}

/// Alerts of which the strict rules raised most real ones and few harmless ones, and people looked at `reviewed` of the
/// others; and the truth of the others.
fn world(count: u32, reviewed: usize) -> (Vec<Example>, Vec<Class>) {
    let lines: Vec<(String, Class)> = (0..count).map(line).collect();
    let (mut rates, mut scratch) = (Rates::default(), Scratch::new());
    let mut seen = 0;
    let mut others = Vec::new();
    let examples = lines.iter().zip(0..).map(|((line, class), at): (_, u32)| {
        let Ok(Line::Alert(alert)) = Alert::parse(line.as_bytes()) else {
            panic!("no alert: {line}");
        };
        let rate = rates.observe(&alert);
        let strict = draw(&format!("strict {at}")) < 0.6;
        let known = if strict {
            Known::Labelled(*class)
        } else {
            others.push(*class);
            seen += 1;
            if seen <= reviewed { Known::Reviewed(*class) } else { Known::Presumed }
        };
        Example::new(&alert, rate, known, &mut scratch)
    });
    (examples.collect(), others)
}

fn share_real(of: &[Class]) -> f64 {
    of.iter().filter(|class| **class == Class::Real).count() as f64 / of.len() as f64
}

#[test]
fn known_noise_is_recovered_and_learned_around() {
    let (examples, others) = world(700, 100);
    let truth = share_real(&others);
    let (data, report) = learn(&examples, &Options::default()).expect("a model");
    assert_eq!(report.noise.reviewed, 100);
    assert!(report.noise.low < truth && truth < report.noise.high, "{:?} for {truth}", report.noise);
    let guessed = report.guessed_noise.expect("alerts that nobody looked at");
    assert!((guessed - truth).abs() < 0.08, "{guessed} for {truth}");
    assert!(report.held_out.recall() > 0.95 && report.held_out.precision() > 0.95, "{report:?}");
    assert!(report.held_out.false_alarm_precision() > 0.8, "{report:?}");
    assert!(report.later.expect("both classes early and late").recall() > 0.9);
    // The seed rule takes four in ten real ones for false alarms, and the report says so.
    assert!(report.seed_rule.recall() < 0.75 && report.seed_rule.false_alarm_precision() < 0.6, "{report:?}");
    let seed = report.candidates.iter().position(|one| one.method == Method::Seed).expect("measured");
    assert!(seed >= 4, "the seed rule is no way to learn: {:?}", report.candidates);
    // The model judges alerts that nobody has seen, and shows one that is like it.
    let triage = Triage::new(data).expect("a sound model");
    let mut scratch = Scratch::new();
    let (mut right, mut named) = (0, 0);
    for at in 5000..5200 {
        let (line, class) = line(at);
        let Ok(Line::Alert(alert)) = Alert::parse(line.as_bytes()) else {
            panic!("no alert: {line}");
        };
        let judgement = triage.judge(&alert, Rate::default(), &mut scratch);
        right += u32::from(judgement.verdict.as_str() == class.as_str());
        named += u32::from(judgement.nearest.is_some_and(|nearest| nearest.class == class));
        assert!(
            !judgement.reasons.is_empty() && judgement.reasons.iter().all(|reason| !reason.words.is_empty())
        );
    }
    assert!(right >= 190 && named >= 150, "{right} right, {named} with a labelled one that is like it");
}

#[test]
fn without_review_nothing_is_learned_from_what_nobody_looked_at() {
    let (examples, others) = world(500, 0);
    let (data, report) = learn(&examples, &Options::default()).expect("a model");
    assert_eq!((report.method, report.noise.reviewed), (Method::Trusted, 0));
    assert!((data.origin.noise - share_real(&others)).abs() < 0.1, "{}", data.origin.noise);
    assert_eq!(report.presumed, others.len());
}

#[test]
fn equal_alerts_give_equal_bytes_in_any_order_and_on_any_number_of_cores() {
    let (mut examples, _) = world(200, 30);
    let bytes = |examples: &[Example], threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let options = Options { method: Some(Method::Expectation), ..Options::default() };
        let (data, _) = pool.install(|| learn(examples, &options)).expect("a model");
        file::write(&ModelData { triage: Some(data), ..ModelData::default() }).expect("bytes")
    };
    let one = bytes(&examples, 1);
    examples.reverse();
    assert!(one == bytes(&examples, 3));
}

#[test]
fn more_alerts_than_are_wanted_are_sampled_by_flow() {
    let (examples, _) = world(600, 40);
    let options = Options { max_alerts: 200, method: Some(Method::Trusted), ..Options::default() };
    let (_, report) = learn(&examples, &options).expect("a model");
    assert_eq!(report.noise.reviewed, 40, "what was reviewed is kept");
    let learned = report.labelled.0 + report.labelled.1 + report.presumed;
    assert!((120..260).contains(&learned) && report.share < 0.34, "{learned}");
}

#[test]
fn a_class_that_is_missing_is_named() {
    let (examples, _) = world(200, 0);
    let real: Vec<Example> =
        examples.into_iter().filter(|one| one.known != Known::Labelled(Class::FalseAlarm)).collect();
    let error = learn(&real, &Options::default()).expect_err("nothing to tell apart").to_string();
    assert!(error.starts_with("only 0 of") && error.contains("`false_alarm`"), "{error}");
    let options = Options { real_errors: 0.5, ..Options::default() };
    assert!(learn(&real, &options).is_err_and(|error| error.to_string().contains("`real`")));
}

#[test]
fn a_verdict_that_cannot_be_sure_is_none() {
    // Classes that look alike: nothing may be called a false alarm, and nothing real with so strict a limit.
    let (mut examples, _) = world(300, 60);
    for one in &mut examples {
        let class = if draw(&one.key.to_string()) < 0.5 { Class::Real } else { Class::FalseAlarm };
        one.known = match one.known {
            Known::Labelled(_) => Known::Labelled(class),
            Known::Reviewed(_) => Known::Reviewed(class),
            Known::Presumed => Known::Presumed,
        };
    }
    let (_, report) = learn(&examples, &Options::default()).expect("a model");
    assert!(report.held_out.coverage() < 0.2, "{:?}", report.held_out);
    assert_eq!(report.band.verdict(0.5), Verdict::Abstain);
}

use super::*;

fn rule(options: &str) -> String {
    format!("alert http any any -> any any ({options} sid:1;)")
}

/// The options of a rule after loosening, or why it stays.
fn loosened(options: &str, drop: &[Operator]) -> String {
    let settings = match drop {
        [] => Options::default(),
        drop => Options { drop: drop.to_vec(), ..Options::default() },
    };
    let text = rule(options);
    let file = RuleFile::parse(text.clone().into_bytes());
    let Loosened { bytes, report } = loosen(&file, &settings, &BTreeMap::new());
    assert_eq!(report.loosened + report.unchanged + report.kept.len(), 1);
    if let [kept] = report.kept.as_slice() {
        return kept.reason.clone();
    }
    let new = String::from_utf8(bytes).expect("text");
    new.strip_prefix("alert http any any -> any any (")
        .expect(&new)
        .strip_suffix(" sid:1;)")
        .expect(&new)
        .to_owned()
}

#[test]
fn what_narrows_down_goes_and_the_rest_stays() {
    for (strict, loose) in [
        (
            r#"http.uri; content:"ab"; depth:5; offset:1; content:"cd"; distance:0; within:9; nocase;"#,
            r#"http.uri; content:"ab"; content:"cd"; nocase;"#,
        ),
        // A negated content takes its modifiers along, in the old form of rules too.
        (
            r#"content:"ab"; http_uri; content:!"x"; http_uri; nocase; content:"cd"; http_header; within:3;"#,
            r#"content:"ab"; http_uri; content:"cd"; http_header;"#,
        ),
        // Buffers in which nothing is looked for any more are refused by Suricata.
        (
            r#"http.uri; content:"/blog"; http.host; to_lowercase; content:!"a.b"; endswith; flow:established;"#,
            r#"http.uri; content:"/blog"; flow:established;"#,
        ),
        (r#"http.header; pcre:"/a\;b/R"; http.uri; content:"ab";"#, r#"http.uri; content:"ab";"#),
        (
            r#"content:"ab"; pcre:"/x/"; prefilter; urilen:>5; bsize:7; threshold:type limit, track by_src, count 1, seconds 60;"#,
            r#"content:"ab";"#,
        ),
        (
            r#"content:"a\;\"b|22 3b|"; isdataat:!1,relative; byte_test:1,>,3,0,relative;"#,
            r#"content:"a\;\"b|22 3b|";"#,
        ),
        // What is not known is kept as it stands.
        (
            r#"strange.thing:"depth:3, x"; content:"ab"; msg:"distance:0\; pcre"; depth : 4 ;"#,
            r#"strange.thing:"depth:3, x"; content:"ab"; msg:"distance:0\; pcre";"#,
        ),
        (
            r#"content:"ab"; flowbits:isset,x; flowbits:set,y; depth:3;"#,
            r#"content:"ab"; flowbits:isset,x; flowbits:set,y;"#,
        ),
    ] {
        assert_eq!(loosened(strict, &[]), loose, "{strict}");
    }
}

#[test]
fn rules_that_would_match_everything_stay_strict() {
    for (strict, reason) in [
        (r#"http.uri; pcre:"/a+b/";"#, "no content would be left"),
        (r#"http.uri; content:!"a"; http.method; content:"POST";"#, "no content would be left"),
        (r#"http.uri; content:"="; pcre:"/a+b/";"#, "too short a content"),
        (r#"http.uri; content:"|2f|"; depth:1;"#, "too short a content"),
    ] {
        assert!(loosened(strict, &[]).starts_with(reason), "{strict}: {}", loosened(strict, &[]));
    }
    let drop = RuleFile::parse(b"drop http any any -> any any (content:\"ab\"; depth:3; sid:1;)".to_vec());
    let report = loosen(&drop, &Options::default(), &BTreeMap::new()).report;
    assert!(report.kept[0].reason.contains("does not alert"), "{report:?}");
}

/// Each operator can be chosen, and then nothing is dropped that keeps its meaning without it.
#[test]
fn what_hangs_on_a_dropped_option_goes_with_it() {
    use Operator::{ByteExtract, ByteJump, Depth, Distance, Flowbits, Negated, Offset, Pcre, Within};
    for (drop, strict, loose) in [
        // `within` counts from where `distance` begins, `depth` from `offset`; not the other way round.
        (Distance, r#"content:"ab"; content:"cd"; distance:5; within:9;"#, r#"content:"ab"; content:"cd";"#),
        (
            Within,
            r#"content:"ab"; content:"cd"; distance:5; within:9;"#,
            r#"content:"ab"; content:"cd"; distance:5;"#,
        ),
        (Offset, r#"content:"ab"; offset:3; depth:9;"#, r#"content:"ab";"#),
        (Depth, r#"content:"ab"; offset:3; depth:9;"#, r#"content:"ab"; offset:3;"#),
        // Relative to a match that is gone; what stands after a kept content still has its place.
        (
            Pcre,
            r#"content:"ab"; pcre:"/x/R"; content:"cd"; distance:0; content:"ef"; within:4;"#,
            r#"content:"ab"; content:"cd"; content:"ef"; within:4;"#,
        ),
        (
            Pcre,
            r#"http.uri; content:"ab"; http.header; pcre:"/x/"; content:"hh"; http.uri; content:"cd"; distance:1;"#,
            r#"http.uri; content:"ab"; http.header; content:"hh"; http.uri; content:"cd"; distance:1;"#,
        ),
        (
            Pcre,
            r#"content:"ab"; http_uri; pcre:"/x/U"; content:"hh"; http_header; content:"cd"; http_uri; distance:1;"#,
            r#"content:"ab"; http_uri; content:"hh"; http_header; content:"cd"; http_uri;"#,
        ),
        (
            ByteJump,
            r#"content:"ab"; byte_jump:1,0,relative; byte_test:1,>,3,0,relative; isdataat:!3,relative;"#,
            r#"content:"ab";"#,
        ),
        // A variable that nothing sets.
        (
            ByteExtract,
            r#"content:"ab"; byte_extract:1,0,n; content:"cd"; offset:n; depth:4; content:"ef"; depth:9;"#,
            r#"content:"ab"; content:"cd"; content:"ef"; depth:9;"#,
        ),
        // A negated content moves nothing.
        (
            Negated,
            r#"content:"ab"; content:!"x"; within:3; content:"cd"; distance:2;"#,
            r#"content:"ab"; content:"cd"; distance:2;"#,
        ),
        (
            Flowbits,
            r#"content:"ab"; flowbits:isset,x; flowbits:set,y; depth:3;"#,
            r#"content:"ab"; flowbits:set,y; depth:3;"#,
        ),
    ] {
        assert_eq!(loosened(strict, &[drop]), loose, "{drop:?}: {strict}");
    }
}

#[test]
fn the_report_counts_and_names() {
    let text = [
        rule(r#"content:"ab"; depth:3; flowbits:set,a;"#),
        rule(r#"content:"cd";"#),
        "broken".to_owned(),
        rule(r#"content:"ef"; offset:3;"#),
    ]
    .join("\n");
    let file = RuleFile::parse(text.into_bytes());
    let refused = BTreeMap::from([(4, "it does not like it".to_owned())]);
    let report = loosen(&file, &Options::default(), &refused).report;
    assert_eq!((report.rules, report.loosened, report.unchanged), (4, 1, 1));
    assert_eq!(report.dropped, BTreeMap::from([("depth".to_owned(), 1)]));
    let kept: Vec<_> = report.kept.iter().map(|kept| (kept.line, kept.reason.as_str())).collect();
    assert_eq!(
        kept,
        [(3, "it has not the form of a rule"), (4, "Suricata refuses it loosened: it does not like it")]
    );
    assert_eq!(report.cautions.len(), 1);
}

//! Loosened rules are rules, and loose.

use std::fs;

use serde_json::Value;

use crate::capture::{Request, pcap};
use crate::{file, inside, trainer};

/// Rules in which options hang on one another, and what matches each of them.
const RULES: &str = r#"# old and new forms, one line and several
alert http any any -> any any (msg:"old form"; flow:established,to_server; content:"union"; http_uri; nocase; content:"select"; http_uri; distance:1; within:9; content:!"artists"; http_uri; nocase; classtype:web-application-attack; sid:1; rev:1;)
alert http any any -> any any (msg:"expressions"; flow:established,to_server; http.uri; content:"id="; pcre:"/^\d+\;/R"; content:"drop"; distance:0; sid:2;)
alert http any any -> any any (msg:"an empty buffer"; flow:established,to_server; http.uri; content:"/blog/"; startswith; http.host; to_lowercase; content:!"elsewhere"; endswith; sid:3;)
alert http any any -> any any (msg:"names of headers"; flow:established,to_server; http.method; content:"POST"; http.uri; content:".php"; endswith; http.header_names; content:!"Referer"; content:!"Cookie"; sid:4;)
alert http any any -> any any ( \
    msg:"several lines"; flow:established,to_server; \
    http.request_body; content:"key="; depth:4; \
    content:"|26|data="; distance:1; within:20; \
    isdataat:!99,relative; threshold:type limit, track by_src, count 1, seconds 60; sid:5;)
alert http any any -> any any (msg:"numbers"; flow:established,to_server; http.uri; content:"n="; byte_extract:1,0,len,relative,string,dec; content:"end"; within:len; byte_test:1,>,3,0,string,dec; sid:6;)
alert http any any -> any any (msg:"lengths"; flow:established,to_server; urilen:>20; http.uri; bsize:>20; content:"long"; offset:1; depth:12; fast_pattern; sid:7;)
alert http any any -> any any (msg:"nothing else"; flow:established,to_server; http.uri; pcre:"/admin\/[a-z]+\.cgi/"; sid:8;)
alert http any any -> any any (msg:"escapes \; \" and |3a| more"; flow:established,to_server; http.user_agent; content:"bad\;bot|2f|1"; depth:9; nocase; reference:url,example.org/a\;b; sid:9;)
# alert http any any -> any any (msg:"switched off"; content:"x"; depth:1; sid:10;)
"#;

fn requests() -> Vec<Request> {
    let get =
        |uri: &str| format!("GET {uri} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: BAD;bot/1\r\n\r\n");
    let post = |uri: &str, body: &str| {
        format!("POST {uri} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let texts = [
        get("/a?q=union+select+1"),
        get("/a?q=select+union"),
        get("/a?id=12;drop"),
        get("/a?drop=1&id=x"),
        get("/blog/1"),
        get("/x/blog/1"),
        post("/upload.php", "key=a&data=b"),
        post("/upload.php?x=1", "x&data=b&key=a"),
        get("/a?n=9xend&7"),
        get("/a?end&n="),
        get("/a/long/way/to/somewhere"),
        get("/somewhere/is/a/very/long/way"),
        get("/admin/run.cgi"),
    ];
    texts.into_iter().map(|bytes| Request { bytes, attack: true }).collect()
}

#[test]
fn loosened_rules_are_taken_by_suricata_and_raise_every_strict_alert() {
    let dir = tempfile::tempdir().expect("a directory");
    let strict = file(dir.path(), "strict.rules", RULES);
    let packets = file(dir.path(), "a.pcap", pcap(&requests()));
    let operators = [
        "distance",
        "within",
        "depth",
        "offset",
        "startswith",
        "endswith",
        "negated",
        "pcre",
        "isdataat",
        "byte_test",
        "byte_extract",
        "urilen",
        "bsize",
        "threshold",
    ];
    let mut choices: Vec<Vec<&str>> = operators.iter().map(|operator| vec!["--drop", operator]).collect();
    choices.push(vec!["--drop", "distance,depth,pcre"]);
    choices.push(Vec::new());
    for choice in choices {
        let loose = inside(dir.path(), "loose.rules");
        let args = [&["triage", "loosen", &strict, "--out", &loose, "--json"], &choice[..]].concat();
        let report: Value = serde_json::from_str(&trainer(&args).good().stdout).expect("JSON");
        assert!(report["checked_by"].is_string(), "{choice:?}: {report:#}");
        assert!(report["loosened"].as_u64().is_some_and(|count| count > 0), "{choice:?}: {report:#}");
        let refused =
            report["kept"].as_array().expect("rules").iter().any(|kept| {
                kept["reason"].as_str().is_some_and(|reason| reason.contains("Suricata refuses"))
            });
        assert!(!refused, "{choice:?}: loosening made a rule that is none: {report:#}");
        // Too few of anything to learn from, but the logs are joined before.
        let out = inside(dir.path(), "out");
        let args = [
            "triage",
            "label",
            "--pcap",
            &packets,
            "--strict",
            &strict,
            "--loose",
            &loose,
            "--out",
            &out,
            "--refused",
            "fail",
        ];
        trainer(&args);
        let lines = |name: &str| -> Vec<String> {
            let text = fs::read_to_string(format!("{out}/{name}")).expect(name);
            text.lines().map(str::to_owned).collect()
        };
        let (strict_log, loose_log) = (lines("strict.jsonl"), lines("loose.jsonl"));
        let missing: Vec<_> = strict_log.iter().filter(|line| !loose_log.contains(line)).collect();
        assert_eq!(missing, Vec::<&String>::new(), "{choice:?}");
        // Each rule but the second request's of the form that only counts matches its own request.
        assert!(strict_log.len() >= 8, "{}: {strict_log:#?}", strict_log.len());
        if choice.is_empty() {
            assert!(loose_log.len() >= strict_log.len() + 5, "{} and {}", strict_log.len(), loose_log.len());
            let kept = &report["kept"];
            assert_eq!((&kept[0]["sid"], kept.as_array().map(Vec::len)), (&8.into(), Some(1)), "{report:#}");
        }
    }
}

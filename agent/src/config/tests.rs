//! What a user sees of a configuration that is right, and of one that is not.

use super::*;

const EXAMPLE: &str = include_str!("../../gait.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("gait.toml"))
}

fn error(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    assert_eq!(parse(EXAMPLE).expect("the example"), Config::default());

    let mut all = Config::default();
    all.model.path = Some("m".into());
    all.caller.key_file = Some("k".into());
    all.findings.file = Some("f".into());
    all.triage.out = Some("o".into());
    all.triage.feedback = Some("b".into());
    all.screening.list = Some("l".into());
    all.screening.cleared = Some("c".into());
    all.screening.audit = Some("a".into());
    all.web.listen = Some(([127, 0, 0, 1], 7878).into());
    all.web.token_file = Some("t".into());
    let all = toml::Table::try_from(all).expect("a configuration can be written");
    for (section, keys) in &all {
        if let toml::Value::Table(keys) = keys {
            every_key_is_shown(section, keys);
        }
    }
}

fn every_key_is_shown(section: &str, keys: &toml::Table) {
    let (_, body) = EXAMPLE.split_once(&format!("\n[{section}]\n")).expect(section);
    let body = body.split("\n[").next().unwrap_or_default();
    for (key, value) in keys {
        if let toml::Value::Table(keys) = value {
            every_key_is_shown(&format!("{section}.{key}"), keys);
            continue;
        }
        let shown = body.lines().any(|line| line.trim_start_matches('#').starts_with(&format!("{key} = ")));
        assert!(shown, "gait.toml does not show {section}.{key}");
    }
}

#[test]
fn an_empty_file_is_a_configuration() {
    assert_eq!(parse(""), Ok(Config::default()));
}

#[test]
fn unknown_keys_are_named_with_line_and_nearest_key() {
    assert_eq!(
        error("[capture]\n# the shop\nprots = [80]\n"),
        "gait.toml:3: unknown key `prots` in [capture]: did you mean `ports`?"
    );
    assert_eq!(
        error("state_dri = \"/x\""),
        "gait.toml:1: unknown key `state_dri` at the top level: did you mean `state_dir`?"
    );
    assert_eq!(
        error("\n[sppol]\n"),
        "gait.toml:2: unknown key `sppol` at the top level: did you mean `spool`?"
    );
    let error = error("[log]\ncolour = true\n");
    assert_eq!(error, "gait.toml:2: unknown key `colour` in [log]: known are level");
}

#[test]
fn wrong_values_say_what_would_be_right() {
    for (text, message) in [
        (
            "[capture]\ndrain_interval = 10\n",
            "gait.toml:2: invalid type: integer `10`, expected a time with its unit",
        ),
        ("[capture]\ndrain_interval = \"10\"\n", "gait.toml:2: \"10\" is not a time with its unit"),
        ("[spool]\nmax_bytes = \"lots\"\n", "gait.toml:2: \"lots\" is not a size with its unit"),
        ("[caller]\nidentity = [\"cookies:sid\"]\n", "gait.toml:2: \"cookies:sid\": unknown caller identity"),
        ("[caller]\ntrusted_proxies = [\"10.0.0.0/99\"]\n", "gait.toml:2: \"10.0.0.0/99\": "),
        ("[capture]\nports = [80, 70000]\n", "gait.toml:2: invalid value: integer `70000`, expected u16"),
        (
            "[capture]\n\nring_bytes = \"3MiB\"\n",
            "gait.toml:3: capture.ring_bytes: 3145728 is not a power of two",
        ),
        ("[capture]\nroles = []\n", "gait.toml:2: capture.roles: neither server nor client is on"),
        ("[sequence]\nmax_callers = 0\n", "gait.toml:2: sequence.max_callers: must be at least 1"),
        ("[spool]\nflush_interval = \"0s\"\n", "gait.toml:2: spool.flush_interval: 0s is less than 100ms"),
        ("[triage]\neve = [\"/e\"]\n", "gait.toml:2: triage.eve: `out` does not say where judged alerts go"),
        ("[triage]\nout = \"/e\"\neve = [\"/e\"]\n", "gait.toml:2: triage.out: /e is read by `eve`"),
        ("[triage]\nout = \"/o\"\neve = [\"/e\", \"/e\"]\n", "gait.toml:3: triage.eve: /e is named twice"),
        ("[log]\nlevel = \"loud=\"\n", "gait.toml:2: log.level: \"\" is no log level"),
        ("[log]\nlevel = \"inof\"\n", "gait.toml:2: log.level: \"inof\" is no log level: use error, warn"),
        ("[log]\nlevel \"info\"\n", "gait.toml:2: "),
        (
            "[screening]\nidentity = [\"address\"]\n",
            "gait.toml:2: screening.identity: \"address\" is an address, not a name",
        ),
        (
            "[screening]\nidentity = [\"header:x-user\"]\n",
            "gait.toml:2: screening.identity: there is no screening.list",
        ),
        (
            "[screening.policy]\nblock = 0.9\nreview = 0.95\n",
            "gait.toml:3: screening.policy.review: review (0.95) must be above 0, and block (0.9) not below it",
        ),
        (
            "[screening.policy.weights]\nname = -1.0\n",
            "gait.toml:2: screening.policy.weights.name: weight of name must be a number",
        ),
        ("[web]\nlisten = \"localhost\"\n", "gait.toml:2: invalid socket address syntax"),
        ("[web]\nmax_connections = 0\n", "gait.toml:2: web.max_connections: 0 is not between 1 and 1024"),
    ] {
        let error = error(text);
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn functions_are_checked_as_a_whole_and_the_line_is_named() {
    let good = "[[functions]]\nservice = \"nginx\"\ninclude = [\"ngx_http_*\"]\n";
    assert_eq!(parse(good).map(|config| config.functions.len()), Ok(1));
    let second = |rest: &str| error(&format!("{good}\n[[functions]]\n{rest}"));
    for (rest, message) in [
        ("binary = \"/x\"\n", "5: [[functions]]: neither `include` nor `usdt` says which functions"),
        ("include = [\"*\"]\n", "5: [[functions]]: neither `binary` nor `service` says whose functions"),
        (
            "binary = \"/x\"\ninclud = [\"a\"]\n",
            "7: unknown key `includ` in [functions]: did you mean `include`?",
        ),
        (
            "binary = \"x.so\"\ninclude = [\"a\"]\n",
            "6: functions.binary: a name without directory needs `service`",
        ),
        ("binary = \"./x\"\ninclude = [\"a\"]\n", "6: functions.binary: \"./x\" is a relative path"),
        ("service = \"\"\ninclude = [\"a\"]\n", "6: functions.service: use a systemd unit"),
        ("service = \"x\"\ninclude = [\"\"]\n", "7: an empty pattern matches no function"),
        ("service = \"x\"\nusdt = \"perl\"\n", "7: \"perl\" is no pair of probes: use \"python\""),
        (
            "service = \"x\"\nusdt = \"python\"\nsuccess = \"ret == 0\"\n",
            "8: functions.success: is about the return value, which a USDT probe does not have",
        ),
        ("service = \"x\"\nusdt = \"python\"\ninclude = [\"a\"]\n", "8: functions.include: is about symbols"),
        ("service = \"x\"\ninclude = [\"a\"]\nsuccess = \"0\"\n", "8: \"0\" is no rule for the return value"),
        (
            "service = \"x\"\ninclude = [\"a\"]\nreturns = \"u8\"\nsuccess = \"ret >= 0\"\n",
            "9: functions.success: \"ret >= 0\" is always true of a return value of type u8",
        ),
        (
            "service = \"x\"\ninclude = [\"a\"]\nmax_functions = 0\n",
            "8: functions.max_functions: must be at least 1",
        ),
    ] {
        let error = second(rest);
        assert!(error.starts_with(&format!("gait.toml:{message}")), "{error}");
    }
}

#[test]
fn the_commented_examples_of_functions_can_be_used() {
    let (_, examples) = EXAMPLE.split_once("\n#[[functions]]\n").expect("an example");
    let examples: Vec<&str> = examples.lines().filter(|line| !line.starts_with("# ")).collect();
    let text: String = examples.iter().map(|line| format!("{}\n", line.trim_start_matches('#'))).collect();
    let config = parse(&format!("[[functions]]\n{text}")).expect("the examples");
    let mut keys = std::collections::BTreeSet::new();
    for functions in &config.functions {
        assert_eq!(functions.max_functions, Functions::default().max_functions);
        keys.extend(
            toml::Table::try_from(functions).expect("they can be written").into_iter().map(|(key, _)| key),
        );
    }
    for key in keys {
        assert!(
            examples.iter().any(|line| line.starts_with(&format!("#{key} = "))),
            "gait.toml does not show {key}"
        );
    }
    assert!(config.functions.iter().any(|functions| functions.usdt.is_some()));
}

#[test]
fn the_configurations_of_the_readme_can_be_used() {
    let readme = include_str!("../../../README.md");
    let examples: Vec<&str> =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    // The sources of a list are the trainer's to read.
    let of_agent = |example: &&&str| !example.contains("[[source]]");
    let examples: Vec<&&str> = examples.iter().filter(of_agent).collect();
    assert!(examples.len() >= 2, "there are examples");
    for example in examples {
        parse(example).unwrap_or_else(|error| panic!("{error}: {example}"));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::read(Some(Path::new("/nowhere/gait.toml"))).expect_err("no such file").to_string();
    assert!(error.starts_with("failed to read configuration /nowhere/gait.toml: "), "{error}");
}

//! Arguments and return values of real programs.

use std::{collections::BTreeMap, path::Path, time::Duration};

use gait_agent::{capture::TreeOptions, config::Functions, functions::values::Value};

use super::{
    followed::{Followed, Program, functions},
    postgres::Postgres,
};
use crate::support::{
    client::{Client, get},
    process::Server,
};

fn value(of: &str, form: &str, of_functions: &[&str]) -> anyhow::Result<Value> {
    Ok(Value {
        of: of.parse()?,
        form: form.parse()?,
        functions: of_functions.iter().map(|glob| glob.parse()).collect::<Result<_, _>>()?,
        hash: false,
    })
}

/// Follows the functions of `values.c` with these values, and runs it so.
fn run(values: Vec<Value>, arguments: &[&str]) -> anyhow::Result<Followed> {
    let program = Program::compile("values.c", &[])?;
    let target = Functions { values, ..functions(&program.path, &["f_*"])? };
    let mut followed = Followed::start(&[target], &[])?;
    program.run(arguments)?;
    followed.drain_for(Duration::from_millis(100))?;
    followed.counters()?;
    Ok(followed)
}

fn expect(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
    all.iter().map(|(text, trees)| ((*text).to_owned(), *trees)).collect()
}

#[test]
fn integers_and_strings_are_counted_as_the_program_means_them() -> anyhow::Result<()> {
    let values = vec![
        value("arg1", "i32", &["f_find"])?,
        value("arg2", "str", &["f_find"])?,
        value("ret", "i32", &["f_find", "f_order"])?,
        value("arg1", "i8", &["f_label"])?,
        value("arg2", "u16", &["f_label"])?,
        value("ret", "str", &["f_label"])?,
        value("arg5", "i64", &["f_sum"])?,
        value("arg6", "u64", &["f_sum"])?,
    ];
    let followed = run(values, &["orders", "120"])?;
    let cut = "f_label ret \"a label that is longer than thir\"";
    assert_eq!(
        followed.all_values(),
        expect(&[
            ("f_find arg1 0", 30),
            ("f_find arg1 1", 30),
            ("f_find arg1 2", 30),
            ("f_find arg1 3", 30),
            ("f_find arg2 \"apple\"", 40),
            ("f_find arg2 \"pear \\\"x\\\"\"", 40),
            ("f_find arg2 null", 40),
            ("f_find ret -1", 30),
            ("f_find ret 0", 30),
            ("f_find ret 1", 30),
            ("f_find ret 2", 30),
            ("f_label arg1 -5", 60),
            ("f_label arg1 7", 60),
            ("f_label arg2 65535", 120),
            ("f_label ret \"below\"", 60),
            (cut, 60),
            ("f_order ret -1", 12),
            ("f_order ret 0", 108),
            ("f_sum arg5 -9223372036854775807", 60),
            ("f_sum arg5 -9223372036854775808", 60),
            ("f_sum arg6 18446744073709551615", 120),
        ])
    );
    let counters = followed.counters()?;
    assert_eq!((counters.values, counters.values_full, counters.values_unreadable), (120 * 9, 0, 0));
    Ok(())
}

/// The codes of trees are what they are without values, and every value is under the code of its tree.
#[test]
fn values_are_counted_under_the_codes_of_their_trees() -> anyhow::Result<()> {
    let followed = run(vec![value("arg1", "i32", &["f_find"])?], &["orders", "40"])?;
    assert_eq!(followed.trees(), ["40 f_order(f_find f_label f_sum)"]);
    let (key, counts) = followed.counts.first_key_value().expect("one code");
    assert!(followed.values.keys().all(|value| (value.root, value.ordered) == (key.root, key.ordered)));
    assert_eq!(followed.values.values().sum::<u64>(), counts.calls);
    followed.check_codes();
    Ok(())
}

/// Of a loop the first few values count, and the others together once: as the tree is one code however often the loop ran.
#[test]
fn a_loop_with_ever_new_values_stays_within_its_bound() -> anyhow::Result<()> {
    let values = vec![value("arg1", "i32", &["f_find"])?, value("ret", "i32", &["f_many"])?];
    let followed = run(values, &["many", "10000"])?;
    let all = expect(&[
        ("f_find arg1 0", 1),
        ("f_find arg1 1", 1),
        ("f_find arg1 2", 1),
        ("f_find arg1 3", 1),
        ("f_find arg1 *", 1),
        ("f_many ret 0", 1),
    ]);
    assert_eq!(followed.all_values(), all);
    Ok(())
}

/// Ever new strings fill nothing for good: what was taken out makes room for the next ones.
#[test]
fn ever_new_strings_are_bounded_and_the_rest_is_counted_together() -> anyhow::Result<()> {
    let program = Program::compile("values.c", &[])?;
    let mut hidden = value("arg1", "str", &["f_log"])?;
    hidden.hash = true;
    let target = Functions { values: vec![hidden], ..functions(&program.path, &["f_*"])? };
    let mut followed = Followed::start(&[target], &[])?;
    for _ in 0..2 {
        program.run(&["users", "1000"])?;
        followed.drain()?;
        let all = std::mem::take(&mut followed.values);
        let others: u64 = all.iter().filter(|(key, _)| key.value.kind == 0).map(|(_, trees)| trees).sum();
        assert_eq!((all.len(), others), (65, 1000 - 64), "64 by themselves, the others together");
        followed.values = all;
        let hashes = followed.all_values();
        let hashed = hashes.keys().filter(|text| text.starts_with("f_log arg1 #") && text.len() == 28);
        assert_eq!(hashed.count(), 64, "nothing of a string that is to be hidden is shown: {hashes:?}");
        followed.values.clear();
    }
    let counters = followed.counters()?;
    assert_eq!((counters.values, counters.values_full), (2000, 0));
    Ok(())
}

/// A rule of success that is for some functions leaves the others alone, whatever is in their register.
#[test]
fn a_rule_of_success_is_for_the_functions_that_it_names() -> anyhow::Result<()> {
    let program = Program::compile("values.c", &[])?;
    for (of, failures) in [(&["f_order"][..], 10), (&["f_s*"], 0), (&[], 100)] {
        let target = Functions {
            success: Some("ret == 0".parse()?),
            success_functions: of.iter().map(|glob| glob.parse()).collect::<Result<_, _>>()?,
            ..functions(&program.path, &["f_order", "f_label", "f_log"])?
        };
        let mut followed = Followed::start(&[target], &[])?;
        program.run(&["orders", "100"])?;
        followed.drain_for(Duration::from_millis(100))?;
        let failed: u64 = followed.counts.values().map(|counts| counts.failures).sum();
        assert_eq!(failed, failures, "{of:?}");
    }
    Ok(())
}

/// Python's probe gives name and line: of the functions that are named, and of no other.
#[test]
fn the_line_of_a_python_function_is_an_argument_of_its_probe() -> anyhow::Result<()> {
    let server = Server::script("/usr/bin/python3", "flask_app.py", &[])?;
    let binary = Path::new("/usr/bin/python3").canonicalize()?;
    let of = &["flask_app.py:price"];
    let python = Functions {
        binary: binary.to_str().map(str::to_owned),
        usdt: Some("python".to_owned().try_into()?),
        values: vec![value("arg2", "str", of)?, value("arg3", "i32", of)?],
        ..Functions::default()
    };
    let trees = TreeOptions { max_rate: u64::MAX, ..TreeOptions::default() };
    let mut followed = Followed::start_with(&[python], &[server.port()], trees)?;
    for _ in 0..20 {
        Client::connect(server.address)?.ask(&get("/items/7"), " 200 ")?;
    }
    followed.drain_for(Duration::from_millis(300))?;
    let source = include_str!("../servers/flask_app.py");
    let line = 1 + source.lines().position(|line| line.starts_with("def price")).expect("a function");
    let line = format!("price arg3 {line}");
    assert_eq!(followed.all_values(), expect(&[("price arg2 \"price\"", 20), (&line, 20)]));
    assert_eq!(followed.counters()?.values_full, 0);
    Ok(())
}

/// PostgreSQL's parser is given each statement as a string.
#[test]
fn postgresql_is_followed_with_the_text_of_its_statements() -> anyhow::Result<()> {
    let server = Postgres::start()?;
    let binary = server.programs.join("postgres").canonicalize()?;
    let values = vec![value("arg1", "str", &["pg_parse_query"])?];
    let target = Functions { values, ..functions(&binary, &["pg_parse_query"])? };
    let mut followed = Followed::start(&[target], &[])?;
    for statement in ["select 1", "select 1", "select 'a string of more than 32 bytes'"] {
        server.run("psql", &["-q", "-c", statement])?;
    }
    followed.drain_for(Duration::from_millis(200))?;
    let all = expect(&[
        ("pg_parse_query arg1 \"select 1\"", 2),
        ("pg_parse_query arg1 \"select 'a string of more than 32\"", 1),
    ]);
    assert_eq!(followed.all_values(), all);
    Ok(())
}

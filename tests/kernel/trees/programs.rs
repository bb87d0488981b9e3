//! Small programs: loops, recursion, exceptions, long jumps, threads that end, fork, tail calls.

use std::time::Duration;

use super::followed::{Followed, Program, functions};

/// What every run of `calls` ends with.
const LAST: &str = "f_inner(f_leaf f_other f_leaf)";

/// Follows `calls`, runs it so, and gives its trees but for the last one, which must have come `runs` times and whole.
fn calls(runs: &[&[&str]]) -> anyhow::Result<(Vec<String>, Followed)> {
    let program = Program::compile("calls.c", &[])?;
    let mut followed = Followed::start(&[functions(&program.path, &["f_*"])?], &[])?;
    for arguments in runs {
        program.run(arguments)?;
    }
    followed.drain_for(Duration::from_millis(50))?;
    followed.counters()?;
    followed.check_codes();
    let mut trees = followed.trees();
    let last = format!("{} {LAST}", runs.len());
    let at = trees.iter().position(|tree| *tree == last);
    trees.remove(
        at.unwrap_or_else(|| panic!("a thread was wrong afterwards: {last} is not among {trees:#?}")),
    );
    Ok((trees, followed))
}

#[test]
fn loops_of_any_length_are_one_tree() -> anyhow::Result<()> {
    let (trees, _) = calls(&[
        &["loop", "1"],
        &["loop", "2"],
        &["loop", "10000"],
        &["body", "1"],
        &["body", "7"],
        &["body", "1000"],
    ])?;
    let body = "3 f_body(f_leaf f_inner(f_leaf f_other f_leaf) f_other f_answers)";
    assert_eq!(trees, [body, "3 f_loop(f_leaf)"]);
    Ok(())
}

#[test]
fn recursion_is_told_by_its_depth_and_cut_where_it_is_too_deep() -> anyhow::Result<()> {
    let (trees, followed) =
        calls(&[&["down", "1"], &["down", "3"], &["down", "3"], &["even", "2"], &["down", "200"]])?;
    // The kernel's return probes go 64 calls deep.
    let deep = format!("1 f_down{}{}", "(f_down".repeat(63), ")".repeat(63));
    let expected =
        [deep.as_str(), "1 f_down", "1 f_even(f_odd(f_even))", "2 f_down(f_down(f_down))"].map(str::to_owned);
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(trees, expected);
    let counters = followed.counters()?;
    assert_eq!((counters.truncated, counters.stray), (1, 0), "what was cut is counted: {counters:?}");
    Ok(())
}

#[test]
fn long_jumps_leave_no_thread_wrong() -> anyhow::Result<()> {
    let (trees, followed) = calls(&[&["catch", "50"], &["jump", "50"]])?;
    assert_eq!(
        trees,
        [
            "50 !f_jumps_from_root(f_leaf)",
            "50 f_catches(!f_jumps(f_leaf !f_jumps(f_leaf !f_jumps(f_leaf !f_jumps(f_leaf)))) f_other)",
        ]
    );
    let failed: u64 = followed.counts.values().map(|counts| counts.failures).sum();
    assert_eq!(failed, 50, "a tree left by a long jump has failed");
    Ok(())
}

#[test]
fn threads_that_end_inside_a_call_leave_nothing_behind() -> anyhow::Result<()> {
    let (trees, followed) = calls(&[&["threads", "40"], &["killed"]])?;
    assert_eq!(trees, ["20 f_leaf"]);
    assert_eq!(followed.counters()?.abandoned, 21, "what was open is counted");
    Ok(())
}

#[test]
fn a_child_does_not_inherit_the_calls_of_its_parent() -> anyhow::Result<()> {
    let (trees, _) = calls(&[&["fork"]])?;
    assert_eq!(trees, ["1 f_forks(f_leaf f_other)", "1 f_leaf", "1 f_other"]);
    Ok(())
}

#[test]
fn a_signal_handler_with_a_stack_of_its_own_leaves_its_thread_right() -> anyhow::Result<()> {
    calls(&[&["signal", "20"]]).map(|_| ())
}

#[test]
fn a_success_rule_tells_what_failed() -> anyhow::Result<()> {
    let program = Program::compile("calls.c", &[])?;
    let mut wanted = functions(&program.path, &["f_answers"])?;
    wanted.success = Some("ret >= 0".parse()?);
    let mut followed = Followed::start(&[wanted], &[])?;
    program.run(&["answers", "100"])?;
    followed.drain_for(Duration::from_millis(50))?;
    let counts: Vec<_> = followed.counts.values().map(|counts| (counts.calls, counts.failures)).collect();
    assert_eq!(counts, [(100, 50)]);
    Ok(())
}

#[test]
fn tail_calls_are_followed() -> anyhow::Result<()> {
    let program = Program::compile("tail.c", &["-O2", "-foptimize-sibling-calls"])?;
    let mut followed = Followed::start(&[functions(&program.path, &["f_*"])?], &[])?;
    program.run(&["30"])?;
    followed.drain_for(Duration::from_millis(50))?;
    followed.check_codes();
    // A return probe sees the jump as a call inside; a probe at the jump itself sees the end of the first.
    let inside = ["30 f_both(f_first(f_middle(f_last)) f_last)", "30 f_first(f_middle(f_last))"];
    assert_eq!(followed.trees(), inside);
    Ok(())
}

#[test]
fn exceptions_go_through_and_leave_no_thread_wrong() -> anyhow::Result<()> {
    let program = Program::compile("exceptions.cpp", &[])?;
    let mut followed = Followed::start(&[functions(&program.path, &["f_*"])?], &[])?;
    assert_eq!(program.run(&["100"])?, "100\n", "the program itself goes on as before");
    followed.drain_for(Duration::from_millis(50))?;
    followed.check_codes();
    assert_eq!(
        followed.trees(),
        [
            "1 f_leaf()",
            "100 !f_rethrows()(!f_throws(int)(f_leaf()) f_leaf())",
            "50 f_catches(bool)(!f_throws(int)(f_leaf() !f_throws(int)(f_leaf() !f_throws(int)(f_leaf()))))",
            "50 f_catches(bool)(f_leaf())",
        ]
    );
    Ok(())
}

//! Bounds: what does not fit is counted and marked, and what does is right.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use gait_agent::capture::TreeOptions;
use gait_common::wire::tree::TRUNCATED;

use super::followed::{Followed, Program, functions};

const CODES: u64 = 20_000;
const THREADS: u32 = 10_000;

fn followed(trees: TreeOptions) -> anyhow::Result<(Program, Followed)> {
    let program = Program::compile("many.c", &[])?;
    let followed = Followed::start_with(&[functions(&program.path, &["f_*"])?], &[], trees)?;
    Ok((program, followed))
}

#[test]
fn as_many_codes_as_allowed_are_counted_and_each_is_sent_once() -> anyhow::Result<()> {
    let (program, mut followed) = followed(TreeOptions { max_rate: u64::MAX, ..TreeOptions::default() })?;
    let path = program.path.clone();
    let run = std::thread::spawn(move || {
        // Twice: the second time nothing is new.
        (0..2).try_for_each(|_| Command::new(&path).args(["codes", &CODES.to_string()]).status().map(|_| ()))
    });
    while !run.is_finished() {
        followed.drain_for(Duration::from_millis(10))?;
    }
    followed.drain()?;
    let counters = followed.counters()?;
    let all = 2 * (CODES + 1);
    assert_eq!(counters.trees, all, "{counters:?}");
    // The table's bound is its last entry's too: the code of the last call.
    assert_eq!((counters.ring_full, counters.codes_full + counters.counted), (0, all), "{counters:?}");
    assert_eq!(counters.new, CODES, "{counters:?}");
    assert_eq!(followed.known.len() as u64, CODES);
    let counted: u64 = followed.counts.values().map(|counts| counts.calls).sum();
    assert_eq!(counted, counters.counted, "what is counted is read");
    followed.check_codes();
    Ok(())
}

#[test]
fn codes_beyond_the_bound_are_counted() -> anyhow::Result<()> {
    let trees = TreeOptions { max_codes: 1000, max_rate: u64::MAX, ..TreeOptions::default() };
    let (program, mut followed) = followed(trees)?;
    program.run(&["codes", "3000"])?;
    followed.drain_for(Duration::from_millis(50))?;
    let counters = followed.counters()?;
    assert_eq!((counters.trees, counters.new), (3001, 1000), "{counters:?}");
    assert_eq!(counters.codes_full, 2001, "{counters:?}");
    Ok(())
}

/// A service of which every release has other trees: the table does not fill for good, and no count is lost.
#[test]
fn codes_that_run_no_more_make_room_for_others() -> anyhow::Result<()> {
    let idle = Duration::from_millis(300);
    let trees = TreeOptions { max_codes: 1000, max_rate: u64::MAX, idle, ..TreeOptions::default() };
    let (program, mut followed) = followed(trees)?;
    for release in 0..8 {
        let from = (release * 240).to_string();
        program.run(&["codes", "240", &from])?;
        followed.drain_for(Duration::from_millis(50))?;
        // The table is read, and nearly all of it is idle by then.
        std::thread::sleep(2 * idle);
        followed.drain()?;
        assert!(followed.counters()?.codes <= 900, "{:?}", followed.counters()?);
    }
    let counters = followed.counters()?;
    assert_eq!((counters.codes_full, counters.ring_full), (0, 0), "{counters:?}");
    assert!(counters.codes_evicted >= 8 * 240 - 900, "{counters:?}");
    // Those of the first release, long gone, are new once more.
    program.run(&["codes", "240"])?;
    followed.drain_for(Duration::from_millis(50))?;
    assert!(followed.again >= 240, "{} came again", followed.again);
    let counters = followed.counters()?;
    let counted: u64 = followed.counts.values().map(|counts| counts.calls).sum();
    assert_eq!((counted, counters.trees), (counters.counted, 9 * 241), "{counters:?}");
    followed.check_codes();
    Ok(())
}

#[test]
fn ten_thousand_threads_are_followed_and_their_memory_is_given_back() -> anyhow::Result<()> {
    let (program, mut followed) =
        followed(TreeOptions { max_threads: THREADS - 100, ..TreeOptions::default() })?;
    let mut run = Command::new(&program.path)
        .args(["threads", &THREADS.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    BufReader::new(run.stdout.take().context("stdout")?).read_line(&mut said)?;
    assert_eq!(said, "inside\n", "the program could not start its threads");
    // Each of the others called two functions.
    assert_eq!(followed.counters()?.threads_full, 200);
    run.stdin.take().context("stdin")?.write_all(b"\n")?;
    assert!(run.wait()?.success());
    followed.drain_for(Duration::from_millis(100))?;
    let stays = format!("{} f_stays(f_zero)", THREADS - 100);
    assert!(followed.trees().contains(&stays), "{:?}", followed.trees());
    // All places are free again: nobody is turned away now.
    program.run(&["threads", "50"]).ok();
    assert_eq!(followed.counters()?.threads_full, 200);
    Ok(())
}

#[test]
fn calls_200_deep_are_cut_and_marked() -> anyhow::Result<()> {
    let (program, mut followed) = followed(TreeOptions::default())?;
    program.run(&["deep", "60"])?;
    program.run(&["deep", "200"])?;
    program.run(&["deep", "200"])?;
    followed.drain_for(Duration::from_millis(50))?;
    let counters = followed.counters()?;
    assert_eq!(counters.truncated, 2, "{counters:?}");
    let mut deep: Vec<(u64, bool)> = followed
        .counts
        .iter()
        .filter(|(key, _)| followed.name(key.root) == "f_deep")
        .map(|(key, counts)| (counts.calls, followed.known[key].flags & TRUNCATED != 0))
        .collect();
    deep.sort_unstable();
    assert_eq!(deep, [(1, false), (2, true)], "the cut trees are equal, and marked");
    Ok(())
}

#[test]
fn a_function_that_is_called_too_often_is_off_for_a_while() -> anyhow::Result<()> {
    let pause = Duration::from_secs(2);
    let (program, mut followed) = followed(TreeOptions { max_rate: 500, pause, ..TreeOptions::default() })?;
    let points = followed.points as u64;
    assert_eq!(followed.watch.capture.break_circuits(), [], "the first look has nothing to compare with");
    program.run(&["codes", "2000"])?;
    std::thread::sleep(Duration::from_millis(1100));
    let tripped = followed.watch.capture.break_circuits();
    let mut functions: Vec<&str> = tripped.iter().map(|tripped| tripped.function.as_str()).collect();
    functions.sort_unstable();
    assert_eq!(functions, ["many:f_code", "many:f_one", "many:f_zero"], "{tripped:?}");
    let before = followed.counters()?;
    assert!(before.points < points && before.functions_off == 3, "{before:?}");
    program.run(&["codes", "2000"])?;
    assert_eq!(followed.counters()?.trees, before.trees, "nothing of what is off is seen");
    std::thread::sleep(pause);
    assert_eq!(followed.watch.capture.break_circuits(), []);
    let after = followed.counters()?;
    assert_eq!((after.points, after.functions_off), (points, 0), "all is on again");
    program.run(&["codes", "3"])?;
    assert_eq!(followed.counters()?.trees, before.trees + 4);
    Ok(())
}

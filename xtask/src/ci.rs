//! Everything that must hold before a change lands, in the order of how soon it can say no.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, output, root, run, say, target_dir, which};
use crate::{apt, build, test, toolchain};

/// One step: its name and what it does.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("format", format),
    ("toolchain", prepare),
    ("clippy", clippy),
    ("clippy-kernel-side", clippy_kernel_side),
    ("fuzz-targets", fuzz_targets),
    ("documentation", documentation),
    ("dependencies", dependencies),
    ("tests", tests),
];

/// The steps' names, in order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|(name, _)| *name)
}

/// Runs the steps named, or every one; the first failure ends it. Says how long each took.
pub(crate) fn ci(only: &[String]) -> Result<()> {
    let mut timings = Vec::new();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    for (name, step) in STEPS.iter().filter(|(name, _)| wanted(name)) {
        say(format!("ci: {name}"));
        let start = Instant::now();
        let result = step().with_context(|| format!("ci step failed: {name}"));
        timings.push((name, start.elapsed(), if result.is_ok() { "ok" } else { "FAILED" }));
        if result.is_err() {
            print(&timings);
            return result;
        }
    }
    print(&timings);
    Ok(())
}

fn print(timings: &[(&&str, std::time::Duration, &str)]) {
    for (name, time, outcome) in timings {
        println!("ci: {name:<22} {:>7.1} s  {outcome}", time.as_secs_f64());
    }
}

fn format() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))
}

fn prepare() -> Result<()> {
    toolchain::prepare().map(drop)
}

fn clippy() -> Result<()> {
    let object = build::ebpf()?;
    let mut command = cargo();
    command.args(["clippy", "--workspace", "--exclude", "gait-agent-ebpf", "--all-targets"]);
    command.args([
        "--features",
        "gait-tests/kernel,gait-tests/browser,gait-tests/suricata",
        "--",
        "-D",
        "warnings",
    ]);
    run(build::with_object(&mut command, &object))
}

/// The kernel side has a compiler of its own, and so its own clippy, where that comes with one.
fn clippy_kernel_side() -> Result<()> {
    let toolchain = toolchain::prepare()?;
    if toolchain.clippy_driver().is_none() && apt::usable() && apt::candidate("rust-web-clippy").is_some() {
        apt::install(&["rust-web-clippy"])?;
    }
    let mut command = build::kernel_side(&toolchain, "check", &["-Dwarnings"]);
    match toolchain.clippy_driver() {
        // What `cargo clippy` does; cargo would find another toolchain's `cargo-clippy` first.
        Some(driver) => {
            command.env("RUSTC_WORKSPACE_WRAPPER", driver).env("CLIPPY_CONF_DIR", root());
        }
        None => say("this compiler comes without clippy: only its own warnings are checked"),
    }
    run(&mut command)
}

/// The fuzz targets are a workspace of their own, which nothing else would notice to be broken.
fn fuzz_targets() -> Result<()> {
    apt::ensure(&[apt::need("c++", "g++")])?;
    let mut command = cargo();
    command.args(["clippy", "--locked", "--manifest-path"]).arg(root().join("tests/fuzz/Cargo.toml"));
    command.arg("--target-dir").arg(target_dir().join("fuzz")).args(["--", "-D", "warnings"]);
    run(&mut command)
}

fn documentation() -> Result<()> {
    let mut command = cargo();
    command.args(["doc", "--workspace", "--exclude", "gait-agent-ebpf", "--exclude", "xtask", "--lib"]);
    run(command.arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}

fn dependencies() -> Result<()> {
    if which("cargo-deny").is_none() {
        say("installing cargo-deny (some minutes)");
        run(cargo().args(["install", "--locked", "cargo-deny"]))?;
    }
    run(cargo().args(["deny", "--locked", "check", "bans", "licenses", "sources"]))?;
    // The advisories live in a git repository, which a closed network does not reach.
    if let Err(why) = output(cargo().args(["deny", "fetch", "db"])) {
        say(format!("advisories NOT checked, their database cannot be had: {}", last_line(&why)));
        return Ok(());
    }
    run(cargo().args(["deny", "--locked", "check", "advisories"]))
}

fn last_line(error: &anyhow::Error) -> String {
    format!("{error:#}")
        .lines()
        .rfind(|line| line.starts_with("fatal") || line.contains("failed"))
        .map_or_else(|| format!("{error:#}"), |line| line.trim().to_owned())
}

fn tests() -> Result<()> {
    test::test(&[])
}

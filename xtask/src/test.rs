//! Every test: those that need nothing, a browser, or Suricata, and those that load real probes into this kernel.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, need};
use crate::shell::{as_root, can_be_root, cargo, is_root, output, run, say};
use crate::{build, kernels, suricata};

/// The servers, loads, compilers and network tools that the kernel tests drive.
const NEEDS: &[apt::Need] = &[
    need("gcc", "gcc"),
    need("g++", "g++"),
    need("/usr/bin/pg_ctlcluster", "postgresql"),
    need("/usr/bin/flask", "python3-flask"),
    need("wrk", "wrk"),
    need("python3", "python3"),
    need("node", "nodejs"),
    need("iptables", "iptables"),
    need("ip", "iproute2"),
    need("unshare", "util-linux"),
];

/// How cargo is asked for the kernel tests.
const KERNEL_TESTS: [&str; 7] =
    ["test", "--package", "gait-tests", "--features", "kernel", "--test", "kernel"];

/// The browser that opens the training report.
const BROWSER: &[apt::Need] = &[need("chromium", "chromium")];

/// Runs all tests; `arguments` go to the test programs.
///
/// # Errors
/// When a test fails or Suricata is missing, and in CI also when the browser or kernel tests could not run.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    let object = build::ebpf()?;
    say("running the tests that need no root");
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--exclude", "gait-agent-ebpf", "--no-fail-fast", "--"])
        .args(arguments);
    run(build::with_object(&mut command, &object))?;
    browser(&object, arguments)?;
    suricata_tests(&object, arguments)?;
    kernel(&object, arguments)
}

/// Runs the tests that open the training report in Chromium.
fn browser(object: &Path, arguments: &[String]) -> Result<()> {
    if let Err(error) = apt::ensure(BROWSER) {
        if std::env::var_os("CI").is_some() {
            return Err(error.context("the browser tests could not be run"));
        }
        say(format!("the browser tests were NOT run: {error:#}"));
        return Ok(());
    }
    say("running the browser tests");
    let mut command = cargo();
    command.args(["test", "--package", "gait-tests", "--features", "browser", "--test", "browser", "--"]);
    run(build::with_object(command.args(arguments), object))
}

/// Runs the tests that drive the real Suricata. Without it they fail: its absence must not look like success.
fn suricata_tests(object: &Path, arguments: &[String]) -> Result<()> {
    let found = suricata::prepare().context("the Suricata tests could not be run")?;
    say(format!("running the tests with {}", found.about()));
    let mut command = cargo();
    command.args(["test", "--package", "gait-tests", "--features", "suricata", "--test", "suricata", "--"]);
    run(build::with_object(command.args(arguments), object))
}

/// Runs the tests that load the probes into this kernel.
pub(crate) fn kernel(object: &Path, arguments: &[String]) -> Result<()> {
    if !can_be_root() {
        let message = "the kernel tests were NOT run: they need root (or `sudo -n`)";
        if std::env::var_os("CI").is_some() {
            bail!(message);
        }
        say(message);
        return Ok(());
    }
    apt::ensure(NEEDS)?;
    suricata::prepare()?;
    mount_tracefs()?;
    say("running the kernel tests as root");
    let mut command = cargo();
    command.args(KERNEL_TESTS).args(["--no-fail-fast", "--"]).args(arguments);
    command.env("PATH", path_with_nginx()?);
    if !is_root() {
        // cargo builds as ourselves and only the test program runs as root.
        let runner = format!("CARGO_TARGET_{}_RUNNER", env!("XTASK_HOST").to_uppercase().replace('-', "_"));
        command.env(runner, "sudo -n --preserve-env");
    }
    run(build::with_object(&mut command, object))
}

/// Builds the program of the kernel tests, and what it drives, without running it.
pub(crate) fn kernel_program(object: &Path) -> Result<PathBuf> {
    apt::ensure(NEEDS)?;
    say("building the kernel tests");
    let mut command = cargo();
    command.args(KERNEL_TESTS).args(["--no-run", "--message-format=json-render-diagnostics"]);
    let messages = output(build::with_object(&mut command, object))?;
    kernels::built(&messages).context("cargo built the kernel tests, but does not say where")
}

/// PATH with nginx on it, which may have been unpacked rather than installed, and with the sbin directories.
fn path_with_nginx() -> Result<std::ffi::OsString> {
    let nginx = apt::nginx()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(nginx.parent().map(Path::to_path_buf));
    Ok(std::env::join_paths(dirs)?)
}

/// The kernel lists its tracepoints in tracefs; minimal systems do not mount it.
pub(crate) fn mount_tracefs() -> Result<()> {
    let mounted = |dir: &str| Path::new(dir).join("events").exists();
    if mounted("/sys/kernel/tracing") || mounted("/sys/kernel/debug/tracing") {
        return Ok(());
    }
    say("mounting tracefs at /sys/kernel/tracing");
    run(as_root("mount", &[]).args(["-t", "tracefs", "tracefs", "/sys/kernel/tracing"]))
}

/// A trainer run as a user would type it: `gait-trainer train` with the options given.
pub(crate) fn train(
    logs: &[String],
    format: &str,
    out: &Path,
    report: Option<&Path>,
    rest: &[String],
) -> Result<()> {
    let trainer = build::trainer()?;
    let mut command = Command::new(trainer);
    command.args(["train", "--format", format, "--out"]).arg(out);
    if let Some(report) = report {
        command.arg("--report").arg(report);
    }
    run(command.args(rest).args(logs))
}

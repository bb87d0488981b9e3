//! The kernel side as an object file, and the programs that carry it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::{cargo, run, say, target_dir};
use crate::toolchain::{self, Toolchain};

/// The environment variable by which the agent's build script gets the object to embed.
const OBJECT_VARIABLE: &str = "GAIT_EBPF";

/// What a build made.
pub(crate) struct Built {
    /// The agent.
    pub(crate) agent: PathBuf,
    /// The trainer.
    pub(crate) trainer: PathBuf,
}

/// Builds the kernel side, the agent with it inside, and the trainer.
pub(crate) fn build(release: bool) -> Result<Built> {
    let object = ebpf()?;
    say(format!("building agent and trainer{}", if release { " (release)" } else { "" }));
    let mut command = cargo();
    command.args(["build", "--package", "gait-agent", "--package", "gait-trainer"]);
    command.args(release.then_some("--release")).env(OBJECT_VARIABLE, &object);
    run(&mut command)?;
    let dir = target_dir().join(if release { "release" } else { "debug" });
    Ok(Built { agent: dir.join("gait-agent"), trainer: dir.join("gait-trainer") })
}

/// Builds agent and trainer without the kernel side: enough for logs, and needs no special toolchain.
pub(crate) fn build_without_kernel_side() -> Result<Built> {
    // With an object from an earlier build at hand the agent need not be built twice in turns.
    if object_path().is_file() && toolchain::find().is_ok() {
        return build(true);
    }
    say("building agent and trainer (release, without the kernel side)");
    run(cargo().args(["build", "--release", "--package", "gait-agent", "--package", "gait-trainer"]))?;
    let dir = target_dir().join("release");
    Ok(Built { agent: dir.join("gait-agent"), trainer: dir.join("gait-trainer") })
}

/// Builds the trainer alone.
pub(crate) fn trainer() -> Result<PathBuf> {
    say("building the trainer (release)");
    run(cargo().args(["build", "--release", "--package", "gait-trainer"]))?;
    Ok(target_dir().join("release/gait-trainer"))
}

/// Builds the kernel side and gives the object's path. cargo decides what is to be built anew.
pub(crate) fn ebpf() -> Result<PathBuf> {
    let toolchain = toolchain::prepare()?;
    say(format!("building the kernel side with {}", toolchain.about()));
    run(&mut kernel_side(&toolchain, "build", &[])).with_context(|| {
        "failed to build the kernel side; if bpf-linker complains about bitcode, it was built for another LLVM \
         than the compiler's: remove it and run `cargo xtask toolchain`"
    })?;
    let object = object_path();
    if !object.is_file() {
        bail!("cargo built the kernel side, but there is no {}", object.display());
    }
    Ok(object)
}

/// A cargo command (`build`, `check`) over the kernel side's crate, for the kernel's target, with `extra` flags for
/// the compiler.
pub(crate) fn kernel_side(toolchain: &Toolchain, what: &str, extra: &[&str]) -> Command {
    let mut command = toolchain.cargo();
    command.args([what, "--package", "gait-agent-ebpf", "--release", "--target", bpf_target()]);
    command.args(["-Z", "build-std=core", "--target-dir"]).arg(target_dir().join("ebpf"));
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(extra).join("\x1f"));
    // The verifier wants one self-contained object: no unwinding, one unit, and no thin LTO beside bpf-linker's own.
    command.env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    command.env("CARGO_PROFILE_RELEASE_LTO", "off");
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    command
}

fn flags(extra: &[&str]) -> Vec<String> {
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    // BTF is made from debug information: the kernel needs it to load, people to read.
    let fixed = [arch.as_str(), "-Cdebuginfo=2", "-Clink-arg=--btf", "-Cembed-bitcode=yes"];
    fixed.iter().chain(extra).map(|&flag| flag.to_owned()).collect()
}

fn object_path() -> PathBuf {
    target_dir().join("ebpf").join(bpf_target()).join("release/gait-agent-ebpf")
}

const fn bpf_target() -> &'static str {
    if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" }
}

/// Gives a command the object for the agent's build script, when there is one.
pub(crate) fn with_object<'c>(command: &'c mut Command, object: &std::path::Path) -> &'c mut Command {
    command.env(OBJECT_VARIABLE, object)
}

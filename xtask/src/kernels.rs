//! The kernel tests under other kernels: Debian's, in QEMU's emulation, over this machine's own files.
//!
//! A guest sees the whole root of this machine through 9p, below a layer of memory that takes what it writes, so the test
//! program and every server it drives are those that are here. The emulation is some ten times slower than
//! the machine: tests that measure load or time belong on the real kernel.

mod initramfs;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::apt::{self, need};
use crate::shell::{output, say, state_dir};
use crate::{build, test};
use initramfs::Initramfs;

/// The tests that hold on a slow machine, by the beginnings of their names.
const TESTS: &[&str] = &["framing", "filters", "trees::programs", "trees::places"];
/// What the guest needs before it sees this machine's files.
const MODULES: &[&str] = &["virtio_pci", "9pnet_virtio", "9p", "overlay"];
/// How long a guest may run, in seconds.
const PATIENCE: u64 = 3600;
/// How the guest's first program says that the command has ended.
const ENDED: &str = "guest: ended with ";

/// Runs kernel tests under each of the kernels: packages of Debian's, or the release's own if none is named.
///
/// # Errors
/// When a kernel or QEMU is missing and cannot be fetched, or a test fails under one of them.
pub(crate) fn kernels(packages: &[String], tests: &[String]) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("guests are emulated for x86_64 only so far");
    }
    apt::ensure(&[need("qemu-system-x86_64", "qemu-system-x86")])?;
    let object = build::ebpf()?;
    let program = test::kernel_program(&object)?;
    let packages = if packages.is_empty() { vec![own()?] } else { packages.to_vec() };
    let tests: Vec<&str> =
        if tests.is_empty() { TESTS.to_vec() } else { tests.iter().map(String::as_str).collect() };
    let mut failed = Vec::new();
    for package in &packages {
        let guest = Guest::prepare(package)?;
        say(format!("running {} under {}", tests.join(", "), guest.release));
        if !guest.run(&command(&program, &tests))? {
            failed.push(guest.release);
        }
    }
    if !failed.is_empty() {
        bail!("tests failed under {}", failed.join(", "));
    }
    Ok(())
}

/// The package of the kernel that this release of Debian comes with.
fn own() -> Result<String> {
    apt::refresh(&["linux-image-amd64"])?;
    let depends = output(Command::new("apt-cache").args(["depends", "linux-image-amd64"]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(package.context("apt offers no linux-image-amd64; name a kernel's package with --kernel")?.to_owned())
}

/// What the guest's shell runs: the test program once for each beginning of a name, which is all a filter takes.
fn command(program: &Path, tests: &[&str]) -> String {
    let tests_dir = crate::shell::root().join("tests");
    let mut command = format!(
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root; cd '{}'; code=0",
        tests_dir.display()
    );
    for test in tests {
        command += &format!("; '{}' '{test}' --test-threads 1 || code=1", program.display());
    }
    command + "; exit $code"
}

/// A kernel, unpacked.
struct Guest {
    /// What it calls itself.
    release: String,
    kernel: PathBuf,
    modules: PathBuf,
    busybox: PathBuf,
}

impl Guest {
    /// Unpacks the package of a kernel, once.
    fn prepare(package: &str) -> Result<Self> {
        let busybox_dir = state_dir()?.join("busybox-static");
        let busybox = busybox_dir.join("bin/busybox");
        if !busybox.exists() {
            apt::unpack("busybox-static", &busybox_dir)?;
        }
        let dir = state_dir()?.join("kernels").join(package);
        let modules = dir.join("lib/modules");
        if !modules.exists() {
            say(format!("unpacking {package} (nothing is installed)"));
            apt::refresh(&[package])?;
            apt::unpack(package, &dir)?;
        }
        let release = only_entry(&modules)?;
        let kernel = dir.join("boot").join(format!("vmlinuz-{release}"));
        if !modules.join(&release).join("modules.dep").exists() {
            output(Command::new(&busybox).args(["depmod", "-b"]).arg(&dir).arg(&release))?;
        }
        Ok(Self { release, kernel, modules, busybox })
    }

    /// The archive it starts from.
    fn initramfs(&self, command: &str) -> Result<Vec<u8>> {
        let read = |path: &Path| fs::read(path).with_context(|| format!("failed to read {}", path.display()));
        let mut archive = Initramfs::default();
        for dir in ["bin", "modules", "proc", "sys", "dev", "low", "layer", "root"] {
            archive.dir(dir);
        }
        archive.file("bin/busybox", &read(&self.busybox)?);
        let dir = self.modules.join(&self.release);
        for (place, module) in self.needed(&dir)?.iter().enumerate() {
            let name = Path::new(module).file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("modules/{place:02}-{name}"), &read(&dir.join(module))?);
        }
        archive.file("command", command.as_bytes());
        let modules = self.modules.display().to_string();
        archive.file("init", include_str!("kernels/init.sh").replace("@MODULES@", &modules).as_bytes());
        Ok(archive.finish())
    }

    /// The files of [`MODULES`] and of what they need, each behind what it needs itself. What is missing is part of the kernel.
    fn needed(&self, dir: &Path) -> Result<Vec<String>> {
        let file = dir.join("modules.dep");
        let list = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let mut needed: Vec<String> = Vec::new();
        for module in MODULES {
            let ends = format!("/{module}.ko");
            let line = list.lines().filter_map(|line| line.split_once(':')).find(|(path, _)| {
                path.split(".ko").next().is_some_and(|stem| format!("{stem}.ko").ends_with(&ends))
            });
            let Some((path, needs)) = line else { continue };
            // The last one named comes first.
            for one in needs.split_whitespace().rev().chain([path]) {
                if !needed.iter().any(|known| known == one) {
                    needed.push(one.to_owned());
                }
            }
        }
        Ok(needed)
    }

    /// Runs a shell command in the guest, and shows what it prints; whether it ended well.
    fn run(&self, command: &str) -> Result<bool> {
        let archive = tempfile::NamedTempFile::new().context("failed to create a file")?;
        fs::write(archive.path(), self.initramfs(command)?).context("failed to write the guest's archive")?;
        let mut qemu = Command::new("timeout");
        qemu.args(["--kill-after", "10", &PATIENCE.to_string(), "qemu-system-x86_64"]);
        qemu.args(["-accel", "tcg", "-cpu", "max", "-m", "4G", "-smp", "2", "-nographic", "-no-reboot"]);
        qemu.args(["-net", "none", "-append", "console=ttyS0 panic=-1 quiet no_timer_check"]);
        qemu.args(["-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]);
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(archive.path());
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start qemu-system-x86_64")?;
        let console = child.stdout.take().context("the guest has no console")?;
        let mut code = None;
        for line in BufReader::new(console).split(b'\n') {
            let line = line.context("failed to read the guest's console")?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            println!("{line}");
            code = code.or_else(|| line.strip_prefix(ENDED).and_then(|code| code.parse::<u32>().ok()));
        }
        child.wait().context("failed to wait for the guest")?;
        let limit = Duration::from_secs(PATIENCE);
        let code = code.with_context(|| {
            format!(
                "the guest with {} did not end its tests within {limit:?}, or did not start",
                self.release
            )
        })?;
        Ok(code == 0)
    }
}

/// The name of the one thing in a directory.
fn only_entry(dir: &Path) -> Result<String> {
    let mut entries = fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))?;
    let entry = entries.next().with_context(|| format!("there is nothing in {}", dir.display()))??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

/// The program that a `cargo test --no-run --message-format=json` has built.
pub(crate) fn built(messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message["reason"] == "compiler-artifact" && message["target"]["kind"][0] == "test")
            .then(|| message["executable"].as_str().map(PathBuf::from))?
    })
}

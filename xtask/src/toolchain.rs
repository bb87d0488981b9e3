//! What the kernel side is built with: a compiler with the sources of `core`, and bpf-linker.
//!
//! Two kinds of compiler do. A rustup nightly with the component rust-src, as most developers have it; or the
//! compiler of the distribution with its source package, which is not a nightly but can be told to act as one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::apt;
use crate::shell::{cargo_home, is_executable, output, run, say, state_dir, which};

/// The oldest compiler taken, the workspace's `rust-version`.
const OLDEST: (u32, u32) = (1, 95);

/// A toolchain that was found to be complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Toolchain {
    /// How cargo is started: the program and its leading arguments.
    cargo: Vec<String>,
    /// The compiler, to be named to cargo where it would not find it by itself.
    rustc: Option<PathBuf>,
    /// The compiler's binary.
    compiler: PathBuf,
    /// The directory of bpf-linker.
    linker_dir: PathBuf,
    /// What this is, for people.
    about: String,
    /// Files whose absence or change means that all is to be looked at anew: path and modification time in s.
    witnesses: Vec<(PathBuf, u64)>,
}

impl Toolchain {
    /// cargo of this toolchain, started so that nothing of the toolchain that runs xtask leaks into it.
    pub(crate) fn cargo(&self) -> Command {
        let (program, args) = self.cargo.split_first().map_or(("cargo", &[][..]), |(p, a)| (p.as_str(), a));
        let mut command = Command::new(program);
        command.args(args).current_dir(crate::shell::root());
        for leaked in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "LD_LIBRARY_PATH"] {
            command.env_remove(leaked);
        }
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.linker_dir.clone()).chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(dirs) {
            command.env("PATH", path);
        }
        command
    }

    /// The clippy that belongs to the compiler, if it is installed.
    pub(crate) fn clippy_driver(&self) -> Option<PathBuf> {
        let driver = self.compiler.with_file_name("clippy-driver");
        is_executable(&driver).then_some(driver)
    }

    /// What to call it in messages.
    pub(crate) fn about(&self) -> &str {
        &self.about
    }
}

/// The toolchain, found or prepared. Instant when an earlier call found it and nothing changed since.
///
/// # Errors
/// When something is missing and could not be installed: a list of what to install.
pub(crate) fn prepare() -> Result<Toolchain> {
    let cache = state_dir()?.join("toolchain.json");
    if let Some(known) = read_cache(&cache) {
        return Ok(known);
    }
    let found = match find() {
        Ok(found) => found,
        Err(missing) => {
            install().map_err(|why| instructions(&missing, &why))?;
            find().context("the kernel side's toolchain was installed but is not complete")?
        }
    };
    let text =
        serde_json::to_string_pretty(&found).context("failed to encode the toolchain's description")?;
    fs::write(&cache, text).with_context(|| format!("failed to write {}", cache.display()))?;
    Ok(found)
}

/// The toolchain if it is there already; installs nothing.
pub(crate) fn find() -> Result<Toolchain> {
    let linker = which("bpf-linker").ok_or_else(|| anyhow!("bpf-linker is not on PATH"))?;
    let linker_dir = linker.parent().map(Path::to_path_buf).unwrap_or_default();
    let compiler = compilers().into_iter().next().ok_or_else(|| {
        anyhow!(
            "no compiler of {}.{} or newer with the sources of core: neither a rustup nightly with rust-src nor \
             the distribution's",
            OLDEST.0,
            OLDEST.1
        )
    })?;
    let witnesses = [linker, compiler.sources, compiler.binary.clone()]
        .into_iter()
        .map(|path| modified(&path).map(|time| (path, time)))
        .collect::<Result<_>>()?;
    let Compiler { cargo, rustc, binary, about, .. } = compiler;
    Ok(Toolchain { cargo, rustc, compiler: binary, linker_dir, about, witnesses })
}

fn read_cache(cache: &Path) -> Option<Toolchain> {
    let known: Toolchain = serde_json::from_str(&fs::read_to_string(cache).ok()?).ok()?;
    let holds = |(path, time): &(PathBuf, u64)| modified(path).is_ok_and(|now| now == *time);
    known.witnesses.iter().all(holds).then_some(known)
}

fn modified(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = path.metadata().with_context(|| format!("failed to look at {}", path.display()))?;
    Ok(u64::try_from(meta.mtime()).unwrap_or_default())
}

struct Compiler {
    cargo: Vec<String>,
    rustc: Option<PathBuf>,
    about: String,
    sources: PathBuf,
    binary: PathBuf,
    llvm: u32,
}

/// Every usable compiler, the preferred one first.
fn compilers() -> Vec<Compiler> {
    rustup_nightly().into_iter().chain(distribution()).collect()
}

fn rustup_nightly() -> Option<Compiler> {
    let rustup = which("rustup")?;
    // A bare `rustup run nightly` may start to download; ask only for what is installed.
    let installed = output(Command::new(&rustup).args(["toolchain", "list"])).ok()?;
    installed.lines().find(|line| line.starts_with("nightly"))?;
    let run = |program: &str, arg: &str| {
        output(Command::new(&rustup).args(["run", "nightly", program, arg]).env_remove("RUSTUP_TOOLCHAIN"))
            .ok()
    };
    let sysroot = PathBuf::from(run("rustc", "--print=sysroot")?.trim());
    let version = Version::parse(&run("rustc", "-vV")?)?;
    let sources = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
    (version.release >= OLDEST && sources.is_file()).then(|| Compiler {
        cargo: [rustup.to_string_lossy().as_ref(), "run", "nightly", "cargo"].map(String::from).into(),
        rustc: None,
        about: format!("rustup nightly {}", version.text),
        binary: sysroot.join("bin/rustc"),
        sources,
        llvm: version.llvm,
    })
}

/// Compilers that packages put below /usr: Debian's `rustc-web` or `rustc`, Ubuntu's `rustc-1.NN`.
fn distribution() -> Vec<Compiler> {
    let mut dirs = vec![PathBuf::from("/usr/bin")];
    let versioned = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let is_rust = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("rust-1.");
    dirs.extend(versioned.filter(|dir| is_rust(&dir.file_name())).map(|dir| dir.path().join("bin")));
    let mut found: Vec<_> = dirs.iter().filter_map(|dir| distribution_at(dir)).collect();
    found.reverse();
    found
}

fn distribution_at(dir: &Path) -> Option<Compiler> {
    let (rustc, cargo) = (dir.join("rustc"), dir.join("cargo"));
    if !rustc.is_file() || !cargo.is_file() {
        return None;
    }
    let ask = |arg: &str| output(Command::new(&rustc).arg(arg).env_remove("LD_LIBRARY_PATH")).ok();
    let version = Version::parse(&ask("-vV")?)?;
    let sysroot = PathBuf::from(ask("--print=sysroot")?.trim());
    let sources = sysroot.join("lib/rustlib/src/rust/library/Cargo.toml");
    (version.release >= OLDEST && sources.is_file()).then(|| Compiler {
        cargo: vec![cargo.to_string_lossy().into_owned()],
        about: format!("the distribution's rustc {}", version.text),
        binary: rustc.clone(),
        rustc: Some(rustc),
        sources,
        llvm: version.llvm,
    })
}

struct Version {
    text: String,
    release: (u32, u32),
    llvm: u32,
}

impl Version {
    /// From what `rustc -vV` prints.
    fn parse(verbose: &str) -> Option<Self> {
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let text = field("release:")?.to_owned();
        let mut parts = text.split('.').map_while(|part| part.parse().ok());
        let release = (parts.next()?, parts.next()?);
        let llvm = field("LLVM version:")?.split('.').next()?.parse().ok()?;
        Some(Self { text, release, llvm })
    }
}

/// Installs what is missing, by apt and cargo.
fn install() -> Result<()> {
    if compilers().is_empty() {
        install_compiler()?;
    }
    if which("bpf-linker").is_none() {
        let compiler =
            compilers().into_iter().next().ok_or_else(|| anyhow!("there is still no usable compiler"))?;
        install_linker(compiler.llvm)?;
    }
    Ok(())
}

fn install_compiler() -> Result<()> {
    if !apt::usable() {
        bail!("apt is not usable here (it needs root or `sudo -n`)");
    }
    let mut set = offered();
    if set.is_none() {
        // Lists that were never read, or before the release that is wanted.
        apt::update()?;
        set = offered();
    }
    let set =
        set.ok_or_else(|| anyhow!("apt offers no rustc with sources of {}.{} or newer", OLDEST.0, OLDEST.1))?;
    apt::install(&set.each_ref().map(String::as_str))
}

/// The packages of the first compiler that apt offers and that is new enough: rustc, cargo, sources.
fn offered() -> Option<[String; 3]> {
    let new_enough =
        |package: &String| apt::candidate(package).is_some_and(|version| debian_release(&version) >= OLDEST);
    let mut sets = vec![["rustc-web", "cargo-web", "rust-web-src"].map(String::from)];
    sets.extend(ubuntu_sets());
    sets.push(["rustc", "cargo", "rust-src"].map(String::from));
    sets.into_iter().find(|set| set.iter().all(new_enough))
}

/// Ubuntu names each release: `rustc-1.95`, `cargo-1.95`, `rust-1.95-src`. The newest first.
fn ubuntu_sets() -> Vec<[String; 3]> {
    let names = output(Command::new("apt-cache").args(["pkgnames", "rustc-1."])).unwrap_or_default();
    let mut minors: Vec<u32> =
        names.lines().filter_map(|name| name.strip_prefix("rustc-1.")?.parse().ok()).collect();
    minors.sort_unstable_by(|a, b| b.cmp(a));
    let set = |minor| [format!("rustc-1.{minor}"), format!("cargo-1.{minor}"), format!("rust-1.{minor}-src")];
    minors.into_iter().map(set).collect()
}

/// `1.96` of a package version such as `1.96.0+dfsg1-1~deb12u2`; zeros when it has another form.
fn debian_release(version: &str) -> (u32, u32) {
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// bpf-linker must be built against an LLVM that reads what the compiler writes: the same major version.
fn install_linker(llvm: u32) -> Result<()> {
    if apt::usable() {
        let names = [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
        let packages = [names[0].as_str(), names[1].as_str(), "libzstd-dev", "zlib1g-dev", "g++"];
        apt::refresh(&packages)?;
        apt::install(&packages)?;
    }
    say(format!("installing bpf-linker for LLVM {llvm} with cargo (about a minute)"));
    let mut command = crate::shell::cargo();
    command.args(["install", "bpf-linker", "--version", "0.13.0", "--locked", "--no-default-features"]);
    command.args(["--features", &format!("llvm-{llvm}")]);
    command.env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    run(&mut command).context("failed to install bpf-linker")?;
    if which("bpf-linker").is_none() {
        let dir = cargo_home().unwrap_or_default().join("bin");
        bail!("bpf-linker was installed, but not to {} nor to PATH", dir.display());
    }
    Ok(())
}

fn instructions(missing: &anyhow::Error, why: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "the kernel side cannot be built yet: {missing:#}\n\
         It could not be installed by itself: {why:#}\n\
         Either install\n  \
           rustup toolchain install nightly --component rust-src\n  \
           cargo install bpf-linker\n\
         or, on Debian,\n  \
           apt-get install rustc-web cargo-web rust-web-src llvm-22-dev libpolly-22-dev libzstd-dev zlib1g-dev\n  \
           LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --locked --no-default-features --features llvm-22"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_compilers_and_packages_say() {
        let rustc = "rustc 1.96.0 (ac68faa20 2026-05-25)\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        let version = Version::parse(rustc).expect("this is what rustc prints");
        assert_eq!((version.release, version.llvm), ((1, 96), 22));
        assert_eq!(debian_release("1.96.0+dfsg1-1~deb12u2"), (1, 96));
        assert_eq!(debian_release("2:1.100.0-1"), (1, 100));
        assert!(debian_release("unknown") < OLDEST);
    }
}

//! Starting other programs: where they are found, how they are waited for, what is said when they fail.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::interrupt;

/// Says on stderr what is about to be done.
pub(crate) fn say(message: impl AsRef<str>) {
    eprintln!("xtask: {}", message.as_ref());
}

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    // xtask is a member directly below the root, and is always run from where it was built.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, else `target` below the root.
pub(crate) fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => env::current_dir().map_or_else(|_| dir.clone().into(), |here| here.join(&dir)),
        None => root().join("target"),
    }
}

/// A directory of xtask's own, created when missing; holds caches that may be deleted at any time.
pub(crate) fn state_dir() -> Result<PathBuf> {
    let dir = target_dir().join("xtask");
    std::fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    Ok(dir)
}

/// The cargo that runs this xtask, started in the root of the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Finds a program on PATH, in the sbin directories that an ordinary user's PATH leaves out, or in cargo's.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_bin = cargo_home().map(|home| home.join("bin"));
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain(cargo_bin)
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

/// Whether `file` is a regular file that somebody may execute.
pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Where `cargo install` puts programs (their `bin` is below it).
pub(crate) fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a command can be run as root without asking anybody: as root, or by `sudo -n`.
pub(crate) fn can_be_root() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| is_root() || output(Command::new("sudo").args(["-n", "true"])).is_ok())
}

/// `program`, to be run as root: directly when we are, else by `sudo -n` with `keep` kept in its environment.
pub(crate) fn as_root(program: impl AsRef<OsStr>, keep: &[&str]) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-n");
    if !keep.is_empty() {
        command.arg(format!("--preserve-env={}", keep.join(",")));
    }
    command.arg(program);
    command
}

/// Runs a command to its end, its output going where ours goes. An interrupt ends it too.
///
/// # Errors
/// When it cannot be started, fails, or we are interrupted.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let mut child =
        command.stdin(Stdio::null()).spawn().with_context(|| format!("failed to start {shown}"))?;
    let status = wait(&mut child).with_context(|| format!("while running {shown}"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}

/// Runs a command and gives its stdout; its stderr becomes part of the error when it fails.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {shown}"))?;
    if !output.status.success() {
        bail!("{shown} failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn wait(child: &mut Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt::seen() {
            end(child, Duration::from_secs(5));
            interrupt::check()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks a child to end, waits for at most `patience`, then kills it. Gives its status if it had one of its own.
fn end(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    if let Ok(Some(status)) = child.try_wait() {
        return Some(status);
    }
    let _ =
        rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM);
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A program that runs beside us and ends with us, whichever way we end.
pub(crate) struct Background {
    name: String,
    child: Child,
}

impl Background {
    /// Starts `command` in a process group of its own, so that Ctrl-C on the terminal reaches us alone and we
    /// decide in which order things end. It gets SIGTERM if we die without having ended it.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        command.process_group(0).stdin(Stdio::null());
        // SAFETY: between fork and exec only one prctl is made; it neither allocates nor takes a lock.
        unsafe {
            command.pre_exec(|| {
                rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
                    .map_err(Into::into)
            });
        }
        let child = command.spawn().with_context(|| format!("failed to start {}", show(command)))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended on its own.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) =
            self.child.try_wait().with_context(|| format!("failed to wait for {}", self.name))?
        {
            bail!("{} ended early: {status}", self.name);
        }
        Ok(())
    }

    /// Ends it by SIGTERM and waits for at most `patience`.
    ///
    /// # Errors
    /// When it had to be killed or ended with a failure.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<()> {
        match end(&mut self.child, patience) {
            None => bail!("{} did not end within {} s and was killed", self.name, patience.as_secs()),
            Some(status) if !status.success() => bail!("{} failed: {status}", self.name),
            Some(_) => Ok(()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        end(&mut self.child, Duration::from_secs(5));
    }
}

/// A command as a person would type it.
pub(crate) fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        shown.push(' ');
        shown.push_str(&arg.to_string_lossy());
    }
    shown
}

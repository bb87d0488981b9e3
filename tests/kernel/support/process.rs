//! Child processes that end with the test.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

use super::{listening, port};

/// A child process, killed and reaped when dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self(child))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks the process to end and waits for it.
    pub(crate) fn terminate(&mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, only to reap.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of `servers/`, on a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Server {
    /// `program servers/script PORT arguments`, once it listens.
    pub(crate) fn script(program: &str, script: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg(scripts().join(script));
        Self::start(command, arguments)
    }

    /// `command PORT arguments`, once it listens.
    pub(crate) fn start(mut command: Command, arguments: &[&str]) -> anyhow::Result<Self> {
        let port = port();
        let process = Process::start(command.arg(port.to_string()).args(arguments))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        listening(address)?;
        Ok(Self { address, process })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

/// Where the servers' sources are.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernel/servers")
}

//! What to capture, and with how much memory.

use std::path::PathBuf;

use gait_common::wire::exchange::HEAD_BYTES;

use super::{CaptureError, TreeOptions};

/// Which ends of a connection are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Requests that this host answers.
    pub server: bool,
    /// Requests that this host sends. With both roles on, an exchange between two ends on this host counts once, as
    /// the server's.
    pub client: bool,
}

/// Which server ports are captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PortSet {
    /// Every port.
    #[default]
    All,
    /// These ports.
    Only(Vec<u16>),
}

/// What to capture, and with how much memory. [`Options::default`] captures every server on the host.
#[derive(Clone, Debug)]
pub struct Options {
    /// Server ports to capture.
    pub ports: PortSet,
    /// Server ports to leave out, even if `ports` names them.
    pub exclude_ports: Vec<u16>,
    /// Which ends to capture.
    pub roles: Roles,
    /// Capture only sockets of these cgroup v2 ids (the inode numbers of cgroup directories); empty for all.
    pub cgroups: Vec<u64>,
    /// Report only exchanges of these processes; empty for all.
    pub pids: Vec<u32>,
    /// Report only exchanges of processes that run one of these files; empty for all.
    pub executables: Vec<PathBuf>,
    /// Size of each ring in bytes: a power of two, at least 64 KiB. One ring per CPU, at most four.
    pub ring_bytes: u32,
    /// Connections followed at a time; each costs about 4 KiB of kernel memory while it is open.
    pub max_connections: u32,
    /// Bytes of request head to carry: 64 to 1024.
    pub head_bytes: u32,
    /// Call trees, if functions are to be followed.
    pub trees: Option<TreeOptions>,
    /// What to do without although the kernel may offer it.
    pub without: Without,
}

/// Parts of the kernel that capture can do without: for tests, and for a kernel where one of them misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// The tracepoint `sock_recv_length`.
    pub receive: bool,
    /// The tracepoint `inet_sock_set_state`.
    pub state: bool,
    /// The current thread in packet programs.
    pub current_thread: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ports: PortSet::All,
            exclude_ports: Vec::new(),
            roles: Roles { server: true, client: false },
            cgroups: Vec::new(),
            pids: Vec::new(),
            executables: Vec::new(),
            ring_bytes: 4 << 20,
            max_connections: 65_536,
            head_bytes: HEAD_BYTES as u32,
            trees: None,
            without: Without::default(),
        }
    }
}

impl Options {
    /// Checks every range; the error names the option.
    pub fn check(&self) -> Result<(), CaptureError> {
        let refuse = |name, reason: String| Err(CaptureError::Option { name, reason });
        check_ring(self.ring_bytes)?;
        if !(64..=HEAD_BYTES as u32).contains(&self.head_bytes) {
            return refuse("head_bytes", format!("{} is not in 64..={HEAD_BYTES}", self.head_bytes));
        }
        if self.max_connections == 0 {
            return refuse("max_connections", "must be at least 1".to_owned());
        }
        if let Some(trees) = &self.trees {
            trees.check()?;
        }
        if !self.roles.server && !self.roles.client {
            return refuse("roles", "neither server nor client is on: nothing would be captured".to_owned());
        }
        Ok(())
    }
}

/// Checks the size of a ring.
pub(super) fn check_ring(bytes: u32) -> Result<(), CaptureError> {
    if bytes.is_power_of_two() && (1 << 16..=1 << 28).contains(&bytes) {
        return Ok(());
    }
    let reason = format!("{bytes} is not a power of two from 64 KiB to 256 MiB");
    Err(CaptureError::Option { name: "ring_bytes", reason })
}

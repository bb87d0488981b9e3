//! Why capture cannot start or go on.

use std::{io, path::PathBuf};

/// Why capture cannot start or go on. Each variant says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The agent was compiled without its kernel programs.
    #[error("this agent was built without kernel programs: build it with `cargo xtask build`")]
    NotBuilt,
    /// The kernel refuses for want of privilege.
    #[error("{action} was refused: run as root, or grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")]
    Privilege {
        /// What was attempted.
        action: String,
    },
    /// The kernel lacks something that capture cannot do without.
    #[error("this kernel cannot capture: {what}: {reason}")]
    Unsupported {
        /// What is missing.
        what: String,
        /// What the kernel said.
        reason: String,
    },
    /// No cgroup v2 file system is mounted.
    #[error(
        "no cgroup2 mount in /proc/self/mountinfo: mount one, e.g. `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    NoCgroup2,
    /// The cgroup v2 root is mounted but cannot be opened.
    #[error("failed to open the cgroup2 root {}: {source}", path.display())]
    Cgroup {
        /// Where it is mounted.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An option is out of range.
    #[error("capture option {name}: {reason}")]
    Option {
        /// The option's name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A hook is attached but saw nothing of a request that the agent sent itself.
    #[error("the {hook} hook saw nothing of the agent's own test request: {reason}")]
    Blind {
        /// The hook.
        hook: &'static str,
        /// What was expected and what came.
        reason: String,
    },
    /// The agent's own test request could not be made.
    #[error("the agent's own test request on loopback failed: {0}")]
    SelfTest(#[source] io::Error),
    /// A kernel map or program could not be used.
    #[error("{action}: {reason}")]
    Kernel {
        /// What was attempted.
        action: String,
        /// What the kernel or the loader said.
        reason: String,
    },
}

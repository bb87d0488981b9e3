//! What this host offers for capture, and why it does not offer the rest.

use std::path::PathBuf;

use super::{CaptureError, Options, kernel};

/// What the kernel admits beyond what capture cannot do without. Each thing missing has its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// The exact thread of every exchange, from the tracepoint `sock_recv_length`.
    pub receive: bool,
    /// The exact end of every connection, from the tracepoint `inet_sock_set_state`.
    pub state: bool,
    /// The current thread in packet programs, from `bpf_get_current_pid_tgid`.
    pub current_thread: bool,
    /// For each thing missing: what it is, what is done instead, and what the kernel said.
    pub missing: Vec<Missing>,
}

/// Something that this kernel lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub what: &'static str,
    /// What is done instead.
    pub instead: &'static str,
    /// What the kernel said.
    pub reason: String,
}

const CURRENT_COMM: &str = "bpf_get_current_comm in cgroup_skb programs";

impl Features {
    pub(super) fn new() -> Self {
        Self { receive: true, state: true, current_thread: true, missing: Vec::new() }
    }

    fn lacks(&mut self, what: &'static str, instead: &'static str, reason: &str) {
        if !self.missing.iter().any(|missing| missing.what == what) {
            self.missing.push(Missing { what, instead, reason: reason.to_owned() });
        }
    }

    pub(super) fn lacks_receive(&mut self, reason: &str) {
        self.receive = false;
        self.lacks(
            "tracepoint sock_recv_length (kernel 6.3)",
            "the thread is the one that sends the response, or is asked of sock_diag",
            reason,
        );
    }

    pub(super) fn lacks_state(&mut self, reason: &str) {
        self.state = false;
        self.lacks(
            "BTF tracepoint inet_sock_set_state",
            "a connection ends when both ends have closed it or one has reset it",
            reason,
        );
    }

    pub(super) fn lacks_thread_end(&mut self, reason: &str) {
        self.lacks(
            "BTF tracepoint sched_process_exit",
            "threads whose calls are followed have no bound but their number, and a record may wait a second for a call \
             that died",
            reason,
        );
    }

    pub(super) fn lacks_current_comm(&mut self, reason: &str) {
        self.lacks(CURRENT_COMM, "the name of a sending thread is read from /proc, if it still runs", reason);
    }

    pub(super) fn lacks_current_thread(&mut self, reason: &str) {
        self.current_thread = false;
        // Without the thread, its name is not missed.
        self.missing.retain(|missing| missing.what != CURRENT_COMM);
        self.lacks(
            "bpf_get_current_pid_tgid in cgroup_skb programs",
            "the process is asked of sock_diag where the receiving thread is unknown",
            reason,
        );
    }
}

/// What [`survey`] found.
#[derive(Clone, Debug)]
pub struct HostReport {
    /// The kernel's release, as `uname -r` gives it.
    pub kernel: String,
    /// Where cgroup v2 is mounted.
    pub cgroup2: PathBuf,
    /// What the kernel admits.
    pub features: Features,
    /// What would be attached, in words.
    pub hooks: Vec<String>,
}

/// Loads the programs, without attaching them, to learn what this host offers. Changes nothing.
///
/// # Errors
/// Whatever would keep [`super::Capture::start`] from loading them.
pub fn survey(options: &Options) -> Result<HostReport, CaptureError> {
    options.check()?;
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let cgroup2 = kernel::cgroup2_root()?;
    let (_loaded, features) = kernel::Kernel::load(options)?;
    let mut hooks = vec![
        format!("cgroup_skb ingress on {}", cgroup2.display()),
        format!("cgroup_skb egress on {}", cgroup2.display()),
    ];
    hooks.extend(features.receive.then(|| "tracepoint sock_recv_length".to_owned()));
    hooks.extend(features.state.then(|| "tracepoint inet_sock_set_state".to_owned()));
    Ok(HostReport { kernel, cgroup2, features, hooks })
}

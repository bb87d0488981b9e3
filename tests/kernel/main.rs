//! The real probes on this kernel, against real servers. Needs root and an agent built with its kernel programs:
//! `GAIT_EBPF=... cargo test -p gait-tests --features kernel --test kernel`, or `cargo xtask test`.
//!
//! A test fails when the kernel refuses; none is skipped. Each watches ports of its own, so that other traffic on the
//! machine does not disturb its counts, and one runs at a time, for all attach to the one root cgroup.

mod alerts;
mod degraded;
mod filters;
mod framing;
mod load;
mod loss;
mod midway;
mod network;
mod servers;
mod start;
mod support;
mod trees;

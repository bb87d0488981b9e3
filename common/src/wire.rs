//! Every byte that the kernel side and the agent share, and the code both run over it.
//!
//! This module is `no_std`, allocates nothing and is compiled twice: for the host, where it is tested, and for the
//! kernel, where the verifier reads it. Layouts are `repr(C)` with fixed widths and explicit sizes; nothing is read
//! from bytes as a `bool` or an `enum`.

pub mod counter;
pub mod exchange;
pub mod stream;
pub mod tree;
pub mod word;

/// Number of ring buffers; a CPU writes to ring `cpu % RINGS`.
pub const RINGS: usize = 4;

/// Ports that are captured, one bit each: word `port / 64`, bit `port % 64`.
pub const PORT_WORDS: usize = 1024;

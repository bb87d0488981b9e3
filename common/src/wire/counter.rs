//! Names of the kernel side's per-CPU counters.
//!
//! Every captured request is in exactly one place: `REQUESTS = EMITTED + RING_FULL + TOO_DEEP + UNANSWERED + DOUBLED +`
//! those in flight.

/// Packets with a payload that belonged to a followed connection. Nearly exact: counted without an atomic.
pub const PACKETS: u32 = 0;
/// Request heads seen to begin.
pub const REQUESTS: u32 = 1;
/// Records handed to a ring.
pub const EMITTED: u32 = 2;
/// Exchanges lost because their ring was full.
pub const RING_FULL: u32 = 3;
/// Requests lost because too many were waiting on one connection, or no memory was left for one more.
pub const TOO_DEEP: u32 = 4;
/// Requests whose connection ended before a response began.
pub const UNANSWERED: u32 = 5;
/// Responses to a request that was never seen, such as the one under way when the agent started.
pub const UNPAIRED: u32 = 6;
/// Interim responses (1xx), which answer nothing.
pub const INTERIM: u32 = 7;
/// Times a message boundary was lost and parsing waited for the next recognisable head.
pub const DESYNCS: u32 = 8;
/// Times parsing found a recognisable head again.
pub const RESYNCS: u32 = 9;
/// Segments whose bytes had all been seen before.
pub const DUPLICATES: u32 = 10;
/// Segments that came before their predecessor.
pub const REORDERED: u32 = 11;
/// Segments not read because another CPU held the connection too long.
pub const CONTENDED: u32 = 12;
/// Connections followed.
pub const CONNECTIONS: u32 = 13;
/// Connections followed that have ended.
pub const ENDED: u32 = 14;
/// Connections not followed because as many as allowed were open.
pub const TABLE_FULL: u32 = 15;
/// Connections muted: neither HTTP nor TLS.
pub const MUTED: u32 = 16;
/// Connections muted: TLS.
pub const TLS: u32 = 17;
/// HTTP connections left out by the port, cgroup or role filter.
pub const FILTERED: u32 = 18;
/// Connections that became something else (`101`, `CONNECT`).
pub const UPGRADED: u32 = 19;
/// Exchanges of a client end left out because the server end is captured here too.
pub const DOUBLED: u32 = 20;
/// First payloads kept because they arrived before their connection had a socket.
pub const EARLY_KEPT: u32 = 21;
/// Those of them that found their socket; the others' connections ended, or too many waited.
pub const EARLY_TAKEN: u32 = 22;
/// Number of counters.
pub const COUNT: u32 = 23;

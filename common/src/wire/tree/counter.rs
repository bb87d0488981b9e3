//! Names of the tree coder's per-CPU counters.
//!
//! Every tree that ended is in exactly one place: `TREES = COUNTED + CODES_FULL + RING_FULL`.

/// Trees that ended.
pub const TREES: u32 = 0;
/// Those of them that the statistics hold.
pub const COUNTED: u32 = 1;
/// Trees of new codes not counted because as many codes as allowed were known.
pub const CODES_FULL: u32 = 2;
/// Trees of new codes not counted because the ring had no room for their nodes; the next one of the kind tries again.
pub const RING_FULL: u32 = 3;
/// New trees handed to the ring.
pub const NEW: u32 = 4;
/// Calls not followed because as many threads as allowed were, or no memory was left for one more.
pub const THREADS_FULL: u32 = 5;
/// Trees dropped because their thread ended inside them.
pub const ABANDONED: u32 = 6;
/// Calls that ended unseen: exceptions, long jumps.
pub const UNSEEN: u32 = 7;
/// Trees cut for want of room, [`super::TRUNCATED`].
pub const TRUNCATED: u32 = 8;
/// Calls whose name could not be read.
pub const UNREADABLE: u32 = 9;
/// Names not sent because the ring was full; the next call of the kind tries again.
pub const NAMES_LOST: u32 = 10;
/// Trees that left in the record of their request.
pub const TIED: u32 = 11;
/// Trees of requests whose records had no room for them.
pub const UNTIED: u32 = 12;
/// Records that waited for a tree to end.
pub const DEFERRED: u32 = 13;
/// Those of them that left without it.
pub const RELEASED: u32 = 14;
/// Returns of calls that were not open: entered before the probes were there, or cut.
pub const STRAY: u32 = 15;
/// Values of trees that were counted, those beyond a bound included.
pub const VALUES: u32 = 16;
/// Values not counted because as many as allowed were counted by themselves.
pub const VALUES_FULL: u32 = 17;
/// Values that could not be read: their page was not in memory, or their address led nowhere.
pub const VALUES_UNREADABLE: u32 = 18;
/// Number of counters.
pub const COUNT: u32 = 19;

//! The kernel side's counters, summed over its CPUs.

use gait_common::wire::counter;

use super::kernel::Stats;

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident = $number:ident,)*) => {
        /// The kernel side's counters since capture began, summed over its CPUs.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Counters {
            /// Name and value of each counter, for metrics.
            #[must_use]
            pub fn named(&self) -> [(&'static str, u64); counter::COUNT as usize] {
                [$((stringify!($field), self.$field),)*]
            }

            pub(super) fn sum(cpus: &[Stats]) -> Self {
                let total = |number: u32| cpus.iter().map(|cpu| cpu[number as usize]).sum();
                Self { $($field: total(counter::$number),)* }
            }
        }
    };
}

counters! {
    /// Packets with a payload that belonged to a followed connection.
    packets = PACKETS,
    /// Request heads seen to begin.
    requests = REQUESTS,
    /// Exchanges handed to a ring.
    emitted = EMITTED,
    /// Exchanges lost because their ring was full.
    ring_full = RING_FULL,
    /// Requests lost because too many were waiting on one connection, or kernel memory ran out.
    too_deep = TOO_DEEP,
    /// Requests whose connection ended before a response began.
    unanswered = UNANSWERED,
    /// Responses whose request was never seen.
    unpaired = UNPAIRED,
    /// Interim responses (1xx).
    interim = INTERIM,
    /// Times a message boundary was lost.
    desyncs = DESYNCS,
    /// Times a request was recognised again after that.
    resyncs = RESYNCS,
    /// Segments whose bytes had all been seen before.
    duplicates = DUPLICATES,
    /// Segments that came before their predecessor.
    reordered = REORDERED,
    /// Segments not read because another CPU held the connection too long.
    contended = CONTENDED,
    /// Connections followed.
    connections = CONNECTIONS,
    /// Connections followed that have ended.
    ended = ENDED,
    /// Connections not followed because as many as allowed were open.
    table_full = TABLE_FULL,
    /// Connections muted because they are neither HTTP nor TLS.
    muted = MUTED,
    /// Connections muted because they are TLS.
    tls = TLS,
    /// HTTP connections left out by a filter.
    filtered = FILTERED,
    /// Connections that became something else (`101`, `CONNECT`).
    upgraded = UPGRADED,
    /// Exchanges of a client end left out because the server end is captured here too.
    doubled = DOUBLED,
    /// First payloads kept because they arrived before their connection had a socket.
    early_kept = EARLY_KEPT,
    /// Those of them that found their socket.
    early_taken = EARLY_TAKEN,
}

impl Counters {
    /// Requests that were seen and lost, by any reason that is the capture's own.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.ring_full + self.too_deep
    }

    /// Requests that wait for their response.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.requests.saturating_sub(self.emitted + self.lost() + self.unanswered + self.doubled)
    }
}

//! The tree coder's counters, summed over the CPUs.

use gait_common::wire::tree::counter;

/// One CPU's counters.
pub(super) type Raw = [u64; counter::COUNT as usize];

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident = $number:ident,)*) => {
        /// What became of call trees since capture began. `trees = counted + codes_full + ring_full`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct TreeCounters {
            $($(#[$doc])* pub $field: u64,)*
            /// Points attached now.
            pub points: u64,
            /// Functions that the breaker keeps off now.
            pub functions_off: u64,
            /// Codes known.
            pub codes: u64,
            /// Codes that made room for others because they did not run for long.
            pub codes_evicted: u64,
            /// Ring entries that made no sense; anything but 0 is a defect.
            pub malformed: u64,
        }

        impl TreeCounters {
            /// Name and value of each counter, for metrics.
            #[must_use]
            pub fn named(&self) -> [(&'static str, u64); counter::COUNT as usize + 5] {
                [
                    $((stringify!($field), self.$field),)*
                    ("points", self.points),
                    ("functions_off", self.functions_off),
                    ("codes", self.codes),
                    ("codes_evicted", self.codes_evicted),
                    ("malformed", self.malformed),
                ]
            }

            pub(super) fn sum<'a>(cpus: impl Iterator<Item = &'a Raw> + Clone) -> Self {
                let total = |number: u32| cpus.clone().map(|cpu| cpu[number as usize]).sum();
                Self { $($field: total(counter::$number),)* ..Self::default() }
            }
        }
    };
}

counters! {
    /// Trees that ended.
    trees = TREES,
    /// Those of them that the statistics hold.
    counted = COUNTED,
    /// Trees of new codes not counted because as many codes as allowed were known.
    codes_full = CODES_FULL,
    /// Trees of new codes not counted because the ring was full; the next one of the kind tries again.
    ring_full = RING_FULL,
    /// New trees handed over.
    new = NEW,
    /// Calls not followed because as many threads as allowed were, or no kernel memory was left.
    threads_full = THREADS_FULL,
    /// Trees dropped because their thread ended inside them.
    abandoned = ABANDONED,
    /// Calls that ended unseen: exceptions, long jumps.
    unseen = UNSEEN,
    /// Trees that were cut because they were too deep or too rich.
    truncated = TRUNCATED,
    /// Calls whose name could not be read.
    unreadable = UNREADABLE,
    /// Names lost because the ring was full; the next call of the kind tries again.
    names_lost = NAMES_LOST,
    /// Trees that left in the record of their request.
    tied = TIED,
    /// Trees of requests whose records had no room for them.
    untied = UNTIED,
    /// Records that waited for a tree to end.
    deferred = DEFERRED,
    /// Those of them that left without it.
    released = RELEASED,
    /// Ends of calls whose beginning was not seen.
    stray = STRAY,
    /// Values of trees that were counted, those beyond a bound included.
    values = VALUES,
    /// Values not counted because there were too many different ones at a time.
    values_full = VALUES_FULL,
    /// Values that could not be read.
    values_unreadable = VALUES_UNREADABLE,
}

//! Values that the kernel side counted, taken out as they are read.
//!
//! A code's counts are differences, for its table is as good as never full. Of values there may be ever new ones: were they
//! left there, the first ones would keep the place of all that come later. A program that counts a value at the very
//! moment at which it is taken out loses that count, one in many millions.

use std::os::fd::AsFd as _;

use aya::maps::{HashMap, IterableMap as _, MapData};
use gait_common::wire::tree::value::{ValueCount, ValueKey};

use super::sys::Batches;
use crate::capture::CaptureError;
use crate::capture::kernel::{self, Wire};

/// Entries read at a time: more than any bucket of the kernel's map holds.
const BATCH: usize = 256;

/// The kernel's table of values.
pub(super) struct Values {
    map: HashMap<MapData, Wire<ValueKey>, Wire<ValueCount>>,
    batches: Batches,
}

impl Values {
    pub(super) fn new(map: HashMap<MapData, Wire<ValueKey>, Wire<ValueCount>>) -> Self {
        Self { map, batches: Batches::taking(size_of::<ValueKey>(), size_of::<ValueCount>(), BATCH) }
    }

    /// Hands over, and takes out, what was counted since the last call.
    pub(super) fn take(&mut self, each: &mut dyn FnMut(&ValueKey, u64)) -> Result<(), CaptureError> {
        let Self { map, batches } = self;
        let read = batches.read(map.map().fd().as_fd(), &mut |key, count| {
            let pair = Wire::<ValueKey>::from_bytes(key).zip(Wire::<ValueCount>::from_bytes(count));
            if let Some((Wire(key), Wire(count))) = pair
                && count.trees > 0
            {
                each(&key, count.trees);
            }
        });
        read.map_err(|error| kernel::kernel("reading the values of call trees", &error))
    }
}

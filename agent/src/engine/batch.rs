//! Calls kept in one block of text, so that a batch of any size allocates nothing once the block has grown.

use gait_common::call::{Call, Process};
use gait_common::spool::Extra;

/// Calls that go through the pipeline at a time.
const CHUNK: usize = 64;

/// The calls of a batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: String,
    calls: Vec<Kept>,
}

/// A call without its texts, which stand one after the other in the block.
#[derive(Debug)]
struct Kept {
    call: Call<'static>,
    extra: Extra<'static>,
    from: usize,
    /// Lengths of method, host, target, caller and comm.
    lens: [usize; 5],
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn push(&mut self, call: &Call<'_>, extra: Extra<'static>) {
        let texts = [call.method, call.host, call.target, call.caller, call.process.comm];
        let from = self.text.len();
        self.text.extend(texts);
        let Call { start, duration, status, process: Process { pid, .. }, gap, .. } = *call;
        let call =
            Call { start, duration, status, process: Process { pid, comm: "" }, gap, ..Call::default() };
        self.calls.push(Kept { call, extra, from, lens: texts.map(str::len) });
    }

    /// The call at a place below [`len`](Self::len).
    pub(super) fn get(&self, at: usize) -> (Call<'_>, Extra<'static>) {
        let kept = &self.calls[at];
        let mut from = kept.from;
        let [method, host, target, caller, comm] = kept.lens.map(|len| {
            from += len;
            &self.text[from - len..from]
        });
        let process = Process { comm, ..kept.call.process };
        (Call { method, host, target, caller, process, ..kept.call }, kept.extra)
    }

    /// Hands over all calls, some at a time.
    pub(super) fn each_chunk(&self, mut each: impl FnMut(&[Call<'_>])) {
        let mut chunk = [Call::default(); CHUNK];
        for from in (0..self.len()).step_by(CHUNK) {
            let len = CHUNK.min(self.len() - from);
            for (offset, call) in chunk[..len].iter_mut().enumerate() {
                *call = self.get(from + offset).0;
            }
            each(&chunk[..len]);
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.calls.clear();
    }
}

//! Calls kept in one block of text, so that a batch of any size allocates nothing once the block has grown.

use gait_common::call::{Call, Process};

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
    from: usize,
    /// Lengths of method, host, target, caller and comm.
    lens: [usize; 5],
}

impl Batch {
    pub(super) fn push(&mut self, call: &Call<'_>) {
        let texts = [call.method, call.host, call.target, call.caller, call.process.comm];
        let from = self.text.len();
        self.text.extend(texts);
        let Call { start, duration, status, process: Process { pid, .. }, gap, .. } = *call;
        let call =
            Call { start, duration, status, process: Process { pid, comm: "" }, gap, ..Call::default() };
        self.calls.push(Kept { call, from, lens: texts.map(str::len) });
    }

    fn get<'a>(&'a self, kept: &'a Kept) -> Call<'a> {
        let mut from = kept.from;
        let [method, host, target, caller, comm] = kept.lens.map(|len| {
            from += len;
            &self.text[from - len..from]
        });
        let process = Process { comm, ..kept.call.process };
        Call { method, host, target, caller, process, ..kept.call }
    }

    /// Hands over all calls, some at a time.
    pub(super) fn each_chunk(&self, mut each: impl FnMut(&[Call<'_>])) {
        let mut chunk = [Call::default(); CHUNK];
        for some in self.calls.chunks(CHUNK) {
            chunk.iter_mut().zip(some).for_each(|(call, kept)| *call = self.get(kept));
            each(&chunk[..some.len()]);
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.calls.clear();
    }
}

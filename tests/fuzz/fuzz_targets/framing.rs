//! The framing machine over segments of any bytes, with any answers from its surroundings.
#![no_main]

use gait_common::wire::stream::{CARRY, RESPONSES, Stream, Surroundings, event};

/// The segment at hand, and the answers that are left.
struct Host<'a> {
    segment: &'a [u8],
    answers: u8,
}

impl Surroundings for Host<'_> {
    fn load(&mut self, stream: &mut Stream, from: u64, len: u64) -> bool {
        let bytes = &self.segment[from as usize..][..len as usize];
        stream.window[CARRY..][..bytes.len()].copy_from_slice(bytes);
        true
    }

    fn request(&mut self, stream: &mut Stream, method: u32, at: u64, carried: u64, from: u64) {
        assert_ne!(method, 0);
        let carried = &stream.window[at as usize..][..carried as usize];
        let rest = &self.segment[from as usize..];
        let start: Vec<u8> = carried.iter().chain(rest).take(3).copied().collect();
        assert!(start.first().is_some_and(u8::is_ascii_uppercase), "{start:?}");
    }

    fn response(&mut self, _: &mut Stream, status: u32) -> u32 {
        assert!((100..1000).contains(&status), "{status}");
        self.answers = self.answers.rotate_left(2);
        u32::from(self.answers & 3).min(2)
    }

    fn head_end(&mut self, _: &mut Stream, total: u32) {
        assert_ne!(total, 0);
    }

    fn bodiless(&mut self, stream: &mut Stream) {
        assert_eq!(stream.heads, stream.done, "a message without a body is complete with its head");
    }

    fn waiting(&mut self) -> bool {
        self.answers & 4 == 0
    }

    fn lost(&mut self) {}
}

// The first byte says what the stream carries, the second what is answered; then each segment stands behind its length.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [carries, answers, rest @ ..] = bytes else { return };
    let mut rest = rest;
    let mut stream = Stream::new(if carries & 1 == 0 { 0 } else { RESPONSES });
    while let [len, segments @ ..] = rest {
        let (segment, behind) = segments.split_at(usize::from(*len).min(segments.len()));
        rest = behind;
        let mut host = Host { segment, answers: *answers };
        let next = stream.next;
        stream.begin(next, segment.len() as u64);
        let mut scans = 0;
        loop {
            if stream.advance(&mut host) == event::END {
                break;
            }
            scans += 1;
            assert!(scans <= 8 * segment.len() + 64, "a segment is never used up");
        }
    }
});

//! Judged lines on their way out, in order: an alert may wait a little for the exchange that it is about.

use std::collections::VecDeque;
use std::time::Instant;

use super::link::{Link, Links, Sought};
use super::member::push_text;

/// Bytes that may wait; beyond that alerts go out without waiting any longer.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// Bytes at the front that went out, from which on they are removed.
const COMPACT: usize = 1 << 20;

/// The lines that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// All lines, one behind the other.
    text: Vec<u8>,
    /// How much of it went out.
    from: usize,
    items: VecDeque<Item>,
    /// Lines that ever came, and that went out.
    came: u64,
    went: u64,
}

#[derive(Debug)]
struct Item {
    len: usize,
    held: Option<Box<Held>>,
}

/// An alert that waits.
#[derive(Debug)]
struct Held {
    sought: Sought,
    /// Where its link is to be put.
    end: usize,
    until: Instant,
    link: Option<Link>,
}

impl Queue {
    /// Where a line is to be written; [`end_line`](Self::end_line) or [`take_back`](Self::take_back) is to follow.
    pub(super) fn begin_line(&mut self) -> (&mut Vec<u8>, usize) {
        let start = self.text.len();
        (&mut self.text, start)
    }

    /// The line that began at `start` is there. With an alert it waits until a moment, or until the alert's exchange is there.
    pub(super) fn end_line(&mut self, start: usize, alert: Option<(Sought, usize, Instant)>) {
        let held =
            alert.map(|(sought, end, until)| Box::new(Held { sought, end: end - start, until, link: None }));
        self.items.push_back(Item { len: self.text.len() - start, held });
        self.came += 1;
    }

    /// The line that began at `start` shall not go out.
    pub(super) fn take_back(&mut self, start: usize) {
        self.text.truncate(start);
    }

    /// Lines that ever came.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// Lines that went out.
    pub(super) fn went(&self) -> u64 {
        self.went
    }

    /// Whether there is no room for more.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() - self.from >= MAX_BYTES
    }

    /// Looks for the exchanges of the alerts that wait.
    pub(super) fn resolve(&mut self, links: &mut Links) {
        for held in self.items.iter_mut().filter_map(|item| item.held.as_mut()) {
            if held.link.is_none() {
                held.link = links.find(&held.sought);
            }
        }
    }

    /// Moves the lines at the front that need not wait any longer to `out`. `passing` is told after each how many went in all,
    /// and how long `out` is; `given_up` gets the alerts that go without a link.
    pub(super) fn release(
        &mut self,
        now: Option<Instant>,
        out: &mut Vec<u8>,
        mut passing: impl FnMut(u64, usize),
        mut given_up: impl FnMut(Sought),
    ) {
        while let Some(item) = self.items.front() {
            let waits = |held: &Held| held.link.is_none() && now.is_some_and(|now| now < held.until);
            if item.held.as_ref().is_some_and(|held| waits(held)) && !self.is_full() {
                break;
            }
            let Some(Item { len, held }) = self.items.pop_front() else { break };
            let line = &self.text[self.from..self.from + len];
            self.from += len;
            match held.map(|held| *held) {
                Some(Held { link: Some(link), end, .. }) => {
                    out.extend_from_slice(&line[..end]);
                    push_link(out, &link);
                    out.extend_from_slice(&line[end..]);
                }
                Some(Held { sought, .. }) => {
                    out.extend_from_slice(line);
                    given_up(sought);
                }
                None => out.extend_from_slice(line),
            }
            self.went += 1;
            passing(self.went, out.len());
        }
        if self.from == self.text.len() || self.from >= COMPACT {
            self.text.drain(..self.from);
            self.from = 0;
        }
    }
}

fn push_link(out: &mut Vec<u8>, link: &Link) {
    out.extend_from_slice(b",\"caller\":");
    push_text(out, &link.caller);
    out.extend_from_slice(b",\"finding\":");
    match &link.finding {
        Some(finding) => push_text(out, finding),
        None => out.extend_from_slice(b"null"),
    }
}

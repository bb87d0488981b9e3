//! The record of one HTTP exchange: a [`Record`] followed by the first bytes of the request head, and by the codes of the
//! call trees that ran within it ([`tree::Entry`]).
//!
//! The kernel keeps a waiting request in exactly this form and hands it to the ring as it is when the response's
//! status line goes out.

use core::mem::size_of;

use super::tree::{self, ENTRY_BYTES, MAX_ENTRIES};

/// Most bytes of a request head that a record carries.
pub const HEAD_BYTES: usize = 1024;

/// An earlier exchange of this connection was lost.
pub const LOST_BEFORE: u16 = 1;
/// The message boundary before this exchange was guessed, not computed.
pub const RESYNCED: u16 = 1 << 1;
/// The head was longer than what is carried.
pub const TRUNCATED: u16 = 1 << 2;
/// The response began before the request head was complete.
pub const INCOMPLETE: u16 = 1 << 3;
/// Another request was waiting on the connection when this one arrived.
pub const PIPELINED: u16 = 1 << 4;
/// The response began before the request body was complete.
pub const EARLY: u16 = 1 << 5;
/// The connection stops being HTTP with this exchange (`101`, or `CONNECT` accepted).
pub const UPGRADED: u16 = 1 << 6;
/// The connection was already open when the agent first saw it.
pub const MIDWAY: u16 = 1 << 7;

/// How many trees ([`tree::Entry`]) follow the head: the flags' four highest bits, from this one on.
pub const TREES_SHIFT: u16 = 12;
/// Those bits.
pub const TREES: u16 = 0xf << TREES_SHIFT;

/// The host's end of the connection received the request.
pub const ROLE_SERVER: u8 = 0;
/// The host's end of the connection sent the request.
pub const ROLE_CLIENT: u8 = 1;

/// No thread is known yet; user space may ask sock_diag by the cookie.
pub const SOURCE_NONE: u8 = 0;
/// The thread that last received from (as a client: sent to) the socket, from the tracepoint `sock_recv_length`.
pub const SOURCE_RECEIVER: u8 = 1;
/// The thread that was current when the response (as a client: the request) went out.
pub const SOURCE_SENDER: u8 = 2;

/// One HTTP exchange as the kernel reports it; `head_len` bytes of request head follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When the request's first byte passed, in nanoseconds of CLOCK_MONOTONIC.
    pub request_ns: u64,
    /// When the response's first byte passed, in nanoseconds of CLOCK_MONOTONIC.
    pub response_ns: u64,
    /// The socket's cookie: the connection's identity for as long as the host runs.
    pub cookie: u64,
    /// The socket's cgroup v2 id, 0 when the kernel does not tell.
    pub cgroup: u64,
    /// Number of this record among those of its CPU, from 0.
    pub sequence: u64,
    /// Process (high half) and thread (low half), 0 when unknown.
    pub thread: u64,
    /// The thread's command name, padded with zeroes.
    pub comm: [u8; 16],
    /// The host's address, IPv4 in its v6-mapped form.
    pub local: [u8; 16],
    /// The other end's address, IPv4 in its v6-mapped form.
    pub peer: [u8; 16],
    /// The host's port.
    pub local_port: u16,
    /// The other end's port.
    pub peer_port: u16,
    /// The response's status code.
    pub status: u16,
    /// Bytes of request head that follow.
    pub head_len: u16,
    /// Bytes the request head had, as far as seen.
    pub head_total: u32,
    /// The CPU that emitted this record.
    pub cpu: u32,
    /// Number of this request on its connection, from 0.
    pub ordinal: u32,
    /// What is special about it: [`LOST_BEFORE`] and the following.
    pub flags: u16,
    /// [`ROLE_SERVER`] or [`ROLE_CLIENT`].
    pub role: u8,
    /// [`SOURCE_NONE`], [`SOURCE_RECEIVER`] or [`SOURCE_SENDER`].
    pub source: u8,
}

/// Size of a [`Record`] in bytes.
pub const RECORD_BYTES: usize = size_of::<Record>();

const _: () = assert!(RECORD_BYTES == 120 && RECORD_BYTES.is_multiple_of(8));

impl Record {
    /// Reads a record and its head from the bytes of one ring entry.
    ///
    /// `None` when the bytes are too few, the carried head is longer than allowed or than what there was, or a field
    /// holds a value that no kernel side writes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (fixed, rest) = bytes.split_at_checked(RECORD_BYTES)?;
        // SAFETY: `fixed` has the size of `Record`, whose fields are integers and arrays of them without padding, so
        // every bit pattern is a value; the read does not need alignment.
        let record = unsafe { fixed.as_ptr().cast::<Self>().read_unaligned() };
        let head = rest.get(..usize::from(record.head_len))?;
        let sane = head.len() <= HEAD_BYTES
            && record.head_total >= u32::from(record.head_len)
            && record.role <= ROLE_CLIENT
            && record.source <= SOURCE_SENDER;
        sane.then_some((record, head))
    }

    /// The trees that ran within the exchange, from the bytes of the same ring entry; those that make sense.
    pub fn trees<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = tree::Entry> + 'a {
        let count = usize::from(self.flags >> TREES_SHIFT).min(MAX_ENTRIES);
        let behind = bytes.get(RECORD_BYTES + usize::from(self.head_len)..).unwrap_or_default();
        behind.chunks_exact(ENTRY_BYTES).take(count).filter_map(tree::Entry::from_bytes)
    }

    /// The bytes of this record as the kernel writes them, for tests and recordings.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        // SAFETY: the sizes are equal, and a `Record` has no padding whose bytes would be undefined.
        unsafe { core::mem::transmute_copy(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(head_len: u16) -> Record {
        Record { head_len, head_total: u32::from(head_len), status: 200, ..Record::default() }
    }

    #[test]
    fn a_record_survives_the_ring() {
        let mut bytes = record(4).to_bytes().to_vec();
        bytes.extend_from_slice(b"GET / and what lies beyond");
        let (read, head) = Record::from_bytes(&bytes).expect("a sane record");
        assert_eq!((read, head), (record(4), &b"GET "[..]));
    }

    #[test]
    fn a_head_that_claims_more_than_there_is_is_refused() {
        let mut bytes = record(5).to_bytes().to_vec();
        bytes.extend_from_slice(b"GET ");
        assert_eq!(Record::from_bytes(&bytes), None);
        let longer_than_seen = Record { head_total: 3, ..record(4) };
        let mut bytes = longer_than_seen.to_bytes().to_vec();
        bytes.extend_from_slice(b"GET ");
        assert_eq!(Record::from_bytes(&bytes), None);
    }

    #[test]
    fn trees_stand_behind_the_head() {
        let entry = |root| tree::Entry { root, ordered: root * 2, duration_ns: 5, ..tree::Entry::default() };
        let record = Record { flags: 2 << TREES_SHIFT | TRUNCATED, ..record(5) };
        let mut bytes = record.to_bytes().to_vec();
        bytes.extend_from_slice(b"GET /");
        (1..4).for_each(|root| bytes.extend_from_slice(&entry(root).to_bytes()));
        let (read, head) = Record::from_bytes(&bytes).expect("a sane record");
        assert_eq!(head, b"GET /");
        assert_eq!(read.trees(&bytes).collect::<Vec<_>>(), [entry(1), entry(2)]);
        assert_eq!(
            read.trees(&bytes[..bytes.len() - ENTRY_BYTES - 1]).count(),
            1,
            "what is cut off is left out"
        );
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some((record, head)) = Record::from_bytes(&bytes) {
                prop_assert!(record.trees(&bytes).count() <= MAX_ENTRIES);
                prop_assert_eq!(head.len(), usize::from(record.head_len));
            }
        }
    }
}

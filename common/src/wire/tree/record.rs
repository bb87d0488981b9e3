//! What leaves the kernel: new trees and names through a ring of their own, codes inside exchange records.

use core::mem::size_of;

use super::{Code, FLAGS, MAX_NODES, NAME_BYTES};

/// The record is a new tree.
pub const KIND_TREE: u32 = 1;
/// The record is the name of a function that the agent does not know from its own configuration.
pub const KIND_NAME: u32 = 2;

/// What a record of a new tree begins with. 256 depths (`u8`, in preorder) and `nodes` functions (`u64`) follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// [`KIND_TREE`].
    pub kind: u32,
    /// Number of nodes.
    pub nodes: u32,
    /// Function of the outermost call.
    pub root: u64,
    /// [`Code::ordered`].
    pub ordered: u64,
    /// [`Code::unordered`].
    pub unordered: u64,
    /// When the outermost call began, in nanoseconds of CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// How long it took, 0 when it did not return.
    pub duration_ns: u64,
    /// Process (high half) and thread.
    pub thread: u64,
    /// [`super::TRUNCATED`] and the following.
    pub flags: u32,
    /// Not used.
    pub unused: u32,
}

/// Size of a [`Header`] in bytes.
pub const HEADER_BYTES: usize = size_of::<Header>();
const DEPTHS: usize = MAX_NODES + 1;

const _: () = assert!(HEADER_BYTES == 64);

impl Header {
    /// Nothing known yet.
    pub const ZERO: Self = Self {
        kind: 0,
        nodes: 0,
        root: 0,
        ordered: 0,
        unordered: 0,
        start_ns: 0,
        duration_ns: 0,
        thread: 0,
        flags: 0,
        unused: 0,
    };
}

/// A new tree as it was read.
#[derive(Clone, Copy, Debug)]
pub struct NewTree<'a> {
    /// What is known about it.
    pub header: Header,
    depths: &'a [u8],
    functions: &'a [u8],
}

impl<'a> NewTree<'a> {
    /// Reads the bytes of one ring entry; `None` if they are no tree, or not one that the kernel side would write.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        // SAFETY: `fixed` has the size of `Header`, whose fields are integers without padding; the read needs no
        // alignment.
        let header = unsafe { fixed.as_ptr().cast::<Header>().read_unaligned() };
        let nodes = header.nodes as usize;
        let sane = header.kind == KIND_TREE && (1..=MAX_NODES).contains(&nodes) && header.flags & !FLAGS == 0;
        if !sane {
            return None;
        }
        let (depths, rest) = rest.split_at_checked(DEPTHS)?;
        Some(Self { header, depths: depths.get(..nodes)?, functions: rest.get(..nodes * 8)? })
    }

    /// The tree's code.
    #[must_use]
    pub fn code(&self) -> Code {
        Code { ordered: self.header.ordered, unordered: self.header.unordered }
    }

    /// Function and depth of each node in preorder; [`super::NODE_DEAD`] may be set in the depth.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (u64, u8)> + 'a {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        self.functions.chunks_exact(8).map(word).zip(self.depths.iter().copied())
    }
}

/// A function's name, read by the kernel from the traced process.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// [`KIND_NAME`].
    pub kind: u32,
    /// Bytes of the name.
    pub len: u32,
    /// [`super::function_id`] of it.
    pub function: u64,
    /// The name, filled up with zeroes.
    pub text: [u8; NAME_BYTES],
}

/// Size of a [`Name`] in bytes.
pub const NAME_RECORD_BYTES: usize = size_of::<Name>();

const _: () = assert!(NAME_RECORD_BYTES == 16 + NAME_BYTES);

impl Name {
    /// Reads the bytes of one ring entry; `None` if they are no name.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..NAME_RECORD_BYTES)?;
        // SAFETY: `fixed` has the size of `Name`, whose fields are integers and bytes without padding.
        let name = unsafe { fixed.as_ptr().cast::<Self>().read_unaligned() };
        (name.kind == KIND_NAME && name.len as usize <= NAME_BYTES && name.function != 0).then_some(name)
    }

    /// The name.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.text.get(..self.len as usize).unwrap_or_default()
    }
}

/// A tree that ran within a request, as it stands in the request's record, behind the head.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Function of the outermost call.
    pub root: u64,
    /// [`Code::ordered`].
    pub ordered: u64,
    /// How long it took, in ns; 0 when it did not return.
    pub duration_ns: u64,
    /// [`super::TRUNCATED`] and the following.
    pub flags: u32,
    /// Not used.
    pub unused: u32,
}

/// Size of an [`Entry`] in bytes.
pub const ENTRY_BYTES: usize = size_of::<Entry>();
/// Most trees in a record.
pub const MAX_ENTRIES: usize = 8;

const _: () = assert!(ENTRY_BYTES == 32);

impl Entry {
    /// Reads the entry at the beginning of `bytes`; `None` if it is not one that the kernel side would write.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..ENTRY_BYTES)?;
        // SAFETY: `fixed` has the size of `Entry`, whose fields are integers without padding.
        let entry = unsafe { fixed.as_ptr().cast::<Self>().read_unaligned() };
        (entry.root != 0 && entry.flags & !FLAGS == 0).then_some(entry)
    }

    /// The bytes of this entry as the kernel writes them, for tests and recordings.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        // SAFETY: the sizes are equal and an `Entry` has no padding.
        unsafe { core::mem::transmute_copy(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2500), kind in 0_u8..4) {
            if let Some(first) = bytes.get_mut(..4) {
                first.copy_from_slice(&[kind, 0, 0, 0]);
            }
            if let Some(tree) = NewTree::from_bytes(&bytes) {
                prop_assert_eq!(tree.nodes().len(), tree.header.nodes as usize);
            }
            if let Some(name) = Name::from_bytes(&bytes) {
                prop_assert_eq!(name.text().len(), name.len as usize);
            }
            if let Some(entry) = Entry::from_bytes(&bytes) {
                prop_assert_eq!(Some(&entry.to_bytes()[..]), bytes.get(..ENTRY_BYTES));
            }
        }
    }
}

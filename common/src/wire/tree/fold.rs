//! The fold: calls come in, a code comes out.
//!
//! Every open call is a frame. When a call ends, its code (function, and what its children came to) is taken into its
//! parent's running hash. Repetitions are not: if the last `p` children, `p` from 1 to 4, have the codes of the `p`
//! before them, they are taken out again, so that a loop has the same code however often it ran. The hash can be undone
//! step by step, which is why no frame has to keep what it was before. Beside it a second, unordered hash sums the
//! distinct children.
//!
//! A frame's last children lie in a family, of which there are fewer than frames: most open calls have no ended
//! child. Both are stacks. The nodes' functions and depths are logged in preorder; what a repetition logged is taken
//! back with it.
//!
//! The kernel runs this on memory of a map, hence its form: every index is loaded anew (`read_volatile`) and masked just
//! before use, loops are short and bounded, and the fold is built in place from zeroes.

use super::hash::{START, finish, step, unstep};
use super::record::{Header, KIND_TREE};
use super::{
    MAX_DEPTH, MAX_DISTINCT, MAX_FAMILIES, MAX_NODES, MAX_PERIOD, NODE_DEAD, SHAPE_CUT, TRUNCATED,
    UNRETURNED, WIDE,
};

macro_rules! get {
    ($place:expr) => {{
        // SAFETY: the place is inside a valid fold.
        unsafe { core::ptr::read_volatile(&raw const $place) }
    }};
}

macro_rules! set {
    ($place:expr, $value:expr) => {{
        let value = $value;
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut $place, value) }
    }};
}

/// The call returned.
pub const RETURNED: u32 = 0;
/// The call was left by an exception, a long jump or its thread's end.
pub const DEAD: u32 = 1;

/// No call was open.
pub const NONE: u32 = 0;
/// An inner call ended.
pub const INNER: u32 = 1;
/// The outermost call ended: the tree is complete.
pub const ROOT: u32 = 2;

/// Children whose codes a family remembers: two bodies of the longest loop.
const WINDOW: usize = 2 * MAX_PERIOD;
/// Position of a node that was not logged.
const UNLOGGED: u8 = u8::MAX;
/// Room for logged nodes; a power of two.
const NODES: usize = MAX_NODES + 1;

const _: () =
    assert!(MAX_DEPTH.is_power_of_two() && MAX_FAMILIES.is_power_of_two() && MAX_DISTINCT.is_power_of_two());
const _: () =
    assert!(NODES.is_power_of_two() && MAX_DEPTH <= NODE_DEAD as usize && MAX_FAMILIES < u8::MAX as usize);

/// What identifies a tree.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    /// Of functions, nesting and order.
    pub ordered: u64,
    /// Of functions and nesting: equal for trees whose calls differ only in order and number of repetitions.
    pub unordered: u64,
}

/// An open call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Frame {
    function: u64,
    /// Running hash of the children.
    ordered: u64,
    /// Sum over the distinct children.
    unordered: u64,
    /// Where on its stack the call is, as far as known.
    mark: u32,
    /// Low half of the word at that place, which tells a call from one it ends with.
    link: u16,
    /// Its node in the log, or [`UNLOGGED`].
    node: u8,
    /// Number of its family plus one, 0 for none.
    family: u8,
}

/// The ended children of an open call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Family {
    /// Codes of the last children: child `n` is at `n % WINDOW`.
    codes: [u64; WINDOW],
    /// Where each one's nodes begin in the log.
    nodes: [u8; WINDOW],
    /// Low halves of the distinct children's unordered codes.
    distinct: [u32; MAX_DISTINCT],
    /// Children taken in, repetitions left out; modulo 2^32.
    next: u32,
    /// How many of the codes are valid.
    valid: u16,
    /// How many of `distinct` are.
    distincts: u16,
}

/// Folds the calls of one thread. All zeroes is a valid fold in which no call is open.
///
/// Its beginning is the record of a new tree, ready to be sent: [`Header`], depths, functions.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct Fold {
    /// What is known about the tree.
    pub header: Header,
    depths: [u8; NODES],
    functions: [u64; NODES],
    /// Open calls.
    depth: u32,
    /// Families in use.
    families_used: u32,
    /// Nodes logged.
    logged: u32,
    /// Open calls below the deepest tracked one.
    below: u32,
    frames: [Frame; MAX_DEPTH],
    families: [Family; MAX_FAMILIES],
}

impl Default for Fold {
    fn default() -> Self {
        Self::new()
    }
}

impl Fold {
    /// A fold in which no call is open.
    #[must_use]
    pub const fn new() -> Self {
        const FRAME: Frame =
            Frame { function: 0, ordered: 0, unordered: 0, mark: 0, link: 0, node: 0, family: 0 };
        const FAMILY: Family = Family {
            codes: [0; WINDOW],
            nodes: [0; WINDOW],
            distinct: [0; MAX_DISTINCT],
            next: 0,
            valid: 0,
            distincts: 0,
        };
        Self {
            header: Header::ZERO,
            depths: [0; NODES],
            functions: [0; NODES],
            depth: 0,
            families_used: 0,
            logged: 0,
            below: 0,
            frames: [FRAME; MAX_DEPTH],
            families: [FAMILY; MAX_FAMILIES],
        }
    }

    /// A call of `function` begins.
    #[inline(always)]
    pub fn enter(&mut self, function: u64) {
        if self.push(function, 0, 0) == NONE {
            set!(self.below, get!(self.below).saturating_add(1));
        }
    }

    /// The innermost open call ends, [`RETURNED`] or [`DEAD`]; says whether that was [`NONE`], [`INNER`] or [`ROOT`].
    #[inline(always)]
    pub fn leave(&mut self, how: u32) -> u32 {
        let below = get!(self.below);
        if below != 0 {
            set!(self.below, below - 1);
            return INNER;
        }
        self.pop(how)
    }

    /// Code of the tree that ended last.
    #[inline(always)]
    #[must_use]
    pub fn code(&self) -> Code {
        Code { ordered: get!(self.header.ordered), unordered: get!(self.header.unordered) }
    }

    /// Flags of that tree: [`TRUNCATED`] and the following.
    #[inline(always)]
    #[must_use]
    pub fn flags(&self) -> u32 {
        get!(self.header.flags)
    }

    /// Adds flags to the tree under way or just ended.
    #[inline(always)]
    pub fn mark(&mut self, flags: u32) {
        set!(self.header.flags, get!(self.header.flags) | flags);
    }

    /// Number of open calls that are tracked.
    #[inline(always)]
    #[must_use]
    pub fn depth(&self) -> u32 {
        get!(self.depth)
    }

    /// The nodes of the tree that ended last, in preorder: function, and depth with [`NODE_DEAD`] perhaps.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (u64, u8)> + '_ {
        let logged = (self.logged as usize).min(MAX_NODES);
        self.functions[..logged].iter().copied().zip(self.depths[..logged].iter().copied())
    }

    /// Opens a call; [`NONE`] if that would be too deep.
    #[inline(always)]
    pub(super) fn push(&mut self, function: u64, mark: u32, link: u16) -> u32 {
        let depth = get!(self.depth);
        if depth == 0 {
            set!(self.families_used, 0);
            set!(self.logged, 0);
            set!(self.header.flags, 0);
            set!(self.header.root, function);
        }
        if depth >= MAX_DEPTH as u32 {
            self.mark(TRUNCATED);
            return NONE;
        }
        let logged = get!(self.logged);
        let mut node = UNLOGGED;
        if logged < MAX_NODES as u32 {
            node = logged as u8;
            let at = get!(self.logged) as usize & (NODES - 1);
            set!(self.functions[at], function);
            set!(self.depths[at], depth as u8);
            set!(self.logged, logged + 1);
        } else {
            self.mark(SHAPE_CUT);
        }
        let at = get!(self.depth) as usize & (MAX_DEPTH - 1);
        let frame = &mut self.frames[at];
        set!(frame.function, function);
        set!(frame.ordered, START);
        set!(frame.unordered, 0);
        set!(frame.mark, mark);
        set!(frame.link, link);
        set!(frame.node, node);
        set!(frame.family, 0);
        set!(self.depth, depth + 1);
        INNER
    }

    /// Closes the innermost tracked call.
    #[inline(always)]
    pub(super) fn pop(&mut self, how: u32) -> u32 {
        let depth = get!(self.depth);
        if depth == 0 {
            return NONE;
        }
        set!(self.depth, depth - 1);
        let at = get!(self.depth) as usize & (MAX_DEPTH - 1);
        let frame = &self.frames[at];
        let (function, node, family) = (get!(frame.function), get!(frame.node), get!(frame.family));
        let ordered = finish(function, u64::from(how), get!(frame.ordered));
        let unordered = finish(function, u64::from(how), get!(frame.unordered));
        if how != RETURNED && node != UNLOGGED {
            let at = usize::from(node);
            set!(self.depths[at], get!(self.depths[at]) | NODE_DEAD);
        }
        if family != 0 {
            set!(self.families_used, u32::from(family) - 1);
        }
        if depth == 1 {
            if how != RETURNED {
                self.mark(UNRETURNED);
            }
            set!(self.header.kind, KIND_TREE);
            set!(self.header.nodes, get!(self.logged));
            set!(self.header.ordered, ordered);
            set!(self.header.unordered, unordered);
            return ROOT;
        }
        self.adopt(ordered, unordered, node);
        INNER
    }

    /// Takes an ended call into the innermost open one.
    #[inline(always)]
    fn adopt(&mut self, ordered: u64, unordered: u64, node: u8) {
        let at = get!(self.depth).wrapping_sub(1) as usize & (MAX_DEPTH - 1);
        let mut number = get!(self.frames[at].family);
        if number == 0 {
            let used = get!(self.families_used);
            if used >= MAX_FAMILIES as u32 {
                self.mark(TRUNCATED);
                self.unlog(node);
                return;
            }
            set!(self.families_used, used + 1);
            number = (used + 1) as u8;
            set!(self.frames[at].family, number);
            let family = &mut self.families[used as usize & (MAX_FAMILIES - 1)];
            set!(family.next, 0);
            set!(family.valid, 0);
            set!(family.distincts, 0);
        }
        let frame = &raw mut self.frames[get!(self.depth).wrapping_sub(1) as usize & (MAX_DEPTH - 1)];
        let family = &raw mut self.families[usize::from(number).wrapping_sub(1) & (MAX_FAMILIES - 1)];
        // SAFETY: a frame and a family of this fold, here and below.
        let (frame, family) = unsafe { (&mut *frame, &mut *family) };
        let next = get!(family.next);
        let valid = get!(family.valid);
        // By far the most frequent repetition, without taking it in first.
        if valid != 0 && family.code(1) == ordered {
            self.unlog(node);
            return;
        }
        family.note(unordered, frame, &mut self.header.flags);
        set!(frame.ordered, step(get!(frame.ordered), ordered));
        let at = next as usize & (WINDOW - 1);
        set!(family.codes[at], ordered);
        set!(family.nodes[at], node);
        set!(family.next, next.wrapping_add(1));
        let valid = if valid < WINDOW as u16 { valid + 1 } else { valid };
        set!(family.valid, valid);
        let period = family.period();
        if period != 0 {
            let first = family.drop_last(period, frame);
            self.unlog(first);
        }
    }

    /// Takes the nodes from `node` on out of the log.
    #[inline(always)]
    fn unlog(&mut self, node: u8) {
        if node != UNLOGGED {
            set!(self.logged, u32::from(node));
        }
    }
}

impl Family {
    /// Code of the child `back` before the next.
    #[inline(always)]
    fn code(&self, back: u32) -> u64 {
        let at = get!(self.next).wrapping_sub(back) as usize & (WINDOW - 1);
        get!(self.codes[at])
    }

    /// Adds a child to the unordered sum, unless one of its kind is in it.
    #[inline(always)]
    fn note(&mut self, unordered: u64, frame: &mut Frame, flags: &mut u32) {
        let count = get!(self.distincts);
        let tag = unordered as u32;
        let mut at = 0;
        while at < MAX_DISTINCT as u16 {
            if at >= count {
                break;
            }
            if get!(self.distinct[at as usize]) == tag {
                return;
            }
            at += 1;
        }
        if count >= MAX_DISTINCT as u16 {
            *flags |= WIDE;
            return;
        }
        let at = usize::from(get!(self.distincts)) & (MAX_DISTINCT - 1);
        set!(self.distinct[at], tag);
        set!(self.distincts, count + 1);
        set!(frame.unordered, get!(frame.unordered).wrapping_add(unordered));
    }

    /// The shortest loop body whose repetition the last children are, 0 for none. One of length 1 was seen to before.
    #[inline(always)]
    fn period(&self) -> u32 {
        let valid = u32::from(get!(self.valid));
        let mut period = 2;
        while period <= MAX_PERIOD as u32 {
            if valid < 2 * period {
                return 0;
            }
            let mut back = 1;
            while back <= period && self.code(back) == self.code(back + period) {
                back += 1;
            }
            if back > period {
                return period;
            }
            period += 1;
        }
        0
    }

    /// Takes the last `period` children out again; gives the node of the first of them.
    #[inline(always)]
    fn drop_last(&mut self, period: u32, frame: &mut Frame) -> u8 {
        let mut ordered = get!(frame.ordered);
        let mut back = 1;
        while back <= MAX_PERIOD as u32 {
            if back > period {
                break;
            }
            ordered = unstep(ordered, self.code(back));
            back += 1;
        }
        set!(frame.ordered, ordered);
        let next = get!(self.next).wrapping_sub(period);
        set!(self.next, next);
        set!(self.valid, get!(self.valid).wrapping_sub(period as u16));
        let at = get!(self.next) as usize & (WINDOW - 1);
        get!(self.nodes[at])
    }
}

/// What the kernel needs beside the pure fold: see `resync`.
impl Fold {
    /// Mark and link of the innermost open call and its function; zeroes when there is none.
    #[inline(always)]
    pub(super) fn innermost(&self) -> (u64, u32, u16) {
        let at = get!(self.depth).wrapping_sub(1) as usize & (MAX_DEPTH - 1);
        let frame = &self.frames[at];
        (get!(frame.function), get!(frame.mark), get!(frame.link))
    }

    /// Function and mark of the open call `back` before the next one to open.
    #[inline(always)]
    pub(super) fn open_call(&self, back: u32) -> (u64, u32) {
        let at = get!(self.depth).wrapping_sub(back) as usize & (MAX_DEPTH - 1);
        let frame = &self.frames[at];
        (get!(frame.function), get!(frame.mark))
    }
}

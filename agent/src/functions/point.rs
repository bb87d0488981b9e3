//! Points: where the kernel side is attached, and what it is told there.
//!
//! A *point* is one place in one file. A function has one where it is entered and one or several where it is left:
//! either the kernel's return probe ([`Kind::Return`]) or its return instructions ([`Kind::Exit`]). The kernel's return
//! probe swaps the return address on the stack, which the unwinder of C++ exceptions and Rust panics does not know: an
//! exception through such a frame ends the process. Wherever a file shows signs of unwinding, its functions therefore
//! get probes on their return instructions, and no stack is touched. A call that is left by an exception, or by
//! `longjmp`, reaches no exit at all.

use std::path::PathBuf;
use std::sync::Arc;

use super::spec::Success;
use super::usdt::Place;
use super::values::Taken;

/// A file as the kernel tells them apart. A file that is replaced is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The device it is on, as `stat` gives it; for a file in a layer of containers, a number that all of them share.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
}

/// What tells points apart: one place in one file, attached to in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The file.
    pub file: FileId,
    /// Where in the file, in bytes from its beginning, as the kernel wants it.
    pub offset: u64,
    /// In which way.
    pub kind: Kind,
}

/// What it means that a point is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A uretprobe, whose offset is that of the function's entry: a call has returned.
    Return,
    /// A uprobe on a return instruction: the call returns. The return value is in its register, and the stack pointer
    /// is where it was on entry.
    Exit,
    /// A uprobe on a jump into another function, which returns in place of this one: the call is over, and has no
    /// return value. The stack pointer is where it was on entry.
    Tail,
    /// A uprobe on a USDT probe: a call is over.
    UsdtReturn,
    /// A uprobe on a function's first instruction.
    Enter,
    /// A uprobe on a USDT probe: a call begins.
    UsdtEnter,
}

impl Kind {
    /// Whether a call begins here; it ends at all other points.
    pub fn enters(self) -> bool {
        matches!(self, Self::Enter | Self::UsdtEnter)
    }
}

/// A function that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Which `[[functions]]` of the configuration asks for it, from 0.
    pub target: usize,
    /// `binary:symbol`, or `provider:probe` for a USDT pair whose calls name themselves by [`Naming::Python`]. At most
    /// [`super::names::NAME_BYTES`] bytes; one function's name, in whatever file, container or host, is the same.
    pub name: String,
    /// `wire::tree::function_id` of the name. Points of one function have it in common.
    pub id: u64,
    /// How its calls are named.
    pub naming: Naming,
    /// Which return values are successes; without one, every call that returns is.
    pub success: Option<Success>,
}

/// How a function's calls are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// All calls are of the one function.
    Fixed,
    /// As Python's probes do it: the first argument of the probe is the path of a source file, the second the name of a
    /// function, both C strings. The call is one of `file.py:function`, the file without its directory.
    Python,
}

/// Where a program is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Which place it is.
    pub key: Key,
    /// A path under which the agent reaches the file, below `/proc/PID` for a file in a container. Good for attaching
    /// now; the process may end later.
    pub path: PathBuf,
    /// The function.
    pub function: Arc<Function>,
    /// Where in the file the probe's semaphore is: a counter that the kernel raises while it is attached
    /// (`ref_ctr_offset`), without which the program skips a USDT probe.
    pub semaphore: Option<u64>,
    /// For a USDT probe: where its arguments are when it is reached, in order. Empty for others, whose arguments are
    /// where the calling convention has them.
    pub places: Vec<Place>,
    /// Values that are taken here.
    pub values: Vec<Taken>,
}

/// What a look at the host has changed. Points are to be attached and detached in the order given: exits before
/// entries when attaching, the other way round when detaching, so that no call is entered that cannot be left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Points whose file no process runs any more, or whose function is not wanted any more.
    pub remove: Vec<Arc<Point>>,
    /// New ones.
    pub add: Vec<Arc<Point>>,
}

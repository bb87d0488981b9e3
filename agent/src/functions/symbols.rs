//! The functions of a file: its symbols, those of its debug file, and which of them can be followed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::debug;
use super::elf::{ElfError, Image, Symbol};
use super::names;

/// Symbols of one file that are looked at.
const MAX_SYMBOLS: usize = 4 << 20;
/// `STT_FUNC`.
const FUNCTION: u8 = 2;
/// `STT_GNU_IFUNC`.
const RESOLVER: u8 = 10;

/// Symbols that only code with C++ exceptions, Rust panics or the like has or asks for.
const UNWINDING: [&str; 8] = [
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_Backtrace",
    "_Unwind_ForcedUnwind",
    "__cxa_throw",
    "__gxx_personality_v0",
    "__gcc_personality_v0",
    "rust_eh_personality",
];

/// Functions that do more with their return address than return to it, or return twice.
const RETURN_ADDRESS: [&str; 20] = [
    "setjmp",
    "_setjmp",
    "sigsetjmp",
    "__sigsetjmp",
    "longjmp",
    "_longjmp",
    "siglongjmp",
    "__longjmp_chk",
    "vfork",
    "__vfork",
    "clone",
    "__clone",
    "clone3",
    "getcontext",
    "setcontext",
    "swapcontext",
    "makecontext",
    "__tls_get_addr",
    "__fentry__",
    "mcount",
];

/// What runs before `main` and after `exit`.
const START: [&str; 9] = [
    "_start",
    "_init",
    "_fini",
    "__libc_csu_init",
    "__libc_csu_fini",
    "frame_dummy",
    "register_tm_clones",
    "deregister_tm_clones",
    "__do_global_dtors_aux",
];

/// Which table a symbol was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The file's own.
    Symtab,
    /// A separate debug file's.
    DebugFile,
    /// The compressed one inside the file.
    MiniDebug,
    /// The one for the dynamic linker.
    Dynsym,
}

impl Origin {
    /// As it is shown.
    pub fn label(self) -> &'static str {
        match self {
            Self::Symtab => ".symtab",
            Self::DebugFile => "debug file",
            Self::MiniDebug => ".gnu_debugdata",
            Self::Dynsym => ".dynsym",
        }
    }
}

/// Why a function cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its code is elsewhere.
    Imported,
    /// `STT_GNU_IFUNC`: it runs once, to choose the function.
    Resolver,
    /// The part of a function that the compiler moved out of the way.
    Part,
    /// It is outside the code that the file holds.
    NotCode,
    /// It is the same code under another name.
    Alias(String),
    /// Its return address has a meaning to it.
    ReturnAddress,
    /// It belongs to the start of a program.
    Start,
    /// Go's threads run one goroutine after another, and its stacks move.
    Go,
    /// Its size is unknown, so that its return instructions cannot be found, and a return probe might end the process.
    NoSize,
    /// Its instructions could not be decoded.
    Undecodable(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imported => f.write_str("imported: its code is in a library"),
            Self::Resolver => f.write_str("a resolver (IFUNC), which runs once to choose the function"),
            Self::Part => f.write_str("a part of a function that is jumped to, not called"),
            Self::NotCode => f.write_str("its address is outside the code in this file"),
            Self::Alias(name) => write!(f, "the same code as {name}"),
            Self::ReturnAddress => f.write_str("it does more with its return address than return to it"),
            Self::Start => f.write_str("it belongs to the start of the program"),
            Self::Go => f.write_str("Go moves calls between threads and stacks; neither can be followed"),
            Self::NoSize => f.write_str(
                "its size is unknown, so its return instructions cannot be found, and a probe on the return address \
                 would break exceptions",
            ),
            Self::Undecodable(reason) => write!(f, "its return instructions cannot be found: {reason}"),
        }
    }
}

/// A function of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbolized {
    /// Its symbol, as it is in the table.
    pub raw: String,
    /// The same for people; see [`names::readable`].
    pub readable: String,
    /// Its address, before relocation.
    pub address: u64,
    /// Its bytes; 0 for unknown.
    pub size: u64,
    /// Where the symbol is from.
    pub origin: Origin,
    /// Why it cannot be followed, as far as the symbol tells.
    pub refusal: Option<Refusal>,
}

/// The functions of a file, in order of address.
#[derive(Debug)]
pub(super) struct Functions {
    /// All symbols that are functions, aliases among them.
    pub all: Vec<Symbolized>,
    /// Whether exceptions or panics may pass through the file's functions.
    pub unwinds: bool,
}

/// Reads the functions of a file. `path` is where it is reached, `root` the root directory of those who run it (`/`, or
/// `/proc/PID/root` for a container): its debug file is looked for there.
///
/// # Errors
/// When the file's own tables cannot be read. A debug file that cannot is passed over.
pub(super) fn functions(image: &Image, path: &Path, root: &Path) -> Result<Functions, ElfError> {
    let mut found = Finder::default();
    found.table(image, ".symtab", Origin::Symtab)?;
    if found.by_address.is_empty() {
        for (debug, origin) in debug::files(image, path, root) {
            found.table(&debug, ".symtab", origin)?;
        }
    }
    found.table(image, ".dynsym", Origin::Dynsym)?;
    found.unwinds |= image.section(".gcc_except_table").is_some();
    // A library serves programs of every kind, and exceptions of its callers' callbacks pass through it.
    found.unwinds |= !image.executable;
    let go = image.section(".gopclntab").is_some() || image.section(".go.buildinfo").is_some();
    Ok(found.finish(image, go))
}

#[derive(Default)]
struct Finder {
    by_address: BTreeMap<u64, Vec<Symbolized>>,
    imported: Vec<Symbolized>,
    count: usize,
    unwinds: bool,
}

impl Finder {
    fn table(&mut self, image: &Image, table: &str, origin: Origin) -> Result<(), ElfError> {
        let Some(symbols) = image.symbols(table)? else { return Ok(()) };
        for symbol in symbols.iter() {
            self.unwinds |= UNWINDING.contains(&symbol.name);
            if matches!(symbol.kind, FUNCTION | RESOLVER) && self.count < MAX_SYMBOLS {
                self.count += 1;
                self.add(&symbol, origin);
            }
        }
        Ok(())
    }

    fn add(&mut self, symbol: &Symbol<'_>, origin: Origin) {
        let found = |refusal| Symbolized {
            raw: symbol.name.to_owned(),
            readable: names::readable(symbol.name),
            address: symbol.address,
            size: symbol.size,
            origin,
            refusal,
        };
        if !symbol.defined {
            self.imported.push(found(Some(Refusal::Imported)));
            return;
        }
        let here = self.by_address.entry(symbol.address).or_default();
        // Each table repeats what a better one has said.
        if here.iter().any(|known| known.raw == symbol.name) {
            return;
        }
        let refusal = if symbol.kind == RESOLVER {
            Some(Refusal::Resolver)
        } else if is_part(symbol.name) {
            Some(Refusal::Part)
        } else if RETURN_ADDRESS.contains(&symbol.name) {
            Some(Refusal::ReturnAddress)
        } else if START.contains(&symbol.name) {
            Some(Refusal::Start)
        } else {
            None
        };
        // The first of an address is the one that its code is known by.
        let first = here.first().is_none_or(|first| better(symbol.name, &first.raw));
        here.insert(if first { 0 } else { here.len() }, found(refusal));
    }

    fn finish(self, image: &Image, go: bool) -> Functions {
        let mut all = Vec::with_capacity(self.count);
        for (address, mut here) in self.by_address {
            let code = image.code_offset(address).is_some();
            let first = here[0].readable.clone();
            let special = here.iter().find_map(|symbol| symbol.refusal.clone());
            let size = here.iter().map(|symbol| symbol.size).max().unwrap_or(0);
            for (index, symbol) in here.iter_mut().enumerate() {
                symbol.size = size;
                symbol.refusal = if !code {
                    Some(Refusal::NotCode)
                } else if go {
                    Some(Refusal::Go)
                } else if special.is_some() {
                    special.clone()
                } else {
                    (index > 0).then(|| Refusal::Alias(first.clone()))
                };
            }
            all.append(&mut here);
        }
        let mut imported = self.imported;
        imported.sort_by(|one, other| one.raw.cmp(&other.raw));
        imported.dedup_by(|one, other| one.raw == other.raw);
        all.append(&mut imported);
        Functions { all, unwinds: self.unwinds }
    }
}

/// Whether a name is the plainer one for the same code: `malloc` before `__libc_malloc`.
fn better(name: &str, than: &str) -> bool {
    let underscores = |name: &str| name.bytes().take_while(|&byte| byte == b'_').count();
    (underscores(name), name.len(), name) < (underscores(than), than.len(), than)
}

/// Whether the symbol is that of a cold or split-off part of a function.
fn is_part(symbol: &str) -> bool {
    [".cold", ".part."].iter().any(|mark| symbol.contains(mark))
}

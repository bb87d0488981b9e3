//! ELF files, read within bounds: header, segments, sections, symbols.
//!
//! Nothing is mapped, for a file that shrinks while it is read would end the agent. Each read is checked against the
//! file's length and against [`MAX_READ`] in all, so that neither a section that claims a terabyte nor a sparse file that
//! has one costs memory.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use object::LittleEndian;
use object::elf::{
    DT_FLAGS_1, Dyn64, EM_AARCH64, EM_X86_64, FileHeader64, NT_GNU_BUILD_ID, PF_X, PT_DYNAMIC, PT_INTERP,
    PT_LOAD, ProgramHeader64, SHT_NOBITS, SectionHeader64, Sym64,
};
use object::pod::{Pod, from_bytes, slice_from_bytes};
use rustix::fs::OFlags;

use super::usdt::Machine;

/// Bytes read of one file, at most; the tables of a browser's symbols have some hundred million.
pub const MAX_READ: u64 = 512 << 20;
/// Sections and segments of one file, at most.
const MAX_HEADERS: u64 = 1 << 16;
/// Bytes of a name that are looked at.
const MAX_NAME: usize = 16 << 10;
/// The flag of `DT_FLAGS_1` that tells an executable from a library.
const DF_1_PIE: u64 = 0x0800_0000;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It cannot be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no ELF file, or one of a kind that is not traced.
    #[error("{0}")]
    Kind(&'static str),
    /// It contradicts itself.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// It asks for more than [`MAX_READ`].
    #[error("more than {} MiB of it would have to be read", MAX_READ >> 20)]
    TooLarge,
}

/// Where bytes come from.
#[derive(Debug)]
enum Source {
    File(File, u64),
    Memory(Vec<u8>),
}

/// An ELF file of 64 bits for a machine that is known here.
#[derive(Debug)]
pub struct Image {
    source: Source,
    budget: Cell<u64>,
    /// The machine.
    pub machine: Machine,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    /// Whether it can be started, and is no library.
    pub executable: bool,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    offset: u64,
    /// Bytes of it that are in the file.
    size: u64,
    code: bool,
}

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Where it is in memory, before relocation.
    pub address: u64,
    offset: u64,
    size: u64,
    /// Whether the file holds its bytes: a debug file has the headers of code, but not the code.
    filled: bool,
    link: u32,
}

/// A symbol, as its table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, without version.
    pub name: &'a str,
    /// Its address, before relocation.
    pub address: u64,
    /// Its bytes; 0 for unknown.
    pub size: u64,
    /// Its type, `STT_FUNC` and the like.
    pub kind: u8,
    /// Whether it is defined in this file.
    pub defined: bool,
}

/// A table of symbols with its names.
#[derive(Debug)]
pub struct Symbols {
    entries: Vec<u8>,
    names: Vec<u8>,
}

impl Image {
    /// Reads the headers of a file.
    ///
    /// # Errors
    /// When it cannot be read, is malformed, or is no ELF file of 64 bits for x86-64 or aarch64.
    pub fn open(path: &Path) -> Result<Self, ElfError> {
        // Opening a pipe would wait for somebody to write into it.
        let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ElfError::Kind("it is no regular file"));
        }
        Self::read(Source::File(file, metadata.len()))
    }

    /// The same, of bytes in memory.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn from_memory(bytes: Vec<u8>) -> Result<Self, ElfError> {
        Self::read(Source::Memory(bytes))
    }

    fn read(source: Source) -> Result<Self, ElfError> {
        let mut image = Self {
            source,
            budget: Cell::new(MAX_READ),
            machine: Machine::X86,
            segments: Vec::new(),
            sections: Vec::new(),
            executable: false,
        };
        let ident = image.bytes(0, 16).map_err(|_| ElfError::Kind("it is no ELF file"))?;
        match ident[..6] {
            [0x7f, b'E', b'L', b'F', 2, 1] => {}
            [0x7f, b'E', b'L', b'F', 1, _] => return Err(ElfError::Kind("it is a program of 32 bits")),
            [0x7f, b'E', b'L', b'F', ..] => return Err(ElfError::Kind("it is a program of another machine")),
            _ => return Err(ElfError::Kind("it is no ELF file")),
        }
        let header = image.bytes(0, size_of::<FileHeader64<LittleEndian>>() as u64)?;
        let header: &FileHeader64<LittleEndian> = pod(&header)?;
        image.machine = match header.e_machine.get(LittleEndian) {
            EM_X86_64 => Machine::X86,
            EM_AARCH64 => Machine::Arm,
            _ => return Err(ElfError::Kind("it is a program of another machine")),
        };
        image.read_segments(header)?;
        image.read_sections(header)?;
        Ok(image)
    }

    fn read_segments(&mut self, header: &FileHeader64<LittleEndian>) -> Result<(), ElfError> {
        let count = u64::from(header.e_phnum.get(LittleEndian));
        let table = self.table::<ProgramHeader64<LittleEndian>>(header.e_phoff.get(LittleEndian), count)?;
        for segment in pods::<ProgramHeader64<LittleEndian>>(&table) {
            let (offset, size) = (segment.p_offset.get(LittleEndian), segment.p_filesz.get(LittleEndian));
            match segment.p_type.get(LittleEndian) {
                PT_LOAD => self.segments.push(Segment {
                    address: segment.p_vaddr.get(LittleEndian),
                    offset,
                    size,
                    code: segment.p_flags.get(LittleEndian).contains(PF_X),
                }),
                PT_INTERP => self.executable = true,
                PT_DYNAMIC => {
                    let dynamic = self.table::<Dyn64<LittleEndian>>(offset, size / 16)?;
                    self.executable |= pods::<Dyn64<LittleEndian>>(&dynamic).iter().any(|entry| {
                        entry.d_tag.get(LittleEndian) == DT_FLAGS_1
                            && entry.d_val.get(LittleEndian) & DF_1_PIE != 0
                    });
                }
                _ => {}
            }
        }
        // A static program has no interpreter, and is of type "executable".
        self.executable |= header.e_type.get(LittleEndian) == object::elf::ET_EXEC;
        Ok(())
    }

    fn read_sections(&mut self, header: &FileHeader64<LittleEndian>) -> Result<(), ElfError> {
        let start = header.e_shoff.get(LittleEndian);
        if start == 0 {
            return Ok(());
        }
        let mut count = u64::from(header.e_shnum.get(LittleEndian));
        let mut names = header.e_shstrndx.get(LittleEndian).0.into();
        // What does not fit into the header is in the first section.
        if count == 0 || names == 0xffff {
            let first = self.table::<SectionHeader64<LittleEndian>>(start, 1)?;
            let first: &SectionHeader64<LittleEndian> = pod(&first)?;
            count = if count == 0 { first.sh_size.get(LittleEndian) } else { count };
            names = if names == 0xffff { first.sh_link.get(LittleEndian) } else { names };
        }
        let table = self.table::<SectionHeader64<LittleEndian>>(start, count)?;
        let headers = pods::<SectionHeader64<LittleEndian>>(&table);
        let names = headers
            .get(names as usize)
            .map(|header| self.bytes(header.sh_offset.get(LittleEndian), header.sh_size.get(LittleEndian)));
        let names = names.transpose()?.unwrap_or_default();
        self.sections = headers
            .iter()
            .map(|header| Section {
                name: text(&names, header.sh_name.get(LittleEndian)).unwrap_or_default().to_owned(),
                address: header.sh_addr.get(LittleEndian),
                offset: header.sh_offset.get(LittleEndian),
                size: header.sh_size.get(LittleEndian),
                filled: header.sh_type.get(LittleEndian) != SHT_NOBITS,
                link: header.sh_link.get(LittleEndian),
            })
            .collect();
        Ok(())
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The bytes of the section of this name; none if there is no such section, or the file does not hold it.
    ///
    /// # Errors
    /// When it lies outside the file or is too large.
    pub fn data(&self, name: &str) -> Result<Option<Vec<u8>>, ElfError> {
        let section = self.section(name).filter(|section| section.filled);
        section.map(|section| self.bytes(section.offset, section.size)).transpose()
    }

    /// The symbols of a table: `.symtab` or `.dynsym`.
    ///
    /// # Errors
    /// As [`Image::data`].
    pub fn symbols(&self, table: &str) -> Result<Option<Symbols>, ElfError> {
        let Some(section) = self.section(table).filter(|section| section.filled) else { return Ok(None) };
        let names = self.sections.get(section.link as usize).filter(|names| names.filled);
        let names = names.ok_or(ElfError::Malformed("its symbols have no names"))?;
        Ok(Some(Symbols {
            entries: self.bytes(section.offset, section.size)?,
            names: self.bytes(names.offset, names.size)?,
        }))
    }

    /// Where in the file the code at an address is: what a uprobe wants. None where there is no code.
    pub fn code_offset(&self, address: u64) -> Option<u64> {
        self.offset(address, true)
    }

    /// Where in the file the data at an address is: what a semaphore wants.
    pub fn data_offset(&self, address: u64) -> Option<u64> {
        self.offset(address, false)
    }

    fn offset(&self, address: u64, code: bool) -> Option<u64> {
        let holds = |segment: &&Segment| {
            segment.code == code
                && address.checked_sub(segment.address).is_some_and(|into| into < segment.size)
        };
        let segment = self.segments.iter().find(holds)?;
        segment.offset.checked_add(address - segment.address)
    }

    /// The code from an address on.
    ///
    /// # Errors
    /// When there is no code, or not as much.
    pub fn code(&self, address: u64, size: u64) -> Result<Vec<u8>, ElfError> {
        let offset = self.code_offset(address).ok_or(ElfError::Malformed("a symbol is outside its code"))?;
        self.bytes(offset, size)
    }

    /// What the linker wrote to tell this build from others.
    pub fn build_id(&self) -> Option<Vec<u8>> {
        let note = self.data(".note.gnu.build-id").ok()??;
        let word = |at: usize| Some(u32::from_le_bytes(note.get(at..at + 4)?.try_into().ok()?));
        let (owner, len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        if kind != NT_GNU_BUILD_ID.0 || owner != 4 {
            return None;
        }
        note.get(16..16_usize.checked_add(len)?).map(<[u8]>::to_vec)
    }

    /// The name of the file with its symbols, and that file's CRC-32.
    pub fn debug_link(&self) -> Option<(String, u32)> {
        let link = self.data(".gnu_debuglink").ok()??;
        let name = text(&link, 0)?;
        // It names a file beside this one. A path would be somebody's attempt to have others read.
        if name.is_empty() || name.contains('/') || name == ".." {
            return None;
        }
        let at = (name.len() + 1).next_multiple_of(4);
        let crc = u32::from_le_bytes(link.get(at..at + 4)?.try_into().ok()?);
        Some((name.to_owned(), crc))
    }

    fn table<T: Pod>(&self, offset: u64, count: u64) -> Result<Vec<u8>, ElfError> {
        if count > MAX_HEADERS {
            return Err(ElfError::Malformed("it has too many headers"));
        }
        self.bytes(offset, count * size_of::<T>() as u64)
    }

    fn bytes(&self, offset: u64, size: u64) -> Result<Vec<u8>, ElfError> {
        let cut = ElfError::Malformed("it ends before its contents");
        let len = match &self.source {
            Source::File(_, len) => *len,
            Source::Memory(bytes) => bytes.len() as u64,
        };
        if offset.checked_add(size).is_none_or(|end| end > len) {
            return Err(cut);
        }
        self.budget.set(self.budget.get().checked_sub(size).ok_or(ElfError::TooLarge)?);
        match &self.source {
            Source::File(file, _) => {
                let mut bytes = vec![0; size as usize];
                file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes)
            }
            Source::Memory(bytes) => Ok(bytes[offset as usize..(offset + size) as usize].to_vec()),
        }
    }
}

impl Symbols {
    /// All of them, in the table's order; those whose name is none are left out.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        pods::<Sym64<LittleEndian>>(&self.entries).iter().filter_map(|entry| {
            let name = text(&self.names, entry.st_name.get(LittleEndian))?;
            let name = name.split('@').next().unwrap_or_default();
            (!name.is_empty()).then_some(Symbol {
                name,
                address: entry.st_value.get(LittleEndian),
                size: entry.st_size.get(LittleEndian),
                kind: entry.st_type().0,
                defined: entry.st_shndx.get(LittleEndian).0 != 0,
            })
        })
    }
}

fn pod<T: Pod>(bytes: &[u8]) -> Result<&T, ElfError> {
    from_bytes(bytes).map(|(value, _)| value).map_err(|()| ElfError::Malformed("it ends within its header"))
}

/// As many as there are whole ones.
fn pods<T: Pod>(bytes: &[u8]) -> &[T] {
    slice_from_bytes(bytes, bytes.len() / size_of::<T>()).map(|(values, _)| values).unwrap_or_default()
}

/// The text up to the next 0 byte.
fn text(bytes: &[u8], at: u32) -> Option<&str> {
    let bytes = bytes.get(at as usize..)?;
    let end = bytes.iter().take(MAX_NAME).position(|&byte| byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

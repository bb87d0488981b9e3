//! The container that model files and list files share: magic, version, section table, sections, checksum. The only
//! place that knows bincode.
//!
//! ```text
//! magic    8 bytes   the kind of file
//! version  u32       little-endian, like every number here
//! sections u32       how many
//! table    (kind u32, reserved u32 = 0, length u64) for each section, in the order of their bodies
//! bodies             bincode 2, standard configuration
//! checksum 32 bytes  BLAKE3 of every byte before it
//! ```
//!
//! Every length is checked against a cap and against the bytes at hand before anything is allocated, and the
//! checksum before anything is decoded. Unknown section kinds of a known version are refused: what this program does
//! not understand it must not half-apply.

use bincode::config::{Configuration, Limit, LittleEndian, Varint, standard};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Limit on what decoding may allocate, in bytes; no file may be larger either.
const DECODE_LIMIT: usize = 256 << 20;
/// Length of the checksum in bytes.
pub(crate) const CHECKSUM: usize = 32;
/// Length of what stands before the section table in bytes.
pub(crate) const HEADER: usize = 16;
/// Length of an entry of the section table in bytes.
pub(crate) const TABLE_ENTRY: usize = 16;

const CONFIG: Configuration<LittleEndian, Varint, Limit<DECODE_LIMIT>> = standard().with_limit();

/// A kind of file.
pub(crate) struct Form {
    /// What it holds, as messages name it.
    pub(crate) what: &'static str,
    /// How it begins.
    pub(crate) magic: [u8; 8],
    /// Largest file in bytes.
    pub(crate) max_size: u64,
    /// The sections, in their order in the file: a section's number is its place plus one.
    pub(crate) sections: &'static [&'static str],
    /// How many of them each version has, from version 1; the last is the one that is written.
    pub(crate) sections_of: &'static [usize],
}

/// Why bytes are not a whole, undamaged file of their kind.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The file does not begin as files of its kind do.
    #[error("this is not a gait {what}: it does not begin with the magic bytes")]
    Magic {
        /// What the file should hold.
        what: &'static str,
    },
    /// The file is of a version this program does not know.
    #[error("{what} format version {found} is not supported: this program reads versions 1 to {newest}")]
    Version {
        /// What the file holds.
        what: &'static str,
        /// The file's version.
        found: u32,
        /// The newest version this program reads.
        newest: u32,
    },
    /// The file ends too early.
    #[error("the {what} file is cut short: {have} bytes of {want}")]
    Truncated {
        /// What the file holds.
        what: &'static str,
        /// Bytes there are.
        have: u64,
        /// Bytes there should be.
        want: u64,
    },
    /// Something follows the end.
    #[error("{more} bytes follow the end of the {what}")]
    Trailing {
        /// What the file holds.
        what: &'static str,
        /// Bytes too many.
        more: u64,
    },
    /// A length passes its cap.
    #[error("the {what} file's {part} has {size} bytes, over the limit of {limit}")]
    TooLarge {
        /// What the file holds.
        what: &'static str,
        /// What is too large.
        part: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The cap in bytes.
        limit: u64,
    },
    /// The section table is not one of the file's version.
    #[error("the {what} file's section table is not sound: {reason}")]
    Table {
        /// What the file holds.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes are not the ones that were written.
    #[error("the {what} file is damaged: its checksum does not match")]
    Checksum {
        /// What the file holds.
        what: &'static str,
    },
    /// The checksum holds but the content does not decode.
    #[error("section {section} of the {what} file cannot be decoded: {reason}")]
    Decode {
        /// What the file holds.
        what: &'static str,
        /// Name of the section.
        section: &'static str,
        /// What the decoder says.
        reason: String,
    },
}

impl Form {
    /// The version that is written, and the newest that is read.
    pub(crate) const fn version(&self) -> u32 {
        self.sections_of.len() as u32
    }

    /// The bytes of a section, by its place.
    pub(crate) fn encode<T: Serialize>(&self, value: &T, section: usize) -> Result<Vec<u8>, ContainerError> {
        bincode::serde::encode_to_vec(value, CONFIG).map_err(|e| self.undecoded(section, e.to_string()))
    }

    /// What a section holds, by its place.
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        body: &[u8],
        section: usize,
    ) -> Result<T, ContainerError> {
        let (value, used) = bincode::serde::decode_from_slice(body, CONFIG)
            .map_err(|e| self.undecoded(section, e.to_string()))?;
        if used != body.len() {
            return Err(self.undecoded(section, format!("{} bytes are left over", body.len() - used)));
        }
        Ok(value)
    }

    /// The file that holds these sections. Equal sections give equal bytes.
    pub(crate) fn write(&self, bodies: &[Vec<u8>]) -> Result<Vec<u8>, ContainerError> {
        let size = HEADER + bodies.iter().map(|b| b.len() + TABLE_ENTRY).sum::<usize>() + CHECKSUM;
        self.check_size(size as u64)?;
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(&self.magic);
        out.extend_from_slice(&self.version().to_le_bytes());
        out.extend_from_slice(&(bodies.len() as u32).to_le_bytes());
        for (kind, body) in (1u32..).zip(bodies) {
            out.extend_from_slice(&kind.to_le_bytes());
            out.extend_from_slice(&0u32.to_le_bytes());
            out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        }
        bodies.iter().for_each(|body| out.extend_from_slice(body));
        let checksum = blake3::hash(&out);
        out.extend_from_slice(checksum.as_bytes());
        Ok(out)
    }

    /// Checks the frame and returns the sections' bytes.
    pub(crate) fn bodies<'b>(&self, bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, ContainerError> {
        let what = self.what;
        self.check_size(bytes.len() as u64)?;
        if !bytes.starts_with(&self.magic) {
            let part = bytes.len() < self.magic.len() && self.magic.starts_with(bytes) && !bytes.is_empty();
            let foreign = ContainerError::Magic { what };
            return Err(if part { self.truncated(bytes, HEADER as u64) } else { foreign });
        }
        let number =
            |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let (Some(version), Some(count)) = (number(8), number(12)) else {
            return Err(self.truncated(bytes, HEADER as u64));
        };
        let known = (version as usize).checked_sub(1).and_then(|at| self.sections_of.get(at));
        let Some(&sections) = known else {
            return Err(ContainerError::Version { what, found: version, newest: self.version() });
        };
        let unsound = |reason| ContainerError::Table { what, reason };
        if count as usize != sections {
            return Err(unsound(format!("{count} sections where version {version} has {sections}")));
        }
        let table_end = HEADER + sections * TABLE_ENTRY;
        let Some(table) = bytes.get(HEADER..table_end) else {
            return Err(self.truncated(bytes, table_end as u64));
        };
        let mut bodies = Vec::with_capacity(sections);
        let mut at = table_end as u64;
        for (index, entry) in table.chunks_exact(TABLE_ENTRY).enumerate() {
            let mut words = [0u64; 2];
            for (word, half) in words.iter_mut().zip(entry.chunks_exact(8)) {
                *word = half.try_into().map(u64::from_le_bytes).unwrap_or_default();
            }
            let [kind, size] = words;
            if kind != index as u64 + 1 {
                return Err(unsound(format!("section {} has the unknown kind {kind:#x}", index + 1)));
            }
            if size > self.max_size {
                let part = self.sections[index];
                return Err(ContainerError::TooLarge { what, part, size, limit: self.max_size });
            }
            let end = at + size;
            let body = bytes.get(at as usize..end as usize);
            bodies.push(body.ok_or_else(|| self.truncated(bytes, end + CHECKSUM as u64))?);
            at = end;
        }
        let want = at + CHECKSUM as u64;
        match (bytes.len() as u64).checked_sub(want) {
            None => return Err(self.truncated(bytes, want)),
            Some(0) => {}
            Some(more) => return Err(ContainerError::Trailing { what, more }),
        }
        let (body, checksum) = bytes.split_at(at as usize);
        if blake3::hash(body).as_bytes() != checksum {
            return Err(ContainerError::Checksum { what });
        }
        Ok(bodies)
    }

    fn check_size(&self, size: u64) -> Result<(), ContainerError> {
        if size > self.max_size {
            let (what, part) = (self.what, "whole");
            return Err(ContainerError::TooLarge { what, part, size, limit: self.max_size });
        }
        Ok(())
    }

    fn truncated(&self, bytes: &[u8], want: u64) -> ContainerError {
        ContainerError::Truncated { what: self.what, have: bytes.len() as u64, want }
    }

    fn undecoded(&self, section: usize, reason: String) -> ContainerError {
        ContainerError::Decode { what: self.what, section: self.sections[section], reason }
    }
}

/// The checksum a file ends with, as hexadecimal: the file's name in logs and findings.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    let checksum = bytes.last_chunk::<CHECKSUM>().copied().unwrap_or_default();
    blake3::Hash::from_bytes(checksum).to_hex()[..16].to_owned()
}

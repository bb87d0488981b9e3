//! The list file `*.gait-list`: its sections, in the container that every file of ours has ([`crate::container`]).
//!
//! Beside the identities it keeps where they came from and why some of them are held to be the same. The index is not in
//! it: [`super::Watchlist::new`] builds that when the list is loaded, so that a better index needs no new files.

use serde::{Deserialize, Serialize};

use super::{Entity, ListData, ListError, Source};
use crate::container::{self, ContainerError, Form};

/// How a list file begins.
pub const MAGIC: [u8; 8] = *b"\x89GLST\r\n\x1a";
/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = FORM.version();
/// Largest list file, in bytes.
pub const MAX_SIZE: u64 = 256 << 20;

const FORM: Form = Form {
    what: "watchlist",
    magic: MAGIC,
    max_size: MAX_SIZE,
    sections: &["sources", "entities", "same", "origins", "links"],
    sections_of: &[5],
};

/// A list with its history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListFile {
    /// What is screened against.
    pub data: ListData,
    /// Where each source was read from; as many as there are sources.
    pub origins: Vec<Origin>,
    /// Why entities are held to be the same.
    pub links: Vec<Link>,
}

/// What a source was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The format, by the name that the command line has for it.
    pub format: String,
    /// The files, in the order they were read.
    pub files: Vec<OriginFile>,
    /// Rows of identities that were read.
    pub rows: u64,
    /// Of these, how many were rejected.
    pub rejected: u64,
    /// What is known of other names that stand in a file of their own.
    pub aliases: Part,
    /// What is known of addresses that stand in a file of their own.
    pub addresses: Part,
}

/// A file of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginFile {
    /// Its name, without directories.
    pub name: String,
    /// Its size as it lay on disk, in bytes.
    pub bytes: u64,
    /// The beginning of the BLAKE3 hash of its unpacked bytes, hexadecimal.
    pub digest: String,
}

/// Whether a part of a source was there to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It was read with the rest.
    #[default]
    Read,
    /// It was not there: nothing is known of it.
    Missing,
    /// It was not there: what an earlier edition said was kept for entities that are still listed.
    Kept {
        /// Version of that edition.
        version: String,
        /// Its date, `YYYY-MM-DD`; empty when unknown.
        date: String,
    },
}

/// Two entities of different sources that are held to be the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Place of the first in the list.
    pub first: u32,
    /// Place of the second.
    pub second: u32,
    /// Why, in words.
    pub reason: String,
}

/// Why bytes are not a list that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The bytes are not a whole, undamaged list file.
    #[error(transparent)]
    File(#[from] ContainerError),
    /// The content decodes but contradicts itself.
    #[error("the watchlist is not sound: {0}")]
    Unsound(#[from] ListError),
    /// The history does not fit the list.
    #[error("the watchlist is not sound: {0}")]
    History(&'static str),
}

/// The bytes of a list file. Equal lists give equal bytes.
///
/// # Errors
/// When the list is larger than a file may be, or not sound.
pub fn write(file: &ListFile) -> Result<Vec<u8>, FileError> {
    check(file)?;
    Ok(FORM.write(&[
        FORM.encode(&file.data.sources, 0)?,
        FORM.encode(&file.data.entities, 1)?,
        FORM.encode(&file.data.same, 2)?,
        FORM.encode(&file.origins, 3)?,
        FORM.encode(&file.links, 4)?,
    ])?)
}

/// Reads the bytes of a list file.
///
/// # Errors
/// When the bytes are not a whole, undamaged and sound list of a known version.
pub fn read(bytes: &[u8]) -> Result<ListFile, FileError> {
    let bodies = FORM.bodies(bytes)?;
    let sources: Vec<Source> = FORM.decode(bodies[0], 0)?;
    let entities: Vec<Entity> = FORM.decode(bodies[1], 1)?;
    let file = ListFile {
        data: ListData { sources, entities, same: FORM.decode(bodies[2], 2)? },
        origins: FORM.decode(bodies[3], 3)?,
        links: FORM.decode(bodies[4], 4)?,
    };
    check(&file)?;
    Ok(file)
}

/// The checksum a list file ends with, as hexadecimal: the list's name in logs and answers.
pub fn fingerprint(bytes: &[u8]) -> String {
    container::fingerprint(bytes)
}

fn check(file: &ListFile) -> Result<(), FileError> {
    file.data.check()?;
    if file.origins.len() != file.data.sources.len() {
        return Err(FileError::History("it has not one origin for each source"));
    }
    let count = file.data.entities.len();
    if file.links.iter().any(|link| link.first >= link.second || link.second as usize >= count) {
        return Err(FileError::History("a link joins entities that are not there, or in the wrong order"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Document, Name, NameKind};

    fn list() -> ListFile {
        let entity = |id: &str, source| Entity {
            id: id.to_owned(),
            source,
            names: vec![Name::primary("Ivan Ivanov"), Name::new("Иван Иванов", NameKind::OriginalScript)],
            birth_dates: vec!["circa 1961".parse().expect("a date"), "1961-03-24".parse().expect("a date")],
            documents: vec![Document { number: "AB 1".to_owned(), ..Document::default() }],
            ..Entity::default()
        };
        let source = |name: &str| Source { name: name.to_owned(), ..Source::default() };
        let kept = Part::Kept { version: "7".to_owned(), date: "2021-07-07".to_owned() };
        ListFile {
            data: ListData {
                sources: vec![source("a"), source("b")],
                entities: vec![entity("1", 0), entity("9", 1)],
                same: vec![vec![0, 1]],
            },
            origins: vec![Origin { aliases: kept, ..Origin::default() }, Origin::default()],
            links: vec![Link { first: 0, second: 1, reason: "passport AB1".to_owned() }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = write(&list()).expect("list");
        assert_eq!(read(&bytes).expect("same bytes"), list());
        assert_eq!(bytes, write(&list()).expect("list"), "same list, same bytes");
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_noticed() {
        let bytes = write(&list()).expect("list");
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x20;
            assert!(read(&altered).is_err(), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn a_list_that_contradicts_itself_is_neither_written_nor_read() {
        for (alter, reason) in [
            ((|list| list.origins.clear()) as fn(&mut ListFile), "one origin"),
            (|list| list.links[0].second = 2, "a link joins"),
            (|list| list.links[0].second = 0, "a link joins"),
            (|list| list.data.same[0].push(7), "group 0"),
            (|list| list.data.entities[0].names.clear(), "no name"),
        ] {
            let mut altered = list();
            alter(&mut altered);
            let error = write(&altered).expect_err(reason).to_string();
            assert!(error.contains("is not sound") && error.contains(reason), "{error}");
            let bytes = FORM
                .write(&[
                    FORM.encode(&altered.data.sources, 0).expect("bytes"),
                    FORM.encode(&altered.data.entities, 1).expect("bytes"),
                    FORM.encode(&altered.data.same, 2).expect("bytes"),
                    FORM.encode(&altered.origins, 3).expect("bytes"),
                    FORM.encode(&altered.links, 4).expect("bytes"),
                ])
                .expect("bytes");
            assert!(read(&bytes).is_err(), "{reason}");
        }
    }

    #[test]
    fn a_model_is_no_list() {
        let model = crate::model::file::write(&crate::model::ModelData::default()).expect("model");
        let error = read(&model).expect_err("a model").to_string();
        assert_eq!(error, "this is not a gait watchlist: it does not begin with the magic bytes");
    }
}

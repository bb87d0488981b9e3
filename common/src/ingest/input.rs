//! Finds the files that inputs name and opens them, unpacking gzip and zstd.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

use super::{Reading, Table, Watch};

/// How deep directories are searched.
const MAX_DEPTH: usize = 64;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// The name to show.
    pub(super) fn name(&self) -> String {
        match self {
            Source::Stdin => "<stdin>".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Bytes there are to read, as they lie on disk; 0 when nobody can tell.
    pub(super) fn size(&self) -> u64 {
        match self {
            Source::Stdin => 0,
            Source::File(path) => fs::metadata(path).map_or(0, |meta| meta.len()),
        }
    }

    /// The unpacked bytes.
    pub(super) fn open(&self, watch: Option<&Watch>) -> io::Result<Box<dyn Read>> {
        let bytes: Box<dyn Read> = match self {
            Source::Stdin => Box::new(io::stdin()),
            Source::File(path) => Box::new(File::open(path)?),
        };
        match watch {
            Some(watch) => unpack(Watched { bytes, watch: watch.clone() }),
            None => unpack(bytes),
        }
    }
}

/// Bytes whose reading is told to somebody.
struct Watched<R> {
    bytes: R,
    watch: Watch,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(out)?;
        (self.watch.0)(Reading::Read(read as u64));
        Ok(read)
    }
}

/// Unpacks what begins like gzip (of any number of members) or zstd (of any number of frames).
fn unpack(mut packed: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::with_capacity(ZSTD.len());
    packed.by_ref().take(ZSTD.len() as u64).read_to_end(&mut magic)?;
    let is = |wanted: &[u8]| magic.starts_with(wanted);
    let (gzip, zstd) = (is(GZIP), is(ZSTD));
    let all = Cursor::new(magic).chain(packed);
    Ok(if gzip {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, all)))
    } else if zstd {
        Box::new(zstd::Decoder::new(all)?)
    } else {
        Box::new(all)
    })
}

/// The unpacked bytes of a file that begins like gzip or zstd, from its start; `None` of any other.
pub(super) fn unpacked(mut file: File) -> io::Result<Option<Box<dyn Read + Send>>> {
    let mut magic = Vec::with_capacity(ZSTD.len());
    file.rewind()?;
    (&file).take(ZSTD.len() as u64).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(if magic.starts_with(GZIP) {
        Some(Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file))))
    } else if magic.starts_with(ZSTD) {
        Some(Box::new(zstd::Decoder::new(file)?))
    } else {
        None
    })
}

/// The sources that `inputs` name: in the order of the inputs, those of one glob or directory sorted by path.
/// A file that several inputs name is read once.
/// Of a directory only the files of `table` are taken, if there is one.
pub(super) fn resolve<S: AsRef<str>>(inputs: &[S], table: Option<Table>) -> Result<Vec<Source>> {
    ensure!(!inputs.is_empty(), "no input was named");
    let mut seen = BTreeSet::new();
    let mut sources = Vec::new();
    for input in inputs {
        for source in resolve_one(input.as_ref(), table)? {
            if seen.insert(source.clone()) {
                sources.push(source);
            }
        }
    }
    Ok(sources)
}

fn resolve_one(input: &str, table: Option<Table>) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    if input == "-" {
        return Ok(vec![Source::Stdin]);
    }
    let path = Path::new(input);
    if path.exists() {
        collect(path, table, 0, &mut files)?;
        ensure!(!files.is_empty(), "directory {input} holds no files{}", of_kind(table));
    } else {
        let matches = glob::glob(input).with_context(|| format!("bad pattern {input:?}"))?;
        for found in matches {
            collect(&found.with_context(|| format!("failed to search {input:?}"))?, table, 0, &mut files)?;
        }
        if files.is_empty() {
            bail!("no file{} is named or matched by {input:?}", of_kind(table));
        }
    }
    files.sort_unstable();
    Ok(files.into_iter().map(Source::File).collect())
}

fn of_kind(table: Option<Table>) -> String {
    table.map_or_else(String::new, |table| format!(" *.{}", table.extension))
}

/// Adds a file, or all files below a directory. Hidden entries, links to directories, and files that are not
/// of `table` are passed over there.
pub(super) fn collect(
    path: &Path,
    table: Option<Table>,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if let Some(table) = table.filter(|table| depth == 0 && path.join(table.directory).is_dir()) {
        return collect(&path.join(table.directory), Some(table), 1, files);
    }
    ensure!(depth < MAX_DEPTH, "directory {} is nested too deeply", path.display());
    let failed = || format!("failed to list directory {}", path.display());
    for entry in fs::read_dir(path).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let path = entry.path();
        let linked_dir = entry.file_type().with_context(failed)?.is_symlink() && path.is_dir();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let other =
            |table: Table| !path.is_dir() && path.extension().is_none_or(|name| name != table.extension);
        if !hidden && !linked_dir && !table.is_some_and(other) {
            collect(&path, table, depth + 1, files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).expect("memory can be written");
        packed.finish().expect("memory can be written")
    }

    fn read(bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        unpack(Cursor::new(bytes))?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn packed_files_are_told_by_their_bytes() {
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).expect("memory can be written");
        assert_eq!(read([gzip("one "), gzip("two")].concat()).expect("gzip"), "one two");
        assert_eq!(read([zstd("one "), zstd("two")].concat()).expect("zstd"), "one two");
        for plain in ["", "a", "plain"] {
            assert_eq!(read(plain.into()).expect("plain"), plain);
        }
        let mut cut = gzip(&"many words ".repeat(1000));
        cut.truncate(cut.len() / 2);
        assert!(read(cut).is_err(), "a file that was cut off must not look complete");
    }

    #[test]
    fn files_directories_and_globs() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir_all(path("logs/deep")).expect("directory");
        for name in ["logs/b.log", "logs/a.log", "logs/deep/c.log", "logs/.hidden", "x[1].log"] {
            File::create(path(name)).expect("file");
        }
        let names = |inputs: &[String]| -> Vec<String> {
            let sources = resolve(inputs, None).expect("inputs exist");
            sources.iter().map(|s| s.name().replace(&path(""), "")).collect()
        };
        assert_eq!(names(&[path("logs")]), ["logs/a.log", "logs/b.log", "logs/deep/c.log"]);
        assert_eq!(
            names(&[path("logs/b.log"), path("logs/?.log"), "-".into()]),
            ["logs/b.log", "logs/a.log", "<stdin>"]
        );
        assert_eq!(names(&[path("x[1].log")]), ["x[1].log"]);
        assert!(resolve(&[path("none*")], None).is_err());
        assert!(resolve::<&str>(&[], None).is_err());
    }
}

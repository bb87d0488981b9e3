//! Opens the files of a source and unpacks them within bounds.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use gait_common::identity::file::OriginFile;
use tempfile::TempDir;

use super::decode::{Decoder, Encoding, Repairs};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const ZIP: &[u8] = b"PK\x03\x04";
/// Most members that are looked at in a zip archive.
const MAX_MEMBERS: usize = 256;
/// Largest window that zstd may ask for, as a power of two of bytes.
const ZSTD_WINDOW: u32 = 27;

/// How much may come out of packed files.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes that a file may have when it is unpacked.
    pub unpacked: u64,
    /// Most bytes that may come out of one packed byte, once `free` bytes have come.
    pub ratio: u64,
    /// Bytes up to which any ratio will do.
    pub free: u64,
}

impl Default for Limits {
    /// Lists of names shrink to a tenth or a twentieth; bombs to a thousandth and less.
    fn default() -> Self {
        Self { unpacked: 4 << 30, ratio: 200, free: 64 << 20 }
    }
}

/// A file to read, or a member of an archive that was unpacked to a temporary one.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// What to call it.
    pub(super) name: String,
    /// Bytes it has on disk.
    bytes: u64,
    /// Files of a temporary directory go with the last place that is in it.
    _directory: Option<Rc<TempDir>>,
}

/// Text of a file, and what is known of it once it was read.
pub(super) struct Text {
    pub(super) reader: Decoder<Box<dyn Read>>,
    pub(super) repairs: Rc<RefCell<Repairs>>,
    hash: Rc<RefCell<blake3::Hasher>>,
    file: OriginFile,
}

impl Text {
    /// What was read. Whatever is left of the text is read too, so that the hash is that of the file.
    pub(super) fn finish(mut self) -> io::Result<OriginFile> {
        io::copy(&mut self.reader, &mut io::sink())?;
        let digest = self.hash.borrow().finalize().to_hex()[..16].to_owned();
        Ok(OriginFile { digest, ..self.file })
    }

    /// Text from memory.
    pub(super) fn of(text: &[u8]) -> Self {
        Self::new(Box::new(Cursor::new(text.to_vec())), Encoding::Utf8, OriginFile::default())
    }

    fn new(bytes: Box<dyn Read>, encoding: Encoding, file: OriginFile) -> Self {
        let hash = Rc::new(RefCell::new(blake3::Hasher::new()));
        let repairs = Rc::new(RefCell::new(Repairs::default()));
        let bytes: Box<dyn Read> = Box::new(Hashed { bytes, hash: Rc::clone(&hash) });
        Self { reader: Decoder::new(bytes, encoding, Rc::clone(&repairs)), repairs, hash, file }
    }
}

/// The files that a path stands for: itself, or the members of a zip archive.
pub(super) fn places(path: &Path, limits: &Limits) -> Result<Vec<Place>> {
    let failed = || format!("failed to open {}", path.display());
    let mut file = File::open(path).with_context(failed)?;
    let meta = file.metadata().with_context(failed)?;
    ensure!(!meta.is_dir(), "{} is a directory: name the files of the list", path.display());
    let mut magic = Vec::new();
    file.by_ref().take(ZIP.len() as u64).read_to_end(&mut magic).with_context(failed)?;
    if magic != ZIP {
        let (path, name) = (path.to_owned(), path.display().to_string());
        return Ok(vec![Place { path, name, bytes: meta.len(), _directory: None }]);
    }
    file.rewind().with_context(failed)?;
    members(file, path, limits).with_context(|| format!("failed to unpack {}", path.display()))
}

/// Unpacks an archive's members to temporary files.
fn members(file: File, path: &Path, limits: &Limits) -> Result<Vec<Place>> {
    // Members may overlap: together they may not come to more than the whole archive can honestly hold.
    let size = file.metadata()?.len();
    let most = limits.unpacked.min(limits.free.max(size.saturating_mul(limits.ratio)));
    let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
    ensure!(archive.len() <= MAX_MEMBERS, "it has {} members, {MAX_MEMBERS} are the most", archive.len());
    let directory = Rc::new(tempfile::tempdir().context("failed to make a temporary directory")?);
    let mut places = Vec::new();
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let member = archive.by_index(index)?;
        // The name may be hostile: it is never a path, and only its last part is kept.
        let name = member.name()?.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        if member.is_dir() || name.is_empty() || name.starts_with('.') {
            continue;
        }
        let packed = member.compressed_size().clamp(1, size.max(1));
        let path_inside = directory.path().join(format!("{index}"));
        let mut out = File::create(&path_inside)?;
        let left = Limits { unpacked: most.saturating_sub(unpacked), ..*limits };
        let mut bounded = Bounded::new(member, Rc::new(Cell::new(packed)), left);
        unpacked += io::copy(&mut bounded, &mut out).with_context(|| format!("member {name}"))?;
        let name = format!("{}/{name}", path.display());
        let _directory = Some(Rc::clone(&directory));
        places.push(Place { path: path_inside, name, bytes: packed, _directory });
    }
    ensure!(!places.is_empty(), "it holds no files");
    Ok(places)
}

impl Place {
    /// The file's own name, without directories.
    pub(super) fn file_name(&self) -> &str {
        self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name)
    }

    /// The text.
    pub(super) fn open(&self, encoding: Encoding, limits: &Limits) -> Result<Text> {
        let failed = || format!("failed to read {}", self.name);
        let file = File::open(&self.path).with_context(failed)?;
        let bytes = unpack(file, limits).with_context(failed)?;
        let file =
            OriginFile { name: self.file_name().to_owned(), bytes: self.bytes, ..OriginFile::default() };
        Ok(Text::new(bytes, encoding, file))
    }

    /// The file that stands beside this one under a name that `rename` makes of its own.
    pub(super) fn beside(&self, others: &[Place], rename: impl Fn(&str) -> Option<String>) -> Option<Place> {
        let wanted = rename(self.file_name())?;
        if let Some(member) = others.iter().find(|other| other.file_name() == wanted) {
            return Some(member.clone());
        }
        // Packed or not, it is the same file.
        let plain = wanted.trim_end_matches(".gz").trim_end_matches(".zst");
        [wanted.clone(), plain.to_owned(), format!("{plain}.gz"), format!("{plain}.zst")]
            .into_iter()
            .find_map(|name| {
                let path = self.path.with_file_name(&name);
                let meta =
                    fs::metadata(&path).ok().filter(|meta| meta.is_file() && self._directory.is_none())?;
                let name = path.display().to_string();
                Some(Place { path, name, bytes: meta.len(), _directory: None })
            })
    }
}

/// Unpacks what begins like gzip or zstd.
fn unpack(file: File, limits: &Limits) -> Result<Box<dyn Read>> {
    let packed = Rc::new(Cell::new(0));
    let mut counted = Counted { bytes: file, count: Rc::clone(&packed) };
    let mut magic = Vec::with_capacity(ZSTD.len());
    counted.by_ref().take(ZSTD.len() as u64).read_to_end(&mut magic)?;
    let (gzip, zstd) = (magic.starts_with(GZIP), magic.starts_with(ZSTD));
    if magic.starts_with(ZIP) {
        bail!("an archive within an archive is not unpacked");
    }
    let all = Cursor::new(magic).chain(counted);
    Ok(if gzip {
        let inner = MultiGzDecoder::new(BufReader::with_capacity(64 << 10, all));
        Box::new(Bounded::new(inner, packed, *limits))
    } else if zstd {
        let mut inner = zstd::Decoder::new(all)?;
        inner.window_log_max(ZSTD_WINDOW)?;
        Box::new(Bounded::new(inner, packed, *limits))
    } else {
        Box::new(Bounded::new(all, packed, Limits { ratio: u64::MAX, ..*limits }))
    })
}

/// Bytes that are counted.
struct Counted<R> {
    bytes: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(out)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Bytes that are hashed.
struct Hashed<R> {
    bytes: R,
    hash: Rc<RefCell<blake3::Hasher>>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(out)?;
        self.hash.borrow_mut().update(&out[..read]);
        Ok(read)
    }
}

/// Unpacked bytes, refused once there are more than the packed ones can honestly hold.
struct Bounded<R> {
    bytes: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    limits: Limits,
}

impl<R: Read> Bounded<R> {
    fn new(bytes: R, packed: Rc<Cell<u64>>, limits: Limits) -> Self {
        Self { bytes, packed, unpacked: 0, limits }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(out)?;
        self.unpacked += read as u64;
        let Limits { unpacked, ratio, free } = self.limits;
        if self.unpacked > unpacked {
            return Err(io::Error::other(format!(
                "more than {unpacked} bytes come out of it: raise --max-unpacked if that is right"
            )));
        }
        if self.unpacked > free && self.unpacked / ratio > self.packed.get() {
            return Err(io::Error::other(format!(
                "it unpacks to more than {ratio} times its size, as no list does: it is refused as a bomb; unpack it yourself if it is honest"
            )));
        }
        Ok(read)
    }
}

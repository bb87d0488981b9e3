//! Symbols beside a file: a debug file found by build id or by name, or a compressed table inside.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;

use super::elf::Image;
use super::symbols::Origin;

/// Where distributions put debug files.
const DEBUG: &str = "usr/lib/debug";
/// Bytes that `.gnu_debugdata` may unpack to.
const MAX_UNPACKED: u64 = 64 << 20;
/// KiB of memory that unpacking may take beside that.
const MAX_UNPACKER: u32 = 64 << 10;
/// Bytes of a debug file whose checksum is computed, at most.
const MAX_CHECKED: u64 = 2 << 30;

/// The images with symbols of this file, best first; see [`super::symbols::functions`] for the paths.
pub(super) fn files(image: &Image, path: &Path, root: &Path) -> Vec<(Image, Origin)> {
    let mut found = Vec::new();
    let id = image.build_id();
    if let Some(debug) =
        by_build_id(id.as_deref(), root).or_else(|| by_link(image, id.as_deref(), path, root))
    {
        found.push((debug, Origin::DebugFile));
    }
    if let Some(inside) = inside(image) {
        found.push((inside, Origin::MiniDebug));
    }
    found
}

fn by_build_id(id: Option<&[u8]>, root: &Path) -> Option<Image> {
    let id = id.filter(|id| id.len() > 1)?;
    let (first, rest) = id.split_at(1);
    let name = format!(".build-id/{}/{}.debug", hex(first), hex(rest));
    let debug = Image::open(&root.join(DEBUG).join(name)).ok()?;
    (debug.build_id().as_deref() == Some(id)).then_some(debug)
}

fn by_link(image: &Image, id: Option<&[u8]>, path: &Path, root: &Path) -> Option<Image> {
    let (name, crc) = image.debug_link()?;
    let directory = path.parent()?;
    // The place in /usr/lib/debug is named as those who run the file see it.
    let seen = directory.strip_prefix(root).unwrap_or(directory);
    let seen = seen.strip_prefix("/").unwrap_or(seen);
    let places: [PathBuf; 3] = [directory.to_owned(), directory.join(".debug"), root.join(DEBUG).join(seen)];
    places.iter().map(|place| place.join(&name)).filter(|file| file != path).find_map(|file| {
        let debug = Image::open(&file).ok()?;
        let same = match (id, debug.build_id()) {
            (Some(id), Some(other)) => id == other,
            _ => checksum(&file).is_ok_and(|sum| sum == crc),
        };
        same.then_some(debug)
    })
}

/// The CRC-32 of a file.
fn checksum(file: &Path) -> io::Result<u32> {
    let mut file = File::open(file)?;
    if file.metadata()?.len() > MAX_CHECKED {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            len => hasher.update(&buffer[..len]),
        }
    }
}

/// The image in `.gnu_debugdata`.
fn inside(image: &Image) -> Option<Image> {
    let packed = image.data(".gnu_debugdata").ok()??;
    let mut unpacked = Vec::new();
    let reader = XzReader::new_mem_limit(&packed[..], false, MAX_UNPACKER);
    reader.take(MAX_UNPACKED).read_to_end(&mut unpacked).ok()?;
    Image::from_memory(unpacked).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Captures: unpacked within a bound, and their packets counted, so that what Suricata read can be held against it.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::ingest::unpacked;

/// Longest packet or block taken, in bytes: libpcap's own bound is far below.
const MAX_BLOCK: u64 = 16 << 20;

/// A capture that is ready to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcap {
    /// The file to read: the named one, or what was unpacked.
    pub path: PathBuf,
    /// Whole packets in it.
    pub packets: u64,
    /// Where the file is cut, if it is and was taken all the same.
    pub cut: Option<String>,
}

/// What counting found.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    packets: u64,
    /// Bytes up to the end of the last whole packet.
    whole: u64,
    /// What is wrong behind it.
    cut: Option<String>,
}

/// Makes a capture ready: unpacks it into `dir` where it is packed, at most `limit` bytes, and counts its packets. One that
/// ends within a packet is refused, or with `allow_cut` used up to there.
///
/// # Errors
/// When it cannot be read, is no capture, is too large, or is cut.
pub fn prepare(path: &Path, dir: &Path, limit: u64, allow_cut: bool) -> Result<Pcap> {
    let failed = || format!("failed to read the capture {}", path.display());
    let (file, mut broken) = match File::open(path).and_then(unpacked).with_context(failed)? {
        None => (path.to_owned(), None),
        Some(mut packed) => {
            let copy = dir.join("capture.pcap");
            let broken = unpack(&mut packed, &copy, limit).with_context(failed)?;
            (copy, broken)
        }
    };
    let counted = count(&mut BufReader::with_capacity(1 << 16, File::open(&file).with_context(failed)?))
        .with_context(failed)?;
    if let (None, Some(why)) = (&counted.cut, &mut broken) {
        // The data end between two packets, but the packing does not: more was there.
        why.push_str(&format!(" after {} packets", counted.packets));
    }
    let cut = counted.cut.or(broken);
    let Some(cut) = cut else {
        return Ok(Pcap { path: file, packets: counted.packets, cut: None });
    };
    ensure!(
        allow_cut,
        "the capture {} is cut short: {cut}; {} packets before that are whole, and --allow-cut takes those",
        path.display(),
        counted.packets
    );
    let whole = dir.join("whole.pcap");
    let mut from = File::open(&file).with_context(failed)?.take(counted.whole);
    let mut to = File::create(&whole).with_context(|| format!("failed to write {}", whole.display()))?;
    io::copy(&mut from, &mut to).with_context(|| format!("failed to write {}", whole.display()))?;
    Ok(Pcap { path: whole, packets: counted.packets, cut: Some(cut) })
}

/// Unpacks; gives why the packed data end too early, if they do.
fn unpack(bytes: &mut dyn Read, to: &Path, limit: u64) -> Result<Option<String>> {
    let mut out = File::create(to).with_context(|| format!("failed to write {}", to.display()))?;
    let mut buffer = vec![0; 1 << 16];
    let mut written = 0;
    loop {
        let read = match bytes.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::Other
                ) =>
            {
                return Ok(Some(format!("the packed data break off ({error})")));
            }
            Err(error) => return Err(error.into()),
        };
        written += read as u64;
        ensure!(written <= limit, "it unpacks to more than {limit} bytes (--max-unpacked)");
        out.write_all(&buffer[..read]).with_context(|| format!("failed to write {}", to.display()))?;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The classic form; whether its numbers are big-endian.
    Classic(bool),
    /// pcapng.
    Next,
}

fn kind(magic: [u8; 4]) -> Option<Kind> {
    match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => Some(Kind::Classic(true)),
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => Some(Kind::Classic(false)),
        [0x0a, 0x0d, 0x0d, 0x0a] => Some(Kind::Next),
        _ => None,
    }
}

/// Counts the packets of a capture.
fn count(bytes: &mut impl Read) -> Result<Counted> {
    let mut magic = [0; 4];
    let read = fill(bytes, &mut magic)?;
    match kind(magic) {
        _ if read == 0 => bail!("it is empty"),
        Some(Kind::Classic(big)) => classic(bytes, big),
        Some(Kind::Next) => next(bytes),
        None => bail!("it is no capture: it begins with {}", magic[..read].escape_ascii()),
    }
}

fn classic(bytes: &mut impl Read, big: bool) -> Result<Counted> {
    const HEADER: usize = 24;
    const RECORD: usize = 16;
    let mut header = [0; HEADER - 4];
    ensure!(fill(bytes, &mut header)? == header.len(), "it ends within its header");
    let mut counted = Counted { packets: 0, whole: HEADER as u64, cut: None };
    loop {
        let mut record = [0; RECORD];
        let have = fill(bytes, &mut record)?;
        if have == 0 {
            return Ok(counted);
        }
        let number = counted.packets + 1;
        if have < RECORD {
            counted.cut = Some(format!("the header of packet {number} has {have} of {RECORD} bytes"));
            return Ok(counted);
        }
        let length = u64::from(word([record[8], record[9], record[10], record[11]], big));
        ensure!(length <= MAX_BLOCK, "packet {number} is said to have {length} bytes: the file is damaged");
        let have = io::copy(&mut bytes.by_ref().take(length), &mut io::sink())?;
        if have < length {
            counted.cut = Some(format!("packet {number} has {have} of {length} bytes"));
            return Ok(counted);
        }
        counted.packets = number;
        counted.whole += RECORD as u64 + length;
    }
}

/// pcapng: blocks of a kind and a length, the byte order of which each section says anew.
fn next(bytes: &mut impl Read) -> Result<Counted> {
    const SECTION: u32 = 0x0a0d_0d0a;
    /// Enhanced packets, packets of the first drafts, simple packets.
    const PACKETS: [u32; 3] = [6, 2, 3];
    let mut counted = Counted { packets: 0, whole: 0, cut: None };
    let mut big = false;
    // The magic of the first block has been read.
    let mut kind = Some(SECTION);
    loop {
        let number = counted.packets + 1;
        let cut = |what: &str| Some(format!("{what} near packet {number} is not whole"));
        let mut head = [0; 4];
        let kind = match kind.take() {
            Some(kind) => kind,
            None => match fill(bytes, &mut head)? {
                0 => return Ok(counted),
                4 => word(head, big),
                _ => return Ok(Counted { cut: cut("a block's header"), ..counted }),
            },
        };
        if fill(bytes, &mut head)? < 4 {
            return Ok(Counted { cut: cut("a block's header"), ..counted });
        }
        let mut rest = 8;
        if kind == SECTION {
            let mut order = [0; 4];
            if fill(bytes, &mut order)? < 4 {
                return Ok(Counted { cut: cut("a section's header"), ..counted });
            }
            big = match order {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => bail!("a section near packet {number} has no byte order: the file is damaged"),
            };
            rest += 4;
        }
        let length = u64::from(word(head, big));
        ensure!(
            length >= rest + 4 && length % 4 == 0 && length <= MAX_BLOCK,
            "a block near packet {number} is said to have {length} bytes: the file is damaged"
        );
        if io::copy(&mut bytes.by_ref().take(length - rest), &mut io::sink())? < length - rest {
            return Ok(Counted { cut: cut("a block"), ..counted });
        }
        counted.packets += u64::from(PACKETS.contains(&kind));
        counted.whole += length;
    }
}

fn word(bytes: [u8; 4], big: bool) -> u32 {
    if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// Reads until the buffer is full or the bytes end; gives how many there were.
fn fill(bytes: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match bytes.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A capture with packets of these lengths.
    fn capture(big: bool, lengths: &[u32]) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = word(0xa1b2_c3d4).to_vec();
        bytes.extend([0; 20]);
        for &length in lengths {
            bytes.extend([[0; 4], [0; 4], word(length), word(length)].concat());
            bytes.extend(vec![7; length as usize]);
        }
        bytes
    }

    /// The same as pcapng.
    fn blocks(big: bool, lengths: &[u32]) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes =
            [word(0x0a0d_0d0a), word(28), word(0x1a2b_3c4d), [0; 4], [0; 4], [0; 4], word(28)].concat();
        bytes.extend([word(1), word(20), [0; 4], [0; 4], word(20)].concat());
        for &length in lengths {
            let padded = length.next_multiple_of(4);
            bytes.extend(
                [word(6), word(32 + padded), [0; 4], [0; 4], [0; 4], word(length), word(length)].concat(),
            );
            bytes.extend(vec![7; padded as usize]);
            bytes.extend(word(32 + padded));
        }
        bytes
    }

    #[test]
    fn packets_are_counted_in_every_form() {
        for big in [false, true] {
            for bytes in [capture(big, &[60, 0, 1500]), blocks(big, &[60, 0, 1501])] {
                let counted = count(&mut bytes.as_slice()).expect("a capture");
                assert_eq!(counted, Counted { packets: 3, whole: bytes.len() as u64, cut: None });
                for len in 4..bytes.len() {
                    // Wherever it is cut, no half packet counts, and what is whole is still a capture.
                    let Ok(cut) = count(&mut &bytes[..len]) else { continue };
                    assert!(cut.packets < 3 || cut.cut.is_some() || len == bytes.len());
                    let again = count(&mut &bytes[..cut.whole as usize]);
                    assert!(
                        cut.whole == 0
                            || again.is_ok_and(|again| again.packets == cut.packets && again.cut.is_none())
                    );
                }
            }
        }
        let mut long = capture(false, &[60]);
        long[24 + 8..24 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(count(&mut long.as_slice()).is_err_and(|error| error.to_string().contains("damaged")));
        assert!(
            count(&mut &b"GET / HTTP/1.1"[..]).is_err_and(|error| error.to_string().contains("no capture"))
        );
    }

    #[test]
    fn packed_captures_are_unpacked_within_their_bound() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.pcap.zst");
        let bytes = capture(false, &[100; 50]);
        fs::write(&file, zstd::encode_all(bytes.as_slice(), 1).expect("memory can be written"))
            .expect("a file");
        let whole = prepare(&file, dir.path(), 1 << 20, false).expect("a capture");
        assert_eq!((whole.packets, fs::read(&whole.path).expect("a file")), (50, bytes.clone()));
        let error = prepare(&file, dir.path(), 1000, false).expect_err("too large");
        assert!(format!("{error:#}").contains("more than 1000 bytes"), "{error:#}");
        // A plain one is read where it lies; a cut one only on demand.
        let file = dir.path().join("b.pcap");
        fs::write(&file, &bytes[..bytes.len() - 30]).expect("a file");
        let error = format!("{:#}", prepare(&file, dir.path(), 1, false).expect_err("cut"));
        assert!(error.contains("packet 50 has 70 of 100 bytes; 49 packets before that are whole"), "{error}");
        let cut = prepare(&file, dir.path(), 1, true).expect("the whole packets");
        assert_eq!((cut.packets, fs::metadata(&cut.path).expect("a file").len()), (49, 24 + 49 * 116));
    }
}

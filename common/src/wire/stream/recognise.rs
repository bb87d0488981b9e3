//! What the first sixteen bytes of a message are, as two little-endian words.

use crate::wire::word;

/// Number of the HTTP method that these sixteen bytes begin with, 0 for none.
///
/// `GET` is 1, `HEAD` 2 and `CONNECT` 3; the others have no meaning for framing and are 4.
#[inline(always)]
#[must_use]
pub const fn method(first: u64, second: u64) -> u32 {
    const fn short(text: &[u8]) -> u64 {
        let mut word = [0; 8];
        let mut i = 0;
        while i < text.len() {
            word[i] = text[i];
            i += 1;
        }
        word::of(&word)
    }
    let four = first & 0xffff_ffff;
    let five = first & 0xff_ffff_ffff;
    let six = first & 0xffff_ffff_ffff;
    let seven = first & 0xff_ffff_ffff_ffff;
    let ninth = second & 0xff;
    if four == short(b"GET ") {
        1
    } else if five == short(b"HEAD ") {
        2
    } else if first == short(b"CONNECT ") {
        3
    } else if five == short(b"POST ")
        || four == short(b"PUT ")
        || seven == short(b"DELETE ")
        || six == short(b"PATCH ")
        || first == short(b"OPTIONS ")
        || six == short(b"TRACE ")
        || six == short(b"QUERY ")
        || six == short(b"PURGE ")
        || (first == short(b"PROPFIND") && ninth == b' ' as u64)
        || (first == short(b"PROPPATC") && ninth == b'H' as u64)
        || six == short(b"MKCOL ")
        || five == short(b"COPY ")
        || five == short(b"MOVE ")
        || five == short(b"LOCK ")
        || seven == short(b"UNLOCK ")
        || seven == short(b"SEARCH ")
        || seven == short(b"REPORT ")
        || five == short(b"LINK ")
        || seven == short(b"UNLINK ")
        || (first == short(b"MKCALEND") && ninth == b'A' as u64)
    {
        4
    } else {
        0
    }
}

/// Status code of the HTTP/1 response that these sixteen bytes begin with, 0 for none.
#[inline(always)]
#[must_use]
pub const fn status(first: u64, second: u64) -> u32 {
    if first & 0xff_ffff_ffff_ffff != word::of(b"HTTP/1.\0") || second & 0xff != b' ' as u64 {
        return 0;
    }
    let hundreds = (second >> 8 & 0xff).wrapping_sub(b'0' as u64);
    let tens = (second >> 16 & 0xff).wrapping_sub(b'0' as u64);
    let units = (second >> 24 & 0xff).wrapping_sub(b'0' as u64);
    if hundreds > 9 || hundreds == 0 || tens > 9 || units > 9 {
        return 0;
    }
    (hundreds * 100 + tens * 10 + units) as u32
}

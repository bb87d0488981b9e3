//! Goes through one JSON line without allocating: what is asked for is handed out, the rest is checked and passed over.
//!
//! Lines of alerts are long (payloads in base64) and little of them is needed, so strings are searched eight bytes at
//! once for what may end them.

use super::line::Malformed;
use super::raw::Raw;

/// Objects and lists within each other, at most.
const MAX_DEPTH: u32 = 64;

/// A place in a line.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Scanner { bytes, at: 0, depth: 0 }
    }

    /// The next byte that is no white space, which is not taken.
    pub(super) fn peek(&mut self) -> Result<u8, Malformed> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Malformed::Cut)
    }

    fn take(&mut self, want: u8) -> Result<(), Malformed> {
        if self.peek()? != want {
            return Err(Malformed::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// Goes through an object; `field` gets each name and has to take its value.
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &'a [u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.enter(b'{')?;
        if self.peek()? == b'}' {
            return self.leave();
        }
        loop {
            let name = self.string()?.escaped();
            self.take(b':')?;
            field(self, name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => return self.leave(),
                _ => return Err(Malformed::NotJson),
            }
        }
    }

    fn list(&mut self) -> Result<(), Malformed> {
        self.enter(b'[')?;
        if self.peek()? == b']' {
            return self.leave();
        }
        loop {
            self.skip()?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => return self.leave(),
                _ => return Err(Malformed::NotJson),
            }
        }
    }

    fn enter(&mut self, open: u8) -> Result<(), Malformed> {
        self.take(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Malformed::TooDeep) } else { Ok(()) }
    }

    fn leave(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    /// Checks any value and passes over it.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(|scanner, _| scanner.skip()),
            b'[' => self.list(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number().map(drop),
        }
    }

    /// A text, or nothing where the value is none.
    pub(super) fn text(&mut self) -> Result<Option<Raw<'a>>, Malformed> {
        if self.peek()? == b'"' { self.string().map(Some) } else { self.skip().map(|()| None) }
    }

    /// A whole number that is not negative, or nothing where the value is none.
    pub(super) fn integer(&mut self) -> Result<Option<u64>, Malformed> {
        if !self.peek()?.is_ascii_digit() {
            return self.skip().map(|()| None);
        }
        let digits = self.number()?;
        let add = |sum: u64, &digit: &u8| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            sum.checked_mul(10)?.checked_add(digit)
        };
        Ok(digits.iter().try_fold(0, add))
    }

    pub(super) fn string(&mut self) -> Result<Raw<'a>, Malformed> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(Malformed::NotJson),
                None => return Err(Malformed::Cut),
            }
        }
        let text = Raw::new(&self.bytes[start..self.at]);
        self.at += 1;
        Ok(text)
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = &self.bytes[self.at + 2..];
                let digits = &digits[..digits.len().min(4)];
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Malformed::NotJson);
                }
                self.at += 2 + digits.len();
            }
            Some(_) => return Err(Malformed::NotJson),
            None => return Err(Malformed::Cut),
        }
        Ok(())
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Malformed> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(rest) { Malformed::Cut } else { Malformed::NotJson })
    }

    fn number(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        self.any(b"-");
        if !self.any(b"0") {
            self.digits()?;
        }
        if self.any(b".") {
            self.digits()?;
        }
        if self.any(b"eE") {
            self.any(b"+-");
            self.digits()?;
        }
        Ok(&self.bytes[start..self.at])
    }

    fn any(&mut self, of: &[u8]) -> bool {
        let found = self.bytes.get(self.at).is_some_and(|byte| of.contains(byte));
        self.at += usize::from(found);
        found
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            _ if self.at > start => Ok(()),
            None => Err(Malformed::Cut),
            Some(_) => Err(Malformed::NotJson),
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(mut self) -> Result<(), Malformed> {
        match self.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(Malformed::NotJson),
        }
    }
}

/// How many bytes there are before a quote, a backslash or a control character.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest byte found is right; only higher ones may be found by mistake.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quote | backslash | control;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let ends = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < 0x20;
    at + bytes[at..].iter().position(ends).unwrap_or(bytes.len() - at)
}

//! A text cut into words, numbers and marks, and what can be counted of them.

use super::features::{hash, mix};

/// Tokens of one text, at most.
const MOST: usize = 1024;

/// A word, a number or a mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    start: u32,
    len: u32,
    /// Of its text; numbers share one, hexadecimal ones another.
    pub hash: u64,
    /// [`WORD`], [`NUMBER`], [`HEX`], [`OTHER`] or the mark itself.
    pub class: u8,
}

const WORD: u8 = b'a';
const NUMBER: u8 = b'0';
const HEX: u8 = b'x';
const OTHER: u8 = 0x80;

impl Token {
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    pub(super) fn is_word(&self) -> bool {
        self.class == WORD
    }
}

/// The tokens of a text, in a buffer that is used again.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    /// Cuts what follows `start`; white space parts tokens and is none.
    pub(super) fn cut(&mut self, text: &[u8], start: usize) {
        self.0.clear();
        let mut at = start;
        while at < text.len() && self.0.len() < MOST {
            let byte = text[at];
            let end = if byte.is_ascii_digit() {
                end(text, at, |byte| byte.is_ascii_alphanumeric())
            } else if is_letter(byte) {
                end(text, at, |byte| is_letter(byte) || byte.is_ascii_digit())
            } else {
                at + 1
            };
            if !byte.is_ascii_whitespace() {
                self.0.push(token(text, at, end));
            }
            at = end;
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Token> {
        self.0.iter()
    }

    pub(super) fn as_slice(&self) -> &[Token] {
        &self.0
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn end(text: &[u8], at: usize, inside: impl Fn(u8) -> bool) -> usize {
    text[at..].iter().position(|&byte| !inside(byte)).map_or(text.len(), |len| at + len)
}

fn token(text: &[u8], start: usize, end: usize) -> Token {
    let bytes = &text[start..end];
    let class = match bytes[0] {
        b'0' if bytes.len() > 2 && bytes[1] == b'x' => HEX,
        first if first.is_ascii_digit() => {
            if bytes.iter().all(u8::is_ascii_digit) {
                NUMBER
            } else {
                OTHER
            }
        }
        first if is_letter(first) => WORD,
        mark => mark,
    };
    let hash = match class {
        WORD => hash(bytes),
        class => mix(u64::from(class)),
    };
    Token { start: start as u32, len: (end - start) as u32, hash, class }
}

/// What there is of a text: bytes by kind, and forms that languages have which are injected. None of them says
/// "attack"; what each is worth is learned.
#[derive(Debug)]
pub(super) struct Tally {
    pub length: u32,
    pub special: u32,
    pub digits: u32,
    pub spaces: u32,
    pub control: u32,
    pub not_ascii: u32,
    pub slashes: u32,
    /// Words that SQL reserves.
    pub keywords: u32,
    /// A word and an opening parenthesis.
    pub calls: u32,
    /// `--`, `#` at a word's end, `/*`.
    pub comments: u32,
    /// `=`, `<`, `>`.
    pub comparisons: u32,
    /// `<` and a letter, `/` or `!`.
    pub tags: u32,
    /// A word that begins with `on`, and `=`; a word and `:` before letters, as of `javascript:`.
    pub handlers: u32,
    /// `..` beside a slash.
    pub ups: u32,
    /// `;`, `|`, `&`, backtick, `$(`.
    pub shell: u32,
    /// Letters of the longest word.
    pub longest: u32,
    bytes: [u16; 256],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            length: 0,
            special: 0,
            digits: 0,
            spaces: 0,
            control: 0,
            not_ascii: 0,
            slashes: 0,
            keywords: 0,
            calls: 0,
            comments: 0,
            comparisons: 0,
            tags: 0,
            handlers: 0,
            ups: 0,
            shell: 0,
            longest: 0,
            bytes: [0; 256],
        }
    }
}

impl Tally {
    /// Counts what follows `start`, and its tokens.
    pub(super) fn count(&mut self, text: &[u8], start: usize, tokens: &Tokens) {
        self.count_bytes(&text[start..]);
        let tokens = tokens.as_slice();
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1).map_or(b' ', |next| next.class);
            match token.class {
                WORD => {
                    let word = &text[token.range()];
                    self.keywords += u32::from(is_keyword(word));
                    self.calls += u32::from(next == b'(');
                    self.handlers += u32::from(next == b'=' && word.starts_with(b"on"));
                    self.handlers += u32::from(next == b':' && word.ends_with(b"script"));
                    self.shell += u32::from(word == b"$" && matches!(next, b'(' | b'{'));
                    self.longest = self.longest.max(token.len);
                }
                b'-' => self.comments += u32::from(next == b'-'),
                b'/' => self.comments += u32::from(next == b'*'),
                b'#' => self.comments += 1,
                b'=' | b'>' => self.comparisons += 1,
                b'<' => {
                    self.comparisons += 1;
                    self.tags += u32::from(matches!(next, WORD | b'/' | b'!'));
                }
                b';' | b'|' | b'&' | b'`' => self.shell += 1,
                _ => {}
            }
        }
    }

    fn count_bytes(&mut self, text: &[u8]) {
        self.length += text.len() as u32;
        for &byte in text {
            let count = &mut self.bytes[usize::from(byte)];
            *count = count.saturating_add(1);
            match byte {
                b'0'..=b'9' => self.digits += 1,
                b' ' => self.spaces += 1,
                b'a'..=b'z' | b'A'..=b'Z' => {}
                0x80.. => self.not_ascii += 1,
                0..0x20 | 0x7f => self.control += 1,
                _ => self.special += 1,
            }
            self.slashes += u32::from(byte == b'/' || byte == b'\\');
        }
        let ups = text.windows(3).filter(|three| matches!(three, [b'.', b'.', b'/' | b'\\']));
        self.ups += ups.count() as u32;
    }

    /// Shannon's entropy of the bytes, in bits: 0 to 8.
    pub(super) fn entropy(&self) -> f32 {
        let total = self.length.max(1) as f32;
        let share = |&count: &u16| f32::from(count) / total;
        self.bytes
            .iter()
            .filter(|count| **count > 0)
            .map(share)
            .map(|p| -p * p.log2())
            .sum::<f32>()
            .clamp(0.0, 8.0)
    }

    /// How many different marks there are.
    pub(super) fn kinds(&self) -> u32 {
        let marks = self
            .bytes
            .iter()
            .zip(0..=u8::MAX)
            .filter(|(count, byte)| **count > 0 && byte.is_ascii_punctuation());
        marks.count() as u32
    }

    fn of(&self, byte: u8) -> u16 {
        self.bytes[usize::from(byte)]
    }

    /// A quote is open at the end.
    pub(super) fn odd_quotes(&self) -> bool {
        self.of(b'\'') % 2 == 1 || self.of(b'"') % 2 == 1
    }

    /// Not as many parentheses close as open.
    pub(super) fn odd_parentheses(&self) -> bool {
        self.of(b'(') != self.of(b')')
    }
}

/// Whether SQL reserves a word; English uses some of them as well.
fn is_keyword(word: &[u8]) -> bool {
    matches!(
        word,
        b"select"
            | b"union"
            | b"insert"
            | b"update"
            | b"delete"
            | b"drop"
            | b"create"
            | b"alter"
            | b"exec"
            | b"execute"
            | b"from"
            | b"where"
            | b"and"
            | b"or"
            | b"not"
            | b"like"
            | b"rlike"
            | b"between"
            | b"in"
            | b"having"
            | b"group"
            | b"order"
            | b"by"
            | b"limit"
            | b"into"
            | b"values"
            | b"set"
            | b"table"
            | b"case"
            | b"when"
            | b"then"
            | b"else"
            | b"end"
            | b"null"
            | b"as"
            | b"all"
            | b"cast"
            | b"procedure"
            | b"declare"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_counted() {
        let text = b"zz1' union  select f(2), 0x7f3 from t\xc3\xa9--";
        let mut tokens = Tokens::default();
        tokens.cut(text, 2);
        let cut: Vec<_> = tokens.iter().map(|token| String::from_utf8_lossy(&text[token.range()])).collect();
        let want =
            ["1", "'", "union", "select", "f", "(", "2", ")", ",", "0x7f3", "from", "t\u{e9}", "-", "-"];
        assert_eq!(cut, want);
        let classes: Vec<u8> = tokens.iter().map(|token| token.class).collect();
        assert_eq!(classes, b"0'aaa(0),xaa--");
        let mut tally = Tally::default();
        tally.count(text, 2, &tokens);
        assert_eq!((tally.keywords, tally.calls, tally.comments), (3, 1, 1));
        assert!(tally.odd_quotes() && !tally.odd_parentheses());
        assert_eq!((tally.kinds(), tally.special, tally.length), (5, 6, text.len() as u32 - 2));
        assert!((3.0..5.0).contains(&tally.entropy()));
    }
}

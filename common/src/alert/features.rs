//! What is looked at of an alert: words and shapes of what the request carries, its form, the rule, the rates.
//!
//! Every feature has a place in a table of weights, found by hashing. There are two kinds, told apart by their place:
//! *traits* (below [`TRAITS`]; one each for a method, a header, a rule, a length, ...) count 1, and *grams* (words,
//! sequences of tokens, letters) count the less the more there are, `1/sqrt(n)`, so that a long text does not shout a
//! short one down. No list of attacks decides: which words and shapes speak for what is learned.
//!
//! Texts, tokens and headers are bounded, buffers are reused: in steady state nothing is allocated.

use super::line::{Alert, Http};
use super::model::SPACE;
use super::rates::Rate;
use super::raw::Raw;
use super::text::{self, Encoding, MOST};
use super::tokens::{Tally, Tokens};

/// Places of traits; grams have the others.
pub const TRAITS: u32 = 1 << 12;
/// Header fields that are looked at, at most.
const MAX_HEADERS: usize = 64;
/// Features of one alert, at most.
const MAX_FEATURES: usize = 8192;

/// What a feature is about. The discriminants are part of the model: they are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Kind {
    /// One token of a value.
    Word = 0,
    /// Two tokens.
    Pair = 1,
    /// Three tokens.
    Triple = 2,
    /// Four tokens, words and numbers by their class alone.
    Shape = 3,
    /// Three letters.
    Letters = 4,
    /// A token of the path.
    PathWord = 5,
    /// A token of the user agent.
    AgentWord = 6,
    /// A token of the rule's message.
    Message = 7,
    /// From here on: traits. A parameter's name.
    Parameter = 32,
    Method = 33,
    Header = 34,
    Signature = 35,
    Category = 36,
    Severity = 37,
    Extension = 38,
    /// `number` is a bit of [`Flag`].
    Flag = 39,
    /// From here on `number` is a step on a scale, and all steps below are there as well.
    Length = 64,
    Entropy = 65,
    Special = 66,
    Digits = 67,
    Spaces = 68,
    Punctuation = 69,
    Escaped = 70,
    Parameters = 71,
    Depth = 72,
    BodyLength = 73,
    PathSpecial = 74,
    ClientRate = 75,
    SignatureRate = 76,
    Keywords = 77,
    Calls = 78,
    Comments = 79,
    Comparisons = 80,
    Tags = 81,
    Handlers = 82,
    Ups = 83,
    ShellMarks = 84,
    WordLength = 85,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Flag {
    TwiceEncoded = 0,
    OddEncoding = 1,
    Control = 2,
    NotAscii = 3,
    OddQuotes = 4,
    OddParentheses = 5,
    PlainWords = 6,
    NoAgent = 7,
    Referer = 8,
    Forwarded = 9,
    NoUrl = 10,
    ToClient = 11,
    HostIsNumber = 12,
    NoPayload = 13,
}

/// A feature that an alert has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub place: u32,
    pub kind: Kind,
    /// Where its text is in [`Scratch::text`]; or, of traits without one, nothing and [`Found::number`].
    pub start: u32,
    pub len: u32,
    pub number: u32,
}

/// Buffers for one alert after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Everything that was decoded, in small letters.
    pub(super) text: Vec<u8>,
    /// The payload as it came.
    payload: Vec<u8>,
    raw: Vec<u8>,
    /// Features of the alert, each once.
    pub(super) found: Vec<Found>,
    /// Which places are among them: a bit each.
    seen: Vec<u64>,
    grams: u32,
    tokens: Tokens,
    pub(super) reasons: Vec<super::Reason>,
    pub(super) ranked: Vec<(f32, u32)>,
}

impl Scratch {
    /// Buffers that are empty.
    pub fn new() -> Self {
        Self { seen: vec![0; SPACE as usize / 64], ..Self::default() }
    }

    /// The features of the alert that was looked at last: places and values, in the order in which they were found.
    pub fn features(&self) -> impl Iterator<Item = (u32, f32)> {
        let gram = self.gram_value();
        self.found.iter().map(move |found| (found.place, if found.place < TRAITS { 1.0 } else { gram }))
    }

    /// What a gram counts.
    pub(super) fn gram_value(&self) -> f32 {
        GRAMS / (self.grams.max(1) as f32).sqrt()
    }

    fn clear(&mut self) {
        if self.seen.is_empty() {
            self.seen.resize(SPACE as usize / 64, 0);
        }
        for found in self.found.drain(..) {
            self.seen[found.place as usize / 64] = 0;
        }
        self.text.clear();
        self.grams = 0;
    }

    fn push(&mut self, found: Found) {
        let (word, bit) = (found.place as usize / 64, 1 << (found.place % 64));
        if self.seen[word] & bit == 0 && self.found.len() < MAX_FEATURES {
            self.seen[word] |= bit;
            self.grams += u32::from(found.place >= TRAITS);
            self.found.push(found);
        }
    }

    fn gram(&mut self, kind: Kind, hash: u64, range: std::ops::Range<usize>) {
        let place = TRAITS + place(kind, hash, SPACE - TRAITS);
        let (start, len) = (range.start as u32, range.len() as u32);
        self.push(Found { place, kind, start, len, number: 0 });
    }

    /// A trait with a text of its own, which is kept for the words of reasons.
    fn named(&mut self, kind: Kind, name: &[u8]) {
        let name = &name[..name.len().min(64)];
        let start = self.text.len() as u32;
        self.text.extend(name.iter().map(u8::to_ascii_lowercase));
        let hash = hash(&self.text[start as usize..]);
        self.push(Found { place: place(kind, hash, TRAITS), kind, start, len: name.len() as u32, number: 0 });
    }

    fn numbered(&mut self, kind: Kind, number: u32) {
        let place = place(kind, u64::from(number), TRAITS);
        self.push(Found { place, kind, start: 0, len: 0, number });
    }

    fn flag(&mut self, yes: bool, flag: Flag) {
        if yes {
            self.numbered(Kind::Flag, flag as u32);
        }
    }

    /// A step on a scale, and all below: what is beyond the longest ever seen then counts as at least as long.
    fn scale(&mut self, kind: Kind, step: u32) {
        (1..=step).for_each(|step| self.numbered(kind, step));
    }
}

/// What all grams of an alert together may weigh, against one trait.
const GRAMS: f32 = 4.0;

/// Looks at an alert; what it has is then in `scratch`.
pub fn look(alert: &Alert<'_>, rate: Rate, scratch: &mut Scratch) {
    scratch.clear();
    let mut payload = std::mem::take(&mut scratch.payload);
    payload.clear();
    text::bytes(alert.payload_printable, alert.payload, &mut payload);
    rule(alert, scratch);
    let url = std::mem::take(&mut scratch.raw);
    let url = address(alert, url, scratch);
    values(alert, &url, &payload, scratch);
    scratch.raw = url;
    request(&alert.http, scratch);
    scratch.flag(payload.is_empty(), Flag::NoPayload);
    scratch.payload = payload;
    scratch.scale(Kind::ClientRate, octave(rate.client).min(8));
    scratch.scale(Kind::SignatureRate, octave(rate.signature).min(8));
}

fn rule(alert: &Alert<'_>, scratch: &mut Scratch) {
    scratch.numbered(Kind::Signature, alert.key.signature);
    scratch.numbered(Kind::Severity, alert.severity.min(255) as u32);
    scratch.named(Kind::Category, alert.category.escaped());
    scratch.flag(alert.to_client, Flag::ToClient);
    words(Kind::Message, alert.signature, scratch);
}

/// Words of a text that is not part of the request's values.
fn words(kind: Kind, raw: Raw<'_>, scratch: &mut Scratch) {
    let start = scratch.text.len();
    raw.decode(&mut scratch.text, 512);
    scratch.text[start..].make_ascii_lowercase();
    let mut tokens = std::mem::take(&mut scratch.tokens);
    tokens.cut(&scratch.text, start);
    for token in tokens.iter().filter(|token| token.is_word()) {
        scratch.gram(kind, token.hash, token.range());
    }
    scratch.tokens = tokens;
}

/// The path; gives the URL without JSON's escapes.
fn address(alert: &Alert<'_>, mut url: Vec<u8>, scratch: &mut Scratch) -> Vec<u8> {
    url.clear();
    alert.http.url.unwrap_or_default().decode(&mut url, MOST);
    scratch.flag(url.is_empty(), Flag::NoUrl);
    let path = url.iter().position(|&byte| byte == b'?').unwrap_or(url.len());
    let path = &url[..path.min(512)];
    let start = scratch.text.len();
    text::decode(path, false, &mut scratch.text);
    let mut tokens = std::mem::take(&mut scratch.tokens);
    tokens.cut(&scratch.text, start);
    for token in tokens.iter() {
        scratch.gram(Kind::PathWord, token.hash, token.range());
    }
    let mut tally = Tally::default();
    tally.count(&scratch.text, start, &tokens);
    scratch.tokens = tokens;
    scratch.scale(Kind::Depth, tally.slashes.min(8));
    scratch.scale(Kind::Ups, tally.ups.min(4));
    scratch.scale(Kind::PathSpecial, octave(tally.special.saturating_sub(tally.slashes)).min(6));
    if let Some(dot) = path.iter().rposition(|&byte| byte == b'.').filter(|dot| path.len() - dot <= 8) {
        scratch.named(Kind::Extension, &path[dot + 1..]);
    }
    url
}

/// Values of the query, the body and the header.
fn values(alert: &Alert<'_>, url: &[u8], payload: &[u8], scratch: &mut Scratch) {
    let mut encoding = Encoding::default();
    let mut tally = Tally::default();
    let mut parameters = 0;
    let query = url.iter().position(|&byte| byte == b'?').map_or(&[][..], |at| &url[at + 1..]);
    for pair in query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).take(64) {
        let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (&[][..], pair),
        };
        parameters += 1;
        if !name.is_empty() {
            scratch.named(Kind::Parameter, name);
        }
        encoding.add(value_of(value, true, &mut tally, scratch));
    }
    let head = head_end(payload);
    let mut raw = std::mem::take(&mut scratch.payload);
    raw.clear();
    text::bytes(alert.http.body_printable, alert.http.body, &mut raw);
    if raw.is_empty() && !alert.to_client {
        raw.extend_from_slice(&payload[head..]);
    }
    raw.truncate(MOST);
    scratch.scale(Kind::BodyLength, octave(raw.len()).min(12));
    if !raw.is_empty() {
        let form = raw.contains(&b'=') && !raw.contains(&b' ');
        encoding.add(value_of(&raw, form, &mut tally, scratch));
    }
    // Attacks may also sit in these; all other fields are looked at by their names alone.
    if !alert.to_client {
        for (name, value) in fields(&payload[..head]).take(MAX_HEADERS) {
            scratch.named(Kind::Header, name);
            if name.eq_ignore_ascii_case(b"referer") || name.eq_ignore_ascii_case(b"cookie") {
                encoding.add(value_of(&value[..value.len().min(512)], false, &mut tally, scratch));
            }
        }
    }
    scratch.payload = raw;
    form(&tally, encoding, parameters, scratch);
}

/// One value: its tokens and letters.
fn value_of(bytes: &[u8], plus: bool, tally: &mut Tally, scratch: &mut Scratch) -> Encoding {
    let start = scratch.text.len();
    let encoding = text::decode(bytes, plus, &mut scratch.text);
    let mut tokens = std::mem::take(&mut scratch.tokens);
    tokens.cut(&scratch.text, start);
    // What stands before a token: where it begins, and what it hashes to with those before it.
    let mut before = [(None, 0_u64); 3];
    let mut shape = 0_u64;
    for token in tokens.iter() {
        let end = token.range().end;
        let [one, two, three] = before;
        let (pair, triple) =
            (one.1.rotate_left(21) ^ token.hash, two.1.rotate_left(42) ^ one.1.rotate_left(21) ^ token.hash);
        shape = shape << 8 | u64::from(token.class);
        scratch.gram(Kind::Word, token.hash, token.range());
        if let Some(start) = one.0 {
            scratch.gram(Kind::Pair, pair, start..end);
        }
        if let Some(start) = two.0 {
            scratch.gram(Kind::Triple, triple, start..end);
        }
        if let Some(start) = three.0 {
            scratch.gram(Kind::Shape, shape & 0xffff_ffff, start..end);
        }
        before = [(Some(token.range().start), token.hash), one, two];
    }
    for at in start..scratch.text.len().saturating_sub(2) {
        let letters = &scratch.text[at..at + 3];
        let hash = letters
            .iter()
            .fold(0, |hash, &byte| hash << 8 | u64::from(if byte.is_ascii_digit() { b'0' } else { byte }));
        scratch.gram(Kind::Letters, hash, at..at + 3);
    }
    tally.count(&scratch.text, start, &tokens);
    scratch.tokens = tokens;
    encoding
}

/// The form of all values together.
fn form(tally: &Tally, encoding: Encoding, parameters: u32, scratch: &mut Scratch) {
    let eighths = |count: u32| (count * 8).div_ceil(tally.length.max(1)).min(8);
    scratch.scale(Kind::Parameters, parameters.min(8));
    scratch.scale(Kind::Length, octave(tally.length).min(12));
    scratch.scale(Kind::Entropy, (tally.entropy() * 2.0) as u32);
    scratch.scale(Kind::Special, eighths(tally.special));
    scratch.scale(Kind::Digits, eighths(tally.digits));
    scratch.scale(Kind::Spaces, eighths(tally.spaces));
    scratch.scale(Kind::Punctuation, tally.kinds().min(12));
    scratch.scale(Kind::Escaped, eighths(encoding.escaped));
    scratch.scale(Kind::Keywords, tally.keywords.min(6));
    scratch.scale(Kind::Calls, octave(tally.calls).min(5));
    scratch.scale(Kind::Comments, tally.comments.min(2));
    scratch.scale(Kind::Comparisons, octave(tally.comparisons).min(4));
    scratch.scale(Kind::Tags, octave(tally.tags).min(4));
    scratch.scale(Kind::Handlers, tally.handlers.min(2));
    scratch.scale(Kind::Ups, tally.ups.min(4));
    scratch.scale(Kind::ShellMarks, octave(tally.shell).min(4));
    scratch.scale(Kind::WordLength, octave(tally.longest).min(8));
    scratch.flag(encoding.twice > 0, Flag::TwiceEncoded);
    scratch.flag(encoding.odd > 0, Flag::OddEncoding);
    scratch.flag(tally.control > 0, Flag::Control);
    scratch.flag(tally.not_ascii > 0, Flag::NotAscii);
    scratch.flag(tally.odd_quotes(), Flag::OddQuotes);
    scratch.flag(tally.odd_parentheses(), Flag::OddParentheses);
    scratch.flag(tally.length > 0 && tally.special == 0 && tally.control == 0, Flag::PlainWords);
}

/// Method, user agent, and which fields Suricata logged.
fn request(http: &Http<'_>, scratch: &mut Scratch) {
    scratch.named(Kind::Method, http.method.unwrap_or_default().escaped());
    scratch.flag(http.user_agent.is_none(), Flag::NoAgent);
    scratch.flag(http.referer.is_some(), Flag::Referer);
    scratch.flag(http.forwarded.is_some(), Flag::Forwarded);
    let host = http.hostname.unwrap_or_default().escaped();
    scratch.flag(host.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.'), Flag::HostIsNumber);
    if let Some(agent) = http.user_agent {
        words(Kind::AgentWord, agent, scratch);
    }
}

/// Header fields of a request's head, as far as it is there.
fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|&byte| byte == b'\n').skip(1).filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = &line[..colon];
        let token = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (!name.is_empty() && name.len() <= 64 && name.iter().all(token))
            .then(|| (name, line[colon + 1..].trim_ascii()))
    })
}

/// Where the body begins: after the first line that is empty.
fn head_end(payload: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = payload[at..].iter().position(|&byte| byte == b'\n') {
        let empty = line == 0 || line == 1 && payload[at] == b'\r';
        at += line + 1;
        if empty {
            return at;
        }
    }
    payload.len()
}

/// 0, 1, 2-3, 4-7, ...: how many bits a number has.
fn octave(number: impl TryInto<u32>) -> u32 {
    u32::BITS - number.try_into().unwrap_or(u32::MAX).leading_zeros()
}

/// Hash of a text, the same everywhere and for ever: it is part of the model.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let mut hash = bytes.len() as u64;
    for chunk in &mut chunks {
        hash = mix(hash ^ chunk.try_into().map(u64::from_le_bytes).unwrap_or_default());
    }
    let rest = chunks.remainder().iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    mix(hash ^ rest)
}

/// Spreads a number over all its bits (the finaliser of splitmix64, Steele et al. 2014).
pub(super) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The place of a feature: the high bits of two multiplications, which is enough for hashes and small numbers alike.
fn place(kind: Kind, hash: u64, space: u32) -> u32 {
    let spread = (hash ^ ((kind as u64 + 1) << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let spread = (spread ^ (spread >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (((spread >> 32) * u64::from(space)) >> 32) as u32
}

#[cfg(test)]
mod tests;

//! Reasons in words: which features moved a score the most.

use std::fmt::{self, Write};

use super::Reason;
use super::features::{Flag, Found, Kind, Scratch, TRAITS};

/// Reasons given, at most.
const REASONS: usize = 4;
/// A feature that moves the score by less is no reason.
const LEAST: f32 = 0.01;
/// Letters of a text that is shown.
const SHOWN: usize = 48;

/// Finds the reasons of the alert that was looked at last.
pub(super) fn reasons(scratch: &mut Scratch, weights: &[f32]) {
    let gram = scratch.gram_value();
    let ranked = &mut scratch.ranked;
    ranked.clear();
    // Steps of one scale are one reason: their weights add up, at the highest step.
    let mut scale: Option<(Kind, f32)> = None;
    for (at, found) in scratch.found.iter().enumerate() {
        let weight = weights[found.place as usize];
        let mut weight = if found.place < TRAITS { weight } else { weight * gram };
        if found.kind >= Kind::Length {
            if let Some((kind, sum)) = scale
                && kind == found.kind
            {
                weight += sum;
            }
            scale = Some((found.kind, weight));
            if scratch.found.get(at + 1).is_some_and(|next| next.kind == found.kind) {
                continue;
            }
        }
        rank(ranked, weight, at as u32);
    }
    let mut count = 0;
    for at in 0..scratch.ranked.len() {
        let (weight, index) = scratch.ranked[at];
        let found = scratch.found[index as usize];
        if scratch.reasons.len() == count {
            scratch.reasons.push(Reason { words: String::new(), weight });
        }
        let reason = &mut scratch.reasons[count];
        reason.weight = weight;
        reason.words.clear();
        let range = found.start as usize..(found.start + found.len) as usize;
        // Writing to a string does not fail.
        let _ = words(&mut reason.words, &found, &scratch.text[range]);
        count += 1;
    }
    scratch.reasons.truncate(count);
}

/// Keeps the strongest, in order; of equals the first.
fn rank(ranked: &mut Vec<(f32, u32)>, weight: f32, at: u32) {
    let strength = weight.abs();
    let full = ranked.len() == REASONS;
    if strength < LEAST || full && ranked.last().is_some_and(|last| last.0.abs() >= strength) {
        return;
    }
    if full {
        ranked.pop();
    }
    let place = ranked.partition_point(|(other, _)| other.abs() >= strength);
    ranked.insert(place, (weight, at));
}

fn words(out: &mut String, found: &Found, text: &[u8]) -> fmt::Result {
    let number = found.number;
    match found.kind {
        Kind::Word | Kind::Pair | Kind::Triple | Kind::Letters => quoted(out, "a value has", text),
        Kind::Shape => quoted(out, "a value has the shape of", text),
        Kind::PathWord => quoted(out, "the path has", text),
        Kind::AgentWord => quoted(out, "the user agent has", text),
        Kind::Message => quoted(out, "the rule says", text),
        Kind::Parameter => quoted(out, "there is a parameter", text),
        Kind::Method => quoted(out, "the method is", text),
        Kind::Header => quoted(out, "there is a header", text),
        Kind::Extension => quoted(out, "the path ends in", text),
        Kind::Category => quoted(out, "the rule's class is", text),
        Kind::Signature => write!(out, "the rule is {number}"),
        Kind::Severity => write!(out, "the rule's severity is {number}"),
        Kind::Flag => out.write_str(flag(number)),
        Kind::Length => write!(out, "values have {}", Octave(number, "bytes")),
        Kind::BodyLength => write!(out, "the body has {}", Octave(number, "bytes")),
        Kind::WordLength => write!(out, "the longest word has {}", Octave(number, "letters")),
        Kind::Entropy => write!(out, "values have {:.1} bits of entropy a byte", f64::from(number) / 2.0),
        Kind::Special => write!(out, "up to {} of values are marks", Eighths(number)),
        Kind::Digits => write!(out, "up to {} of values are digits", Eighths(number)),
        Kind::Spaces => write!(out, "up to {} of values are spaces", Eighths(number)),
        Kind::Escaped => write!(out, "up to {} of values came as %XX", Eighths(number)),
        Kind::Punctuation => write!(out, "values have {number} different marks"),
        Kind::Parameters => write!(out, "there are {number} parameters"),
        Kind::Depth => write!(out, "the path is {number} deep"),
        Kind::PathSpecial => write!(out, "the path has {}", Octave(number, "marks")),
        Kind::ClientRate => write!(out, "the client raised {} in the last minute", Octave(number, "alerts")),
        Kind::SignatureRate => write!(out, "the rule raised {} in the last minute", Octave(number, "alerts")),
        Kind::Keywords => write!(out, "values have {number} words of SQL"),
        Kind::Calls => write!(out, "values have {}", Octave(number, "calls of functions")),
        Kind::Comments => write!(out, "values have {number} beginnings of comments"),
        Kind::Comparisons => write!(out, "values have {}", Octave(number, "comparisons")),
        Kind::Tags => write!(out, "values have {}", Octave(number, "tags")),
        Kind::Handlers => write!(out, "values have {number} event handlers or script addresses"),
        Kind::Ups => write!(out, "there are {number} steps up (../)"),
        Kind::ShellMarks => write!(out, "values have {}", Octave(number, "marks of a shell")),
    }
}

fn flag(number: u32) -> &'static str {
    const WORDS: [(Flag, &str); 14] = [
        (Flag::TwiceEncoded, "values are encoded twice"),
        (Flag::OddEncoding, "values are encoded as %uXXXX"),
        (Flag::Control, "values have control characters"),
        (Flag::NotAscii, "values have characters beyond ASCII"),
        (Flag::OddQuotes, "a quote is left open"),
        (Flag::OddParentheses, "a parenthesis is left open"),
        (Flag::PlainWords, "values are plain words"),
        (Flag::NoAgent, "there is no user agent"),
        (Flag::Referer, "there is a referer"),
        (Flag::Forwarded, "it was forwarded"),
        (Flag::NoUrl, "there is no URL"),
        (Flag::ToClient, "the packet went to the client"),
        (Flag::HostIsNumber, "the host is asked for by its address, or not named"),
        (Flag::NoPayload, "no payload was logged"),
    ];
    WORDS.iter().find(|(flag, _)| *flag as u32 == number).map_or("", |(_, words)| words)
}

/// Up to 2^n - 1 of something, and at least half as many.
struct Octave(u32, &'static str);

impl fmt::Display for Octave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => write!(f, "1 of the {}", self.1),
            step => write!(f, "{} to {} {}", 1_u64 << (step - 1), (1_u64 << step) - 1, self.1),
        }
    }
}

struct Eighths(u32);

impl fmt::Display for Eighths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) * 12.5)
    }
}

/// The text in quotes, without what would break a line or hide.
fn quoted(out: &mut String, what: &str, text: &[u8]) -> fmt::Result {
    out.write_str(what)?;
    out.write_str(" \"")?;
    for &byte in text.iter().take(SHOWN) {
        out.push(if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' });
    }
    if text.len() > SHOWN {
        out.write_str("...")?;
    }
    out.push('"');
    Ok(())
}

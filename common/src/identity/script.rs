//! Which writing a character belongs to, as far as screening treats writings differently.

/// A family of writings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Latin,
    Cyrillic,
    Greek,
    /// Arabic and what writes with its letters, and Hebrew: short vowels are not written.
    Abjad,
    Han,
    Kana,
    Hangul,
    Digit,
    /// Any other letters.
    Other,
    /// No letter at all.
    None,
}

/// The writing of a character, after compatibility forms were folded.
pub(super) fn writing(c: char) -> Writing {
    match c {
        '0'..='9' => Writing::Digit,
        'a'..='z' | 'A'..='Z' => Writing::Latin,
        '\0'..='\x7f' => Writing::None,
        '\u{c0}'..='\u{2af}'
        | '\u{1e00}'..='\u{1eff}'
        | '\u{2c60}'..='\u{2c7f}'
        | '\u{a720}'..='\u{a7ff}'
            if c.is_alphabetic() =>
        {
            Writing::Latin
        }
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' if c.is_alphabetic() => Writing::Greek,
        '\u{400}'..='\u{52f}'
        | '\u{1c80}'..='\u{1c8f}'
        | '\u{2de0}'..='\u{2dff}'
        | '\u{a640}'..='\u{a69f}'
            if c.is_alphabetic() =>
        {
            Writing::Cyrillic
        }
        '\u{5d0}'..='\u{5f2}' => Writing::Abjad,
        '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' if c.is_alphabetic() => {
            Writing::Abjad
        }
        '々' | '〇' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
            Writing::Han
        }
        '\u{20000}'..='\u{323af}' => Writing::Han,
        '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | 'ー' => Writing::Kana,
        '\u{30fc}'..='\u{30ff}' => Writing::Kana,
        '\u{ac00}'..='\u{d7a3}' => Writing::Hangul,
        _ if c.is_alphabetic() => Writing::Other,
        _ if c.is_numeric() => Writing::Digit,
        _ => Writing::None,
    }
}

/// Characters that are not to be seen: they neither separate words nor belong to one.
pub(super) fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || (c.is_control() && !c.is_whitespace())
}

/// Marks that are written over or under a letter of an abjad, or stretch it.
pub(super) fn abjad_mark(c: char) -> bool {
    matches!(c, '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6ed}' | '\u{8d3}'..='\u{8ff}')
}

/// Signs that stand within a word without dividing it: apostrophes and what transliterations write for ayn and hamza.
pub(super) fn apostrophe(c: char) -> bool {
    matches!(c, '\'' | '`' | '´' | '\u{2018}'..='\u{201b}' | '\u{2b9}'..='\u{2bf}' | '\u{2c8}' | '\u{2032}' | '"'
        | '\u{5f3}' | '\u{5f4}' | '\u{ff07}' | '\u{a78b}' | '\u{a78c}')
}

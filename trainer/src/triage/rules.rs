//! Rule files of Suricata, read as far as counting, naming and loosening rules needs.
//!
//! Lines are joined and options are cut as Suricata does it (`detect-engine-loader.c`, `detect-parse.c`): a backslash at a
//! line's end continues it, a line that begins with `#`, `;` or a blank is passed over, and an option ends at the first
//! semicolon that no backslash stands before, quotes or not. Bytes are kept as they are; nothing has to be text.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Largest rule file, in bytes: all of Emerging Threats has some 40 MB.
const MAX_FILE: u64 = 256 << 20;

/// A file of rules.
#[derive(Clone, Debug, Default)]
pub struct RuleFile {
    /// The file as it is.
    pub bytes: Vec<u8>,
    /// Its active rules, in their order.
    pub rules: Vec<Rule>,
}

/// One active rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it begins, as a line from 1.
    pub line: usize,
    /// Its place in the file, without the line's end.
    pub span: Range<usize>,
    /// The rule as one line.
    pub text: Vec<u8>,
    /// Where pieces of `text` come from: a place in `text` and its place in the file, the first of each line.
    pieces: Vec<(usize, usize)>,
    /// Its options; `None` when it has not the form of a rule.
    pub options: Option<Vec<Opt>>,
}

/// One option of a rule: `name;` or `name:value;`.
#[derive(Clone, Debug)]
pub struct Opt {
    /// Its name, in lower case.
    pub name: String,
    /// Its value in the rule's text, trimmed; empty when there is none.
    pub value: Range<usize>,
    /// All of it in the rule's text, from its first letter to its semicolon.
    pub span: Range<usize>,
}

impl RuleFile {
    /// Reads a file of rules.
    ///
    /// # Errors
    /// When it cannot be read or is larger than 256 MiB.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || format!("failed to read the rules {}", path.display());
        let size = std::fs::metadata(path).with_context(failed)?.len();
        ensure!(
            size <= MAX_FILE,
            "the rules {} have {size} bytes, over the limit of {MAX_FILE}",
            path.display()
        );
        Ok(Self::parse(std::fs::read(path).with_context(failed)?))
    }

    /// Finds the rules of a file.
    pub fn parse(bytes: Vec<u8>) -> Self {
        let mut rules = Vec::new();
        let (mut at, mut line) = (0, 1);
        while at < bytes.len() {
            let (start, first) = (at, line);
            let (mut text, mut pieces) = (Vec::new(), Vec::new());
            let mut end = at;
            while at < bytes.len() {
                let stop = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |n| at + n);
                let content = trim_end(&bytes[at..stop]);
                // Suricata asks only the first of joined lines whether it is a rule.
                let passed_over =
                    pieces.is_empty() && content.first().is_none_or(|byte| b" #;".contains(byte));
                let joined = (!passed_over).then(|| content.strip_suffix(b"\\")).flatten();
                pieces.push((text.len(), at));
                text.extend_from_slice(joined.unwrap_or(content));
                end = at + content.len();
                at = stop + 1;
                line += 1;
                if joined.is_none() {
                    break;
                }
            }
            if text.first().is_some_and(|byte| !b" #;".contains(byte)) {
                let options = options(&text);
                rules.push(Rule { line: first, span: start..end, text, pieces, options });
            }
        }
        Self { bytes, rules }
    }

    /// The file with some of its rules changed: `change` gives the new bytes of a rule, or `None` to keep it.
    pub fn rewrite(&self, mut change: impl FnMut(usize, &Rule) -> Option<Vec<u8>>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut copied = 0;
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some(new) = change(index, rule) {
                out.extend_from_slice(&self.bytes[copied..rule.span.start]);
                out.extend_from_slice(&new);
                copied = rule.span.end;
            }
        }
        out.extend_from_slice(&self.bytes[copied..]);
        out
    }
}

impl Rule {
    /// What the rule does: `alert`, `drop`, ...
    pub fn action(&self) -> &[u8] {
        self.text.split(u8::is_ascii_whitespace).next().unwrap_or_default()
    }

    /// The options, none for a rule of no known form.
    pub fn options(&self) -> &[Opt] {
        self.options.as_deref().unwrap_or_default()
    }

    /// The value of an option.
    pub fn value(&self, option: &Opt) -> &[u8] {
        &self.text[option.value.clone()]
    }

    /// The rule's id, if it says one.
    pub fn sid(&self) -> Option<u64> {
        let option = self.options().iter().find(|option| option.name == "sid")?;
        std::str::from_utf8(self.value(option)).ok()?.parse().ok()
    }

    /// The rule's message, as text.
    pub fn message(&self) -> String {
        let option = self.options().iter().find(|option| option.name == "msg");
        let text = option
            .map_or_else(String::new, |option| String::from_utf8_lossy(self.value(option)).into_owned());
        text.trim_matches('"').to_owned()
    }

    /// The rule's bytes in its file, without the options at these places of the list.
    pub fn without(&self, file: &[u8], dropped: &[usize]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.span.len());
        let mut at = self.span.start;
        for &index in dropped {
            let span = &self.options()[index].span;
            // The blanks before it go too, so that what is left looks as if it had never been there.
            let start = span.start
                - self.text[..span.start].iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
            let (start, end) = (self.place(start).max(at), self.place(span.end - 1) + 1);
            // What joins lines inside of what is dropped is dropped with it; before it, it stays.
            out.extend_from_slice(&file[at..start]);
            at = end;
            if out.ends_with(b"(") {
                at += file[at..self.span.end].iter().take_while(|byte| **byte == b' ').count();
            }
        }
        out.extend_from_slice(&file[at..self.span.end]);
        out
    }

    /// Where a byte of the text stands in the file.
    fn place(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(text, _)| *text <= at).saturating_sub(1);
        self.pieces.get(piece).map_or(self.span.start, |(text, file)| file + (at - text))
    }
}

/// The options of a rule: what is between the first opening parenthesis and the closing one at the end.
fn options(text: &[u8]) -> Option<Vec<Opt>> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    if text.last() != Some(&b')') || open + 1 >= text.len() {
        return None;
    }
    let end = text.len() - 1;
    let mut options = Vec::new();
    let mut at = open + 1;
    loop {
        at += text[at..end].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if at >= end {
            return Some(options);
        }
        let stop = (at..end).find(|&at| text[at] == b';' && text[at - 1] != b'\\')?;
        let colon = text[at..stop].iter().position(|&byte| byte == b':').map_or(stop, |n| at + n);
        let name = std::str::from_utf8(text[at..colon].trim_ascii()).ok()?.to_ascii_lowercase();
        let value = (colon + 1).min(stop)..stop;
        let lead = text[value.clone()].len() - text[value.clone()].trim_ascii_start().len();
        let value = value.start + lead..value.start + lead + text[value].trim_ascii().len();
        options.push(Opt { name, value, span: at..stop + 1 });
        at = stop + 1;
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "# a note\n\
        alert http any any -> any any (msg:\"a\\; b\"; content:\"x\\;y\"; sid:1;)\r\n\
        \n \
        alert http any any -> any any (msg:\"a blank before it\"; sid:9;)\n\
        #alert http any any -> any any (sid:2;)\n\
        alert http any any -> any any \\\n  (msg:\"three lines\"; \\  \n   content:\"q\"; depth:3; sid : 3 ;)\n\
        no rule at all\n\
        alert tcp any any -> any any (sid:4;)";

    #[test]
    fn rules_are_found_as_suricata_finds_them() {
        let file = RuleFile::parse(FILE.as_bytes().to_vec());
        let seen: Vec<_> = file.rules.iter().map(|rule| (rule.line, rule.sid(), rule.message())).collect();
        let wanted = [(2, Some(1), "a\\; b"), (6, Some(3), "three lines"), (9, None, ""), (10, Some(4), "")];
        assert_eq!(seen, wanted.map(|(line, sid, message)| (line, sid, message.to_owned())));
        assert_eq!(file.rules[0].value(&file.rules[0].options()[1]), b"\"x\\;y\"");
        assert!(file.rules[2].options.is_none());
    }

    #[test]
    fn what_is_not_changed_stays_byte_for_byte() {
        let file = RuleFile::parse(FILE.as_bytes().to_vec());
        assert_eq!(file.rewrite(|_, _| None), FILE.as_bytes());
        let changed =
            file.rewrite(|_, rule| (rule.sid() == Some(3)).then(|| rule.without(&file.bytes, &[2])));
        assert_eq!(String::from_utf8(changed).expect("text"), FILE.replace(" depth:3;", ""));
        // Across lines: what joins them goes with the option that it is in.
        let split = b"alert http any any -> any any (content:\"q\"; dep\\\nth:3; \\\nsid:3;)".to_vec();
        let split = RuleFile::parse(split);
        let left = split.rules[0].without(&split.bytes, &[1]);
        assert_eq!(
            String::from_utf8(left).expect("text"),
            "alert http any any -> any any (content:\"q\"; \\\nsid:3;)"
        );
    }

    proptest! {
        /// Whatever bytes a file has, nothing panics, and what is not dropped is still there.
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\\'), Just(b';'), Just(b'('),
            Just(b')'), Just(b' '), Just(b':'), Just(b'a'), any::<u8>()], 0..200)) {
            let file = RuleFile::parse(bytes.clone());
            prop_assert_eq!(&file.rewrite(|_, _| None), &bytes);
            for rule in &file.rules {
                let all: Vec<usize> = (0..rule.options().len()).collect();
                prop_assert!(rule.without(&file.bytes, &all).len() <= rule.span.len());
            }
        }
    }
}

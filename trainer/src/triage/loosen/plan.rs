//! What is dropped from one rule.

use std::collections::{BTreeMap, BTreeSet};

use super::super::rules::{Opt, Rule};
use super::{Operator, Options, Outcome};

/// Modifiers of the content before them that put it into a buffer.
const PLACES: [&str; 13] = [
    "http_client_body",
    "http_cookie",
    "http_header",
    "http_host",
    "http_method",
    "http_raw_header",
    "http_raw_host",
    "http_raw_uri",
    "http_server_body",
    "http_stat_code",
    "http_stat_msg",
    "http_uri",
    "http_user_agent",
];
/// Other modifiers of the content before them.
const MODIFIERS: [&str; 10] = [
    "nocase",
    "fast_pattern",
    "rawbytes",
    "distance",
    "within",
    "depth",
    "offset",
    "startswith",
    "endswith",
    "replace",
];
/// Sticky buffers whose names have no dot.
const STICKY: [&str; 27] = [
    "base64_data",
    "dce_stub_data",
    "dns_query",
    "file_data",
    "frame",
    "http_accept",
    "http_accept_enc",
    "http_accept_lang",
    "http_connection",
    "http_content_len",
    "http_content_type",
    "http_header_names",
    "http_protocol",
    "http_referer",
    "http_request_line",
    "http_response_line",
    "http_start",
    "ja3_hash",
    "ja3_string",
    "krb5_cname",
    "krb5_sname",
    "pkt_data",
    "tls_cert_fingerprint",
    "tls_cert_issuer",
    "tls_cert_serial",
    "tls_cert_subject",
    "tls_sni",
];
const TRANSFORMS: [&str; 13] = [
    "compress_whitespace",
    "dotprefix",
    "header_lowercase",
    "pcrexform",
    "strip_pseudo_headers",
    "strip_whitespace",
    "to_lowercase",
    "to_md5",
    "to_sha1",
    "to_sha256",
    "to_uppercase",
    "url_decode",
    "xor",
];
/// Buffers that say what kind of message it is, and next to nothing of what is in it.
const GENERIC: [&str; 4] = ["http_method", "http_protocol", "http_stat_code", "http_stat_msg"];

/// What an option is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Content {
        negated: bool,
    },
    /// Belongs to the content at this place.
    Modifier(usize),
    Buffer,
    Transform,
    /// Matches in a buffer, and what follows may be relative to where it ended.
    Jump,
    /// Matches in a buffer, and moves nothing.
    Test,
    Prefilter,
    Other,
}

/// A rule's options with what ties them together.
struct View<'a> {
    rule: &'a Rule,
    options: &'a [Opt],
    roles: Vec<Role>,
    /// For each option the buffer it looks into.
    buffers: Vec<String>,
    /// For each option the place of the sticky buffer it stands under.
    segments: Vec<Option<usize>>,
    dropped: BTreeSet<usize>,
}

/// Decides what is dropped from a rule.
pub(super) fn plan(rule: &Rule, options: &Options) -> Outcome {
    if rule.options.is_none() {
        return Outcome::Kept("it has not the form of a rule");
    }
    let mut view = View::new(rule);
    view.select(&options.drop);
    if view.dropped.is_empty() {
        return Outcome::Unchanged;
    }
    if rule.action() != b"alert" {
        return Outcome::Kept("it does not alert: what it lets pass or blocks must not grow");
    }
    if let Err(reason) = view.settle() {
        return Outcome::Kept(reason);
    }
    match view.longest_content() {
        0 => return Outcome::Kept("no content would be left: it would match everything"),
        length if length < options.min_content => {
            return Outcome::Kept("too short a content would be left: it would match nearly everything");
        }
        _ => {}
    }
    let operators = view.dropped.iter().filter_map(|&at| view.operator(at)).collect();
    Outcome::Loosened(view.dropped.into_iter().collect(), operators)
}

impl<'a> View<'a> {
    fn new(rule: &'a Rule) -> Self {
        let options = rule.options();
        let mut view = Self {
            rule,
            options,
            roles: Vec::with_capacity(options.len()),
            buffers: vec![String::new(); options.len()],
            segments: Vec::with_capacity(options.len()),
            dropped: BTreeSet::new(),
        };
        let (mut content, mut segment) = (None, None);
        for (at, option) in options.iter().enumerate() {
            let role = role(option, rule.value(option), content);
            match role {
                Role::Content { .. } => content = Some(at),
                Role::Buffer => segment = Some(at),
                Role::Modifier(of) if PLACES.contains(&option.name.as_str()) => {
                    view.buffers[of] = option.name.clone();
                }
                _ => {}
            }
            view.roles.push(role);
            view.segments.push(segment);
            view.buffers[at] = view.buffer(at, segment);
        }
        view
    }

    /// The buffer an option looks into, as far as it can be told from what stands before it.
    fn buffer(&self, at: usize, segment: Option<usize>) -> String {
        let option = &self.options[at];
        if option.name == "uricontent" {
            return "http_uri".to_owned();
        }
        if option.name == "pcre" {
            let flags = self.rule.value(option).rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let named = flags.iter().find_map(|flag| match flag {
                b'U' => Some("http_uri"),
                b'I' => Some("http_raw_uri"),
                b'P' => Some("http_client_body"),
                b'Q' => Some("http_server_body"),
                b'H' => Some("http_header"),
                b'D' => Some("http_raw_header"),
                b'M' => Some("http_method"),
                b'C' => Some("http_cookie"),
                b'S' => Some("http_stat_code"),
                b'Y' => Some("http_stat_msg"),
                b'V' => Some("http_user_agent"),
                b'W' => Some("http_host"),
                b'Z' => Some("http_raw_host"),
                _ => None,
            });
            if let Some(named) = named {
                return named.to_owned();
            }
        }
        segment.map_or_else(String::new, |at| self.options[at].name.replace('.', "_"))
    }

    /// What dropping this option is called.
    fn operator(&self, at: usize) -> Option<Operator> {
        Some(match self.options[at].name.as_str() {
            "content" | "uricontent" => Operator::Negated,
            "distance" => Operator::Distance,
            "within" => Operator::Within,
            "depth" => Operator::Depth,
            "offset" => Operator::Offset,
            "startswith" => Operator::Startswith,
            "endswith" => Operator::Endswith,
            "pcre" => Operator::Pcre,
            "isdataat" => Operator::Isdataat,
            "byte_test" => Operator::ByteTest,
            "byte_jump" => Operator::ByteJump,
            "byte_extract" => Operator::ByteExtract,
            "byte_math" => Operator::ByteMath,
            "urilen" => Operator::Urilen,
            "bsize" => Operator::Bsize,
            "dsize" => Operator::Dsize,
            "stream_size" => Operator::StreamSize,
            "threshold" => Operator::Threshold,
            "detection_filter" => Operator::DetectionFilter,
            "flowbits" => Operator::Flowbits,
            _ => return None,
        })
    }

    fn kept(&self, at: usize) -> bool {
        !self.dropped.contains(&at)
    }

    /// Drops what was asked for.
    fn select(&mut self, drop: &[Operator]) {
        for at in 0..self.options.len() {
            let wanted = self.operator(at).is_some_and(|operator| drop.contains(&operator));
            let applies = match self.options[at].name.as_str() {
                "content" | "uricontent" => self.roles[at] == Role::Content { negated: true },
                // Marks are looked for, or set: only the former narrows down.
                "flowbits" => self.rule.value(&self.options[at]).trim_ascii_start().starts_with(b"is"),
                _ => true,
            };
            if wanted && applies {
                self.dropped.insert(at);
            }
        }
    }

    /// Drops what hangs on something dropped, until nothing does.
    fn settle(&mut self) -> Result<(), &'static str> {
        loop {
            let before = self.dropped.len();
            self.orphans();
            self.variables();
            self.pairs();
            self.anchors()?;
            self.empty_buffers();
            if self.dropped.len() == before {
                return Ok(());
            }
        }
    }

    /// Modifiers of contents that went, and `prefilter` of what went.
    fn orphans(&mut self) {
        let mut last = None;
        for at in 0..self.options.len() {
            match self.roles[at] {
                Role::Modifier(of) if !self.kept(of) => {
                    self.dropped.insert(at);
                }
                Role::Prefilter if last.is_some_and(|last| !self.kept(last)) => {
                    self.dropped.insert(at);
                }
                Role::Modifier(_) | Role::Prefilter => {}
                _ => last = Some(at),
            }
        }
    }

    /// What uses a variable that nothing sets any more.
    fn variables(&mut self) {
        let rule = self.rule;
        let words = move |at: usize| {
            let value = rule.value(&rule.options()[at]);
            value.split(|byte| *byte == b',' || byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
        };
        let named = |at: usize| match self.options[at].name.as_str() {
            "byte_extract" => words(at).nth(2),
            "byte_math" => words(at).skip_while(|word| *word != b"result").nth(1),
            _ => None,
        };
        let gone: BTreeSet<&[u8]> = self.dropped.iter().filter_map(|&at| named(at)).collect();
        let uses = |name: &str| {
            matches!(
                name,
                "distance"
                    | "within"
                    | "depth"
                    | "offset"
                    | "isdataat"
                    | "byte_test"
                    | "byte_jump"
                    | "byte_extract"
                    | "byte_math"
            )
        };
        let orphaned: Vec<usize> = (0..self.options.len())
            .filter(|&at| uses(&self.options[at].name) && words(at).any(|word| gone.contains(word)))
            .collect();
        self.dropped.extend(orphaned);
    }

    /// `within` without its `distance`, `depth` without its `offset`.
    fn pairs(&mut self) {
        for (first, second) in [("distance", "within"), ("offset", "depth")] {
            let places = |name: &str| -> BTreeMap<usize, usize> {
                let of = |(at, role): (usize, &Role)| match role {
                    Role::Modifier(of) if self.options[at].name == name => Some((*of, at)),
                    _ => None,
                };
                self.roles.iter().enumerate().filter_map(of).collect()
            };
            let seconds = places(second);
            let orphaned: Vec<usize> = places(first)
                .iter()
                .filter(|(_, at)| !self.kept(**at))
                .filter_map(|(of, _)| seconds.get(of).copied())
                .collect();
            self.dropped.extend(orphaned);
        }
    }

    /// What is relative to a match that went.
    fn anchors(&mut self) -> Result<(), &'static str> {
        let mut lost: BTreeMap<&str, bool> = BTreeMap::new();
        let mut more = Vec::new();
        for at in 0..self.options.len() {
            let buffer = lost.entry(self.buffers[at].as_str()).or_default();
            match self.roles[at] {
                Role::Content { negated } if self.kept(at) => {
                    if *buffer {
                        more.extend(self.relatives(at));
                    }
                    // Its place is tried wherever the strict rule found it, so that it anchors what follows.
                    *buffer &= negated;
                }
                Role::Jump | Role::Test if self.kept(at) && *buffer && self.is_relative(at) => {
                    if self.operator(at).is_none() {
                        return Err("an option that cannot be dropped is relative to one that is");
                    }
                    more.push(at);
                }
                Role::Jump => *buffer = !self.kept(at),
                _ => {}
            }
        }
        self.dropped.extend(more);
        Ok(())
    }

    /// The relative modifiers of a content.
    fn relatives(&self, content: usize) -> impl Iterator<Item = usize> {
        (0..self.options.len()).filter(move |&at| {
            self.roles[at] == Role::Modifier(content)
                && matches!(self.options[at].name.as_str(), "distance" | "within")
        })
    }

    fn is_relative(&self, at: usize) -> bool {
        let value = self.rule.value(&self.options[at]);
        if self.options[at].name == "pcre" {
            return value.rsplit(|byte| *byte == b'/').next().is_some_and(|flags| flags.contains(&b'R'));
        }
        value.split(|byte| *byte == b',' || byte.is_ascii_whitespace()).any(|word| word == b"relative")
    }

    /// Sticky buffers in which nothing is looked for any more, and what transforms them.
    fn empty_buffers(&mut self) {
        for at in 0..self.options.len() {
            if self.roles[at] != Role::Buffer {
                continue;
            }
            let inside = |&other: &usize| self.segments[other] == Some(at);
            let looks =
                |&other: &usize| matches!(self.roles[other], Role::Content { .. } | Role::Jump | Role::Test);
            let (before, after) = (at..self.options.len())
                .filter(inside)
                .filter(looks)
                .fold((0, 0), |(before, after), other| (before + 1, after + usize::from(self.kept(other))));
            if before > 0 && after == 0 {
                let transforms = (at..self.options.len())
                    .filter(inside)
                    .filter(|&other| self.roles[other] == Role::Transform);
                let gone: Vec<usize> = transforms.chain([at]).collect();
                self.dropped.extend(gone);
            }
        }
    }

    /// Bytes of the longest content left that says something of the message.
    fn longest_content(&self) -> usize {
        let left = (0..self.options.len()).filter(|&at| {
            self.kept(at)
                && self.roles[at] == Role::Content { negated: false }
                && !GENERIC.contains(&self.buffers[at].as_str())
        });
        left.map(|at| length(self.rule.value(&self.options[at]))).max().unwrap_or(0)
    }
}

fn role(option: &Opt, value: &[u8], content: Option<usize>) -> Role {
    let name = option.name.as_str();
    let listed = |list: &[&str]| list.contains(&name);
    match (name, content) {
        ("content" | "uricontent", _) => Role::Content { negated: value.starts_with(b"!") },
        ("prefilter", _) => Role::Prefilter,
        ("pcre" | "byte_jump" | "byte_extract" | "byte_math" | "base64_decode", _) => Role::Jump,
        ("isdataat" | "byte_test" | "bsize" | "dataset" | "datarep" | "lua" | "luajit" | "asn1", _) => {
            Role::Test
        }
        (_, Some(content)) if listed(&PLACES) || listed(&MODIFIERS) => Role::Modifier(content),
        _ if listed(&TRANSFORMS) => Role::Transform,
        _ if listed(&STICKY) => Role::Buffer,
        _ if value.is_empty() && name.contains('.') && name != "tls.store" => Role::Buffer,
        _ => Role::Other,
    }
}

/// How many bytes a content has: `"a|0d 0a|\;"` has four.
fn length(value: &[u8]) -> usize {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let value = value.strip_suffix(b"\"").unwrap_or(value);
    let (mut bytes, mut digits, mut hex, mut escaped) = (0, 0, false, false);
    for &byte in value {
        match byte {
            b'|' if !escaped => hex = !hex,
            _ if hex => digits += usize::from(byte.is_ascii_hexdigit()),
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ => bytes += 1,
        }
        escaped = false;
    }
    bytes + digits / 2
}

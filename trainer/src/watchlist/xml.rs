//! XML as a stream of records: small trees of elements, each bounded.
//!
//! Entities are not expanded: a file that declares any is refused, and so is a reference to any but the five of XML itself.
//! A file that is not well-formed, or ends early, is an error as a whole: half a list must not look like one.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Most bytes of one tag, text or comment.
const MAX_EVENT: usize = 1 << 20;
/// Most bytes that are handed over at once, so that the bound above is looked at in time.
const MAX_CHUNK: usize = 64 << 10;
/// Deepest nesting of elements.
const MAX_DEPTH: usize = 64;
/// Most attributes of one tag: each is compared with those before it.
const MAX_ATTRIBUTES: usize = 256;
/// Most elements of one record.
const MAX_NODES: usize = 200_000;
/// Most bytes of one record's text, attributes and names of elements.
const MAX_RECORD: usize = 16 << 20;

/// An element with all that is in it.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its name without namespace.
    pub(super) name: String,
    /// Its attributes.
    attributes: Vec<(String, String)>,
    text: String,
    /// The elements in it.
    pub(super) children: Vec<Node>,
    /// The line it begins at.
    pub(super) line: u64,
}

impl Node {
    /// Bytes of its name and its attributes.
    fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(key, value)| key.len() + value.len());
        self.name.len() + attributes.sum::<usize>()
    }

    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name.
    pub(super) fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The children of a name of the child of another, as in `<idList><id/><id/></idList>`.
    pub(super) fn list<'n>(&'n self, list: &'n str, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.all(list).flat_map(move |list| list.all(name))
    }

    /// The text, without blanks around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text of a child; empty without one.
    pub(super) fn of(&self, name: &str) -> &str {
        self.child(name).map_or("", Node::text)
    }

    /// An attribute; empty without one.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// Reads a document and hands over each element whose name is among `records`, whole; the root without its content comes
/// first.
///
/// # Errors
/// When the document is not well-formed, passes a bound or declares entities, or `visit` fails.
pub(super) fn records(
    text: impl BufRead,
    records: &[&str],
    mut visit: impl FnMut(&Node) -> Result<()>,
) -> Result<()> {
    let state = Rc::new(State { line: Cell::new(1), since: Cell::new(0) });
    let mut reader = Reader::from_reader(Paced { text, state: Rc::clone(&state) });
    let mut buffer = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut record: Vec<Node> = Vec::new();
    let (mut nodes, mut bytes) = (0, 0);
    let mut root_seen = false;
    loop {
        buffer.clear();
        state.since.set(0);
        let line = state.line.get();
        let at = || format!("line {line}");
        match reader
            .read_event_into(&mut buffer)
            .map_err(|error| anyhow!("not well-formed: {error}"))
            .with_context(at)?
        {
            Event::Start(tag) => {
                ensure!(
                    open.len() < MAX_DEPTH,
                    "line {line}: elements are nested more than {MAX_DEPTH} deep"
                );
                let node = node(&tag, line).with_context(at)?;
                if !root_seen {
                    root_seen = true;
                    visit(&node)?;
                }
                open.push(node.name.clone());
                if !record.is_empty() || records.contains(&node.name.as_str()) {
                    bytes += node.size();
                    record.push(node);
                    nodes += 1;
                }
            }
            Event::Empty(tag) => {
                let node = node(&tag, line).with_context(at)?;
                match record.last_mut() {
                    Some(parent) => {
                        nodes += 1;
                        bytes += node.size();
                        parent.children.push(node);
                    }
                    None if !root_seen || records.contains(&node.name.as_str()) => visit(&node)?,
                    None => {}
                }
                root_seen = true;
            }
            Event::End(_) => {
                open.pop();
                if let Some(done) = record.pop() {
                    match record.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => {
                            visit(&done)?;
                            (nodes, bytes) = (0, 0);
                        }
                    }
                }
            }
            Event::Text(text) => {
                ensure!(
                    root_seen || text.trim().is_empty(),
                    "line {line}: this is not XML: it begins with text"
                );
                if let Some(node) = record.last_mut() {
                    bytes += text.len();
                    node.text.push_str(&text);
                }
            }
            Event::CData(text) => {
                if let Some(node) = record.last_mut() {
                    bytes += text.len();
                    node.text.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                let c = match reference.resolve_char_ref().map_err(|e| anyhow!("{e}")).with_context(at)? {
                    Some(c) => c,
                    None => predefined(&reference).with_context(at)?,
                };
                if let Some(node) = record.last_mut() {
                    bytes += c.len_utf8();
                    node.text.push(c);
                }
            }
            Event::DocType(doctype) => {
                let own = doctype.contains('[');
                ensure!(
                    !own,
                    "line {line}: the document declares a type or entities of its own, which is refused: lists need none, and entity bombs do"
                );
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
        ensure!(
            nodes <= MAX_NODES && bytes <= MAX_RECORD,
            "line {line}: a record has more than {MAX_NODES} elements or {} MiB",
            MAX_RECORD >> 20
        );
    }
    if let Some(name) = open.last() {
        bail!("line {}: the file is cut short: <{name}> is not closed", state.line.get());
    }
    ensure!(root_seen, "there is no XML in it");
    Ok(())
}

fn node(tag: &BytesStart<'_>, line: u64) -> Result<Node> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        ensure!(attributes.len() < MAX_ATTRIBUTES, "a tag has more than {MAX_ATTRIBUTES} attributes");
        let attribute = attribute.map_err(|e| anyhow!("not well-formed: {e}"))?;
        let key = attribute.key.local_name().as_ref().to_owned();
        attributes.push((key, unescape(&attribute.value)?));
    }
    Ok(Node { name: tag.local_name().as_ref().to_owned(), attributes, line, ..Node::default() })
}

/// Resolves the references of an attribute.
fn unescape(value: &str) -> Result<String> {
    let Some((before, mut rest)) = value.split_once('&') else { return Ok(value.to_owned()) };
    let mut out = before.to_owned();
    loop {
        let (name, after) = rest.split_once(';').context("a reference in an attribute has no end")?;
        let reference = quick_xml::events::BytesRef::new(name);
        match reference.resolve_char_ref().map_err(|e| anyhow!("{e}"))? {
            Some(c) => out.push(c),
            None => out.push(predefined(name)?),
        }
        let Some((text, next)) = after.split_once('&') else {
            out.push_str(after);
            return Ok(out);
        };
        out.push_str(text);
        rest = next;
    }
}

fn predefined(name: &str) -> Result<char> {
    Ok(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let name: String = name.chars().take(40).collect();
            bail!("the entity &{name}; is none of XML's own five, and others are refused")
        }
    })
}

struct State {
    line: Cell<u64>,
    since: Cell<usize>,
}

/// Text of which no more than a bound is read for one event.
struct Paced<R> {
    text: R,
    state: Rc<State>,
}

impl<R: BufRead> BufRead for Paced<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.state.since.get() > MAX_EVENT {
            return Err(io::Error::other("a tag, a text or a comment is longer than 1 MiB"));
        }
        let chunk = self.text.fill_buf()?;
        Ok(&chunk[..chunk.len().min(MAX_CHUNK)])
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(chunk) = self.text.fill_buf() {
            let lines = chunk.iter().take(amount).filter(|&&byte| byte == b'\n').count();
            self.state.line.set(self.state.line.get() + lines as u64);
        }
        self.state.since.set(self.state.since.get() + amount);
        self.text.consume(amount);
    }
}

impl<R: BufRead> Read for Paced<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let len = chunk.len().min(out.len());
        out[..len].copy_from_slice(&chunk[..len]);
        self.consume(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests;

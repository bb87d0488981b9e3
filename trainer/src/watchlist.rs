//! Building watchlists: from what publishers publish to one list file that the agent screens against.
//!
//! [`spec`] says what to read, [`input`] opens it and unpacks it within bounds, and a reader for each [`format`](mod@format) makes
//! entities of it, whose every fault goes to the [`sink`]. [`source`] does that for one source, [`list`] joins sources and
//! links what is the same ([`links`]), [`diff`] says what an update changed, and [`inspect`] shows a list.

mod decode;
pub mod diff;
mod draft;
pub mod format;
mod ftm;
pub mod input;
pub mod inspect;
mod json;
pub mod links;
pub mod list;
mod ofac;
mod ofac_advanced;
mod ofac_xml;
mod rows;
pub mod sink;
pub mod source;
pub mod spec;
pub mod table;
mod un;
mod xml;

#[cfg(test)]
mod tests;

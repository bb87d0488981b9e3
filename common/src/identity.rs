//! Identity screening: is this name one of a listed person's, organisation's or ship's names.
//!
//! A [`ListData`] is what a list file holds: sources and their entities. [`Watchlist::new`] checks it and builds the
//! index; [`Watchlist::screen`] answers a [`Query`] under a [`Policy`] with an [`Answer`] that explains itself field by
//! field. No I/O, no clock: whoever asks knows today's date and reads the file.
//!
//! ```
//! use gait_common::identity::{Decision, Entity, ListData, Name, Policy, Query, Source, Watchlist};
//!
//! let list = ListData {
//!     sources: vec![Source { name: "ours".into(), ..Source::default() }],
//!     entities: vec![Entity { id: "7".into(), names: vec![Name::primary("Ivan Ivanov")], ..Entity::default() }],
//!     ..ListData::default()
//! };
//! let watchlist = Watchlist::new(list).unwrap();
//! let answer = watchlist.screen(&Query::name("Ivan Ivanov"), &Policy::default());
//! assert_eq!(answer.decision, Decision::Block);
//! assert_eq!(answer.hits[0].id, "7");
//! ```

mod align;
mod answer;
mod compare;
mod date;
mod fields;
pub mod file;
mod han;
mod index;
mod list;
mod name;
mod pinyin;
mod policy;
mod script;
mod similar;
mod tables;
#[cfg(test)]
mod tests;
mod translit;
mod watchlist;

pub use answer::{Answer, Decision, Field, FieldScore, Form, Hit, ListVersion, Script, TokenScore};
pub use date::{BirthDate, BirthDateError};
pub use list::{
    Document, Entity, EntityKind, ListData, ListError, MAX_ENTITIES, MAX_NAMES, MAX_SOURCES, MAX_TEXT, Name,
    NameKind, Source,
};
pub use policy::{Cell, Policy, PolicyError, Query, Weights};
pub use watchlist::Watchlist;

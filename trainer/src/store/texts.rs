//! Texts by number: each caller, request and interface is stored once.

use std::collections::HashMap;

/// Number of a text in its store.
pub(super) type TextId = u32;

/// Texts and their numbers. Numbers of texts that were dropped are given to new ones, lowest first.
#[derive(Debug, Default)]
pub(super) struct Texts {
    list: Vec<Option<Box<str>>>,
    /// Texts come from the network: std's keyed hash, so that nobody can choose them to collide.
    index: HashMap<Box<str>, TextId>,
    /// No number below this is free.
    free: usize,
}

impl Texts {
    /// The texts of a store. `None` when a number or a text is there twice, or the numbers are absurd.
    pub(super) fn load(texts: Vec<(TextId, Box<str>)>) -> Option<Self> {
        let most = texts.iter().map(|(id, _)| *id as usize + 1).max().unwrap_or(0);
        // Free numbers are reused, so there are about as many texts as the largest number ever was.
        let mut list = Vec::new();
        list.try_reserve_exact(most).ok()?;
        list.resize(most, None);
        let mut index = HashMap::with_capacity(texts.len());
        for (id, text) in texts {
            if index.insert(text.clone(), id).is_some() || list[id as usize].replace(text).is_some() {
                return None;
            }
        }
        Some(Self { list, index, free: 0 })
    }

    /// The number of a text, a new one where it has none yet.
    pub(super) fn intern(&mut self, text: &str) -> TextId {
        if let Some(&id) = self.index.get(text) {
            return id;
        }
        while self.list.get(self.free).is_some_and(Option::is_some) {
            self.free += 1;
        }
        if self.free == self.list.len() {
            self.list.push(None);
        }
        let id = self.free as TextId;
        self.list[self.free] = Some(text.into());
        self.index.insert(text.into(), id);
        id
    }

    /// A text by its number; empty for a number that has none.
    pub(super) fn get(&self, id: TextId) -> &str {
        self.list.get(id as usize).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Whether a number has a text.
    pub(super) fn has(&self, id: TextId) -> bool {
        self.list.get(id as usize).is_some_and(Option::is_some)
    }

    /// Drops every text of which the number is not among these, sorted ones.
    pub(super) fn retain(&mut self, used: &[TextId]) {
        for (id, text) in (0..).zip(&mut self.list) {
            if text.is_some() && used.binary_search(&id).is_err() {
                self.index.remove(text.take().unwrap_or_default().as_ref());
            }
        }
        self.free = 0;
    }

    /// All texts with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TextId, &str)> {
        (0..).zip(&self.list).filter_map(|(id, text)| Some((id, text.as_deref()?)))
    }
}

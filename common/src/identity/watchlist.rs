//! A list that was checked and indexed, ready to be asked.

use rustc_hash::FxHashMap;

use super::{Answer, Decision, Field, FieldScore, Hit, ListData, ListError, ListVersion, Policy, Query};

/// A list that was checked and indexed.
#[derive(Debug)]
pub struct Watchlist {
    data: ListData,
    by_name: FxHashMap<String, Vec<(u32, u16)>>,
}

impl Watchlist {
    /// Checks stored data and builds the index.
    ///
    /// # Errors
    /// [`ListError`] when the data contradicts itself or passes a bound.
    pub fn new(data: ListData) -> Result<Self, ListError> {
        data.check()?;
        let mut by_name: FxHashMap<String, Vec<(u32, u16)>> = FxHashMap::default();
        for (at, entity) in data.entities.iter().enumerate() {
            for (nth, name) in entity.names.iter().enumerate() {
                by_name.entry(name.text.to_lowercase()).or_default().push((at as u32, nth as u16));
            }
        }
        Ok(Self { data, by_name })
    }

    /// The list it was made of.
    pub fn data(&self) -> &ListData {
        &self.data
    }

    /// The editions of its sources.
    pub fn versions(&self) -> Vec<ListVersion> {
        let version = |source: &super::Source| ListVersion {
            name: source.name.clone(),
            version: source.version.clone(),
            date: source.date.clone(),
        };
        self.data.sources.iter().map(version).collect()
    }

    /// Looks a query up. The work is bounded whatever the query holds; the same query always gives the same answer.
    pub fn screen(&self, query: &Query, policy: &Policy) -> Answer {
        let mut hits: Vec<Hit> = Vec::new();
        for &(at, nth) in self.by_name.get(&query.name.to_lowercase()).into_iter().flatten() {
            if hits.last().is_some_and(|hit| hit.entity == at) {
                continue;
            }
            let entity = &self.data.entities[at as usize];
            let source = &self.data.sources[usize::from(entity.source)];
            let (review, block) = policy.thresholds(&source.name, &query.channel);
            if review > 1.0 {
                continue;
            }
            hits.push(Hit {
                entity: at,
                id: entity.id.clone(),
                source: source.name.clone(),
                kind: entity.kind,
                name: entity.title().to_owned(),
                score: 1.0,
                decision: if block <= 1.0 { Decision::Block } else { Decision::Review },
                fields: vec![FieldScore {
                    field: if nth == 0 { Field::Name } else { Field::Alias },
                    weight: 1.0,
                    score: 1.0,
                    query: query.name.clone(),
                    listed: entity.names[usize::from(nth)].text.clone(),
                    forms: Vec::new(),
                    tokens: Vec::new(),
                    reason: "the same name".to_owned(),
                }],
                same: Vec::new(),
            });
        }
        let more = hits.len().saturating_sub(policy.max_hits);
        let decision = hits.iter().map(|hit| hit.decision).max().unwrap_or_default();
        hits.truncate(policy.max_hits);
        Answer { decision, hits, more, notes: Vec::new(), lists: self.versions() }
    }
}

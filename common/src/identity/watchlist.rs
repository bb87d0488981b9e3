//! A list that was checked and indexed, ready to be asked.

use rustc_hash::FxHashMap;

use super::align::Known;
use super::compare::{Match, compare};
use super::fields::{self, Compared};
use super::index::{Entry, Index};
use super::name::{Parsed, parse};
use super::{
    Answer, Decision, EntityKind, Field, FieldScore, Hit, ListData, ListError, ListVersion, NameKind, Policy,
    Query,
};

/// The most that a name which the source calls weak can count.
const WEAK: f64 = 0.9;
/// What is left of a name's score where the query says it is a person and the list a ship.
const OTHER_KIND: f64 = 0.85;
/// Most entities that a hit names as held to be the same.
const MAX_SAME: usize = 100;

/// A list that was checked and indexed.
#[derive(Debug)]
pub struct Watchlist {
    data: ListData,
    index: Index,
    /// From document numbers to entities.
    documents: FxHashMap<String, Vec<u32>>,
    /// From entities to the places of their groups: the members themselves, for each member, would be many.
    same: FxHashMap<u32, Vec<u32>>,
}

/// A query, taken apart.
struct Asked<'a> {
    query: &'a Query,
    parsed: Vec<(Parsed, Vec<f64>)>,
}

/// A listed name beside the query's: which forms of the two, and how they compare.
struct Best {
    entry: u32,
    form: usize,
    score: f64,
    matched: Match,
}

impl Watchlist {
    /// Checks stored data and builds the index.
    ///
    /// # Errors
    /// [`ListError`] when the data contradicts itself or passes a bound.
    pub fn new(data: ListData) -> Result<Self, ListError> {
        data.check()?;
        let index = Index::new(&data);
        let mut documents: FxHashMap<String, Vec<u32>> = FxHashMap::default();
        for (at, entity) in data.entities.iter().enumerate() {
            for number in entity.documents.iter().map(|document| fields::number(&document.number)) {
                let of = documents.entry(number).or_default();
                if of.last() != Some(&(at as u32)) {
                    of.push(at as u32);
                }
            }
        }
        documents.remove("");
        let mut same: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (at, group) in data.same.iter().enumerate() {
            for &member in group {
                same.entry(member).or_default().push(at as u32);
            }
        }
        Ok(Self { data, index, documents, same })
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
        let (asked, notes) = self.ask(query);
        let mut best: FxHashMap<u32, Best> = FxHashMap::default();
        for form in 0..asked.parsed.len() {
            let mut known = Known::default();
            for entry in self.index.candidates(&asked.parsed[form].0, &mut known) {
                let found = self.compare(&asked, form, entry, &mut known);
                let entity = self.index.entries[entry as usize].entity;
                match best.get_mut(&entity) {
                    Some(before) if before.score >= found.score => {}
                    Some(before) => *before = found,
                    None => {
                        best.insert(entity, found);
                    }
                }
            }
        }
        for entity in self.by_document(query) {
            best.entry(entity).or_insert_with(|| self.best_name(&asked, entity));
        }
        let mut hits: Vec<(f64, Decision, u32)> = Vec::new();
        for (&entity, found) in &best {
            let (score, decision) = self.judge(&asked, entity, found, policy);
            if decision > Decision::Pass {
                hits.push((score, decision, entity));
            }
        }
        hits.sort_by(|a, b| b.1.cmp(&a.1).then(b.0.total_cmp(&a.0)).then(a.2.cmp(&b.2)));
        let decision = hits.first().map_or(Decision::Pass, |hit| hit.1);
        let more = hits.len().saturating_sub(policy.max_hits);
        hits.truncate(policy.max_hits);
        let explained =
            hits.iter().map(|&(_, _, entity)| self.explain_best(&asked, entity, &best[&entity], policy));
        Answer { decision, hits: explained.collect(), more, notes, lists: self.versions() }
    }

    /// How a query compares with one entity, whether it is a hit or not; none if there is no such entity or the query
    /// holds no name.
    pub fn compare_with(&self, query: &Query, entity: u32, policy: &Policy) -> Option<Hit> {
        self.data.entities.get(entity as usize)?;
        let (asked, _) = self.ask(query);
        if asked.parsed.is_empty() {
            return None;
        }
        let best = self.best_name(&asked, entity);
        Some(self.explain_best(&asked, entity, &best, policy))
    }

    fn ask<'a>(&self, query: &'a Query) -> (Asked<'a>, Vec<String>) {
        let (parsed, cut) = parse(&query.name);
        let mut notes = Vec::new();
        if cut {
            notes.push("the name is very long: only its beginning was compared".to_owned());
        }
        if parsed.is_empty() {
            notes.push("the name holds no letters that could be compared".to_owned());
        }
        let parsed = parsed.into_iter().map(|parsed| {
            let weights = self.index.weights_of(&parsed.words);
            (parsed, weights)
        });
        (Asked { query, parsed: parsed.collect() }, notes)
    }

    fn by_document(&self, query: &Query) -> Vec<u32> {
        let numbers = query.documents.iter().take(32).map(|document| fields::number(document));
        let mut all: Vec<u32> =
            numbers.filter_map(|number| self.documents.get(&number)).flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all.truncate(1000);
        all
    }

    fn compare(&self, asked: &Asked<'_>, form: usize, entry: u32, known: &mut Known) -> Best {
        let listed = &self.index.entries[entry as usize];
        let (parsed, weights) = &asked.parsed[form];
        let matched = compare((parsed, weights), (&listed.parsed, &listed.weights), known);
        let entity = &self.data.entities[listed.entity as usize];
        let mut score = matched.score;
        if entity.names[usize::from(listed.nth)].kind == NameKind::Weak {
            score *= WEAK;
        }
        if other_kind(asked.query.kind, entity.kind) {
            score *= OTHER_KIND;
        }
        Best { entry, form, score, matched }
    }

    /// The entity's name that comes nearest, in the forms of both sides that come nearest.
    fn best_name(&self, asked: &Asked<'_>, entity: u32) -> Best {
        let from = self.index.entries.partition_point(|entry| entry.entity < entity);
        let mut best = Best { entry: from as u32, form: 0, score: 0.0, matched: Match::default() };
        for form in 0..asked.parsed.len() {
            let mut known = Known::default();
            let of_entity = self.index.entries[from..].iter().take_while(|entry| entry.entity == entity);
            for entry in from..from + of_entity.count() {
                let found = self.compare(asked, form, entry as u32, &mut known);
                if found.score > best.score {
                    best = found;
                }
            }
        }
        best
    }

    /// The fields that both sides have, with their shares of the score; the name's is the rest.
    fn fields(&self, asked: &Asked<'_>, entity: u32, policy: &Policy) -> (f64, Vec<(f64, Compared)>) {
        let listed = &self.data.entities[entity as usize];
        let (query, weights) = (asked.query, &policy.weights);
        let others = [
            (weights.birth_date, fields::birth_date(query.birth_date, &listed.birth_dates)),
            (weights.country, fields::countries(&query.countries, &listed.countries)),
            (weights.document, fields::documents(&query.documents, &listed.documents)),
            (weights.address, fields::address(query.address.as_deref(), &listed.addresses)),
        ];
        let others: Vec<(f64, Compared)> = others
            .into_iter()
            .filter_map(|(weight, compared)| compared.map(|compared| (weight, compared)))
            .filter(|(weight, _)| *weight > 0.0)
            .collect();
        let name = if asked.parsed.is_empty() { 0.0 } else { weights.name };
        let total = name + others.iter().map(|(weight, _)| weight).sum::<f64>();
        if total <= 0.0 {
            return (1.0, Vec::new());
        }
        (name / total, others.into_iter().map(|(weight, compared)| (weight / total, compared)).collect())
    }

    fn judge(&self, asked: &Asked<'_>, entity: u32, best: &Best, policy: &Policy) -> (f64, Decision) {
        let (share, others) = self.fields(asked, entity, policy);
        let score =
            share * best.score + others.iter().map(|(weight, compared)| weight * compared.score).sum::<f64>();
        (score, self.decide(asked, entity, score, policy))
    }

    fn decide(&self, asked: &Asked<'_>, entity: u32, score: f64, policy: &Policy) -> Decision {
        let listed = &self.data.entities[entity as usize];
        let source = &self.data.sources[usize::from(listed.source)];
        let (review, block) = policy.thresholds(&source.name, &asked.query.channel);
        // Sums of shares that add up to one may miss a threshold by the last bit.
        let score = score + 1e-9;
        if score >= block {
            Decision::Block
        } else if score >= review {
            Decision::Review
        } else {
            Decision::Pass
        }
    }

    fn explain_best(&self, asked: &Asked<'_>, entity: u32, best: &Best, policy: &Policy) -> Hit {
        let listed = &self.data.entities[entity as usize];
        let source = &self.data.sources[usize::from(listed.source)];
        let (share, others) = self.fields(asked, entity, policy);
        let mut fields = Vec::new();
        // An entity whose names hold no letters that could be compared has no entry in the index.
        let of_entity = |entry: &Entry| entry.entity == entity;
        let named = self.index.entries.get(best.entry as usize).is_some_and(of_entity);
        if share > 0.0 && named && !asked.parsed.is_empty() {
            fields.push(self.explain_name(asked, entity, best, share));
        }
        fields.extend(others.into_iter().map(|(weight, compared)| compared.weighted(weight)));
        let score: f64 = fields.iter().map(|field| field.weight * field.score).sum();
        Hit {
            entity,
            id: listed.id.clone(),
            source: source.name.clone(),
            kind: listed.kind,
            name: listed.title().to_owned(),
            score,
            decision: self.decide(asked, entity, score, policy),
            fields,
            same: self.same_as(entity),
        }
    }

    /// The other members of an entity's groups, as many as a hit names.
    fn same_as(&self, entity: u32) -> Vec<u32> {
        let groups = self.same.get(&entity).into_iter().flatten();
        let members = groups.flat_map(|&group| &self.data.same[group as usize]);
        members.copied().filter(|&other| other != entity).take(MAX_SAME).collect()
    }

    fn explain_name(&self, asked: &Asked<'_>, entity: u32, best: &Best, weight: f64) -> FieldScore {
        let listed = &self.data.entities[entity as usize];
        let entry = &self.index.entries[best.entry as usize];
        let name = &listed.names[usize::from(entry.nth)];
        let parsed = &asked.parsed[best.form].0;
        let mut reason = best.matched.reason();
        if name.kind == NameKind::Weak {
            reason.push_str("; a weak name by its source, which counts a tenth less");
        }
        if other_kind(asked.query.kind, listed.kind) {
            reason.push_str("; of another kind than the query says, which counts 15 % less");
        }
        FieldScore {
            field: if name.kind == NameKind::Primary { Field::Name } else { Field::Alias },
            weight,
            score: best.score,
            query: asked.query.name.chars().take(256).collect(),
            listed: name.text.clone(),
            forms: best.matched.forms(parsed, &entry.parsed),
            tokens: best.matched.tokens(parsed, &entry.parsed),
            reason,
        }
    }
}

fn other_kind(query: Option<EntityKind>, listed: EntityKind) -> bool {
    query.is_some_and(|kind| kind != EntityKind::Unknown && listed != EntityKind::Unknown && kind != listed)
}

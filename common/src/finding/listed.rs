//! What is reported of a caller whose name is on a list.

use serde::{Deserialize, Serialize};

use crate::call::Nanos;
use crate::identity::{Answer, Decision, EntityKind, FieldScore, ListVersion};

/// Stands for what is hidden of a name.
const HIDDEN: &str = "***";

/// A caller whose name comes near to a listed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedFinding {
    /// Stable name of this finding: the same caller, name and list give the same id.
    pub id: String,
    /// When the name was seen (Unix, ns).
    pub time: Nanos,
    /// Who called, as findings about its behaviour name it.
    pub caller: String,
    /// Where the name stood, e.g. `header:x-user-name`.
    pub identity: String,
    /// The name; but for the first character of each word it is hidden unless names are kept.
    pub name: String,
    /// Process that answered, 0 when unknown.
    pub pid: u32,
    /// Its command name, empty when unknown.
    pub comm: String,
    /// What is asked for.
    pub decision: Decision,
    /// The score of the nearest hit, 0 to 1.
    pub score: f64,
    /// The column of the risk matrix.
    pub channel: String,
    /// The nearest hits.
    pub hits: Vec<ListedHit>,
    /// Hits that are not shown.
    pub more: usize,
    /// The list's fingerprint.
    pub list: String,
    /// The editions of the list's sources.
    pub lists: Vec<ListVersion>,
}

/// One listed identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedHit {
    /// Name of the source.
    pub source: String,
    /// The source's identifier.
    pub id: String,
    /// What it is.
    pub kind: EntityKind,
    /// The name the source lists it under.
    pub name: String,
    /// How near it comes, 0 to 1.
    pub score: f64,
    /// What this hit alone asks for.
    pub decision: Decision,
    /// Field by field. Unless names are kept it is without the query's side.
    pub fields: Vec<FieldScore>,
}

impl ListedFinding {
    /// The nearest `count` hits of an answer; without what the query says unless names are kept.
    pub fn hits(answer: &Answer, count: usize, keep_names: bool) -> Vec<ListedHit> {
        let field = |field: &FieldScore| {
            let mut field = field.clone();
            if !keep_names {
                field.query = mask(&field.query);
                field.forms.clear();
                // After a colon a reason quotes the query in another writing.
                field.reason.truncate(field.reason.find(':').unwrap_or(field.reason.len()));
                field.tokens.iter_mut().for_each(|token| token.query = mask(&token.query));
            }
            field
        };
        let hits = answer.hits.iter().take(count);
        hits.map(|hit| ListedHit {
            source: hit.source.clone(),
            id: hit.id.clone(),
            kind: hit.kind,
            name: hit.name.clone(),
            score: hit.score,
            decision: hit.decision,
            fields: hit.fields.iter().map(field).collect(),
        })
        .collect()
    }
}

/// A name of which only the first character of each word is left.
pub fn mask(name: &str) -> String {
    let words = name.split_whitespace().filter_map(|word| word.chars().next());
    words.map(|first| format!("{first}{HIDDEN}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_hidden_name_is_left_in_the_fields() {
        use crate::identity::{Decision, Field, Form, Hit, Script, TokenScore};
        let text = |text: &str| text.to_owned();
        let form = Form { script: Script::Pinyin, query: text("ouyang minghua"), listed: text("") };
        let token = TokenScore {
            query: text("minghua"),
            listed: text("minghua"),
            score: 1.0,
            weight: 1.0,
            how: text("same"),
        };
        let field = FieldScore {
            field: Field::Name,
            weight: 1.0,
            score: 0.9,
            query: text("欧阳铭华"),
            listed: text("OUYANG, M."),
            forms: vec![form],
            tokens: vec![token],
            reason: text("the pinyin of the characters: ouyang minghua"),
        };
        let hit = Hit {
            entity: 0,
            id: text("1"),
            source: text("un"),
            kind: EntityKind::Person,
            name: text("OUYANG, M."),
            score: 0.9,
            decision: Decision::Review,
            fields: vec![field],
            same: Vec::new(),
        };
        let answer = Answer { hits: vec![hit], ..Answer::default() };
        let shown = |keep| serde_json::to_string(&ListedFinding::hits(&answer, 1, keep)).expect("JSON");
        let (hidden, kept) = (shown(false), shown(true));
        assert!(kept.contains("欧阳铭华") && kept.contains("ouyang minghua"), "{kept}");
        for secret in ["铭", "ouyang minghua", "query\":\"minghua"] {
            assert!(!hidden.contains(secret), "{secret}: {hidden}");
        }
    }

    #[test]
    fn of_a_masked_name_only_initials_are_left() {
        assert_eq!(mask("Ivan  Ivanov"), "I*** I***");
        assert_eq!(mask("习近平"), "习***");
        assert_eq!(mask(""), "");
    }
}

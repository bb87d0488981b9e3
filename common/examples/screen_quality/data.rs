//! The lists and labelled pairs, as their files have them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::Path;

use gait_common::identity::ListData;
use serde_json::Value;

use crate::{Case, list_of};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn text(directory: &Path, name: &str) -> Result<String> {
    let path = directory.join(name);
    let bytes = std::fs::read(&path).map_err(|e| format!("failed to read {}: {e}", path.display()))?;
    let mut text = String::new();
    if name.ends_with(".gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(bytes)?;
    }
    Ok(text)
}

/// Rows of a CSV file with quotes; none of these has a line break within a field.
fn rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let (mut fields, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                _ => fields.last_mut().expect("there is a first field").push(c),
            }
        }
        fields
    };
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(row).collect()
}

/// The labelled pairs of Chinese names, looked up in a list of all listed ones.
pub(crate) fn pairs(directory: &Path) -> Result<(ListData, Vec<Case>)> {
    let text = text(directory, "zh_names_dev.csv")?;
    let mut places: HashMap<String, u32> = HashMap::new();
    let mut names = Vec::new();
    let mut cases = Vec::new();
    for row in rows(&text).into_iter().skip(1) {
        let place = *places.entry(row[2].clone()).or_insert_with(|| {
            names.push(vec![row[2].clone()]);
            names.len() as u32 - 1
        });
        cases.push(Case {
            class: row[0].clone(),
            query: row[1].clone(),
            entity: place,
            found: row[3] == "true",
        });
    }
    Ok((list_of(names), cases))
}

/// Query, listed name and the score they must reach.
pub(crate) fn cross_script(directory: &Path) -> Result<Vec<(String, String, f64)>> {
    let text = text(directory, "watchman_cross_script_pairs.csv")?;
    rows(&text).into_iter().map(|row| Ok((row[0].clone(), row[1].clone(), row[2].parse()?))).collect()
}

/// Traditional and simplified text.
pub(crate) fn variants(directory: &Path) -> Result<Vec<(String, String)>> {
    let text = text(directory, "opencc_t2s.tsv")?;
    let pair = |line: &str| {
        let mut columns = line.split('\t').skip(1).map(str::to_owned);
        Some((columns.next()?, columns.next()?))
    };
    Ok(text.lines().filter_map(pair).collect())
}

/// The perturbed names of 500 listed persons, and names that are nobody's.
pub(crate) fn ssb(directory: &Path) -> Result<(ListData, Vec<Case>)> {
    let whole: Value = serde_json::from_str(&text(directory, "ssb_ofac_500.json.gz")?)?;
    let candidates = whole["candidates"].as_object().ok_or("no candidates")?;
    let mut places: BTreeMap<String, u32> = BTreeMap::new();
    let mut by_name: HashMap<String, u32> = HashMap::new();
    let mut names = Vec::new();
    for (id, of_id) in candidates {
        let of_id: Vec<String> = of_id
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        places.insert(id.clone(), names.len() as u32);
        of_id.iter().for_each(|name| {
            by_name.entry(name.clone()).or_insert(names.len() as u32);
        });
        names.push(of_id);
    }
    let mut cases = Vec::new();
    for case in whole["cases"].as_array().ok_or("no cases")? {
        let id = case["expected_entity_id"].as_str();
        let made_from = case["source_name"].as_str().and_then(|name| by_name.get(name)).copied();
        cases.push(Case {
            class: case["perturbation"].as_str().unwrap_or("").to_owned(),
            query: case["query"].as_str().unwrap_or("").to_owned(),
            entity: id.and_then(|id| places.get(id).copied()).or(made_from).unwrap_or(0),
            found: id.is_some(),
        });
    }
    Ok((list_of(names), cases))
}

/// The SDN list of 2021 with its aliases.
pub(crate) fn sdn(directory: &Path) -> Result<ListData> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut names: Vec<Vec<String>> = Vec::new();
    for row in rows(&text(directory, "sdn_2021-07-07.csv.gz")?).into_iter().filter(|row| row.len() > 2) {
        places.insert(row[0].clone(), names.len());
        names.push(vec![row[1].clone()]);
    }
    for row in rows(&text(directory, "alt_2021-07-07.csv.gz")?).into_iter().filter(|row| row.len() > 3) {
        if let Some(&at) = places.get(&row[0]) {
            names[at].push(row[3].clone());
        }
    }
    Ok(list_of(names))
}

/// The UN list in Latin letters, and as queries the names in their original script.
pub(crate) fn un(directory: &Path) -> Result<(ListData, Vec<Case>)> {
    let whole = text(directory, "un_consolidated_2026-02.xml.gz")?;
    let mut names = Vec::new();
    let mut cases = Vec::new();
    for block in whole.split("<INDIVIDUAL>").skip(1) {
        let block = block.split("</INDIVIDUAL>").next().unwrap_or("");
        let tags = |tag: &str| -> Vec<String> {
            let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
            let value = |part: &str| part.split(&close).next().unwrap_or("").trim().replace("&apos;", "'");
            block.split(&open).skip(1).map(value).filter(|value| !value.is_empty()).collect()
        };
        let parts: Vec<String> =
            ["FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME"].into_iter().flat_map(tags).collect();
        let mut of_one = vec![parts.join(" ")];
        of_one.extend(tags("ALIAS_NAME"));
        of_one.retain(|name| name.chars().any(char::is_alphanumeric));
        if of_one.is_empty() {
            continue;
        }
        for original in tags("NAME_ORIGINAL_SCRIPT") {
            let class = match original.chars().find(|c| c.is_alphabetic()) {
                Some('\u{400}'..='\u{52f}') => "cyrillic",
                Some('\u{600}'..='\u{8ff}') => "arabic",
                Some('\u{4e00}'..='\u{9fff}') => "han",
                Some('\u{ac00}'..='\u{d7a3}') => "hangul",
                _ => "other",
            };
            let place = names.len() as u32;
            cases.push(Case { class: class.to_owned(), query: original, entity: place, found: true });
        }
        names.push(of_one);
    }
    Ok((list_of(names), cases))
}

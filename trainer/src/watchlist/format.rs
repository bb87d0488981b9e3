//! The formats there are, and how a file's own bytes tell which it is.

use std::io::BufRead as _;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Deserialize;

use super::input::Text;
use super::ofac::{ADD_FIELDS, ALT_FIELDS, SDN_FIELDS};
use super::rows::{Csv, Record};

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// OFAC's sdn.csv or cons_prim.csv, with its alt, add and comments files beside it
    OfacCsv,
    /// OFAC's sdn.xml or consolidated.xml
    OfacXml,
    /// OFAC's sdn_advanced.xml or cons_advanced.xml
    OfacAdvanced,
    /// The consolidated list of the UN Security Council, XML
    Un,
    /// FollowTheMoney as OpenSanctions publishes it, JSON lines, nested or not
    Ftm,
    /// CSV with a header
    Csv,
    /// JSON, one object a line or a list of objects
    Json,
}

impl Format {
    /// The name that the command line has for it.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// How a source of this format is called when nobody says.
    pub(super) fn source(self) -> Option<&'static str> {
        match self {
            Self::OfacCsv | Self::OfacXml | Self::OfacAdvanced => Some("ofac-sdn"),
            Self::Un => Some("un-sc"),
            Self::Ftm | Self::Csv | Self::Json => None,
        }
    }

    /// The terms of a source that are known without being told.
    pub(super) fn licence(self) -> &'static str {
        match self {
            Self::OfacCsv | Self::OfacXml | Self::OfacAdvanced => "public domain (work of the US government)",
            _ => "",
        }
    }

    /// Looks at a text's beginning.
    ///
    /// # Errors
    /// When it is no list of a known form.
    pub(super) fn of(text: &mut Text) -> Result<Self> {
        let head = text.reader.fill_buf()?;
        let head = String::from_utf8_lossy(&head[..head.len().min(64 << 10)]).into_owned();
        let begin = head.trim_start();
        match begin.chars().next() {
            None => bail!("it is empty"),
            Some('<') => {
                let roots = [
                    ("<CONSOLIDATED_LIST", Self::Un),
                    ("<sdnList", Self::OfacXml),
                    ("<Sanctions", Self::OfacAdvanced),
                ];
                let found = roots.iter().filter_map(|(root, format)| Some((begin.find(root)?, *format)));
                match found.min_by_key(|(at, _)| *at) {
                    Some((_, format)) => Ok(format),
                    // What a document that declares entities is, its reader says better.
                    None if begin.contains("<!DOCTYPE") => Ok(Self::Un),
                    None => bail!(
                        "it is XML, and neither a list of OFAC nor of the UN: it begins with {:?}",
                        first(begin)
                    ),
                }
            }
            Some('{' | '[') => {
                let object = begin.lines().next().unwrap_or_default();
                let is_ftm = object.contains("\"schema\"") && object.contains("\"properties\"");
                Ok(if is_ftm { Self::Ftm } else { Self::Json })
            }
            Some(c) if c.is_control() => {
                bail!("it is neither text nor packed in a way that is known (gzip, zstd, zip)")
            }
            Some(_) => {
                let row = Csv::new(head.as_bytes(), ',', None).next()?;
                let Some((_, Record::Fields(row))) = row else { return Ok(Self::Csv) };
                let id = row[0].trim();
                let headerless = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
                if headerless && row.len() == SDN_FIELDS {
                    return Ok(Self::OfacCsv);
                }
                if headerless && matches!(row.len(), ALT_FIELDS | ADD_FIELDS) {
                    bail!(
                        "it looks like OFAC's alt or add file: name the sdn file, and this one is found beside it, or give it as alt= or add="
                    );
                }
                Ok(Self::Csv)
            }
        }
    }
}

fn first(text: &str) -> String {
    text.chars().take(40).collect()
}

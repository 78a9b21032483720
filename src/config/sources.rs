//! Who audits passwords, and how their files are read: `[[source]]`.

use std::path::PathBuf;

use chrono_tz::Tz;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::inputs::Known;
use super::section::{Parsed, Read, Section, Value, instead};
use super::values::{choice, code_page, domain, line, path, yes_or_no};
use super::weighing::{self, LOG_KEYS, LogKeys};
use crate::domain::finding::Weakness;
use crate::domain::format::Format;
use crate::domain::identity::Realm;

/// Which reader a source's files need, and what it needs beside them.
#[derive(Debug, Clone, Serialize)]
pub struct SourceKind {
    /// Which reader.
    pub format: Format,
    /// For a table: what its columns mean.
    #[serde(serialize_with = "hashed::some_path")]
    pub mapping: Option<PathBuf>,
    /// For Have I Been Pwned: the catalogue of breaches.
    #[serde(serialize_with = "hashed::some_path")]
    pub catalogue: Option<PathBuf>,
    /// For Have I Been Pwned: the domain that was searched.
    pub domain: Option<String>,
    /// For dumps: with it, their relative ids name accounts for certain.
    pub domain_sid: Option<String>,
    /// For logs, and for what others found.
    #[serde(flatten)]
    pub log: LogKeys,
    /// For a list of names: what is wrong with all of them.
    pub weakness: Option<Weakness>,
}

/// A key that only some kinds have.
pub(super) struct OwnKey {
    pub(super) key: &'static str,
    /// Kinds that cannot do without it.
    pub(super) needed_by: &'static [Format],
    /// Kinds that can.
    pub(super) known_to: &'static [Format],
    pub(super) example: &'static str,
}

const OWN_KEYS: &[OwnKey] = &[
    OwnKey {
        key: "mapping",
        needed_by: &[Format::MappedCsv],
        known_to: &[],
        example: "\"mappings/external-audit.toml\"",
    },
    OwnKey {
        key: "catalogue",
        needed_by: &[Format::HibpDomain],
        known_to: &[Format::HibpStealerLogs],
        example: "\"hibp-breaches.json\"",
    },
    OwnKey {
        key: "domain",
        needed_by: &[Format::HibpDomain, Format::HibpStealerLogs],
        known_to: &[],
        example: "\"parl.example\"",
    },
    OwnKey {
        key: "domain_sid",
        needed_by: &[],
        known_to: &[Format::Dump, Format::JohnShow],
        example: "\"S-1-5-21-1111111111-2222222222-3333333333\"",
    },
    OwnKey {
        key: "weakness",
        needed_by: &[Format::AccountNames],
        known_to: &[],
        example: "\"weak/dictionary\"",
    },
];

/// Somebody who audits passwords, and how their files are read.
#[derive(Debug, Clone, Serialize)]
pub struct AuditSource {
    /// Unique.
    pub name: String,
    /// Which reader.
    pub kind: SourceKind,
    /// Whose accounts it names.
    pub realm: Realm,
    /// Where its files are dropped, if not given by hand.
    #[serde(serialize_with = "hashed::some_path")]
    pub folder: Option<PathBuf>,
    /// Whether it may name accounts without a domain.
    pub bare_sam: bool,
    /// The zone of times that carry none.
    pub time_zone: Tz,
    /// How to read files that are neither UTF-8 nor marked.
    #[serde(serialize_with = "hashed::encoding")]
    pub code_page: &'static Encoding,
}

pub(super) fn sources(root: &Section<'_>, known: Known<'_>) -> Read<Vec<AuditSource>> {
    let sections = root.sections("source")?;
    let mut names = Vec::new();
    let all: Vec<_> = sections
        .into_iter()
        .map(|section| source(section, known, &mut names))
        .collect();
    all.into_iter().collect()
}

fn source(own: Section<'_>, known: Known<'_>, taken: &mut Vec<String>) -> Read<AuditSource> {
    let name = own.unique_name(taken, "\"external-audit\"");
    let kind = source_kind(&own);
    let realm = known.realm_of(&own);
    let folder = own.optional("folder", path);
    let bare_sam = own.or("bare_sam", yes_or_no, false);
    let time_zone = known.zone_of(&own);
    let code_page = own.or("code_page", encoding, WINDOWS_1252);
    own.finish()?;
    Ok(AuditSource {
        name: name?,
        kind: kind?,
        realm: realm?,
        folder: folder?,
        bare_sam: bare_sam?,
        time_zone: time_zone?,
        code_page: code_page?,
    })
}

fn source_kind(own: &Section<'_>) -> Read<SourceKind> {
    let format = own.required("kind", choice(Format::BY_WORD), "\"mapped_csv\"");
    let mapping = own.optional("mapping", path);
    let catalogue = own.optional("catalogue", path);
    let searched = own.optional("domain", domain);
    let domain_sid = own.optional("domain_sid", domain_sid);
    let log = weighing::keys(own);
    let weakness = own.optional("weakness", weakness);
    let kind = SourceKind {
        format: format?,
        mapping: mapping?,
        catalogue: catalogue?,
        domain: searched?,
        domain_sid: domain_sid?,
        log: log?,
        weakness: weakness?,
    };
    let given = |key: &str| match key {
        "mapping" => kind.mapping.is_some(),
        "catalogue" => kind.catalogue.is_some(),
        "domain" => kind.domain.is_some(),
        "domain_sid" => kind.domain_sid.is_some(),
        "weakness" => kind.weakness.is_some(),
        other => kind.log.has(other),
    };
    let checks: Vec<Read<()>> = OWN_KEYS
        .iter()
        .chain(LOG_KEYS)
        .map(|own_key| check(own, own_key, kind.format, given(own_key.key)))
        .collect();
    checks.into_iter().collect::<Read<()>>()?;
    Ok(kind)
}

/// A key that only some kinds need, and would not be looked at with another, is an error there.
fn check(own: &Section<'_>, key: &OwnKey, format: Format, given: bool) -> Read<()> {
    if !given {
        return match key.needed_by.contains(&format) {
            true => Err(own.missing(key.key, key.example)),
            false => Ok(()),
        };
    }
    let kinds = || key.needed_by.iter().chain(key.known_to);
    if kinds().any(|known| *known == format) {
        return Ok(());
    }
    let words: Vec<String> = kinds().map(|kind| format!("\"{kind}\"")).collect();
    let words = words.join(" or ");
    Err(own.wrong(key.key, format!("only kind = {words} has it; remove it")))
}

/// A code page, or UTF-16, which Windows writes without its mark at times.
fn encoding(value: &Value<'_>) -> Parsed<&'static Encoding> {
    let wide = [UTF_16LE, UTF_16BE].into_iter().find(|wide| {
        let name = value.raw.as_str().unwrap_or_default();
        wide.name().eq_ignore_ascii_case(name.trim())
    });
    match wide {
        Some(wide) => Ok(wide),
        None => code_page(value),
    }
}

fn weakness(value: &Value<'_>) -> Parsed<Weakness> {
    let text = line(value)?;
    let known: Vec<&str> = Weakness::ALL
        .iter()
        .map(|weakness| weakness.text())
        .collect();
    Weakness::from_text(&text)
        .ok_or_else(|| format!("{} is not known; {}", quoted(&text), instead(&text, &known)))
}

/// `S-1-5-21-` and three numbers.
fn domain_sid(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let numbers: Vec<&str> = text
        .strip_prefix("S-1-5-21-")
        .map(|rest| rest.split('-').collect())
        .unwrap_or_default();
    if numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()) {
        return Ok(text);
    }
    Err("this is no domain's security identifier; write one such as \"S-1-5-21-1111111111-2222222222-3333333333\", without the number of an account".into())
}

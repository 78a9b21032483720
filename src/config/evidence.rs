//! Who tells when passwords were changed: `[[evidence]]`, by the kind of source.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use serde::Serialize;

use super::hashed;
use super::inputs::{Known, columns};
use super::ldap::{self, Ldap};
use super::section::{Parsed, Read, Section, Told, Value};
use super::values::{choice, path};
use crate::domain::identity::Realm;

/// Somebody who tells when passwords were changed.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceSource {
    /// Unique.
    pub name: String,
    /// Whose accounts it names.
    pub realm: Realm,
    /// How it tells.
    pub kind: EvidenceKind,
}

/// How a source tells. One variant a kind, each with a reader of its own.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EvidenceKind {
    /// In a file that is written anew.
    File(EvidenceFile),
    /// An LDAP server that is asked.
    Ldap(Box<Ldap>),
}

/// A file in which a directory tells when passwords were changed.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceFile {
    /// The file; written anew by whatever exports it.
    #[serde(serialize_with = "hashed::path")]
    pub file: PathBuf,
    /// By the file's ending.
    pub format: EvidenceFormat,
    /// The zone of times that carry none.
    pub time_zone: Tz,
    /// Our names of columns to the file's headers or keys. What is not named here goes by its own name.
    pub columns: BTreeMap<String, String>,
}

/// The form of an evidence file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceFormat {
    /// One account a row, headers on top.
    Csv,
    /// One object a line.
    Jsonl,
}

#[derive(Clone, Copy)]
enum Kind {
    File,
    Ldap,
}

const KINDS: &[(&str, Kind)] = &[("file", Kind::File), ("ldap", Kind::Ldap)];

pub(super) fn evidence(root: &Section<'_>, known: Known<'_>) -> Read<Vec<EvidenceSource>> {
    let sections = root.sections("evidence")?;
    let mut names = Vec::new();
    let all: Vec<_> = sections
        .into_iter()
        .map(|section| source(section, known, &mut names))
        .collect();
    all.into_iter().collect()
}

fn source(own: Section<'_>, known: Known<'_>, taken: &mut Vec<String>) -> Read<EvidenceSource> {
    let name = own.unique_name(taken, "\"directory-export\"");
    let kind = own.or("kind", choice(KINDS), Kind::File);
    let realm = known.realm_of(&own);
    let kind = kind.and_then(|kind| match kind {
        Kind::File => file(&own, known).map(EvidenceKind::File),
        Kind::Ldap => ldap::named(&own, known)?
            .map(|ldap| EvidenceKind::Ldap(Box::new(ldap)))
            .ok_or(Told),
    });
    own.finish_after(|_| {
        Ok(EvidenceSource {
            name: name?,
            realm: realm?,
            kind: kind?,
        })
    })
}

fn file(own: &Section<'_>, known: Known<'_>) -> Read<EvidenceFile> {
    let file = own.required("file", evidence_file, "\"evidence.csv\"");
    let time_zone = known.zone_of(own);
    let columns = columns(own);
    let (file, format) = file?;
    Ok(EvidenceFile {
        file,
        format,
        time_zone: time_zone?,
        columns: columns?,
    })
}

fn evidence_file(value: &Value<'_>) -> Parsed<(PathBuf, EvidenceFormat)> {
    let file = path(value)?;
    let ending = file
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("csv") => Ok((file, EvidenceFormat::Csv)),
        Some("jsonl") => Ok((file, EvidenceFormat::Jsonl)),
        _ => Err("the file's ending tells its form; let it end in .csv or .jsonl".into()),
    }
}

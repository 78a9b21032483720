//! Who tells when passwords were changed: `[[evidence]]`, by the kind of source.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use serde::Serialize;

use super::hashed;
use super::inputs::{Known, columns};
use super::ldap::{self, Ldap};
use super::section::{Read, Section, Told};
use super::services::{self, Google, Graph, Keycloak, Okta};
use super::values::{choice, line, path};
use crate::domain::evidence::{DateOrder, Form, Synchronised};
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
    /// Entra ID through Microsoft Graph.
    Graph(Graph),
    /// An Okta organisation.
    Okta(Okta),
    /// A realm of a Keycloak server.
    Keycloak(Keycloak),
    /// A Google Workspace.
    Google(Google),
}

/// A file in which a directory tells when passwords were changed.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceFile {
    /// The file; written anew by whatever exports it.
    #[serde(serialize_with = "hashed::path")]
    pub file: PathBuf,
    /// In what it is written; shown by what it begins with if left out.
    pub form: Option<Form>,
    /// Whose it is, where the file names nobody.
    pub account: Option<String>,
    /// What is believed of users whose password another directory keeps.
    pub synchronised: Synchronised,
    /// Whether the day or the month comes first, where no date of the file shows it.
    pub date_order: Option<DateOrder>,
    /// The zone of times that carry none.
    pub time_zone: Tz,
    /// Our names of columns to the file's headers or keys. What is not named here goes by its own name.
    pub columns: BTreeMap<String, String>,
}

#[derive(Clone, Copy)]
enum Kind {
    File,
    Ldap,
    Graph,
    Okta,
    Keycloak,
    Google,
}

const KINDS: &[(&str, Kind)] = &[
    ("file", Kind::File),
    ("ldap", Kind::Ldap),
    ("graph", Kind::Graph),
    ("okta", Kind::Okta),
    ("keycloak", Kind::Keycloak),
    ("google", Kind::Google),
];

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
        Kind::Graph => services::graph(&own).map(EvidenceKind::Graph),
        Kind::Okta => services::okta(&own).map(EvidenceKind::Okta),
        Kind::Keycloak => services::keycloak(&own).map(EvidenceKind::Keycloak),
        Kind::Google => services::google(&own).map(EvidenceKind::Google),
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
    let file = own.required("file", path, "\"evidence.csv\"");
    let form = own.optional("form", choice(Form::ALL));
    let account = own.optional("account", line);
    let synchronised = synchronised(own);
    let date_order = own.optional("date_order", choice(DATE_ORDERS));
    let time_zone = known.zone_of(own);
    let columns = columns(own);
    Ok(EvidenceFile {
        file: file?,
        form: form?,
        account: account?,
        synchronised: synchronised?,
        date_order: date_order?,
        time_zone: time_zone?,
        columns: columns?,
    })
}

pub(super) const DATE_ORDERS: &[(&str, DateOrder)] = &[
    ("day_first", DateOrder::DayFirst),
    ("month_first", DateOrder::MonthFirst),
];

const SYNCHRONISED: &[(&str, Synchronised)] = &[
    ("elsewhere", Synchronised::Elsewhere),
    ("here", Synchronised::Here),
];

/// The key `synchronised`.
pub(super) fn synchronised(own: &Section<'_>) -> Read<Synchronised> {
    own.or(
        "synchronised",
        choice(SYNCHRONISED),
        Synchronised::Elsewhere,
    )
}

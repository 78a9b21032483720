//! What is read and where it is kept: `[store]`, `[[realm]]`, `[directory]`, `[[source]]`, `[[evidence]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;
use encoding_rs::{Encoding, WINDOWS_1252};
use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::ldap::Ldap;
use super::secret::{PASSWORD, secret};
use super::section::{Parsed, Read, Section, Value, instead};
use super::values::{DAY, choice, code_page, delta, domain, line, path, yes_or_no, zone};
use crate::domain::identity::{Realm, RealmNames};

/// Where the store is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreUrl {
    /// One file, for one machine.
    Sqlite(#[serde(serialize_with = "hashed::path")] PathBuf),
    /// A server, for any number of machines.
    Postgres {
        /// Without a password.
        url: String,
        /// None where the server trusts the connection, or `~/.pgpass` has it.
        #[serde(skip)]
        password: Option<SecretString>,
    },
}

enum Place {
    File(PathBuf),
    Server(String),
}

pub(super) fn store(root: &Section<'_>) -> Read<StoreUrl> {
    let own = root.section("store");
    let default = Place::File(own.folder().join("bell.db"));
    let url = own.or("url", place, default);
    let password = secret(&own, &PASSWORD);
    own.finish_after(|own| match (url?, password?) {
        (Place::Server(url), password) => Ok(StoreUrl::Postgres { url, password }),
        (Place::File(file), None) => Ok(StoreUrl::Sqlite(file)),
        (Place::File(_), Some(_)) => Err(own.wrong(
            "url",
            "SQLite takes no password; remove it, or name a PostgreSQL server",
        )),
    })
}

/// Never quotes the URL: it may hold a password.
fn place(value: &Value<'_>) -> Parsed<Place> {
    const FORM: &str = "write \"sqlite:bell.db\" or \"postgres://user@host/database\"";
    let text = line(value)?;
    if let Some(file) = text.strip_prefix("sqlite:") {
        let file = file.strip_prefix("//").unwrap_or(file);
        if file.is_empty() || file.contains(['?', '#']) || file.contains(":memory:") {
            return Err(
                "the store has to be a file, without options; write \"sqlite:bell.db\"".into(),
            );
        }
        return Ok(Place::File(value.reader.folder.join(file)));
    }
    let url = Url::parse(&text).map_err(|_| format!("this is no store; {FORM}"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(format!("this is no store; {FORM}"));
    }
    let in_query = |(key, _): (std::borrow::Cow<'_, str>, _)| key.to_lowercase().contains("pass");
    if url.password().is_some() || url.query_pairs().any(in_query) {
        return Err(
            "a secret does not belong in this file; take the password out of the URL, change it on the server, \
             and name its place with password_env or password_file"
                .into(),
        );
    }
    Ok(Place::Server(text))
}

/// One password store and the rules for evidence about it.
#[derive(Debug, Clone, Serialize)]
pub struct RealmRules {
    /// Its name, and the names of its domains.
    #[serde(serialize_with = "hashed::names")]
    pub names: RealmNames,
    /// How far the clocks of its servers may be apart.
    #[serde(serialize_with = "hashed::delta")]
    pub skew: TimeDelta,
    /// Evidence that was read longer ago does not close a case.
    #[serde(serialize_with = "hashed::delta")]
    pub evidence_max_age: TimeDelta,
    /// Whether its directory tells which sessions have ended.
    pub exposes_sessions: bool,
}

/// The realms, and their names for others to refer to: none if a name could not be read.
pub(super) fn realms(root: &Section<'_>) -> (Read<Vec<RealmRules>>, Option<Vec<String>>) {
    let sections = match root.sections("realm") {
        Ok(sections) if sections.is_empty() => Err(root.missing_section("[[realm]]", "realm")),
        other => other,
    };
    let sections = match sections {
        Ok(sections) => sections,
        Err(told) => return (Err(told), None),
    };
    let (count, mut names) = (sections.len(), Vec::new());
    let all: Vec<_> = sections
        .into_iter()
        .map(|section| realm(section, &mut names))
        .collect();
    let names = (names.len() == count).then_some(names);
    (all.into_iter().collect(), names)
}

fn realm(own: Section<'_>, taken: &mut Vec<String>) -> Read<RealmRules> {
    let name = own.unique_name(taken, "\"ad:PARL\"");
    let netbios = own.list("netbios", line);
    let dns = own.list("dns", domain);
    let skew = own.or("skew", delta(Duration::ZERO, DAY), TimeDelta::minutes(5));
    let evidence_max_age = own.or(
        "evidence_max_age",
        delta(DAY / 24, 90 * DAY),
        TimeDelta::days(2),
    );
    let exposes_sessions = own.or("exposes_sessions", yes_or_no, false);
    own.finish()?;
    Ok(RealmRules {
        names: RealmNames {
            realm: Realm(name?),
            netbios: netbios?.unwrap_or_default(),
            dns: dns?.unwrap_or_default(),
        },
        skew: skew?,
        evidence_max_age: evidence_max_age?,
        exposes_sessions: exposes_sessions?,
    })
}

/// What the readers of files take from other sections.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The names of all realms, if they could be read.
    pub realms: Option<&'a [String]>,
    /// The organisation's zone, if it could be read.
    pub zone: Option<Tz>,
    /// All LDAP servers, if they could be read.
    pub ldap: Option<&'a [Ldap]>,
}

impl Known<'_> {
    /// The key `realm`: one of those configured, or the only one there is.
    pub(super) fn realm_of(&self, own: &Section<'_>) -> Read<Realm> {
        let named = own.optional("realm", |value| self.realm(value))?;
        match (named, self.realms) {
            (Some(realm), _) => Ok(realm),
            (None, Some([only])) => Ok(Realm(only.clone())),
            (None, Some(_)) => Err(own.missing("realm", "\"ad:PARL\"")),
            // The realms are wrong themselves, and told so: this key is not at fault.
            (None, None) => Ok(Realm(String::new())),
        }
    }

    fn realm(&self, value: &Value<'_>) -> Parsed<Realm> {
        let name = line(value)?;
        let Some(realms) = self.realms else {
            return Ok(Realm(name));
        };
        let names: Vec<_> = realms.iter().map(String::as_str).collect();
        if !names.contains(&name.as_str()) {
            let instead = instead(&name, &names);
            return Err(format!(
                "{} is no [[realm]] of this file; {instead}",
                quoted(&name)
            ));
        }
        Ok(Realm(name))
    }

    pub(super) fn zone_of(&self, own: &Section<'_>) -> Read<Tz> {
        own.or("time_zone", zone, self.zone.unwrap_or(Tz::UTC))
    }
}

pub(super) fn columns(own: &Section<'_>) -> Read<BTreeMap<String, String>> {
    let entries = own.section("columns").entries(line)?;
    Ok(entries.into_iter().collect())
}

/// Which reader a source's files need, and what it needs beside them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Any CSV, described by a mapping.
    MappedCsv {
        /// The mapping.
        #[serde(serialize_with = "hashed::path")]
        mapping: PathBuf,
    },
    /// Have I Been Pwned, one domain.
    HibpDomain {
        /// The catalogue of breaches.
        #[serde(serialize_with = "hashed::path")]
        catalogue: PathBuf,
        /// The domain that was searched.
        domain: String,
    },
    /// `hashcat --show --username`.
    HashcatShow,
    /// `john --show`.
    JohnShow,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    MappedCsv,
    HibpDomain,
    HashcatShow,
    JohnShow,
}

const KINDS: &[(&str, Kind)] = &[
    ("mapped_csv", Kind::MappedCsv),
    ("hibp_domain", Kind::HibpDomain),
    ("hashcat_show", Kind::HashcatShow),
    ("john_show", Kind::JohnShow),
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
    let code_page = own.or("code_page", code_page, WINDOWS_1252);
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

/// A key that only one kind needs, and would not be looked at with another, is an error there.
fn source_kind(own: &Section<'_>) -> Read<SourceKind> {
    let kind = own.required("kind", choice(KINDS), "\"mapped_csv\"");
    let mapping = own.optional("mapping", path);
    let catalogue = own.optional("catalogue", path);
    let searched = own.optional("domain", domain);
    let kind = kind?;
    let unused = |key: &str, owner: Kind, word: &str, given: bool| match given && kind != owner {
        true => Err(own.wrong(key, format!("only kind = \"{word}\" has it; remove it"))),
        false => Ok(()),
    };
    let (mapping, catalogue, searched) = (mapping?, catalogue?, searched?);
    let checks = [
        unused("mapping", Kind::MappedCsv, "mapped_csv", mapping.is_some()),
        unused(
            "catalogue",
            Kind::HibpDomain,
            "hibp_domain",
            catalogue.is_some(),
        ),
        unused(
            "domain",
            Kind::HibpDomain,
            "hibp_domain",
            searched.is_some(),
        ),
    ];
    let kind = match kind {
        Kind::HashcatShow => Ok(SourceKind::HashcatShow),
        Kind::JohnShow => Ok(SourceKind::JohnShow),
        Kind::MappedCsv => mapping
            .map(|mapping| SourceKind::MappedCsv { mapping })
            .ok_or_else(|| own.missing("mapping", "\"mappings/external-audit.toml\"")),
        Kind::HibpDomain => {
            let catalogue =
                catalogue.ok_or_else(|| own.missing("catalogue", "\"hibp-breaches.json\""));
            let domain = searched.ok_or_else(|| own.missing("domain", "\"parl.example\""));
            catalogue.and_then(|catalogue| {
                domain.map(|domain| SourceKind::HibpDomain { catalogue, domain })
            })
        }
    };
    checks.into_iter().collect::<Read<()>>()?;
    kind
}

//! What is read and where it is kept: `[store]`, `[[realm]]`, `[directory]`, `[[source]]`, `[[evidence]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;
use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::ldap::Ldap;
use super::secret::{PASSWORD, secret};
use super::section::{Parsed, Read, Section, Value, instead};
use super::values::{DAY, delta, domain, line, path, yes_or_no, zone};
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

/// Where the store is, and where the paper about it lies.
pub(super) fn store(root: &Section<'_>) -> Read<(StoreUrl, PathBuf)> {
    let own = root.section("store");
    let epoch_file = own.or("epoch_file", path, own.folder().join("bell.epoch"));
    let default = Place::File(own.folder().join("bell.db"));
    let url = own.or("url", place, default);
    let password = secret(&own, &PASSWORD);
    own.finish_after(|own| match (url?, password?) {
        (Place::Server(url), password) => Ok((StoreUrl::Postgres { url, password }, epoch_file?)),
        (Place::File(file), None) => Ok((StoreUrl::Sqlite(file), epoch_file?)),
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

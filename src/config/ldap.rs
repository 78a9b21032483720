//! LDAP servers: `[[ldap]]`, read for people and for evidence by whoever names one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::inputs::{Known, columns};
use super::secret::{PASSWORD, secret};
use super::section::{Parsed, Read, Section, Value, instead};
use super::values::{DAY, choice, delta, duration, line, number, path, yes_or_no};

/// One directory, on one or more servers that all say the same.
#[derive(Debug, Clone, Serialize)]
pub struct Ldap {
    /// Unique.
    pub name: String,
    /// What sort of directory it is.
    pub profile: LdapProfile,
    /// The servers, as URLs, in the order in which they are asked.
    pub servers: Vec<String>,
    /// Whether a connection begins plain and must turn to TLS before anything is said.
    pub starttls: bool,
    /// Certificates to trust beside the system's, in PEM.
    #[serde(serialize_with = "hashed::some_path")]
    pub ca_file: Option<PathBuf>,
    /// Who we bind as.
    pub user: String,
    /// What we bind with.
    #[serde(skip)]
    pub password: SecretString,
    /// Below which entry people are.
    pub base: String,
    /// Which of the entries below are people; the profile's if none.
    pub filter: Option<String>,
    /// How many entries a page has.
    pub page_size: u16,
    /// How long a server may take to let us in.
    #[serde(serialize_with = "hashed::span")]
    pub connect_timeout: Duration,
    /// How long a server may take for what comes next.
    #[serde(serialize_with = "hashed::span")]
    pub timeout: Duration,
    /// After this long everything is read, not only what changed.
    #[serde(serialize_with = "hashed::delta")]
    pub sweep_every: TimeDelta,
    /// How far back what changed is asked for again, where a directory counts changes by its clock.
    #[serde(serialize_with = "hashed::delta")]
    pub overlap: TimeDelta,
    /// Our names of what people have to the directory's attributes, where they differ from the profile's.
    pub columns: BTreeMap<String, String>,
}

/// What sort of directory it is: which attributes tell what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LdapProfile {
    /// Microsoft's, or Samba's.
    ActiveDirectory,
    /// With the overlay ppolicy.
    Openldap,
    /// FreeIPA, or Red Hat's IdM.
    Freeipa,
    /// 389 Directory Server, with passwordTrackUpdateTime.
    Ds389,
    /// The light one.
    Lldap,
}

const PROFILES: &[(&str, LdapProfile)] = &[
    ("active_directory", LdapProfile::ActiveDirectory),
    ("openldap", LdapProfile::Openldap),
    ("freeipa", LdapProfile::Freeipa),
    ("389ds", LdapProfile::Ds389),
    ("lldap", LdapProfile::Lldap),
];

pub(super) fn all(root: &Section<'_>) -> Read<Vec<Ldap>> {
    let sections = root.sections("ldap")?;
    let mut names = Vec::new();
    let all: Vec<_> = sections
        .into_iter()
        .map(|section| one(section, &mut names))
        .collect();
    all.into_iter().collect()
}

fn one(own: Section<'_>, taken: &mut Vec<String>) -> Read<Ldap> {
    let name = own.unique_name(taken, "\"parl\"");
    let profile = own.required("profile", choice(PROFILES), "\"active_directory\"");
    let starttls = own.or("starttls", yes_or_no, false);
    let tls = starttls.as_ref().is_ok_and(|starttls| *starttls);
    let servers = own
        .list("servers", |value| server(value, tls))
        .and_then(|servers| {
            servers
                .filter(|servers| !servers.is_empty())
                .ok_or_else(|| own.missing("servers", "[\"ldaps://dc1.parl.example\"]"))
        });
    let ca_file = own.optional("ca_file", path);
    let user = own.required("user", line, "\"bell@parl.example\"");
    let password = secret(&own, &PASSWORD).and_then(|password| {
        password.ok_or_else(|| own.missing("password_env", "\"BELL_LDAP_PASSWORD\""))
    });
    let base = own.required("base", line, "\"dc=parl,dc=example\"");
    let filter = own.optional("filter", filter);
    let page_size = own.or("page_size", number("number of entries", 1..=10_000), 500);
    let second = Duration::from_secs(1);
    let connect_timeout = own.or(
        "connect_timeout",
        duration(second, 120 * second),
        10 * second,
    );
    let timeout = own.or("timeout", duration(second, 600 * second), 60 * second);
    let sweep_every = own.or(
        "sweep_every",
        delta(60 * second, 7 * DAY),
        TimeDelta::days(1),
    );
    let overlap = own.or("overlap", delta(second, DAY), TimeDelta::minutes(10));
    let columns = columns(&own);
    own.finish()?;
    Ok(Ldap {
        name: name?,
        profile: profile?,
        servers: servers?,
        starttls: starttls?,
        ca_file: ca_file?,
        user: user?,
        password: password?,
        base: base?,
        filter: filter?,
        page_size: page_size?,
        connect_timeout: connect_timeout?,
        timeout: timeout?,
        sweep_every: sweep_every?,
        overlap: overlap?,
        columns: columns?,
    })
}

/// A server's URL. What is said to it is never plain: it says when everyone's password was changed, and hears ours.
fn server(value: &Value<'_>, starttls: bool) -> Parsed<String> {
    const FORM: &str = "write \"ldaps://dc1.parl.example\", with a port if it is not 636";
    let text = line(value)?;
    let url = Url::parse(&text).map_err(|_| format!("this is no server's URL; {FORM}"))?;
    if url.host_str().is_none_or(str::is_empty)
        || !url.username().is_empty()
        || url.password().is_some()
        || !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(format!("only a host and a port belong here; {FORM}"));
    }
    match (url.scheme(), starttls) {
        ("ldaps", false) | ("ldap", true) => {}
        ("ldaps", true) => {
            return Err("ldaps needs no starttls; remove one of them".into());
        }
        ("ldap", false) => {
            return Err(
                "nothing is said over a plain connection; use ldaps://, or say starttls = true"
                    .into(),
            );
        }
        _ => return Err(format!("this is no server's URL; {FORM}")),
    }
    if matches!(url.port(), Some(3268 | 3269)) {
        return Err(
            "this is the port of the global catalogue, which does not know when passwords were changed; \
             use ldaps:// without a port"
                .into(),
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn filter(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let balanced = text.matches('(').count() == text.matches(')').count();
    match text.starts_with('(') && text.ends_with(')') && balanced {
        true => Ok(text),
        false => Err("this is no filter; write one such as \"(objectClass=person)\"".into()),
    }
}

/// The key `ldap`: one of those configured, or the only one there is. None if they are wrong themselves, and told so.
pub(super) fn named(own: &Section<'_>, known: Known<'_>) -> Read<Option<Ldap>> {
    let parse = |value: &Value<'_>| {
        let name = line(value)?;
        let Some(all) = known.ldap else {
            return Ok(None);
        };
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        match all.iter().find(|one| one.name == name) {
            Some(one) => Ok(Some(one.clone())),
            None if names.is_empty() => Err(format!(
                "{} is no [[ldap]] of this file; there is none yet",
                quoted(&name)
            )),
            None => Err(format!(
                "{} is no [[ldap]] of this file; {}",
                quoted(&name),
                instead(&name, &names)
            )),
        }
    };
    match (own.optional("ldap", parse)?, known.ldap) {
        (Some(named), _) => Ok(named),
        (None, Some([only])) => Ok(Some(only.clone())),
        (None, Some(_)) => Err(own.missing("ldap", "\"parl\"")),
        (None, None) => Ok(None),
    }
}

//! Identity services that tell over HTTPS when passwords were changed: the kinds graph, okta, keycloak and google of
//! `[[evidence]]`.

mod access;

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

pub(in crate::config) use self::access::client_or_certificate;
pub use self::access::{Access, Certificate, Client, ClientProof, ServiceAccount, Signing};
use super::evidence::synchronised;
use super::hashed;
use super::section::{Parsed, Read, Section, Value};
use super::values::{DAY, delta, duration, has_no_login, is_private, line, path, yes_or_no};
use crate::domain::evidence::Synchronised;

/// What all of them have.
#[derive(Debug, Clone, Serialize)]
pub struct Web {
    /// Where it is asked; without a path after it.
    pub url: String,
    /// Through which it is asked.
    pub proxy: Option<String>,
    /// Certificates to trust beside the system's, in PEM.
    #[serde(serialize_with = "hashed::some_path")]
    pub ca_file: Option<PathBuf>,
    /// How long one answer may take.
    #[serde(serialize_with = "hashed::span")]
    pub timeout: Duration,
    /// How long in all a reading waits because the service asks it to.
    #[serde(serialize_with = "hashed::span")]
    pub patience: Duration,
    /// How often the schedule asks it.
    #[serde(serialize_with = "hashed::delta")]
    pub every: TimeDelta,
    /// All of it is read so often, and in between what changed.
    #[serde(serialize_with = "hashed::delta")]
    pub sweep_every: TimeDelta,
    /// Whether its log is read too, which names who changed a password.
    pub log: bool,
}

/// Entra ID through Microsoft Graph.
#[derive(Debug, Clone, Serialize)]
pub struct Graph {
    /// Where Graph is.
    pub web: Web,
    /// Where tokens are given out.
    pub login_url: String,
    /// The tenant's id or domain.
    pub tenant: String,
    /// The registered application.
    pub access: Access<Client>,
    /// What is believed of users whose password another directory keeps.
    pub synchronised: Synchronised,
    /// Whether only changes are asked for between two sweeps.
    pub delta: bool,
}

/// An Okta organisation.
#[derive(Debug, Clone, Serialize)]
pub struct Okta {
    /// Where it is.
    pub web: Web,
    /// The API token.
    #[serde(serialize_with = "access::secret_is_skipped")]
    pub access: Access<SecretString>,
}

/// A realm of a Keycloak server.
#[derive(Debug, Clone, Serialize)]
pub struct Keycloak {
    /// Where the server is.
    pub web: Web,
    /// Its name for the realm.
    pub keycloak_realm: String,
    /// A client with a service account.
    pub access: Access<Client>,
}

/// A Google Workspace.
#[derive(Debug, Clone, Serialize)]
pub struct Google {
    /// Where its APIs are.
    pub web: Web,
    /// Whose users.
    pub customer: String,
    /// The service account.
    pub access: Access<ServiceAccount>,
}

pub(super) fn graph(own: &Section<'_>) -> Read<Graph> {
    let web = web(own, Some("https://graph.microsoft.com"), true, 1);
    let login_url = own.or(
        "login_url",
        endpoint,
        "https://login.microsoftonline.com".to_owned(),
    );
    let tenant = own.required("tenant", segment, "\"parl.onmicrosoft.example\"");
    let access = access::client_or_certificate(own);
    let synchronised = synchronised(own);
    let delta = own.or("delta", yes_or_no, true);
    Ok(Graph {
        web: web?,
        login_url: login_url?,
        tenant: tenant?,
        access: access?,
        synchronised: synchronised?,
        delta: delta?,
    })
}

pub(super) fn okta(own: &Section<'_>) -> Read<Okta> {
    let web = web(own, None, true, 1);
    let access = access::token(own);
    Ok(Okta {
        web: web?,
        access: access?,
    })
}

pub(super) fn keycloak(own: &Section<'_>) -> Read<Keycloak> {
    let web = web(own, None, false, 5);
    let keycloak_realm = own.required("keycloak_realm", segment, "\"parl\"");
    let access = access::client(own);
    Ok(Keycloak {
        web: web?,
        keycloak_realm: keycloak_realm?,
        access: access?,
    })
}

pub(super) fn google(own: &Section<'_>) -> Read<Google> {
    let web = web(own, Some("https://admin.googleapis.com"), false, 5);
    let customer = own.or("customer", segment, "my_customer".to_owned());
    let access = access::service_account(own);
    Ok(Google {
        web: web?,
        customer: customer?,
        access: access?,
    })
}

/// `has_log`: whether reading its log is something to choose; `minutes`: how often it is asked, if that is not written down.
fn web(own: &Section<'_>, default: Option<&str>, has_log: bool, minutes: i64) -> Read<Web> {
    let url = match default {
        Some(default) => own.or("url", endpoint, default.to_owned()),
        None => own.required("url", endpoint, "\"https://id.parl.example\""),
    };
    let timeout = own.or(
        "timeout",
        duration(Duration::from_secs(1), Duration::from_secs(600)),
        Duration::from_secs(30),
    );
    let patience = own.or(
        "patience",
        duration(Duration::ZERO, DAY / 24),
        Duration::from_secs(60),
    );
    let every = own.or(
        "every",
        delta(Duration::ZERO, DAY),
        TimeDelta::minutes(minutes),
    );
    let sweep_every = own.or("sweep_every", delta(DAY / 24, 30 * DAY), TimeDelta::days(1));
    let log = match has_log {
        true => own.or("log", yes_or_no, false),
        false => Ok(false),
    };
    let ca_file = own.optional("ca_file", path);
    let url = url?;
    let proxy = own.optional("proxy", proxy)?;
    if proxy.is_some() && url.starts_with("http:") {
        return Err(own.wrong(
            "proxy",
            "it would read what is said over http://; use https:// in url, or leave the proxy out",
        ));
    }
    Ok(Web {
        url,
        proxy,
        ca_file: ca_file?,
        timeout: timeout?,
        patience: patience?,
        every: every?,
        sweep_every: sweep_every?,
        log: log?,
    })
}

/// A name that becomes a part of a path.
pub(super) fn segment(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.chars().all(fits) && !text.starts_with('.') {
        true => Ok(text),
        false => Err("it is no name; use letters, digits, points, dashes and underscores".into()),
    }
}

/// Who passes on what is said. It sees no secret of ours, and none of it is written here.
pub(super) fn proxy(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| {
        ["http", "https"].contains(&url.scheme())
            && url.host_str().is_some_and(|host| !host.is_empty())
            && has_no_login(url)
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
    };
    match url.as_ref().is_some_and(fits) {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(
            "this is no proxy's address; write \"http://proxy.parl.example:3128\", without a name or password"
                .into(),
        ),
    }
}

/// The address of one document, with what stands behind a question mark.
pub(super) fn document(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| is_private(url) && has_no_login(url) && url.fragment().is_none();
    match url.as_ref().is_some_and(fits) {
        true => Ok(text),
        false => Err(
            "this is no address to fetch an audit from; use https://, or http:// on this machine, without a name or password"
                .into(),
        ),
    }
}

/// An address that secrets may go to.
pub(super) fn endpoint(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| {
        is_private(url) && has_no_login(url) && url.query().is_none() && url.fragment().is_none()
    };
    match url.as_ref().is_some_and(fits) {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(
            "this is no address for secrets to go to; use https://, or http:// on this machine, without a question mark"
                .into(),
        ),
    }
}

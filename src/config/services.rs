//! Identity services that tell over HTTPS when passwords were changed: the kinds graph, okta, keycloak and google of
//! `[[evidence]]`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

use super::evidence::synchronised;
use super::hashed;
use super::secret::{SecretKeys, TOKEN, secret};
use super::section::{Parsed, Read, Section, Value};
use super::values::{DAY, address, delta, duration, is_loopback, line, path, yes_or_no};
use crate::domain::EmailAddress;
use crate::domain::evidence::Synchronised;

/// What all of them have.
#[derive(Debug, Clone, Serialize)]
pub struct Web {
    /// Where it is asked; without a path after it.
    pub url: String,
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

/// An application that signs in with a secret of its own.
#[derive(Debug, Clone, Serialize)]
pub struct Client {
    /// As the service knows it.
    pub id: String,
    /// What proves it.
    #[serde(skip)]
    pub secret: SecretString,
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
    pub client: Client,
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
    #[serde(skip)]
    pub token: SecretString,
}

/// A realm of a Keycloak server.
#[derive(Debug, Clone, Serialize)]
pub struct Keycloak {
    /// Where the server is.
    pub web: Web,
    /// Its name for the realm.
    pub keycloak_realm: String,
    /// A client with a service account.
    pub client: Client,
}

/// A Google Workspace.
#[derive(Debug, Clone, Serialize)]
pub struct Google {
    /// Where its APIs are.
    pub web: Web,
    /// Whose users.
    pub customer: String,
    /// The service account's key, as it was downloaded. Read when it is needed.
    #[serde(serialize_with = "hashed::path")]
    pub key_file: PathBuf,
    /// The administrator on whose behalf it reads.
    #[serde(serialize_with = "hashed::address")]
    pub subject: EmailAddress,
    /// Where tokens are given out, in place of what the key says.
    pub login_url: Option<String>,
}

const CLIENT: SecretKeys = SecretKeys {
    inline: "client_secret",
    env: "client_secret_env",
    file: "client_secret_file",
};

pub(super) fn graph(own: &Section<'_>) -> Read<Graph> {
    let web = web(own, Some("https://graph.microsoft.com"), true, 1);
    let login_url = own.or(
        "login_url",
        endpoint,
        "https://login.microsoftonline.com".to_owned(),
    );
    let tenant = own.required("tenant", segment, "\"parl.onmicrosoft.example\"");
    let client = client(own);
    let synchronised = synchronised(own);
    let delta = own.or("delta", yes_or_no, true);
    Ok(Graph {
        web: web?,
        login_url: login_url?,
        tenant: tenant?,
        client: client?,
        synchronised: synchronised?,
        delta: delta?,
    })
}

pub(super) fn okta(own: &Section<'_>) -> Read<Okta> {
    let web = web(own, None, true, 1);
    let token = secret(own, &TOKEN)
        .and_then(|token| token.ok_or_else(|| own.missing("token_env", "\"BELL_OKTA_TOKEN\"")));
    Ok(Okta {
        web: web?,
        token: token?,
    })
}

pub(super) fn keycloak(own: &Section<'_>) -> Read<Keycloak> {
    let web = web(own, None, false, 5);
    let keycloak_realm = own.required("keycloak_realm", segment, "\"parl\"");
    let client = client(own);
    Ok(Keycloak {
        web: web?,
        keycloak_realm: keycloak_realm?,
        client: client?,
    })
}

pub(super) fn google(own: &Section<'_>) -> Read<Google> {
    let web = web(own, Some("https://admin.googleapis.com"), false, 5);
    let customer = own.or("customer", segment, "my_customer".to_owned());
    let key_file = own.required("key_file", path, "\"service-account.json\"");
    let subject = own.required("subject", address, "\"admin@parl.example\"");
    let login_url = own.optional("login_url", endpoint);
    Ok(Google {
        web: web?,
        customer: customer?,
        key_file: key_file?,
        subject: subject?,
        login_url: login_url?,
    })
}

fn client(own: &Section<'_>) -> Read<Client> {
    let id = own.required("client_id", line, "\"division-bell\"");
    let secret = secret(own, &CLIENT).and_then(|secret| {
        secret.ok_or_else(|| own.missing("client_secret_env", "\"BELL_CLIENT_SECRET\""))
    });
    Ok(Client {
        id: id?,
        secret: secret?,
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
    Ok(Web {
        url: url?,
        timeout: timeout?,
        patience: patience?,
        every: every?,
        sweep_every: sweep_every?,
        log: log?,
    })
}

/// A name that becomes a part of a path.
fn segment(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.chars().all(fits) && !text.starts_with('.') {
        true => Ok(text),
        false => Err("it is no name; use letters, digits, points, dashes and underscores".into()),
    }
}

/// An address that secrets may go to.
fn endpoint(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| {
        let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
        (url.scheme() == "https" || url.scheme() == "http" && host.is_some_and(is_loopback))
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    match url.as_ref().is_some_and(fits) {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(
            "this is no address for secrets to go to; use https://, or http:// on this machine, without a question mark"
                .into(),
        ),
    }
}

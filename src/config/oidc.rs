//! Who vouches for people who look at the page: `[web.oidc]`, an identity provider by OpenID Connect.

use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

use super::organisation::Role;
use super::secret::{SecretKeys, secret};
use super::section::{Parsed, Read, Section, Value};
use super::values::{is_loopback, line};

/// What people are called in the ledger whom an identity provider vouches for, followed by its name for them.
pub const VOUCHED: &str = "oidc:";

const CLIENT: SecretKeys = SecretKeys {
    inline: "client_secret",
    env: "client_secret_env",
    file: "client_secret_file",
};

/// An identity provider, and what its word is worth here.
#[derive(Debug, Clone, Serialize)]
pub struct Oidc {
    /// Where it is; its configuration is below `.well-known` there.
    pub issuer: String,
    /// As it knows us.
    pub client_id: String,
    /// What proves that we are it.
    #[serde(skip)]
    pub client_secret: SecretString,
    /// Where browsers find the page, without a slash at the end. The provider sends them back below it.
    pub page_url: String,
    /// The claim that names somebody.
    pub name_claim: String,
    /// The claim that lists what they belong to.
    pub roles_claim: String,
    /// What belonging to it is worth here.
    pub roles: Vec<(String, Role)>,
}

pub(super) fn oidc(web: &Section<'_>) -> Read<Option<Oidc>> {
    let own = web.section("oidc");
    if own.is_absent() {
        return Ok(None);
    }
    let issuer = own.required(
        "issuer",
        address,
        "\"https://login.parl.example/realms/staff\"",
    );
    let client_id = own.required("client_id", line, "\"division-bell\"");
    let client_secret = secret(&own, &CLIENT).and_then(|secret| {
        secret.ok_or_else(|| own.missing("client_secret_env", "\"BELL_OIDC_SECRET\""))
    });
    let page_url = own.required("page_url", address, "\"https://bell.parl.example\"");
    let name_claim = own.or("name_claim", line, "preferred_username".to_owned());
    let roles_claim = own.or("roles_claim", line, "groups".to_owned());
    let roles = roles(&own);
    own.finish()?;
    Ok(Some(Oidc {
        issuer: issuer?,
        client_id: client_id?,
        client_secret: client_secret?,
        page_url: page_url?.trim_end_matches('/').to_owned(),
        name_claim: name_claim?,
        roles_claim: roles_claim?,
        roles: roles?,
    }))
}

fn roles(oidc: &Section<'_>) -> Read<Vec<(String, Role)>> {
    let own = oidc.section("roles");
    let listed = [
        ("security", Role::Security),
        ("approver", Role::Approver),
        ("communications", Role::Communications),
        ("compliance", Role::Compliance),
        ("incident_lead", Role::IncidentLead),
    ]
    .map(|(key, role)| -> Read<Vec<_>> {
        let groups = own.list(key, line)?.unwrap_or_default();
        Ok(groups.into_iter().map(|group| (group, role)).collect())
    });
    own.finish()?;
    let listed: Vec<Vec<_>> = listed.into_iter().collect::<Read<_>>()?;
    let listed: Vec<_> = listed.into_iter().flatten().collect();
    match listed.is_empty() {
        true => Err(oidc.missing("roles", "{ security = [\"bell-security\"] }")),
        false => Ok(listed),
    }
}

fn address(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let is_ours = |url: &Url| {
        let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
        url.scheme() == "https" || url.scheme() == "http" && host.is_some_and(is_loopback)
    };
    match Url::parse(&text).is_ok_and(|url| is_ours(&url)) {
        true => Ok(text),
        false => {
            Err("this is no address of a page; use https://, or http:// on this machine".into())
        }
    }
}

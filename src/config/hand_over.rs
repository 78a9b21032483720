//! How the identity provider is asked to force a change: `[hand_over]`. Without the section a human being asks.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

use super::hashed;
use super::secret::{PASSWORD, SecretKeys, secret};
use super::section::{Parsed, Read, Section, Value};
use super::values::{choice, duration, has_no_login, is_private, line, path};
use crate::domain::hand_over::HandOverKind;

/// How the identity provider is asked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HandOver {
    /// A line in a file.
    File(#[serde(serialize_with = "hashed::path")] PathBuf),
    /// A signed request.
    Webhook {
        /// Where it goes.
        url: String,
        /// What it is signed with.
        #[serde(skip)]
        secret: SecretString,
        /// How long to wait for an answer.
        #[serde(serialize_with = "hashed::span")]
        timeout: Duration,
    },
    /// A write to the directory.
    Ldap {
        /// `ldaps://…`, or `ldap://…`, which is put under TLS.
        server: String,
        /// Who writes.
        bind_dn: String,
        /// Their password.
        #[serde(skip)]
        password: SecretString,
        /// Below which accounts are looked for.
        base_dn: String,
        /// Certificates to trust beside the system's.
        #[serde(serialize_with = "hashed::some_path")]
        ca_file: Option<PathBuf>,
        /// How long each answer may take.
        #[serde(serialize_with = "hashed::span")]
        timeout: Duration,
    },
}

const KINDS: &[(&str, HandOverKind)] = &[
    ("file", HandOverKind::File),
    ("webhook", HandOverKind::Webhook),
    ("ldap", HandOverKind::Ldap),
];

const SECRET: SecretKeys = SecretKeys {
    inline: "secret",
    env: "secret_env",
    file: "secret_file",
};

/// Everything is read whatever the kind, so that one may go from one to the other by one word.
pub(super) fn hand_over(root: &Section<'_>) -> Read<Option<HandOver>> {
    let own = root.section("hand_over");
    if own.is_absent() {
        return Ok(None);
    }
    let kind = own.required("kind", choice(KINDS), "\"file\"");
    let file = own.optional("file", path);
    let url = own.optional("url", address);
    let signed_with = secret(&own, &SECRET);
    let server = own.optional("server", server);
    let bind_dn = own.optional("bind_dn", line);
    let password = secret(&own, &PASSWORD);
    let base_dn = own.optional("base_dn", line);
    let ca_file = own.optional("ca_file", path);
    let second = Duration::from_secs(1);
    let timeout = own.or("timeout", duration(second, 120 * second), 20 * second);
    own.finish_after(|own| {
        Ok(Some(match kind? {
            HandOverKind::File => {
                HandOver::File(file?.ok_or_else(|| own.missing("file", "\"hand-over.csv\""))?)
            }
            HandOverKind::Webhook => HandOver::Webhook {
                url: url?.ok_or_else(|| own.missing("url", "\"https://idp.example/hand-over\""))?,
                secret: signed_with?
                    .ok_or_else(|| own.missing(SECRET.env, "\"BELL_HAND_OVER_SECRET\""))?,
                timeout: timeout?,
            },
            HandOverKind::Ldap => HandOver::Ldap {
                server: server?
                    .ok_or_else(|| own.missing("server", "\"ldaps://dc1.parl.example\""))?,
                bind_dn: bind_dn?.ok_or_else(|| {
                    own.missing("bind_dn", "\"CN=bell-force,CN=Users,DC=parl,DC=example\"")
                })?,
                password: password?
                    .ok_or_else(|| own.missing(PASSWORD.env, "\"BELL_FORCE_PASSWORD\""))?,
                base_dn: base_dn?
                    .ok_or_else(|| own.missing("base_dn", "\"DC=parl,DC=example\""))?,
                ca_file: ca_file?,
                timeout: timeout?,
            },
        }))
    })
}

/// What goes there says whose password is bad, so it has to be this machine or TLS.
fn address(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| is_private(url) && has_no_login(url);
    match url.as_ref().is_some_and(fits) {
        true => Ok(text),
        false => Err(
            "this is no address for accounts to be named to; use https://, or http:// on this machine"
                .into(),
        ),
    }
}

fn server(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| {
        ["ldaps", "ldap"].contains(&url.scheme())
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
    };
    match url.as_ref().is_some_and(fits) {
        true => Ok(text),
        false => Err(
            "this is no directory's address; write ldaps://HOST, or ldap://HOST, which is put under TLS"
                .into(),
        ),
    }
}

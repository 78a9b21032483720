//! Sign-in: how a reader gets its token: one that was given out or that a program prints, a client's own secret or
//! certificate, or a signed statement of a service account.

use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Access, Client, Proof, ServiceError, assertion};
use crate::domain::Moment;
use crate::token::TokenSource;

/// A key file is a few kilobytes.
const LARGEST: u64 = 64 * 1024;
/// How long a token is asked for, in seconds: the longest that Google gives.
const LIFETIME: i64 = 3600;

/// How a reader proves who it is.
pub(super) enum SignIn {
    /// By a token that was given out for good, with the word before it.
    Fixed {
        /// `SSWS `, as Okta wants it.
        before: &'static str,
        /// The token.
        token: SecretString,
    },
    /// Nobody asks who we are.
    Open,
    /// By a key in a header of its own.
    Key(&'static str, Access<SecretString>),
    /// By an access token that a program prints.
    Printed(TokenSource),
    /// By a client's own secret, or its certificate.
    Client {
        /// Where tokens are given out.
        url: Url,
        /// Who asks.
        client: Client,
        /// What for, where that has to be said.
        scope: Option<String>,
    },
    /// By a statement that a service account signs.
    ServiceAccount {
        /// Its key, as it was downloaded.
        key_file: PathBuf,
        /// On whose behalf it reads.
        subject: String,
        /// What for.
        scope: String,
        /// In place of the address that the key names.
        url: Option<Url>,
    },
}

#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: SecretString,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    access_token: SecretString,
}

impl SignIn {
    /// By a token that was given out or that a program prints, with a word before it.
    pub fn token(before: &'static str, access: Access<SecretString>) -> Self {
        match access {
            Access::Own(token) => Self::Fixed { before, token },
            Access::Printed(source) => Self::Printed(source),
        }
    }

    /// By a client's own proof, at `url`.
    pub fn client(url: Url, scope: Option<String>, access: Access<Client>) -> Self {
        match access {
            Access::Own(client) => Self::Client { url, client, scope },
            Access::Printed(source) => Self::Printed(source),
        }
    }

    /// The header that says who we are.
    pub const fn header(&self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Key(name, _) => Some(name),
            Self::Fixed { .. }
            | Self::Printed(_)
            | Self::Client { .. }
            | Self::ServiceAccount { .. } => Some("authorization"),
        }
    }

    /// Whether another token can be had in place of one that is refused.
    pub const fn can_renew(&self) -> bool {
        !matches!(self, Self::Fixed { .. } | Self::Open | Self::Key(..))
    }

    /// The token that was given out for good, or that a program prints.
    pub async fn given(&self) -> Result<SecretString, ServiceError> {
        let whole = |before: &str, token: &SecretString| {
            let whole = Zeroizing::new(format!("{before}{}", token.expose_secret()));
            SecretString::from(whole.as_str())
        };
        match self {
            Self::Fixed { before, token } => Ok(whole(before, token)),
            Self::Printed(source) => Ok(whole("Bearer ", &source.fetch().await?)),
            Self::Key(_, Access::Own(key)) => Ok(key.clone()),
            Self::Key(_, Access::Printed(source)) => Ok(source.fetch().await?),
            Self::Open => Ok(SecretString::from("")),
            Self::Client { .. } | Self::ServiceAccount { .. } => Err(ServiceError::NoToken),
        }
    }

    /// Where to ask for a token, and the form to send; none if there is one already.
    pub async fn question(&self, now: Moment) -> Result<Option<(Url, String)>, ServiceError> {
        match self {
            Self::Fixed { .. } | Self::Printed(_) | Self::Key(..) | Self::Open => Ok(None),
            Self::Client { url, client, scope } => {
                let mut pairs = vec![
                    ("grant_type", "client_credentials"),
                    ("client_id", client.id.as_str()),
                ];
                let statement = match &client.proof {
                    Proof::Secret(secret) => {
                        pairs.push(("client_secret", secret.expose_secret()));
                        None
                    }
                    Proof::Certificate(own) => {
                        Some(assertion::statement(own, &client.id, url, now).await?)
                    }
                };
                if let Some(statement) = &statement {
                    pairs.push(("client_assertion_type", assertion::TYPE));
                    pairs.push(("client_assertion", statement));
                }
                pairs.extend(scope.as_ref().map(|scope| ("scope", scope.as_str())));
                Ok(Some((url.clone(), form(&pairs)?)))
            }
            Self::ServiceAccount {
                key_file,
                subject,
                scope,
                url,
            } => {
                let key = key(key_file.clone()).await?;
                let url = match (url, &key.token_uri) {
                    (Some(url), _) => url.clone(),
                    (None, Some(named)) => Url::parse(named).map_err(|_| ServiceError::Key)?,
                    (None, None) => return Err(ServiceError::Key),
                };
                if url.scheme() != "https" && !is_here(&url) {
                    return Err(ServiceError::Key);
                }
                let statement = statement(&key, subject, scope, &url, now)?;
                let pairs = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", statement.as_str()),
                ];
                Ok(Some((url, form(&pairs)?)))
            }
        }
    }

    /// The token in an answer, as it is sent.
    pub fn answer(body: &[u8]) -> Result<SecretString, ServiceError> {
        let token: Token = serde_json::from_slice(body).map_err(|_| ServiceError::NoToken)?;
        let token = token.access_token;
        let text = token.expose_secret();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ServiceError::NoToken);
        }
        let whole = Zeroizing::new(format!("Bearer {text}"));
        Ok(SecretString::from(whole.as_str()))
    }
}

fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn form(pairs: &[(&str, &str)]) -> Result<String, ServiceError> {
    let mut url = Url::parse("http://localhost/").map_err(|_| ServiceError::Setup)?;
    url.query_pairs_mut().extend_pairs(pairs);
    Ok(url.query().unwrap_or_default().to_owned())
}

async fn key(path: PathBuf) -> Result<Key, ServiceError> {
    let bytes = contents(&path)
        .await
        .map_err(|error| ServiceError::KeyFile(error.kind()))?;
    serde_json::from_slice(&bytes).map_err(|_| ServiceError::Key)
}

/// What a file of keys holds; a larger one is none.
pub(super) async fn contents(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 64));
    let file = tokio::fs::File::open(path).await?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// A part of a signed statement (RFC 7515 section 7.1).
pub(super) fn part(value: &serde_json::Value) -> String {
    BASE64URL_NOPAD.encode(value.to_string().as_bytes())
}

/// RFC 7523: who asks, for whom, for what, until when; signed with RS256 by the system's OpenSSL.
fn statement(
    key: &Key,
    subject: &str,
    scope: &str,
    url: &Url,
    now: Moment,
) -> Result<String, ServiceError> {
    let issued = now.micros().div_euclid(1_000_000);
    let claims = json!({
        "iss": key.client_email, "sub": subject, "scope": scope, "aud": url.as_str(),
        "iat": issued, "exp": issued + LIFETIME,
    });
    let signed = format!(
        "{}.{}",
        part(&json!({ "alg": "RS256", "typ": "JWT" })),
        part(&claims)
    );
    let sign = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let key = PKey::private_key_from_pem(key.private_key.expose_secret().as_bytes())?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.sign_oneshot_to_vec(signed.as_bytes())
    };
    // OpenSSL's own words might quote the key.
    let signature = sign().map_err(|_| ServiceError::Key)?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

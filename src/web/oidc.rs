//! OpenID Connect: out to the identity provider, and back with its word for who somebody is (authorization code with PKCE).
//!
//! Nothing is kept here meanwhile: state, nonce and PKCE verifier are made from what the browser holds, so that any instance
//! can take it up, and no other browser can.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use axum::extract::{Query, State};
use axum::http;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use chrono::TimeDelta;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl,
    Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::Mutex;

use super::session::{cookie, keep, keep_on_the_way, session_cookie, way_cookie};
use super::sorry::Sorry;
use super::{Site, Web};
use crate::config::{Oidc, Role};
use crate::desk::keys;
use crate::domain::totp::is_same;

/// How long somebody may take at the provider.
const AWAY: TimeDelta = TimeDelta::minutes(10);

/// How long what the provider says of itself is taken for true.
const KNOWN: Duration = Duration::from_secs(600);

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer of a provider is a few kilobytes.
const LARGEST: usize = 1 << 20;

/// What is known of the identity provider, and how it is spoken to.
pub(super) struct Provider {
    client: reqwest::Client,
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// Why the provider did not answer.
#[derive(Debug, thiserror::Error)]
enum Silent {
    #[error("asking the identity provider")]
    Asking(#[from] reqwest::Error),
    #[error("the identity provider's answer is no HTTP")]
    Form(#[from] http::Error),
    #[error("the identity provider's answer is too long")]
    TooLong,
}

impl Provider {
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            // Whoever could have us follow redirects could have us ask for anything.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .context("making an HTTP client")?;
        Ok(Self {
            client,
            known: Mutex::default(),
        })
    }

    /// What it says of itself, asked anew now and then.
    async fn metadata(&self, oidc: &Oidc) -> anyhow::Result<CoreProviderMetadata> {
        let mut known = self.known.lock().await;
        if let Some((at, metadata)) = &*known
            && at.elapsed() < KNOWN
        {
            return Ok(metadata.clone());
        }
        let issuer = IssuerUrl::new(oidc.issuer.clone()).context("web.oidc.issuer")?;
        let ask = |request: HttpRequest| ask(self.client.clone(), request);
        let metadata = CoreProviderMetadata::discover_async(issuer, &ask)
            .await
            .context("what the identity provider says of itself")?;
        *known = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }
}

/// Whether the provider says where to sign in, where to fetch tokens, and with which keys it signs.
pub(super) async fn check(oidc: &Oidc) -> anyhow::Result<String> {
    let metadata = Provider::new()?.metadata(oidc).await?;
    anyhow::ensure!(
        metadata.token_endpoint().is_some() && !metadata.jwks().keys().is_empty(),
        "the identity provider names no token endpoint, or no keys"
    );
    Ok("the identity provider answers, and says how it is spoken to".to_owned())
}

/// One request, by the one HTTP client that there is.
async fn ask(client: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Silent> {
    let mut response = client.execute(request.try_into()?).await?;
    let mut answer = http::Response::builder().status(response.status());
    if let Some(form) = response.headers().get(header::CONTENT_TYPE) {
        answer = answer.header(header::CONTENT_TYPE, form);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Silent::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(answer.body(body)?)
}

/// What is made from what a browser holds, for one purpose.
fn made_from(held: &str, purpose: &str) -> String {
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(held.as_bytes()) else {
        return String::new();
    };
    mac.update(purpose.as_bytes());
    BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())
}

/// Our client at the provider, as a type that nobody wants to write down.
macro_rules! client {
    ($oidc:expr, $metadata:expr) => {
        CoreClient::from_provider_metadata(
            $metadata,
            ClientId::new($oidc.client_id.clone()),
            Some(ClientSecret::new(
                $oidc.client_secret.expose_secret().to_owned(),
            )),
        )
        .set_redirect_uri(
            RedirectUrl::new(format!("{}/sign-in/back", $oidc.page_url))
                .context("web.oidc.page_url")?,
        )
    };
}

fn configured(web: &Web) -> Result<&Oidc, Sorry> {
    web.listen.oidc.as_ref().ok_or(Sorry::Nothing)
}

/// What went wrong between us and the provider is for the log; whoever wants to sign in tries again.
fn unknown(error: &anyhow::Error) -> Sorry {
    tracing::warn!("somebody could not sign in by the identity provider: {error:#}");
    Sorry::Unknown
}

pub(super) async fn out(State(site): State<Site>) -> Result<Response, Sorry> {
    let oidc = configured(&site)?;
    let held = keys::chance();
    let to = address(&site, oidc, &held)
        .await
        .map_err(|error| unknown(&error))?;
    let kept = keep_on_the_way(&site, way_cookie(&site), &held, AWAY)?;
    Ok(([(header::SET_COOKIE, kept)], Redirect::to(&to)).into_response())
}

async fn address(web: &Web, oidc: &Oidc, held: &str) -> anyhow::Result<String> {
    let client = client!(oidc, web.provider.metadata(oidc).await?);
    let verifier = PkceCodeVerifier::new(made_from(held, "pkce"));
    let (state, nonce) = (made_from(held, "state"), made_from(held, "nonce"));
    let (to, _, _) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        )
        .add_scope(Scope::new("profile".to_owned()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .url();
    Ok(to.to_string())
}

/// What a browser brings back.
#[derive(Deserialize)]
pub(super) struct Brought {
    code: Option<String>,
    state: Option<String>,
}

pub(super) async fn back(
    State(site): State<Site>,
    headers: HeaderMap,
    Query(brought): Query<Brought>,
) -> Result<Response, Sorry> {
    let oidc = configured(&site)?;
    let held = cookie(&headers, way_cookie(&site)).ok_or(Sorry::Form)?;
    let (Some(code), Some(state)) = (brought.code, brought.state) else {
        return Err(Sorry::Unknown);
    };
    if !is_same(state.as_bytes(), made_from(&held, "state").as_bytes()) {
        return Err(Sorry::Form);
    }
    let claims = claims(&site, oidc, &held, code)
        .await
        .map_err(|error| unknown(&error))?;
    let name = claims.get(&oidc.name_claim).and_then(Value::as_str);
    let name = name.ok_or_else(|| {
        unknown(&anyhow::anyhow!(
            "the ID token has no claim {:?}; see web.oidc.name_claim",
            oidc.name_claim
        ))
    })?;
    let roles = worth(oidc, &claims);
    if roles.is_empty() {
        return Err(Sorry::NoRole);
    }
    let lasts = site.listen.session_lasts;
    let browser = keys::vouched(&site.app, name, &roles, lasts).await?;
    // A strict cookie is not sent while a browser still comes from another site: it goes on from a page of our own.
    let page = "<!DOCTYPE html>\n<html lang=\"en-GB\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0; url=/\">\
                <title>Division Bell</title></head><body><p><a href=\"/\">Go on</a></p></body></html>\n";
    let mut response = Html(page).into_response();
    for cookie in [
        keep(&site, session_cookie(&site), &browser, lasts)?,
        keep_on_the_way(&site, way_cookie(&site), "", TimeDelta::zero())?,
    ] {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The claims of the ID token that the provider gives for this code. Signature, issuer, audience, time and nonce are right.
async fn claims(web: &Web, oidc: &Oidc, held: &str, code: String) -> anyhow::Result<Value> {
    let client = client!(oidc, web.provider.metadata(oidc).await?);
    let ask = |request: HttpRequest| ask(web.provider.client.clone(), request);
    let answer = client
        .exchange_code(AuthorizationCode::new(code))
        .context("the identity provider has no token endpoint")?
        .set_pkce_verifier(PkceCodeVerifier::new(made_from(held, "pkce")))
        .request_async(&ask)
        .await
        .context("the code that it gave")?;
    let Some(token) = answer.id_token() else {
        bail!("the identity provider gave no ID token");
    };
    let clock = web.app.clock.clone();
    let verifier = client
        .id_token_verifier()
        .set_time_fn(move || clock.now().utc());
    token
        .claims(&verifier, &Nonce::new(made_from(held, "nonce")))
        .context("its ID token")?;
    // The same text that was just verified, read once more for claims that only this organisation knows.
    let text = token.to_string();
    let payload = text.split('.').nth(1).unwrap_or_default();
    let payload = BASE64URL_NOPAD
        .decode(payload.as_bytes())
        .context("its ID token's claims")?;
    serde_json::from_slice(&payload).context("its ID token's claims")
}

/// The roles that what somebody belongs to is worth.
fn worth(oidc: &Oidc, claims: &Value) -> Vec<Role> {
    // A claim's own name may hold dots, as an address does; and some providers put it into another, as realm_access.roles.
    let listed = claims.get(&oidc.roles_claim).or_else(|| {
        let mut keys = oidc.roles_claim.split('.');
        keys.try_fold(claims, |outer, key| outer.get(key))
    });
    let groups: Vec<&str> = match listed {
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(group)) => vec![group],
        _ => Vec::new(),
    };
    let mut roles: Vec<Role> = oidc
        .roles
        .iter()
        .filter(|(group, _)| groups.contains(&group.as_str()))
        .map(|(_, role)| *role)
        .collect();
    roles.sort();
    roles.dedup();
    roles
}

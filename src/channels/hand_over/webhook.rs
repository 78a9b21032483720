//! Webhook: one signed request an account, with a key by which the other side knows it again.

use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::join_all;
use hmac::{Hmac, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;

use super::{HandOverError, HandOverRequest};
use crate::clock::Clock;
use crate::domain::hand_over::Answer;

/// The field that holds the signature: `t=` seconds since 1970, `,v1=` the HMAC-SHA-256 of those seconds, a dot and the
/// body, in hexadecimal.
pub const SIGNATURE: &str = "bell-signature";
const KEY: &str = "idempotency-key";

/// Requests on their way at once.
const AT_ONCE: usize = 4;
/// What is read of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Somebody else's service.
pub struct Webhook {
    pub(super) client: Client,
    pub(super) url: Url,
    secret: SecretString,
    clock: Clock,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    /// Requests go to `url`, signed with `secret`. The clock dates the signatures.
    pub fn new(
        url: &str,
        secret: &SecretString,
        clock: Clock,
        timeout: Duration,
    ) -> Result<Self, HandOverError> {
        let client = Client::builder()
            .use_native_tls()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(20)) / 2)
            // A proxy from the environment would see who it is about; a redirect could take it elsewhere.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("division-bell/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| HandOverError::Client)?;
        Ok(Self {
            client,
            url: Url::parse(url).map_err(|_| HandOverError::Url)?,
            secret: secret.clone(),
            clock,
        })
    }

    pub(super) async fn ask(&self, requests: &[HandOverRequest]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(requests.len());
        for some in requests.chunks(AT_ONCE) {
            answers.extend(join_all(some.iter().map(|request| self.one(request))).await);
        }
        answers
    }

    async fn one(&self, request: &HandOverRequest) -> Answer {
        let Some((body, signature)) = self.signed(request) else {
            return Answer::Refused {
                word: "no_request",
                proof: None,
            };
        };
        let sent = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(HeaderName::from_static(KEY), &request.key)
            .header(HeaderName::from_static(SIGNATURE), signature)
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => understood(response).await,
            // Nobody was there to be asked.
            Err(error) if error.is_connect() => Answer::Later {
                word: "unreachable",
            },
            Err(_) => Answer::InDoubt { word: "no_answer" },
        }
    }

    fn signed(&self, request: &HandOverRequest) -> Option<(String, String)> {
        let body = serde_json::to_string(request).ok()?;
        let seconds = self.clock.now().micros().div_euclid(1_000_000);
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()).ok()?;
        mac.update(format!("{seconds}.{body}").as_bytes());
        let tag = HEXLOWER.encode(&mac.finalize().into_bytes());
        Some((body, format!("t={seconds},v1={tag}")))
    }
}

/// What a status means. A key that is known already is answered like the first time, so an error of the other side is
/// a doubt that asking again settles.
async fn understood(response: Response) -> Answer {
    let status = response.status().as_u16();
    match status {
        200..=299 => {
            let id = id_of(response).await;
            let id = id.map(|id| format!(", id {id}")).unwrap_or_default();
            Answer::Done {
                word: "accepted",
                proof: format!("status {status}{id}"),
            }
        }
        408 | 425 | 429 | 503 => Answer::Later { word: "busy" },
        // Ours to put right: a secret that is wrong, an address that is not there yet.
        401 | 403 | 404 => Answer::Later {
            word: "not_allowed",
        },
        500..=599 => Answer::InDoubt {
            word: "its_own_error",
        },
        _ => Answer::Refused {
            word: "refused",
            proof: Some(format!("status {status}")),
        },
    }
}

/// The other side's own number for it: `id` of a JSON answer, if it is a plain word.
async fn id_of(mut response: Response) -> Option<String> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LONGEST_ANSWER.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if room <= chunk.len() {
            break;
        }
    }
    let json: Value = serde_json::from_slice(&body).ok()?;
    let id = match json.get("id")? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_plain = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    is_plain.then_some(id)
}

//! Signed webhook: each message is one request, signed as Standard Webhooks has it: HMAC-SHA-256 over the id, the time and the
//! body. A repeated request has the same id, by which the other side knows it; a change is a request of its own.

use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;

use super::http::{ChatError, ask, client};
use super::render::cut;
use super::{MessageId, Miss, Refusal, StatusPost};
use crate::clock::Clock;

/// The fields that a receiver checks.
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// What a secret of Standard Webhooks begins with; the rest is base64.
const PREFIX: &str = "whsec_";

/// Longest text of a field, in characters, and the most lines: nobody takes a request without end.
const PIECE: usize = 4_000;
const LINES: usize = 40;

/// Somebody else's service.
#[derive(Clone)]
pub struct SignedWebhook {
    client: Client,
    url: Url,
    key: std::sync::Arc<SecretBox<Vec<u8>>>,
    clock: Clock,
}

impl std::fmt::Debug for SignedWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedWebhook").finish_non_exhaustive()
    }
}

impl SignedWebhook {
    /// Requests go to `url`, signed with `secret`: `whsec_` and base64, or any text as it is. The clock dates the signatures.
    pub fn new(url: &str, secret: &SecretString, clock: Clock) -> Result<Self, ChatError> {
        let text = secret.expose_secret();
        let key = match text.strip_prefix(PREFIX) {
            Some(coded) => BASE64
                .decode(coded.as_bytes())
                .map_err(|_| ChatError::Token)?,
            None => text.as_bytes().to_vec(),
        };
        Ok(Self {
            client: client()?,
            url: Url::parse(url).map_err(|_| ChatError::Url)?,
            key: std::sync::Arc::new(SecretBox::new(Box::new(key))),
            clock,
        })
    }

    pub(super) async fn say(&self, post: &StatusPost, key: &str) -> Result<MessageId, Miss> {
        let now = self.clock.now();
        let seconds = now.micros().div_euclid(1_000_000);
        let body = body(post, &now.to_string()).to_string();
        let signature = self
            .signature(&format!("{key}.{seconds}.{body}"))
            .ok_or_else(|| Refusal::message("the request cannot be signed"))?;
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header(ID, key)
            .header(TIMESTAMP, seconds)
            .header(SIGNATURE, signature)
            .body(body);
        let reply = ask(request).await?;
        match reply.is_good() {
            true => Ok(MessageId(key.to_owned())),
            false => Err(reply.miss("the webhook")),
        }
    }

    fn signature(&self, content: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).ok()?;
        mac.update(content.as_bytes());
        Some(format!(
            "v1,{}",
            BASE64.encode(&mac.finalize().into_bytes())
        ))
    }
}

/// Whether a post's text is not cut.
pub(super) fn shows_whole(text: &str) -> bool {
    text.chars().count() <= PIECE
}

/// Plain text in named fields: what is to be shown, whoever shows it.
fn body(post: &StatusPost, at: &str) -> Value {
    let piece = |text: &str| cut(text, PIECE);
    let lines: Vec<Value> = post
        .lines
        .iter()
        .take(LINES)
        .map(|line| json!({ "label": piece(&line.label), "value": piece(&line.value) }))
        .collect();
    json!({
        "type": "division_bell.post",
        "timestamp": at,
        "data": {
            "reference": piece(&post.footer_reference),
            "note": post.footer_note.as_deref().map(piece),
            "title": piece(&post.title),
            "state": piece(&post.state),
            "text": piece(&post.text),
            "lines": lines,
            "picture_words": post.picture.as_ref().map(|picture| piece(&picture.words)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_published_test_vector() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let clock = Clock::at("2021-09-20T00:00:00Z".parse().unwrap());
        let webhook = SignedWebhook::new("http://127.0.0.1:1/", &secret, clock).unwrap();
        assert_eq!(
            webhook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}"),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned())
        );
        assert!(!format!("{webhook:?}").contains("MfKQ"));
    }
}

//! HTTP: one request to a chat's service, and what its answer means before the service's own words are read.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::{Miss, Refusal};
use crate::domain::post::Trouble;

/// How long one call may take, name look-up and answer included.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// What is read of an answer.
const LONGEST_ANSWER: usize = 1 << 20;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Not an address.
    #[error("the address cannot be used")]
    Url,
    /// No characters that a header may hold.
    #[error("the token or secret holds characters that none has")]
    Token,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client,
}

/// Whether a token can stand in a header.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An address below a service's own.
pub(super) fn below(base: &str, path: &str) -> Result<Url, ChatError> {
    Url::parse(&format!("{}/{path}", base.trim_end_matches('/'))).map_err(|_| ChatError::Url)
}

/// A client of our own.
pub(super) fn client() -> Result<Client, ChatError> {
    Client::builder()
        .use_native_tls()
        .timeout(CALL_LIMIT)
        .connect_timeout(CALL_LIMIT / 2)
        // A proxy from the environment would see the token; a redirect could take it elsewhere.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("division-bell/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| ChatError::Client)
}

/// An answer.
pub(super) struct Reply {
    pub status: u16,
    /// How long it asks us to wait.
    pub wait: Option<Duration>,
    /// Nothing if it is no JSON.
    pub json: Value,
}

/// Asks, and reads the answer.
pub(super) async fn ask(request: RequestBuilder) -> Result<Reply, Miss> {
    let response = request.send().await.map_err(|error| match error {
        // Without a connection nothing can have arrived.
        error if error.is_connect() => Miss::Later(None),
        error if error.is_builder() => {
            Refusal::message("the request cannot be built: check the address in the config")
        }
        _ => Miss::Unsure,
    })?;
    let status = response.status().as_u16();
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs);
    let json = body(response).await?;
    Ok(Reply { status, wait, json })
}

async fn body(mut response: Response) -> Result<Value, Miss> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= LONGEST_ANSWER => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some(_)) | Ok(None) => break,
            Err(_) => return Err(Miss::Unsure),
        }
    }
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

impl Reply {
    /// Whether it is a yes.
    pub(super) const fn is_good(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// What a status other than a yes means. `name` is the service's.
    pub(super) fn miss(&self, name: &str) -> Miss {
        let (trouble, meant) = match self.status {
            429 => return Miss::Later(self.wait),
            408 | 500.. => return Miss::Unsure,
            401 => (Trouble::Token, "our token is not valid"),
            403 => (Trouble::Permission, "we lack a permission"),
            404 | 410 => (Trouble::Channel, "there is no such channel"),
            _ => (Trouble::Message, "it refused"),
        };
        refusal(trouble, format!("{name}: {meant} (status {})", self.status))
    }
}

/// A refusal in words.
pub(super) fn refusal(trouble: Trouble, words: String) -> Miss {
    Miss::Never(Refusal { trouble, words })
}

/// A service's own word for an error, as far as it is a plain word.
pub(super) fn plain_word(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_.-".contains(*c))
        .take(80)
        .collect()
}

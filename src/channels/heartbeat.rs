//! Heartbeat: tells whoever listens that a round was good. Silence is the alarm that needs nothing of ours to work.

use std::time::Duration;

use reqwest::{Client, Url, redirect};

/// Why nobody was told. Never names the address: whoever knows it can keep the alarm silent.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// No answer.
    #[error("whoever listens to [alarm] heartbeat does not answer: {0}")]
    Away(#[source] reqwest::Error),
    /// Another answer than one of success.
    #[error("whoever listens to [alarm] heartbeat answers {0}; is the address right?")]
    Refused(u16),
}

/// Asks for the address once. Redirects are not followed.
pub async fn beat(url: &Url) -> Result<(), HeartbeatError> {
    let away = |error: reqwest::Error| HeartbeatError::Away(error.without_url());
    let client = Client::builder()
        .timeout(Duration::from_secs(10))
        .redirect(redirect::Policy::none())
        .user_agent(concat!("division-bell/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(away)?;
    let answer = client.get(url.clone()).send().await.map_err(away)?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(HeartbeatError::Refused(status.as_u16())),
    }
}

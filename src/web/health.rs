//! Health: what machines ask: whether we run, whether we can work, and how much there is to do.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Site, metrics};
use crate::desk::keys;

/// How long the database may take to answer before we are not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// What answers here, for whoever checks a port.
pub(super) const ALIVE: &str = "bell runs\n";

/// The program runs. Asks nobody else, so that a database that is away does not get us restarted.
pub(super) async fn alive() -> &'static str {
    ALIVE
}

/// The database answers, and its schema is this version's.
pub(super) async fn ready(State(site): State<Site>) -> Response {
    let looked = tokio::time::timeout(PATIENCE, site.app.store.is_current()).await;
    let (status, text) = match looked {
        Ok(Ok(true)) => (StatusCode::OK, "ready\n"),
        Ok(Ok(false)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database is of another version: run the same bell everywhere\n",
        ),
        Ok(Err(error)) => {
            tracing::debug!("not ready: {error}");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer\n",
            )
        }
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database takes too long to answer\n",
        ),
    };
    (status, text).into_response()
}

/// Counts for Prometheus. Whoever is not on this machine shows a token.
pub(super) async fn metrics(State(site): State<Site>, headers: HeaderMap) -> Response {
    if !site.listen.is_local() && !may_read(&site, &headers).await {
        let how = [(header::WWW_AUTHENTICATE, "Bearer")];
        let text = "show a token that bell token new NAME has made\n";
        return (StatusCode::UNAUTHORIZED, how, text).into_response();
    }
    match tokio::time::timeout(PATIENCE, site.metrics()).await {
        Ok(Ok(text)) => {
            let form = [(header::CONTENT_TYPE, metrics::FORM)];
            (form, text).into_response()
        }
        Ok(Err(error)) => {
            tracing::debug!("no metrics: {error:#}");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer\n",
            )
                .into_response()
        }
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database takes too long to answer\n",
        )
            .into_response(),
    }
}

/// The counts of the overview, for programs that show a token.
pub(super) async fn figures(State(site): State<Site>, headers: HeaderMap) -> Response {
    if !may_read(&site, &headers).await {
        let how = [(header::WWW_AUTHENTICATE, "Bearer")];
        let text = "show a token that bell token new NAME has made\n";
        return (StatusCode::UNAUTHORIZED, how, text).into_response();
    }
    match site.counted().await {
        Ok(counted) => {
            let told = serde_json::json!({ "as_of": counted.as_of, "figures": counted.figures });
            axum::Json(told).into_response()
        }
        Err(error) => super::Sorry::from(error).into_response(),
    }
}

/// Whether a token that we have made, and not taken back, is shown.
async fn may_read(site: &Site, headers: &HeaderMap) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("Bearer "));
    let Some(shown) = shown else { return false };
    match keys::token(&site.app, shown.trim()).await {
        Ok(found) => found.is_some(),
        Err(error) => {
            tracing::debug!("a token could not be looked up: {error:#}");
            false
        }
    }
}

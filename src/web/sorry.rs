//! Sorry: an answer that is none, in a sentence that says what to do.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

use crate::desk::roles::Declined;
use crate::store::StoreError;

/// Why somebody does not get what they asked for.
#[derive(Debug)]
pub(super) enum Sorry {
    /// They have not signed in, or no longer.
    SignIn,
    /// Their roles do not take them here.
    NotYours,
    /// There is no such thing.
    Nothing,
    /// It was asked for by another name than ours, or from another site.
    Elsewhere,
    /// The form was not ours, or is too old.
    Form,
    /// The identity provider did not say who they are.
    Unknown,
    /// It did, and nothing that they belong to is worth a role here.
    NoRole,
    /// The database does not answer.
    Busy,
    /// Something went wrong that the log tells.
    Wrong,
}

impl From<anyhow::Error> for Sorry {
    fn from(error: anyhow::Error) -> Self {
        if error.chain().any(|cause| cause.is::<Declined>()) {
            return Self::NotYours;
        }
        let is_passing = error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<StoreError>())
            .any(StoreError::is_passing);
        if is_passing {
            tracing::debug!("the page: {error:#}");
            return Self::Busy;
        }
        tracing::error!("the page: {error:#}");
        Self::Wrong
    }
}

impl From<StoreError> for Sorry {
    fn from(error: StoreError) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl IntoResponse for Sorry {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::SignIn => return Redirect::to("/sign-in").into_response(),
            Self::NotYours => (
                StatusCode::FORBIDDEN,
                "Your roles do not show you this. The config says who has which.",
            ),
            Self::Nothing => (StatusCode::NOT_FOUND, "There is nothing here."),
            Self::Elsewhere => (
                StatusCode::FORBIDDEN,
                "This was asked for by a name that is not ours, from another site, or through a proxy that the config does not know of (web.behind_proxy). Please begin at our first page.",
            ),
            Self::Form => (
                StatusCode::FORBIDDEN,
                "This form is not ours, or has waited too long. Please go back, load the page anew, and try again.",
            ),
            Self::Unknown => (
                StatusCode::FORBIDDEN,
                "Your organisation's sign-in did not tell us who you are. Please try again; if it goes on, the log says why.",
            ),
            Self::NoRole => (
                StatusCode::FORBIDDEN,
                "You are known, and have no role here. The config says which groups have which.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database does not answer. Please try again in a minute.",
            ),
            Self::Wrong => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong here. The log says what.",
            ),
        };
        (status, Html(page(text))).into_response()
    }
}

/// `text` is one of the sentences above: nothing in it has to be escaped.
fn page(text: &'static str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en-GB\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Division Bell</title><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body><main id=\"main\" class=\"narrow\"><h1>Division Bell</h1><p>{text}</p><p><a href=\"/\">To the first page</a></p></main></body></html>\n"
    )
}

pub(super) async fn nothing_here() -> Sorry {
    Sorry::Nothing
}

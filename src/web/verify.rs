//! Verify: whether a letter is ours, for everybody who has one before them. Says nothing else, and takes as long either way.

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use serde::Deserialize;

use super::Site;
use super::door::Peer;
use super::guard::asker;
use super::sorry::Sorry;
use crate::desk::genuine::genuine;
use crate::desk::roles::Declined;

#[derive(Deserialize)]
pub(super) struct Asked {
    code: Option<String>,
}

pub(super) async fn ask(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Sorry> {
    let code = asked.code.unwrap_or_default();
    let code = code.trim();
    let (status, answer) = match code {
        "" => (StatusCode::OK, String::new()),
        code => match genuine(
            &site.app,
            &site.askings,
            code,
            &asker(&site, peer, &headers),
        )
        .await
        {
            Ok(found) => (StatusCode::OK, found.in_words(&site.app)),
            Err(error) if error.is::<Declined>() => (
                StatusCode::TOO_MANY_REQUESTS,
                "Those were many questions in a short time. Please wait ten minutes.".to_owned(),
            ),
            Err(error) => return Err(error.into()),
        },
    };
    let page = site.templates.render(
        "verify.html",
        context! {
            title => "Is this letter ours?",
            organisation => site.app.config.organisation.name,
            answer,
        },
    )?;
    Ok((status, Html(page)).into_response())
}

//! Sign-in: name, password and the phone's code; and out again.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use chrono::TimeDelta;
use minijinja::context;
use serde::Deserialize;

use super::door::Peer;
use super::guard::asker;
use super::session::{Signed, cookie, form_cookie, keep, session_cookie};
use super::sorry::Sorry;
use super::{Site, Web};
use crate::desk::keys::{self, SignedIn, Typed};

/// How long the form waits for somebody to fill it in.
const FORM_LASTS: TimeDelta = TimeDelta::hours(1);

/// What the form brings.
#[derive(Deserialize)]
pub(super) struct Filled {
    form: String,
    name: String,
    password: String,
    code: String,
}

/// What a form without fields of its own brings.
#[derive(Deserialize)]
pub(super) struct Bare {
    pub form: String,
}

pub(super) async fn form(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Sorry> {
    empty(&site, &headers, StatusCode::OK, "")
}

/// The form, and what was wrong with it before.
fn empty(
    web: &Web,
    headers: &HeaderMap,
    status: StatusCode,
    note: &str,
) -> Result<Response, Sorry> {
    let name = form_cookie(web);
    let held = cookie(headers, name).unwrap_or_else(keys::chance);
    let page = web.templates.render(
        "sign_in.html",
        context! {
            title => "Sign in",
            organisation => web.app.config.organisation.name,
            form => keys::form_token(&held),
            is_vouched_for => web.listen.oidc.is_some(),
            note,
        },
    )?;
    let kept = [(header::SET_COOKIE, keep(web, name, &held, FORM_LASTS)?)];
    Ok((status, kept, Html(page)).into_response())
}

pub(super) async fn enter(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Result<Response, Sorry> {
    let held = cookie(&headers, form_cookie(&site)).ok_or(Sorry::Form)?;
    if !keys::is_own_form(&held, &filled.form) {
        return Err(Sorry::Form);
    }
    let typed = Typed {
        name: filled.name,
        password: filled.password,
        code: filled.code,
    };
    let from = asker(&site, peer, &headers);
    let lasts = site.listen.session_lasts;
    match keys::sign_in(&site.app, &site.tries, typed, &from, lasts).await? {
        SignedIn::Welcome(browser) => {
            let mut response = Redirect::to("/").into_response();
            // A session of its own for each sign-in: what the browser held before is worth nothing.
            for cookie in [
                keep(&site, session_cookie(&site), &browser, lasts)?,
                keep(&site, form_cookie(&site), "", TimeDelta::zero())?,
            ] {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            if let Some(before) = cookie(&headers, session_cookie(&site)) {
                keys::sign_out(&site.app, &before).await?;
            }
            Ok(response)
        }
        SignedIn::No => {
            let note = "Name, password and code do not go together. Please try again; a code is taken once.";
            empty(&site, &headers, StatusCode::FORBIDDEN, note)
        }
        SignedIn::Later => {
            let note = "Those were many tries. Please wait ten minutes.";
            empty(&site, &headers, StatusCode::TOO_MANY_REQUESTS, note)
        }
    }
}

pub(super) async fn leave(
    State(site): State<Site>,
    signed: Signed,
    Form(bare): Form<Bare>,
) -> Result<Response, Sorry> {
    signed.brought(&bare.form)?;
    keys::sign_out(&site.app, &signed.browser).await?;
    let gone = keep(&site, session_cookie(&site), "", TimeDelta::zero())?;
    Ok(([(header::SET_COOKIE, gone)], Redirect::to("/sign-in")).into_response())
}

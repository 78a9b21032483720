//! Session: who looks at a page, by what their browser holds, and what they may see.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use chrono::TimeDelta;

use super::sorry::Sorry;
use super::{Site, Web};
use crate::config::Role;
use crate::desk::keys;

/// Who sees single cases and letters. The communications office sees numbers.
const CASES: [Role; 4] = [
    Role::Security,
    Role::Approver,
    Role::Compliance,
    Role::IncidentLead,
];

/// Who sees whose they are, if they ask.
const NAMES: [Role; 2] = [Role::Security, Role::IncidentLead];

/// An operator who has signed in.
#[derive(Clone)]
pub(super) struct Signed {
    /// As the config has it.
    pub name: String,
    /// What their browser holds.
    pub browser: String,
    /// Whether they see single cases.
    pub sees_cases: bool,
    /// Whether they see names.
    pub sees_names: bool,
}

impl Signed {
    /// Whoever signed in with what this browser holds, if the session is not over.
    pub(super) async fn of(web: &Web, browser: String) -> Result<Self, Sorry> {
        let found = keys::who(&web.app, &browser, web.listen.session_idle).await?;
        let name = found.ok_or(Sorry::SignIn)?;
        let has_one = |roles: &[Role]| roles.iter().any(|role| web.app.has_role(&name, *role));
        // Where only sums may be shown, who reads reports reads no cases.
        let acts = Role::ALL
            .into_iter()
            .any(|role| role.acts_for_people() && web.app.has_role(&name, role));
        Ok(Self {
            sees_cases: has_one(&CASES) && (acts || !web.app.config.report.aggregate_only),
            sees_names: has_one(&NAMES),
            name,
            browser,
        })
    }

    /// Lets them go on to single cases.
    pub(super) fn may_see_cases(&self) -> Result<(), Sorry> {
        self.sees_cases.then_some(()).ok_or(Sorry::NotYours)
    }

    /// A form has to be from a page that this browser was given.
    pub(super) fn brought(&self, token: &str) -> Result<(), Sorry> {
        keys::is_own_form(&self.browser, token)
            .then_some(())
            .ok_or(Sorry::Form)
    }
}

impl FromRequestParts<Site> for Signed {
    type Rejection = Sorry;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Sorry> {
        let held = cookie(&parts.headers, session_cookie(site)).ok_or(Sorry::SignIn)?;
        Self::of(site, held).await
    }
}

/// What the session is kept by. The longer name makes browsers refuse it from anybody but this very host, by TLS.
pub(super) const fn session_cookie(web: &Web) -> &'static str {
    match web.listen.is_encrypted() {
        true => "__Host-bell",
        false => "bell",
    }
}

/// What the form for signing in is known again by.
pub(super) const fn form_cookie(web: &Web) -> &'static str {
    match web.listen.is_encrypted() {
        true => "__Host-bell-form",
        false => "bell-form",
    }
}

/// What the way out to the identity provider and back is known again by.
pub(super) const fn way_cookie(web: &Web) -> &'static str {
    match web.listen.is_encrypted() {
        true => "__Host-bell-way",
        false => "bell-way",
    }
}

/// What a browser holds by this name; nothing that could not be ours.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(own, _)| *own == name)
        .map(|(_, held)| held.to_owned())
        .filter(|held| {
            held.len() == 43
                && held
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        })
}

/// Has a browser hold this for so long; for no time at all, it forgets it.
pub(super) fn keep(
    web: &Web,
    name: &str,
    held: &str,
    lasts: TimeDelta,
) -> Result<HeaderValue, Sorry> {
    keep_for(web, name, held, lasts, "Strict")
}

/// The same for whoever comes back from another site, as from an identity provider.
pub(super) fn keep_on_the_way(
    web: &Web,
    name: &str,
    held: &str,
    lasts: TimeDelta,
) -> Result<HeaderValue, Sorry> {
    keep_for(web, name, held, lasts, "Lax")
}

fn keep_for(
    web: &Web,
    name: &str,
    held: &str,
    lasts: TimeDelta,
    same_site: &str,
) -> Result<HeaderValue, Sorry> {
    let secure = match web.listen.is_encrypted() {
        true => "; Secure",
        false => "",
    };
    HeaderValue::from_str(&format!(
        "{name}={held}; Path=/; Max-Age={}; HttpOnly; SameSite={same_site}{secure}",
        lasts.num_seconds()
    ))
    .map_err(|_| Sorry::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_ours_is_taken_from_a_browser() {
        let ours = "a".repeat(43);
        let read = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(line).unwrap());
            cookie(&headers, "bell")
        };
        assert_eq!(read(&format!("x=y; bell={ours}")), Some(ours.clone()));
        assert_eq!(read(&format!("bell={ours}; x=y")), Some(ours.clone()));
        assert_eq!(read(&format!("bellx={ours}")), None);
        assert_eq!(read(&format!("bell={ours}a")), None);
        assert_eq!(read("bell="), None);
        assert_eq!(read(&format!("bell={}\"", "a".repeat(42))), None);
    }
}

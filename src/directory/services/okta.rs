//! Okta: the users of an organisation, or those that changed, and the acts of its log.

use chrono::TimeDelta;
use reqwest::header::HeaderMap;
use secrecy::SecretString;

use super::http::Http;
use super::pages::{List, Paging, Position, Reader, below};
use super::sign_in::SignIn;
use super::{Access, Manners, ServiceError};
use crate::directory::evidence::EvidenceOptions;
use crate::domain::Moment;
use crate::domain::evidence::Form;

/// A search sees what changed a little later.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// The log is kept for so long.
const KEPT: TimeDelta = TimeDelta::days(90);
/// Everybody has changed since then.
const EVER: Moment = Moment::from_micros(0);

const EVENTS: &str = r#"eventType eq "user.account.update_password" or eventType eq "user.account.reset_password" or eventType eq "user.account.expire_password""#;

/// An organisation.
#[derive(Clone, Debug)]
pub struct Okta {
    /// Where it is.
    pub url: String,
    /// The API token, or a program that prints an access token.
    pub access: Access<SecretString>,
    /// Whether the log is read too.
    pub log: bool,
}

impl Okta {
    /// Begins to read all of it, or what changed since `position`.
    pub fn reader(
        self,
        manners: Manners,
        options: EvidenceOptions,
        position: Option<&str>,
    ) -> Result<Reader, ServiceError> {
        let since = Position::parse(position).and_then(|before| before.since);
        let since = since.map(|since| since.minus(OVERLAP));
        // A plain list leaves out those who were deactivated; a search does not.
        let changed = format!("lastUpdated gt \"{}\"", stamp(since.unwrap_or(EVER)));
        let users = below(
            &self.url,
            "/api/v1/users",
            &[("limit", "200"), ("search", &changed)],
        )?;
        let list = |url, form, ends_on_empty| List {
            url,
            headers: HeaderMap::new(),
            form,
            paging: Paging::LinkHeader { ends_on_empty },
            begins: None,
        };
        let mut lists = Vec::from_iter(Form::OktaUsers.json().map(|form| list(users, form, false)));
        if self.log {
            let from = since.unwrap_or_else(|| options.observed_at.minus(KEPT));
            let log = below(
                &self.url,
                "/api/v1/logs",
                &[
                    ("since", &stamp(from)),
                    ("until", &stamp(options.observed_at)),
                    ("filter", EVENTS),
                    ("limit", "1000"),
                ],
            )?;
            lists.extend(Form::OktaLog.json().map(|form| list(log, form, true)));
        }
        let next = Position {
            link: None,
            since: Some(options.observed_at),
        };
        let sign_in = match self.access {
            Access::Own(token) => SignIn::Fixed {
                before: "SSWS ",
                token,
            },
            // What a program prints is no API token, which one would write down, but one of OAuth.
            Access::Printed(source) => SignIn::Printed(source),
        };
        let http = Http::new(manners, sign_in)?;
        Ok(Reader::new(
            http,
            options,
            lists,
            since.is_none(),
            Some(next),
        ))
    }
}

/// With milliseconds, as Okta writes them.
fn stamp(at: Moment) -> String {
    at.utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

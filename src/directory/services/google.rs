//! Google: the reports of password changes, and then the users, whose state is newer than any report.

use std::path::PathBuf;

use chrono::TimeDelta;
use reqwest::Url;
use reqwest::header::HeaderMap;

use super::http::Http;
use super::pages::{List, Paging, Position, Reader, below};
use super::sign_in::SignIn;
use super::{Access, Manners, ServiceError};
use crate::directory::evidence::EvidenceOptions;
use crate::domain::EmailAddress;
use crate::domain::evidence::Form;

/// Reports are kept for six months.
const KEPT: TimeDelta = TimeDelta::days(180);
/// Some come hours late.
const LATE: TimeDelta = TimeDelta::days(1);

const SCOPE: &str = "https://www.googleapis.com/auth/admin.directory.user.readonly https://www.googleapis.com/auth/admin.reports.audit.readonly";

/// Where acts are told, and by which name.
const REPORTS: [(&str, &str); 3] = [
    ("user_accounts", "password_edit"),
    ("admin", "CHANGE_PASSWORD"),
    ("admin", "CHANGE_PASSWORD_ON_NEXT_LOGIN"),
];

/// A Workspace.
#[derive(Clone, Debug)]
pub struct Google {
    /// Where its APIs are.
    pub url: String,
    /// Whose users.
    pub customer: String,
    /// Who asks.
    pub access: Access<ServiceAccount>,
}

/// An account of a program, with a key of its own.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// The key, as it was downloaded.
    pub key_file: PathBuf,
    /// On whose behalf it reads.
    pub subject: EmailAddress,
    /// Where tokens are given out, in place of what the key says.
    pub login_url: Option<String>,
}

impl Google {
    /// Begins to read the users and what was reported of them, all that is kept or since `position`.
    pub fn reader(
        self,
        manners: Manners,
        options: EvidenceOptions,
        position: Option<&str>,
    ) -> Result<Reader, ServiceError> {
        let before = Position::parse(position).and_then(|before| before.since);
        let since = match before {
            Some(before) => before.minus(LATE),
            None => options.observed_at.minus(KEPT),
        };
        let list = |url, form| List {
            url,
            headers: HeaderMap::new(),
            form,
            paging: Paging::PageToken,
            begins: None,
        };
        let mut lists = Vec::new();
        let start = since.utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        for (application, event) in REPORTS {
            let path = format!("/admin/reports/v1/activity/users/all/applications/{application}");
            let pairs = [
                ("eventName", event),
                ("startTime", start.as_str()),
                ("maxResults", "1000"),
            ];
            let url = below(&self.url, &path, &pairs)?;
            lists.extend(Form::GoogleActivities.json().map(|form| list(url, form)));
        }
        let pairs = [
            ("customer", self.customer.as_str()),
            ("maxResults", "500"),
            ("projection", "basic"),
        ];
        let users = below(&self.url, "/admin/directory/v1/users", &pairs)?;
        lists.extend(Form::GoogleUsers.json().map(|form| list(users, form)));
        let next = Position {
            link: None,
            since: Some(options.observed_at),
        };
        let sign_in = match self.access {
            Access::Own(account) => account.sign_in()?,
            Access::Printed(source) => SignIn::Printed(source),
        };
        let http = Http::new(manners, sign_in)?;
        let is_sweep = before.is_none();
        Ok(Reader::new(http, options, lists, is_sweep, Some(next)))
    }
}

impl ServiceAccount {
    fn sign_in(self) -> Result<SignIn, ServiceError> {
        let url = match self.login_url {
            Some(url) => Some(Url::parse(&format!("{url}/token")).map_err(|_| ServiceError::Url)?),
            None => None,
        };
        Ok(SignIn::ServiceAccount {
            key_file: self.key_file,
            subject: self.subject.expose().to_owned(),
            scope: SCOPE.to_owned(),
            url,
        })
    }
}

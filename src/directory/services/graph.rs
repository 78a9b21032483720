//! Graph: the users of a tenant, or what changed of them, and the acts of its audit log.

use chrono::TimeDelta;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};

use super::http::Http;
use super::pages::{List, Paging, Position, Reader, below, same_origin};
use super::sign_in::SignIn;
use super::{Access, Client, Manners, ServiceError};
use crate::directory::evidence::{EvidenceOptions, graph};
use crate::domain::evidence::Form;

/// The audit log is kept for so long, at most.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Its entries come late.
const LATE: TimeDelta = TimeDelta::hours(2);

/// A tenant.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Where Graph is.
    pub url: String,
    /// Where tokens are given out.
    pub login_url: String,
    /// Which tenant.
    pub tenant: String,
    /// Who asks.
    pub access: Access<Client>,
    /// Whether only changes are asked for where an earlier reading ended.
    pub delta: bool,
    /// Whether the audit log is read too.
    pub log: bool,
}

impl Graph {
    /// Begins to read all of it, or what changed since `position`.
    pub fn reader(
        self,
        manners: Manners,
        options: EvidenceOptions,
        position: Option<&str>,
    ) -> Result<Reader, ServiceError> {
        let before = Position::parse(position);
        let (all, delta) = ("/v1.0/users", "/v1.0/users/delta");
        let begins = match self.delta {
            true => below(&self.url, delta, &[("$select", graph::SELECT)])?,
            false => below(
                &self.url,
                all,
                &[("$select", graph::SELECT), ("$top", "999")],
            )?,
        };
        let link = before
            .as_ref()
            .and_then(|before| before.link.as_deref())
            .filter(|_| self.delta)
            .and_then(|link| same_origin(&begins, link).ok());
        let mut headers = HeaderMap::new();
        if self.delta {
            headers.insert("prefer", HeaderValue::from_static("odata.maxpagesize=999"));
        }
        let mut lists = Vec::from_iter(Form::GraphUsers.json().map(|form| List {
            begins: link.as_ref().map(|_| begins.clone()),
            url: link.clone().unwrap_or(begins),
            headers,
            form,
            paging: Paging::NextLink,
        }));
        if self.log {
            let since = before.as_ref().and_then(|before| before.since);
            lists.extend(self.audits(&options, since.map(|since| since.minus(LATE)))?);
        }
        let next = Position {
            link: None,
            since: Some(options.observed_at),
        };
        let scope = Some(format!("{}/.default", self.url));
        let token = below(
            &self.login_url,
            &format!("/{}/oauth2/v2.0/token", self.tenant),
            &[],
        )?;
        let sign_in = match self.access {
            Access::Own(client) => SignIn::Client {
                url: token,
                client,
                scope,
            },
            Access::Printed(source) => SignIn::Printed(source),
        };
        let http = Http::new(manners, sign_in)?;
        Ok(Reader::new(
            http,
            options,
            lists,
            link.is_none(),
            self.delta.then_some(next),
        ))
    }

    fn audits(
        &self,
        options: &EvidenceOptions,
        since: Option<crate::domain::Moment>,
    ) -> Result<Option<List>, ServiceError> {
        let since = since.unwrap_or_else(|| options.observed_at.minus(KEPT));
        let filter = format!(
            "loggedByService eq 'Self-service Password Management' and activityDateTime ge {since}"
        );
        let url: Url = below(
            &self.url,
            "/v1.0/auditLogs/directoryAudits",
            &[("$filter", &filter), ("$top", "999")],
        )?;
        Ok(Form::EntraAudits.json().map(|form| List {
            url,
            headers: HeaderMap::new(),
            form,
            paging: Paging::NextLink,
            begins: None,
        }))
    }
}

//! Audits: what a service has found out about accounts, fetched whole: a document at an address, Have I Been Pwned's search of a
//! domain, the risky users and risk detections of Entra ID.

use std::collections::HashSet;

use reqwest::Url;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::http::{Answer, Http};
use super::pages::{below, same_origin};
use super::sign_in::SignIn;
use super::{Access, Client, LARGEST, Manners, ServiceError};
use crate::directory::DirectoryError;

/// The most pages of one list: a service that never ends is none.
const MOST_PAGES: usize = 20_000;

/// What Graph is asked for of each risky user, and of each detection.
const USERS: &str = "id,isDeleted,isProcessing,riskLevel,riskState,riskDetail,riskLastUpdatedDateTime,userPrincipalName";

/// What is fetched.
#[derive(Clone, Debug)]
pub enum Audit {
    /// What lies at an address.
    Document {
        /// The address.
        url: String,
        /// Sent along, if it takes one.
        access: Option<Access<SecretString>>,
    },
    /// Which breaches have addresses of a domain.
    PwnedDomain {
        /// Where the service is.
        url: String,
        /// Which domain; it has to be verified there.
        domain: String,
        /// Stealer logs in place of breaches.
        stealer_logs: bool,
        /// The API key.
        key: Access<SecretString>,
    },
    /// Entra ID's view of risk.
    Risk {
        /// Where Graph is.
        url: String,
        /// Where tokens are given out.
        login_url: String,
        /// Which tenant.
        tenant: String,
        /// Who asks.
        access: Access<Client>,
    },
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Value>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

impl Audit {
    /// Fetches it: each document by itself, all of them whole, or an error. They may hold anybody's secrets.
    pub async fn fetch(self, manners: Manners) -> Result<Vec<Zeroizing<Vec<u8>>>, ServiceError> {
        match self {
            Self::Document { url, access } => {
                let url = Url::parse(&url).map_err(|_| ServiceError::Url)?;
                let sign_in = match access {
                    Some(access) => SignIn::token("Bearer ", access),
                    None => SignIn::Open,
                };
                let mut http = Http::new(manners, sign_in)?;
                Ok(vec![http.get(&url, &HeaderMap::new()).await?.body])
            }
            Self::PwnedDomain {
                url,
                domain,
                stealer_logs,
                key,
            } => {
                let what = match stealer_logs {
                    true => "stealerlogsbyemaildomain",
                    false => "breacheddomain",
                };
                let url = below(&url, &format!("/api/v3/{what}/{domain}"), &[])?;
                let mut http = Http::new(manners, SignIn::Key("hibp-api-key", key))?;
                match http.get(&url, &HeaderMap::new()).await {
                    Ok(answer) => Ok(vec![answer.body]),
                    // Nobody of the domain is in any.
                    Err(ServiceError::Refused { status: 404, .. }) => {
                        Ok(vec![Zeroizing::new(b"{}".to_vec())])
                    }
                    Err(error) => Err(error),
                }
            }
            Self::Risk {
                url,
                login_url,
                tenant,
                access,
            } => {
                let token = below(&login_url, &format!("/{tenant}/oauth2/v2.0/token"), &[])?;
                let scope = Some(format!("{url}/.default"));
                let mut http = Http::new(manners, SignIn::client(token, scope, access))?;
                let users = [("$select", USERS), ("$top", "500")];
                let users = below(&url, "/v1.0/identityProtection/riskyUsers", &users)?;
                let detections = "/v1.0/identityProtection/riskDetections";
                let detections = below(&url, detections, &[("$top", "500")])?;
                Ok(vec![
                    list(&mut http, users).await?,
                    list(&mut http, detections).await?,
                ])
            }
        }
    }
}

/// All pages of a list, as one document.
async fn list(http: &mut Http, begins: Url) -> Result<Zeroizing<Vec<u8>>, ServiceError> {
    // Members that are newer than the list of them come only so.
    let mut headers = HeaderMap::new();
    headers.insert(
        "prefer",
        reqwest::header::HeaderValue::from_static("include-unknown-enum-members"),
    );
    let mut whole = Zeroizing::new(b"{\"value\":[".to_vec());
    let (mut url, mut asked, mut is_first) = (begins.clone(), HashSet::new(), true);
    loop {
        if asked.len() == MOST_PAGES || !asked.insert(url.clone()) {
            return Err(ServiceError::Loop);
        }
        let Answer { body, .. } = http.get(&url, &headers).await?;
        let page: Page = serde_json::from_slice(&body)
            .map_err(|_| ServiceError::Page(DirectoryError::NoRecords))?;
        for record in &page.value {
            if !is_first {
                whole.push(b',');
            }
            is_first = false;
            serde_json::to_writer(&mut *whole, record).map_err(|_| ServiceError::Setup)?;
            // Page after page is bounded like one.
            if whole.len() > LARGEST {
                return Err(ServiceError::TooLarge);
            }
        }
        match page.next {
            Some(next) => url = same_origin(&begins, &next)?,
            None => {
                whole.extend_from_slice(b"]}");
                return Ok(whole);
            }
        }
    }
}

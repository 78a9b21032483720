//! Keycloak: the users of a realm, and the credentials of those whose case is open.

use std::collections::HashSet;

use reqwest::header::HeaderMap;

use super::http::Http;
use super::pages::{Credentials, List, Paging, Reader, below};
use super::sign_in::SignIn;
use super::{Access, Client, Manners, ServiceError};
use crate::directory::evidence::EvidenceOptions;
use crate::domain::evidence::Form;

/// How many users a page holds: each of them may need a question of its own.
const PAGE: u64 = 100;

/// A realm of a server.
#[derive(Clone, Debug)]
pub struct Keycloak {
    /// Where the server is.
    pub url: String,
    /// Its name for the realm.
    pub realm: String,
    /// Who asks.
    pub access: Access<Client>,
}

impl Keycloak {
    /// Begins to read all of it. `wanted` are the folded names of accounts that have an open case.
    pub fn reader(
        self,
        manners: Manners,
        options: EvidenceOptions,
        wanted: HashSet<String>,
    ) -> Result<Reader, ServiceError> {
        let path = format!("/admin/realms/{}/users", self.realm);
        let max = PAGE.to_string();
        let pairs = [
            ("briefRepresentation", "false"),
            ("max", max.as_str()),
            ("first", "0"),
        ];
        let url = below(&self.url, &path, &pairs)?;
        let list = Form::KeycloakUsers.json().map(|form| List {
            url,
            headers: HeaderMap::new(),
            form,
            paging: Paging::Offset { most: PAGE },
            begins: None,
        });
        let token = format!("/realms/{}/protocol/openid-connect/token", self.realm);
        let sign_in = match self.access {
            Access::Own(client) => SignIn::Client {
                url: below(&self.url, &token, &[])?,
                client,
                scope: None,
            },
            Access::Printed(source) => SignIn::Printed(source),
        };
        let credentials = Credentials {
            users: below(&self.url, &path, &[])?,
            wanted,
        };
        let http = Http::new(manners, sign_in)?;
        Ok(Reader::new(http, options, list, true, None).asking_for(credentials))
    }
}

//! Check: whether the identity provider could be asked, found out without asking for anything.

use std::path::Path;

use ldap3::{Ldap, Scope, SearchEntry, SearchOptions};
use reqwest::Method;

use super::HandOvers;
use super::directory::DirectoryWriter;
use super::file::HandOverFile;
use super::webhook::Webhook;

/// How many accounts are looked at.
const SOME: i32 = 20;

/// Those who could be asked for a new password: in use, and not protected.
const PEOPLE: &str = "(&(objectCategory=person)(objectClass=user)(!(adminCount=1))(!(userAccountControl:1.2.840.113556.1.4.803:=2)))";

/// What the account that asks may write of an entry, as Active Directory works it out.
const MAY_WRITE: &str = "allowedAttributesEffective";

impl HandOvers {
    /// Whether asking could work: what is fine, or what is wrong and what to do. Nothing is written and nothing asked for.
    pub async fn check(&self) -> Result<String, String> {
        match self {
            Self::File(file) => file.check(),
            Self::Webhook(webhook) => webhook.check().await,
            Self::Ldap(directory) => directory.check().await,
        }
    }
}

impl HandOverFile {
    fn check(&self) -> Result<String, String> {
        let path = self.path();
        let shown = path.display();
        if path.exists() {
            let opened = std::fs::OpenOptions::new().append(true).open(path);
            return match opened {
                Ok(_) => Ok(format!("{shown} can be written to")),
                Err(error) => Err(format!("{shown} cannot be written to ({})", error.kind())),
            };
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        match folder.is_none_or(Path::is_dir) {
            true => Ok(format!("{shown} is made with the first hand-over")),
            false => Err(format!("{shown}: its folder is not there; make it")),
        }
    }
}

impl Webhook {
    /// Asks what it can be asked (RFC 9110 section 9.3.7), which names nobody.
    async fn check(&self) -> Result<String, String> {
        let asked = self
            .client
            .request(Method::OPTIONS, self.url.clone())
            .send();
        let status = match asked.await {
            Ok(answer) => answer.status().as_u16(),
            Err(error) if error.is_timeout() => {
                return Err(
                    "the webhook does not answer in time; look at url and timeout".to_owned(),
                );
            }
            Err(_) => {
                return Err(
                    "the webhook cannot be reached, or its certificate is not trusted; look at url and at the network"
                        .to_owned(),
                );
            }
        };
        match status {
            300..=399 => Err(format!(
                "the webhook sends us elsewhere (status {status}); write in url where it is"
            )),
            404 | 410 => Err(format!(
                "nothing is at the webhook's address (status {status}); look at url"
            )),
            500..=599 => Err(format!(
                "the webhook has a fault of its own (status {status}); look at its log"
            )),
            _ => Ok(format!(
                "the webhook answers (status {status}); whether it takes our signature, the first hand-over shows"
            )),
        }
    }
}

impl DirectoryWriter {
    /// Signs in, looks at some people, and asks the directory what we may write of them.
    async fn check(&self) -> Result<String, String> {
        let mut ldap = self.connect().await.map_err(|word| match word {
            "bind_refused" => {
                "the directory does not let us in; look at bind_dn, at its password, and whether the account is locked"
            }
            _ => "the directory cannot be reached, or its certificate is not trusted; look at server and ca_file",
        })?;
        let looked = self.may_write(&mut ldap).await;
        let _ = ldap.unbind().await;
        match looked? {
            (0, 0) => Err(
                "nobody is below base_dn, or the account may not see them; look at base_dn"
                    .to_owned(),
            ),
            (0, all) => Err(format!(
                "it lets us in, but pwdLastSet may not be written for any of {all} people that were looked at; \
                 give the account the right to write it"
            )),
            (some, all) => Ok(format!(
                "lets us in; pwdLastSet may be written for {some} of {all} people that were looked at, and was not"
            )),
        }
    }

    /// For how many people `pwdLastSet` may be written, and how many were looked at.
    async fn may_write(&self, ldap: &mut Ldap) -> Result<(usize, usize), String> {
        let settings = self.settings();
        let found = ldap
            .with_timeout(settings.timeout)
            .with_search_options(SearchOptions::new().sizelimit(SOME))
            .search(&settings.base_dn, Scope::Subtree, PEOPLE, vec![MAY_WRITE])
            .await
            .map_err(|_| "the directory hung up, or does not answer in time".to_owned())?;
        let (entries, result) = (found.0, found.1);
        match result.rc {
            // Success, or as many as we wanted.
            0 | 4 => {}
            32 => {
                return Err(
                    "base_dn is not there, or the account may not see it; look at base_dn"
                        .to_owned(),
                );
            }
            code => {
                return Err(format!(
                    "the directory refuses the search (LDAP result {code}); look at base_dn"
                ));
            }
        }
        let people: Vec<SearchEntry> = entries
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
            .map(SearchEntry::construct)
            .collect();
        let may = |entry: &&SearchEntry| {
            let named = entry
                .attrs
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(MAY_WRITE));
            named.is_some_and(|(_, all)| {
                all.iter().any(|one| one.eq_ignore_ascii_case("pwdLastSet"))
            })
        };
        Ok((people.iter().filter(may).count(), people.len()))
    }
}

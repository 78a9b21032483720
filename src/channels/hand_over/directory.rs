//! Directory: `pwdLastSet=0`, by which an Active Directory asks for a new password at the next sign-in. Read, written, and
//! read back; over TLS only.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry, ldap_escape};
use secrecy::{ExposeSecret, SecretString};

use super::{HandOverError, HandOverRequest, Look};
use crate::domain::Moment;
use crate::domain::hand_over::{Answer, DirectoryAccount, Objection};

/// How a directory is written to.
#[derive(Clone)]
pub struct DirectorySettings {
    /// `ldaps://…`, or `ldap://…`, which is put under TLS before anything else is said.
    pub url: String,
    /// Who writes: an account of its own, which may do nothing else.
    pub bind_dn: String,
    /// Its password.
    pub password: SecretString,
    /// Below which accounts are looked for.
    pub base_dn: String,
    /// Certificates to trust beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How long each answer may take.
    pub timeout: Duration,
}

/// A directory that may be written to.
pub struct DirectoryWriter {
    settings: DirectorySettings,
    tls: native_tls::TlsConnector,
}

impl std::fmt::Debug for DirectoryWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryWriter").finish_non_exhaustive()
    }
}

/// An account as the directory shows it.
struct Found {
    dn: String,
    account: DirectoryAccount,
    pwd_last_set: i64,
}

const ATTRIBUTES: [&str; 3] = ["userAccountControl", "adminCount", "pwdLastSet"];

impl DirectoryWriter {
    /// Connects to nothing yet.
    pub fn new(settings: DirectorySettings) -> Result<Self, HandOverError> {
        let mut tls = native_tls::TlsConnector::builder();
        tls.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
        if let Some(file) = &settings.ca_file {
            let pem = std::fs::read(file).map_err(|_| HandOverError::Certificates)?;
            let authorities = native_tls::Certificate::stack_from_pem(&pem)
                .map_err(|_| HandOverError::Certificates)?;
            if authorities.is_empty() {
                return Err(HandOverError::Certificates);
            }
            for authority in authorities {
                tls.add_root_certificate(authority);
            }
        }
        Ok(Self {
            tls: tls.build().map_err(|_| HandOverError::Client)?,
            settings,
        })
    }

    /// Asks for a new password for each account that may be asked for one.
    pub(super) async fn force(&self, requests: &[HandOverRequest]) -> Vec<Answer> {
        let mut ldap = match self.connect().await {
            Ok(ldap) => ldap,
            Err(word) => return vec![Answer::Later { word }; requests.len()],
        };
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.force_one(&mut ldap, request).await);
        }
        let _ = ldap.unbind().await;
        answers
    }

    /// Looks at each, and writes nothing.
    pub(super) async fn look(&self, requests: &[HandOverRequest]) -> Vec<Look> {
        let mut ldap = match self.connect().await {
            Ok(ldap) => ldap,
            Err(word) => return vec![Look::Unknown(word); requests.len()],
        };
        let mut looks = Vec::with_capacity(requests.len());
        for request in requests {
            looks.push(self.look_at(&mut ldap, request).await.1);
        }
        let _ = ldap.unbind().await;
        looks
    }

    pub(super) const fn settings(&self) -> &DirectorySettings {
        &self.settings
    }

    pub(super) async fn connect(&self) -> Result<Ldap, &'static str> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(self.settings.timeout)
            .set_connector(self.tls.clone())
            .set_starttls(self.settings.url.starts_with("ldap://"));
        let connecting = LdapConnAsync::with_settings(settings, &self.settings.url);
        // A server that takes the connection and then says nothing.
        let connected = tokio::time::timeout(2 * self.settings.timeout, connecting).await;
        let Ok(Ok((connection, mut ldap))) = connected else {
            return Err("unreachable");
        };
        tokio::spawn(async move {
            // How it ended shows in what is asked over it.
            let _ = connection.drive().await;
        });
        let password = self.settings.password.expose_secret();
        let bound = ldap
            .with_timeout(self.settings.timeout)
            .simple_bind(&self.settings.bind_dn, password)
            .await;
        match bound {
            Ok(answer) if answer.rc == 0 => Ok(ldap),
            Ok(_) => Err("bind_refused"),
            Err(_) => Err("unreachable"),
        }
    }

    async fn look_at(&self, ldap: &mut Ldap, request: &HandOverRequest) -> (Option<Found>, Look) {
        let found = match self.find(ldap, request).await {
            Ok(Some(found)) => found,
            Ok(None) => return (None, Look::Objects(Objection::NotFound)),
            Err(word) => return (None, Look::Unknown(word)),
        };
        let look = if let Some(objection) = found.account.objection() {
            Look::Objects(objection)
        } else if found.pwd_last_set == 0 {
            Look::IsForced
        } else if moment_of(found.pwd_last_set) > request.at {
            Look::ChangedSince
        } else {
            Look::WouldForce
        };
        (Some(found), look)
    }

    async fn force_one(&self, ldap: &mut Ldap, request: &HandOverRequest) -> Answer {
        let (found, look) = self.look_at(ldap, request).await;
        let refused = |word| Answer::Refused { word, proof: None };
        let found = match (found, look) {
            (Some(found), Look::WouldForce) => found,
            (_, Look::IsForced) => {
                return Answer::Done {
                    word: "forced_before",
                    proof: "pwdLastSet=0 read".to_owned(),
                };
            }
            (_, Look::Unknown(word)) => return Answer::Later { word },
            (_, look) => return refused(look.word()),
        };
        let zero = Mod::Replace("pwdLastSet", HashSet::from(["0"]));
        let written = ldap
            .with_timeout(self.settings.timeout)
            .modify(&found.dn, vec![zero])
            .await;
        match written.map(|answer| answer.rc) {
            Ok(0) => self.proven(ldap, request).await,
            // Busy, unavailable, unwilling.
            Ok(51..=53) => Answer::Later { word: "busy" },
            // A right that is missing, which somebody can give.
            Ok(50) => Answer::Later {
                word: "not_allowed",
            },
            Ok(rc) => Answer::Refused {
                word: "refused",
                proof: Some(format!("result code {rc}")),
            },
            Err(_) => Answer::InDoubt { word: "no_answer" },
        }
    }

    /// What was written counts once it is read back.
    async fn proven(&self, ldap: &mut Ldap, request: &HandOverRequest) -> Answer {
        match self.find(ldap, request).await {
            Ok(Some(found)) if found.pwd_last_set == 0 => Answer::Done {
                word: "forced",
                proof: "pwdLastSet=0 read back".to_owned(),
            },
            Ok(_) | Err(_) => Answer::InDoubt {
                word: "not_read_back",
            },
        }
    }

    /// The one account that a request names: none if there is none, or more than one.
    async fn find(
        &self,
        ldap: &mut Ldap,
        request: &HandOverRequest,
    ) -> Result<Option<Found>, &'static str> {
        let Some(filter) = filter(request) else {
            return Ok(None);
        };
        let answer = ldap
            .with_timeout(self.settings.timeout)
            .search(
                &self.settings.base_dn,
                Scope::Subtree,
                &filter,
                ATTRIBUTES.to_vec(),
            )
            .await
            .map_err(|_| "unreachable")?;
        let (entries, _) = answer.success().map_err(|_| "search_refused")?;
        let mut found = entries
            .into_iter()
            // A search from the domain's root answers with other domains' addresses, too.
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
            .map(SearchEntry::construct);
        match (found.next(), found.next()) {
            (Some(entry), None) => read(&entry).map(Some).ok_or("unreadable"),
            _ => Ok(None),
        }
    }
}

/// By the directory's own number if it is one, else by the login.
fn filter(request: &HandOverRequest) -> Option<String> {
    let id = match guid(&request.account) {
        Some(bytes) => {
            let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            format!("(objectGUID={escaped})")
        }
        None if request.login.is_empty() => return None,
        None => format!("(sAMAccountName={})", ldap_escape(&request.login)),
    };
    Some(format!("(&(objectCategory=person)(objectClass=user){id})"))
}

/// The bytes of an `objectGUID`, which are not in the order in which it is written: the first three groups are turned.
fn guid(text: &str) -> Option<[u8; 16]> {
    let hex: String = text
        .trim_matches(['{', '}'])
        .chars()
        .filter(|c| *c != '-')
        .collect();
    let bytes = data_encoding::HEXLOWER_PERMISSIVE
        .decode(hex.as_bytes())
        .ok()?;
    let [a, b, c, d, e, f, g, h, rest @ ..]: [u8; 16] = bytes.try_into().ok()?;
    let [i, j, k, l, m, n, o, p] = rest;
    Some([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}

fn read(entry: &SearchEntry) -> Option<Found> {
    let number = |name: &str| -> Option<i64> {
        let (_, values) = entry
            .attrs
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        values.first()?.parse().ok()
    };
    let control = number("userAccountControl")?;
    Some(Found {
        dn: entry.dn.clone(),
        account: DirectoryAccount {
            // Written as a signed number.
            control: u32::try_from(control & 0xffff_ffff).ok()?,
            is_protected: number("adminCount").is_some_and(|count| count != 0),
        },
        pwd_last_set: number("pwdLastSet")?,
    })
}

/// Tenths of microseconds since 1601.
fn moment_of(file_time: i64) -> Moment {
    Moment::from_micros(
        file_time
            .div_euclid(10)
            .saturating_sub(11_644_473_600_000_000),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ladder::Demand;

    fn request(account: &str, login: &str) -> HandOverRequest {
        HandOverRequest {
            account: account.to_owned(),
            login: login.to_owned(),
            demand: Demand::ForceChange,
            reference: "DB-2603-K7M4".to_owned(),
            at: Moment::from_micros(0),
            key: "key".to_owned(),
        }
    }

    #[test]
    fn an_account_is_looked_for_by_its_number_or_its_login_and_nothing_else() {
        let by_number = filter(&request("00112233-4455-6677-8899-aabbccddeeff", "ada")).unwrap();
        assert!(
            by_number.contains(r"(objectGUID=\33\22\11\00\55\44\77\66\88\99\aa\bb\cc\dd\ee\ff)"),
            "{by_number}"
        );
        let by_login = filter(&request("id-ada", "ada)(cn=*")).unwrap();
        assert!(
            by_login.contains(r"(sAMAccountName=ada\29\28cn=\2a)"),
            "{by_login}"
        );
        assert_eq!(filter(&request("id-ada", "")), None);
    }

    #[test]
    fn the_directorys_time_is_ours() {
        let at: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        let file_time = (at.micros() + 11_644_473_600_000_000) * 10;
        assert_eq!(moment_of(file_time), at);
    }
}

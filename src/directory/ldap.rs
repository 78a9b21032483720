//! LDAP: what a directory server says about people and their passwords, read page by page.
//!
//! One reader for all servers; a [`Profile`] says which attributes tell what. Nothing is ever written to a server, no
//! referral is followed, and no attribute that holds a secret is asked for. An attribute that is not there is unknown,
//! never "not changed"; a search that did not end well is an error, however much of it came.

mod active_directory;
mod check;
mod connection;
mod ds389;
mod entry;
mod evidence;
mod freeipa;
mod lldap;
mod openldap;
mod people;
mod profile;
mod replication;
mod times;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::SecretString;

pub use self::check::check;
pub use self::evidence::{Asked, EvidenceReading};
pub use self::people::PeopleReading;
pub use self::profile::Profile;

/// A directory, on one or more servers that all say the same.
#[derive(Clone, Debug)]
pub struct LdapOptions {
    /// What sort of directory it is.
    pub profile: Profile,
    /// The servers, as URLs, in the order in which they are asked: the next one when one does not answer.
    pub servers: Vec<String>,
    /// Whether a connection begins plain and turns to TLS before anything is said.
    pub starttls: bool,
    /// Certificates to trust beside the system's, in PEM.
    pub ca: Option<Vec<u8>>,
    /// Who we bind as.
    pub user: String,
    /// What we bind with.
    pub password: SecretString,
    /// Below which entry people are.
    pub base: String,
    /// Which of the entries below are people; the profile's if none.
    pub filter: Option<String>,
    /// How many entries a page has.
    pub page_size: u16,
    /// How long a server may take to let us in.
    pub connect_timeout: Duration,
    /// How long a server may take for what comes next.
    pub timeout: Duration,
    /// How far back what changed is asked for again, where changes are counted by the server's clock.
    pub overlap: TimeDelta,
    /// Our names of what people have to the directory's attributes, where they differ from the profile's.
    pub columns: BTreeMap<String, String>,
}

/// Why a directory could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// The certificates of the config are none.
    #[error("ca_file holds no certificate in PEM")]
    Ca,
    /// TLS cannot be set up at all.
    #[error("preparing TLS")]
    Tls(#[source] native_tls::Error),
    /// None of the servers let us in; what each said.
    #[error("no server can be used: {0}")]
    NoServer(String),
    /// A server said no.
    #[error("{server}: {doing}: {meaning} (LDAP result {code})")]
    Refused {
        /// Which server.
        server: String,
        /// What we wanted.
        doing: &'static str,
        /// RFC 4511 section 4.1.9.
        code: u32,
        /// What it means, and what to do.
        meaning: &'static str,
    },
    /// The connection broke, or the server fell silent, before all was said.
    #[error("{server}: {doing}: {why}; what had not come is not known")]
    Cut {
        /// Which server.
        server: String,
        /// What we wanted.
        doing: &'static str,
        /// What happened.
        why: String,
    },
    /// An answer without an end.
    #[error("{server}: {doing}: it sends more than a page of people; set page_size lower")]
    TooMuch {
        /// Which server.
        server: String,
        /// What we wanted.
        doing: &'static str,
    },
    /// What the server sent is not LDAP.
    #[error("{server}: {doing}: the answer is not in LDAP's form")]
    Malformed {
        /// Which server.
        server: String,
        /// What we wanted.
        doing: &'static str,
    },
    /// More objects than is likely are gone at once.
    #[error(
        "{missing} of {asked} accounts with a case cannot be found any more: so many at once is no deletion; \
         look at the base, and at what the account may read"
    )]
    TooManyMissing {
        /// How many are gone.
        missing: usize,
        /// Of how many.
        asked: usize,
    },
    /// The config replaces an attribute that people do not have.
    #[error("[ldap.columns] has {0:?}, which is none of our names; known are {known}", known = people::FIELDS.join(", "))]
    NoSuchField(String),
}

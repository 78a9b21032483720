//! Hand-over: how the identity provider is asked: a line in a file, a request to a webhook, a write to the directory.
//!
//! Each says what came of it in the words of [`crate::domain::hand_over`]; nothing here knows whether it is asked again.

mod check;
mod directory;
mod file;
mod webhook;

use serde::Serialize;

use crate::domain::Moment;
use crate::domain::hand_over::{Answer, HandOverKind, Objection};
use crate::domain::ladder::Demand;

pub use directory::{DirectorySettings, DirectoryWriter};
pub use file::HandOverFile;
pub use webhook::{SIGNATURE, Webhook};

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// Not an address.
    #[error("the address cannot be used")]
    Url,
    /// The client cannot be built.
    #[error("the client cannot be set up")]
    Client,
    /// A file of certificates.
    #[error("the file of certificates cannot be used")]
    Certificates,
}

/// One account, and what is asked for it. The same at every try.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HandOverRequest {
    /// What the directory knows the account by.
    pub account: String,
    /// Its login without the domain, if there is one.
    pub login: String,
    /// What is asked for.
    pub demand: Demand,
    /// The case's reference: what its person can have looked up.
    pub reference: String,
    /// When it was asked for first.
    pub at: Moment,
    /// The same for every try.
    pub key: String,
}

/// What a look at the directory finds, without writing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// It would be forced.
    WouldForce,
    /// It is forced already.
    IsForced,
    /// It has a new password since this was asked for.
    ChangedSince,
    /// It would be left to a human being.
    Objects(Objection),
    /// The directory did not answer, or refused: a word.
    Unknown(&'static str),
}

impl Look {
    /// What to tell an operator.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::WouldForce => "would_force",
            Self::IsForced => "forced_before",
            Self::ChangedSince => "changed_since",
            Self::Objects(objection) => objection.word(),
            Self::Unknown(word) => word,
        }
    }
}

/// The configured way.
#[derive(Debug)]
pub enum HandOvers {
    /// A file that somebody else's program reads.
    File(HandOverFile),
    /// Somebody else's service.
    Webhook(Webhook),
    /// The directory.
    Ldap(DirectoryWriter),
}

impl HandOvers {
    /// Which it is.
    pub const fn kind(&self) -> HandOverKind {
        match self {
            Self::File(_) => HandOverKind::File,
            Self::Webhook(_) => HandOverKind::Webhook,
            Self::Ldap(_) => HandOverKind::Ldap,
        }
    }

    /// Asks for all of these, in their order; one answer each. Never an error: what happened is the answer.
    pub async fn ask(&self, requests: &[HandOverRequest]) -> Vec<Answer> {
        match self {
            Self::File(file) => file.append(requests).await,
            Self::Webhook(webhook) => webhook.ask(requests).await,
            Self::Ldap(directory) => directory.force(requests).await,
        }
    }

    /// Looks at what asking would do, and does nothing. Only the directory can be looked at: others would be done.
    pub async fn look(&self, requests: &[HandOverRequest]) -> Vec<Look> {
        match self {
            Self::File(_) | Self::Webhook(_) => requests.iter().map(|_| Look::WouldForce).collect(),
            Self::Ldap(directory) => directory.look(requests).await,
        }
    }
}

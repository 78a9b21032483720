//! The identities: one type a noun, so that a case's number is never taken for a person's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A human being in the staff directory.
    PersonId
    /// One login in one realm.
    AccountId
    /// One mailbox, whoever may open it.
    MailboxId
    /// One file we were given.
    AuditId
    /// One line of it that names an account and a weakness.
    FindingId
    /// One account that has to reset one password.
    CaseId
    /// One approved run of telling people.
    CampaignId
    /// One notice on one channel.
    DeliveryId
    /// One conversation with a relay about a delivery.
    AttemptId
    /// One fact a directory told us about an account.
    EvidenceId
    /// One thing to be done by a human being.
    TaskId
    /// What staff and public are told about.
    IncidentId
    /// One text for an audience; readers see its number.
    StatementId
    /// Another organisation that an incident is spoken about with.
    PartnerId
    /// One row of the ledger.
    EntryId
}

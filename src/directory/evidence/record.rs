//! Record: what one record of a source says about one account, before it is known whose account that is.

use crate::domain::Moment;
use crate::domain::evidence::{Actor, Change, Evidence, Part};
use crate::domain::finding::{Precision, RejectReason};
use crate::domain::identity::{Key, KeyKind};

/// The facts of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// All that the directory knows of the account.
    All(Evidence),
    /// Some of it.
    Part(Part),
}

/// One record that says something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::directory) struct Record {
    /// All names that it gives the account.
    pub keys: Vec<Key>,
    /// What it says.
    pub told: Told,
}

/// A record that says something, one that is not about passwords, or one that cannot be used.
pub(in crate::directory) type Spoken = Result<Option<Record>, RejectReason>;

impl Record {
    /// A record needs a name.
    pub fn new(keys: impl IntoIterator<Item = Option<Key>>, told: Told) -> Spoken {
        let keys: Vec<Key> = keys.into_iter().flatten().collect();
        match keys.is_empty() {
            true => Err(RejectReason::NoKey),
            false => Ok(Some(Self { keys, told })),
        }
    }

    /// One act on one account: what a log tells.
    pub fn act(keys: impl IntoIterator<Item = Option<Key>>, part: Part) -> Spoken {
        Self::new(keys, Told::Part(part))
    }
}

/// A key that is an address, or else a bare login.
pub(super) fn mail(given: &str) -> Option<Key> {
    Key::new(KeyKind::Email, given)
}

/// The directory's own immutable id.
pub(super) fn id(given: &str) -> Option<Key> {
    Key::new(KeyKind::ObjectId, given)
}

/// An act that changed the password itself.
pub(super) fn changed_by(actor: Actor, at: Moment, observed_at: Moment) -> Part {
    Part {
        changed: Some(Change::at(at, Precision::Second)),
        secret_changed_at: Some(at),
        // The holder's own password is no temporary one. Whether an administrator's is, another record says.
        pending: (actor == Actor::Myself).then_some(false),
        actor,
        ..Part::silent(at, observed_at)
    }
}

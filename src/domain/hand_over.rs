//! Hand-over: the last rung. The identity provider is asked to force what nagging did not bring about.
//!
//! What is asked for is decided here, and what an answer means. Which hand-overs may be repeated by themselves after a
//! doubt follows from how they are made: those that do the same when they are done twice.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::CaseId;
use super::ladder::Demand;
use super::moment::Moment;
use super::person::AccountKind;

/// How the identity provider is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandOverKind {
    /// A line in a file that somebody else's program reads.
    File,
    /// A request to somebody else's service.
    Webhook,
    /// A write to the directory itself: `pwdLastSet=0`.
    Ldap,
}

impl HandOverKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::File, Self::Webhook, Self::Ldap];

    /// The word that config, database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Webhook => "webhook",
            Self::Ldap => "ldap",
        }
    }

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether doing it twice is the same as doing it once, so that a doubt is settled by doing it again. A webhook is, by
    /// its key; a line in a file that may have been read and taken away is not.
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::File => false,
            Self::Webhook | Self::Ldap => true,
        }
    }

    /// Why this way does not do what is demanded for an account of this kind, if it does not. Such an account is a human
    /// being's work.
    pub const fn objection(self, demand: Demand, account: AccountKind) -> Option<Objection> {
        match (self, demand, account) {
            (_, Demand::StayBlocked, _) => Some(Objection::Nothing),
            (Self::File | Self::Webhook, Demand::ForceChange | Demand::BlockSignIn, _) => None,
            // Blocking is no bit that may be set behind the provider's back.
            (Self::Ldap, Demand::BlockSignIn, _) => Some(Objection::CannotBlock),
            // A service would stop, and an administrator be locked out of the machine that is to help.
            (
                Self::Ldap,
                Demand::ForceChange,
                AccountKind::Service
                | AccountKind::Shared
                | AccountKind::Admin
                | AccountKind::Builtin
                | AccountKind::Machine,
            ) => Some(Objection::NotAPerson),
            (Self::Ldap, Demand::ForceChange, AccountKind::Person | AccountKind::Unknown) => None,
        }
    }
}

/// Why an account is not handed over by the configured way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// There is nothing to ask for: it stays blocked.
    Nothing,
    /// The directory is asked for a new password only; sign-in is blocked by hand.
    CannotBlock,
    /// A service, shared, admin, system or machine account.
    NotAPerson,
    /// The directory has no such account, or more than one.
    NotFound,
    /// It may keep its password for ever, so that the directory would ask for nothing.
    NeverExpires,
    /// It is disabled already.
    Disabled,
    /// The directory protects it as an administrator's.
    Protected,
    /// It signs in by card.
    Smartcard,
}

impl Objection {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing_to_ask",
            Self::CannotBlock => "cannot_block",
            Self::NotAPerson => "not_a_person",
            Self::NotFound => "not_found",
            Self::NeverExpires => "never_expires",
            Self::Disabled => "disabled",
            Self::Protected => "protected",
            Self::Smartcard => "smartcard",
        }
    }
}

/// What an account in the directory is: the parts that decide whether `pwdLastSet=0` does what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectoryAccount {
    /// `userAccountControl`.
    pub control: u32,
    /// `adminCount` is not 0: a member of a protected group.
    pub is_protected: bool,
}

impl DirectoryAccount {
    const DISABLED: u32 = 0x2;
    /// Trusts between domains, workstations, servers.
    const MACHINE: u32 = 0x800 | 0x1000 | 0x2000;
    const DONT_EXPIRE_PASSWORD: u32 = 0x1_0000;
    const SMARTCARD_REQUIRED: u32 = 0x4_0000;

    /// Why its password is not to be forced to change, if so.
    pub fn objection(self) -> Option<Objection> {
        let has = |bits| self.control & bits != 0;
        if has(Self::MACHINE) {
            Some(Objection::NotAPerson)
        } else if has(Self::DISABLED) {
            Some(Objection::Disabled)
        } else if has(Self::DONT_EXPIRE_PASSWORD) {
            Some(Objection::NeverExpires)
        } else if has(Self::SMARTCARD_REQUIRED) {
            Some(Objection::Smartcard)
        } else if self.is_protected {
            Some(Objection::Protected)
        } else {
            None
        }
    }
}

/// How one hand-over went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is asked for, and this proves it.
    Done {
        /// A word: `written`, `accepted`, `forced`, `forced_before`.
        word: &'static str,
        /// Hash of the line, status and id, the value that was read back. No personal data.
        proof: String,
    },
    /// Nothing was asked for, and trying again may help.
    Later {
        /// Why: a word.
        word: &'static str,
    },
    /// Nothing was asked for, and trying again does not help.
    Refused {
        /// Why: a word.
        word: &'static str,
        /// What the other side said, if anything: a status, a result code.
        proof: Option<String>,
    },
    /// It may have been asked for, or not.
    InDoubt {
        /// Why: a word.
        word: &'static str,
    },
}

/// What follows from an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follows {
    /// It is over.
    Done,
    /// It is tried again at this moment.
    Again(Moment),
    /// A human being does it.
    ByHand,
    /// A human being finds out whether it was done.
    Asks,
}

/// After so many tries a human being takes over.
pub const MOST_TRIES: u32 = 8;

/// What follows from an answer to the `tries`-th try, the first being 1: 1, 4, 16 and 64 minutes later, then every four
/// hours.
pub fn follows(kind: HandOverKind, answer: &Answer, tries: u32, now: Moment) -> Follows {
    let again = || {
        let minutes = 4_i64.saturating_pow(tries.saturating_sub(1)).min(240);
        now.plus(TimeDelta::minutes(minutes))
    };
    match answer {
        Answer::Done { .. } => Follows::Done,
        Answer::Refused { .. } => Follows::ByHand,
        Answer::Later { .. } if tries < MOST_TRIES => Follows::Again(again()),
        Answer::Later { .. } => Follows::ByHand,
        Answer::InDoubt { .. } if kind.is_idempotent() && tries < MOST_TRIES => {
            Follows::Again(again())
        }
        Answer::InDoubt { .. } => Follows::Asks,
    }
}

/// The hash of a set of hand-overs, whatever their order: what was rehearsed is what is done.
pub fn set_hash<'a>(set: impl IntoIterator<Item = (CaseId, &'a str, Demand)>) -> String {
    let mut lines: Vec<String> = set
        .into_iter()
        .map(|(case, account, demand)| format!("{case}\t{account}\t{}\n", demand.word()))
        .collect();
    lines.sort_unstable();
    let mut hash = Sha256::new();
    for line in &lines {
        hash.update(line);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Moment {
        "2026-03-02T09:00:00Z"
            .parse::<Moment>()
            .unwrap()
            .plus(TimeDelta::minutes(minutes))
    }

    #[test]
    fn a_doubt_is_settled_by_repeating_only_what_may_be_repeated() {
        let doubt = Answer::InDoubt { word: "silent" };
        let later = Answer::Later {
            word: "unreachable",
        };
        for (kind, answer, tries, expected) in [
            (HandOverKind::File, &doubt, 1, Follows::Asks),
            (HandOverKind::Webhook, &doubt, 1, Follows::Again(at(1))),
            (HandOverKind::Ldap, &doubt, 2, Follows::Again(at(4))),
            (HandOverKind::Webhook, &doubt, MOST_TRIES, Follows::Asks),
            (HandOverKind::File, &later, 4, Follows::Again(at(64))),
            (HandOverKind::File, &later, 7, Follows::Again(at(240))),
            (HandOverKind::Webhook, &later, MOST_TRIES, Follows::ByHand),
        ] {
            assert_eq!(
                follows(kind, answer, tries, at(0)),
                expected,
                "{kind:?} {tries}"
            );
        }
        let refused = Answer::Refused {
            word: "refused",
            proof: None,
        };
        assert_eq!(
            follows(HandOverKind::Webhook, &refused, 1, at(0)),
            Follows::ByHand
        );
    }

    #[test]
    fn the_directory_is_written_for_people_only_and_only_where_it_helps() {
        use AccountKind::{Admin, Builtin, Machine, Person, Service, Shared, Unknown};
        for kind in [Service, Shared, Admin, Builtin, Machine] {
            assert_eq!(
                HandOverKind::Ldap.objection(Demand::ForceChange, kind),
                Some(Objection::NotAPerson)
            );
            assert_eq!(
                HandOverKind::File.objection(Demand::ForceChange, kind),
                None
            );
        }
        for kind in [Person, Unknown] {
            assert_eq!(
                HandOverKind::Ldap.objection(Demand::ForceChange, kind),
                None
            );
        }
        assert_eq!(
            HandOverKind::Ldap.objection(Demand::BlockSignIn, Person),
            Some(Objection::CannotBlock)
        );
        for (control, is_protected, expected) in [
            (512, false, None),
            (512, true, Some(Objection::Protected)),
            (514, false, Some(Objection::Disabled)),
            (0x1_0200, false, Some(Objection::NeverExpires)),
            (0x4_0200, false, Some(Objection::Smartcard)),
            (4096, false, Some(Objection::NotAPerson)),
        ] {
            let account = DirectoryAccount {
                control,
                is_protected,
            };
            assert_eq!(account.objection(), expected, "{control:#x}");
        }
    }

    #[test]
    fn a_set_is_the_same_in_any_order_and_another_with_one_more() {
        let (one, two) = (
            (CaseId(1), "a", Demand::ForceChange),
            (CaseId(2), "b", Demand::BlockSignIn),
        );
        assert_eq!(set_hash([one, two]), set_hash([two, one]));
        assert_ne!(set_hash([one]), set_hash([one, two]));
        assert_ne!(
            set_hash([one]),
            set_hash([(CaseId(1), "a", Demand::BlockSignIn)])
        );
    }
}

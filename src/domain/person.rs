//! People as the staff directory shows them: person, account and mailbox are three things.

use serde::{Deserialize, Serialize};

use super::address::{EmailAddress, PersonName};
use super::identity::Realm;
use super::phone::Mobile;
use super::way::Room;

/// Who or what an account is for. Only a person's own account gets mail at its own address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A human being's own account.
    Person,
    /// A program's account.
    Service,
    /// Several people's account or mailbox.
    Shared,
    /// A person's second account, for administration.
    Admin,
    /// Came with the system: Administrator, Guest, krbtgt.
    Builtin,
    /// A computer's account.
    Machine,
    /// The directory does not say.
    Unknown,
}

impl AccountKind {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
            Self::Shared => "shared",
            Self::Admin => "admin",
            Self::Builtin => "builtin",
            Self::Machine => "machine",
            Self::Unknown => "unknown",
        }
    }

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Person,
            Self::Service,
            Self::Shared,
            Self::Admin,
            Self::Builtin,
            Self::Machine,
            Self::Unknown,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

/// One line of a staff directory: an account, the person behind it, and the mailboxes it opens.
#[derive(Clone, PartialEq, Debug)]
pub struct DirectoryEntry {
    /// The directory's immutable id; what an account is known by for ever.
    pub object_id: String,
    /// Windows security identifier, if there is one.
    pub sid: Option<String>,
    /// Name without its domain.
    pub sam: Option<String>,
    /// User principal name.
    pub upn: Option<String>,
    /// Primary address.
    pub mail: Option<EmailAddress>,
    /// Further addresses of the same mailbox.
    pub aliases: Vec<EmailAddress>,
    /// An address outside this directory at which the person can be told when the mailbox is the victim.
    pub second_mail: Option<EmailAddress>,
    /// The mobile that a text goes to.
    pub mobile: Option<Mobile>,
    /// Where the internal post leaves a letter.
    pub room: Option<Room>,
    /// Which round of the internal post that is.
    pub building: Option<String>,
    /// The name that people know.
    pub display_name: PersonName,
    /// Where they work; the report's groups.
    pub department: String,
    /// What the account is for.
    pub kind: AccountKind,
    /// Whether one can sign in.
    pub enabled: bool,
    /// Who answers for an account that is nobody's own.
    pub owner_mail: Option<EmailAddress>,
    /// Their manager.
    pub manager_mail: Option<EmailAddress>,
    /// Who reads their mailbox for them.
    pub delegate_mail: Option<EmailAddress>,
    /// BCP 47 tag of the language they are written to in, if the directory says.
    pub language: Option<String>,
    /// IANA zone of their place of work, if the directory says.
    pub time_zone: Option<String>,
}

impl DirectoryEntry {
    /// The realm's built-in ticket and guest accounts and all machines go to operators, whatever owner is on record:
    /// resetting them is a piece of work, not a prompt.
    pub fn is_for_operators(&self) -> bool {
        is_for_operators(self.kind, self.sam.as_deref())
    }
}

/// Whether an account's resets are operators' work: machines, `krbtgt` and `Guest`.
pub fn is_for_operators(kind: AccountKind, sam: Option<&str>) -> bool {
    match kind {
        AccountKind::Machine => true,
        AccountKind::Builtin => sam.is_some_and(|sam| {
            sam.eq_ignore_ascii_case("krbtgt") || sam.eq_ignore_ascii_case("guest")
        }),
        AccountKind::Person
        | AccountKind::Service
        | AccountKind::Shared
        | AccountKind::Admin
        | AccountKind::Unknown => sam.is_some_and(|sam| sam.ends_with('$')),
    }
}

/// What a directory listing is: whose realm it describes, and whether it is all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListingScope {
    /// The realm the accounts live in.
    pub realm: Realm,
    /// Whether an account that is not listed has left. A cut listing must say no.
    pub complete: bool,
}

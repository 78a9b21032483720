//! Identity: the keys by which an audit, a directory and a person name the same account, and when a match is certain.
//!
//! A match is exact or it is none: nothing is derived, nothing is guessed, and two hits are no hit.

use serde::{Deserialize, Serialize};

use super::address::{EmailAddress, fold};
use super::ids::AccountId;

/// A longer name is cut off: nobody has one.
const MOST_CHARACTERS: usize = 320;

/// One password store, such as `ad:PARL`, `entra:TENANT`, `unix:HOST`. Findings and evidence only meet inside a realm.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Realm(pub String);

impl std::fmt::Display for Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a realm's own names are, so that `PARL\ada` and `parl.example\ada` are known to be of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RealmNames {
    /// The realm itself.
    pub realm: Realm,
    /// NetBIOS names of its domains.
    pub netbios: Vec<String>,
    /// DNS names and UPN suffixes of its domains.
    pub dns: Vec<String>,
}

/// How an audit names an account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// The directory's immutable id: AD objectGUID, Graph id, Okta id.
    ObjectId,
    /// A Windows security identifier.
    Sid,
    /// User principal name.
    Upn,
    /// `NETBIOS\name`.
    NetbiosSam,
    /// `dns.suffix\name`.
    DnsSam,
    /// A bare sAMAccountName or login.
    Sam,
    /// A mail address, primary or alias.
    Email,
}

impl KeyKind {
    /// All of them, the most certain first.
    pub const ALL: [Self; 7] = [
        Self::ObjectId,
        Self::Sid,
        Self::Upn,
        Self::NetbiosSam,
        Self::DnsSam,
        Self::Sam,
        Self::Email,
    ];

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ObjectId => "object_id",
            Self::Sid => "sid",
            Self::Upn => "upn",
            Self::NetbiosSam => "netbios_sam",
            Self::DnsSam => "dns_sam",
            Self::Sam => "sam",
            Self::Email => "email",
        }
    }
}

/// One name of an account, as a source wrote it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// What sort of name it is.
    pub kind: KeyKind,
    /// As written, trimmed. A name of a person in most cases: printed only where names may be seen.
    pub given: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Key({}: {}***)",
            self.kind.word(),
            self.given.chars().next().unwrap_or('*')
        )
    }
}

impl Key {
    /// A key of a known kind; none if the text is empty. Control characters are no part of any name.
    pub fn new(kind: KeyKind, given: &str) -> Option<Self> {
        let given = given.trim();
        let is_plain = given.len() <= MOST_CHARACTERS
            && given
                .bytes()
                .all(|byte| byte.is_ascii() && !byte.is_ascii_control());
        let given = match is_plain {
            true => given.to_owned(),
            false => given
                .chars()
                .filter(|c| !c.is_control())
                .take(MOST_CHARACTERS)
                .collect(),
        };
        (!given.is_empty()).then_some(Self { kind, given })
    }

    /// A login whose kind its form tells: `PREFIX\name`, `name@suffix`, or a bare name. A prefix with a dot is a DNS name.
    pub fn login(given: &str) -> Option<Self> {
        let given = given.trim();
        let kind = match given.split_once('\\') {
            Some((prefix, _)) if prefix.contains('.') => KeyKind::DnsSam,
            Some(_) => KeyKind::NetbiosSam,
            None if given.contains('@') => KeyKind::Upn,
            None => KeyKind::Sam,
        };
        Self::new(kind, given)
    }

    /// What is compared: folded as the kind demands. Part of a finding's dedupe key when no account matched.
    pub fn folded(&self) -> String {
        match self.kind {
            KeyKind::Email => EmailAddress::parse(&self.given)
                .map_or_else(|_| fold(&self.given), |address| address.folded()),
            _ => fold(&self.given),
        }
    }

    /// A lossy export wrote this: `?` or U+FFFD stands for a letter that is gone. It matches nobody.
    pub fn is_lossy(&self) -> bool {
        self.given.contains(['?', '\u{FFFD}'])
    }

    /// The look-ups that this key allows in its realm, in order; the first that hits decides.
    ///
    /// `bare_sam` says whether the source may name accounts without a domain.
    pub fn lookups(&self, names: &RealmNames, bare_sam: bool) -> Vec<Lookup> {
        if self.is_lossy() {
            return Vec::new();
        }
        let one = |kind, key: String| vec![Lookup { kind, key }];
        match self.kind {
            KeyKind::ObjectId => one(LookupKind::ObjectId, self.folded()),
            KeyKind::Sid => one(LookupKind::Sid, self.folded()),
            KeyKind::NetbiosSam => self.sam_of(&names.netbios),
            KeyKind::DnsSam => self.sam_of(&names.dns),
            KeyKind::Sam if bare_sam => one(LookupKind::Sam, self.folded()),
            KeyKind::Sam => Vec::new(),
            KeyKind::Upn => {
                let mut all = one(LookupKind::Upn, self.folded());
                all.extend(self.by_mail());
                all
            }
            KeyKind::Email => {
                let mut all = self.by_mail();
                all.insert(
                    1.min(all.len()),
                    Lookup {
                        kind: LookupKind::Upn,
                        key: fold(&self.given),
                    },
                );
                all
            }
        }
    }

    fn sam_of(&self, known: &[String]) -> Vec<Lookup> {
        match self.given.split_once('\\') {
            Some((prefix, name))
                if !name.is_empty() && known.iter().any(|own| fold(own) == fold(prefix)) =>
            {
                vec![Lookup {
                    kind: LookupKind::Sam,
                    key: fold(name),
                }]
            }
            _ => Vec::new(),
        }
    }

    fn by_mail(&self) -> Vec<Lookup> {
        let Ok(address) = EmailAddress::parse(&self.given) else {
            return Vec::new();
        };
        let untagged = address.without_tag();
        std::iter::once(address)
            .chain(untagged)
            .map(|address| Lookup {
                kind: LookupKind::Email,
                key: address.folded(),
            })
            .collect()
    }
}

/// The kinds of key that the store holds of each account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum LookupKind {
    /// Immutable id.
    ObjectId,
    /// Security identifier.
    Sid,
    /// User principal name.
    Upn,
    /// Name without its domain.
    Sam,
    /// Primary address or alias.
    Email,
}

impl LookupKind {
    const ALL: [Self; 5] = [Self::ObjectId, Self::Sid, Self::Upn, Self::Sam, Self::Email];

    /// The kind that a word of the database names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The word that the database uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ObjectId => "object_id",
            Self::Sid => "sid",
            Self::Upn => "upn",
            Self::Sam => "sam",
            Self::Email => "email",
        }
    }
}

/// One question to the store: which accounts have this key?
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lookup {
    /// Which kind of key.
    pub kind: LookupKind,
    /// Its folded text.
    pub key: String,
}

/// Whom the keys of one record name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// Exactly this account.
    Account(AccountId),
    /// Nobody that the directory knows.
    Nobody,
    /// More than one account answers to the same key.
    Ambiguous,
    /// Two keys of one record lead to two accounts.
    Conflict,
}

/// Decides whom a record's keys name. `hits` gives the accounts that have a look-up's key.
///
/// Each key is decided by its first look-up that hits; all keys that hit must agree.
pub fn resolve<'a>(
    keys: &[Key],
    names: &RealmNames,
    bare_sam: bool,
    hits: impl Fn(&Lookup) -> &'a [AccountId],
) -> Match {
    let mut found: Option<AccountId> = None;
    for key in keys {
        let first = key
            .lookups(names, bare_sam)
            .into_iter()
            .map(|lookup| hits(&lookup))
            .find(|hit| !hit.is_empty());
        match (first, found) {
            (None, _) => {}
            (Some([one]), None) => found = Some(*one),
            (Some([one]), Some(before)) if *one == before => {}
            (Some([_]), Some(_)) => return Match::Conflict,
            (Some(_), _) => return Match::Ambiguous,
        }
    }
    found.map_or(Match::Nobody, Match::Account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn names() -> RealmNames {
        RealmNames {
            realm: Realm("ad:PARL".into()),
            netbios: vec!["PARL".into()],
            dns: vec!["parl.example".into()],
        }
    }

    fn directory() -> HashMap<Lookup, Vec<AccountId>> {
        let key = |kind, key: &str| Lookup {
            kind,
            key: key.into(),
        };
        HashMap::from([
            (key(LookupKind::Sam, "abaraa"), vec![AccountId(1)]),
            (
                key(LookupKind::Email, "ada.abara@parl.example"),
                vec![AccountId(1)],
            ),
            (key(LookupKind::Sam, "smithj"), vec![AccountId(2)]),
            (
                key(LookupKind::Email, "jane.smith@parl.example"),
                vec![AccountId(3)],
            ),
            (
                key(LookupKind::Sam, "twin"),
                vec![AccountId(4), AccountId(5)],
            ),
            (
                key(LookupKind::Upn, "walt.wolfe@parl.example"),
                vec![AccountId(6)],
            ),
        ])
    }

    fn who(keys: &[Key], bare_sam: bool) -> Match {
        let directory = directory();
        resolve(keys, &names(), bare_sam, |lookup| {
            directory.get(lookup).map_or(&[][..], Vec::as_slice)
        })
    }

    #[test]
    fn names_match_exactly_or_not_at_all() {
        let login = |text| Key::login(text).unwrap();
        let mail = |text| Key::new(KeyKind::Email, text).unwrap();
        for (keys, bare, expected) in [
            (
                vec![login(r"PARL\ABARAA")],
                false,
                Match::Account(AccountId(1)),
            ),
            (
                vec![login(r"parl.example\abaraa")],
                false,
                Match::Account(AccountId(1)),
            ),
            (vec![login(r"OTHER\abaraa")], false, Match::Nobody),
            (vec![login("abaraa")], false, Match::Nobody),
            (vec![login("abaraa")], true, Match::Account(AccountId(1))),
            (
                vec![mail("Ada.Abara+kantine@parl.example")],
                false,
                Match::Account(AccountId(1)),
            ),
            (
                vec![mail("walt.wolfe@parl.example")],
                false,
                Match::Account(AccountId(6)),
            ),
            (
                vec![mail("jane.smith@parl.example"), login(r"parl\smithj")],
                false,
                Match::Conflict,
            ),
            (vec![login(r"PARL\twin")], false, Match::Ambiguous),
            (vec![login(r"PARL\ab?raa")], false, Match::Nobody),
            (vec![], false, Match::Nobody),
        ] {
            assert_eq!(who(&keys, bare), expected, "{keys:?}");
        }
    }
}

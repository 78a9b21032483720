//! Profile: which attributes of which sort of directory tell what. Each sort has a file of its own.

use ldap3::ldap_escape;

use super::entry::Entry;
use super::{active_directory, ds389, freeipa, lldap, openldap};
use crate::domain::Moment;
use crate::domain::evidence::{Actor, Change, Evidence};
use crate::domain::finding::Precision;
use crate::domain::identity::{Key, KeyKind};

/// What sort of directory it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Microsoft's, or Samba's.
    ActiveDirectory,
    /// With the overlay ppolicy.
    Openldap,
    /// FreeIPA, or Red Hat's IdM.
    Freeipa,
    /// 389 Directory Server, with passwordTrackUpdateTime.
    Ds389,
    /// The light one.
    Lldap,
}

/// How a directory tells what changed since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Counts {
    /// By a number of its own, which rises with each change on that server.
    Usn,
    /// By its clock.
    Clock,
    /// It does not; everything is read each time.
    Nothing,
}

/// The attributes of one sort of directory. Names in lower case; empty: there is none.
#[derive(Debug)]
pub(super) struct Attributes {
    /// Which entries are people.
    pub filter: &'static str,
    /// The immutable id.
    pub id: &'static str,
    /// Windows' security identifier.
    pub sid: &'static str,
    /// The login.
    pub login: &'static str,
    /// The principal's name.
    pub upn: &'static str,
    /// The primary address.
    pub mail: &'static str,
    /// What tells of the password; the first is the one without which nothing is known.
    pub password: &'static [&'static str],
    /// What tells when the secret itself changed; costly, so asked for only where a case is open.
    pub secret: &'static [&'static str],
    /// How it tells what changed.
    pub counts: Counts,
    /// Where people's further facts are, by our names of them.
    pub people: &'static [(&'static str, &'static str)],
}

/// What an entry says of its password.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Facts {
    /// The last change.
    pub changed: Option<Moment>,
    /// When the secret itself changed.
    pub secret_changed_at: Option<Moment>,
    /// A change is demanded.
    pub pending: bool,
    /// By a date of zero.
    pub date_is_zero: bool,
    /// One cannot sign in.
    pub disabled: bool,
}

impl Profile {
    pub(super) fn attributes(self) -> &'static Attributes {
        match self {
            Self::ActiveDirectory => &active_directory::ATTRIBUTES,
            Self::Openldap => &openldap::ATTRIBUTES,
            Self::Freeipa => &freeipa::ATTRIBUTES,
            Self::Ds389 => &ds389::ATTRIBUTES,
            Self::Lldap => &lldap::ATTRIBUTES,
        }
    }

    /// What an entry says of its password, as of `now`.
    pub(super) fn facts(self, entry: &Entry, now: Moment) -> Facts {
        match self {
            Self::ActiveDirectory => active_directory::facts(entry, now),
            Self::Openldap => openldap::facts(entry),
            Self::Freeipa => freeipa::facts(entry),
            Self::Ds389 => ds389::facts(entry),
            Self::Lldap => lldap::facts(entry),
        }
    }

    /// The immutable id of an entry, as people's lists write it.
    pub(super) fn id(self, entry: &Entry) -> Option<String> {
        let attribute = self.attributes().id;
        match self {
            Self::ActiveDirectory => entry.bytes(attribute).and_then(active_directory::guid),
            Self::Openldap | Self::Freeipa | Self::Ds389 | Self::Lldap => entry
                .text(attribute)
                .map(str::trim)
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        }
    }

    /// The filter that finds an id; none if the text is no id of such a directory.
    pub(super) fn id_filter(self, id: &str) -> Option<String> {
        let attribute = self.attributes().id;
        match self {
            Self::ActiveDirectory => active_directory::guid_filter(id),
            Self::Openldap | Self::Freeipa | Self::Ds389 | Self::Lldap => {
                let fits = !id.is_empty()
                    && id.len() <= 64
                    && id
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                fits.then(|| format!("({attribute}={})", ldap_escape(id)))
            }
        }
    }

    /// The security identifier.
    pub(super) fn sid(self, entry: &Entry) -> Option<String> {
        match self {
            Self::ActiveDirectory => entry
                .bytes(self.attributes().sid)
                .and_then(active_directory::sid),
            Self::Openldap | Self::Freeipa | Self::Ds389 | Self::Lldap => None,
        }
    }

    /// All names that an entry gives its account. The id comes first.
    pub(super) fn keys(self, entry: &Entry) -> Vec<Key> {
        let attributes = self.attributes();
        let text = |kind, name: &str| entry.text(name).and_then(|text| Key::new(kind, text));
        let own = |kind, text: Option<String>| text.and_then(|text| Key::new(kind, &text));
        [
            own(KeyKind::ObjectId, self.id(entry)),
            own(KeyKind::Sid, self.sid(entry)),
            text(KeyKind::Upn, attributes.upn),
            text(KeyKind::Sam, attributes.login),
            text(KeyKind::Email, attributes.mail),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What is asked for to hear of passwords.
    pub(super) fn asked(self) -> Vec<String> {
        let own = self.attributes();
        [own.id, own.sid, own.login, own.upn, own.mail]
            .into_iter()
            .chain(own.password.iter().copied())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl Facts {
    /// In the normal form of all directories.
    pub fn evidence(self, observed_at: Moment) -> Evidence {
        Evidence {
            changed: self.changed.map(|at| Change::at(at, Precision::Second)),
            secret_changed_at: self.secret_changed_at,
            pending: self.pending,
            date_is_zero: self.date_is_zero,
            disabled: self.disabled,
            exists: true,
            sessions_valid_from: None,
            actor: Actor::Unknown,
            observed_at,
        }
    }
}

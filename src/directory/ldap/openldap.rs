//! OpenLDAP with the overlay ppolicy, which keeps dates in operational attributes. An account whose password is older than
//! the overlay has none, and is unknown.

use super::entry::Entry;
use super::profile::{Attributes, Counts, Facts};
use super::times::generalized;

/// An administrator locked it for good; any other time is a lock that ends by itself.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// What people's entries are called in directories of the inetOrgPerson kind.
pub(super) const INET_ORG_PERSON: &[(&str, &str)] = &[
    ("mail", "mail"),
    ("display_name", "displayname"),
    ("department", "departmentnumber"),
    ("manager", "manager"),
    ("mobile", "mobile"),
    ("room", "roomnumber"),
    ("language", "preferredlanguage"),
];

pub(super) const ATTRIBUTES: Attributes = Attributes {
    filter: "(objectClass=inetOrgPerson)",
    id: "entryuuid",
    sid: "",
    login: "uid",
    upn: "",
    mail: "mail",
    // pwdHistory holds hashes, and is not asked for.
    password: &["pwdchangedtime", "pwdreset", "pwdaccountlockedtime"],
    secret: &[],
    counts: Counts::Clock,
    people: INET_ORG_PERSON,
};

pub(super) fn facts(entry: &Entry) -> Facts {
    Facts {
        changed: entry.text("pwdchangedtime").and_then(generalized),
        pending: entry.is_true("pwdreset"),
        disabled: entry
            .text("pwdaccountlockedtime")
            .is_some_and(|text| text.trim() == LOCKED_FOR_GOOD),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppolicy_tells_changes_resets_and_locks() {
        let at = "2026-11-22T16:21:36Z".parse().ok();
        for (attributes, changed, pending, disabled) in [
            (
                &[("pwdChangedTime", "20261122162136Z")][..],
                at,
                false,
                false,
            ),
            (
                &[("pwdChangedTime", "20261122162136Z"), ("pwdReset", "TRUE")],
                at,
                true,
                false,
            ),
            (
                &[("pwdAccountLockedTime", "000001010000Z")],
                None,
                false,
                true,
            ),
            (
                &[
                    ("pwdAccountLockedTime", "20261122162136Z"),
                    ("pwdReset", "FALSE"),
                ],
                None,
                false,
                false,
            ),
            (&[("pwdChangedTime", "yesterday")], None, false, false),
            (&[], None, false, false),
        ] {
            let bytes: Vec<_> = attributes
                .iter()
                .map(|(name, value)| (*name, value.as_bytes()))
                .collect();
            let facts = facts(&Entry::of(&bytes));
            assert_eq!(
                (facts.changed, facts.pending, facts.disabled),
                (changed, pending, disabled),
                "{attributes:?}"
            );
        }
    }
}

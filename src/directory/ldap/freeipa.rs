//! FreeIPA. A password that an administrator sets expires at the moment it is set: the person has not finished.

use super::entry::Entry;
use super::openldap::INET_ORG_PERSON;
use super::profile::{Attributes, Counts, Facts};
use super::times::generalized;

pub(super) const ATTRIBUTES: Attributes = Attributes {
    filter: "(objectClass=posixAccount)",
    id: "ipauniqueid",
    sid: "",
    login: "uid",
    upn: "",
    mail: "mail",
    password: &["krblastpwdchange", "krbpasswordexpiration", "nsaccountlock"],
    secret: &[],
    counts: Counts::Clock,
    people: INET_ORG_PERSON,
};

pub(super) fn facts(entry: &Entry) -> Facts {
    let changed = entry.text("krblastpwdchange").and_then(generalized);
    let expires = entry.text("krbpasswordexpiration").and_then(generalized);
    Facts {
        changed,
        pending: changed.is_some_and(|changed| expires.is_some_and(|expires| expires <= changed)),
        disabled: entry.is_true("nsaccountlock"),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_expired_as_it_was_set_is_an_administrators() {
        let (set, later) = ("20230803122541Z", "20231101122541Z");
        for (changed, expires, lock, pending, disabled) in [
            (set, later, "FALSE", false, false),
            (set, set, "FALSE", true, false),
            (set, later, "TRUE", false, true),
            (set, "", "", false, false),
            ("", set, "true", false, true),
        ] {
            let entry = Entry::of(&[
                ("krbLastPwdChange", changed.as_bytes()),
                ("krbPasswordExpiration", expires.as_bytes()),
                ("nsAccountLock", lock.as_bytes()),
            ]);
            let facts = facts(&entry);
            assert_eq!(facts.changed, generalized(changed));
            assert_eq!(
                (facts.pending, facts.disabled),
                (pending, disabled),
                "{changed} {expires}"
            );
        }
    }
}

//! 389 Directory Server. `pwdUpdateTime` is kept only with `passwordTrackUpdateTime: on`; `passwordExpirationTime` alone
//! proves nothing, as warnings and policy move it, but its zero is an administrator's reset.

use super::entry::Entry;
use super::openldap::INET_ORG_PERSON;
use super::profile::{Attributes, Counts, Facts};
use super::times::generalized;
use crate::domain::Moment;

pub(super) const ATTRIBUTES: Attributes = Attributes {
    filter: "(objectClass=inetOrgPerson)",
    id: "nsuniqueid",
    sid: "",
    login: "uid",
    upn: "",
    mail: "mail",
    password: &["pwdupdatetime", "passwordexpirationtime", "nsaccountlock"],
    secret: &[],
    counts: Counts::Clock,
    people: INET_ORG_PERSON,
};

pub(super) fn facts(entry: &Entry) -> Facts {
    let expires = entry.text("passwordexpirationtime").and_then(generalized);
    Facts {
        changed: entry.text("pwdupdatetime").and_then(generalized),
        pending: expires == Some(Moment::from_micros(0)),
        disabled: entry.is_true("nsaccountlock"),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_of_zero_is_a_reset_and_any_other_proves_nothing() {
        for (changed, expires, lock, pending, disabled) in [
            ("20261122162136Z", "20270122162136Z", "", false, false),
            ("20261122162136Z", "19700101000000Z", "", true, false),
            ("20261122162136Z", "19700101000001Z", "true", false, true),
            ("", "20270122162136Z", "false", false, false),
        ] {
            let entry = Entry::of(&[
                ("pwdUpdateTime", changed.as_bytes()),
                ("passwordExpirationTime", expires.as_bytes()),
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

//! lldap. It answers operational attributes only by name, writes RFC 3339 before 0.6.3, and cannot tell what changed since;
//! it is small, so everything is read each time.

use super::entry::Entry;
use super::profile::{Attributes, Counts, Facts};
use super::times::generalized;

pub(super) const ATTRIBUTES: Attributes = Attributes {
    filter: "(objectClass=person)",
    id: "entryuuid",
    sid: "",
    login: "uid",
    upn: "",
    mail: "mail",
    password: &["pwdchangedtime"],
    secret: &[],
    counts: Counts::Nothing,
    people: &[("mail", "mail"), ("display_name", "cn")],
};

pub(super) fn facts(entry: &Entry) -> Facts {
    Facts {
        changed: entry.text("pwdchangedtime").and_then(generalized),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_the_date_are_read() {
        let at = "2026-05-01T10:00:00Z".parse().ok();
        for text in ["20260501100000Z", "2026-05-01T10:00:00+00:00"] {
            let entry = Entry::of(&[("pwdChangedTime", text.as_bytes())]);
            assert_eq!(facts(&entry).changed, at, "{text}");
        }
        assert_eq!(facts(&Entry::default()), Facts::default());
    }
}

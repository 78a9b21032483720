//! Active Directory, and Samba in its role.
//!
//! `pwdLastSet` is the date of the last change, which an administrator can move without a new password ("must change" on and
//! off again), so where a case is open the replication metadata is read: it tells when the secret itself changed. Zero means
//! that a change is demanded, unless the password never expires. The account's own values are read only.

use std::fmt::Write as _;

use super::entry::Entry;
use super::profile::{Attributes, Counts, Facts};
use super::replication;
use super::times::{Filetime, filetime};
use crate::domain::Moment;

/// Nobody can sign in.
const ACCOUNTDISABLE: i64 = 0x2;
/// The password never expires, so a date of zero demands nothing.
const DONT_EXPIRE_PASSWORD: i64 = 0x1_0000;
/// A smart card is needed: the password is random, and may be changed by the server itself.
const SMARTCARD_REQUIRED: i64 = 0x4_0000;

pub(super) const ATTRIBUTES: Attributes = Attributes {
    filter: "(&(objectCategory=person)(objectClass=user))",
    id: "objectguid",
    sid: "objectsid",
    login: "samaccountname",
    upn: "userprincipalname",
    mail: "mail",
    password: &["pwdlastset", "useraccountcontrol", "accountexpires"],
    secret: &["msds-replattributemetadata", "replpropertymetadata"],
    counts: Counts::Usn,
    people: &[
        ("mail", "mail"),
        ("aliases", "proxyaddresses"),
        ("display_name", "displayname"),
        ("department", "department"),
        ("manager", "manager"),
        ("mobile", "mobile"),
        ("room", "physicaldeliveryofficename"),
        ("language", "preferredlanguage"),
    ],
};

pub(super) fn facts(entry: &Entry, now: Moment) -> Facts {
    let control = entry
        .text("useraccountcontrol")
        .and_then(|text| text.trim().parse::<i64>().ok())
        .unwrap_or_default();
    let has = |flag: i64| control & flag != 0;
    let date = entry.text("pwdlastset").map(filetime);
    let expires = entry.text("accountexpires").map(filetime);
    let changed = match date {
        Some(Filetime::At(at)) => Some(at),
        Some(Filetime::Zero | Filetime::Never | Filetime::Unknown) | None => None,
    };
    let has_expired = match expires {
        Some(Filetime::At(at)) => at <= now,
        Some(Filetime::Zero | Filetime::Never | Filetime::Unknown) | None => false,
    };
    let disabled = has(ACCOUNTDISABLE) || has_expired;
    if has(SMARTCARD_REQUIRED) {
        // Whatever changed, no person changed it.
        return Facts {
            disabled,
            ..Facts::default()
        };
    }
    let date_is_zero = date == Some(Filetime::Zero);
    Facts {
        changed,
        secret_changed_at: secret_changed_at(entry),
        pending: date_is_zero && !has(DONT_EXPIRE_PASSWORD),
        date_is_zero,
        disabled,
    }
}

fn secret_changed_at(entry: &Entry) -> Option<Moment> {
    entry
        .texts("msds-replattributemetadata")
        .find_map(replication::of_xml)
        .or_else(|| {
            entry
                .bytes("replpropertymetadata")
                .and_then(replication::of_bytes)
        })
}

/// A GUID as it is written: the first three groups are stored with their last byte first.
pub(super) fn guid(bytes: &[u8]) -> Option<String> {
    let [a, b, c, d, e, f, g, h, rest @ ..] = <&[u8; 16]>::try_from(bytes).ok()?;
    let mut text = format!("{d:02x}{c:02x}{b:02x}{a:02x}-{f:02x}{e:02x}-{h:02x}{g:02x}-");
    for (at, byte) in rest.iter().enumerate() {
        if at == 2 {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// The filter that finds a GUID; none if the text is none.
pub(super) fn guid_filter(text: &str) -> Option<String> {
    let text = text.trim_matches(['{', '}']);
    let shape = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if !shape {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let pair = |at: usize| digits.get(at * 2..at * 2 + 2);
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut filter = "(objectGUID=".to_owned();
    for at in order {
        let _ = write!(filter, "\\{}", pair(at)?);
    }
    filter.push(')');
    Some(filter)
}

/// A security identifier as it is written.
pub(super) fn sid(bytes: &[u8]) -> Option<String> {
    let (&[revision, count, a, b, c, d, e, f], rest) = bytes.split_first_chunk::<8>()?;
    let authority = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let (parts, left) = rest.as_chunks::<4>();
    if revision != 1 || parts.len() != usize::from(count) || !left.is_empty() || count > 15 {
        return None;
    }
    let mut text = format!("S-1-{authority}");
    for part in parts {
        let _ = write!(text, "-{}", u32::from_le_bytes(*part));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_795_600_000_000_000);
    const SET: &str = "134400501274063730";

    fn of(attributes: &[(&str, &str)]) -> Facts {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        facts(&Entry::of(&attributes), NOW)
    }

    #[test]
    fn a_date_is_a_change_zero_is_a_demand_and_anything_else_is_unknown() {
        let changed = |at| Facts {
            changed: Some(Moment::from_micros(at)),
            ..Facts::default()
        };
        let demanded = Facts {
            pending: true,
            date_is_zero: true,
            ..Facts::default()
        };
        let disabled = Facts {
            disabled: true,
            ..Facts::default()
        };
        for (value, control, expected) in [
            (SET, "512", changed(1_795_576_527_406_373)),
            ("0", "512", demanded.clone()),
            (
                "0",
                "66048",
                Facts {
                    pending: false,
                    ..demanded
                },
            ),
            ("9223372036854775807", "512", Facts::default()),
            ("-1", "512", Facts::default()),
            ("99999999999999999999", "512", Facts::default()),
            ("soon", "512", Facts::default()),
            (
                SET,
                "514",
                Facts {
                    disabled: true,
                    ..changed(1_795_576_527_406_373)
                },
            ),
            (SET, "262656", Facts::default()),
            (SET, "262658", disabled),
            (SET, "many", changed(1_795_576_527_406_373)),
        ] {
            let facts = of(&[("pwdLastSet", value), ("userAccountControl", control)]);
            assert_eq!(facts, expected, "{value} {control}");
        }
        // No right to read it is no "never".
        assert_eq!(of(&[("userAccountControl", "512")]), Facts::default());
    }

    #[test]
    fn an_account_that_has_expired_lets_nobody_in() {
        for (value, expected) in [
            ("0", false),
            ("9223372036854775807", false),
            ("134400000000000000", true),
            ("134500000000000000", false),
            ("-5", false),
        ] {
            assert_eq!(
                of(&[("accountExpires", value)]).disabled,
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn ids_are_written_as_windows_writes_them_and_found_again() {
        let bytes = [
            0x12, 0xB9, 0x40, 0x35, 0x36, 0x31, 0x5B, 0x4A, 0x8B, 0xD6, 0x39, 0x21, 0xA4, 0x7F,
            0x7A, 0xFA,
        ];
        let text = guid(&bytes).unwrap();
        assert_eq!(text, "3540b912-3136-4a5b-8bd6-3921a47f7afa");
        let filter = guid_filter(&text).unwrap();
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        assert_eq!(filter, format!("(objectGUID={escaped})"));
        assert_eq!(guid(&bytes[1..]), None);
        for bad in [
            "",
            "ada",
            "3540b912-3136-4a5b-8bd6-3921a47f7af)",
            "é".repeat(18).as_str(),
        ] {
            assert_eq!(guid_filter(bad), None, "{bad}");
        }
    }

    #[test]
    fn security_identifiers_are_written_as_windows_writes_them() {
        let mut bytes = vec![1, 5, 0, 0, 0, 0, 0, 5];
        for part in [21_u32, 3_079_597_300, 2_551_861_751, 2_544_032_923, 1102] {
            bytes.extend(part.to_le_bytes());
        }
        assert_eq!(
            sid(&bytes).unwrap(),
            "S-1-5-21-3079597300-2551861751-2544032923-1102"
        );
        assert_eq!(sid(&bytes[..27]), None);
        assert_eq!(sid(&[]), None);
        assert_eq!(sid(&[2, 0, 0, 0, 0, 0, 0, 5]), None);
    }
}

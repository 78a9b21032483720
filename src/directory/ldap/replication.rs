//! Replication metadata: when each attribute last changed at its origin, here of the secret alone. The secret itself is no
//! part of it.

use super::times::{generalized, seconds_since_1601};
use crate::domain::Moment;

/// `unicodePwd` in the numbers that replication gives attributes (MS-ADTS, `ATTRTYP`).
const UNICODE_PWD: u32 = 0x0009_005A;

/// One value of `msDS-ReplAttributeMetaData`: a fragment of XML for one attribute. None if it is another's, or has no time.
pub(super) fn of_xml(text: &str) -> Option<Moment> {
    let text = text.trim_end_matches('\0');
    let between = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>"))
            .map(|(value, _)| value.trim())
    };
    (between("pszAttributeName")?.eq_ignore_ascii_case("unicodePwd"))
        .then(|| between("ftimeLastOriginatingChange").and_then(generalized))
        .flatten()
}

/// `replPropertyMetaData` (MS-DRSR section 5.166): a head of 16 bytes, then 48 for each attribute.
pub(super) fn of_bytes(bytes: &[u8]) -> Option<Moment> {
    let (head, rest) = bytes.split_first_chunk::<16>()?;
    let version = u32::from_le_bytes(*head.first_chunk()?);
    let (entries, _) = rest.as_chunks::<48>();
    if version != 1 {
        return None;
    }
    entries.iter().find_map(|entry| {
        let (attribute, rest) = entry.split_first_chunk::<4>()?;
        let (_version, rest) = rest.split_first_chunk::<4>()?;
        let seconds = u64::from_le_bytes(*rest.first_chunk::<8>()?);
        (u32::from_le_bytes(*attribute) == UNICODE_PWD)
            .then(|| seconds_since_1601(seconds))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_xml_of_the_secret_tells_when_it_changed_and_no_other_does() {
        let xml = |name: &str, at: &str| {
            format!(
                "<DS_REPL_ATTR_META_DATA>\n\t<pszAttributeName>{name}</pszAttributeName>\n\t<dwVersion>2</dwVersion>\n\t\
                 <ftimeLastOriginatingChange>{at}</ftimeLastOriginatingChange>\n</DS_REPL_ATTR_META_DATA>\n\0"
            )
        };
        let at = "2026-11-25T03:15:27Z";
        assert_eq!(of_xml(&xml("unicodePwd", at)), Some(at.parse().unwrap()));
        assert_eq!(of_xml(&xml("pwdLastSet", at)), None);
        assert_eq!(of_xml(&xml("unicodePwd", "soon")), None);
        assert_eq!(of_xml("<pszAttributeName>unicodePwd"), None);
        assert_eq!(of_xml(""), None);
    }

    #[test]
    fn the_bytes_of_the_secret_tell_when_it_changed_however_many_attributes_there_are() {
        let entry = |attribute: u32, seconds: u64| {
            let mut bytes = attribute.to_le_bytes().to_vec();
            bytes.extend(2_u32.to_le_bytes());
            bytes.extend(seconds.to_le_bytes());
            bytes.extend([0; 32]);
            bytes
        };
        let head = |version: u32| {
            let mut bytes = version.to_le_bytes().to_vec();
            bytes.extend([0; 12]);
            bytes
        };
        let all = [head(1), entry(3, 1), entry(UNICODE_PWD, 13_440_050_127)].concat();
        assert_eq!(
            of_bytes(&all),
            Some("2026-11-25T03:15:27Z".parse().unwrap())
        );
        assert_eq!(of_bytes(&all[..all.len() - 1]), None);
        assert_eq!(of_bytes(&[head(2), entry(UNICODE_PWD, 1)].concat()), None);
        assert_eq!(
            of_bytes(&[head(1), entry(UNICODE_PWD, u64::MAX)].concat()),
            None
        );
        assert_eq!(of_bytes(&[]), None);
    }
}

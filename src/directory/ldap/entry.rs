//! Entry: one object as a server sent it. Values are bytes until somebody asks for text.

use ldap3::ResultEntry;
use ldap3::asn1::{PL, StructureTag};

/// A longer value is none of ours.
const MOST_BYTES: usize = 64 * 1024;

/// One object.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Its name in the tree. It names a person in most cases: never printed.
    pub dn: String,
    attributes: Vec<Attribute>,
}

#[derive(Debug)]
struct Attribute {
    /// Lower case, without options.
    name: String,
    values: Vec<Vec<u8>>,
    /// The server has more of them, from this one on.
    more_from: Option<u32>,
}

impl Entry {
    /// None if it is not in LDAP's form.
    pub fn parse(entry: ResultEntry) -> Option<Self> {
        let mut parts = constructed(entry.0)?.into_iter();
        let dn = String::from_utf8(primitive(parts.next()?)?).ok()?;
        let attributes = constructed(parts.next()?)?
            .into_iter()
            .map(attribute)
            .collect::<Option<Vec<_>>>()?;
        Some(Self { dn, attributes })
    }

    /// Its values of an attribute, given in lower case.
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attribute(name)
            .map_or(&[], |attribute| attribute.values.as_slice())
    }

    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// The first value.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.values(name).first().map(Vec::as_slice)
    }

    /// The first value, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// All values that are text.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name)
            .iter()
            .filter_map(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Whether a value says `TRUE`.
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// An attribute of which the server sent only a part, and from where on it has more.
    pub fn cut_off(&self) -> Option<(String, u32)> {
        self.attributes.iter().find_map(|attribute| {
            let from = attribute.more_from?;
            Some((attribute.name.clone(), from))
        })
    }

    /// Takes in the next part of an attribute, as `other` has it. Whether it brought anything.
    pub fn extend(&mut self, name: &str, other: &mut Self) -> bool {
        let part = other
            .attributes
            .iter_mut()
            .find(|attribute| attribute.name == name);
        let own = self
            .attributes
            .iter_mut()
            .find(|attribute| attribute.name == name);
        let (Some(part), Some(own)) = (part, own) else {
            return false;
        };
        let brought = !part.values.is_empty();
        own.values.append(&mut part.values);
        own.more_from = part.more_from;
        brought
    }
}

#[cfg(test)]
impl Entry {
    /// An entry of these attributes.
    pub fn of(attributes: &[(&str, &[u8])]) -> Self {
        let mut entry = Self::default();
        for (name, value) in attributes {
            let name = name.to_lowercase();
            match entry.attributes.iter_mut().find(|own| own.name == name) {
                Some(own) => own.values.push(value.to_vec()),
                None => entry.attributes.push(Attribute {
                    name,
                    values: vec![value.to_vec()],
                    more_from: None,
                }),
            }
        }
        entry
    }
}

fn attribute(tag: StructureTag) -> Option<Attribute> {
    let mut parts = constructed(tag)?.into_iter();
    let mut name = String::from_utf8(primitive(parts.next()?)?).ok()?;
    let values = constructed(parts.next()?)?
        .into_iter()
        .map(primitive)
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .filter(|value| value.len() <= MOST_BYTES)
        .collect();
    // Names of attributes are ASCII (RFC 4512 section 2.5).
    name.make_ascii_lowercase();
    let own = name.find(';').unwrap_or(name.len());
    let more_from = name
        .split(';')
        .filter_map(|option| option.strip_prefix("range="))
        .find_map(|range| range.split_once('-'))
        .and_then(|(_, last)| last.parse::<u32>().ok())
        .map(|last| last.saturating_add(1));
    name.truncate(own);
    Some(Attribute {
        name,
        values,
        more_from,
    })
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::TagClass;

    use super::*;

    fn tag(payload: PL) -> StructureTag {
        StructureTag {
            class: TagClass::Universal,
            id: 4,
            payload,
        }
    }

    fn text(bytes: &[u8]) -> StructureTag {
        tag(PL::P(bytes.to_vec()))
    }

    fn sent(name: &[u8], values: &[&[u8]]) -> StructureTag {
        let values = values.iter().map(|value| text(value)).collect();
        tag(PL::C(vec![text(name), tag(PL::C(values))]))
    }

    fn entry(attributes: Vec<StructureTag>) -> Option<Entry> {
        let parts = vec![text(b"cn=ada"), tag(PL::C(attributes))];
        Entry::parse(ResultEntry::new(tag(PL::C(parts))))
    }

    #[test]
    fn values_are_found_by_name_whatever_its_case_and_options() {
        let entry = entry(vec![
            sent(b"Mail", &[b"ada@parl.example", b"\xFF"]),
            sent(b"description", &[&[b'x'; 64 * 1024 + 1]]),
        ])
        .unwrap();
        assert_eq!(entry.dn, "cn=ada");
        assert_eq!(entry.text("mail"), Some("ada@parl.example"));
        assert_eq!(entry.texts("mail").count(), 1);
        assert_eq!(entry.values("description").len(), 0);
        assert_eq!(entry.text("pwdlastset"), None);
    }

    #[test]
    fn what_a_server_sends_in_parts_is_put_together() {
        let mut first = entry(vec![sent(b"member;range=0-1", &[b"a", b"b"])]).unwrap();
        assert_eq!(first.cut_off(), Some(("member".to_owned(), 2)));
        let mut last = entry(vec![sent(b"member;range=2-*", &[b"c"])]).unwrap();
        assert!(first.extend("member", &mut last));
        assert_eq!(first.cut_off(), None);
        assert_eq!(first.texts("member").collect::<String>(), "abc");
        assert!(!first.extend("member", &mut Entry::default()));
    }

    #[test]
    fn what_is_not_an_entry_is_none() {
        assert!(Entry::parse(ResultEntry::new(text(b"x"))).is_none());
        assert!(Entry::parse(ResultEntry::new(tag(PL::C(vec![])))).is_none());
        assert!(entry(vec![text(b"mail")]).is_none());
        assert!(entry(vec![sent(b"\xFF", &[])]).is_none());
    }
}

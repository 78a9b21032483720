//! Entry: one object as a server sent it. Values are bytes until somebody asks for text.

use std::ops::Range;

use super::wire::ber::{Elements, OCTET_STRING, SEQUENCE, SET};

/// A longer value is none of ours.
const MOST_BYTES: usize = 64 * 1024;

/// One object. What came is kept as it came, with the places of its parts.
#[derive(Debug, Default)]
pub(super) struct Entry {
    bytes: Vec<u8>,
    /// Its name in the tree.
    dn: Range<usize>,
    values: Vec<Value>,
    /// Attributes, in lower case and without options, of which the server has more, and from which value on.
    cut_off: Vec<(String, u32)>,
}

#[derive(Debug)]
struct Value {
    /// Of its attribute, without options.
    name: Range<usize>,
    own: Range<usize>,
}

impl Entry {
    /// None if it is not in LDAP's form (RFC 4511 section 4.5.2).
    pub fn parse(content: &[u8]) -> Option<Self> {
        let mut parts = Elements::of(content);
        let dn = parts.of_tag(OCTET_STRING)?;
        std::str::from_utf8(dn).ok()?;
        let mut attributes = Elements::of(parts.of_tag(SEQUENCE)?);
        let mut entry = Self {
            bytes: Vec::with_capacity(content.len().min(MOST_BYTES)),
            ..Self::default()
        };
        entry.dn = entry.keep(dn);
        while !attributes.is_empty() {
            let mut attribute = Elements::of(attributes.of_tag(SEQUENCE)?);
            let name = std::str::from_utf8(attribute.of_tag(OCTET_STRING)?).ok()?;
            entry.add(name, Elements::of(attribute.of_tag(SET)?))?;
        }
        Some(entry)
    }

    fn add(&mut self, described: &str, mut values: Elements<'_>) -> Option<()> {
        let (name, options) = described.split_once(';').unwrap_or((described, ""));
        let more_from = options
            .split(';')
            .filter_map(|option| {
                let (key, range) = option.split_once('=')?;
                key.eq_ignore_ascii_case("range").then_some(range)
            })
            .find_map(|range| range.split_once('-'))
            .and_then(|(_, last)| last.parse::<u32>().ok());
        if let Some(last) = more_from {
            let name = name.to_ascii_lowercase();
            self.cut_off.push((name, last.saturating_add(1)));
        }
        let name = self.keep(name.as_bytes());
        while !values.is_empty() {
            let value = values.of_tag(OCTET_STRING)?;
            if value.len() <= MOST_BYTES {
                let own = self.keep(value);
                let name = name.clone();
                self.values.push(Value { name, own });
            }
        }
        Some(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        from..self.bytes.len()
    }

    fn at(&self, place: &Range<usize>) -> &[u8] {
        self.bytes.get(place.clone()).unwrap_or_default()
    }

    /// Its name in the tree. It names a person in most cases: never printed.
    pub fn dn(&self) -> &str {
        std::str::from_utf8(self.at(&self.dn)).unwrap_or_default()
    }

    /// About how much memory it takes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.values.capacity() * size_of::<Value>()
    }

    /// Its values of an attribute.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.values
            .iter()
            // Names of attributes are ASCII (RFC 4512 section 2.5).
            .filter(move |value| self.at(&value.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|value| self.at(&value.own))
    }

    /// The first value.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The first value, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// All values that are text.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name)
            .filter_map(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Whether a value says `TRUE`.
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// An attribute of which the server sent only a part, and from where on it has more.
    pub fn cut_off(&self) -> Option<(String, u32)> {
        self.cut_off.first().cloned()
    }

    /// Takes in the next part of an attribute, as `other` has it. Whether it brought anything.
    pub fn extend(&mut self, name: &str, other: &Self) -> bool {
        self.cut_off.retain(|(own, _)| own != name);
        let more = other.cut_off.iter().filter(|(theirs, _)| theirs == name);
        self.cut_off.extend(more.cloned());
        let own = self.keep(name.as_bytes());
        let before = self.values.len();
        for value in other.values(name) {
            let value = Value {
                name: own.clone(),
                own: self.keep(value),
            };
            self.values.push(value);
        }
        self.values.len() > before
    }
}

#[cfg(test)]
impl Entry {
    /// An entry of these attributes.
    pub fn of(attributes: &[(&str, &[u8])]) -> Self {
        let mut entry = Self::default();
        for (name, value) in attributes {
            let name = entry.keep(name.as_bytes());
            let own = entry.keep(value);
            entry.values.push(Value { name, own });
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::{PL, StructureTag, TagClass, write};

    use super::*;

    fn tag(id: u64, payload: PL) -> StructureTag {
        StructureTag {
            class: TagClass::Universal,
            id,
            payload,
        }
    }

    fn text(bytes: &[u8]) -> StructureTag {
        tag(4, PL::P(bytes.to_vec()))
    }

    fn sent(name: &[u8], values: &[&[u8]]) -> StructureTag {
        let values = values.iter().map(|value| text(value)).collect();
        tag(16, PL::C(vec![text(name), tag(17, PL::C(values))]))
    }

    fn bytes(parts: Vec<StructureTag>) -> Vec<u8> {
        let mut bytes = Default::default();
        for part in parts {
            write::encode_into(&mut bytes, part).unwrap();
        }
        bytes.to_vec()
    }

    fn entry(attributes: Vec<StructureTag>) -> Option<Entry> {
        Entry::parse(&bytes(vec![text(b"cn=ada"), tag(16, PL::C(attributes))]))
    }

    #[test]
    fn values_are_found_by_name_whatever_its_case_and_options() {
        let entry = entry(vec![
            sent(b"Mail;lang-en", &[b"ada@parl.example", b"\xFF"]),
            sent(b"description", &[&[b'x'; 64 * 1024 + 1]]),
        ])
        .unwrap();
        assert_eq!(entry.dn(), "cn=ada");
        assert_eq!(entry.text("mail"), Some("ada@parl.example"));
        assert_eq!(entry.values("mail").count(), 2);
        assert_eq!(entry.texts("mail").count(), 1);
        assert_eq!(entry.values("description").count(), 0);
        assert_eq!(entry.text("pwdlastset"), None);
    }

    #[test]
    fn what_a_server_sends_in_parts_is_put_together() {
        let mut first = entry(vec![sent(b"Member;Range=0-1", &[b"a", b"b"])]).unwrap();
        assert_eq!(first.cut_off(), Some(("member".to_owned(), 2)));
        let last = entry(vec![sent(b"member;range=2-*", &[b"c"])]).unwrap();
        assert!(first.extend("member", &last));
        assert_eq!(first.cut_off(), None);
        assert_eq!(first.texts("member").collect::<String>(), "abc");
        assert!(!first.extend("member", &Entry::default()));
    }

    #[test]
    fn what_is_not_an_entry_is_none() {
        assert!(Entry::parse(b"").is_none());
        assert!(Entry::parse(&bytes(vec![text(b"x")])).is_none());
        assert!(Entry::parse(&bytes(vec![text(b"\xFF"), tag(16, PL::C(vec![]))])).is_none());
        assert!(entry(vec![text(b"mail")]).is_none());
        assert!(entry(vec![sent(b"\xFF", &[])]).is_none());
        let nested = tag(17, PL::C(vec![sent(b"mail", &[])]));
        assert!(entry(vec![tag(16, PL::C(vec![text(b"mail"), nested]))]).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_entry_that_was_bent_makes_it_panic(cut in 0_usize..60, at in 0_usize..60, byte: u8) {
            let mut sent = bytes(vec![text(b"cn=ada"), tag(16, PL::C(vec![
                sent(b"mail;range=0-1", &[b"ada@parl.example", b"b"]), sent(b"uid", &[]),
            ]))]);
            if let Some(own) = sent.get_mut(at) { *own = byte; }
            sent.truncate(cut);
            let _ = Entry::parse(&sent);
        }
    }
}

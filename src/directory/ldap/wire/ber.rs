//! BER: the few forms of it that LDAP allows (RFC 4511 section 5.1), read where they lie. Nothing is copied, and nothing
//! that is nested in itself is followed further down than its reader asks.

/// An element: what sort it is, and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::directory::ldap) struct Element<'a> {
    /// Class, form and number in one byte.
    pub tag: u8,
    /// What it holds: a value, or further elements.
    pub content: &'a [u8],
}

pub(in crate::directory::ldap) const INTEGER: u8 = 0x02;
pub(in crate::directory::ldap) const OCTET_STRING: u8 = 0x04;
pub(in crate::directory::ldap) const ENUMERATED: u8 = 0x0A;
pub(in crate::directory::ldap) const SEQUENCE: u8 = 0x30;
pub(in crate::directory::ldap) const SET: u8 = 0x31;

/// How an element begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Head {
    /// Not all of it has come.
    Short,
    /// This is not how LDAP writes.
    Wrong,
    /// It is whole.
    Whole {
        tag: u8,
        /// Where the content begins.
        from: usize,
        /// How long it is.
        length: usize,
    },
}

/// How the element begins with which `bytes` begin.
pub(super) fn head(bytes: &[u8]) -> Head {
    let &[tag, first, ref rest @ ..] = bytes else {
        return Head::Short;
    };
    // Numbers above 30 take further bytes; LDAP has none.
    if tag & 0x1F == 0x1F {
        return Head::Wrong;
    }
    let many = match first {
        0..0x80 => {
            return Head::Whole {
                tag,
                from: 2,
                length: usize::from(first),
            };
        }
        // Without an end that is told, which LDAP forbids; or longer than anything is.
        0x80 | 0x85.. => return Head::Wrong,
        _ => usize::from(first & 0x7F),
    };
    match rest.get(..many) {
        None => Head::Short,
        Some(digits) => Head::Whole {
            tag,
            from: 2 + many,
            length: digits
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
        },
    }
}

/// The elements that follow one another.
#[derive(Clone, Copy, Debug)]
pub(in crate::directory::ldap) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next one; none at the end, and none if what follows is no element.
    pub fn next(&mut self) -> Option<Element<'a>> {
        let Head::Whole { tag, from, length } = head(self.0) else {
            return None;
        };
        let content = self.0.get(from..from.checked_add(length)?)?;
        self.0 = self.0.get(from + length..)?;
        Some(Element { tag, content })
    }

    /// What the next one holds, if it is of this sort.
    pub fn of_tag(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|element| element.tag == tag)
            .map(|element| element.content)
    }
}

/// A number that is not negative, and not above what fits.
pub(in crate::directory::ldap) fn number(content: &[u8]) -> Option<u32> {
    match content {
        [] | [0x80..=0xFF, ..] => None,
        _ => content.iter().try_fold(0_u32, |number, byte| {
            number.checked_mul(256)?.checked_add(u32::from(*byte))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_each_form_that_ldap_allows_and_in_no_other() {
        let whole = |tag, from, length| Head::Whole { tag, from, length };
        for (bytes, expected) in [
            (&[][..], Head::Short),
            (&[0x04], Head::Short),
            (&[0x04, 0x05], whole(4, 2, 5)),
            (&[0x30, 0x81], Head::Short),
            (&[0x30, 0x81, 0xC8], whole(0x30, 3, 200)),
            // OpenLDAP and Active Directory write four bytes of length.
            (&[0x30, 0x84, 0, 0, 1, 2], whole(0x30, 6, 258)),
            (&[0x30, 0x80], Head::Wrong),
            (&[0x30, 0x85, 1, 1, 1, 1, 1], Head::Wrong),
            (&[0x30, 0xFF], Head::Wrong),
            (&[0x1F, 0x01, 0x01], Head::Wrong),
        ] {
            assert_eq!(head(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn elements_follow_one_another_and_none_is_longer_than_what_came() {
        let mut elements = Elements::of(&[4, 2, b'a', b'b', 2, 1, 7, 4, 9, b'c']);
        assert_eq!(elements.of_tag(OCTET_STRING), Some(&b"ab"[..]));
        assert_eq!(elements.of_tag(INTEGER).and_then(number), Some(7));
        assert!(!elements.is_empty());
        assert_eq!(elements.next(), None);
        assert_eq!(Elements::of(&[4, 1, 0]).of_tag(INTEGER), None);
    }

    #[test]
    fn numbers_are_what_they_say_or_none() {
        for (bytes, expected) in [
            (&[0][..], Some(0)),
            (&[0, 0xFF], Some(255)),
            (&[0x7F, 0xFF, 0xFF, 0xFF], Some(i32::MAX as u32)),
            (&[1, 0, 0, 0, 0], None),
            (&[0xFF], None),
            (&[], None),
        ] {
            assert_eq!(number(bytes), expected, "{bytes:02x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_go_on_for_ever(bytes: Vec<u8>) {
            let mut elements = Elements::of(&bytes);
            let mut count = 0;
            while elements.next().is_some() { count += 1; }
            proptest::prop_assert!(count <= bytes.len());
        }
    }
}

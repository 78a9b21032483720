//! Message: what a server says, as it came (RFC 4511 section 4).

use super::ber::{ENUMERATED, Elements, INTEGER, OCTET_STRING, SEQUENCE, number};

/// Microsoft's and everybody's control for paged results (RFC 2696).
pub(super) const PAGED: &[u8] = b"1.2.840.113556.1.4.319";

/// No text of a server that we look into is longer.
const MOST_TEXT: usize = 4096;

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::directory::ldap) struct Message<'a> {
    /// Of the request that it answers; zero if it answers none.
    pub id: u32,
    /// What it says.
    pub says: Says<'a>,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::directory::ldap) enum Says<'a> {
    /// An entry that was found: its name and its attributes.
    Entry(&'a [u8]),
    /// That more is in another server.
    Referral,
    /// That something is over.
    Ended(Outcome),
    /// Something that we did not ask for.
    Other,
}

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::directory::ldap) struct Outcome {
    /// RFC 4511 section 4.1.9.
    pub code: u32,
    /// The server's own words, never shown: they may name a person.
    pub text: String,
    /// Where the next page begins; empty after the last.
    pub cookie: Vec<u8>,
}

impl<'a> Message<'a> {
    /// None if this is not LDAP's form.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = Elements::of(Elements::of(bytes).of_tag(SEQUENCE)?);
        let id = number(parts.of_tag(INTEGER)?)?;
        let operation = parts.next()?;
        let says = match operation.tag {
            0x64 => Says::Entry(operation.content),
            0x73 => Says::Referral,
            // Bound, searched, extended. Controls come after it, or what Active Directory puts in their place.
            0x61 | 0x65 | 0x78 => {
                let controls = parts.next().filter(|element| element.tag == 0xA0);
                let cookie = controls.and_then(|controls| cookie(controls.content));
                Says::Ended(outcome(operation.content, cookie.unwrap_or_default())?)
            }
            _ => Says::Other,
        };
        Some(Self { id, says })
    }
}

fn outcome(content: &[u8], cookie: &[u8]) -> Option<Outcome> {
    let mut parts = Elements::of(content);
    let code = number(parts.of_tag(ENUMERATED)?)?;
    let _matched = parts.of_tag(OCTET_STRING)?;
    let text = parts.of_tag(OCTET_STRING)?;
    let text = text.get(..MOST_TEXT).unwrap_or(text);
    Some(Outcome {
        code,
        text: String::from_utf8_lossy(text).into_owned(),
        cookie: cookie.to_owned(),
    })
}

fn cookie(controls: &[u8]) -> Option<&[u8]> {
    let mut controls = Elements::of(controls);
    while let Some(control) = controls.of_tag(SEQUENCE) {
        let mut parts = Elements::of(control);
        if parts.of_tag(OCTET_STRING)? != PAGED {
            continue;
        }
        // Whether it is critical may stand before it.
        while let Some(part) = parts.next() {
            if part.tag == OCTET_STRING {
                let mut value = Elements::of(Elements::of(part.content).of_tag(SEQUENCE)?);
                let _estimate = value.of_tag(INTEGER)?;
                return value.of_tag(OCTET_STRING);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One element of others, or of a value.
    fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let length = u8::try_from(content.len()).unwrap();
        let mut bytes = vec![tag, 0x81, length];
        bytes.extend(content);
        bytes
    }

    fn result(operation: u8, code: u8, text: &[u8]) -> Vec<u8> {
        element(
            operation,
            &[
                &element(ENUMERATED, &[&[code]]),
                &element(OCTET_STRING, &[]),
                &element(OCTET_STRING, &[text]),
            ],
        )
    }

    fn message(id: u8, rest: &[&[u8]]) -> Vec<u8> {
        let mut parts = element(INTEGER, &[&[id]]);
        parts.extend(rest.concat());
        element(SEQUENCE, &[&parts])
    }

    fn controls(kind: &[u8], cookie: &[u8]) -> Vec<u8> {
        let value = element(
            SEQUENCE,
            &[
                &element(INTEGER, &[&[0]]),
                &element(OCTET_STRING, &[cookie]),
            ],
        );
        let control = element(
            SEQUENCE,
            &[
                &element(OCTET_STRING, &[kind]),
                &element(0x01, &[&[0xFF]]),
                &element(OCTET_STRING, &[&value]),
            ],
        );
        element(0xA0, &[&control])
    }

    #[test]
    fn what_ended_says_how_and_where_the_next_page_begins() {
        let ended = |bytes: &[u8]| match Message::parse(bytes) {
            Some(Message {
                id,
                says: Says::Ended(outcome),
            }) => (id, outcome),
            other => panic!("{other:?}"),
        };
        let done = result(0x65, 0, b"");
        let (id, outcome) = ended(&message(7, &[&done, &controls(PAGED, b"next")]));
        assert_eq!((id, outcome.code, outcome.cookie), (7, 0, b"next".to_vec()));
        let (_, outcome) = ended(&message(7, &[&done, &controls(b"1.2.3", b"next")]));
        assert_eq!(outcome.cookie, b"");
        let (_, outcome) = ended(&message(2, &[&result(0x61, 49, b"data 775, v\xFF")]));
        assert_eq!(
            (outcome.code, outcome.text.as_str()),
            (49, "data 775, v\u{FFFD}")
        );
    }

    #[test]
    fn a_notice_that_the_server_hangs_up_is_understood_as_each_server_writes_it() {
        let name = element(0x8A, &[b"1.3.6.1.4.1.1466.20036"]);
        let told = result(0x78, 52, b"");
        // Active Directory puts the name of the notice where controls belong.
        for bytes in [message(0, &[&told]), message(0, &[&told, &name])] {
            let said = Message::parse(&bytes).unwrap();
            assert_eq!(said.id, 0);
            assert!(matches!(said.says, Says::Ended(Outcome { code: 52, .. })));
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &[][..],
            &[0x30, 0],
            &element(SEQUENCE, &[&element(INTEGER, &[&[1]])]),
            &message(1, &[&element(0x65, &[])]),
            &message(1, &[&element(0x65, &[&element(ENUMERATED, &[&[0]])])]),
            &element(SET_NOT_SEQUENCE, &[&element(INTEGER, &[&[1]])]),
        ] {
            assert_eq!(Message::parse(bytes), None, "{bytes:02x?}");
        }
        let unknown = message(1, &[&element(0x6A, &[b"anything"])]);
        assert!(matches!(
            Message::parse(&unknown),
            Some(Message {
                says: Says::Other,
                ..
            })
        ));
    }

    const SET_NOT_SEQUENCE: u8 = 0x31;

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Message::parse(&bytes);
        }

        #[test]
        fn no_message_that_was_cut_or_bent_makes_it_panic(cut in 0_usize..80, at in 0_usize..80, byte: u8) {
            let mut bytes = message(7, &[&result(0x65, 0, b"text"), &controls(PAGED, b"next")]);
            if let Some(own) = bytes.get_mut(at) { *own = byte; }
            bytes.truncate(cut.max(1));
            let _ = Message::parse(&bytes);
        }
    }
}

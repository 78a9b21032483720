//! Request: what we ask a server, as it travels. Filters are read and everything is written by `ldap3`.

use ldap3::asn1::{
    ASNTag, Boolean, Enumerated, Integer, OctetString, PL, Sequence, StructureTag, Tag, TagClass,
    Types, write,
};
use ldap3::controls::{PagedResults, RawControl};
use ldap3::{Scope, parse_filter};

/// RFC 4511 section 4.14.
const STARTTLS: &str = "1.3.6.1.4.1.1466.20037";

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::directory::ldap) struct Search<'a> {
    /// From which entry on.
    pub base: &'a str,
    /// How far down.
    pub scope: Scope,
    /// Which entries.
    pub filter: &'a str,
    /// What of them.
    pub attributes: &'a [String],
    /// How many at once, and where the page begins.
    pub page: Option<(i32, &'a [u8])>,
}

/// The text is no filter.
#[derive(Debug)]
pub(in crate::directory::ldap) struct NoFilter;

impl Search<'_> {
    /// As it travels.
    pub(super) fn bytes(&self, id: u32) -> Result<Vec<u8>, NoFilter> {
        const NEVER_DEREFERENCE: i64 = 0;
        const NO_LIMIT: i64 = 0;
        let attributes = self.attributes.iter().map(|name| octets(name.as_bytes()));
        let operation = application(
            3,
            vec![
                octets(self.base.as_bytes()),
                enumerated(match self.scope {
                    Scope::Base => 0,
                    Scope::OneLevel => 1,
                    Scope::Subtree => 2,
                }),
                enumerated(NEVER_DEREFERENCE),
                integer(NO_LIMIT),
                integer(NO_LIMIT),
                Tag::Boolean(Boolean {
                    inner: false,
                    ..Boolean::default()
                }),
                parse_filter(self.filter).map_err(|_| NoFilter)?,
                sequence(attributes.collect()),
            ],
        );
        let control = self.page.map(|(size, cookie)| {
            let control: RawControl = PagedResults {
                size,
                cookie: cookie.to_owned(),
            }
            .into();
            control
        });
        Ok(message(id, operation, control))
    }
}

/// Signing in by name and password. What is given back holds both: wipe it.
pub(super) fn bind(id: u32, user: &str, password: &str) -> Vec<u8> {
    let credentials = OctetString {
        id: 0,
        class: TagClass::Context,
        inner: password.as_bytes().to_owned(),
    };
    let parts = vec![
        integer(3),
        octets(user.as_bytes()),
        Tag::OctetString(credentials),
    ];
    message(id, application(0, parts), None)
}

/// Asking for TLS.
pub(super) fn starttls(id: u32) -> Vec<u8> {
    let name = OctetString {
        id: 0,
        class: TagClass::Context,
        inner: STARTTLS.as_bytes().to_owned(),
    };
    message(id, application(23, vec![Tag::OctetString(name)]), None)
}

/// Saying goodbye.
pub(super) fn unbind(id: u32) -> Vec<u8> {
    let operation = StructureTag {
        class: TagClass::Application,
        id: 2,
        payload: PL::P(Vec::new()),
    };
    message(id, Tag::StructureTag(operation), None)
}

fn message(id: u32, operation: Tag, control: Option<RawControl>) -> Vec<u8> {
    let mut parts = vec![integer(i64::from(id)), operation];
    if let Some(control) = control {
        let mut own = vec![octets(control.ctype.as_bytes())];
        own.extend(control.val.as_deref().map(octets));
        let controls = Sequence {
            id: 0,
            class: TagClass::Context,
            inner: vec![sequence(own)],
        };
        parts.push(Tag::Sequence(controls));
    }
    let mut bytes = Default::default();
    // Into memory, where nothing fails.
    let _ = write::encode_into(&mut bytes, sequence(parts).into_structure());
    bytes.to_vec()
}

fn application(id: u64, inner: Vec<Tag>) -> Tag {
    Tag::Sequence(Sequence {
        id,
        class: TagClass::Application,
        inner,
    })
}

fn sequence(inner: Vec<Tag>) -> Tag {
    Tag::Sequence(Sequence {
        id: Types::Sequence as u64,
        class: TagClass::Universal,
        inner,
    })
}

fn octets(bytes: &[u8]) -> Tag {
    Tag::OctetString(OctetString {
        inner: bytes.to_owned(),
        ..OctetString::default()
    })
}

fn integer(inner: i64) -> Tag {
    Tag::Integer(Integer {
        inner,
        ..Integer::default()
    })
}

fn enumerated(inner: i64) -> Tag {
    Tag::Enumerated(Enumerated {
        inner,
        ..Enumerated::default()
    })
}

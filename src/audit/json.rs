//! JSON of logs and services: an object, an array, an object around an array, or a value a line → records, one by one.
//!
//! Of each record only the wanted members are ever copied out of the bytes; a password in another member is passed over.
//! Member names are compared without case, for some pipelines change it. A value of a wrong type is no error of the file:
//! it is simply not what a reader looks for.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Read;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::AuditError;
use super::decode::Bytes;
use super::hibp::{MAX_ENTRY, Metered};

/// What is wanted of a JSON file.
pub(super) struct Shape {
    /// Members of the outermost object that hold the records.
    pub(super) arrays: &'static [&'static str],
    /// Members that are kept, at any depth. No name of a secret may stand here.
    pub(super) wanted: &'static [&'static str],
}

/// What is kept of a value.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Node {
    /// Nothing: null, absent, or a number that is none.
    #[default]
    Nothing,
    /// Text, number, or truth.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object's wanted members.
    Map(Vec<(&'static str, Node)>),
}

const NOTHING: &Node = &Node::Nothing;

impl Node {
    /// A member; nothing if there is none.
    pub(super) fn get(&self, name: &str) -> &Self {
        let Self::Map(members) = self else {
            return NOTHING;
        };
        let found = members.iter().find(|(known, _)| *known == name);
        found.map_or(NOTHING, |(_, node)| node)
    }

    /// The text, trimmed, if there is any.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            Self::Nothing | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A member's text.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name).text()
    }

    /// Whether a member says yes.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text_of(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// A member as a whole number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text_of(name)?.parse().ok()
    }

    /// The values of an array; one that stands alone is an array of one.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Nothing => &[],
            Self::Text(_) | Self::Map(_) => std::slice::from_ref(self),
        }
    }

    /// Whether there is anything.
    pub(super) const fn is_something(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// A part of the file.
pub(super) enum Piece {
    /// A record.
    Record(Node),
    /// What was around an array.
    Around(Node),
}

/// How the file ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// There was nothing in it.
    Empty,
    /// As it should.
    Whole,
    /// In the middle of a value.
    Cut,
}

type Take<'a> = &'a mut dyn FnMut(Piece) -> Result<(), AuditError>;

/// Reads a file a record at a time, in bounded memory.
pub(super) fn pieces<R: Read>(
    bytes: Bytes<R>,
    shape: &Shape,
    take: Take<'_>,
) -> Result<End, AuditError> {
    let left = Cell::new(MAX_ENTRY);
    let trouble = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_reader(Metered::new(bytes, &left, &trouble));
    let mut end = End::Empty;
    loop {
        let ended = json.end();
        if let Some(error) = trouble.take() {
            return Err(error);
        }
        if ended.is_ok() {
            return Ok(end);
        }
        left.set(MAX_ENTRY);
        let file = File {
            shape,
            take: &mut *take,
            left: &left,
            trouble: &trouble,
        };
        let result = json.deserialize_any(file);
        // An error of ours went through serde_json, which would have turned it into words.
        if let Some(error) = trouble.take() {
            return Err(error);
        }
        match result {
            Ok(()) => end = End::Whole,
            Err(error) if error.is_eof() => return Ok(End::Cut),
            Err(error) => {
                return Err(AuditError::Json {
                    line: error.line(),
                    column: error.column(),
                    problem: "this is no JSON, or not in the form of this format",
                });
            }
        }
    }
}

/// Visits one outermost value.
struct File<'a, 'b> {
    shape: &'b Shape,
    take: Take<'a>,
    left: &'b Cell<usize>,
    trouble: &'b RefCell<Option<AuditError>>,
}

impl File<'_, '_> {
    fn hand_out<E: de::Error>(&mut self, piece: Piece) -> Result<(), E> {
        self.left.set(MAX_ENTRY);
        (self.take)(piece).map_err(|error| {
            *self.trouble.borrow_mut() = Some(error);
            E::custom("stopped")
        })
    }
}

impl<'de> Visitor<'de> for File<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(node) = seq.next_element_seed(Pick(self.shape.wanted))? {
            self.hand_out(Piece::Record(node))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut own = Vec::new();
        let mut around = false;
        while let Some(key) = map.next_key::<String>()? {
            if let Some(name) = known(self.shape.arrays, &key) {
                match map.next_value_seed(Stream(&mut self))? {
                    Some(node) => keep(&mut own, name, node),
                    None => around = true,
                }
            } else if let Some(name) = known(self.shape.wanted, &key) {
                keep(
                    &mut own,
                    name,
                    map.next_value_seed(Pick(self.shape.wanted))?,
                );
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let own = Node::Map(own);
        self.hand_out(if around {
            Piece::Around(own)
        } else {
            Piece::Record(own)
        })
    }
}

/// The first of two equal members counts.
fn keep(own: &mut Vec<(&'static str, Node)>, name: &'static str, node: Node) {
    if own.iter().all(|(known, _)| *known != name) {
        own.push((name, node));
    }
}

fn known(names: &'static [&'static str], key: &str) -> Option<&'static str> {
    names
        .iter()
        .copied()
        .find(|name| name.eq_ignore_ascii_case(key))
}

/// Hands out an array's values; gives back a value that is no array.
struct Stream<'s, 'a, 'b>(&'s mut File<'a, 'b>);

impl<'de> DeserializeSeed<'de> for Stream<'_, '_, '_> {
    type Value = Option<Node>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Stream<'_, '_, '_> {
    type Value = Option<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0.shape.wanted;
        while let Some(node) = seq.next_element_seed(Pick(wanted))? {
            self.0.hand_out(Piece::Record(node))?;
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Pick(self.0.shape.wanted).visit_map(map).map(Some)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Node::Text(text.to_owned())))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Some(Node::Text(truth.to_string())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Node::Text(number.to_string())))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Node::Text(number.to_string())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Node::Text(number.to_string())))
    }

    /// `null` where an array could be is an empty one.
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Keeps the wanted members of any value.
#[derive(Clone, Copy)]
struct Pick(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Pick {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Node, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pick {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Text(truth.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Node, E> {
        // A whole number that was written as 1.77e12 is one.
        let whole = number.fract() == 0.0 && number.abs() < 9e15;
        Ok(Node::Text(if whole {
            format!("{number:.0}")
        } else {
            number.to_string()
        }))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(node) = seq.next_element_seed(self)? {
            items.push(node);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match known(self.0, &key) {
                Some(name) => keep(&mut members, name, map.next_value_seed(self)?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Node::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::CodePage;
    use crate::audit::tests::Trickle;

    const SHAPE: Shape = Shape {
        arrays: &["value"],
        wanted: &["id", "next", "inner"],
    };

    fn read(text: &[u8], step: usize) -> Result<(Vec<String>, End), AuditError> {
        let bytes = Bytes::open(Trickle { rest: text, step }, None, CodePage::default())?;
        let mut seen = Vec::new();
        let end = pieces(bytes, &SHAPE, &mut |piece| {
            seen.push(match piece {
                Piece::Record(node) => node.text_of("id").unwrap_or("-").to_owned(),
                Piece::Around(node) => format!("next {}", node.text_of("next").unwrap_or("-")),
            });
            Ok(())
        })?;
        Ok((seen, end))
    }

    #[test]
    fn every_way_to_write_a_list_gives_its_records() {
        for (text, expected) in [
            (r#"[{"id":1},{"ID":"b"}]"#, "1 b"),
            ("{\"id\":1}\r\n{\"id\":\"b\"}\n\n", "1 b"),
            (r#"{"value":[{"id":1},{"id":"b"}]}"#, "1 b next -"),
            (r#"{"next":7,"value":[{"id":1}],"x":{"id":9}}"#, "1 next 7"),
            ("\u{FEFF}{\"id\":1}{\"id\":true}", "1 true"),
            (r#"{"value":null}"#, "next -"),
            (r#"{"value":"x","id":1}"#, "1"),
            (r#"[1,null,"x",[]]"#, "- - - -"),
            (r#"{"id":1,"id":2}"#, "1"),
            (r#"{"id":1e400}"#, "error"),
            (
                r#"{"id":123456789012345678901234567890}"#,
                "123456789012345680000000000000",
            ),
            ("", ""),
            (" \n ", ""),
        ] {
            for step in [1, 7, 1000] {
                let seen = match read(text.as_bytes(), step) {
                    Ok((seen, end)) => {
                        assert_ne!(end, End::Cut, "{text}");
                        seen.join(" ")
                    }
                    Err(_) => "error".to_owned(),
                };
                assert_eq!(seen, expected, "{text}");
            }
        }
    }

    #[test]
    fn a_broken_last_value_is_cut_and_a_broken_inner_one_is_an_error() {
        let (seen, end) = read(b"{\"id\":1}\n{\"id\":\"b", 3).unwrap();
        assert_eq!((seen.len(), end), (1, End::Cut));
        let (seen, end) = read(br#"{"value":[{"id":1},{"id""#, 3).unwrap();
        assert_eq!((seen.len(), end), (1, End::Cut));
        for text in [
            "{\"id\":1}\n{\"id\":b}\n{\"id\":2}",
            "{\"id\":1} x",
            "[1,]",
            "5",
            "\"x\"",
        ] {
            assert!(read(text.as_bytes(), 3).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        for deep in ["[", "{\"inner\":", "{\"other\":"] {
            let text = deep.repeat(100_000);
            assert!(
                !matches!(read(text.as_bytes(), 4096), Ok((_, End::Whole))),
                "{deep}"
            );
        }
        let long = format!("[{{\"other\":\"{}\"}}]", "x".repeat(MAX_ENTRY));
        let refused = read(long.as_bytes(), 4096).unwrap_err().to_string();
        assert!(refused.contains("1 MiB"), "{refused}");
        let many = format!("[{}{{\"id\":1}}]", "{\"id\":1},".repeat(300_000));
        assert_eq!(read(many.as_bytes(), 4096).unwrap().0.len(), 300_001);
    }

    #[test]
    fn members_that_nobody_wants_are_not_kept() {
        let text = br#"{"id":1,"credential":"FAKE-x","inner":{"password":"FAKE-y","id":2}}"#;
        let bytes = Bytes::open(text.as_slice(), None, CodePage::default()).unwrap();
        pieces(bytes, &SHAPE, &mut |piece| {
            let Piece::Record(node) = piece else {
                panic!("no record")
            };
            assert_eq!(node.get("inner").number("id"), Some(2));
            assert!(!format!("{node:?}").contains("FAKE"));
            Ok(())
        })
        .unwrap();
    }
}

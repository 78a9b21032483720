//! Json: documents of any length → their records, of which only the keys that a form asks for are ever kept.
//!
//! Everything else is passed over by the parser itself: no hash of a realm export is copied anywhere.

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::ops::ControlFlow;

use chrono_tz::Tz;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::directory::{DirectoryError, when};
use crate::domain::evidence::Change;
use crate::domain::finding::RejectReason;

/// The longest text of a record, and the most values of a list, that are kept.
const LONGEST: usize = 4096;
const MOST: usize = 1024;

/// What a document says beside its records.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::directory) struct Document {
    /// The place of its records was there.
    pub found: bool,
    /// Where it goes on.
    pub next: Option<String>,
    /// Where to ask later for what has changed since.
    pub delta: Option<String>,
    /// It says that it is not complete.
    pub truncated: bool,
}

/// Where the records are, and what is kept of each.
#[derive(Clone, Copy, Debug)]
pub(in crate::directory) struct Shape {
    /// The keys that lead to the list, unless the document is the list.
    pub path: &'static [&'static str],
    /// What is kept of a record, at any depth.
    pub keys: &'static [&'static str],
}

/// Hands on the records of a document, numbered from 1, until it is told to stop.
pub(in crate::directory) fn records(
    input: impl Read,
    shape: Shape,
    each: &mut dyn FnMut(u64, Result<Value, RejectReason>) -> ControlFlow<()>,
) -> Result<Document, DirectoryError> {
    let reading = Reading {
        shape,
        each: RefCell::new(each),
        count: Cell::new(0),
        stopped: Cell::new(false),
        flawed: Cell::new(false),
        document: RefCell::default(),
    };
    let mut parser = serde_json::Deserializer::from_reader(input);
    let parsed = Place {
        reading: &reading,
        path: shape.path,
    }
    .deserialize(&mut parser)
    .and_then(|()| parser.end());
    match parsed {
        Err(error) if !reading.stopped.get() => match error.io_error_kind() {
            Some(kind) => Err(DirectoryError::Read(kind.into())),
            None => Err(DirectoryError::Document {
                line: error.line() as u64,
            }),
        },
        _ => Ok(reading.document.take()),
    }
}

type Each<'a> = &'a mut dyn FnMut(u64, Result<Value, RejectReason>) -> ControlFlow<()>;

struct Reading<'a> {
    shape: Shape,
    each: RefCell<Each<'a>>,
    count: Cell<u64>,
    stopped: Cell<bool>,
    /// The record that is being read has a text that is too long, or is no object.
    flawed: Cell<bool>,
    document: RefCell<Document>,
}

/// A place on the way to the records.
#[derive(Clone, Copy)]
struct Place<'a> {
    reading: &'a Reading<'a>,
    path: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or a list of records")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.reading.document.borrow_mut().found |= self.path.is_empty();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else {
            return Err(A::Error::custom("an object in place of the records"));
        };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                key if key == *first => map.next_value_seed(Place { path: rest, ..self })?,
                "@odata.nextLink" | "nextPageToken" => {
                    self.reading.document.borrow_mut().next = map.next_value()?;
                }
                "@odata.deltaLink" => {
                    self.reading.document.borrow_mut().delta = map.next_value()?;
                }
                "truncated" => {
                    let is_cut: bool = map.next_value()?;
                    self.reading.document.borrow_mut().truncated |= is_cut;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let reading = self.reading;
        reading.document.borrow_mut().found = true;
        let keep = Keep { reading };
        while let Some(record) = list.next_element_seed(keep)? {
            reading.count.set(reading.count.get() + 1);
            let record = match record {
                _ if reading.flawed.replace(false) => Err(RejectReason::TooLong),
                record if record.is_object() => Ok(record),
                _ => Err(RejectReason::Malformed),
            };
            if (reading.each.borrow_mut())(reading.count.get(), record).is_break() {
                reading.stopped.set(true);
                return Err(A::Error::custom("nobody listens any more"));
            }
        }
        Ok(())
    }
}

/// One value of a record, without what nobody asks for.
#[derive(Clone, Copy)]
struct Keep<'a> {
    reading: &'a Reading<'a>,
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        if text.len() > LONGEST {
            self.reading.flawed.set(true);
            return Ok(Value::Null);
        }
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MOST {
            match list.next_element_seed(self)? {
                Some(value) => kept.push(value),
                None => return Ok(Value::Array(kept)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            self.reading.flawed.set(true);
        }
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if self.reading.shape.keys.contains(&key.as_str()) {
                kept.insert(key, map.next_value_seed(self)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(kept))
    }
}

/// The text of a key; nothing if it is missing or no text.
pub(super) fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A yes or a no; none if the source does not say.
pub(super) fn flag(record: &Value, key: &str) -> Result<Option<bool>, RejectReason> {
    match record.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(RejectReason::BadValue),
    }
}

/// A time with its zone; none if the source does not say. The year 1 is what some write for "never".
pub(super) fn time(record: &Value, key: &str) -> Result<Option<Change>, RejectReason> {
    match record.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.starts_with("0001-01-01") => Ok(None),
        Some(Value::String(text)) => when::parse(text, Tz::UTC, None)
            .map(Some)
            .ok_or(RejectReason::BadDate),
        Some(_) => Err(RejectReason::BadDate),
    }
}

/// A list; empty if there is none.
pub(super) fn list<'a>(record: &'a Value, key: &str) -> &'a [Value] {
    record
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

//! Events as XML: `wevtutil qe Security /f:xml` with a root or without. Entities are never expanded and a document type is
//! refused.

use std::io::{BufRead, Read};

use chrono_tz::Tz;
use quick_xml::errors::SyntaxError;
use quick_xml::events::{BytesRef, BytesStart, Event};
use zeroize::Zeroize;

use super::{Happened, MAX_VALUE, cut, number};
use crate::audit::dates::Dates;
use crate::audit::decode::Bytes;
use crate::audit::detect::Refusal;
use crate::audit::{AuditError, Sink};
use crate::domain::moment::Moment;

/// Bytes that one event may have.
const LARGEST: usize = 1024 * 1024;
/// "Audit success": what would be evidence is logged for attempts too.
const SUCCESS: u64 = 0x0020_0000_0000_0000;

/// Lets one event's bytes through, and no more.
struct Limited<R> {
    bytes: Bytes<R>,
    left: usize,
    trouble: Option<AuditError>,
}

impl<R: Read> Limited<R> {
    fn stop(&mut self, error: AuditError) -> std::io::Error {
        self.trouble = Some(error);
        std::io::Error::other("stopped")
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let chunk = self.fill_buf()?;
        let count = chunk.len().min(into.len());
        for (to, from) in into.iter_mut().zip(chunk) {
            *to = *from;
        }
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Limited<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            return Err(self.stop(Refusal::LongValue.into()));
        }
        // Asked first, for what is borrowed cannot be given back after an error.
        if let Err(error) = self.bytes.chunk() {
            return Err(self.stop(error));
        }
        self.bytes
            .chunk()
            .map_err(|_| std::io::Error::other("stopped"))
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.bytes.consume(count);
    }
}

pub(super) fn read<R: Read>(bytes: Bytes<R>, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    let mut reader = quick_xml::Reader::from_reader(Limited {
        bytes,
        left: LARGEST,
        trouble: None,
    });
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut logged: Option<Logged> = None;
    let mut in_root = false;
    loop {
        buffer.zeroize();
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            // What the file breaks off in is a tag or a text, and no error of the rest.
            Err(quick_xml::Error::Syntax(error))
                if error != SyntaxError::InvalidBangMarkup
                    && (in_root || sink.summary.records > 0) =>
            {
                return cut(logged.is_some(), sink);
            }
            Err(_) => {
                let offset = reader.buffer_position();
                return Err(reader
                    .get_mut()
                    .trouble
                    .take()
                    .unwrap_or(AuditError::Xml { offset }));
            }
        };
        match event {
            Event::DocType(_) => {
                let offset = reader.buffer_position();
                return Err(AuditError::Xml { offset });
            }
            Event::Start(start) if start.local_name().as_ref() == b"Event" => {
                sink.record();
                logged = Some(Logged::default());
            }
            Event::End(end) if end.local_name().as_ref() == b"Event" => {
                reader.get_mut().left = LARGEST;
                if let Some(logged) = logged.take() {
                    logged.happened(sink.summary.records).hand_out(sink)?;
                }
            }
            Event::Start(start) if start.local_name().as_ref() == b"Events" => in_root = true,
            Event::End(end) if end.local_name().as_ref() == b"Events" => in_root = false,
            Event::Eof if in_root || logged.is_some() => return cut(logged.is_some(), sink),
            Event::Eof => return Ok(()),
            other => {
                if let Some(logged) = &mut logged {
                    logged.meets(&other);
                }
            }
        }
    }
}

/// Where in an event we are; other places are passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Id,
    Keywords,
    Name,
    Domain,
    Sid,
    Status,
    SubStatus,
    Address,
}

impl Place {
    fn of_data(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"TargetUserName" => Self::Name,
            b"TargetDomainName" => Self::Domain,
            b"TargetSid" | b"TargetUserSid" => Self::Sid,
            b"Status" => Self::Status,
            b"SubStatus" => Self::SubStatus,
            b"IpAddress" => Self::Address,
            _ => return None,
        })
    }
}

/// What is kept of an event.
#[derive(Default)]
struct Logged {
    place: Option<Place>,
    at: Option<Moment>,
    values: [String; 8],
    /// A value was too long, or in no encoding, and is not what it seems.
    spoilt: bool,
}

impl Logged {
    fn meets(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(start) => self.enters(start),
            Event::Empty(start) => {
                self.enters(start);
                self.place = None;
            }
            Event::Text(text) => self.says(text.decode().ok().as_deref()),
            Event::CData(text) => self.says(text.decode().ok().as_deref()),
            Event::GeneralRef(reference) => self.says(character(reference).as_deref()),
            Event::End(_) => self.place = None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Eof => {}
        }
    }

    fn enters(&mut self, start: &BytesStart<'_>) {
        let attribute = |name: &str| {
            let attribute = start.try_get_attribute(name).ok().flatten()?;
            Some(attribute.value.into_owned())
        };
        self.place = match start.local_name().as_ref() {
            b"EventID" => Some(Place::Id),
            b"Keywords" => Some(Place::Keywords),
            b"Data" => attribute("Name").and_then(|name| Place::of_data(&name)),
            b"TimeCreated" => {
                let time = attribute("SystemTime").and_then(|time| String::from_utf8(time).ok());
                let dates = Dates {
                    forms: Vec::new(),
                    zone: Tz::UTC,
                };
                self.at = time.and_then(|time| dates.read(&time));
                None
            }
            _ => None,
        };
    }

    fn says(&mut self, text: Option<&str>) {
        let Some(kept) = self
            .place
            .and_then(|place| self.values.get_mut(place as usize))
        else {
            return;
        };
        match text {
            Some(text) if kept.len() + text.len() <= MAX_VALUE => kept.push_str(text),
            Some(_) | None => self.spoilt = true,
        }
    }

    fn value(&self, place: Place) -> &str {
        let value = self
            .values
            .get(place as usize)
            .map_or("", |text| text.trim());
        if value == "-" { "" } else { value }
    }

    fn happened(&self, line: u64) -> Happened<'_> {
        Happened {
            line,
            id: self.value(Place::Id),
            succeeded: number(self.value(Place::Keywords))
                .is_some_and(|words| words & SUCCESS != 0),
            name: self.value(Place::Name),
            domain: self.value(Place::Domain),
            sid: self.value(Place::Sid),
            status: self.value(Place::Status),
            sub_status: self.value(Place::SubStatus),
            address: self.value(Place::Address),
            at: self.at,
            spoilt: self.spoilt,
        }
    }
}

/// What `&apos;` and its like stand for. Nothing else is expanded.
fn character(reference: &BytesRef<'_>) -> Option<String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character.to_string());
    }
    let name: &[u8] = reference;
    let text = match name {
        b"amp" => "&",
        b"lt" => "<",
        b"gt" => ">",
        b"apos" => "'",
        b"quot" => "\"",
        _ => return None,
    };
    Some(text.to_owned())
}

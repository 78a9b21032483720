//! Windows: events of a security log as XML → who changed whose password. The directory's own date decides when.

use std::io::{BufRead, Read};
use std::ops::ControlFlow;

use quick_xml::events::{BytesRef, BytesStart, Event};

use super::EvidenceOptions;
use super::record::{Record, Spoken, changed_by};
use crate::directory::{DirectoryError, when};
use crate::domain::Moment;
use crate::domain::evidence::{Actor, Change, Part};
use crate::domain::finding::{Precision, RejectReason};
use crate::domain::identity::{Key, KeyKind};

/// The largest event that is read.
const LARGEST: u64 = 1 << 20;
/// "Audit success": the events of a change are logged for attempts too.
const SUCCESS: u64 = 0x0020_0000_0000_0000;
/// Stands for what cannot be read: a name with it matches nobody.
const LOST: &str = "\u{FFFD}";
/// What 4738 writes in place of a date that was set to zero.
const SET_TO_ZERO: &str = "%%1794";

/// Hands on what each event says, numbered from 1.
pub(super) fn read(
    input: impl BufRead,
    options: &EvidenceOptions,
    each: &mut dyn FnMut(u64, Spoken) -> ControlFlow<()>,
) -> Result<(), DirectoryError> {
    let mut reader = quick_xml::Reader::from_reader(Limited {
        input,
        left: LARGEST,
    });
    let (mut buffer, mut count) = (Vec::new(), 0);
    let mut logged: Option<Logged> = None;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| {
            let at = reader_line(count);
            match error {
                quick_xml::Error::Io(error) if error.kind() != std::io::ErrorKind::FileTooLarge => {
                    DirectoryError::Read(error.kind().into())
                }
                _ => DirectoryError::Document { line: at },
            }
        })?;
        match event {
            Event::Start(start) if start.local_name().as_ref() == b"Event" => {
                count += 1;
                logged = Some(Logged::default());
            }
            Event::Start(start) => {
                if let Some(logged) = &mut logged {
                    logged.enters(&start);
                }
            }
            Event::Empty(start) => {
                if let Some(logged) = &mut logged {
                    logged.enters(&start);
                    logged.place = None;
                }
            }
            Event::Text(text) => {
                if let Some(logged) = &mut logged {
                    logged.says(&text.decode().unwrap_or(LOST.into()));
                }
            }
            Event::CData(text) => {
                if let Some(logged) = &mut logged {
                    logged.says(&text.decode().unwrap_or(LOST.into()));
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(logged) = &mut logged {
                    logged.says(&character(&reference));
                }
            }
            Event::End(end) if end.local_name().as_ref() == b"Event" => {
                reader.get_mut().left = LARGEST;
                if let Some(logged) = logged.take()
                    && each(count, logged.told(options)).is_break()
                {
                    return Ok(());
                }
            }
            Event::End(_) => {
                if let Some(logged) = &mut logged {
                    logged.place = None;
                }
            }
            Event::Eof if logged.is_some() => {
                return Err(DirectoryError::Document { line: count });
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// What `&apos;` and its like stand for.
fn character(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name: &[u8] = reference;
    match name {
        b"amp" => "&",
        b"lt" => "<",
        b"gt" => ">",
        b"apos" => "'",
        b"quot" => "\"",
        _ => LOST,
    }
    .to_owned()
}

/// The place of damage is told by the number of the event.
const fn reader_line(count: u64) -> u64 {
    if count == 0 { 1 } else { count }
}

/// Where in an event we are; other places are passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Id,
    Keywords,
    Target,
    Domain,
    TargetSid,
    SubjectSid,
    LastSet,
}

/// What is kept of an event.
#[derive(Default)]
struct Logged {
    place: Option<Place>,
    id: String,
    keywords: String,
    at: Option<Moment>,
    target: String,
    domain: String,
    target_sid: String,
    subject_sid: String,
    last_set: String,
}

impl Logged {
    fn enters(&mut self, start: &BytesStart<'_>) {
        let attribute = |name: &str| {
            let attribute = start.try_get_attribute(name).ok().flatten()?;
            String::from_utf8(attribute.value.into_owned()).ok()
        };
        self.place = match start.local_name().as_ref() {
            b"EventID" => Some(Place::Id),
            b"Keywords" => Some(Place::Keywords),
            b"TimeCreated" => {
                let time = attribute("SystemTime").unwrap_or_default();
                self.at = when::parse(&time, chrono_tz::Tz::UTC, None).map(|change| change.lo);
                None
            }
            b"Data" => match attribute("Name").as_deref() {
                Some("TargetUserName") => Some(Place::Target),
                Some("TargetDomainName") => Some(Place::Domain),
                Some("TargetSid") => Some(Place::TargetSid),
                Some("SubjectUserSid") => Some(Place::SubjectSid),
                Some("PasswordLastSet") => Some(Place::LastSet),
                _ => None,
            },
            _ => None,
        };
    }

    fn says(&mut self, text: &str) {
        let kept = match self.place {
            Some(Place::Id) => &mut self.id,
            Some(Place::Keywords) => &mut self.keywords,
            Some(Place::Target) => &mut self.target,
            Some(Place::Domain) => &mut self.domain,
            Some(Place::TargetSid) => &mut self.target_sid,
            Some(Place::SubjectSid) => &mut self.subject_sid,
            Some(Place::LastSet) => &mut self.last_set,
            None => return,
        };
        if kept.len() + text.len() < 1024 {
            kept.push_str(text);
        }
    }

    fn told(&self, options: &EvidenceOptions) -> Spoken {
        let keywords = self.keywords.trim().trim_start_matches("0x");
        let succeeded = u64::from_str_radix(keywords, 16).is_ok_and(|words| words & SUCCESS != 0);
        let id = self.id.trim();
        if !succeeded || !matches!(id, "4722" | "4723" | "4724" | "4725" | "4738") {
            return Ok(None);
        }
        let at = self.at.ok_or(RejectReason::BadDate)?;
        let seen = options.observed_at;
        let is_own = !self.target_sid.is_empty() && self.target_sid == self.subject_sid;
        let actor = if is_own { Actor::Myself } else { Actor::Admin };
        let silent = Part {
            actor,
            ..Part::silent(at, seen)
        };
        let part = match (id, self.last_set.trim()) {
            ("4723", _) => changed_by(Actor::Myself, at, seen),
            ("4724", _) => changed_by(Actor::Admin, at, seen),
            ("4722", _) => Part {
                disabled: Some(false),
                ..silent
            },
            ("4725", _) => Part {
                disabled: Some(true),
                ..silent
            },
            (_, "" | "-") => return Ok(None),
            (_, SET_TO_ZERO) => Part {
                pending: Some(true),
                ..silent
            },
            // It is written in the words of that server's Windows; the event itself tells when.
            (_, _) => Part {
                changed: Some(Change::at(at, Precision::Second)),
                ..silent
            },
        };
        let login = match self.domain.trim() {
            "" | "-" => Key::login(&self.target),
            domain => Key::login(&format!("{domain}\\{}", self.target.trim())),
        };
        Record::act([Key::new(KeyKind::Sid, &self.target_sid), login], part)
    }
}

/// Ends the reading where one event goes on for too long.
struct Limited<R> {
    input: R,
    left: u64,
}

impl<R: BufRead> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Limited<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let available = self.input.fill_buf()?;
        Ok(available.get(..left).unwrap_or(available))
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        self.input.consume(count);
    }
}

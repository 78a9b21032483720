//! Windows security log (Server 2008 to 2025) as XML, `wevtutil qe Security /f:xml` with a root or without: wrong passwords
//! (4625, 4771, 4776), sign-ins (4624) and lockouts (4740).
//!
//! Entities are never expanded and a document type is refused. What 4723, 4724, 4725 and 4738 tell is evidence, and the
//! directory's to read.

use std::io::{BufRead, Read};

use chrono_tz::Tz;
use quick_xml::errors::SyntaxError;
use quick_xml::events::{BytesRef, BytesStart, Event};
use zeroize::Zeroize;

use super::{address, key};
use crate::audit::dates::Dates;
use crate::audit::decode::Bytes;
use crate::audit::detect::{By, Head, Look, Refusal, Shape};
use crate::audit::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::finding::{AuditRow, RejectReason, Severity, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

/// Bytes that one event may have.
const LARGEST: usize = 1024 * 1024;
/// "Audit success": what would be evidence is logged for attempts too.
const SUCCESS: u64 = 0x0020_0000_0000_0000;
/// Bytes that are kept of one value. Names and numbers are shorter.
const MAX_VALUE: usize = 1024;

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

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Markup) {
        return no;
    }
    if head
        .start
        .contains("schemas.microsoft.com/win/2004/08/events")
    {
        Look::yes(By::Sign, "XML of the Windows event log")
    } else {
        Look::no(1, "it does not name the namespace of the Windows event log")
    }
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let bytes = Bytes::open(input, None, options.code_page)?;
    if bytes.empty {
        return Err(Refusal::Empty.into());
    }
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
                    logged.hand_out(sink)?;
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

/// Says that the file ends in the middle of an event, or before the next one.
fn cut(in_event: bool, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    if !in_event {
        sink.record();
    }
    sink.reject(sink.summary.records, RejectReason::Truncated)
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

    /// A number as the log writes it, `0xc000006a` or in decimal.
    fn code(&self, place: Place) -> Option<u64> {
        let text = self.value(place);
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    }

    fn hand_out(&self, sink: &mut Sink<'_>) -> Result<(), AuditError> {
        let line = sink.summary.records;
        let answer = match self.value(Place::Id) {
            "4625" => match self.code(Place::SubStatus).filter(|code| *code != 0) {
                // Some providers leave the inner status out.
                None => ntlm(self.code(Place::Status)),
                inner => ntlm(inner),
            },
            "4776" => ntlm(self.code(Place::Status)),
            "4771" if self.code(Place::Status) == Some(0x18) => Some(Answer::Failed),
            "4624" => Some(Answer::SignedIn),
            "4740" => Some(Answer::Locked),
            "4723" | "4724" | "4725" | "4738"
                if self
                    .code(Place::Keywords)
                    .is_some_and(|words| words & SUCCESS != 0) =>
            {
                return sink.skip(line, SkipReason::Evidence);
            }
            _ => None,
        };
        let Some(answer) = answer else { return Ok(()) };
        if self.spoilt {
            return sink.reject(line, RejectReason::Malformed);
        }
        let keys = self.keys();
        if keys.is_empty() {
            // Windows leaves the name out of attempts that it could not tie to any.
            return Ok(());
        }
        let Some(at) = self.at else {
            return sink.reject(line, RejectReason::BadDate);
        };
        if answer == Answer::Locked {
            return sink.row(lockout(line, keys, at));
        }
        // Machines sign in all day, and nobody asks them to change their password.
        if answer == Answer::SignedIn && self.value(Place::Name).ends_with('$') {
            return Ok(());
        }
        sink.attempt(Attempt {
            line,
            keys,
            from: address(self.value(Place::Address)),
            answer,
            at,
            times: 1,
        })
    }

    fn keys(&self) -> Vec<Key> {
        let sid = self.value(Place::Sid);
        let sid = sid
            .starts_with("S-1-5-21-")
            .then(|| Key::new(KeyKind::Sid, sid))
            .flatten();
        let name = self.value(Place::Name);
        let domain = self.value(Place::Domain);
        // A lockout names the computer where the attempts came from as the domain.
        let named = if domain.is_empty() || name.contains(['@', '\\']) || self.is_lockout() {
            key(name)
        } else {
            key(&format!("{domain}\\{name}"))
        };
        let named = named.filter(|_| !name.is_empty());
        sid.into_iter().chain(named).collect()
    }

    fn is_lockout(&self) -> bool {
        self.value(Place::Id) == "4740"
    }
}

/// What NTLM's status says about the password.
fn ntlm(status: Option<u64>) -> Option<Answer> {
    Some(match status? & 0xffff_ffff {
        0xc000_006a => Answer::Failed,
        0xc000_0064 => Answer::NoSuchName,
        // Expired, and to be changed at the next sign-in: said to whoever gave the right one.
        0xc000_0071 | 0xc000_0224 => Answer::RightBut,
        _ => return None,
    })
}

fn lockout(line: u64, keys: Vec<Key>, at: Moment) -> AuditRow {
    AuditRow {
        line,
        keys,
        weakness: Weakness::Lockout,
        detail: None,
        severity: Some(Severity::Low),
        bad_as_of: Some(at),
        discovered_at: None,
        baseline: None,
        history_unless_known: false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Format;
    use crate::audit::logs::told;
    use crate::audit::tests::read_all;

    fn of(text: &str) -> Vec<String> {
        let read = read_all(
            Format::WindowsEvents,
            text.as_bytes(),
            &ReadOptions::default(),
        );
        told(&read.unwrap().0)
    }

    fn event(id: &str, keywords: &str, data: &[(&str, &str)]) -> String {
        let data: String = data
            .iter()
            .map(|(name, value)| format!("<Data Name='{name}'>{value}</Data>"))
            .collect();
        format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>{id}</EventID><Keywords>{keywords}</Keywords><TimeCreated SystemTime='2026-02-05T03:20:00.1234567Z'/></System><EventData>{data}</EventData></Event>"
        )
    }

    #[test]
    fn events_say_who_and_how_it_ended() {
        let ada = [("TargetUserName", "ada"), ("TargetDomainName", "PARL")];
        let with = |more: &[(&'static str, &'static str)]| [&ada, more].concat();
        for (id, data, expected) in [
            (
                "4625",
                with(&[
                    ("SubStatus", "0xC000006A"),
                    ("IpAddress", "::ffff:203.0.113.7"),
                ]),
                r"Failed PARL\ada 203.0.113.7 x1",
            ),
            (
                "4625",
                with(&[
                    ("Status", "0xc000006a"),
                    ("SubStatus", "0x0"),
                    ("IpAddress", "-"),
                ]),
                r"Failed PARL\ada - x1",
            ),
            (
                "4625",
                with(&[("SubStatus", "0xc0000064")]),
                r"NoSuchName PARL\ada - x1",
            ),
            (
                "4625",
                with(&[("SubStatus", "0xc0000071")]),
                r"RightBut PARL\ada - x1",
            ),
            (
                "4776",
                vec![("TargetUserName", "ada"), ("Status", "0xc000006a")],
                "Failed ada - x1",
            ),
            (
                "4771",
                vec![
                    ("TargetUserName", "ada"),
                    ("Status", "0x18"),
                    ("IpAddress", "::1"),
                ],
                "Failed ada ::1 x1",
            ),
            (
                "4740",
                vec![("TargetUserName", "ada"), ("TargetDomainName", "EVILBOX")],
                "attacked/lockout ada",
            ),
            (
                "4624",
                with(&[("IpAddress", "203.0.113.7")]),
                r"SignedIn PARL\ada 203.0.113.7 x1",
            ),
            (
                "4776",
                vec![
                    ("TargetUserName", "o&apos;b&#x72;ien@b.example"),
                    ("Status", "0xc000006a"),
                ],
                "Failed o'brien@b.example - x1",
            ),
        ] {
            let text = event(id, "0x8010000000000000", &data);
            assert_eq!(of(&text), [expected], "{id}");
        }
        for (id, data) in [
            ("4625", with(&[("SubStatus", "0xc0000072")])),
            ("4771", vec![("TargetUserName", "ada"), ("Status", "0x25")]),
            (
                "4776",
                vec![("TargetUserName", "-"), ("Status", "0xc000006a")],
            ),
            ("4624", vec![("TargetUserName", "DC01$")]),
            ("4625", with(&[("SubStatus", "0xffffffffffffffffffff")])),
            ("4688", with(&[("CommandLine", "net user ada FAKE-x")])),
            ("4723", ada.to_vec()),
        ] {
            let text = event(id, "0x8010000000000000", &data);
            assert!(of(&text).is_empty(), "{id} {:?}", of(&text));
        }
        assert_eq!(of(&event("4723", "0x8020000000000000", &ada)), ["evidence"]);
    }

    #[test]
    fn events_need_no_root_and_may_be_cut() {
        let one = event(
            "4776",
            "",
            &[("TargetUserName", "ada"), ("Status", "0xc000006a")],
        );
        assert_eq!(of(&format!("{one}\r\n{one}")).len(), 2);
        assert_eq!(
            of(&format!("<?xml version='1.0'?><Events>{one}</Events>")).len(),
            1
        );
        let unclosed = of(&format!("<Events>{one}"));
        assert_eq!(unclosed.last().map(String::as_str), Some("truncated"));
        for cut in [10, 60, one.len() - 3] {
            let seen = of(&format!("{one}{}", &one[..one.len() - cut]));
            assert_eq!(seen.last().map(String::as_str), Some("truncated"), "{cut}");
        }
    }

    #[test]
    fn nothing_is_expanded_and_everything_is_bounded() {
        let read = |text: &str| {
            read_all(
                Format::WindowsEvents,
                text.as_bytes(),
                &ReadOptions::default(),
            )
            .map(|(items, _)| told(&items))
        };
        let bomb = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\">]><Events/>";
        assert!(read(bomb).unwrap_err().to_string().contains("XML"));
        let named = event(
            "4776",
            "",
            &[("TargetUserName", "a&x;b"), ("Status", "0xc000006a")],
        );
        assert_eq!(read(&named).unwrap(), ["malformed"]);
        let long = event("4776", "", &[("TargetUserName", &"a".repeat(2_000_000))]);
        assert!(read(&long).unwrap_err().to_string().contains("1 MiB"));
        let wide = event(
            "4776",
            "",
            &[
                ("TargetUserName", &"a".repeat(2000)),
                ("Status", "0xc000006a"),
            ],
        );
        assert_eq!(read(&wide).unwrap(), ["malformed"]);
        assert!(read("<Events><Event></Events>").is_err());
        assert!(read("<Events><!x></Events>").is_err());
        let deep = "<a>".repeat(200_000);
        assert!(read(&deep).map(|seen| seen.is_empty()).unwrap_or(true));
    }
}

//! Windows security log (Server 2008 to 2025), as XML or as rendered text: wrong passwords (4625, 4771, 4776), sign-ins
//! (4624) and lockouts (4740).
//!
//! What 4723, 4724, 4725 and 4738 tell is evidence, and the directory's to read.

mod rendered;
mod xml;

use std::io::Read;

use super::{address, key};
use crate::audit::decode::Bytes;
use crate::audit::detect::{By, Head, Look, Refusal, Shape};
use crate::audit::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::finding::{AuditRow, RejectReason, Severity, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

/// Bytes that are kept of one value. Names and numbers are shorter.
const MAX_VALUE: usize = 1024;

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    match head.shape {
        Shape::Json => Look::no(0, "it is JSON, and no XML or text of the Windows event log"),
        Shape::Lines => rendered::look(head),
        Shape::Markup
            if head
                .start
                .contains("schemas.microsoft.com/win/2004/08/events") =>
        {
            Look::yes(By::Sign, "XML of the Windows event log")
        }
        Shape::Markup => Look::no(1, "it does not name the namespace of the Windows event log"),
    }
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut bytes = Bytes::open(input, None, options.code_page)?;
    if bytes.empty {
        return Err(Refusal::Empty.into());
    }
    let begins = bytes.chunk()?.trim_ascii_start();
    match begins.starts_with(b"<") {
        true => xml::read(bytes, sink),
        false => rendered::read(bytes, options, sink),
    }
}

/// Says that the file ends in the middle of an event, or before the next one.
fn cut(in_event: bool, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    if !in_event {
        sink.record();
    }
    sink.reject(sink.summary.records, RejectReason::Truncated)
}

/// An event, however it was written. Values are trimmed, and empty where there is none.
struct Happened<'a> {
    /// Where it began.
    line: u64,
    /// What happened.
    id: &'a str,
    /// Whether it did, and was not only tried.
    succeeded: bool,
    name: &'a str,
    domain: &'a str,
    sid: &'a str,
    status: &'a str,
    sub_status: &'a str,
    address: &'a str,
    at: Option<Moment>,
    /// A value is not what it seems.
    spoilt: bool,
}

impl Happened<'_> {
    fn hand_out(&self, sink: &mut Sink<'_>) -> Result<(), AuditError> {
        let line = self.line;
        let answer = match self.id {
            "4625" => match number(self.sub_status).filter(|code| *code != 0) {
                // Some providers leave the inner status out.
                None => ntlm(number(self.status)),
                inner => ntlm(inner),
            },
            "4776" => ntlm(number(self.status)),
            "4771" if number(self.status) == Some(0x18) => Some(Answer::Failed),
            "4624" => Some(Answer::SignedIn),
            "4740" => Some(Answer::Locked),
            "4723" | "4724" | "4725" | "4738" if self.succeeded => {
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
        if answer == Answer::SignedIn && self.name.ends_with('$') {
            return Ok(());
        }
        sink.attempt(Attempt {
            line,
            keys,
            from: address(self.address),
            answer,
            at,
            times: 1,
        })
    }

    fn keys(&self) -> Vec<Key> {
        let sid = self
            .sid
            .starts_with("S-1-5-21-")
            .then(|| Key::new(KeyKind::Sid, self.sid))
            .flatten();
        let (name, domain) = (self.name, self.domain);
        // A lockout names the computer where the attempts came from as the domain.
        let named = if domain.is_empty() || name.contains(['@', '\\']) || self.id == "4740" {
            key(name)
        } else {
            key(&format!("{domain}\\{name}"))
        };
        let named = named.filter(|_| !name.is_empty());
        sid.into_iter().chain(named).collect()
    }
}

/// A number as the log writes it, `0xc000006a` or in decimal.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
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

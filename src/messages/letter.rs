//! Letter: the bytes of one mail, the same each time.
//!
//! lettre writes the header fields and the MIME parts. Three things it leaves to us: the `Date` in a zone of its own, the
//! boundary (its own is random), and format=flowed (RFC 3676).

use std::time::{Duration, SystemTime};

use chrono_tz::Tz;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, address};
use sha2::{Digest, Sha256};

use super::Rendered;
use super::lint::is_hidden;
use super::token::lower;
pub use super::token::{
    MessageIdParts, is_verp, message_id, personal_reference, verp, verp_delivery,
};
use crate::domain::{EmailAddress, Moment, PersonName};

/// What a letter carries besides its text.
#[derive(Clone, PartialEq, Debug)]
pub struct Envelope {
    /// The one constant display name of all notices.
    pub from_name: String,
    /// The one constant address of all notices.
    pub from: EmailAddress,
    /// The staffed mailbox that answers go to.
    pub reply_to: EmailAddress,
    /// The reader's name.
    pub to_name: PersonName,
    /// The reader's address.
    pub to: EmailAddress,
    /// When these bytes were first made; frozen.
    pub date: Moment,
    /// The zone that `Date` is written in.
    pub zone: Tz,
    /// From [`message_id`].
    pub message_id: String,
    /// The first notice's id, in reminders and thanks.
    pub in_reply_to: Option<String>,
    /// The first notice's id, then any later ones in order.
    pub references: Vec<String>,
    /// The language of the text, such as `en-GB`.
    pub language: String,
    /// Marks the letter as private, for those whose delegates read their mail.
    pub private: bool,
    /// Whether a machine sends it, so that machines do not answer.
    pub automatic: bool,
    /// Leaves out the HTML part.
    pub plain_only: bool,
}

/// Why a letter cannot be built. Never quotes an address or a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// A field that holds a line break, a control character or one that turns text around.
    #[error("the letter's {0} holds a control character")]
    Control(&'static str),
    /// An address that mail cannot carry.
    #[error("the letter's {0} is no address that a mail can carry")]
    Address(&'static str),
    /// A name that looks like another address.
    #[error("the letter's {0} holds an \"@\"")]
    At(&'static str),
    /// No `<left@right>`.
    #[error("the letter's {0} is no message id")]
    MessageId(&'static str),
    /// A language that is no list of tags.
    #[error("the letter's language is no list of language tags")]
    Language,
    /// The key is empty.
    #[error("the site key is empty")]
    Key,
    /// lettre refused the parts.
    #[error("the letter's parts do not make a mail")]
    Parts,
    /// A line that no relay has to take.
    #[error("the letter has a line of more than 998 octets")]
    Line,
}

/// The bytes of a letter, with CRLF line ends, not dot-stuffed. The same arguments give the same bytes.
pub fn build(letter: &Rendered, envelope: &Envelope) -> Result<Vec<u8>, LetterError> {
    check(letter, envelope)?;
    let from = mailbox("From", &envelope.from_name, &envelope.from)?;
    let to = mailbox("To", envelope.to_name.expose(), &envelope.to)?;
    let reply_to = mailbox("Reply-To", "", &envelope.reply_to)?;
    // lettre would read To back from its own header to find this out, which fails on some quoted names.
    let path = address::Envelope::new(Some(from.email.clone()), vec![to.email.clone()])
        .map_err(|_| LetterError::Parts)?;
    let mut builder = Message::builder()
        .envelope(path)
        .from(from)
        .reply_to(reply_to)
        .to(to)
        .subject(&letter.subject)
        .date(utc(envelope.date))
        .message_id(Some(envelope.message_id.clone()));
    if let Some(first) = &envelope.in_reply_to {
        builder = builder.in_reply_to(first.clone());
    }
    if !envelope.references.is_empty() {
        builder = builder.references(envelope.references.join(" "));
    }
    if envelope.automatic {
        builder = builder.raw_header(field("Auto-Submitted", "auto-generated"));
    }
    // Never DR or NDR: those reports are how we learn that a letter did not arrive.
    builder = builder.raw_header(field("X-Auto-Response-Suppress", "OOF, AutoReply, RN, NRN"));
    if envelope.private {
        builder = builder.raw_header(field("Sensitivity", "Private"));
    }
    builder = builder.raw_header(field("Content-Language", &envelope.language));
    let text = part(
        "text/plain; charset=utf-8; format=flowed",
        flowed(&letter.text),
    )?;
    let message = if envelope.plain_only {
        builder.singlepart(text)
    } else {
        let html = part(
            "text/html; charset=utf-8",
            with_crlf(letter.html.trim_end()),
        )?;
        builder.multipart(
            MultiPart::alternative()
                .boundary(boundary(&envelope.message_id))
                .singlepart(text)
                .singlepart(html),
        )
    };
    let mut message = message.map_err(|_| LetterError::Parts)?;
    // lettre writes and accepts dates in UTC only, so the field is replaced once it has let the message through.
    let date = envelope
        .date
        .utc()
        .with_timezone(&envelope.zone)
        .to_rfc2822();
    message.headers_mut().insert_raw(field("Date", &date));
    let bytes = folded(message.formatted());
    if has_long_line(&bytes) {
        return Err(LetterError::Line);
    }
    Ok(bytes)
}

/// Whether a line is longer than the 998 octets and CRLF that every relay takes (RFC 5322 section 2.1.1).
fn has_long_line(bytes: &[u8]) -> bool {
    let mut start = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        if at - start > 999 {
            return true;
        }
        start = at + 1;
    }
    bytes.len() - start > 999
}

/// Refuses whatever could end a field, start another one, or show something else than it says.
fn check(letter: &Rendered, envelope: &Envelope) -> Result<(), LetterError> {
    let lines = [
        ("subject", letter.subject.as_str()),
        ("sender's name", &envelope.from_name),
        ("language", &envelope.language),
    ];
    for (name, text) in lines {
        if text.chars().any(is_hidden) {
            return Err(LetterError::Control(name));
        }
    }
    for (name, text) in [("text", &letter.text), ("HTML", &letter.html)] {
        if holds_hidden(text) {
            return Err(LetterError::Control(name));
        }
    }
    if envelope.from_name.contains('@') {
        return Err(LetterError::At("sender's name"));
    }
    let ids = [
        ("Message-ID", Some(&envelope.message_id)),
        ("In-Reply-To", envelope.in_reply_to.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, id)| Some((name, id?)))
    .chain(envelope.references.iter().map(|id| ("References", id)));
    for (name, id) in ids {
        if !is_message_id(id) {
            return Err(LetterError::MessageId(name));
        }
    }
    let tag =
        |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !envelope.language.split(", ").all(tag) {
        return Err(LetterError::Language);
    }
    Ok(())
}

/// Whether a text holds what shows nothing or turns text around, line breaks aside. Plain ASCII, which most texts are, is
/// told at a glance.
fn holds_hidden(text: &str) -> bool {
    let odd = text.bytes().fold(false, |odd, b| {
        odd | !(b == b'\n' || (b' '..=b'~').contains(&b))
    });
    odd && text.chars().any(|c| c != '\n' && is_hidden(c))
}

pub(super) fn is_message_id(id: &str) -> bool {
    id.len() <= 250
        && id
            .strip_prefix('<')
            .and_then(|id| id.strip_suffix('>'))
            .and_then(|id| id.split_once('@'))
            .is_some_and(|(left, right)| {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_+=$~".contains(&b);
                !left.is_empty()
                    && !right.is_empty()
                    && left.bytes().all(plain)
                    && right.bytes().all(plain)
            })
}

fn mailbox(
    field: &'static str,
    name: &str,
    address: &EmailAddress,
) -> Result<Mailbox, LetterError> {
    // A local part beyond ASCII needs SMTPUTF8 on every hop; it is refused here, never sent in some other spelling.
    if !address.local().is_ascii() {
        return Err(LetterError::Address(field));
    }
    let domain = address.domain_ascii();
    let address = Address::new(address.local(), domain).map_err(|_| LetterError::Address(field))?;
    // Many mail programs decode an encoded word inside quotes, where it is none: a name is shown as it is written.
    let name: String = name.chars().filter(|c| !is_hidden(*c)).collect();
    let name = Some(name.trim().replace("=?", "= ?")).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, address))
}

fn field(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn part(content_type: &str, text: String) -> Result<SinglePart, LetterError> {
    let content_type = ContentType::parse(content_type).map_err(|_| LetterError::Parts)?;
    // Always quoted-printable, never what the text happens to allow: it survives every relay, and soft breaks keep
    // their space.
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| LetterError::Parts)?;
    Ok(SinglePart::builder().header(content_type).body(body))
}

/// The header with each address on a line of its own where it follows an encoded name: lettre leaves them together, and
/// RFC 2047 section 2 allows a line with an encoded word 76 octets.
fn folded(bytes: Vec<u8>) -> Vec<u8> {
    let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") else {
        return bytes;
    };
    let (header, body) = bytes.split_at(end);
    let Ok(header) = std::str::from_utf8(header) else {
        return bytes;
    };
    let breaks = |line: &str| line.len() > 76 && line.contains("?= <");
    if !header.split("\r\n").any(breaks) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + 8);
    for (nth, line) in header.split("\r\n").enumerate() {
        if nth > 0 {
            out.extend_from_slice(b"\r\n");
        }
        match line.split_once("?= <") {
            Some((name, address)) if line.len() > 76 => {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"?=\r\n <");
                out.extend_from_slice(address.as_bytes());
            }
            Some(_) | None => out.extend_from_slice(line.as_bytes()),
        }
    }
    out.extend_from_slice(body);
    out
}

fn utc(at: Moment) -> SystemTime {
    SystemTime::UNIX_EPOCH
        + Duration::from_secs(u64::try_from(at.micros() / 1_000_000).unwrap_or(0))
}

/// A boundary that no line of a quoted-printable body can hold: "=_" is no escape in it (RFC 2045 section 6.7).
fn boundary(message_id: &str) -> String {
    let digest = Sha256::digest(message_id);
    let short = digest.get(..15).unwrap_or_default();
    format!("=_{}", lower(short))
}

/// Widest flowed line, with its trailing space: written as `=20` that space still fits into the 76 of quoted-printable.
const FLOW: usize = 74;

/// A plain text as format=flowed: long lines broken after a space, which readers join again; lines that a mail program
/// could misread are stuffed with a space.
fn flowed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 40);
    for line in text.trim_end().lines() {
        let mut rest = line.trim_end();
        loop {
            if rest.starts_with([' ', '>']) || rest.starts_with("From ") {
                out.push(' ');
            }
            let Some(at) = flow_break(rest) else {
                break;
            };
            let (now, later) = rest.split_at(at);
            out.push_str(now);
            out.push_str("\r\n");
            rest = later;
        }
        out.push_str(rest);
        out.push_str("\r\n");
    }
    // lettre ends a part with a line break of its own.
    out.truncate(out.len().saturating_sub(2));
    out
}

/// A text with mail's line ends: lettre would move all that follows for each that it puts in.
fn with_crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 20);
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => {
                out.push_str(line.strip_suffix('\r').unwrap_or(line));
                out.push_str("\r\n");
            }
            None => out.push_str(line),
        }
    }
    out
}

/// Where to break a line: after the last space within [`FLOW`] characters, or the first one after that.
fn flow_break(line: &str) -> Option<usize> {
    if line.chars().count() <= FLOW {
        return None;
    }
    let mut best = None;
    for (nth, (at, c)) in line.char_indices().enumerate() {
        if nth >= FLOW && best.is_some() {
            break;
        }
        // A run of spaces stays together, so that the next line does not begin with one.
        if c == ' '
            && line
                .get(at + 1..)
                .is_some_and(|next| !next.starts_with(' '))
        {
            best = Some(at + 1);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn flowed_lines_are_short_and_join_to_what_they_were(text in "([a-zA-Zé>]{1,12}[ .]{0,2}){0,60}(\n(From |>| )?[a-z ]{0,120}){0,4}") {
            let flowed = flowed(&text);
            let mut joined = String::new();
            for line in flowed.lines() {
                prop_assert!(line.chars().count() <= FLOW + 1 || !line.trim().contains(' '), "{line:?}");
                prop_assert!(!line.starts_with("From ") && !line.starts_with('>'));
                let line = line.strip_prefix(' ').unwrap_or(line);
                joined.push_str(line);
                if !line.ends_with(' ') {
                    joined.push('\n');
                }
            }
            let meant: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
            prop_assert_eq!(joined.lines().collect::<Vec<_>>(), meant);
        }
    }
}

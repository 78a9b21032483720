//! Returned: what the bytes of one mail say. Only the address it came to and the form of a report are believed.

use data_encoding::BASE64URL_NOPAD;
use mail_parser::{Message, MessageParser};
use sha2::{Digest, Sha256};

use super::report::{self, RecipientReport};
use crate::domain::DeliveryId;
use crate::domain::delivery::{Returned, Verdict};

/// What an address is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token {
    /// We made it, for this delivery.
    Ours(DeliveryId),
    /// It has the form of a token of ours, and is none.
    Forged,
    /// An address like any other.
    None,
}

/// One mail that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// What it is.
    pub kind: Returned,
    /// The delivery that it is about: of reports always, of other mails if they came to its address.
    pub delivery: Option<DeliveryId>,
    /// What a report says of the recipient whom it went worst with; none if it cannot be read.
    pub report: Option<RecipientReport>,
    /// The same for the same mail, however often and wherever it is read: of a report what it is about and what it says,
    /// of all else its bytes.
    pub digest: String,
}

/// What the bytes of a mail say that came to `recipient`, as the envelope had it; where that is not known, the headers
/// tell that our own mail system adds. `token` says what an address is to us.
pub fn read(bytes: &[u8], recipient: Option<&str>, token: impl Fn(&str) -> Token) -> Mail {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return Mail {
            kind: Returned::Other,
            delivery: None,
            report: None,
            digest: digest(&[bytes]),
        };
    };
    let addressed = match recipient {
        Some(recipient) => token(recipient),
        None => addressed(&message, token),
    };
    let delivery = match addressed {
        Token::Ours(delivery) => Some(delivery),
        Token::Forged | Token::None => None,
    };
    let status = report::status_text(&message);
    let is_report = report::is_report(&message);
    let report = status
        .as_deref()
        .filter(|_| is_report)
        .and_then(report::worst);
    let kind = match (delivery, &report) {
        (Some(_), Some(report)) => Returned::Report(report.action.verdict()),
        (Some(_), None) if is_report || came_from_a_mail_system(&message) => {
            Returned::Report(Verdict::Unparsed)
        }
        (Some(_) | None, _) => about_no_letter(&message, addressed),
    };
    let digest = match (kind, delivery) {
        (Returned::Report(_), Some(delivery)) => {
            digest_of_report(&message, delivery, status.as_deref())
        }
        (_, _) => digest(&[bytes]),
    };
    Mail {
        kind,
        delivery,
        report: report.filter(|_| delivery.is_some()),
        digest,
    }
}

/// What a mail is that says nothing about a letter.
fn about_no_letter(message: &Message<'_>, addressed: Token) -> Returned {
    if addressed == Token::Forged {
        return Returned::Forged;
    }
    if is_marked_as_spam(message) {
        return Returned::Spam;
    }
    if is_challenge(message) {
        return Returned::Challenge;
    }
    if is_out_of_office(message) {
        return Returned::OutOfOffice;
    }
    if is_automatic(message) || report::report_type(message).is_some() {
        return Returned::AutoReply;
    }
    match addressed {
        Token::Ours(_) => Returned::Reply,
        Token::Forged | Token::None => Returned::Other,
    }
}

fn raw<'a>(message: &'a Message<'_>, name: &'a str) -> impl Iterator<Item = &'a str> {
    message
        .headers_raw()
        .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn has(message: &Message<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| raw(message, name).next().is_some())
}

/// Whether some header of this name has a value that begins with one of these words.
fn begins(message: &Message<'_>, name: &str, words: &[&str]) -> bool {
    raw(message, name).any(|value| {
        let value = value.to_ascii_lowercase();
        words.iter().any(|word| value.starts_with(word))
    })
}

/// What our own mail system noted of the envelope, newest first; where it notes nothing (Exchange does not), `To`. The
/// headers of what is sent back stand in a part of their own, and are not asked.
fn addressed(message: &Message<'_>, token: impl Fn(&str) -> Token) -> Token {
    let mut found = Token::None;
    for name in ["Delivered-To", "X-Original-To", "Envelope-To", "To"] {
        for value in raw(message, name).take(8) {
            for word in value
                .split([',', '<', '>', ' ', '\t', '\r', '\n', ';'])
                .filter(|word| word.contains('@'))
                .take(8)
            {
                match token(word) {
                    Token::Ours(delivery) => return Token::Ours(delivery),
                    Token::Forged => found = Token::Forged,
                    Token::None => {}
                }
            }
        }
        // What stands further down may be written by anybody.
        if found == Token::Forged {
            return found;
        }
    }
    found
}

/// Mail systems use the null sender. So do polite programs that answer for people (RFC 3834 section 3.3), but they say
/// that they are: unless the mail names a recipient that failed, or holds the parts of a report in another wrapping.
fn came_from_a_mail_system(message: &Message<'_>) -> bool {
    let from_nobody = raw(message, "Return-Path").any(|value| value == "<>");
    let failed = has(message, &["X-Failed-Recipients"]) || report::status_text(message).is_some();
    let says_otherwise = is_automatic(message)
        || is_out_of_office(message)
        || is_challenge(message)
        || is_marked_as_spam(message);
    from_nobody && (failed || !says_otherwise)
}

fn is_automatic(message: &Message<'_>) -> bool {
    raw(message, "Auto-Submitted").any(|value| !value.to_ascii_lowercase().starts_with("no"))
        || has(
            message,
            &["X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"],
        )
        || begins(
            message,
            "Precedence",
            &["auto_reply", "bulk", "junk", "list"],
        )
}

/// Sieve's vacation says so in a comment (RFC 5230 section 4.6), Exchange in headers of its own.
fn is_out_of_office(message: &Message<'_>) -> bool {
    raw(message, "Auto-Submitted").any(|value| value.to_ascii_lowercase().contains("vacation"))
        || has(message, &["X-Vacation", "X-MS-Exchange-Inbox-Rules-Loop"])
        || begins(message, "X-Autoreply", &["vacation", "out of office"])
        || begins(
            message,
            "X-MS-Exchange-Generated-Message-Source",
            &["mailbox rules agent", "out of office"],
        )
}

/// Systems that hold a mail back until its sender has proved to be human. We do not.
fn is_challenge(message: &Message<'_>) -> bool {
    has(
        message,
        &[
            "X-TMDA-Confirm-Done",
            "X-TMDA-Fingerprint",
            "X-BoxTrapper",
            "X-BoxTrapper-Match",
            "X-Spamarrest-Challenge",
            "X-ChoiceMail-Registration-Request",
            "X-AskVersion",
            "X-Challenge-Response",
        ],
    ) || begins(message, "X-Delivery-Agent", &["tmda"])
        || begins(message, "Precedence", &["confirm"])
}

fn is_marked_as_spam(message: &Message<'_>) -> bool {
    let level = |value: &str| value.parse::<i32>().is_ok_and(|level| level >= 5);
    begins(message, "X-Spam-Flag", &["yes"])
        || begins(message, "X-Spam-Status", &["yes"])
        || begins(message, "X-Spam", &["yes", "spam"])
        || raw(message, "X-MS-Exchange-Organization-SCL").any(level)
        || raw(message, "X-Forefront-Antispam-Report").any(|value| value.contains("SFV:SPM"))
}

/// Trace headers differ when a report comes by two ways, so they are left out.
fn digest_of_report(message: &Message<'_>, delivery: DeliveryId, status: Option<&str>) -> String {
    let id = raw(message, "Message-ID").next().unwrap_or("");
    match status {
        Some(status) => digest(&[&delivery.0.to_be_bytes(), id.as_bytes(), status.as_bytes()]),
        None => digest(&[
            &delivery.0.to_be_bytes(),
            id.as_bytes(),
            message
                .raw_message
                .get(body_offset(message)..)
                .unwrap_or_default(),
        ]),
    }
}

fn body_offset(message: &Message<'_>) -> usize {
    message
        .parts
        .first()
        .and_then(|root| usize::try_from(root.offset_body).ok())
        .unwrap_or(0)
}

/// Each part with its length, so that two lists of parts never run together into the same bytes.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    BASE64URL_NOPAD.encode(&hash.finalize())
}

//! Letter: the bytes of one mail, the same each time, and the identities that it carries.
//!
//! lettre writes the header fields and the MIME parts. Three things it leaves to us: the `Date` in a zone of its own, the
//! boundary (its own is random), and format=flowed (RFC 3676).

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use chrono_tz::Tz;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, address};
use sha2::{Digest, Sha256};

use super::Rendered;
use super::lint::is_hidden;
use crate::domain::notice::NoticeKind;
use crate::domain::{CampaignId, CaseId, DeliveryId, EmailAddress, Moment, PersonName};

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
        let html = part("text/html; charset=utf-8", letter.html.clone())?;
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
    let bytes = message.formatted();
    if bytes.split(|b| *b == b'\n').any(|line| line.len() > 999) {
        return Err(LetterError::Line);
    }
    Ok(bytes)
}

/// Refuses whatever could end a field, start another one, or show something else than it says.
fn check(letter: &Rendered, envelope: &Envelope) -> Result<(), LetterError> {
    let lines = [
        ("subject", letter.subject.as_str()),
        ("sender's name", &envelope.from_name),
        ("reader's name", envelope.to_name.expose()),
        ("language", &envelope.language),
    ];
    for (name, text) in lines {
        if text.chars().any(is_hidden) {
            return Err(LetterError::Control(name));
        }
    }
    for (name, text) in [("text", &letter.text), ("HTML", &letter.html)] {
        if text.chars().any(|c| c != '\n' && is_hidden(c)) {
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

fn is_message_id(id: &str) -> bool {
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
    let name = Some(name.trim()).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name.map(str::to_owned), address))
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

fn utc(at: Moment) -> SystemTime {
    SystemTime::UNIX_EPOCH
        + Duration::from_secs(u64::try_from(at.micros() / 1_000_000).unwrap_or(0))
}

/// A boundary that no line of a quoted-printable body can hold: "=_" is no escape in it (RFC 2045 section 6.7).
fn boundary(message_id: &str) -> String {
    let digest = Sha256::digest(message_id);
    let short = digest.get(..15).unwrap_or_default();
    format!("=_{}", BASE32_NOPAD.encode(short).to_ascii_lowercase())
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
            out.push('\n');
            rest = later;
        }
        out.push_str(rest);
        out.push('\n');
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

/// What a Message-ID is made of: the same notice never gets two, two notices never get the same.
#[derive(Clone, Copy, Debug)]
pub struct MessageIdParts<'a> {
    /// The campaign.
    pub campaign: CampaignId,
    /// The cases that the letter is about, in order.
    pub cases: &'a [CaseId],
    /// What kind of letter.
    pub kind: NoticeKind,
    /// The how manieth of its kind for these cases.
    pub sequence: u32,
    /// From [`super::Messages::template_hash`].
    pub template: &'a [u8; 32],
    /// The reader's address.
    pub to: &'a EmailAddress,
    /// The domain that the letter is sent from.
    pub domain: &'a str,
}

/// `<token@domain>`, the token being the HMAC of everything that makes this notice this notice.
pub fn message_id(site_key: &[u8], parts: &MessageIdParts<'_>) -> Result<String, LetterError> {
    let mut mac = keyed(site_key, b"message-id")?;
    let mut add = |bytes: &[u8]| {
        // Each part with its length, so that two lists of parts never run together into the same bytes.
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    add(&parts.campaign.0.to_be_bytes());
    add(&(parts.cases.len() as u64).to_be_bytes());
    for case in parts.cases {
        add(&case.0.to_be_bytes());
    }
    add(parts.kind.word().as_bytes());
    add(&parts.sequence.to_be_bytes());
    add(parts.template);
    add(parts.to.folded().as_bytes());
    let domain =
        idna::domain_to_ascii(parts.domain).map_err(|_| LetterError::MessageId("domain"))?;
    let mut id = String::from("<");
    id.push_str(&lower(&mac.finalize().into_bytes()));
    // Writing to a String cannot go wrong.
    let _ = write!(id, "@{domain}>");
    if is_message_id(&id) {
        Ok(id)
    } else {
        Err(LetterError::MessageId("domain"))
    }
}

/// Octets of the MAC in a VERP token: 80 bits, which nobody guesses by sending bounces.
const VERP_MAC: usize = 10;

/// The envelope sender of a delivery: `b+TOKEN@` the bounce domain. Whoever holds the token can only bounce this delivery.
pub fn verp(
    site_key: &[u8],
    delivery: DeliveryId,
    bounce_domain: &str,
) -> Result<EmailAddress, LetterError> {
    let id = delivery.0.to_be_bytes();
    let mut mac = keyed(site_key, b"verp")?;
    mac.update(&id);
    let mac = mac.finalize().into_bytes();
    let token: Vec<u8> = id
        .iter()
        .chain(mac.iter().take(VERP_MAC))
        .copied()
        .collect();
    EmailAddress::parse(&format!("b+{}@{bounce_domain}", lower(&token)))
        .map_err(|_| LetterError::Address("envelope sender"))
}

/// The delivery that an envelope sender of ours names; none for one that we never wrote. Takes the same time whatever
/// part of the token is wrong.
pub fn verp_delivery(site_key: &[u8], address: &EmailAddress) -> Option<DeliveryId> {
    // A relay may have folded the case of the local part.
    let token = address.local().to_ascii_uppercase();
    let bytes = BASE32_NOPAD
        .decode(token.strip_prefix("B+")?.as_bytes())
        .ok()?;
    let (id, tag) = bytes.split_first_chunk::<8>()?;
    if tag.len() != VERP_MAC {
        return None;
    }
    let mut mac = keyed(site_key, b"verp").ok()?;
    mac.update(id);
    mac.verify_truncated_left(tag).ok()?;
    Some(DeliveryId(i64::from_be_bytes(*id)))
}

/// The personal part of a reference: four characters of Crockford's base 32 (no I, L, O, U), from random bytes. The
/// first is a letter, so that a reference never reads as a telephone number. Whether it is taken is the store's business.
pub fn personal_reference(random: [u8; 4]) -> String {
    const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let [first, rest @ ..] = random;
    let pick = |at: usize| CROCKFORD.get(at).copied().map_or('X', char::from);
    std::iter::once(pick(10 + usize::from(first) % 22))
        .chain(rest.into_iter().map(|byte| pick(usize::from(byte) % 32)))
        .collect()
}

/// An HMAC for one purpose: a token made for one is worthless for another.
fn keyed(site_key: &[u8], purpose: &[u8]) -> Result<Hmac<Sha256>, LetterError> {
    if site_key.is_empty() {
        return Err(LetterError::Key);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(site_key).map_err(|_| LetterError::Key)?;
    mac.update(purpose);
    mac.update(&[0]);
    Ok(mac)
}

fn lower(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &[u8] = b"a key of this site";

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn a_message_id_is_stable_and_every_part_of_it_counts() {
        let (ada, bob) = (address("ada@parl.example"), address("bob@parl.example"));
        let parts = MessageIdParts {
            campaign: CampaignId(1),
            cases: &[CaseId(2), CaseId(3)],
            kind: NoticeKind::Weak,
            sequence: 1,
            template: &[7; 32],
            to: &ada,
            domain: "notices.parl.example",
        };
        let first = message_id(KEY, &parts).unwrap();
        // Worked out apart from this code: another value would give every notice in an outbox a second identity.
        assert_eq!(
            first,
            "<mxjj7e6ejwj4sq26w77ip5qwvp77gclxjtlrhdeqf3hmfgxwkxsa@notices.parl.example>"
        );
        assert_eq!(first, message_id(KEY, &parts).unwrap());
        let folded = MessageIdParts {
            to: &address("ADA@PARL.example"),
            ..parts
        };
        assert_eq!(first, message_id(KEY, &folded).unwrap());
        let others = [
            message_id(b"another key", &parts),
            message_id(
                KEY,
                &MessageIdParts {
                    campaign: CampaignId(2),
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    cases: &[CaseId(2)],
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    cases: &[CaseId(3), CaseId(2)],
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    kind: NoticeKind::Attacked,
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    sequence: 2,
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    template: &[8; 32],
                    ..parts
                },
            ),
            message_id(KEY, &MessageIdParts { to: &bob, ..parts }),
        ];
        let mut all: Vec<_> = others.into_iter().map(Result::unwrap).collect();
        all.push(first);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(message_id(b"", &parts).is_err());
        for domain in ["", "a b", "a>\r\nBcc: x"] {
            assert!(
                message_id(KEY, &MessageIdParts { domain, ..parts }).is_err(),
                "{domain:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_bounce_finds_its_delivery_and_a_forged_one_finds_none(id in any::<i64>(), at in 0_usize..29, to in prop::sample::select(b"abcdefghijklmnopqrstuvwxyz234567".to_vec())) {
            let ours = verp(KEY, DeliveryId(id), "bounces.parl.example").unwrap();
            prop_assert!(ours.local().len() <= 60);
            prop_assert_eq!(verp_delivery(KEY, &ours), Some(DeliveryId(id)));
            let shouted = address(&ours.expose().to_ascii_uppercase());
            prop_assert_eq!(verp_delivery(KEY, &shouted), Some(DeliveryId(id)));
            prop_assert_eq!(verp_delivery(b"another key", &ours), None);
            let mut forged = ours.expose().as_bytes().to_vec();
            let changed = forged[2 + at] != to;
            forged[2 + at] = to;
            let forged = address(std::str::from_utf8(&forged).unwrap());
            prop_assert_eq!(verp_delivery(KEY, &forged).is_none(), changed);
        }

        #[test]
        fn a_reference_part_is_four_characters_that_nobody_misreads(random in any::<[u8; 4]>()) {
            let part = personal_reference(random);
            prop_assert_eq!(part.len(), 4);
            prop_assert!(part.chars().next().unwrap().is_ascii_uppercase());
            prop_assert!(!part.contains(['I', 'L', 'O', 'U']));
            prop_assert!(super::super::Reference::new("DB-2507", &part).is_ok());
        }

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

    #[test]
    fn what_we_never_wrote_names_no_delivery() {
        for text in [
            "b@x.example",
            "b+@x.example",
            "b+aaaa@x.example",
            "c+aaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x.example",
            "b+!!!@x.example",
        ] {
            assert_eq!(verp_delivery(KEY, &address(text)), None, "{text}");
        }
        assert!(verp(KEY, DeliveryId(1), "not a domain").is_err());
        assert!(verp(b"", DeliveryId(1), "x.example").is_err());
    }
}

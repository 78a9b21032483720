//! How letters leave: `[mail]`, `[mail.relay]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::inbox::{Inbox, inbox};
use super::rates::{self, RelayRates};
use super::relay_texts::relay_texts;
use super::section::{Parsed, Read, Section, Value};
use super::sign_in::{self, SignIn};
use super::values::{address, choice, domain, duration, host, is_loopback, line, number, path};
use crate::domain::EmailAddress;
use crate::domain::delivery::RelayTexts;

/// Who letters come from, and how they leave.
#[derive(Debug, Clone, Serialize)]
pub struct Mail {
    /// The `From` address.
    #[serde(serialize_with = "hashed::address")]
    pub from_address: EmailAddress,
    /// The `From` name.
    pub from_name: String,
    /// Where replies go, if not to the `From` address.
    #[serde(serialize_with = "hashed::some_address")]
    pub reply_to: Option<EmailAddress>,
    /// The domain of envelope senders, where bounces arrive.
    pub bounce_domain: String,
    /// What envelope senders begin with.
    pub envelope_prefix: String,
    /// The `Sensitivity` field.
    pub sensitivity: Sensitivity,
    /// How letters leave.
    pub relay: Relay,
    /// Where bounces and replies arrive, if we read them.
    pub inbox: Option<Inbox>,
}

/// The `Sensitivity` field (RFC 2156).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Sensitivity {
    /// For the person, not the role.
    Personal,
    /// For nobody but the reader.
    Private,
    /// For nobody outside.
    CompanyConfidential,
    /// No field.
    None,
}

impl Sensitivity {
    /// The field's value; none if there is to be no field.
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::Personal => Some("Personal"),
            Self::Private => Some("Private"),
            Self::CompanyConfidential => Some("Company-Confidential"),
            Self::None => None,
        }
    }
}

const SENSITIVITIES: &[(&str, Sensitivity)] = &[
    ("Personal", Sensitivity::Personal),
    ("Private", Sensitivity::Private),
    ("Company-Confidential", Sensitivity::CompanyConfidential),
    ("none", Sensitivity::None),
];

pub(super) fn mail(root: &Section<'_>, team: Option<&str>) -> Read<Mail> {
    let own = root.required_section("mail");
    let from_address = own.required("from_address", address, "\"security@parl.example\"");
    let from_name = own.or("from_name", line, team.unwrap_or_default().to_owned());
    let reply_to = own.optional("reply_to", address);
    let bounce_domain = own.optional("bounce_domain", domain);
    let envelope_prefix = own.or("envelope_prefix", envelope_prefix, "bounce".to_owned());
    let sensitivity = own.or("sensitivity", choice(SENSITIVITIES), Sensitivity::Private);
    let relay = relay(&own);
    let inbox = inbox(&own);
    own.finish()?;
    let from_address = from_address?;
    Ok(Mail {
        bounce_domain: bounce_domain?.unwrap_or_else(|| from_address.domain_ascii()),
        from_address,
        from_name: from_name?,
        reply_to: reply_to?,
        envelope_prefix: envelope_prefix?,
        sensitivity: sensitivity?,
        relay: relay?,
        inbox: inbox?,
    })
}

fn envelope_prefix(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let fits = text.len() <= 16 && text.chars().all(|c| c.is_ascii_alphanumeric());
    fits.then_some(text)
        .ok_or_else(|| "this is no prefix; use at most 16 letters and digits".to_owned())
}

/// How letters leave, and how many at once.
#[derive(Debug, Clone, Serialize)]
pub struct Relay {
    /// Over the network, or into a folder.
    pub way: RelayWay,
    /// Connections at once, 1 to 64.
    pub connections: u16,
    /// How fast letters leave.
    pub rates: RelayRates,
    /// How many letters can be in doubt after a crash, 1 to 1024.
    pub doubt_window: u16,
    /// Letters on one connection before it is opened anew.
    pub messages_per_connection: u32,
    /// How long one connection is used before it is opened anew.
    #[serde(serialize_with = "hashed::span")]
    pub connection_age: Duration,
    /// How long to wait at each stage.
    pub timeouts: Timeouts,
    /// What the relay writes where its codes do not tell.
    pub texts: RelayTexts,
}

/// Where letters go.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayWay {
    /// Files of a folder: nothing is sent.
    Folder(#[serde(serialize_with = "hashed::path")] PathBuf),
    /// A relay.
    Smtp(Smtp),
}

/// A relay and how it is spoken to.
#[derive(Debug, Clone, Serialize)]
pub struct Smtp {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who signs in; nobody if the relay knows us by our address.
    pub sign_in: Option<SignIn>,
    /// Certificates to trust beside the system's, in PEM.
    #[serde(serialize_with = "hashed::some_path")]
    pub ca_file: Option<PathBuf>,
    /// The name for EHLO; the machine's own if none.
    pub hello: Option<String>,
}

/// How a connection is protected. There is no "if offered".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Plain until STARTTLS, which must be offered.
    Starttls,
    /// From the first byte.
    Implicit,
    /// Never; only to this machine itself.
    None,
}

impl Tls {
    const fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

const TLS: &[(&str, Tls)] = &[
    ("starttls", Tls::Starttls),
    ("implicit", Tls::Implicit),
    ("none", Tls::None),
];

#[derive(Clone, Copy)]
enum Way {
    Smtp,
    Folder,
}

const WAYS: &[(&str, Way)] = &[("smtp", Way::Smtp), ("folder", Way::Folder)];

fn relay(mail: &Section<'_>) -> Read<Relay> {
    let own = mail.required_section("relay");
    let way = way(&own);
    let rates = rates::relay(&own);
    let doubt_window = own.or("doubt_window", number("number of letters", 1..=1024), 64);
    let messages_per_connection = own.or(
        "messages_per_connection",
        number("number of letters", 1..=100_000),
        50,
    );
    let seconds_per_connection = own.or(
        "seconds_per_connection",
        number("number of seconds", 1..=86_400),
        300u32,
    );
    let timeouts = timeouts(&own);
    let texts = relay_texts(&own);
    own.finish()?;
    let rates = rates?;
    Ok(Relay {
        way: way?,
        connections: rates.connections,
        rates,
        doubt_window: doubt_window?,
        messages_per_connection: messages_per_connection?,
        connection_age: Duration::from_secs(seconds_per_connection?.into()),
        timeouts: timeouts?,
        texts: texts?,
    })
}

/// Everything is read whatever the kind, so that one may go from a folder to a relay and back by one word.
fn way(own: &Section<'_>) -> Read<RelayWay> {
    let kind = own.required("kind", choice(WAYS), "\"smtp\"");
    let folder = own.optional("folder", path);
    let smtp_host = own.optional("host", host);
    let port = own.optional("port", number("port", 1..=65_535u16));
    let tls = own.or("tls", choice(TLS), Tls::Starttls);
    let sign_in = sign_in::keys(own);
    let ca_file = own.optional("ca_file", path);
    let hello = own.optional("hello", host);
    match kind? {
        Way::Folder => {
            let folder = folder?.ok_or_else(|| own.missing("folder", "\"outbox\""))?;
            Ok(RelayWay::Folder(folder))
        }
        Way::Smtp => {
            let host = smtp_host
                .and_then(|host| host.ok_or_else(|| own.missing("host", "\"smtp.parl.example\"")));
            let protected = protected(own, &host, &tls);
            let sign_in = sign_in.sign_in(own);
            protected?;
            let tls = tls?;
            Ok(RelayWay::Smtp(Smtp {
                host: host?,
                port: port?.unwrap_or(tls.usual_port()),
                tls,
                sign_in: sign_in?,
                ca_file: ca_file?,
                hello: hello?,
            }))
        }
    }
}

/// Nothing crosses a network unprotected.
fn protected(own: &Section<'_>, host: &Read<String>, tls: &Read<Tls>) -> Read<()> {
    match (host, tls) {
        (Ok(host), Ok(Tls::None)) if !is_loopback(host) => {
            let text = format!(
                "\"none\" is only for this machine itself, and {} is another; use \"starttls\" or \"implicit\"",
                quoted(host)
            );
            Err(own.wrong("tls", text))
        }
        _ => Ok(()),
    }
}

/// How long to wait at each stage of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// Name look-up, TCP, TLS.
    #[serde(serialize_with = "hashed::span")]
    pub connect: Duration,
    /// The relay's first line, EHLO, STARTTLS, signing in.
    #[serde(serialize_with = "hashed::span")]
    pub greeting: Duration,
    /// MAIL FROM.
    #[serde(serialize_with = "hashed::span")]
    pub mail: Duration,
    /// RCPT TO.
    #[serde(serialize_with = "hashed::span")]
    pub rcpt: Duration,
    /// DATA, up to its 354.
    #[serde(serialize_with = "hashed::span")]
    pub data: Duration,
    /// Each block of the body.
    #[serde(serialize_with = "hashed::span")]
    pub block: Duration,
    /// The reply after the final dot; a shorter wait makes duplicates.
    #[serde(serialize_with = "hashed::span")]
    pub dot: Duration,
}

fn timeouts(relay: &Section<'_>) -> Read<Timeouts> {
    let own = relay.section("timeouts");
    let wait = |key, default| {
        let parse = duration(Duration::from_secs(1), Duration::from_secs(3600));
        own.or(key, parse, Duration::from_secs(default))
    };
    // RFC 5321 section 4.5.3.2; it names none for connecting.
    let (connect, greeting) = (wait("connect", 30), wait("greeting", 300));
    let (mail, rcpt) = (wait("mail", 300), wait("rcpt", 300));
    let (data, block, dot) = (wait("data", 120), wait("block", 180), wait("dot", 600));
    own.finish()?;
    Ok(Timeouts {
        connect: connect?,
        greeting: greeting?,
        mail: mail?,
        rcpt: rcpt?,
        data: data?,
        block: block?,
        dot: dot?,
    })
}

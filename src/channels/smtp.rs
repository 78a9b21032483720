//! Mail to a relay: settings, and one connection that is owned by one task and knows at which stage each thing happened.

mod conversation;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use secrecy::SecretString;
use tokio::time::Instant;

use self::conversation::{Conversation, Stop};
use super::Sent;
use crate::domain::EmailAddress;
use crate::domain::delivery::{Answer, Reply, Stage};

/// How a relay is reached and what it is asked for.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Host name, which the certificate must carry, or an address.
    pub host: String,
    /// Port: 587 for STARTTLS, 465 for TLS from the first byte.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Protection,
    /// Who signs in; nobody if the relay knows us by our address.
    pub login: Option<Login>,
    /// PEM file with further authorities to trust, beside the system's own.
    pub ca_file: Option<PathBuf>,
    /// What we call ourselves in EHLO.
    pub hello: String,
    /// How long each stage may take.
    pub limits: Limits,
    /// After so many messages a connection is closed and a new one opened.
    pub messages_per_connection: u32,
    /// After this long as well.
    pub connection_age: Duration,
}

impl Relay {
    /// A relay with the specification's limits, and nobody signed in.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        tls: Protection,
        hello: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            tls,
            login: None,
            ca_file: None,
            hello: hello.into(),
            limits: Limits::default(),
            messages_per_connection: 50,
            connection_age: Duration::from_secs(300),
        }
    }
}

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// STARTTLS, required: without it nothing is sent.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// None. Only where the relay is on this machine.
    Nothing,
}

/// A user name and its password.
#[derive(Debug, Clone)]
pub struct Login {
    /// As the relay knows it.
    pub user: String,
    /// Never printed.
    pub password: SecretString,
}

/// How long each stage may take; the defaults are RFC 5321's minimums (section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name look-up, TCP and implicit TLS.
    pub connect: Duration,
    /// The relay's first line.
    pub greeting: Duration,
    /// EHLO.
    pub ehlo: Duration,
    /// STARTTLS with its handshake and second EHLO.
    pub start_tls: Duration,
    /// Signing in.
    pub auth: Duration,
    /// MAIL.
    pub mail: Duration,
    /// RCPT.
    pub rcpt: Duration,
    /// DATA, up to its 354.
    pub data: Duration,
    /// Handing the body over.
    pub body: Duration,
    /// The answer to the final dot. A shorter wait makes doubts.
    pub dot: Duration,
    /// RSET and QUIT.
    pub quit: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            connect: minutes(1),
            greeting: minutes(5),
            ehlo: minutes(5),
            start_tls: minutes(2),
            auth: minutes(2),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            body: minutes(3),
            dot: minutes(10),
            quit: Duration::from_secs(5),
        }
    }
}

/// What is wrong with a relay's settings.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The file of authorities cannot be read.
    #[error("reading {path}: {source}")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no certificate in PEM.
    #[error("{0} holds no certificate in PEM")]
    NoCertificate(PathBuf),
    /// A certificate in it is broken.
    #[error("certificate {nth} of {path} cannot be read")]
    BadCertificate {
        /// Which file.
        path: PathBuf,
        /// Which of its certificates, from 1.
        nth: usize,
    },
    /// What we call ourselves is no host name.
    #[error(
        "the hello name may hold letters, digits, \".\", \"-\" and an address in square brackets only"
    )]
    Hello,
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up")]
    Tls,
}

/// A relay whose settings were checked and whose certificates are loaded; cheap to clone.
#[derive(Clone)]
pub struct Smtp(Arc<Prepared>);

struct Prepared {
    relay: Relay,
    implicit: tokio_native_tls::TlsConnector,
    start_tls: TlsParameters,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.relay.fmt(f)
    }
}

impl Smtp {
    /// Checks the settings and reads the file of authorities. Nothing is connected yet.
    pub fn new(relay: Relay) -> Result<Self, RelayError> {
        if relay.hello.is_empty()
            || !relay
                .hello
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
        {
            return Err(RelayError::Hello);
        }
        let mut implicit = native_tls::TlsConnector::builder();
        implicit.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
        let mut start_tls = TlsParameters::builder(relay.host.clone());
        if let Some(path) = &relay.ca_file {
            let pem = std::fs::read_to_string(path).map_err(|source| RelayError::CaFile {
                path: path.clone(),
                source,
            })?;
            let blocks = certificates(&pem);
            if blocks.is_empty() {
                return Err(RelayError::NoCertificate(path.clone()));
            }
            for (nth, block) in (1..).zip(blocks) {
                let bad = || RelayError::BadCertificate {
                    path: path.clone(),
                    nth,
                };
                implicit.add_root_certificate(
                    native_tls::Certificate::from_pem(block.as_bytes()).map_err(|_| bad())?,
                );
                start_tls = start_tls.add_root_certificate(
                    Certificate::from_pem(block.as_bytes()).map_err(|_| bad())?,
                );
            }
        }
        let implicit = implicit.build().map_err(|_| RelayError::Tls)?;
        Ok(Self(Arc::new(Prepared {
            implicit: implicit.into(),
            start_tls: start_tls.build_native().map_err(|_| RelayError::Tls)?,
            relay,
        })))
    }

    /// Opens a connection: TCP, greeting, EHLO, TLS, sign-in. The error says how far it came.
    pub async fn connect(&self) -> Result<Connection, Sent> {
        let conversation = Conversation::open(&self.0).await.map_err(Stop::sent)?;
        Ok(Connection {
            conversation: Some(conversation),
            smtp: self.clone(),
            opened_at: Instant::now(),
            messages: 0,
        })
    }
}

/// The PEM blocks of a file; the TLS library reads only the first of a text.
fn certificates(pem: &str) -> Vec<&str> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END)
        .filter_map(|part| {
            part.find("-----BEGIN CERTIFICATE-----")
                .and_then(|at| part.get(at..))
        })
        .filter(|part| part.ends_with(END))
        .collect()
}

/// One connection to a relay, owned by one task.
pub struct Connection {
    /// None once it must not be used any more.
    conversation: Option<Conversation>,
    smtp: Smtp,
    opened_at: Instant,
    messages: u32,
}

impl Connection {
    /// Whether a further message may go over this connection.
    pub fn is_usable(&self) -> bool {
        let relay = &self.smtp.0.relay;
        self.conversation.is_some()
            && self.messages < relay.messages_per_connection
            && self.opened_at.elapsed() < relay.connection_age
    }

    /// Sends one message to one recipient: MAIL, RCPT, DATA, the bytes. `bytes` is the whole message with CRLF line ends; the
    /// relay gets exactly them. An empty `envelope_from` is the null sender.
    ///
    /// After any reply that leaves the conversation in doubt the connection is closed, and [`Connection::is_usable`] says so.
    pub async fn send(&mut self, envelope_from: &str, to: &EmailAddress, bytes: &[u8]) -> Sent {
        let Some(conversation) = &mut self.conversation else {
            return Sent::new(Stage::Connect, Answer::Lost);
        };
        self.messages = self.messages.saturating_add(1);
        let sent = match conversation.deliver(envelope_from, to, bytes).await {
            Ok(reply) => Sent::new(Stage::Dot, Answer::Reply(reply)),
            Err(Stop { stage, answer }) => Sent::new(stage, answer),
        };
        if !leaves_it_usable(&sent.answer) || !self.cleared(sent.stage).await {
            self.conversation = None;
        }
        sent
    }

    /// After a refusal in mid-transaction: RSET, so that the next message starts clean.
    async fn cleared(&mut self, stage: Stage) -> bool {
        match (&mut self.conversation, stage) {
            (Some(conversation), Stage::Mail | Stage::Rcpt | Stage::Data) => {
                conversation.reset().await.is_ok()
            }
            (Some(_), Stage::Dot) => true,
            _ => false,
        }
    }

    /// Says goodbye, if there is somebody to say it to.
    pub async fn close(self) {
        if let Some(conversation) = self.conversation {
            conversation.quit().await;
        }
    }
}

/// Whether the relay still listens after this answer: a proper reply other than "closing".
fn leaves_it_usable(answer: &Answer) -> bool {
    match answer {
        Answer::Reply(Reply { code, .. }) => {
            (200..300).contains(code) || *code >= 400 && *code != 421
        }
        Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled => false,
    }
}

impl Stop {
    fn sent(self) -> Sent {
        Sent::new(self.stage, self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(hello: &str) -> Relay {
        Relay::new("localhost", 587, Protection::StartTls, hello)
    }

    #[test]
    fn a_hello_name_cannot_smuggle_a_command() {
        for hello in ["", "a b", "a\r\nRSET", "a\u{e9}.example"] {
            assert!(matches!(Smtp::new(relay(hello)), Err(RelayError::Hello)));
        }
        for hello in ["mail.parl.example", "[127.0.0.1]", "[IPv6:::1]"] {
            Smtp::new(relay(hello)).unwrap();
        }
    }

    #[test]
    fn a_file_of_authorities_without_any_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let with = |ca_file: &std::path::Path| {
            Smtp::new(Relay {
                ca_file: Some(ca_file.into()),
                ..relay("x.example")
            })
        };
        assert!(matches!(with(&path), Err(RelayError::CaFile { .. })));
        std::fs::write(&path, "nothing here").unwrap();
        assert!(matches!(with(&path), Err(RelayError::NoCertificate(_))));
        std::fs::write(
            &path,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        assert!(matches!(
            with(&path),
            Err(RelayError::BadCertificate { nth: 1, .. })
        ));
    }

    #[test]
    fn every_certificate_of_a_file_is_found() {
        let one = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----";
        let file = format!("# first\n{one}\n# second\n{one}\n-----BEGIN CERTIFICATE-----\ncut");
        assert_eq!(certificates(&file), [one, one]);
    }

    #[test]
    fn printing_a_relay_shows_no_password() {
        let mut relay = relay("x.example");
        relay.login = Some(Login {
            user: "bell".into(),
            password: SecretString::from("sentinel-4711"),
        });
        let shown = format!("{:?}", Smtp::new(relay).unwrap());
        assert!(shown.contains("bell") && !shown.contains("sentinel-4711"));
    }
}

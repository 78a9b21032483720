//! Mail to a relay: settings, and connections that are owned by one task each and know at which stage each thing happened.

mod answer;
mod connection;
mod conversation;
mod dial;
mod plan;
mod sign_in;
mod stream;
mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use self::connection::Connection;
use self::conversation::{Conversation, Ended};
use self::sign_in::{Identity, Kind};
use self::token::Tokens;
use super::Sent;
use crate::domain::delivery::{Cause, RelayTexts};
pub use crate::token::TokenSource;

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
    /// The phrases by which this relay tells what its codes do not.
    pub texts: RelayTexts,
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
            texts: RelayTexts::default(),
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

/// A user name, and what proves it.
#[derive(Debug, Clone)]
pub struct Login {
    /// As the relay knows it.
    pub user: String,
    /// What we sign in with.
    pub proof: Proof,
}

/// What proves who we are.
#[derive(Debug, Clone)]
pub enum Proof {
    /// By PLAIN or LOGIN. Never printed.
    Password(SecretString),
    /// A token of the site's identity provider.
    Token {
        /// How it is said.
        bearer: Bearer,
        /// Where it comes from.
        source: TokenSource,
        /// How long it is used for new connections before it is fetched anew.
        lifetime: Duration,
    },
}

/// How a token is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// Google's and Microsoft's own.
    Xoauth2,
    /// RFC 7628.
    OauthBearer,
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
    /// Handing each part of the body over.
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
    /// None where nothing is to be protected: to build one reads all of the system's authorities.
    tls: Option<tokio_native_tls::TlsConnector>,
    /// Where the token comes from, if we sign in with one.
    tokens: Option<Tokens>,
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
        let mut tls = native_tls::TlsConnector::builder();
        tls.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
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
                tls.add_root_certificate(
                    native_tls::Certificate::from_pem(block.as_bytes()).map_err(|_| bad())?,
                );
            }
        }
        let tls = match relay.tls {
            Protection::Nothing => None,
            Protection::StartTls | Protection::Implicit => {
                Some(tls.build().map_err(|_| RelayError::Tls)?.into())
            }
        };
        let tokens = match relay.login.as_ref().map(|login| &login.proof) {
            Some(Proof::Token {
                source, lifetime, ..
            }) => Some(Tokens::new(source.clone(), *lifetime)),
            Some(Proof::Password(_)) | None => None,
        };
        Ok(Self(Arc::new(Prepared { relay, tls, tokens })))
    }

    /// Opens a connection: TCP, greeting, EHLO, TLS, sign-in. The error says how far it came. A token that is refused is
    /// fetched anew and, if that gives another, tried once more; a password never is.
    pub async fn connect(&self) -> Result<Connection, Sent> {
        let mut who = self.identity().await.map_err(|ended| self.sent(ended))?;
        let refused = match self.open(who.as_ref()).await {
            Ok(connection) => return Ok(connection),
            Err(sent) => sent,
        };
        let (Some(who), Some(tokens)) = (&mut who, &self.0.tokens) else {
            return Err(refused);
        };
        if refused.cause != Cause::SignInRefused {
            return Err(refused);
        }
        match tokens.in_place_of(&who.secret).await {
            Ok(Some(other)) => who.secret = other,
            Ok(None) => return Err(refused),
            Err(ended) => return Err(self.sent(ended)),
        }
        self.open(Some(who)).await
    }

    async fn open(&self, who: Option<&Identity<'_>>) -> Result<Connection, Sent> {
        let opened = Conversation::open(&self.0, who).await;
        let conversation = opened.map_err(|ended| self.sent(ended))?;
        Ok(Connection::new(self.clone(), conversation))
    }

    /// Who signs in, with a token that is young enough.
    async fn identity(&self) -> Result<Option<Identity<'_>>, Ended> {
        let relay = &self.0.relay;
        let Some(Login { user, proof }) = &relay.login else {
            return Ok(None);
        };
        let (secret, kind) = match (proof, &self.0.tokens) {
            (Proof::Token { bearer, .. }, Some(tokens)) => (
                tokens.current().await?,
                Kind::Token(*bearer, &relay.host, relay.port),
            ),
            (Proof::Password(password), _) => (password.clone(), Kind::Password),
            (Proof::Token { .. }, None) => return Ok(None),
        };
        Ok(Some(Identity { user, secret, kind }))
    }

    /// What an answer means, by this relay's own texts.
    fn sent(&self, ended: Ended) -> Sent {
        Sent::new(ended.stage, ended.answer, &self.0.relay.texts)
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
            proof: Proof::Password(SecretString::from("sentinel-4711")),
        });
        let shown = format!("{:?}", Smtp::new(relay).unwrap());
        assert!(shown.contains("bell") && !shown.contains("sentinel-4711"));
    }
}

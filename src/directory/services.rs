//! Services: identity services that are asked over HTTPS what they know of passwords, page by page.
//!
//! A reader gives the items of one page at a time, and its position only once it got to the end: what was read before a
//! failure are facts, and the next reading begins where this one did. Nothing is followed to another origin, no page is
//! larger than [`LARGEST`], and whoever is asked to wait waits, up to a limit.

mod assertion;
mod audits;
mod google;
mod graph;
mod http;
mod keycloak;
mod okta;
mod pages;
mod sign_in;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::DirectoryError;
use crate::clock::Clock;
use crate::token::{NoToken, TokenSource};

pub use audits::Audit;
pub use google::{Google, ServiceAccount};
pub use graph::Graph;
pub use keycloak::Keycloak;
pub use okta::Okta;
pub use pages::{Outcome, Reader};

/// The largest page that is read, in bytes.
pub const LARGEST: usize = 50 << 20;

/// How a service is asked.
#[derive(Clone, Debug)]
pub struct Manners {
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long in all a reading waits because the service asks it to, or does not answer.
    pub patience: Duration,
    /// When a service says until when to wait.
    pub clock: Clock,
    /// Through which everything is asked, if not directly. It sees to whom we speak, and not what we say.
    pub proxy: Option<String>,
    /// Certificates to trust beside the system's, in PEM.
    pub ca: Option<Vec<u8>>,
}

/// How a reader gets in.
#[derive(Clone, Debug)]
pub enum Access<T> {
    /// It asks for a token, or has one.
    Own(T),
    /// A program of the operator's prints one.
    Printed(TokenSource),
}

/// An application that signs in by itself.
#[derive(Clone, Debug)]
pub struct Client {
    /// As the service knows it.
    pub id: String,
    /// What proves it.
    pub proof: Proof,
}

/// What proves an application.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A secret of its own.
    Secret(SecretString),
    /// A statement that is signed with the key of a certificate that the service knows.
    Certificate(Certificate),
}

/// A certificate and its key, read anew for each token, as they are renewed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// In PEM.
    pub file: PathBuf,
    /// Its private key, in PEM; may be the same file.
    pub key_file: PathBuf,
    /// How a statement is signed.
    pub signing: Signing,
}

/// RFC 7518 sections 3.3 and 3.5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signing {
    /// RSA with PSS padding.
    Ps256,
    /// RSA with the older padding.
    Rs256,
}

/// Why a service could not be read to its end. Never holds an address, a name or a token.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The address in the config.
    #[error("the address of the service cannot be used; check url")]
    Url,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Setup,
    /// No connection.
    #[error("the service cannot be reached; check url and the network")]
    Unreachable,
    /// A connection that is not the service's.
    #[error(
        "the service's certificate is not trusted; check url, ca_file and the system's certificates"
    )]
    Tls,
    /// The certificates of the config are none.
    #[error("ca_file holds no certificate in PEM")]
    Ca,
    /// The proxy in the config.
    #[error("the address of the proxy cannot be used; check proxy")]
    Proxy,
    /// An answer that did not come, or broke off.
    #[error("the service does not answer in time; it is asked again the next time")]
    Silent,
    /// A redirect would take the token elsewhere.
    #[error(
        "the service sends us elsewhere (status {status}); write the address where it is in url"
    )]
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// The token cannot be had.
    #[error(
        "signing in is refused (status {status}{said}); check the client's id and its secret or certificate"
    )]
    SignIn {
        /// The HTTP status.
        status: u16,
        /// The service's own word, if it is a known one.
        said: Said,
    },
    /// The token does not suffice, or what was asked is not known.
    #[error("the service refuses (status {status}{said}); check what the client may read")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's own word, if it is a known one.
        said: Said,
    },
    /// It is broken.
    #[error(
        "the service has a fault of its own (status {status}); it is asked again the next time"
    )]
    Broken {
        /// The HTTP status.
        status: u16,
    },
    /// It asks to wait for longer than we do.
    #[error("the service asks to wait for {seconds} s; it is asked again the next time")]
    Throttled {
        /// How long.
        seconds: u64,
    },
    /// A page without end.
    #[error("the service answered with more than 50 MB, which is more than is read of it at once")]
    TooLarge,
    /// Where it goes on is somewhere else.
    #[error("the next page is at another address than the first; nothing is sent there")]
    Elsewhere,
    /// Where it goes on is where we were.
    #[error("the next page is one that was read already")]
    Loop,
    /// What it remembered is forgotten.
    #[error("the service has forgotten where we were; everything is read the next time")]
    Gone,
    /// The service account's key.
    #[error("key_file holds no key of a service account; download it anew, as JSON")]
    Key,
    /// The service account's key, as a file.
    #[error("key_file cannot be read ({0}); check its name and its owner")]
    KeyFile(std::io::ErrorKind),
    /// The certificate that we sign in with, or its key, as a file.
    #[error("{key} cannot be read ({kind}); check its name and its owner")]
    CertificateFile {
        /// Which key of the config names it.
        key: &'static str,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The certificate that we sign in with.
    #[error("{0}")]
    Certificate(&'static str),
    /// No token from the operator's program.
    #[error("{0}")]
    Printed(#[from] NoToken),
    /// A token that is none.
    #[error("what the service gives in place of a token is none")]
    NoToken,
    /// A page that cannot be understood.
    #[error("a page of the answer")]
    Page(#[from] DirectoryError),
}

/// A service's own word for a refusal, if it is one that is known not to quote anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Said(Option<&'static str>);

impl Said {
    const KNOWN: &'static [&'static str] = &[
        "invalid_client",
        "unauthorized_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "access_denied",
        "InvalidAuthenticationToken",
        "Authorization_RequestDenied",
        "Request_UnsupportedQuery",
        "Request_BadRequest",
        "E0000004",
        "E0000006",
        "E0000011",
        "E0000031",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
    ];

    /// What an answer says, in any of the places where services say it.
    fn of(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else {
            return Self(None);
        };
        let places = ["/error", "/error/code", "/error/status", "/errorCode"];
        let word = places
            .iter()
            .filter_map(|place| body.pointer(place)?.as_str())
            .find_map(|word| Self::KNOWN.iter().find(|known| **known == word));
        Self(word.copied())
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(word) => write!(f, ", {word}"),
            None => Ok(()),
        }
    }
}

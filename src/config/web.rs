//! Where machines ask how we are, and people look at the page: `[web]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::oidc::{self, Oidc};
use super::section::{Parsed, Read, Section, Value};
use super::values::{DAY, delta, line, path, yes_or_no};

/// Where it listens unless something else is said: this machine, and a port that nothing else is known to take.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8470);

/// The listener of `bell serve`, and who may reach it.
#[derive(Debug, Clone, Serialize)]
pub struct Listen {
    /// Address and port.
    pub at: SocketAddr,
    /// With which certificate; none: without TLS.
    pub certificate: Option<TlsFiles>,
    /// Whether a proxy with TLS stands before it, whose word for who asks is taken.
    pub behind_proxy: bool,
    /// After so long whoever has signed in does it again.
    #[serde(serialize_with = "hashed::delta")]
    pub session_lasts: TimeDelta,
    /// After so long without a look at it a session is over.
    #[serde(serialize_with = "hashed::delta")]
    pub session_idle: TimeDelta,
    /// Who vouches for people who have no password of ours, if anybody.
    pub oidc: Option<Oidc>,
}

impl Listen {
    /// Whether what is sent can be read on the way by this machine only, or by nobody.
    pub const fn is_private(&self) -> bool {
        self.at.ip().is_loopback() || self.is_encrypted()
    }

    /// Whether browsers reach it by HTTPS, so far as we know.
    pub const fn is_encrypted(&self) -> bool {
        self.certificate.is_some() || self.behind_proxy
    }

    /// Whether nobody can ask but who is on this machine.
    pub const fn is_local(&self) -> bool {
        self.at.ip().is_loopback() && !self.behind_proxy
    }
}

/// Two files in PEM.
#[derive(Debug, Clone, Serialize)]
pub struct TlsFiles {
    /// The certificate, and those above it.
    #[serde(serialize_with = "hashed::path")]
    pub chain: PathBuf,
    /// Its private key, as PKCS #8.
    #[serde(serialize_with = "hashed::path")]
    pub key: PathBuf,
}

pub(super) fn listen(root: &Section<'_>) -> Read<Option<Listen>> {
    let own = root.section("web");
    if own.is_absent() {
        return Ok(None);
    }
    let at = own.or("listen", address_and_port, LISTEN);
    let chain = own.optional("tls_cert_file", path);
    let key = own.optional("tls_key_file", path);
    let behind_proxy = own.or("behind_proxy", yes_or_no, false);
    let session_lasts = own.or(
        "session_lasts",
        delta(Duration::from_secs(300), 7 * DAY),
        TimeDelta::hours(8),
    );
    let session_idle = own.or(
        "session_idle",
        delta(Duration::from_secs(60), DAY),
        TimeDelta::minutes(30),
    );
    let oidc = oidc::oidc(&own);
    own.finish_after(|own| {
        let certificate = match (chain?, key?) {
            (Some(chain), Some(key)) => Some(TlsFiles { chain, key }),
            (None, None) => None,
            (Some(_), None) => return Err(own.missing("tls_key_file", "\"web-key.pem\"")),
            (None, Some(_)) => return Err(own.missing("tls_cert_file", "\"web-cert.pem\"")),
        };
        let listen = Listen {
            at: at?,
            certificate,
            behind_proxy: behind_proxy?,
            session_lasts: session_lasts?,
            session_idle: session_idle?,
            oidc: oidc?,
        };
        match listen.is_private() {
            true => Ok(Some(listen)),
            false => Err(own.wrong(
                "listen",
                "other machines could ask, and read what is said; add tls_cert_file and tls_key_file, or behind_proxy = true if a proxy with TLS stands before it",
            )),
        }
    })
}

fn address_and_port(value: &Value<'_>) -> Parsed<SocketAddr> {
    let text = line(value)?;
    text.parse().map_err(|_| {
        format!(
            "{} is no address and port; write for instance \"127.0.0.1:8470\" or \"[::1]:8470\"",
            quoted(&text)
        )
    })
}

//! Wire: LDAP's messages over TLS, one request after the other.
//!
//! `ldap3` has a client, which we write with elsewhere; it copies each value several times, follows what is nested in an
//! answer without a bound, and panics on an answer that it does not know. Reading everybody's entries every minute from a
//! server that may be hostile wants neither, so what comes is read here, where it lies; what we say is `ldap3`'s.

pub(super) mod ber;
mod message;
mod request;

use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_native_tls::TlsStream;
use zeroize::Zeroizing;

use self::ber::{Head, head};
pub(super) use self::message::{Message, Outcome, Says};
pub(super) use self::request::Search;

/// The longest message that is taken: no person's attributes that we ask for are near it, whatever somebody put into them.
const MOST_MESSAGE: usize = 64 * 1024 * 1024;

/// How much is read from the network at once. Servers put each entry into a TLS record of its own, which OpenSSL would read in
/// two turns each.
const AT_ONCE: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Nobody takes the connection.
    #[error("nobody listens there")]
    Refused,
    /// There is no way to it.
    #[error("it cannot be reached")]
    Unreachable,
    /// Not within the time that it was given.
    #[error("it fell silent")]
    Silent,
    /// It was cut.
    #[error("the connection broke")]
    Cut,
    /// It wants no TLS, or cannot agree on it.
    #[error("TLS cannot be agreed on; look at its certificate, at the name in it, and at ca_file")]
    Tls,
    /// StartTLS was refused.
    #[error("it does not offer TLS")]
    NoTls,
    /// The text is no filter.
    #[error("the filter is none; look at filter in the config")]
    Filter,
    /// What came is not LDAP.
    #[error("the answer is not in LDAP's form")]
    Malformed,
    /// What came is more than anybody's.
    #[error("it sends more than a page of people")]
    TooMuch,
    /// It hung up, and said why in the code of its notice (RFC 4511 section 4.4.1).
    #[error("it hung up")]
    HungUp(u32),
}

/// A connection to a server.
pub(super) struct Wire {
    stream: TlsStream<BufReader<TcpStream>>,
    came: Came,
    last_id: u32,
    patience: Duration,
}

/// What came and was not read yet.
#[derive(Default)]
struct Came {
    bytes: Vec<u8>,
    /// Up to where it was read.
    read: usize,
}

impl Wire {
    /// Connects, and protects the connection before anything is said.
    pub async fn connect(
        server: &str,
        starttls: bool,
        tls: native_tls::TlsConnector,
        patience: Duration,
    ) -> Result<Self, Broken> {
        let url = Url::parse(server).map_err(|_| Broken::Unreachable)?;
        let host = url.host_str().ok_or(Broken::Unreachable)?;
        let port = url.port().unwrap_or(if starttls { 389 } else { 636 });
        // Brackets belong to URLs, not to names in certificates.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Broken::Refused,
                _ => Broken::Unreachable,
            })?;
        // Requests are small and waited for.
        let _ = tcp.set_nodelay(true);
        let mut tcp = BufReader::with_capacity(AT_ONCE, tcp);
        if starttls {
            ask_for_tls(&mut tcp).await?;
        }
        let stream = tokio_native_tls::TlsConnector::from(tls)
            .connect(host, tcp)
            .await
            .map_err(|_| Broken::Tls)?;
        Ok(Self {
            stream,
            came: Came::default(),
            last_id: 1,
            patience,
        })
    }

    /// How long a server may take from now on.
    pub fn have_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Signs in; how that ended.
    pub async fn bind(&mut self, user: &str, password: &str) -> Result<Outcome, Broken> {
        let id = self.next_id();
        self.send(&Zeroizing::new(request::bind(id, user, password)))
            .await?;
        loop {
            let message = self.hear().await?;
            if let (true, Says::Ended(outcome)) = (message.id == id, message.says) {
                return Ok(outcome);
            }
        }
    }

    /// Asks, and does not wait for the answer; the number that answers carry.
    pub async fn ask(&mut self, search: &Search<'_>) -> Result<u32, Broken> {
        let id = self.next_id();
        let bytes = search.bytes(id).map_err(|_| Broken::Filter)?;
        self.send(&bytes).await?;
        Ok(id)
    }

    /// The next message, to whichever request.
    pub async fn hear(&mut self) -> Result<Message<'_>, Broken> {
        let length = loop {
            match self.came.whole()? {
                Some(length) => break length,
                None => self.fill().await?,
            }
        };
        let message = Message::parse(self.came.take(length)).ok_or(Broken::Malformed)?;
        match message {
            Message {
                id: 0,
                says: Says::Ended(outcome),
            } => Err(Broken::HungUp(outcome.code)),
            _ => Ok(message),
        }
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let id = self.next_id();
        let _ = self.send(&request::unbind(id)).await;
        let _ = timeout(self.patience, self.stream.shutdown()).await;
    }

    fn next_id(&mut self) -> u32 {
        // Within 31 bits, and never zero.
        self.last_id = (self.last_id & 0x3FFF_FFFF) + 1;
        self.last_id
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(self.patience, sending).await {
            Ok(sent) => sent.map_err(|_| Broken::Cut),
            Err(_) => Err(Broken::Silent),
        }
    }

    async fn fill(&mut self) -> Result<(), Broken> {
        self.came.make_room();
        let reading = self.stream.read_buf(&mut self.came.bytes);
        match timeout(self.patience, reading).await {
            Ok(Ok(0) | Err(_)) => Err(Broken::Cut),
            Ok(Ok(_)) => Ok(()),
            Err(_) => Err(Broken::Silent),
        }
    }
}

impl Came {
    /// How long the next message is, if all of it is here.
    fn whole(&self) -> Result<Option<usize>, Broken> {
        let bytes = self.bytes.get(self.read..).unwrap_or_default();
        match head(bytes) {
            Head::Short => Ok(None),
            Head::Wrong => Err(Broken::Malformed),
            Head::Whole { length, .. } if length > MOST_MESSAGE => Err(Broken::TooMuch),
            Head::Whole { from, length, .. } => {
                Ok((bytes.len() >= from + length).then_some(from + length))
            }
        }
    }

    fn take(&mut self, length: usize) -> &[u8] {
        let from = self.read;
        self.read += length;
        self.bytes.get(from..self.read).unwrap_or_default()
    }

    /// For what comes next: what was read makes room for it.
    fn make_room(&mut self) {
        if self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
            self.bytes.shrink_to(AT_ONCE);
        } else if self.read >= AT_ONCE {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.reserve(AT_ONCE / 4);
    }
}

/// RFC 4511 section 4.14. What comes with the consent and before TLS was said by anybody on the way.
async fn ask_for_tls(tcp: &mut BufReader<TcpStream>) -> Result<(), Broken> {
    const ID: u32 = 1;
    let sent = tcp.write_all(&request::starttls(ID)).await;
    sent.map_err(|_| Broken::Cut)?;
    let mut came = Came::default();
    let length = loop {
        if let Some(length) = came.whole()? {
            break length;
        }
        let read = tcp.read_buf(&mut came.bytes).await;
        if read.map_err(|_| Broken::Cut)? == 0 {
            return Err(Broken::Cut);
        }
    };
    let consents = matches!(
        Message::parse(came.take(length)),
        Some(Message {
            id: ID,
            says: Says::Ended(Outcome { code: 0, .. })
        })
    );
    let is_all = came.read == came.bytes.len() && tcp.buffer().is_empty();
    match (consents, is_all) {
        (true, true) => Ok(()),
        (true, false) => Err(Broken::Malformed),
        (false, _) => Err(Broken::NoTls),
    }
}

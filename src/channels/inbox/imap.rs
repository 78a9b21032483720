//! IMAP: a mailbox on a server, read over TLS (RFC 9051, and RFC 3501 before it).
//!
//! One sign-in a reading, never a second try. Mails are fetched one by one without being marked, and no more of each than is
//! ever looked at; whoever has saved what they say marks them as seen, or moves them. Nothing is deleted. Every wait is
//! bounded. No error holds what the server said: it may quote a mail.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_imap::error::Error as Answer;
use async_imap::types::Fetch;
use async_imap::{Client, Session};
use data_encoding::BASE64URL_NOPAD;
use futures_util::TryStreamExt;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_native_tls::{TlsConnector, TlsStream};

use super::{InboxError, LONGEST_READ};

/// What becomes of a mail that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// It is marked as seen.
    Seen,
    /// It is moved to this folder, which must be there.
    Move(String),
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Name look-up, TCP and TLS.
    pub connect: Duration,
    /// An answer to anything but FETCH.
    pub answer: Duration,
    /// A mail.
    pub mail: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            mail: Duration::from_secs(120),
        }
    }
}

/// A mailbox on a server, and how it is read.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Host name, which the certificate must carry, or an address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Plain until STARTTLS, which must be offered; otherwise TLS from the first byte.
    pub starttls: bool,
    /// Who we sign in as.
    pub user: String,
    /// What we sign in with.
    pub password: SecretString,
    /// The folder that bounces are in.
    pub folder: String,
    /// What becomes of a mail that was read.
    pub keep: Keep,
    /// Certificates to trust beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How long to wait.
    pub waits: Waits,
}

/// A mailbox whose settings were checked and whose certificates are loaded; cheap to clone.
#[derive(Clone)]
pub struct Imap {
    mailbox: Arc<Mailbox>,
    tls: TlsConnector,
}

impl std::fmt::Debug for Imap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.mailbox.fmt(f)
    }
}

impl Imap {
    /// Reads the file of authorities. Nothing is connected yet.
    pub fn new(mailbox: Mailbox) -> Result<Self, InboxError> {
        let mut tls = native_tls::TlsConnector::builder();
        tls.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
        if let Some(path) = &mailbox.ca_file {
            let bad = |_| InboxError::CaFile(path.clone());
            let pem = std::fs::read(path).map_err(|_| InboxError::CaFile(path.clone()))?;
            let authorities = native_tls::Certificate::stack_from_pem(&pem).map_err(bad)?;
            if authorities.is_empty() {
                return Err(InboxError::CaFile(path.clone()));
            }
            for authority in authorities {
                tls.add_root_certificate(authority);
            }
        }
        Ok(Self {
            tls: tls.build().map_err(|_| InboxError::Tls)?.into(),
            mailbox: Arc::new(mailbox),
        })
    }

    /// What tells these settings from others, without the password: after a refused sign-in, whether to try again.
    pub(super) fn settings(&self) -> String {
        let Mailbox {
            host,
            port,
            user,
            starttls,
            ..
        } = &*self.mailbox;
        let text = format!("{host} {port} {starttls} {user}");
        BASE64URL_NOPAD.encode(&Sha256::digest(text))
    }

    /// Whether the mailbox could be read and kept now.
    pub(super) async fn check(&self) -> Result<(), InboxError> {
        let mut session = self.sign_in().await?;
        let mailbox = &*self.mailbox;
        let checked = async {
            // Looks, and leaves even the "recent" marks as they are.
            let folder = self
                .answer("EXAMINE", session.examine(&mailbox.folder))
                .await;
            folder.map_err(|error| no_folder(error, &mailbox.folder))?;
            if let Keep::Move(folder) = &mailbox.keep {
                self.can_move(&mut session).await?;
                let there = self
                    .answer("STATUS", session.status(folder, "(MESSAGES)"))
                    .await;
                there.map_err(|error| no_folder(error, folder))?;
            }
            Ok(())
        };
        let checked = checked.await;
        let _ = self.answer("LOGOUT", session.logout()).await;
        checked
    }

    /// Signs in, selects the folder and asks which mails wait.
    pub(super) async fn open(&self) -> Result<Open, InboxError> {
        let mut session = self.sign_in().await?;
        let mailbox = &*self.mailbox;
        let selected = self.answer("SELECT", session.select(&mailbox.folder)).await;
        let selected = selected.map_err(|error| no_folder(error, &mailbox.folder))?;
        // Without it the server's numbers name nothing for sure (RFC 3501 section 2.3.1.1).
        if selected.uid_validity.is_none() {
            return Err(InboxError::NoUids);
        }
        let query = match &mailbox.keep {
            Keep::Seen => "UNSEEN UNDELETED",
            Keep::Move(_) => {
                self.can_move(&mut session).await?;
                "UNDELETED"
            }
        };
        let found: HashSet<u32> = self.answer("SEARCH", session.uid_search(query)).await?;
        let mut waiting: Vec<u32> = found.into_iter().collect();
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        Ok(Open {
            imap: self.clone(),
            session,
            waiting,
        })
    }

    async fn sign_in(&self) -> Result<Session<TlsStream<TcpStream>>, InboxError> {
        let Mailbox {
            host,
            port,
            user,
            password,
            starttls,
            waits,
            ..
        } = &*self.mailbox;
        let tcp = tokio::time::timeout(
            waits.connect,
            TcpStream::connect((host.trim_matches(['[', ']']), *port)),
        )
        .await
        .map_err(|_| InboxError::Unreachable)?
        .map_err(|_| InboxError::Unreachable)?;
        let tcp = if *starttls {
            let mut plain = Client::new(tcp);
            self.greeting(&mut plain).await?;
            let asked = plain.run_command_and_check_ok("STARTTLS", None);
            self.answer("STARTTLS", asked)
                .await
                .map_err(|error| match error {
                    InboxError::Said(_) => InboxError::NoStartTls,
                    other => other,
                })?;
            // What a man in the middle has sent along in clear text is left behind with the buffer (RFC 3501 section 6.2.1).
            plain.into_inner()
        } else {
            tcp
        };
        let protected = tokio::time::timeout(waits.connect, self.tls.connect(host, tcp))
            .await
            .map_err(|_| InboxError::Silent("TLS"))?
            .map_err(|_| InboxError::Certificate)?;
        let mut client = Client::new(protected);
        if !starttls {
            self.greeting(&mut client).await?;
        }
        let login = async {
            client
                .login(user, password.expose_secret())
                .await
                .map_err(|(error, _)| error)
        };
        match tokio::time::timeout(waits.answer, login).await {
            Err(_) => Err(InboxError::Silent("LOGIN")),
            Ok(Ok(session)) => Ok(session),
            // RFC 5530: their own trouble, not our password.
            Ok(Err(Answer::No(text))) if text.to_ascii_uppercase().contains("UNAVAILABLE") => {
                Err(InboxError::Said("LOGIN"))
            }
            Ok(Err(Answer::No(_) | Answer::Bad(_) | Answer::Validate(_))) => {
                Err(InboxError::Refused)
            }
            Ok(Err(error)) => Err(wrong("LOGIN", &error)),
        }
    }

    async fn greeting<S>(&self, client: &mut Client<S>) -> Result<(), InboxError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::fmt::Debug + Send,
    {
        let heard = tokio::time::timeout(self.mailbox.waits.answer, client.read_response())
            .await
            .map_err(|_| InboxError::Silent("its greeting"))?
            .map_err(|error| wrong("its greeting", &error.into()))?;
        let heard = heard.ok_or(InboxError::Lost("its greeting"))?;
        match heard.parsed() {
            async_imap::imap_proto::Response::Data {
                status: async_imap::imap_proto::Status::Ok,
                ..
            } => Ok(()),
            _ => Err(InboxError::Said("its greeting")),
        }
    }

    async fn can_move(
        &self,
        session: &mut Session<TlsStream<TcpStream>>,
    ) -> Result<(), InboxError> {
        let known = self.answer("CAPABILITY", session.capabilities()).await?;
        known
            .has_str("MOVE")
            .then_some(())
            .ok_or(InboxError::NoMove)
    }

    async fn answer<T>(
        &self,
        stage: &'static str,
        asked: impl Future<Output = Result<T, Answer>>,
    ) -> Result<T, InboxError> {
        within(self.mailbox.waits.answer, stage, asked).await
    }
}

async fn within<T>(
    wait: Duration,
    stage: &'static str,
    asked: impl Future<Output = Result<T, Answer>>,
) -> Result<T, InboxError> {
    tokio::time::timeout(wait, asked)
        .await
        .map_err(|_| InboxError::Silent(stage))?
        .map_err(|error| wrong(stage, &error))
}

fn wrong(stage: &'static str, error: &Answer) -> InboxError {
    match error {
        Answer::ConnectionLost => InboxError::Lost(stage),
        // What cannot be parsed comes as an error of this kind as well.
        Answer::Io(error) if error.kind() == std::io::ErrorKind::Other => {
            InboxError::Garbled(stage)
        }
        Answer::Io(_) => InboxError::Lost(stage),
        Answer::No(_) | Answer::Bad(_) => InboxError::Said(stage),
        _ => InboxError::Garbled(stage),
    }
}

fn no_folder(error: InboxError, folder: &str) -> InboxError {
    match error {
        InboxError::Said(_) => InboxError::NoFolder(folder.to_owned()),
        other => other,
    }
}

/// A mailbox that is being read. Its numbers hold as long as it is open, and are never used in another session: whatever
/// the server's UIDVALIDITY does meanwhile, they name no other mail.
pub(super) struct Open {
    imap: Imap,
    session: Session<TlsStream<TcpStream>>,
    /// Numbers of mails, the oldest last.
    waiting: Vec<u32>,
}

impl Open {
    /// The next mail's number and beginning; none once all were read. One that is gone meanwhile is passed over.
    pub(super) async fn next(&mut self) -> Result<Option<(u32, Vec<u8>)>, InboxError> {
        while let Some(uid) = self.waiting.pop() {
            if let Some(bytes) = self.fetch(uid).await? {
                return Ok(Some((uid, bytes)));
            }
        }
        Ok(None)
    }

    async fn fetch(&mut self, uid: u32) -> Result<Option<Vec<u8>>, InboxError> {
        let query = format!("(UID BODY.PEEK[]<0.{LONGEST_READ}>)");
        let session = &mut self.session;
        let fetched = async {
            let mut found = None;
            let mut answers = session.uid_fetch(uid.to_string(), query).await?;
            while let Some(fetch) = answers.try_next().await? {
                // Servers also tell of other mails whose flags have changed.
                if fetch.uid == Some(uid) {
                    found = found.or_else(|| body(&fetch));
                }
            }
            Ok(found)
        };
        let found = within(self.imap.mailbox.waits.mail, "FETCH", fetched).await?;
        if found.is_none() {
            // Gone, or refused, or the end of the connection, which the library does not tell apart.
            self.imap.answer("FETCH", self.session.noop()).await?;
        }
        Ok(found)
    }

    /// Marks mails as seen, or moves them.
    pub(super) async fn keep(&mut self, uids: &[u32]) -> Result<(), InboxError> {
        if uids.is_empty() {
            return Ok(());
        }
        let set = uids
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(",");
        match &self.imap.mailbox.keep {
            Keep::Seen => {
                let command = format!("UID STORE {set} +FLAGS.SILENT (\\Seen)");
                let asked = self.session.run_command_and_check_ok(command);
                self.imap.answer("STORE", asked).await
            }
            Keep::Move(folder) => {
                let asked = self.session.uid_mv(set, folder);
                let moved = self.imap.answer("MOVE", asked).await;
                moved.map_err(|error| no_folder(error, folder))
            }
        }
    }

    /// Says goodbye; what comes of it does not matter.
    pub(super) async fn close(mut self) {
        let _ = self.imap.answer("LOGOUT", self.session.logout()).await;
    }
}

/// A server that pays no heed to how much was asked for is cut short here.
fn body(fetch: &Fetch) -> Option<Vec<u8>> {
    let most = usize::try_from(LONGEST_READ).unwrap_or(usize::MAX);
    fetch
        .body()
        .map(|bytes| bytes.get(..most).unwrap_or(bytes).to_vec())
}

//! Inbox: what comes back to the bounce address, from a Maildir, from a server by IMAP, or handed in one by one, and which
//! letter it says was not delivered.
//!
//! Only a delivery report (RFC 3464 in RFC 6522) to an address that carries one of our tokens says anything about a letter;
//! From and subject are never looked at. Nothing is answered and nothing is deleted.

mod imap;
mod maildir;
mod report;
mod returned;

use std::path::PathBuf;

pub use imap::{Imap, Keep, Mailbox, Waits};
pub use maildir::Maildir;
pub use report::{Action, RecipientReport};
pub use returned::{Mail, Token, read};

/// How much of a mail is read, in bytes: a report stands at its beginning, and what is sent back behind it.
pub const LONGEST_READ: u64 = 1 << 20;

/// Where bounces come back.
#[derive(Debug, Clone)]
pub enum Inbox {
    /// A folder on this machine.
    Maildir(Maildir),
    /// A mailbox on a server.
    Imap(Imap),
}

/// Why a mailbox cannot be read. Never holds what a mail or a server said.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The Maildir.
    #[error(
        "the Maildir cannot be read or written; check maildir in [mail.inbox], and who owns it"
    )]
    Maildir(#[from] std::io::Error),
    /// The file of authorities.
    #[error("{0} cannot be read, or holds no certificate in PEM; check ca_file in [mail.inbox]")]
    CaFile(PathBuf),
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up")]
    Tls,
    /// Nobody answers.
    #[error("no IMAP server answers; check imap_host and imap_port in [mail.inbox]")]
    Unreachable,
    /// No answer within its time.
    #[error("the IMAP server does not answer in time at {0}")]
    Silent(&'static str),
    /// The connection broke.
    #[error("the connection to the IMAP server broke at {0}")]
    Lost(&'static str),
    /// It is not who it should be.
    #[error(
        "the IMAP server's certificate does not fit, or it speaks no TLS there; check imap_host, imap_port, imap_tls and \
         ca_file in [mail.inbox]"
    )]
    Certificate,
    /// It does not protect the connection.
    #[error("the IMAP server offers no STARTTLS; try imap_tls = \"implicit\" in [mail.inbox]")]
    NoStartTls,
    /// Signing in was refused.
    #[error(
        "the IMAP server refuses our user or password; check user and password_env or password_file in [mail.inbox]"
    )]
    Refused,
    /// The folder is not there, or not for us.
    #[error(
        "the IMAP server does not let us open the folder {0:?}; check folder and keep in [mail.inbox]"
    )]
    NoFolder(String),
    /// Its numbers name nothing for sure.
    #[error(
        "the IMAP server has no lasting numbers for mails (UIDVALIDITY); use another folder or another way to read bounces"
    )]
    NoUids,
    /// It cannot move mails.
    #[error("the IMAP server cannot move mails; set keep = \"seen\" in [mail.inbox]")]
    NoMove,
    /// It refuses.
    #[error("the IMAP server says no at {0}")]
    Said(&'static str),
    /// What came is no IMAP.
    #[error("what the IMAP server answers at {0} is no IMAP")]
    Garbled(&'static str),
}

impl InboxError {
    /// Whether trying again later may help by itself.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable | Self::Silent(_) | Self::Lost(_) | Self::Said(_) => true,
            Self::Maildir(_)
            | Self::CaFile(_)
            | Self::Tls
            | Self::Certificate
            | Self::NoStartTls
            | Self::Refused
            | Self::NoFolder(_)
            | Self::NoUids
            | Self::NoMove
            | Self::Garbled(_) => false,
        }
    }
}

/// One mail that waits in the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// What it says.
    pub mail: Mail,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Uid(u32),
}

impl Inbox {
    /// Whether the mailbox could be read now. Signs in, if there is anything to sign in to.
    pub async fn check(&self) -> Result<(), InboxError> {
        match self {
            Self::Maildir(maildir) => Ok(maildir.waiting().map(|_| ())?),
            Self::Imap(imap) => imap.check().await,
        }
    }

    /// Opens it for one reading of what waits there just now.
    pub async fn open(&self) -> Result<Reading, InboxError> {
        Ok(match self {
            Self::Maildir(maildir) => {
                let mut waiting = maildir.waiting()?;
                waiting.reverse();
                Reading::Maildir {
                    maildir: maildir.clone(),
                    waiting,
                }
            }
            Self::Imap(imap) => Reading::Imap(Box::new(OpenImap {
                open: imap.open().await?,
                broken: None,
            })),
        })
    }

    /// Settings with which a server has refused us, or may; none where there is nothing to sign in to.
    pub fn settings(&self) -> Option<String> {
        match self {
            Self::Maildir(_) => None,
            Self::Imap(imap) => Some(imap.settings()),
        }
    }
}

/// A mailbox that is being read, from the oldest mail to the newest that was there when it was opened.
pub enum Reading {
    /// A folder on this machine.
    Maildir {
        /// Which.
        maildir: Maildir,
        /// Files that were not read yet, the oldest last.
        waiting: Vec<PathBuf>,
    },
    /// A mailbox on a server.
    Imap(Box<OpenImap>),
}

/// A session with a server.
pub struct OpenImap {
    open: imap::Open,
    /// What went wrong once mails had been read that are still to be saved.
    broken: Option<InboxError>,
}

impl OpenImap {
    /// The next mail. What goes wrong is told when nothing else is left to be saved: a server that dies at one mail does
    /// not keep us from those before it.
    async fn next(&mut self, is_first: bool) -> Result<Option<(u32, Vec<u8>)>, InboxError> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        match self.open.next().await {
            Err(error) if !is_first => {
                self.broken = Some(error);
                Ok(None)
            }
            other => other,
        }
    }
}

impl Reading {
    /// Up to `most` further mails; none at the end. Until they are kept, the next reading gives them again: save first.
    /// `token` says what an address is to us.
    pub async fn next(
        &mut self,
        most: usize,
        token: impl Fn(&str) -> Token,
    ) -> Result<Vec<Arrived>, InboxError> {
        let mut arrived = Vec::new();
        while arrived.len() < most {
            let (bytes, place) = match self {
                Self::Maildir { waiting, .. } => {
                    let Some(file) = waiting.pop() else { break };
                    match Maildir::contents(&file)? {
                        Some(bytes) => (bytes, Place::File(file)),
                        None => continue,
                    }
                }
                Self::Imap(session) => match session.next(arrived.is_empty()).await? {
                    Some((uid, bytes)) => (bytes, Place::Uid(uid)),
                    None => break,
                },
            };
            arrived.push(Arrived {
                mail: read(&bytes, None, &token),
                place,
            });
        }
        Ok(arrived)
    }

    /// Marks mails of this reading, so that no other gives them again.
    pub async fn keep(&mut self, arrived: &[Arrived]) -> Result<(), InboxError> {
        match self {
            Self::Maildir { maildir, .. } => {
                for one in arrived {
                    if let Place::File(file) = &one.place {
                        maildir.keep(file)?;
                    }
                }
                Ok(())
            }
            Self::Imap(session) => {
                let uids: Vec<u32> = arrived
                    .iter()
                    .filter_map(|one| match one.place {
                        Place::Uid(uid) => Some(uid),
                        Place::File(_) => None,
                    })
                    .collect();
                session.open.keep(&uids).await
            }
        }
    }

    /// Ends the reading.
    pub async fn close(self) {
        match self {
            Self::Maildir { .. } => {}
            Self::Imap(session) => session.open.close().await,
        }
    }
}

#[cfg(test)]
mod tests;

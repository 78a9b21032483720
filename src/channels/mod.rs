//! Talks to the outside: mail through a relay or into a folder, bounces from a Maildir or by IMAP, status posts to Discord or into a file.

pub mod discord;
pub mod folder;
pub mod inbox;
pub mod smtp;

use crate::domain::EmailAddress;
use crate::domain::delivery::{Answer, Cause, Outcome, Stage, outcome, ruling};

pub use discord::{Discord, DiscordError, MessageId, Miss, StatusChannel, StatusLine, StatusPost};
pub use folder::Folder;
pub use inbox::{Arrived, Inbox, InboxError};
pub use smtp::{Connection, Limits, Login, Protection, Relay, RelayError, Smtp};

/// What one attempt came to: how far it got, what was answered there, and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The stage that decided it.
    pub stage: Stage,
    /// What came back there.
    pub answer: Answer,
    /// What it means for the delivery.
    pub outcome: Outcome,
    /// Why, for reports.
    pub cause: Cause,
}

impl Sent {
    /// What `answer` at `stage` means, by the table.
    pub fn new(stage: Stage, answer: Answer) -> Self {
        Self {
            outcome: outcome(stage, &answer),
            cause: ruling(stage, &answer).cause,
            stage,
            answer,
        }
    }

    /// Whether a relay that had heard nothing of this letter closed a connection that was used before: an idle limit, or its
    /// own count of messages. A fresh connection is worth one try, and the relay is not to blame.
    fn is_a_goodbye(&self) -> bool {
        self.stage == Stage::Mail
            && match &self.answer {
                Answer::Lost => true,
                Answer::Reply(reply) => reply.code == 421,
                Answer::TimedOut | Answer::Tls | Answer::Garbled => false,
            }
    }
}

/// Where letters go.
#[derive(Debug, Clone)]
pub enum Outlet {
    /// A relay.
    Smtp(Smtp),
    /// A folder of .eml files.
    Folder(Folder),
}

impl Outlet {
    /// A session for one worker. Nothing is connected before [`Session::ready`] or the first letter.
    pub fn open(&self) -> Session {
        match self {
            Self::Smtp(smtp) => Session::Smtp {
                smtp: smtp.clone(),
                connection: None,
            },
            Self::Folder(folder) => Session::Folder(folder.clone()),
        }
    }

    /// Whether letters could be sent now: connects, protects, signs in and says goodbye; or tries to write.
    pub async fn check(&self) -> Result<(), Sent> {
        let mut session = self.open();
        session.ready().await?;
        session.close().await;
        Ok(())
    }
}

/// One worker's way out, used for one letter after the other.
pub enum Session {
    /// Through a relay; a connection that is worn out or broken is replaced.
    Smtp {
        /// The relay.
        smtp: Smtp,
        /// What is open to it just now.
        connection: Option<Box<Connection>>,
    },
    /// Into a folder.
    Folder(Folder),
}

impl Session {
    /// Makes sure that the next letter can go out at once, so that nothing need be claimed while the relay is away.
    pub async fn ready(&mut self) -> Result<(), Sent> {
        match self {
            Self::Smtp { smtp, connection } => usable(smtp, connection).await.map(|_| ()),
            Self::Folder(folder) => folder.check().await,
        }
    }

    /// Sends one letter. Never an error: what happened is the answer. `bytes` is the whole message with CRLF line ends, and
    /// exactly what arrives.
    pub async fn send(&mut self, envelope_from: &str, to: &EmailAddress, bytes: &[u8]) -> Sent {
        match self {
            Self::Smtp { smtp, connection } => {
                let reused = connection.as_ref().is_some_and(|open| open.is_usable());
                let sent = by_mail(smtp, connection, envelope_from, to, bytes).await;
                if reused && sent.is_a_goodbye() {
                    return by_mail(smtp, connection, envelope_from, to, bytes).await;
                }
                sent
            }
            Self::Folder(folder) => folder.write(bytes).await,
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        match self {
            Self::Smtp {
                connection: Some(connection),
                ..
            } => connection.close().await,
            Self::Smtp {
                connection: None, ..
            }
            | Self::Folder(_) => {}
        }
    }
}

async fn by_mail(
    smtp: &Smtp,
    connection: &mut Option<Box<Connection>>,
    envelope_from: &str,
    to: &EmailAddress,
    bytes: &[u8],
) -> Sent {
    match usable(smtp, connection).await {
        Ok(open) => open.send(envelope_from, to, bytes).await,
        Err(sent) => sent,
    }
}

/// The open connection, or a new one in place of one that is worn out.
async fn usable<'a>(
    smtp: &Smtp,
    connection: &'a mut Option<Box<Connection>>,
) -> Result<&'a mut Connection, Sent> {
    match connection.take() {
        Some(open) if open.is_usable() => return Ok(connection.insert(open)),
        Some(worn) => worn.close().await,
        None => {}
    }
    Ok(connection.insert(Box::new(smtp.connect().await?)))
}

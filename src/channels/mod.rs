//! Talks to the outside: mail through a relay or into a folder, texts through a gateway, bounces from a Maildir or by IMAP,
//! an incident's messages to Discord, other chats or into a file, and the last rung to whoever can force a change.

pub mod chat;
pub mod discord;
pub mod folder;
pub mod hand_over;
pub mod heartbeat;
pub mod inbox;
pub mod sms;
pub mod smtp;

use crate::domain::EmailAddress;
use crate::domain::delivery::{Answer, Cause, Outcome, RelayTexts, Stage, outcome, ruling};

pub use chat::{
    ChatError, Looked, Mattermost, MessageId, Miss, Picture, Refusal, SignedWebhook, Slack,
    StatusChannel, StatusLine, StatusPost, Teams,
};
pub use discord::{Discord, DiscordError};
pub use folder::Folder;
pub use hand_over::{HandOverError, HandOverRequest, HandOvers};
pub use inbox::{Arrived, Inbox, InboxError};
pub use sms::{Gateway, GatewayError, LookedUp};
pub use smtp::{
    Bearer, Connection, Limits, Login, Proof, Protection, Relay, RelayError, Smtp, TokenSource,
};

/// One letter as it goes over the wire.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// What a bounce goes back to; empty for the null sender.
    pub envelope_from: &'a str,
    /// The recipient.
    pub to: &'a EmailAddress,
    /// The whole message with CRLF line ends, and exactly what arrives.
    pub bytes: &'a [u8],
}

impl std::fmt::Debug for Outgoing<'_> {
    /// Never the letter.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("to", self.to)
            .field("size_bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

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
    /// What `answer` at `stage` means, by the table and the relay's own texts.
    pub fn new(stage: Stage, answer: Answer, texts: &RelayTexts) -> Self {
        Self {
            outcome: outcome(stage, &answer, texts),
            cause: ruling(stage, &answer, texts).cause,
            stage,
            answer,
        }
    }

    /// Whether a connection that was used before ended when this letter had only been named: an idle limit, the relay's own
    /// count of messages, trouble with the letter before. Nothing happened to this one; a fresh connection is worth one try,
    /// and the relay is not to blame.
    fn is_a_goodbye(&self) -> bool {
        matches!(self.stage, Stage::Mail | Stage::Rcpt | Stage::Data)
            && match &self.answer {
                Answer::Lost | Answer::TimedOut => true,
                Answer::Reply(reply) => reply.code == 421,
                Answer::Tls | Answer::Garbled => false,
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

    /// Sends `letter`; where the relay takes groups, `next` is named on the way, so that it costs no round trip of its own.
    /// `next` is a promise only: whatever is sent next is sent rightly. Never an error: what happened is the answer.
    ///
    /// To name a letter is to say its sender and its recipient, so its attempt must be on record before. A letter that was
    /// named and is not sent was not attempted: it may be given back, and the connection ends with [`Session::close`].
    pub async fn send(&mut self, letter: Outgoing<'_>, next: Option<Outgoing<'_>>) -> Sent {
        match self {
            Self::Smtp { smtp, connection } => {
                let reused = connection.as_ref().is_some_and(|open| open.is_usable());
                let sent = by_mail(smtp, connection, letter, next).await;
                if reused && sent.is_a_goodbye() {
                    return by_mail(smtp, connection, letter, next).await;
                }
                sent
            }
            Self::Folder(folder) => folder.write(letter.bytes).await,
        }
    }

    /// Whether it is worth having the next letter at hand when one is sent: a connection is open, and its relay takes groups.
    pub fn takes_groups(&self) -> bool {
        match self {
            Self::Smtp { connection, .. } => {
                connection.as_ref().is_some_and(|open| open.takes_groups())
            }
            Self::Folder(_) => false,
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
    letter: Outgoing<'_>,
    next: Option<Outgoing<'_>>,
) -> Sent {
    match usable(smtp, connection).await {
        Ok(open) => open.send(letter, next).await,
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

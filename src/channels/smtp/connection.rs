//! Connection: one conversation that is owned by one task and carries letters until it is worn out or broken.

use tokio::time::Instant;

use super::Smtp;
use super::conversation::{Conversation, Ended};
use crate::channels::{Outgoing, Sent};
use crate::domain::delivery::{Answer, Stage};

/// One connection to a relay, owned by one task.
pub struct Connection {
    /// None once it must not be used any more.
    conversation: Option<Conversation>,
    smtp: Smtp,
    opened_at: Instant,
    messages: u32,
}

impl Connection {
    pub(super) fn new(smtp: Smtp, conversation: Conversation) -> Self {
        Self {
            conversation: Some(conversation),
            smtp,
            opened_at: Instant::now(),
            messages: 0,
        }
    }

    /// Whether a further message may go over this connection; one that was named on it already always may.
    pub fn is_usable(&self) -> bool {
        let has_named = self
            .conversation
            .as_ref()
            .is_some_and(Conversation::has_named);
        self.conversation.is_some() && (has_named || self.has_room(self.messages))
    }

    /// Whether a letter that is named while another is sent costs no round trip of its own.
    pub fn takes_groups(&self) -> bool {
        let takes = |open: &Conversation| open.can().pipelining;
        self.conversation.as_ref().is_some_and(takes)
    }

    /// Whether another may follow after so many messages.
    fn has_room(&self, messages: u32) -> bool {
        let relay = &self.smtp.0.relay;
        messages < relay.messages_per_connection && self.opened_at.elapsed() < relay.connection_age
    }

    /// Sends one message to one recipient: MAIL, RCPT, DATA, the bytes. The relay gets exactly the letter's bytes. An empty
    /// envelope sender is the null sender. Where the relay takes groups, `next` is named on the way, unless this is the
    /// connection's last message; see [`crate::channels::Session::send`].
    ///
    /// After any reply that leaves the conversation in doubt the connection is closed, and [`Connection::is_usable`] says so.
    pub async fn send(&mut self, letter: Outgoing<'_>, next: Option<Outgoing<'_>>) -> Sent {
        let messages = self.messages.saturating_add(1);
        let next = next.filter(|_| self.has_room(messages));
        let Some(conversation) = &mut self.conversation else {
            return self.smtp.sent(Ended::new(Stage::Connect, Answer::Lost));
        };
        self.messages = messages;
        let ended = conversation.deliver(letter, next).await;
        if conversation.is_over() {
            self.conversation = None;
        }
        self.smtp.sent(ended)
    }

    /// Says goodbye, if there is somebody to say it to.
    pub async fn close(self) {
        if let Some(conversation) = self.conversation {
            conversation.quit().await;
        }
    }
}

//! The letter that a service is cut, or back: one message for all who are concerned, whom the mail system knows.

use super::Letters;
use crate::domain::{Moment, PersonName};
use crate::messages::Rendered;
use crate::messages::letter::{Envelope, build};

impl Letters {
    /// The whole message, ready for a mail system, which adds the recipients: it is addressed to where answers go.
    pub fn to_all_concerned(&self, rendered: &Rendered, now: Moment) -> anyhow::Result<Vec<u8>> {
        let envelope = Envelope {
            from_name: self.from_name.clone(),
            from: self.from.clone(),
            reply_to: self.reply_to.clone(),
            to_name: PersonName::new("All who are concerned"),
            to: self.reply_to.clone(),
            date: now,
            zone: self.constants.zone,
            message_id: format!(
                "<access.{:016x}@{}>",
                rand::random::<u64>(),
                self.from.domain_ascii()
            ),
            in_reply_to: None,
            references: Vec::new(),
            language: crate::messages::DEFAULT_LOCALE.to_owned(),
            private: false,
            automatic: true,
            plain_only: true,
        };
        Ok(build(rendered, &envelope)?)
    }
}

//! Letters: from what a delivery stores to the bytes that every attempt sends.

mod access;
mod texts;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use chrono_tz::Tz;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::channels::inbox::Token;
use crate::config::{Config, Sensitivity};
use crate::domain::notice::NoticeKind;
use crate::domain::{DeliveryId, EmailAddress, Moment};
use crate::messages::letter::{
    Envelope, MessageIdParts, build, is_verp, message_id, verp, verp_delivery,
};
use crate::messages::{Constants, Frozen, Messages, Personal, Rendered};
use crate::store::{Delivery, Store, TemplateId};

pub use texts::page_hash;

/// The texts, the sender, and the key that identities are made with.
#[derive(Debug)]
pub struct Letters {
    /// All texts.
    pub messages: Messages,
    /// What is the same in every letter.
    pub constants: Constants,
    from_name: String,
    from: EmailAddress,
    reply_to: EmailAddress,
    envelope_prefix: String,
    bounce_domain: String,
    is_private: bool,
    site_key: Vec<u8>,
    templates: Mutex<HashMap<(NoticeKind, String), Arc<Template>>>,
    kept: Mutex<HashMap<TemplateId, Arc<Kept>>>,
}

/// A template as it is kept in the store, ready to write letters.
struct Kept {
    frozen: Frozen,
    locale: String,
    hash: String,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("locale", &self.locale)
            .finish_non_exhaustive()
    }
}

/// All that a kind's letters are made of but a person's facts.
#[derive(Debug)]
pub struct Template {
    /// SHA-256 of the document, in hexadecimal.
    pub hash: String,
    /// The texts and the organisation's constants, as JSON.
    pub document: String,
}

/// A letter, ready to be sent.
pub struct Written {
    /// What the envelope says it comes from: a bounce finds its delivery by it.
    pub envelope_from: EmailAddress,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// What of a letter is not its text: the same in the queue and at each attempt.
pub struct Framing<'a> {
    /// To whom.
    pub to: &'a EmailAddress,
    /// Its Date.
    pub queued_at: Moment,
    /// The reader's zone.
    pub zone: &'a str,
    /// The language of the text.
    pub locale: &'a str,
    /// The thread's letters so far, this one included.
    pub message_ids: &'a str,
    /// This one's.
    pub message_id: &'a str,
}

impl Letters {
    pub(super) fn new(
        config: &Config,
        messages: Messages,
        constants: Constants,
        site_key: Vec<u8>,
    ) -> anyhow::Result<Self> {
        let broken = messages.check(&constants);
        if let Some(first) = broken.first() {
            let more = broken.len() - 1;
            anyhow::bail!(
                "{}: {} ({more} more; `bell messages check` shows them all)",
                first.file,
                first.reason
            );
        }
        let mail = &config.mail;
        Ok(Self {
            messages,
            constants,
            from_name: mail.from_name.clone(),
            from: mail.from_address.clone(),
            reply_to: mail
                .reply_to
                .clone()
                .unwrap_or_else(|| mail.from_address.clone()),
            envelope_prefix: mail.envelope_prefix.clone(),
            bounce_domain: mail.bounce_domain.clone(),
            is_private: mail.sensitivity == Sensitivity::Private,
            site_key,
            templates: Mutex::default(),
            kept: Mutex::default(),
        })
    }

    /// The hash of all that a kind's letters are made of but a person's facts, and that document itself. The texts do
    /// not change while we run, so each is put together once.
    pub fn template(&self, kind: NoticeKind, locale: &str) -> anyhow::Result<Arc<Template>> {
        let key = (kind, locale.to_owned());
        let mut known = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = known.get(&key) {
            return Ok(Arc::clone(template));
        }
        let document = self
            .messages
            .document(kind, locale, &self.constants)
            .with_context(|| format!("there is no {kind} in {locale}"))?;
        let hash = HEXLOWER.encode(&Sha256::digest(&document));
        let template = Arc::new(Template { hash, document });
        known.insert(key, Arc::clone(&template));
        Ok(template)
    }

    /// Writes a person's letter from the texts of today.
    pub fn render(
        &self,
        kind: NoticeKind,
        locale: &str,
        personal: &Personal,
    ) -> anyhow::Result<Rendered> {
        Ok(self
            .messages
            .render(kind, locale, &self.constants, personal)?)
    }

    /// Whether a person's letter can be written from the texts of today.
    pub fn rehearse(
        &self,
        kind: NoticeKind,
        locale: &str,
        personal: &Personal,
    ) -> anyhow::Result<()> {
        Ok(self
            .messages
            .rehearse(kind, locale, &self.constants, personal)?)
    }

    /// The Message-ID of a notice: the same notice never gets two.
    pub fn message_id(
        &self,
        campaign: crate::domain::CampaignId,
        thread: i64,
        kind: NoticeKind,
        seq: i64,
        template: &str,
        to: &EmailAddress,
    ) -> anyhow::Result<String> {
        let mut hash = [0; 32];
        if let Ok(bytes) = HEXLOWER.decode(template.as_bytes()) {
            hash.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        let about = [thread];
        let parts = MessageIdParts {
            campaign,
            about: &about,
            kind,
            sequence: u32::try_from(seq).unwrap_or(u32::MAX),
            template: &hash,
            to,
            domain: self.from.domain(),
        };
        Ok(message_id(&self.site_key, &parts)?)
    }

    /// What an address is to us: made by us for a delivery, made to look like it, or neither.
    pub fn token(&self, address: &str) -> Token {
        let Ok(address) = EmailAddress::parse(address) else {
            return Token::None;
        };
        match verp_delivery(&self.site_key, &address) {
            Some(delivery) => Token::Ours(delivery),
            None if is_verp(&address) => Token::Forged,
            None => Token::None,
        }
    }

    /// What a delivery's envelope says it comes from, and where its bounces go.
    pub fn bounce_address(&self, delivery: DeliveryId) -> anyhow::Result<EmailAddress> {
        Ok(verp(
            &self.site_key,
            delivery,
            &self.envelope_prefix,
            &self.bounce_domain,
        )?)
    }

    /// The bytes of a letter. The same framing and text give the same bytes.
    pub fn bytes(
        &self,
        rendered: &Rendered,
        to_name: &crate::domain::PersonName,
        framing: &Framing<'_>,
    ) -> anyhow::Result<Vec<u8>> {
        let before: Vec<String> = framing
            .message_ids
            .split_ascii_whitespace()
            .take_while(|id| *id != framing.message_id)
            .map(str::to_owned)
            .collect();
        let envelope = Envelope {
            from_name: self.from_name.clone(),
            from: self.from.clone(),
            reply_to: self.reply_to.clone(),
            to_name: to_name.clone(),
            to: framing.to.clone(),
            date: framing.queued_at,
            zone: framing.zone.parse::<Tz>().unwrap_or(self.constants.zone),
            message_id: framing.message_id.to_owned(),
            in_reply_to: before.first().cloned(),
            references: before,
            language: framing.locale.to_owned(),
            private: self.is_private,
            automatic: true,
            plain_only: false,
        };
        Ok(build(rendered, &envelope)?)
    }

    /// The letter of a delivery, made from what the store kept. It must come out as it was queued, byte for byte.
    /// [`Letters::prepare`] has read its template.
    pub fn write(&self, delivery: &Delivery) -> anyhow::Result<Written> {
        let kept = self
            .cached(delivery.template)
            .context("its template was not read first")?;
        let personal: Personal = serde_json::from_str(&delivery.facts)
            .map_err(|_| anyhow::anyhow!("the facts of delivery {} cannot be read", delivery.id))?;
        let rendered = kept.frozen.render(&personal)?;
        let message_id = self.message_id(
            delivery.campaign,
            delivery.thread,
            delivery.kind,
            delivery.seq,
            &kept.hash,
            &delivery.recipient,
        )?;
        let framing = Framing {
            to: &delivery.recipient,
            queued_at: delivery.queued_at,
            zone: &delivery.zone,
            locale: &kept.locale,
            // A manager's letter answers none of those to whom it is about.
            message_ids: if delivery.kind.is_to_holder() {
                &delivery.message_ids
            } else {
                &message_id
            },
            message_id: &message_id,
        };
        let bytes = self.bytes(&rendered, &personal.full_name, &framing)?;
        anyhow::ensure!(
            letter_hash(&bytes) == delivery.letter_hash,
            "the letter of delivery {} does not come out as it was queued",
            delivery.id
        );
        Ok(Written {
            envelope_from: self.bounce_address(delivery.id)?,
            bytes,
        })
    }

    /// Reads a template from the store, once.
    pub async fn prepare(&self, store: &Store, id: TemplateId) -> anyhow::Result<()> {
        if self.cached(id).is_some() {
            return Ok(());
        }
        let mut tx = store.read().await?;
        let (_, locale, document) = tx.template(id).await?;
        drop(tx);
        let kept = Arc::new(Kept {
            frozen: Frozen::read(&document)?,
            locale,
            hash: HEXLOWER.encode(&Sha256::digest(&document)),
        });
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, kept);
        Ok(())
    }

    fn cached(&self, id: TemplateId) -> Option<Arc<Kept>> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }
}

/// What tells one letter's bytes from another's.
pub fn letter_hash(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(bytes))
}

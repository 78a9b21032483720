//! Texts and printed letters: from what a delivery stores to the words that every attempt sends.

use std::sync::{Arc, PoisonError};

use anyhow::Context;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{Letters, Template, letter_hash};
use crate::domain::DeliveryId;
use crate::domain::notice::NoticeKind;
use crate::messages::{FrozenText, Personal, Rendered};
use crate::store::{HandedOut, OtherDelivery, Store};

impl Letters {
    /// The same as [`Letters::template`], for texts.
    pub fn text_template(&self, kind: NoticeKind, locale: &str) -> anyhow::Result<Arc<Template>> {
        let key = (kind, format!("sms/{locale}"));
        let mut known = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = known.get(&key) {
            return Ok(Arc::clone(template));
        }
        let document = self
            .messages
            .text_document(kind, locale, &self.constants)
            .with_context(|| format!("there is no text for {kind}"))?;
        let hash = HEXLOWER.encode(&Sha256::digest(&document));
        let template = Arc::new(Template { hash, document });
        known.insert(key, Arc::clone(&template));
        Ok(template)
    }

    /// Writes a person's text from the words of today.
    pub fn render_text(
        &self,
        kind: NoticeKind,
        locale: &str,
        personal: &Personal,
    ) -> anyhow::Result<String> {
        Ok(self
            .messages
            .render_text(kind, locale, &self.constants, personal)?)
    }

    /// The text of a delivery, made from what the store kept. It must come out as it was queued.
    pub async fn write_text(
        &self,
        store: &Store,
        delivery: &OtherDelivery,
    ) -> anyhow::Result<String> {
        let mut tx = store.read().await?;
        let (_, _, document) = tx.template(delivery.template).await?;
        drop(tx);
        let text = FrozenText::read(&document)?.render(&facts(delivery.id, &delivery.facts)?)?;
        anyhow::ensure!(
            letter_hash(text.as_bytes()) == delivery.letter_hash,
            "the text of delivery {} does not come out as it was queued",
            delivery.id
        );
        Ok(text)
    }

    /// The words of a printed letter, made from what the store kept. They must come out as they were queued.
    pub async fn write_page(&self, store: &Store, letter: &HandedOut) -> anyhow::Result<Rendered> {
        self.prepare(store, letter.template).await?;
        let kept = self
            .cached(letter.template)
            .context("its template was not read first")?;
        let rendered = kept.frozen.render(&facts(letter.id, &letter.facts)?)?;
        anyhow::ensure!(
            page_hash(&rendered) == letter.letter_hash,
            "the letter of delivery {} does not come out as it was queued",
            letter.id
        );
        Ok(rendered)
    }

    /// What a delivery is called outside: whoever holds it can neither guess another's nor tell whose it is.
    pub fn reference(&self, delivery: DeliveryId) -> anyhow::Result<String> {
        let address = self.bounce_address(delivery)?;
        let (_, token) = address
            .local()
            .rsplit_once('+')
            .with_context(|| format!("the token of delivery {delivery}"))?;
        Ok(token.to_owned())
    }
}

fn facts(id: DeliveryId, facts: &str) -> anyhow::Result<Personal> {
    serde_json::from_str(facts)
        .map_err(|_| anyhow::anyhow!("the facts of delivery {id} cannot be read"))
}

/// What tells one printed letter's words from another's.
pub fn page_hash(rendered: &Rendered) -> String {
    letter_hash(format!("{}\n\n{}", rendered.subject, rendered.text).as_bytes())
}

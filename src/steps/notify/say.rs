//! One notice on its way into the outbox: its facts, its template, and the hash of its letter.

use std::collections::HashMap;

use anyhow::Context;

use crate::app::{App, Framing, letter_hash};
use crate::domain::notice::NoticeKind;
use crate::domain::policy::priority;
use crate::domain::{EmailAddress, Moment};
use crate::messages::{Personal, Reference, RenderError};
use crate::store::{DeliveryDraft, PersonFacts, TemplateId, Thread, Tx};

pub(super) fn is_personal(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<RenderError>()
        .is_some_and(RenderError::is_personal)
}

/// What a letter says of its reader.
pub(super) fn personal(
    app: &App,
    thread: &Thread,
    person: &PersonFacts,
    accounts: Vec<String>,
    deadline: Option<Moment>,
) -> anyhow::Result<Personal> {
    let (campaign, own) = thread
        .reference
        .rsplit_once('-')
        .with_context(|| format!("the reference of thread {}", thread.id))?;
    let zone = thread
        .zone
        .parse()
        .ok()
        .filter(|zone| *zone != app.letters.constants.zone);
    Ok(Personal {
        full_name: person.name.clone(),
        accounts,
        reference: Reference::new(campaign, own)?,
        category: thread.category,
        deadline,
        zone,
        n: 0,
        total: 0,
        days_left: 0,
        most_done: false,
        changed_at: None,
    })
}

/// Templates that were kept in this transaction.
#[derive(Default)]
pub(super) struct Templates(HashMap<(NoticeKind, String), (TemplateId, String)>);

impl Templates {
    pub(super) async fn keep(
        &mut self,
        app: &App,
        tx: &mut Tx,
        kind: NoticeKind,
        locale: &str,
        now: Moment,
    ) -> anyhow::Result<(TemplateId, String)> {
        let key = (kind, locale.to_owned());
        if let Some(kept) = self.0.get(&key) {
            return Ok(kept.clone());
        }
        let template = app.letters.template(kind, locale)?;
        let hash = template.hash.clone();
        let id = tx
            .keep_template(&hash, kind.word(), locale, &template.document, now)
            .await?;
        self.0.insert(key, (id, hash.clone()));
        Ok((id, hash))
    }
}

/// One notice on its way into the outbox.
pub(super) struct Say<'a> {
    pub(super) thread: &'a Thread,
    pub(super) kind: NoticeKind,
    pub(super) seq: i64,
    pub(super) channel: &'a str,
    pub(super) to: &'a EmailAddress,
    pub(super) locale: &'a str,
    pub(super) personal: &'a Personal,
    pub(super) due_at: Moment,
    pub(super) now: Moment,
}

impl Say<'_> {
    /// The delivery, and the thread's letters with this one at the end.
    pub(super) fn draft(
        &self,
        app: &App,
        template: &(TemplateId, String),
    ) -> anyhow::Result<(DeliveryDraft, String)> {
        let rendered = app.letters.render(self.kind, self.locale, self.personal)?;
        let (template, hash) = template;
        let message_id = app.letters.message_id(
            self.thread.campaign,
            self.thread.id,
            self.kind,
            self.seq,
            hash,
            self.to,
        )?;
        let message_ids = if self.thread.message_ids.is_empty() {
            message_id.clone()
        } else {
            format!("{} {message_id}", self.thread.message_ids)
        };
        let framing = Framing {
            to: self.to,
            queued_at: self.now,
            zone: &self.thread.zone,
            locale: self.locale,
            message_ids: &message_ids,
            message_id: &message_id,
        };
        let bytes = app
            .letters
            .bytes(&rendered, &self.personal.full_name, &framing)?;
        let draft = DeliveryDraft {
            thread: self.thread.id,
            kind: self.kind,
            seq: self.seq,
            channel: self.channel.to_owned(),
            recipient: self.to.clone(),
            template: *template,
            facts: serde_json::to_string(self.personal)?,
            letter_hash: letter_hash(&bytes),
            queued_at: self.now,
            priority: priority(self.personal.category, self.kind, self.personal.deadline),
            due_at: self.due_at,
        };
        Ok((draft, message_ids))
    }
}

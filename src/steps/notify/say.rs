//! One notice on its way into the outbox: its facts, its template, and the hash of its letter.

use std::collections::HashMap;

use anyhow::Context;

use crate::app::{App, Framing, letter_hash, page_hash};
use crate::domain::notice::NoticeKind;
use crate::domain::policy::priority;
use crate::domain::{Destination, EmailAddress, Moment};
use crate::messages::{Personal, Reference, RenderError};
use crate::store::{DeliveryDraft, OtherDraft, PersonFacts, TemplateId, Thread, Tx};

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
        staff: Vec::new(),
    })
}

/// Whose words a notice is written in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Words {
    /// Those of a letter, by mail or printed.
    Letter,
    /// Those of a text.
    Text,
}

/// Templates that were kept in this transaction.
#[derive(Default)]
pub(super) struct Templates(HashMap<(Words, NoticeKind, String), (TemplateId, String)>);

impl Templates {
    async fn keep(
        &mut self,
        app: &App,
        tx: &mut Tx,
        words: Words,
        kind: NoticeKind,
        locale: &str,
        now: Moment,
    ) -> anyhow::Result<(TemplateId, String)> {
        let key = (words, kind, locale.to_owned());
        if let Some(kept) = self.0.get(&key) {
            return Ok(kept.clone());
        }
        let template = match words {
            Words::Letter => app.letters.template(kind, locale)?,
            Words::Text => app.letters.text_template(kind, locale)?,
        };
        let hash = template.hash.clone();
        let id = tx
            .keep_template(&hash, kind.word(), locale, &template.document, now)
            .await?;
        self.0.insert(key, (id, hash.clone()));
        Ok((id, hash))
    }
}

impl Templates {
    /// Keeps the template of a letter.
    pub(super) async fn keep_letter(
        &mut self,
        app: &App,
        tx: &mut Tx,
        kind: NoticeKind,
        locale: &str,
        now: Moment,
    ) -> anyhow::Result<(TemplateId, String)> {
        self.keep(app, tx, Words::Letter, kind, locale, now).await
    }
}

/// Notices on their way into the outbox.
#[derive(Default)]
pub(super) struct Drafts {
    /// By mail.
    pub(super) mails: Vec<DeliveryDraft>,
    /// By other ways.
    pub(super) others: Vec<OtherDraft>,
}

impl Drafts {
    /// Takes one in; returns the thread's letters, with this one at the end if it is a mail.
    pub(super) fn add(&mut self, thread: &Thread, drafted: Drafted) -> String {
        match drafted {
            Drafted::Mail(draft, message_ids) => {
                self.mails.push(draft);
                message_ids
            }
            Drafted::Other(draft) => {
                self.others.push(draft);
                thread.message_ids.clone()
            }
        }
    }

    /// Queues all of them; returns how many are new.
    pub(super) async fn queue(self, tx: &mut Tx, now: Moment) -> anyhow::Result<u64> {
        let mails = tx.queue(&self.mails, now).await?;
        Ok(mails + tx.queue_other(&self.others).await?)
    }
}

/// A notice that is written.
pub(super) enum Drafted {
    /// By mail, and the thread's letters with this one at the end.
    Mail(DeliveryDraft, String),
    /// By another way.
    Other(OtherDraft),
}

/// One notice on its way into the outbox.
pub(super) struct Say<'a> {
    pub(super) thread: &'a Thread,
    pub(super) kind: NoticeKind,
    pub(super) seq: i64,
    pub(super) to: &'a Destination,
    pub(super) locale: &'a str,
    pub(super) personal: &'a Personal,
    pub(super) due_at: Moment,
    pub(super) now: Moment,
}

impl Say<'_> {
    /// Writes the notice and puts it among `drafts`; returns the thread's letters, with this one at the end if it is a mail.
    pub(super) async fn draft(
        &self,
        app: &App,
        tx: &mut Tx,
        templates: &mut Templates,
        drafts: &mut Drafts,
    ) -> anyhow::Result<String> {
        let kept = self.keep(app, tx, templates).await?;
        let drafted = self.write(app, &kept)?;
        Ok(drafts.add(self.thread, drafted))
    }

    /// Keeps the template that the notice is written by: its number and its hash.
    pub(super) async fn keep(
        &self,
        app: &App,
        tx: &mut Tx,
        templates: &mut Templates,
    ) -> anyhow::Result<(TemplateId, String)> {
        let words = match self.to {
            Destination::Sms(_) => Words::Text,
            Destination::Mail(_) | Destination::SecondMail(_) | Destination::Letter(_) => {
                Words::Letter
            }
        };
        templates
            .keep(app, tx, words, self.kind, self.locale, self.now)
            .await
    }

    /// Writes the notice by its template: pure work, on whichever core.
    pub(super) fn write(&self, app: &App, kept: &(TemplateId, String)) -> anyhow::Result<Drafted> {
        match self.to {
            Destination::Mail(to) | Destination::SecondMail(to) => {
                let (draft, message_ids) = self.mail(app, kept, to)?;
                Ok(Drafted::Mail(draft, message_ids))
            }
            Destination::Sms(_) | Destination::Letter(_) => {
                Ok(Drafted::Other(self.other(app, kept.0)?))
            }
        }
    }

    /// Writes the notice and keeps nothing: whether it can be written at all.
    pub(super) fn rehearse(&self, app: &App) -> anyhow::Result<()> {
        match self.to {
            Destination::Sms(_) => app
                .letters
                .render_text(self.kind, self.locale, self.personal)
                .map(|_| ()),
            Destination::Mail(_) | Destination::SecondMail(_) | Destination::Letter(_) => {
                app.letters.rehearse(self.kind, self.locale, self.personal)
            }
        }
    }

    fn other(&self, app: &App, template: TemplateId) -> anyhow::Result<OtherDraft> {
        let letter_hash = match self.to {
            Destination::Sms(_) => {
                let text = app
                    .letters
                    .render_text(self.kind, self.locale, self.personal)?;
                letter_hash(text.as_bytes())
            }
            Destination::Mail(_) | Destination::SecondMail(_) | Destination::Letter(_) => {
                let page = app.letters.render(self.kind, self.locale, self.personal)?;
                page_hash(&page)
            }
        };
        Ok(OtherDraft {
            thread: self.thread.id,
            kind: self.kind,
            seq: self.seq,
            to: self.to.clone(),
            template,
            facts: serde_json::to_string(self.personal)?,
            letter_hash,
            queued_at: self.now,
            priority: priority(self.personal.category, self.kind, self.personal.deadline),
            due_at: self.due_at,
        })
    }

    fn mail(
        &self,
        app: &App,
        (template, hash): &(TemplateId, String),
        to: &EmailAddress,
    ) -> anyhow::Result<(DeliveryDraft, String)> {
        let rendered = app.letters.render(self.kind, self.locale, self.personal)?;
        let message_id = app.letters.message_id(
            self.thread.campaign,
            self.thread.id,
            self.kind,
            self.seq,
            hash,
            to,
        )?;
        let message_ids = if self.thread.message_ids.is_empty() {
            message_id.clone()
        } else {
            format!("{} {message_id}", self.thread.message_ids)
        };
        let framing = Framing {
            to,
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
            channel: self.to.way().word().to_owned(),
            recipient: to.clone(),
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

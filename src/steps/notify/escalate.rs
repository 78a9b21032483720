//! Managers: told once a day, in one letter, which of their people have an overdue task or cannot sign in. Never why.
//! Delegates: told that those whose mailbox they read have a task, which they hear of by another way.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveTime;

use super::say::{Templates, is_personal};
use super::{BATCH, Queued};
use crate::app::{App, Framing, letter_hash};
use crate::domain::escalation::{About, MOST_STAFF, Manager, Next, next};
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::priority;
use crate::domain::rate::release;
use crate::domain::{Moment, PersonId, Way};
use crate::messages::{Personal, Reference, Staff};
use crate::store::{DeliveryDraft, Escalated, Escalation, PersonFacts, Thread, Tx};

/// Why a human being speaks with a manager to whom no letter can be written.
const UNWRITABLE: &str = "manager_unwritable";

/// Queues the letters to managers that are due: one a manager and day. What has become untrue meanwhile is not told.
pub(super) async fn escalate(app: &App, queued: &mut Queued) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut after = 0;
    let mut written = std::collections::HashSet::new();
    loop {
        let page = {
            let mut tx = app.store.read().await?;
            tx.escalations(after, BATCH, now).await?
        };
        let Some(last) = page.last() else {
            return Ok(());
        };
        let (first, up_to) = (after, last.id);
        after = up_to;
        let mut tx = app.store.begin().await?;
        // Read once more where nobody else writes: another of us may have been faster.
        let page: Vec<Escalation> = tx
            .escalations(first, BATCH, now)
            .await?
            .into_iter()
            .filter(|one| one.id <= up_to)
            .collect();
        let mut ids: Vec<PersonId> = page.iter().map(|one| one.person).collect();
        ids.extend(page.iter().filter_map(|one| one.manager));
        let persons = tx.persons(ids).await?;
        let sorted = Sorted::of(app, &page, &persons);
        tx.end_escalations(&sorted.over, now).await?;
        queued.tasks += tx.escalate_by_hand(&sorted.by_hand, now).await?;
        for ((manager, kind), named) in sorted.letters {
            let Some(facts) = persons.get(&manager) else {
                continue;
            };
            if !written.insert(manager) {
                continue;
            }
            let letter = Letter {
                kind,
                manager: facts,
                named: named.into_iter().take(MOST_STAFF).collect(),
                persons: &persons,
            };
            letter.queue(app, &mut tx, now, queued).await?;
        }
        tx.commit().await?;
    }
}

/// What becomes of each.
#[derive(Default)]
struct Sorted<'a> {
    over: Vec<i64>,
    by_hand: Vec<(i64, crate::domain::CaseId, &'static str)>,
    letters: BTreeMap<(PersonId, NoticeKind), Vec<&'a Escalation>>,
}

impl<'a> Sorted<'a> {
    fn of(app: &App, page: &'a [Escalation], persons: &HashMap<PersonId, PersonFacts>) -> Self {
        let mut sorted = Self::default();
        // The ladder of a case is frozen, but HR may have changed its mind.
        let is_on = app.config.campaign.tell_managers.is_some();
        for one in page {
            let manager = one.manager.and_then(|id| persons.get(&id));
            match next(one.about, one.standing, who(one, manager)) {
                _ if !is_on && one.about != About::Delegate => sorted.over.push(one.id),
                Next::Over => sorted.over.push(one.id),
                Next::Wait => {}
                Next::ByHand(why) => sorted.by_hand.push((one.id, one.case, why)),
                Next::Write => {
                    if let Some(manager) = one.manager {
                        let kind = match one.about {
                            About::Delegate => NoticeKind::Delegate,
                            About::Overdue | About::Locked => NoticeKind::Manager,
                        };
                        sorted.letters.entry((manager, kind)).or_default().push(one);
                    }
                }
            }
        }
        sorted
    }
}

fn who(one: &Escalation, manager: Option<&PersonFacts>) -> Manager {
    match manager {
        None => Manager::None,
        Some(manager) if manager.id == one.person => Manager::Themself,
        Some(manager) if manager.left || !manager.enabled => Manager::Gone,
        Some(manager) if manager.address.is_none() => Manager::NoMailbox,
        Some(_) if one.manager_is_victim => Manager::Compromised,
        Some(_) => Manager::Able,
    }
}

/// A letter to one manager or delegate.
struct Letter<'a> {
    kind: NoticeKind,
    manager: &'a PersonFacts,
    named: Vec<&'a Escalation>,
    persons: &'a HashMap<PersonId, PersonFacts>,
}

impl Letter<'_> {
    async fn queue(
        &self,
        app: &App,
        tx: &mut Tx,
        now: Moment,
        queued: &mut Queued,
    ) -> anyhow::Result<()> {
        let calendar = app.calendar_in(self.manager.time_zone.as_deref());
        let due_at = release(self.kind, Category::Weak, &calendar, now).at(now);
        let day = calendar.moment(calendar.local(due_at).date().and_time(NaiveTime::MIN));
        let today = tx.managers_written_to(&[self.manager.id], day).await?;
        let Some(anchor) = self.named.first() else {
            return Ok(());
        };
        if !today.is_empty() {
            return Ok(());
        }
        let threads = tx.threads_by_id(&[anchor.thread]).await?;
        let Some(thread) = threads.first() else {
            return Ok(());
        };
        // It stands beside a thread, and answers nothing in it.
        let said = tx.said(&[thread.id], self.kind).await?;
        let seq = said.get(&thread.id).copied().unwrap_or(0) + 1;
        match self.draft(app, tx, thread, seq, due_at, now).await {
            Ok(draft) => {
                queued.managers += tx.queue(&[draft], now).await?;
                let linked: Vec<Escalated> = self
                    .named
                    .iter()
                    .map(|one| Escalated {
                        id: one.id,
                        manager_id: self.manager.id.0,
                        thread_id: thread.id,
                        seq,
                    })
                    .collect();
                tx.link_escalations(&linked).await?;
            }
            Err(error) if is_personal(&error) => {
                tracing::warn!(person.id = %self.manager.id, "a letter to a manager about these facts cannot be written: {error:#}");
                let by_hand: Vec<_> = self
                    .named
                    .iter()
                    .map(|one| (one.id, one.case, UNWRITABLE))
                    .collect();
                queued.tasks += tx.escalate_by_hand(&by_hand, now).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn draft(
        &self,
        app: &App,
        tx: &mut Tx,
        thread: &Thread,
        seq: i64,
        due_at: Moment,
        now: Moment,
    ) -> anyhow::Result<DeliveryDraft> {
        let kind = self.kind;
        let letters = &app.letters;
        let locale = letters.messages.locale(self.manager.language.as_deref());
        let (template, hash) = Templates::default()
            .keep_letter(app, tx, kind, locale, now)
            .await?;
        let personal = self.personal(app, thread)?;
        let to = self
            .manager
            .address
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("manager {} has no mailbox", self.manager.id))?;
        let rendered = letters.render(kind, locale, &personal)?;
        let message_id = letters.message_id(thread.campaign, thread.id, kind, seq, &hash, to)?;
        let framing = Framing {
            to,
            queued_at: now,
            zone: &thread.zone,
            locale,
            message_ids: &message_id,
            message_id: &message_id,
        };
        let bytes = letters.bytes(&rendered, &personal.full_name, &framing)?;
        Ok(DeliveryDraft {
            thread: thread.id,
            kind,
            seq,
            channel: Way::Mail.word().to_owned(),
            recipient: to.clone(),
            template,
            facts: serde_json::to_string(&personal)?,
            letter_hash: letter_hash(&bytes),
            queued_at: now,
            priority: priority(Category::Weak, kind, None),
            due_at,
        })
    }

    /// Names and due dates, and nothing of why: the category of all of them is the least.
    fn personal(&self, app: &App, thread: &Thread) -> anyhow::Result<Personal> {
        let campaign = thread
            .reference
            .rsplit_once('-')
            .map_or("", |(campaign, _)| campaign);
        // A reference of its own: what the help desk looks up by one of theirs is for them alone.
        let reference = loop {
            let own = crate::messages::letter::personal_reference(rand::random());
            if let Ok(reference) = Reference::new(campaign, &own) {
                break reference;
            }
            anyhow::ensure!(
                Reference::new(campaign, "K7M4").is_ok(),
                "the reference of thread {}",
                thread.id
            );
        };
        let mut staff: Vec<Staff> = self
            .named
            .iter()
            .filter_map(|one| {
                let person = self.persons.get(&one.person)?;
                Some(Staff {
                    name: person.name.clone(),
                    due_at: match one.about {
                        About::Overdue | About::Delegate => one.deadline_at,
                        About::Locked => None,
                    },
                })
            })
            .collect();
        // Two accounts of one person are one line.
        staff.sort_by(|a, b| (a.name.expose(), a.due_at).cmp(&(b.name.expose(), b.due_at)));
        staff.dedup();
        let zone = self
            .manager
            .time_zone
            .as_deref()
            .and_then(|zone| zone.parse().ok())
            .filter(|zone| *zone != app.letters.constants.zone);
        Ok(Personal {
            full_name: self.manager.name.clone(),
            accounts: Vec::new(),
            reference,
            category: Category::Weak,
            deadline: None,
            zone,
            n: 0,
            total: 0,
            days_left: 0,
            most_done: false,
            changed_at: None,
            staff,
        })
    }
}

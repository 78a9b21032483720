//! Open cases → notices → deliveries. Safe to repeat: a notice already queued is not queued again.
//!
//! First notices go only from approved campaigns whose recipients and texts still are what was approved. Every letter of
//! a campaign is written once before the first is queued, so a text that fails stops it before anyone is told.

use std::collections::HashMap;

use anyhow::Context;
use serde::Serialize;

use super::campaign::{About, content_of};
use super::plan::{first_at, labels};
use crate::app::{App, Framing, letter_hash};
use crate::domain::campaign::CampaignState;
use crate::domain::case::CaseState;
use crate::domain::finding::Category;
use crate::domain::ladder::{Ladder, Rung, Timetable};
use crate::domain::notice::NoticeKind;
use crate::domain::policy::{WhyNot, priority};
use crate::domain::{CaseId, EmailAddress, Moment};
use crate::messages::{Personal, Reference, RenderError};
use crate::store::{
    Campaign, CaseRow, DeliveryDraft, Following, PersonFacts, StoreError, TaskKind, TemplateId,
    Thread, ThreadQueued, ThreadState, Tx,
};

const BATCH: i64 = 500;

/// What was queued.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Queued {
    /// First notices.
    pub notices: u64,
    /// Reminders.
    pub reminders: u64,
    /// Work opened for human beings.
    pub tasks: u64,
    /// Campaigns that say nothing, because what was approved is not what is there now.
    pub void: Vec<String>,
}

impl std::fmt::Display for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} first notices and {} reminders queued, {} tasks opened",
            self.notices, self.reminders, self.tasks
        )?;
        for campaign in &self.void {
            write!(
                f,
                "\ncampaign {campaign} is void: recipients or texts have changed since its approval; draft it again"
            )?;
        }
        Ok(())
    }
}

/// Queues what is due: the first notices of approved campaigns, then reminders and other rungs. A campaign that cannot be
/// queued holds up no other, and nobody's reminder; it is told at the end.
pub async fn notify(app: &App) -> anyhow::Result<Queued> {
    let mut queued = Queued::default();
    let campaigns = {
        let mut tx = app.store.read().await?;
        tx.campaigns().await?
    };
    let mut failed = None;
    for campaign in campaigns
        .iter()
        .filter(|campaign| campaign.state == CampaignState::Approved)
    {
        if let Err(error) = start(app, campaign, &mut queued)
            .await
            .with_context(|| format!("queuing campaign {}", campaign.reference))
        {
            if error.chain().any(|cause| cause.is::<StoreError>()) {
                return Err(error);
            }
            failed.get_or_insert(error);
        }
    }
    follow(app, &mut queued).await?;
    failed.map_or(Ok(queued), Err)
}

/// Queues a campaign's first notices.
async fn start(app: &App, campaign: &Campaign, queued: &mut Queued) -> anyhow::Result<()> {
    let now = app.clock.now();
    let started = {
        let mut tx = app.store.read().await?;
        !tx.threads(campaign.id, ThreadState::Running, 0, 1)
            .await?
            .is_empty()
    };
    // Once the first letters are queued, the approval has been checked; what follows is the rest of the same campaign.
    if !started && !is_as_approved(app, campaign).await? {
        let mut tx = app.store.begin().await?;
        tx.void_campaign(
            campaign.id,
            "recipients or texts have changed since the approval",
            now,
        )
        .await?;
        tx.commit().await?;
        queued.void.push(campaign.reference.clone());
        return Ok(());
    }
    rehearse(app, campaign).await?;
    let mut after = 0;
    loop {
        let mut tx = app.store.begin().await?;
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, after, BATCH)
            .await?;
        let Some(last) = threads.last() else {
            tx.move_campaign(
                campaign.id,
                &[CampaignState::Approved],
                CampaignState::Running,
                "bell",
                None,
                now,
            )
            .await?;
            tx.commit().await?;
            return Ok(());
        };
        after = last.id;
        queue_first(app, &mut tx, &threads, now, queued).await?;
        tx.commit().await?;
    }
}

/// Whether what was approved is what is there now.
async fn is_as_approved(app: &App, campaign: &Campaign) -> anyhow::Result<bool> {
    let mut tx = app.store.read().await?;
    Ok(content_of(app, &mut tx, campaign).await? == campaign.content_hash)
}

/// Writes every letter that is about to be queued, and keeps none: a text that fails is found before anyone is told.
async fn rehearse(app: &App, campaign: &Campaign) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.store.read().await?;
    let mut after = 0;
    loop {
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, after, BATCH)
            .await?;
        let Some(last) = threads.last() else {
            return Ok(());
        };
        after = last.id;
        let about = About::load(&mut tx, &threads).await?;
        for thread in &threads {
            let Some(first) = First::of(app, &about, thread, now)? else {
                continue;
            };
            match app
                .letters
                .render(thread.kind, &first.locale, &first.personal)
            {
                Err(error) if !is_personal(&error) => {
                    return Err(error.context(format!(
                        "the letter {} cannot be written; nobody was told",
                        thread.kind
                    )));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}

fn is_personal(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<RenderError>()
        .is_some_and(RenderError::is_personal)
}

/// A thread's first notice, decided.
struct First<'a> {
    person: &'a PersonFacts,
    to: EmailAddress,
    locale: String,
    personal: Personal,
    timetable: Timetable,
    at: Moment,
}

impl<'a> First<'a> {
    /// None if there is nothing to say any more: all cases are closed.
    fn of(
        app: &App,
        about: &'a About,
        thread: &Thread,
        now: Moment,
    ) -> anyhow::Result<Option<Self>> {
        let open: Vec<&CaseRow> = about
            .of(thread)
            .iter()
            .filter(|case| !matches!(case.state, CaseState::Closed { .. }))
            .collect();
        let (Some(person), Some(to)) = (about.persons.get(&thread.person), about.address(thread))
        else {
            return Ok(None);
        };
        if open.is_empty() || about.is_gone(thread) {
            return Ok(None);
        }
        let calendar = app.calendar_in(Some(&thread.zone));
        // If all that it is about is exempt, it waits until the first exemption ends.
        let rests_until = open
            .iter()
            .map(|case| case.exempt_until.filter(|until| *until > now))
            .min()
            .flatten();
        let at = first_at(thread.category, &calendar, rests_until.unwrap_or(now));
        let timetable = Ladder::from_json(&thread.ladder)
            .with_context(|| format!("the ladder of thread {}", thread.id))?
            .schedule(at, &calendar);
        let personal = personal(
            app,
            thread,
            person,
            labels(&open, &about.accounts)?,
            Some(timetable.deadline),
        )?;
        let locale = app
            .letters
            .messages
            .locale(person.language.as_deref())
            .to_owned();
        Ok(Some(Self {
            person,
            to,
            locale,
            personal,
            timetable,
            at,
        }))
    }
}

/// What a letter says of its reader.
fn personal(
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

async fn queue_first(
    app: &App,
    tx: &mut Tx,
    threads: &[Thread],
    now: Moment,
    queued: &mut Queued,
) -> anyhow::Result<()> {
    let about = About::load(tx, threads).await?;
    let mut templates = Templates::default();
    let (mut drafts, mut started, mut over, mut gone, mut tasks) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for thread in threads {
        let Some(first) = First::of(app, &about, thread, now)? else {
            gone.push(thread.id);
            continue;
        };
        let say = Say {
            thread,
            kind: thread.kind,
            seq: 1,
            channel: "mail",
            to: &first.to,
            locale: &first.locale,
            personal: &first.personal,
            due_at: first.at,
            now,
        };
        match say.draft(app, tx, &mut templates).await {
            Ok((draft, message_id)) => {
                drafts.push(draft);
                started.push(ThreadQueued {
                    id: thread.id,
                    first_at: first.at.micros(),
                    deadline_at: first.timetable.deadline.micros(),
                    next_at: first.timetable.next(now, &[]).map(|(_, at)| at.micros()),
                    timetable: serde_json::to_string(&first.timetable)?,
                    message_ids: message_id,
                });
            }
            Err(error) if is_personal(&error) => {
                tracing::warn!(person.id = %first.person.id, "a letter about these facts cannot be written: {error:#}");
                tasks.extend(about.of(thread).iter().map(|case| {
                    (
                        case.id,
                        TaskKind::Reach,
                        WhyNot::Unwritable.word(),
                        Some(first.timetable.deadline),
                    )
                }));
                over.push(thread.id);
            }
            Err(error) => return Err(error),
        }
    }
    queued.notices += tx.queue(&drafts).await?;
    tx.start_threads(&started, now).await?;
    queued.tasks += tx.open_tasks(&tasks, now).await?;
    over.extend(&gone);
    tx.close_threads(&over, now).await?;
    // Whoever cannot be written to any more is not forgotten: the next plan makes it somebody's work.
    tx.free_cases(&gone).await?;
    Ok(())
}

/// Templates that were kept in this transaction.
#[derive(Default)]
struct Templates(HashMap<(NoticeKind, String), (TemplateId, String)>);

impl Templates {
    async fn keep(
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
struct Say<'a> {
    thread: &'a Thread,
    kind: NoticeKind,
    seq: i64,
    channel: &'a str,
    to: &'a EmailAddress,
    locale: &'a str,
    personal: &'a Personal,
    due_at: Moment,
    now: Moment,
}

impl Say<'_> {
    /// The delivery, and the thread's letters with this one at the end.
    async fn draft(
        &self,
        app: &App,
        tx: &mut Tx,
        templates: &mut Templates,
    ) -> anyhow::Result<(DeliveryDraft, String)> {
        let rendered = app.letters.render(self.kind, self.locale, self.personal)?;
        let (template, hash) = templates
            .keep(app, tx, self.kind, self.locale, self.now)
            .await?;
        let message_id = app.letters.message_id(
            self.thread.campaign,
            self.thread.id,
            self.kind,
            self.seq,
            &hash,
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
            template,
            facts: serde_json::to_string(self.personal)?,
            letter_hash: letter_hash(&bytes),
            queued_at: self.now,
            priority: priority(self.personal.category, self.kind),
            due_at: self.due_at,
        };
        Ok((draft, message_ids))
    }
}

/// Climbs the rungs that are due: reminders, hand-overs, overdue work.
async fn follow(app: &App, queued: &mut Queued) -> anyhow::Result<()> {
    let now = app.clock.now();
    while is_any_rung_due(app, now).await? {
        let mut tx = app.store.begin().await?;
        let threads = tx.threads_due(now, BATCH).await?;
        let about = About::load(&mut tx, &threads).await?;
        let most_done = most_done(&mut tx, &threads).await?;
        let mut templates = Templates::default();
        let mut following = Climbed::default();
        for thread in &threads {
            climb(
                app,
                &mut tx,
                thread,
                &about,
                &most_done,
                &mut templates,
                &mut following,
                now,
            )
            .await?;
        }
        queued.reminders += tx.queue(&following.drafts).await?;
        queued.tasks += tx.open_tasks(&following.tasks, now).await?;
        tx.follow_threads(&following.threads).await?;
        for case in &following.handed_over {
            tx.note_case(now, "bell", "case.hand_over_due", *case, None, None)
                .await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// A look before a write: most runs find nothing due.
async fn is_any_rung_due(app: &App, now: Moment) -> anyhow::Result<bool> {
    let mut tx = app.store.read().await?;
    Ok(!tx.threads_due(now, 1).await?.is_empty())
}

/// What a batch of threads leads to.
#[derive(Default)]
struct Climbed {
    drafts: Vec<DeliveryDraft>,
    tasks: Vec<(CaseId, TaskKind, &'static str, Option<Moment>)>,
    threads: Vec<Following>,
    handed_over: Vec<CaseId>,
}

#[expect(
    clippy::too_many_arguments,
    reason = "one thread of a batch, and all that the batch shares"
)]
async fn climb(
    app: &App,
    tx: &mut Tx,
    thread: &Thread,
    about: &About,
    most_done: &HashMap<crate::domain::CampaignId, bool>,
    templates: &mut Templates,
    following: &mut Climbed,
    now: Moment,
) -> anyhow::Result<()> {
    let timetable: Timetable = serde_json::from_str(thread.timetable.as_deref().unwrap_or(""))
        .with_context(|| format!("the timetable of thread {}", thread.id))?;
    let mut climbed: Vec<Rung> = serde_json::from_str(&thread.climbed)
        .with_context(|| format!("the rungs of thread {}", thread.id))?;
    let open: Vec<&CaseRow> = about
        .of(thread)
        .iter()
        .filter(|case| {
            !matches!(case.state, CaseState::Closed { .. })
                && case.exempt_until.is_none_or(|until| until <= now)
        })
        .collect();
    let mut message_ids = thread.message_ids.clone();
    while let Some(rung) = timetable.due(now, &climbed) {
        climbed.push(rung);
        match rung.notice() {
            // Whom the first notice did not reach is not reminded of it; that is a human being's work already.
            Some(kind)
                if open
                    .iter()
                    .any(|case| matches!(case.state, CaseState::Notified { .. })) =>
            {
                if let Some((draft, ids)) = remind(
                    app, tx, thread, about, &open, kind, rung, &timetable, most_done, templates,
                    now,
                )
                .await?
                {
                    following.drafts.push(draft);
                    message_ids = ids;
                }
            }
            Some(_) => {}
            None => following.work(rung, &open),
        }
    }
    // Reminders that were overtaken never go; they are behind us as well.
    let passed: Vec<Rung> = timetable
        .rungs
        .iter()
        .filter(|(rung, at)| *at <= now && !climbed.contains(rung))
        .map(|(rung, _)| *rung)
        .collect();
    climbed.extend(passed);
    following.threads.push(Following {
        id: thread.id,
        next_at: timetable.next(now, &climbed).map(|(_, at)| at.micros()),
        climbed: serde_json::to_string(&climbed)?,
        message_ids,
    });
    Ok(())
}

impl Climbed {
    fn work(&mut self, rung: Rung, open: &[&CaseRow]) {
        match rung {
            Rung::HandOver => {
                self.tasks.extend(
                    open.iter()
                        .map(|case| (case.id, TaskKind::HandOver, "deadline_passed", None)),
                );
                self.handed_over.extend(open.iter().map(|case| case.id));
            }
            Rung::Task | Rung::Overdue1 | Rung::Overdue2 => {
                let silent = open
                    .iter()
                    .filter(|case| matches!(case.state, CaseState::Open));
                self.tasks
                    .extend(silent.map(|case| (case.id, TaskKind::Reach, "not_spoken_to", None)));
            }
            // Letters to managers are not sent yet; the ladder without them has no such rung.
            Rung::Manager | Rung::Reminder1 | Rung::Reminder2 | Rung::ReminderFinal => {}
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one reminder, and all that its letter is made from"
)]
async fn remind(
    app: &App,
    tx: &mut Tx,
    thread: &Thread,
    about: &About,
    open: &[&CaseRow],
    kind: NoticeKind,
    rung: Rung,
    timetable: &Timetable,
    most_done: &HashMap<crate::domain::CampaignId, bool>,
    templates: &mut Templates,
    now: Moment,
) -> anyhow::Result<Option<(DeliveryDraft, String)>> {
    let (Some(person), Some(to), Some((n, total))) = (
        about.persons.get(&thread.person),
        about.address(thread),
        timetable.reminder_number(rung),
    ) else {
        return Ok(None);
    };
    if thread.category == Category::Compromised {
        return Ok(None);
    }
    let calendar = app.calendar_in(Some(&thread.zone));
    let due_at = calendar.next_sendable(now);
    let days_left =
        (calendar.local(timetable.deadline).date() - calendar.local(due_at).date()).num_days();
    let mut personal = personal(
        app,
        thread,
        person,
        labels(open, &about.accounts)?,
        Some(timetable.deadline),
    )?;
    personal.n = u8::try_from(n).unwrap_or(u8::MAX);
    personal.total = u8::try_from(total).unwrap_or(u8::MAX);
    personal.days_left = u8::try_from(days_left.max(0)).unwrap_or(u8::MAX);
    personal.most_done = most_done.get(&thread.campaign).copied().unwrap_or(false);
    let locale = app
        .letters
        .messages
        .locale(person.language.as_deref())
        .to_owned();
    let say = Say {
        thread,
        kind,
        seq: 1,
        channel: "mail",
        to: &to,
        locale: &locale,
        personal: &personal,
        due_at,
        now,
    };
    match say.draft(app, tx, templates).await {
        Ok(drafted) => Ok(Some(drafted)),
        Err(error) if is_personal(&error) => {
            tracing::warn!(person.id = %person.id, "a reminder about these facts cannot be written: {error:#}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether over half of a campaign's cases have a proven reset: only then may a reminder say that most people have.
async fn most_done(
    tx: &mut Tx,
    threads: &[Thread],
) -> anyhow::Result<HashMap<crate::domain::CampaignId, bool>> {
    let mut known = HashMap::new();
    for thread in threads {
        if let std::collections::hash_map::Entry::Vacant(place) = known.entry(thread.campaign) {
            let (done, all) = tx.campaign_progress(thread.campaign).await?;
            place.insert(done * 2 > all);
        }
    }
    Ok(known)
}

/// Queues the thanks for cases that closed with a proven reset: once, to every address held for the person, if they had
/// been told at all.
pub(super) async fn thank(
    app: &App,
    tx: &mut Tx,
    closed: &[CaseRow],
    now: Moment,
) -> anyhow::Result<u64> {
    let mut by_thread: HashMap<i64, Vec<&CaseRow>> = HashMap::new();
    for case in closed
        .iter()
        .filter(|case| matches!(case.state, CaseState::Notified { .. }))
    {
        if let Some(thread) = case.thread {
            by_thread.entry(thread).or_default().push(case);
        }
    }
    let ids: Vec<i64> = by_thread.keys().copied().collect();
    let threads = tx.threads_by_id(&ids).await?;
    let said = tx.said(&ids, NoticeKind::Done).await?;
    let accounts = tx.accounts(closed.iter().map(|case| case.account)).await?;
    let persons = tx
        .persons(threads.iter().map(|thread| thread.person))
        .await?;
    let mut templates = Templates::default();
    let mut drafts = Vec::new();
    for thread in &threads {
        let (Some(cases), Some(person)) = (by_thread.get(&thread.id), persons.get(&thread.person))
        else {
            continue;
        };
        let mut personal = personal(app, thread, person, labels(cases, &accounts)?, None)?;
        personal.changed_at = cases.iter().filter_map(|case| case.safe_at).max();
        let locale = app
            .letters
            .messages
            .locale(person.language.as_deref())
            .to_owned();
        let due_at = app.calendar_in(Some(&thread.zone)).next_sendable(now);
        let seq = said.get(&thread.id).copied().unwrap_or(0) + 1;
        for (channel, to) in [
            ("mail", &person.address),
            ("mail.2", &person.second_address),
        ] {
            let Some(to) = to else { continue };
            let say = Say {
                thread,
                kind: NoticeKind::Done,
                seq,
                channel,
                to,
                locale: &locale,
                personal: &personal,
                due_at,
                now,
            };
            match say.draft(app, tx, &mut templates).await {
                Ok((draft, _)) => drafts.push(draft),
                Err(error) if is_personal(&error) => {
                    tracing::warn!(person.id = %person.id, "thanks about these facts cannot be written: {error:#}")
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(tx.queue(&drafts).await?)
}

//! Open cases → notices → deliveries. Safe to repeat: a notice already queued is not queued again.
//!
//! First notices go only from approved campaigns whose recipients and texts still are what was approved. Every letter of
//! a campaign is written once before the first is queued, so a text that fails stops it before anyone is told. And they go
//! only once the campaign's announcement has been out for long enough (rule 3.7).

mod another_way;
mod chase;
mod escalate;
mod follow;
mod say;
mod thank;
mod told;

use anyhow::Context;
use rayon::prelude::*;
use serde::Serialize;

use super::campaign::About;
use super::plan::{first_at, labels};
use crate::app::App;
use crate::domain::campaign::{CampaignState, Cleared, ContentHash, NotCleared};
use crate::domain::case::CaseState;
use crate::domain::escalation;
use crate::domain::finding::Category;
use crate::domain::ladder::{Ladder, Rung, Timetable};
use crate::domain::policy::WhyNot;
use crate::domain::{CampaignId, CaseId, Destination, Moment};
use crate::messages::Personal;
use crate::store::{
    Campaign, CaseRow, PersonFacts, StoreError, TaskKind, Thread, ThreadQueued, ThreadState, Tx,
};

use another_way::another_way;
use chase::chase;
use escalate::escalate;
use follow::follow;
use say::{Drafted, Drafts, Say, Templates, is_personal, personal};
pub(super) use thank::thank;

const BATCH: i64 = 500;

/// What was queued.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Queued {
    /// First notices.
    pub notices: u64,
    /// Reminders.
    pub reminders: u64,
    /// Letters to managers.
    pub managers: u64,
    /// First notices that follow by another way, because the last one failed.
    pub another_way: u64,
    /// Work opened for human beings.
    pub tasks: u64,
    /// Campaigns whose first notices wait for their announcement.
    pub waiting: Vec<Waiting>,
    /// Campaigns that say nothing, because what was approved is not what is there now.
    pub void: Vec<String>,
}

/// A campaign whose first notices wait for its announcement.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Waiting {
    /// Its number.
    pub campaign: CampaignId,
    /// Its published reference.
    pub reference: String,
    /// For what.
    pub why: NotCleared,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (reference, id) = (&self.reference, self.campaign);
        write!(
            f,
            "campaign {reference} waits for its announcement: {}",
            self.why
        )?;
        match self.why {
            NotCleared::NotAnnounced(_) => write!(
                f,
                "; `bell campaign announcement {id}` prints it, then `bell campaign announced {id} --where …`"
            ),
            NotCleared::TooFresh(_) => Ok(()),
        }
    }
}

impl std::fmt::Display for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} first notices and {} reminders queued, {} tasks opened",
            self.notices, self.reminders, self.tasks
        )?;
        if self.another_way > 0 {
            write!(f, ", {} notices follow by another way", self.another_way)?;
        }
        if self.managers > 0 {
            write!(f, ", {} letters to managers queued", self.managers)?;
        }
        for waiting in &self.waiting {
            write!(f, "\n{waiting}")?;
        }
        for campaign in &self.void {
            write!(
                f,
                "\ncampaign {campaign} is void: recipients or texts have changed since its approval; draft it again"
            )?;
        }
        Ok(())
    }
}

/// Queues what is due: the first notices of approved campaigns, then reminders and other rungs; and sees to it that nobody
/// waits for a letter that no relay takes. A campaign that cannot be
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
    another_way(app, &mut queued).await?;
    follow(app, &mut queued).await?;
    escalate(app, &mut queued).await?;
    chase(app, &mut queued).await?;
    told::told(app, &mut queued).await?;
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
    if !rehearse(app, campaign).await? && !started {
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
    let cleared = match cleared(app, campaign, now).await? {
        Ok(cleared) => cleared,
        Err(why) => {
            queued.waiting.push(Waiting {
                campaign: campaign.id,
                reference: campaign.reference.clone(),
                why,
            });
            return Ok(());
        }
    };
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
        queue_first(app, &mut tx, cleared, &threads, now, queued).await?;
        tx.commit().await?;
    }
}

/// Whether the campaign's announcement has been out for long enough, or an operator answers for going without.
async fn cleared(
    app: &App,
    campaign: &Campaign,
    now: Moment,
) -> anyhow::Result<Result<Cleared, NotCleared>> {
    let announced = app.store.read().await?.announced(campaign.id).await?;
    let rule = &app.config.campaign;
    Ok(Cleared::new(
        campaign.id,
        &announced,
        &rule.announce_where,
        rule.announce_lead,
        now,
    ))
}

/// Writes every letter that is about to be queued, and keeps none: a text that fails is found before anyone is told. Says
/// whether what was approved is what is there now.
async fn rehearse(app: &App, campaign: &Campaign) -> anyhow::Result<bool> {
    let now = app.clock.now();
    let mut tx = app.store.read().await?;
    let mut content = ContentHash::default();
    let mut after = 0;
    loop {
        let threads = tx.all_threads(campaign.id, after, BATCH).await?;
        let Some(last) = threads.last() else {
            return Ok(content.finish() == campaign.content_hash);
        };
        after = last.id;
        let about = About::load(&mut tx, &threads).await?;
        let hashes: Vec<anyhow::Result<String>> = threads
            .par_iter()
            .map(|thread| {
                if thread.state == ThreadState::Waiting {
                    rehearse_one(app, &about, thread, now)?;
                }
                about.content(app, thread)
            })
            .collect();
        for (thread, hash) in threads.iter().zip(hashes) {
            content.add(&thread.reference, &hash?);
        }
    }
}

fn rehearse_one(app: &App, about: &About, thread: &Thread, now: Moment) -> anyhow::Result<()> {
    let Some(first) = First::of(app, about, thread, now)? else {
        return Ok(());
    };
    match first.say(thread, now).rehearse(app) {
        Err(error) if !is_personal(&error) => Err(error.context(format!(
            "the letter {} cannot be written; nobody was told",
            thread.kind
        ))),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A thread's first notice, decided.
struct First<'a> {
    person: &'a PersonFacts,
    to: Destination,
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
        let (Some(person), Some(to)) = (
            about.persons.get(&thread.person),
            about.destination(app, thread),
        ) else {
            return Ok(None);
        };
        if open.is_empty() || about.is_gone(thread) {
            return Ok(None);
        }
        let calendar = app.calendar_in(Some(&thread.zone));
        // If all that it is about is exempt, it waits until the first exemption ends.
        let rests_until = open
            .iter()
            .map(|case| case.rests_until().filter(|until| *until > now))
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

    /// Of whom others are to be told as soon as the people themselves have been: managers of those who cannot sign in, and
    /// those who read somebody's mailbox for them. Nobody reads that an account is compromised but its holder.
    fn at_once(&self, cases: &[CaseRow]) -> Vec<(CaseId, escalation::About)> {
        let open = cases
            .iter()
            .filter(|case| !matches!(case.state, CaseState::Closed { .. }));
        if self.person.is_read_by_others && self.personal.category != Category::Compromised {
            return open
                .map(|case| (case.id, escalation::About::Delegate))
                .collect();
        }
        let is_now = self
            .timetable
            .at(Rung::Manager)
            .is_some_and(|at| at <= self.at);
        open.filter(|_| is_now)
            .map(|case| (case.id, escalation::About::of(case.claim.category)))
            .collect()
    }

    /// The notice, to be written.
    fn say<'b>(&'b self, thread: &'b Thread, now: Moment) -> Say<'b> {
        Say {
            thread,
            kind: thread.kind,
            seq: 1,
            to: &self.to,
            locale: &self.locale,
            personal: &self.personal,
            due_at: self.at,
            now,
        }
    }
}

/// Queues first notices of a campaign that is cleared.
async fn queue_first(
    app: &App,
    tx: &mut Tx,
    cleared: Cleared,
    threads: &[Thread],
    now: Moment,
    queued: &mut Queued,
) -> anyhow::Result<()> {
    let about = About::load(tx, threads).await?;
    let mut templates = Templates::default();
    let firsts: Vec<anyhow::Result<Option<First<'_>>>> = threads
        .par_iter()
        .map(|thread| First::of(app, &about, thread, now))
        .collect();
    let mut drafts = Drafts::default();
    let (mut started, mut over, mut gone, mut tasks) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut managers = Vec::new();
    let mut decided = Vec::with_capacity(threads.len());
    for (thread, first) in threads.iter().zip(firsts) {
        let Some(first) = first? else {
            gone.push(thread.id);
            continue;
        };
        let kept = first.say(thread, now).keep(app, tx, &mut templates).await?;
        decided.push((thread, first, kept));
    }
    let written: Vec<anyhow::Result<Drafted>> = decided
        .par_iter()
        .map(|(thread, first, kept)| first.say(thread, now).write(app, kept))
        .collect();
    for ((thread, first, _), written) in decided.iter().zip(written) {
        match written.map(|drafted| drafts.add(thread, drafted)) {
            Ok(message_ids) => {
                managers.extend(first.at_once(about.of(thread)));
                started.push(ThreadQueued {
                    id: thread.id,
                    first_at: first.at.micros(),
                    deadline_at: first.timetable.deadline.micros(),
                    next_at: first.timetable.next(now, &[]).map(|(_, at)| at.micros()),
                    timetable: serde_json::to_string(&first.timetable)?,
                    message_ids,
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
    queued.notices += drafts.queue(tx, now).await?;
    tx.start_threads(cleared, &started, now).await?;
    queued.tasks += tx.open_tasks(&tasks, now).await?;
    tx.ask_managers(&managers, now).await?;
    over.extend(&gone);
    tx.close_threads(&over, now).await?;
    // Whoever cannot be written to any more is not forgotten: the next plan makes it somebody's work.
    tx.free_cases(&gone, now).await?;
    Ok(())
}

//! The rungs after the first notice: reminders, managers, hand-overs, work that is overdue.

use std::collections::HashMap;

use anyhow::Context;

use super::say::{Drafts, Say, Templates, is_personal, personal};
use super::{BATCH, Queued};
use crate::app::App;
use crate::domain::case::CaseState;
use crate::domain::escalation;
use crate::domain::finding::Category;
use crate::domain::ladder::{Rung, Timetable};
use crate::domain::notice::NoticeKind;
use crate::domain::rate::release;
use crate::domain::{CaseId, Moment, Way};
use crate::steps::campaign::About;
use crate::steps::plan::labels;
use crate::store::{CaseRow, Following, TaskKind, Thread, Tx};

/// Climbs the rungs that are due: reminders, hand-overs, overdue work.
pub(super) async fn follow(app: &App, queued: &mut Queued) -> anyhow::Result<()> {
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
        queued.reminders += following.drafts.queue(&mut tx, now).await?;
        let due = tx.note_hand_overs_due(&following.handed_over, now).await?;
        following.tasks.extend(
            due.iter()
                .map(|case| (*case, TaskKind::HandOver, "deadline_passed", None)),
        );
        queued.tasks += tx.open_tasks(&following.tasks, now).await?;
        tx.follow_threads(&following.threads).await?;
        tx.ask_managers(&following.managers, now).await?;
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
    drafts: Drafts,
    tasks: Vec<(CaseId, TaskKind, &'static str, Option<Moment>)>,
    threads: Vec<Following>,
    /// Those whose last rung it is; some may have been handed over before, while others of their thread rested.
    handed_over: Vec<CaseId>,
    managers: Vec<(CaseId, escalation::About)>,
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
    let (rest, open): (Vec<&CaseRow>, Vec<&CaseRow>) = about
        .of(thread)
        .iter()
        .filter(|case| !matches!(case.state, CaseState::Closed { .. }))
        .partition(|case| case.rests_until().is_some_and(|until| until > now));
    let back_at = rest.iter().filter_map(|case| case.rests_until()).min();
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
                if let Some(ids) = remind(
                    app,
                    tx,
                    thread,
                    about,
                    &open,
                    kind,
                    rung,
                    &timetable,
                    most_done,
                    templates,
                    &mut following.drafts,
                    now,
                )
                .await?
                {
                    message_ids = ids;
                }
            }
            Some(_) => {}
            None => following.work(rung, thread.category, &open),
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
    // Letters that fall into a rest never go. The last rung waits for those who rest: they are handed over when they come
    // back.
    if back_at.is_some() {
        climbed.retain(|rung| *rung != Rung::HandOver);
    }
    let next_at = timetable.next(now, &climbed).map(|(_, at)| at);
    following.threads.push(Following {
        id: thread.id,
        next_at: next_at.into_iter().chain(back_at).min().map(Moment::micros),
        climbed: serde_json::to_string(&climbed)?,
        message_ids,
    });
    Ok(())
}

impl Climbed {
    fn work(&mut self, rung: Rung, category: Category, open: &[&CaseRow]) {
        match rung {
            Rung::HandOver => {
                self.handed_over.extend(open.iter().map(|case| case.id));
            }
            Rung::Task | Rung::Overdue1 | Rung::Overdue2 => {
                let silent = open
                    .iter()
                    .filter(|case| matches!(case.state, CaseState::Open));
                self.tasks
                    .extend(silent.map(|case| (case.id, TaskKind::Reach, "not_spoken_to", None)));
            }
            // Whether they are told is decided when the letter is written, and again when it goes.
            Rung::Manager => self.managers.extend(
                open.iter()
                    .map(|case| (case.id, escalation::About::of(category))),
            ),
            Rung::Reminder1 | Rung::Reminder2 | Rung::ReminderFinal => {}
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
    drafts: &mut Drafts,
    now: Moment,
) -> anyhow::Result<Option<String>> {
    let (Some(person), Some(to), Some((n, total))) = (
        about.persons.get(&thread.person),
        about.reminded_at(app, thread),
        timetable.reminder_number(rung),
    ) else {
        return Ok(None);
    };
    // The internal post carries first notices only.
    if thread.category == Category::Compromised || to.way() == Way::Letter {
        return Ok(None);
    }
    let calendar = app.calendar_in(Some(&thread.zone));
    let due_at = release(kind, thread.category, &calendar, now).at(now);
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
        to: &to,
        locale: &locale,
        personal: &personal,
        due_at,
        now,
    };
    match say.draft(app, tx, templates, drafts).await {
        Ok(message_ids) => Ok(Some(message_ids)),
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

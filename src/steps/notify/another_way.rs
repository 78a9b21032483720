//! Another way: whom one way did not reach is told by the next, by itself; whom none reaches is a human being's work.

use super::say::{Drafts, Say, Templates, is_personal, personal};
use super::{BATCH, Queued};
use crate::app::App;
use crate::domain::case::CaseState;
use crate::domain::finding::Category;
use crate::domain::policy::WhyNot;
use crate::domain::{CaseId, Destination, Moment, Way};
use crate::steps::campaign::About;
use crate::steps::plan::{first_at, labels};
use crate::store::{CaseRow, TaskKind, Thread, Tx};

/// Why somebody is to be reached by a human being after an operator has left a way out.
const LEFT_OUT: &str = "left_out";

/// Queues the next way's first notice of every thread whose last one ended in vain. The conversation, its deadline and its
/// reminders stay what they are.
pub(super) async fn another_way(app: &App, queued: &mut Queued) -> anyhow::Result<()> {
    let now = app.clock.now();
    drop_left_out(app, now).await?;
    let mut after = 0;
    loop {
        let (wanted, last) = look(app, after, now).await?;
        let Some(last) = last else { return Ok(()) };
        after = last;
        if wanted.is_empty() {
            continue;
        }
        let mut tx = app.store.begin().await?;
        let threads = tx.threads_by_id(&wanted).await?;
        let about = About::load(&mut tx, &threads).await?;
        let mut next = Next::default();
        for thread in &threads {
            next.add(app, &mut tx, &about, thread, now).await?;
        }
        queued.another_way += next.drafts.queue(&mut tx, now).await?;
        tx.take_another_way(&next.taken, now).await?;
        tx.keep_message_ids(&next.threads).await?;
        queued.tasks += tx.open_tasks(&next.tasks, now).await?;
        tx.commit().await?;
    }
}

/// What still waits by a way that its campaign goes without leaves the queue. A look comes first: most campaigns go by all.
async fn drop_left_out(app: &App, now: Moment) -> anyhow::Result<()> {
    if app.store.read().await?.ways_left_out().await?.is_empty() {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.drop_left_out(now).await?;
    tx.commit().await?;
    Ok(())
}

/// The threads of the next batch for which there is something to do, and the last that was looked at.
async fn look(app: &App, after: i64, now: Moment) -> anyhow::Result<(Vec<i64>, Option<i64>)> {
    let mut tx = app.store.read().await?;
    let threads = tx.threads_in_vain(after, BATCH).await?;
    let about = About::load(&mut tx, &threads).await?;
    let wanted = threads
        .iter()
        .filter(|thread| match step(app, &about, thread, now) {
            Step::Queue(_) => true,
            // Whoever has been asked to reach them already need not be asked again.
            Step::Work(_) => untold(&about, thread).any(|case| case.not_reached.is_none()),
            Step::Nothing => false,
        })
        .map(|thread| thread.id)
        .collect();
    Ok((wanted, threads.last().map(|thread| thread.id)))
}

/// What is to be done about a thread.
enum Step {
    Queue(Destination),
    Work(&'static str),
    Nothing,
}

fn step(app: &App, about: &About, thread: &Thread, now: Moment) -> Step {
    if !about.is_in_vain(thread) || about.is_gone(thread) {
        return Step::Nothing;
    }
    // A notice that asks for something by a day that is over helps nobody.
    let is_late = thread.category != Category::Compromised
        && thread
            .deadline_at
            .is_some_and(|deadline| deadline <= due_at(app, thread, now));
    match about.destination(app, thread).filter(|_| !is_late) {
        Some(to) => Step::Queue(to),
        None if about.is_left_out(thread) => Step::Work(LEFT_OUT),
        None => Step::Work("undeliverable"),
    }
}

fn due_at(app: &App, thread: &Thread, now: Moment) -> Moment {
    first_at(thread.category, &app.calendar_in(Some(&thread.zone)), now)
}

/// The cases of a thread that nobody was told about.
fn untold<'a>(about: &'a About, thread: &Thread) -> impl Iterator<Item = &'a CaseRow> {
    about
        .of(thread)
        .iter()
        .filter(|case| matches!(case.state, CaseState::Open))
}

/// What a batch leads to.
#[derive(Default)]
struct Next {
    templates: Templates,
    drafts: Drafts,
    taken: Vec<(CaseId, Way)>,
    threads: Vec<(i64, String)>,
    tasks: Vec<(CaseId, TaskKind, &'static str, Option<Moment>)>,
}

impl Next {
    async fn add(
        &mut self,
        app: &App,
        tx: &mut Tx,
        about: &About,
        thread: &Thread,
        now: Moment,
    ) -> anyhow::Result<()> {
        let to = match step(app, about, thread, now) {
            Step::Queue(to) => to,
            Step::Work(why) => {
                self.work(about, thread, why);
                return Ok(());
            }
            Step::Nothing => return Ok(()),
        };
        let (Some(person), open) = (
            about.persons.get(&thread.person),
            untold(about, thread).collect::<Vec<_>>(),
        ) else {
            return Ok(());
        };
        let personal = personal(
            app,
            thread,
            person,
            labels(&open, &about.accounts)?,
            thread.deadline_at,
        )?;
        let locale = app
            .letters
            .messages
            .locale(person.language.as_deref())
            .to_owned();
        let say = Say {
            thread,
            kind: thread.kind,
            seq: 1,
            to: &to,
            locale: &locale,
            personal: &personal,
            due_at: due_at(app, thread, now),
            now,
        };
        match say
            .draft(app, tx, &mut self.templates, &mut self.drafts)
            .await
        {
            Ok(message_ids) => {
                self.taken
                    .extend(open.iter().map(|case| (case.id, to.way())));
                self.threads.push((thread.id, message_ids));
            }
            Err(error) if is_personal(&error) => {
                tracing::warn!(person.id = %person.id, "a notice by {} about these facts cannot be written: {error:#}", to.way());
                self.work(about, thread, WhyNot::Unwritable.word());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn work(&mut self, about: &About, thread: &Thread, why: &'static str) {
        self.tasks
            .extend(untold(about, thread).map(|case| (case.id, TaskKind::Reach, why, None)));
    }
}

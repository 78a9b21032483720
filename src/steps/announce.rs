//! Figures → an incident's messages on every channel of those who read of it: one status post, edited in place when the figures
//! move, and a timeline below it. Counts only.
//!
//! `content` is what is said, `say` how one message gets there once.

mod content;
mod say;

use anyhow::Context;
use serde::Serialize;

pub(super) use self::content::Content;
use self::content::{Facts, Status};
pub(super) use self::say::{Round, Spoken};
use crate::app::{App, Place};
use crate::channels::MessageId;
use crate::domain::Moment;
use crate::domain::incident::IncidentState;
use crate::domain::post::{PostState, What};
use crate::domain::timeline::{Line, lines};
use crate::store::{Incident, Post};

/// What was said.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Announced {
    /// New posts.
    pub posted: u64,
    /// Posts that were brought up to date.
    pub edited: u64,
    /// Posts that say what is true already.
    pub unchanged: u64,
    /// Lines that were added to timelines.
    pub lines: u64,
    /// Posts that wait: what the channel said.
    pub waiting: Vec<String>,
}

impl std::fmt::Display for Announced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} posted, {} edited, {} unchanged",
            self.posted, self.edited, self.unchanged
        )?;
        match self.lines {
            0 => {}
            1 => f.write_str(", 1 line added to the timeline")?,
            many => write!(f, ", {many} lines added to the timeline")?,
        }
        for waiting in &self.waiting {
            write!(f, "\nwaiting: {waiting}")?;
        }
        Ok(())
    }
}

/// Brings everything that is said of any incident up to date, on every channel. Without a channel there is nothing to do.
pub async fn announce(app: &App) -> anyhow::Result<Announced> {
    let mut announced = Announced::default();
    if app.places.is_empty() {
        return Ok(announced);
    }
    if let Some(why) = app.mute().await? {
        announced.waiting.push(why);
        return Ok(announced);
    }
    let facts = content::facts(app).await?;
    for place in &app.places {
        let mut round = Round::begin(app, place, &mut announced).await?;
        // In the order in which they happened: that is how readers find them.
        for incident in facts.incidents.iter().rev() {
            one(app, &facts, &mut round, incident, &mut announced)
                .await
                .with_context(|| format!("what {} says of {}", place.name, incident.reference))?;
        }
        round.end(app).await?;
    }
    app.mute().await?;
    Ok(announced)
}

async fn one(
    app: &App,
    facts: &Facts,
    round: &mut Round<'_>,
    incident: &Incident,
    announced: &mut Announced,
) -> anyhow::Result<()> {
    // Counts and states are approved by nobody, so only those get them of whom the config says so.
    if !round.place.has_status || round.rests() {
        return Ok(());
    }
    let before = {
        let mut tx = app.store.read().await?;
        tx.post(incident.id, &round.place.name, What::Status)
            .await?
    };
    if is_over(incident, before.as_ref()) {
        announced.unchanged += 1;
        // Some were over before there were timelines.
        if before.is_none_or(|post| post.thread_id.is_none()) {
            return Ok(());
        }
    } else {
        let status = content::status(app, facts, incident)?;
        let said = status_post(round.place, incident, facts, &status, before.as_ref());
        match round.say(app, incident, &said, None, announced).await? {
            Spoken::New => announced.posted += 1,
            Spoken::Changed => announced.edited += 1,
            Spoken::AsBefore => announced.unchanged += 1,
            Spoken::Not => {}
        }
    }
    // Where there are no threads, the messages that follow one another are the timeline.
    match round.place.channel.can().thread {
        true => timeline(app, round, incident, announced).await,
        false => Ok(()),
    }
}

/// A resolved incident keeps its last word.
fn is_over(incident: &Incident, before: Option<&Post>) -> bool {
    incident.state == IncidentState::Resolved
        && before.is_some_and(|post| {
            post.state == PostState::Posted
                && post.said_at.is_some_and(|at| at >= incident.changed_at)
        })
}

fn status_post(
    place: &Place,
    incident: &Incident,
    facts: &Facts,
    status: &Status,
    before: Option<&Post>,
) -> Content {
    let edits = place.channel.can().edit;
    let version = before.map_or(1, |post| post.version + 1);
    let follows = before.and_then(|post| post.said_at).filter(|_| !edits);
    Content {
        what: What::Status,
        // Where nothing can be changed, each change is a message of its own, and figures alone are no news.
        fingerprint: match edits {
            true => status.fingerprint(),
            false => status.news(),
        },
        post: status.post(incident, version, follows),
        course: facts.course(incident),
    }
}

/// The lines that are not there yet, oldest first, below the status post.
async fn timeline(
    app: &App,
    round: &mut Round<'_>,
    incident: &Incident,
    announced: &mut Announced,
) -> anyhow::Result<()> {
    let (told, said) = {
        let mut tx = app.store.read().await?;
        let told = tx.incident_timeline(incident.id).await?;
        let said = tx.incident_posts(incident.id, &round.place.name).await?;
        (told, said)
    };
    let is_said = |what: What| {
        said.iter()
            .any(|post| post.what == what && post.state == PostState::Posted)
    };
    let new: Vec<Line> = lines(&told)
        .into_iter()
        .filter(|line| !is_said(line.what))
        .collect();
    // First the post, then what stands below it.
    let status = said.iter().find(|post| post.what == What::Status);
    let Some((status, root)) = status.and_then(|post| Some((post, post.external_id.clone()?)))
    else {
        return Ok(());
    };
    if new.is_empty() {
        return Ok(());
    }
    let Some(thread) = thread(app, round, incident, status, root, announced).await? else {
        return Ok(());
    };
    for line in new {
        let said = content::line(app, incident, &line);
        let spoken = round
            .say(app, incident, &said, Some(&thread), announced)
            .await?;
        match spoken {
            Spoken::New | Spoken::Changed => announced.lines += 1,
            Spoken::AsBefore => {}
            // Later lines do not overtake this one.
            Spoken::Not => break,
        }
    }
    if round.lost_thread() {
        let mut tx = app.store.begin().await?;
        tx.thread_post(status.id, None).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The thread below the status post, opened if there is none. None: not now.
async fn thread(
    app: &App,
    round: &mut Round<'_>,
    incident: &Incident,
    status: &Post,
    root: String,
    announced: &mut Announced,
) -> anyhow::Result<Option<MessageId>> {
    if let Some(thread) = &status.thread_id {
        return Ok(Some(MessageId(thread.clone())));
    }
    if round.rests() {
        return Ok(None);
    }
    let name = format!("{}: what happened when", incident.reference);
    match round.place.channel.thread(&MessageId(root), &name).await {
        Ok(thread) => {
            let mut tx = app.store.begin().await?;
            tx.thread_post(status.id, Some(&thread.0)).await?;
            tx.commit().await?;
            Ok(Some(thread))
        }
        Err(miss) => {
            // To open it twice opens it once, so there is no doubt about it.
            announced.waiting.push(format!(
                "{}: its timeline waits: {miss}",
                incident.reference
            ));
            round.missed(&miss);
            Ok(None)
        }
    }
}

/// In the site's zone.
fn in_full(app: &App, moment: Moment) -> String {
    let zone = app.calendar.zone();
    format!(
        "{} ({})",
        moment.utc().with_timezone(&zone).format("%-d %B %Y, %H:%M"),
        zone.name()
    )
}

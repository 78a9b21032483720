//! Statements: drafted, approved by a second person, published, put right. Every act is an operator's, checked here, and in
//! the ledger, also when it is refused.

use serde::Serialize;

mod about;
mod release;

use super::roles::{Act, Declined, declined, may};
use super::wording::{self, Facts};
use super::{guard, nudges, partner};
use crate::app::App;
use crate::domain::audience::{Audience, may_say};
use crate::domain::fill::{gaps, tidy};
use crate::domain::guard::Finding;
use crate::domain::questions::{Question, unanswered};
use crate::domain::statement::{self, StatementEvent, StatementKind, Wording};
use crate::domain::{IncidentId, StatementId};
use crate::store::{
    Approval, Entry, Statement, StatementDraft, StatementPost, StatementVersion, Tx,
};

pub(in crate::desk) use about::draft_about;
pub use about::{correct, withdraw};
pub(in crate::desk) use release::put_out;
pub use release::{cancel, override_guard, publish, schedule};

/// A statement that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewDraft<'a> {
    /// What it is about.
    pub incident: IncidentId,
    /// Who reads it.
    pub audience: Audience,
    /// Where it goes, by the names of the config; wherever its audience reads if empty.
    pub channels: &'a [String],
    /// The text, with variables such as `{{ compromised }}`; or that of a template.
    pub text: Body<'a>,
}

/// Where a draft's text comes from.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Typed.
    Text(&'a str),
    /// A template by its name, and values for its gaps. A gap without one stays as `[gap]`, and has to be filled before
    /// anybody can approve it.
    Template(&'a str, &'a [(String, String)]),
}

/// What an edit changes; what is none stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edit<'a> {
    /// The whole new text.
    pub text: Option<&'a str>,
    /// Who reads it.
    pub audience: Option<Audience>,
    /// Where it goes.
    pub channels: Option<&'a [String]>,
}

/// A statement as its readers see it, and what stands in its way.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The statement itself.
    pub statement: Statement,
    /// Text, figures with their sources, audience, channels; frozen once it is approved.
    pub wording: Wording,
    /// What an approval of it is bound to; hand it to [`approve`].
    pub hash: String,
    /// What the disclosure guard finds. Says where, never what.
    pub findings: Vec<Finding>,
    /// Which of the five questions it does not answer.
    pub unanswered: Vec<Question>,
    /// Gaps of a template that nobody has filled.
    pub gaps: Vec<String>,
    /// Partners that it names in words that they have not agreed to.
    pub uncleared: Vec<String>,
    /// Channels that would not show it whole.
    pub too_long_for: Vec<String>,
    /// Where it is posted, once it is out.
    pub posts: Vec<StatementPost>,
    /// What stands above its posts, if a later one put it right or took it back.
    pub mark: Option<String>,
}

/// A statement's whole story.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// As it is now.
    pub statement: Statement,
    /// Its texts, oldest first.
    pub versions: Vec<StatementVersion>,
    /// What the ledger says of it, oldest first.
    pub entries: Vec<Entry>,
}

/// What the ledger calls a statement.
pub(super) fn thing(id: StatementId) -> String {
    format!("statement:{id}")
}

/// The statement, or a no that says which there is not.
async fn find(app: &App, id: StatementId) -> anyhow::Result<Statement> {
    let mut tx = app.store.read().await?;
    load(&mut tx, id).await
}

async fn load(tx: &mut Tx, id: StatementId) -> anyhow::Result<Statement> {
    tx.statement(id).await?.ok_or_else(|| {
        Declined(format!(
            "there is no statement {id}; bell statement list shows them"
        ))
        .into()
    })
}

/// A statement that `by` is about to do something with, if its life and their role allow it.
async fn begin(
    app: &App,
    id: StatementId,
    act: Act,
    event: StatementEvent,
    by: &str,
) -> anyhow::Result<Statement> {
    may(app, act, Some(&thing(id)), by).await?;
    let found = find(app, id).await?;
    match found.state.after(event) {
        Ok(_) => Ok(found),
        Err(illegal) => Err(no(app, act, id, by, illegal.to_string()).await),
    }
}

async fn no(
    app: &App,
    act: Act,
    id: StatementId,
    by: &str,
    why: impl Into<String>,
) -> anyhow::Error {
    declined(app, act, Some(&thing(id)), by, why).await
}

/// Channels by their names, each once: those that are named, if `audience` reads there, or all that it reads. None: it goes
/// nowhere by itself.
fn channels(app: &App, audience: Audience, named: &[String]) -> anyhow::Result<Vec<String>> {
    let mut all = named.to_vec();
    if named.is_empty() {
        let own = app
            .places
            .iter()
            .filter(|place| place.readers == Some(audience));
        all.extend(own.map(|place| place.name.clone()));
    }
    all.sort_unstable();
    all.dedup();
    for name in &all {
        let Some(place) = app.places.iter().find(|place| place.name == *name) else {
            let known: Vec<&str> = app.places.iter().map(|place| place.name.as_str()).collect();
            let known = match known.is_empty() {
                true => "there is none; see [discord], [[chat]] and [[audience]] in the config"
                    .to_owned(),
                false => format!("there are: {}", known.join(", ")),
            };
            return Err(Declined(format!("there is no such channel; {known}")).into());
        };
        may_say(audience, &all, name, place.readers)
            .map_err(|why| Declined(format!("it cannot go to {name}: {why}")))?;
    }
    Ok(all)
}

/// A reason as the ledger keeps it: one line, 1 to 500 characters.
pub(super) fn reason(text: &str) -> Result<String, Declined> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() {
        1..=500 => Ok(line),
        _ => Err(Declined(
            "please give a reason of 1 to 500 characters".to_owned(),
        )),
    }
}

fn checked(text: &str) -> Result<String, Declined> {
    let body = tidy(text).map_err(|unfit| Declined(unfit.to_string()))?;
    wording::check_names(&body).map_err(|unfit| Declined(unfit.to_string()))?;
    Ok(body)
}

/// Writes a draft.
pub async fn draft(app: &App, new: &NewDraft<'_>, by: &str) -> anyhow::Result<Statement> {
    let about = format!("incident:{}", new.incident);
    may(app, Act::StatementDraft, Some(&about), by).await?;
    let body = match new.text {
        Body::Text(text) => checked(text)?,
        Body::Template(name, values) => {
            let template = app
                .letters
                .messages
                .statement_template(name)
                .ok_or_else(|| {
                    let names = crate::messages::STATEMENT_TEMPLATES.join(", ");
                    Declined(format!("there is no such template; there are: {names}"))
                })?;
            let filled = values
                .iter()
                .fold(template.to_owned(), |text, (gap, value)| {
                    text.replace(&format!("[{}]", gap.trim()), value.trim())
                });
            checked(&filled)?
        }
    };
    let channels = channels(app, new.audience, new.channels)?;
    let mut tx = app.store.begin().await?;
    if tx.incident(new.incident).await?.is_none() {
        return Err(Declined(format!(
            "there is no incident {}; bell incident show lists them",
            new.incident
        ))
        .into());
    }
    let draft = StatementDraft {
        incident: new.incident,
        kind: StatementKind::Statement,
        about: None,
        audience: new.audience,
        channels: &channels,
        body: &body,
    };
    let drafted = tx.draft_statement(&draft, by, app.clock.now()).await?;
    tx.commit().await?;
    Ok(drafted)
}

/// Changes a draft, or an approved one, which voids the approval and the time.
pub async fn edit(
    app: &App,
    id: StatementId,
    edit: &Edit<'_>,
    by: &str,
) -> anyhow::Result<Statement> {
    let before = begin(app, id, Act::StatementEdit, StatementEvent::Edited, by).await?;
    let body = match edit.text {
        Some(text) => checked(text)?,
        None => before.body.clone(),
    };
    let audience = edit.audience.unwrap_or(before.audience);
    let channels = match edit.channels {
        Some(named) => channels(app, audience, named)?,
        // Other readers have other channels.
        None if audience != before.audience => channels(app, audience, &[])?,
        None => before.channels.clone(),
    };
    if before.about.is_some() && (audience, &channels) != (before.audience, &before.channels) {
        let why = "a correction or withdrawal goes where the statement went that it is about";
        return Err(no(app, Act::StatementEdit, id, by, why).await);
    }
    if (&body, audience, &channels) == (&before.body, before.audience, &before.channels) {
        return Ok(before);
    }
    let mut tx = app.store.begin().await?;
    tx.edit_statement(&before, &body, audience, &channels, by, app.clock.now())
        .await?;
    let after = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(after)
}

/// Shows a statement as readers would see it.
pub async fn preview(app: &App, id: StatementId, by: &str) -> anyhow::Result<Preview> {
    may(app, Act::StatementRead, Some(&thing(id)), by).await?;
    let mut tx = app.store.read().await?;
    let statement = load(&mut tx, id).await?;
    let facts = Facts::of(&mut tx, &statement, app.clock.now()).await?;
    let posts = tx.statement_posts_of(id).await?;
    let mark = tx
        .marked(&statement)
        .await?
        .and_then(|(by, at)| statement::mark(statement.state, by, &wording::in_words(app, at)));
    drop(tx);
    let looked = look(app, statement, &facts).await?;
    Ok(Preview {
        posts,
        mark,
        ..looked
    })
}

async fn look(app: &App, statement: Statement, facts: &Facts) -> anyhow::Result<Preview> {
    let wording = match &statement.approval {
        Some(approval) => approval.wording.clone(),
        None => {
            wording::fill_in(app, &statement, facts).map_err(|unfit| Declined(unfit.to_string()))?
        }
    };
    let findings = guard::check(app, &wording.text).await?;
    let open = match statement.kind {
        StatementKind::Statement => unanswered(
            &wording.text,
            wording::promises(&statement.body),
            facts.is_over(),
        ),
        StatementKind::Correction | StatementKind::Withdrawal => Vec::new(),
    };
    let uncleared = {
        let mut tx = app.store.read().await?;
        partner::uncleared(&mut tx, statement.incident, &wording.text).await?
    };
    Ok(Preview {
        uncleared,
        too_long_for: too_long_for(app, &statement, &wording.text),
        hash: wording.hash(),
        gaps: gaps(&wording.text).into_iter().map(str::to_owned).collect(),
        unanswered: open,
        statement,
        wording,
        findings,
        posts: Vec::new(),
        mark: None,
    })
}

/// The longest mark that may ever stand above it, in characters; see [`statement::mark`].
const MARK: usize = 160;

/// The channels that would cut it off: what was approved word for word is shown word for word.
fn too_long_for(app: &App, statement: &Statement, text: &str) -> Vec<String> {
    let marked = format!("{}\n\n{text}", "x".repeat(MARK));
    app.places
        .iter()
        .filter(|place| statement.channels.contains(&place.name))
        .filter(|place| !place.channel.shows_whole(&marked))
        .map(|place| place.name.clone())
        .collect()
}

/// Approves a draft and freezes its figures. `seen` is the hash of the preview that the approver looked at, if they say.
pub async fn approve(
    app: &App,
    id: StatementId,
    seen: Option<&str>,
    by: &str,
) -> anyhow::Result<Preview> {
    let act = Act::StatementApprove;
    let before = begin(app, id, act, StatementEvent::Approved, by).await?;
    let now = app.clock.now();
    let (facts, writers) = {
        let mut tx = app.store.read().await?;
        let facts = Facts::of(&mut tx, &before, now).await?;
        (facts, writers(&mut tx, &before).await?)
    };
    let preview = look(app, before, &facts).await?;
    let state = preview.statement.state;
    if let Err(why) = statement::approve(state, &writers, by, seen, &preview.hash) {
        return Err(no(app, act, id, by, why.to_string()).await);
    }
    if let Some(why) = unfinished(&preview) {
        return Err(no(app, act, id, by, why).await);
    }
    let approval = Approval {
        by: by.to_owned(),
        at: now,
        hash: preview.hash.clone(),
        wording: preview.wording.clone(),
    };
    let mut tx = app.store.begin().await?;
    tx.approve_statement(id, preview.statement.version, &approval)
        .await?;
    let statement = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Preview {
        statement,
        ..preview
    })
}

/// Everybody who wrote a part of it.
async fn writers(tx: &mut Tx, statement: &Statement) -> anyhow::Result<Vec<String>> {
    let versions = tx.statement_versions(statement.id).await?;
    let mut all: Vec<String> = versions.into_iter().map(|version| version.by).collect();
    all.push(statement.author.clone());
    Ok(all)
}

/// Why a text is not ready to be approved.
fn unfinished(preview: &Preview) -> Option<String> {
    if !preview.gaps.is_empty() {
        return Some(format!(
            "gaps of the template are left: [{}]; fill them first",
            preview.gaps.join("], [")
        ));
    }
    if !preview.uncleared.is_empty() {
        return Some(format!(
            "{}; use the wording that they cleared, or have it cleared: bell incident partner clear",
            preview.uncleared.join("; ")
        ));
    }
    if !preview.too_long_for.is_empty() {
        return Some(format!(
            "it is too long to be shown whole on {}; shorten it, or send it elsewhere",
            preview.too_long_for.join(", ")
        ));
    }
    if preview.unanswered.is_empty() {
        return None;
    }
    let open: Vec<_> = preview
        .unanswered
        .iter()
        .map(|one| one.in_words())
        .collect();
    Some(format!(
        "a statement answers five questions, and this one leaves open: {}",
        open.join("; ")
    ))
}

/// Sends it back to its author, who is told why.
pub async fn send_back(
    app: &App,
    id: StatementId,
    why: &str,
    by: &str,
) -> anyhow::Result<Statement> {
    let before = begin(
        app,
        id,
        Act::StatementSendBack,
        StatementEvent::SentBack,
        by,
    )
    .await?;
    let why = reason(why)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.send_back_statement(&before, &why, by, now).await?;
    let key = format!("sent_back:{id}:{}", now.micros());
    let text = format!("statement {id} was sent back: {why}");
    tx.nudge(&key, &nudges::operator(&before.author), &text, now)
        .await?;
    let after = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(after)
}

/// Its versions and the ledger's entries.
pub async fn history(app: &App, id: StatementId, by: &str) -> anyhow::Result<History> {
    may(app, Act::StatementRead, Some(&thing(id)), by).await?;
    let mut tx = app.store.read().await?;
    Ok(History {
        statement: load(&mut tx, id).await?,
        versions: tx.statement_versions(id).await?,
        entries: tx.ledger_about(&[thing(id)]).await?,
    })
}

/// All of them, newest first; of one incident if it is given.
pub async fn list(
    app: &App,
    incident: Option<IncidentId>,
    by: &str,
) -> anyhow::Result<Vec<Statement>> {
    may(app, Act::StatementRead, None, by).await?;
    Ok(app.store.read().await?.statements(incident).await?)
}

/// One of them.
pub async fn show(app: &App, id: StatementId, by: &str) -> anyhow::Result<Statement> {
    may(app, Act::StatementRead, Some(&thing(id)), by).await?;
    find(app, id).await
}

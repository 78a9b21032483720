//! Published statements → posts: each once on each of its channels, and marked once a later one puts it right.

use anyhow::Context;
use serde::Serialize;

use super::announce::{Announced, Content, Round, Spoken};
use crate::app::App;
use crate::channels::StatusPost;
use crate::domain::audience::may_say;
use crate::domain::post::{PostState, What};
use crate::domain::statement::{StatementState, mark};
use crate::messages::moment_in_words;
use crate::store::{Incident, Statement, StatementPost, Tx};

/// What was posted.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Posted {
    /// New posts.
    pub posted: u64,
    /// Posts that bear their mark now.
    pub marked: u64,
    /// Posts that wait: what the channel said.
    pub waiting: Vec<String>,
}

impl std::fmt::Display for Posted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} statements posted, {} marked",
            self.posted, self.marked
        )?;
        for waiting in &self.waiting {
            write!(f, "\nwaiting: {waiting}")?;
        }
        Ok(())
    }
}

/// Posts what is out and not posted, and marks what was put right. Without a channel there is nothing to do.
pub async fn post(app: &App) -> anyhow::Result<Posted> {
    let mut posted = Posted::default();
    if !app.places.is_empty()
        && let Some(why) = app.mute().await?
    {
        posted.waiting.push(why);
        return Ok(posted);
    }
    for place in &app.places {
        let due = {
            let mut tx = app.store.read().await?;
            tx.statement_posts_due(&place.name).await?
        };
        if due.is_empty() {
            continue;
        }
        let mut announced = Announced::default();
        let mut round = Round::begin(app, place, &mut announced).await?;
        for post in due {
            one(app, &mut round, &post, &mut posted, &mut announced)
                .await
                .with_context(|| format!("the post of statement {}", post.statement))?;
        }
        posted.waiting.append(&mut announced.waiting);
        round.end(app).await?;
        app.mute().await?;
    }
    let waiting = app.store.read().await?.statement_posts_waiting().await?;
    for post in waiting {
        if app.places.iter().all(|place| place.name != post.channel) {
            posted.waiting.push(format!(
                "statement {} waits for {}, which is no channel of the config any more; name it there again, or publish a new one",
                post.statement, post.channel
            ));
        }
    }
    Ok(posted)
}

async fn one(
    app: &App,
    round: &mut Round<'_>,
    post: &StatementPost,
    posted: &mut Posted,
    announced: &mut Announced,
) -> anyhow::Result<()> {
    let place = round.place;
    let Some(due) = ({
        let mut tx = app.store.read().await?;
        due(app, &mut tx, post).await?
    }) else {
        return Ok(());
    };
    // At the approval the config may have said something else.
    let statement = &due.statement;
    let allowed = may_say(
        statement.audience,
        &statement.channels,
        &place.name,
        place.readers,
    );
    if let Err(why) = allowed {
        posted.waiting.push(format!(
            "statement {} does not go to {}: {why}",
            statement.id, place.name
        ));
        return Ok(());
    }
    // Where nothing can be changed, the later statement is the mark.
    let is_told = post.external_id.is_some() && !place.channel.can().edit;
    let spoken = match is_told {
        true => Spoken::AsBefore,
        false => {
            round
                .say(app, &due.incident, &due.content, None, announced)
                .await?
        }
    };
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let said = tx
        .post(due.incident.id, &place.name, due.content.what)
        .await?;
    let state = said.as_ref().map(|said| said.state);
    let external = said.and_then(|said| said.external_id);
    match (spoken, state) {
        (Spoken::New | Spoken::Changed | Spoken::AsBefore, _) => {
            let mark = statement.marked_by;
            tx.settle_statement_post(post, PostState::Posted, external.as_deref(), mark, now)
                .await?;
            match post.external_id.is_some() {
                true => posted.marked += 1,
                false => posted.posted += 1,
            }
        }
        // Whoever deletes a statement's post has their reasons: it is not said again.
        (Spoken::Not, Some(PostState::Gone)) => {
            let external = post.external_id.as_deref();
            tx.settle_statement_post(post, PostState::Gone, external, post.marked_by, now)
                .await?;
        }
        (Spoken::Not, _) => {}
    }
    tx.commit().await?;
    Ok(())
}

/// What is to be posted, and about what.
struct Due {
    statement: Statement,
    incident: Incident,
    content: Content,
}

/// None: it is not out.
async fn due(app: &App, tx: &mut Tx, post: &StatementPost) -> anyhow::Result<Option<Due>> {
    let Some(statement) = tx.statement(post.statement).await? else {
        return Ok(None);
    };
    let Some(approval) = statement
        .approval
        .as_ref()
        .filter(|_| statement.state.is_out())
    else {
        return Ok(None);
    };
    // What is posted is what was approved, and nothing else.
    anyhow::ensure!(
        approval.wording.hash() == approval.hash,
        "what is kept is not what was approved; it is not posted, please look into it"
    );
    let Some(incident) = tx.incident(statement.incident).await? else {
        return Ok(None);
    };
    let text = match tx.marked(&statement).await?.and_then(|(by, at)| {
        mark(
            statement.state,
            by,
            &moment_in_words(at, app.calendar.zone()),
        )
    }) {
        Some(mark) => format!("{mark}\n\n{}", approval.wording.text),
        None => approval.wording.text.clone(),
    };
    let what = What::Statement(statement.id.0);
    let content = Content {
        what,
        fingerprint: text.clone(),
        post: StatusPost {
            title: incident.title.clone(),
            state: word(statement.state).to_owned(),
            text,
            footer_reference: what.reference(&incident.reference),
            footer_note: Some(format!("{} {}", statement.kind.word(), statement.id)),
            ..StatusPost::default()
        },
        course: Vec::new(),
    };
    Ok(Some(Due {
        statement,
        incident,
        content,
    }))
}

const fn word(state: StatementState) -> &'static str {
    match state {
        StatementState::Corrected => "corrected",
        StatementState::Withdrawn => "withdrawn",
        StatementState::Draft
        | StatementState::Approved
        | StatementState::Scheduled
        | StatementState::Published
        | StatementState::Cancelled => "published",
    }
}

//! Access: staff are told that a service is cut, or back, on channels that reach them all the same. People post it; we
//! write it, and the ledger keeps where and by whom.

use std::fmt;

use serde::Serialize;

use crate::app::App;
use crate::config::Role;
use crate::domain::Moment;
use crate::domain::access::{AccessNotice, Change, Channel};
use crate::messages::{AccessFacts, AccessPost, Advice, RenderError};

/// A notice that is on record, and its words for each channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Noticed {
    /// What became of the service.
    pub change: Change,
    /// Since when, or from when on.
    pub from: Moment,
    /// By when people were promised to hear more.
    pub next_update: Option<Moment>,
    /// One for each channel.
    pub posts: Vec<AccessPost>,
    /// What is cut with the service.
    pub cut: Vec<Channel>,
    /// Why it goes on too few channels, if it does.
    pub override_reason: Option<String>,
}

/// Why an access notice is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The operator's role does not allow it.
    #[error(
        "access notices (rule 3.10) go out by an operator with the role incident_lead or security"
    )]
    Role,
    /// A promise that is broken when it is made.
    #[error("the next update is promised for a moment that has passed; say when people hear more")]
    Passed,
    /// Words that may not be printed.
    #[error(transparent)]
    Words(#[from] RenderError),
}

/// Writes a notice for each of its channels, and into the ledger. There is no way here without an [`AccessNotice`].
pub async fn publish(
    app: &App,
    notice: &AccessNotice,
    facts: &AccessFacts<'_>,
    by: &str,
) -> anyhow::Result<Noticed> {
    let now = app.clock.now();
    if !app.has_role(by, Role::IncidentLead) && !app.has_role(by, Role::Security) {
        return Err(Refused::Role.into());
    }
    let next_update = match facts.advice {
        Advice::Restricted { next_update, .. } => Some(next_update),
        Advice::Restored { .. } => None,
    };
    if next_update.is_some_and(|at| at <= now) {
        return Err(Refused::Passed.into());
    }
    let letters = &app.letters;
    let posts = letters
        .messages
        .access(notice, facts, &letters.constants)
        .map_err(Refused::Words)?;
    let noticed = Noticed {
        change: notice.change(),
        from: facts.from,
        next_update,
        posts,
        cut: notice.cut().to_vec(),
        override_reason: notice.override_reason().map(str::to_owned),
    };
    // What the operator typed about the service is not kept: it could name somebody.
    let detail = serde_json::json!({
        "channels": notice.channels(), "cut": noticed.cut, "from": noticed.from, "next_update": next_update,
        "override_reason": noticed.override_reason,
    });
    let mut tx = app.store.begin().await?;
    let act = notice.change().act();
    tx.note(now, by, act, None, Some(&detail.to_string()))
        .await?;
    tx.commit().await?;
    Ok(noticed)
}

impl fmt::Display for Noticed {
    /// Each text once, under the channels that it is for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<(&str, Vec<Channel>)> = Vec::new();
        for post in &self.posts {
            match texts.iter_mut().find(|(text, _)| *text == post.text) {
                Some((_, channels)) => channels.push(post.channel),
                None => texts.push((&post.text, vec![post.channel])),
            }
        }
        for (text, channels) in texts {
            for channel in channels {
                writeln!(f, "-- {}: {}", channel.word(), channel.in_words())?;
            }
            writeln!(f, "\n{text}\n")?;
        }
        match self.change {
            Change::Restricted => {
                f.write_str("post all of it before the service is cut, or as it is; ")?
            }
            Change::Restored => f.write_str("post all of it; ")?,
        }
        write!(
            f,
            "bell sends nothing, and the ledger has it as {}",
            self.change.act()
        )
    }
}

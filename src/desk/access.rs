//! Access: staff are told that a service is cut, or back, on channels that reach them all the same. People post it; we
//! write it, and the ledger keeps where and by whom.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use crate::app::App;
use crate::config::Role;
use crate::domain::Moment;
use crate::domain::access::{AccessNotice, Change, Channel};
use crate::messages::{AccessFacts, AccessLetter, AccessPost, Advice, RenderError};

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
    /// The file of the full letter, if one was asked for.
    pub letter: Option<PathBuf>,
}

/// The full letter to all who are concerned, as a mail system takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LetterTo<'a> {
    /// The file it is written to.
    pub file: &'a Path,
    /// Whom it affects, or whom it is for.
    pub who: &'a str,
    /// Why the service is cut.
    pub why: Option<&'a str>,
    /// What goes on inside the buildings.
    pub inside: Option<&'a str>,
    /// What the notice is found by on the intranet.
    pub campaign_ref: &'a str,
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
    /// A letter on no channel.
    #[error("a letter is mail: add mail to the channels with --where, or leave the letter out")]
    NoMail,
}

/// Writes a notice for each of its channels, and into the ledger. There is no way here without an [`AccessNotice`].
pub async fn publish(
    app: &App,
    notice: &AccessNotice,
    facts: &AccessFacts<'_>,
    letter: Option<&LetterTo<'_>>,
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
    if letter.is_some() && !notice.channels().contains(&Channel::Mail) {
        return Err(Refused::NoMail.into());
    }
    // Before the ledger has it: what cannot be written down was not said.
    if let Some(letter) = letter {
        write_letter(app, notice.change(), facts, letter, now)?;
    }
    let noticed = Noticed {
        change: notice.change(),
        from: facts.from,
        next_update,
        posts,
        cut: notice.cut().to_vec(),
        override_reason: notice.override_reason().map(str::to_owned),
        letter: letter.map(|letter| letter.file.to_owned()),
    };
    // What the operator typed about the service is not kept: it could name somebody.
    let mut detail = serde_json::json!({
        "channels": notice.channels(), "cut": noticed.cut, "from": noticed.from, "next_update": next_update,
        "override_reason": noticed.override_reason
    });
    if let (true, Some(detail)) = (letter.is_some(), detail.as_object_mut()) {
        detail.insert("letter".to_owned(), true.into());
    }
    let mut tx = app.store.begin().await?;
    let act = notice.change().act();
    tx.note(now, by, act, None, Some(&detail.to_string()))
        .await?;
    tx.commit().await?;
    Ok(noticed)
}

/// Writes the whole message into a file; the mail system adds its recipients.
fn write_letter(
    app: &App,
    change: Change,
    facts: &AccessFacts<'_>,
    letter: &LetterTo<'_>,
    now: Moment,
) -> anyhow::Result<()> {
    let letters = &app.letters;
    let words = AccessLetter {
        facts: *facts,
        who: letter.who,
        why: letter.why,
        inside: letter.inside,
        campaign_ref: letter.campaign_ref,
    };
    let rendered = letters
        .messages
        .access_letter(change, &words, &letters.constants)
        .map_err(Refused::Words)?;
    let bytes = letters.to_all_concerned(&rendered, now)?;
    std::fs::write(letter.file, bytes).with_context(|| format!("writing {}", letter.file.display()))
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
        if let Some(file) = &self.letter {
            write!(
                f,
                "the full letter for mail is in {}: have your mail system send it to all who are concerned; ",
                file.display()
            )?;
        }
        write!(
            f,
            "bell sends nothing, and the ledger has it as {}",
            self.change.act()
        )
    }
}

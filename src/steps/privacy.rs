//! What was kept for long enough → erased; somebody → a pseudonym; and everything about one person, for that person.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context;
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::seal::seal;
use crate::app::App;
use crate::domain::{Moment, PersonId};
use crate::messages::{Frozen, FrozenText, Personal};
use crate::store::{Kept, KeptMessage, Part};

/// People that are forgotten in one transaction.
const BATCH: i64 = 50;

/// Folders beside dropped files in which they are put away.
const PUT_AWAY: [&str; 2] = ["taken-in", "refused"];

/// What a purge came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Purged {
    /// Letters whose readers and contexts were erased.
    pub letters: u64,
    /// Escalations of which the manager was forgotten.
    pub escalations: u64,
    /// People who became pseudonyms.
    pub people: u64,
    /// Sentences of the record that were erased with them.
    pub sentences: u64,
    /// Audit files that were removed.
    pub files: u64,
    /// What the schedule had done, and when.
    pub runs: u64,
    /// Legal holds that somebody has to look at again.
    pub holds_to_review: u64,
}

impl Purged {
    fn is_nothing(&self) -> bool {
        self.letters + self.escalations + self.people + self.sentences + self.files + self.runs == 0
    }
}

impl std::fmt::Display for Purged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "erased: the readers of {} letters, the managers of {} escalations, who {} people were and {} sentences about them, {} audit files, {} runs of the schedule",
            self.letters, self.escalations, self.people, self.sentences, self.files, self.runs
        )?;
        match self.holds_to_review {
            0 => Ok(()),
            holds => write!(f, "; {holds} legal holds are due for review"),
        }
    }
}

/// Erases what was kept for as long as `[report.retention]` says. Safe to repeat. Figures, and the chain of seals, stay.
pub async fn purge(app: &App, by: &str) -> anyhow::Result<Purged> {
    let now = app.clock.now();
    let retention = &app.config.report.retention;
    // What is not sealed cannot be erased without a trace.
    seal(app).await?;
    let mut tx = app.store.begin().await?;
    let letters = tx
        .purge_letters(now.minus(retention.delivery_detail), false, now)
        .await?;
    let to_managers = tx
        .purge_letters(now.minus(retention.escalation_detail), true, now)
        .await?;
    let escalations = tx
        .purge_escalations(now.minus(retention.escalation_detail))
        .await?;
    let runs = tx.purge_runs(now.minus(retention.runs)).await?;
    let holds_to_review = tx.data_holds_to_review(now).await?;
    tx.commit().await?;
    let mut purged = Purged {
        letters: letters + to_managers,
        escalations,
        files: files(app, now)?,
        runs,
        holds_to_review,
        ..Purged::default()
    };
    forget(app, now, &mut purged).await?;
    if !purged.is_nothing() {
        let mut tx = app.store.begin().await?;
        let detail = serde_json::to_string(&purged)?;
        tx.note(now, by, "privacy.purged", None, Some(&detail))
            .await?;
        tx.commit().await?;
    }
    Ok(purged)
}

/// People whose cases were closed long ago.
async fn forget(app: &App, now: Moment, purged: &mut Purged) -> anyhow::Result<()> {
    let before = now.minus(app.config.report.retention.person_link);
    let mut after = PersonId(0);
    loop {
        let mut tx = app.store.begin().await?;
        let people = tx.people_to_forget(after, before, BATCH).await?;
        let Some(last) = people.last() else {
            return Ok(());
        };
        after = *last;
        for person in &people {
            if tx.kept(*person).await?.is_none() {
                purged.sentences += tx.forget_person(*person, draw, now).await?;
                purged.people += 1;
            }
        }
        tx.commit().await?;
    }
}

fn draw() -> String {
    HEXLOWER.encode(&rand::random::<[u8; 16]>())
}

/// Audit files that were put away, and lay there for long enough.
fn files(app: &App, now: Moment) -> anyhow::Result<u64> {
    let before = now.minus(app.config.report.retention.audit_files);
    let mut removed = 0;
    for source in &app.config.sources {
        let folder = source
            .folder
            .clone()
            .unwrap_or_else(|| app.config.schedule.drop_folder.join(&source.name));
        for name in PUT_AWAY {
            removed += old_files(&folder.join(name), before)?;
        }
    }
    Ok(removed)
}

fn old_files(folder: &Path, before: Moment) -> anyhow::Result<u64> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let about = entry.metadata()?;
        // Moving it here changed it: its own time may be older than its import.
        let put_away = Moment::from_micros(about.ctime().saturating_mul(1_000_000));
        if about.is_file() && put_away <= before {
            std::fs::remove_file(entry.path())
                .with_context(|| format!("removing {}", entry.path().display()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// How far an erasure is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Erased {
    /// It waits for another operator.
    Asked,
    /// It is done; so many sentences of the record went with it.
    Done(u64),
}

/// An erasure that cannot be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotErased {
    /// The second operator is the first.
    #[error(
        "you have asked for this yourself: another operator has to say the same command, after a look at who it is"
    )]
    SamePerson,
    /// There is nobody.
    #[error("there is nobody of that number, or they are a pseudonym already")]
    Nobody,
    /// They still have something to do.
    #[error(
        "a case of theirs is open: it has to be closed first, by evidence or `bell case withdraw`"
    )]
    OpenCase,
    /// A letter is on its way.
    #[error("a letter to them is under way: wait until it has arrived, or stop its campaign")]
    UnderWay,
    /// Somebody has to keep it.
    #[error(
        "a legal hold keeps what is known of them: `bell people hold --end` says when it is over"
    )]
    LegalHold,
}

/// Asks that somebody be erased; said by a second operator, it is done. Figures stay, names do not come back.
pub async fn erase(app: &App, person: PersonId, reason: &str, by: &str) -> anyhow::Result<Erased> {
    let now = app.clock.now();
    seal(app).await?;
    let mut tx = app.store.begin().await?;
    if let Some(kept) = tx.kept(person).await? {
        return Err(match kept {
            Kept::OpenCase => NotErased::OpenCase,
            Kept::UnderWay => NotErased::UnderWay,
            Kept::LegalHold => NotErased::LegalHold,
            Kept::Nobody => NotErased::Nobody,
        }
        .into());
    }
    let fold = crate::domain::address::fold;
    let erased = match tx.erasure_request(person).await? {
        None => {
            tx.ask_erasure(person, reason, by, now).await?;
            Erased::Asked
        }
        Some(asked) if fold(&asked.asked_by) == fold(by) => {
            return Err(NotErased::SamePerson.into());
        }
        Some(asked) => {
            let sentences = tx.forget_person(person, draw, now).await?;
            tx.end_erasure(asked.id, person, by, now).await?;
            Erased::Done(sentences)
        }
    };
    tx.commit().await?;
    Ok(erased)
}

/// Everything that is kept about one person, for that person. Who asked for it goes into the ledger.
pub async fn export(app: &App, person: PersonId, by: &str) -> anyhow::Result<Value> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let thing = format!("person:{person}");
    tx.note(now, by, "person.exported", Some(&thing), None)
        .await?;
    tx.commit().await?;
    let (parts, messages) = {
        let mut tx = app.store.read().await?;
        (tx.all_about(person).await?, tx.messages_to(person).await?)
    };
    let mut all = Map::new();
    all.insert("organisation".into(), json!(app.config.organisation.name));
    all.insert("as_of".into(), json!(now));
    all.insert("purpose".into(), json!(PURPOSE));
    for part in parts {
        all.insert(part.0.to_owned(), written(part));
    }
    let words: Vec<Value> = messages.iter().map(words).collect();
    all.insert("words_of_messages".into(), Value::Array(words));
    Ok(Value::Object(all))
}

/// The words of a message, as they were written for this reader; null if its template cannot be read any more.
fn words(kept: &KeptMessage) -> Value {
    let written = || {
        let personal: Personal = serde_json::from_str(&kept.facts).ok()?;
        Some(match kept.is_text {
            true => {
                let text = FrozenText::read(&kept.document).ok()?;
                (None, text.render(&personal).ok()?)
            }
            false => {
                let letter = Frozen::read(&kept.document).ok()?.render(&personal).ok()?;
                (Some(letter.subject), letter.text)
            }
        })
    };
    let (subject, text) = written().unzip();
    json!({ "message": kept.id.to_string(), "subject": subject, "text": text })
}

/// What the data is for, as whoever it is about is told.
const PURPOSE: &str = "Everything that is kept about you in order to secure your accounts. It is used for nothing else. A password was never kept.";

/// The rows of a part as JSON; moments as RFC 3339 writes them, and what is JSON as such.
fn written((_, columns, rows): Part) -> Value {
    let row = |cells: Vec<Option<String>>| {
        let members = columns
            .iter()
            .zip(cells)
            .map(|(column, cell)| ((*column).to_owned(), value(column, cell)));
        Value::Object(members.collect())
    };
    rows.into_iter().map(row).collect()
}

fn value(column: &str, cell: Option<String>) -> Value {
    let Some(text) = cell else { return Value::Null };
    let is_moment =
        column.ends_with("_at") || matches!(column, "at" | "bad_as_of" | "exempt_until");
    match column {
        _ if is_moment => text
            .parse()
            .map_or(Value::Null, |micros| json!(Moment::from_micros(micros))),
        "facts" | "detail" => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        _ => Value::String(text),
    }
}

/// Keeps everything about somebody, or about everybody, whatever its time is; or ends that.
pub async fn hold(
    app: &App,
    person: Option<PersonId>,
    until: Option<(&str, Moment)>,
    by: &str,
) -> anyhow::Result<u64> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let count = match until {
        Some((reason, review_at)) => {
            tx.hold_data(person, reason, review_at, by, now).await?;
            1
        }
        None => tx.end_data_hold(person, by, now).await?,
    };
    tx.commit().await?;
    Ok(count)
}

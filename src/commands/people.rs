//! `bell people …`

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Cli, People};
use crate::domain::address::fold;
use crate::domain::{EmailAddress, PersonId};
use crate::steps;
use crate::steps::privacy::{self, Erased};
use crate::store::{PersonFacts, Tx};

pub(super) async fn run(cli: &Cli, app: &App, command: &People) -> anyhow::Result<Said> {
    match command {
        People::Sync { file, confirm } => {
            let by = operator(cli, app)?;
            let synced = steps::people::sync(app, file.as_deref(), *confirm, &by).await?;
            let mut text = format!("{synced}\n");
            for change in synced
                .changes
                .iter()
                .filter(|change| change.what != "updated")
                .take(50)
            {
                let from = change
                    .before
                    .as_deref()
                    .map(|before| format!(" from {before}"))
                    .unwrap_or_default();
                text.push_str(&format!(
                    "  {:<8} {} ({}{from})\n",
                    change.what, change.name, change.department
                ));
            }
            for reject in synced.rejects.iter().chain(&synced.flaws) {
                text.push_str(&format!("  line {}: {}\n", reject.line, reject.reason));
            }
            Ok(Said::words(text, serde_json::to_value(&synced)?).look_if(synced.rejected > 0))
        }
        People::List { names } => {
            note_reading(cli, app, *names, "people:all").await?;
            let mut tx = app.store.read().await?;
            let (mut lines, mut all, mut after) = (Vec::new(), Vec::new(), PersonId(0));
            loop {
                let page = tx.person_ids(after, 1_000).await?;
                let Some(last) = page.last() else { break };
                after = *last;
                let facts = tx.persons(page.iter().copied()).await?;
                for person in page.iter().filter_map(|id| facts.get(id)) {
                    lines.push(line(person, *names));
                    all.push(document(person, *names));
                }
            }
            Ok(Said::words(lines.join("\n"), json!(all)))
        }
        People::Delegate { who, to, end, .. } => {
            let by = operator(cli, app)?;
            let now = app.clock.now();
            let mut tx = app.store.begin().await?;
            let person = find(&mut tx, who).await?.id;
            let what = match (end, to) {
                (true, _) => {
                    tx.end_delegate(person, &by, now).await?;
                    "nobody else reads their mailbox"
                }
                (false, Some(to)) => {
                    let delegate = find(&mut tx, to).await?.id;
                    if delegate == person {
                        return Err(misused("nobody is their own delegate"));
                    }
                    tx.set_delegate(person, Some(delegate), &by, now).await?;
                    "told by other ways; the delegate hears that there is a task"
                }
                (false, None) => {
                    tx.set_delegate(person, None, &by, now).await?;
                    "told by other ways; nobody else hears of it"
                }
            };
            tx.commit().await?;
            Ok(Said::words(
                format!("person {person}: {what}"),
                json!({ "person": person, "done": what }),
            ))
        }
        People::Erase { id, reason } => {
            let by = operator(cli, app)?;
            let erased = privacy::erase(app, *id, reason, &by).await?;
            let text = match erased {
                Erased::Asked => format!(
                    "person {id}: asked for; it is done when another operator says the same"
                ),
                Erased::Done(sentences) => format!(
                    "person {id} is a pseudonym; {sentences} sentences of the record were erased. Backups from before still name them"
                ),
            };
            Ok(Said::words(
                text,
                json!({ "person": id, "erasure": erased }),
            ))
        }
        People::Export { id, out } => {
            let by = operator(cli, app)?;
            let all = privacy::export(app, *id, &by).await?;
            match out {
                None => Ok(Said::words(serde_json::to_string_pretty(&all)?, all)),
                Some(file) => {
                    write_private(file, &serde_json::to_vec_pretty(&all)?)
                        .with_context(|| format!("writing {}", file.display()))?;
                    let text = format!("{}: all that is kept about person {id}", file.display());
                    Ok(Said::words(text, json!({ "person": id, "file": file })))
                }
            }
        }
        People::Hold {
            id,
            reason,
            review,
            end: _,
            list,
        } => {
            if *list {
                return holds(app).await;
            }
            let by = operator(cli, app)?;
            let until = reason.as_deref().zip(*review);
            let count = privacy::hold(app, *id, until, &by).await?;
            let whose = id.map_or_else(|| "everybody".to_owned(), |id| format!("person {id}"));
            let text = match until {
                Some((_, at)) => {
                    format!("{whose}: kept until somebody ends it; to be looked at again by {at}")
                }
                None => format!("{whose}: {count} holds ended"),
            };
            Ok(Said::words(text, json!({ "person": id, "holds": count })))
        }
        People::Show { who, names } => {
            let mut tx = app.store.read().await?;
            let person = find(&mut tx, who).await?;
            let cases = tx.cases_of_person(person.id).await?;
            drop(tx);
            note_reading(cli, app, *names, &format!("person:{}", person.id)).await?;
            let mut text = line(&person, *names);
            let mut list = Vec::new();
            for case in &cases {
                let state = super::case::state_word(case);
                text.push_str(&format!(
                    "\n  case {}: {} {state}, {}",
                    case.id,
                    case.claim.category,
                    case.standing.word()
                ));
                list.push(json!({ "case": case.id, "category": case.claim.category, "state": state, "standing": case.standing.word() }));
            }
            let mut document = document(&person, *names);
            if let Some(document) = document.as_object_mut() {
                document.insert("cases".to_owned(), json!(list));
            }
            Ok(Said::words(text, document))
        }
    }
}

/// The legal holds that are in force.
async fn holds(app: &App) -> anyhow::Result<Said> {
    let now = app.clock.now();
    let holds = app.store.read().await?.data_holds().await?;
    let lines = holds.iter().map(|hold| {
        let whose = hold
            .person
            .map_or_else(|| "everybody".to_owned(), |id| format!("person {id}"));
        let due = match hold.review_at <= now {
            true => "  DUE FOR REVIEW",
            false => "",
        };
        format!(
            "{whose}: {}, by {} since {}, to be looked at again by {}{due}",
            hold.reason, hold.owner, hold.noted_at, hold.review_at
        )
    });
    let text = match holds.is_empty() {
        true => "no legal hold is in force".to_owned(),
        false => lines.collect::<Vec<_>>().join("\n"),
    };
    let is_due = holds.iter().any(|hold| hold.review_at <= now);
    Ok(Said::words(text, serde_json::to_value(&holds)?).look_if(is_due))
}

/// A new file, for its owner's eyes only.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Somebody by their number, or an address or login of theirs.
async fn find(tx: &mut Tx, who: &str) -> anyhow::Result<PersonFacts> {
    let id = match (who.parse::<PersonId>(), EmailAddress::parse(who)) {
        (Ok(id), _) => Some(id),
        (_, Ok(address)) => tx.person_by_address(&address.folded()).await?,
        _ => tx.person_by_login(&fold(who)).await?,
    };
    let facts = match id {
        Some(id) => tx.persons([id]).await?.remove(&id),
        None => None,
    };
    facts
        .ok_or_else(|| anyhow::anyhow!("the directory has nobody of that number, address or login"))
}

/// Whoever looks at names is named.
/// Reading names is itself in the ledger.
pub(super) async fn note_reading(
    cli: &Cli,
    app: &App,
    names: bool,
    about: &str,
) -> anyhow::Result<()> {
    if names {
        let by = operator(cli, app)?;
        let mut tx = app.store.begin().await?;
        tx.note(app.clock.now(), &by, "names.read", Some(about), None)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}

fn line(person: &PersonFacts, names: bool) -> String {
    let (name, address) = shown(person, names);
    let state = if person.left {
        "left"
    } else if person.enabled {
        ""
    } else {
        "disabled"
    };
    let mut ways = String::new();
    for (has, word) in [
        (person.second_address.is_some(), "mail.2 "),
        (person.mobile.is_some(), "sms "),
        (person.room.is_some(), "letter "),
    ] {
        ways.push_str(if has { word } else { "" });
    }
    format!("{:>7}  {name:<32} {address:<40} {ways}{state}", person.id)
        .trim_end()
        .to_owned()
}

fn shown(person: &PersonFacts, names: bool) -> (String, String) {
    let address = person.address.as_ref();
    if names {
        (
            person.name.expose().to_owned(),
            address
                .map(|address| address.expose().to_owned())
                .unwrap_or_default(),
        )
    } else {
        (
            person.name.to_string(),
            address.map(ToString::to_string).unwrap_or_default(),
        )
    }
}

fn document(person: &PersonFacts, names: bool) -> serde_json::Value {
    let (name, address) = shown(person, names);
    let mobile = person.mobile.as_ref().map(|mobile| {
        if names {
            mobile.expose().to_owned()
        } else {
            mobile.to_string()
        }
    });
    let room = person.room.as_ref().map(|room| {
        if names {
            room.expose().to_owned()
        } else {
            room.to_string()
        }
    });
    json!({ "person": person.id, "name": name, "address": address, "mobile": mobile, "room": room, "enabled": person.enabled, "left": person.left, "language": person.language, "time_zone": person.time_zone })
}

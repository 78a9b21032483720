//! `bell contain …`: thin words for the step.

use serde_json::json;

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Cli, Contain as Command};
use crate::domain::Moment;
use crate::steps::contain::{Contained, Restore, import, key, list, show, write_safe};
use crate::store::Containment;

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    match command {
        Command::Import { file } => {
            let by = operator(cli, app)?;
            let imported = import(app, file, &by).await?;
            Ok(Said::both(&imported)?.look_if(!imported.rejects.is_empty()))
        }
        Command::Show { account } => match show(app, account).await? {
            None => Err(misused(
                "no account is called so, or more than one; name it by its object id, SID or UPN",
            )),
            Some(all) => Ok(Said::words(
                lines(&all, act, "nothing was done to it"),
                serde_json::to_value(&all)?,
            )),
        },
        Command::List {
            safe_to_restore: true,
            out: Some(out),
        } => {
            let by = operator(cli, app)?;
            Said::both(&write_safe(app, out, &by).await?)
        }
        Command::List {
            safe_to_restore, ..
        } => {
            let (all, restore) = list(app).await?;
            Ok(if *safe_to_restore {
                let text = lines(&restore, safe, "nobody may be let in again yet");
                Said::words(text, serde_json::to_value(&restore)?)
            } else {
                let text = lines(&all, account, "nothing was done to any account");
                Said::words(text, serde_json::to_value(&all)?)
            })
        }
        Command::Key => {
            operator(cli, app)?;
            let pem = key(app)?.public_pem()?;
            Ok(Said::words(pem.clone(), json!({ "public_key": pem })))
        }
    }
}

fn lines<T>(all: &[T], line: impl Fn(&T) -> String, none: &str) -> String {
    if all.is_empty() {
        return none.to_owned();
    }
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn act(one: &Containment) -> String {
    format!(
        "{}  {:<17} by {}, noted {} by {}  {}",
        one.effective_at,
        one.act.word(),
        one.done_by,
        one.noted_at,
        one.noted_by,
        one.how
    )
    .trim_end()
    .to_owned()
}

fn account(one: &Contained) -> String {
    let since = |at: Option<Moment>| at.map_or_else(|| "no".to_owned(), |at| at.to_string());
    format!(
        "{:<20} blocked: {:<26} cut off: {:<26} {}",
        one.login,
        since(one.blocked_since),
        since(one.cut_since),
        match one.not_yet {
            None => "may be let in again",
            Some(why) => why.word(),
        }
    )
}

fn safe(one: &Restore) -> String {
    format!(
        "{:<20} cut off {}  proven {}  grade {}",
        one.login, one.cut_at, one.proven_at, one.grade
    )
}

//! Commands: which word, button or form is which function of the desk.

use std::collections::BTreeMap;

use anyhow::bail;

use super::answer::{Answer, plain};
use super::asked::{Command, What};
use super::{Bot, definitions, incident, statement, when};
use crate::app::App;
use crate::desk::genuine::genuine;
use crate::desk::progress::{Progress, progress};

/// What a visitor wanted, as the ledger may keep it: a command of ours by its name, and nothing that somebody typed.
pub fn wanted(what: &What) -> String {
    let words = match what {
        What::Command(command) | What::Typing { command, .. } => command.words(),
        What::Press { .. } => return "a button".to_owned(),
        What::Form { .. } => return "a form".to_owned(),
    };
    match definitions::knows(&words) {
        true => words,
        false => "an unknown command".to_owned(),
    }
}

/// Does what a command says.
pub async fn command(bot: &Bot, by: &str, command: &Command) -> anyhow::Result<Answer> {
    let path: Vec<&str> = command.path.iter().map(String::as_str).collect();
    match path[..] {
        ["incident", ref rest @ ..] => incident::command(bot, by, rest, command).await,
        ["statement", ref rest @ ..] => statement::command(bot, by, rest, command).await,
        ["reset", "progress"] => reset(&bot.app, by, command.get("department")).await,
        ["help"] => Ok(help(by)),
        _ => bail!("there is no such command any more; please look at /help"),
    }
}

/// Does what stands on the back of a button.
pub async fn press(bot: &Bot, by: &str, back: &str) -> anyhow::Result<Answer> {
    match back.split(':').collect::<Vec<_>>()[..] {
        ["st", ref rest @ ..] => statement::press(bot, by, rest).await,
        _ => bail!("this button is from another time; please give the command again"),
    }
}

/// Does what a form was for.
pub async fn form(
    bot: &Bot,
    by: &str,
    back: &str,
    fields: &BTreeMap<String, String>,
) -> anyhow::Result<Answer> {
    match back.split(':').collect::<Vec<_>>()[..] {
        ["st", ref rest @ ..] => statement::filled_in(bot, by, rest, fields).await,
        _ => bail!("this form is from another time; please give the command again"),
    }
}

/// What could be meant by what is typed so far: what is shown, and what it is then.
pub async fn suggest(
    app: &App,
    by: &str,
    command: &Command,
    at: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let typed = command.get(at).unwrap_or_default();
    match at {
        "incident" => incident::suggest(app, typed).await,
        "partner" => incident::suggest_partners(app, by, typed).await,
        "statement" => statement::suggest(app, by, typed).await,
        _ => Ok(Vec::new()),
    }
}

/// Whether a letter is ours. Anybody in the server may ask.
pub async fn verify(bot: &Bot, asker: &str, command: &Command) -> anyhow::Result<Answer> {
    let code = command.get("code").unwrap_or_default();
    let found = genuine(&bot.app, &bot.askings, code, asker).await?;
    Ok(Answer::Words(plain(&found.in_words(&bot.app))))
}

/// How far the resets are.
async fn reset(app: &App, by: &str, department: Option<&str>) -> anyhow::Result<Answer> {
    let zone = app.calendar.zone();
    let text = match progress(app, department, by).await? {
        Progress::All { as_of, figures } => {
            let lines = figures.lines().into_iter();
            let lines: Vec<String> = lines
                .map(|(label, value)| format!("{label}: **{value}**"))
                .collect();
            format!("As of {}\n{}", when::shown(as_of, zone), lines.join("\n"))
        }
        Progress::Department { as_of, row } => format!(
            "**{}**, as of {}\nAccounts that need a new password: **{}**\nSafe: **{}**\nDue by now: **{}**\nPast their date: **{}**",
            plain(row.department.as_deref().unwrap_or_default()),
            when::shown(as_of, zone),
            plain(&row.valid.to_string()),
            plain(&row.safe.to_string()),
            plain(&row.due.to_string()),
            plain(&row.overdue.to_string()),
        ),
        Progress::Unknown => {
            "Nobody in a department of this name has to reset anything, or the staff directory writes it differently.".to_owned()
        }
    };
    Ok(Answer::Words(text))
}

fn help(by: &str) -> Answer {
    let list: Vec<String> = definitions::words()
        .into_iter()
        .map(|(words, description)| format!("`/{words}` {description}"))
        .collect();
    Answer::Words(format!(
        "You are {} here. Only you see what I answer; what you do is in the ledger.\n{}",
        plain(by),
        list.join("\n")
    ))
}

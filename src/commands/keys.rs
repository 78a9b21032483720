//! `bell operator …` and `bell token …`

use std::io::BufRead;

use anyhow::Context;
use serde_json::json;

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Cli, OperatorCommand, Token};
use crate::desk::keys;

pub(super) async fn run(cli: &Cli, app: &App, command: &OperatorCommand) -> anyhow::Result<Said> {
    let by = operator(cli, app)?;
    match command {
        OperatorCommand::Password { name, stdin } => {
            is_ours(app, name)?;
            let chosen = stdin.then(first_line).transpose()?;
            let made = keys::set_password(app, name, chosen.as_deref(), &by).await?;
            let mut text = match &made {
                Some(made) => format!(
                    "{made}\nThis password of {name} is shown once; hand it over in person."
                ),
                None => format!("{name} has a new password"),
            };
            if app
                .store
                .read()
                .await?
                .credential(&crate::domain::address::fold(name))
                .await?
                .is_some_and(|own| own.totp.is_none())
            {
                text.push_str(&format!(
                    "\nTo sign in they need a second factor as well: bell operator totp {name}"
                ));
            }
            Ok(Said::words(
                text,
                json!({ "operator": name, "password": made }),
            ))
        }
        OperatorCommand::Totp { name } => {
            is_ours(app, name)?;
            let factor = keys::set_totp(app, name, &by).await?;
            Ok(Said::words(
                format!(
                    "{}\n{}\nThis second factor of {name} is shown once; hand it over in person.",
                    factor.secret, factor.uri
                ),
                json!({ "operator": name, "secret": factor.secret, "uri": factor.uri }),
            ))
        }
        OperatorCommand::Revoke { name } => {
            let gone = keys::revoke(app, name, &by).await?;
            let text = match gone {
                true => format!("{name} cannot sign in any more"),
                false => format!("{name} could not sign in anyway"),
            };
            Ok(Said::words(
                text,
                json!({ "operator": name, "revoked": gone }),
            ))
        }
    }
}

fn is_ours(app: &App, name: &str) -> anyhow::Result<()> {
    match app.is_operator(name) {
        true => Ok(()),
        false => Err(misused(format!(
            "{name:?} is no operator; the config's [[operator]] list says who is"
        ))),
    }
}

fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("reading the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

pub(super) async fn tokens(cli: &Cli, app: &App, command: &Token) -> anyhow::Result<Said> {
    match command {
        Token::New { name } => {
            let by = operator(cli, app)?;
            let Some(token) = keys::new_token(app, name, &by).await? else {
                return Err(misused(format!(
                    "there is a token {name:?} already; revoke it first, or choose another name"
                )));
            };
            Ok(Said::words(
                format!("{token}\nThis token is shown once."),
                json!({ "name": name, "token": token }),
            ))
        }
        Token::List => {
            let all = keys::tokens(app).await?;
            let lines: Vec<String> = all
                .iter()
                .map(|token| {
                    let used = token
                        .used_at
                        .map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
                    format!(
                        "{:<24} made {} by {}, {used}",
                        token.name, token.made_at, token.made_by
                    )
                })
                .collect();
            let text = match lines.is_empty() {
                true => "no tokens".to_owned(),
                false => lines.join("\n"),
            };
            Ok(Said::words(text, serde_json::to_value(&all)?))
        }
        Token::Revoke { name } => {
            let by = operator(cli, app)?;
            let gone = keys::revoke_token(app, name, &by).await?;
            let text = match gone {
                true => format!("the token {name} is worth nothing any more"),
                false => format!("there is no token {name:?}"),
            };
            Ok(Said::words(text, json!({ "name": name, "revoked": gone })).look_if(!gone))
        }
    }
}

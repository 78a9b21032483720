//! `bell backup`, `bell restore`, `bell epoch …`

use serde_json::json;

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Backup, Cli, Epoch, Restore};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::address::fold;
use crate::steps::backup;

pub(super) async fn back_up(cli: &Cli, app: &App, options: &Backup) -> anyhow::Result<Said> {
    let by = operator(cli, app)?;
    Said::both(&backup::back_up(app, &options.file, &by).await?)
}

/// Without an app: there may be no database yet.
pub(super) async fn restore(cli: &Cli, config: &Config, options: &Restore) -> anyhow::Result<Said> {
    let name = cli.operator.as_deref().unwrap_or_default().trim();
    let is_known = config
        .operators
        .iter()
        .any(|operator| fold(&operator.name) == fold(name));
    if !is_known {
        return Err(misused(
            "who are you? say it with --as NAME or BELL_OPERATOR, as the config's [[operator]] list names you; the ledger keeps it",
        ));
    }
    let now = Clock::System.now();
    let restored = backup::restore(config, &options.file, options.force, name, now).await?;
    Said::both(&restored)
}

pub(super) async fn epoch(cli: &Cli, app: &App, command: &Epoch) -> anyhow::Result<Said> {
    match command {
        Epoch::Show => {
            let mute = app.mute().await?;
            let (own, paper) = app.epoch().await?;
            let epoch = own.as_ref().map(|own| own.epoch);
            let text = match (&mute, epoch) {
                (Some(why), _) => why.clone(),
                (None, Some(epoch)) => format!("epoch {epoch}: this database may speak"),
                (None, None) => "this database does not know who it is".to_owned(),
            };
            let json = json!({
                "epoch": epoch, "mute": mute,
                "reached": own.map(|own| own.reached), "paper": paper,
            });
            Ok(Said::words(text, json).look_if(mute.is_some()))
        }
        Epoch::Advance { reason } => {
            let by = operator(cli, app)?;
            let epoch = app.advance_epoch(reason, &by).await?;
            let text = format!("epoch {epoch}: this database speaks from now on");
            Ok(Said::words(text, json!({ "epoch": epoch })))
        }
        Epoch::Join { reason } => {
            let by = operator(cli, app)?;
            let epoch = app.join_epoch(reason, &by).await?;
            let text = format!("epoch {epoch}: this machine speaks for the database as well");
            Ok(Said::words(text, json!({ "epoch": epoch })))
        }
    }
}

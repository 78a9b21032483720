//! `bell ledger …`

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Cli, Ledger};
use crate::report::VerifyingKey;
use crate::steps::seal;

pub(super) async fn run(cli: &Cli, app: &App, command: &Ledger) -> anyhow::Result<Said> {
    match command {
        Ledger::List { after, limit } => list(app, *after, *limit).await,
        Ledger::Verify {
            export,
            seal: printed,
            key,
        } => {
            let key = key.as_deref().map(read).transpose()?;
            let (key, printed) = (key.as_ref(), printed.as_ref());
            let verified = match export {
                Some(file) => seal::verify_export(file, key, printed)?,
                None => {
                    let by = match &cli.operator {
                        Some(_) => operator(cli, app)?,
                        None => "bell".to_owned(),
                    };
                    seal::verify_and_note(app, key, printed, &by).await?
                }
            };
            Ok(Said::both(&verified)?.look_if(!verified.is_good()))
        }
        Ledger::Seal => Said::both(&seal::seal(app).await?),
        Ledger::Export { file } => {
            let by = operator(cli, app)?;
            seal::seal(app).await?;
            let exported = seal::export(app, file).await?;
            let mut tx = app.store.begin().await?;
            let detail = json!({ "rows": exported.rows, "seals": exported.seals }).to_string();
            tx.note(app.clock.now(), &by, "ledger.exported", None, Some(&detail))
                .await?;
            tx.commit().await?;
            let mut said = Said::both(&exported)?;
            said.text = format!("{}: {exported}", file.display());
            Ok(said)
        }
        Ledger::Key => match seal::signing_key(app)? {
            Some(key) => {
                let pem = key.public_pem()?;
                Ok(Said::words(pem.trim_end(), json!({ "public_key": pem })))
            }
            None => Err(misused(
                "seals are not signed: name a file with key_file in [seals], and the key is made",
            )),
        },
    }
}

fn read(path: &Path) -> anyhow::Result<VerifyingKey> {
    VerifyingKey::read(path).with_context(|| path.display().to_string())
}

async fn list(app: &App, after: i64, limit: i64) -> anyhow::Result<Said> {
    let mut tx = app.store.read().await?;
    let entries = tx.ledger(after, limit).await?;
    let text: Vec<String> = entries
        .iter()
        .map(|entry| {
            let about = entry
                .case_id
                .map(|id| format!("case:{id}"))
                .or_else(|| entry.thing.clone())
                .unwrap_or_default();
            format!(
                "{:>7}  {}  {:<12} {:<22} {:<14} {}",
                entry.id,
                entry.at,
                entry.actor,
                entry.act,
                about,
                entry.detail.as_deref().unwrap_or("")
            )
        })
        .collect();
    Ok(Said::words(
        text.join("\n"),
        serde_json::to_value(&entries)?,
    ))
}

//! `bell campaign …`

use super::{Said, operator};
use crate::app::App;
use crate::cli::{Campaign as Command, Cli};
use crate::steps::{campaign, pace, plan};
use crate::store::Campaign;

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    match command {
        Command::Draft => {
            let by = operator(cli, app)?;
            match plan::draft(app, &by).await? {
                Some(drafted) => {
                    let next = format!(
                        "{}\na second operator lets it go with: bell campaign approve {}",
                        line(&drafted),
                        drafted.id
                    );
                    Ok(Said::words(next, serde_json::to_value(&drafted)?))
                }
                None => Ok(Said::words(
                    "nobody is to be told now; `bell plan` says why",
                    serde_json::Value::Null,
                )),
            }
        }
        Command::List => {
            let mut tx = app.store.read().await?;
            let all = tx.campaigns().await?;
            let lines: Vec<String> = all.iter().map(line).collect();
            Ok(Said::words(
                if lines.is_empty() {
                    "no campaigns yet".to_owned()
                } else {
                    lines.join("\n")
                },
                serde_json::to_value(&all)?,
            ))
        }
        Command::Show { id } => {
            let mut tx = app.store.read().await?;
            let Some(found) = tx.campaign(*id).await? else {
                anyhow::bail!("there is no campaign {id}; `bell campaign list` shows them")
            };
            let (done, cases) = tx.campaign_progress(*id).await?;
            let states = tx.campaign_deliveries(*id).await?;
            let mut text = format!(
                "{}\n  content {}\n  {done} of {cases} cases have a proven reset",
                line(&found),
                found.content_hash
            );
            let pace = pace::pace(app, &mut tx, &found).await?;
            for line in &pace.in_words {
                text.push_str(&format!("\n  {line}"));
            }
            for (state, count) in &states {
                text.push_str(&format!("\n  {count:>7}  deliveries {state}"));
            }
            let deliveries: serde_json::Map<String, serde_json::Value> = states
                .into_iter()
                .map(|(state, count)| (state, count.into()))
                .collect();
            Ok(Said::words(
                text,
                serde_json::json!({ "campaign": found, "reset": done, "cases": cases, "deliveries": deliveries, "pace": pace }),
            ))
        }
        Command::Approve { id } => told(&campaign::approve(app, *id, &operator(cli, app)?).await?),
        Command::Pause { id, reason } => {
            told(&campaign::pause(app, *id, &operator(cli, app)?, reason.as_deref()).await?)
        }
        Command::Resume { id } => told(&campaign::resume(app, *id, &operator(cli, app)?).await?),
        Command::Stop { id, reason } => {
            told(&campaign::stop(app, *id, &operator(cli, app)?, reason.as_deref()).await?)
        }
    }
}

fn told(campaign: &Campaign) -> anyhow::Result<Said> {
    Ok(Said::words(line(campaign), serde_json::to_value(campaign)?))
}

fn line(campaign: &Campaign) -> String {
    let mut line = format!(
        "campaign {}: {} {}, {} people, drafted by {}",
        campaign.id,
        campaign.reference,
        campaign.state.word(),
        campaign.people,
        campaign.author
    );
    if let Some(approver) = &campaign.approved_by {
        line.push_str(&format!(", approved by {approver}"));
    }
    if let Some(reason) = &campaign.void_reason {
        line.push_str(&format!(" ({reason})"));
    }
    line
}

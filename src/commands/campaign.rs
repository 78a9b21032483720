//! `bell campaign …`

use super::{Said, operator};
use crate::app::App;
use crate::cli::{Campaign as Command, Cli, Place as Where};
use crate::domain::Way;
use crate::domain::campaign::{Announced, Place};
use crate::steps::{campaign, heads_up, pace, plan};
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
            let announced = tx.announced(*id).await?;
            text.push_str(&format!("\n  {}", told_of(&announced)));
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
                serde_json::json!({ "campaign": found, "reset": done, "cases": cases, "announced": announced, "deliveries": deliveries, "pace": pace }),
            ))
        }
        Command::Approve { id } => {
            let approved = campaign::approve(app, *id, &operator(cli, app)?).await?;
            let text = format!(
                "{}\nits announcement has to be out before the first notice: bell campaign announcement {id}",
                line(&approved)
            );
            Ok(Said::words(text, serde_json::to_value(&approved)?))
        }
        Command::Announcement { id } => {
            let announcement = heads_up::announcement(app, *id).await?;
            let places: Vec<_> = announcement
                .places
                .iter()
                .map(|place| place.word())
                .collect();
            let text = format!(
                "{}\n\npost it on {}, then: bell campaign announced {id} --where {}",
                announcement.text,
                places.join(" and "),
                places.join(" --where ")
            );
            Ok(Said::words(text, serde_json::to_value(&announcement)?))
        }
        Command::Announced {
            id,
            places,
            at,
            skip: _,
            reason,
        } => {
            let by = operator(cli, app)?;
            let announced = match reason {
                Some(reason) => heads_up::skip(app, *id, reason, &by).await?,
                None => {
                    let places: Vec<Place> = places.iter().map(|place| place_of(*place)).collect();
                    heads_up::announced(app, *id, &places, *at, &by).await?
                }
            };
            Ok(Said::words(
                format!("campaign {id}: {}", told_of(&announced)),
                serde_json::to_value(&announced)?,
            ))
        }
        Command::Ways {
            id,
            without,
            reason,
        } => {
            let by = operator(cli, app)?;
            let ways: Vec<Way> = without
                .iter()
                .filter_map(|word| Way::from_word(word))
                .collect();
            let left_out = heads_up::leave_out(app, *id, &ways, reason, &by).await?;
            let words: Vec<_> = left_out.iter().map(|way| way.word()).collect();
            Ok(Said::words(
                format!(
                    "campaign {id} goes without {}; what is queued by it goes by the next way with the next `bell notify`",
                    words.join(" and ")
                ),
                serde_json::json!({ "campaign": id, "without": left_out }),
            ))
        }
        Command::Pause { id, reason } => {
            told(&campaign::pause(app, *id, &operator(cli, app)?, reason.as_deref()).await?)
        }
        Command::Resume { id } => told(&campaign::resume(app, *id, &operator(cli, app)?).await?),
        Command::Stop { id, reason } => {
            told(&campaign::stop(app, *id, &operator(cli, app)?, reason.as_deref()).await?)
        }
    }
}

const fn place_of(place: Where) -> Place {
    match place {
        Where::Intranet => Place::Intranet,
        Where::Chat => Place::Chat,
    }
}

/// Where and since when a campaign is announced, in words.
fn told_of(announced: &Announced) -> String {
    let mut parts: Vec<String> = announced
        .posted
        .iter()
        .map(|(place, at)| format!("on {} since {at}", place.word()))
        .collect();
    parts.extend(
        announced
            .skipped_at
            .map(|at| format!("gone without since {at}")),
    );
    if parts.is_empty() {
        "not announced yet".to_owned()
    } else {
        format!("announced: {}", parts.join(", "))
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

//! `bell hand-over …`: thin words for the step.

use serde_json::json;

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Cli, HandOver as Options, HandOverCommand, HandOverVerdict};
use crate::steps::hand_over::{Verdict, decide, hand_over, rehearse};
use crate::store::HandOver;

pub(super) async fn run(cli: &Cli, app: &App, options: &Options) -> anyhow::Result<Said> {
    match &options.command {
        None if options.dry_run => {
            let by = operator(cli, app)?;
            match rehearse(app, &by).await? {
                Some(rehearsal) => Said::both(&rehearsal),
                None => Err(none_configured()),
            }
        }
        None if app.hand_overs.is_none() => Err(none_configured()),
        None => {
            let handed = hand_over(app).await?;
            let look =
                handed.by_hand + handed.in_doubt + handed.unrehearsed > 0 || handed.held.is_some();
            Ok(Said::both(&handed)?.look_if(look))
        }
        Some(HandOverCommand::List { all }) => list(app, !*all).await,
        Some(HandOverCommand::Decide {
            id,
            verdict,
            reason,
        }) => {
            let by = operator(cli, app)?;
            let (verdict, what) = match verdict {
                HandOverVerdict::Done => (Verdict::Done, "done"),
                HandOverVerdict::Again => (Verdict::Again, "asked for again with the next pass"),
            };
            decide(app, *id, verdict, reason, &by).await?;
            let text = format!("hand-over {id}: {what}");
            Ok(Said::words(text, json!({ "hand_over": id, "done": what })))
        }
    }
}

fn none_configured() -> anyhow::Error {
    misused(
        "no way to the identity provider is configured; see [hand_over]. Until then hand-overs are tasks: `bell tasks`",
    )
}

async fn list(app: &App, open_only: bool) -> anyhow::Result<Said> {
    let mut tx = app.store.read().await?;
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = tx.hand_overs(after, open_only, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        all.extend(page);
    }
    let lines: Vec<String> = all.iter().map(line).collect();
    let text = if lines.is_empty() {
        "nothing is handed over".to_owned()
    } else {
        lines.join("\n")
    };
    let look = all
        .iter()
        .any(|one| ["refused", "stopped"].contains(&one.state.as_str()));
    Ok(Said::words(text, serde_json::to_value(&all)?).look_if(open_only && look))
}

fn line(one: &HandOver) -> String {
    let when = match (one.done_at, one.next_at) {
        (Some(at), _) => at.to_string(),
        (None, Some(at)) => format!("again {at}"),
        (None, None) => "under way".to_owned(),
    };
    format!(
        "{:>7}  case {:<7} {:<14} {:<8} {:<8} {:<26} {:<14} {}",
        one.id,
        one.case,
        one.demand,
        one.kind.word(),
        one.state,
        when,
        one.outcome.as_deref().unwrap_or(""),
        one.proof.as_deref().unwrap_or("")
    )
    .trim_end()
    .to_owned()
}

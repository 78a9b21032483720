//! Before a campaign's first notice: its announcement, printed, on record as posted, or gone without; and the ways that it
//! goes without.

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::app::App;
use crate::config::Role;
use crate::domain::campaign::{Announced, CampaignState, Place};
use crate::domain::{CampaignId, Moment, Way};
use crate::store::{Campaign, Tx};

/// The words to be posted, and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Announcement {
    /// Of which campaign.
    pub reference: String,
    /// Where it has to be out.
    pub places: Vec<Place>,
    /// From when on notices go out, if it is posted now.
    pub from: Moment,
    /// Ready to be pasted.
    pub text: String,
}

/// The announcement of a campaign, as it would be posted now.
pub async fn announcement(app: &App, id: CampaignId) -> anyhow::Result<Announcement> {
    let now = app.clock.now();
    let mut tx = app.store.read().await?;
    let campaign = living(&mut tx, id).await?;
    drop(tx);
    let rule = &app.config.campaign;
    let from = app.calendar.next_sendable(now.plus(rule.announce_lead));
    let text = app
        .letters
        .messages
        .heads_up(from, &campaign.reference, &app.letters.constants)?;
    Ok(Announcement {
        reference: campaign.reference,
        places: rule.announce_where.clone(),
        from,
        text,
    })
}

/// Writes down that the announcement is out at these places, since `at`.
pub async fn announced(
    app: &App,
    id: CampaignId,
    places: &[Place],
    at: Option<Moment>,
    by: &str,
) -> anyhow::Result<Announced> {
    let now = app.clock.now();
    let at = at.unwrap_or(now);
    ensure!(
        !places.is_empty(),
        "say where it is out: --where intranet, --where chat"
    );
    let mut tx = app.store.begin().await?;
    let campaign = living(&mut tx, id).await?;
    ensure!(
        (campaign.drafted_at..=now).contains(&at),
        "campaign {} was drafted at {}, so its announcement was posted between then and now",
        campaign.reference,
        campaign.drafted_at
    );
    for place in places {
        tx.announce_campaign(id, *place, at, by, now).await?;
    }
    let announced = tx.announced(id).await?;
    tx.commit().await?;
    Ok(announced)
}

/// Lets a campaign go without an announcement. Whoever does answers for it, in the ledger.
pub async fn skip(app: &App, id: CampaignId, reason: &str, by: &str) -> anyhow::Result<Announced> {
    ensure!(
        app.has_role(by, Role::Security),
        "only an operator with the role security lets a campaign go without its announcement (rule 3.7)"
    );
    ensure!(!reason.trim().is_empty(), "say why, with --reason");
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    living(&mut tx, id).await?;
    tx.skip_announcement(id, reason, by, now).await?;
    let announced = tx.announced(id).await?;
    tx.commit().await?;
    Ok(announced)
}

/// Leaves ways out of a campaign: what is queued by them goes by the next way with the next `notify`.
pub async fn leave_out(
    app: &App,
    id: CampaignId,
    ways: &[Way],
    reason: &str,
    by: &str,
) -> anyhow::Result<Vec<Way>> {
    ensure!(
        !ways.contains(&Way::Person),
        "whom no way reaches is reached by a human being; that way cannot be left out"
    );
    ensure!(!reason.trim().is_empty(), "say why, with --reason");
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    living(&mut tx, id).await?;
    for way in ways {
        tx.leave_out_way(id, *way, reason, by, now).await?;
    }
    let left_out = tx
        .ways_left_out()
        .await?
        .into_iter()
        .filter(|(campaign, _)| *campaign == id)
        .map(|(_, way)| way)
        .collect();
    tx.commit().await?;
    Ok(left_out)
}

/// A campaign in which something may still be said.
async fn living(tx: &mut Tx, id: CampaignId) -> anyhow::Result<Campaign> {
    let campaign = tx
        .campaign(id)
        .await?
        .with_context(|| format!("there is no campaign {id}; `bell campaign list` shows them"))?;
    let is_over = match campaign.state {
        CampaignState::Draft
        | CampaignState::Approved
        | CampaignState::Running
        | CampaignState::Paused => false,
        CampaignState::Stopped | CampaignState::Void => true,
    };
    ensure!(
        !is_over,
        "campaign {} is {}; nothing will be said in it",
        campaign.reference,
        campaign.state.word()
    );
    Ok(campaign)
}

//! Announcements: what is on record as out before the first notice of a campaign, and the ways that a campaign goes without.

use super::{StoreError, Tx, on, strange};
use crate::domain::campaign::{Announced, Place};
use crate::domain::way::Way;
use crate::domain::{CampaignId, Moment};

/// In place of a place: an operator answers for going without.
const SKIPPED: &str = "skipped";

impl Tx {
    /// Writes down that a campaign's announcement is out at `place` since `posted_at`. Said again, the earlier moment
    /// stays.
    pub async fn announce_campaign(
        &mut self,
        id: CampaignId,
        place: Place,
        posted_at: Moment,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        self.announced_at(id, place.word(), posted_at, actor, now)
            .await?;
        let detail =
            serde_json::json!({ "place": place.word(), "posted_at": posted_at }).to_string();
        self.note(
            now,
            actor,
            "campaign.announced",
            Some(&format!("campaign:{id}")),
            Some(&detail),
        )
        .await
    }

    /// Writes down that a campaign goes without an announcement, and who answers for it.
    pub async fn skip_announcement(
        &mut self,
        id: CampaignId,
        reason: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        self.announced_at(id, SKIPPED, now, actor, now).await?;
        let detail = serde_json::json!({ "reason": reason }).to_string();
        self.note(
            now,
            actor,
            "campaign.announcement_skipped",
            Some(&format!("campaign:{id}")),
            Some(&detail),
        )
        .await
    }

    async fn announced_at(
        &mut self,
        id: CampaignId,
        place: &str,
        posted_at: Moment,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO announcements (campaign_id, place, posted_at, noted_at, noted_by) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (campaign_id, place) DO UPDATE SET posted_at = CASE WHEN announcements.posted_at < excluded.posted_at THEN announcements.posted_at ELSE excluded.posted_at END",
        ).bind(id.0).bind(place).bind(posted_at.micros()).bind(now.micros()).bind(actor).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// What is on record about a campaign's announcement.
    pub async fn announced(&mut self, id: CampaignId) -> Result<Announced, StoreError> {
        let rows: Vec<(String, i64)> = on!(self, db => sqlx::query_as("SELECT place, posted_at FROM announcements WHERE campaign_id = $1 ORDER BY posted_at, place")
            .bind(id.0).fetch_all(db).await)?;
        let mut announced = Announced::default();
        for (word, at) in rows {
            let at = Moment::from_micros(at);
            if word == SKIPPED {
                announced.skipped_at = Some(at);
            } else {
                let place = Place::from_word(&word)
                    .ok_or_else(|| strange("announcements", "place", id.0))?;
                announced.posted.push((place, at));
            }
        }
        Ok(announced)
    }

    /// Leaves a way out of a campaign: nothing goes by it any more.
    pub async fn leave_out_way(
        &mut self,
        id: CampaignId,
        way: Way,
        reason: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO ways_left_out (campaign_id, way, left_out_at) VALUES ($1, $2, $3) ON CONFLICT (campaign_id, way) DO NOTHING")
            .bind(id.0).bind(way.word()).bind(now.micros()).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({ "without": way.word(), "reason": reason }).to_string();
        self.note(
            now,
            actor,
            "campaign.ways",
            Some(&format!("campaign:{id}")),
            Some(&detail),
        )
        .await
    }

    /// The ways that campaigns go without.
    pub async fn ways_left_out(&mut self) -> Result<Vec<(CampaignId, Way)>, StoreError> {
        let rows: Vec<(i64, String)> = on!(self, db => sqlx::query_as("SELECT campaign_id, way FROM ways_left_out ORDER BY campaign_id, way").fetch_all(db).await)?;
        rows.into_iter()
            .map(|(id, word)| {
                let way =
                    Way::from_word(&word).ok_or_else(|| strange("ways_left_out", "way", id))?;
                Ok((CampaignId(id), way))
            })
            .collect()
    }
}

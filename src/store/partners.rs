//! Partners: whom we speak to about an incident, and how they have agreed to be named.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, on};
use crate::domain::{IncidentId, Moment, PartnerId};

/// Another organisation that an incident is spoken about with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Partner {
    /// Its number.
    pub id: PartnerId,
    /// Which incident.
    pub incident: IncidentId,
    /// NCSC, NCA, ICO, or another.
    pub name: String,
    /// Whom we speak to there: a role or a team.
    pub contact: String,
    /// Their number for it.
    pub reference: Option<String>,
    /// How we may name them.
    pub wording: Option<String>,
    /// Counts the wordings.
    pub version: i64,
    /// When they agreed to exactly this wording.
    pub cleared_at: Option<Moment>,
    /// Who agreed, over there.
    pub cleared_with: Option<String>,
    /// When it was written down.
    pub noted_at: Moment,
    /// By whom.
    pub noted_by: String,
}

/// A partner that is to be written down.
#[derive(Clone, Copy, Debug)]
pub struct PartnerDraft<'a> {
    /// NCSC, NCA, ICO, or another.
    pub name: &'a str,
    /// Whom we speak to there.
    pub contact: &'a str,
    /// Their number for it.
    pub reference: Option<&'a str>,
    /// How we want to name them.
    pub wording: Option<&'a str>,
}

#[derive(sqlx::FromRow)]
struct PartnerRow {
    id: i64,
    incident_id: i64,
    name: String,
    contact: String,
    reference: Option<String>,
    wording: Option<String>,
    version: i64,
    cleared_at: Option<i64>,
    cleared_with: Option<String>,
    noted_at: i64,
    noted_by: String,
}

impl From<PartnerRow> for Partner {
    fn from(row: PartnerRow) -> Self {
        Self {
            id: PartnerId(row.id),
            incident: IncidentId(row.incident_id),
            name: row.name,
            contact: row.contact,
            reference: row.reference,
            wording: row.wording,
            version: row.version,
            cleared_at: row.cleared_at.map(Moment::from_micros),
            cleared_with: row.cleared_with,
            noted_at: Moment::from_micros(row.noted_at),
            noted_by: row.noted_by,
        }
    }
}

fn thing(incident: IncidentId) -> String {
    format!("incident:{incident}")
}

impl Tx {
    /// Writes a partner down.
    pub async fn add_partner(
        &mut self,
        incident: IncidentId,
        new: &PartnerDraft<'_>,
        by: &str,
        now: Moment,
    ) -> Result<Partner, StoreError> {
        let row: PartnerRow = on!(self, db => sqlx::query_as(
            "INSERT INTO partners (incident_id, name, contact, reference, wording, version, noted_at, noted_by) VALUES ($1, $2, $3, $4, $5, 1, $6, $7)
             RETURNING id, incident_id, name, contact, reference, wording, version, cleared_at, cleared_with, noted_at, noted_by",
        ).bind(incident.0).bind(new.name).bind(new.contact).bind(new.reference).bind(new.wording).bind(now.micros()).bind(by).fetch_one(db).await)?;
        let partner = Partner::from(row);
        let detail = serde_json::json!({ "partner": partner.id, "name": new.name, "reference": new.reference });
        self.note(
            now,
            by,
            "partner.added",
            Some(&thing(incident)),
            Some(&detail.to_string()),
        )
        .await?;
        Ok(partner)
    }

    /// One partner.
    pub async fn partner(&mut self, id: PartnerId) -> Result<Option<Partner>, StoreError> {
        let row: Option<PartnerRow> = on!(self, db => sqlx::query_as(
            "SELECT id, incident_id, name, contact, reference, wording, version, cleared_at, cleared_with, noted_at, noted_by FROM partners WHERE id = $1",
        ).bind(id.0).fetch_optional(db).await)?;
        Ok(row.map(Partner::from))
    }

    /// The partners of an incident, in the order in which they were written down.
    pub async fn partners(&mut self, incident: IncidentId) -> Result<Vec<Partner>, StoreError> {
        let rows: Vec<PartnerRow> = on!(self, db => sqlx::query_as(
            "SELECT id, incident_id, name, contact, reference, wording, version, cleared_at, cleared_with, noted_at, noted_by FROM partners
             WHERE incident_id = $1 ORDER BY id",
        ).bind(incident.0).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Partner::from).collect())
    }

    /// Keeps another wording or reference. Another wording is one that nobody has agreed to.
    pub async fn edit_partner(
        &mut self,
        before: &Partner,
        reference: Option<&str>,
        wording: Option<&str>,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let is_new = wording != before.wording.as_deref();
        let changed = on!(self, db => sqlx::query(
            "UPDATE partners SET reference = $3, wording = $4, version = version + $5, cleared_at = CASE WHEN $5 = 1 THEN NULL ELSE cleared_at END,
                 cleared_with = CASE WHEN $5 = 1 THEN NULL ELSE cleared_with END WHERE id = $1 AND version = $2",
        ).bind(before.id.0).bind(before.version).bind(reference).bind(wording).bind(i64::from(is_new)).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "partners", before.id.0)?;
        let detail = serde_json::json!({
            "partner": before.id, "name": before.name, "reference": reference, "voids_clearance": is_new && before.cleared_at.is_some()
        });
        self.note(
            now,
            by,
            "partner.edited",
            Some(&thing(before.incident)),
            Some(&detail.to_string()),
        )
        .await
    }

    /// Writes down that they agreed to be named in exactly this wording.
    pub async fn clear_partner(
        &mut self,
        before: &Partner,
        with: &str,
        at: Moment,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE partners SET cleared_at = $3, cleared_with = $4 WHERE id = $1 AND version = $2 AND wording IS NOT NULL")
            .bind(before.id.0).bind(before.version).bind(at.micros()).bind(with).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "partners", before.id.0)?;
        let detail = serde_json::json!({ "partner": before.id, "name": before.name, "version": before.version, "with": with, "at": at });
        self.note(
            now,
            by,
            "partner.cleared",
            Some(&thing(before.incident)),
            Some(&detail.to_string()),
        )
        .await
    }
}

//! LDAP: evidence that a directory server gives, all of it or what changed.

use std::ops::ControlFlow;

use super::source::{CursorOf, Opened};
use crate::app::App;
use crate::config::{EvidenceSource, Ldap};
use crate::directory::ldap::{Asked, EvidenceReading};
use crate::domain::Moment;
use crate::steps::ldap::options;
use crate::steps::reading::{Ended, Reading};
use crate::store::EvidenceRead;

/// Begins to read what changed, or everything if it is time for that.
pub(super) async fn open(
    app: &App,
    source: &EvidenceSource,
    ldap: &Ldap,
    now: Moment,
) -> anyhow::Result<Opened> {
    let settings = serde_json::to_string(&(ldap.profile, &ldap.base, &ldap.filter, &source.realm))?;
    let (cursor, position) =
        CursorOf::look_up(app, source, settings, ldap.sweep_every, now).await?;
    let mut tx = app.store.begin().await?;
    let cases = tx.open_cases_by_object(&source.realm, &source.name).await?;
    tx.commit().await?;
    let asked = cases
        .into_iter()
        .map(|case| Asked {
            object_id: case.object_id,
            is_news: case.told_at.is_none_or(|told| told < case.opened_at),
            was_seen: case.told_at.is_some(),
        })
        .collect();
    let options = options(ldap)?;
    let reading = Reading::task(move |mut sink| async move {
        let mut reading = EvidenceReading::begin(&options, position.as_deref(), asked, now).await?;
        while let Some(items) = reading.next().await? {
            for item in items {
                if sink.put(item).await == ControlFlow::Break(()) {
                    anyhow::bail!("what was read could not be saved");
                }
            }
        }
        let (summary, position, is_sweep) = reading.end().await;
        let ended = Ended {
            summary,
            position,
            is_sweep,
        };
        Ok((sink, ended))
    });
    Ok(Opened {
        about: EvidenceRead {
            source: source.name.clone(),
            realm: source.realm.clone(),
            file_name: format!("ldap {}", ldap.name),
            sha256: String::new(),
            observed_at: now,
            read_at: now,
        },
        reading,
        cursor: Some(cursor),
    })
}

//! Partners: whom we speak to about an incident (NCSC, NCA, ICO and others), and how they have agreed to be named. An edit
//! after that voids it.

use super::incident::{load, thing};
use super::roles::{Act, Declined, declined, may};
use super::statement::reason;
use crate::app::App;
use crate::domain::guard::holds;
use crate::domain::{IncidentId, Moment, PartnerId};
use crate::store::{Partner, PartnerDraft, Tx};

/// Another reference or wording; what is none stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartnerEdit<'a> {
    /// Their number for it.
    pub reference: Option<&'a str>,
    /// How we want to name them.
    pub wording: Option<&'a str>,
}

/// Tidies an answer of one line; `most` characters at most.
fn line(what: &str, text: &str, most: usize) -> Result<String, Declined> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() {
        1.. if line.chars().count() <= most
            && !line.chars().any(crate::domain::fill::is_hidden) =>
        {
            Ok(line)
        }
        _ => Err(Declined(format!(
            "the {what} has 1 to {most} visible characters"
        ))),
    }
}

fn some_line(what: &str, text: Option<&str>, most: usize) -> Result<Option<String>, Declined> {
    text.map(|text| line(what, text, most)).transpose()
}

/// Writes a partner down.
pub async fn add(
    app: &App,
    id: IncidentId,
    new: &PartnerDraft<'_>,
    by: &str,
) -> anyhow::Result<Partner> {
    may(app, Act::PartnerNote, Some(&thing(id)), by).await?;
    let name = line("partner's name", new.name, 80)?;
    let contact = line("contact", new.contact, 200)?;
    let reference = some_line("reference", new.reference, 80)?;
    let wording = some_line("wording", new.wording, 500)?;
    let mut tx = app.store.begin().await?;
    load(&mut tx, id).await?;
    let draft = PartnerDraft {
        name: &name,
        contact: &contact,
        reference: reference.as_deref(),
        wording: wording.as_deref(),
    };
    let partner = tx.add_partner(id, &draft, by, app.clock.now()).await?;
    tx.commit().await?;
    Ok(partner)
}

/// Keeps another reference or wording. Another wording has to be cleared anew.
pub async fn edit(
    app: &App,
    id: PartnerId,
    edit: &PartnerEdit<'_>,
    by: &str,
) -> anyhow::Result<Partner> {
    may(app, Act::PartnerNote, None, by).await?;
    let before = find(app, id).await?;
    let reference = some_line("reference", edit.reference, 80)?.or(before.reference.clone());
    let wording = some_line("wording", edit.wording, 500)?.or(before.wording.clone());
    let mut tx = app.store.begin().await?;
    tx.edit_partner(
        &before,
        reference.as_deref(),
        wording.as_deref(),
        by,
        app.clock.now(),
    )
    .await?;
    tx.commit().await?;
    find(app, id).await
}

/// Writes down that they agreed to be named in exactly the wording that is on record. `with` says who agreed, over there;
/// `at` when, now if left out.
pub async fn clear(
    app: &App,
    id: PartnerId,
    with: &str,
    at: Option<Moment>,
    by: &str,
) -> anyhow::Result<Partner> {
    let act = Act::PartnerNote;
    may(app, act, None, by).await?;
    let with = reason(with)?;
    let before = find(app, id).await?;
    let now = app.clock.now();
    let at = at.unwrap_or(now);
    let about = thing(before.incident);
    if before.wording.is_none() {
        let why =
            "there is no wording to agree to yet; write one down first: bell incident partner edit";
        return Err(declined(app, act, Some(&about), by, why).await);
    }
    if at > now {
        let why = "they cannot have agreed after now";
        return Err(declined(app, act, Some(&about), by, why).await);
    }
    let mut tx = app.store.begin().await?;
    tx.clear_partner(&before, &with, at, by, now).await?;
    tx.commit().await?;
    find(app, id).await
}

async fn find(app: &App, id: PartnerId) -> anyhow::Result<Partner> {
    let found = app.store.read().await?.partner(id).await?;
    found.ok_or_else(|| {
        Declined(format!(
            "there is no partner {id}; bell incident partner list shows them"
        ))
        .into()
    })
}

/// The partners that a text names in words that they have not agreed to: what is wrong with each.
pub(super) async fn uncleared(
    tx: &mut Tx,
    id: IncidentId,
    text: &str,
) -> anyhow::Result<Vec<String>> {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = flat(text);
    Ok(tx
        .partners(id)
        .await?
        .into_iter()
        .filter(|partner| {
            let wording = partner.wording.as_deref().map(flat);
            let is_named = holds(&text, &partner.name)
                || wording.as_deref().is_some_and(|words| text.contains(words));
            let has_agreed = partner.cleared_at.is_some()
                && wording.as_deref().is_some_and(|words| text.contains(words));
            is_named && !has_agreed
        })
        .map(|partner| {
            format!(
                "partner {} ({}) is named in words that they have not agreed to",
                partner.id, partner.name
            )
        })
        .collect())
}

/// The partners of an incident.
pub async fn list(app: &App, id: IncidentId, by: &str) -> anyhow::Result<Vec<Partner>> {
    may(app, Act::PartnerRead, Some(&thing(id)), by).await?;
    Ok(app.store.read().await?.partners(id).await?)
}

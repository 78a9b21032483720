//! The disclosure guard, asked with what the directory knows: names and logins are looked up by index, never all loaded.

use crate::app::App;
use crate::domain::PersonId;
use crate::domain::guard::{Finding, Known, Rules, asked, findings, keys_of};

/// How many people are put into the index at once.
const BATCH: i64 = 2_000;

/// What `text` must not hold.
pub(super) async fn check(app: &App, text: &str) -> anyhow::Result<Vec<Finding>> {
    index(app).await?;
    let asked = asked(text);
    let known = {
        let mut tx = app.store.read().await?;
        Known {
            names: tx.names_among(&asked.names).await?,
            accounts: tx.logins_among(&asked.accounts).await?,
        }
    };
    let config = &app.config.communications;
    let rules = Rules {
        held: &config.hold,
        hosts: &config.link_hosts,
        own_countries: &config.own_countries,
    };
    Ok(findings(text, &known, &rules))
}

/// Brings the index of names up to date: people who joined, or have another name.
async fn index(app: &App) -> anyhow::Result<()> {
    loop {
        let people = app.store.read().await?.unindexed_names(BATCH).await?;
        if people.is_empty() {
            return Ok(());
        }
        let keys: Vec<(PersonId, Vec<String>)> = people
            .into_iter()
            .map(|(id, name)| (id, keys_of(name.expose())))
            .collect();
        let mut tx = app.store.begin().await?;
        tx.index_names(&keys).await?;
        tx.commit().await?;
    }
}

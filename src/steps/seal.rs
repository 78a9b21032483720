//! What is only ever added to → seals → whether it is what it was. Nobody who writes waits for a seal.

mod export;
mod verify;

use std::time::Duration;

use anyhow::Context;
use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::app::App;
use crate::domain::seal::{Seal, SealedTable, fresh, parts};
use crate::report::SigningKey;
use crate::store::{Store, StoredSeal};

pub use export::{Exported, export, verify_export};
pub use verify::{Verified, verify, verify_and_note};

/// Rows that one seal covers at most.
const ROWS: i64 = 5_000;

/// How long a pass waits for transactions that may still add a row among those that are there. Then it is the next one's turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a pass came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Sealed {
    /// New seals.
    pub seals: u64,
    /// Rows that they cover.
    pub rows: u64,
    /// Tables to which somebody has been adding for so long that they wait.
    pub waiting: Vec<SealedTable>,
}

impl std::fmt::Display for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows sealed by {} seals", self.rows, self.seals)?;
        match self.waiting.is_empty() {
            true => Ok(()),
            false => {
                let names: Vec<_> = self.waiting.iter().map(|table| table.word()).collect();
                write!(f, "; {} wait for who writes to them", names.join(", "))
            }
        }
    }
}

/// Seals every row that is settled and not sealed. Safe to repeat, and for several instances at once.
pub async fn seal(app: &App) -> anyhow::Result<Sealed> {
    let key = signing_key(app)?;
    let mut sealed = Sealed::default();
    for table in SealedTable::ALL {
        match settled(&app.store, table).await? {
            Settled::All => {}
            Settled::Upto(upto) => seal_table(app, table, upto, key.as_ref(), &mut sealed).await?,
            Settled::Waits => sealed.waiting.push(table),
        }
    }
    Ok(sealed)
}

/// The key that seals are signed with, if one is configured; made when it is first needed.
pub fn signing_key(app: &App) -> anyhow::Result<Option<SigningKey>> {
    let read = |path: &std::path::PathBuf| {
        SigningKey::read_or_make(path)
            .with_context(|| format!("seals.key_file: {}", path.display()))
    };
    app.config.seals.key_file.as_ref().map(read).transpose()
}

enum Settled {
    /// Everything is sealed.
    All,
    /// Nobody can add a row up to this number any more.
    Upto(i64),
    /// Somebody may, and has not come to an end.
    Waits,
}

/// See the head of `store/seals.rs` for why this is right. Each question is a transaction of its own, in this order.
async fn settled(store: &Store, table: SealedTable) -> anyhow::Result<Settled> {
    let (after, highest) = {
        let mut tx = store.read().await?;
        (tx.sealed_upto(table).await?, tx.highest(table).await?)
    };
    let Some(upto) = highest.filter(|highest| *highest > after) else {
        return Ok(Settled::All);
    };
    let before_us = store.read().await?.writers(table).await?;
    let are_gone = async {
        while !before_us.is_disjoint(&store.read().await?.writers(table).await?) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    Ok(match before_us.is_empty() {
        true => Settled::Upto(upto),
        false => match tokio::time::timeout(PATIENCE, are_gone).await {
            Ok(gone) => {
                gone?;
                Settled::Upto(upto)
            }
            Err(_) => Settled::Waits,
        },
    })
}

async fn seal_table(
    app: &App,
    table: SealedTable,
    upto: i64,
    key: Option<&SigningKey>,
    sealed: &mut Sealed,
) -> anyhow::Result<()> {
    loop {
        let (before, after, bytes) = {
            let mut tx = app.store.read().await?;
            let (before, after) = (tx.newest_seal(None).await?, tx.sealed_upto(table).await?);
            if after >= upto {
                return Ok(());
            }
            (
                before,
                after,
                tx.written_rows(table, after, upto, ROWS).await?,
            )
        };
        let (seen, salts) = fresh(table, &parts(table, &bytes)?, rand::random);
        let Some(last) = seen.last() else {
            return Ok(());
        };
        let is_full = i64::try_from(seen.len()).is_ok_and(|count| count >= ROWS);
        let end = if is_full { last.id } else { upto };
        let now = app.clock.now();
        let mut seal = Seal::over(table, (after, end), &seen, &before, now);
        if let Some(key) = key {
            seal.signature = Some(HEXLOWER.encode(&key.sign(seal.hash.as_bytes())?));
        }
        let stored = StoredSeal { seal, salts };
        let mut tx = app.store.begin().await?;
        let is_ours = tx.add_seal(&stored).await?;
        tx.commit().await?;
        if !is_ours {
            // Another instance is at it.
            return Ok(());
        }
        sealed.seals += 1;
        sealed.rows += stored.seal.rows;
    }
}

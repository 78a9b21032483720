//! Saving: the transactions that a reading goes into, one for all of it, or one a batch.

use super::Confirmed;
use crate::app::App;
use crate::store::{EvidenceRead, Tx};

/// How many entries go into one transaction of a reading that is saved batch by batch.
const MOST_ENTRIES: u64 = 5_000;

/// Where a reading goes.
pub(super) struct Saving<'a> {
    app: &'a App,
    about: EvidenceRead,
    by_batch: bool,
    /// The number of the reading, once it is written down.
    id: Option<i64>,
    tx: Option<Tx>,
    /// What has not been counted yet.
    own: Confirmed,
    entries: u64,
    rejected: u64,
}

impl<'a> Saving<'a> {
    pub fn new(app: &'a App, about: EvidenceRead, by_batch: bool) -> Self {
        Self {
            app,
            about,
            by_batch,
            id: None,
            tx: None,
            own: Confirmed::default(),
            entries: 0,
            rejected: 0,
        }
    }

    /// The transaction, the number of the reading, and what to count in.
    pub async fn tx(&mut self) -> anyhow::Result<(&mut Tx, i64, &mut Confirmed)> {
        let tx = match &mut self.tx {
            Some(tx) => tx,
            none => none.insert(self.app.store.begin().await?),
        };
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(tx.add_evidence_read(&self.about).await?),
        };
        Ok((tx, id, &mut self.own))
    }

    /// A batch is complete. One that is here, or as good as here, may come into the same transaction, so that a directory which
    /// answers faster than a disk syncs is not slowed down; nothing is held open while we wait for a network.
    pub async fn batch_ends(
        &mut self,
        has_next: bool,
        confirmed: &mut Confirmed,
    ) -> anyhow::Result<()> {
        match self.by_batch && (!has_next || self.own.entries >= MOST_ENTRIES) {
            true => self.commit(confirmed).await,
            false => Ok(()),
        }
    }

    /// All of it is.
    pub async fn end(mut self, confirmed: &mut Confirmed) -> anyhow::Result<()> {
        self.commit(confirmed).await
    }

    async fn commit(&mut self, confirmed: &mut Confirmed) -> anyhow::Result<()> {
        self.entries += self.own.entries;
        self.rejected += self.own.rejected;
        if let Some(mut tx) = self.tx.take() {
            if let Some(id) = self.id {
                tx.end_evidence_read(id, self.entries, self.rejected)
                    .await?;
            }
            tx.commit().await?;
        }
        confirmed.add(std::mem::take(&mut self.own));
        Ok(())
    }
}

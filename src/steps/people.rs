//! Staff directory → people, accounts, mailboxes. Tells who joined, left, moved.

mod file;
mod ldap;
mod source;

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::app::App;
use crate::directory::people::PeopleItem;
use crate::domain::finding::Reject;
use crate::domain::person::DirectoryEntry;
use crate::store::{DirectoryChange, SyncCounts};

/// What a listing changed.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Synced {
    /// In numbers.
    pub counts: SyncCounts,
    /// Who; the first thousand. Names mask themselves when printed.
    pub changes: Vec<DirectoryChange>,
    /// Lines that could not be used; the first hundred.
    pub rejects: Vec<Reject>,
    /// How many there were.
    pub rejected: u64,
    /// Cells that could not be used, in lines that could; the first hundred.
    pub flaws: Vec<Reject>,
}

impl std::fmt::Display for Synced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let c = &self.counts;
        write!(
            f,
            "{} accounts listed: {} joined, {} left, {} moved, {} disabled, {} enabled, {} updated; {} lines could not be used",
            c.listed, c.joined, c.left, c.moved, c.disabled, c.enabled, c.updated, self.rejected
        )
    }
}

/// Reads the configured staff directory, or `file` in its place, in one transaction.
///
/// A listing that lost more than half of the accounts is refused unless an operator says that it is right.
pub async fn sync(
    app: &App,
    file: Option<&Path>,
    confirmed: bool,
    by: &str,
) -> anyhow::Result<Synced> {
    let directory = &app.config.directory;
    let place = source::place(directory, file);
    let now = app.clock.now();
    let mut reading = source::open(directory, file, now)?;
    let mut tx = app.store.begin().await?;
    let before = tx.accounts_present(&directory.realm).await?;
    tx.commit().await?;
    // A file goes into one transaction. An account of a server is a fact of its own, and no transaction waits for a network:
    // it ends when the next batch is not here yet. Who has left is only said at the end.
    let mut whole = None;
    let mut synced = Synced::default();
    let mut seen = std::collections::HashSet::new();
    while let Some(items) = reading.next().await {
        let entries = sort(items, &mut synced, &mut seen);
        let mut tx = match whole.take() {
            Some(tx) => tx,
            None => app.store.begin().await?,
        };
        let (counts, changes) = tx.sync_people(&directory.realm, &entries, now).await?;
        synced.add(counts, changes);
        match reading.is_whole || reading.has_next().await {
            true => whole = Some(tx),
            false => tx.commit().await?,
        }
    }
    let ended = reading
        .end()
        .await
        .with_context(|| format!("reading {place}"))?;
    let summary = ended.summary;
    if summary.is_unusable() {
        bail!(
            "reading {place}: {} of {} lines could not be used; nothing was changed",
            summary.rejects,
            summary.rows + summary.rejects
        );
    }
    let listed = synced.counts.listed;
    ensure!(
        confirmed || before == 0 || listed.saturating_mul(2) >= before,
        "reading {place}: it lists {listed} accounts, and the last listing had {before}; if that is right, say so with --confirm"
    );
    let mut tx = match whole {
        Some(tx) => tx,
        None => app.store.begin().await?,
    };
    let left = tx
        .end_sync(
            &directory.realm,
            directory.complete && ended.is_sweep && !summary.truncated,
            now,
        )
        .await?;
    synced.add(
        SyncCounts {
            left: left.len() as u64,
            ..SyncCounts::default()
        },
        left,
    );
    let detail = serde_json::to_string(&synced.counts)?;
    tx.note(
        now,
        by,
        "people.synced",
        Some(&format!("realm:{}", directory.realm)),
        Some(&detail),
    )
    .await?;
    tx.commit().await?;
    Ok(synced)
}

impl Synced {
    fn add(&mut self, counts: SyncCounts, changes: Vec<DirectoryChange>) {
        let all = &mut self.counts;
        all.listed += counts.listed;
        all.joined += counts.joined;
        all.left += counts.left;
        all.moved += counts.moved;
        all.disabled += counts.disabled;
        all.enabled += counts.enabled;
        all.updated += counts.updated;
        let room = 1_000_usize.saturating_sub(self.changes.len());
        self.changes.extend(changes.into_iter().take(room));
    }
}

/// Entries apart from what could not be used. An id that is listed twice counts once: the first time.
fn sort(
    items: Vec<PeopleItem>,
    synced: &mut Synced,
    seen: &mut std::collections::HashSet<u64>,
) -> Vec<DirectoryEntry> {
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        match item {
            PeopleItem::Entry { line, entry } => {
                if seen.insert(short_hash(&entry.object_id)) {
                    entries.push(*entry);
                } else {
                    synced.reject(Reject {
                        line,
                        reason: crate::domain::finding::RejectReason::ConflictingKeys,
                    });
                }
            }
            PeopleItem::Flaw(flaw) if synced.flaws.len() < 100 => synced.flaws.push(flaw),
            PeopleItem::Flaw(_) => {}
            PeopleItem::Reject(reject) => synced.reject(reject),
        }
    }
    entries
}

impl Synced {
    fn reject(&mut self, reject: Reject) {
        self.rejected += 1;
        if self.rejects.len() < 100 {
            self.rejects.push(reject);
        }
    }
}

/// Eight bytes of an id's hash: a hundred thousand ids fit into a few megabytes.
fn short_hash(id: &str) -> u64 {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(id.to_lowercase());
    hash.first_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

//! Staff directory → people, accounts, mailboxes. Tells who joined, left, moved.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::App;
use crate::directory::people::{PeopleColumns, PeopleItem, PeopleOptions, read};
use crate::directory::{Encoding, Summary};
use crate::domain::finding::Reject;
use crate::domain::person::DirectoryEntry;
use crate::store::{DirectoryChange, SyncCounts};

const BATCH: usize = 500;

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
    let path = file.unwrap_or(&directory.file).to_owned();
    let mut options = PeopleOptions {
        columns: columns(&directory.columns)?,
        encoding: encoding(directory.code_page),
        ..PeopleOptions::default()
    };
    let now = app.clock.now();
    let (sender, mut batches) = tokio::sync::mpsc::channel::<Vec<PeopleItem>>(2);
    let reading = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || -> anyhow::Result<Summary> {
            let mut batch = Vec::with_capacity(BATCH);
            // Most exports are UTF-8 without a mark; the configured code page is for those that are not.
            if is_utf8(File::open(&path)?)? {
                options.encoding = Encoding::Utf8;
            }
            let summary = read(File::open(&path)?, &options, &mut |item| {
                batch.push(item);
                if batch.len() < BATCH {
                    return ControlFlow::Continue(());
                }
                match sender.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })?;
            // If nobody listens any more, they have their reason and will say so.
            let _ = sender.blocking_send(batch);
            Ok(summary)
        })
    };
    let mut tx = app.store.begin().await?;
    let before = tx.accounts_present(&directory.realm).await?;
    let mut synced = Synced::default();
    let mut seen = std::collections::HashSet::new();
    while let Some(items) = batches.recv().await {
        let entries = sort(items, &mut synced, &mut seen);
        let (counts, changes) = tx.sync_people(&directory.realm, &entries, now).await?;
        synced.add(counts, changes);
    }
    let summary = reading
        .await
        .context("the reader's thread")?
        .with_context(|| format!("reading {}", path.display()))?;
    if summary.is_unusable() {
        bail!(
            "reading {}: {} of {} lines could not be used; nothing was changed",
            path.display(),
            summary.rejects,
            summary.rows + summary.rejects
        );
    }
    let listed = synced.counts.listed;
    ensure!(
        confirmed || before == 0 || listed.saturating_mul(2) >= before,
        "reading {}: it lists {listed} accounts, and the last listing had {before}; if that is right, say so with --confirm",
        path.display()
    );
    let left = tx
        .end_sync(
            &directory.realm,
            directory.complete && !summary.truncated,
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

/// The columns' names, with what the config replaces.
fn columns(named: &std::collections::BTreeMap<String, String>) -> anyhow::Result<PeopleColumns> {
    let mut all = serde_json::to_value(PeopleColumns::default())?;
    for (ours, theirs) in named {
        let known = all.as_object().is_some_and(|all| all.contains_key(ours));
        ensure!(
            known,
            "[directory.columns] has {ours:?}, which is none of our columns"
        );
        if let Some(all) = all.as_object_mut() {
            all.insert(ours.clone(), theirs.clone().into());
        }
    }
    Ok(serde_json::from_value(all)?)
}

/// Whether all of a file is UTF-8. A few kilobytes are held at a time.
fn is_utf8(mut file: impl Read) -> std::io::Result<bool> {
    let mut buffer = Zeroizing::new(vec![0; 64 * 1024]);
    let mut kept = 0;
    loop {
        let count = match file.read(buffer.get_mut(kept..).unwrap_or_default()) {
            Ok(0) => return Ok(kept == 0),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = kept + count;
        kept = match std::str::from_utf8(buffer.get(..end).unwrap_or_default()) {
            Ok(_) => 0,
            // A character that goes on in the next piece.
            Err(error) if error.error_len().is_none() => {
                buffer.copy_within(error.valid_up_to()..end, 0);
                end - error.valid_up_to()
            }
            Err(_) => return Ok(false),
        };
    }
}

pub(super) fn encoding(code_page: &'static encoding_rs::Encoding) -> Encoding {
    if code_page == encoding_rs::UTF_8 {
        Encoding::Utf8
    } else {
        Encoding::Windows1252
    }
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn a_character_on_the_seam_of_two_pieces_is_still_utf8() {
        for before in [0, 65_533, 65_534, 65_535, 65_536, 131_070] {
            let text = format!("{}é€😀", "a".repeat(before));
            assert!(is_utf8(text.as_bytes()).unwrap(), "{before}");
            let cut = &text.as_bytes()[..text.len() - 1];
            assert!(!is_utf8(cut).unwrap(), "{before}");
            let ansi = [text.as_bytes(), b"M\xFCller"].concat();
            assert!(!is_utf8(&*ansi).unwrap(), "{before}");
        }
    }
}

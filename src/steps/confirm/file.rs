//! File: evidence that a directory exported, read in one piece.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::source::Opened;
use crate::app::App;
use crate::config::{EvidenceFile, EvidenceSource};
use crate::directory::evidence::{EvidenceColumns, EvidenceOptions, read};
use crate::domain::Moment;
use crate::steps::reading::{Ended, Reading};
use crate::store::{Cursor, EvidenceRead};

/// How long a file that nobody has written waits to be read again.
const UNCHANGED: TimeDelta = TimeDelta::hours(1);

/// Whether the file was written since it was last read, or that is an hour ago. Asked once: it is then taken as read.
pub(super) async fn is_due(
    app: &App,
    source: &EvidenceSource,
    own: &EvidenceFile,
) -> anyhow::Result<bool> {
    let now = app.clock.now();
    let about = tokio::fs::metadata(&own.file)
        .await
        .with_context(|| format!("reading {}", own.file.display()))?;
    let written = about
        .modified()
        .ok()
        .map(|at| Moment::from(DateTime::<Utc>::from(at)).micros());
    let this = Cursor {
        name: format!("evidence:{}", source.name),
        settings: own.file.display().to_string(),
        position: written.map(|at| format!("{at} {}", about.len())),
        swept_at: Some(now),
        read_at: now,
    };
    let mut tx = app.store.begin().await?;
    let last = tx.cursor(&this.name).await?;
    let is_known = last.is_some_and(|last| {
        last.settings == this.settings
            && last.position.is_some()
            && last.position == this.position
            && last.read_at <= now
            && now.since(last.read_at) < UNCHANGED
    });
    if !is_known {
        tx.keep_cursor(&this).await?;
    }
    tx.commit().await?;
    Ok(!is_known)
}

/// Begins to read the file at `path`, which has the form of the source's own.
pub(super) async fn open(
    source: &EvidenceSource,
    own: &EvidenceFile,
    path: &Path,
    now: Moment,
) -> anyhow::Result<Opened> {
    let path = path.to_owned();
    let (sha256, modified) = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || hash(&path)).await??
    };
    // What an export says is true as of when it was written, not as of when we look at it.
    let observed_at = modified.min(now);
    let options = EvidenceOptions {
        columns: columns(&own.columns)?,
        zone: own.time_zone,
        form: own.form,
        account: own.account.clone(),
        synchronised: own.synchronised,
        date_order: own.date_order,
        ..EvidenceOptions::observed_at(observed_at)
    };
    let file_name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(Opened {
        about: EvidenceRead {
            source: source.name.clone(),
            realm: source.realm.clone(),
            file_name,
            sha256,
            observed_at,
            read_at: now,
        },
        reading: Reading::blocking(move |sink| {
            let summary = read(File::open(&path)?, &options, &mut |item| {
                sink.put_blocking(item)
            })?;
            Ok(Ended::sweep(summary))
        }),
        cursor: None,
    })
}

fn hash(path: &Path) -> anyhow::Result<(String, Moment)> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    ensure!(about.is_file(), "this is no file");
    let modified = about
        .modified()
        .ok()
        .map_or(Moment::from_micros(i64::MAX), |at| {
            Moment::from(chrono::DateTime::<chrono::Utc>::from(at))
        });
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 65536];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(buffer.get(..count).unwrap_or_default());
    }
    Ok((HEXLOWER.encode(&hash.finalize()), modified))
}

/// The columns' names, with what the config replaces.
fn columns(named: &BTreeMap<String, String>) -> anyhow::Result<EvidenceColumns> {
    let mut all = serde_json::to_value(EvidenceColumns::default())?;
    for (ours, theirs) in named {
        let known = all.as_object().is_some_and(|all| all.contains_key(ours));
        ensure!(
            known,
            "[evidence.columns] has {ours:?}, which is none of our columns"
        );
        if let Some(all) = all.as_object_mut() {
            all.insert(ours.clone(), theirs.clone().into());
        }
    }
    Ok(serde_json::from_value(all)?)
}

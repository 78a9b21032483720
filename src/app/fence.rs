//! The fence: nothing leaves a database that was copied, or put back to an earlier time, until an operator says so.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::App;
use crate::config::{Config, StoreUrl};
use crate::domain::epoch::{Identity, Paper, mute};
use crate::store::Store;

/// The alarm of a database that is mute.
const ALARM: &str = "epoch";

/// The paper about the database, which lies outside of it.
#[derive(Debug)]
pub struct Fence {
    file: PathBuf,
    store: String,
    /// One of us at a time has the paper in hand.
    writing: Mutex<()>,
}

impl Fence {
    /// The paper that the config names. A database that nobody has ever spoken for, where no other one has been, is the one.
    pub(super) async fn settle(config: &Config, store: &Store) -> anyhow::Result<Self> {
        let fence = Self {
            file: config.epoch_file.clone(),
            store: place(&config.store),
            writing: Mutex::default(),
        };
        let own = store.read().await?.identity().await?;
        if own.is_none() && !fence.file.exists() {
            let mut tx = store.begin().await?;
            let is_ours = tx.settle_identity(&draw()).await?;
            let own = tx.identity().await?;
            tx.commit().await?;
            if let Some(own) = own.filter(|_| is_ours) {
                fence.write(&own)?;
            }
        }
        Ok(fence)
    }

    fn read(&self) -> anyhow::Result<Option<Paper>> {
        let of = || format!("reading {}", self.file.display());
        match std::fs::read(&self.file) {
            // What cannot be read says nothing, and an operator has to.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(of),
        }
    }

    /// Replaces the paper as a whole.
    fn write(&self, own: &Identity) -> anyhow::Result<()> {
        let paper = Paper {
            instance: own.instance.clone(),
            epoch: own.epoch,
            store: self.store.clone(),
            reached: own.reached,
        };
        let part = self
            .file
            .with_extension(format!("{:08x}.part", rand::random::<u32>()));
        let written = put(&part, &serde_json::to_vec_pretty(&paper)?)
            .and_then(|()| std::fs::rename(&part, &self.file));
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        written.with_context(|| {
            format!(
                "writing {}; name a place with epoch_file in [store] that the service may write to",
                self.file.display()
            )
        })
    }
}

fn put(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name that no other database has.
pub(super) fn draw() -> String {
    HEXLOWER.encode(&rand::random::<[u8; 16]>())
}

/// What tells one place of a database from another. Says nothing by itself.
fn place(store: &StoreUrl) -> String {
    let place = match store {
        StoreUrl::Sqlite(file) => std::path::absolute(file)
            .unwrap_or_else(|_| file.clone())
            .display()
            .to_string(),
        StoreUrl::Postgres { url, .. } => url.clone(),
    };
    let hash = HEXLOWER.encode(&Sha256::digest(place));
    hash.chars().take(32).collect()
}

impl App {
    /// Why nothing may leave this database, and what to do; none if all is well. To be asked before anything leaves, and again
    /// after it: the paper then knows how far the record has come.
    pub async fn mute(&self) -> anyhow::Result<Option<String>> {
        let _one_at_a_time = self.fence.writing.lock().await;
        let own = self.store.read().await?.identity().await?;
        let paper = self.fence.read()?;
        if let Some(why) = mute(own.as_ref(), &self.fence.store, paper.as_ref()) {
            let text = format!(
                "nothing is sent or posted: {why}. If this database is the one that is to speak from now on, and no other does: \
                 `bell epoch advance --reason …`"
            );
            self.alarms.raise(ALARM, &text).await;
            return Ok(Some(text));
        }
        self.alarms.clear(ALARM).await;
        if let (Some(own), Some(paper)) = (own, paper)
            && own.reached > paper.reached
        {
            self.fence.write(&own)?;
        }
        Ok(None)
    }

    /// Who the database is, and what the paper says of it.
    pub async fn epoch(&self) -> anyhow::Result<(Option<Identity>, Option<Paper>)> {
        Ok((
            self.store.read().await?.identity().await?,
            self.fence.read()?,
        ))
    }

    /// From now on this database is the one. Papers on other machines that share it have to join.
    pub async fn advance_epoch(&self, reason: &str, by: &str) -> anyhow::Result<i64> {
        let (own, paper) = self.epoch().await?;
        let before = own.map_or(0, |own| own.epoch);
        let epoch = before.max(paper.map_or(0, |paper| paper.epoch)) + 1;
        let mut tx = self.store.begin().await?;
        tx.begin_epoch(&draw(), epoch, reason, by, self.clock.now())
            .await?;
        tx.commit().await?;
        self.take_paper().await?;
        Ok(epoch)
    }

    /// This machine speaks for the database as it is, beside others that do.
    pub async fn join_epoch(&self, reason: &str, by: &str) -> anyhow::Result<i64> {
        let own = self.store.read().await?.identity().await?;
        let own = own.context("this database has no epoch yet: `bell epoch advance`")?;
        let mut tx = self.store.begin().await?;
        let detail = serde_json::json!({ "epoch": own.epoch, "reason": reason }).to_string();
        tx.note(self.clock.now(), by, "epoch.joined", None, Some(&detail))
            .await?;
        tx.commit().await?;
        self.take_paper().await?;
        Ok(own.epoch)
    }

    async fn take_paper(&self) -> anyhow::Result<()> {
        let _one_at_a_time = self.fence.writing.lock().await;
        let own = self.store.read().await?.identity().await?;
        self.fence
            .write(&own.context("the database does not know who it is")?)?;
        self.alarms.clear(ALARM).await;
        Ok(())
    }
}

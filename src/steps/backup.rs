//! The database → a file, while everything goes on; and such a file → the database, which is mute from then on.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::process::Command;

use crate::app::App;
use crate::config::{Config, StoreUrl};
use crate::domain::Moment;
use crate::store::Store;

/// A backup that was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BackedUp {
    /// Where it is.
    pub file: PathBuf,
    /// How large.
    pub bytes: u64,
}

impl std::fmt::Display for BackedUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} bytes. It holds names and addresses: keep it as you keep the database",
            self.file.display(),
            self.bytes
        )
    }
}

/// Copies the database as of this moment. Nobody who writes waits, and nothing is stopped.
pub async fn back_up(app: &App, file: &Path, by: &str) -> anyhow::Result<BackedUp> {
    ensure!(
        !file.exists(),
        "{} is there already; name another file",
        file.display()
    );
    let name = file
        .file_name()
        .with_context(|| format!("{} names no file", file.display()))?;
    let mut tx = app.store.begin().await?;
    tx.note(app.clock.now(), by, "database.backed_up", None, None)
        .await?;
    tx.commit().await?;
    let part = file.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), app.worker));
    let made = copy(app, &part).await.and_then(|()| {
        let bytes = std::fs::metadata(&part)?.len();
        std::fs::rename(&part, file)?;
        Ok(bytes)
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    Ok(BackedUp {
        file: file.to_owned(),
        bytes: made.with_context(|| format!("writing {}", file.display()))?,
    })
}

async fn copy(app: &App, part: &Path) -> anyhow::Result<()> {
    // For its owner's eyes only, before there is anything in it.
    let file = private(part)?;
    match &app.config.store {
        StoreUrl::Sqlite(_) => {
            app.store.copy_into(part).await?;
        }
        StoreUrl::Postgres { url, password } => {
            let mut dump = Command::new("pg_dump");
            dump.args(["--format=custom", "--no-owner", "--no-privileges", "--file"])
                .arg(part)
                .args(["--dbname", url.as_str()]);
            run(dump, password.as_ref()).await?;
        }
    }
    Ok(file.sync_all()?)
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Runs one of PostgreSQL's own programs. What it says names tables and servers, and no password.
async fn run(mut command: Command, password: Option<&SecretString>) -> anyhow::Result<()> {
    let name = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    if let Some(password) = password {
        command.env("PGPASSWORD", password.expose_secret());
    }
    let done = command
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("running {name}; Debian's postgresql-client has it"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!(
            "{name}: {}",
            said.lines().next().unwrap_or("it ended without a word")
        );
    }
    Ok(())
}

/// What was put back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Restored {
    /// From where.
    pub file: PathBuf,
    /// Where the database is now that was there before.
    pub aside: Option<PathBuf>,
}

impl std::fmt::Display for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "restored from {}", self.file.display())?;
        if let Some(aside) = &self.aside {
            writeln!(f, "what was there before is now {}", aside.display())?;
        }
        f.write_str(
            "it is mute: nothing is sent or posted until an operator has seen to it that no other database speaks, and says\n\
             `bell epoch advance --reason …`. Letters that went out since the backup was made are then due again: look with `bell plan`",
        )
    }
}

/// A database is there, and nobody said that it may go.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InTheWay(String);

/// Puts a backup in the place of the database. The service has to be stopped. With `force` a SQLite database that is there is
/// moved aside, and never removed.
pub async fn restore(
    config: &Config,
    file: &Path,
    force: bool,
    by: &str,
    now: Moment,
) -> anyhow::Result<Restored> {
    let aside = match &config.store {
        StoreUrl::Sqlite(target) => restore_file(file, target, force, now).await?,
        StoreUrl::Postgres { url, password } => {
            restore_tables(file, url, password.as_ref()).await?;
            None
        }
    };
    let store = App::open_store(config).await?;
    let mut tx = store.begin().await?;
    tx.forget_identity(&HEXLOWER.encode(&rand::random::<[u8; 16]>()))
        .await?;
    tx.note(now, by, "database.restored", None, None).await?;
    tx.commit().await?;
    store.close().await;
    Ok(Restored {
        file: file.to_owned(),
        aside,
    })
}

async fn restore_file(
    file: &Path,
    target: &Path,
    force: bool,
    now: Moment,
) -> anyhow::Result<Option<PathBuf>> {
    ensure!(
        file.is_file() && Store::is_copy(file).await?,
        "{} is no whole database of ours; `bell backup` makes one",
        file.display()
    );
    let part = with_ending(target, ".restoring");
    let mut to = private(&part).with_context(|| format!("making {}", part.display()))?;
    let copied = std::fs::File::open(file)
        .and_then(|mut from| std::io::copy(&mut from, &mut to))
        .and_then(|_| to.sync_all());
    let placed = copied.map_err(anyhow::Error::from).and_then(|()| {
        let aside = move_aside(target, force, now)?;
        std::fs::rename(&part, target)?;
        Ok(aside)
    });
    if placed.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    placed
}

/// The database that is there, and what SQLite keeps beside it, under another name.
fn move_aside(target: &Path, force: bool, now: Moment) -> anyhow::Result<Option<PathBuf>> {
    if !target.exists() {
        return Ok(None);
    }
    if !force {
        return Err(InTheWay(format!(
            "{} is there already: stop the service, and say --force to have it moved aside",
            target.display()
        ))
        .into());
    }
    let aside = with_ending(
        target,
        &format!(".before-{}", now.utc().format("%Y%m%dT%H%M%S%6fZ")),
    );
    ensure!(!aside.exists(), "{} is there already", aside.display());
    for beside in ["-wal", "-shm", ""] {
        let from = with_ending(target, beside);
        if from.exists() {
            std::fs::rename(&from, with_ending(&aside, beside))?;
        }
    }
    Ok(Some(aside))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

async fn restore_tables(
    file: &Path,
    url: &str,
    password: Option<&SecretString>,
) -> anyhow::Result<()> {
    ensure!(file.is_file(), "{} is no file", file.display());
    if Store::holds_tables(url, password.map(ExposeSecret::expose_secret)).await? {
        return Err(InTheWay(
            "the PostgreSQL database is not empty: stop the service, rename it there (ALTER DATABASE … RENAME TO …), and \
             create an empty one in its place"
                .to_owned(),
        )
        .into());
    }
    let mut restore = Command::new("pg_restore");
    restore
        .args([
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            "--single-transaction",
            "--dbname",
            url,
        ])
        .arg(file);
    run(restore, password).await
}

//! Sources that are asked → audits: each by its own cron line, into a file of its own that is gone once it was taken in.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::intake::{Intake, Options, intake};
use super::ways_in;
use crate::app::App;
use crate::config::{AuditSource, Fetch, Fetched};
use crate::directory::services::{Access, Audit, Manners};
use crate::domain::Moment;
use crate::domain::format::Format;
use crate::store::Cursor;

/// What the sources gave.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Gathered {
    /// Audits that were taken in.
    pub taken: Vec<Intake>,
    /// Audits that are known already.
    pub known: u64,
    /// Sources that could not be asked, or whose audits were refused, and why.
    pub failed: Vec<String>,
}

impl std::fmt::Display for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} audits fetched and taken in, {} known, {} sources failed",
            self.taken.len(),
            self.known,
            self.failed.len()
        )?;
        for failed in &self.failed {
            write!(f, "\n{failed}")?;
        }
        Ok(())
    }
}

/// When a source was last asked; none: never.
pub async fn asked_at(app: &App, source: &AuditSource) -> anyhow::Result<Option<Moment>> {
    let cursor = app.store.read().await?.cursor(&cursor_of(source)).await?;
    Ok(cursor.map(|cursor| cursor.read_at))
}

/// Asks these sources, but for those that failed a moment ago.
pub async fn fetch(app: &App, sources: &[&AuditSource]) -> anyhow::Result<Gathered> {
    let mut gathered = Gathered::default();
    for source in sources {
        let may = app.patience.may(&cursor_of(source), app.clock.now());
        if let Some(fetch) = source.fetch.as_ref().filter(|_| may) {
            one(app, source, fetch, "bell", &mut gathered).await?;
        }
    }
    Ok(gathered)
}

/// Asks one source by its name now, whenever it is due.
pub async fn now(app: &App, named: &str, by: &str) -> anyhow::Result<Gathered> {
    let source = app
        .config
        .sources
        .iter()
        .find(|source| source.name == named);
    let (source, fetch) = source
        .and_then(|source| Some((source, source.fetch.as_ref()?)))
        .with_context(|| format!("the config has no [[source]] named {named:?} with fetch"))?;
    let mut gathered = Gathered::default();
    one(app, source, fetch, by, &mut gathered).await?;
    Ok(gathered)
}

fn cursor_of(source: &AuditSource) -> String {
    format!("audit:{}", source.name)
}

async fn one(
    app: &App,
    source: &AuditSource,
    fetch: &Fetch,
    by: &str,
    gathered: &mut Gathered,
) -> anyhow::Result<()> {
    let (name, now) = (cursor_of(source), app.clock.now());
    let alarm = format!("audit.{}", source.name);
    match whole(app, source, fetch, by, gathered).await {
        Ok(()) => {
            app.patience.worked(&name);
            app.alarms.clear(&alarm).await;
        }
        // A database that is away is no fault of the source.
        Err(error)
            if error
                .chain()
                .any(|cause| cause.is::<crate::store::StoreError>()) =>
        {
            return Err(error);
        }
        Err(error) => {
            app.patience.failed(&name, now);
            let text = format!("the audits of {} do not come: {error:#}", source.name);
            app.alarms.raise(&alarm, &text).await;
            gathered.failed.push(text);
            return Ok(());
        }
    }
    let mut tx = app.store.begin().await?;
    tx.keep_cursor(&Cursor {
        name,
        settings: String::new(),
        position: None,
        swept_at: None,
        read_at: now,
    })
    .await?;
    Ok(tx.commit().await?)
}

async fn whole(
    app: &App,
    source: &AuditSource,
    fetch: &Fetch,
    by: &str,
    gathered: &mut Gathered,
) -> anyhow::Result<()> {
    let audit = match asked(source, fetch) {
        Asked::File(file) => {
            let options = Options {
                source: Some(source.name.clone()),
                ..Options::default()
            };
            return take(app, file, &options, by, gathered).await;
        }
        Asked::Service(audit) => audit,
    };
    // All of it is here before any of it is taken in. What a service of a known kind answers is known, even if it is an empty
    // list; what lies at an address could be anything.
    let format = match &fetch.what {
        Fetched::Hibp { .. } | Fetched::Graph { .. } => Some(source.kind.format),
        Fetched::File(_) | Fetched::Url { .. } => None,
    };
    let options = Options {
        source: Some(source.name.clone()),
        format,
        as_of: Some(app.clock.now()),
        ..Options::default()
    };
    let documents = audit.fetch(manners(app, fetch)?).await?;
    // Only we can look into it, and it is gone when it is dropped.
    let folder = tempfile::Builder::new()
        .prefix("bell-audit-")
        .tempdir()
        .context("making a folder for what was fetched")?;
    for (nth, document) in (1..).zip(&documents) {
        let file = folder.path().join(format!("{}-{nth}", source.name));
        std::fs::write(&file, document).context("keeping what was fetched until it is taken in")?;
        take(app, &file, &options, by, gathered).await?;
    }
    Ok(())
}

/// Who is asked.
enum Asked<'a> {
    /// A file of this machine.
    File(&'a Path),
    /// Somebody over HTTP.
    Service(Audit),
}

fn asked<'a>(source: &AuditSource, fetch: &'a Fetch) -> Asked<'a> {
    Asked::Service(match &fetch.what {
        Fetched::File(file) => return Asked::File(file),
        Fetched::Url { url, token } => Audit::Document {
            url: url.clone(),
            access: token.clone().map(Access::Own),
        },
        Fetched::Hibp { url, key } => Audit::PwnedDomain {
            url: url.clone(),
            domain: source.kind.domain.clone().unwrap_or_default(),
            stealer_logs: source.kind.format == Format::HibpStealerLogs,
            key: Access::Own(key.clone()),
        },
        Fetched::Graph {
            url,
            login_url,
            tenant,
            access: own,
        } => Audit::Risk {
            url: url.clone(),
            login_url: login_url.clone(),
            tenant: tenant.clone(),
            access: ways_in::of(own, ways_in::client),
        },
    })
}

fn manners(app: &App, fetch: &Fetch) -> anyhow::Result<Manners> {
    let read =
        |file: &PathBuf| std::fs::read(file).with_context(|| format!("reading {}", file.display()));
    Ok(Manners {
        timeout: fetch.timeout,
        patience: fetch.patience,
        clock: app.clock.clone(),
        proxy: fetch.proxy.clone(),
        ca: fetch.ca_file.as_ref().map(read).transpose()?,
    })
}

async fn take(
    app: &App,
    file: &Path,
    options: &Options,
    by: &str,
    gathered: &mut Gathered,
) -> anyhow::Result<()> {
    let intake = intake(app, file, options, by).await?;
    match intake.known {
        true => gathered.known += 1,
        false => gathered.taken.push(intake),
    }
    Ok(())
}

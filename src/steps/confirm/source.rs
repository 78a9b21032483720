//! Source: the one place that knows all kinds of evidence sources.

use std::path::Path;

use anyhow::bail;
use chrono::TimeDelta;

use super::service::Service;
use super::{file, ldap, service};
use crate::app::App;
use crate::config::{EvidenceKind, EvidenceSource};
use crate::directory::evidence::EvidenceItem;
use crate::domain::Moment;
use crate::steps::reading::{Ended, Reading};
use crate::store::{Cursor, EvidenceRead};

/// A source that is being read.
pub(super) struct Opened {
    /// What is written down about the reading.
    pub about: EvidenceRead,
    /// What it says.
    pub reading: Reading<EvidenceItem>,
    /// None: a file, whose lines count together or not at all. Else each entry is a fact of its own, saved as it comes, so
    /// that no transaction waits for a network; and where the next reading goes on is kept.
    pub cursor: Option<CursorOf>,
}

/// Whose cursor it is, and for which settings: with others everything is read anew.
pub(super) struct CursorOf {
    /// Of the source.
    pub name: String,
    /// A hash, or the settings themselves.
    pub settings: String,
    /// When everything was last read.
    pub swept_at: Option<Moment>,
}

impl CursorOf {
    /// Looks up where the last reading of a source with these settings ended. The position is none where everything is to
    /// be read: there is none, the settings are others, or all of it was last read `sweep_every` ago.
    pub async fn look_up(
        app: &App,
        source: &EvidenceSource,
        settings: String,
        sweep_every: TimeDelta,
        now: Moment,
    ) -> anyhow::Result<(Self, Option<String>)> {
        let name = format!("evidence:{}", source.name);
        let mut tx = app.store.begin().await?;
        let kept = tx.cursor(&name).await?;
        tx.commit().await?;
        let kept = kept.filter(|kept| kept.settings == settings);
        let swept_at = kept.as_ref().and_then(|kept| kept.swept_at);
        let is_fresh = swept_at.is_some_and(|at| at <= now && now.since(at) < sweep_every);
        let position = kept.and_then(|kept| kept.position).filter(|_| is_fresh);
        let own = Self {
            name,
            settings,
            swept_at,
        };
        Ok((own, position))
    }

    /// The cursor once a reading that began at `now` has ended.
    pub fn after(self, ended: &Ended, now: Moment) -> Cursor {
        let swept_at = match ended.is_sweep {
            true => Some(now),
            false => self.swept_at,
        };
        Cursor {
            name: self.name,
            settings: self.settings,
            position: ended.position.clone(),
            swept_at,
            read_at: now,
        }
    }
}

/// Begins to read a source, or `file` as if it were the source's own.
pub(super) async fn open(
    app: &App,
    source: &EvidenceSource,
    file: Option<&Path>,
    now: Moment,
) -> anyhow::Result<Opened> {
    if file.is_some() && !is_file(source) {
        bail!(
            "the source {:?} is no file; leave the file out",
            source.name
        );
    }
    match &source.kind {
        EvidenceKind::File(own) => file::open(source, own, file.unwrap_or(&own.file), now).await,
        EvidenceKind::Ldap(own) => ldap::open(app, source, own, now).await,
        EvidenceKind::Graph(own) => service::open(app, source, Service::Graph(own), now).await,
        EvidenceKind::Okta(own) => service::open(app, source, Service::Okta(own), now).await,
        EvidenceKind::Keycloak(own) => {
            service::open(app, source, Service::Keycloak(own), now).await
        }
        EvidenceKind::Google(own) => service::open(app, source, Service::Google(own), now).await,
    }
}

/// The service that a source is, if it is one.
fn service_of(source: &EvidenceSource) -> Option<Service<'_>> {
    match &source.kind {
        EvidenceKind::File(_) | EvidenceKind::Ldap(_) => None,
        EvidenceKind::Graph(own) => Some(Service::Graph(own)),
        EvidenceKind::Okta(own) => Some(Service::Okta(own)),
        EvidenceKind::Keycloak(own) => Some(Service::Keycloak(own)),
        EvidenceKind::Google(own) => Some(Service::Google(own)),
    }
}

/// Asks every service among the sources for its first page. Gives each one's name, and what is wrong.
pub(super) async fn check(app: &App) -> Vec<(&str, anyhow::Result<()>)> {
    let mut checked = Vec::new();
    for source in &app.config.evidence {
        if let Some(service) = service_of(source) {
            let result = service::check(app, source, service).await;
            checked.push((source.name.as_str(), result));
        }
    }
    checked
}

/// Whether the schedule should read it now.
pub(super) async fn is_due(app: &App, source: &EvidenceSource) -> anyhow::Result<bool> {
    match (&source.kind, service_of(source)) {
        (EvidenceKind::File(own), _) => file::is_due(app, source, own).await,
        (_, Some(service)) => service::is_due(app, source, service).await,
        (_, None) => Ok(true),
    }
}

/// Whether it is read from a file.
pub(super) fn is_file(source: &EvidenceSource) -> bool {
    match source.kind {
        EvidenceKind::File(_) => true,
        EvidenceKind::Ldap(_)
        | EvidenceKind::Graph(_)
        | EvidenceKind::Okta(_)
        | EvidenceKind::Keycloak(_)
        | EvidenceKind::Google(_) => false,
    }
}

/// What errors call it.
pub(super) fn place(source: &EvidenceSource, file: Option<&Path>) -> String {
    match (&source.kind, file) {
        (_, Some(file)) => file.display().to_string(),
        (EvidenceKind::File(own), None) => own.file.display().to_string(),
        (EvidenceKind::Ldap(own), None) => format!("[[ldap]] {:?}", own.name),
        (
            EvidenceKind::Graph(_)
            | EvidenceKind::Okta(_)
            | EvidenceKind::Keycloak(_)
            | EvidenceKind::Google(_),
            None,
        ) => format!("the source {:?}", source.name),
    }
}

//! Service: evidence from an identity service that is asked page by page.

use std::time::Duration;

use anyhow::Context;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::source::{CursorOf, Opened};
use crate::app::App;
use crate::config::{EvidenceKind, EvidenceSource, Google, Graph, Keycloak, Okta, Web};
use crate::directory::evidence::EvidenceOptions;
use crate::directory::services::{self, Manners, Reader};
use crate::domain::Moment;
use crate::domain::evidence::Synchronised;
use crate::steps::reading::{Ended, Reading};
use crate::steps::ways_in;
use crate::store::EvidenceRead;

/// Any of the services.
#[derive(Clone, Copy)]
pub(super) enum Service<'a> {
    Graph(&'a Graph),
    Okta(&'a Okta),
    Keycloak(&'a Keycloak),
    Google(&'a Google),
}

impl Service<'_> {
    const fn web(&self) -> &Web {
        match self {
            Self::Graph(own) => &own.web,
            Self::Okta(own) => &own.web,
            Self::Keycloak(own) => &own.web,
            Self::Google(own) => &own.web,
        }
    }

    /// What errors and reports call it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Graph(_) => "graph",
            Self::Okta(_) => "okta",
            Self::Keycloak(_) => "keycloak",
            Self::Google(_) => "google",
        }
    }
}

/// Begins to read a service, all of it or what changed since the last time.
pub(super) async fn open(
    app: &App,
    source: &EvidenceSource,
    service: Service<'_>,
    now: Moment,
) -> anyhow::Result<Opened> {
    let web = service.web();
    let settings = settings(&source.kind)?;
    let (cursor, position) =
        CursorOf::look_up(app, source, settings.clone(), web.sweep_every, now).await?;
    let manners = manners(app, web, web.patience)?;
    let reader = reader(app, source, service, manners, position.as_deref(), now).await?;
    Ok(Opened {
        about: EvidenceRead {
            source: source.name.clone(),
            realm: source.realm.clone(),
            file_name: service.word().to_owned(),
            // No file: what it was asked, and where, in place of bytes.
            sha256: settings.clone(),
            observed_at: now,
            read_at: now,
        },
        reading: Reading::task(move |mut sink| async move {
            let mut reader = reader;
            while let Some(items) = reader.next().await? {
                for item in items {
                    if sink.put(item).await.is_break() {
                        return Ok((sink, Ended::default()));
                    }
                }
            }
            let outcome = reader.outcome();
            let ended = Ended {
                summary: outcome.summary,
                position: outcome.position,
                is_sweep: outcome.is_sweep,
            };
            Ok((sink, ended))
        }),
        cursor: Some(cursor),
    })
}

/// Whether the schedule should ask it now: not if that was done a moment ago.
pub(super) async fn is_due(
    app: &App,
    source: &EvidenceSource,
    service: Service<'_>,
) -> anyhow::Result<bool> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let last = tx.cursor(&format!("evidence:{}", source.name)).await?;
    tx.commit().await?;
    let settings = settings(&source.kind)?;
    let is_fresh = last.is_some_and(|last| {
        last.settings == settings
            && last.read_at <= now
            && now.since(last.read_at) < service.web().every
    });
    Ok(!is_fresh)
}

/// Whether it answers, lets us in, and what the first page holds is what it should be. Nothing is kept.
pub(super) async fn check(
    app: &App,
    source: &EvidenceSource,
    service: Service<'_>,
) -> anyhow::Result<()> {
    let web = service.web();
    // Whoever checks waits for the answer.
    let manners = manners(app, web, web.timeout)?;
    let mut reader = reader(app, source, service, manners, None, app.clock.now()).await?;
    reader.next().await?;
    Ok(())
}

/// The certificates are read anew each time, as they are renewed.
fn manners(app: &App, web: &Web, patience: Duration) -> anyhow::Result<Manners> {
    let ca = match &web.ca_file {
        Some(file) => {
            Some(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?)
        }
        None => None,
    };
    Ok(Manners {
        timeout: web.timeout,
        patience,
        clock: app.clock.clone(),
        proxy: web.proxy.clone(),
        ca,
    })
}

async fn reader(
    app: &App,
    source: &EvidenceSource,
    service: Service<'_>,
    manners: Manners,
    position: Option<&str>,
    now: Moment,
) -> anyhow::Result<Reader> {
    let options = |synchronised| EvidenceOptions {
        synchronised,
        ..EvidenceOptions::observed_at(now)
    };
    let plain = options(Synchronised::default());
    let reader = match service {
        Service::Graph(own) => services::Graph {
            url: own.web.url.clone(),
            login_url: own.login_url.clone(),
            tenant: own.tenant.clone(),
            access: ways_in::of(&own.access, ways_in::client),
            delta: own.delta,
            log: own.web.log,
        }
        .reader(manners, options(own.synchronised), position),
        Service::Okta(own) => services::Okta {
            url: own.web.url.clone(),
            access: ways_in::of(&own.access, Clone::clone),
            log: own.web.log,
        }
        .reader(manners, plain, position),
        Service::Keycloak(own) => {
            let mut tx = app.store.begin().await?;
            let wanted = tx.names_in_open_cases(&source.realm).await?;
            tx.commit().await?;
            services::Keycloak {
                url: own.web.url.clone(),
                realm: own.keycloak_realm.clone(),
                access: ways_in::of(&own.access, ways_in::client),
            }
            .reader(manners, plain, wanted)
        }
        Service::Google(own) => services::Google {
            url: own.web.url.clone(),
            customer: own.customer.clone(),
            access: ways_in::of(&own.access, ways_in::account),
        }
        .reader(manners, plain, position),
    };
    Ok(reader?)
}

/// What tells one source's settings from another's; no secret is part of it.
fn settings(kind: &EvidenceKind) -> anyhow::Result<String> {
    Ok(HEXLOWER.encode(&Sha256::digest(serde_json::to_string(kind)?)))
}

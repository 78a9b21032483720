//! Incidents and statements: what the communications office tells, without names.

use axum::extract::{Path, State};

use super::{Shown, number};
use crate::desk::office::promised;
use crate::desk::roles::{Act, is_allowed};
use crate::domain::{IncidentId, StatementId};
use crate::store::{Entry, Incident, Statement};
use crate::web::Site;
use crate::web::session::Signed;
use crate::web::sheet::{Cell, Sheet, Table, link, page, plain, text};
use crate::web::sorry::Sorry;

fn may(site: &Site, act: Act, signed: &Signed) -> Result<(), Sorry> {
    is_allowed(&site.app, act, &signed.name)
        .then_some(())
        .ok_or(Sorry::NotYours)
}

/// By when an incident's next update is promised, if one is; and whether it is late.
pub(super) async fn outstanding(site: &Site, own: &Incident) -> Result<Option<String>, Sorry> {
    let now = site.app.clock.now();
    let by = promised(&site.app, own).await?;
    Ok(by.map(|by| match by <= now {
        true => format!("{}, which has passed", site.time(by)),
        false => site.time(by),
    }))
}

pub(super) async fn incidents(State(site): State<Site>, signed: Signed) -> Shown {
    may(&site, Act::IncidentRead, &signed)?;
    let all = site.app.store.read().await?.incidents().await?;
    let mut rows = Vec::new();
    for own in all {
        let next = outstanding(&site, &own).await?;
        rows.push(vec![
            link(own.reference, format!("/incidents/{}", own.id)),
            text(own.title),
            text(own.state.word()),
            text(site.time(own.opened_at)),
            text(next.unwrap_or_default()),
        ]);
    }
    let sheet = Sheet {
        title: "Incidents".to_owned(),
        tables: vec![Table {
            caption: "Newest first".to_owned(),
            heads: vec!["Reference", "Title", "State", "Opened", "Next update by"],
            rows,
            empty: "There is no incident.",
        }],
        ..Sheet::default()
    };
    page(&site, &signed, "/incidents", &sheet)
}

pub(super) async fn incident(
    State(site): State<Site>,
    signed: Signed,
    Path(id): Path<String>,
) -> Shown {
    may(&site, Act::IncidentRead, &signed)?;
    let id: IncidentId = number(&id)?;
    let mut tx = site.app.store.read().await?;
    let own = tx.incident(id).await?.ok_or(Sorry::Nothing)?;
    let statements = tx.statements(Some(id)).await?;
    let mut posts = tx.posts(None).await?;
    posts.retain(|post| post.incident == id);
    posts.sort_by_key(|post| (post.said_at.is_none(), post.said_at, post.id));
    let entries = tx.ledger_about(&[format!("incident:{id}")]).await?;
    tx.rollback().await?;
    let posts = posts.into_iter().map(|post| {
        vec![
            text(post.channel),
            text(post.what.to_string()),
            text(plain(post.state.word())),
            text(site.some_time(post.said_at)),
        ]
    });
    let mut figures = vec![
        ("State".to_owned(), own.state.word().to_owned()),
        ("Opened".to_owned(), site.time(own.opened_at)),
        ("State since".to_owned(), site.time(own.changed_at)),
    ];
    if let Some(by) = outstanding(&site, &own).await? {
        figures.push(("Next update by".to_owned(), by));
    }
    let sheet = Sheet {
        title: format!("Incident {}", own.reference),
        intro: vec![own.title],
        figures,
        tables: vec![
            listed(&site, "Statements", statements),
            Table {
                caption: "Posts".to_owned(),
                heads: vec!["Channel", "What", "State", "Said"],
                rows: posts.collect(),
                empty: "Nothing is posted yet.",
            },
            told(&site, entries),
        ],
        ..Sheet::default()
    };
    page(&site, &signed, "/incidents", &sheet)
}

pub(super) async fn statements(State(site): State<Site>, signed: Signed) -> Shown {
    may(&site, Act::StatementRead, &signed)?;
    let all = site.app.store.read().await?.statements(None).await?;
    let sheet = Sheet {
        title: "Statements".to_owned(),
        tables: vec![listed(&site, "Newest first", all)],
        ..Sheet::default()
    };
    page(&site, &signed, "/statements", &sheet)
}

pub(super) async fn statement(
    State(site): State<Site>,
    signed: Signed,
    Path(id): Path<String>,
) -> Shown {
    may(&site, Act::StatementRead, &signed)?;
    let id: StatementId = number(&id)?;
    let mut tx = site.app.store.read().await?;
    let own = tx.statement(id).await?.ok_or(Sorry::Nothing)?;
    let posts = tx.statement_posts_of(id).await?;
    let entries = tx.ledger_about(&[format!("statement:{id}")]).await?;
    tx.rollback().await?;
    let posts = posts.into_iter().map(|post| {
        vec![
            text(post.channel),
            text(post.state.word()),
            text(site.some_time(post.said_at)),
        ]
    });
    let mut figures = vec![
        ("State".to_owned(), own.state.word().to_owned()),
        ("Audience".to_owned(), own.audience.word().to_owned()),
        ("Drafted by".to_owned(), own.author.clone()),
        ("Drafted".to_owned(), site.time(own.drafted_at)),
    ];
    let mut texts = Vec::new();
    match &own.approval {
        Some(approval) => {
            figures.push(("Approved by".to_owned(), approval.by.clone()));
            figures.push(("Approved".to_owned(), site.time(approval.at)));
            texts.push(("As approved".to_owned(), approval.wording.text.clone()));
        }
        None => texts.push(("As typed".to_owned(), own.body.clone())),
    }
    if let Some(by) = &own.published_by {
        figures.push(("Published by".to_owned(), by.clone()));
        figures.push(("Published".to_owned(), site.some_time(own.published_at)));
    }
    if let Some(approval) = &own.approval {
        figures.push(("Approved as".to_owned(), approval.hash.clone()));
    }
    if let Some(later) = own.marked_by {
        texts.push((
            "Put right".to_owned(),
            format!("Statement {later} puts this one right or takes it back."),
        ));
    }
    let sheet = Sheet {
        title: format!("Statement {id}"),
        figures,
        texts,
        tables: vec![
            Table {
                caption: "Posts".to_owned(),
                heads: vec!["Channel", "State", "Said"],
                rows: posts.collect(),
                empty: "It is posted nowhere.",
            },
            told(&site, entries),
        ],
        ..Sheet::default()
    };
    page(&site, &signed, "/statements", &sheet)
}

fn listed(site: &Site, caption: &str, statements: Vec<Statement>) -> Table {
    let rows = statements.into_iter().map(|own| -> Vec<Cell> {
        let approved = own.approval.map(|approval| approval.by).unwrap_or_default();
        vec![
            link(own.id.to_string(), format!("/statements/{}", own.id)),
            text(own.kind.word()),
            text(own.audience.word()),
            text(own.state.word()),
            text(own.author),
            text(approved),
            text(site.some_time(own.published_at)),
        ]
    });
    Table {
        caption: caption.to_owned(),
        heads: vec![
            "Number",
            "Kind",
            "Audience",
            "State",
            "Drafted by",
            "Approved by",
            "Published",
        ],
        rows: rows.collect(),
        empty: "There is no statement.",
    }
}

/// What the ledger tells of something.
fn told(site: &Site, entries: Vec<Entry>) -> Table {
    let rows = entries.into_iter().map(|entry| {
        vec![
            text(site.time(entry.at)),
            text(entry.actor),
            text(entry.act),
        ]
    });
    Table {
        caption: "What the ledger says".to_owned(),
        heads: vec!["When", "Who", "What"],
        rows: rows.collect(),
        empty: "Nothing.",
    }
}

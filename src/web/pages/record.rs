//! The ledger, and how the service itself is.

use axum::extract::{Query, State};

use super::{Going, ROWS, Shown, more};
use crate::web::Site;
use crate::web::session::Signed;
use crate::web::sheet::{Sheet, Table, link, page, plain, text};

pub(super) async fn ledger(
    State(site): State<Site>,
    signed: Signed,
    Query(asked): Query<Going>,
) -> Shown {
    signed.may_see_cases()?;
    let before = asked.from.unwrap_or(i64::MAX);
    let entries = site
        .app
        .store
        .read()
        .await?
        .ledger_before(before, ROWS)
        .await?;
    let next = entries.last().map(|entry| entry.id.to_string());
    let more = more("/ledger?", next, entries.len());
    let rows = entries.into_iter().map(|entry| {
        let about = match entry.case_id {
            Some(id) => link(format!("case {id}"), format!("/cases/{id}")),
            None => text(entry.thing.unwrap_or_default()),
        };
        vec![
            text(entry.id.to_string()),
            text(site.time(entry.at)),
            text(entry.actor),
            text(entry.act),
            about,
            text(site.particulars(entry.detail.as_deref())),
        ]
    });
    let sheet = Sheet {
        title: "Ledger".to_owned(),
        tables: vec![Table {
            caption: "Who did what, newest first".to_owned(),
            heads: vec!["Row", "When", "Who", "What", "About", "Particulars"],
            rows: rows.collect(),
            empty: "Nothing happened yet.",
        }],
        more,
        ..Sheet::default()
    };
    page(&site, &signed, "/ledger", &sheet)
}

pub(super) async fn health(State(site): State<Site>, signed: Signed) -> Shown {
    signed.may_see_cases()?;
    let is_current = site.app.store.is_current().await?;
    let mut tx = site.app.store.read().await?;
    let alarms = tx.alarms().await?;
    let holds = tx.holds().await?;
    let tasks = tx.open_task_kinds().await?;
    let mut runs = Vec::new();
    for (name, _) in site.app.config.schedule.lines() {
        runs.push((name, tx.last_ended_run(name).await?));
    }
    tx.rollback().await?;
    let alarms = alarms.into_iter().map(|own| {
        vec![
            text(own.name),
            text(site.time(own.raised_at)),
            text(own.text),
        ]
    });
    let holds = holds.into_iter().map(|own| {
        let what = own.kind.unwrap_or_else(|| "the relay".to_owned());
        vec![
            text(what),
            text(site.time(own.held_at)),
            text(own.letters.to_string()),
            text(own.reason),
        ]
    });
    let runs = runs.into_iter().map(|(name, run)| {
        let (ended, went, told) = match run {
            Some(run) => (
                site.some_time(run.ended_at),
                if run.failed { "wrong" } else { "well" },
                run.result.unwrap_or_default(),
            ),
            None => (String::new(), "not yet", String::new()),
        };
        vec![text(plain(name)), text(ended), text(went), text(told)]
    });
    let tasks = tasks
        .into_iter()
        .map(|(kind, count)| vec![text(plain(&kind)), text(count.to_string())]);
    let database = match is_current {
        true => "answers, and is this version's",
        false => "is of another version",
    };
    let sheet = Sheet {
        title: "Health".to_owned(),
        figures: vec![
            ("Version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("Database".to_owned(), database.to_owned()),
        ],
        tables: vec![
            Table {
                caption: "What is wrong".to_owned(),
                heads: vec!["What", "Since", "What to do"],
                rows: alarms.collect(),
                empty: "Nothing.",
            },
            Table {
                caption: "What keeps letters back".to_owned(),
                heads: vec!["What", "Since", "Letters", "Why"],
                rows: holds.collect(),
                empty: "Nothing.",
            },
            Table {
                caption: "Steps".to_owned(),
                heads: vec!["Step", "Last ended", "It went", "What it did"],
                rows: runs.collect(),
                empty: "None is scheduled.",
            },
            Table {
                caption: "What human beings have to do".to_owned(),
                heads: vec!["What", "How much"],
                rows: tasks.collect(),
                empty: "Nothing.",
            },
        ],
        ..Sheet::default()
    };
    page(&site, &signed, "/health", &sheet)
}

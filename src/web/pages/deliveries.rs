//! Campaigns and letters: how they went out, and one letter's story. Readers are masked.

use axum::extract::{Path, Query, State};

use super::{Going, ROWS, Shown, more, number};
use crate::domain::{CampaignId, DeliveryId};
use crate::web::Site;
use crate::web::session::Signed;
use crate::web::sheet::{Sheet, Table, link, page, plain, text};
use crate::web::sorry::Sorry;

pub(super) async fn campaigns(State(site): State<Site>, signed: Signed) -> Shown {
    signed.may_see_cases()?;
    let all = site.app.store.read().await?.campaigns().await?;
    let rows = all.into_iter().rev().map(|own| {
        vec![
            link(own.reference, format!("/campaigns/{}", own.id)),
            text(own.state.word()),
            text(own.people.to_string()),
            text(own.author),
            text(site.time(own.drafted_at)),
            text(own.approved_by.unwrap_or_default()),
        ]
    });
    let sheet = Sheet {
        title: "Campaigns".to_owned(),
        tables: vec![Table {
            caption: "Newest first".to_owned(),
            heads: vec![
                "Reference",
                "State",
                "People",
                "Drafted by",
                "Drafted",
                "Approved by",
            ],
            rows: rows.collect(),
            empty: "There is no campaign.",
        }],
        ..Sheet::default()
    };
    page(&site, &signed, "/campaigns", &sheet)
}

pub(super) async fn campaign(
    State(site): State<Site>,
    signed: Signed,
    Path(id): Path<String>,
) -> Shown {
    signed.may_see_cases()?;
    let id: CampaignId = number(&id)?;
    let mut tx = site.app.store.read().await?;
    let own = tx.campaign(id).await?.ok_or(Sorry::Nothing)?;
    let states = tx.campaign_deliveries(id).await?;
    let (reset, all) = tx.campaign_progress(id).await?;
    tx.rollback().await?;
    let rows = states
        .into_iter()
        .map(|(state, count)| vec![text(plain(&state)), text(count.to_string())]);
    let mut figures = vec![
        ("State".to_owned(), own.state.word().to_owned()),
        ("People".to_owned(), own.people.to_string()),
        ("Cases".to_owned(), all.to_string()),
        ("New password proven".to_owned(), reset.to_string()),
        ("Drafted by".to_owned(), own.author),
        ("Drafted".to_owned(), site.time(own.drafted_at)),
    ];
    if let Some(by) = own.approved_by {
        figures.push(("Approved by".to_owned(), by));
        figures.push(("Approved".to_owned(), site.some_time(own.approved_at)));
    }
    figures.push(("Approved as".to_owned(), own.content_hash));
    let sheet = Sheet {
        title: format!("Campaign {}", own.reference),
        intro: own.void_reason.into_iter().collect(),
        figures,
        tables: vec![Table {
            caption: "Its letters".to_owned(),
            heads: vec!["State", "Letters"],
            rows: rows.collect(),
            empty: "None is queued yet.",
        }],
        ..Sheet::default()
    };
    page(&site, &signed, "/campaigns", &sheet)
}

pub(super) async fn deliveries(
    State(site): State<Site>,
    signed: Signed,
    Query(asked): Query<Going>,
) -> Shown {
    signed.may_see_cases()?;
    let before = DeliveryId(asked.from.unwrap_or(i64::MAX));
    let state = asked
        .state
        .as_deref()
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .filter(|word| !word.is_empty());
    let mut tx = site.app.store.read().await?;
    let states = tx.delivery_states().await?;
    let listed = tx.deliveries_before(before, state, ROWS).await?;
    tx.rollback().await?;
    let path = match state {
        Some(state) => format!("/deliveries?state={state}&"),
        None => "/deliveries?".to_owned(),
    };
    let next = listed.last().map(|own| own.id.to_string());
    let more = more(&path, next, listed.len());
    let by_state = states.into_iter().map(|(state, count)| {
        vec![
            link(plain(&state), format!("/deliveries?state={state}")),
            text(count.to_string()),
        ]
    });
    let rows = listed.into_iter().map(|own| {
        let twice = match own.possible_duplicate {
            true => "perhaps",
            false => "",
        };
        vec![
            link(own.id.to_string(), format!("/deliveries/{}", own.id)),
            text(own.kind),
            text(own.way),
            text(plain(&own.state)),
            text(site.time(own.queued_at)),
            text(own.attempts.to_string()),
            text(twice),
        ]
    });
    let sheet = Sheet {
        title: "Deliveries".to_owned(),
        tables: vec![
            Table {
                caption: "By state".to_owned(),
                heads: vec!["State", "Deliveries"],
                rows: by_state.collect(),
                empty: "Nothing was ever queued.",
            },
            Table {
                caption: state.map_or_else(
                    || "Newest first".to_owned(),
                    |state| format!("Newest first: {}", plain(state)),
                ),
                heads: vec![
                    "Number",
                    "What it says",
                    "Way",
                    "State",
                    "Queued",
                    "Tried",
                    "Arrived twice",
                ],
                rows: rows.collect(),
                empty: "There is none.",
            },
        ],
        more,
        ..Sheet::default()
    };
    page(&site, &signed, "/deliveries", &sheet)
}

pub(super) async fn delivery(
    State(site): State<Site>,
    signed: Signed,
    Path(id): Path<String>,
) -> Shown {
    signed.may_see_cases()?;
    let id: DeliveryId = number(&id)?;
    let found = site.app.store.read().await?.story(id).await?;
    let story = found.ok_or(Sorry::Nothing)?;
    let attempts = story.attempts.into_iter().map(|own| {
        let ended = match own.ended_at {
            Some(at) => site.time(at),
            None => "in flight".to_owned(),
        };
        let code = own.code.map(|code| code.to_string()).unwrap_or_default();
        vec![
            text(site.time(own.started_at)),
            text(ended),
            text(plain(own.outcome.as_deref().unwrap_or_default())),
            text(plain(own.stage.as_deref().unwrap_or_default())),
            text(code),
            text(own.reply.unwrap_or_default()),
        ]
    });
    let bounces = story.bounces.into_iter().map(|own| {
        vec![
            text(site.time(own.received_at)),
            text(own.action),
            text(own.status.unwrap_or_default()),
            text(own.reply.unwrap_or_default()),
        ]
    });
    let mut figures = vec![
        ("What it says".to_owned(), story.kind),
        ("Way".to_owned(), story.recipient.way().to_string()),
        // Masked: that is how it prints.
        ("To".to_owned(), story.recipient.to_string()),
        ("State".to_owned(), plain(&story.state)),
        ("Queued".to_owned(), site.time(story.queued_at)),
    ];
    if story.possible_duplicate {
        figures.push(("Arrived twice".to_owned(), "perhaps".to_owned()));
    }
    let sheet = Sheet {
        title: format!("Delivery {id}"),
        figures,
        tables: vec![
            Table {
                caption: "Attempts".to_owned(),
                heads: vec!["Begun", "Ended", "Outcome", "Came to", "Code", "Reply"],
                rows: attempts.collect(),
                empty: "It was not tried yet.",
            },
            Table {
                caption: "What came back".to_owned(),
                heads: vec!["Read", "What", "Code", "Words"],
                rows: bounces.collect(),
                empty: "Nothing.",
            },
        ],
        ..Sheet::default()
    };
    page(&site, &signed, "/deliveries", &sheet)
}

//! Cases, one by one: who was not reached, who is exempt. Names are masked until somebody who may asks for them; then the
//! ledger says who did, and about what.

use axum::Form;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::{Going, ROWS, Shown, more, number};
use crate::domain::CaseId;
use crate::domain::case::{CaseState, ClosedAs};
use crate::store::{CaseRow, PersonFacts, Tx};
use crate::web::Site;
use crate::web::session::Signed;
use crate::web::sheet::{Cell, Sheet, Table, Unmask, link, page, plain, text};
use crate::web::sign_in::Bare;
use crate::web::sorry::Sorry;

/// Whether names are shown as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Masked,
    Shown,
}

impl Names {
    fn of(self, person: Option<&PersonFacts>) -> String {
        match (person, self) {
            (None, _) => "operators".to_owned(),
            (Some(person), Self::Masked) => person.name.to_string(),
            (Some(person), Self::Shown) => person.name.expose().to_owned(),
        }
    }
}

/// What the form brings that asks for the names of a list.
#[derive(Deserialize)]
pub(super) struct Unmasking {
    form: String,
    #[serde(default)]
    from: i64,
    #[serde(default)]
    all: bool,
}

/// Lets somebody read names who may, and says so in the ledger before they do.
async fn note(site: &Site, signed: &Signed, form: &str, about: &str) -> Result<(), Sorry> {
    signed.brought(form)?;
    if !signed.sees_names {
        return Err(Sorry::NotYours);
    }
    let mut tx = site.app.store.begin().await?;
    let now = site.app.clock.now();
    tx.note(now, &signed.name, "names.read", Some(about), None)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn cases(
    State(site): State<Site>,
    signed: Signed,
    Query(asked): Query<Going>,
) -> Shown {
    signed.may_see_cases()?;
    let from = asked.from.unwrap_or_default();
    list(&site, &signed, from, asked.all.is_some(), Names::Masked).await
}

pub(super) async fn with_names(
    State(site): State<Site>,
    signed: Signed,
    Form(asked): Form<Unmasking>,
) -> Shown {
    let about = format!("cases:after:{}", asked.from);
    note(&site, &signed, &asked.form, &about).await?;
    list(&site, &signed, asked.from, asked.all, Names::Shown).await
}

async fn list(site: &Site, signed: &Signed, from: i64, all: bool, names: Names) -> Shown {
    let mut tx = site.app.store.read().await?;
    let cases = tx.cases(CaseId(from), !all, ROWS).await?;
    let persons = tx
        .persons(cases.iter().filter_map(|own| own.person))
        .await?;
    tx.rollback().await?;
    let path = if all { "/cases?all=true&" } else { "/cases?" };
    let next = cases.last().map(|own| own.id.to_string());
    let rows = cases.iter().map(|own| -> Vec<Cell> {
        let person = own.person.and_then(|id| persons.get(&id));
        vec![
            link(own.id.to_string(), format!("/cases/{}", own.id)),
            text(own.claim.category.word()),
            text(state(own)),
            text(names.of(person)),
            text(own.department.clone()),
            text(site.some_time(own.deadline_at)),
            text(plain(own.not_reached.as_deref().unwrap_or_default())),
        ]
    });
    let sheet = Sheet {
        title: if all { "All cases" } else { "Open cases" }.to_owned(),
        tables: vec![Table {
            caption: "By number".to_owned(),
            heads: vec![
                "Case",
                "Category",
                "State",
                "Whose",
                "Department",
                "Due",
                "Not reached",
            ],
            rows: rows.collect(),
            empty: "There is none.",
        }],
        more: more(path, next, cases.len()),
        unmask: (signed.sees_names && names == Names::Masked).then(|| Unmask {
            href: "/cases".to_owned(),
            from,
            all,
        }),
        ..Sheet::default()
    };
    page(site, signed, "/cases", &sheet)
}

/// Where a case is, in a word or two.
fn state(case: &CaseRow) -> &'static str {
    match case.state {
        CaseState::Open => "open",
        CaseState::Notified { .. } => "told",
        CaseState::Closed { closed_as, .. } => match closed_as {
            ClosedAs::Reset => "closed: reset",
            ClosedAs::Disabled => "closed: disabled",
            ClosedAs::Withdrawn => "closed: withdrawn",
        },
    }
}

pub(super) async fn case(
    State(site): State<Site>,
    signed: Signed,
    Path(id): Path<String>,
) -> Shown {
    signed.may_see_cases()?;
    one(&site, &signed, number(&id)?, Names::Masked).await
}

pub(super) async fn case_with_name(
    State(site): State<Site>,
    signed: Signed,
    Path(id): Path<String>,
    Form(bare): Form<Bare>,
) -> Shown {
    let id: CaseId = number(&id)?;
    note(&site, &signed, &bare.form, &format!("case:{id}")).await?;
    one(&site, &signed, id, Names::Shown).await
}

async fn one(site: &Site, signed: &Signed, id: CaseId, names: Names) -> Shown {
    let mut tx = site.app.store.read().await?;
    let own = tx.case(id).await?.ok_or(Sorry::Nothing)?;
    let mut tables = vec![letters(site, &mut tx, id).await?];
    tables.push(said(site, &mut tx, id).await?);
    tables.push(history(site, &mut tx, id).await?);
    let persons = tx.persons(own.person).await?;
    tx.rollback().await?;
    let person = own.person.and_then(|id| persons.get(&id));
    let mut figures = vec![
        ("Whose", names.of(person)),
        ("Category", own.claim.category.word().to_owned()),
        ("State", state(&own).to_owned()),
        ("What the directory says", plain(own.standing.word())),
        ("Department", own.department.clone()),
        ("Opened", site.time(own.opened_at)),
        ("Due", site.some_time(own.deadline_at)),
        (
            "Not reached",
            plain(own.not_reached.as_deref().unwrap_or_default()),
        ),
        ("Contained", site.some_time(own.contained_at)),
        ("Exempt until", site.some_time(own.exempt_until)),
        ("Seen to by", own.reach_by.clone().unwrap_or_default()),
        (
            "Closed because",
            own.closed_reason
                .map(|why| why.text().to_owned())
                .unwrap_or_default(),
        ),
    ];
    figures.retain(|(_, value)| !value.is_empty());
    let sheet = Sheet {
        title: format!("Case {id}"),
        figures: figures
            .into_iter()
            .map(|(label, value)| (label.to_owned(), value))
            .collect(),
        tables,
        unmask: (signed.sees_names && names == Names::Masked && person.is_some()).then(|| Unmask {
            href: format!("/cases/{id}"),
            from: 0,
            all: false,
        }),
        ..Sheet::default()
    };
    page(site, signed, "/cases", &sheet)
}

async fn letters(site: &Site, tx: &mut Tx, id: CaseId) -> Result<Table, Sorry> {
    let rows = tx.stories(id).await?.into_iter().map(|own| {
        vec![
            link(own.id.to_string(), format!("/deliveries/{}", own.id)),
            text(own.kind),
            text(own.recipient.way().word()),
            text(plain(&own.state)),
            text(site.time(own.queued_at)),
            text(own.attempts.len().to_string()),
        ]
    });
    Ok(Table {
        caption: "Letters".to_owned(),
        heads: vec![
            "Delivery",
            "What it says",
            "Way",
            "State",
            "Queued",
            "Tried",
        ],
        rows: rows.collect(),
        empty: "Nothing was written yet.",
    })
}

async fn said(site: &Site, tx: &mut Tx, id: CaseId) -> Result<Table, Sorry> {
    let rows = tx.replies(id).await?.into_iter().map(|own| {
        vec![
            text(site.time(own.said_at)),
            text(own.said.word()),
            text(own.by_way.word()),
            text(own.noted_by),
        ]
    });
    Ok(Table {
        caption: "What its person said; it closes nothing".to_owned(),
        heads: vec!["When", "What", "By", "Noted by"],
        rows: rows.collect(),
        empty: "Nothing.",
    })
}

async fn history(site: &Site, tx: &mut Tx, id: CaseId) -> Result<Table, Sorry> {
    let rows = tx.case_history(id).await?.into_iter().map(|own| {
        vec![
            text(site.time(own.at)),
            text(own.actor),
            text(own.act),
            text(site.particulars(own.detail.as_deref())),
        ]
    });
    Ok(Table {
        caption: "What the ledger says".to_owned(),
        heads: vec!["When", "Who", "What", "Particulars"],
        rows: rows.collect(),
        empty: "Nothing.",
    })
}

pub(super) async fn not_reached(State(site): State<Site>, signed: Signed) -> Shown {
    signed.may_see_cases()?;
    let all = site.app.store.read().await?.unreached(1_000).await?;
    let rows = all.into_iter().map(|own| {
        vec![
            link(own.case.to_string(), format!("/cases/{}", own.case)),
            text(plain(&own.why)),
            text(own.by.unwrap_or_else(|| "nobody yet".to_owned())),
            text(own.category),
            text(own.department),
            text(site.some_time(own.since)),
            text(site.some_time(own.deadline_at)),
        ]
    });
    let sheet = Sheet {
        title: "Not reached".to_owned(),
        intro: vec![
            "Whoever is not reached has not ignored anything. Somebody sees to it that they hear of it another way.".to_owned(),
        ],
        tables: vec![Table {
            caption: "Those whom nobody sees to first, then by their date".to_owned(),
            heads: vec![
                "Case",
                "Why",
                "Seen to by",
                "Category",
                "Department",
                "Since",
                "Due",
            ],
            rows: rows.collect(),
            empty: "Everybody was reached.",
        }],
        ..Sheet::default()
    };
    page(&site, &signed, "/not-reached", &sheet)
}

/// What the ledger keeps of an exemption.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Why {
    reason: String,
    requested_by: String,
}

pub(super) async fn exceptions(State(site): State<Site>, signed: Signed) -> Shown {
    signed.may_see_cases()?;
    let now = site.app.clock.now();
    let all = site.app.store.read().await?.exemptions(now, 1_000).await?;
    let rows = all.into_iter().map(|own| {
        let why: Why = serde_json::from_str(&own.detail).unwrap_or_default();
        vec![
            link(own.case.to_string(), format!("/cases/{}", own.case)),
            text(own.category),
            text(own.department),
            text(site.time(own.until)),
            text(why.requested_by),
            text(own.approved_by),
            text(why.reason),
        ]
    });
    let sheet = Sheet {
        title: "Exceptions".to_owned(),
        tables: vec![Table {
            caption: "In force, the next to end first".to_owned(),
            heads: vec![
                "Case",
                "Category",
                "Department",
                "Until",
                "Asked for by",
                "Approved by",
                "Reason",
            ],
            rows: rows.collect(),
            empty: "Nobody is exempt.",
        }],
        ..Sheet::default()
    };
    page(&site, &signed, "/exceptions", &sheet)
}

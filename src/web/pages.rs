//! The pages themselves, one function each: load, and say what there is.

mod cases;
mod deliveries;
mod office;
mod record;

use std::str::FromStr;

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use serde::Deserialize;

use super::Site;
use super::session::Signed;
use super::sheet::{Sheet, Table, link, page, shown, text};
use super::sorry::Sorry;

/// Rows on one page.
const ROWS: i64 = 100;

/// A page, or why not.
type Shown = Result<Html<String>, Sorry>;

/// From where a list goes on, and of what.
#[derive(Deserialize)]
struct Going {
    from: Option<i64>,
    state: Option<String>,
    all: Option<String>,
}

/// All pages.
pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/", get(overview))
        .route("/incidents", get(office::incidents))
        .route("/incidents/{id}", get(office::incident))
        .route("/statements", get(office::statements))
        .route("/statements/{id}", get(office::statement))
        .route("/campaigns", get(deliveries::campaigns))
        .route("/campaigns/{id}", get(deliveries::campaign))
        .route("/cases", get(cases::cases).post(cases::with_names))
        .route("/cases/{id}", get(cases::case).post(cases::case_with_name))
        .route("/deliveries", get(deliveries::deliveries))
        .route("/deliveries/{id}", get(deliveries::delivery))
        .route("/not-reached", get(cases::not_reached))
        .route("/exceptions", get(cases::exceptions))
        .route("/ledger", get(record::ledger))
        .route("/health", get(record::health))
}

/// The number in an address.
fn number<T: FromStr>(typed: &str) -> Result<T, Sorry> {
    typed.parse().map_err(|_| Sorry::Nothing)
}

/// Where a list that is full goes on.
fn more(path: &str, next: Option<String>, count: usize) -> Option<(String, String)> {
    let is_full = i64::try_from(count).is_ok_and(|count| count >= ROWS);
    next.filter(|_| is_full)
        .map(|from| (format!("{path}from={from}"), "Further ones".to_owned()))
}

/// How far the resets are, live.
async fn overview(State(site): State<Site>, signed: Signed) -> Shown {
    let counted = site.counted().await?;
    let mut tables = Vec::new();
    if signed.sees_cases {
        let rows = counted.open.iter().map(|own| {
            vec![
                text(own.category.as_str()),
                text(own.open.to_string()),
                text(own.overdue.to_string()),
                text(own.not_reached.to_string()),
            ]
        });
        tables.push(Table {
            caption: "Open cases by category".to_owned(),
            heads: vec!["Category", "Open", "Past their date", "Not reached"],
            rows: rows.collect(),
            empty: "No case is open.",
        });
    }
    let incidents = site.app.store.read().await?.incidents().await?;
    let mut promised = Vec::new();
    for own in incidents {
        if let Some(by) = office::outstanding(&site, &own).await? {
            promised.push(vec![
                link(own.reference, format!("/incidents/{}", own.id)),
                text(own.title),
                text(own.state.word()),
                text(by),
            ]);
        }
    }
    tables.push(Table {
        caption: "Promised updates".to_owned(),
        heads: vec!["Incident", "Title", "State", "Next update by"],
        rows: promised,
        empty: "Nobody waits for one.",
    });
    let sheet = Sheet {
        title: "Overview".to_owned(),
        intro: vec![format!("As of {}.", site.time(counted.as_of))],
        figures: shown(&counted.figures, signed.sees_cases),
        is_live: true,
        tables,
        ..Sheet::default()
    };
    page(&site, &signed, "/", &sheet)
}

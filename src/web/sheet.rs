//! Sheet: what a page shows: figures, texts and tables; and the templates that make a page of it.

use anyhow::Context;
use axum::response::Html;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use super::session::Signed;
use super::sorry::Sorry;
use super::{Site, Web};
use crate::desk::keys;
use crate::domain::Moment;
use crate::domain::figures::Figures;

/// The pages, and whether they show single cases.
const PAGES: [(&str, &str, bool); 10] = [
    ("/", "Overview", false),
    ("/incidents", "Incidents", false),
    ("/statements", "Statements", false),
    ("/campaigns", "Campaigns", true),
    ("/cases", "Cases", true),
    ("/deliveries", "Deliveries", true),
    ("/not-reached", "Not reached", true),
    ("/exceptions", "Exceptions", true),
    ("/ledger", "Ledger", true),
    ("/health", "Health", true),
];

/// One page.
#[derive(Default, Serialize)]
pub(super) struct Sheet {
    /// What it is.
    pub title: String,
    /// What it says first, a paragraph each.
    pub intro: Vec<String>,
    /// Label and value.
    pub figures: Vec<(String, String)>,
    /// Whether the figures are those that are sent on as they change.
    pub is_live: bool,
    /// Heading, and text as it was written.
    pub texts: Vec<(String, String)>,
    /// What there is a row each of.
    pub tables: Vec<Table>,
    /// Where it goes on: address and words.
    pub more: Option<(String, String)>,
    /// A form that shows names, where they are masked.
    pub unmask: Option<Unmask>,
}

/// The form that asks for names.
#[derive(Serialize)]
pub(super) struct Unmask {
    /// Where it goes.
    pub href: String,
    /// From which case on.
    pub from: i64,
    /// Whether closed ones are in the list as well.
    pub all: bool,
}

/// One table.
#[derive(Default, Serialize)]
pub(super) struct Table {
    /// What its rows are.
    pub caption: String,
    /// Of its columns.
    pub heads: Vec<&'static str>,
    /// Each as long as `heads`.
    pub rows: Vec<Vec<Cell>>,
    /// What stands in place of no rows.
    pub empty: &'static str,
}

/// One cell.
#[derive(Default, Serialize)]
pub(super) struct Cell {
    /// What it says.
    pub text: String,
    /// Where it leads, if anywhere.
    pub href: Option<String>,
}

/// A cell that only says something.
pub(super) fn text(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        href: None,
    }
}

/// A word of the flow, as a person reads it.
pub(super) fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// A cell that leads to a page of its own.
pub(super) fn link(text: impl Into<String>, href: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        href: Some(href.into()),
    }
}

/// The overview's figures: whoever sees single cases sees the counts, everybody else as much as the public may.
pub(super) fn shown(figures: &Figures, sees_cases: bool) -> Vec<(String, String)> {
    if !sees_cases {
        let lines = figures.lines().into_iter();
        return lines
            .map(|(label, value)| (label.to_owned(), value))
            .collect();
    }
    [
        ("Accounts that need a new password", figures.accounts),
        ("People concerned", figures.people),
        ("Told so far", figures.told),
        ("New password proven", figures.reset),
        ("Can no longer be used", figures.disabled),
        ("Still open", figures.open),
        ("Past their date", figures.overdue),
        ("Not reached", figures.not_reached),
    ]
    .into_iter()
    .map(|(label, count)| (label.to_owned(), count.to_string()))
    .collect()
}

/// All templates.
pub(super) struct Templates(Environment<'static>);

impl Templates {
    pub(super) fn load() -> anyhow::Result<Self> {
        let mut all = Environment::new();
        all.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, text) in [
            (
                "frame.html",
                include_str!("../../messages/page/web/frame.html"),
            ),
            (
                "sheet.html",
                include_str!("../../messages/page/web/sheet.html"),
            ),
            (
                "sign_in.html",
                include_str!("../../messages/page/web/sign_in.html"),
            ),
            (
                "verify.html",
                include_str!("../../messages/page/web/verify.html"),
            ),
        ] {
            all.add_template(name, text)
                .with_context(|| format!("messages/page/web/{name}"))?;
        }
        Ok(Self(all))
    }

    pub(super) fn render(&self, name: &str, with: Value) -> Result<String, Sorry> {
        let page = self.0.get_template(name).and_then(|own| own.render(with));
        page.map_err(|error| {
            tracing::error!("messages/page/web/{name}: {error:#}");
            Sorry::Wrong
        })
    }
}

impl Web {
    /// A time as it is read here: in the site's zone, which each page names.
    pub(super) fn time(&self, at: Moment) -> String {
        let local = self.app.calendar.local(at);
        local.format("%-d %b %Y, %H:%M").to_string()
    }

    /// The same, or nothing.
    pub(super) fn some_time(&self, at: Option<Moment>) -> String {
        at.map(|at| self.time(at)).unwrap_or_default()
    }
}

/// Makes a page for whoever has signed in. `at` is its address in the list of pages.
pub(super) fn page(
    site: &Site,
    signed: &Signed,
    at: &str,
    sheet: &Sheet,
) -> Result<Html<String>, Sorry> {
    let pages: Vec<Value> = PAGES
        .iter()
        .filter(|(_, _, of_cases)| signed.sees_cases || !of_cases)
        .map(|(href, label, _)| context! { href, label, here => *href == at })
        .collect();
    let with = context! {
        title => sheet.title,
        organisation => site.app.config.organisation.name,
        zone => site.app.calendar.zone().name(),
        now => site.time(site.app.clock.now()),
        operator => signed.name,
        form => keys::form_token(&signed.browser),
        pages,
        sheet,
    };
    site.templates.render("sheet.html", with).map(Html)
}

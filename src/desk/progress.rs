//! Progress: how far the resets are, over all or in one department, without a number from which anybody could be told.

use serde::Serialize;

use super::roles::{Act, may};
use crate::app::App;
use crate::domain::address::fold;
use crate::domain::figures::Figures;
use crate::domain::report::{DepartmentRow, Header, Readers, ReportBuilder, Surroundings};
use crate::domain::{CaseId, Moment};

/// Cases that are held at once.
const PAGE: i64 = 1_000;

/// How far it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum Progress {
    /// Over all.
    All {
        /// As of when.
        as_of: Moment,
        /// The counts of the status post.
        figures: Figures,
    },
    /// In one department; what is small is withheld as in the report.
    Department {
        /// As of when.
        as_of: Moment,
        /// Its row of the report.
        row: Box<DepartmentRow>,
    },
    /// No case is known in a department of this name.
    Unknown,
}

/// How far the resets are, as of now. Whoever reads incidents may know it.
pub async fn progress(app: &App, department: Option<&str>, by: &str) -> anyhow::Result<Progress> {
    may(app, Act::IncidentRead, None, by).await?;
    let as_of = app.clock.now();
    let mut tx = app.store.read().await?;
    let Some(wanted) = department.map(str::trim).filter(|name| !name.is_empty()) else {
        let figures = tx.figures(as_of).await?;
        return Ok(Progress::All { as_of, figures });
    };
    let mut builder = ReportBuilder::new(as_of, Readers::Wider);
    let mut after = CaseId(0);
    loop {
        let page = tx.cases_as_of(after, as_of, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.id;
        for (case, _) in &page {
            builder.case(case);
        }
    }
    let header = Header {
        organisation: app.config.organisation.name.clone(),
        scope: String::new(),
        as_of,
        generated_at: None,
        zone: app.calendar.zone(),
        product: String::new(),
        config_sha256: String::new(),
        templates_sha256: String::new(),
    };
    // The whole table is made, so that what is withheld in it is withheld here.
    let report = builder.finish(header, Surroundings::default(), None);
    let is_it = |row: &DepartmentRow| {
        row.department
            .as_deref()
            .is_some_and(|name| fold(name) == fold(wanted))
    };
    let row = report.by_department.rows.into_iter().find(is_it);
    Ok(row.map_or(Progress::Unknown, |row| Progress::Department {
        as_of,
        row: Box::new(row),
    }))
}

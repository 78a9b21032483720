//! Cases → the compliance report.

use std::path::Path;

use crate::app::App;
use crate::cli::ReportFormat;
use crate::domain::Moment;

/// Writes the report as of a moment.
pub async fn write(
    app: &App,
    as_of: Option<Moment>,
    format: ReportFormat,
    out: &Path,
) -> anyhow::Result<String> {
    let _ = (app, as_of, format, out);
    Ok("the report is not there yet".to_owned())
}

/// The scheduled report: one page in the report folder, named by its date.
pub async fn write_scheduled(app: &App) -> anyhow::Result<String> {
    let _ = app;
    Ok("the report is not there yet".to_owned())
}

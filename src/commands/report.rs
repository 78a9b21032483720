//! `bell report`: the compliance report as of a moment, in a file, or as JSON on standard output.

use super::Said;
use crate::app::App;
use crate::cli::{Cli, Report as Options, ReportFormat};
use crate::report::{Format, in_short, render_json};
use crate::steps::report::{place, put, report};

pub(super) async fn run(cli: &Cli, app: &App, options: &Options) -> anyhow::Result<Said> {
    let format = match options.format {
        ReportFormat::Html => Format::Html,
        ReportFormat::Csv => Format::Csv,
        ReportFormat::Json => Format::Json,
    };
    let report = report(app, options.as_of).await?;
    let json = serde_json::from_str(&render_json(&report)?)?;
    // Who asks for JSON here and names no file wants it here, and not in a file as well.
    if cli.json && options.out.is_none() {
        return Ok(Said::words("", json));
    }
    let out = match &options.out {
        Some(out) => out.clone(),
        None => place(app, &report, format),
    };
    put(app, &report, format, &out)?;
    let text = format!("{}: {}", out.display(), in_short(&report));
    Ok(Said::words(text, json))
}

//! `bell report`: the compliance report as of a moment, in a file, or as JSON on standard output.

use super::Said;
use crate::app::App;
use crate::cli::{Cli, Report as Options, ReportCommand, ReportFormat};
use crate::domain::Moment;
use crate::report::{Change, Format, diff, in_short, render_json};
use crate::steps::report::{place, put, report};

pub(super) async fn run(cli: &Cli, app: &App, options: &Options) -> anyhow::Result<Said> {
    if let Some(ReportCommand::Diff { from, to }) = &options.command {
        return compared(app, *from, *to).await;
    }
    let format = match options.format {
        ReportFormat::Html => Format::Html,
        ReportFormat::Csv => Format::Csv,
        ReportFormat::Json => Format::Json,
        ReportFormat::Xlsx => Format::Xlsx,
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

/// What is different between two moments.
async fn compared(app: &App, from: Moment, to: Option<Moment>) -> anyhow::Result<Said> {
    let to = to.unwrap_or_else(|| app.clock.now());
    anyhow::ensure!(
        from < to,
        "{from} is not before {to}; the earlier one comes first"
    );
    let (before, after) = (report(app, Some(from)).await?, report(app, Some(to)).await?);
    let changes = diff(&before, &after);
    let mut lines = Vec::new();
    let mut table = "";
    for change in &changes {
        if table != change.table {
            table = change.table;
            lines.push(format!("{} ({table})", change.question));
        }
        lines.push(line(change));
    }
    let text = match lines.is_empty() {
        true => format!("nothing is different between {from} and {to}"),
        false => lines.join("\n"),
    };
    Ok(Said::words(text, serde_json::to_value(&changes)?))
}

fn line(change: &Change) -> String {
    let shown = |cell: &Option<String>| match cell.as_deref() {
        None => "not there".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => text.to_owned(),
    };
    format!(
        "  {}, {}: {} → {}",
        change.row,
        change.column,
        shown(&change.before),
        shown(&change.after)
    )
}

//! Cases → the compliance report, as of a moment: the same figures whenever it is asked.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::domain::duty::{self, Verdict};
use crate::domain::report::{
    ClockFacts, ExceptionFacts, Header, Readers, Report, ReportBuilder, Surroundings,
};
use crate::domain::{CaseId, IncidentId, Moment};
use crate::report::{Format, in_short, render_csv, render_html, render_json, render_xlsx};
use crate::store::Tx;

/// Cases that are held at once.
const PAGE: i64 = 1_000;

/// The period that a report is compared with: where things stood a week before.
const PERIOD: TimeDelta = TimeDelta::days(7);

/// The report as of a moment, or of now. Nothing in it comes from the clock but that moment.
pub async fn report(app: &App, as_of: Option<Moment>) -> anyhow::Result<Report> {
    let now = app.clock.now();
    let as_of = as_of.unwrap_or(now);
    ensure!(
        as_of <= now,
        "{as_of} is still to come: what will be known then cannot be told"
    );
    // One transaction, so that every table speaks of the same rows.
    let mut tx = app.store.read().await?;
    let before = as_of.plus(-PERIOD);
    let previous = match tx.cases_as_of(CaseId(0), before, 1).await?.is_empty() {
        true => None,
        false => Some(one(app, &mut tx, before, None).await?),
    };
    let report = one(app, &mut tx, as_of, previous.as_ref()).await?;
    tx.rollback().await?;
    Ok(report)
}

/// Writes the report in one form, and answers where it is and what it says in short. What was there before is replaced
/// as a whole, or not at all.
pub async fn write(
    app: &App,
    as_of: Option<Moment>,
    format: Format,
    out: &Path,
) -> anyhow::Result<String> {
    let report = report(app, as_of).await?;
    put(app, &report, format, out)?;
    Ok(format!("{}: {}", out.display(), in_short(&report)))
}

/// The scheduled report in every form, in the report folder, named by its date.
pub async fn write_scheduled(app: &App) -> anyhow::Result<String> {
    let report = report(app, None).await?;
    for format in Format::ALL {
        put(app, &report, format, &place(app, &report, format))?;
    }
    let page = place(app, &report, Format::Html);
    Ok(format!("{}: {}", page.display(), in_short(&report)))
}

/// Where a report goes if nobody says where: `report-2026-03-09.html` in the report folder, by the site's date.
pub fn place(app: &App, report: &Report, format: Format) -> PathBuf {
    let as_of = report.header.as_of.utc();
    let date = as_of.with_timezone(&app.calendar.zone()).date_naive();
    let name = match format.extension() {
        Some(extension) => format!("report-{date}.{extension}"),
        None => format!("report-{date}"),
    };
    app.config.report.folder.join(name)
}

/// Prints a report to a file, or for CSV into a folder.
pub fn put(app: &App, report: &Report, format: Format, out: &Path) -> anyhow::Result<()> {
    let name = out
        .file_name()
        .with_context(|| format!("{} names no file", out.display()))?;
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    // Nobody may find half a report under its name.
    let part = out.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), app.worker));
    let written = match format {
        Format::Html => fill(&part, render_html(report)?.as_bytes()),
        Format::Json => fill(&part, render_json(report)?.as_bytes()),
        Format::Xlsx => fill(&part, &render_xlsx(report)?),
        Format::Csv => fill_folder(&part, &render_csv(report)?),
    };
    let written = written.and_then(|()| match format {
        Format::Html | Format::Json | Format::Xlsx => Ok(std::fs::rename(&part, out)?),
        Format::Csv => replace_folder(&part, out),
    });
    if written.is_err() {
        let _ = match format {
            Format::Html | Format::Json | Format::Xlsx => std::fs::remove_file(&part),
            Format::Csv => std::fs::remove_dir_all(&part),
        };
    }
    written.with_context(|| format!("writing {}", out.display()))
}

fn fill(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

fn fill_folder(folder: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    std::fs::create_dir(folder)?;
    files
        .iter()
        .try_for_each(|(name, text)| fill(&folder.join(name), text.as_bytes()))
}

/// Puts a folder in the place of an earlier report's. Anything else that is there stays.
fn replace_folder(part: &Path, out: &Path) -> anyhow::Result<()> {
    if !out.exists() {
        return Ok(std::fs::rename(part, out)?);
    }
    let is_ours = out.join("00-about.csv").is_file() || out.read_dir()?.next().is_none();
    ensure!(is_ours, "the folder is there, and holds no report");
    let old = part.with_extension("old");
    std::fs::rename(out, &old)?;
    std::fs::rename(part, out)?;
    Ok(std::fs::remove_dir_all(&old)?)
}

async fn one(
    app: &App,
    tx: &mut Tx,
    as_of: Moment,
    previous: Option<&Report>,
) -> anyhow::Result<Report> {
    let readers = match app.config.report.aggregate_only {
        true => Readers::AggregateOnly,
        false => Readers::Wider,
    };
    let mut builder = ReportBuilder::new(as_of, readers);
    let exceptions = count(tx, as_of, &mut builder).await?;
    let (incidents, posts) = tx.incidents_as_of(as_of).await?;
    let mut statements = tx.campaigns_as_of(as_of).await?;
    statements.extend(tx.published_as_of(as_of).await?);
    statements.extend(posts);
    let surroundings = Surroundings {
        clocks: clocks(app, tx, as_of).await?,
        deliveries: tx.deliveries_as_of(as_of).await?,
        tasks_open: tx.tasks_open_at(as_of).await?,
        exceptions,
        statements,
        incidents,
        provenance: tx.files_as_of(as_of).await?,
        ledger: tx.ledger_as_of(as_of).await?,
        ..Surroundings::default()
    };
    let header = Header {
        organisation: app.config.organisation.name.clone(),
        scope: String::new(),
        as_of,
        generated_at: None,
        zone: app.calendar.zone(),
        product: format!("Division Bell {}", env!("CARGO_PKG_VERSION")),
        config_sha256: HEXLOWER.encode(&app.config.hash()),
        templates_sha256: templates(&tx.templates_as_of(as_of).await?),
    };
    Ok(builder.finish(header, surroundings, previous))
}

/// Hands the cases to the builder, a page at a time, and gives back the exceptions.
async fn count(
    tx: &mut Tx,
    as_of: Moment,
    builder: &mut ReportBuilder,
) -> anyhow::Result<Vec<ExceptionFacts>> {
    let (mut after, mut exceptions) = (CaseId(0), Vec::new());
    loop {
        let page = tx.cases_as_of(after, as_of, PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(exceptions);
        };
        after = last.id;
        for (case, own) in page {
            builder.case(&case);
            exceptions.extend(own);
        }
    }
}

/// The legal clocks that had started by then, as they stood.
async fn clocks(app: &App, tx: &mut Tx, as_of: Moment) -> anyhow::Result<Vec<ClockFacts>> {
    let mut all = Vec::new();
    let started = tx.triggers_as_of(as_of).await?;
    let mut ids: Vec<IncidentId> = started.iter().map(|(id, ..)| *id).collect();
    ids.dedup();
    for id in ids {
        let reference = tx.incident(id).await?.map(|incident| incident.reference);
        let since: Vec<_> = started
            .iter()
            .filter(|(of, ..)| *of == id)
            .map(|(_, trigger, at)| (*trigger, *at))
            .collect();
        let decided = tx.duty_decisions_as_of(id, as_of).await?;
        let facts = duty::Facts {
            since: &since,
            decided: &decided,
            calendar: &app.calendar,
            sec: &app.sec,
        };
        let clocks = duty::clocks(&app.config.communications.duties, &facts);
        all.extend(clocks.into_iter().filter_map(|clock| {
            let decided = clock.decided.as_ref();
            Some(ClockFacts {
                name: format!(
                    "{}: {}",
                    reference.as_deref().unwrap_or_default(),
                    clock.duty.title()
                ),
                applies: decided.map(|one| one.verdict == Verdict::Reported),
                trigger_at: clock.started_at?,
                due_at: clock.due_at?,
                submitted_at: decided
                    .filter(|one| one.verdict == Verdict::Reported)
                    .map(|one| one.at),
                reference: decided.and_then(|one| one.reference.clone()),
            })
        }));
    }
    Ok(all)
}

/// One hash of all texts that letters had been made of.
fn templates(kept: &[(String, String, String)]) -> String {
    let mut all = Sha256::new();
    for (kind, locale, hash) in kept {
        all.update(format!("{kind} {locale} {hash}\n"));
    }
    HEXLOWER.encode(&all.finalize())
}

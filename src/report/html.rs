//! The report as a page: one file, no script, nothing fetched, and as good on paper as on a screen.

use minijinja::{Environment, UndefinedBehavior, Value as Context, context};
use serde::Serialize;

use super::chart::{self, capitalised};
use super::tables::{self, Column, Holds, Row, Table, Value};
use super::{ReportError, fingerprint, times};
use crate::domain::report::{Cell, Measure, Median, Ratio, Readers, Report};

/// What the figures are for.
pub const PURPOSE: &str =
    "These figures are for securing accounts. They are not for appraisal or discipline.";

/// How small numbers are treated.
pub const fn small_numbers(readers: Readers) -> &'static str {
    match readers {
        Readers::Restricted => {
            "Restricted: every number is shown, and every overdue case is listed. Do not pass this report on."
        }
        Readers::Wider => {
            "Numbers from 1 to 4 are shown as “<5”. Where one could be computed from others, another number is \
             shown as a range, or as “hidden”."
        }
        Readers::AggregateOnly => {
            "Numbers from 1 to 4 are shown as “<5”. Where one could be computed from others, another number is \
             shown as a range, or as “hidden”. No case is listed."
        }
    }
}

/// The page, in full.
pub fn render_html(report: &Report) -> Result<String, ReportError> {
    let zone = report.header.zone;
    let as_of = times::in_table(report.header.as_of, zone);
    let shown: Vec<Shown> = tables::all(report)
        .iter()
        .map(|table| Shown::of(table, report, &as_of))
        .collect();
    let mut page = Environment::new();
    page.set_undefined_behavior(UndefinedBehavior::Strict);
    page.add_template(
        "report.html",
        include_str!("../../messages/page/report.html"),
    )?;
    let chart = chart::draw(&report.burn_down, zone)?;
    let text = page.get_template("report.html")?.render(context! {
        organisation => report.header.organisation,
        scope => report.header.scope,
        as_of => times::in_full(report.header.as_of, zone),
        zone => zone.name(),
        purpose => PURPOSE,
        restricted => report.readers == Readers::Restricted,
        small_numbers => small_numbers(report.readers),
        sentences => sentences(report).iter().map(|said| unbroken(said)).collect::<Vec<_>>(),
        key_figures => key_figures(report),
        chart => chart.map(Context::from_safe_string),
        chart_note => chart_note(report),
        tables => shown,
        missing => missing(report),
        about => about(report)?,
    })?;
    Ok(text)
}

/// One table as the template sees it.
#[derive(Serialize)]
struct Shown {
    id: &'static str,
    question: &'static str,
    caption: String,
    as_of: String,
    columns: Vec<Head>,
    rows: Vec<Line>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Head {
    name: String,
    class: &'static str,
}

#[derive(Serialize)]
struct Line {
    total: bool,
    name: Printed,
    cells: Vec<Printed>,
}

/// One cell: what is read first, and what stands smaller beside or below it.
#[derive(Serialize, Default)]
struct Printed {
    text: String,
    small: String,
    class: &'static str,
}

impl Shown {
    fn of(table: &Table, report: &Report, as_of: &str) -> Self {
        // A column that says nothing in any row would only take room. The spreadsheet keeps it.
        let speaks: Vec<bool> = (0..table.columns.len())
            .map(|place| {
                let mut values = table.rows.iter().filter_map(|row| row.values.get(place));
                place == 0 || values.any(|value| !is_empty(value))
            })
            .collect();
        Self {
            id: table.file,
            question: table.question,
            caption: table.caption.clone(),
            as_of: as_of.to_owned(),
            columns: table
                .columns
                .iter()
                .zip(&speaks)
                .filter_map(|(column, speaks)| speaks.then_some(column))
                .map(|column| Head {
                    name: column.name.clone(),
                    class: class(column),
                })
                .collect(),
            rows: table
                .rows
                .iter()
                .filter_map(|row| line(table, row, &speaks, report))
                .collect(),
            notes: table.notes.clone(),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Nothing => true,
        Value::Words(text) | Value::Hash(text) => text.is_empty(),
        _ => false,
    }
}

fn line(table: &Table, row: &Row, speaks: &[bool], report: &Report) -> Option<Line> {
    let mut cells = table
        .columns
        .iter()
        .zip(&row.values)
        .zip(speaks)
        .filter_map(|(cell, speaks)| speaks.then_some(cell))
        .map(|(column, value)| printed(column, value, report));
    Some(Line {
        total: row.is_total,
        name: cells.next()?,
        cells: cells.collect(),
    })
}

const fn class(column: &Column) -> &'static str {
    match column.holds {
        Holds::Words => "words",
        Holds::Number => "number",
        Holds::Ratio => "ratio",
    }
}

fn printed(column: &Column, value: &Value, report: &Report) -> Printed {
    let (text, small) = match value {
        Value::Words(text) => (text.clone(), String::new()),
        Value::Explained(text, small) => ((*text).to_owned(), (*small).to_owned()),
        Value::Hash(text) => {
            return Printed {
                text: text.clone(),
                small: String::new(),
                class: "hash",
            };
        }
        Value::Ratio(ratio) | Value::Measure(Measure::Ratio(ratio)) => two(ratio),
        Value::Cell(cell) | Value::Measure(Measure::Count(cell)) => {
            (cell.to_string(), String::new())
        }
        Value::Measure(Measure::Median(Median::NotReached { longest })) => (
            "not reached".to_owned(),
            format!("(longest follow-up {longest})"),
        ),
        Value::Measure(Measure::Median(median)) => match median.to_string().split_once(" (") {
            Some((text, small)) => (text.to_owned(), format!("({small}")),
            None => (median.to_string(), String::new()),
        },
        Value::Measure(measure @ Measure::Lasting(_)) => (measure.to_string(), String::new()),
        Value::When(at) => (times::in_table(*at, report.header.zone), String::new()),
        Value::Lasting(lasting) => (lasting.to_string(), String::new()),
        Value::Permille(tenths) => (format!("{}.{} %", tenths / 10, tenths % 10), String::new()),
        Value::Nothing => ("–".to_owned(), String::new()),
        Value::Withheld => ("hidden".to_owned(), String::new()),
    };
    Printed {
        text: unbroken(&text),
        small: unbroken(&small),
        // Its interval is long: it stands below, also where ratios have their percentage beside them.
        class: match value {
            Value::Measure(Measure::Median(_)) => "number",
            _ => class(column),
        },
    }
}

/// No line ends between a number and its unit.
fn unbroken(text: &str) -> String {
    let mut words = text.split(' ');
    let mut joined = words.next().unwrap_or_default().to_owned();
    for word in words {
        let is_unit = matches!(
            word.trim_end_matches(['.', ',', ')', ';', ':']),
            "d" | "h" | "min" | "s" | "%"
        );
        let after_number = joined.ends_with(|last: char| last.is_ascii_digit());
        joined.push(if is_unit && after_number {
            '\u{a0}'
        } else {
            ' '
        });
        joined.push_str(word);
    }
    joined
}

/// `301 of 412` and `(73.1 %)`.
fn two(ratio: &Ratio) -> (String, String) {
    let text = ratio.to_string();
    match text.split_once(" (") {
        Some((count, percent)) => (count.to_owned(), format!("({percent}")),
        None => (text, String::new()),
    }
}

/// The report in a few sentences.
pub fn sentences(report: &Report) -> Vec<String> {
    let all = &report.by_category.total;
    if all.valid == Cell::Count(0) {
        return vec!["No account has had to be reset.".to_owned()];
    }
    let mut said = vec![match all.safe.denominator {
        Cell::Count(_) => format!("{} accounts have been made safe.", all.safe),
        _ => "Fewer than five accounts are concerned.".to_owned(),
    }];
    said.push(match &all.time_to_safe {
        Median::Hidden => String::new(),
        Median::NotReached { .. } => "Fewer than half have been made safe so far.".to_owned(),
        Median::Reached { median, .. } => {
            format!("Half were made safe within {median} of being found.")
        }
    });
    said.push(match all.on_time.denominator {
        Cell::Count(0) => "None has been due yet.".to_owned(),
        Cell::Count(_) => format!("Of those that were due, {} were done on time.", all.on_time),
        _ => String::new(),
    });
    said.push(match all.overdue {
        Cell::Count(0) => "Nothing is overdue.".to_owned(),
        Cell::Count(count) => format!(
            "{} overdue.",
            if count == 1 {
                "1 is".to_owned()
            } else {
                format!("{} are", Cell::Count(count))
            }
        ),
        Cell::Few => "Fewer than five are overdue.".to_owned(),
        Cell::Between(low, high) => format!("Between {low} and {high} are overdue."),
        Cell::Hidden => String::new(),
    });
    said.retain(|sentence| !sentence.is_empty());
    said
}

#[derive(Serialize)]
struct KeyFigure {
    name: &'static str,
    large: String,
    small: String,
}

fn key_figures(report: &Report) -> Vec<KeyFigure> {
    let all = &report.by_category.total;
    let share = |name, ratio: &Ratio| {
        let (count, _) = two(ratio);
        match ratio.percent() {
            Some(large) => KeyFigure {
                name,
                large,
                small: count,
            },
            None => KeyFigure {
                name,
                large: count,
                small: String::new(),
            },
        }
    };
    let (large, small) = match &all.time_to_safe {
        Median::Hidden => ("n/a".to_owned(), String::new()),
        Median::NotReached { longest } => {
            ("not yet".to_owned(), format!("watched for up to {longest}"))
        }
        Median::Reached { median, .. } => (median.to_string(), "from being found".to_owned()),
    };
    vec![
        share("Made safe", &all.safe),
        share("On time", &all.on_time),
        KeyFigure {
            name: "Overdue",
            large: all.overdue.to_string(),
            small: format!("of {} open", all.open),
        },
        KeyFigure {
            name: "Half made safe within",
            large,
            small,
        },
    ]
}

fn chart_note(report: &Report) -> String {
    let header = &report.header;
    let ahead: Vec<String> = report
        .burn_down
        .deadlines
        .iter()
        .filter(|mark| mark.at > header.as_of)
        .map(|mark| {
            let at = times::in_table(mark.at, header.zone);
            format!("{} {at}", capitalised(mark.category.word()))
        })
        .collect();
    let mut note = "Upright lines mark when most accounts of a category fell due.".to_owned();
    if !ahead.is_empty() {
        note.push_str(&format!(" Still ahead: {}.", ahead.join(", ")));
    }
    if report.readers != Readers::Restricted {
        note.push_str(" Numbers from 1 to 4 are all drawn alike.");
    }
    note
}

/// What this report says nothing about, so that nobody takes silence for an answer.
fn missing(report: &Report) -> Vec<&'static str> {
    let parts = [
        (report.coverage.is_empty(), "audit coverage"),
        (report.delivery.rows.is_empty(), "delivery"),
        (
            report.reminder_yield.is_empty(),
            "reminders (none is three days old)",
        ),
        (report.statements.is_empty(), "statements"),
        (report.incidents.is_empty(), "incidents"),
        (report.clocks.is_empty(), "legal clocks"),
        (report.provenance.is_empty(), "files taken in"),
        (report.ledger.is_none(), "the ledger"),
    ];
    parts
        .into_iter()
        .filter_map(|(is_missing, name)| is_missing.then_some(name))
        .collect()
}

/// Names and values of the last section. The third is whether the value is a fingerprint.
fn about(report: &Report) -> Result<Vec<(&'static str, String, bool)>, ReportError> {
    let header = &report.header;
    let units = &report.units;
    let mailboxes = match units.mailboxes_are_distinct {
        true => "each counted once",
        false => "counted once for each account that opens them",
    };
    let mut lines = vec![
        (
            "Counted",
            format!(
                "{} accounts of {} people; {} mailboxes, {mailboxes}",
                units.accounts, units.people, units.mailboxes
            ),
            false,
        ),
        (
            "Not counted",
            format!(
                "{} withdrawn; {} reopened, whose new cases count instead",
                units.withdrawn, units.reopened
            ),
            false,
        ),
        (
            "Position at",
            format!(
                "{} ({})",
                times::in_full(header.as_of, header.zone),
                header.as_of
            ),
            false,
        ),
    ];
    if let Some(made_at) = header.generated_at {
        lines.push(("Made at", times::in_full(made_at, header.zone), false));
    }
    if let Some(ledger) = &report.ledger {
        lines.push(("Newest seal of the record", ledger.head.clone(), true));
    }
    lines.extend([
        ("Made by", header.product.clone(), false),
        ("Figures, SHA-256", fingerprint(report)?, true),
        ("Configuration, SHA-256", header.config_sha256.clone(), true),
        ("Templates, SHA-256", header.templates_sha256.clone(), true),
    ]);
    Ok(lines)
}

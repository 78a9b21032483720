//! The report as a workbook for a spreadsheet: a sheet a table, with real numbers, instants and lengths of time, and headings
//! that stay in sight.
//!
//! Texts are stored as texts, so that no cell is ever run as a formula. Instants are UTC.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::ReportError;
use super::csv::{about_lines, heads};
use super::tables::{self, Column, Holds, Table, Value};
use crate::domain::moment::Moment;
use crate::domain::report::{Cell, Lasting, Measure, Median, Ratio, Report};

/// How cells look.
struct Looks {
    head: Format,
    total: Format,
    instant: Format,
    lasting: Format,
    percent: Format,
}

impl Looks {
    fn new() -> Self {
        Self {
            head: Format::new().set_bold().set_text_wrap(),
            total: Format::new().set_bold(),
            instant: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
            lasting: Format::new().set_num_format("[h]:mm:ss"),
            percent: Format::new().set_num_format("0.0%"),
        }
    }
}

/// Wide enough for an instant; words wrap or run on.
const WIDTH: f64 = 20.0;

/// The workbook's bytes: the same for the same report.
pub fn render_xlsx(report: &Report) -> Result<Vec<u8>, ReportError> {
    let looks = Looks::new();
    let mut book = Workbook::new();
    // Without, it would say when it was made, and no two would be the same.
    book.set_properties(
        &DocProperties::new()
            .set_title("Password resets: compliance report")
            .set_company(&report.header.organisation)
            .set_creation_datetime(&instant(report.header.as_of)?),
    );
    let about = about_lines(report)?
        .into_iter()
        .map(|(name, value)| vec![Content::Text(name.to_owned()), Content::Text(value)])
        .collect();
    let names = ["what", "value"].map(str::to_owned);
    sheet(book.add_worksheet(), "00-about", &names, about, &looks)?;
    burn_down(&mut book, report, &looks)?;
    for table in tables::all(report) {
        let names: Vec<String> = table.columns.iter().flat_map(heads).collect();
        let rows = rows(&table)?;
        sheet(book.add_worksheet(), table.file, &names, rows, &looks)?;
    }
    Ok(book.save_to_buffer()?)
}

fn burn_down(book: &mut Workbook, report: &Report, looks: &Looks) -> Result<(), ReportError> {
    let heads = ["at (UTC)", "weak", "attacked", "breached", "compromised"];
    let mut rows = Vec::new();
    for point in &report.burn_down.points {
        let mut row = vec![Content::Instant(instant(point.at)?)];
        row.extend(point.open.map(cell));
        rows.push(row);
    }
    let heads = heads.map(str::to_owned);
    sheet(
        book.add_worksheet(),
        "00-open-over-time",
        &heads,
        rows,
        looks,
    )
}

/// What stands in a cell.
enum Content {
    Text(String),
    Total(String),
    Number(f64),
    Instant(ExcelDateTime),
    /// In days.
    Lasting(f64),
    /// A part of one.
    Percent(f64),
    Empty,
}

fn sheet(
    sheet: &mut Worksheet,
    name: &str,
    heads: &[String],
    rows: Vec<Vec<Content>>,
    looks: &Looks,
) -> Result<(), ReportError> {
    sheet.set_name(name)?;
    sheet.set_freeze_panes(1, 1)?;
    sheet.set_landscape();
    // A4, as wide as the page.
    sheet.set_paper_size(9);
    sheet.set_print_fit_to_pages(1, 0);
    sheet.set_repeat_rows(0, 0)?;
    for (column, head) in (0_u16..).zip(heads) {
        sheet.set_column_width(column, WIDTH)?;
        sheet.write_string_with_format(0, column, head, &looks.head)?;
    }
    for (line, row) in (1_u32..).zip(rows) {
        for (column, content) in (0_u16..).zip(row) {
            put(sheet, line, column, content, looks)?;
        }
    }
    Ok(())
}

fn put(
    sheet: &mut Worksheet,
    line: u32,
    column: u16,
    content: Content,
    looks: &Looks,
) -> Result<(), XlsxError> {
    match content {
        Content::Text(text) => sheet.write_string(line, column, text)?,
        Content::Total(text) => sheet.write_string_with_format(line, column, text, &looks.total)?,
        Content::Number(number) => sheet.write_number(line, column, number)?,
        Content::Instant(at) => {
            sheet.write_datetime_with_format(line, column, &at, &looks.instant)?
        }
        Content::Lasting(days) => {
            sheet.write_number_with_format(line, column, days, &looks.lasting)?
        }
        Content::Percent(part) => {
            sheet.write_number_with_format(line, column, part, &looks.percent)?
        }
        Content::Empty => return Ok(()),
    };
    Ok(())
}

fn rows(table: &Table) -> Result<Vec<Vec<Content>>, ReportError> {
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let mut cells = Vec::new();
        for (column, value) in table.columns.iter().zip(&row.values) {
            cells.extend(values(column, value)?);
        }
        if row.is_total
            && let Some(first) = cells.first_mut()
            && let Content::Text(text) = first
        {
            *first = Content::Total(std::mem::take(text));
        }
        rows.push(cells);
    }
    Ok(rows)
}

fn values(column: &Column, value: &Value) -> Result<Vec<Content>, ReportError> {
    let ratio = match value {
        Value::Ratio(ratio) | Value::Measure(Measure::Ratio(ratio)) => Some(ratio),
        _ => None,
    };
    Ok(match (column.holds, ratio) {
        (Holds::Words | Holds::Number, _) => vec![content(value)?],
        (Holds::Ratio, Some(ratio)) => three(ratio),
        (Holds::Ratio, None) => vec![content(value)?, Content::Empty, Content::Empty],
    })
}

fn three(ratio: &Ratio) -> Vec<Content> {
    let percent = ratio
        .tenths()
        .map_or(Content::Empty, |tenths| Content::Percent(permille(tenths)));
    vec![cell(ratio.numerator), cell(ratio.denominator), percent]
}

fn cell(cell: Cell) -> Content {
    match cell.count() {
        Some(count) => number(count),
        None => Content::Text(cell.plain()),
    }
}

/// What is larger than there are people is a text: a spreadsheet would round it one day.
fn number(count: u64) -> Content {
    match u32::try_from(count) {
        Ok(small) => Content::Number(f64::from(small)),
        Err(_) => Content::Text(count.to_string()),
    }
}

fn permille(tenths: u64) -> f64 {
    u32::try_from(tenths).map_or(0.0, f64::from) / 1_000.0
}

/// To the second.
fn lasting(length: Lasting) -> Content {
    match i32::try_from(length.0 / 1_000_000) {
        Ok(seconds) => Content::Lasting(f64::from(seconds) / 86_400.0),
        Err(_) => Content::Text(length.to_string()),
    }
}

fn instant(at: Moment) -> Result<ExcelDateTime, XlsxError> {
    ExcelDateTime::from_timestamp(at.micros().div_euclid(1_000_000))
}

fn content(value: &Value) -> Result<Content, ReportError> {
    Ok(match value {
        Value::Words(text) | Value::Hash(text) => Content::Text(text.clone()),
        Value::Explained(text, _) => Content::Text((*text).to_owned()),
        Value::Cell(count) | Value::Measure(Measure::Count(count)) => cell(*count),
        Value::Ratio(ratio) | Value::Measure(Measure::Ratio(ratio)) => {
            Content::Text(ratio.to_string())
        }
        Value::Measure(Measure::Median(Median::Reached { median, .. })) => lasting(*median),
        Value::Measure(Measure::Median(other)) => Content::Text(other.to_string()),
        Value::Measure(Measure::Lasting(Some(length))) | Value::Lasting(length) => lasting(*length),
        Value::Measure(Measure::Lasting(None)) => Content::Text("not yet".to_owned()),
        Value::When(at) => Content::Instant(instant(*at)?),
        Value::Permille(tenths) => Content::Percent(permille(*tenths)),
        Value::Nothing => Content::Empty,
        Value::Withheld => Content::Text("hidden".to_owned()),
    })
}

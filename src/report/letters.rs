//! Printed letters: one sheet a person by building, and the tick sheet that goes with them, on paper and as CSV.
//!
//! A sheet shows its content to nobody but its reader: through the envelope's window only the address can be read, and the
//! tick sheet says neither what a letter is about nor how bad it is.

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::ReportError;
use super::csv::write;

/// One letter, ready to be printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sheet {
    /// What its reader can have looked up.
    pub reference: String,
    /// Their name.
    pub name: String,
    /// Where they work.
    pub department: String,
    /// Where it is left.
    pub room: String,
    /// The day of the letter, in words.
    pub date: String,
    /// Its subject.
    pub subject: String,
    /// Its text: paragraphs are lines, headings are in capitals.
    pub text: String,
}

/// Lines that belong together.
#[derive(Serialize)]
struct Block<'a> {
    is_heading: bool,
    lines: Vec<&'a str>,
}

#[derive(Serialize)]
struct Printed<'a> {
    reference: &'a str,
    name: &'a str,
    department: &'a str,
    room: &'a str,
    date: &'a str,
    subject: &'a str,
    blocks: Vec<Block<'a>>,
}

impl<'a> Printed<'a> {
    fn new(sheet: &'a Sheet) -> Self {
        Self {
            reference: &sheet.reference,
            name: &sheet.name,
            department: &sheet.department,
            room: &sheet.room,
            date: &sheet.date,
            subject: &sheet.subject,
            blocks: blocks(&sheet.text),
        }
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    text.split("\n\n")
        .map(|block| {
            let lines: Vec<&str> = block
                .lines()
                .filter(|line| !line.trim().is_empty())
                .collect();
            let is_heading = matches!(lines.as_slice(), [line] if is_heading(line));
            Block { is_heading, lines }
        })
        .filter(|block| !block.lines.is_empty())
        .collect()
}

fn is_heading(line: &str) -> bool {
    let letters = || line.chars().filter(|c| c.is_alphabetic());
    letters().count() >= 4 && letters().all(char::is_uppercase)
}

/// What the page and the sheet of one building see.
#[derive(Serialize)]
struct Round<'a> {
    organisation: &'a str,
    building: &'a str,
    date: &'a str,
    letters: Vec<Printed<'a>>,
}

fn render(
    name: &'static str,
    source: &'static str,
    round: &Round<'_>,
) -> Result<String, ReportError> {
    let mut page = Environment::new();
    page.set_undefined_behavior(UndefinedBehavior::Strict);
    // By its name it escapes what is put into it.
    page.add_template(name, source)
        .and_then(|()| page.get_template(name)?.render(round))
        .map_err(ReportError::Letters)
}

/// The letters of one building as one self-contained page: one sheet a person.
pub fn render_letters(
    organisation: &str,
    building: &str,
    date: &str,
    letters: &[Sheet],
) -> Result<String, ReportError> {
    let round = Round {
        organisation,
        building,
        date,
        letters: letters.iter().map(Printed::new).collect(),
    };
    render(
        "letters.html",
        include_str!("../../messages/page/letters.html"),
        &round,
    )
}

/// The tick sheet of one building, to be printed.
pub fn render_tick_sheet(
    organisation: &str,
    building: &str,
    date: &str,
    letters: &[Sheet],
) -> Result<String, ReportError> {
    let round = Round {
        organisation,
        building,
        date,
        letters: letters.iter().map(Printed::new).collect(),
    };
    render(
        "sheet.html",
        include_str!("../../messages/page/sheet.html"),
        &round,
    )
}

/// The tick sheet of one building as CSV. `bell case told --csv` reads it back.
pub fn render_tick_csv(letters: &[Sheet]) -> Result<String, ReportError> {
    let head = ["reference", "name", "room", "told", "date", "by", "note"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for letter in letters {
        let mut row = vec![
            letter.reference.clone(),
            letter.name.clone(),
            letter.room.clone(),
        ];
        row.resize(head.len(), String::new());
        rows.push(row);
    }
    write("tick sheet", rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(name: &str) -> Sheet {
        Sheet {
            reference: "DB-2603-K7M4".to_owned(),
            name: name.to_owned(),
            department: "Table & Office".to_owned(),
            room: "=HYPERLINK(1)".to_owned(),
            date: "2 March 2026".to_owned(),
            subject: "Security notice DB-2603-K7M4: please call us".to_owned(),
            text: "Dear X,\n\nSomeone else has used it.\n\nWHAT TO DO NOW\n\n1. Call.\n2. Come.\n\nSam\nTeam"
                .to_owned(),
        }
    }

    #[test]
    fn a_hostile_name_is_text_on_paper_and_in_a_spreadsheet() {
        let letters = [sheet("<script>alert(1)</script> \"Zo\" O'Brien")];
        let page = render_letters("Org <b>", "Main & East", "2 March 2026", &letters).unwrap();
        let paper = render_tick_sheet("Org <b>", "Main & East", "2 March 2026", &letters).unwrap();
        for html in [&page, &paper] {
            assert!(
                !html.contains("<script>") && !html.contains("Org <b>"),
                "{html}"
            );
            assert!(html.contains("&lt;script&gt;"), "{html}");
        }
        let csv = render_tick_csv(&[sheet("=cmd|' /C calc'!A0"), sheet("@SUM(1)")]).unwrap();
        let mut rows = ::csv::Reader::from_reader(csv.as_bytes());
        for row in rows.records() {
            for cell in row.unwrap().iter() {
                assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
            }
        }
    }

    #[test]
    fn the_outside_shows_an_address_and_the_round_shows_no_content() {
        let letters = [sheet("Amina Clarke")];
        let page = render_letters("Org", "Main", "2 March 2026", &letters).unwrap();
        let (_, rest) = page.split_once("<address>").unwrap();
        let (address, inside) = rest.split_once("</address>").unwrap();
        assert!(address.contains("Amina Clarke") && address.contains("Table &amp; Office"));
        assert!(!address.contains("Security") && !address.contains("DB-2603"));
        assert!(
            inside.contains("<h2>WHAT TO DO NOW</h2>") && inside.contains("1. Call.<br>2. Come.")
        );
        for round in [
            render_tick_sheet("Org", "Main", "2 March 2026", &letters).unwrap(),
            render_tick_csv(&letters).unwrap(),
        ] {
            assert!(round.contains("DB-2603-K7M4"));
            for word in ["Someone", "used", "Security notice", "password"] {
                assert!(!round.contains(word), "{word}: {round}");
            }
        }
        assert!(!page.contains("http"), "it fetches nothing");
    }
}

//! Mapped CSV, any producer and version: a table whose mapping says what its columns mean.
//!
//! RFC 4180 with `,` `;` `|` or tab. Only the mapped cells are ever looked at; the others are passed over as bytes. A row
//! with more cells than the header is rejected: a delimiter inside an unquoted password has shifted its cells, and part of
//! the password may be in a column that is kept.

use std::io::Read;

use super::dates::Dates;
use super::decode::{Bytes, Charset, Lines};
use super::detect::{By, Head, Look, Refusal, Shape};
use super::mapping::{Column, KeyColumn, Mapping, Verdict, header};
use super::records::{Cells, Record};
use super::table::{self, TableHead};
use super::{AuditError, Format, ReadOptions, Sink, SkipReason, nt};
use crate::domain::address::{EmailAddress, fold, is_bidi};
use crate::domain::finding::{AuditRow, RejectReason, Severity, Weakness};
use crate::domain::identity::{Key, KeyKind};

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mapping = options.mapping.ok_or(AuditError::Needs {
        format: Format::MappedCsv,
        what: "a mapping file that says what the columns mean",
    })?;
    let bytes = Bytes::open(input, mapping.encoding, options.code_page)?;
    if bytes.empty {
        return Err(Refusal::Empty.into());
    }
    let charset = bytes.charset();
    let (mut records, head) =
        table::open(Lines::new(bytes), mapping.skip_lines, mapping.delimiter)?;
    let table = Table::new(mapping, &head, charset, options)?;
    while let Some(record) = records.next()? {
        match record {
            Record::TooLong { line } => {
                sink.record();
                sink.reject(line, RejectReason::TooLong)?;
            }
            Record::Open { line } => {
                sink.record();
                sink.reject(line, RejectReason::Truncated)?;
            }
            Record::Whole { cells, .. } if cells.is_blank() => {}
            Record::Whole { line, cells, ended } => {
                sink.record();
                let width = head.names.len();
                if cells.len() > width {
                    sink.reject(line, RejectReason::Malformed)?;
                } else if cells.len() < width && !ended {
                    sink.reject(line, RejectReason::Truncated)?;
                } else {
                    match table.row(line, &cells) {
                        Ok(Found::Rows(rows)) if rows.is_empty() => {
                            sink.skip(line, SkipReason::NoFlag)?;
                        }
                        Ok(Found::Rows(rows)) => {
                            for row in rows {
                                sink.row(row)?;
                            }
                        }
                        Ok(Found::Ignored) => sink.skip(line, SkipReason::Ignored)?,
                        Err(reason) => sink.reject(line, reason)?,
                    }
                }
            }
        }
    }
    Ok(())
}

/// Any table is one, if nothing else claims it.
pub(super) fn look(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Lines) {
        return no;
    }
    match head.columns() {
        [] | [_] => Look::no(1, "its first line has no comma, semicolon, bar or tab"),
        columns => Look::yes(
            By::Any,
            format!(
                "a table of {} columns, which needs a mapping file",
                columns.len()
            ),
        ),
    }
}

/// Where the mapping's columns are in this table.
struct Table<'a> {
    charset: Charset,
    dates: Dates,
    keys: Vec<(KeyColumn, usize)>,
    detail: Option<usize>,
    severity: Option<usize>,
    as_of: Option<usize>,
    verdict: &'a Verdict,
    /// The verdict's column, or those of the flags, in the mapping's order.
    verdict_at: Vec<usize>,
}

/// What a row says.
enum Found {
    Rows(Vec<AuditRow>),
    Ignored,
}

impl<'a> Table<'a> {
    fn new(
        mapping: &'a Mapping,
        head: &TableHead,
        charset: Charset,
        options: &ReadOptions<'_>,
    ) -> Result<Self, AuditError> {
        if matches!(head.names.as_slice(), [only] if only == "length") {
            return Err(Refusal::LengthColumn.into());
        }
        for column in mapping.columns() {
            place(column, head)?;
        }
        let at = |column: &Option<Column>| {
            column
                .as_ref()
                .map(|column| place(column, head))
                .transpose()
        };
        Ok(Self {
            charset,
            dates: Dates {
                forms: mapping.date_forms.clone(),
                zone: mapping
                    .time_zone
                    .or(options.time_zone)
                    .unwrap_or(chrono_tz::Tz::UTC),
            },
            keys: mapping
                .keys
                .iter()
                .map(|(kind, column)| Ok((*kind, place(column, head)?)))
                .collect::<Result<_, AuditError>>()?,
            detail: at(&mapping.detail)?,
            severity: at(&mapping.severity)?,
            as_of: at(&mapping.as_of)?,
            verdict: &mapping.verdict,
            verdict_at: match &mapping.verdict {
                Verdict::Always(_) => Vec::new(),
                Verdict::Text(column, _) => vec![place(column, head)?],
                Verdict::Flags(flags, _) => flags
                    .iter()
                    .map(|(column, _)| place(column, head))
                    .collect::<Result<_, AuditError>>()?,
            },
        })
    }

    /// The findings of one row: one, or one a flag.
    fn row(&self, line: u64, cells: &Cells<'_>) -> Result<Found, RejectReason> {
        let keys = self.keys(cells)?;
        let Some(weaknesses) = self.weaknesses(cells)? else {
            return Ok(Found::Ignored);
        };
        let bad_as_of = match self.text(self.as_of, cells)? {
            Some(text) => Some(self.dates.read(&text).ok_or(RejectReason::BadDate)?),
            None => None,
        };
        let severity = self
            .text(self.severity, cells)?
            .and_then(|word| Severity::from_word(&word));
        let detail = self
            .text(self.detail, cells)?
            .and_then(|text| printable(&text));
        Ok(Found::Rows(
            weaknesses
                .into_iter()
                .map(|weakness| AuditRow {
                    line,
                    keys: keys.clone(),
                    weakness,
                    detail: detail.clone(),
                    severity,
                    bad_as_of,
                    discovered_at: None,
                    baseline: None,
                    history_unless_known: false,
                })
                .collect(),
        ))
    }

    /// All keys of a row. A cell that is no address is passed over if another cell names the account.
    fn keys(&self, cells: &Cells<'_>) -> Result<Vec<Key>, RejectReason> {
        let mut keys = Vec::new();
        let mut bad_address = false;
        for (kind, at) in &self.keys {
            let Some(text) = self.text(Some(*at), cells)? else {
                continue;
            };
            match kind {
                KeyColumn::Of(KeyKind::Email) if EmailAddress::parse(&text).is_err() => {
                    bad_address = true
                }
                KeyColumn::Of(kind) => keys.extend(Key::new(*kind, &text)),
                KeyColumn::Login => {
                    let name = nt::login(&text).ok_or(RejectReason::Malformed)?;
                    keys.extend(Key::login(name));
                }
            }
        }
        match (keys.is_empty(), bad_address) {
            (true, true) => Err(RejectReason::BadAddress),
            (true, false) => Err(RejectReason::NoKey),
            (false, _) => Ok(keys),
        }
    }

    /// What is wrong with a row's account; none if the mapping says to leave the verdict out.
    fn weaknesses(&self, cells: &Cells<'_>) -> Result<Option<Vec<Weakness>>, RejectReason> {
        match self.verdict {
            Verdict::Always(weakness) => Ok(Some(vec![*weakness])),
            Verdict::Text(_, meanings) => {
                let text = self.text(self.verdict_at.first().copied(), cells)?;
                let meaning = text.and_then(|text| meanings.get(&fold(&text)).copied());
                meaning
                    .ok_or(RejectReason::UnknownVerdict)
                    .map(|weakness| weakness.map(|weakness| vec![weakness]))
            }
            Verdict::Flags(flags, true_values) => {
                let mut set = Vec::new();
                for ((_, weakness), at) in flags.iter().zip(&self.verdict_at) {
                    let text = self.text(Some(*at), cells)?;
                    if text.is_some_and(|text| true_values.contains(&fold(&text))) {
                        set.push(*weakness);
                    }
                }
                Ok(Some(set))
            }
        }
    }

    /// A mapped cell's text, trimmed; none if there is none.
    fn text(&self, at: Option<usize>, cells: &Cells<'_>) -> Result<Option<String>, RejectReason> {
        let Some(cell) = at.and_then(|at| cells.get(at)) else {
            return Ok(None);
        };
        let text = self.charset.text(cell).ok_or(RejectReason::BadEncoding)?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

fn place(column: &Column, head: &TableHead) -> Result<usize, AuditError> {
    let wanted = header(&column.name);
    head.names
        .iter()
        .position(|name| *name == wanted)
        .ok_or_else(|| AuditError::MissingColumn {
            line: head.line,
            column: column.name.clone(),
            setting: column.setting.clone(),
        })
}

/// A detail that may be kept: one line of at most 200 characters. What could be a hash is dropped.
fn printable(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .filter(|c| !is_bidi(*c))
        .take(200)
        .collect();
    (!nt::holds_hash(&text) && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Item, Summary};

    const VERDICTS: &str = "[verdicts]\nweak = \"weak/cracked\"\nok = \"ignore\"\n";

    fn table(settings: &str, csv: &[u8]) -> Result<(Vec<Item>, Summary), AuditError> {
        let mapping = Mapping::parse(&format!(
            "{settings}\n[columns]\nemail = \"Mail\"\naccount = \"Login\"\nverdict = \"Verdict\"\nas_of = \"Found\"\ndetail = \"Note\"\nsecret_columns = [\"Pass\"]\n{VERDICTS}"
        ))
        .unwrap();
        let options = ReadOptions {
            mapping: Some(&mapping),
            ..ReadOptions::default()
        };
        read_all(Format::MappedCsv, csv, &options)
    }

    const HEAD: &str = "Mail,Login,Verdict,Found,Pass,Note\n";

    #[test]
    fn a_row_is_a_finding_or_says_why_not() {
        for (row, expected) in [
            ("a@b.example,,weak,2026-02-05,FAKE-x,n\n", "weak/cracked"),
            ("a@b.example,PARL\\ada,WEAK ,,FAKE-x\r\n", "weak/cracked"),
            ("n/a,PARL\\ada,weak,,,\n", "weak/cracked"),
            ("a@b.example,,weak,,FAKE-x,n", "weak/cracked"),
            ("a@b.example,,weak,,FAKE", "truncated"),
            ("a@b.example,,weak,,\"FAKE-x,n\n", "truncated"),
            ("n/a,,weak,,,\n", "bad_address"),
            (",,weak,,,\n", "no_key"),
            ("a@b.example,,bad,,,\n", "unknown_verdict"),
            ("a@b.example,,,,,\n", "unknown_verdict"),
            ("a@b.example,,ok,,,\n", "ignored"),
            ("a@b.example,,weak,5.2.2026,,\n", "bad_date"),
            ("a@b.example,,weak,,FAKE,x,n\n", "malformed"),
            (",e4c62a4c4febfe31cdb0ba3e3a8f0235,weak,,,\n", "malformed"),
        ] {
            let (items, _) = table("", format!("{HEAD}{row}").as_bytes()).unwrap();
            assert_eq!(outcomes(&items), [expected], "{row:?}");
        }
    }

    #[test]
    fn a_detail_is_one_printable_line_and_never_a_hash() {
        let detail = |note: &str| {
            let csv = format!("{HEAD}a@b.example,,weak,,,\"{note}\"\n");
            match table("", csv.as_bytes()).unwrap().0.remove(0) {
                Item::Row(row) => row.detail,
                Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => panic!("no finding"),
            }
        };
        assert_eq!(detail("one\ntwo\u{202E}").as_deref(), Some("one two"));
        assert_eq!(detail("NT e4c62a4c4febfe31cdb0ba3e3a8f0235"), None);
        assert_eq!(detail(" "), None);
    }

    #[test]
    fn line_numbers_are_those_an_editor_shows() {
        let csv = format!(
            "{HEAD}\r\n\n,,weak,,\"a\nb\",\r\n,,weak,,,\r\n{}\n,,weak,,,",
            "x".repeat(70_000)
        );
        for step in [1, 2, 5000, 1 << 20] {
            let mapping =
                Mapping::parse("constant_verdict = \"weak/cracked\"\n[columns]\nemail = \"Mail\"")
                    .unwrap();
            let options = ReadOptions {
                mapping: Some(&mapping),
                ..ReadOptions::default()
            };
            let mut rejects = Vec::new();
            let input = crate::audit::tests::Trickle {
                rest: csv.as_bytes(),
                step,
            };
            crate::audit::read(Format::MappedCsv, input, &options, &mut |item| {
                if let Item::Reject(reject) = item {
                    rejects.push((reject.line, reject.reason.word()));
                }
                Ok(())
            })
            .unwrap();
            assert_eq!(
                rejects,
                [(4, "no_key"), (6, "no_key"), (7, "too_long"), (8, "no_key")],
                "step {step}"
            );
        }
    }

    #[test]
    fn delimiters_marks_and_headers_are_found_as_people_write_them() {
        for csv in [
            "sep=;\r\nMail;Login;Verdict;Found;Pass;Note\r\na@b.example;;weak;;;\r\n",
            "#TYPE Selected.Thing\n\"Mail\"\t\"Login\"\t\" VERDICT \"\t\"Found\"\t\"Pass\"\t\"Note\"\na@b.example\t\tweak\t\t\t\n",
            "\u{FEFF}mail|login|verdict|found|pass|note|Mail\na@b.example||weak||||c@d.example\n",
            "Mail,Login,Verdict,Found,\"Pass\nword\",Note\na@b.example,,weak,,,\n",
        ] {
            let (items, _) = table("", csv.as_bytes()).unwrap();
            assert_eq!(outcomes(&items), ["weak/cracked"], "{csv:?}");
            let Item::Row(row) = &items[0] else {
                panic!("no finding")
            };
            assert_eq!(row.keys[0].given, "a@b.example");
        }
    }

    #[test]
    fn a_header_that_does_not_fit_is_refused_with_the_setting_to_mend() {
        for (csv, expected) in [
            (
                "Mail,Verdict\n",
                "line 1: the header has no column \"Login\", which the mapping names in columns.account",
            ),
            ("\"Length\"\n\"11\"\n", "Length"),
            ("\n\n", "ends before its header"),
            ("\"Mail,Login", "ends before its header"),
        ] {
            let refused = table("", csv.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(expected), "{csv:?}: {refused}");
        }
        let long = format!("\"{}", "Mail,\n".repeat(20_000));
        let refused = table("", long.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("never closed"), "{refused}");
    }

    #[test]
    fn a_declared_encoding_is_held_to() {
        let row = [HEAD.as_bytes(), b",PARL\\m\xFCllerj,weak,,\xFF,\n"].concat();
        assert_eq!(
            outcomes(&table("encoding = \"utf-8\"", &row).unwrap().0),
            ["bad_encoding"]
        );
        for settings in ["encoding = \"windows-1252\"", ""] {
            let (items, _) = table(settings, &row).unwrap();
            let Item::Row(row) = &items[0] else {
                panic!("no finding")
            };
            assert_eq!(row.keys[0].given, r"PARL\müllerj");
        }
        let wide: Vec<u8> = format!("{HEAD},PARL\\müllerj,weak,,,\n")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(
            outcomes(&table("encoding = \"utf-16le\"", &wide).unwrap().0),
            ["weak/cracked"]
        );
    }

    #[test]
    fn an_open_quotation_mark_costs_its_neighbours_but_not_the_file() {
        let mut csv = format!("{HEAD}a@b.example,,weak,,\"FAKE-x,n\n");
        for _ in 0..3000 {
            csv.push_str("c@d.example,,weak,,FAKE-yyyyyyyyyyyyyyyyy,n\n");
        }
        let (items, summary) = table("", csv.as_bytes()).unwrap();
        assert_eq!(outcomes(&items)[0], "too_long");
        assert!(summary.incomplete && summary.rows > 1000, "{summary:?}");
    }
}

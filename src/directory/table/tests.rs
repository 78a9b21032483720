//! Dialects of CSV, damaged files, and files that are no table.

use super::*;
use crate::directory::bytes::BUFFER;

/// Every row's first line and its cells, or why there are none.
fn rows(text: impl AsRef<[u8]>) -> Vec<(u64, Result<Vec<String>, RejectReason>)> {
    read(text.as_ref(), Encoding::Utf8).unwrap()
}

#[allow(clippy::type_complexity)]
fn read(
    bytes: &[u8],
    encoding: Encoding,
) -> Result<Vec<(u64, Result<Vec<String>, RejectReason>)>, DirectoryError> {
    let mut table = Table::open(Bytes::open(bytes)?, encoding)?;
    let mut cells = Cells::new();
    let mut all = Vec::new();
    while let Some(row) = table.row(&mut cells)? {
        all.push(match row {
            Row::Cells(line) => (line, Ok(cells.iter().map(str::to_owned).collect())),
            Row::Bad(reject) => (reject.line, Err(reject.reason)),
        });
    }
    Ok(all)
}

fn cells(line: u64, texts: &[&str]) -> (u64, Result<Vec<String>, RejectReason>) {
    (
        line,
        Ok(texts.iter().map(|&text| text.to_owned()).collect()),
    )
}

#[test]
fn the_dialects_of_csv_read_alike() {
    for text in [
        "a,b\n1,x\n2,\"y, z\"\n",
        "\u{FEFF}a,b\r\n1,x\r\n2,\"y, z\"",
        "a;b\n1;x\n2;y, z\n",
        "sep=;\r\na;b\r\n1;x\r\n2;y, z\r\n",
        "a\tb\n1\tx\n2\ty, z\n",
        "#TYPE Selected.User\r\n\"a\",\"b\"\r\n\"1\",\"x\"\r\n\"2\",\"y, z\"\r\n",
        "\n\n  \na,b\n\n1,x,,\n , \n2,\"y, z\"\n\n",
    ] {
        let got: Vec<_> = rows(text)
            .into_iter()
            .map(|(_, cells)| cells.unwrap())
            .collect();
        assert_eq!(got[0][..2], ["1", "x"], "{text:?}");
        assert_eq!(got[1], ["2", "y, z"], "{text:?}");
        assert_eq!(got.len(), 2, "{text:?}");
    }
}

#[test]
fn lines_are_counted_through_cells_with_line_breaks() {
    let text = "a,b\n1,\"one\r\ntwo\"\n2,x\n";
    assert_eq!(
        rows(text),
        [cells(2, &["1", "one\r\ntwo"]), cells(4, &["2", "x"])]
    );
}

#[test]
fn an_open_quote_costs_its_own_line_only() {
    let text = "a,b\n1,\"open\n2,x\n3,y\n";
    assert_eq!(
        rows(text),
        [
            (2, Err(RejectReason::Malformed)),
            cells(3, &["2", "x"]),
            cells(4, &["3", "y"])
        ]
    );
    // Another quote further down does not close it, nor does it when everything is quoted.
    for text in [
        "a,b\n1,\"open\n2,\"x\"\n3,y\n",
        "a,b\n\"1\",\"open\n\"2\",\"x\"\n3,y\n",
    ] {
        assert_eq!(
            rows(text),
            [
                (2, Err(RejectReason::Malformed)),
                cells(3, &["2", "x"]),
                cells(4, &["3", "y"])
            ],
            "{text}"
        );
    }
    let mut long = String::from("a,b\n1,\"open\n");
    for nth in 0..20_000 {
        long.push_str(&format!("{nth},x\n"));
    }
    long.push_str("last,\"y\"\n");
    let got = rows(&long);
    assert_eq!(got[0], (2, Err(RejectReason::Malformed)));
    assert_eq!(got.len(), 20_002);
    assert_eq!(got.last(), Some(&cells(20_003, &["last", "y"])));
}

#[test]
fn a_line_of_the_wrong_width_is_not_guessed_at() {
    assert_eq!(
        rows("a,b,c\n1,2\n1,2,3,4\n1,2,3\n"),
        [
            (2, Err(RejectReason::Malformed)),
            (3, Err(RejectReason::Malformed)),
            cells(4, &["1", "2", "3"])
        ]
    );
    assert_eq!(rows("a,b,c\n1,2"), [(2, Err(RejectReason::Truncated))]);
    assert_eq!(rows("a,b,c\n1,2,\"3"), [(2, Err(RejectReason::Truncated))]);
}

#[test]
fn a_line_that_is_too_long_is_left_out_and_the_next_is_read() {
    for long in [
        "x".repeat(MOST_BYTES),
        "x".repeat(10 * BUFFER),
        format!("\"{}\"", "x".repeat(2 * MOST_BYTES)),
    ] {
        let text = format!("a,b\n1,{long}\n2,y\n");
        assert_eq!(
            rows(text),
            [(2, Err(RejectReason::TooLong)), cells(3, &["2", "y"])]
        );
    }
    let many = format!("a,b\n{}\n2,y\n", "1,".repeat(5_000));
    assert_eq!(
        rows(many),
        [(2, Err(RejectReason::Malformed)), cells(3, &["2", "y"])]
    );
}

#[test]
fn other_characters_are_rejected_or_read_as_configured() {
    let text = b"a,b\n1,M\xFCller\n2,x\n";
    assert_eq!(
        rows(text),
        [(2, Err(RejectReason::BadEncoding)), cells(3, &["2", "x"])]
    );
    let got = read(text, Encoding::Windows1252).unwrap();
    assert_eq!(got[0], cells(2, &["1", "Müller"]));
    let marked = "\u{FEFF}a,b\n1,Müller\n".as_bytes();
    assert_eq!(
        read(marked, Encoding::Windows1252).unwrap(),
        [cells(2, &["1", "Müller"])]
    );
}

#[test]
fn what_is_no_table_is_refused() {
    let refused = |bytes: &[u8]| read(bytes, Encoding::Utf8).unwrap_err().to_string();
    for nothing in [
        &b""[..],
        b"\xEF\xBB\xBF",
        b"\r\n \r\n",
        b"#TYPE x\n",
        b"sep=;\n\n",
    ] {
        assert_eq!(refused(nothing), DirectoryError::Empty.to_string());
    }
    for page in [
        &b"<!DOCTYPE html>"[..],
        b"\n  <html>\n",
        b"\xEF\xBB\xBF<html>",
    ] {
        assert_eq!(refused(page), DirectoryError::WebPage.to_string());
    }
    assert_eq!(
        refused(b"\xFF\xFEa\0,\0"),
        DirectoryError::Utf16.to_string()
    );
    assert_eq!(
        refused(b"a\0,\0b\0"),
        DirectoryError::NoText { line: 1 }.to_string()
    );
    assert_eq!(
        refused(b"a,b\n1,\0\n"),
        DirectoryError::NoText { line: 2 }.to_string()
    );
    let types = DirectoryError::TypeNames.to_string();
    assert_eq!(refused(b"\"Length\"\r\n\"11\"\r\n"), types);
    assert_eq!(
            refused(b"#TYPE A.B\n\"mail\",\"sid\"\n\"System.Collections.Generic.SortedSet`1[System.String]\",\"System.X\"\n"),
            types
        );
}

#[test]
fn columns_are_found_whatever_their_case_and_blanks_and_the_first_counts() {
    let bytes = &b" Object  ID ,MAIL,mail\n"[..];
    let table = Table::open(Bytes::open(bytes).unwrap(), Encoding::Utf8).unwrap();
    assert_eq!(table.column("object id"), Some(0));
    assert_eq!(table.column("Mail"), Some(1));
    assert_eq!(table.column("sid"), None);
}

/// Hands out one byte at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match (self.0.split_first(), into.first_mut()) {
            (Some((byte, rest)), Some(slot)) => {
                *slot = *byte;
                self.0 = rest;
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

#[test]
fn how_the_bytes_arrive_makes_no_difference() {
    let text = "a,b\r\n1,\"x\ny\"\r\n2,z\r\n";
    let mut table = Table::open(
        Bytes::open(Trickle(text.as_bytes())).unwrap(),
        Encoding::Utf8,
    )
    .unwrap();
    let mut cells = Cells::new();
    let mut lines = Vec::new();
    while let Some(Row::Cells(line)) = table.row(&mut cells).unwrap() {
        lines.push(line);
    }
    assert_eq!(lines, [2, 4]);
}

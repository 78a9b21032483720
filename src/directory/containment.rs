//! Containment lists: what other teams did to accounts, as a CSV file of theirs: account, act, at, by, how.

use crate::domain::Moment;
use crate::domain::containment::ContainmentAct;

/// One line of such a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedContainment {
    /// Its line in the file.
    pub line: u64,
    /// What the account is named by: an object id, SID, UPN or login, with or without its domain.
    pub account: String,
    /// What was done.
    pub act: ContainmentAct,
    /// Since when.
    pub at: Moment,
    /// Which team or system did it.
    pub by: String,
    /// On what proof.
    pub how: String,
}

/// A line that is wrong: its number, and what is wrong with it.
pub type BadLine = (u64, &'static str);

/// A list that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum BadContainments {
    /// No UTF-8.
    #[error("the file is not UTF-8; save it as UTF-8")]
    NotUtf8,
    /// A column that has to be there.
    #[error(
        "there is no column {0:?}; the first line names account, act, at, by and, if you like, how"
    )]
    NoColumn(&'static str),
}

/// Longest text of a cell, in characters.
const MOST_CHARS: usize = 300;

/// Reads a list; what is wrong with a line comes back beside those that are right, with its number. Never quotes a line.
pub fn read_containments(
    bytes: &[u8],
) -> Result<(Vec<ListedContainment>, Vec<BadLine>), BadContainments> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadContainments::NotUtf8)?;
    // The reader's line numbers are off by one where lines end as on Windows.
    let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n");
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let headers = reader
        .headers()
        .map_err(|_| BadContainments::NoColumn("account"))?
        .clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header.eq_ignore_ascii_case(name))
    };
    let needed = |name: &'static str| column(name).ok_or(BadContainments::NoColumn(name));
    let columns = [
        needed("account")?,
        needed("act")?,
        needed("at")?,
        needed("by")?,
    ];
    let how = column("how");
    let (mut listed, mut rejects) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let Ok(record) = record else {
            rejects.push((0, "this is no line of a CSV file"));
            continue;
        };
        let line = record.position().map_or(0, csv::Position::line);
        match one(&record, columns, how, line) {
            Ok(one) => listed.push(one),
            Err(why) => rejects.push((line, why)),
        }
    }
    Ok((listed, rejects))
}

fn one(
    record: &csv::StringRecord,
    columns: [usize; 4],
    how: Option<usize>,
    line: u64,
) -> Result<ListedContainment, &'static str> {
    let [account, act, at, by] = columns.map(|column| record.get(column).unwrap_or_default());
    let how = how
        .and_then(|column| record.get(column))
        .unwrap_or_default();
    let is_plain =
        |text: &str| text.chars().count() <= MOST_CHARS && !text.chars().any(char::is_control);
    if account.is_empty() || by.is_empty() {
        return Err("account or by is empty");
    }
    if ![account, by, how].into_iter().all(is_plain) {
        return Err("a cell is too long, or holds a line break");
    }
    Ok(ListedContainment {
        line,
        account: account.to_owned(),
        act: ContainmentAct::from_word(act).ok_or(
            "act is none of sign_in_blocked, sign_in_restored, sessions_revoked, remote_cut, remote_restored",
        )?,
        at: at
            .parse()
            .map_err(|_| "at is no time with its zone, such as 2026-03-02T09:00:00Z")?,
        by: by.to_owned(),
        how: how.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_line_by_line_and_bad_lines_are_told_by_number() {
        let text = "\u{FEFF}act, account,AT,by\r\n\
            remote_cut,PARL\\ada,2026-03-02T09:00:00Z,network team\r\n\
            melted,ada,2026-03-02T09:00:00Z,x\r\n\
            remote_cut,,2026-03-02T09:00:00Z,x\r\n\
            remote_cut,ada,yesterday,x\r\n\
            sessions_revoked,ada,2026-03-02T10:00:00+01:00,identity team\r\n";
        let (listed, rejects) = read_containments(text.as_bytes()).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0].account, "PARL\\ada");
        assert_eq!(listed[0].at, listed[1].at);
        let lines: Vec<u64> = rejects.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(read_containments(b"account,at,by\n").is_err());
        assert!(read_containments(b"\xff\xfe").is_err());
    }
}

//! A help desk's list of calls → who was told, who was not there, and what they said. Safe to repeat: a line that was
//! taken in before says nothing new.

use std::path::Path;

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use serde::Serialize;

use super::letters::{BadLine, delimiter_of, when};
use crate::app::App;
use crate::domain::address::fold;
use crate::domain::case::CaseState;
use crate::domain::evidence::Grade;
use crate::domain::reply::{Heard, OutOfReach, Reply};
use crate::domain::{CaseId, Moment};
use crate::store::{CaseRow, Said, Tx};

/// No list of calls is larger.
const LARGEST: u64 = 8 * 1024 * 1024;

/// What a list of calls told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Called {
    /// Cases whose persons were told.
    pub told: u64,
    /// Cases whose persons were not there.
    pub missed: u64,
    /// Replies that were written down.
    pub replies: u64,
    /// Lines that say nothing yet.
    pub blank: u64,
    /// Lines that could not be used, and why.
    pub rejects: Vec<BadLine>,
}

impl std::fmt::Display for Called {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} told, {} not reached, {} replies written down; {} lines not filled in yet",
            self.told, self.missed, self.replies, self.blank
        )?;
        for bad in &self.rejects {
            write!(f, "\n  line {}: {}", bad.line, bad.reason)?;
        }
        Ok(())
    }
}

/// One line that says something.
struct Call {
    line: u64,
    case: CaseId,
    told: bool,
    /// When, and whether only the day is known.
    at: Option<(Moment, bool)>,
    said: Option<Reply>,
    grade: Grade,
}

/// Whether a CSV file is a list of calls, by case, and not a tick sheet, by reference.
pub fn is_list_of_calls(file: &Path) -> anyhow::Result<bool> {
    use std::io::{BufRead, Read};
    let shown = || format!("reading {}", file.display());
    let mut head = Vec::new();
    std::io::BufReader::new(std::fs::File::open(file).with_context(shown)?)
        .take(4096)
        .read_until(b'\n', &mut head)
        .with_context(shown)?;
    let head = String::from_utf8_lossy(&head);
    let delimiter = char::from(delimiter_of(&head));
    let has = |name: &str| {
        let mut cells = head.trim_start_matches('\u{FEFF}').split(delimiter);
        cells.any(|cell| fold(cell.trim().trim_matches('"')) == name)
    };
    Ok(has("case") && !has("reference"))
}

/// Takes a list of calls in: columns `case` and `told` (yes or no), and `date`, `said` (done, not_me, need_help) and
/// `grade` (C, D, E) where the desk keeps them. What cannot be used costs its line only.
pub async fn calls(app: &App, file: &Path, by: &str) -> anyhow::Result<Called> {
    let shown = || format!("reading {}", file.display());
    let size = std::fs::metadata(file).with_context(shown)?.len();
    ensure!(
        size <= LARGEST,
        "{} is no list of calls: it is larger than 8 MB",
        file.display()
    );
    let bytes = std::fs::read(file).with_context(shown)?;
    let mut called = Called::default();
    let calls = read(app, &bytes, &mut called).with_context(shown)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    for call in calls {
        let Some(case) = tx.case(call.case).await? else {
            called.reject(call.line, "there is no case of this number");
            continue;
        };
        if matches!(case.state, CaseState::Closed { .. }) {
            called.reject(call.line, "the case is closed");
            continue;
        }
        let (at, day_only) = call.at.unwrap_or((now, false));
        // A day without a time of day may have begun before the case opened on it.
        let at = if day_only && case.opened_at.since(at) < TimeDelta::days(1) {
            at.max(case.opened_at)
        } else {
            at
        };
        if at > now || at < case.opened_at {
            called.reject(
                call.line,
                "the date is before the case opened, or in the future",
            );
            continue;
        }
        take(app, &mut tx, &case, &call, at, by, &mut called).await?;
    }
    tx.commit().await?;
    called.rejects.sort_by_key(|bad| bad.line);
    Ok(called)
}

async fn take(
    app: &App,
    tx: &mut Tx,
    case: &CaseRow,
    call: &Call,
    at: Moment,
    by: &str,
    called: &mut Called,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    if call.told {
        tx.tell_case(case.id, at, "phone", by, now).await?;
        called.told += 1;
    } else {
        let deadline = deadline_of(app, case, now);
        tx.miss_case(case, OutOfReach::NoAnswer, deadline, by, now)
            .await?;
        called.missed += 1;
    }
    let Some(said) = call.said else { return Ok(()) };
    let said = Said {
        said,
        by_way: Heard::Phone,
        said_at: at,
        noted_by: by.to_owned(),
        grade: call.grade,
    };
    if !tx.replies(case.id).await?.contains(&said) {
        tx.add_reply(case.id, &said, now).await?;
        called.replies += 1;
    }
    Ok(())
}

/// When the reset of a case is due that had no deadline yet, as if its person had been written to now.
pub fn deadline_of(app: &App, case: &CaseRow, now: Moment) -> Moment {
    case.deadline_at.unwrap_or_else(|| {
        app.ladder(case.claim.category)
            .schedule(now, &app.calendar)
            .deadline
    })
}

impl Called {
    fn reject(&mut self, line: u64, reason: &'static str) {
        self.rejects.push(BadLine { line, reason });
    }
}

fn read(app: &App, bytes: &[u8], called: &mut Called) -> anyhow::Result<Vec<Call>> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n");
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(delimiter_of(&text))
        .flexible(true)
        .from_reader(text.as_bytes());
    let header: Vec<String> = rows.headers()?.iter().map(fold).collect();
    let place = |name: &str| header.iter().position(|own| own == name);
    let (Some(case), Some(told)) = (place("case"), place("told")) else {
        anyhow::bail!(
            "it has no columns \"case\" and \"told\"; `bell case unreached --json` gives the numbers"
        )
    };
    let (date, said, grade) = (place("date"), place("said"), place("grade"));
    let mut calls = Vec::new();
    for row in rows.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                called.reject(line, "this is no line of a table");
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).unwrap_or_default().trim();
        let told = match fold(cell(Some(told))).as_str() {
            "" => {
                called.blank += 1;
                continue;
            }
            "yes" | "y" | "true" | "1" | "x" | "✓" | "✔" => true,
            "no" | "n" | "false" | "0" => false,
            _ => {
                called.reject(line, "told is neither yes nor no");
                continue;
            }
        };
        match call(
            app,
            line,
            cell(Some(case)),
            told,
            [cell(date), cell(said), cell(grade)],
        ) {
            Ok(call) => calls.push(call),
            Err(reason) => called.reject(line, reason),
        }
    }
    Ok(calls)
}

fn call(
    app: &App,
    line: u64,
    case: &str,
    told: bool,
    [date, said, grade]: [&str; 3],
) -> Result<Call, &'static str> {
    let at = match date {
        "" => None,
        text => Some(
            when(app, text)
                .ok_or("the date cannot be read; write it as 2026-03-02 or 2026-03-02 14:30")?,
        ),
    };
    let said = match said {
        "" => None,
        word => Some(
            Reply::from_word(&fold(word)).ok_or("said is none of done, not_me and need_help")?,
        ),
    };
    let grade = match grade {
        "" => Grade::D,
        word => Grade::from_word(&word.to_uppercase())
            .filter(|grade| *grade >= Grade::C)
            .ok_or("grade is none of C, D and E: what people say is never A or B")?,
    };
    Ok(Call {
        line,
        case: case.parse().map_err(|_| "the case is no number")?,
        told,
        at,
        said,
        grade,
    })
}

//! The tables of what was recorded beside the cases: letters, words, files, clocks.

use super::{Holds, Row, Table, Value, columns, row};
use crate::domain::report::{Cell, Lasting, Ratio, Report};

pub(super) fn exceptions(report: &Report) -> Table {
    let of = &report.exceptions;
    let rows = if of.list.is_empty() {
        [
            ("In force", of.in_force),
            ("Of these, ending within 7 days", of.expiring),
            ("Over, and the account still open", of.expired),
        ]
        .map(|(name, cell)| row(vec![Value::words(name), Value::Cell(cell)]))
        .into()
    } else {
        of.list
            .iter()
            .map(|one| {
                row(vec![
                    Value::Words(format!("case {}", one.case)),
                    Value::words(&one.reason),
                    Value::words(&one.control),
                    Value::words(&one.requested_by),
                    Value::words(&one.approved_by),
                    Value::When(one.granted_at),
                    Value::When(one.expires_at),
                ])
            })
            .collect()
    };
    let heads: &[(&str, Holds)] = if of.list.is_empty() {
        &[("Exceptions", Holds::Words), ("Accounts", Holds::Number)]
    } else {
        &[
            ("Case", Holds::Words),
            ("Reason", Holds::Words),
            ("Done instead", Holds::Words),
            ("Asked by", Holds::Words),
            ("Agreed by", Holds::Words),
            ("From", Holds::When),
            ("Until", Holds::When),
        ]
    };
    Table {
        file: "10-exceptions",
        question: "Who accepted which risk?",
        caption: format!(
            "Exceptions: {} in force, {} of them ending within 7 days, {} over while the account is open",
            of.in_force, of.expiring, of.expired
        ),
        columns: columns(heads),
        rows,
        notes: vec![
            "An exception is an accepted risk. The account still counts as not reset.".to_owned(),
        ],
    }
}

pub(super) fn delivery(report: &Report) -> Table {
    let of = &report.delivery;
    let shown = if of.rows.is_empty() {
        None
    } else {
        Some(&of.total)
    };
    let rows = of.rows.iter().chain(shown).map(|line| Row {
        is_total: line.kind.is_none(),
        values: vec![
            Value::Words(
                line.kind
                    .map_or("All".to_owned(), |kind| kind.word().to_owned()),
            ),
            Value::Cell(line.queued),
            Value::Cell(line.attempted),
            Value::Ratio(line.accepted),
            Value::Cell(line.refused),
            Value::Cell(line.expired),
            Value::Cell(line.trying),
            Value::Cell(line.bounced),
            Value::Ratio(line.in_doubt),
        ],
    });
    Table {
        file: "11-delivery",
        question: "Did the words arrive?",
        caption: "Letters by kind".to_owned(),
        columns: columns(&[
            ("Kind", Holds::Words),
            ("Waiting", Holds::Number),
            ("Attempted", Holds::Number),
            ("Accepted", Holds::Ratio),
            ("Refused", Holds::Number),
            ("Given up", Holds::Number),
            ("Still trying", Holds::Number),
            ("Came back", Holds::Number),
            ("May have arrived twice", Holds::Ratio),
        ]),
        rows: rows.collect(),
        notes: vec![format!(
            "Accepted means that a relay took the letter: not that it was delivered, nor that it was read. \
             Open tasks for people to reach somebody another way: {}.",
            of.tasks_open
        )],
    }
}

pub(super) fn reminders(report: &Report) -> Table {
    let rows = report.reminder_yield.iter().map(|wave| {
        row(vec![
            Value::Words(format!("Reminder {}", wave.wave)),
            Value::Ratio(wave.reset),
        ])
    });
    Table {
        file: "12-reminders",
        question: "What followed each reminder?",
        caption: "Reset within 72 hours of a reminder, of the accounts open when it was mailed"
            .to_owned(),
        columns: columns(&[("Wave", Holds::Words), ("Reset", Holds::Ratio)]),
        rows: rows.collect(),
        notes: vec![
            "What follows a reminder need not be its effect: waves overlap with other causes."
                .to_owned(),
        ],
    }
}

pub(super) fn coverage(report: &Report) -> Table {
    let rows = report.coverage.iter().map(|line| {
        let reasons = line
            .not_assessed
            .iter()
            .map(|(reason, cell)| format!("{reason}: {cell}"));
        row(vec![
            Value::words(&line.source),
            Value::When(line.run_at),
            Value::Ratio(line.assessed),
            Value::Words(reasons.collect::<Vec<_>>().join("; ")),
        ])
    });
    Table {
        file: "13-coverage",
        question: "Was everybody looked at?",
        caption: "Accounts that each audit looked at, of those in scope".to_owned(),
        columns: columns(&[
            ("Source", Holds::Words),
            ("Run", Holds::When),
            ("Looked at", Holds::Ratio),
            ("Not looked at", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

pub(super) fn statements(report: &Report) -> Table {
    let rows = report.statements.iter().map(|line| {
        let place = match line.external_id.as_str() {
            "" => line.channel.clone(),
            id => format!("{} {id}", line.channel),
        };
        row(vec![
            Value::words(&line.id),
            Value::Words(format!("{}, version {}", line.kind, line.version)),
            Value::words(&line.author),
            Value::words(&line.approver),
            Value::when(line.approved_at),
            Value::when(line.posted_at),
            Value::Words(place),
            line.replaces
                .as_deref()
                .map_or(Value::Nothing, Value::words),
            Value::Hash(line.sha256.clone()),
        ])
    });
    Table {
        file: "14-statements",
        question: "Who approved which words?",
        caption: "Messages and statements".to_owned(),
        columns: columns(&[
            ("Statement", Holds::Words),
            ("Kind", Holds::Words),
            ("Author", Holds::Words),
            ("Approver", Holds::Words),
            ("Approved", Holds::When),
            ("Posted", Holds::When),
            ("Where", Holds::Words),
            ("Replaces", Holds::Words),
            ("SHA-256 of the text", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

pub(super) fn incidents(report: &Report) -> Table {
    let rows = report.incidents.iter().map(|line| {
        let latency = line
            .first_statement_at
            .and_then(|at| at.since(line.declared_at).num_microseconds());
        row(vec![
            Value::words(&line.id),
            Value::When(line.declared_at),
            Value::when(line.first_statement_at),
            latency.map_or(Value::Nothing, |micros| Value::Lasting(Lasting(micros))),
            Value::Ratio(Ratio::of(line.promises_missed, line.promises_due)),
        ])
    });
    Table {
        file: "15-incidents",
        question: "Did we speak in time?",
        caption: "Incidents and promised updates".to_owned(),
        columns: columns(&[
            ("Incident", Holds::Words),
            ("Declared", Holds::When),
            ("First statement", Holds::When),
            ("After", Holds::Number),
            ("Promised updates missed", Holds::Ratio),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

pub(super) fn clocks(report: &Report) -> Table {
    let rows = report.clocks.iter().map(|line| {
        let applies = match line.applies {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not decided",
        };
        let state = match line.submitted_at {
            _ if line.applies == Some(false) => "–",
            Some(at) if at <= line.due_at => "in time",
            Some(_) => "late",
            None if line.due_at < report.header.as_of => "missed",
            None => "running",
        };
        row(vec![
            Value::words(&line.name),
            Value::words(applies),
            Value::When(line.trigger_at),
            Value::When(line.due_at),
            Value::when(line.submitted_at),
            Value::words(state),
            line.reference
                .as_deref()
                .map_or(Value::Nothing, Value::words),
        ])
    });
    Table {
        file: "16-legal-clocks",
        question: "Were the legal deadlines met?",
        caption: "Legal clocks; whether a duty applies is decided by people".to_owned(),
        columns: columns(&[
            ("Duty", Holds::Words),
            ("Applies", Holds::Words),
            ("Began", Holds::When),
            ("Due", Holds::When),
            ("Done", Holds::When),
            ("State", Holds::Words),
            ("Reference", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

pub(super) fn provenance(report: &Report) -> Table {
    let rows = report.provenance.iter().map(|line| {
        let reasons = line
            .rejected
            .iter()
            .map(|(reason, count)| format!("{reason}: {count}"));
        row(vec![
            Value::words(&line.name),
            Value::When(line.received_at),
            Value::Cell(Cell::Count(line.size_bytes)),
            Value::Ratio(Ratio::of(line.accepted, line.rows)),
            Value::Words(reasons.collect::<Vec<_>>().join("; ")),
            Value::Hash(line.sha256.clone()),
        ])
    });
    Table {
        file: "17-provenance",
        question: "Can the numbers be rebuilt?",
        caption: "Files that these figures rest on, in rows".to_owned(),
        columns: columns(&[
            ("File", Holds::Words),
            ("Received", Holds::When),
            ("Bytes", Holds::Number),
            ("Rows used", Holds::Ratio),
            ("Rows not used", Holds::Words),
            ("SHA-256", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

pub(super) fn ledger(report: &Report) -> Table {
    let rows = report.ledger.iter().map(|line| {
        row(vec![
            Value::Cell(Cell::Count(line.entries)),
            Value::When(line.first_at),
            Value::When(line.last_at),
            line.verified_at.map_or(Value::words("never"), Value::When),
            Value::Cell(Cell::Count(line.gaps)),
            Value::Hash(line.head.clone()),
        ])
    });
    Table {
        file: "18-ledger",
        question: "Was anything altered?",
        caption: "The ledger, which is sealed by a chain of hashes".to_owned(),
        columns: columns(&[
            ("Entries", Holds::Number),
            ("First", Holds::When),
            ("Last", Holds::When),
            ("Last verified", Holds::When),
            ("Breaks found", Holds::Number),
            ("Newest seal", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

pub(super) fn quality(report: &Report) -> Table {
    let of = &report.quality;
    let rows = [
        (
            "Found on a day, the hour unknown: the end of the day counts",
            of.found_date_only,
        ),
        (
            "Change no later than the finding: not counted as a reset",
            of.reset_before_found,
        ),
        ("No department known", of.no_department),
    ]
    .map(|(name, cell)| row(vec![Value::words(name), Value::Cell(cell)]));
    Table {
        file: "19-data-quality",
        question: "What could the data not tell?",
        caption: "Accounts with something missing or impossible".to_owned(),
        columns: columns(&[("What", Holds::Words), ("Accounts", Holds::Number)]),
        rows: rows.into(),
        notes: Vec::new(),
    }
}

pub(super) fn benchmarks(report: &Report) -> Table {
    let rows = report.benchmarks.iter().map(|line| {
        row(vec![
            Value::words(line.setting),
            Value::words(line.result),
            Value::words(line.caveat),
            Value::words(line.source),
        ])
    });
    Table {
        file: "20-benchmarks",
        question: "What have others measured?",
        caption: "Published results, each with what keeps it from being a target".to_owned(),
        columns: columns(&[
            ("Who was asked", Holds::Words),
            ("What came of it", Holds::Words),
            ("But", Holds::Words),
            ("Source", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: vec![
            "Optional e-mail moves a quarter to a half; reminders help up to about three; enforcement at sign-in \
             does the rest."
                .to_owned(),
        ],
    }
}

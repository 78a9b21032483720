//! The report as tables: what the page and the spreadsheet have in common.

use crate::domain::finding::Category;
use crate::domain::moment::Moment;
use crate::domain::report::{Cell, Lasting, Measure, Ratio, Report, TimeTable};

use super::chart::capitalised;

/// One table.
#[derive(Debug)]
pub struct Table {
    /// The name of its file, without `.csv`.
    pub file: &'static str,
    /// The question that it answers: its heading.
    pub question: &'static str,
    /// What it shows, and in which unit.
    pub caption: String,
    /// Its columns. The first one names the row.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// What stands in it.
    pub holds: Holds,
}

/// What stands in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Words.
    Words,
    /// A number or a time, set to the right.
    Number,
    /// So many of so many: three columns in a spreadsheet.
    Ratio,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// Its cells, as many as there are columns.
    pub values: Vec<Value>,
    /// It is the sum of those above.
    pub is_total: bool,
}

/// One cell.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Words.
    Words(String),
    /// Words, and smaller ones that explain them.
    Explained(&'static str, &'static str),
    /// A fingerprint.
    Hash(String),
    /// A count.
    Cell(Cell),
    /// So many of so many.
    Ratio(Ratio),
    /// A metric's value.
    Measure(Measure),
    /// An instant.
    When(Moment),
    /// A length of time.
    Lasting(Lasting),
    /// Tenths of a per cent.
    Permille(u64),
    /// There is none.
    Nothing,
    /// There is one, and readers may not see it.
    Withheld,
}

impl Value {
    fn when(at: Option<Moment>) -> Self {
        at.map_or(Self::Nothing, Self::When)
    }

    fn words(text: &str) -> Self {
        Self::Words(text.to_owned())
    }
}

fn columns(of: &[(&str, Holds)]) -> Vec<Column> {
    of.iter()
        .map(|(name, holds)| Column {
            name: (*name).to_owned(),
            holds: *holds,
        })
        .collect()
}

fn row(values: Vec<Value>) -> Row {
    Row {
        values,
        is_total: false,
    }
}

fn total(values: Vec<Value>) -> Row {
    Row {
        values,
        is_total: true,
    }
}

fn category(category: Option<Category>) -> Value {
    Value::Words(category.map_or("All".to_owned(), |category| capitalised(category.word())))
}

/// Every table that has something in it, in the order of reading.
pub fn all(report: &Report) -> Vec<Table> {
    let mut tables = vec![
        headline(report),
        by_category(report),
        rates(report),
        targets(report),
        benchmarks(report),
        by_department(report),
        time(&report.time_to_safe, false),
        time(&report.time_to_reset, true),
        overdue_by_age(report),
        overdue_cases(report),
        exceptions(report),
        delivery(report),
        reminders(report),
        coverage(report),
        statements(report),
        incidents(report),
        clocks(report),
        ledger(report),
        quality(report),
        provenance(report),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}

fn headline(report: &Report) -> Table {
    let has_previous = report.headline.iter().any(|line| line.previous.is_some());
    let mut heads = vec![("Measure", Holds::Words), ("Now", Holds::Ratio)];
    if has_previous {
        heads.push(("A week before", Holds::Ratio));
    }
    let rows = report.headline.iter().map(|line| {
        let mut values = vec![
            Value::Explained(line.name, line.note),
            Value::Measure(line.value.clone()),
        ];
        if has_previous {
            values.push(line.previous.clone().map_or(Value::Nothing, Value::Measure));
        }
        row(values)
    });
    Table {
        file: "01-headline",
        question: "How are we doing?",
        caption: "The whole organisation, in accounts unless said otherwise".to_owned(),
        columns: columns(&heads),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn by_category(report: &Report) -> Table {
    let of = &report.by_category;
    let rows = of.rows.iter().chain([&of.total]).map(|line| Row {
        is_total: line.category.is_none(),
        values: vec![
            category(line.category),
            Value::Cell(line.valid),
            Value::Ratio(line.told),
            Value::Ratio(line.reset),
            Value::Ratio(line.safe),
            Value::Cell(line.open),
            Value::Ratio(line.on_time),
            Value::Cell(line.overdue),
            Value::Measure(Measure::Median(line.time_to_safe.clone())),
        ],
    });
    Table {
        file: "02-by-category",
        question: "Is the severe end done first?",
        caption: "By category, severest first, in accounts".to_owned(),
        columns: columns(&[
            ("Category", Holds::Words),
            ("Accounts", Holds::Number),
            ("Told", Holds::Ratio),
            ("Reset", Holds::Ratio),
            ("Made safe", Holds::Ratio),
            ("Open", Holds::Number),
            ("On time, of those due", Holds::Ratio),
            ("Overdue", Holds::Number),
            ("Half safe within", Holds::Number),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn rates(report: &Report) -> Table {
    let mut heads = vec![("Category", Holds::Words)];
    heads.extend(report.rates.within.map(|within| (within, Holds::Ratio)));
    let rows = report.rates.rows.iter().map(|line| Row {
        is_total: line.category.is_none(),
        values: std::iter::once(category(line.category))
            .chain(line.rates.map(Value::Ratio))
            .collect(),
    });
    Table {
        file: "03-reset-rate",
        question: "How soon do people act once told?",
        caption: "Reset within a time of the first notice, in accounts".to_owned(),
        columns: columns(&heads),
        rows: rows.collect(),
        notes: vec![
            "Only accounts told at least that long ago count, on both sides. Accounts made safe before the first \
             notice count on neither."
                .to_owned(),
        ],
    }
}

fn targets(report: &Report) -> Table {
    let rows = report.targets.iter().map(|line| {
        let reached = match (line.reached, line.measured.denominator) {
            (Some(true), _) => "reached",
            (Some(false), _) => "not reached",
            (None, Cell::Count(0)) => "too early, or none",
            (None, _) => "withheld",
        };
        row(vec![
            category(Some(line.category)),
            Value::Words(
                match line
                    .when
                    .starts_with(|letter: char| letter.is_ascii_digit())
                {
                    true => format!("{} % within {}", line.target_percent, line.when),
                    false => format!("{} % {}", line.target_percent, line.when),
                },
            ),
            Value::Ratio(line.measured),
            Value::words(reached),
        ])
    });
    Table {
        file: "04-targets",
        question: "Do we keep our targets?",
        caption: "Reset within a time of the first notice, beside the target".to_owned(),
        columns: columns(&[
            ("Category", Holds::Words),
            ("Target", Holds::Words),
            ("Measured", Holds::Ratio),
            ("Target is", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn by_department(report: &Report) -> Table {
    let of = &report.by_department;
    let shown = if of.rows.is_empty() {
        None
    } else {
        Some(&of.total)
    };
    let rows = of.rows.iter().chain(shown).map(|line| Row {
        is_total: line.department.is_none(),
        values: vec![
            Value::Words(line.department.clone().unwrap_or_else(|| "All".to_owned())),
            Value::Cell(line.valid),
            Value::Ratio(line.safe),
            Value::Cell(line.due),
            Value::Ratio(line.on_time),
            Value::Cell(line.overdue),
        ],
    });
    Table {
        file: "06-by-department",
        question: "Where is help needed?",
        caption: "By department, in order of name, in accounts".to_owned(),
        columns: columns(&[
            ("Department", Holds::Words),
            ("Accounts", Holds::Number),
            ("Made safe", Holds::Ratio),
            ("Due", Holds::Number),
            ("On time, of those due", Holds::Ratio),
            ("Overdue", Holds::Number),
        ]),
        rows: rows.collect(),
        notes: vec![
            "This is no ranking: departments differ in what they were found to have.".to_owned(),
        ],
    }
}

fn time(of: &TimeTable, until_reset: bool) -> Table {
    let mut heads = vec![
        ("After", Holds::Words),
        ("Still watched", Holds::Number),
        (
            if until_reset {
                "Reset, had none been disabled"
            } else {
                "Safe by then"
            },
            Holds::Number,
        ),
    ];
    if until_reset {
        heads.extend([
            ("Reset by then", Holds::Number),
            ("Disabled by then", Holds::Number),
        ]);
    }
    let share = |permille: Option<u64>| permille.map_or(Value::Withheld, Value::Permille);
    let rows = of.marks.iter().map(|mark| {
        let mut values = vec![
            Value::Lasting(mark.after),
            Value::Cell(mark.at_risk),
            share(mark.happened),
        ];
        if until_reset {
            values.extend([share(mark.reset), share(mark.disabled)]);
        }
        row(values)
    });
    let mut left_out = Vec::new();
    for (cell, why) in [
        (of.left_out_never_told, "never told"),
        (of.left_out_safe_before, "safe before they were told"),
        (
            Some(of.left_out_impossible),
            "with an event before its beginning, an error in the data",
        ),
    ] {
        if let Some(cell) = cell.filter(|cell| *cell != Cell::Count(0)) {
            left_out.push(format!("{cell} {why}"));
        }
    }
    let mut notes = vec![format!(
        "Half within: {}. Accounts in the data: {}.",
        of.median, of.cases
    )];
    if !left_out.is_empty() {
        notes.push(format!("Left out: {}.", left_out.join("; ")));
    }
    notes.push(
        "Accounts still open are counted for as long as they have been watched; leaving them out would flatter \
         the figure."
            .to_owned(),
    );
    Table {
        file: if until_reset {
            "08-time-to-reset"
        } else {
            "07-time-to-safe"
        },
        question: if until_reset {
            "What did our messages do?"
        } else {
            "How long were the accounts exposed?"
        },
        caption: if until_reset {
            "From the first notice until the reset: estimated share of accounts".to_owned()
        } else {
            "From the finding until safe: estimated share of accounts".to_owned()
        },
        columns: columns(&heads),
        rows: rows.collect(),
        notes,
    }
}

fn overdue_by_age(report: &Report) -> Table {
    let of = &report.overdue;
    let rows = of
        .by_age
        .iter()
        .map(|(age, cell)| row(vec![Value::words(age), Value::Cell(*cell)]))
        .chain([total(vec![Value::words("All"), Value::Cell(of.total)])]);
    Table {
        file: "09-overdue-by-age",
        question: "How long have things been overdue?",
        caption: "Overdue accounts by the time since their deadline".to_owned(),
        columns: columns(&[("Overdue for", Holds::Words), ("Accounts", Holds::Number)]),
        rows: rows.collect(),
        notes: of.note.iter().map(|note| (*note).to_owned()).collect(),
    }
}

fn overdue_cases(report: &Report) -> Table {
    let rows = report.overdue.cases.iter().map(|case| {
        row(vec![
            Value::Words(format!("case {}", case.id)),
            category(Some(case.category)),
            case.age.map_or(Value::Withheld, Value::Lasting),
            Value::when(case.last_contact_at),
            Value::words(case.next_step.words()),
        ])
    });
    Table {
        file: "10-overdue-cases",
        question: "Who is chasing what?",
        caption: "Overdue cases, longest first, by their pseudonym".to_owned(),
        columns: columns(&[
            ("Case", Holds::Words),
            ("Category", Holds::Words),
            ("Overdue for", Holds::Number),
            ("Last contact", Holds::Number),
            ("Next step", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn exceptions(report: &Report) -> Table {
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
            ("From", Holds::Number),
            ("Until", Holds::Number),
        ]
    };
    Table {
        file: "11-exceptions",
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

fn delivery(report: &Report) -> Table {
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
        file: "12-delivery",
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

fn reminders(report: &Report) -> Table {
    let rows = report.reminder_yield.iter().map(|wave| {
        row(vec![
            Value::Words(format!("Reminder {}", wave.wave)),
            Value::Ratio(wave.reset),
        ])
    });
    Table {
        file: "13-reminders",
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

fn coverage(report: &Report) -> Table {
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
        file: "14-coverage",
        question: "Was everybody looked at?",
        caption: "Accounts that each audit looked at, of those in scope".to_owned(),
        columns: columns(&[
            ("Source", Holds::Words),
            ("Run", Holds::Number),
            ("Looked at", Holds::Ratio),
            ("Not looked at", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn statements(report: &Report) -> Table {
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
        file: "15-statements",
        question: "Who approved which words?",
        caption: "Messages and statements".to_owned(),
        columns: columns(&[
            ("Statement", Holds::Words),
            ("Kind", Holds::Words),
            ("Author", Holds::Words),
            ("Approver", Holds::Words),
            ("Approved", Holds::Number),
            ("Posted", Holds::Number),
            ("Where", Holds::Words),
            ("Replaces", Holds::Words),
            ("SHA-256 of the text", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn incidents(report: &Report) -> Table {
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
        file: "16-incidents",
        question: "Did we speak in time?",
        caption: "Incidents and promised updates".to_owned(),
        columns: columns(&[
            ("Incident", Holds::Words),
            ("Declared", Holds::Number),
            ("First statement", Holds::Number),
            ("After", Holds::Number),
            ("Promised updates missed", Holds::Ratio),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn clocks(report: &Report) -> Table {
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
        file: "17-legal-clocks",
        question: "Were the legal deadlines met?",
        caption: "Legal clocks; whether a duty applies is decided by people".to_owned(),
        columns: columns(&[
            ("Duty", Holds::Words),
            ("Applies", Holds::Words),
            ("Began", Holds::Number),
            ("Due", Holds::Number),
            ("Done", Holds::Number),
            ("State", Holds::Words),
            ("Reference", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn provenance(report: &Report) -> Table {
    let rows = report.provenance.iter().map(|line| {
        let reasons = line
            .rejected
            .iter()
            .map(|(reason, count)| format!("{reason}: {count}"));
        row(vec![
            Value::words(&line.name),
            Value::When(line.received_at),
            // Of a directory's export only the fingerprint is kept.
            match line.size_bytes {
                0 => Value::Nothing,
                bytes => Value::Cell(Cell::Count(bytes)),
            },
            Value::Ratio(Ratio::of(line.accepted, line.rows)),
            Value::Words(reasons.collect::<Vec<_>>().join("; ")),
            Value::Hash(line.sha256.clone()),
        ])
    });
    Table {
        file: "20-provenance",
        question: "Can the numbers be rebuilt?",
        caption: "Files that these figures rest on, in rows".to_owned(),
        columns: columns(&[
            ("File", Holds::Words),
            ("Received", Holds::Number),
            ("Bytes", Holds::Number),
            ("Rows used", Holds::Ratio),
            ("Rows not used", Holds::Words),
            ("SHA-256", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn ledger(report: &Report) -> Table {
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
            ("First", Holds::Number),
            ("Last", Holds::Number),
            ("Last verified", Holds::Number),
            ("Breaks found", Holds::Number),
            ("Newest seal", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn quality(report: &Report) -> Table {
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

fn benchmarks(report: &Report) -> Table {
    let rows = report.benchmarks.iter().map(|line| {
        row(vec![
            Value::words(line.setting),
            Value::words(line.result),
            Value::words(line.caveat),
            Value::words(line.source),
        ])
    });
    Table {
        file: "05-benchmarks",
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

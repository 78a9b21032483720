//! The tables that are counted from cases.

use super::{Holds, Row, Table, Value, category, columns, row, total};
use crate::domain::report::{Cell, Measure, Report, TimeTable};

pub(super) fn headline(report: &Report) -> Table {
    let has_previous = report.headline.iter().any(|line| line.previous.is_some());
    let mut heads = vec![("Measure", Holds::Words), ("Now", Holds::Ratio)];
    if has_previous {
        heads.push(("Report before", Holds::Ratio));
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

pub(super) fn by_category(report: &Report) -> Table {
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

pub(super) fn rates(report: &Report) -> Table {
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

pub(super) fn targets(report: &Report) -> Table {
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

pub(super) fn by_department(report: &Report) -> Table {
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
        file: "05-by-department",
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

pub(super) fn time(of: &TimeTable, until_reset: bool) -> Table {
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
            "07-time-to-reset"
        } else {
            "06-time-to-safe"
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

pub(super) fn overdue_by_age(report: &Report) -> Table {
    let of = &report.overdue;
    let rows = of
        .by_age
        .iter()
        .map(|(age, cell)| row(vec![Value::words(age), Value::Cell(*cell)]))
        .chain([total(vec![Value::words("All"), Value::Cell(of.total)])]);
    Table {
        file: "08-overdue-by-age",
        question: "How long have things been overdue?",
        caption: "Overdue accounts by the time since their deadline".to_owned(),
        columns: columns(&[("Overdue for", Holds::Words), ("Accounts", Holds::Number)]),
        rows: rows.collect(),
        notes: of.note.iter().map(|note| (*note).to_owned()).collect(),
    }
}

pub(super) fn overdue_cases(report: &Report) -> Table {
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
        file: "09-overdue-cases",
        question: "Who is chasing what?",
        caption: "Overdue cases, longest first, by their pseudonym".to_owned(),
        columns: columns(&[
            ("Case", Holds::Words),
            ("Category", Holds::Words),
            ("Overdue for", Holds::Number),
            ("Last contact", Holds::When),
            ("Next step", Holds::Words),
        ]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

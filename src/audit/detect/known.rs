//! Known files that are no audits: each is named, and says what to do instead.

use super::super::{hibp, john};
use super::Refusal;
use super::head::{By, Head, Look, Shape};

/// A file that is known, and why it is not read.
pub(super) struct Known {
    pub(super) title: &'static str,
    pub(super) look: fn(&Head<'_>) -> Look,
    why: Why,
}

enum Why {
    Html,
    TypeNames,
    LengthColumn,
    ErrorAnswer,
    Instead(&'static str),
}

impl Known {
    pub(super) const fn refusal(&self) -> Refusal {
        match self.why {
            Why::Html => Refusal::Html,
            Why::TypeNames => Refusal::TypeNames,
            Why::LengthColumn => Refusal::LengthColumn,
            Why::ErrorAnswer => Refusal::ErrorAnswer,
            Why::Instead(instead) => Refusal::NoAccounts {
                what: self.title,
                instead,
            },
        }
    }
}

const fn known(title: &'static str, why: Why, look: fn(&Head<'_>) -> Look) -> Known {
    Known { title, look, why }
}

/// All of them.
pub(super) const KNOWN: &[Known] = &[
    known("an HTML page", Why::Html, html),
    known("an export of type names", Why::TypeNames, type_names),
    known("an export of lengths", Why::LengthColumn, length_column),
    known(
        "an error that a service answered",
        Why::ErrorAnswer,
        hibp::look_error,
    ),
    known(
        "the Have I Been Pwned catalogue of breaches",
        Why::Instead("configure it as the catalogue that a domain search is joined with"),
        |head| {
            head.json_with(&["Name", "BreachDate", "DataClasses"])
                .unless(
                    &head.json_with(&["BreachSearchResults"]),
                    "it names accounts",
                )
        },
    ),
    known(
        "a passwd file with no finding in it",
        Why::Instead("crack it, and give what \"john --show\" prints"),
        passwd,
    ),
];

fn html(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Markup) {
        return no;
    }
    let start: String = head
        .start
        .chars()
        .take(2000)
        .collect::<String>()
        .to_ascii_lowercase();
    let signs = [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<!-- saved from",
    ];
    if signs.iter().any(|sign| start.contains(sign)) {
        Look::yes(By::Sign, "it begins as a page of a web site")
    } else {
        Look::no(1, "it has no element of HTML")
    }
}

fn type_names(head: &Head<'_>) -> Look {
    head.line_with(
        "the name \"System.Collections.Generic.SortedSet\"",
        |line| line.contains("System.Collections.Generic.SortedSet"),
    )
}

fn length_column(head: &Head<'_>) -> Look {
    match head.columns() {
        [only] if only == "length" => Look::yes(By::Sign, "its only column is \"Length\""),
        _ => Look::no(0, "its only column is not \"Length\""),
    }
}

fn passwd(head: &Head<'_>) -> Look {
    head.lines_like("of a passwd file whose passwords are elsewhere", |line| {
        john::form_of(line.as_bytes()) == Some(john::Form::Passwd)
            && matches!(line.split(':').nth(1), Some("x" | "*" | "!"))
    })
}

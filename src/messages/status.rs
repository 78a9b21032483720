//! Status: the post about a campaign or an incident. Counts only: it has no field that could hold a name.

use chrono_tz::Tz;
use serde::Serialize;

use super::lint;
use super::words;
use crate::domain::Moment;

/// One number of a status post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figure {
    /// What is counted: "People told".
    pub label: String,
    /// How many. One to four are shown as "fewer than 5": in a small team a count is a name.
    pub count: u64,
}

/// What a status post says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusContext {
    /// Its first line.
    pub title: String,
    /// Which update of this post it is, from 1; an old one is not taken for a new one.
    pub update_no: u32,
    /// The instant that the figures are of.
    pub as_of: Moment,
    /// The zone in which times are named.
    pub zone: Tz,
    /// One word: investigating, identified, contained, monitoring, resolved.
    pub state: String,
    /// One or two sentences, or nothing.
    pub summary: String,
    /// The numbers, in their order.
    pub figures: Vec<Figure>,
    /// When the next update is promised for; none on the last one.
    pub next_update: Option<Moment>,
    /// The newest seal of the ledger, shortened.
    pub seal: Option<String>,
}

/// Why a status post cannot be written. Never quotes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadStatus {
    /// A field that may not be printed.
    #[error("the status post's {0} holds a control character, a link or braces")]
    Unsafe(&'static str),
    /// Longer than Discord takes.
    #[error("the status post is longer than 2,000 characters")]
    TooLong,
}

/// The words that the status template sees.
#[derive(Serialize)]
pub(super) struct StatusWords {
    title: String,
    update_no: u32,
    as_of: String,
    state: String,
    summary: String,
    figures: Vec<FigureWords>,
    next_update: String,
    seal: String,
}

#[derive(Serialize)]
struct FigureWords {
    label: String,
    shown: String,
}

impl StatusWords {
    pub(super) fn new(status: &StatusContext) -> Result<Self, BadStatus> {
        Ok(Self {
            title: printable("title", &status.title)?,
            update_no: status.update_no,
            as_of: words::dated(status.as_of, status.zone),
            state: printable("state", &status.state)?,
            summary: printable("summary", &status.summary)?,
            figures: status
                .figures
                .iter()
                .map(|figure| {
                    Ok(FigureWords {
                        label: printable("figures", &figure.label)?,
                        shown: match figure.count {
                            1..=4 => "fewer than 5".to_owned(),
                            count => words::number(count),
                        },
                    })
                })
                .collect::<Result<_, _>>()?,
            next_update: status
                .next_update
                .map(|at| words::moment(at, status.zone))
                .unwrap_or_default(),
            seal: match &status.seal {
                Some(seal) if seal.bytes().all(|b| b.is_ascii_alphanumeric()) => seal.clone(),
                Some(_) => return Err(BadStatus::Unsafe("seal")),
                None => String::new(),
            },
        })
    }
}

/// The text with Discord's marks as plain characters; refused if it leads somewhere or hides something.
fn printable(field: &'static str, text: &str) -> Result<String, BadStatus> {
    if text.chars().any(lint::is_hidden)
        || lint::has_braces(text)
        || lint::something_to_follow(text).is_some()
    {
        return Err(BadStatus::Unsafe(field));
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\*_~`|<>[]#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(out)
}

impl StatusContext {
    /// Named samples: while it goes on, and when it is over.
    pub fn samples() -> [(&'static str, Self); 2] {
        let hour = |at: i64| Moment::from_micros((1_751_630_400 + at * 3600) * 1_000_000);
        let figure = |label: &str, count| Figure {
            label: label.to_owned(),
            count,
        };
        let open = Self {
            title: "New passwords after the June audit".to_owned(),
            update_no: 3,
            as_of: hour(0),
            zone: Tz::Europe__London,
            state: "monitoring".to_owned(),
            summary: "Notices are going out by email. Real ones have no links.".to_owned(),
            figures: vec![
                figure("People told", 9000),
                figure("New password proven", 4211),
                figure("Not reached yet", 3),
            ],
            next_update: Some(hour(24)),
            seal: Some("K7M4Q2X9".to_owned()),
        };
        let over = Self {
            update_no: 4,
            as_of: hour(48),
            state: "resolved".to_owned(),
            summary: String::new(),
            figures: Vec::new(),
            next_update: None,
            seal: None,
            ..open.clone()
        };
        [("open", open), ("over", over)]
    }
}

//! The machine-readable part of a delivery report (RFC 3464): what became of each recipient.

use mail_parser::{Message, MimeHeaders, PartType};

use crate::domain::delivery::{Reply, Verdict, masked};

/// What the reporting system did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Given up.
    Failed,
    /// Still trying.
    Delayed,
    /// Put into the mailbox.
    Delivered,
    /// Handed to a system that sends no reports.
    Relayed,
    /// Handed to several addresses.
    Expanded,
}

impl Action {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "failed" => Self::Failed,
            "delayed" => Self::Delayed,
            "delivered" => Self::Delivered,
            "relayed" => Self::Relayed,
            "expanded" => Self::Expanded,
            _ => return None,
        })
    }

    /// What it means for the letter.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Failed => Verdict::Failed,
            Self::Delayed => Verdict::Delayed,
            Self::Delivered | Self::Relayed | Self::Expanded => Verdict::Progress,
        }
    }
}

/// What a report says about one recipient, whom it does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientReport {
    /// What was done.
    pub action: Action,
    /// Status code, such as 5.1.1.
    pub status: Option<(u16, u16, u16)>,
    /// The diagnostic without its type, addresses masked; may be empty.
    pub diagnostic: String,
    /// The server that said so, if it was another than the one that reports.
    pub remote_mta: Option<String>,
}

/// Whether this is a report in form: `multipart/report; report-type=delivery-status` (RFC 6522), or what RFC 6533 makes of
/// it for international addresses.
pub(super) fn is_report(message: &Message<'_>) -> bool {
    report_type(message).is_some_and(|kind| {
        kind.eq_ignore_ascii_case("delivery-status")
            || kind.eq_ignore_ascii_case("global-delivery-status")
    })
}

/// The type of a `multipart/report`, whatever it is about.
pub(super) fn report_type<'a>(message: &'a Message<'_>) -> Option<&'a str> {
    let kind = message.content_type()?;
    let is_report = kind.ctype().eq_ignore_ascii_case("multipart")
        && kind
            .subtype()
            .is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"));
    is_report.then(|| kind.attribute("report-type")).flatten()
}

/// The one machine-readable part that stands directly in the report: not one deeper down, which may be part of what is
/// sent back. Two of them contradict each other, and are none.
pub(super) fn status_text(message: &Message<'_>) -> Option<String> {
    let root = message.parts.first()?;
    let PartType::Multipart(children) = &root.body else {
        return None;
    };
    let mut status = children
        .iter()
        .filter_map(|id| message.parts.get(usize::try_from(*id).ok()?))
        .filter(|part| {
            part.content_type().is_some_and(|kind| {
                kind.ctype().eq_ignore_ascii_case("message")
                    && kind.subtype().is_some_and(|subtype| {
                        // The second is RFC 6533's, for international addresses.
                        subtype.eq_ignore_ascii_case("delivery-status")
                            || subtype.eq_ignore_ascii_case("global-delivery-status")
                    })
            })
        });
    let (one, another) = (status.next()?, status.next());
    another
        .is_none()
        .then(|| String::from_utf8_lossy(one.contents()).replace("\r\n", "\n"))
}

/// The recipient whom it went worst with; of equals, the first. Our letters have one recipient, but an alias may have made
/// many of them. A group without a known action says nothing; without any, the report cannot be read.
pub(super) fn worst(status: &str) -> Option<RecipientReport> {
    let mut worst: Option<RecipientReport> = None;
    for group in groups(status) {
        let Some(report) = recipient(&group) else {
            continue;
        };
        if worst
            .as_ref()
            .is_none_or(|worst| worst.action.verdict() < report.action.verdict())
        {
            worst = Some(report);
        }
    }
    worst
}

/// The groups of fields that stand between blank lines, each with its lines unfolded.
fn groups(status: &str) -> impl Iterator<Item = Vec<String>> {
    let mut lines = status.lines();
    std::iter::from_fn(move || {
        let mut group: Vec<String> = Vec::new();
        for line in lines.by_ref() {
            if line.trim().is_empty() {
                if group.is_empty() {
                    continue;
                }
                return Some(group);
            }
            match group.last_mut() {
                Some(last) if line.starts_with([' ', '\t']) => {
                    last.push(' ');
                    last.push_str(line.trim());
                }
                _ => group.push(line.to_owned()),
            }
        }
        (!group.is_empty()).then_some(group)
    })
}

fn recipient(fields: &[String]) -> Option<RecipientReport> {
    let field = |name: &str| {
        fields.iter().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim())
        })
    };
    let action = Action::from_word(first_word(field("Action")?))?;
    // A status has the form of an enhanced code; the basic code here is only its class.
    let status = field("Status").and_then(|value| Reply::new(500, first_word(value)).enhanced);
    Some(RecipientReport {
        action,
        status,
        diagnostic: masked(without_type(field("Diagnostic-Code").unwrap_or(""))),
        remote_mta: field("Remote-MTA")
            .map(|value| masked(without_type(value)))
            .filter(|name| !name.is_empty()),
    })
}

fn first_word(value: &str) -> &str {
    value.split([' ', '\t', '(']).next().unwrap_or("")
}

/// `smtp; 550 no` without the `smtp;`.
fn without_type(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, text)| text).trim()
}

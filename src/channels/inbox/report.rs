//! The machine-readable part of a delivery report (RFC 3464): what became of each recipient.

use mail_parser::{Message, MimeHeaders};

use super::Verdict;
use crate::domain::delivery::{Reply, masked};

/// How many recipients of a report are read; our letters have one.
const MOST_RECIPIENTS: usize = 50;

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
}

/// The recipients of the first machine-readable part. A group without a known action says nothing.
pub(super) fn recipients(message: &Message<'_>) -> Vec<RecipientReport> {
    let part = message.parts.iter().find(|part| {
        part.content_type().is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("message")
                && kind.subtype().is_some_and(|subtype| {
                    // The second is RFC 6533's, for international addresses.
                    subtype.eq_ignore_ascii_case("delivery-status")
                        || subtype.eq_ignore_ascii_case("global-delivery-status")
                })
        })
    });
    let text = part.map(|part| String::from_utf8_lossy(part.contents()).replace("\r\n", "\n"));
    // The first group is about the message; groups are separated by blank lines.
    text.unwrap_or_default()
        .split("\n\n")
        .filter_map(recipient)
        .take(MOST_RECIPIENTS)
        .collect()
}

fn recipient(group: &str) -> Option<RecipientReport> {
    let fields = unfolded(group);
    let field = |name: &str| {
        fields.iter().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim())
        })
    };
    let first_word = |value: &str| {
        value
            .split([' ', '\t', '('])
            .next()
            .unwrap_or("")
            .to_owned()
    };
    let action = Action::from_word(&first_word(field("Action")?))?;
    // A status has the form of an enhanced code; the basic code here is only its class.
    let status = field("Status").and_then(|value| Reply::new(500, &first_word(value)).enhanced);
    let diagnostic = field("Diagnostic-Code").unwrap_or("");
    let without_type = diagnostic
        .split_once(';')
        .map_or(diagnostic, |(_, text)| text);
    Some(RecipientReport {
        action,
        status,
        diagnostic: masked(without_type),
    })
}

fn unfolded(group: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in group.lines() {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

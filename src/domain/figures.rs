//! Figures: the counts behind a status post. No names, and no count that could be one.

use serde::Serialize;

/// Below this a group is not told from its members.
pub const FEW: u64 = 5;

/// The counts as of an instant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Figures {
    /// Accounts with a case that is not withdrawn.
    pub accounts: u64,
    /// People with such a case.
    pub people: u64,
    /// Cases whose person was told.
    pub told: u64,
    /// Cases closed by a proven reset.
    pub reset: u64,
    /// Cases closed because the account can no longer be used.
    pub disabled: u64,
    /// Cases still open.
    pub open: u64,
    /// Of these, past their deadline.
    pub overdue: u64,
    /// Of these, whose person was not reached.
    pub not_reached: u64,
}

/// A count as it may be shown: one to four are "fewer than 5".
pub fn shown(count: u64) -> String {
    match count {
        0 => "none".to_owned(),
        few if few < FEW => "fewer than 5".to_owned(),
        many => thousands(many),
    }
}

fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

impl Figures {
    /// Labels and counts, in the order in which they are shown. Nothing can be worked out by subtraction: if the open
    /// ones are few, the proven resets are rounded down to a multiple of five as well.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let is_hidden = |count: u64| (1..FEW).contains(&count);
        let rest = self.open + self.disabled;
        let reset = if is_hidden(self.open) || is_hidden(self.disabled) || is_hidden(rest) {
            match self.reset / 5 * 5 {
                0 => shown(self.reset),
                at_least => format!("at least {}", thousands(at_least)),
            }
        } else {
            shown(self.reset)
        };
        vec![
            ("Accounts that need a new password", shown(self.accounts)),
            ("People told so far", shown(self.told)),
            ("New password proven", reset),
            ("Still open", shown(self.open)),
            ("Past their date", shown(self.overdue)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_never_counted_out() {
        assert_eq!(shown(0), "none");
        assert_eq!(shown(4), "fewer than 5");
        assert_eq!(shown(9_000), "9,000");
        let figures = Figures {
            accounts: 40,
            told: 38,
            reset: 38,
            open: 2,
            ..Figures::default()
        };
        let lines = figures.lines();
        assert_eq!(
            lines
                .iter()
                .find(|(label, _)| *label == "New password proven")
                .map(|(_, value)| value.as_str()),
            Some("at least 35")
        );
        assert_eq!(
            lines
                .iter()
                .find(|(label, _)| *label == "Still open")
                .map(|(_, value)| value.as_str()),
            Some("fewer than 5")
        );
    }
}

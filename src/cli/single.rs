//! Which commands show single people, their cases or their letters: those that are for few eyes where only sums may be shown.

use super::{Audits, Campaign, Command, Contain, Ledger, People};

impl Command {
    /// Whether what it prints is about single people, by name or by number.
    pub fn shows_single_people(&self) -> bool {
        match self {
            Self::People(people) => match people {
                People::List { .. }
                | People::Show { .. }
                | People::Sync { .. }
                | People::Delegate { .. }
                | People::Export { .. } => true,
                // Who may erase or hold knows the number already; the list of holds says it.
                People::Erase { .. } => false,
                People::Hold { list, .. } => *list,
            },
            Self::Audits(audits) => match audits {
                Audits::Unmatched { .. } | Audits::Bind { .. } => true,
                Audits::List | Audits::Show { .. } | Audits::Fetch { .. } => false,
            },
            Self::Intake(options) => options.unmatched,
            Self::Ledger(ledger) => match ledger {
                Ledger::List { .. } | Ledger::Export { .. } => true,
                Ledger::Verify { .. } | Ledger::Seal | Ledger::Key => false,
            },
            Self::Contain(contain) => !matches!(contain, Contain::Key),
            Self::Campaign(campaign) => matches!(campaign, Campaign::Draft),
            Self::Plan
            | Self::Case(_)
            | Self::Delivery(_)
            | Self::HandOver(_)
            | Self::Letters(_)
            | Self::Tasks { .. }
            | Self::AuditSteps => true,
            Self::Demo(_)
            | Self::Init { .. }
            | Self::Check { .. }
            | Self::Serve
            | Self::Notify
            | Self::Deliver { .. }
            | Self::Text
            | Self::Inbox(_)
            | Self::Confirm { .. }
            | Self::Verify { .. }
            | Self::Hold(_)
            | Self::Alarms
            | Self::Incident(_)
            | Self::Statement(_)
            | Self::Access(_)
            | Self::Announce
            | Self::Report(_)
            | Self::Messages(_)
            | Self::Purge
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Epoch(_)
            | Self::Operator(_)
            | Self::Token(_)
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}

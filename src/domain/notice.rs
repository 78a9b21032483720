//! Notice: who is told what, in which round, and why. A value, never a row.

use serde::{Deserialize, Serialize};

use super::finding::Category;

/// The kinds of letter to one person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum NoticeKind {
    /// First notice, the severest finding is weak.
    #[serde(rename = "notice.weak")]
    Weak,
    /// First notice, the severest finding is attacked.
    #[serde(rename = "notice.attacked")]
    Attacked,
    /// First notice, the severest finding is breached.
    #[serde(rename = "notice.breached")]
    Breached,
    /// First notice, the severest finding is compromised. Never to the affected mailbox alone.
    #[serde(rename = "notice.compromised")]
    Compromised,
    /// First reminder.
    #[serde(rename = "reminder.1")]
    Reminder1,
    /// Second reminder.
    #[serde(rename = "reminder.2")]
    Reminder2,
    /// Last reminder.
    #[serde(rename = "reminder.final")]
    ReminderFinal,
    /// The reset is proven: thank you.
    #[serde(rename = "notice.done")]
    Done,
    /// To a manager: a task is overdue. It stands in nobody's thread.
    #[serde(rename = "escalation.manager")]
    Manager,
    /// To whoever reads somebody's mailbox for them: there is a task. It stands in nobody's thread.
    #[serde(rename = "escalation.delegate")]
    Delegate,
}

impl NoticeKind {
    /// All of them, in the order in which a person may meet them.
    pub const ALL: [Self; 10] = [
        Self::Weak,
        Self::Attacked,
        Self::Breached,
        Self::Compromised,
        Self::Reminder1,
        Self::Reminder2,
        Self::ReminderFinal,
        Self::Done,
        Self::Manager,
        Self::Delegate,
    ];

    /// The word that folders of messages, the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Weak => "notice.weak",
            Self::Attacked => "notice.attacked",
            Self::Breached => "notice.breached",
            Self::Compromised => "notice.compromised",
            Self::Reminder1 => "reminder.1",
            Self::Reminder2 => "reminder.2",
            Self::ReminderFinal => "reminder.final",
            Self::Done => "notice.done",
            Self::Manager => "escalation.manager",
            Self::Delegate => "escalation.delegate",
        }
    }

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The first notice for a category.
    pub const fn first(category: Category) -> Self {
        match category {
            Category::Weak => Self::Weak,
            Category::Attacked => Self::Attacked,
            Category::Breached => Self::Breached,
            Category::Compromised => Self::Compromised,
        }
    }

    /// Whether this kind opens a thread; the others answer in it.
    pub const fn is_first(self) -> bool {
        matches!(
            self,
            Self::Weak | Self::Attacked | Self::Breached | Self::Compromised
        )
    }

    /// Whether it is to whoever has the task: what tells them of it, and answers in their thread.
    pub const fn is_to_holder(self) -> bool {
        !matches!(self, Self::Manager | Self::Delegate)
    }

    /// Whether this kind is a reminder.
    pub const fn is_reminder(self) -> bool {
        matches!(
            self,
            Self::Reminder1 | Self::Reminder2 | Self::ReminderFinal
        )
    }
}

impl std::fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

//! Escalation: whether a manager or a delegate is told that somebody has a task, and what of it.
//!
//! Never why; never about somebody who was not reached or who is exempt; never at an address that an intruder may be
//! reading. About a compromised account a manager learns only that somebody cannot sign in and needs time.

use serde::{Deserialize, Serialize};

use super::finding::Category;

/// What a manager is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A task is overdue.
    Overdue,
    /// Somebody cannot sign in, and needs time.
    Locked,
    /// To whoever reads somebody's mailbox for them: there is a task.
    Delegate,
}

impl About {
    /// What a manager is told of a case of this category.
    pub const fn of(category: Category) -> Self {
        match category {
            Category::Compromised => Self::Locked,
            Category::Weak | Category::Attacked | Category::Breached => Self::Overdue,
        }
    }

    /// The word that the database uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Locked => "locked",
            Self::Delegate => "delegate",
        }
    }

    /// What a word means.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Overdue, Self::Locked, Self::Delegate]
            .into_iter()
            .find(|about| about.word() == word)
    }
}

/// How the person stands now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Their case is over.
    Done,
    /// It rests for a while, or its campaign does.
    Resting,
    /// Its campaign was stopped.
    Stopped,
    /// They were not reached.
    NotReached,
    /// They were told. Whether a reminder has arrived since.
    Told {
        /// One has.
        reminded: bool,
    },
}

/// Who is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manager {
    /// The directory names nobody.
    None,
    /// The person manages themself, as far as the directory knows.
    Themself,
    /// They have left, or cannot sign in.
    Gone,
    /// They have no mailbox.
    NoMailbox,
    /// An intruder may be reading their mailbox.
    Compromised,
    /// They can be written to.
    Able,
}

/// What becomes of it now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It stands in the next letter to the manager.
    Write,
    /// Not yet.
    Wait,
    /// Never.
    Over,
    /// A human being speaks with somebody, and why.
    ByHand(&'static str),
}

/// Decides, as things stand at this moment: asked when a letter is written, and once more right before it goes.
pub const fn next(about: About, standing: Standing, manager: Manager) -> Next {
    match (standing, about) {
        (Standing::Done | Standing::Stopped, _) => Next::Over,
        (Standing::Resting, _) => Next::Wait,
        // "At once" may be before the person could be spoken to.
        (Standing::NotReached, About::Locked | About::Delegate) => Next::Wait,
        // Not reached is not ignored; and the letter says that there were reminders.
        (Standing::NotReached | Standing::Told { reminded: false }, About::Overdue) => Next::Over,
        // The person was told by another way; a delegate who cannot be written to need not be.
        (Standing::Told { .. }, About::Delegate) => match manager {
            Manager::Able => Next::Write,
            Manager::None
            | Manager::Themself
            | Manager::Gone
            | Manager::NoMailbox
            | Manager::Compromised => Next::Over,
        },
        (Standing::Told { .. }, _) => match manager {
            Manager::Able => Next::Write,
            Manager::None => Next::ByHand("no_manager"),
            Manager::Themself => Next::ByHand("own_manager"),
            Manager::Gone => Next::ByHand("manager_gone"),
            Manager::NoMailbox => Next::ByHand("manager_no_mailbox"),
            Manager::Compromised => Next::ByHand("manager_compromised"),
        },
    }
}

/// The most people that one letter names; more wait for the next day's.
pub const MOST_STAFF: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_told_only_of_somebody_who_was_reached_and_reminded() {
        use About::{Locked, Overdue};
        use Standing::{Done, NotReached, Resting, Stopped, Told};
        for (about, standing, expected) in [
            (Overdue, Told { reminded: true }, Next::Write),
            (Overdue, Told { reminded: false }, Next::Over),
            (Overdue, NotReached, Next::Over),
            (Overdue, Resting, Next::Wait),
            (Overdue, Done, Next::Over),
            (Overdue, Stopped, Next::Over),
            (Locked, NotReached, Next::Wait),
            (Locked, Told { reminded: false }, Next::Write),
            (Locked, Done, Next::Over),
            (About::Delegate, NotReached, Next::Wait),
            (About::Delegate, Told { reminded: false }, Next::Write),
        ] {
            assert_eq!(
                next(about, standing, Manager::Able),
                expected,
                "{about:?} {standing:?}"
            );
        }
    }

    #[test]
    fn without_a_manager_who_can_be_written_to_a_human_being_speaks_with_somebody() {
        for (manager, why) in [
            (Manager::None, "no_manager"),
            (Manager::Themself, "own_manager"),
            (Manager::Gone, "manager_gone"),
            (Manager::NoMailbox, "manager_no_mailbox"),
            (Manager::Compromised, "manager_compromised"),
        ] {
            let told = Standing::Told { reminded: true };
            assert_eq!(next(About::Overdue, told, manager), Next::ByHand(why));
            assert_eq!(
                next(About::Overdue, Standing::NotReached, manager),
                Next::Over
            );
        }
    }
}

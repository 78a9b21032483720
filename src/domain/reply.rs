//! Reply: what a person says about their own case, as an operator writes it down. It never closes a case: only a
//! directory does.

use serde::{Deserialize, Serialize};

/// What a person says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// They have changed it.
    Done,
    /// The account is not theirs.
    NotMe,
    /// They cannot do it by themselves.
    NeedHelp,
}

impl Reply {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Done, Self::NotMe, Self::NeedHelp];

    /// The word that the command line, the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotMe => "not_me",
            Self::NeedHelp => "need_help",
        }
    }

    /// The reply that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reply| reply.word() == word)
    }

    /// What an operator reads once it is written down.
    pub const fn consequence(self) -> &'static str {
        match self {
            Self::Done => "written down; the case stays open until the directory proves it",
            Self::NotMe => "written down; an operator finds out whose account it is",
            Self::NeedHelp => "written down; somebody helps them",
        }
    }
}

/// By which way it was heard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// On the phone.
    Phone,
    /// By mail to the staffed mailbox.
    Mail,
    /// In chat.
    Chat,
    /// Face to face.
    InPerson,
    /// On a letter's slip.
    Letter,
}

impl Heard {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Phone,
        Self::Mail,
        Self::Chat,
        Self::InPerson,
        Self::Letter,
    ];

    /// The word that the command line, the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Mail => "mail",
            Self::Chat => "chat",
            Self::InPerson => "in_person",
            Self::Letter => "letter",
        }
    }

    /// The way that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|heard| heard.word() == word)
    }
}

/// Why an operator puts a case among those whose person is not reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutOfReach {
    /// On leave, ill, travelling.
    Absent,
    /// Rung up, visited, and not there.
    NoAnswer,
    /// A shared account that nobody answers for.
    Ownerless,
    /// Nobody can open the mailbox that the notice went to.
    MailboxDisabled,
}

impl OutOfReach {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Absent,
        Self::NoAnswer,
        Self::Ownerless,
        Self::MailboxDisabled,
    ];

    /// The word that the command line, the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::NoAnswer => "no_answer",
            Self::Ownerless => "ownerless",
            Self::MailboxDisabled => "mailbox_disabled",
        }
    }

    /// The reason that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back() {
        for reply in Reply::ALL {
            assert_eq!(Reply::from_word(reply.word()), Some(reply));
        }
        for heard in Heard::ALL {
            assert_eq!(Heard::from_word(heard.word()), Some(heard));
        }
        for why in OutOfReach::ALL {
            assert_eq!(OutOfReach::from_word(why.word()), Some(why));
        }
        assert_eq!(Reply::from_word("maybe"), None);
    }
}

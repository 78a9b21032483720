//! Campaign: one run of telling people, and the approval that is bound to what was approved.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where a campaign is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Waits for a second operator.
    Draft,
    /// May go.
    Approved,
    /// Its first notices are queued.
    Running,
    /// Stands still until somebody resumes it.
    Paused,
    /// Over before its time.
    Stopped,
    /// Recipients or texts changed after the approval: it says nothing, and a new draft is needed.
    Void,
}

impl CampaignState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Draft,
        Self::Approved,
        Self::Running,
        Self::Paused,
        Self::Stopped,
        Self::Void,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Void => "void",
        }
    }

    /// The state that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// Why an approval is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Two people, always.
    #[error("who drafted a campaign cannot approve it; ask a second operator")]
    SamePerson,
    /// The operator's role does not allow it.
    #[error("this operator is no approver; the config's [[operator]] list says who is")]
    NoApprover,
    /// It is not a draft any more.
    #[error("only a draft can be approved, and this campaign is {}", .0.word())]
    NotADraft(CampaignState),
    /// Recipients or texts are not those that the approver saw.
    #[error(
        "recipients or texts have changed since this was drafted; draft it again and look at it again"
    )]
    Changed,
}

/// Whether `approver` may approve a campaign of `author`'s, whose content hashes to `now` and was drafted as `drafted`.
/// Operators' names are compared folded: "Ann" is no second person beside "ann".
pub fn approve(
    state: CampaignState,
    author: &str,
    approver: &str,
    is_approver: bool,
    drafted: &str,
    now: &str,
) -> Result<(), NotApproved> {
    if state != CampaignState::Draft {
        return Err(NotApproved::NotADraft(state));
    }
    if !is_approver {
        return Err(NotApproved::NoApprover);
    }
    if super::address::fold(author) == super::address::fold(approver) {
        return Err(NotApproved::SamePerson);
    }
    if drafted != now {
        return Err(NotApproved::Changed);
    }
    Ok(())
}

/// Folds the hashes of all recipients and texts, in their order, into the hash that an approval is bound to.
#[derive(Clone, Default)]
pub struct ContentHash(Sha256);

impl ContentHash {
    /// Adds one thread: its reference and the hash of its recipient and text.
    pub fn add(&mut self, reference: &str, content: &str) {
        self.0.update(reference.as_bytes());
        self.0.update([0]);
        self.0.update(content.as_bytes());
        self.0.update([0]);
    }

    /// The whole, in hexadecimal.
    pub fn finish(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_needs_a_second_person_and_the_same_content() {
        use CampaignState::{Draft, Running};
        for (state, author, approver, is_approver, now, expected) in [
            (Draft, "Ann", "Ben", true, "h1", Ok(())),
            (
                Draft,
                "Ann",
                " ann ",
                true,
                "h1",
                Err(NotApproved::SamePerson),
            ),
            (
                Draft,
                "Ann",
                "Ben",
                false,
                "h1",
                Err(NotApproved::NoApprover),
            ),
            (Draft, "Ann", "Ben", true, "h2", Err(NotApproved::Changed)),
            (
                Running,
                "Ann",
                "Ben",
                true,
                "h1",
                Err(NotApproved::NotADraft(Running)),
            ),
        ] {
            assert_eq!(
                approve(state, author, approver, is_approver, "h1", now),
                expected
            );
        }
    }

    #[test]
    fn parts_of_a_hash_cannot_slide_into_each_other() {
        let hash = |parts: &[(&str, &str)]| {
            let mut all = ContentHash::default();
            parts
                .iter()
                .for_each(|(reference, content)| all.add(reference, content));
            all.finish()
        };
        assert_ne!(hash(&[("ab", "c")]), hash(&[("a", "bc")]));
        assert_ne!(
            hash(&[("a", "b"), ("c", "d")]),
            hash(&[("c", "d"), ("a", "b")])
        );
    }
}

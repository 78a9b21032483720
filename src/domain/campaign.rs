//! Campaign: one run of telling people, and the approval that is bound to what was approved.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::CampaignId;
use super::moment::Moment;

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

/// Where staff are told that notices are coming, before the first of them comes (rule 3.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The page that lists our notices.
    Intranet,
    /// The staff chat.
    Chat,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Intranet, Self::Chat];

    /// The word that config, database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Intranet => "intranet",
            Self::Chat => "chat",
        }
    }

    /// The place that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.word() == word)
    }
}

/// What is on record about a campaign's announcement.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Announced {
    /// Where it is out, and since when.
    pub posted: Vec<(Place, Moment)>,
    /// When an operator decided that the campaign goes without one.
    pub skipped_at: Option<Moment>,
}

/// Leave to queue the first notices of one campaign: its announcement has been out for long enough, or an operator answers
/// for going without.
///
/// There is no other way to one than [`Cleared::new`], and first notices are not queued without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cleared(CampaignId);

impl Cleared {
    /// Checks what is on record at `now`: all of `places` need to have had the announcement for `lead`.
    pub fn new(
        campaign: CampaignId,
        announced: &Announced,
        places: &[Place],
        lead: TimeDelta,
        now: Moment,
    ) -> Result<Self, NotCleared> {
        if announced.skipped_at.is_some_and(|at| at <= now) {
            return Ok(Self(campaign));
        }
        let mut latest = None;
        let mut missing = Vec::new();
        for place in places {
            let first = announced
                .posted
                .iter()
                .filter(|(posted, _)| posted == place)
                .map(|(_, at)| *at)
                .min();
            match first {
                Some(at) => latest = latest.max(Some(at)),
                None => missing.push(*place),
            }
        }
        match latest {
            _ if !missing.is_empty() => Err(NotCleared::NotAnnounced(missing)),
            Some(at) if at.plus(lead) > now => Err(NotCleared::TooFresh(at.plus(lead))),
            Some(_) | None => Ok(Self(campaign)),
        }
    }

    /// Which campaign may go.
    pub const fn campaign(self) -> CampaignId {
        self.0
    }
}

/// Why the first notices of a campaign wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NotCleared {
    /// It is not on record that it is out in these places.
    #[error("it is not on record as posted on {}", places(.0))]
    NotAnnounced(Vec<Place>),
    /// It is out, and people need time to see it.
    #[error("it is out, and the first notices may follow at {0}")]
    TooFresh(Moment),
}

fn places(places: &[Place]) -> String {
    let words: Vec<_> = places.iter().map(|place| place.word()).collect();
    words.join(" and ")
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
    fn first_notices_wait_for_their_announcement_or_for_somebody_who_answers_for_going_without() {
        use Place::{Chat, Intranet};
        let at = |minutes: i64| Moment::from_micros(minutes * 60_000_000);
        let lead = TimeDelta::minutes(15);
        let clear = |announced: &Announced, places: &[Place], now| {
            Cleared::new(CampaignId(3), announced, places, lead, at(now)).map(Cleared::campaign)
        };
        let posted = |posted: &[(Place, Moment)]| Announced {
            posted: posted.to_vec(),
            skipped_at: None,
        };
        let both = [Intranet, Chat];
        let none = Announced::default();
        assert_eq!(
            clear(&none, &both, 100),
            Err(NotCleared::NotAnnounced(both.to_vec()))
        );
        let one = posted(&[(Intranet, at(10))]);
        assert_eq!(
            clear(&one, &both, 100),
            Err(NotCleared::NotAnnounced(vec![Chat]))
        );
        assert_eq!(clear(&one, &[Intranet], 100), Ok(CampaignId(3)));
        let two = posted(&[(Intranet, at(10)), (Chat, at(20)), (Chat, at(90))]);
        assert_eq!(clear(&two, &both, 34), Err(NotCleared::TooFresh(at(35))));
        assert_eq!(clear(&two, &both, 35), Ok(CampaignId(3)));
        let skipped = Announced {
            skipped_at: Some(at(50)),
            ..none.clone()
        };
        assert_eq!(clear(&skipped, &both, 50), Ok(CampaignId(3)));
        assert!(
            clear(&skipped, &both, 49).is_err(),
            "not before it was decided"
        );
        assert_eq!(clear(&none, &[], 0), Ok(CampaignId(3)));
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

//! Statement: a text for an audience. Drafted by one person, approved by another, published, and never rewritten.

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::address::fold;
use super::audience::Audience;
use super::ids::StatementId;
use super::moment::Moment;

/// Longest text of a statement, in characters. What every channel takes in one piece is shorter and its own affair.
pub const MOST_CHARS: usize = 3_500;

/// What a statement is to another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    /// It stands alone.
    Statement,
    /// It puts a published one right.
    Correction,
    /// It takes a published one back.
    Withdrawal,
}

impl StatementKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Statement, Self::Correction, Self::Withdrawal];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Correction => "correction",
            Self::Withdrawal => "withdrawal",
        }
    }

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// What becomes of the published statement that one of this kind is about, once it is published itself.
    pub const fn marks(self) -> Option<StatementState> {
        match self {
            Self::Statement => None,
            Self::Correction => Some(StatementState::Corrected),
            Self::Withdrawal => Some(StatementState::Withdrawn),
        }
    }
}

/// Where a statement is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementState {
    /// Being written, or sent back.
    Draft,
    /// A second person has approved exactly this.
    Approved,
    /// Approved, and published by itself at its time.
    Scheduled,
    /// Out. Its text never changes again.
    Published,
    /// Out, and put right by a later one.
    Corrected,
    /// Out, and taken back by a later one.
    Withdrawn,
    /// Given up before it was out.
    Cancelled,
}

impl StatementState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Approved,
        Self::Scheduled,
        Self::Published,
        Self::Corrected,
        Self::Withdrawn,
        Self::Cancelled,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Published => "published",
            Self::Corrected => "corrected",
            Self::Withdrawn => "withdrawn",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Whether readers have it.
    pub const fn is_out(self) -> bool {
        match self {
            Self::Published | Self::Corrected | Self::Withdrawn => true,
            Self::Draft | Self::Approved | Self::Scheduled | Self::Cancelled => false,
        }
    }

    /// The whole life of a statement. Used to move it, and to refuse a move.
    pub const fn after(self, event: StatementEvent) -> Result<Self, IllegalMove> {
        use StatementEvent as E;
        use StatementState::{
            Approved, Cancelled, Corrected, Draft, Published, Scheduled, Withdrawn,
        };
        match (self, event) {
            // An edit voids the approval, and with it the time.
            (Draft | Approved | Scheduled, E::Edited)
            | (Draft | Approved | Scheduled, E::SentBack) => Ok(Draft),
            (Draft, E::Approved) => Ok(Approved),
            (Approved | Scheduled, E::Scheduled) => Ok(Scheduled),
            (Approved | Scheduled, E::Published) => Ok(Published),
            // Taken off the clock it is what it was before: approved.
            (Scheduled, E::Cancelled) => Ok(Approved),
            (Draft | Approved, E::Cancelled) => Ok(Cancelled),
            (Published, E::Corrected) => Ok(Corrected),
            (Published | Corrected, E::Withdrawn) => Ok(Withdrawn),
            (state, event) => Err(IllegalMove { state, event }),
        }
    }
}

/// What happens to a statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatementEvent {
    /// Its text, audience or channels changed.
    Edited,
    /// Somebody wants it changed first.
    SentBack,
    /// A second person approved it.
    Approved,
    /// It has a time.
    Scheduled,
    /// It is taken off the clock, or given up.
    Cancelled,
    /// It is out.
    Published,
    /// A later statement puts it right.
    Corrected,
    /// A later statement takes it back.
    Withdrawn,
}

impl StatementEvent {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Edited,
        Self::SentBack,
        Self::Approved,
        Self::Scheduled,
        Self::Cancelled,
        Self::Published,
        Self::Corrected,
        Self::Withdrawn,
    ];

    const fn in_words(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::SentBack => "sent back",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Cancelled => "cancelled",
            Self::Published => "published",
            Self::Corrected => "corrected",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A move that a statement's life does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a statement that is {} cannot be {}; {}", .state.word(), .event.in_words(), way_out(*.state))]
pub struct IllegalMove {
    /// Where it is.
    pub state: StatementState,
    /// What was asked for.
    pub event: StatementEvent,
}

const fn way_out(state: StatementState) -> &'static str {
    match state {
        StatementState::Draft => "have it approved by a second person first",
        StatementState::Approved | StatementState::Scheduled => {
            "edit it, which voids the approval, or publish it"
        }
        StatementState::Published | StatementState::Corrected => {
            "what is out is never rewritten: correct or withdraw it by a new one"
        }
        StatementState::Withdrawn | StatementState::Cancelled => "draft a new one",
    }
}

/// A figure as readers see it, and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// As the text calls it: `compromised`.
    pub name: String,
    /// The count that it was made from.
    pub count: u64,
    /// As it is shown: "fewer than 90".
    pub shown: String,
    /// The query's name.
    pub source: String,
}

/// Exactly what a second person approves: nothing else may be posted, and nowhere else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Wording {
    /// As readers see it, all variables filled.
    pub text: String,
    /// The instant of the figures as the text names it; empty if it does not.
    pub as_of_words: String,
    /// The figures in it, in the order of their names.
    pub figures: Vec<Figure>,
    /// As of when.
    pub as_of: Moment,
    /// Who reads it.
    pub audience: Audience,
    /// Where it goes, by the names of the config.
    pub channels: Vec<String>,
}

impl Wording {
    /// What an approval is bound to, in hexadecimal: text, figures as they are shown, audience and channels. The instant
    /// is not part of it, and neither are counts: what reads the same is the same.
    pub fn hash(&self) -> String {
        let mut all = Sha256::new();
        let mut add = |part: &str| {
            all.update((part.len() as u64).to_be_bytes());
            all.update(part.as_bytes());
        };
        match self.as_of_words.as_str() {
            "" => add(&self.text),
            words => add(&self.text.replace(words, "\u{1f}")),
        }
        add(self.audience.word());
        add(&self.figures.len().to_string());
        for figure in &self.figures {
            add(&figure.name);
            add(&figure.shown);
        }
        for channel in &self.channels {
            add(channel);
        }
        data_encoding::HEXLOWER.encode(&all.finalize())
    }
}

/// Why an approval is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Two people, always.
    #[error(
        "whoever wrote a statement, or part of it, cannot approve it; please ask a second person"
    )]
    SamePerson,
    /// It is not what the approver saw.
    #[error("text or figures are not those that you saw; please look at the preview again")]
    Changed,
    /// It is no draft.
    #[error(transparent)]
    Move(#[from] IllegalMove),
}

/// Whether `approver` may approve a statement in `state` that `writers` wrote. `seen` is the hash of what the approver
/// looked at, if they say so; `now` that of what there is. Names are compared folded: "Ann" is no second person beside "ann".
pub fn approve(
    state: StatementState,
    writers: &[String],
    approver: &str,
    seen: Option<&str>,
    now: &str,
) -> Result<(), NotApproved> {
    state.after(StatementEvent::Approved)?;
    if is_among(approver, writers) {
        return Err(NotApproved::SamePerson);
    }
    if seen.is_some_and(|seen| seen != now) {
        return Err(NotApproved::Changed);
    }
    Ok(())
}

/// Whether somebody is one of these people.
pub fn is_among<S: AsRef<str>>(who: &str, people: &[S]) -> bool {
    people.iter().any(|one| fold(one.as_ref()) == fold(who))
}

/// Whether an approval of `approved_at` still holds: a stale text is not published. One with a time of its own is not
/// stale before that.
pub fn is_approval_fresh(
    approved_at: Moment,
    publish_at: Option<Moment>,
    lasts: TimeDelta,
    now: Moment,
) -> bool {
    let from = publish_at.map_or(approved_at, |at| at.max(approved_at));
    now <= from.plus(lasts)
}

/// For how many whole spans of `after` nobody has done anything about a draft. Its author is told at each; none while the
/// span has not passed, or if it is no draft any more.
pub fn idle_spans(
    state: StatementState,
    touched_at: Moment,
    after: TimeDelta,
    now: Moment,
) -> Option<i64> {
    let is_waiting = match state {
        StatementState::Draft => true,
        StatementState::Approved
        | StatementState::Scheduled
        | StatementState::Published
        | StatementState::Corrected
        | StatementState::Withdrawn
        | StatementState::Cancelled => false,
    };
    let spans = now
        .since(touched_at)
        .num_seconds()
        .checked_div(after.num_seconds())?;
    (is_waiting && spans > 0).then_some(spans)
}

/// The line that stands above a published statement once a later one has put it right or taken it back.
pub fn mark(state: StatementState, by: StatementId, at: &dyn fmt::Display) -> Option<String> {
    match state {
        StatementState::Corrected => Some(format!(
            "Corrected by statement {by}, {at}. What stands below was not right."
        )),
        StatementState::Withdrawn => Some(format!(
            "Withdrawn by statement {by}, {at}. Please do not rely on what stands below."
        )),
        StatementState::Draft
        | StatementState::Approved
        | StatementState::Scheduled
        | StatementState::Published
        | StatementState::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Moment {
        Moment::from_micros(hours * 3_600_000_000)
    }

    fn wording(text: &str) -> Wording {
        Wording {
            text: text.to_owned(),
            as_of_words: "9am".to_owned(),
            figures: vec![Figure {
                name: "compromised".to_owned(),
                count: 85,
                shown: "fewer than 90".to_owned(),
                source: "cases_by_category".to_owned(),
            }],
            as_of: at(1),
            audience: Audience::Staff,
            channels: vec!["status".to_owned()],
        }
    }

    #[test]
    fn what_is_out_is_never_edited_approved_or_published_again() {
        use StatementEvent as E;
        for state in StatementState::ALL.into_iter().filter(|one| one.is_out()) {
            for event in StatementEvent::ALL {
                match state.after(event) {
                    Ok(next) => assert!(next.is_out(), "{state:?} {event:?}"),
                    Err(error) => assert!(error.to_string().contains("a statement that is")),
                }
            }
        }
        assert_eq!(
            StatementState::Scheduled.after(E::Cancelled),
            Ok(StatementState::Approved)
        );
        assert_eq!(
            StatementState::Approved.after(E::Edited),
            Ok(StatementState::Draft)
        );
        assert!(StatementState::Draft.after(E::Published).is_err());
    }

    #[test]
    fn an_approval_is_a_second_persons_and_of_what_they_saw() {
        use StatementState::{Approved, Draft};
        let writers = ["Ann".to_owned(), "Cleo".to_owned()];
        for (state, approver, seen, expected) in [
            (Draft, "ben", Some("h1"), Ok(())),
            (Draft, "ben", None, Ok(())),
            (Draft, " ann", Some("h1"), Err(NotApproved::SamePerson)),
            (Draft, "CLEO", None, Err(NotApproved::SamePerson)),
            (Draft, "ben", Some("h0"), Err(NotApproved::Changed)),
            (
                Approved,
                "ben",
                None,
                Err(NotApproved::Move(IllegalMove {
                    state: Approved,
                    event: StatementEvent::Approved,
                })),
            ),
        ] {
            assert_eq!(approve(state, &writers, approver, seen, "h1"), expected);
        }
    }

    #[test]
    fn a_hash_covers_text_figures_audience_and_channels_but_not_the_instant() {
        let base = wording("At 9am: hello");
        let mut later = wording("At 10am: hello");
        later.as_of_words = "10am".to_owned();
        later.as_of = at(9);
        assert_eq!(base.hash(), later.hash());
        let changes: [fn(&mut Wording); 4] = [
            |one| one.text.push('.'),
            |one| one.figures[0].shown = "fewer than 100".to_owned(),
            |one| one.audience = Audience::Press,
            |one| one.channels = vec!["sta".to_owned(), "tus".to_owned()],
        ];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            assert_ne!(base.hash(), other.hash());
        }
    }

    #[test]
    fn an_approval_goes_stale_unless_it_has_a_time_of_its_own() {
        let four = TimeDelta::hours(4);
        assert!(is_approval_fresh(at(0), None, four, at(4)));
        assert!(!is_approval_fresh(at(0), None, four, at(5)));
        assert!(is_approval_fresh(at(0), Some(at(30)), four, at(30)));
        assert!(!is_approval_fresh(at(0), Some(at(30)), four, at(35)));
    }

    #[test]
    fn a_draft_that_nobody_touches_is_brought_to_mind_once_in_each_span() {
        use StatementState::{Approved, Draft};
        let two = TimeDelta::hours(2);
        for (state, touched, now, expected) in [
            (Draft, 0, 1, None),
            (Draft, 0, 2, Some(1)),
            (Draft, 0, 3, Some(1)),
            (Draft, 0, 4, Some(2)),
            (Draft, 3, 4, None),
            (Approved, 0, 9, None),
        ] {
            assert_eq!(
                idle_spans(state, at(touched), two, at(now)),
                expected,
                "{touched} {now}"
            );
        }
    }

    #[test]
    fn an_old_post_says_that_it_was_put_right_or_taken_back() {
        let by = StatementId(7);
        assert!(
            mark(StatementState::Corrected, by, &"noon")
                .unwrap()
                .starts_with("Corrected by statement 7, noon.")
        );
        assert_eq!(mark(StatementState::Published, by, &"noon"), None);
    }
}

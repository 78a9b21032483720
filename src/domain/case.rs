//! Case: one account that has to reset one password. Opened by findings, closed only by what a directory says.

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Found, Grade, Rule, Standing, assess, closes};
use super::finding::{Baseline, Category, Severity};
use super::ids::{CaseId, EvidenceId};
use super::moment::Moment;
use super::person::{AccountKind, is_for_operators};

/// How a case ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedAs {
    /// The directory proves a new password.
    Reset,
    /// The account can no longer be used.
    Disabled,
    /// It was none: a false positive, a duplicate, an account gone before it was found.
    Withdrawn,
}

impl ClosedAs {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Disabled => "disabled",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// How a case ends on this, if it does: only good evidence closes.
    pub fn on(standing: Standing, grade: Grade) -> Option<Self> {
        match (closes(standing, grade), standing) {
            (false, _) => None,
            (true, Standing::ClosedDisabled) => Some(Self::Disabled),
            (true, _) => Some(Self::Reset),
        }
    }

    /// When the directory says that it happened.
    pub fn safe_at(self, evidence: &Evidence) -> Option<Moment> {
        match self {
            Self::Reset => evidence
                .changed
                .map(|change| change.lo)
                .or(evidence.secret_changed_at),
            Self::Disabled => Some(evidence.observed_at),
            Self::Withdrawn => None,
        }
    }

    /// The ending that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Reset, Self::Disabled, Self::Withdrawn]
            .into_iter()
            .find(|ending| ending.word() == word)
    }
}

/// Where a case is in its life. What was closed stays closed: an audit that proves it wrong opens a successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CaseState {
    /// Nobody has been told yet.
    Open,
    /// Its person has been told.
    Notified {
        /// When a relay first took the notice, or a person was first spoken to.
        at: Moment,
    },
    /// It is over.
    Closed {
        /// When we learnt of it.
        at: Moment,
        /// How it ended.
        closed_as: ClosedAs,
    },
}

/// What can happen to a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CaseEvent {
    /// A relay took a notice, or a human being told the person.
    Told {
        /// When.
        at: Moment,
    },
    /// Evidence came whose standing and grade may close it.
    Seen {
        /// When we read it.
        at: Moment,
        /// What it amounts to.
        standing: Standing,
        /// How good it is.
        grade: Grade,
    },
    /// An operator took it back, with a reason in the ledger.
    Withdrawn {
        /// When.
        at: Moment,
    },
}

/// An event that this state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a closed case does not move; a later audit opens its successor")]
pub struct IllegalStep;

impl CaseState {
    /// The whole life of a case. Evidence that does not close leaves the state as it is.
    pub fn after(self, event: CaseEvent) -> Result<Self, IllegalStep> {
        match (self, event) {
            (
                Self::Closed { .. },
                CaseEvent::Told { .. } | CaseEvent::Seen { .. } | CaseEvent::Withdrawn { .. },
            ) => Err(IllegalStep),
            (Self::Open, CaseEvent::Told { at }) => Ok(Self::Notified { at }),
            (state @ Self::Notified { .. }, CaseEvent::Told { .. }) => Ok(state),
            (_, CaseEvent::Withdrawn { at }) => Ok(Self::Closed {
                at,
                closed_as: ClosedAs::Withdrawn,
            }),
            (
                state,
                CaseEvent::Seen {
                    at,
                    standing,
                    grade,
                },
            ) => match ClosedAs::on(standing, grade) {
                Some(closed_as) => Ok(Self::Closed { at, closed_as }),
                None => Ok(state),
            },
        }
    }
}

/// Whose work a case is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The account's own holder is told.
    Holder,
    /// The recorded owner of an account that is nobody's own.
    Owner,
    /// The operators' queue.
    Operators,
}

impl Route {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holder => "holder",
            Self::Owner => "owner",
            Self::Operators => "operators",
        }
    }

    /// The route that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Holder, Self::Owner, Self::Operators]
            .into_iter()
            .find(|route| route.word() == word)
    }

    /// A person's own account goes to its holder; every other to its recorded owner; machines, krbtgt, Guest and what
    /// nobody owns to the operators. Never to the account's own address.
    pub fn of(kind: AccountKind, sam: Option<&str>, has_holder: bool, has_owner: bool) -> Self {
        if is_for_operators(kind, sam) {
            return Self::Operators;
        }
        match kind {
            AccountKind::Person if has_holder => Self::Holder,
            _ if has_owner => Self::Owner,
            _ => Self::Operators,
        }
    }
}

/// What a finding says of an account, as far as a case is concerned.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Claim {
    /// Which category it puts the account in.
    pub category: Category,
    /// How bad.
    pub severity: Severity,
    /// The password was the bad one at this moment.
    pub bad_as_of: Moment,
    /// The directory's own mark at that time.
    pub baseline: Option<Baseline>,
    /// When it was imported.
    pub found_at: Moment,
}

impl Claim {
    /// Two claims on one account: the severest category and severity, the latest bad-as-of with its baseline, the
    /// earliest import.
    pub fn with(self, other: Self) -> Self {
        let latest = if other.bad_as_of > self.bad_as_of {
            other
        } else {
            self
        };
        Self {
            category: self.category.max(other.category),
            severity: self.severity.max(other.severity),
            bad_as_of: latest.bad_as_of,
            baseline: latest.baseline,
            found_at: self.found_at.min(other.found_at),
        }
    }

    /// The claim as the rule of evidence asks for it.
    pub fn found(&self) -> Found {
        Found {
            certain: true,
            category: self.category,
            bad_as_of: self.bad_as_of,
            baseline: self.baseline,
            later_weak_as_of: None,
            later_clean_as_of: None,
        }
    }
}

/// The latest case of an account that is over.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ended {
    /// Which.
    pub id: CaseId,
    /// How it ended.
    pub closed_as: ClosedAs,
    /// When the directory says it was made safe.
    pub safe_at: Option<Moment>,
}

/// What an account's new claims lead to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum OnClaims {
    /// They join the open case, which now says this.
    Join(Claim),
    /// A case opens.
    Open {
        /// What it says.
        claim: Claim,
        /// The closed case that these claims prove wrong.
        reopens: Option<CaseId>,
    },
    /// A case opens and closes in one breath: the directory shows that the matter is settled, and nobody is told.
    OpenClosed {
        /// What it says.
        claim: Claim,
        /// How it ends.
        closed_as: ClosedAs,
        /// When the directory says it happened.
        safe_at: Option<Moment>,
        /// Which evidence says so.
        evidence: EvidenceId,
    },
    /// Nothing: the matter was settled before.
    Settled,
}

/// Decides what new claims on one account lead to.
///
/// A claim about a password that has been changed since is settled and moves nothing: it can neither raise an open
/// case's category nor reopen a closed one. A claim later than the last accepted change reopens.
pub fn on_claims(
    open: Option<Claim>,
    ended: Option<Ended>,
    evidence: Option<(EvidenceId, Grade, &Evidence)>,
    claims: &[Claim],
    rule: &Rule,
    now: Moment,
) -> OnClaims {
    let mut live: Option<Claim> = None;
    let mut settled: Option<(Claim, ClosedAs)> = None;
    for claim in claims {
        let standing = assess(
            &claim.found(),
            evidence.map(|(_, _, evidence)| evidence),
            rule,
            now,
        );
        let ends = evidence.and_then(|(_, grade, _)| ClosedAs::on(standing, grade));
        let before_the_change = matches!(ended, Some(Ended { closed_as: ClosedAs::Reset, safe_at: Some(safe_at), .. }) if claim.bad_as_of < safe_at);
        match ends {
            Some(closed_as) => {
                settled = Some((
                    settled.map_or(*claim, |(before, _)| before.with(*claim)),
                    closed_as,
                ))
            }
            None if before_the_change => settled = settled.or(Some((*claim, ClosedAs::Reset))),
            None => live = Some(live.map_or(*claim, |before| before.with(*claim))),
        }
    }
    match (live, open, settled, ended, evidence) {
        (Some(claim), Some(open), ..) => OnClaims::Join(open.with(claim)),
        (Some(claim), None, _, ended, _) => OnClaims::Open {
            claim,
            reopens: ended
                .filter(|ended| ended.closed_as != ClosedAs::Withdrawn)
                .map(|ended| ended.id),
        },
        (None, None, Some((claim, closed_as)), None, Some((id, _, evidence))) => {
            OnClaims::OpenClosed {
                claim,
                closed_as,
                safe_at: closed_as.safe_at(evidence),
                evidence: id,
            }
        }
        (None, ..) => OnClaims::Settled,
    }
}

//! Containment: who is shut out of what, since when; and who may be let in again, on proof alone.

use serde::{Deserialize, Serialize};

use super::case::ClosedAs;
use super::evidence::Grade;
use super::finding::Category;
use super::moment::Moment;

/// What was done to an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainmentAct {
    /// Nobody can sign in.
    SignInBlocked,
    /// One can again.
    SignInRestored,
    /// Whoever was signed in is not any more.
    SessionsRevoked,
    /// It cannot be used from outside.
    RemoteCut,
    /// It can again.
    RemoteRestored,
}

impl ContainmentAct {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SignInBlocked,
        Self::SignInRestored,
        Self::SessionsRevoked,
        Self::RemoteCut,
        Self::RemoteRestored,
    ];

    /// The word that files, database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignInBlocked => "sign_in_blocked",
            Self::SignInRestored => "sign_in_restored",
            Self::SessionsRevoked => "sessions_revoked",
            Self::RemoteCut => "remote_cut",
            Self::RemoteRestored => "remote_restored",
        }
    }

    /// The act that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.word() == word)
    }
}

/// A case of an account, as far as letting it in again is concerned.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ended {
    /// How bad it was.
    pub category: Category,
    /// How it ended; none: it is open.
    pub closed_as: Option<ClosedAs>,
    /// How good the proof is.
    pub grade: Option<Grade>,
    /// When the directory says that the password was changed.
    pub safe_at: Option<Moment>,
    /// The password was the bad one at this moment.
    pub bad_as_of: Moment,
    /// When an operator wrote down that sign-in was blocked and sessions were revoked.
    pub contained_at: Option<Moment>,
}

/// Why an account is not let in again yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotYet {
    /// It is not cut off.
    NotCut,
    /// A case of it is open: exempt, on hold or not.
    Open,
    /// No case of it ended with the proof of a new password.
    NotProven,
    /// The new password is older than the cut: whoever was in may know it.
    OlderThanTheCut,
    /// An intruder's sessions are not known to be over.
    SessionsNotRevoked,
}

impl NotYet {
    /// The word that documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotCut => "not_cut",
            Self::Open => "open",
            Self::NotProven => "not_proven",
            Self::OlderThanTheCut => "older_than_the_cut",
            Self::SessionsNotRevoked => "sessions_not_revoked",
        }
    }
}

/// Proof that an account may be let in again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restorable {
    /// Since when it is cut off.
    pub cut_at: Moment,
    /// When its password was changed, as the directory says.
    pub proven_at: Moment,
    /// How good that proof is.
    pub grade: Grade,
}

/// Whether an account that is cut off may be let in again. `acts` in any order; `cases` are all of the account's.
pub fn restorable(
    acts: &[(ContainmentAct, Moment)],
    cases: &[Ended],
    now: Moment,
) -> Result<Restorable, NotYet> {
    let cut_at = cut_since(acts, now).ok_or(NotYet::NotCut)?;
    if cases.iter().any(|case| case.closed_as.is_none()) {
        return Err(NotYet::Open);
    }
    // What was none says nothing; of the others the latest proof counts, and each must be older than it.
    let (proven_at, grade) = cases
        .iter()
        .filter(|case| case.closed_as == Some(ClosedAs::Reset))
        .filter_map(|case| Some((case.safe_at?, case.grade.filter(|grade| is_good(*grade))?)))
        .max_by_key(|(at, _)| *at)
        .ok_or(NotYet::NotProven)?;
    let is_covered =
        |case: &Ended| case.closed_as == Some(ClosedAs::Withdrawn) || case.bad_as_of < proven_at;
    if !cases.iter().all(is_covered) {
        return Err(NotYet::NotProven);
    }
    if proven_at <= cut_at {
        return Err(NotYet::OlderThanTheCut);
    }
    let revoked = |bad_as_of: Moment, contained_at: Option<Moment>| {
        let noted = acts
            .iter()
            .filter(|(act, at)| *act == ContainmentAct::SessionsRevoked && *at <= now)
            .map(|(_, at)| *at);
        noted.chain(contained_at).any(|at| at >= bad_as_of)
    };
    let is_shut_out = |case: &Ended| {
        case.category != Category::Compromised
            || case.closed_as == Some(ClosedAs::Withdrawn)
            || revoked(case.bad_as_of, case.contained_at)
    };
    if !cases.iter().all(is_shut_out) {
        return Err(NotYet::SessionsNotRevoked);
    }
    Ok(Restorable {
        cut_at,
        proven_at,
        grade,
    })
}

const fn is_good(grade: Grade) -> bool {
    matches!(grade, Grade::A | Grade::B)
}

/// Since when an account is cut off from outside, if it is.
pub fn cut_since(acts: &[(ContainmentAct, Moment)], now: Moment) -> Option<Moment> {
    latest(
        acts,
        ContainmentAct::RemoteCut,
        ContainmentAct::RemoteRestored,
        now,
    )
}

/// Since when nobody can sign in, if so.
pub fn blocked_since(acts: &[(ContainmentAct, Moment)], now: Moment) -> Option<Moment> {
    latest(
        acts,
        ContainmentAct::SignInBlocked,
        ContainmentAct::SignInRestored,
        now,
    )
}

/// When an intruder was shut out of an account that was bad as of `bad_as_of`: sign-in is blocked, and sessions were revoked
/// no earlier than that.
pub fn contained_since(
    acts: &[(ContainmentAct, Moment)],
    bad_as_of: Moment,
    now: Moment,
) -> Option<Moment> {
    let blocked = blocked_since(acts, now)?;
    let revoked = acts
        .iter()
        .filter(|(act, at)| {
            *act == ContainmentAct::SessionsRevoked && *at <= now && *at >= bad_as_of
        })
        .map(|(_, at)| *at)
        .min()?;
    Some(blocked.max(revoked))
}

fn latest(
    acts: &[(ContainmentAct, Moment)],
    on: ContainmentAct,
    off: ContainmentAct,
    now: Moment,
) -> Option<Moment> {
    // What fell on the same moment is still on: whoever is let in again is so by a later word.
    let (act, at) = acts
        .iter()
        .filter(|(act, at)| (*act == on || *act == off) && *at <= now)
        .max_by_key(|(act, at)| (*at, *act == on))?;
    (*act == on).then_some(*at)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::ContainmentAct::{
        RemoteCut, RemoteRestored, SessionsRevoked, SignInBlocked, SignInRestored,
    };
    use super::*;

    fn at(hours: i64) -> Moment {
        "2026-03-02T09:00:00Z"
            .parse::<Moment>()
            .unwrap()
            .plus(TimeDelta::hours(hours))
    }

    /// Found at 0, closed by a change at `safe`.
    fn reset(category: Category, safe: i64) -> Ended {
        Ended {
            category,
            closed_as: Some(ClosedAs::Reset),
            grade: Some(Grade::A),
            safe_at: Some(at(safe)),
            bad_as_of: at(0),
            contained_at: None,
        }
    }

    #[test]
    fn only_proof_lets_somebody_in_again() {
        use Category::{Compromised, Weak};
        let cut: &[_] = &[(RemoteCut, at(1))];
        let open = Ended {
            closed_as: None,
            ..reset(Weak, 5)
        };
        let withdrawn = Ended {
            closed_as: Some(ClosedAs::Withdrawn),
            grade: None,
            safe_at: None,
            ..reset(Weak, 5)
        };
        let disabled = Ended {
            closed_as: Some(ClosedAs::Disabled),
            ..reset(Weak, 5)
        };
        let poor = Ended {
            grade: Some(Grade::C),
            ..reset(Weak, 5)
        };
        let again = Ended {
            bad_as_of: at(6),
            ..reset(Weak, 8)
        };
        for (acts, cases, expected) in [
            (cut, &[reset(Weak, 5)][..], Ok(5)),
            (&[], &[reset(Weak, 5)], Err(NotYet::NotCut)),
            (
                &[(RemoteRestored, at(2)), (RemoteCut, at(1))],
                &[reset(Weak, 5)],
                Err(NotYet::NotCut),
            ),
            (
                &[
                    (RemoteCut, at(3)),
                    (RemoteRestored, at(2)),
                    (RemoteCut, at(1)),
                ],
                &[reset(Weak, 5)],
                Ok(5),
            ),
            (cut, &[], Err(NotYet::NotProven)),
            (cut, &[open], Err(NotYet::Open)),
            (cut, &[reset(Weak, 5), open], Err(NotYet::Open)),
            (cut, &[withdrawn], Err(NotYet::NotProven)),
            (cut, &[disabled], Err(NotYet::NotProven)),
            (cut, &[poor], Err(NotYet::NotProven)),
            (cut, &[withdrawn, reset(Weak, 5)], Ok(5)),
            (cut, &[reset(Weak, 5), again], Ok(8)),
            (
                cut,
                &[
                    reset(Weak, 5),
                    Ended {
                        closed_as: Some(ClosedAs::Disabled),
                        ..again
                    },
                ],
                Err(NotYet::NotProven),
            ),
            (
                &[(RemoteCut, at(6))],
                &[reset(Weak, 5)],
                Err(NotYet::OlderThanTheCut),
            ),
            (
                cut,
                &[reset(Compromised, 5)],
                Err(NotYet::SessionsNotRevoked),
            ),
            (
                &[(RemoteCut, at(1)), (SessionsRevoked, at(2))],
                &[reset(Compromised, 5)],
                Ok(5),
            ),
            (
                &[(RemoteCut, at(1)), (SessionsRevoked, at(-1))],
                &[reset(Compromised, 5)],
                Err(NotYet::SessionsNotRevoked),
            ),
            (
                cut,
                &[Ended {
                    contained_at: Some(at(1)),
                    ..reset(Compromised, 5)
                }],
                Ok(5),
            ),
        ] {
            let found = restorable(acts, cases, at(100)).map(|one| one.proven_at);
            assert_eq!(found, expected.map(at), "{acts:?} {cases:?}");
        }
        // What is to come has not happened.
        assert_eq!(
            restorable(&[(RemoteCut, at(9))], &[reset(Weak, 10)], at(5)),
            Err(NotYet::NotCut)
        );
    }

    #[test]
    fn an_intruder_is_shut_out_when_sign_in_is_blocked_and_sessions_are_over() {
        for (acts, expected) in [
            (
                &[(SignInBlocked, at(1)), (SessionsRevoked, at(2))][..],
                Some(2),
            ),
            (&[(SignInBlocked, at(3)), (SessionsRevoked, at(2))], Some(3)),
            (&[(SignInBlocked, at(1))], None),
            (&[(SessionsRevoked, at(2))], None),
            (&[(SignInBlocked, at(1)), (SessionsRevoked, at(-2))], None),
            (
                &[
                    (SignInBlocked, at(1)),
                    (SessionsRevoked, at(2)),
                    (SignInRestored, at(3)),
                ],
                None,
            ),
        ] {
            assert_eq!(
                contained_since(acts, at(0), at(100)),
                expected.map(at),
                "{acts:?}"
            );
        }
    }
}

//! Duty: the clocks of those who have to be told by law (section 8.2). They are computed and warned of; nothing is filed,
//! and whether a duty applies is for people to say.

mod law;

use serde::{Deserialize, Serialize};

pub use self::law::{Duty, Facts, Trigger};
use super::moment::Moment;

/// What was decided about a duty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It went in.
    Reported,
    /// It does not apply, or the risk is too small.
    NotReported,
}

impl Verdict {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::NotReported => "not_reported",
        }
    }

    /// The verdict that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Reported, Self::NotReported]
            .into_iter()
            .find(|one| one.word() == word)
    }
}

/// A decision, and who answers for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Decided {
    /// About which.
    pub duty: Duty,
    /// What.
    pub verdict: Verdict,
    /// When it went in, or was decided.
    pub at: Moment,
    /// The authority's number for it.
    pub reference: Option<String>,
    /// Why it is not reported, or was late.
    pub reason: Option<String>,
    /// What the authority, or the data protection officer, advised.
    pub advice: Option<String>,
    /// The second person of a decision not to report.
    pub deputy: Option<String>,
    /// Who wrote it down.
    pub by: String,
}

/// Why a decision is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// What starts its clock has not been said.
    #[error("its clock has not started; say since when first: bell incident aware --help")]
    NotStarted,
    /// Not to report needs a reason.
    #[error("not to report is decided with a reason; say why")]
    NoReason,
    /// Not to report needs two people.
    #[error("not to report is decided by two people; name a deputy who is an operator and not you")]
    NoDeputy,
    /// Late, and no reason.
    #[error("it went in late, and the authority will ask why; give the reason")]
    Late,
    /// From the future.
    #[error("it cannot have gone in after now")]
    Future,
}

/// How one clock stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Clock {
    /// Which.
    pub duty: Duty,
    /// Since when it runs; none: it has not started.
    pub started_at: Option<Moment>,
    /// When it is due; none: it has not started.
    pub due_at: Option<Moment>,
    /// What was decided, if anything; the latest.
    pub decided: Option<Decided>,
}

/// The clocks of an incident.
pub fn clocks(duties: &[Duty], facts: &Facts<'_>) -> Vec<Clock> {
    let latest = |duty: Duty| facts.decided.iter().rev().find(|one| one.duty == duty);
    duties
        .iter()
        .map(|duty| Clock {
            duty: *duty,
            started_at: duty.started(facts),
            due_at: duty.due(facts),
            decided: latest(*duty).cloned(),
        })
        .collect()
}

/// Whether a decision can be written down for `clock` at `now`. Names are compared folded.
pub fn check(
    decided: &Decided,
    clock: &Clock,
    is_operator: bool,
    now: Moment,
) -> Result<(), Undecidable> {
    let has_reason = decided
        .reason
        .as_deref()
        .is_some_and(|why| !why.trim().is_empty());
    let due_at = clock.due_at;
    match decided.verdict {
        Verdict::Reported => {
            let due_at = due_at.ok_or(Undecidable::NotStarted)?;
            if decided.at > now {
                return Err(Undecidable::Future);
            }
            if decided.at > due_at && !has_reason {
                return Err(Undecidable::Late);
            }
            Ok(())
        }
        Verdict::NotReported => {
            if !has_reason {
                return Err(Undecidable::NoReason);
            }
            let fold = super::address::fold;
            match &decided.deputy {
                Some(deputy) if is_operator && fold(deputy) != fold(&decided.by) => Ok(()),
                Some(_) | None => Err(Undecidable::NoDeputy),
            }
        }
    }
}

/// How far a clock that runs is: none of it, half, four fifths, or all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Less than half of the time is gone.
    Early,
    /// Half is gone.
    Half,
    /// Four fifths are gone.
    Most,
    /// It is late.
    Over,
}

impl Mark {
    /// Of a clock from `started_at` to `due_at`.
    pub fn at(started_at: Moment, due_at: Moment, now: Moment) -> Self {
        let all = due_at.since(started_at).num_seconds().max(1);
        let gone = now.since(started_at).num_seconds();
        if now > due_at {
            Self::Over
        } else if gone.saturating_mul(5) >= all.saturating_mul(4) {
            Self::Most
        } else if gone.saturating_mul(2) >= all {
            Self::Half
        } else {
            Self::Early
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use chrono_tz::Tz;

    use super::*;
    use crate::domain::calendar::Calendar;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    fn decided(duty: Duty, verdict: Verdict, when: &str) -> Decided {
        Decided {
            duty,
            verdict,
            at: at(when),
            reference: None,
            reason: None,
            advice: None,
            deputy: None,
            by: "sam".to_owned(),
        }
    }

    #[test]
    fn the_final_report_waits_for_the_notification() {
        let aware = at("2026-03-02T09:00:00Z");
        let duties = [Duty::Nis2Notification, Duty::Nis2Final];
        let calendar = Calendar::new(Tz::UTC);
        let since = [(Trigger::Aware, aware)];
        let facts = |decided| Facts {
            since: &since,
            decided,
            calendar: &calendar,
            sec: &calendar,
        };
        let before = clocks(&duties, &facts(&[]));
        assert_eq!(before[1].due_at, None);
        let sent = decided(
            Duty::Nis2Notification,
            Verdict::Reported,
            "2026-03-04T09:00:00Z",
        );
        let sent = [sent];
        let after = clocks(&duties, &facts(&sent));
        assert_eq!(after[1].due_at, Some(at("2026-04-04T09:00:00Z")));
        assert!(after[0].decided.is_some());
    }

    #[test]
    fn not_to_report_takes_a_reason_and_two_people_and_late_a_reason() {
        let clock = Clock {
            duty: Duty::UkGdpr,
            started_at: Some(at("2026-03-02T09:00:00Z")),
            due_at: Some(at("2026-03-05T09:00:00Z")),
            decided: None,
        };
        let now = at("2026-03-06T09:00:00Z");
        let not = decided(Duty::UkGdpr, Verdict::NotReported, "2026-03-03T09:00:00Z");
        assert_eq!(check(&not, &clock, true, now), Err(Undecidable::NoReason));
        let mut not = Decided {
            reason: Some("no risk to anybody".to_owned()),
            ..not
        };
        assert_eq!(check(&not, &clock, true, now), Err(Undecidable::NoDeputy));
        not.deputy = Some(" Sam".to_owned());
        assert_eq!(check(&not, &clock, true, now), Err(Undecidable::NoDeputy));
        not.deputy = Some("priya".to_owned());
        assert_eq!(check(&not, &clock, false, now), Err(Undecidable::NoDeputy));
        assert_eq!(check(&not, &clock, true, now), Ok(()));
        let late = decided(Duty::UkGdpr, Verdict::Reported, "2026-03-05T09:00:01Z");
        assert_eq!(check(&late, &clock, true, now), Err(Undecidable::Late));
        let early = decided(Duty::UkGdpr, Verdict::Reported, "2026-03-05T08:00:00Z");
        assert_eq!(check(&early, &clock, true, now), Ok(()));
        let future = decided(Duty::UkGdpr, Verdict::Reported, "2026-03-07T08:00:00Z");
        assert_eq!(check(&future, &clock, true, now), Err(Undecidable::Future));
    }

    #[test]
    fn a_clock_warns_at_half_and_at_four_fifths() {
        let aware = at("2026-03-02T00:00:00Z");
        let due = aware.plus(TimeDelta::hours(100));
        for (hours, expected) in [
            (49, Mark::Early),
            (50, Mark::Half),
            (80, Mark::Most),
            (100, Mark::Most),
            (101, Mark::Over),
        ] {
            let now = aware.plus(TimeDelta::hours(hours));
            assert_eq!(Mark::at(aware, due, now), expected, "{hours}");
        }
    }
}

//! Duty: the clocks of those who have to be told by law (section 8.2). They are computed and warned of; nothing is filed,
//! and whether a duty applies is for people to say.

use chrono::{Months, TimeDelta};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::calendar::{local_at, moment_at};
use super::moment::Moment;

/// Whom to tell, and by which rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// The ICO, of a breach of personal data.
    UkGdpr,
    /// An authority of the EU, of the same.
    EuGdpr,
    /// The ICO, by a communications provider.
    Pecr,
    /// The regulator and the NCSC at once, by a bill that is no law yet: off unless the config names it.
    UkNisWarning,
    /// The full notification by that bill.
    UkNisNotification,
    /// Early warning of a significant incident.
    Nis2Warning,
    /// Notification of it.
    Nis2Notification,
    /// Final report about it.
    Nis2Final,
}

impl Duty {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::UkGdpr,
        Self::EuGdpr,
        Self::Pecr,
        Self::UkNisWarning,
        Self::UkNisNotification,
        Self::Nis2Warning,
        Self::Nis2Notification,
        Self::Nis2Final,
    ];

    /// The word that config, database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UkGdpr => "uk_gdpr",
            Self::EuGdpr => "eu_gdpr",
            Self::Pecr => "pecr",
            Self::UkNisWarning => "uk_nis_warning",
            Self::UkNisNotification => "uk_nis_notification",
            Self::Nis2Warning => "nis2_warning",
            Self::Nis2Notification => "nis2_notification",
            Self::Nis2Final => "nis2_final",
        }
    }

    /// The duty that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// What it is, for whoever has to decide.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::UkGdpr => {
                "tell the ICO of a breach of personal data (UK GDPR article 33): 72 hours from being aware"
            }
            Self::EuGdpr => {
                "tell the authority of a breach of personal data (EU GDPR article 33): 72 hours from being aware"
            }
            Self::Pecr => {
                "tell the ICO as a communications provider (PECR): 72 hours from being aware"
            }
            Self::UkNisWarning => {
                "tell the regulator and the NCSC at once (Cyber Security and Resilience Bill): 24 hours from being aware"
            }
            Self::UkNisNotification => {
                "tell the regulator and the NCSC in full (Cyber Security and Resilience Bill): 72 hours from being aware"
            }
            Self::Nis2Warning => "NIS2 early warning (article 23): 24 hours from being aware",
            Self::Nis2Notification => "NIS2 notification (article 23): 72 hours from being aware",
            Self::Nis2Final => {
                "NIS2 final report (article 23): one month from the notification's submission"
            }
        }
    }

    /// When it is due: `aware_at` is when we were reasonably certain, `notified_at` when the NIS2 notification went in. Hours
    /// run through nights, holidays and clock changes; a month ends on the same local day, or the month's last. None: its
    /// clock has not started.
    pub fn due(self, aware_at: Moment, notified_at: Option<Moment>, zone: Tz) -> Option<Moment> {
        match self {
            Self::UkGdpr
            | Self::EuGdpr
            | Self::Pecr
            | Self::UkNisNotification
            | Self::Nis2Notification => Some(aware_at.plus(TimeDelta::hours(72))),
            Self::UkNisWarning | Self::Nis2Warning => Some(aware_at.plus(TimeDelta::hours(24))),
            Self::Nis2Final => {
                let local = local_at(zone, notified_at?);
                let later = local.checked_add_months(Months::new(1))?;
                Some(moment_at(zone, later))
            }
        }
    }
}

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
    /// The second person of a decision not to report.
    pub deputy: Option<String>,
    /// Who wrote it down.
    pub by: String,
}

/// Why a decision is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// Nobody was aware of anything.
    #[error("its clock has not started; say since when you are aware first: bell incident aware")]
    NotAware,
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
    /// When it is due; none: it has not started.
    pub due_at: Option<Moment>,
    /// What was decided, if anything; the latest.
    pub decided: Option<Decided>,
}

/// The clocks of an incident of which we are aware since `aware_at`. `decided` is in the order of the decisions.
pub fn clocks(duties: &[Duty], aware_at: Moment, decided: &[Decided], zone: Tz) -> Vec<Clock> {
    let latest = |duty: Duty| decided.iter().rev().find(|one| one.duty == duty);
    let notified_at = latest(Duty::Nis2Notification)
        .filter(|one| one.verdict == Verdict::Reported)
        .map(|one| one.at);
    duties
        .iter()
        .map(|duty| Clock {
            duty: *duty,
            due_at: duty.due(aware_at, notified_at, zone),
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
            let due_at = due_at.ok_or(Undecidable::NotAware)?;
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
    /// Of a clock from `aware_at` to `due_at`.
    pub fn at(aware_at: Moment, due_at: Moment, now: Moment) -> Self {
        let all = due_at.since(aware_at).num_seconds().max(1);
        let gone = now.since(aware_at).num_seconds();
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
    use super::*;

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
            deputy: None,
            by: "sam".to_owned(),
        }
    }

    #[test]
    fn hours_run_through_clock_changes_and_a_month_ends_on_its_last_day() {
        let london = Tz::Europe__London;
        for (aware, due) in [
            ("2017-06-24T09:00:00+01:00", "2017-06-27T09:00:00+01:00"),
            ("2025-10-24T10:00:00+01:00", "2025-10-27T09:00:00+00:00"),
            ("2026-03-27T16:30:00+00:00", "2026-03-30T17:30:00+01:00"),
        ] {
            assert_eq!(Duty::UkGdpr.due(at(aware), None, london), Some(at(due)));
        }
        let aware = at("2025-01-29T10:00:00Z");
        assert_eq!(Duty::Nis2Final.due(aware, None, london), None);
        assert_eq!(
            Duty::Nis2Final.due(aware, Some(at("2025-01-31T10:00:00Z")), london),
            Some(at("2025-02-28T10:00:00Z"))
        );
    }

    #[test]
    fn the_final_report_waits_for_the_notification() {
        let aware = at("2026-03-02T09:00:00Z");
        let duties = [Duty::Nis2Notification, Duty::Nis2Final];
        let before = clocks(&duties, aware, &[], Tz::UTC);
        assert_eq!(before[1].due_at, None);
        let sent = decided(
            Duty::Nis2Notification,
            Verdict::Reported,
            "2026-03-04T09:00:00Z",
        );
        let after = clocks(&duties, aware, &[sent], Tz::UTC);
        assert_eq!(after[1].due_at, Some(at("2026-04-04T09:00:00Z")));
        assert!(after[0].decided.is_some());
    }

    #[test]
    fn not_to_report_takes_a_reason_and_two_people_and_late_a_reason() {
        let clock = Clock {
            duty: Duty::UkGdpr,
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

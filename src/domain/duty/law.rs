//! Law: which duties there are, what starts the clock of each, and when it is due.

use chrono::{NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};

use super::{Decided, Verdict};
use crate::domain::calendar::Calendar;
use crate::domain::moment::Moment;

/// What starts a clock. Only people can say that it has happened, and since when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// We were reasonably certain of the breach or the incident.
    Aware,
    /// The risk for people was found to be high.
    HighRisk,
    /// The incident was classified as major.
    Major,
    /// The incident was determined to be material to investors.
    Material,
}

impl Trigger {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Aware, Self::HighRisk, Self::Major, Self::Material];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Aware => "aware",
            Self::HighRisk => "high_risk",
            Self::Major => "major",
            Self::Material => "material",
        }
    }

    /// The trigger that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// What it is, for whoever has to say since when.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Aware => "you were reasonably certain of it",
            Self::HighRisk => "you found that the risk for people is high (GDPR article 34)",
            Self::Major => "you classified it as a major incident (DORA)",
            Self::Material => "you determined that it is material (SEC Form 8-K)",
        }
    }
}

/// Whom to tell, and by which rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// The ICO, of a breach of personal data.
    UkGdpr,
    /// An authority of the EU, of the same.
    EuGdpr,
    /// The people themselves, if the risk for them is high.
    GdprPeople,
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
    /// First notification of a major incident in finance.
    DoraInitial,
    /// Intermediate report about it.
    DoraIntermediate,
    /// Final report about it.
    DoraFinal,
    /// The American public, of a material incident.
    Sec8K,
}

/// What the clocks of an incident are reckoned from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Since when each trigger is true.
    pub since: &'a [(Trigger, Moment)],
    /// What was decided, oldest first.
    pub decided: &'a [Decided],
    /// Of the site.
    pub calendar: &'a Calendar,
    /// Of the SEC: business days in New York.
    pub sec: &'a Calendar,
}

impl Facts<'_> {
    fn since(&self, trigger: Trigger) -> Option<Moment> {
        let all = self.since.iter().filter(|(what, _)| *what == trigger);
        all.map(|(_, at)| *at).min()
    }

    /// When what was reported last went in.
    fn sent(&self, duty: Duty) -> Option<Moment> {
        let latest = self.decided.iter().rev().find(|one| one.duty == duty)?;
        (latest.verdict == Verdict::Reported).then_some(latest.at)
    }
}

impl Duty {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::UkGdpr,
        Self::EuGdpr,
        Self::GdprPeople,
        Self::Pecr,
        Self::UkNisWarning,
        Self::UkNisNotification,
        Self::Nis2Warning,
        Self::Nis2Notification,
        Self::Nis2Final,
        Self::DoraInitial,
        Self::DoraIntermediate,
        Self::DoraFinal,
        Self::Sec8K,
    ];

    /// The word that config, database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UkGdpr => "uk_gdpr",
            Self::EuGdpr => "eu_gdpr",
            Self::GdprPeople => "gdpr_people",
            Self::Pecr => "pecr",
            Self::UkNisWarning => "uk_nis_warning",
            Self::UkNisNotification => "uk_nis_notification",
            Self::Nis2Warning => "nis2_warning",
            Self::Nis2Notification => "nis2_notification",
            Self::Nis2Final => "nis2_final",
            Self::DoraInitial => "dora_initial",
            Self::DoraIntermediate => "dora_intermediate",
            Self::DoraFinal => "dora_final",
            Self::Sec8K => "sec_8k",
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
            Self::GdprPeople => {
                "tell the people themselves (GDPR article 34): without undue delay once the risk for them is found to be high; the law names no hours, and this clock gives 72"
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
            Self::DoraInitial => {
                "DORA initial notification (2025/301 article 5): 4 hours from classifying it as major, and 24 hours from being aware"
            }
            Self::DoraIntermediate => {
                "DORA intermediate report (2025/301 article 5): 72 hours from the initial notification's submission"
            }
            Self::DoraFinal => {
                "DORA final report (2025/301 article 5): one month from the latest intermediate report"
            }
            Self::Sec8K => {
                "SEC Form 8-K item 1.05: four business days from determining that it is material"
            }
        }
    }

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::UkGdpr => "UK GDPR art. 33(1)",
            Self::EuGdpr => "EU GDPR art. 33(1)",
            Self::GdprPeople => "GDPR art. 34",
            Self::Pecr => "PECR",
            Self::UkNisWarning => "UK NIS bill, within 24 hours",
            Self::UkNisNotification => "UK NIS bill, within 72 hours",
            Self::Nis2Warning => "NIS2 early warning",
            Self::Nis2Notification => "NIS2 notification",
            Self::Nis2Final => "NIS2 final report",
            Self::DoraInitial => "DORA initial notification",
            Self::DoraIntermediate => "DORA intermediate report",
            Self::DoraFinal => "DORA final report",
            Self::Sec8K => "SEC Form 8-K item 1.05",
        }
    }

    /// Since when its clock runs. None: it has not started.
    pub fn started(self, facts: &Facts<'_>) -> Option<Moment> {
        match self {
            Self::UkGdpr
            | Self::EuGdpr
            | Self::Pecr
            | Self::UkNisWarning
            | Self::UkNisNotification
            | Self::Nis2Warning
            | Self::Nis2Notification => facts.since(Trigger::Aware),
            Self::GdprPeople => facts.since(Trigger::HighRisk),
            Self::DoraInitial => facts.since(Trigger::Major),
            Self::Sec8K => facts.since(Trigger::Material),
            Self::Nis2Final => facts.sent(Self::Nis2Notification),
            Self::DoraIntermediate => facts.sent(Self::DoraInitial),
            Self::DoraFinal => facts.sent(Self::DoraIntermediate),
        }
    }

    /// When it is due. Hours run through nights, holidays and clock changes, and are not put off where a rule would allow it;
    /// a month ends on the same local day, or the month's last. None: its clock has not started.
    pub fn due(self, facts: &Facts<'_>) -> Option<Moment> {
        let started = self.started(facts)?;
        let hours = |hours| started.plus(TimeDelta::hours(hours));
        Some(match self {
            Self::UkGdpr
            | Self::EuGdpr
            | Self::GdprPeople
            | Self::Pecr
            | Self::UkNisNotification
            | Self::Nis2Notification
            | Self::DoraIntermediate => hours(72),
            Self::UkNisWarning | Self::Nis2Warning => hours(24),
            Self::Nis2Final | Self::DoraFinal => facts.calendar.months_after(started, 1),
            Self::DoraInitial => {
                let day = facts
                    .since(Trigger::Aware)
                    .map(|aware| aware.plus(TimeDelta::hours(24)));
                match day {
                    // Whoever classifies it later than that has four hours from there.
                    Some(day) if started <= day => hours(4).min(day),
                    Some(_) | None => hours(4),
                }
            }
            Self::Sec8K => facts.sec.add_working_days(started, 4, EDGAR_CLOSES),
        })
    }
}

/// What comes in later counts as filed on the next business day (Regulation S-T, rule 13).
const EDGAR_CLOSES: NaiveTime = match NaiveTime::from_hms_opt(17, 30, 0) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    fn sent(duty: Duty, when: &str) -> Decided {
        Decided {
            duty,
            verdict: Verdict::Reported,
            at: at(when),
            reference: None,
            reason: None,
            advice: None,
            deputy: None,
            by: "sam".to_owned(),
        }
    }

    fn due(duty: Duty, since: &[(Trigger, &str)], decided: &[Decided]) -> Option<Moment> {
        let since: Vec<_> = since.iter().map(|(what, when)| (*what, at(when))).collect();
        let holidays = ["2026-07-03".parse().unwrap()];
        duty.due(&Facts {
            since: &since,
            decided,
            calendar: &Calendar::new(Tz::Europe__London),
            sec: &Calendar::new(Tz::America__New_York).with_holidays(holidays.into()),
        })
    }

    #[test]
    fn hours_run_through_clock_changes_and_a_month_ends_on_its_last_day() {
        for (aware, expected) in [
            ("2017-06-24T09:00:00+01:00", "2017-06-27T09:00:00+01:00"),
            ("2025-10-24T10:00:00+01:00", "2025-10-27T09:00:00+00:00"),
            ("2026-03-27T16:30:00+00:00", "2026-03-30T17:30:00+01:00"),
        ] {
            let since = [(Trigger::Aware, aware)];
            assert_eq!(due(Duty::UkGdpr, &since, &[]), Some(at(expected)));
        }
        let since = [(Trigger::Aware, "2025-01-29T10:00:00Z")];
        assert_eq!(due(Duty::Nis2Final, &since, &[]), None);
        let notified = sent(Duty::Nis2Notification, "2025-01-31T10:00:00Z");
        assert_eq!(
            due(Duty::Nis2Final, &since, &[notified]),
            Some(at("2025-02-28T10:00:00Z"))
        );
    }

    #[test]
    fn a_major_incident_in_finance_is_told_four_hours_after_it_is_classified() {
        let aware = (Trigger::Aware, "2026-03-02T09:00:00Z");
        for (classified, expected) in [
            ("2026-03-02T10:00:00Z", "2026-03-02T14:00:00Z"),
            // A day from being aware ends sooner.
            ("2026-03-03T07:00:00Z", "2026-03-03T09:00:00Z"),
            ("2026-03-03T09:00:01Z", "2026-03-03T13:00:01Z"),
        ] {
            let since = [aware, (Trigger::Major, classified)];
            assert_eq!(due(Duty::DoraInitial, &since, &[]), Some(at(expected)));
        }
        assert_eq!(due(Duty::DoraInitial, &[aware], &[]), None);
        let first = sent(Duty::DoraInitial, "2026-03-02T13:00:00Z");
        assert_eq!(
            due(Duty::DoraIntermediate, &[aware], &[first]),
            Some(at("2026-03-05T13:00:00Z"))
        );
        // Of several reports in between the latest counts.
        let reports = [
            sent(Duty::DoraIntermediate, "2026-03-05T12:00:00Z"),
            sent(Duty::DoraIntermediate, "2026-03-31T12:00:00+01:00"),
        ];
        assert_eq!(
            due(Duty::DoraFinal, &[aware], &reports),
            Some(at("2026-04-30T12:00:00+01:00"))
        );
    }

    #[test]
    fn a_material_incident_is_filed_four_american_business_days_later() {
        let since = [(Trigger::Material, "2026-07-02T11:00:00-04:00")];
        assert_eq!(
            due(Duty::Sec8K, &since, &[]),
            Some(at("2026-07-09T17:30:00-04:00"))
        );
        // In London it is the third already.
        let since = [(Trigger::Material, "2026-07-03T01:00:00+01:00")];
        assert_eq!(
            due(Duty::Sec8K, &since, &[]),
            Some(at("2026-07-09T17:30:00-04:00"))
        );
    }

    #[test]
    fn people_are_told_once_the_risk_for_them_is_high() {
        let aware = (Trigger::Aware, "2026-03-02T09:00:00Z");
        assert_eq!(due(Duty::GdprPeople, &[aware], &[]), None);
        let high = (Trigger::HighRisk, "2026-03-03T09:00:00Z");
        assert_eq!(
            due(Duty::GdprPeople, &[aware, high], &[]),
            Some(at("2026-03-06T09:00:00Z"))
        );
    }

    #[test]
    fn every_word_names_what_it_is_the_word_of() {
        for duty in Duty::ALL {
            assert_eq!(Duty::from_word(duty.word()), Some(duty));
        }
        for trigger in Trigger::ALL {
            assert_eq!(Trigger::from_word(trigger.word()), Some(trigger));
        }
    }
}

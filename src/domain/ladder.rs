//! Ladder: a category's timetable (reminders, deadline, manager, hand-over), frozen into a case when it opens.
//!
//! [`Ladder`] is the plan in working days, [`Timetable`] what it comes to for one case at one site, and
//! [`Timetable::due`] the one place that says which rung is climbed next. Rungs missed while nothing ran are merged:
//! nobody gets three reminders at once.

use chrono::{NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::finding::Category;
use super::moment::Moment;
use super::notice::NoticeKind;

/// The most reminders that one case ever sends: a fourth moves nobody, the hand-over does.
pub const MOST_REMINDERS: usize = 3;

/// More working days than any ladder needs: a year of them.
const MOST_DAYS: u32 = 250;

/// One thing that happens to an open case at its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Rung {
    /// A human being is asked to reach the person.
    #[serde(rename = "task")]
    Task,
    /// That has not happened for a while.
    #[serde(rename = "overdue.1")]
    Overdue1,
    /// It has still not happened.
    #[serde(rename = "overdue.2")]
    Overdue2,
    /// First reminder.
    #[serde(rename = "reminder.1")]
    Reminder1,
    /// Second reminder.
    #[serde(rename = "reminder.2")]
    Reminder2,
    /// Last reminder, before the deadline.
    #[serde(rename = "reminder.final")]
    ReminderFinal,
    /// The manager is told that a task is open.
    #[serde(rename = "manager")]
    Manager,
    /// The identity provider is asked to force what the ladder's [`Demand`] says.
    #[serde(rename = "hand_over")]
    HandOver,
}

impl Rung {
    /// All of them, in the order in which they are climbed when they fall on the same moment.
    pub const ALL: [Self; 8] = [
        Self::Task,
        Self::Overdue1,
        Self::Overdue2,
        Self::Reminder1,
        Self::Reminder2,
        Self::ReminderFinal,
        Self::Manager,
        Self::HandOver,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Overdue1 => "overdue.1",
            Self::Overdue2 => "overdue.2",
            Self::Reminder1 => "reminder.1",
            Self::Reminder2 => "reminder.2",
            Self::ReminderFinal => "reminder.final",
            Self::Manager => "manager",
            Self::HandOver => "hand_over",
        }
    }

    /// The rung that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rung| rung.word() == word)
    }

    /// The letter to the account's holder that this rung is, if it is one.
    pub const fn notice(self) -> Option<NoticeKind> {
        match self {
            Self::Reminder1 => Some(NoticeKind::Reminder1),
            Self::Reminder2 => Some(NoticeKind::Reminder2),
            Self::ReminderFinal => Some(NoticeKind::ReminderFinal),
            Self::Task | Self::Overdue1 | Self::Overdue2 | Self::Manager | Self::HandOver => None,
        }
    }

    /// Whether it is a reminder by e-mail.
    pub const fn is_reminder(self) -> bool {
        self.notice().is_some()
    }

    /// Whether it nags about a task for a human being.
    pub const fn is_overdue(self) -> bool {
        matches!(self, Self::Overdue1 | Self::Overdue2)
    }

    /// Whether of this rung and `other` only the later is worth doing.
    const fn merges_with(self, other: Self) -> bool {
        (self.is_reminder() && other.is_reminder()) || (self.is_overdue() && other.is_overdue())
    }
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// When a rung is climbed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// On this working day after the first notice, at the ladder's time of day.
    Day(u32),
    /// This many hours after the first notice, by day and by night.
    Hours(u32),
    /// This many hours of working time before the deadline.
    HoursBeforeDeadline(u32),
    /// On this working day after the deadline, at the ladder's time of day.
    DaysAfterDeadline(u32),
}

/// When a case is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// On this working day after the first notice, at the ladder's closing time.
    Day(u32),
    /// This many hours after the first notice, by day and by night.
    Hours(u32),
}

/// What the hand-over asks the identity provider for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// Force a change at the next sign-in.
    ForceChange,
    /// Block the sign-in.
    BlockSignIn,
    /// Nothing new: it is blocked already and stays so.
    StayBlocked,
}

impl Demand {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ForceChange => "force_change",
            Self::BlockSignIn => "block_sign_in",
            Self::StayBlocked => "stay_blocked",
        }
    }
}

/// One rung and its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What happens.
    pub rung: Rung,
    /// When.
    pub when: When,
}

/// A category's timetable, in working days and hours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// Whose ladder it is.
    pub category: Category,
    /// When a case is due.
    pub due: Due,
    /// Local time of day at which a due day ends.
    pub due_at: NaiveTime,
    /// Local time of day of whatever is planned for a day.
    pub remind_at: NaiveTime,
    /// The rungs.
    pub steps: Vec<Step>,
    /// What the hand-over asks for.
    pub demand: Demand,
}

/// A ladder that must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLadder {
    /// The text is no ladder.
    #[error("this is no ladder")]
    Json,
    /// The same rung twice.
    #[error("the rung {0} stands there twice")]
    Twice(Rung),
    /// Compromised accounts get no reminders by e-mail: the intruder may be reading.
    #[error("a compromised account gets no reminders by e-mail")]
    CompromisedByMail,
    /// A number of days or hours that no ladder needs, or a due day of zero.
    #[error("days must be 1 to 250 and hours at most 2,000")]
    Range,
    /// Rungs out of order, or a reminder that is not between the first notice and the deadline.
    #[error("the rung {0} comes too early or too late")]
    Order(Rung),
}

impl Ladder {
    /// The product's own timetable for a category.
    pub fn standard(category: Category) -> Self {
        use {Rung::*, When::*};
        let (due, demand, steps): (_, _, &[(Rung, When)]) = match category {
            // The hand-over follows the manager by one working day in each.
            Category::Weak => (
                Due::Day(10),
                Demand::ForceChange,
                &[
                    (Reminder1, Day(4)),
                    (Reminder2, Day(7)),
                    (ReminderFinal, Day(9)),
                    (Manager, DaysAfterDeadline(3)),
                    (HandOver, DaysAfterDeadline(4)),
                ],
            ),
            Category::Attacked => (
                Due::Day(3),
                Demand::ForceChange,
                &[
                    (Reminder1, Day(1)),
                    (Reminder2, Day(2)),
                    (ReminderFinal, HoursBeforeDeadline(4)),
                    (Manager, DaysAfterDeadline(2)),
                    (HandOver, DaysAfterDeadline(3)),
                ],
            ),
            Category::Breached => (
                Due::Day(2),
                Demand::BlockSignIn,
                &[
                    (Reminder1, Day(1)),
                    (ReminderFinal, HoursBeforeDeadline(4)),
                    (Manager, DaysAfterDeadline(1)),
                    (HandOver, DaysAfterDeadline(2)),
                ],
            ),
            // Sign-in is blocked before anybody is told, so there is nothing left to hand over.
            Category::Compromised => (
                Due::Hours(24),
                Demand::StayBlocked,
                &[
                    (Task, Hours(0)),
                    (Manager, Hours(0)),
                    (Overdue1, Hours(4)),
                    (Overdue2, Hours(24)),
                ],
            ),
        };
        Self {
            category,
            due,
            due_at: NaiveTime::MIN + TimeDelta::hours(17),
            remind_at: NaiveTime::MIN + TimeDelta::hours(10),
            steps: steps
                .iter()
                .map(|&(rung, when)| Step { rung, when })
                .collect(),
            demand,
        }
    }

    /// The same ladder without the manager: the escalation is switched on per campaign.
    pub fn without_manager(mut self) -> Self {
        self.steps.retain(|step| step.rung != Rung::Manager);
        self
    }

    /// Whether the ladder may be used. At most three reminders follow from there being three kinds, each once.
    pub fn check(&self) -> Result<(), BadLadder> {
        self.check_numbers()?;
        for (nth, step) in self.steps.iter().enumerate() {
            if self
                .steps
                .iter()
                .skip(nth + 1)
                .any(|other| other.rung == step.rung)
            {
                return Err(BadLadder::Twice(step.rung));
            }
            if self.category == Category::Compromised && step.rung.is_reminder() {
                return Err(BadLadder::CompromisedByMail);
            }
        }
        self.check_order()
    }

    fn check_numbers(&self) -> Result<(), BadLadder> {
        let due_fits = match self.due {
            Due::Day(days) => (1..=MOST_DAYS).contains(&days),
            Due::Hours(hours) => (1..=2_000).contains(&hours),
        };
        let steps_fit = self.steps.iter().all(|step| match step.when {
            When::Day(days) => (1..=MOST_DAYS).contains(&days),
            When::DaysAfterDeadline(days) => days <= MOST_DAYS,
            When::Hours(hours) | When::HoursBeforeDeadline(hours) => hours <= 2_000,
        });
        if due_fits && steps_fit {
            Ok(())
        } else {
            Err(BadLadder::Range)
        }
    }

    /// Laid out from a Monday morning, reminders rise and lie before the deadline, and a hand-over ends it all.
    fn check_order(&self) -> Result<(), BadLadder> {
        // 2018-01-01T09:00:00Z, a Monday.
        let monday = Moment::from_micros(1_514_797_200_000_000);
        let table = self.schedule(monday, &Calendar::new(chrono_tz::Tz::UTC));
        for step in &self.steps {
            // What does not fit between first notice and deadline is left out of a timetable.
            let Some(at) = table.at(step.rung) else {
                return Err(BadLadder::Order(step.rung));
            };
            let overtaken = table.rungs.iter().any(|&(other, when)| {
                (other.merges_with(step.rung) && other < step.rung && when >= at)
                    || (step.rung == Rung::HandOver && other != step.rung && when > at)
                    || (step.rung == Rung::HandOver && at < table.deadline)
            });
            if overtaken {
                return Err(BadLadder::Order(step.rung));
            }
        }
        Ok(())
    }

    /// What the ladder comes to for a case first told at `first_at`, at a site with this calendar.
    ///
    /// Letters and hand-overs move to the next sendable moment; a reminder that would then not lie between the first
    /// notice and the deadline is left out.
    pub fn schedule(&self, first_at: Moment, calendar: &Calendar) -> Timetable {
        let after = |hours: u32| first_at.plus(TimeDelta::hours(i64::from(hours)));
        let deadline = match self.due {
            Due::Day(days) => calendar.add_working_days(first_at, days, self.due_at),
            Due::Hours(hours) => after(hours),
        };
        let on_day = |from, days| {
            calendar.next_sendable(calendar.add_working_days(from, days, self.remind_at))
        };
        let mut rungs: Vec<(Rung, Moment)> = self
            .steps
            .iter()
            .map(|step| {
                let at = match step.when {
                    When::Day(days) => on_day(first_at, days),
                    When::Hours(hours) => after(hours),
                    When::HoursBeforeDeadline(hours) => {
                        calendar.working_hours_before(deadline, hours)
                    }
                    When::DaysAfterDeadline(days) => on_day(deadline, days),
                };
                (step.rung, at)
            })
            .filter(|&(rung, at)| !rung.is_reminder() || (first_at < at && at < deadline))
            .collect();
        rungs.sort_by_key(|&(rung, at)| (at, rung));
        Timetable { deadline, rungs }
    }

    /// The form that is frozen into a case: compact JSON.
    pub fn to_json(&self) -> String {
        // A ladder is numbers and words: there is nothing in it that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`Self::to_json`] back, and checks it.
    pub fn from_json(text: &str) -> Result<Self, BadLadder> {
        let ladder: Self = serde_json::from_str(text).map_err(|_| BadLadder::Json)?;
        ladder.check()?;
        Ok(ladder)
    }
}

/// A ladder laid out for one case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Timetable {
    /// When the case is due.
    pub deadline: Moment,
    /// The rungs by time.
    pub rungs: Vec<(Rung, Moment)>,
}

impl Timetable {
    /// When a rung is planned.
    pub fn at(&self, rung: Rung) -> Option<Moment> {
        self.rungs
            .iter()
            .find_map(|&(other, at)| (other == rung).then_some(at))
    }

    /// The rung to climb now, if there is one. `already` are those climbed, or decided against.
    ///
    /// Ask again after each: a manager's letter and a hand-over may both be due. Of several missed reminders only the
    /// latest goes, the others never, and none after the deadline. The manager is told only if a reminder went, as that
    /// letter says so, and not once the hand-over is made. The answer does not look at the send window:
    /// what was missed at noon may be found at midnight.
    pub fn due(&self, now: Moment, already: &[Rung]) -> Option<Rung> {
        self.rungs
            .iter()
            .filter(|&&(rung, at)| at <= now && !already.contains(&rung))
            .map(|&(rung, _)| rung)
            .find(|&rung| self.is_worth_it(rung, now, already))
    }

    /// The next rung after `now` that is not climbed yet, and its time: what a plan shows.
    pub fn next(&self, now: Moment, already: &[Rung]) -> Option<(Rung, Moment)> {
        self.rungs
            .iter()
            .copied()
            .find(|&(rung, at)| at > now && !already.contains(&rung))
    }

    /// Which reminder of how many planned ones this is, from 1.
    pub fn reminder_number(&self, rung: Rung) -> Option<(u32, u32)> {
        let reminders = || self.rungs.iter().filter(|(rung, _)| rung.is_reminder());
        let nth = reminders().position(|&(other, _)| other == rung)?;
        let number = |count: usize| u32::try_from(count).ok();
        Some((number(nth + 1)?, number(reminders().count())?))
    }

    fn is_worth_it(&self, rung: Rung, now: Moment, already: &[Rung]) -> bool {
        let overtaken = self.rungs.iter().any(|&(other, at)| {
            other.merges_with(rung) && other > rung && (at <= now || already.contains(&other))
        });
        match rung {
            Rung::Reminder1 | Rung::Reminder2 | Rung::ReminderFinal => {
                !overtaken && now < self.deadline
            }
            Rung::Overdue1 | Rung::Overdue2 => !overtaken,
            Rung::Manager => {
                let has_reminders = self.rungs.iter().any(|(rung, _)| rung.is_reminder());
                let reminded = already.iter().any(|rung| rung.is_reminder());
                !already.contains(&Rung::HandOver) && (reminded || !has_reminders)
            }
            Rung::Task | Rung::HandOver => true,
        }
    }
}

#[cfg(test)]
mod tests;

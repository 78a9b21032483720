//! Self-audit: whether every step that was due about an open case was taken, exactly once, and if not, why not.
//!
//! It looks at what is stored, and at nothing that the steps themselves decide by: so it finds what they forgot.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::CaseId;
use super::campaign::CampaignState;
use super::ladder::{MOST_REMINDERS, Rung, Timetable};
use super::moment::Moment;
use super::notice::NoticeKind;

/// A letter of a case's thread.
#[derive(Clone, PartialEq, Debug)]
pub struct WatchedLetter {
    /// What it says.
    pub kind: NoticeKind,
    /// Whether it still has to go.
    pub is_queued: bool,
    /// Since when it may.
    pub due_at: Moment,
    /// Whether it was tried.
    pub was_tried: bool,
}

/// The conversation with a case's person.
#[derive(Clone, PartialEq, Debug)]
pub struct WatchedThread {
    /// Its number.
    pub id: i64,
    /// Whether its first notice has been queued.
    pub is_running: bool,
    /// What became of its campaign.
    pub campaign: CampaignState,
    /// Its rungs and their moments; none before the first notice.
    pub timetable: Option<Timetable>,
    /// The rungs that are behind it.
    pub climbed: Vec<Rung>,
    /// Its letters to the holder.
    pub letters: Vec<WatchedLetter>,
}

/// An open case, with all that was done about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Watched {
    /// Which.
    pub case: CaseId,
    /// When it opened.
    pub opened_at: Moment,
    /// Whether its person was told.
    pub is_told: bool,
    /// Until when it is exempt or snoozed, now or before.
    pub rests_until: Option<Moment>,
    /// How many tasks of human beings are open about it.
    pub tasks: u64,
    /// When the reset is due.
    pub deadline_at: Option<Moment>,
    /// Whether an operator sees to it.
    pub has_owner: bool,
    /// Whether sign-in stays blocked until the reset.
    pub is_blocked: bool,
    /// Whether the hand-over is on record.
    pub is_handed_over: bool,
    /// The conversation with its person.
    pub thread: Option<WatchedThread>,
}

/// A step that was not taken, or twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// No letter is planned, and it is nobody's work.
    NoNextStep,
    /// Its campaign runs, and its first notice was never queued.
    NoticeMissing,
    /// A rung's moment has come, and nobody climbed it.
    RungMissing,
    /// A reminder is said to be behind us, and there is no such letter.
    ReminderMissing,
    /// One reminder was written twice.
    ReminderTwice,
    /// More reminders than any case gets.
    TooManyReminders,
    /// A letter may go, and nobody tries.
    LetterIdle,
    /// The last rung is behind us, and nothing was handed over.
    HandOverMissing,
}

impl Gap {
    /// The word that documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoNextStep => "no_next_step",
            Self::NoticeMissing => "notice_missing",
            Self::RungMissing => "rung_missing",
            Self::ReminderMissing => "reminder_missing",
            Self::ReminderTwice => "reminder_twice",
            Self::TooManyReminders => "too_many_reminders",
            Self::LetterIdle => "letter_idle",
            Self::HandOverMissing => "hand_over_missing",
        }
    }

    /// What an operator does about it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoNextStep => {
                "no letter is planned and nobody has it as a task: `bell campaign draft`, or take it by hand"
            }
            Self::NoticeMissing => {
                "its campaign runs, and its first notice was never queued: run `bell notify` and read the log"
            }
            Self::RungMissing => {
                "a rung of its ladder is due and was not climbed: is `bell serve` running?"
            }
            Self::ReminderMissing => {
                "a reminder counts as sent, and there is no such letter: tell the person by hand"
            }
            Self::ReminderTwice => {
                "one reminder was written twice: pause the campaign and read its letters"
            }
            Self::TooManyReminders => {
                "more than three reminders: pause the campaign and read its letters"
            }
            Self::LetterIdle => {
                "a letter may go and nobody tries: is `bell serve` running, and what does `bell hold list` say?"
            }
            Self::HandOverMissing => {
                "the last rung is past and nothing was handed over: ask the identity provider by hand"
            }
        }
    }
}

/// Why a step that was due was rightly not taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Excuse {
    /// Exempt or snoozed, now or at that moment.
    Resting,
    /// The campaign is paused or stopped.
    Paused,
    /// The campaign waits for its second operator, or for its announcement.
    WaitsForApproval,
    /// The person was not reached: nobody is reminded of what they never read.
    NotReached,
    /// A later reminder of the same kind took its place.
    Merged,
    /// Nobody ran until the deadline was past: no reminder goes after it, and the last rung comes.
    TooLate,
    /// It opened just now.
    Young,
    /// It is a human being's work.
    ByHand,
    /// Sign-in stays blocked until the reset.
    Blocked,
    /// A limit or a hold keeps letters back.
    HeldBack,
}

/// What the self-audit says about one case.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verdict {
    /// Steps that were due and taken.
    pub taken: u64,
    /// Steps that were due and rightly not taken.
    pub excused: BTreeMap<Excuse, u64>,
    /// Steps that are missing, or too many.
    pub gaps: Vec<Gap>,
}

impl Verdict {
    fn excuse(&mut self, why: Excuse) {
        *self.excused.entry(why).or_default() += 1;
    }

    fn gap(&mut self, gap: Gap) {
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }
}

/// What may be late without anybody having forgotten it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grace {
    /// For a rung, a queue and whatever the schedule does by the minute.
    pub step: TimeDelta,
    /// For human beings who draft a campaign.
    pub draft: TimeDelta,
    /// Letters are kept back by a hold or a limit, so that one may well wait.
    pub held_back: bool,
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            step: TimeDelta::hours(1),
            draft: TimeDelta::hours(24),
            held_back: false,
        }
    }
}

/// Whether every step that was due about an open case was taken, exactly once.
pub fn judge(case: &Watched, grace: &Grace, now: Moment) -> Verdict {
    let mut verdict = Verdict::default();
    let rests = |at: Moment| case.rests_until.is_some_and(|until| until > at);
    let by_hand = case.tasks > 0;
    let Some(thread) = &case.thread else {
        match () {
            () if by_hand => verdict.excuse(Excuse::ByHand),
            () if rests(now) => verdict.excuse(Excuse::Resting),
            () if case.is_blocked => verdict.excuse(Excuse::Blocked),
            () if case.is_handed_over => verdict.taken += 1,
            () if now.since(case.opened_at) <= grace.draft => verdict.excuse(Excuse::Young),
            // Told by hand: whoever did sees to it until the deadline, and the hand-over follows.
            () if case.is_told && case.has_owner && !is_overdue(case, grace, now) => {
                verdict.excuse(Excuse::ByHand);
            }
            () => verdict.gap(Gap::NoNextStep),
        }
        return verdict;
    };
    match thread.campaign {
        CampaignState::Paused | CampaignState::Stopped => {
            verdict.excuse(Excuse::Paused);
            return verdict;
        }
        CampaignState::Draft | CampaignState::Approved => {
            verdict.excuse(Excuse::WaitsForApproval);
            return verdict;
        }
        CampaignState::Void => {
            verdict.gap(Gap::NoNextStep);
            return verdict;
        }
        CampaignState::Running => {}
    }
    if !thread.is_running {
        match () {
            () if by_hand => verdict.excuse(Excuse::ByHand),
            () if rests(now) => verdict.excuse(Excuse::Resting),
            () => verdict.gap(Gap::NoticeMissing),
        }
        return verdict;
    }
    judge_rungs(case, thread, grace, now, &mut verdict);
    judge_letters(thread, grace, now, &mut verdict);
    verdict
}

fn is_overdue(case: &Watched, grace: &Grace, now: Moment) -> bool {
    case.deadline_at
        .is_some_and(|deadline| now.since(deadline) > grace.step)
}

fn judge_rungs(
    case: &Watched,
    thread: &WatchedThread,
    grace: &Grace,
    now: Moment,
    verdict: &mut Verdict,
) {
    let Some(timetable) = &thread.timetable else {
        verdict.gap(Gap::NoticeMissing);
        return;
    };
    let rests = |at: Moment| case.rests_until.is_some_and(|until| until > at);
    for &(rung, at) in &timetable.rungs {
        if at > now {
            continue;
        }
        if !thread.climbed.contains(&rung) {
            match () {
                () if rests(now) => verdict.excuse(Excuse::Resting),
                // It came back a moment ago.
                () if now.since(case.rests_until.map_or(at, |until| until.max(at)))
                    <= grace.step =>
                {
                    verdict.excuse(Excuse::Young);
                }
                () => verdict.gap(Gap::RungMissing),
            }
            continue;
        }
        match rung.notice() {
            Some(kind) => judge_reminder(case, thread, timetable, (rung, at), kind, now, verdict),
            None if rung == Rung::HandOver && !case.is_handed_over && case.tasks == 0 => {
                match rests(now) {
                    true => verdict.excuse(Excuse::Resting),
                    false => verdict.gap(Gap::HandOverMissing),
                }
            }
            None => verdict.taken += 1,
        }
    }
}

fn judge_reminder(
    case: &Watched,
    thread: &WatchedThread,
    timetable: &Timetable,
    (rung, at): (Rung, Moment),
    kind: NoticeKind,
    now: Moment,
    verdict: &mut Verdict,
) {
    let overtaken = timetable
        .rungs
        .iter()
        .any(|&(other, _)| other.is_reminder() && other > rung && thread.climbed.contains(&other));
    match thread
        .letters
        .iter()
        .filter(|letter| letter.kind == kind)
        .count()
    {
        1 => verdict.taken += 1,
        0 if case.rests_until.is_some_and(|until| until > at) => verdict.excuse(Excuse::Resting),
        0 if !case.is_told || case.tasks > 0 => verdict.excuse(Excuse::NotReached),
        // It turned out to be compromised: no more is said by mail, and sign-in stays blocked.
        0 if case.is_blocked => verdict.excuse(Excuse::Blocked),
        0 if overtaken => verdict.excuse(Excuse::Merged),
        0 if timetable.deadline <= now => verdict.excuse(Excuse::TooLate),
        0 => verdict.gap(Gap::ReminderMissing),
        _ => verdict.gap(Gap::ReminderTwice),
    }
}

fn judge_letters(thread: &WatchedThread, grace: &Grace, now: Moment, verdict: &mut Verdict) {
    let reminders = thread
        .letters
        .iter()
        .filter(|letter| {
            Rung::ALL
                .iter()
                .any(|rung| rung.notice() == Some(letter.kind))
        })
        .count();
    if reminders > MOST_REMINDERS {
        verdict.gap(Gap::TooManyReminders);
    }
    for letter in thread.letters.iter().filter(|letter| letter.is_queued) {
        match () {
            () if letter.was_tried || now.since(letter.due_at) <= grace.step => {}
            () if grace.held_back => verdict.excuse(Excuse::HeldBack),
            () => verdict.gap(Gap::LetterIdle),
        }
    }
}

#[cfg(test)]
mod tests;

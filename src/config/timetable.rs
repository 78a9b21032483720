//! When things happen: `[calendar]`, `[schedule]`, `[ladder.…]`.

use std::path::PathBuf;

use chrono::{NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::Serialize;

use super::hashed;
use super::section::{Read, Section};
use super::values::{line, number, path, time_of_day, weekday, zone};
use crate::domain::finding::Category;

/// When letters may go out, in the site's or the person's zone.
#[derive(Debug, Clone, Serialize)]
pub struct Calendar {
    /// Not before.
    pub send_from: NaiveTime,
    /// Not from here on; later than `send_from`.
    pub send_until: NaiveTime,
    /// At least one, in the order of the week, each once.
    pub working_days: Vec<Weekday>,
    /// A file of dates on which nobody works.
    #[serde(serialize_with = "hashed::some_path")]
    pub holidays: Option<PathBuf>,
}

pub(super) fn calendar(root: &Section<'_>) -> Read<Calendar> {
    let own = root.section("calendar");
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
    let send_from = own.or("send_from", time_of_day, hour(7));
    let send_until = own.or("send_until", time_of_day, hour(20));
    let working_days = own.list("working_days", weekday);
    let holidays = own.optional("holidays", path);
    own.finish_after(|own| {
        let days = working_days.and_then(|days| working_week(own, days));
        let (send_from, send_until) = (send_from?, send_until?);
        if send_until <= send_from {
            return Err(own.wrong(
                "send_until",
                "it is not after send_from; write a later time",
            ));
        }
        Ok(Calendar {
            send_from,
            send_until,
            working_days: days?,
            holidays: holidays?,
        })
    })
}

fn working_week(own: &Section<'_>, given: Option<Vec<Weekday>>) -> Read<Vec<Weekday>> {
    use Weekday::{Fri, Mon, Thu, Tue, Wed};
    let mut days = given.unwrap_or_else(|| vec![Mon, Tue, Wed, Thu, Fri]);
    days.sort_by_key(Weekday::num_days_from_monday);
    days.dedup();
    if days.is_empty() {
        return Err(own.wrong(
            "working_days",
            "without a working day no deadline ever comes; name at least one",
        ));
    }
    Ok(days)
}

/// A cron line of six fields (seconds first, days by name), as written: whoever runs it parses it, and can say where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CronLine {
    /// As written.
    pub text: String,
    /// Line of the config file; none if it is the default.
    #[serde(skip)]
    pub line: Option<usize>,
}

/// When each step runs.
#[derive(Debug, Clone, Serialize)]
pub struct Schedule {
    /// The zone of all cron lines here; the organisation's unless another is named.
    pub zone: Tz,
    /// Staff directory → people.
    pub people: CronLine,
    /// Dropped audit files → findings → cases.
    pub intake: CronLine,
    /// Open cases → campaigns that wait for approval.
    pub plan: CronLine,
    /// Open cases → notices → deliveries.
    pub notify: CronLine,
    /// Deliveries → attempts.
    pub deliver: CronLine,
    /// Bounces and replies.
    pub inbox: CronLine,
    /// Evidence → closed cases.
    pub confirm: CronLine,
    /// Figures → the status post.
    pub announce: CronLine,
    /// Approved statements whose time has come → posts; and what the office has promised.
    pub statements: CronLine,
    /// Open cases → whether every due step was taken.
    pub audit_steps: CronLine,
    /// Cases → the compliance report.
    pub report: CronLine,
    /// The sealed record → whether it is what it was.
    pub verify: CronLine,
    /// What was kept for long enough → erased.
    pub purge: CronLine,
    /// Where audit files are dropped, a folder for each source in it.
    #[serde(serialize_with = "hashed::path")]
    pub drop_folder: PathBuf,
}

impl Schedule {
    /// Every step that runs by the clock, by its name, in the order of the flow.
    pub fn lines(&self) -> [(&'static str, &CronLine); 13] {
        [
            ("people", &self.people),
            ("intake", &self.intake),
            ("plan", &self.plan),
            ("notify", &self.notify),
            ("deliver", &self.deliver),
            ("inbox", &self.inbox),
            ("confirm", &self.confirm),
            ("announce", &self.announce),
            ("statements", &self.statements),
            ("audit_steps", &self.audit_steps),
            ("report", &self.report),
            ("verify", &self.verify),
            ("purge", &self.purge),
        ]
    }
}

pub(super) fn schedule(root: &Section<'_>, site: Option<Tz>) -> Read<Schedule> {
    let own = root.section("schedule");
    let zone = own.or("zone", zone, site.unwrap_or(Tz::UTC));
    let cron = |key, default: &str| {
        let default = CronLine {
            text: default.to_owned(),
            line: None,
        };
        let parse = |value: &_| {
            let text = line(value)?;
            let line = Some(value.line);
            Ok(CronLine { text, line })
        };
        own.or(key, parse, default)
    };
    let people = cron("people", "0 0 5 * * *");
    let intake = cron("intake", "0 */5 * * * *");
    let plan = cron("plan", "0 0 6 * * Mon-Fri");
    let notify = cron("notify", "0 */10 * * * *");
    let deliver = cron("deliver", "0 * * * * *");
    let inbox = cron("inbox", "30 */5 * * * *");
    let confirm = cron("confirm", "*/30 * * * * *");
    let announce = cron("announce", "0 0 9 * * Mon-Fri");
    let statements = cron("statements", "0 * * * * *");
    let audit_steps = cron("audit_steps", "0 45 * * * *");
    let report = cron("report", "0 0 7 * * Mon");
    let verify = cron("verify", "0 30 4 * * *");
    let purge = cron("purge", "0 50 4 * * *");
    let drop_folder = own.or("drop_folder", path, own.folder().join("audits"));
    own.finish()?;
    Ok(Schedule {
        zone: zone?,
        people: people?,
        intake: intake?,
        plan: plan?,
        notify: notify?,
        deliver: deliver?,
        inbox: inbox?,
        confirm: confirm?,
        announce: announce?,
        statements: statements?,
        audit_steps: audit_steps?,
        report: report?,
        verify: verify?,
        purge: purge?,
        drop_folder: drop_folder?,
    })
}

/// What differs from the timetable that a category comes with. Days are working days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LadderOverride {
    /// Days from the first notice to the deadline.
    pub deadline_days: Option<u32>,
    /// Days from the first notice to each reminder, ascending. With the final one there are at most three.
    pub reminder_days: Option<Vec<u32>>,
    /// Hours before the deadline at which the final reminder goes out.
    pub final_hours_before: Option<u32>,
    /// Days from the deadline to the manager's letter.
    pub manager_days: Option<u32>,
}

/// The overrides of each category.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ladders {
    /// Of weak passwords.
    pub weak: LadderOverride,
    /// Of attacked ones.
    pub attacked: LadderOverride,
    /// Of those on a list of stolen passwords.
    pub breached: LadderOverride,
    /// Of those that somebody else has used.
    pub compromised: LadderOverride,
}

impl Ladders {
    /// The overrides of one category.
    pub const fn of(&self, category: Category) -> &LadderOverride {
        match category {
            Category::Weak => &self.weak,
            Category::Attacked => &self.attacked,
            Category::Breached => &self.breached,
            Category::Compromised => &self.compromised,
        }
    }
}

pub(super) fn ladders(root: &Section<'_>) -> Read<Ladders> {
    let own = root.section("ladder");
    let weak = ladder(own.section("weak"));
    let attacked = ladder(own.section("attacked"));
    let breached = ladder(own.section("breached"));
    let compromised = ladder(own.section("compromised"));
    own.finish()?;
    Ok(Ladders {
        weak: weak?,
        attacked: attacked?,
        breached: breached?,
        compromised: compromised?,
    })
}

fn ladder(own: Section<'_>) -> Read<LadderOverride> {
    let deadline_days = own.optional("deadline_days", number("number of days", 1..=90));
    let reminder_days = own.list("reminder_days", number("number of days", 1..=90));
    let final_hours_before = own.optional("final_hours_before", number("number of hours", 1..=72));
    let manager_days = own.optional("manager_days", number("number of days", 0..=90));
    own.finish_after(|own| {
        let ladder = LadderOverride {
            deadline_days: deadline_days?,
            reminder_days: reminder_days?,
            final_hours_before: final_hours_before?,
            manager_days: manager_days?,
        };
        match misstep(&ladder) {
            Some(text) => Err(own.wrong("reminder_days", text)),
            None => Ok(ladder),
        }
    })
}

/// What does not fit together in a ladder's reminders.
fn misstep(ladder: &LadderOverride) -> Option<&'static str> {
    let days = ladder.reminder_days.as_deref()?;
    let last = days.last()?;
    if !days.is_sorted_by(|a, b| a < b) {
        Some("they do not ascend; write each later than the one before")
    } else if days.len() + usize::from(ladder.final_hours_before.is_some()) > 3 {
        Some("with the final one these are more than three reminders; leave some out")
    } else if ladder
        .deadline_days
        .is_some_and(|deadline| *last > deadline)
    {
        Some("the last one is after deadline_days; write an earlier day, or a later deadline")
    } else {
        None
    }
}

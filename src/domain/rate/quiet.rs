//! Quiet: who may be written to at night, and who is left alone until the morning.
//!
//! Asked again whenever a letter is about to go: a retry or a throttled relay may have moved it into the night.

use super::{Verdict, Why};
use crate::domain::calendar::Calendar;
use crate::domain::finding::Category;
use crate::domain::moment::Moment;
use crate::domain::notice::NoticeKind;

/// Whether a letter goes at any hour and may use the share of the daily window that is kept back: those about compromised
/// accounts, but not the thanks.
pub const fn is_urgent(kind: NoticeKind, category: Category) -> bool {
    match kind {
        NoticeKind::Compromised => true,
        NoticeKind::Weak
        | NoticeKind::Attacked
        | NoticeKind::Breached
        | NoticeKind::Reminder1
        | NoticeKind::Reminder2
        | NoticeKind::ReminderFinal => matches!(category, Category::Compromised),
        NoticeKind::Done | NoticeKind::Manager | NoticeKind::Delegate => false,
    }
}

/// Whether a letter may go at this hour. `calendar` is in its reader's zone.
pub fn release(kind: NoticeKind, category: Category, calendar: &Calendar, now: Moment) -> Verdict {
    if is_urgent(kind, category) {
        return Verdict::Now;
    }
    match calendar.next_sendable(now) {
        at if at > now => Verdict::Later(at, Why::SendWindow),
        _ => Verdict::Now,
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::{America, Europe};

    use super::*;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    #[test]
    fn only_urgent_letters_go_at_night_at_the_weekend_and_on_holidays() {
        use Category::{Breached, Compromised, Weak};
        let london = Calendar::new(Europe::London)
            .with_holidays([chrono::NaiveDate::from_ymd_opt(2026, 3, 9).unwrap()].into());
        let later = |text: &str| Verdict::Later(at(text), Why::SendWindow);
        // 7 and 8 March 2026 are a weekend, and the 9th is a holiday here.
        for (kind, category, now, expected) in [
            (NoticeKind::Weak, Weak, "2026-03-06T19:59:59Z", Verdict::Now),
            (
                NoticeKind::Weak,
                Weak,
                "2026-03-06T20:00:00Z",
                later("2026-03-10T07:00:00Z"),
            ),
            (
                NoticeKind::Breached,
                Breached,
                "2026-03-07T12:00:00Z",
                later("2026-03-10T07:00:00Z"),
            ),
            (
                NoticeKind::Reminder1,
                Weak,
                "2026-03-10T06:59:59Z",
                later("2026-03-10T07:00:00Z"),
            ),
            (
                NoticeKind::ReminderFinal,
                Weak,
                "2026-03-10T07:00:00Z",
                Verdict::Now,
            ),
            (
                NoticeKind::Done,
                Weak,
                "2026-03-10T23:00:00Z",
                later("2026-03-11T07:00:00Z"),
            ),
            (
                NoticeKind::Done,
                Compromised,
                "2026-03-10T23:00:00Z",
                later("2026-03-11T07:00:00Z"),
            ),
            (
                NoticeKind::Compromised,
                Compromised,
                "2026-03-07T03:00:00Z",
                Verdict::Now,
            ),
        ] {
            assert_eq!(
                release(kind, category, &london, at(now)),
                expected,
                "{kind} {now}"
            );
        }
    }

    #[test]
    fn the_night_is_the_readers_own() {
        let now = at("2026-03-10T13:00:00Z");
        let reader = |zone| release(NoticeKind::Weak, Category::Weak, &Calendar::new(zone), now);
        assert_eq!(reader(Europe::London), Verdict::Now);
        assert_eq!(
            reader(America::Los_Angeles),
            Verdict::Later(at("2026-03-10T14:00:00Z"), Why::SendWindow)
        );
    }
}

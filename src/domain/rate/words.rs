//! Words: a forecast and its limits as an operator reads them.

use chrono::{Datelike, TimeDelta};

use super::{Expected, Meter, Rates, Why};
use crate::domain::calendar::Calendar;
use crate::domain::moment::Moment;
use crate::domain::notice::NoticeKind;
use crate::domain::report::cell::grouped;

impl Rates {
    /// What letters go by: `30 a minute, 10,000 in 24 hours`. None if nothing bounds them.
    pub fn words(&self) -> Option<String> {
        let parts = [
            self.relay
                .per_minute
                .map(|letters| format!("{} a minute", grouped(letters.into()))),
            self.relay
                .per_day
                .map(|letters| format!("{} in 24 hours", grouped(letters.into()))),
            self.people_per_hour
                .map(|people| format!("{} people an hour", grouped(people.into()))),
        ];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

impl Expected {
    /// One line: `9,000 people at 30 a minute: 5 h, done Tuesday 14:10`. `what` is counted, as in "people". Times are the
    /// site's. Where nothing is limited it is the relay that decides how long they take, and only their beginning is told.
    pub fn words(&self, what: &str, rates: &Rates, calendar: &Calendar, now: Moment) -> String {
        let many = format!("{} {what}", grouped(self.letters));
        let said = |at| when(calendar, at, now);
        let (begins, ends) = match (self.begins, self.ends) {
            (Some(begins), Some(ends)) => (begins, ends),
            (Some(_), None) => return format!("{many}: not all are gone within ten years"),
            (None, _) => return format!("{many}: nothing goes within ten years"),
        };
        let Some(rates) = rates.words() else {
            let last = match ends > begins {
                true => format!(", the last from {}", said(ends)),
                false => String::new(),
            };
            return format!(
                "{many} as fast as the relay takes them, from {}{last}",
                said(begins)
            );
        };
        let span = span_in_words(ends.since(begins));
        let from = match begins > now {
            true => format!(", from {}", said(begins)),
            false => String::new(),
        };
        format!("{many} at {rates}: {span}{from}, done {}", said(ends))
    }
}

impl Expected {
    /// What an approver should think about before these letters go. `staff` is how many readers a staff-wide notice has,
    /// and `deadlines` the first deadline that letters of a kind will name.
    pub fn warnings(
        &self,
        meter: &Meter,
        staff: u64,
        deadlines: &[(NoticeKind, Moment)],
        calendar: &Calendar,
        now: Moment,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.begins.is_some() && self.ends.is_none() {
            warnings
                .push("these letters are not gone within ten years: raise the limits".to_owned());
        } else if self.per_day.len() > 1 {
            warnings.push(self.more_than_a_day());
        } else if let Some(left) = meter.left_today(now)
            && self.letters > 0
            && self.letters + staff > left
        {
            warnings.push(format!(
                "a notice to all {} staff does not fit into the same day: the relay has room for {} more in 24 hours, and these are {}",
                grouped(staff),
                grouped(left),
                grouped(self.letters)
            ));
        }
        for (kind, deadline) in deadlines {
            let last = self.shares.iter().find(|share| share.kind == *kind);
            if let Some(last) = last.and_then(|share| share.last_at)
                && last >= *deadline
            {
                warnings.push(format!(
                    "the last {kind} goes {}, and the deadline in these letters begins at {}: raise the pace, or give more days",
                    when(calendar, last, now),
                    when(calendar, *deadline, now)
                ));
            }
        }
        warnings
    }

    fn more_than_a_day(&self) -> String {
        let shown = 3;
        let mut days: Vec<String> = self
            .per_day
            .iter()
            .take(shown)
            .map(|(date, letters)| format!("{} on {}", grouped(*letters), date.format("%-d %B")))
            .collect();
        if self.per_day.len() > shown {
            days.push(format!(
                "the rest on {} more days",
                self.per_day.len() - shown
            ));
        }
        format!("these letters do not fit into one day: {}", days.join(", "))
    }

    /// What bounds them, in words; none if nothing does.
    pub fn bound(&self) -> Option<String> {
        self.bound_by
            .map(|why: Why| format!("bound by {}", why.text()))
    }
}

/// A local moment as one says it: the day of the week within six days, the date beyond; minutes rounded up, so that what is
/// said to be done is done.
pub fn when(calendar: &Calendar, at: Moment, now: Moment) -> String {
    let local = calendar.local(at.plus(TimeDelta::microseconds(super::MINUTE - 1)));
    let today = calendar.local(now);
    let days = (local.date() - today.date()).num_days();
    let form = if (0..=6).contains(&days) {
        "%A %H:%M"
    } else if local.year() == today.year() {
        "%A %-d %B %H:%M"
    } else {
        "%A %-d %B %Y %H:%M"
    };
    local.format(form).to_string()
}

/// A span as one says it, rounded up to minutes: `under a minute`, `12 min`, `5 h`, `5 h 12 min`, from two days on
/// `3 days`.
pub fn span_in_words(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    let minutes = (seconds + 59).div_euclid(60).max(0);
    let (hours, rest) = (minutes / 60, minutes % 60);
    match (hours, rest) {
        _ if seconds < 60 => "under a minute".to_owned(),
        (0, rest) => format!("{rest} min"),
        (48.., _) => format!("{} days", (hours + 12) / 24),
        (hours, 0) => format!("{hours} h"),
        (hours, rest) => format!("{hours} h {rest} min"),
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe;

    use super::*;

    #[test]
    fn a_span_reads_like_speech() {
        for (seconds, words) in [
            (-5, "under a minute"),
            (0, "under a minute"),
            (59, "under a minute"),
            (60, "1 min"),
            (61, "2 min"),
            (17_998, "5 h"),
            (18_720, "5 h 12 min"),
            (47 * 3600, "47 h"),
            (48 * 3600, "2 days"),
            (65 * 3600, "3 days"),
        ] {
            assert_eq!(
                span_in_words(TimeDelta::seconds(seconds)),
                words,
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_moment_is_named_by_its_day_in_the_sites_zone() {
        let calendar = Calendar::new(Europe::London);
        let at = |text: &str| -> Moment { text.parse().unwrap() };
        let now = at("2026-03-24T09:00:00Z");
        for (text, words) in [
            ("2026-03-24T14:09:58Z", "Tuesday 14:10"),
            // British summer time begins on the 29th.
            ("2026-03-30T14:10:00Z", "Monday 15:10"),
            ("2026-03-31T14:10:00Z", "Tuesday 31 March 15:10"),
            ("2027-01-05T08:00:00Z", "Tuesday 5 January 2027 08:00"),
        ] {
            assert_eq!(when(&calendar, at(text), now), words);
        }
    }

    #[test]
    fn limits_read_like_speech() {
        let mut rates = Rates::default();
        assert_eq!(rates.words(), None);
        rates.relay.per_minute = Some(30);
        rates.relay.per_day = Some(10_000);
        rates.people_per_hour = Some(1_000);
        assert_eq!(
            rates.words().unwrap(),
            "30 a minute, 10,000 in 24 hours, 1,000 people an hour"
        );
    }
}

//! Words: dates, lists and short reasons in British English.

use chrono::{TimeDelta, Timelike};
use chrono_tz::Tz;

use crate::domain::Moment;
use crate::domain::finding::Category;

/// "5pm on Friday 4 July". Midnight belongs to the day that it ends, which is how people read a deadline.
pub fn moment(at: Moment, zone: Tz) -> String {
    let local = at.utc().with_timezone(&zone);
    let day = |at: Moment| {
        at.utc()
            .with_timezone(&zone)
            .format("%A %-d %B")
            .to_string()
    };
    match (local.hour(), local.minute()) {
        (0, 0) => format!("the end of {}", day(at.minus(TimeDelta::minutes(1)))),
        (23, 59) => format!("the end of {}", day(at)),
        (12, 0) => format!("noon on {}", day(at)),
        (hour, minute) => format!("{} on {}", clock(hour, minute), day(at)),
    }
}

/// "Fri 4 July", of the same day as [`moment`] names.
pub(super) fn day_short(at: Moment, zone: Tz) -> String {
    let mut local = at.utc().with_timezone(&zone);
    if (local.hour(), local.minute()) == (0, 0) {
        local = at.minus(TimeDelta::minutes(1)).utc().with_timezone(&zone);
    }
    local.format("%a %-d %B").to_string()
}

/// "on Thursday 3 July at 3.20pm".
pub(super) fn past(at: Moment, zone: Tz) -> String {
    let local = at.utc().with_timezone(&zone);
    format!(
        "on {} at {}",
        local.format("%A %-d %B"),
        clock(local.hour(), local.minute())
    )
}

fn clock(hour: u32, minute: u32) -> String {
    let half = if hour < 12 { "am" } else { "pm" };
    let hour = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    match minute {
        0 => format!("{hour}{half}"),
        _ => format!("{hour}.{minute:02}{half}"),
    }
}

/// "a", "a and b", "a, b and c".
pub(super) fn join(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The fixed sentence that says why, in a reminder.
pub(super) const fn why_short(category: Category, several: bool) -> &'static str {
    match (category, several) {
        (Category::Weak, false) => "The one you have now is easy to guess.",
        (Category::Weak, true) => "One or more of those you have now is easy to guess.",
        (Category::Breached, false) => "The one you have now is on a list of stolen passwords.",
        (Category::Breached, true) => {
            "One or more of those you have now is on a list of stolen passwords."
        }
        (Category::Attacked, false) => "Someone has been trying to guess it.",
        (Category::Attacked, true) => "Someone has been trying to guess them.",
        (Category::Compromised, _) => "",
    }
}

/// The text with a space after each dot inside a word: "J.Smith" is a name, but reads like a domain to a mail program.
pub(super) fn without_dots(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '.' && chars.peek().is_some_and(|next| next.is_alphanumeric()) {
            out.push(' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    #[test]
    fn a_deadline_reads_as_people_say_it_in_the_zone_of_the_site() {
        let london = Tz::Europe__London;
        for (text, long, short) in [
            ("2025-07-04T16:00:00Z", "5pm on Friday 4 July", "Fri 4 July"),
            (
                "2025-07-04T16:30:00Z",
                "5.30pm on Friday 4 July",
                "Fri 4 July",
            ),
            (
                "2025-07-04T11:00:00Z",
                "noon on Friday 4 July",
                "Fri 4 July",
            ),
            // Midnight in London in summer.
            (
                "2025-07-04T23:00:00Z",
                "the end of Friday 4 July",
                "Fri 4 July",
            ),
            (
                "2025-12-01T09:05:00Z",
                "9.05am on Monday 1 December",
                "Mon 1 December",
            ),
            (
                "2025-12-31T23:59:00Z",
                "the end of Wednesday 31 December",
                "Wed 31 December",
            ),
            (
                "2026-01-01T00:00:00Z",
                "the end of Wednesday 31 December",
                "Wed 31 December",
            ),
            (
                "2026-01-02T00:30:00Z",
                "12.30am on Friday 2 January",
                "Fri 2 January",
            ),
        ] {
            assert_eq!(moment(at(text), london), long, "{text}");
            assert_eq!(day_short(at(text), london), short, "{text}");
        }
        assert_eq!(
            moment(at("2025-07-04T16:00:00Z"), Tz::Asia__Kolkata),
            "9.30pm on Friday 4 July"
        );
        assert_eq!(
            past(at("2025-07-03T14:20:00Z"), london),
            "on Thursday 3 July at 3.20pm"
        );
    }

    #[test]
    fn a_name_does_not_look_like_a_domain() {
        assert_eq!(without_dots("J.Smith jr."), "J. Smith jr.");
        assert_eq!(without_dots("Dr.No"), "Dr. No");
    }
}

//! Dates as tables write them → moments: ISO 8601 in all its forms, or the forms that a mapping names.

use chrono::format::{Item, Numeric, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::domain::moment::Moment;

/// A form of date that a mapping names, as `strftime` writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DateForm {
    text: String,
    has_time: bool,
    has_zone: bool,
}

impl DateForm {
    /// None if the form has an unknown sign, or no whole date in it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let items: Vec<Item<'_>> = StrftimeItems::new(text).collect();
        if items.iter().any(|item| matches!(item, Item::Error)) {
            return None;
        }
        let form = Self {
            text: text.to_owned(),
            has_time: items.iter().any(|item| {
                matches!(
                    item,
                    Item::Numeric(Numeric::Hour | Numeric::Hour12 | Numeric::Timestamp, _)
                )
            }),
            has_zone: ["%z", "%:z", "%::z", "%#z", "%+", "%s"]
                .iter()
                .any(|sign| text.contains(sign)),
        };
        // A form that cannot read back what it wrote leaves something out, such as the year.
        let sample = chrono::Utc
            .with_ymd_and_hms(2026, 3, 17, 14, 0, 0)
            .single()?;
        let mut written = String::new();
        std::fmt::Write::write_fmt(&mut written, format_args!("{}", sample.format(text))).ok()?;
        let read = form.read(&written, Tz::UTC)?;
        (read.utc().date_naive() == sample.date_naive()).then_some(form)
    }

    fn read(&self, text: &str, zone: Tz) -> Option<Moment> {
        if self.has_zone {
            return DateTime::parse_from_str(text, &self.text)
                .ok()
                .map(|at| Moment::from(at.to_utc()));
        }
        if self.has_time {
            return in_zone(NaiveDateTime::parse_from_str(text, &self.text).ok()?, zone);
        }
        whole_day(NaiveDate::parse_from_str(text, &self.text).ok()?, zone)
    }
}

/// Reads the dates of one source.
#[derive(Clone, Debug)]
pub(super) struct Dates {
    /// The forms to try in turn; ISO 8601 if there is none.
    pub(super) forms: Vec<DateForm>,
    /// The zone of a time that names none.
    pub(super) zone: Tz,
}

impl Dates {
    /// The moment that a cell names. A day without a time is its last second: a password that was bad on that day was so
    /// at its end, as far as anybody knows.
    pub(super) fn read(&self, text: &str) -> Option<Moment> {
        let text = text.trim();
        let moment = if self.forms.is_empty() {
            iso(text, self.zone)
        } else {
            self.forms
                .iter()
                .find_map(|form| form.read(text, self.zone))
        }?;
        // A year of two digits is read as one of the first century.
        (1980..=2199)
            .contains(&moment.utc().year())
            .then_some(moment)
    }
}

/// A local time as an instant: the later one where clocks went back and it happened twice; moved on by an hour where
/// they went forward and it did not happen.
pub(super) fn in_zone(local: NaiveDateTime, zone: Tz) -> Option<Moment> {
    let later = local.checked_add_signed(TimeDelta::hours(1))?;
    zone.from_local_datetime(&local)
        .latest()
        .or_else(|| zone.from_local_datetime(&later).latest())
        .map(|at| Moment::from(at.to_utc()))
}

fn whole_day(day: NaiveDate, zone: Tz) -> Option<Moment> {
    in_zone(day.and_hms_opt(23, 59, 59)?, zone)
}

/// ISO 8601: `T` or a blank, seconds and their fraction optional, `Z`, `+0000`, `+00:00` or no zone, or a day alone.
fn iso(text: &str, zone: Tz) -> Option<Moment> {
    let Some((day, time)) = text.split_once(['T', 't', ' ']) else {
        return whole_day(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?, zone);
    };
    let text = format!("{}T{}", day.trim(), time.trim().replace('z', "Z"));
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(at) = DateTime::parse_from_str(&text, &format!("{form}%#z")) {
            return Some(at.to_utc().into());
        }
        if let Ok(local) = NaiveDateTime::parse_from_str(&text, form) {
            return in_zone(local, zone);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dates(forms: &[&str], zone: Tz) -> Dates {
        Dates {
            forms: forms
                .iter()
                .map(|form| DateForm::parse(form).unwrap())
                .collect(),
            zone,
        }
    }

    #[test]
    fn iso_dates_are_read_in_all_their_forms() {
        let berlin = dates(&[], chrono_tz::Europe::Berlin);
        for (text, expected) in [
            ("2026-02-10T02:15:00Z", Some("2026-02-10T02:15:00Z")),
            (
                "2026-02-10T02:15:00.1234567Z",
                Some("2026-02-10T02:15:00.123456Z"),
            ),
            ("2026-02-10T8:48:50.361Z", Some("2026-02-10T08:48:50.361Z")),
            ("2026-02-10 02:15:00+0000", Some("2026-02-10T02:15:00Z")),
            ("2026-02-10T02:15:00+02:00", Some("2026-02-10T00:15:00Z")),
            ("2026-02-10T02:15Z", Some("2026-02-10T02:15:00Z")),
            ("2026-02-10 02:15", Some("2026-02-10T01:15:00Z")),
            ("2026-02-10", Some("2026-02-10T22:59:59Z")),
            ("2026-02-31", None),
            ("10.02.2026", None),
            ("0026-02-10", None),
            ("", None),
        ] {
            let read = berlin.read(text).map(|at| at.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_mappings_own_forms_are_tried_in_turn() {
        let german = dates(&["%d.%m.%Y %H:%M", "%d.%m.%Y"], chrono_tz::Europe::Berlin);
        let american = dates(&["%m/%d/%Y %I:%M %p"], chrono_tz::Tz::UTC);
        for (dates, text, expected) in [
            (&german, "05.02.2026 04:05", Some("2026-02-05T03:05:00Z")),
            (&german, "06.02.2026", Some("2026-02-06T22:59:59Z")),
            (&german, "31.02.2026", None),
            (&german, "01.12.20", None),
            // Twice in October, never in March.
            (&german, "25.10.2026 02:30", Some("2026-10-25T01:30:00Z")),
            (&german, "29.03.2026 02:30", Some("2026-03-29T01:30:00Z")),
            (
                &american,
                "02/09/2026 3:10 PM",
                Some("2026-02-09T15:10:00Z"),
            ),
            (&american, "14/09/2026 3:10 PM", None),
        ] {
            let read = dates.read(text).map(|at| at.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_form_without_a_whole_date_is_no_form() {
        for form in ["%Q", "%d.%m.", "%H:%M", "", "%d.%m.%Y %"] {
            assert!(DateForm::parse(form).is_none(), "{form}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_date_panic(text in ".{0,40}", form in "[%dmYHMSzspIf./: -]{0,12}") {
            let zone = chrono_tz::Europe::Berlin;
            let forms = DateForm::parse(&form).into_iter().collect();
            let _ = Dates { forms, zone }.read(&text);
            let _ = Dates { forms: Vec::new(), zone }.read(&text);
        }
    }
}

//! The values a config file may hold: one parser each, from what stands there to its type, or what to write instead.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{NaiveTime, TimeDelta, Weekday};
use chrono_tz::Tz;
use encoding_rs::Encoding;
use reqwest::Url;
use toml::de::DeValue;

use super::errors::quoted;
use super::section::{Parsed, Value, instead, nearest};
use crate::domain::EmailAddress;
use crate::domain::address::is_bidi;

/// One line of text that is not empty.
pub(super) fn line(value: &Value<'_>) -> Parsed<String> {
    let text = value
        .raw
        .as_str()
        .ok_or_else(|| value.not("text in quotes"))?
        .trim();
    if text.is_empty() {
        return Err("it is empty; write it, or leave the key out".into());
    }
    if text.chars().count() > 1000 {
        return Err("it is longer than 1000 characters; shorten it".into());
    }
    if text.chars().any(|c| c.is_control() || is_bidi(c)) {
        return Err("it holds a line break or an invisible character; write one plain line".into());
    }
    Ok(text.to_owned())
}

/// `true` or `false`.
pub(super) fn yes_or_no(value: &Value<'_>) -> Parsed<bool> {
    value
        .raw
        .as_bool()
        .ok_or_else(|| value.not("true or false, without quotes"))
}

/// A whole number of a range; `what` it is, as in "70000 is no port".
pub(super) fn number<T>(
    what: &'static str,
    range: RangeInclusive<T>,
) -> impl Fn(&Value<'_>) -> Parsed<T>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    move |value| {
        let (least, most) = (range.start(), range.end());
        let DeValue::Integer(given) = value.raw else {
            return Err(value.not(&format!("a whole number without quotes, {least} to {most}")));
        };
        let number = i128::from_str_radix(given.as_str(), given.radix()).ok();
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let given = number.map_or_else(|| "this".to_owned(), |number| number.to_string());
                format!("{given} is no {what}; use {least} to {most}")
            })
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    known: &'static [(&'static str, T)],
) -> impl Fn(&Value<'_>) -> Parsed<T> {
    move |value| {
        let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        let given = value
            .raw
            .as_str()
            .ok_or_else(|| value.not(&format!("one of {} in quotes", words.join(", "))))?;
        let found = known.iter().find(|(word, _)| *word == given);
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| format!("{} is not known; {}", quoted(given), instead(given, &words)))
    }
}

/// A path; a relative one starts from the config file's folder.
pub(super) fn path(value: &Value<'_>) -> Parsed<PathBuf> {
    line(value).map(|text| value.reader.folder.join(text))
}

/// An IANA time zone.
pub(super) fn zone(value: &Value<'_>) -> Parsed<Tz> {
    let name = line(value)?;
    name.parse().map_err(|_| {
        let names: Vec<_> = chrono_tz::TZ_VARIANTS
            .iter()
            .map(|zone| zone.name())
            .collect();
        let near = nearest(&name, &names).unwrap_or("Europe/London");
        format!(
            "{} is no IANA time zone; write one such as \"{near}\"",
            quoted(&name)
        )
    })
}

/// A character encoding by its usual name.
pub(super) fn code_page(value: &Value<'_>) -> Parsed<&'static Encoding> {
    let name = line(value)?;
    Encoding::for_label_no_replacement(name.as_bytes())
        .filter(|encoding| encoding.is_ascii_compatible())
        .ok_or_else(|| {
            format!(
                "{} is no code page for files without a byte order mark; use for instance \"windows-1252\"",
                quoted(&name)
            )
        })
}

/// A mail address. Errors do not quote it.
pub(super) fn address(value: &Value<'_>) -> Parsed<EmailAddress> {
    let text = line(value)?;
    EmailAddress::parse(&text).map_err(|bad| {
        format!("this is no mail address: {bad}; write one such as \"security@parl.example\"")
    })
}

/// A domain name.
pub(super) fn domain(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    // Whatever may follow the "@" of an address is a domain name.
    match EmailAddress::parse(&format!("x@{text}")) {
        Ok(address) if address.domain() == text => Ok(text),
        _ => Err(format!(
            "{} is no domain name; write one such as \"parl.example\"",
            quoted(&text)
        )),
    }
}

/// A host: a name, or an IP address without brackets.
pub(super) fn host(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text);
    }
    domain(value).map_err(|_| {
        format!(
            "{} is no host; write a name or an IP address, without scheme, port or brackets",
            quoted(&text)
        )
    })
}

/// Whether nobody on the way can read what goes there: by TLS, or to this machine.
pub(super) fn is_private(url: &Url) -> bool {
    let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
    url.scheme() == "https" || url.scheme() == "http" && host.is_some_and(is_loopback)
}

/// Whether an address holds no name and no password: those belong elsewhere in the config.
pub(super) fn has_no_login(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// Whether a host is this machine, so that what goes there never crosses a network.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A time of day, `"07:00"`.
pub(super) fn time_of_day(value: &Value<'_>) -> Parsed<NaiveTime> {
    let text = match value.raw {
        DeValue::Datetime(given) if given.date.is_none() && given.offset.is_none() => {
            given.to_string()
        }
        _ => line(value)?,
    };
    ["%H:%M", "%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(&text, form).ok())
        .ok_or_else(|| format!("{} is no time of day; write it as \"07:30\"", quoted(&text)))
}

/// A day of the week by its English name, short or long.
pub(super) fn weekday(value: &Value<'_>) -> Parsed<Weekday> {
    let text = line(value)?;
    text.parse().map_err(|_| {
        format!(
            "{} is no day of the week; use Mon, Tue, Wed, Thu, Fri, Sat, Sun",
            quoted(&text)
        )
    })
}

/// A span of time in words, `"30 min"` or `"1 h 30 min"`, within a range.
pub(super) fn duration(least: Duration, most: Duration) -> impl Fn(&Value<'_>) -> Parsed<Duration> {
    move |value| {
        let text = line(value)
            .map_err(|_| value.not("a number and a unit in quotes, such as \"30 min\""))?;
        let span = parse_duration(&text).ok_or_else(|| {
            format!(
                "{} is no span of time; write a number and s, min, h, days or weeks, such as \"30 min\"",
                quoted(&text)
            )
        })?;
        if span < least || span > most {
            let (least, most) = (in_words(least), in_words(most));
            return Err(format!(
                "{} is out of range; use {least} to {most}",
                quoted(&text)
            ));
        }
        Ok(span)
    }
}

/// One day.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A span of time as the domain counts it.
pub(super) fn delta(least: Duration, most: Duration) -> impl Fn(&Value<'_>) -> Parsed<TimeDelta> {
    let parse = duration(least, most);
    move |value| {
        let span = parse(value)?;
        TimeDelta::from_std(span).map_err(|_| "it is too long; shorten it".to_owned())
    }
}

const UNITS: [(u64, &[&str]); 5] = [
    (1, &["s", "sec", "second", "seconds"]),
    (60, &["min", "mins", "minute", "minutes"]),
    (3600, &["h", "hour", "hours"]),
    (86_400, &["d", "day", "days"]),
    (604_800, &["week", "weeks"]),
];

/// Reads pairs of a whole number and a unit, with or without a space between them, and adds them up.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let after = after.trim_start();
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (seconds, _) = UNITS.iter().find(|(_, names)| names.contains(&unit))?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then(|| Duration::from_secs(total))
}

/// A span of time as one would write it: the largest unit that leaves no remainder.
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let (size, unit) = [(86_400, "days"), (3600, "h"), (60, "min")]
        .into_iter()
        .find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size))
        .unwrap_or((1, "s"));
    match (seconds / size, unit) {
        (1, "days") => "1 day".to_owned(),
        (count, unit) => format!("{count} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read_in_words() {
        for (text, seconds) in [
            ("0 s", Some(0)),
            ("90 s", Some(90)),
            ("30 min", Some(1800)),
            ("30min", Some(1800)),
            ("2 h", Some(7200)),
            ("1 h 30 min", Some(5400)),
            ("1 hour 1 second", Some(3601)),
            ("5 days", Some(432_000)),
            ("1 day", Some(86_400)),
            ("2 weeks", Some(1_209_600)),
            ("5", None),
            ("5 m", None),
            ("min", None),
            ("", None),
            ("-5 min", None),
            ("1.5 h", None),
            ("5 min,", None),
            ("5 Tage", None),
            ("99999999999999999999 s", None),
            ("9999999999999999999 weeks", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_in_words_reads_back_the_same(seconds in 0u64..100_000_000) {
            let span = Duration::from_secs(seconds);
            proptest::prop_assert_eq!(parse_duration(&in_words(span)), Some(span));
        }

        #[test]
        fn no_text_makes_a_span_panic(text in "\\PC*") {
            let _ = parse_duration(&text);
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("10.0.0.1", false),
            ("localhost.parl.example", false),
            ("127.0.0.1.parl.example", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}

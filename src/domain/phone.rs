//! Mobile: the number that a text goes to. Parsed at the door to E.164, masked whenever it is printed.

use std::fmt;

use serde::{Serialize, Serializer};

/// A telephone number as E.164 writes it: `+`, then 8 to 15 digits. Printing it shows its last two digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mobile(String);

/// Why a text is no number that can be dialled from anywhere. Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMobile {
    /// A number without its country could be anybody's.
    #[error("it does not begin with \"+\" and the country's code")]
    NoCountry,
    /// A letter, an extension, a second number.
    #[error("it holds something other than digits and the marks between them")]
    Character,
    /// E.164 allows 15 digits; fewer than 8 are an extension.
    #[error("it does not have 8 to 15 digits")]
    Length,
}

impl Mobile {
    /// Reads a number as directories write it: blanks, dots, hyphens, slashes and brackets between the digits, `00` for
    /// `+`, and a national `(0)` that is dropped.
    pub fn parse(text: &str) -> Result<Self, BadMobile> {
        let text = text.trim().replace("(0)", "");
        let rest = text
            .strip_prefix('+')
            .or_else(|| text.strip_prefix("00"))
            .ok_or(BadMobile::NoCountry)?;
        let mut digits = String::with_capacity(16);
        for c in rest.chars() {
            match c {
                '0'..='9' => digits.push(c),
                ' ' | '\u{A0}' | '-' | '.' | '/' | '(' | ')' => {}
                _ => return Err(BadMobile::Character),
            }
        }
        if digits.starts_with('0') {
            return Err(BadMobile::NoCountry);
        }
        if !(8..=15).contains(&digits.len()) {
            return Err(BadMobile::Length);
        }
        Ok(Self(format!("+{digits}")))
    }

    /// The whole number, for the gateway and the store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mobile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.get(self.0.len().saturating_sub(2)..).unwrap_or("");
        write!(f, "+***{last}")
    }
}

impl fmt::Debug for Mobile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mobile {
    /// Masked: whoever wants the whole number in a document says so with [`Mobile::expose`].
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// A text without its longer runs of digits: what a gateway says may quote the number that it was given.
pub fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    let end = |run: &mut String, out: &mut String| {
        if run.chars().filter(char::is_ascii_digit).count() >= 5 {
            out.push_str("<…> ");
        } else {
            out.push_str(run);
        }
        run.clear();
    };
    for c in text.chars() {
        match c {
            '0'..='9' => run.push(c),
            ' ' | '-' | '.' | '(' | ')' | '+' if !run.is_empty() => run.push(c),
            '+' => run.push(c),
            _ => {
                end(&mut run, &mut out);
                out.push(c);
            }
        }
    }
    end(&mut run, &mut out);
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_one_that_can_be_dialled_from_anywhere() {
        for (text, expected) in [
            ("+447700900123", Ok("+447700900123")),
            (" +44 7700 900-123 ", Ok("+447700900123")),
            ("+44 (0) 7700.900123", Ok("+447700900123")),
            ("0044 7700 900123", Ok("+447700900123")),
            ("+1 (202) 555/0123", Ok("+12025550123")),
            ("07700 900123", Err(BadMobile::NoCountry)),
            ("+0 7700 900123", Err(BadMobile::NoCountry)),
            ("7700900123", Err(BadMobile::NoCountry)),
            ("", Err(BadMobile::NoCountry)),
            ("+44 7700 900123 ext 4", Err(BadMobile::Character)),
            ("+447700900123;+447700900124", Err(BadMobile::Character)),
            ("+1234567", Err(BadMobile::Length)),
            ("+1234567890123456", Err(BadMobile::Length)),
        ] {
            let parsed = Mobile::parse(text);
            assert_eq!(
                parsed.as_ref().map(Mobile::expose),
                expected.as_ref().map(|text| *text),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_number_masks_itself() {
        let mobile = Mobile::parse("+447700900123").unwrap();
        assert_eq!(mobile.to_string(), "+***23");
        assert_eq!(format!("{mobile:?}"), "+***23");
        assert_eq!(serde_json::to_value(&mobile).unwrap(), "+***23");
    }

    #[test]
    fn what_a_gateway_says_is_kept_without_numbers() {
        for (text, kept) in [
            (
                "phone_number +447700900123 is not valid",
                "phone_number <…> is not valid",
            ),
            ("to 07700 900 123", "to <…>"),
            ("error 4012: try 3 times", "error 4012: try 3 times"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(text), kept, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_e164_or_refused(text in "\\PC{0,40}") {
            if let Ok(mobile) = Mobile::parse(&text) {
                let digits = mobile.expose().strip_prefix('+').unwrap();
                prop_assert!((8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
                prop_assert_eq!(Mobile::parse(mobile.expose()).unwrap(), mobile);
            }
        }
    }
}

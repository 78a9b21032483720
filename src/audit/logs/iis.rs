//! IIS 7 to 10, W3C extended log, as Exchange leaves it behind: requests that were asked for a password.
//!
//! The columns are those of the latest `#Fields:` line; times are UTC. A 401 counts with the Windows error 1326 and a name:
//! the first leg of a handshake is 401 too. A form's sign-in answers 302 to a right and to a wrong password alike and
//! proves nothing.

use std::io::Read;

use chrono_tz::Tz;
use zeroize::Zeroizing;

use super::{address, key};
use crate::audit::dates::Dates;
use crate::audit::decode::{Filled, Lines};
use crate::audit::detect::{Head, Look};
use crate::audit::{AuditError, ReadOptions, Sink};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::finding::RejectReason;

/// The Windows error for an unknown name or a wrong password.
const LOGON_FAILURE: &str = "1326";

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    head.line_with("a line that begins with \"#Fields:\"", |line| {
        line.starts_with("#Fields:")
    })
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    let mut fields: Option<Fields> = None;
    let mut day = None;
    while let Some(Filled {
        number,
        text,
        ended,
    }) = lines.filled(sink)?
    {
        if let Some(named) = text.strip_prefix(b"#Fields:") {
            fields = Some(Fields::of(&String::from_utf8_lossy(named)));
            continue;
        }
        if let Some(at) = text.strip_prefix(b"#Date:") {
            let at = String::from_utf8_lossy(at);
            day = at.split_whitespace().next().map(str::to_owned);
            continue;
        }
        if text.first() == Some(&b'#') {
            continue;
        }
        let fields = fields.as_ref().ok_or(AuditError::Header {
            line: number,
            problem: "no \"#Fields:\" line stands before it, so nobody knows what its columns are",
        })?;
        sink.record();
        let Some(text) = charset
            .text(text)
            .map(|text| Zeroizing::new(text.into_owned()))
        else {
            sink.reject(number, RejectReason::BadEncoding)?;
            continue;
        };
        // The last field may be cut and still be one.
        if !ended {
            sink.reject(number, RejectReason::Truncated)?;
            continue;
        }
        match fields.attempt(&text, number, day.as_deref()) {
            Ok(Some(attempt)) => sink.attempt(attempt)?,
            Ok(None) => {}
            Err(reason) => sink.reject(number, reason)?,
        }
    }
    Ok(())
}

/// Where the columns are.
struct Fields {
    count: usize,
    date: Option<usize>,
    time: Option<usize>,
    name: Option<usize>,
    from: Option<usize>,
    status: Option<usize>,
    error: Option<usize>,
}

impl Fields {
    fn of(named: &str) -> Self {
        let names: Vec<&str> = named.split_whitespace().collect();
        let at = |wanted: &str| {
            names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(wanted))
        };
        Self {
            count: names.len(),
            date: at("date"),
            time: at("time"),
            name: at("cs-username"),
            from: at("c-ip"),
            status: at("sc-status"),
            error: at("sc-win32-status"),
        }
    }

    /// The attempt that a request was; none if it was none.
    fn attempt(
        &self,
        text: &str,
        line: u64,
        day: Option<&str>,
    ) -> Result<Option<Attempt>, RejectReason> {
        let values: Vec<&str> = text.split_ascii_whitespace().collect();
        if values.len() != self.count {
            return Err(RejectReason::Malformed);
        }
        let value = |at: Option<usize>| at.and_then(|at| values.get(at).copied());
        let status = value(self.status).unwrap_or_default();
        let answer = match status {
            "401" if value(self.error) == Some(LOGON_FAILURE) => Answer::Failed,
            _ if status.len() == 3 && status.starts_with('2') => Answer::SignedIn,
            _ => return Ok(None),
        };
        // A blank in a field is written as a plus.
        let name = value(self.name).unwrap_or("-").replace('+', " ");
        if name == "-" {
            return Ok(None);
        }
        let Some(key) = key(&name) else {
            return Ok(None);
        };
        let (day, time) = (value(self.date).or(day), value(self.time));
        let (Some(day), Some(time)) = (day, time) else {
            return Err(RejectReason::BadDate);
        };
        let dates = Dates {
            forms: Vec::new(),
            zone: Tz::UTC,
        };
        let at = dates
            .read(&format!("{day} {time}"))
            .ok_or(RejectReason::BadDate)?;
        Ok(Some(Attempt {
            line,
            keys: vec![key],
            from: value(self.from).and_then(address),
            answer,
            at,
            times: 1,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Format;
    use crate::audit::logs::told;
    use crate::audit::tests::read_all;

    const HEAD: &str = "#Software: x\r\n#Date: 2026-02-05 00:00:00\r\n#Fields: time cs-username c-ip sc-status sc-win32-status\r\n";

    fn of(text: &str) -> Vec<String> {
        told(
            &read_all(Format::IisLog, text.as_bytes(), &ReadOptions::default())
                .unwrap()
                .0,
        )
    }

    #[test]
    fn only_a_wrong_password_with_a_name_counts() {
        for (line, expected) in [
            (
                "06:00:00 PARL\\ada 203.0.113.7 401 1326",
                "Failed PARL\\ada 203.0.113.7 x1",
            ),
            (
                "06:00:00 anna+maria@b.example ::ffff:203.0.113.7 401 1326",
                "Failed anna maria@b.example 203.0.113.7 x1",
            ),
            (
                "06:00:00 PARL\\ada 203.0.113.7 200 0",
                "SignedIn PARL\\ada 203.0.113.7 x1",
            ),
            ("25:00:00 PARL\\ada 203.0.113.7 401 1326", "bad_date"),
            ("06:00:00 PARL\\ada 203.0.113.7 401", "malformed"),
        ] {
            assert_eq!(of(&format!("{HEAD}{line}\r\n")), [expected], "{line}");
        }
        for nothing in [
            "06:00:00 - 203.0.113.7 401 2148074254",
            "06:00:00 - 203.0.113.7 401 1326",
            "06:00:00 PARL\\ada 203.0.113.7 302 0",
            "06:00:00 PARL\\ada 203.0.113.7 99999999999999 0",
        ] {
            assert!(of(&format!("{HEAD}{nothing}\n")).is_empty(), "{nothing}");
        }
        assert_eq!(
            of(&format!("{HEAD}06:00:00 PARL\\ada 203.0.113.7 401 132")),
            ["truncated"]
        );
    }

    #[test]
    fn the_fields_may_change_in_the_middle() {
        let text = format!(
            "{HEAD}06:00:00 ada 203.0.113.7 401 1326\n#Fields: date time sc-status sc-win32-status c-ip cs-username\n2026-02-06 07:00:00 401 1326 203.0.113.8 bea\n"
        );
        assert_eq!(
            of(&text),
            ["Failed ada 203.0.113.7 x1", "Failed bea 203.0.113.8 x1"]
        );
    }

    #[test]
    fn lines_before_any_fields_are_refused() {
        let refused = read_all(
            Format::IisLog,
            b"2026-02-05 1 2 3\n",
            &ReadOptions::default(),
        );
        assert!(refused.unwrap_err().to_string().contains("#Fields"));
    }
}

//! Logs of Unix services: Dovecot, Postfix and sshd in one file, as syslog mixes them, or each in its own.
//!
//! Times are by syslog, ISO 8601 or TAI64N. A verdict of Dovecot is held back for a minute, until the line in which its
//! connection ends counts the same attempt.

use std::collections::{HashSet, VecDeque};
use std::io::Read;

use chrono::TimeDelta;
use chrono_tz::Tz;
use zeroize::Zeroizing;

use super::prefix::Clock;
use super::sshd::Answered;
use super::{address, dovecot, key, postfix, sshd};
use crate::audit::decode::{Filled, Lines};
use crate::audit::detect::{Head, Look};
use crate::audit::{AuditError, Format, ReadOptions, Sink};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::finding::RejectReason;
use crate::domain::moment::Moment;

/// How long a verdict waits for the end of its connection.
const HELD_FOR: TimeDelta = TimeDelta::minutes(1);
/// Verdicts, and connections, that are remembered.
const MAX_HELD: usize = 10_000;

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    head.lines_like("of a mail or sign-in service", |line| {
        [
            "dovecot",
            "-login: ",
            "postfix/",
            "sshd[",
            "sshd-session[",
            "pam_unix(",
            "sudo:",
            "fail2ban",
        ]
        .iter()
        .any(|program| line.contains(program))
    })
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let written_at = options.written_at.ok_or(AuditError::Needs {
        format: Format::LoginLog,
        what: "the time that the file was written, for its lines may leave out the year",
    })?;
    let clock = Clock {
        zone: options.time_zone.unwrap_or(Tz::UTC),
        written_at,
    };
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    let mut held = Held::default();
    while let Some(Filled {
        number,
        text,
        ended,
    }) = lines.filled(sink)?
    {
        sink.record();
        // A line in no encoding is nobody's whom we know.
        let Some(text) = charset
            .text(text)
            .map(|text| Zeroizing::new(text.into_owned()))
        else {
            continue;
        };
        let said = said(&text);
        if !ended && !said.as_ref().is_some_and(|said| said.closed) {
            sink.reject(number, RejectReason::Truncated)?;
            continue;
        }
        let Some(said) = said else { continue };
        let Some((at, _)) = clock.read(&text) else {
            sink.reject(number, RejectReason::BadDate)?;
            continue;
        };
        // A name that nobody can have was typed by somebody who tries anything, or is a password.
        let Some(key) = key(said.name) else { continue };
        let attempt = Attempt {
            line: number,
            keys: vec![key],
            from: address(said.from),
            answer: said.answer,
            at,
            times: said.times,
        };
        held.take(attempt, said.session, said.waits, sink)?;
    }
    held.end(sink)
}

/// What a line says, whoever wrote it.
#[derive(Debug)]
struct Said<'a> {
    name: &'a str,
    from: &'a str,
    answer: Answer,
    times: u32,
    session: Option<&'a str>,
    /// The end of its connection may say the same again.
    waits: bool,
    /// No letter of the line can be missing.
    closed: bool,
}

fn said(line: &str) -> Option<Said<'_>> {
    let (program, message) = program(line)?;
    let name = program.split('[').next().unwrap_or_default();
    match name {
        "sshd" | "sshd-session" => of_sshd(message),
        "dovecot" => {
            let (process, message) = message.split_once(": ")?;
            of_dovecot(process, message)
        }
        _ if name.starts_with("postfix") && name.ends_with("smtpd") => of_postfix(message),
        _ if dovecot::is_process(program) => of_dovecot(program, message),
        _ => None,
    }
}

/// The program that wrote a line, and its message. Before it stand the time, in one word or three, and mostly a host.
fn program(line: &str) -> Option<(&str, &str)> {
    let mut rest = line;
    for _ in 0..6 {
        let (word, after) = rest.split_once(' ')?;
        if let Some(program) = word.strip_suffix(':')
            && !program.is_empty()
            && !program.ends_with(|c: char| c.is_ascii_digit())
        {
            return Some((program, after));
        }
        rest = after.trim_start();
    }
    None
}

fn of_sshd(message: &str) -> Option<Said<'_>> {
    let said = sshd::read(message)?;
    Some(Said {
        name: said.name,
        from: said.from,
        answer: match said.answer {
            Answered::Failed => Answer::Failed,
            Answered::NoSuchName => Answer::NoSuchName,
            Answered::SignedIn => Answer::SignedIn,
        },
        times: said.times,
        session: None,
        waits: false,
        closed: true,
    })
}

fn of_postfix(message: &str) -> Option<Said<'_>> {
    let said = postfix::read(message)?;
    Some(Said {
        name: said.name,
        from: said.from,
        answer: if said.right {
            Answer::SignedIn
        } else {
            Answer::Failed
        },
        times: 1,
        session: None,
        waits: false,
        closed: false,
    })
}

fn of_dovecot<'a>(process: &'a str, message: &'a str) -> Option<Said<'a>> {
    Some(match dovecot::read(process, message)? {
        dovecot::Said::Failures {
            name,
            from,
            times,
            session,
            closed,
        } => Said {
            name,
            from,
            answer: Answer::Failed,
            times,
            session,
            waits: false,
            closed,
        },
        dovecot::Said::SignedIn { name, from, closed } => Said {
            name,
            from,
            answer: Answer::SignedIn,
            times: 1,
            session: None,
            waits: false,
            closed,
        },
        dovecot::Said::Verdict {
            name,
            from,
            session,
            unknown,
        } => Said {
            name,
            from,
            answer: if unknown {
                Answer::NoSuchName
            } else {
                Answer::Failed
            },
            times: 1,
            session,
            waits: session.is_some(),
            closed: true,
        },
    })
}

/// Verdicts whose connection has not ended yet, and connections that have.
#[derive(Default)]
struct Held {
    verdicts: VecDeque<(String, Attempt)>,
    ended: VecDeque<(String, Moment)>,
    known: HashSet<String>,
}

impl Held {
    fn take(
        &mut self,
        attempt: Attempt,
        session: Option<&str>,
        waits: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), AuditError> {
        self.let_go(attempt.at, sink)?;
        let Some(session) = session else {
            return sink.attempt(attempt);
        };
        if waits {
            if !self.known.contains(session) {
                self.verdicts.push_back((session.to_owned(), attempt));
            }
            return Ok(());
        }
        self.verdicts.retain(|(held, _)| held != session);
        if self.known.insert(session.to_owned()) {
            self.ended.push_back((session.to_owned(), attempt.at));
        }
        sink.attempt(attempt)
    }

    /// Hands out what has waited long enough.
    fn let_go(&mut self, now: Moment, sink: &mut Sink<'_>) -> Result<(), AuditError> {
        let is_over = |at: Moment| now.since(at) > HELD_FOR;
        while let Some((_, attempt)) = self.verdicts.front() {
            if !is_over(attempt.at) && self.verdicts.len() < MAX_HELD {
                break;
            }
            if let Some((_, attempt)) = self.verdicts.pop_front() {
                sink.attempt(attempt)?;
            }
        }
        while let Some((_, at)) = self.ended.front() {
            if !is_over(*at) && self.ended.len() < MAX_HELD {
                break;
            }
            if let Some((session, _)) = self.ended.pop_front() {
                self.known.remove(&session);
            }
        }
        Ok(())
    }

    fn end(self, sink: &mut Sink<'_>) -> Result<(), AuditError> {
        for (_, attempt) in self.verdicts {
            sink.attempt(attempt)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::logs::told;
    use crate::audit::tests::read_all;

    fn of(text: &str) -> Vec<String> {
        let options = ReadOptions {
            written_at: Some("2026-02-20T00:00:00Z".parse().unwrap()),
            ..ReadOptions::default()
        };
        told(
            &read_all(Format::LoginLog, text.as_bytes(), &options)
                .unwrap()
                .0,
        )
    }

    const WORKER: &str =
        "mail dovecot: auth-worker(1): sql(ada,203.0.113.7,<s2>): Password mismatch\n";
    const END: &str = "mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<ada>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.25, TLS, session=<s2>\n";

    #[test]
    fn an_attempt_that_is_logged_twice_counts_once() {
        let once = ["Failed ada 203.0.113.7 x1"];
        for text in [
            format!("Feb  5 03:12:43 {WORKER}Feb  5 03:12:44 {END}"),
            format!("Feb  5 03:12:43 {END}Feb  5 03:12:44 {WORKER}"),
            format!("Feb  5 03:12:43 {WORKER}"),
        ] {
            assert_eq!(of(&text), once, "{text}");
        }
        // Another connection, and one that ends much later.
        let other = END.replace("s2", "s3");
        assert_eq!(
            of(&format!("Feb  5 03:12:43 {WORKER}Feb  5 03:12:44 {other}")).len(),
            2
        );
        let late = format!("Feb  5 03:12:43 {WORKER}Feb  5 03:13:50 {WORKER}");
        assert_eq!(of(&late).len(), 2);
    }

    #[test]
    fn programs_are_found_wherever_the_time_ends() {
        for line in [
            "Feb  5 05:00:01 bastion sshd[2001]: Failed password for ada from 203.0.113.7 port 41022 ssh2",
            "Feb 15 05:00:01 bastion sshd-session[2001]: Failed password for ada from 203.0.113.7 port 41022 ssh2",
            "2026-02-05T05:00:01.123456+01:00 bastion sshd[2001]: Failed password for ada from 203.0.113.7 port 41022 ssh2",
            "2026-02-05 05:00:01 imap-login: Info: Aborted login (auth failed, 1 attempts): user=<ada>, method=PLAIN, rip=203.0.113.7, lip=::1, session=<x>",
            "Feb 05 05:00:01 imap-login: Info: Aborted login (auth failed, 1 attempts): user=<ada>, method=PLAIN, rip=203.0.113.7, lip=::1, session=<x>",
        ] {
            assert_eq!(of(line), ["Failed ada 203.0.113.7 x1"], "{line}");
        }
    }

    #[test]
    fn a_name_cannot_pass_for_another_program() {
        let line = "Feb  5 05:00:01 bastion sshd[1]: Failed password for invalid user dovecot: imap-login: Login: user=<ada>, rip=203.0.113.7, from 203.0.113.9 port 1 ssh2\n";
        assert!(
            of(line)[0].starts_with("NoSuchName dovecot: imap-login"),
            "{:?}",
            of(line)
        );
        for line in [
            "Feb  5 05:00:01 host sudo: pam_unix(sudo:auth): authentication failure; user=ada sshd[1]: Failed password for ada from 203.0.113.7 port 1 ssh2\n",
            "2026-02-05 05:02:00,000 fail2ban.actions        [811]: NOTICE  [sshd] Ban 203.0.113.7\n",
            "Feb  5 05:00:01 host sshd[1]: Failed password for invalid user e4c62a4c4febfe31cdb0ba3e3a8f0235 from 203.0.113.9 port 1 ssh2\n",
        ] {
            assert!(of(line).is_empty(), "{line}: {:?}", of(line));
        }
    }

    #[test]
    fn a_last_line_without_its_end_counts_only_if_nothing_can_be_missing() {
        for (line, expected) in [
            (
                "Feb  5 05:00:01 h sshd[1]: Failed password for ada from 203.0.113.7 port 41022 ssh2",
                "Failed ada",
            ),
            (
                "Feb  5 05:00:01 h sshd[1]: Failed password for ada from 203.0.113.7 port 410",
                "truncated",
            ),
            (
                "Feb  5 05:00:01 h postfix/smtpd[1]: warning: unknown[203.0.113.7]: SASL PLAIN authentication failed: x, sasl_username=ad",
                "truncated",
            ),
            (
                "Feb  5 05:00:01 h dovecot: imap-login: Login: user=<ada>, method=PLAIN, rip=203.0.113.7, lip=1",
                "truncated",
            ),
            ("Feb  5 05:0", "truncated"),
        ] {
            assert!(of(line)[0].starts_with(expected), "{line}: {:?}", of(line));
        }
    }

    #[test]
    fn a_line_without_a_time_is_rejected_and_noise_is_passed_over() {
        let line =
            "Xxx 99 99:99:99 h sshd[1]: Failed password for ada from 203.0.113.7 port 41022 ssh2\n";
        assert_eq!(of(line), ["bad_date"]);
        assert!(of("\u{1}\u{2}\u{7f}\n\n \nkernel: x\n").is_empty());
    }
}

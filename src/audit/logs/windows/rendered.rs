//! Events as text, as people read them, in English: `wevtutil qe Security /f:text`, `Get-WinEvent | Format-List`, and what
//! the Event Viewer saves as CSV or text.
//!
//! A message names accounts in blocks, first who asked and last who it is about, so the last one counts. Messages quote what
//! somebody typed as a name: an event with more blocks than Windows writes is no event that anything is concluded from.

use std::io::Read;

use chrono_tz::Tz;
use zeroize::Zeroizing;

use super::{Happened, MAX_VALUE, cut};
use crate::audit::culture::{Dated, Ordered, Settled};
use crate::audit::decode::{Bytes, Filled, Lines};
use crate::audit::detect::{By, Head, Look};
use crate::audit::{AuditError, ReadOptions, Sink};
use crate::domain::moment::Moment;

/// Who asked, and who it is about.
const MOST_BLOCKS: u32 = 2;

/// The name of the log's writer, which stands in each event.
const WRITER: &str = "Microsoft-Windows-Security-Auditing";

pub(super) fn look(head: &Head<'_>) -> Look {
    let begins = |line: &&str| begins(line).is_some();
    match (head.lines.iter().any(begins), head.start.contains(WRITER)) {
        (true, true) => Look::yes(By::Sign, "text of the Windows security log"),
        (true, false) => Look::no(50, "its events are not of the Windows security log"),
        (false, _) => Look::no(0, "no line begins an event of the Windows security log"),
    }
}

pub(super) fn read<R: Read>(
    bytes: Bytes<R>,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let zone = options.time_zone.unwrap_or(Tz::UTC);
    let mut waiting = Ordered::new(zone, options.date_order);
    let mut lines = Lines::new(bytes);
    let charset = lines.charset();
    let mut event: Option<Rendered> = None;
    let mut is_cut = false;
    while let Some(Filled { text, ended, .. }) = lines.filled(sink)? {
        is_cut = !ended;
        let text = charset.text(text);
        let Some(text) = text.map(|text| Zeroizing::new(text.into_owned())) else {
            if let Some(event) = &mut event {
                event.spoilt = true;
            }
            continue;
        };
        match begins(&text) {
            Some(begun) => {
                sink.record();
                if let Some(done) = event.replace(Rendered::new(sink.summary.records, begun)) {
                    hand_out(waiting.push_event(done, zone), sink)?;
                    if waiting.is_full() {
                        return Err(AuditError::DateOrder);
                    }
                }
            }
            None => {
                if let Some(event) = &mut event {
                    event.meets(&text);
                }
            }
        }
    }
    // What its last line says may be half of it.
    let last = event.filter(|_| !is_cut);
    let cut_off = is_cut && last.is_none() && sink.summary.records > 0;
    if let Some(last) = last {
        hand_out(waiting.push_event(last, zone), sink)?;
    }
    hand_out(waiting.end()?, sink)?;
    if cut_off {
        cut(true, sink)?;
    }
    Ok(())
}

impl Ordered<Rendered> {
    fn push_event(&mut self, event: Rendered, zone: Tz) -> Vec<Settled<Rendered>> {
        let date = Dated::read(&event.date, zone);
        self.push(event, date)
    }
}

fn hand_out(settled: Vec<Settled<Rendered>>, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    for (event, at) in settled {
        event.happened(at).hand_out(sink)?;
    }
    Ok(())
}

/// The first line of an event, with what it tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Begun<'a> {
    date: &'a str,
    id: &'a str,
    succeeded: bool,
}

/// Whether an event begins with a line.
fn begins(line: &str) -> Option<Begun<'_>> {
    let line = line.trim_end();
    // wevtutil numbers them.
    if let Some(rest) = line.strip_prefix("Event[") {
        let digits = rest.trim_end_matches(':').strip_suffix(']')?;
        let numbered = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        return numbered.then(Begun::default);
    }
    // PowerShell's lists have their properties from the first column on.
    if let Some((key, date)) = line.split_once(':')
        && key.trim_end() == "TimeCreated"
    {
        let date = date.trim();
        return Some(Begun {
            date,
            ..Begun::default()
        });
    }
    // The Event Viewer writes rows, whose last cell is the message.
    let delimiter = [',', '\t'].into_iter().find(|c| line.contains(*c))?;
    let mut cells = line.splitn(6, delimiter);
    let (words, date, writer, id) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
    let is_row = writer == WRITER && id.bytes().all(|byte| byte.is_ascii_digit());
    is_row.then(|| Begun {
        date,
        id,
        succeeded: words.ends_with("Success"),
    })
}

/// What is kept of an event.
#[derive(Default)]
struct Rendered {
    line: u64,
    id: String,
    date: String,
    succeeded: bool,
    name: String,
    domain: String,
    sid: String,
    status: String,
    sub_status: String,
    address: String,
    blocks: u32,
    /// Names in the block that we are in.
    names: u32,
    spoilt: bool,
}

impl Rendered {
    fn new(line: u64, begun: Begun<'_>) -> Self {
        Self {
            line,
            id: begun.id.to_owned(),
            date: begun.date.to_owned(),
            succeeded: begun.succeeded,
            ..Self::default()
        }
    }

    fn meets(&mut self, line: &str) {
        let Some((key, value)) = line.split_once(':') else {
            return;
        };
        let value = match value.trim() {
            "-" => "",
            value => value,
        };
        let place = match key.trim() {
            "Date" if self.date.is_empty() => &mut self.date,
            "Event ID" | "Id" if self.id.is_empty() => &mut self.id,
            "Keyword" | "KeywordsDisplayNames" => {
                self.succeeded = value.contains("Success");
                return;
            }
            "Security ID" => {
                self.blocks += 1;
                self.names = 0;
                self.name.clear();
                self.domain.clear();
                &mut self.sid
            }
            "Account Name" | "Logon Account" => {
                self.names += 1;
                &mut self.name
            }
            "Account Domain" => &mut self.domain,
            "Status" | "Failure Code" | "Error Code" => &mut self.status,
            "Sub Status" => &mut self.sub_status,
            "Source Network Address" | "Client Address" => &mut self.address,
            _ => return,
        };
        value.clone_into(place);
        self.spoilt |= value.len() > MAX_VALUE || self.blocks > MOST_BLOCKS || self.names > 1;
    }

    fn happened(&self, at: Option<Moment>) -> Happened<'_> {
        Happened {
            line: self.line,
            id: &self.id,
            succeeded: self.succeeded,
            name: &self.name,
            domain: &self.domain,
            sid: &self.sid,
            status: &self.status,
            sub_status: &self.sub_status,
            address: &self.address,
            at,
            spoilt: self.spoilt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::detect::{HEAD_BYTES, detect};
    use crate::audit::logs::told;
    use crate::audit::tests::read_all;
    use crate::audit::{CodePage, Format};
    use crate::domain::evidence::DateOrder;

    /// As Windows words it (4625).
    const FAILED: &str = "An account failed to log on.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1-5-18\r\n\tAccount Name:\t\tDC1$\r\n\tAccount Domain:\t\tPARL\r\n\tLogon ID:\t\t0x3E7\r\n\r\nLogon Type:\t\t\t3\r\n\r\nAccount For Which Logon Failed:\r\n\tSecurity ID:\t\tS-1-0-0\r\n\tAccount Name:\t\tada\r\n\tAccount Domain:\t\tPARL\r\n\r\nFailure Information:\r\n\tFailure Reason:\t\tUnknown user name or bad password.\r\n\tStatus:\t\t\t0xC000006D\r\n\tSub Status:\t\t0xC000006A\r\n\r\nNetwork Information:\r\n\tWorkstation Name:\tEVILBOX\r\n\tSource Network Address:\t203.0.113.7\r\n\tSource Port:\t\t51034\r\n";

    fn wevtutil(id: u32, keyword: &str, message: &str) -> String {
        format!(
            "Event[0]:\r\n  Log Name: Security\r\n  Source: {WRITER}\r\n  Date: 2026-02-05T03:20:00.1234567Z\r\n  Event ID: {id}\r\n  Keyword: Audit {keyword}\r\n  User: N/A\r\n  Computer: DC1.parl.example\r\n  Description: \r\n{message}\r\n"
        )
    }

    fn all(text: &str, options: &ReadOptions<'_>) -> Result<Vec<String>, String> {
        let read = read_all(Format::WindowsEvents, text.as_bytes(), options);
        read.map(|(items, _)| told(&items))
            .map_err(|error| error.to_string())
    }

    fn of(text: &str) -> Vec<String> {
        all(text, &ReadOptions::default()).unwrap()
    }

    #[test]
    fn the_last_account_of_an_event_is_the_one_it_is_about() {
        let ada = "Account Information:\r\n\tSecurity ID:\t\tS-1-5-21-1-2-3-1104\r\n\tAccount Name:\t\tada\r\n";
        for (id, message, expected) in [
            (4625, FAILED.to_owned(), vec![r"Failed PARL\ada 203.0.113.7 x1"]),
            (
                4625,
                FAILED.replace("0xC000006A", "0xC0000064"),
                vec![r"NoSuchName PARL\ada 203.0.113.7 x1"],
            ),
            (4625, FAILED.replace("0xC000006A", "0xC0000072"), vec![]),
            (4625, FAILED.replace("\tada", "\t-"), vec![]),
            (
                4771,
                format!(
                    "Kerberos pre-authentication failed.\r\n\r\n{ada}\r\nNetwork Information:\r\n\tClient Address:\t\t::ffff:203.0.113.7\r\n\r\nAdditional Information:\r\n\tFailure Code:\t\t0x18\r\n"
                ),
                vec!["Failed S-1-5-21-1-2-3-1104 203.0.113.7 x1"],
            ),
            (
                4776,
                "The computer attempted to validate the credentials for an account.\r\n\r\nAuthentication Package:\tMICROSOFT_AUTHENTICATION_PACKAGE_V1_0\r\nLogon Account:\tada\r\nSource Workstation:\tEVILBOX\r\nError Code:\t0xC000006A\r\n".to_owned(),
                vec!["Failed ada - x1"],
            ),
            (
                4740,
                "A user account was locked out.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1-5-18\r\n\tAccount Name:\t\tDC1$\r\n\tAccount Domain:\t\tPARL\r\n\r\nAccount That Was Locked Out:\r\n\tSecurity ID:\t\tPARL\\ada\r\n\tAccount Name:\t\tada\r\n\r\nAdditional Information:\r\n\tCaller Computer Name:\tEVILBOX\r\n".to_owned(),
                vec!["attacked/lockout ada"],
            ),
        ] {
            assert_eq!(of(&wevtutil(id, "Failure", &message)), expected, "{id}");
        }
        let changed = format!("An attempt was made to change an account's password.\r\n\r\n{ada}");
        assert_eq!(of(&wevtutil(4723, "Success", &changed)), ["evidence"]);
        assert!(of(&wevtutil(4723, "Failure", &changed)).is_empty());
    }

    #[test]
    fn each_way_to_save_them_is_read() {
        let expected = [r"Failed PARL\ada 203.0.113.7 x1"; 2];
        let numbered = wevtutil(4625, "Failure", FAILED);
        assert_eq!(of(&format!("{numbered}\r\n{numbered}")), expected);
        let listed: String = [5, 14]
            .iter()
            .map(|day| {
                let message = FAILED.replace("\r\n", "\r\n               ");
                format!("\r\nTimeCreated  : 2/{day}/2026 3:20:00 AM\r\nProviderName : {WRITER}\r\nId           : 4625\r\nMessage      : {message}\r\n")
            })
            .collect();
        assert_eq!(of(&listed), expected);
        for delimiter in [",", "\t"] {
            let row = |day| {
                [
                    "Audit Failure",
                    day,
                    WRITER,
                    "4625",
                    "Logon",
                    &format!("\"{FAILED}\""),
                ]
                .join(delimiter)
            };
            let head = [
                "Keywords",
                "Date and Time",
                "Source",
                "Event ID",
                "Task Category",
            ];
            let text = format!(
                "{}\r\n{}\r\n{}\r\n",
                head.join(delimiter),
                row("05/02/2026 03:20:00"),
                row("14/02/2026 03:20:00")
            );
            assert_eq!(of(&text), expected);
            let head = text.as_bytes();
            let head = &head[..head.len().min(HEAD_BYTES)];
            assert!(format!("{:?}", detect(head, CodePage::default())).contains("WindowsEvents"));
        }
    }

    #[test]
    fn a_date_that_could_be_two_needs_a_word() {
        let text = format!(
            "TimeCreated  : 2/5/2026 3:20:00 AM\r\nProviderName : {WRITER}\r\nId           : 4625\r\nMessage      : {FAILED}\r\n"
        );
        assert!(all(&text, &ReadOptions::default()).is_err());
        let options = ReadOptions {
            date_order: Some(DateOrder::MonthFirst),
            ..ReadOptions::default()
        };
        let (items, _) = read_all(Format::WindowsEvents, text.as_bytes(), &options).unwrap();
        let crate::audit::Item::Attempt(attempt) = &items[0] else {
            panic!("{items:?}");
        };
        assert_eq!(attempt.at, "2026-02-05T03:20:00Z".parse().unwrap());
    }

    #[test]
    fn what_somebody_typed_as_a_name_makes_no_other_account_the_one_that_was_attacked() {
        let forged = FAILED.replace(
            "\tada\r\n",
            "\tada\r\n\tSecurity ID:\t\tS-1-0-0\r\n\tAccount Name:\t\tboss\r\n",
        );
        assert_eq!(of(&wevtutil(4625, "Failure", &forged)), ["malformed"]);
        let twice = FAILED.replace("\tada\r\n", "\tada\r\n\tAccount Name:\t\tboss\r\n");
        assert_eq!(of(&wevtutil(4625, "Failure", &twice)), ["malformed"]);
        let long = FAILED.replace("\tada\r\n", &format!("\t{}\r\n", "a".repeat(2000)));
        assert_eq!(of(&wevtutil(4625, "Failure", &long)), ["malformed"]);
    }

    #[test]
    fn a_file_that_was_cut_says_so_and_concludes_nothing_of_its_last_event() {
        let one = wevtutil(4625, "Failure", FAILED);
        let text = format!("{one}{one}");
        let cut = text.trim_end();
        assert_eq!(
            of(&cut[..cut.len() - 3]),
            [r"Failed PARL\ada 203.0.113.7 x1", "truncated"]
        );
    }
}

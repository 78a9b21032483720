//! Plan: what is written for one letter, checked against what the relay announced before its first byte goes out.

use super::conversation::Ended;
use crate::channels::Outgoing;
use crate::domain::EmailAddress;
use crate::domain::delivery::Stage;

/// What the relay announced in its answer to EHLO.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Can {
    /// RFC 6152: bytes above 127 in the body.
    pub(super) eight_bit: bool,
    /// RFC 6531: characters beyond ASCII in addresses.
    pub(super) smtp_utf8: bool,
    /// RFC 2920: several commands in one write.
    pub(super) pipelining: bool,
    /// RFC 3461: delivery status notifications.
    pub(super) dsn: bool,
    /// RFC 1870: the size of a message; with the largest that is taken, in bytes, if the relay has one.
    pub(super) size: Option<Option<u64>>,
    /// RFC 4954: ways to sign in, in capitals.
    pub(super) auth: Vec<String>,
}

impl Can {
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut can = Self::default();
        // The first line is the relay's name.
        for line in lines.skip(1) {
            // Older relays write AUTH=LOGIN.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or("").to_ascii_uppercase();
            match keyword.as_str() {
                "8BITMIME" => can.eight_bit = true,
                "SMTPUTF8" => can.smtp_utf8 = true,
                "PIPELINING" => can.pipelining = true,
                "DSN" => can.dsn = true,
                "SIZE" => {
                    let most = words.next().and_then(|word| word.parse().ok());
                    can.size = Some(most.filter(|most| *most > 0));
                }
                "AUTH" => can.auth.extend(words.map(str::to_ascii_uppercase)),
                _ => {}
            }
        }
        can
    }
}

/// What is written for one letter.
pub(super) struct Plan<'a> {
    mail: String,
    rcpt: String,
    mail_options: String,
    rcpt_options: String,
    text: &'a str,
}

impl<'a> Plan<'a> {
    /// The error is what the relay would have to say.
    pub(super) fn new(can: &Can, letter: Outgoing<'a>) -> Result<Self, Ended> {
        let Outgoing {
            envelope_from: from,
            to,
            bytes,
        } = letter;
        if !is_envelope_address(from) {
            return Err(Ended::ours(
                Stage::Mail,
                553,
                "5.1.8 not sent: the envelope sender is no plain address",
            ));
        }
        let international = !to.local().is_ascii();
        if international && !can.smtp_utf8 {
            return Err(Ended::ours(
                Stage::Rcpt,
                553,
                "5.6.7 not sent: the relay does not offer SMTPUTF8, which this address needs",
            ));
        }
        let eight_bit = !bytes.is_ascii();
        if eight_bit && !can.eight_bit {
            return Err(Ended::ours(
                Stage::Dot,
                554,
                "5.6.3 not sent: the message holds bytes above 127 and the relay does not offer 8BITMIME",
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| {
            Ended::ours(Stage::Dot, 554, "5.6.0 not sent: the message is not UTF-8")
        })?;
        if has_bare_line_end(bytes) {
            return Err(Ended::ours(
                Stage::Dot,
                554,
                "5.6.0 not sent: a line of the message does not end with CRLF",
            ));
        }
        if let Some(Some(most)) = can.size
            && bytes.len() as u64 > most
        {
            let text = format!(
                "5.3.4 not sent: the message has {} bytes and the relay takes {most} at most",
                bytes.len()
            );
            return Err(Ended::ours(Stage::Mail, 552, &text));
        }
        // The address needs the first, its bytes the second: they are no options.
        let body_kind = if eight_bit { " BODY=8BITMIME" } else { "" };
        let utf8 = if international { " SMTPUTF8" } else { "" };
        let address = format!("{}@{}", to.local(), to.domain_ascii());
        Ok(Self {
            mail: format!("MAIL FROM:<{from}>{body_kind}{utf8}"),
            rcpt: format!("RCPT TO:<{address}>"),
            mail_options: mail_options(can, from, bytes.len()),
            rcpt_options: rcpt_options(can, &address),
            text,
        })
    }

    /// MAIL, RCPT and DATA; `bare` leaves the optional parameters out.
    pub(super) fn commands(&self, bare: bool) -> [String; 3] {
        let (mail, rcpt) = if bare {
            ("", "")
        } else {
            (self.mail_options.as_str(), self.rcpt_options.as_str())
        };
        [
            format!("{}{mail}\r\n", self.mail),
            format!("{}{rcpt}\r\n", self.rcpt),
            "DATA\r\n".to_owned(),
        ]
    }

    /// Whether there are parameters that could be left out.
    pub(super) fn has_options(&self) -> bool {
        !self.mail_options.is_empty() || !self.rcpt_options.is_empty()
    }

    /// The message with its dots doubled (RFC 5321 section 4.5.2) and the final dot. A message that ends with CRLF, as all
    /// do, arrives with exactly its own bytes.
    pub(super) fn body(&self) -> String {
        stuffed(self.text)
    }
}

fn mail_options(can: &Can, from: &str, size_bytes: usize) -> String {
    let mut options = String::new();
    if can.size.is_some() {
        options.push_str(&format!(" SIZE={size_bytes}"));
    }
    if can.dsn {
        options.push_str(" RET=HDRS");
        if let Some(token) = token(from) {
            options.push_str(&format!(" ENVID={}", xtext(token)));
        }
    }
    options
}

/// Not SUCCESS: it multiplies mail, and still does not mean read.
fn rcpt_options(can: &Can, address: &str) -> String {
    if !can.dsn {
        return String::new();
    }
    let original = if address.is_ascii() {
        format!("rfc822;{}", xtext(address))
    } else {
        format!("utf-8;{}", utf8_xtext(address))
    };
    // RFC 3461 section 4.2 allows no more.
    if original.len() > 500 {
        return " NOTIFY=FAILURE,DELAY".to_owned();
    }
    format!(" NOTIFY=FAILURE,DELAY ORCPT={original}")
}

/// What tells one envelope sender from another: what follows the "+" of its local part, or all of that part.
fn token(from: &str) -> Option<&str> {
    let (local, _) = from.rsplit_once('@')?;
    let token = local.split_once('+').map_or(local, |(_, token)| token);
    Some(token).filter(|token| !token.is_empty())
}

/// RFC 3461 section 4: printable ASCII but "+" and "=", all else as hexadecimal bytes.
fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => out.push_str(&format!("+{byte:02X}")),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

/// RFC 6533 section 3, in the form that is ASCII: all but printable ASCII as code points.
fn utf8_xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            '+' | '=' | '\\' => out.push_str(&format!("\\x{{{:02X}}}", u32::from(c))),
            '\u{21}'..='\u{7e}' => out.push(c),
            _ => out.push_str(&format!("\\x{{{:02X}}}", u32::from(c))),
        }
    }
    out
}

/// Empty, or an ASCII address that cannot end its angle brackets early.
fn is_envelope_address(from: &str) -> bool {
    from.is_empty()
        || from.is_ascii() && EmailAddress::parse(from).is_ok_and(|parsed| parsed.expose() == from)
}

/// A lone CR or LF. Relays disagree about them, and a dot between two can end the message early for one and not for another.
fn has_bare_line_end(bytes: &[u8]) -> bool {
    let mut pair = None;
    for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
        let expected = match bytes.get(at) {
            Some(b'\n') => Some(at),
            _ => None,
        };
        if pair != expected {
            return true;
        }
        pair = expected.is_none().then_some(at + 1);
    }
    pair.is_some()
}

fn stuffed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 512);
    if text.starts_with('.') {
        out.push('.');
    }
    let mut written = 0;
    for at in memchr::memmem::find_iter(text.as_bytes(), b"\r\n.") {
        // All three are ASCII: a boundary in any text.
        out.push_str(text.get(written..at + 2).unwrap_or_default());
        out.push('.');
        written = at + 2;
    }
    out.push_str(text.get(written..).unwrap_or_default());
    if !out.is_empty() && !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out.push_str(".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::{RelayTexts, ruling};

    /// What a relay makes of it (RFC 5321 section 4.5.2).
    fn received(wire: &str) -> String {
        let body = wire.strip_suffix(".\r\n").unwrap();
        body.split_inclusive("\r\n")
            .map(|line| line.strip_prefix('.').unwrap_or(line))
            .collect()
    }

    fn to(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn all() -> Can {
        Can {
            eight_bit: true,
            smtp_utf8: true,
            dsn: true,
            size: Some(Some(1000)),
            ..Can::default()
        }
    }

    fn planned<'a>(
        can: &Can,
        envelope_from: &'a str,
        to: &'a EmailAddress,
        bytes: &'a [u8],
    ) -> Result<Plan<'a>, u8> {
        let letter = Outgoing {
            envelope_from,
            to,
            bytes,
        };
        Plan::new(can, letter)
            .map_err(|ended| ruling(ended.stage, &ended.answer, &RelayTexts::default()).row)
    }

    fn refused(can: &Can, from: &str, to: &EmailAddress, bytes: &[u8]) -> u8 {
        planned(can, from, to, bytes).err().unwrap()
    }

    #[test]
    fn dots_are_doubled_at_the_start_of_a_line_only() {
        assert_eq!(stuffed("a.b\r\n.\r\n..c\r\n"), "a.b\r\n..\r\n...c\r\n.\r\n");
        assert_eq!(stuffed(""), ".\r\n");
        assert_eq!(stuffed("no end"), "no end\r\n.\r\n");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before_a_byte_goes_out() {
        let (all, none) = (all(), Can::default());
        let ada = to("ada@parl.example");
        assert_eq!(refused(&all, "a> RCPT TO:<b", &ada, b""), 16);
        assert_eq!(refused(&all, " a@b.example", &ada, b""), 16);
        assert_eq!(refused(&none, "", &to("jürgen@parl.example"), b""), 24);
        assert_eq!(refused(&none, "", &ada, "ü".as_bytes()), 33);
        assert_eq!(refused(&all, "", &ada, &[0xff]), 33);
        for broken in [&b"a\n.\r\nMAIL"[..], b"a\r.\r\n", b"a\r", b"\n", b"a\r\r\n"] {
            assert_eq!(refused(&all, "", &ada, broken), 33, "{broken:?}");
        }
        assert_eq!(refused(&all, "", &ada, &[b'a'; 1001]), 15);
        assert!(planned(&all, "", &ada, &[b'a'; 1000]).is_ok());
    }

    #[test]
    fn parameters_are_sent_only_where_they_are_offered_or_needed() {
        let none = Can::default();
        let ada = to("ada+home@parl.example");
        let plan = planned(&none, "b+1@parl.example", &ada, b"x").ok().unwrap();
        let plain = [
            "MAIL FROM:<b+1@parl.example>\r\n",
            "RCPT TO:<ada+home@parl.example>\r\n",
            "DATA\r\n",
        ];
        assert_eq!(plan.commands(false), plain);
        assert!(!plan.has_options());

        let plan = planned(&all(), "b+x=1@parl.example", &ada, b"x")
            .ok()
            .unwrap();
        assert!(plan.has_options());
        assert_eq!(
            plan.commands(false),
            [
                "MAIL FROM:<b+x=1@parl.example> SIZE=1 RET=HDRS ENVID=x+3D1\r\n",
                "RCPT TO:<ada+home@parl.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ada+2Bhome@parl.example\r\n",
                "DATA\r\n",
            ]
        );

        let jürgen = to("jürgen+a@bücher.example");
        let plan = planned(&all(), "", &jürgen, "ü".as_bytes()).ok().unwrap();
        let [mail, rcpt, _] = plan.commands(false);
        assert_eq!(
            mail,
            "MAIL FROM:<> BODY=8BITMIME SMTPUTF8 SIZE=2 RET=HDRS\r\n"
        );
        assert_eq!(
            rcpt,
            "RCPT TO:<jürgen+a@xn--bcher-kva.example> NOTIFY=FAILURE,DELAY ORCPT=utf-8;j\\x{FC}rgen\\x{2B}a@xn--bcher-kva.example\r\n"
        );
        // What the letter needs stays.
        let [mail, rcpt, _] = plan.commands(true);
        assert_eq!(mail, "MAIL FROM:<> BODY=8BITMIME SMTPUTF8\r\n");
        assert_eq!(rcpt, "RCPT TO:<jürgen+a@xn--bcher-kva.example>\r\n");
    }

    #[test]
    fn the_token_is_what_tells_one_envelope_sender_from_another() {
        for (from, expected) in [
            ("bounces+42@parl.example", Some("42")),
            ("bounce7h3k@parl.example", Some("bounce7h3k")),
            ("b+@parl.example", None),
            ("", None),
        ] {
            assert_eq!(token(from), expected, "{from}");
        }
    }

    #[test]
    fn keywords_are_read_whatever_their_case_and_not_from_the_name() {
        let lines = [
            "SMTPUTF8 relay",
            "",
            " ",
            "8bitmime",
            "SIZE 1",
            "AUTH PLAIN login",
            "AUTH=XOAUTH2",
        ];
        let can = Can::read(lines.into_iter());
        assert_eq!(
            can,
            Can {
                eight_bit: true,
                size: Some(Some(1)),
                auth: ["PLAIN", "LOGIN", "XOAUTH2"].map(str::to_owned).into(),
                ..Can::default()
            }
        );
        for unlimited in ["SIZE", "SIZE 0", "SIZE many"] {
            let can = Can::read(["x", unlimited, "PIPELINING", "DSN"].into_iter());
            assert_eq!(can.size, Some(None), "{unlimited}");
            assert!(can.pipelining && can.dsn);
        }
    }

    proptest! {
        #[test]
        fn what_is_stuffed_arrives_as_it_was(text in "([.a]{0,3}(\r\n)?){0,20}\r\n") {
            let wire = stuffed(&text);
            prop_assert!(!wire.trim_end_matches(".\r\n").contains("\r\n.\r\n"));
            prop_assert_eq!(received(&wire), text);
        }

        #[test]
        fn a_lone_line_end_is_one_that_remains_when_the_pairs_are_gone(text in "[a\r\n]{0,12}") {
            let remains = text.replace("\r\n", "").contains(['\r', '\n']);
            prop_assert_eq!(has_bare_line_end(text.as_bytes()), remains);
        }

        #[test]
        fn what_is_written_in_xtext_is_one_word_without_plus_or_equals_of_its_own(text in "\\PC{0,20}") {
            for written in [xtext(&text), utf8_xtext(&text)] {
                prop_assert!(written.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'='));
            }
        }
    }
}

//! Inbox: reads what comes back to the bounce address from a Maildir, and says which letter was not delivered.
//!
//! Only a delivery report (RFC 3464 in RFC 6522) to an address that carries one of our tokens says anything about a letter;
//! From and subject are never looked at. Nothing is answered and nothing is deleted.

mod report;

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mail_parser::{Message, MessageParser, MimeHeaders};

pub use report::{Action, RecipientReport};

use crate::domain::DeliveryId;

/// How much of a file is read.
const LONGEST_READ: u64 = 1 << 20;

/// What one mail in the bounce mailbox says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A report about one of our letters.
    Bounce {
        /// Which delivery, by the token.
        delivery: DeliveryId,
        /// Failed, still delayed, or only progress.
        verdict: Verdict,
        /// What it says for each recipient, in its order; at least one.
        recipients: Vec<RecipientReport>,
    },
    /// It carries a token and comes from a mail system, but holds no report that can be read: a person should look.
    Unparsed {
        /// Which delivery, by the token.
        delivery: DeliveryId,
    },
    /// An automatic reply, such as an out-of-office note.
    AutoReply,
    /// Anything else.
    Other,
}

/// What a report means for the letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Delivered, relayed or expanded: no news that we act on.
    Progress,
    /// Still being tried: no failure.
    Delayed,
    /// Given up, whatever class its status has.
    Failed,
}

/// One mail that waits in the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Where it is; [`Inbox::keep`] moves it away.
    pub file: PathBuf,
    /// What it says.
    pub says: Incoming,
}

/// A Maildir that bounces are delivered to.
#[derive(Debug, Clone)]
pub struct Inbox {
    dir: PathBuf,
}

impl Inbox {
    /// The Maildir at `dir`, the folder that holds `new` and `cur`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Whether the Maildir is there and can be read.
    pub fn check(&self) -> io::Result<()> {
        self.waiting().map(|_| ())
    }

    /// Reads up to `most` mails that were not kept yet, oldest name first. `whose` says which delivery an address that was
    /// written to belongs to. Repeated before [`Inbox::keep`], it gives the same again: save first, then keep.
    pub fn read(
        &self,
        most: usize,
        whose: impl Fn(&str) -> Option<DeliveryId>,
    ) -> io::Result<Vec<Arrived>> {
        let mut files = self.waiting()?;
        files.truncate(most);
        let mut arrived = Vec::with_capacity(files.len());
        for file in files {
            match contents(&file) {
                Ok(bytes) => arrived.push(Arrived {
                    says: incoming(&bytes, &whose),
                    file,
                }),
                // Another reader was faster, or a mail program has moved it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(arrived)
    }

    /// Marks a mail as seen: it goes to `cur` with the flag S and is not read again.
    pub fn keep(&self, arrived: &Arrived) -> io::Result<()> {
        let Some(name) = arrived.file.file_name() else {
            return Ok(());
        };
        match std::fs::rename(&arrived.file, self.dir.join("cur").join(seen_name(name))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn waiting(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in ["new", "cur"] {
            for entry in std::fs::read_dir(self.dir.join(folder))? {
                let entry = entry?;
                let name = entry.file_name();
                let hidden = name.as_encoded_bytes().starts_with(b".");
                if !hidden && !is_seen(&name) && entry.file_type()?.is_file() {
                    files.push(entry.path());
                }
            }
        }
        files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        Ok(files)
    }
}

/// The flags of a Maildir name stand behind `:2,`.
fn flags(name: &[u8]) -> Option<&[u8]> {
    let at = name.windows(3).rposition(|window| window == b":2,")?;
    name.get(at + 3..)
}

fn is_seen(name: &OsString) -> bool {
    flags(name.as_encoded_bytes()).is_some_and(|flags| flags.contains(&b'S'))
}

fn seen_name(name: &std::ffi::OsStr) -> OsString {
    let mut seen = name.to_owned();
    match flags(name.as_encoded_bytes()) {
        // Flags are kept in ASCII order, and those we leave alone are all before S or T.
        Some(flags) if flags.contains(&b'T') => {
            let kept = name.to_string_lossy();
            let (before, after) = kept.rsplit_once('T').unwrap_or((&kept, ""));
            return format!("{before}ST{after}").into();
        }
        Some(_) => seen.push("S"),
        None => seen.push(":2,S"),
    }
    seen
}

fn contents(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?
        .take(LONGEST_READ)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the bytes of one mail say.
pub fn incoming(bytes: &[u8], whose: impl Fn(&str) -> Option<DeliveryId>) -> Incoming {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return Incoming::Other;
    };
    let automatic = is_automatic(&message);
    let delivery = written_to(&message)
        .iter()
        .find_map(|address| whose(address));
    let Some(delivery) = delivery else {
        return if automatic {
            Incoming::AutoReply
        } else {
            Incoming::Other
        };
    };
    if is_delivery_report(&message) {
        let recipients = report::recipients(&message);
        return match recipients.iter().map(|one| one.action.verdict()).max() {
            Some(verdict) => Incoming::Bounce {
                delivery,
                verdict,
                recipients,
            },
            None => Incoming::Unparsed { delivery },
        };
    }
    match (automatic, from_nobody(&message)) {
        // Out-of-office notes go to the envelope sender as well (RFC 3834), and say so.
        (true, _) => Incoming::AutoReply,
        (false, true) => Incoming::Unparsed { delivery },
        (false, false) => Incoming::Other,
    }
}

fn raw<'a>(message: &'a Message<'_>, name: &'a str) -> impl Iterator<Item = &'a str> {
    message
        .headers_raw()
        .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The addresses that this mail was written to, those that our own mail system noted first.
fn written_to(message: &Message<'_>) -> Vec<String> {
    ["Delivered-To", "X-Original-To", "Envelope-To", "To"]
        .into_iter()
        .flat_map(|name| raw(message, name))
        .flat_map(|value| value.split([',', '<', '>', ' ', '\t', '\r', '\n', ';']))
        .filter(|word| word.contains('@'))
        .map(str::to_owned)
        .take(32)
        .collect()
}

fn is_delivery_report(message: &Message<'_>) -> bool {
    message.content_type().is_some_and(|kind| {
        kind.ctype().eq_ignore_ascii_case("multipart")
            && kind
                .subtype()
                .is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"))
            && kind
                .attribute("report-type")
                .is_some_and(|wanted| wanted.eq_ignore_ascii_case("delivery-status"))
    })
}

fn is_automatic(message: &Message<'_>) -> bool {
    raw(message, "Auto-Submitted").any(|value| !value.to_ascii_lowercase().starts_with("no"))
        || ["X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"]
            .into_iter()
            .any(|name| raw(message, name).next().is_some())
        || raw(message, "Precedence").any(|value| {
            ["auto_reply", "bulk", "junk"]
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word))
        })
}

/// The null sender, which only mail systems use.
fn from_nobody(message: &Message<'_>) -> bool {
    raw(message, "Return-Path").any(|value| value == "<>")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tests' own form of a token: `bounces+42@…` is delivery 42.
    fn whose(address: &str) -> Option<DeliveryId> {
        let (token, _) = address.strip_prefix("bounces+")?.split_once('@')?;
        token.parse().ok()
    }

    fn mail(to: &str, kind: &str, extra: &str, status: &str) -> String {
        format!(
            "Return-Path: <>\r\nDelivered-To: {to}\r\nSubject: whatever\r\n{extra}MIME-Version: 1.0\r\n\
             Content-Type: {kind}; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\n{status}\r\n--b--\r\n"
        )
    }

    const REPORT: &str = "multipart/report; report-type=delivery-status";
    const FAILED: &str = "Reporting-MTA: dns; mail.parl.example\r\n\r\n\
        Final-Recipient: rfc822; carl@bounce.invalid\r\nOriginal-Recipient: rfc822;late-carl@parl.example\r\n\
        Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 <carl@bounce.invalid>: no such\r\n    user here\r\n";

    fn says(mail: &str) -> Incoming {
        incoming(mail.as_bytes(), whose)
    }

    #[test]
    fn a_report_to_one_of_our_tokens_is_a_bounce_without_addresses() {
        let Incoming::Bounce {
            delivery,
            verdict,
            recipients,
        } = says(&mail("bounces+42@parl.example", REPORT, "", FAILED))
        else {
            panic!("no bounce");
        };
        assert_eq!((delivery, verdict), (DeliveryId(42), Verdict::Failed));
        assert_eq!(
            recipients,
            [RecipientReport {
                action: Action::Failed,
                status: Some((5, 1, 1)),
                diagnostic: "550 5.1.1 <…>: no such user here".to_owned(),
            }]
        );
    }

    #[test]
    fn the_action_decides_and_not_the_class_of_the_status() {
        for (action, status, verdict) in [
            ("failed", "4.2.2", Verdict::Failed),
            ("delayed", "4.2.2", Verdict::Delayed),
            ("Delayed", "5.0.0", Verdict::Delayed),
            ("expanded", "2.0.0", Verdict::Progress),
        ] {
            let status =
                format!("Reporting-MTA: dns; x\r\n\r\nAction: {action}\r\nStatus: {status}\r\n");
            let Incoming::Bounce { verdict: got, .. } =
                says(&mail("bounces+1@x", REPORT, "", &status))
            else {
                panic!("no bounce");
            };
            assert_eq!(got, verdict, "{action}");
        }
    }

    #[test]
    fn only_a_report_to_a_token_counts() {
        let token = "bounces+42@parl.example";
        let auto = "Auto-Submitted: auto-replied\r\n";
        let unparsed = Incoming::Unparsed {
            delivery: DeliveryId(42),
        };
        assert_eq!(
            says(&mail("bounces@parl.example", REPORT, "", FAILED)),
            Incoming::Other
        );
        assert_eq!(
            says(&mail("bounces+forged@x", REPORT, auto, FAILED)),
            Incoming::AutoReply
        );
        assert_eq!(
            says(&mail(token, "multipart/mixed", auto, FAILED)),
            Incoming::AutoReply
        );
        assert_eq!(says(&mail(token, "multipart/mixed", "", FAILED)), unparsed);
        assert_eq!(says(&mail(token, REPORT, "", "nothing")), unparsed);
        assert_eq!(
            says(&mail(
                token,
                "multipart/report; report-type=disposition-notification",
                auto,
                ""
            )),
            Incoming::AutoReply
        );
        assert_eq!(says("To: bounces+42@x\r\n\r\nhello"), Incoming::Other);
        assert_eq!(says(""), Incoming::Other);
    }

    fn maildir() -> (tempfile::TempDir, Inbox) {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["new", "cur", "tmp"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let inbox = Inbox::new(dir.path());
        (dir, inbox)
    }

    #[test]
    fn what_was_kept_is_not_read_again_and_nothing_is_deleted() {
        let (dir, inbox) = maildir();
        let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        put(
            "new/1.a.host",
            mail("bounces+1@x", REPORT, "", FAILED).as_bytes(),
        );
        put(
            "cur/2.b.host:2,F",
            mail("bounces+2@x", REPORT, "", FAILED).as_bytes(),
        );
        put("cur/3.c.host:2,T", &vec![0xff; 3 << 20]);
        put(
            "cur/4.d.host:2,S",
            mail("bounces+4@x", REPORT, "", FAILED).as_bytes(),
        );
        put("new/.hidden", b"");
        let first = inbox.read(100, whose).unwrap();
        assert_eq!(first, inbox.read(100, whose).unwrap());
        assert_eq!(inbox.read(1, whose).unwrap(), first[..1]);
        let ids: Vec<_> = first
            .iter()
            .map(|one| match one.says {
                Incoming::Bounce { delivery, .. } => Some(delivery.0),
                _ => None,
            })
            .collect();
        assert_eq!(ids, [Some(1), Some(2), None]);
        for one in &first {
            inbox.keep(one).unwrap();
            inbox.keep(one).unwrap();
        }
        assert_eq!(inbox.read(100, whose).unwrap(), []);
        let mut names: Vec<_> = std::fs::read_dir(dir.path().join("cur"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "1.a.host:2,S",
                "2.b.host:2,FS",
                "3.c.host:2,ST",
                "4.d.host:2,S"
            ]
        );
    }

    #[test]
    fn a_folder_that_is_no_maildir_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Inbox::new(dir.path()).check().is_err());
        assert!(maildir().1.check().is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            incoming(&bytes, whose);
        }

        #[test]
        fn a_damaged_report_is_read_without_harm(at in 0_usize..700, with in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut bytes = mail("bounces+42@parl.example", REPORT, "", FAILED).into_bytes();
            let at = at.min(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            bytes.splice(at..end, with);
            if let Incoming::Bounce { recipients, .. } = incoming(&bytes, whose) {
                prop_assert!(recipients.iter().all(|one| !one.diagnostic.contains('@')));
            }
        }
    }
}

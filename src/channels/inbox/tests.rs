//! What a mail is told to be by its bytes, and how a Maildir is read. What real mail systems write is in `tests/bounces`.

use proptest::prelude::*;

use super::*;
use crate::domain::DeliveryId;
use crate::domain::delivery::{Returned, Verdict};

/// Tests' own form of a token: `bounces+42@…` is delivery 42, `bounces+x…@` is a forged one.
fn token(address: &str) -> Token {
    match address
        .strip_prefix("bounces+")
        .and_then(|rest| rest.split_once('@'))
    {
        Some((token, _)) => match token.parse() {
            Ok(number) => Token::Ours(DeliveryId(number)),
            Err(_) => Token::Forged,
        },
        None => Token::None,
    }
}

const OURS: &str = "bounces+42@parl.example";
const REPORT: &str = "multipart/report; report-type=delivery-status";
const AUTO: &str = "Auto-Submitted: auto-replied\r\n";
const FAILED: &str = "Reporting-MTA: dns; mail.parl.example\r\n\r\n\
    Final-Recipient: rfc822; carl@bounce.invalid\r\nOriginal-Recipient: rfc822;late-carl@parl.example\r\n\
    Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.bounce.invalid\r\n\
    Diagnostic-Code: smtp; 550 5.1.1 <carl@bounce.invalid>: no such\r\n    user here\r\n";

/// A mail of two parts from nobody.
fn mail(to: &str, kind: &str, extra: &str, status: &str) -> String {
    format!(
        "Return-Path: <>\r\nDelivered-To: {to}\r\nSubject: whatever\r\n{extra}MIME-Version: 1.0\r\n\
         Content-Type: {kind}; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\n{status}\r\n--b--\r\n"
    )
}

/// A mail of one part, from somebody.
fn plain(to: &str, extra: &str) -> String {
    format!(
        "Return-Path: <eve@x.example>\r\nDelivered-To: {to}\r\n{extra}Subject: Undelivered Mail Returned to Sender\r\n\
         From: MAILER-DAEMON@x.example\r\n\r\nhello\r\n"
    )
}

fn says(mail: &str) -> Mail {
    read(mail.as_bytes(), None, token)
}

fn kind(mail: &str) -> Returned {
    says(mail).kind
}

#[test]
fn a_report_to_one_of_our_tokens_is_a_bounce_without_addresses() {
    let mail = says(&mail(OURS, REPORT, "", FAILED));
    assert_eq!(
        (mail.kind, mail.delivery),
        (Returned::Report(Verdict::Failed), Some(DeliveryId(42)))
    );
    assert_eq!(
        mail.report,
        Some(RecipientReport {
            action: Action::Failed,
            status: Some((5, 1, 1)),
            diagnostic: "550 5.1.1 <…>: no such user here".to_owned(),
            remote_mta: Some("mx.bounce.invalid".to_owned()),
        })
    );
}

#[test]
fn the_action_decides_and_not_the_class_of_the_status() {
    for (action, status, verdict) in [
        ("failed", "4.2.2", Verdict::Failed),
        ("delayed", "4.2.2", Verdict::Delayed),
        ("Delayed", "5.0.0", Verdict::Delayed),
        ("expanded (to 3)", "2.0.0", Verdict::Progress),
        ("relayed", "2.0.0", Verdict::Progress),
        ("DELIVERED", "2.0.0", Verdict::Progress),
    ] {
        let status =
            format!("Reporting-MTA: dns; x\r\n\r\nAction: {action}\r\nStatus: {status}\r\n");
        assert_eq!(
            kind(&mail(OURS, REPORT, "", &status)),
            Returned::Report(verdict),
            "{action}"
        );
    }
}

#[test]
fn of_several_recipients_the_worst_counts_however_many_there_are() {
    let group = |action: &str| format!("\r\nAction: {action}\r\nStatus: 5.0.0\r\n");
    let mut status = "Reporting-MTA: dns; x\r\n".to_owned();
    for _ in 0..10_000 {
        status.push_str(&group("delivered"));
    }
    assert_eq!(
        kind(&mail(OURS, REPORT, "", &status)),
        Returned::Report(Verdict::Progress)
    );
    status.push_str(&group("failed"));
    assert_eq!(
        kind(&mail(OURS, REPORT, "", &status)),
        Returned::Report(Verdict::Failed)
    );
}

#[test]
fn only_a_report_to_a_token_counts() {
    let unparsed = Returned::Report(Verdict::Unparsed);
    for (what, text, expected) in [
        (
            "no token",
            mail("bounces@parl.example", REPORT, "", FAILED),
            Returned::AutoReply,
        ),
        (
            "a forged token",
            mail("bounces+forged@x", REPORT, AUTO, FAILED),
            Returned::Forged,
        ),
        (
            "a report in another wrapping",
            mail(OURS, "multipart/mixed", AUTO, FAILED),
            unparsed,
        ),
        (
            "an empty report",
            mail(OURS, REPORT, AUTO, "nothing"),
            unparsed,
        ),
        (
            "an unknown action",
            mail(OURS, REPORT, AUTO, "Action: vanished"),
            unparsed,
        ),
        (
            "two reports in one",
            mail(
                OURS,
                REPORT,
                "",
                &format!(
                    "{FAILED}\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: delivered\r\n"
                ),
            ),
            unparsed,
        ),
        (
            "a read receipt",
            plain(
                OURS,
                "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n",
            ),
            Returned::AutoReply,
        ),
        ("a person", plain(OURS, ""), Returned::Reply),
        (
            "a person, to no token",
            plain("bounces@parl.example", ""),
            Returned::Other,
        ),
        (
            "somebody who is away",
            plain(OURS, "Auto-Submitted: auto-replied (vacation)\r\n"),
            Returned::OutOfOffice,
        ),
        (
            "somebody who is away, politely from nobody",
            format!(
                "Return-Path: <>\r\n{}",
                plain(OURS, "Auto-Submitted: auto-replied (vacation)\r\n")
            ),
            Returned::OutOfOffice,
        ),
        (
            "Exchange's out-of-office note",
            plain(
                OURS,
                "X-MS-Exchange-Inbox-Rules-Loop: a@x.example\r\nAuto-Submitted: auto-generated\r\n",
            ),
            Returned::OutOfOffice,
        ),
        ("a program", plain(OURS, AUTO), Returned::AutoReply),
        (
            "a challenge",
            plain(
                OURS,
                "X-Delivery-Agent: TMDA/1.0.3\r\nAuto-Submitted: auto-replied\r\n",
            ),
            Returned::Challenge,
        ),
        (
            "spam",
            plain("bounces@parl.example", "X-Spam-Flag: YES\r\n"),
            Returned::Spam,
        ),
        (
            "not automatic, it says",
            plain(OURS, "Auto-Submitted: no\r\n"),
            Returned::Reply,
        ),
    ] {
        assert_eq!(kind(&text), expected, "{what}");
    }
    assert_eq!(kind("To: bounces+42@x\r\n\r\nhello"), Returned::Reply);
    assert_eq!(kind(""), Returned::Other);
}

#[test]
fn only_where_the_mail_came_to_counts_and_not_what_it_sends_back() {
    let sent_back = format!(
        "{FAILED}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nReturn-Path: <{OURS}>\r\nDelivered-To: {OURS}\r\nTo: {OURS}\r\n\
         Subject: x\r\n\r\nhello\r\n"
    );
    let text = mail("bounces@parl.example", REPORT, AUTO, &sent_back);
    let got = says(&text);
    assert_eq!((got.kind, got.delivery), (Returned::AutoReply, None));
    assert_eq!(got.report, None);
    // A report inside of what is sent back is no report either.
    let nested = format!(
        "Return-Path: <>\r\nDelivered-To: {OURS}\r\nContent-Type: {REPORT}; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n{}\r\n--o--\r\n",
        mail(OURS, REPORT, "", FAILED)
    );
    assert_eq!(kind(&nested), Returned::Report(Verdict::Unparsed));
    // The envelope goes before all headers, and a forged token is not outdone by a header further down.
    let text = mail(OURS, REPORT, "", FAILED);
    let other = read(text.as_bytes(), Some("bounces+7@x"), token);
    assert_eq!(other.delivery, Some(DeliveryId(7)));
    let none = read(text.as_bytes(), Some("bounces@x"), token);
    assert_eq!((none.kind, none.delivery), (Returned::AutoReply, None));
    let forged = mail(
        "bounces+forged@x",
        REPORT,
        &format!("To: {OURS}\r\n"),
        FAILED,
    );
    assert_eq!(kind(&forged), Returned::Forged);
    // Where our own mail system notes nothing of the envelope, To is all there is.
    let exchange =
        mail("x", REPORT, &format!("To: <{OURS}>\r\n"), FAILED).replace("Delivered-To: x\r\n", "");
    assert_eq!(kind(&exchange), Returned::Report(Verdict::Failed));
}

#[test]
fn the_same_report_has_the_same_digest_by_whatever_way_it_came() {
    let id = "Message-ID: <1@x>\r\n";
    let one = says(&mail(OURS, REPORT, id, FAILED));
    let again = says(&format!(
        "Received: from elsewhere\r\n{}",
        mail(OURS, REPORT, id, FAILED)
    ));
    assert_eq!(one.digest, again.digest);
    for other in [
        mail("bounces+43@x", REPORT, id, FAILED),
        mail(OURS, REPORT, "Message-ID: <2@x>\r\n", FAILED),
        mail(OURS, REPORT, id, &FAILED.replace("failed", "delayed")),
    ] {
        assert_ne!(one.digest, says(&other).digest);
    }
    assert_ne!(
        says(&plain(OURS, "")).digest,
        says(&plain(OURS, "X: y\r\n")).digest
    );
}

#[test]
fn what_is_meant_to_hurt_does_not() {
    let mut deep = format!(
        "Return-Path: <>\r\nDelivered-To: {OURS}\r\nContent-Type: {REPORT}; boundary=b0\r\n\r\n"
    );
    for level in 0..100 {
        deep.push_str(&format!(
            "--b{level}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n",
            level + 1
        ));
    }
    let mut letters = format!("Delivered-To: {OURS}\r\n");
    for _ in 0..10_000 {
        letters.push_str("Content-Type: message/rfc822\r\n\r\n");
    }
    let headers = format!(
        "{}{}",
        "X-Bomb: y\r\n".repeat(90_000),
        mail(OURS, REPORT, "", FAILED)
    );
    let folded = format!("X-Bomb: {}\r\n\r\n", "y\r\n ".repeat(200_000));
    let long = format!("To: {}\r\n\r\n", "<a@x>,".repeat(150_000));
    for text in [deep, letters, headers, folded, long] {
        let began = std::time::Instant::now();
        let got = says(&text);
        assert_ne!(got.kind, Returned::Report(Verdict::Delayed));
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
    // Zero bytes and other alphabets in a report are no reason to believe it less.
    let odd = FAILED
        .replace("no such", "no \0such \u{fffd}\u{202e}")
        .replace("Reporting", "X-\0: y\r\nReporting");
    let got = says(&mail(OURS, REPORT, "", &odd));
    assert_eq!(got.kind, Returned::Report(Verdict::Failed));
    assert!(!got.report.unwrap().diagnostic.contains(['\0', '\u{202e}']));
}

fn maildir() -> (tempfile::TempDir, Inbox) {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["new", "cur", "tmp"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let inbox = Inbox::Maildir(Maildir::new(dir.path()));
    (dir, inbox)
}

async fn all(inbox: &Inbox) -> Vec<Arrived> {
    let mut reading = inbox.open().await.unwrap();
    reading.next(100, token).await.unwrap()
}

#[tokio::test]
async fn what_was_kept_is_not_read_again_and_nothing_is_deleted() {
    let (dir, inbox) = maildir();
    let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let report = |number: u8| mail(&format!("bounces+{number}@x"), REPORT, "", FAILED);
    put("new/1.a.host", report(1).as_bytes());
    put("cur/2.b.host:2,F", report(2).as_bytes());
    put("cur/3.c.host:2,T", &vec![0xff; 3 << 20]);
    put("cur/4.d.host:2,S", report(4).as_bytes());
    put("new/.hidden", b"");
    let first = all(&inbox).await;
    assert_eq!(first, all(&inbox).await);
    let ids: Vec<_> = first
        .iter()
        .map(|one| one.mail.delivery.map(|id| id.0))
        .collect();
    assert_eq!(ids, [Some(1), Some(2), None]);
    let mut reading = inbox.open().await.unwrap();
    assert_eq!(reading.next(1, token).await.unwrap(), first[..1]);
    assert_eq!(reading.next(9, token).await.unwrap(), first[1..]);
    assert_eq!(reading.next(9, token).await.unwrap(), []);
    reading.keep(&first).await.unwrap();
    reading.keep(&first).await.unwrap();
    assert_eq!(all(&inbox).await, []);
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

#[tokio::test]
async fn a_folder_that_is_no_maildir_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let inbox = Inbox::Maildir(Maildir::new(dir.path()));
    assert!(inbox.check().await.is_err());
    assert!(maildir().1.check().await.is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        read(&bytes, None, token);
        read(&bytes, Some(OURS), token);
    }

    #[test]
    fn a_damaged_report_is_read_without_harm(at in 0_usize..700, with in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = mail(OURS, REPORT, "", FAILED).into_bytes();
        let at = at.min(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        if let Some(report) = read(&bytes, None, token).report {
            prop_assert!(!report.diagnostic.contains('@'));
            prop_assert!(!report.remote_mta.unwrap_or_default().contains('@'));
        }
    }
}

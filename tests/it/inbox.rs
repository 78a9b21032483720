//! What comes back: reports as mail systems write them, replies, forgeries, and mails handed in one by one.

mod imap;
mod postfix;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use division_bell::channels::inbox::{Mail, Token, read};
use division_bell::domain::delivery::{Returned, why};
use division_bell::domain::{DeliveryId, EmailAddress};
use division_bell::messages::letter::{verp, verp_delivery};
use proptest::prelude::*;

use crate::support::files;
use crate::support::flow::{Bell, five};
use crate::support::program::command;

/// Where the samples came to.
const SAMPLE: &str = "bounces+42@parl.example";

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/bounces")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A sample as it would have come to this delivery of a bell.
fn sample_for(bell: &Bell, name: &str, delivery: &str) -> String {
    let delivery = DeliveryId(delivery.parse().unwrap());
    let to = bell.app.letters.bounce_address(delivery).unwrap();
    sample(name).replace(SAMPLE, to.expose())
}

/// The samples' own form of a token.
fn token(address: &str) -> Token {
    match address
        .strip_prefix("bounces+")
        .and_then(|rest| rest.split_once('@'))
    {
        Some(("42", _)) => Token::Ours(DeliveryId(42)),
        Some(_) => Token::Forged,
        None => Token::None,
    }
}

/// Their names, and what is expected of them.
fn samples() -> Vec<[String; 5]> {
    let table = sample("expected.csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

fn told(mail: &Mail) -> [String; 3] {
    let report = mail.report.as_ref();
    let status = report.and_then(|report| report.status);
    // A letter that is only late came back for no reason.
    let is_failure = mail.kind.word() == "failed";
    let diagnostic = report.map_or("", |report| &report.diagnostic);
    let cause = why(status, diagnostic).filter(|_| is_failure);
    [
        mail.kind.word().to_owned(),
        status.map_or(String::new(), |(a, b, c)| format!("{a}.{b}.{c}")),
        cause.map_or("", |cause| cause.word()).to_owned(),
    ]
}

#[test]
fn what_mail_systems_write_is_told_apart() {
    let all = samples();
    let there = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bounces"))
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .count();
    assert_eq!(all.len(), there, "each sample stands in expected.csv");
    for [file, kind, status, cause, words] in &all {
        let text = sample(file);
        let mail = read(text.as_bytes(), None, token);
        assert_eq!(
            told(&mail),
            [kind.clone(), status.clone(), cause.clone()],
            "{file}"
        );
        let diagnostic = mail
            .report
            .as_ref()
            .map_or("", |report| &report.diagnostic[..]);
        assert!(diagnostic.contains(words), "{file}: {diagnostic:?}");
        assert!(!format!("{mail:?}").contains('@'), "{file}: {mail:?}");
        assert_eq!(
            mail.delivery.is_some(),
            text.contains(SAMPLE) && kind != "forged" && !file.starts_with("backscatter"),
            "{file}"
        );
        // As it goes over the wire, it is the same.
        let wire = text.replace('\n', "\r\n");
        assert_eq!(told(&read(wire.as_bytes(), None, token)), told(&mail));
        // To an address without a token, nothing of it is about a letter.
        let elsewhere = read(text.as_bytes(), Some("bounces@parl.example"), token);
        assert!(
            !matches!(elsewhere.kind, Returned::Report(_)) && elsewhere.delivery.is_none(),
            "{file}: {elsewhere:?}"
        );
    }
}

const KEY: &[u8] = b"a key of this site";

fn by_key(key: &[u8], address: &str) -> Token {
    let found = EmailAddress::parse(address)
        .ok()
        .and_then(|address| verp_delivery(key, &address));
    found.map_or(Token::Forged, Token::Ours)
}

proptest! {
    #[test]
    fn a_damaged_mail_is_read_without_harm_and_is_about_its_own_letter_or_none(
        which in 0_usize..1000,
        cuts in prop::collection::vec((0_usize..4000, 0_usize..60, prop::collection::vec(any::<u8>(), 0..30)), 0..6),
        swap in any::<bool>(),
    ) {
        let all = samples();
        let ours = verp(KEY, DeliveryId(42), "bounces", "parl.example").unwrap();
        let text = sample(&all[which % all.len()][0]).replace(SAMPLE, ours.expose());
        let mut bytes = if swap { text.replace('\n', "\r\n") } else { text }.into_bytes();
        for (at, length, with) in cuts {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, with);
        }
        let mail = read(&bytes, None, |address| by_key(KEY, address));
        prop_assert!(mail.delivery.is_none_or(|id| id == DeliveryId(42)));
        prop_assert_eq!(matches!(mail.kind, Returned::Report(_)) && mail.delivery.is_none(), false);
        // With another site's key, none of it is about a letter.
        let mail = read(&bytes, None, |address| by_key(b"another key", address));
        prop_assert!(!matches!(mail.kind, Returned::Report(_)), "{:?}", mail);
        prop_assert_eq!(mail.delivery, None);
    }
}

/// A bell whose letters went into the folder; one a person.
async fn told_bell() -> (Bell, Vec<String>) {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit(
        "first",
        &["abaraa", "brightb", "coxc"].map(|sam| (sam, "weak", "2026-02-27T03:00:00Z")),
    )
    .await;
    bell.campaign().await;
    bell.deliver().await;
    let ids = bell.column("SELECT id FROM deliveries ORDER BY id").await;
    assert_eq!(ids.len(), 3);
    (bell, ids)
}

#[tokio::test]
async fn everything_else_that_comes_back_is_counted_and_does_nothing() {
    let (bell, ids) = told_bell().await;
    for [file, kind, ..] in samples() {
        let is_report = ["failed", "unparsed", "delayed", "progress"].contains(&kind.as_str());
        if !is_report {
            bell.write(
                &format!("bounces/new/{file}"),
                sample_for(&bell, &file, &ids[0]),
            );
        }
    }
    // A token that was altered, and one of another site.
    let mine = sample_for(&bell, "qmail.eml", &ids[0]);
    let (_, rest) = mine.split_once("Delivered-To: ").unwrap();
    let address = rest.lines().next().unwrap().to_owned();
    let mut altered = address.clone().into_bytes();
    let at = address.find('@').unwrap() - 5;
    altered[at] = if altered[at] == b'a' { b'b' } else { b'a' };
    let altered = String::from_utf8(altered).unwrap();
    bell.write("bounces/new/altered", mine.replace(&address, &altered));
    let foreign = verp(
        KEY,
        DeliveryId(ids[0].parse().unwrap()),
        "bounce",
        "parl.example",
    )
    .unwrap();
    bell.write(
        "bounces/new/foreign",
        mine.replace(&address, foreign.expose()),
    );
    let before = bell
        .rows("SELECT id, state, notice_at FROM cases ORDER BY id")
        .await;
    assert_eq!(
        bell.step("inbox").await,
        "0 bounces, 2 out of office, 4 automatic replies, 2 challenges, 1 replies by people, 1 spam, 2 forged"
    );
    assert_eq!(bell.step("inbox").await, "0 bounces");
    assert_eq!(
        bell.rows("SELECT id, state, notice_at FROM cases ORDER BY id")
            .await,
        before
    );
    assert_eq!(bell.count("SELECT COUNT(*) FROM bounces").await, 0);
    let kept = bell.rows("SELECT kind, COUNT(*) FROM returned_mails GROUP BY kind ORDER BY kind");
    assert_eq!(
        kept.await,
        [
            ["auto_reply", "4"],
            ["challenge", "2"],
            ["forged", "2"],
            ["out_of_office", "2"],
            ["reply", "1"],
            ["spam", "1"]
        ]
    );
    assert_eq!(
        files(&bell.path("bounces/cur")).len(),
        12,
        "nothing is deleted"
    );
    bell.books().await;
}

#[tokio::test]
async fn a_bounce_says_why_and_the_same_one_counts_once_however_often_it_is_read() {
    let (bell, ids) = told_bell().await;
    bell.write(
        "bounces/new/1",
        sample_for(&bell, "postfix-second-server-refused.eml", &ids[0]),
    );
    bell.write("bounces/new/2", sample_for(&bell, "qmail.eml", &ids[1]));
    bell.write(
        "bounces/new/3",
        sample_for(&bell, "gmail-delayed.eml", &ids[2]),
    );
    assert_eq!(
        bell.step("inbox").await,
        "1 bounces, 2 cases not reached, 1 unreadable reports, 1 late"
    );
    let mut reasons = bell.column("SELECT reason FROM tasks").await;
    reasons.sort();
    assert_eq!(reasons, ["policy", "unparsed"]);
    let reply = "SELECT reply FROM bounces WHERE action = 'failed'";
    assert_eq!(
        bell.column(reply).await,
        ["mx.hop.example: 550 5.7.1 you are not welcome here"]
    );
    // The mail system died before it had forgotten them, or we did: they are there once more, by another way.
    for file in files(&bell.path("bounces/cur")) {
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let name = file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .replace(":2,S", "");
        bell.write(
            &format!("bounces/new/{name}"),
            format!("Received: again\n{text}"),
        );
    }
    assert_eq!(bell.step("inbox").await, "0 bounces, 3 known already");
    assert_eq!(bell.count("SELECT COUNT(*) FROM bounces").await, 3);
    assert_eq!(bell.count("SELECT COUNT(*) FROM tasks").await, 2);
    bell.books().await;
}

/// The program, handed a mail on its standard input.
fn handed(config: &Path, recipient: &str, mail: &[u8]) -> (i32, String) {
    let mut child = command()
        .arg("--config")
        .arg(config)
        .args(["inbox", "--stdin", "--recipient", recipient])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let written = input.write_all(mail);
    drop(input);
    let out = child.wait_with_output().unwrap();
    let code = out.status.code().unwrap_or(-1);
    // Whoever breaks this pipe makes a mail system keep the mail.
    assert!(written.is_ok() || code == 75, "{written:?}");
    (code, String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

#[tokio::test]
async fn a_mail_system_hands_mails_over_one_by_one() {
    let (bell, ids) = told_bell().await;
    let config = bell.path("bell.toml");
    let delivery = DeliveryId(ids[0].parse().unwrap());
    let to = bell.app.letters.bounce_address(delivery).unwrap();
    let to = to.expose();
    let mut mail = sample_for(&bell, "sendmail-user-unknown.eml", &ids[0]).into_bytes();
    // All that is sent back comes along, however much it is.
    mail.resize(10 << 20, b'x');
    assert_eq!(
        handed(&config, to, &mail),
        (0, "1 bounces, 1 cases not reached".to_owned())
    );
    assert_eq!(
        handed(&config, to, &mail),
        (0, "0 bounces, 1 known already".to_owned())
    );
    // The envelope decides, and not what the mail says of itself; and what is no report is taken as well.
    assert_eq!(
        handed(&config, "office@parl.example", &mail),
        (0, "0 bounces, 1 automatic replies".to_owned())
    );
    assert_eq!(
        handed(&config, to, sample("a-person.eml").as_bytes()),
        (0, "0 bounces, 1 replies by people".to_owned())
    );
    assert_eq!(
        handed(&config, to, b""),
        (0, "0 bounces, 1 other mails".to_owned())
    );
    // Whatever is wrong here, the mail system keeps the mail.
    let away = bell.write(
        "away.toml",
        bell.text
            .replace("sqlite:bell.db", "sqlite:not/there/bell.db"),
    );
    assert_eq!(handed(&away, to, &mail).0, 75);
    let broken = bell.write("broken.toml", "x");
    assert_eq!(handed(&broken, to, &mail).0, 75);
    bell.books().await;
}

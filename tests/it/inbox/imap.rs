//! The bounce mailbox on a server: a real Dovecot, and servers that misbehave, all over TLS.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use division_bell::channels::InboxError;
use division_bell::channels::inbox::{Imap, Inbox, Keep, Mailbox, Waits};
use division_bell::steps;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::{sample_for, token, told_bell};
use crate::support::dovecot::{Dovecot, PASSWORD, USER};
use crate::support::files;
use crate::support::flow::Bell;
use crate::support::program::bell as program;
use crate::support::run;

/// Lets a bell read its mailbox on a server.
async fn read_by_imap(bell: &mut Bell, port: u16, ca_file: &Path, more: &str) {
    bell.write("imap-password", PASSWORD);
    let text = bell.text.replace(
        "maildir = \"bounces\"",
        &format!(
            "imap_host = \"localhost\"\nimap_port = {port}\nuser = \"{USER}\"\npassword_file = \"imap-password\"\nca_file = \"{}\"\n{more}",
            ca_file.display()
        ),
    );
    bell.restart_with(text).await;
}

async fn received(bell: &Bell) -> Result<String, String> {
    let received = steps::inbox::receive(&bell.app).await;
    received
        .map(|received| received.to_string())
        .map_err(|error| format!("{error:#}"))
}

async fn checked(bell: &Bell) -> Result<(), String> {
    steps::inbox::check(&bell.app)
        .await
        .map_err(|error| format!("{error:#}"))
}

/// How many mails are in a folder.
fn messages(dovecot: &Dovecot, folder: &str) -> String {
    dovecot
        .doveadm(
            &["-f", "tab", "mailbox", "status"],
            &["messages unseen", folder],
        )
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn reports_are_read_by_tls_and_by_starttls_and_only_marked() {
    let dovecot = Dovecot::start();
    let (mut bell, ids) = told_bell().await;
    dovecot.arrives("1", sample_for(&bell, "exim-4.96.eml", &ids[0]));
    dovecot.arrives("2", sample_for(&bell, "gmail-vacation.eml", &ids[1]));
    // What is sent back is larger than anybody looks at.
    let mut large = sample_for(&bell, "postfix-lifetime-over.eml", &ids[1]);
    large.push_str(&"And all of that came back.\n".repeat(400_000));
    dovecot.arrives("3", large);
    read_by_imap(&mut bell, dovecot.imaps, &dovecot.ca_file(), "").await;
    checked(&bell).await.unwrap();
    assert_eq!(
        messages(&dovecot, "INBOX"),
        "INBOX\t3\t3",
        "a check marks nothing"
    );
    assert_eq!(
        received(&bell).await.unwrap(),
        "2 bounces, 2 cases not reached, 1 automatic replies"
    );
    assert_eq!(
        messages(&dovecot, "INBOX"),
        "INBOX\t3\t0",
        "nothing is deleted"
    );
    assert_eq!(received(&bell).await.unwrap(), "0 bounces");

    dovecot.arrives("4", sample_for(&bell, "domino.eml", &ids[2]));
    let implicit = bell.text.clone();
    let starttls = implicit.replace(
        &format!("imap_port = {}", dovecot.imaps),
        &format!("imap_tls = \"starttls\"\nimap_port = {}", dovecot.imap),
    );
    bell.restart_with(starttls).await;
    checked(&bell).await.unwrap();
    assert_eq!(
        received(&bell).await.unwrap(),
        "1 bounces, 1 cases not reached"
    );
    // The program itself, which has nothing to look at any more.
    let config = bell.path("bell.toml");
    let answer = program(&config, &["inbox", "--json"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(
        (&json["bounced"], &json["barred_until"]),
        (&0.into(), &serde_json::Value::Null)
    );
    let log = dovecot.log();
    assert!(!log.contains("plaintext") && log.contains("TLS"), "{log}");
    bell.books().await;
}

#[tokio::test]
async fn mails_are_moved_where_people_look_into_the_mailbox_too() {
    let dovecot = Dovecot::start();
    let (mut bell, ids) = told_bell().await;
    dovecot.arrives("1", sample_for(&bell, "exim-4.96.eml", &ids[0]));
    // Somebody has looked at it already.
    dovecot.doveadm(&["flags", "add"], &["\\Seen", "mailbox", "INBOX", "ALL"]);
    let more = "keep = \"move:Done mails\"";
    read_by_imap(&mut bell, dovecot.imaps, &dovecot.ca_file(), more).await;
    let error = checked(&bell).await.unwrap_err();
    assert!(
        error.contains("\"Done mails\"") && error.contains("[mail.inbox]"),
        "{error}"
    );
    let error = received(&bell).await.unwrap_err();
    assert!(error.contains("\"Done mails\""), "{error}");
    assert_eq!(
        messages(&dovecot, "INBOX"),
        "INBOX\t1\t0",
        "nothing is lost"
    );
    // It was saved before it could not be kept.
    assert_eq!(bell.count("SELECT COUNT(*) FROM bounces").await, 1);
    dovecot.doveadm(&["mailbox", "create"], &["Done mails"]);
    checked(&bell).await.unwrap();
    assert_eq!(received(&bell).await.unwrap(), "0 bounces, 1 known already");
    assert_eq!(messages(&dovecot, "INBOX"), "INBOX\t0\t0");
    assert_eq!(messages(&dovecot, "Done mails"), "Done mails\t1\t0");
    assert_eq!(received(&bell).await.unwrap(), "0 bounces");
    bell.books().await;
}

#[tokio::test]
async fn a_mailbox_with_new_numbers_or_marks_counts_nothing_twice() {
    let dovecot = Dovecot::start();
    let (mut bell, ids) = told_bell().await;
    for (name, id) in [("1", &ids[0]), ("2", &ids[1])] {
        dovecot.arrives(name, sample_for(&bell, "exim-4.96.eml", id));
    }
    read_by_imap(&mut bell, dovecot.imaps, &dovecot.ca_file(), "").await;
    assert_eq!(
        received(&bell).await.unwrap(),
        "2 bounces, 2 cases not reached"
    );
    // The server was restored: other numbers, and the marks are gone.
    dovecot.doveadm(&["mailbox", "update"], &["--uid-validity", "4711", "INBOX"]);
    dovecot.doveadm(&["flags", "remove"], &["\\Seen", "mailbox", "INBOX", "ALL"]);
    dovecot.arrives("3", sample_for(&bell, "domino.eml", &ids[2]));
    assert_eq!(
        received(&bell).await.unwrap(),
        "1 bounces, 1 cases not reached, 2 known already"
    );
    assert_eq!(bell.count("SELECT COUNT(*) FROM tasks").await, 3);
    assert_eq!(received(&bell).await.unwrap(), "0 bounces");
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again_for_an_hour() {
    let dovecot = Dovecot::start();
    let (mut bell, ids) = told_bell().await;
    dovecot.arrives("1", sample_for(&bell, "exim-4.96.eml", &ids[0]));
    read_by_imap(&mut bell, dovecot.imaps, &dovecot.ca_file(), "").await;
    bell.write("imap-password", "sentinel-4711");
    bell.restart_with(bell.text.clone()).await;
    let refusals = || dovecot.log().matches("Password mismatch").count();
    let error = received(&bell).await.unwrap_err();
    assert!(error.contains("refuses our user or password"), "{error}");
    assert!(!error.contains("sentinel") && !format!("{:?}", bell.app.inbox).contains("sentinel"));
    assert_eq!(refusals(), 1);
    for _ in 0..5 {
        bell.advance(TimeDelta::minutes(5));
        // After a restart as well.
        bell.restart_with(bell.text.clone()).await;
        let said = received(&bell).await.unwrap();
        assert!(
            said.starts_with("not read: the server refused our password"),
            "{said}"
        );
    }
    assert_eq!(refusals(), 1);
    bell.advance(TimeDelta::minutes(36));
    assert!(received(&bell).await.is_err());
    assert_eq!(refusals(), 2);
    // Somebody asks: that is tried at once.
    assert!(checked(&bell).await.is_err());
    assert_eq!(refusals(), 3);
    bell.write("imap-password", PASSWORD);
    bell.restart_with(bell.text.clone()).await;
    assert!(received(&bell).await.unwrap().starts_with("not read"));
    checked(&bell).await.unwrap();
    assert_eq!(
        received(&bell).await.unwrap(),
        "1 bounces, 1 cases not reached"
    );
    assert_eq!(refusals(), 3);
    // Other settings are another matter.
    bell.write("imap-password", "sentinel-4711");
    bell.restart_with(bell.text.clone()).await;
    assert!(received(&bell).await.is_err());
    let text = bell.text.replace(
        &format!("imap_port = {}", dovecot.imaps),
        &format!("imap_tls = \"starttls\"\nimap_port = {}", dovecot.imap),
    );
    bell.restart_with(text).await;
    assert!(received(&bell).await.is_err());
    assert_eq!(refusals(), 5);
    bell.books().await;
}

#[tokio::test]
async fn a_wrong_certificate_folder_or_server_is_told_and_nothing_is_lost() {
    let dovecot = Dovecot::start();
    let (mut bell, ids) = told_bell().await;
    dovecot.arrives("1", sample_for(&bell, "exim-4.96.eml", &ids[0]));
    let text = bell.text.clone();
    let [nobody] = crate::support::free_ports();
    for (port, ca_file, more, error) in [
        (
            dovecot.imaps,
            dovecot.other_ca_file(),
            "",
            "certificate does not fit",
        ),
        (
            dovecot.imap,
            dovecot.ca_file(),
            "",
            "certificate does not fit",
        ),
        (
            dovecot.imaps,
            dovecot.ca_file(),
            "folder = \"Nowhere\"",
            "\"Nowhere\"",
        ),
        (nobody, dovecot.ca_file(), "", "no IMAP server answers"),
    ] {
        bell.restart_with(text.clone()).await;
        read_by_imap(&mut bell, port, &ca_file, more).await;
        for told in [checked(&bell).await, received(&bell).await.map(|_| ())] {
            let told = told.unwrap_err();
            assert!(
                told.contains(error) && told.contains("[mail.inbox]"),
                "{told}"
            );
        }
    }
    // The certificate names the host and not the address.
    let by_address = bell.text.replace("\"localhost\"", "\"127.0.0.1\"");
    let by_address = by_address.replace(
        &format!("imap_port = {nobody}"),
        &format!("imap_port = {}", dovecot.imaps),
    );
    bell.restart_with(by_address).await;
    assert!(received(&bell).await.unwrap_err().contains("certificate"));
    let answer = program(&bell.path("bell.toml"), &["check"]);
    assert!(
        answer.code == 1
            && answer
                .out
                .contains("WRONG  inbox: the IMAP server's certificate"),
        "{answer:?}"
    );
    assert_eq!(messages(&dovecot, "INBOX"), "INBOX\t1\t1");
    assert_eq!(bell.count("SELECT COUNT(*) FROM returned_mails").await, 0);
}

/// A server of these mails over TLS, with a certificate in `dir`. At the mail numbered `dies_at`, from 1, it sends a part
/// and hangs up; mails that were marked it does not list again.
struct Fake {
    port: u16,
    dir: tempfile::TempDir,
    marked: std::sync::Arc<std::sync::Mutex<Vec<usize>>>,
}

impl Fake {
    async fn start(greeting: &'static str, mails: Vec<String>, dies_at: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "9000",
                "-subj",
                "/CN=localhost",
            ])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
            ])
            .current_dir(dir.path()));
        let pem = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let identity = native_tls::Identity::from_pkcs8(&pem("cert.pem"), &pem("key.pem")).unwrap();
        let tls =
            tokio_native_tls::TlsAcceptor::from(native_tls::TlsAcceptor::new(identity).unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let marked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = std::sync::Arc::clone(&marked);
        tokio::spawn(async move {
            let mut dies_at = dies_at;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(stream) = tls.accept(stream).await else {
                    continue;
                };
                serve(stream, greeting, &mails, &kept, dies_at).await;
                dies_at = 0;
            }
        });
        Self { port, dir, marked }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite,
    greeting: &str,
    mails: &[String],
    marked: &std::sync::Mutex<Vec<usize>>,
    dies_at: usize,
) {
    let (reading, mut out) = tokio::io::split(stream);
    let mut lines = BufReader::new(reading).lines();
    let _ = out.write_all(greeting.as_bytes()).await;
    while let Ok(Some(line)) = lines.next_line().await {
        let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
        let said = if command.starts_with("SELECT") {
            "* FLAGS (\\Seen)\r\n* 9 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n".to_owned()
        } else if command.starts_with("UID SEARCH") {
            let marked = marked.lock().unwrap();
            let waiting: Vec<String> = (1..=mails.len())
                .filter(|uid| !marked.contains(uid))
                .map(|uid| uid.to_string())
                .collect();
            format!("* SEARCH {}\r\n", waiting.join(" "))
        } else if let Some(rest) = command.strip_prefix("UID FETCH ") {
            assert!(rest.contains("BODY.PEEK[]<0.1048576>"), "{rest}");
            let uid: usize = rest.split(' ').next().unwrap().parse().unwrap();
            let mail = &mails[uid - 1];
            let whole = format!(
                "* {uid} FETCH (UID {uid} BODY[]<0> {{{}}}\r\n{mail})\r\n",
                mail.len()
            );
            if uid == dies_at {
                let _ = out.write_all(&whole.as_bytes()[..whole.len() / 2]).await;
                let _ = out.flush().await;
                return;
            }
            // It tells of another mail as well.
            format!("* 7 FETCH (FLAGS (\\Seen) UID 7)\r\n{whole}")
        } else if let Some(rest) = command.strip_prefix("UID STORE ") {
            let set = rest.split(' ').next().unwrap();
            let uids = set.split(',').map(|uid| uid.parse::<usize>().unwrap());
            marked.lock().unwrap().extend(uids);
            String::new()
        } else {
            String::new()
        };
        if out
            .write_all(format!("{said}{tag} OK done\r\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_mail_costs_no_mail_and_counts_none_twice() {
    let (mut bell, ids) = told_bell().await;
    let mails = ids
        .iter()
        .map(|id| sample_for(&bell, "exim-4.96.eml", id).replace('\n', "\r\n"))
        .collect();
    let fake = Fake::start("* OK hello\r\n", mails, 2).await;
    read_by_imap(&mut bell, fake.port, &fake.dir.path().join("cert.pem"), "").await;
    let error = received(&bell).await.unwrap_err();
    assert!(error.contains("broke at"), "{error}");
    // The first was saved, though it could not be marked.
    assert_eq!(bell.count("SELECT COUNT(*) FROM bounces").await, 1);
    assert_eq!(*fake.marked.lock().unwrap(), Vec::<usize>::new());
    assert_eq!(
        received(&bell).await.unwrap(),
        "2 bounces, 2 cases not reached, 1 known already"
    );
    assert_eq!(*fake.marked.lock().unwrap(), [1, 2, 3]);
    assert_eq!(received(&bell).await.unwrap(), "0 bounces");
    assert_eq!(bell.count("SELECT COUNT(*) FROM bounces").await, 3);
    bell.books().await;
}

#[tokio::test]
async fn a_server_that_falls_silent_or_speaks_no_imap_is_given_up() {
    let short = Duration::from_millis(700);
    for (greeting, silent) in [
        ("", true),
        ("220 relay.example ESMTP\r\n", false),
        ("* BYE too busy\r\n", false),
        ("* \u{fffd}\0\r\n", false),
    ] {
        let fake = Fake::start(greeting, Vec::new(), 0).await;
        let mailbox = Mailbox {
            host: "localhost".to_owned(),
            port: fake.port,
            starttls: false,
            user: USER.to_owned(),
            password: "sentinel-4711".to_owned().into(),
            folder: "INBOX".to_owned(),
            keep: Keep::Seen,
            ca_file: Some(fake.dir.path().join("cert.pem")),
            waits: Waits {
                connect: Duration::from_secs(20),
                answer: short,
                mail: short,
            },
        };
        let inbox = Inbox::Imap(Imap::new(mailbox).unwrap());
        let began = Instant::now();
        let error = inbox.check().await.unwrap_err();
        assert_eq!(matches!(error, InboxError::Silent(_)), silent, "{error:?}");
        assert!(!matches!(error, InboxError::Refused), "{greeting:?}");
        assert!(began.elapsed() < Duration::from_secs(15));
        assert!(inbox.open().await.is_err());
        assert!(!format!("{inbox:?}").contains("sentinel"));
    }
}

#[tokio::test]
async fn an_empty_mailbox_is_read_to_its_end() {
    let dovecot = Dovecot::start();
    let mailbox = Mailbox {
        host: "localhost".to_owned(),
        port: dovecot.imaps,
        starttls: false,
        user: USER.to_owned(),
        password: PASSWORD.to_owned().into(),
        folder: "INBOX".to_owned(),
        keep: Keep::Seen,
        ca_file: Some(dovecot.ca_file()),
        waits: Waits::default(),
    };
    let inbox = Inbox::Imap(Imap::new(mailbox).unwrap());
    let mut reading = inbox.open().await.unwrap();
    assert_eq!(reading.next(9, token).await.unwrap(), []);
    // A mail that goes away while it is being read is passed over.
    dovecot.arrives("1", "Subject: x\n\nhello\n");
    dovecot.arrives("2", "Subject: y\n\nhello\n");
    let mut reading = inbox.open().await.unwrap();
    dovecot.doveadm(
        &["expunge"],
        &["mailbox", "INBOX", "HEADER", "SUBJECT", "x"],
    );
    let left = reading.next(9, token).await.unwrap();
    assert_eq!(left.len(), 1);
    reading.keep(&left).await.unwrap();
    reading.close().await;
    assert_eq!(
        files(&dovecot.maildir().join("new")),
        Vec::<std::path::PathBuf>::new()
    );
}

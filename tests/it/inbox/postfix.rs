//! What a real Postfix reports of letters that it has taken, and hands over.

use std::process::Command;

use chrono::TimeDelta;
use division_bell::domain::DeliveryId;
use division_bell::domain::case::CaseState;
use division_bell::steps::deliver::Delivered;

use super::{sample, told_bell};
use crate::support::flow::{Bell, Setup, staff};
use crate::support::postfix::Postfix;
use crate::support::relay::Sink;
use crate::support::{files, is_root, run, seen};

fn through(port: u16, more: &str) -> String {
    format!(
        "kind = \"smtp\"\nhost = \"localhost\"\ntls = \"none\"\nport = {port}\nhello = \"bell.parl.example\"\n{more}"
    )
}

/// A bell that sends through this Postfix and reads the Maildir in which its reports end.
async fn bell_of(postfix: &Postfix, relay: String) -> Bell {
    let mut bell = Bell::with(Setup {
        relay,
        maildir: Some(postfix.maildir("bounces")),
        ..Setup::default()
    })
    .await;
    let text = bell.text.replace(
        "bounce_domain = \"parl.example\"",
        "bounce_domain = \"parl.example\"\nenvelope_prefix = \"bounces\"",
    );
    bell.restart_with(text).await;
    bell
}

/// Waits until so many mails have come back.
async fn came_back(postfix: &Postfix, count: usize) {
    let dir = postfix.maildir("bounces");
    let what = format!("{count} mails that come back");
    seen(&what, || {
        let there = files(&dir.join("new")).len() + files(&dir.join("cur")).len();
        (there >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_real_postfix_reports_failures_of_all_kinds() {
    let hop = Sink::start(&["-f", "RCPT", "-B", "550 5.7.1 not welcome here"]);
    let postfix = Postfix::with(
        &format!(
            "relay_domains = hop.example\ndelay_warning_time = 2s\nmaximal_queue_lifetime = 7s\nbounce_queue_lifetime = 7s\n\
             transport_maps = pcre:DIR/etc/transport, inline:{{ hop.example=smtp:[127.0.0.1]:{} }}\n",
            hop.port
        ),
        "",
    );
    let bell = bell_of(&postfix, through(postfix.plain, "")).await;
    bell.people(&[
        staff("carl", "late-carl@parl.example", "Carl Cox"),
        staff("dora", "hop-dora@parl.example", "Dora Deveraux"),
        staff("eve", "full-eve@parl.example", "Eve Evans"),
    ])
    .await;
    bell.audit(
        "first",
        &["carl", "dora", "eve"].map(|sam| (sam, "weak", "2026-02-27T03:00:00Z")),
    )
    .await;
    bell.campaign().await;
    assert_eq!(bell.deliver().await.accepted, 3);
    // Two failures at once and a warning, which is no failure; then the third, whose status is a soft one.
    came_back(&postfix, 3).await;
    assert_eq!(
        bell.step("inbox").await,
        "2 bounces, 2 cases not reached, 1 late"
    );
    assert!(matches!(
        bell.case_of("eve").await.state,
        CaseState::Notified { .. }
    ));
    came_back(&postfix, 4).await;
    assert_eq!(bell.step("inbox").await, "1 bounces, 1 cases not reached");
    for (sam, reason) in [
        ("carl", "bad_address"),
        ("dora", "policy"),
        ("eve", "mailbox_full"),
    ] {
        let case = bell.case_of(sam).await;
        assert_eq!(
            (case.state, case.not_reached.as_deref()),
            (CaseState::Open, Some("bounced")),
            "{sam}"
        );
        assert_eq!(
            bell.tasks_of(sam).await,
            [("reach".to_owned(), reason.to_owned())]
        );
    }
    let statuses = "SELECT action, status FROM bounces ORDER BY action, status";
    assert_eq!(
        bell.rows(statuses).await,
        [
            ["delayed", "4.2.2"],
            ["failed", "4.2.2"],
            ["failed", "5.1.1"],
            ["failed", "5.7.1"]
        ]
    );
    let said = bell
        .column("SELECT reply FROM bounces WHERE status = '5.7.1'")
        .await;
    assert!(said[0].contains("550 5.7.1 not welcome here"), "{said:?}");
    bell.books().await;
}

/// Sends a mail by hand, with parameters that our own conversation does not know.
async fn by_hand(port: u16, from: &str, to: &str, mail: &str) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading).lines();
    for say in [
        "",
        "EHLO test.parl.example\r\n",
        &format!("MAIL FROM:<{from}> RET=HDRS\r\n"),
        &format!("RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE,DELAY\r\n"),
        "DATA\r\n",
        &format!(
            "{}\r\n.\r\n",
            mail.replace("\r\n", "\n").replace('\n', "\r\n")
        ),
        "QUIT\r\n",
    ] {
        writing.write_all(say.as_bytes()).await.unwrap();
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                assert!(line.starts_with(['2', '3']), "{say}: {line}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_real_postfix_settles_what_was_in_doubt() {
    let postfix = Postfix::with("delay_warning_time = 2s\n", "");
    let relay = through(postfix.late, "[mail.relay.timeouts]\ndot = \"1 s\"");
    let bell = bell_of(&postfix, relay).await;
    bell.people(&[
        staff("ada", "ada@parl.example", "Ada Abara"),
        staff("carl", "late-carl@parl.example", "Carl Cox"),
        staff("eve", "full-eve@parl.example", "Eve Evans"),
    ])
    .await;
    bell.audit(
        "first",
        &["ada", "carl", "eve"].map(|sam| (sam, "weak", "2026-02-27T03:00:00Z")),
    )
    .await;
    bell.campaign().await;
    let mut doubts = 0;
    // Whether a relay that lost an answer is left alone for a while is not what this is about.
    for _ in 0..3 {
        doubts += bell.deliver().await.in_doubt;
        bell.advance(TimeDelta::minutes(2));
    }
    assert_eq!(doubts, 3);
    let ada = bell
        .column("SELECT id FROM deliveries WHERE recipient LIKE 'ada%'")
        .await;
    // The relay had all three. Two tell by themselves; the third is asked for.
    let from = bell
        .app
        .letters
        .bounce_address(DeliveryId(ada[0].parse().unwrap()))
        .unwrap();
    let mail = "Subject: x\r\nMessage-ID: <1@parl.example>\r\n\r\nhello";
    by_hand(postfix.plain, from.expose(), "ada@parl.example", mail).await;
    came_back(&postfix, 3).await;
    assert_eq!(
        bell.step("inbox").await,
        "1 bounces, 1 cases not reached, 1 late, 1 delivered or passed on, 3 doubts settled"
    );
    bell.advance(TimeDelta::hours(2));
    assert_eq!(bell.deliver().await, Delivered::default());
    let states =
        "SELECT recipient, state, possible_duplicate, attempts FROM deliveries ORDER BY recipient";
    assert_eq!(
        bell.rows(states).await,
        [
            ["ada@parl.example", "accepted", "1", "1"],
            ["full-eve@parl.example", "accepted", "1", "1"],
            ["late-carl@parl.example", "bounced", "1", "1"]
        ]
    );
    for sam in ["ada", "eve"] {
        assert!(matches!(
            bell.case_of(sam).await.state,
            CaseState::Notified { .. }
        ));
    }
    assert_eq!(
        bell.tasks_of("carl").await,
        [("reach".to_owned(), "bad_address".to_owned())]
    );
    bell.books().await;
}

#[tokio::test]
async fn a_real_postfix_hands_reports_to_the_program() {
    assert!(is_root(), "Postfix starts as root only");
    let (bell, ids) = told_bell().await;
    // Postfix runs programs as another user, who needs the config and the database.
    let program = bell.path("bell");
    std::fs::copy(env!("CARGO_BIN_EXE_bell"), &program).unwrap();
    let dir = bell.dir.path().to_str().unwrap().to_owned();
    run(Command::new("chown").args(["-R", "mail:mail", &dir]));
    let master = format!(
        "bell unix - n n - 4 pipe flags=R user=mail argv={} --config {dir}/bell.toml inbox --stdin --recipient ${{original_recipient}}\n",
        program.display()
    );
    let postfix = Postfix::with(
        "bell_destination_recipient_limit = 1\ntransport_maps = inline:{ bounces.example=bell: }\nrelay_domains = bounces.example\n",
        &master,
    );
    let delivery = DeliveryId(ids[0].parse().unwrap());
    let to = bell.app.letters.bounce_address(delivery).unwrap();
    let to = to.expose().replace("@parl.example", "@bounces.example");
    let mail = sample("exim-4.96.eml");
    by_hand(postfix.plain, "", &to, &mail).await;
    let log = seen("the program's verdict", || {
        Some(postfix.log()).filter(|log| log.contains("relay=bell"))
    })
    .await;
    assert!(
        log.contains("status=sent (delivered via bell service"),
        "{log}"
    );
    assert_eq!(
        bell.rows("SELECT action, status FROM bounces").await,
        [["failed", "5.0.0"]]
    );
    bell.books().await;
}

//! The self-audit: what was forgotten is found, whoever forgot it, and whoever waits for the heartbeat hears nothing then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use division_bell::domain::self_audit::{Excuse, Gap};
use division_bell::serve;
use division_bell::steps::audit_steps::{Audited, audit_steps};
use division_bell::steps::exempt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::flow::{Bell, Setup, databases, five};
use crate::support::program::bell as program;
use crate::support::run_sql;

const FOUND: &str = "2026-03-01T10:00:00Z";

/// Four people who are told; Bea's account is compromised, and a human being has to act.
async fn told(setup: Setup) -> Bell {
    let bell = Bell::with(setup).await;
    bell.people(&five()).await;
    bell.audit(
        "first",
        &[
            ("abaraa", "weak", FOUND),
            ("brightb", "compromised", FOUND),
            ("coxc", "attacked", FOUND),
            ("deverauxd", "weak", FOUND),
        ],
    )
    .await;
    bell.campaign().await;
    bell.deliver().await;
    bell
}

async fn audited(bell: &Bell) -> Audited {
    audit_steps(&bell.app, serve::not_run(&bell.app).await.unwrap(), false)
        .await
        .unwrap()
}

async fn sabotage(bell: &Bell, sql: &str) {
    run_sql(&bell.app.store, sql).await.unwrap();
}

#[tokio::test]
async fn three_weeks_of_reminders_and_hand_overs_leave_nothing_forgotten() {
    for store in databases().await {
        let bell = told(Setup {
            store,
            ..Setup::default()
        })
        .await;
        let mut taken = 0;
        for day in 0..21 {
            for _ in 0..24 {
                bell.advance(TimeDelta::hours(1));
                bell.notify().await;
                bell.deliver().await;
            }
            let audited = audited(&bell).await;
            assert!(audited.is_good(), "day {day}: {audited}");
            assert_eq!(audited.cases, 4);
            taken = audited.taken;
        }
        // Two weak ones with three reminders and a hand-over each, and one that was attacked.
        assert!(taken >= 11, "{taken}");
        assert_eq!(bell.count("SELECT COUNT(*) FROM alarms").await, 0);
    }
}

#[tokio::test]
async fn whoever_forgets_a_step_is_found_and_told_and_it_is_over_when_it_is_done() {
    let bell = told(Setup::default()).await;
    bell.run_until("2026-03-06T12:00:00Z").await;
    assert!(audited(&bell).await.is_good());

    // A rung that lies in the past, and that nobody looks at any more.
    sabotage(
        &bell,
        "UPDATE threads SET climbed = '[]', next_at = NULL WHERE id = 1",
    )
    .await;
    let found = audited(&bell).await;
    assert_eq!(found.gaps[&Gap::RungMissing], 1, "{found}");
    assert_eq!(
        bell.column("SELECT name FROM alarms WHERE cleared_at IS NULL")
            .await,
        ["steps"]
    );
    let answer = program(&bell.path("bell.toml"), &["audit-steps"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer
            .out
            .contains("rung_missing: a rung of its ladder is due"),
        "{answer:?}"
    );

    // A reminder that is said to be behind us.
    sabotage(
        &bell,
        "UPDATE threads SET climbed = '[\"reminder.1\"]' WHERE id = 1",
    )
    .await;
    sabotage(&bell, "DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE thread_id = 1 AND kind = 'reminder.1')").await;
    sabotage(
        &bell,
        "DELETE FROM deliveries WHERE thread_id = 1 AND kind = 'reminder.1'",
    )
    .await;
    let found = audited(&bell).await;
    assert_eq!(
        found.gaps.keys().collect::<Vec<_>>(),
        [&Gap::ReminderMissing],
        "{found}"
    );
    assert_eq!(found.forgotten[0].case.0, 1);

    // Somebody takes it by hand.
    let answer = program(
        &bell.path("bell.toml"),
        &["--as", "ann", "case", "missed", "1", "--why", "absent"],
    );
    assert_eq!(answer.code, 0, "{answer:?}");
    let found = audited(&bell).await;
    assert!(found.is_good(), "{found}");
    assert!(found.excused[&Excuse::NotReached] > 0, "{found:?}");
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM alarms WHERE cleared_at IS NULL")
            .await,
        0
    );
}

#[tokio::test]
async fn a_case_that_nobody_plans_and_a_letter_that_nobody_sends_are_found() {
    let bell = told(Setup::default()).await;
    bell.audit("second", &[("ekwuemee", "weak", "2026-03-02T07:00:00Z")])
        .await;
    assert!(audited(&bell).await.is_good(), "it opened just now");
    bell.advance(TimeDelta::hours(26));
    let found = audited(&bell).await;
    assert_eq!(
        found.gaps.keys().collect::<Vec<_>>(),
        [&Gap::NoNextStep],
        "{found}"
    );
    bell.campaign().await;
    assert!(audited(&bell).await.is_good());
    bell.advance(TimeDelta::hours(4));
    let found = audited(&bell).await;
    // His notice, and Colin's reminder.
    assert_eq!(found.gaps[&Gap::LetterIdle], 2, "{found}");
    sabotage(&bell, "UPDATE deliveries SET state = 'leased', lease_by = 'dead', lease_until = 5 WHERE state = 'queued'").await;
    let found = audited(&bell).await;
    assert_eq!((found.stale_leases, found.is_good()), (2, false), "{found}");
    bell.deliver().await;
    assert_eq!(audited(&bell).await.stale_leases, 0);

    // A schedule that stopped.
    let (name, due) = ("confirm", bell.now().minus(TimeDelta::hours(3)));
    bell.app
        .store
        .claim_run(name, due, "one", due)
        .await
        .unwrap();
    assert_eq!(audited(&bell).await.not_run, ["confirm"]);
}

#[tokio::test]
async fn whoever_was_exempt_past_their_ladder_is_handed_over_when_they_come_back() {
    let bell = told(Setup::default()).await;
    let ada = bell.case_of("abaraa").await.id;
    let until = bell.now().plus(TimeDelta::days(40));
    exempt::exempt(&bell.app, ada, until, "trial", "ann", "ben")
        .await
        .unwrap();
    let handed_over = async || {
        let tasks = bell.tasks_of("abaraa").await;
        tasks.iter().any(|(kind, _)| kind == "hand_over")
    };
    while bell.now() < until.minus(TimeDelta::hours(12)) {
        bell.advance(TimeDelta::hours(12));
        bell.notify().await;
        bell.deliver().await;
        assert!(
            !handed_over().await,
            "{} lies before the end of the exemption",
            bell.now()
        );
        let found = audited(&bell).await;
        assert!(found.is_good(), "{}: {found}", bell.now());
    }
    bell.advance(TimeDelta::hours(13));
    bell.notify().await;
    assert!(handed_over().await);
    assert!(audited(&bell).await.is_good());
    let reminders = "SELECT COUNT(*) FROM deliveries x JOIN cases c ON c.thread_id = x.thread_id WHERE c.account_id = (SELECT account_id FROM cases WHERE id = 1) AND x.kind LIKE 'reminder.%'";
    assert_eq!(bell.count(reminders).await, 0, "none after the deadline");
    bell.books().await;
}

/// A server that counts who asks for which path, and answers with this status.
async fn listener(status: Arc<AtomicU64>) -> (String, Arc<Mutex<Vec<String>>>) {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/beat/FAKE-token", server.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    break;
                }
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            seen.lock()
                .unwrap()
                .push(text.lines().next().unwrap_or_default().to_owned());
            let answer = format!(
                "HTTP/1.1 {} x\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                status.load(Ordering::Relaxed)
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

#[tokio::test]
async fn the_heart_beats_after_each_good_round_and_only_then() {
    let status = Arc::new(AtomicU64::new(200));
    let (url, asked) = listener(Arc::clone(&status)).await;
    let bell = told(Setup {
        more: format!("[alarm]\nheartbeat = \"{url}\"\n"),
        ..Setup::default()
    })
    .await;
    let said = bell.step("audit_steps").await;
    assert!(said.starts_with("4 open cases: "), "{said}");
    assert_eq!(*asked.lock().unwrap(), ["GET /beat/FAKE-token HTTP/1.1"]);
    audited(&bell).await;
    assert_eq!(
        asked.lock().unwrap().len(),
        1,
        "an operator who looks is no heartbeat"
    );

    for (answer, why) in [(500, "answers 500"), (302, "answers 302")] {
        status.store(answer, Ordering::Relaxed);
        let error = format!(
            "{:#}",
            audit_steps(&bell.app, Vec::new(), true).await.unwrap_err()
        );
        assert!(
            error.contains(why) && !error.contains("FAKE-token"),
            "{error}"
        );
    }
    assert_eq!(asked.lock().unwrap().len(), 3, "redirects are not followed");

    bell.advance(TimeDelta::days(10));
    let found = audit_steps(&bell.app, Vec::new(), true).await.unwrap();
    assert!(!found.is_good());
    assert_eq!(asked.lock().unwrap().len(), 3, "silence is the alarm");
    assert!(!format!("{:?}", bell.app.config.alarm).contains("FAKE-token"));
}

//! Whom no mail reaches, what people say, and cases that rest: by the commands that an operator types.

use chrono::TimeDelta;
use serde_json::Value;

use division_bell::clock::Clock;
use division_bell::domain::case::{CaseState, ClosedAs};
use division_bell::domain::closing::ClosingReason;
use division_bell::domain::evidence::Standing;
use division_bell::steps::exempt;

use crate::support::flow::{Bell, five};
use crate::support::program::{Answer, bell as program};

const FOUND: &str = "2026-03-01T10:00:00Z";

/// Five people with weak passwords; Bea's account is compromised.
async fn attacked() -> Bell {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit(
        "first",
        &[
            ("abaraa", "weak", FOUND),
            ("brightb", "compromised", FOUND),
            ("coxc", "attacked", FOUND),
        ],
    )
    .await;
    bell
}

fn case(bell: &Bell, words: &[&str]) -> Answer {
    let words: Vec<&str> = ["--as", "ann", "case"]
        .iter()
        .chain(words)
        .copied()
        .collect();
    program(&bell.path("bell.toml"), &words)
}

#[tokio::test]
async fn whom_nobody_reaches_is_in_a_queue_of_its_own_with_a_reason_and_an_owner() {
    let bell = attacked().await;
    let ada = bell.case_of("abaraa").await.id.to_string();
    let empty = case(&bell, &["unreached"]);
    assert_eq!(
        (empty.code, empty.out.trim()),
        (0, "everybody who has to be told has been reached")
    );
    let answer = case(&bell, &["missed", &ada, "--why", "absent"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let answer = case(&bell, &["unreached"]);
    assert!(
        answer.out.contains("absent") && answer.out.contains("nobody yet"),
        "{answer:?}"
    );
    let answer = case(&bell, &["assign", &ada, "--to", "zoe"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert_eq!(case(&bell, &["assign", &ada, "--to", "ben"]).code, 0);
    let answer = program(&bell.path("bell.toml"), &["--json", "case", "unreached"]);
    let queue: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(queue[0]["by"], "ben");
    assert_eq!(queue[0]["why"], "absent");
    assert!(
        queue[0]["deadline_at"].is_string(),
        "the clock runs for those whom nobody reaches: {queue}"
    );
    let answer = case(&bell, &["told", &ada, "--how", "by phone"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(case(&bell, &["unreached"]).out.trim(), empty.out.trim());
    for wrong in ["lazy", ""] {
        let answer = case(&bell, &["missed", &ada, "--why", wrong]);
        assert_eq!(answer.code, 2, "{answer:?}");
        assert!(
            answer
                .err
                .contains("absent, no_answer, ownerless, mailbox_disabled"),
            "{answer:?}"
        );
    }
    bell.books().await;
}

#[tokio::test]
async fn a_help_desks_list_of_calls_comes_back_with_grades_and_closes_nothing() {
    let bell = attacked().await;
    let number = async |sam: &str| bell.case_of(sam).await.id.to_string();
    let (ada, bea, colin) = (
        number("abaraa").await,
        number("brightb").await,
        number("coxc").await,
    );
    let list = bell.write(
        "in/calls.csv",
        format!(
            "\u{FEFF}Case;Told;Date;Said;Grade\r\n{ada};yes;2026-03-02 09:00;done;C\r\n{bea};no;;;\r\n{colin};yes;2026-03-02;need_help;\r\n999;yes;;;\r\n\
             {ada};perhaps;;;\r\n{ada};yes;1999-01-01;;\r\n{ada};yes;;done;A\r\n{colin};;;;\r\nx;yes;;;\r\n{ada};yes;2026-03-02 09:00;done;C\r\n"
        ),
    );
    let answer = case(&bell, &["told", "--csv", list.to_str().unwrap()]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.out.starts_with(
            "3 told, 1 not reached, 2 replies written down; 1 lines not filled in yet"
        ),
        "{answer:?}"
    );
    for bad in [
        "line 5: there is no case of this number",
        "line 6: told is neither yes nor no",
        "line 7: the date is before the case opened",
        "line 8: grade is none of C, D and E",
        "line 10: the case is no number",
    ] {
        assert!(answer.out.contains(bad), "{bad}: {answer:?}");
    }
    assert!(matches!(
        bell.case_of("abaraa").await.state,
        CaseState::Notified { .. }
    ));
    assert!(matches!(
        bell.case_of("brightb").await.state,
        CaseState::Open
    ));
    assert_eq!(
        bell.case_of("brightb").await.not_reached.as_deref(),
        Some("no_answer")
    );
    let tasks = bell.tasks_of("coxc").await;
    assert!(
        tasks
            .iter()
            .any(|(kind, reason)| (kind.as_str(), reason.as_str()) == ("help", "need_help")),
        "{tasks:?}"
    );
    let shown = case(&bell, &["show", &ada]);
    assert!(
        shown
            .out
            .contains("said done (phone), grade C: closes nothing"),
        "{shown:?}"
    );
    bell.books().await;
}

#[tokio::test]
async fn what_a_person_says_never_closes_a_case_and_help_is_a_task_that_somebody_ends() {
    let bell = attacked().await;
    let ada = bell.case_of("abaraa").await.id.to_string();
    let answer = case(
        &bell,
        &["reply", &ada, "--said", "done", "--by", "in_person"],
    );
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(
        answer
            .out
            .contains("stays open until the directory proves it"),
        "{answer:?}"
    );
    let answer = case(&bell, &["reply", &ada, "--said", "done", "--grade", "a"]);
    assert_eq!(answer.code, 2, "what people say is never A: {answer:?}");
    assert_eq!(bell.case_of("abaraa").await.state, CaseState::Open);
    assert_eq!(case(&bell, &["reply", &ada, "--said", "need_help"]).code, 0);
    let tasks = program(&bell.path("bell.toml"), &["--json", "tasks"]);
    let tasks: Value = serde_json::from_str(&tasks.out).unwrap();
    let help = tasks
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["kind"] == "help")
        .unwrap();
    let id = help["id"].to_string();
    let done = [
        "--as",
        "ben",
        "tasks",
        "--done",
        &id,
        "--note",
        "sat beside them",
    ];
    assert_eq!(program(&bell.path("bell.toml"), &done).code, 0);
    let again = program(&bell.path("bell.toml"), &done);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(
        again.err.contains("no open task of this number"),
        "{again:?}"
    );
    bell.books().await;
}

#[tokio::test]
async fn one_operator_lets_a_case_rest_for_days_and_never_a_compromised_one() {
    let bell = attacked().await;
    let (ada, bea) = (
        bell.case_of("abaraa").await.id,
        bell.case_of("brightb").await.id.to_string(),
    );
    let soon = Clock::System.now().plus(TimeDelta::days(2)).to_string();
    let late = Clock::System.now().plus(TimeDelta::days(20)).to_string();
    for (words, why) in [
        (
            ["snooze", &bea, "--until", &soon, "--reason", "on leave"],
            "compromised",
        ),
        (
            [
                "snooze",
                &ada.to_string(),
                "--until",
                &late,
                "--reason",
                "on leave",
            ],
            "within seven days",
        ),
        (
            [
                "snooze",
                &ada.to_string(),
                "--until",
                FOUND,
                "--reason",
                "on leave",
            ],
            "within seven days",
        ),
        (
            ["snooze", "999", "--until", &soon, "--reason", "on leave"],
            "there is no case 999",
        ),
    ] {
        let answer = case(&bell, &words);
        assert_ne!(answer.code, 0, "{answer:?}");
        assert!(answer.err.contains(why), "{why}: {answer:?}");
    }
    // It rests, comes back by itself, and its person is told as if nothing had been.
    let until = bell.now().plus(TimeDelta::days(2));
    exempt::snooze(&bell.app, ada, until, "on leave", "ann")
        .await
        .unwrap();
    let resting = case(&bell, &["resting"]);
    assert!(resting.out.contains("snoozed until"), "{resting:?}");
    bell.campaign().await;
    bell.deliver().await;
    assert!(
        !bell
            .readers()
            .contains(&"ada.abara@parl.example".to_owned()),
        "{:?}",
        bell.readers()
    );
    bell.advance(TimeDelta::days(2));
    bell.campaign().await;
    bell.deliver().await;
    assert!(
        bell.readers()
            .contains(&"ada.abara@parl.example".to_owned()),
        "{:?}",
        bell.readers()
    );
    bell.books().await;
}

#[tokio::test]
async fn a_closing_says_in_which_way_and_from_which_source_and_a_later_audit_verifies_it() {
    let bell = attacked().await;
    bell.campaign().await;
    bell.deliver().await;
    bell.advance(TimeDelta::days(1));
    bell.evidence(&[
        ("abaraa", "2026-03-03T07:00:00Z", false),
        ("coxc", "", true),
    ])
    .await;
    let (ada, colin) = (bell.case_of("abaraa").await, bell.case_of("coxc").await);
    assert!(matches!(
        ada.state,
        CaseState::Closed {
            closed_as: ClosedAs::Reset,
            ..
        }
    ));
    assert_eq!(ada.closed_reason, Some(ClosingReason::PasswordChanged));
    assert_eq!(colin.closed_reason, Some(ClosingReason::AccountDisabled));
    assert_eq!(ada.standing, Standing::Reset);
    let detail = bell
        .column("SELECT detail FROM ledger WHERE act = 'case.closed.reset'")
        .await;
    let detail: Value = serde_json::from_str(&detail[0]).unwrap();
    assert_eq!(detail["reason"], "password_changed");
    assert_eq!(detail["grade"], "B");
    assert_eq!(detail["source"], bell.app.config.evidence[0].name.as_str());
    // An audit that was taken after the change, and does not list her, proves more than the change.
    bell.advance(TimeDelta::days(7));
    let again = bell
        .audit("second", &[("deverauxd", "weak", "2026-03-09T10:00:00Z")])
        .await;
    assert_eq!(again.verified, 1);
    assert_eq!(bell.case_of("abaraa").await.standing, Standing::Verified);
    let shown = case(&bell, &["show", &ada.id.to_string()]);
    assert!(
        shown
            .out
            .contains("closed: the password was changed; a later audit looked at the new password"),
        "{shown:?}"
    );
    bell.books().await;
}

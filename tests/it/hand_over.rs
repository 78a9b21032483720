//! The last rung: a file, a webhook that fails and falls silent, and a real directory.

use std::time::Duration;

use chrono::TimeDelta;
use division_bell::steps::hand_over::{HandedOver, Verdict, decide, hand_over, rehearse};
use division_bell::store::HandOver;

use crate::support::flow::{Bell, Setup, five};
use crate::support::webhook::{Answers, SECRET, Webhook};

const AUDIT: &str = "2026-03-01T06:00:00Z";
/// The working day after the managers' of an attacked account, and of a breached one.
const LAST_RUNG: &str = "2026-03-10T10:30:00Z";

/// Ada was attacked and Bea is on a list of stolen passwords; both were told, and did nothing.
async fn silent(setup: Setup) -> Bell {
    let bell = Bell::with(setup).await;
    bell.people(&five()).await;
    bell.audit(
        "one",
        &[
            ("abaraa", "attacked", AUDIT),
            ("brightb", "breached", AUDIT),
        ],
    )
    .await;
    bell.campaign().await;
    bell.deliver().await;
    bell
}

/// The same, at the last rung.
async fn at_the_end(setup: Setup) -> Bell {
    let bell = silent(setup).await;
    bell.at(LAST_RUNG);
    bell.notify().await;
    bell
}

fn with(more: &str) -> Setup {
    Setup {
        more: format!("[hand_over]\n{more}\n"),
        ..Setup::default()
    }
}

async fn pass(bell: &Bell) -> HandedOver {
    hand_over(&bell.app).await.unwrap()
}

async fn all(bell: &Bell) -> Vec<HandOver> {
    let mut tx = bell.app.store.read().await.unwrap();
    tx.hand_overs(0, false, 100).await.unwrap()
}

async fn acts(bell: &Bell, sam: &str) -> Vec<String> {
    bell.column(&format!(
        "SELECT l.act FROM ledger l JOIN cases c ON c.id = l.case_id JOIN accounts a ON a.id = c.account_id WHERE a.sam = '{sam}' AND l.act LIKE 'case.hand%' ORDER BY l.id"
    ))
    .await
}

#[tokio::test]
async fn without_a_way_to_the_provider_the_last_rung_is_a_human_beings_work() {
    let bell = at_the_end(Setup::default()).await;
    assert_eq!(pass(&bell).await, HandedOver::default());
    for sam in ["abaraa", "brightb"] {
        assert_eq!(
            bell.tasks_of(sam).await,
            [("hand_over".to_owned(), "deadline_passed".to_owned())]
        );
    }
}

#[tokio::test]
async fn a_file_gets_one_line_an_account_with_what_its_ladder_demands() {
    let bell = at_the_end(with("kind = \"file\"\nfile = \"hand-over.csv\"")).await;
    let handed = pass(&bell).await;
    assert_eq!(handed.done, 2, "{handed}");
    let text = std::fs::read_to_string(bell.path("hand-over.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "account,login,demand,reference,at,key");
    assert!(
        lines[1].starts_with("id-abaraa,abaraa,force_change,DB-2603-"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("id-brightb,brightb,block_sign_in,DB-2603-"),
        "{text}"
    );
    assert_eq!(lines.len(), 3);
    // It is proven, and nobody's work any more; and it is not asked for twice.
    assert!(bell.tasks_of("abaraa").await.is_empty());
    let proofs = all(&bell).await;
    assert!(
        proofs.iter().all(|one| one
            .proof
            .as_deref()
            .is_some_and(|proof| proof.starts_with("sha256 "))),
        "{proofs:?}"
    );
    assert_eq!(
        acts(&bell, "abaraa").await,
        [
            "case.hand_over_due",
            "case.hand_over_asked",
            "case.handed_over"
        ]
    );
    assert_eq!(pass(&bell).await, HandedOver::default());
    assert_eq!(
        std::fs::read_to_string(bell.path("hand-over.csv")).unwrap(),
        text
    );
    bell.books().await;
}

#[tokio::test]
async fn whoever_has_done_it_or_is_exempt_is_not_handed_over() {
    let bell = silent(with("kind = \"file\"\nfile = \"hand-over.csv\"")).await;
    bell.at(LAST_RUNG);
    bell.notify().await;
    // Both are due; one is proven and the other exempted before the pass.
    bell.evidence(&[("abaraa", "2026-03-10T09:00:00Z", false)])
        .await;
    let bea = bell.case_of("brightb").await;
    division_bell::steps::exempt::exempt(
        &bell.app,
        bea.id,
        bell.now().plus(TimeDelta::days(2)),
        "on leave",
        "ann",
        "ben",
    )
    .await
    .unwrap();
    assert_eq!(pass(&bell).await, HandedOver::default());
    assert!(!bell.path("hand-over.csv").exists());
    // An exemption ends, and with it the rest.
    bell.advance(TimeDelta::days(3));
    assert_eq!(pass(&bell).await.done, 1);
}

#[tokio::test]
async fn a_campaign_that_stands_still_hands_nobody_over() {
    let bell = at_the_end(with("kind = \"file\"\nfile = \"hand-over.csv\"")).await;
    let campaign = bell
        .app
        .store
        .read()
        .await
        .unwrap()
        .campaigns()
        .await
        .unwrap();
    division_bell::steps::campaign::pause(&bell.app, campaign[0].id, "ann", None)
        .await
        .unwrap();
    assert_eq!(pass(&bell).await, HandedOver::default());
    division_bell::steps::campaign::resume(&bell.app, campaign[0].id, "ann")
        .await
        .unwrap();
    assert_eq!(pass(&bell).await.done, 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_tried_again_and_a_crash_in_the_middle_is_asked_about() {
    let bell = at_the_end(with("kind = \"file\"\nfile = \"gone/hand-over.csv\"")).await;
    let handed = pass(&bell).await;
    assert_eq!((handed.done, handed.again), (0, 2), "{handed}");
    assert_eq!(pass(&bell).await, HandedOver::default(), "not at once");
    std::fs::create_dir(bell.path("gone")).unwrap();
    bell.advance(TimeDelta::minutes(2));
    assert_eq!(pass(&bell).await.done, 2);

    // A worker that died between the commit and the line: nobody knows whether it was written.
    let bell = at_the_end(with("kind = \"file\"\nfile = \"hand-over.csv\"")).await;
    died_in_the_middle(&bell, "file").await;
    assert_eq!(pass(&bell).await, HandedOver::default(), "it may be alive");
    bell.advance(TimeDelta::minutes(20));
    let handed = pass(&bell).await;
    assert_eq!((handed.done, handed.in_doubt), (0, 2), "{handed}");
    assert!(!bell.path("hand-over.csv").exists());
    let tasks = bell.tasks_of("abaraa").await;
    assert!(
        tasks.contains(&("decide".to_owned(), "hand_over_in_doubt".to_owned())),
        "{tasks:?}"
    );
    // A look into the file decides.
    let ids: Vec<i64> = all(&bell).await.iter().map(|one| one.id).collect();
    decide(&bell.app, ids[0], Verdict::Again, "no such line", "ann")
        .await
        .unwrap();
    decide(&bell.app, ids[1], Verdict::Done, "the line is there", "ann")
        .await
        .unwrap();
    assert_eq!(pass(&bell).await.done, 1);
    let text = std::fs::read_to_string(bell.path("hand-over.csv")).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(bell.tasks_of("abaraa").await.is_empty());
    assert!(bell.tasks_of("brightb").await.is_empty());
    bell.books().await;
}

/// Both were committed by a worker that is no more.
async fn died_in_the_middle(bell: &Bell, kind: &'static str) {
    let now = bell.now();
    let mut tx = bell.app.store.begin().await.unwrap();
    let due = tx
        .hand_overs_due(division_bell::domain::CaseId(0), 10, now)
        .await
        .unwrap();
    let drafts: Vec<_> = due
        .iter()
        .map(|one| division_bell::store::HandOverDraft {
            case_id: one.case.0,
            demand: one.demand.word(),
            kind,
            key: format!("{}-{}", one.reference, one.case),
        })
        .collect();
    let claims = tx
        .begin_hand_overs(&drafts, now.plus(TimeDelta::minutes(15)), now)
        .await
        .unwrap();
    assert_eq!(claims.len(), 2);
    tx.commit().await.unwrap();
}

/// A webhook, and two people whom it is to be asked about.
async fn hooked(answers: &[Answers]) -> (Bell, Webhook) {
    let hook = Webhook::start(answers).await;
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let more = format!(
        "kind = \"webhook\"\nurl = \"{}\"\nsecret_file = \"{}\"\ntimeout = \"1 s\"",
        hook.url,
        secret.display()
    );
    let bell = at_the_end(with(&more)).await;
    (bell, hook)
}

#[tokio::test]
async fn a_webhook_is_asked_once_and_its_answer_is_the_proof() {
    let (bell, hook) = hooked(&[]).await;
    let handed = pass(&bell).await;
    assert_eq!(handed.done, 2, "{handed}");
    assert_eq!(pass(&bell).await, HandedOver::default());
    let seen = hook.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0]["account"], "id-abaraa");
    assert_eq!(seen[0]["demand"], "force_change");
    let all = all(&bell).await;
    assert_eq!(
        all[0].proof.as_deref(),
        Some(format!("status 202, id idp-{}", all[0].key).as_str())
    );
    // Nothing that is kept or said holds what it is signed with.
    let content = format!("{:?}", bell.content().await);
    assert!(!content.contains(SECRET));
}

#[tokio::test]
async fn a_webhook_that_fails_or_falls_silent_is_asked_again_under_the_same_key() {
    let (bell, hook) = hooked(&[
        Answers::Status(500),
        Answers::DoesAndHangs(Duration::from_secs(30)),
    ])
    .await;
    let handed = pass(&bell).await;
    assert_eq!((handed.done, handed.again), (0, 2), "{handed}");
    assert_eq!(
        hook.done(),
        1,
        "one of them was done, and we do not know it"
    );
    bell.advance(TimeDelta::minutes(2));
    assert_eq!(pass(&bell).await.done, 2);
    assert_eq!((hook.seen().len(), hook.done()), (4, 2));
    assert_eq!(
        acts(&bell, "abaraa").await,
        [
            "case.hand_over_due",
            "case.hand_over_asked",
            "case.hand_over_again",
            "case.hand_over_asked",
            "case.handed_over"
        ]
    );
    bell.books().await;
}

#[tokio::test]
async fn what_a_webhook_refuses_or_never_answers_is_left_to_human_beings() {
    let refusals = [Answers::Status(422), Answers::Status(503)];
    let (bell, hook) = hooked(&[&refusals[..], &[Answers::Status(503); 20]].concat()).await;
    let handed = pass(&bell).await;
    assert_eq!((handed.by_hand, handed.again), (1, 1), "{handed}");
    for _ in 0..10 {
        bell.advance(TimeDelta::hours(5));
        pass(&bell).await;
    }
    // One that was refused and eight tries of the other.
    assert_eq!((hook.seen().len(), hook.done()), (9, 0));
    let reasons: Vec<String> = [
        bell.tasks_of("abaraa").await,
        bell.tasks_of("brightb").await,
    ]
    .concat()
    .into_iter()
    .map(|(kind, reason)| format!("{kind} {reason}"))
    .collect();
    assert_eq!(reasons.len(), 2);
    assert!(
        reasons.contains(&"hand_over refused".to_owned()),
        "{reasons:?}"
    );
    assert!(
        reasons.contains(&"hand_over busy".to_owned()),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn a_crash_after_a_webhook_was_asked_is_settled_by_asking_again() {
    let (bell, hook) = hooked(&[]).await;
    died_in_the_middle(&bell, "webhook").await;
    bell.advance(TimeDelta::minutes(20));
    let handed = pass(&bell).await;
    assert_eq!((handed.done, handed.in_doubt), (2, 0), "{handed}");
    assert_eq!(hook.done(), 2);
    assert!(all(&bell).await.iter().all(|one| one.tries == 2));
}

#[tokio::test]
async fn a_look_says_what_would_be_asked_and_asks_nothing() {
    let (bell, hook) = hooked(&[]).await;
    let rehearsal = rehearse(&bell.app, "ann").await.unwrap().unwrap();
    assert_eq!(rehearsal.would.len(), 2);
    assert!(
        rehearsal.to_string().contains("nothing was done"),
        "{rehearsal}"
    );
    assert_eq!(hook.seen().len(), 0);
    assert!(all(&bell).await.is_empty());
}

#[tokio::test]
async fn a_check_reaches_the_webhook_and_asks_for_nothing() {
    use division_bell::channels::HandOvers;
    use division_bell::channels::hand_over::{HandOverFile, Webhook as Way};
    use division_bell::clock::Clock;

    let webhook = Webhook::start(&[]).await;
    let check = async |url: &str| {
        let secret = SECRET.into();
        let patience = std::time::Duration::from_secs(2);
        let way = Way::new(url, &secret, Clock::System, patience).unwrap();
        HandOvers::Webhook(way).check().await
    };
    let fine = check(&webhook.url).await.unwrap();
    assert!(fine.contains("the webhook answers (status 405)"), "{fine}");
    let elsewhere = webhook.url.replace("/hand-over", "/nowhere");
    let told = check(&elsewhere).await.unwrap_err();
    assert!(
        told.contains("nothing is at the webhook's address (status 404)"),
        "{told}"
    );
    assert_eq!((webhook.seen().len(), webhook.done()), (0, 0));
    let [port] = crate::support::free_ports::<1>();
    let told = check(&format!("http://127.0.0.1:{port}/")).await;
    assert!(
        told.as_ref()
            .is_err_and(|told| told.contains("cannot be reached")),
        "{told:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hand-over.csv");
    let check =
        async |path: &std::path::Path| HandOvers::File(HandOverFile::new(path)).check().await;
    assert!(
        check(&file)
            .await
            .unwrap()
            .contains("is made with the first")
    );
    assert!(!file.exists(), "a check writes nothing");
    let told = check(&folder.path().join("none/hand-over.csv")).await;
    assert!(
        told.as_ref()
            .is_err_and(|told| told.contains("its folder is not there")),
        "{told:?}"
    );
}

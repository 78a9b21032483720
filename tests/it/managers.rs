//! Managers: told once, of whom it is still true, and never why.

use chrono::TimeDelta;
use division_bell::domain::Moment;

use crate::support::flow::{Bell, Letter, Setup, Staff, five, moment, staff};

const AUDIT: &str = "2026-03-01T06:00:00Z";
const BOSS: &str = "emeka.ekwueme@parl.example";
/// When the rungs of an attacked account are climbed that begins on Monday.
const REMINDERS: [&str; 3] = [
    "2026-03-03T10:05:00Z",
    "2026-03-04T10:05:00Z",
    "2026-03-05T13:05:00Z",
];
const MANAGERS: &str = "2026-03-09T10:05:00Z";

fn switched_on() -> Setup {
    Setup {
        more: "[campaign]\nannounce_lead = \"0 s\"\ntell_managers = true\nmanagers_agreed_by = \"Joan Hill, head of HR\"\nmanagers_agreed_on = \"2026-03-02\"\n".to_owned(),
        ..Setup::default()
    }
}

/// Five people, of whom Emeka manages these.
fn managed(whom: &[&str]) -> Vec<Staff> {
    five()
        .into_iter()
        .map(|one| Staff {
            manager: if whom.contains(&one.sam.as_str()) {
                BOSS.to_owned()
            } else {
                String::new()
            },
            ..one
        })
        .collect()
}

/// They were told of an attack, and reminded three times.
async fn reminded(setup: Setup, people: &[Staff], whom: &[&str]) -> Bell {
    let bell = Bell::with(setup).await;
    bell.people(people).await;
    let lines: Vec<_> = whom.iter().map(|sam| (*sam, "attacked", AUDIT)).collect();
    bell.audit("one", &lines).await;
    bell.campaign().await;
    bell.deliver().await;
    for at in REMINDERS {
        bell.at(at);
        bell.notify().await;
        bell.deliver().await;
    }
    bell
}

fn to_boss(bell: &Bell) -> Vec<Letter> {
    let mut letters = bell.letters();
    letters.retain(|one| one.to == BOSS);
    letters
}

async fn at_their_rung(bell: &Bell) {
    bell.at(MANAGERS);
    bell.notify().await;
    bell.deliver().await;
}

async fn acts(bell: &Bell, sam: &str) -> Vec<String> {
    bell.column(&format!(
        "SELECT l.act FROM ledger l JOIN cases c ON c.id = l.case_id JOIN accounts a ON a.id = c.account_id WHERE a.sam = '{sam}' AND l.act LIKE 'case.manager%' ORDER BY l.id"
    ))
    .await
}

#[tokio::test]
async fn a_manager_gets_one_letter_that_names_people_and_dates_and_never_why() {
    let both = ["abaraa", "brightb"];
    let bell = reminded(switched_on(), &managed(&both), &both).await;
    let first = bell.letters();
    assert!(
        first
            .iter()
            .any(|one| one.text.contains("We will also tell your manager")),
        "whoever is told says so beforehand"
    );
    at_their_rung(&bell).await;
    let letters = to_boss(&bell);
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert!(letter.subject.contains("a task for your team"));
    for said in [
        "Ada Abara, due by Thu 5 March",
        "Bea Bright, due by Thu 5 March",
    ] {
        assert!(letter.text.contains(said), "{}", letter.text);
    }
    let source = String::from_utf8_lossy(&letter.bytes).to_lowercase();
    for never in [
        "attack",
        "guess",
        "stolen",
        "breach",
        "weak",
        "in-reply-to",
        "references:",
        "colin",
    ] {
        assert!(!source.contains(never), "{never}: {source}");
    }
    // Its reference is nobody's: what the help desk looks up by theirs is for them alone.
    for own in bell.column("SELECT reference FROM threads").await {
        assert!(!source.contains(&own.to_lowercase()), "{own}");
    }
    assert_eq!(
        acts(&bell, "abaraa").await,
        ["case.manager_due", "case.manager_told"]
    );
    // Once for ever.
    for _ in 0..6 {
        bell.advance(TimeDelta::hours(12));
        bell.notify().await;
        bell.deliver().await;
    }
    assert_eq!(to_boss(&bell).len(), 1);
    bell.books().await;
}

#[tokio::test]
async fn without_hrs_switch_no_manager_hears_of_anything() {
    let both = ["abaraa", "brightb"];
    let bell = reminded(Setup::default(), &managed(&both), &both).await;
    at_their_rung(&bell).await;
    assert!(to_boss(&bell).is_empty());
    assert!(
        bell.letters()
            .iter()
            .all(|one| !one.text.contains("your manager"))
    );
    assert!(acts(&bell, "abaraa").await.is_empty());
}

#[tokio::test]
async fn hr_may_change_its_mind_before_the_letter_is_written() {
    let mut bell = reminded(switched_on(), &managed(&["abaraa"]), &["abaraa"]).await;
    let off = bell
        .text
        .replace("tell_managers = true", "tell_managers = false");
    bell.restart_with(off).await;
    at_their_rung(&bell).await;
    assert!(to_boss(&bell).is_empty());
}

#[tokio::test]
async fn whoever_does_it_before_the_letter_goes_is_not_in_it() {
    // Whether it is the first one named, or another.
    for (done, left) in [("abaraa", "Bea Bright"), ("brightb", "Ada Abara")] {
        let both = ["abaraa", "brightb"];
        let bell = reminded(switched_on(), &managed(&both), &both).await;
        bell.at(MANAGERS);
        assert_eq!(bell.notify().await.managers, 1);
        bell.advance(TimeDelta::minutes(10));
        bell.evidence(&[(done, "2026-03-09T10:00:00Z", false)])
            .await;
        bell.deliver().await;
        assert!(to_boss(&bell).is_empty(), "{done}");
        assert_eq!(bell.notify().await.managers, 1);
        bell.deliver().await;
        let letters = to_boss(&bell);
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].text.matches("due by").count(), 1);
        assert!(letters[0].text.contains(left), "{}", letters[0].text);
        bell.books().await;
    }
}

#[tokio::test]
async fn nobody_who_was_not_reached_or_is_exempt_is_named() {
    let all = ["abaraa", "brightb", "coxc"];
    let bell = reminded(switched_on(), &managed(&all), &all).await;
    // Ada's notice and reminders all came back after all.
    for row in bell.rows("SELECT x.id, x.recipient FROM deliveries x JOIN threads t ON t.id = x.thread_id JOIN accounts a ON a.holder_id = t.person_id WHERE a.sam = 'abaraa'").await {
        let to = bell.app.letters.bounce_address(row[0].parse().unwrap()).unwrap();
        bell.write(
            &format!("bounces/new/{}.mail", row[0]),
            format!(
                "Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@relay.example\r\nTo: {to}\r\nSubject: Undelivered\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
                 Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nNo.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
                 Reporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; {who}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n",
                to = to.expose(),
                who = row[1],
            ),
        );
    }
    division_bell::steps::inbox::receive(&bell.app)
        .await
        .unwrap();
    let bea = bell.case_of("brightb").await;
    let until: Moment = moment("2026-03-11T00:00:00Z");
    division_bell::steps::exempt::exempt(&bell.app, bea.id, until, "ill", "ann", "ben")
        .await
        .unwrap();
    at_their_rung(&bell).await;
    let letters = to_boss(&bell);
    assert_eq!(letters.len(), 1);
    assert!(letters[0].text.contains("Colin Cox"));
    assert!(
        !letters[0].text.contains("Ada Abara"),
        "she was not reached"
    );
    assert!(!letters[0].text.contains("Bea Bright"), "she is exempt");
}

#[tokio::test]
async fn where_no_letter_can_go_a_human_being_speaks_with_somebody() {
    let bosses = |boss: &'static str| -> Vec<Staff> {
        five()
            .into_iter()
            .map(|one| Staff {
                manager: boss.to_owned(),
                enabled: one.sam != "ekwuemee" || boss != BOSS,
                ..one
            })
            .collect()
    };
    for (people, why) in [
        (five(), "no_manager"),
        (bosses("ada.abara@parl.example"), "own_manager"),
        (bosses(BOSS), "manager_gone"),
    ] {
        let bell = reminded(switched_on(), &people, &["abaraa"]).await;
        at_their_rung(&bell).await;
        assert_eq!(
            bell.tasks_of("abaraa").await,
            [("manager".to_owned(), why.to_owned())]
        );
        assert!(to_boss(&bell).is_empty());
    }
}

#[tokio::test]
async fn nothing_is_written_to_a_manager_whose_mailbox_an_intruder_may_read() {
    let bell = reminded(switched_on(), &managed(&["abaraa"]), &["abaraa"]).await;
    bell.audit(
        "two",
        &[("ekwuemee", "compromised", "2026-03-08T06:00:00Z")],
    )
    .await;
    at_their_rung(&bell).await;
    assert!(to_boss(&bell).is_empty());
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("manager".to_owned(), "manager_compromised".to_owned())]
    );
}

#[tokio::test]
async fn of_a_compromised_account_a_manager_learns_only_that_somebody_needs_time() {
    let bell = Bell::with(switched_on()).await;
    bell.people(&managed(&["deverauxd"])).await;
    bell.audit("one", &[("deverauxd", "compromised", AUDIT)])
        .await;
    bell.contain("deverauxd").await;
    bell.campaign().await;
    assert!(to_boss(&bell).is_empty(), "not before she was told herself");
    bell.deliver().await;
    bell.notify().await;
    bell.deliver().await;
    let letters = to_boss(&bell);
    assert_eq!(letters.len(), 1);
    let text = &letters[0].text;
    assert!(
        text.contains("cannot sign in for now") && text.contains("Dora Deveraux"),
        "{text}"
    );
    for never in ["due by", "someone else", "compromised", "reminders"] {
        assert!(!text.contains(never), "{never}: {text}");
    }
}

#[tokio::test]
async fn a_letter_to_a_manager_that_is_in_doubt_stops_and_asks() {
    let bell = reminded(switched_on(), &managed(&["abaraa"]), &["abaraa"]).await;
    bell.at(MANAGERS);
    bell.notify().await;
    // A worker took it, began, and died.
    let now = bell.now();
    let mut tx = bell.app.store.begin().await.unwrap();
    let claims = tx
        .claim(10, "dead", now.plus(TimeDelta::minutes(5)), now)
        .await
        .unwrap();
    assert_eq!(claims.len(), 1);
    let begun = tx
        .begin_attempts(&[(claims[0].id, claims[0].thread)], "dead", now)
        .await
        .unwrap();
    assert_eq!(begun.len(), 1);
    tx.commit().await.unwrap();
    for _ in 0..3 {
        bell.advance(TimeDelta::hours(1));
        bell.notify().await;
        bell.deliver().await;
    }
    assert!(to_boss(&bell).is_empty(), "it may have arrived");
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("decide".to_owned(), "manager_in_doubt".to_owned())]
    );
    // A look at the relay's log decides.
    let mut tx = bell.app.store.begin().await.unwrap();
    let verdict = division_bell::store::Verdict::Again;
    tx.decide_doubt(claims[0].id, verdict, "ann", "not in the log", bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(bell.tasks_of("abaraa").await.is_empty());
    bell.deliver().await;
    assert_eq!(to_boss(&bell).len(), 1);
    assert_eq!(
        acts(&bell, "abaraa").await,
        ["case.manager_due", "case.manager_told"]
    );
}

#[tokio::test]
async fn more_people_than_fit_into_a_letter_wait_for_the_next_days() {
    let people: Vec<Staff> = (0..10)
        .map(|n| Staff {
            manager: BOSS.to_owned(),
            ..staff(
                &format!("s{n}"),
                &format!("s{n}@parl.example"),
                &format!(
                    "Staff {}",
                    [
                        "Ant", "Bee", "Cat", "Dog", "Elk", "Fox", "Gnu", "Hen", "Ibis", "Jay"
                    ][n]
                ),
            )
        })
        .chain(five())
        .collect();
    let sams: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    let sams: Vec<&str> = sams.iter().map(String::as_str).collect();
    let bell = reminded(switched_on(), &people, &sams).await;
    at_their_rung(&bell).await;
    bell.advance(TimeDelta::hours(2));
    bell.notify().await;
    bell.deliver().await;
    assert_eq!(to_boss(&bell).len(), 1, "one a day");
    bell.advance(TimeDelta::days(1));
    bell.notify().await;
    bell.deliver().await;
    let letters = to_boss(&bell);
    assert_eq!(letters.len(), 2);
    let named: usize = letters
        .iter()
        .map(|one| one.text.matches("due by").count())
        .sum();
    assert_eq!(named, 10);
}

#[tokio::test]
async fn a_delegate_learns_that_there_is_a_task_and_the_principal_hears_of_it_another_way() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    let config = bell.path("bell.toml");
    let say = |words: &[&str]| crate::support::program::bell(&config, words);
    // Emeka reads the mail of Dora, who has another address, and of Ada, who has none.
    for sam in ["deverauxd", "abaraa"] {
        let said = say(&["people", "delegate", sam, "--to", "ekwuemee"]);
        assert_eq!(said.code, 0, "{}", said.err);
    }
    assert_eq!(say(&["people", "delegate", "coxc", "--to", "coxc"]).code, 2);
    bell.audit(
        "one",
        &[
            ("deverauxd", "breached", AUDIT),
            ("abaraa", "attacked", AUDIT),
        ],
    )
    .await;
    let draft = bell.draft().await;
    assert_eq!(draft.people, 1, "Ada is told by a human being");
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("reach".to_owned(), "read_by_others".to_owned())]
    );
    bell.approve(draft.id).await.unwrap();
    bell.notify().await;
    bell.deliver().await;
    bell.notify().await;
    bell.deliver().await;
    assert_eq!(bell.readers(), ["dora@home.example", BOSS]);
    let letter = &to_boss(&bell)[0];
    assert!(
        letter.text.contains("Dora Deveraux, due by Wed 4 March"),
        "{}",
        letter.text
    );
    let source = String::from_utf8_lossy(&letter.bytes).to_lowercase();
    for never in ["breach", "stolen", "list of", "in-reply-to", "ada abara"] {
        assert!(!source.contains(never), "{never}: {source}");
    }
    let acts = bell
        .column("SELECT act FROM ledger WHERE act LIKE 'case.delegate%' ORDER BY id")
        .await;
    assert_eq!(acts, ["case.delegate_due", "case.delegate_told"]);
    // Thanks go past the delegate as well, and reminders do.
    bell.at("2026-03-03T10:05:00Z");
    bell.notify().await;
    bell.evidence(&[("deverauxd", "2026-03-03T09:00:00Z", false)])
        .await;
    bell.deliver().await;
    assert_eq!(to_boss(&bell).len(), 1);
    assert!(
        bell.readers()
            .iter()
            .all(|to| to != "dora.deveraux@parl.example")
    );
    // Nobody else reads it any more: then it is their own again.
    assert_eq!(say(&["people", "delegate", "abaraa", "--end"]).code, 0);
    assert_eq!(bell.draft().await.people, 1);
    bell.books().await;
}

#[tokio::test]
async fn a_ladder_is_frozen_when_its_campaign_is_drafted() {
    let mut bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("one", &[("abaraa", "weak", AUDIT)]).await;
    bell.campaign().await;
    bell.deliver().await;
    let faster = format!(
        "{}\n[ladder.weak]\ndeadline_days = 5\nreminder_days = [1, 2, 3]\n",
        bell.text
    );
    bell.restart_with(faster).await;
    bell.run_until("2026-03-06T09:30:00Z").await;
    assert_eq!(
        bell.letters().len(),
        1,
        "nothing before its own first reminder"
    );
    bell.run_until("2026-03-06T11:00:00Z").await;
    assert_eq!(bell.letters().len(), 2);
}

#[tokio::test]
async fn what_is_in_hand_when_its_reader_is_exempted_waits_with_them() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit(
        "one",
        &[
            ("abaraa", "attacked", AUDIT),
            ("brightb", "attacked", AUDIT),
        ],
    )
    .await;
    bell.campaign().await;
    // A first notice waits; it was leased already when its reader was exempted.
    let (now, until) = (bell.now(), moment("2026-03-04T08:00:00Z"));
    let mut tx = bell.app.store.begin().await.unwrap();
    let claimed = tx
        .claim(1, "other", now.plus(TimeDelta::minutes(5)), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let whose = claimed[0].recipient.expose().to_owned();
    let sam = if whose.starts_with("ada") {
        "abaraa"
    } else {
        "brightb"
    };
    let case = bell.case_of(sam).await;
    division_bell::steps::exempt::exempt(&bell.app, case.id, until, "ill", "ann", "ben")
        .await
        .unwrap();
    let mut tx = bell.app.store.begin().await.unwrap();
    let wanted = [(claimed[0].id, claimed[0].thread)];
    assert!(
        tx.begin_attempts(&wanted, "other", now)
            .await
            .unwrap()
            .is_empty()
    );
    let back = division_bell::store::GivenBack {
        delivery: claimed[0].id,
        thread: claimed[0].thread,
        attempt: None,
        due_at: None,
    };
    tx.give_back(&[back], "other", now).await.unwrap();
    tx.commit().await.unwrap();
    bell.deliver().await;
    assert_eq!(bell.letters().len(), 1, "the other's");
    bell.at("2026-03-04T08:30:00Z");
    bell.deliver().await;
    assert!(bell.readers().contains(&whose), "it waited, and went");
}

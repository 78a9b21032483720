//! Privacy: what is kept no longer than it may be, whom two operators erase, and what somebody is given about themselves. Figures
//! and the chain of seals stay what they were.

use chrono::TimeDelta;
use division_bell::domain::PersonId;
use division_bell::steps::exempt::exempt;
use division_bell::steps::privacy::{Erased, NotErased, erase, hold, purge};
use division_bell::steps::report::report;
use division_bell::steps::seal::{seal, verify};

use crate::support::flow::{Bell, Setup, databases, five};
use crate::support::program;

const DUMP: &str = "2026-03-01T02:00:00Z";
const REASON: &str = "on sick leave until the middle of May";

/// Five were told; Ada was exempt for a while, for a reason that somebody typed; all have changed their passwords.
async fn all_done(store: Option<String>) -> Bell {
    let bell = Bell::on(store).await;
    bell.people(&five()).await;
    let sams = ["abaraa", "brightb", "coxc", "deverauxd", "ekwuemee"];
    let lines: Vec<_> = sams.map(|sam| (sam, "weak", DUMP)).to_vec();
    bell.audit("march", &lines).await;
    bell.campaign().await;
    assert_eq!(bell.deliver().await.accepted, 5);
    let ada = bell.case_of("abaraa").await.id;
    bell.advance(TimeDelta::hours(1));
    let until = bell.now().plus(TimeDelta::hours(2));
    exempt(&bell.app, ada, until, REASON, "ann", "ben")
        .await
        .unwrap();
    bell.advance(TimeDelta::hours(4));
    let changed: Vec<_> = sams
        .map(|sam| (sam, "2026-03-02T12:30:00Z", false))
        .to_vec();
    let confirmed = bell.evidence(&changed).await;
    assert_eq!(confirmed.reset, 5, "{confirmed:?}");
    bell.deliver().await;
    bell
}

/// What stands anywhere in the database.
async fn everything(bell: &Bell) -> String {
    let content = bell.content().await;
    content
        .into_iter()
        .flat_map(|(table, rows)| {
            rows.into_iter()
                .map(move |row| format!("{table}: {}", row.join(" | ")))
        })
        .collect::<Vec<_>>()
        .join("\n")
        .to_lowercase()
}

fn lines_with<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.contains(&what.to_lowercase()))
        .collect()
}

async fn person(bell: &Bell, sam: &str) -> PersonId {
    bell.case_of(sam).await.person.unwrap()
}

#[tokio::test]
async fn what_was_kept_for_long_enough_goes_and_reports_and_the_chain_stay_what_they_were() {
    for store in databases().await {
        let bell = all_done(store).await;
        let then = bell.now();
        bell.advance(TimeDelta::minutes(1));
        let before = report(&bell.app, Some(then)).await.unwrap();
        bell.advance(TimeDelta::days(89));
        assert_eq!(purge(&bell.app, "bell").await.unwrap().letters, 0);
        bell.advance(TimeDelta::days(2));
        let letters = bell.count("SELECT COUNT(*) FROM deliveries").await;
        let first = purge(&bell.app, "bell").await.unwrap();
        assert_eq!(
            (first.letters.cast_signed(), first.people),
            (letters, 0),
            "{first}"
        );
        let text = everything(&bell).await;
        let named = lines_with(&text, "ada.abara@parl.example");
        assert!(
            named
                .iter()
                .all(|line| !line.starts_with("deliveries") && !line.starts_with("attempts")),
            "{named:?}"
        );

        bell.advance(TimeDelta::days(400));
        let second = purge(&bell.app, "bell").await.unwrap();
        assert_eq!((second.people, second.sentences), (5, 1), "{second}");
        let text = everything(&bell).await;
        assert_eq!(lines_with(&text, REASON), [""; 0]);
        // Whoever works here still does, and nothing leads from them to what was.
        let kept = bell.rows("SELECT COUNT(*) FROM cases c JOIN accounts a ON a.id = c.account_id WHERE a.left_at IS NULL").await;
        assert_eq!(kept, [["0"]]);
        let again = bell.people(&five()).await;
        assert_eq!((again.counts.joined, again.counts.left), (0, 0), "{again}");
        assert_eq!(
            purge(&bell.app, "bell").await.unwrap(),
            division_bell::steps::privacy::Purged::default()
        );

        seal(&bell.app).await.unwrap();
        let verified = verify(&bell.app.store, None, None).await.unwrap();
        assert!(verified.is_good() && verified.erased >= 1, "{verified}");
        let mut after = report(&bell.app, Some(then)).await.unwrap();
        // Nothing was sealed yet when the first was made.
        after.ledger = before.ledger.clone();
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn who_has_left_is_erased_by_two_operators_and_is_named_nowhere_any_more() {
    for store in databases().await {
        let bell = all_done(store).await;
        let ada = person(&bell, "abaraa").await;
        bell.advance(TimeDelta::days(1));
        bell.people(&five()[1..]).await;
        let text = everything(&bell).await;
        for what in ["Ada Abara", "ada.abara", "abaraa", REASON] {
            assert!(
                !lines_with(&text, what).is_empty(),
                "{what} is there before"
            );
        }
        assert_eq!(
            erase(&bell.app, ada, "ticket 12", "ann").await.unwrap(),
            Erased::Asked
        );
        let alone = erase(&bell.app, ada, "ticket 12", "Ann").await.unwrap_err();
        assert_eq!(
            alone.downcast_ref::<NotErased>(),
            Some(&NotErased::SamePerson)
        );
        assert_eq!(
            erase(&bell.app, ada, "ticket 12", "ben").await.unwrap(),
            Erased::Done(1)
        );
        let text = everything(&bell).await;
        for what in ["Ada Abara", "ada.abara", "abaraa", REASON] {
            assert_eq!(lines_with(&text, what), [""; 0], "{what}");
        }
        assert!(
            !lines_with(&text, "Bea Bright").is_empty(),
            "and nobody else"
        );
        let gone = erase(&bell.app, ada, "ticket 12", "ben").await.unwrap_err();
        assert_eq!(gone.downcast_ref::<NotErased>(), Some(&NotErased::Nobody));
        seal(&bell.app).await.unwrap();
        let verified = verify(&bell.app.store, None, None).await.unwrap();
        assert!(verified.is_good() && verified.erased == 1, "{verified}");
        let acts = bell
            .rows("SELECT actor, act FROM ledger WHERE act LIKE 'person.%' ORDER BY id")
            .await;
        assert_eq!(
            acts,
            [["ann", "person.erasure_asked"], ["ben", "person.erased"]]
        );
        let cases = bell
            .count("SELECT COUNT(DISTINCT person_id) FROM cases")
            .await;
        assert_eq!(cases, 5, "the case stays, as a pseudonym's");
    }
}

#[tokio::test]
async fn nobody_is_erased_while_something_of_theirs_is_open_or_held() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("march", &[("abaraa", "weak", DUMP)]).await;
    let ada = person(&bell, "abaraa").await;
    let why = |error: anyhow::Error| *error.downcast_ref::<NotErased>().unwrap();
    let open = erase(&bell.app, ada, "ticket 12", "ann").await.unwrap_err();
    assert_eq!(why(open), NotErased::OpenCase);
    bell.evidence(&[("abaraa", "2026-03-02T07:59:00Z", false)])
        .await;
    let review = bell.now().plus(TimeDelta::days(100));
    hold(&bell.app, None, Some(("an inquiry", review)), "ann")
        .await
        .unwrap();
    let held = erase(&bell.app, ada, "ticket 12", "ann").await.unwrap_err();
    assert_eq!(why(held), NotErased::LegalHold);
    bell.advance(TimeDelta::days(600));
    let purged = purge(&bell.app, "bell").await.unwrap();
    assert_eq!((purged.people, purged.holds_to_review), (0, 1), "{purged}");
    assert_eq!(hold(&bell.app, None, None, "ann").await.unwrap(), 1);
    assert_eq!(purge(&bell.app, "bell").await.unwrap().people, 1);
}

#[tokio::test]
async fn audit_files_that_were_put_away_are_removed_after_their_time() {
    let bell = Bell::with(Setup {
        more: "[schedule]\ndrop_folder = \"drop\"".to_owned(),
        start: division_bell::clock::Clock::System.now(),
        ..Setup::default()
    })
    .await;
    std::fs::create_dir_all(bell.path("drop/own/taken-in")).unwrap();
    let file = bell.write("drop/own/taken-in/march.csv", "account\n");
    bell.advance(TimeDelta::days(29));
    assert_eq!(purge(&bell.app, "bell").await.unwrap().files, 0);
    bell.advance(TimeDelta::days(2));
    assert_eq!(purge(&bell.app, "bell").await.unwrap().files, 1);
    assert!(!file.exists());
}

#[tokio::test]
async fn somebody_is_given_everything_about_themselves_and_that_is_written_down() {
    let bell = all_done(None).await;
    let ada = person(&bell, "abaraa").await.to_string();
    let config = bell.path("bell.toml");
    let said = program::bell(&config, &["people", "export", &ada]);
    assert_eq!(said.code, 0, "{}", said.err);
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(all["person"][0]["display_name"], "Ada Abara");
    assert_eq!(all["cases"][0]["category"], "weak");
    assert_eq!(all["findings"][0]["found_at"], "2026-03-02T08:00:00Z");
    assert_eq!(
        all["messages"].as_array().unwrap().len(),
        2,
        "the notice, and thanks"
    );
    let words = all["words_of_messages"].as_array().unwrap();
    let sent: Vec<String> = bell
        .letters()
        .into_iter()
        .filter(|letter| letter.to == "ada.abara@parl.example")
        .map(|letter| letter.subject)
        .collect();
    let given: Vec<&str> = words
        .iter()
        .map(|one| one["subject"].as_str().unwrap())
        .collect();
    assert_eq!(given, sent, "the words as they were sent");
    let first = words[0]["text"].as_str().unwrap();
    assert!(
        first.starts_with("Dear Ada Abara,") && first.contains("new password"),
        "{first}"
    );
    assert_eq!(words[0]["message"], all["messages"][0]["id"]);
    assert!(said.out.contains(REASON), "decisions with their reasons");
    assert!(!said.out.contains("Bea Bright"));
    let file = bell.path("ada.json");
    let name = file.to_str().unwrap();
    assert_eq!(
        program::bell(&config, &["people", "export", &ada, "--out", name]).code,
        0
    );
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let names = program::bell(&config, &["people", "list", "--names"]);
    assert!(names.out.contains("Ada Abara"));
    let acts = bell
        .column("SELECT act FROM ledger WHERE actor = 'ann' ORDER BY id DESC LIMIT 3")
        .await;
    assert_eq!(acts, ["names.read", "person.exported", "person.exported"]);

    // When their time is over the words go, and that there were messages stays.
    bell.advance(TimeDelta::days(91));
    purge(&bell.app, "bell").await.unwrap();
    let later = program::bell(&config, &["people", "export", &ada]);
    let all: serde_json::Value = serde_json::from_str(&later.out).unwrap();
    assert_eq!(all["words_of_messages"].as_array().unwrap().len(), 0);
    assert_eq!(all["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn legal_holds_are_listed_with_who_answers_for_them_and_those_due_for_review_want_a_look() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    let config = bell.path("bell.toml");
    let none = program::bell(&config, &["people", "hold", "--list"]);
    assert_eq!(
        (none.code, none.out.trim()),
        (0, "no legal hold is in force")
    );
    let hold = |id: &str, reason: &str, review: &str| {
        let said = program::bell(
            &config,
            &["people", "hold", id, "--reason", reason, "--review", review],
        );
        assert_eq!(said.code, 0, "{}", said.err);
    };
    hold("2", "case 2 O 17/26", "2999-01-01T00:00:00Z");
    let listed = program::bell(&config, &["people", "hold", "--list"]);
    assert_eq!(listed.code, 0, "{}", listed.out);
    assert!(
        listed
            .out
            .contains("person 2: case 2 O 17/26, by ann since"),
        "{}",
        listed.out
    );
    hold("3", "an order", "2026-01-01T00:00:00Z");
    let due = program::bell(&config, &["--json", "people", "hold", "--list"]);
    assert_eq!(due.code, 1, "one is due for review");
    let all: serde_json::Value = serde_json::from_str(&due.out).unwrap();
    let whose: Vec<i64> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|hold| hold["person"].as_i64().unwrap())
        .collect();
    assert_eq!(whose, [3, 2], "who has to be looked at first");
    assert_eq!(
        program::bell(&config, &["people", "hold", "--list", "--end"]).code,
        2
    );
}

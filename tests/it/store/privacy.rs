//! Privacy: what is erased and what stays, row by row; the same on both databases.

use division_bell::domain::case::ClosedAs;
use division_bell::domain::{CaseId, PersonId};
use division_bell::store::{ErasureRequest, Kept};

use super::bed::{Bed, at};
use super::both;

/// Closes these cases at an hour, past the steps that would.
async fn close(bed: &Bed, cases: &[CaseId], hour: i64) {
    for case in cases {
        let sql = format!(
            "UPDATE cases SET state = 'closed', closed_as = '{}', closed_at = {} WHERE id = {case}",
            ClosedAs::Reset.word(),
            at(hour).micros()
        );
        bed.sql(&sql).await.unwrap();
    }
}

fn draw() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[tokio::test]
async fn letters_lose_their_readers_once_all_their_cases_were_closed_long_enough() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        close(&bed, &cases[..1], 10).await;
        let mut tx = bed.tx().await;
        assert_eq!(
            tx.purge_letters(at(9), false, at(20)).await.unwrap(),
            0,
            "too early"
        );
        assert_eq!(
            tx.purge_letters(at(10), true, at(20)).await.unwrap(),
            0,
            "none is to a manager"
        );
        assert_eq!(tx.purge_letters(at(10), false, at(20)).await.unwrap(), 1);
        assert_eq!(
            tx.purge_letters(at(10), false, at(20)).await.unwrap(),
            0,
            "once"
        );
        assert_eq!(tx.purge_escalations(at(10)).await.unwrap(), 0);
        tx.commit().await.unwrap();
        let told =
            "SELECT COUNT(*) FROM deliveries WHERE state = 'accepted' AND letter_hash = 'letter-1'";
        assert_eq!(
            bed.count(told).await,
            2,
            "hash, kind, times and outcome stay"
        );
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM deliveries WHERE recipient = 'erased@erased.invalid'")
                .await,
            1
        );
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM attempts WHERE reply IS NULL")
                .await,
            1
        );
        // A story without a reader can still be told.
        let mut tx = bed.read().await;
        for case in cases {
            assert_eq!(tx.stories(case).await.unwrap().len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn somebody_who_is_forgotten_leaves_a_pseudonym_behind_and_goes_on_without_a_past() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        let mut tx = bed.tx().await;
        let first: PersonId = {
            let case = tx.case(cases[0]).await.unwrap().unwrap();
            case.person.unwrap()
        };
        assert_eq!(tx.kept(first).await.unwrap(), Some(Kept::OpenCase));
        assert_eq!(
            tx.kept(PersonId(999_999)).await.unwrap(),
            Some(Kept::Nobody)
        );
        tx.commit().await.unwrap();
        close(&bed, &cases, 10).await;
        let mut tx = bed.tx().await;
        assert_eq!(tx.kept(first).await.unwrap(), None);
        assert_eq!(
            tx.people_to_forget(PersonId(0), at(9), 10).await.unwrap(),
            []
        );
        assert_eq!(
            tx.people_to_forget(PersonId(0), at(10), 10)
                .await
                .unwrap()
                .len(),
            2
        );
        tx.forget_person(first, draw, at(20)).await.unwrap();
        assert_eq!(tx.kept(first).await.unwrap(), Some(Kept::Nobody));
        let left = tx.people_to_forget(PersonId(0), at(10), 10).await.unwrap();
        assert!(left.len() == 1 && left[0] != first, "{left:?}");

        let ghost = tx.persons([first]).await.unwrap().remove(&first).unwrap();
        assert_eq!(
            (ghost.name.expose(), ghost.address, ghost.left),
            ("erased", None, true)
        );
        let heir = tx
            .person_by_address("user1@parl.example")
            .await
            .unwrap()
            .unwrap();
        assert_ne!(heir, first);
        let facts = tx.persons([heir]).await.unwrap().remove(&heir).unwrap();
        assert_eq!(facts.name.expose(), "User Number 1");
        assert!(facts.address.is_some() && facts.enabled && !facts.left);
        assert_eq!(tx.cases_of_person(heir).await.unwrap().len(), 0);
        assert_eq!(tx.cases_of_person(first).await.unwrap().len(), 1);
        tx.commit().await.unwrap();
        // The next listing knows them all.
        let again = bed.people(2).await;
        assert!(again.iter().any(|who| who.person == heir));
    })
    .await;
}

#[tokio::test]
async fn a_hold_keeps_what_it_covers_until_somebody_ends_it() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        close(&bed, &cases, 10).await;
        let person = bed.case(cases[0]).await.person.unwrap();
        let mut tx = bed.tx().await;
        tx.hold_data(Some(person), "an inquiry", at(100), "ann", at(11))
            .await
            .unwrap();
        assert_eq!(tx.kept(person).await.unwrap(), Some(Kept::LegalHold));
        assert_eq!(
            tx.people_to_forget(PersonId(0), at(10), 10)
                .await
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            tx.purge_letters(at(10), false, at(20)).await.unwrap(),
            1,
            "only the other's"
        );
        let held = tx.data_holds().await.unwrap();
        assert_eq!(held.len(), 1);
        assert_eq!(
            (
                held[0].person,
                &held[0].reason[..],
                &held[0].owner[..],
                held[0].noted_at,
                held[0].review_at
            ),
            (Some(person), "an inquiry", "ann", at(11), at(100))
        );
        assert_eq!(tx.data_holds_to_review(at(99)).await.unwrap(), 0);
        assert_eq!(tx.data_holds_to_review(at(100)).await.unwrap(), 1);
        tx.hold_data(None, "an inquiry", at(200), "ann", at(11))
            .await
            .unwrap();
        assert_eq!(
            tx.people_to_forget(PersonId(0), at(10), 10).await.unwrap(),
            []
        );
        assert_eq!(tx.end_data_hold(None, "ben", at(12)).await.unwrap(), 1);
        assert_eq!(tx.end_data_hold(None, "ben", at(12)).await.unwrap(), 0);
        assert_eq!(
            tx.data_holds().await.unwrap(),
            held,
            "what was ended is gone"
        );
        assert_eq!(
            tx.end_data_hold(Some(person), "ben", at(12)).await.unwrap(),
            1
        );
        assert_eq!(tx.kept(person).await.unwrap(), None);
        tx.commit().await.unwrap();
        let acts = bed.ledger().await;
        let held: Vec<&String> = acts
            .iter()
            .filter(|act| act.starts_with("privacy."))
            .collect();
        assert_eq!(
            held,
            [
                "privacy.held",
                "privacy.held",
                "privacy.released",
                "privacy.released"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_request_to_erase_waits_for_its_second_operator_and_is_done_once() {
    both(async |bed| {
        let person = bed.people(2).await[0].person;
        let mut tx = bed.tx().await;
        assert_eq!(tx.erasure_request(person).await.unwrap(), None);
        tx.ask_erasure(person, "ticket 12", "ann", at(1))
            .await
            .unwrap();
        let asked = tx.erasure_request(person).await.unwrap().unwrap();
        let expected = ErasureRequest {
            id: asked.id,
            asked_by: "ann".to_owned(),
            reason: "ticket 12".to_owned(),
        };
        assert_eq!(asked, expected);
        tx.end_erasure(asked.id, person, "ben", at(2))
            .await
            .unwrap();
        assert_eq!(tx.erasure_request(person).await.unwrap(), None);
        assert!(
            tx.end_erasure(asked.id, person, "ben", at(3))
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn everything_about_one_person_comes_out_and_nothing_about_another() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        let person = bed.case(cases[0]).await.person.unwrap();
        let all = bed.read().await.all_about(person).await.unwrap();
        let rows = |name: &str| all.iter().find(|part| part.0 == name).unwrap().2.len();
        for (name, expected) in [
            ("person", 1),
            ("accounts", 1),
            ("mailboxes", 1),
            ("cases", 1),
            ("messages", 1),
            ("attempts", 1),
            ("returned", 0),
            ("said_to_us", 0),
            ("containments", 0),
            ("evidence", 0),
        ] {
            assert_eq!(rows(name), expected, "{name}");
        }
        // What a message says is kept for a while; what it was made of is told as long.
        let messages = bed.read().await.messages_to(person).await.unwrap();
        assert_eq!(messages, [], "its facts are gone");
        bed.sql("UPDATE deliveries SET facts = '{\"x\":1}'")
            .await
            .unwrap();
        let messages = bed.read().await.messages_to(person).await.unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(
            (messages[0].is_text, &messages[0].facts[..]),
            (false, "{\"x\":1}")
        );
        assert!(!messages[0].document.is_empty());
        assert!(rows("decisions") >= 2 && rows("names_of_accounts") >= 4);
        let text = format!("{all:?}");
        assert!(
            text.contains("User1@parl.example") && !text.contains("User2"),
            "{text}"
        );
    })
    .await;
}

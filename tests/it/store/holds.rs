//! Holds: what a relay or a text keeps back, until an operator lets it go.

use division_bell::store::{Hold, StoreError};

use super::bed::at;
use super::{Bed, both};

async fn holds(bed: &Bed) -> Vec<Hold> {
    bed.read().await.holds().await.unwrap()
}

#[tokio::test]
async fn a_relay_is_held_once_until_somebody_releases_it() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert!(tx.relay_hold("relay").await.unwrap().is_none());
        let first = tx.hold_relay("relay", "s1", "535 at auth: no", at(1));
        assert!(first.await.unwrap());
        let again = tx.hold_relay("relay", "s1", "535 at auth: no", at(2));
        assert!(!again.await.unwrap(), "it was held already");
        let hold = tx.relay_hold("relay").await.unwrap().unwrap();
        assert!(tx.relay_hold("other").await.unwrap().is_none());
        assert_eq!(
            (hold.settings.as_deref(), &hold.reason[..], hold.held_at),
            (Some("s1"), "535 at auth: no", at(1))
        );
        tx.release_hold(hold.id, "ann", "the password was wrong", at(3))
            .await
            .unwrap();
        let twice = tx.release_hold(hold.id, "ann", "again", at(4)).await;
        assert!(matches!(
            twice,
            Err(StoreError::Lost { table: "holds", .. })
        ));
        assert!(tx.holds().await.unwrap().is_empty());
        assert!(tx.hold_relay("relay", "s1", "no", at(5)).await.unwrap());
        tx.commit().await.unwrap();
        let acts: Vec<_> = bed
            .read()
            .await
            .ledger(0, 9)
            .await
            .unwrap()
            .into_iter()
            .map(|entry| (entry.act, entry.actor))
            .collect();
        let expected = [
            ("relay.held", "bell"),
            ("hold.released", "ann"),
            ("relay.held", "bell"),
        ];
        assert_eq!(
            acts,
            expected.map(|(act, actor)| (act.to_owned(), actor.to_owned()))
        );
    })
    .await;
}

#[tokio::test]
async fn letters_of_a_text_that_is_held_are_neither_claimed_nor_begun_and_come_back_with_its_release()
 {
    both(async |bed| {
        bed.running(3).await;
        let mut tx = bed.tx().await;
        let leased = tx.claim(1, "w", at(9), at(3)).await.unwrap().remove(0);
        assert!(
            tx.hold_template(leased.template, "554 at dot: spam", at(3))
                .await
                .unwrap()
        );
        assert!(
            !tx.hold_template(leased.template, "554 at dot: spam", at(3))
                .await
                .unwrap()
        );
        assert_eq!(tx.claim(9, "w", at(9), at(3)).await.unwrap(), []);
        let wanted = [(leased.id, leased.thread)];
        assert_eq!(tx.begin_attempts(&wanted, "w", at(3)).await.unwrap(), []);
        tx.commit().await.unwrap();
        let hold = holds(&bed).await.remove(0);
        assert_eq!(
            (hold.kind.as_deref(), hold.letters),
            (Some("notice.weak"), 2)
        );
        assert_eq!(
            bed.states().await,
            "leased 1, queued 2",
            "nobody is marked as failed"
        );
        let mut tx = bed.tx().await;
        tx.release_hold(hold.id, "ann", "the filter was mended", at(4))
            .await
            .unwrap();
        assert_eq!(
            tx.begin_attempts(&wanted, "w", at(4)).await.unwrap().len(),
            1
        );
        assert_eq!(tx.claim(9, "w", at(9), at(4)).await.unwrap().len(), 2);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn how_a_relay_stands_is_kept_by_its_name() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert_eq!(tx.relay_standing("relay").await.unwrap(), None);
        tx.set_relay_standing("relay", "{\"away\":1}", at(1))
            .await
            .unwrap();
        tx.set_relay_standing("relay", "{}", at(2)).await.unwrap();
        tx.set_relay_standing("other", "{\"away\":2}", at(2))
            .await
            .unwrap();
        assert_eq!(
            tx.relay_standing("relay").await.unwrap().as_deref(),
            Some("{}")
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_letter_in_doubt_twice_is_decided_by_a_human_being_and_its_task_is_done() {
    use division_bell::store::Verdict;
    both(async |bed| {
        let (_, cases) = bed.running(2).await;
        let claims = bed.claim(2, at(3)).await;
        let recover = async |now: i64| {
            let mut tx = bed.tx().await;
            tx.recover(at(now), at(now)).await.unwrap();
            tx.commit().await.unwrap();
        };
        recover(5).await;
        bed.claim(2, at(6)).await;
        recover(8).await;
        assert_eq!(bed.states().await, "stopped 2");
        let open = "SELECT COUNT(*) FROM tasks WHERE done_at IS NULL AND kind = 'decide'";
        assert_eq!(bed.count(open).await, 2);
        let (one, two) = (claims[0].delivery.id, claims[1].delivery.id);
        let mut tx = bed.tx().await;
        tx.decide_doubt(one, Verdict::Arrived, "ann", "the relay's log", at(9))
            .await
            .unwrap();
        tx.decide_doubt(two, Verdict::Again, "ann", "not in the log", at(9))
            .await
            .unwrap();
        let again = tx
            .decide_doubt(two, Verdict::Again, "ann", "twice", at(9))
            .await;
        assert!(matches!(again, Err(StoreError::Lost { .. })));
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "accepted 1, queued 1");
        assert_eq!(bed.count(open).await, 0);
        let notified =
            "SELECT COUNT(*) FROM cases WHERE state = 'notified' AND notice_at IS NOT NULL";
        assert_eq!(bed.count(notified).await, 1);
        let story = bed.read().await.story(two).await.unwrap().unwrap();
        assert!(story.possible_duplicate && story.due_at == at(9) && story.bounces.is_empty());
        // Only what was accepted was sent.
        let sent = crate::support::flow::rows(&bed.store, "SELECT t.reference FROM threads t JOIN deliveries d ON d.thread_id = t.id WHERE d.state = 'accepted'").await;
        let mut tx = bed.read().await;
        assert!(tx.first_sent(&sent[0][0]).await.unwrap().is_some());
        assert_eq!(tx.first_sent("DB-2507-ZZZZ").await.unwrap(), None);
        drop(tx);
        assert_eq!(
            bed.read()
                .await
                .story(division_bell::domain::DeliveryId(99))
                .await
                .unwrap(),
            None
        );
        let person = bed.case(cases[1]).await.person.unwrap();
        let of = bed.read().await.stories_of(person).await.unwrap();
        assert!(of.iter().any(|story| story.attempts.len() == 2), "{of:?}");
    })
    .await;
}

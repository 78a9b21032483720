//! Gauges and shelves: what machines count, and what the page lists.

use division_bell::domain::DeliveryId;
use division_bell::domain::delivery::Outcome;
use division_bell::domain::reply::OutOfReach;
use division_bell::store::{OpenCases, Undelivered};

use super::bed::{accepted, at, claim_in, ended};
use super::both;

#[tokio::test]
async fn a_database_is_current_until_another_version_has_changed_it() {
    both(async |bed| {
        assert!(bed.store.is_current().await.unwrap());
        bed.sql("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
            .await
            .unwrap();
        assert!(!bed.store.is_current().await.unwrap());
        bed.sql("UPDATE _sqlx_migrations SET version = 1 WHERE version = 9999")
            .await
            .unwrap();
        bed.sql("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2")
            .await
            .unwrap();
        assert!(!bed.store.is_current().await.unwrap());
        bed.sql("DELETE FROM _sqlx_migrations WHERE version > 1")
            .await
            .unwrap();
        assert!(!bed.store.is_current().await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn attempts_are_counted_by_what_came_of_them() {
    both(async |bed| {
        bed.running(3).await;
        assert_eq!(bed.read().await.attempt_outcomes().await.unwrap(), []);
        let mut tx = bed.tx().await;
        let claims = claim_in(&mut tx, 3, "worker-1", at(30), at(2)).await;
        assert_eq!(claims.len(), 3);
        let finished = [
            accepted(&claims[0], at(2)),
            ended(&claims[1], Outcome::FailRecipient, Undelivered::No, at(2)),
        ];
        tx.record(&finished, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        // The third is in flight.
        assert_eq!(
            bed.read().await.attempt_outcomes().await.unwrap(),
            [("accepted".to_owned(), 1), ("fail_recipient".to_owned(), 1)]
        );
    })
    .await;
}

#[tokio::test]
async fn open_cases_are_counted_by_category_and_tasks_by_kind() {
    both(async |bed| {
        let (_, cases) = bed.cases(4).await;
        bed.sql("UPDATE cases SET category = 'breached' WHERE id = (SELECT MAX(id) FROM cases)")
            .await
            .unwrap();
        let past = at(1).micros();
        bed.sql(&format!("UPDATE cases SET deadline_at = {past}"))
            .await
            .unwrap();
        let mut tx = bed.tx().await;
        tx.exempt_case(cases[0], at(9), "away", "ann", "ben", at(0))
            .await
            .unwrap();
        tx.withdraw_case(cases[1], "a mistake", "ann", at(0))
            .await
            .unwrap();
        let missed = tx.case(cases[2]).await.unwrap().unwrap();
        tx.miss_case(&missed, OutOfReach::Absent, at(1), "ann", at(0))
            .await
            .unwrap();
        let of = |category: &str, open, overdue, not_reached| OpenCases {
            category: category.to_owned(),
            open,
            overdue,
            not_reached,
        };
        // One is exempt, one withdrawn, one not reached; and one of another category.
        assert_eq!(
            tx.open_by_category(at(2)).await.unwrap(),
            [of("breached", 1, 1, 0), of("weak", 2, 1, 1)]
        );
        assert_eq!(
            tx.open_by_category(at(0)).await.unwrap(),
            [of("breached", 1, 0, 0), of("weak", 2, 0, 1)]
        );

        let exempt = tx.exemptions(at(2), 10).await.unwrap();
        assert_eq!(exempt.len(), 1);
        assert_eq!((exempt[0].case, exempt[0].until), (cases[0], at(9)));
        assert_eq!(exempt[0].approved_by, "ben");
        assert!(exempt[0].detail.contains("away"), "{}", exempt[0].detail);
        assert_eq!(tx.exemptions(at(9), 10).await.unwrap(), []);
        tx.commit().await.unwrap();
        assert_eq!(
            bed.read().await.open_task_kinds().await.unwrap(),
            [("reach".to_owned(), 1)]
        );
    })
    .await;
}

#[tokio::test]
async fn the_last_firing_that_ended_is_told_while_the_next_one_runs() {
    both(async |bed| {
        let store = &bed.store;
        assert_eq!(bed.read().await.last_ended_run("plan").await.unwrap(), None);
        store.claim_run("plan", at(0), "one", at(0)).await.unwrap();
        assert_eq!(bed.read().await.last_ended_run("plan").await.unwrap(), None);
        store
            .end_run("plan", at(0), "nobody", true, at(1))
            .await
            .unwrap();
        store.claim_run("plan", at(2), "one", at(2)).await.unwrap();
        let run = bed.read().await.last_ended_run("plan").await.unwrap();
        let run = run.unwrap();
        assert_eq!((run.due_at, run.ended_at), (at(0), Some(at(1))));
        assert_eq!((run.result.as_deref(), run.failed), (Some("nobody"), true));
    })
    .await;
}

#[tokio::test]
async fn lists_begin_with_the_newest_and_go_on_where_they_ended() {
    both(async |bed| {
        bed.running(5).await;
        let mut tx = bed.read().await;
        let first = tx
            .deliveries_before(DeliveryId(i64::MAX), None, 3)
            .await
            .unwrap();
        let rest = tx.deliveries_before(first[2].id, None, 3).await.unwrap();
        let ids: Vec<i64> = first.iter().chain(&rest).map(|own| own.id.0).collect();
        assert_eq!(ids.len(), 5);
        assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
        assert_eq!((&first[0].way[..], &first[0].state[..]), ("mail", "queued"));
        let none = tx
            .deliveries_before(DeliveryId(i64::MAX), Some("accepted"), 3)
            .await
            .unwrap();
        assert_eq!(none, []);

        let newest = tx.ledger_before(i64::MAX, 2).await.unwrap();
        let oldest = tx.ledger(0, 100_000).await.unwrap();
        assert_eq!(newest.first(), oldest.last());
        let next = tx.ledger_before(newest[1].id, 1).await.unwrap();
        assert_eq!(next[0].id + 2, newest[0].id);
    })
    .await;
}

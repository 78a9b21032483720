//! First notices that are late, and the work that they make.

use chrono::TimeDelta;
use division_bell::domain::CaseId;
use division_bell::domain::Moment;
use division_bell::domain::delivery::Outcome;
use division_bell::store::{LATE, TaskKind, Undelivered};

use super::bed::{accepted, at, ended};
use super::{Bed, both};

const RULE: (TimeDelta, i32) = (TimeDelta::hours(4), 4);

/// Threads that are late at `now`.
async fn late(bed: &Bed, now: Moment) -> usize {
    let mut tx = bed.read().await;
    tx.late_threads(RULE, 0, 100, now).await.unwrap().len()
}

async fn open(bed: &Bed, cases: &[CaseId], reason: &'static str, now: Moment) -> u64 {
    let tasks: Vec<_> = cases
        .iter()
        .map(|case| (*case, TaskKind::Reach, reason, None))
        .collect();
    let mut tx = bed.tx().await;
    let opened = tx.open_tasks(&tasks, now).await.unwrap();
    tx.commit().await.unwrap();
    opened
}

#[tokio::test]
async fn a_notice_that_was_due_four_hours_ago_is_late_until_it_is_somebodys_work() {
    both(async |bed| {
        // Due at hour 2, with time until hour 240.
        let (_, cases) = bed.running(3).await;
        assert_eq!(late(&bed, at(5)).await, 0);
        assert_eq!(late(&bed, at(6)).await, 3);
        let mut tx = bed.read().await;
        let first = tx.late_threads(RULE, 0, 1, at(6)).await.unwrap();
        assert_eq!(
            (first[0].first_at, first[0].deadline_at),
            (at(2), Some(at(240)))
        );
        let rest = tx
            .late_threads(RULE, first[0].id, 100, at(6))
            .await
            .unwrap();
        assert_eq!(rest.len(), 2);
        drop(tx);
        bed.sql("UPDATE threads SET deadline_at = first_at + 4 * 3600000000")
            .await
            .unwrap();
        assert_eq!(late(&bed, at(3)).await, 3, "a quarter of four hours");
        assert_eq!(open(&bed, &cases[..1], LATE, at(6)).await, 1);
        assert_eq!(late(&bed, at(6)).await, 2);
        bed.sql("UPDATE deliveries SET state = 'paused'")
            .await
            .unwrap();
        assert_eq!(late(&bed, at(6)).await, 0, "what stands still is not late");
    })
    .await;
}

#[tokio::test]
async fn one_in_flight_is_late_and_one_that_was_taken_is_not() {
    both(async |bed| {
        bed.running(2).await;
        let claims = bed.claim(2, at(6)).await;
        assert_eq!(late(&bed, at(6)).await, 2);
        let again = ended(
            &claims[0],
            Outcome::DeferRecipient,
            Undelivered::Again(at(9)),
            at(6),
        );
        bed.record(&[again, accepted(&claims[1], at(6))], at(6))
            .await;
        assert_eq!(late(&bed, at(7)).await, 1);
    })
    .await;
}

#[tokio::test]
async fn whose_notice_is_late_counts_as_reached_or_not_by_what_becomes_of_it() {
    both(async |bed| {
        let (_, cases) = bed.running(2).await;
        assert_eq!(open(&bed, &cases, LATE, at(6)).await, 2);
        for case in &cases {
            assert_eq!(bed.case(*case).await.not_reached, None);
            assert!(
                !bed.acts(*case)
                    .await
                    .contains(&"case.not_reached".to_owned())
            );
        }
        assert!(!bed.read().await.has_needless_chase().await.unwrap());
        // A firmer reason takes the place of this one, and this one of none.
        assert_eq!(open(&bed, &cases[..1], "undeliverable", at(7)).await, 1);
        assert_eq!(open(&bed, &cases[..1], "undeliverable", at(7)).await, 0);
        assert_eq!(open(&bed, &cases[..1], LATE, at(7)).await, 0);
        assert_eq!(
            bed.case(cases[0]).await.not_reached.as_deref(),
            Some("undeliverable")
        );
        let claims = bed.claim(2, at(7)).await;
        let taken: Vec<_> = claims.iter().map(|claim| accepted(claim, at(8))).collect();
        bed.record(&taken, at(8)).await;
        assert!(bed.read().await.has_needless_chase().await.unwrap());
        let mut tx = bed.tx().await;
        assert_eq!(tx.end_needless_chases(at(9)).await.unwrap(), 1);
        assert_eq!(tx.end_needless_chases(at(9)).await.unwrap(), 0);
        tx.commit().await.unwrap();
        let left = bed.read().await.tasks(9).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].reason, "undeliverable");
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM tasks WHERE done_by = 'bell' AND reason = 'late'")
                .await,
            1
        );
    })
    .await;
}

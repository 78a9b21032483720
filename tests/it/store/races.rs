//! Races: two who want the same thing at once. One gets it; the other waits, steps aside or is told. Nothing is overwritten.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use division_bell::domain::DeliveryId;
use division_bell::domain::campaign::CampaignState::{Approved, Paused, Running, Stopped};
use division_bell::domain::delivery::Outcome;
use division_bell::domain::notice::NoticeKind;
use division_bell::store::{Finished, Recovered, Store, StoreError, ThreadState, Tx, Undelivered};

use super::bed::{accepted, at, claim_in, claim_on, cleared, ended, started};
use super::{Bed, both};
use crate::support::{PATIENCE, count};

/// One has done its part and not committed; the other begins, and waits; then the one commits. Gives what the other got.
async fn meanwhile<T, F>(bed: &Bed, one: Tx, other: impl FnOnce(Store) -> F) -> T
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let other = tokio::spawn(other(bed.store.clone()));
    somebody_waits(&bed.store).await;
    one.commit().await.unwrap();
    other.await.unwrap()
}

/// On PostgreSQL a lock is waited for in the middle. SQLite's writers wait before they begin: there is nothing to see.
async fn somebody_waits(store: &Store) {
    let Store::Postgres(_) = store else { return };
    let until = Instant::now() + PATIENCE;
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while count(store, waiting).await == 0 {
        assert!(Instant::now() < until, "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_claimers_never_get_the_same_delivery() {
    both(async |bed| {
        bed.running(400).await;
        let workers: Vec<_> = (0..6)
            .map(|n| {
                let store = bed.store.clone();
                tokio::spawn(async move {
                    let mut mine: Vec<DeliveryId> = Vec::new();
                    loop {
                        let mut tx = store.begin().await.unwrap();
                        let claims =
                            claim_in(&mut tx, 7, &format!("worker-{n}"), at(9), at(3)).await;
                        assert!(claims.len() <= 7, "{} were claimed", claims.len());
                        let finished: Vec<Finished> =
                            claims.iter().map(|claim| accepted(claim, at(3))).collect();
                        tx.commit().await.unwrap();
                        if claims.is_empty() {
                            return mine;
                        }
                        mine.extend(claims.iter().map(|claim| claim.delivery.id));
                        let mut tx = store.begin().await.unwrap();
                        tx.record(&finished, at(4)).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                })
            })
            .collect();
        let mut all: Vec<DeliveryId> = Vec::new();
        for worker in workers {
            all.extend(worker.await.unwrap());
        }
        assert_eq!(
            (all.len(), all.iter().collect::<HashSet<_>>().len()),
            (400, 400)
        );
        assert_eq!(bed.states().await, "accepted 400");
        assert_eq!(bed.count("SELECT COUNT(*) FROM attempts").await, 400);
        assert_eq!(bed.count("SELECT MAX(attempts) FROM deliveries").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claimer_steps_around_what_another_is_claiming() {
    both(async |bed| {
        bed.running(5).await;
        let Store::Postgres(_) = bed.store else {
            return;
        };
        let mut one = bed.tx().await;
        let first = claim_in(&mut one, 3, "one", at(9), at(3)).await;
        let second = bed.claim(9, at(3)).await;
        one.commit().await.unwrap();
        assert_eq!((first.len(), second.len()), (3, 2));
        let ids: HashSet<_> = first
            .iter()
            .chain(&second)
            .map(|claim| claim.delivery.id)
            .collect();
        assert_eq!(ids.len(), 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_recover_at_once_doubt_once() {
    both(async |bed| {
        bed.running(2).await;
        bed.claim(2, at(3)).await;
        let mut one = bed.tx().await;
        let first = one.recover(at(9), at(5)).await.unwrap();
        let second = meanwhile(&bed, one, |store| async move {
            let mut tx = store.begin().await.unwrap();
            let recovered = tx.recover(at(9), at(5)).await.unwrap();
            tx.commit().await.unwrap();
            recovered
        })
        .await;
        assert_eq!(
            first,
            Recovered {
                in_doubt: 2,
                stopped: 0,
                unharmed: 0
            }
        );
        assert_eq!(second, Recovered::default());
        assert_eq!(bed.states().await, "queued 2");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_letter_that_is_recorded_at_the_last_moment_is_not_in_doubt() {
    both(async |bed| {
        bed.running(1).await;
        let claim = bed.claim(1, at(3)).await.remove(0);
        let mut one = bed.tx().await;
        one.record(&[accepted(&claim, at(5))], at(5)).await.unwrap();
        let recovered = meanwhile(&bed, one, |store| async move {
            let mut tx = store.begin().await.unwrap();
            let recovered = tx.recover(at(9), at(5)).await.unwrap();
            tx.commit().await.unwrap();
            recovered
        })
        .await;
        assert_eq!(recovered, Recovered::default());
        assert_eq!(bed.states().await, "accepted 1");
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM attempts WHERE outcome = 'accepted'")
                .await,
            1
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_letter_that_is_being_doubted_cannot_be_recorded() {
    both(async |bed| {
        bed.running(1).await;
        let claim = bed.claim(1, at(3)).await.remove(0);
        let mut one = bed.tx().await;
        one.recover(at(9), at(5)).await.unwrap();
        let lost = meanwhile(&bed, one, |store| async move {
            let mut tx = store.begin().await.unwrap();
            tx.record(&[accepted(&claim, at(5))], at(5)).await
        })
        .await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        assert_eq!(bed.states().await, "queued 1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_letter_is_recorded_by_one_of_two() {
    both(async |bed| {
        bed.running(1).await;
        let claim = bed.claim(1, at(3)).await.remove(0);
        let finished = accepted(&claim, at(4));
        let mut one = bed.tx().await;
        one.record(std::slice::from_ref(&finished), at(4))
            .await
            .unwrap();
        let lost = meanwhile(&bed, one, |store| async move {
            let mut tx = store.begin().await.unwrap();
            tx.record(&[finished], at(4)).await
        })
        .await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        assert_eq!(
            bed.ledger()
                .await
                .iter()
                .filter(|act| *act == "case.notified")
                .count(),
            1
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_move_a_campaign_the_second_is_told() {
    both(async |bed| {
        let (campaign, _) = bed.running(1).await;
        let mut one = bed.tx().await;
        one.move_campaign(campaign.id, &[Running], Stopped, "ann", None, at(3))
            .await
            .unwrap();
        let id = campaign.id;
        let lost = meanwhile(&bed, one, move |store| async move {
            let mut tx = store.begin().await.unwrap();
            tx.move_campaign(id, &[Running], Paused, "ben", None, at(3))
                .await
        })
        .await;
        assert!(
            matches!(
                lost,
                Err(StoreError::Lost {
                    table: "campaigns",
                    ..
                })
            ),
            "{lost:?}"
        );
        assert_eq!(bed.campaign(campaign.id).await.state, Stopped);
        assert_eq!(bed.states().await, "stopped 1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_back_while_a_campaign_is_paused_is_paused() {
    both(async |bed| {
        let (campaign, _) = bed.running(1).await;
        let claim = bed.claim(1, at(3)).await.remove(0);
        let mut one = bed.tx().await;
        one.move_campaign(campaign.id, &[Running], Paused, "ann", None, at(4))
            .await
            .unwrap();
        meanwhile(&bed, one, |store| async move {
            let mut tx = store.begin().await.unwrap();
            let again = ended(
                &claim,
                Outcome::DeferRecipient,
                Undelivered::Again(at(5)),
                at(4),
            );
            tx.record(&[again], at(4)).await.unwrap();
            tx.commit().await.unwrap();
        })
        .await;
        assert_eq!(bed.states().await, "paused 1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pause_waits_for_what_is_coming_back_and_pauses_it() {
    both(async |bed| {
        let (campaign, _) = bed.running(1).await;
        let claim = bed.claim(1, at(3)).await.remove(0);
        let mut one = bed.tx().await;
        let again = ended(
            &claim,
            Outcome::DeferRecipient,
            Undelivered::Again(at(5)),
            at(4),
        );
        one.record(&[again], at(4)).await.unwrap();
        let id = campaign.id;
        meanwhile(&bed, one, move |store| async move {
            let mut tx = store.begin().await.unwrap();
            tx.move_campaign(id, &[Running], Paused, "ann", None, at(4))
                .await
                .unwrap();
            tx.commit().await.unwrap();
        })
        .await;
        assert_eq!(bed.states().await, "paused 1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_campaign_that_is_stopped_while_it_starts_tells_nobody() {
    both(async |bed| {
        let (campaign, cases) = bed.approved(2).await;
        let waiting = bed
            .read()
            .await
            .threads(campaign.id, ThreadState::Waiting, 0, 9)
            .await
            .unwrap();
        let mut tx = bed.tx().await;
        let drafts = bed.letters(&mut tx, &waiting, NoticeKind::Weak).await;
        tx.commit().await.unwrap();
        let mut one = bed.tx().await;
        one.move_campaign(campaign.id, &[Approved], Stopped, "ann", None, at(2))
            .await
            .unwrap();
        meanwhile(&bed, one, move |store| async move {
            let mut tx = store.begin().await.unwrap();
            tx.queue(&drafts, at(2)).await.unwrap();
            tx.start_threads(cleared(campaign.id), &started(&waiting), at(2))
                .await
                .unwrap();
            tx.commit().await.unwrap();
        })
        .await;
        assert_eq!(bed.states().await, "dropped 2");
        assert_eq!(bed.claim(9, at(9)).await, []);
        let free = bed
            .read()
            .await
            .unplanned(division_bell::domain::PersonId(-1), 9)
            .await
            .unwrap();
        assert_eq!(free.iter().map(|row| row.id).collect::<Vec<_>>(), cases);
        assert_eq!(bed.case(cases[0]).await.deadline_at, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_case_is_closed_by_one_of_two() {
    both(async |bed| {
        let (_, cases) = bed.cases(1).await;
        let mut one = bed.tx().await;
        one.withdraw_case(cases[0], "x", "ann", at(1))
            .await
            .unwrap();
        let case = cases[0];
        let lost = meanwhile(&bed, one, move |store| async move {
            let mut tx = store.begin().await.unwrap();
            tx.withdraw_case(case, "y", "ben", at(1)).await
        })
        .await;
        assert!(
            matches!(lost, Err(StoreError::Lost { table: "cases", .. })),
            "{lost:?}"
        );
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.closed.withdrawn"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_claim_record_pause_and_recover_at_once_lose_no_letter() {
    both(async |bed| {
        let (campaign, _) = bed.running(60).await;
        let mut workers = Vec::new();
        for n in 0..3_i64 {
            let store = bed.store.clone();
            workers.push(tokio::spawn(async move {
                for round in 0..12_i64 {
                    let now = at(3).plus(TimeDelta::minutes(10 * round));
                    let until = now.plus(TimeDelta::minutes(30));
                    let claims = claim_on(&store, 5, &format!("worker-{n}"), until, now)
                        .await
                        .unwrap();
                    for (nth, claim) in claims.iter().enumerate() {
                        let finished = match (nth as i64 + round + n) % 4 {
                            0 | 1 => accepted(claim, now),
                            2 => ended(claim, Outcome::DeferRecipient, Undelivered::Again(now), now),
                            // Left in flight, as by a crash.
                            _ => continue,
                        };
                        let mut tx = store.begin().await.unwrap();
                        match tx.record(&[finished], now).await {
                            Ok(()) => tx.commit().await.unwrap(),
                            Err(StoreError::Lost { .. }) => {}
                            Err(error) => assert!(error.is_passing(), "{error:?}"),
                        }
                    }
                }
            }));
        }
        let (store, id) = (bed.store.clone(), campaign.id);
        workers.push(tokio::spawn(async move {
            for round in 0..10_i64 {
                let now = at(3).plus(TimeDelta::minutes(15 * round));
                for (from, to) in [(Running, Paused), (Paused, Running)] {
                    let mut tx = store.begin().await.unwrap();
                    tx.move_campaign(id, &[from], to, "ann", None, now).await.unwrap();
                    tx.commit().await.unwrap();
                }
                let mut tx = store.begin().await.unwrap();
                tx.recover(now, now).await.unwrap();
                tx.commit().await.unwrap();
            }
        }));
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(bed.count("SELECT COUNT(*) FROM deliveries").await, 60);
        let states = bed.states().await;
        assert!(!["paused", "dropped", "expired", "refused"].iter().any(|state| states.contains(state)), "{states}");
        // Whoever was told has exactly one accepted attempt, and nobody was told twice.
        let accepted = bed.count("SELECT COUNT(*) FROM deliveries WHERE state = 'accepted'").await;
        assert_eq!(bed.count("SELECT COUNT(*) FROM attempts WHERE outcome = 'accepted'").await, accepted);
        assert_eq!(bed.count("SELECT COUNT(*) FROM cases WHERE state = 'notified'").await, accepted);
        let open = bed.count("SELECT COUNT(*) FROM attempts a JOIN deliveries x ON x.id = a.delivery_id WHERE a.ended_at IS NULL AND x.state <> 'leased'").await;
        assert_eq!(open, 0);
        // What is left when the storm is over goes its way: told, or for a human being to decide about.
        let mut now = at(3).plus(TimeDelta::days(1));
        loop {
            now = now.plus(TimeDelta::hours(1));
            let mut tx = bed.store.begin().await.unwrap();
            tx.recover(now, now).await.unwrap();
            tx.commit().await.unwrap();
            let claims = claim_on(&bed.store, 60, "last", now.plus(TimeDelta::minutes(30)), now).await.unwrap();
            let left = bed.count("SELECT COUNT(*) FROM deliveries WHERE state IN ('queued', 'leased')").await;
            if left == 0 {
                break;
            }
            let mut tx = bed.store.begin().await.unwrap();
            let finished: Vec<_> = claims.iter().map(|claim| super::bed::accepted(claim, now)).collect();
            tx.record(&finished, now).await.unwrap();
            tx.commit().await.unwrap();
        }
        let accepted = bed.count("SELECT COUNT(*) FROM deliveries WHERE state = 'accepted'").await;
        let stopped = bed.count("SELECT COUNT(*) FROM deliveries WHERE state = 'stopped'").await;
        assert_eq!(accepted + stopped, 60);
        assert!(accepted > stopped, "{stopped} were in doubt twice");
    })
    .await;
}

//! Alarms: raised by many, told by one, cleared by whoever sees that it is over.

use chrono::TimeDelta;
use division_bell::domain::Moment;
use division_bell::store::{AlarmRow, Telling};

use super::bed::at;
use super::{Bed, both};

async fn raise(bed: &Bed, name: &str, text: &str, now: Moment) -> Telling {
    let mut tx = bed.tx().await;
    let hour = TimeDelta::hours(1);
    let telling = tx
        .raise_alarm(name, text, None, now.minus(hour), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    telling
}

async fn clear(bed: &Bed, name: &str, now: Moment) -> Option<AlarmRow> {
    let mut tx = bed.tx().await;
    let cleared = tx.clear_alarm(name, now).await.unwrap();
    tx.commit().await.unwrap();
    cleared
}

#[tokio::test]
async fn an_alarm_is_told_when_it_is_new_then_hourly_and_is_over_once() {
    both(async |bed| {
        let minute = |n| at(0).plus(TimeDelta::minutes(n));
        assert_eq!(raise(&bed, "relay", "away", minute(0)).await, Telling::Ours);
        assert_eq!(
            raise(&bed, "relay", "still away", minute(59)).await,
            Telling::Done(minute(0))
        );
        assert_eq!(raise(&bed, "disk", "full", minute(59)).await, Telling::Ours);
        assert_eq!(
            raise(&bed, "relay", "gone", minute(60)).await,
            Telling::Ours
        );
        let raised = bed.read().await.alarms().await.unwrap();
        let names: Vec<_> = raised
            .iter()
            .map(|one| (&one.name[..], &one.text[..]))
            .collect();
        assert_eq!(names, [("disk", "full"), ("relay", "gone")]);
        assert_eq!(raised[1].raised_at, minute(0));
        assert_eq!(raised[1].told_at, Some(minute(60)));
        assert!(bed.read().await.is_alarm_raised("relay").await.unwrap());

        let over = clear(&bed, "relay", minute(61)).await.unwrap();
        assert!(over.is_told());
        assert_eq!(clear(&bed, "relay", minute(61)).await, None);
        assert_eq!(clear(&bed, "inbox", minute(61)).await, None);
        assert!(!bed.read().await.is_alarm_raised("relay").await.unwrap());
        // Back at once: it is wrong, and too early to tell again; so its end is nothing to tell either.
        assert_eq!(
            raise(&bed, "relay", "away", minute(62)).await,
            Telling::Done(minute(60))
        );
        assert!(!clear(&bed, "relay", minute(63)).await.unwrap().is_told());
        assert_eq!(
            raise(&bed, "relay", "away", minute(120)).await,
            Telling::Ours
        );
        // The clock was set back.
        assert_eq!(raise(&bed, "relay", "away", at(-50)).await, Telling::Ours);
    })
    .await;
}

#[tokio::test]
async fn what_was_told_while_the_database_was_away_is_not_told_again() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let told = Some(at(0));
        let telling = tx
            .raise_alarm("database", "away", told, at(-1), at(0))
            .await
            .unwrap();
        assert_eq!(telling, Telling::Done(at(0)));
        // An older telling takes nothing back.
        let telling = tx
            .raise_alarm("database", "away", Some(at(-9)), at(-1), at(0))
            .await
            .unwrap();
        assert_eq!(telling, Telling::Done(at(0)));
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_raise_an_alarm_one_tells_it() {
    both(async |bed| {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let bed = Bed::new(bed.store.clone());
                tokio::spawn(async move { raise(&bed, "relay", "away", at(0)).await })
            })
            .collect();
        let mut ours = 0;
        for task in tasks {
            ours += usize::from(task.await.unwrap() == Telling::Ours);
        }
        assert_eq!(ours, 1);
    })
    .await;
}

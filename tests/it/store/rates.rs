//! Rates: what was sent is counted by the minute, by every instance, and what waits is told apart.

use division_bell::domain::Moment;
use division_bell::domain::finding::Category;
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::rate::{Asked, Key, Limits, Meter, Rates, Sent, Verdict, minute_of};
use division_bell::store::{Gone, ThreadState, Waiting};

use super::bed::{accepted, at};
use super::{Bed, both};

fn sent(key: Key, minute: i64, letters: i64, free_at: Moment) -> Sent {
    Sent {
        key,
        minute,
        letters,
        free_at,
    }
}

fn domain() -> Key {
    Key::Domain("parl.example".to_owned())
}

async fn count(bed: &Bed, all: &[Sent]) {
    let mut tx = bed.tx().await;
    tx.lock_rates().await.unwrap();
    tx.count_sent(all).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_was_sent_adds_up_minute_by_minute_and_is_forgotten_in_time() {
    both(async |bed| {
        count(&bed, &[]).await;
        count(
            &bed,
            &[
                sent(Key::Relay, 100, 3, at(1)),
                sent(domain(), 100, 2, at(2)),
            ],
        )
        .await;
        count(
            &bed,
            &[
                sent(Key::Relay, 100, 4, at(3)),
                sent(Key::Relay, 101, 1, at(4)),
                sent(Key::Wave, 101, 1, at(0)),
            ],
        )
        .await;
        // Given back; the pace does not run backwards.
        count(&bed, &[sent(Key::Relay, 101, -1, at(2))]).await;
        let all = [
            sent(domain(), 100, 2, at(2)),
            sent(Key::Relay, 100, 7, at(3)),
            sent(Key::Relay, 101, 0, at(4)),
            sent(Key::Wave, 101, 1, at(0)),
        ];
        assert_eq!(bed.read().await.sent_since(100).await.unwrap(), all);
        assert_eq!(bed.read().await.sent_since(101).await.unwrap(), all[2..]);
        let mut tx = bed.tx().await;
        tx.forget_sent(101).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.read().await.sent_since(0).await.unwrap(), all[2..]);
        // A key of another version is not taken for ours.
        bed.sql(
            "INSERT INTO sent_minutes (key, minute, letters, free_at) VALUES ('tenant', 102, 1, 0)",
        )
        .await
        .unwrap();
        let error = bed.read().await.sent_since(0).await.unwrap_err();
        assert!(error.to_string().contains("sent_minutes.key"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_together_keep_to_the_limits() {
    both(async |bed| {
        let rates = Rates {
            relay: Limits {
                per_day: Some(40),
                reserve_percent: 0,
                ..Limits::default()
            },
            ..Rates::default()
        };
        let instances: Vec<_> = (0..4)
            .map(|_| {
                let (store, rates) = (bed.store.clone(), rates.clone());
                tokio::spawn(async move {
                    let mut gone = 0;
                    for _ in 0..20 {
                        let mut tx = store.begin().await.unwrap();
                        tx.lock_rates().await.unwrap();
                        let sent = tx.sent_since(Meter::since(at(2))).await.unwrap();
                        let mut meter = Meter::new(&rates, &sent, at(2));
                        let letter = Asked {
                            domain: "parl.example",
                            urgent: false,
                            first_notice: true,
                        };
                        gone += u32::from(meter.take(at(2), &letter) == Verdict::Now);
                        tx.count_sent(&meter.taken()).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                    gone
                })
            })
            .collect();
        let mut gone = 0;
        for instance in instances {
            gone += instance.await.unwrap();
        }
        assert_eq!(gone, 40);
        let kept = bed.read().await.sent_since(0).await.unwrap();
        assert_eq!((kept.len(), kept[0].letters), (1, 40));
        assert_eq!(kept[0].minute, minute_of(at(2)));
    })
    .await;
}

fn waiting(kind: NoticeKind, due_at: Moment, letters: u64) -> Waiting {
    Waiting {
        kind,
        category: Category::Weak,
        zone: "Europe/London".to_owned(),
        due_at,
        letters,
    }
}

#[tokio::test]
async fn what_waits_is_told_by_kind_and_hour_of_one_campaign_or_of_all() {
    both(async |bed| {
        let (campaign, _) = bed.running(3).await;
        let threads = bed
            .read()
            .await
            .threads(campaign.id, ThreadState::Running, 0, 10)
            .await
            .unwrap();
        let mut tx = bed.tx().await;
        let mut reminders = bed
            .letters(&mut tx, &threads[..2], NoticeKind::Reminder1)
            .await;
        for draft in &mut reminders {
            draft.priority = 40;
            // Half past: told as the next full hour.
            draft.due_at = at(30).plus(chrono::TimeDelta::minutes(30));
        }
        tx.queue(&reminders, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        let expected = [
            waiting(NoticeKind::Weak, Moment::from_micros(0), 3),
            waiting(NoticeKind::Reminder1, at(31), 2),
        ];
        let mut tx = bed.read().await;
        for of in [None, Some(campaign.id)] {
            for domain in [None, Some("parl.example")] {
                let found = tx.waiting_letters(of, domain, at(2)).await.unwrap();
                assert_eq!(found, expected, "{of:?} {domain:?}");
            }
            let found = tx
                .waiting_letters(of, Some("arl.example"), at(2))
                .await
                .unwrap();
            assert_eq!(found, [], "another domain that ends alike");
        }
        let nobody = division_bell::domain::CampaignId(99);
        assert_eq!(
            tx.waiting_letters(Some(nobody), None, at(2)).await.unwrap(),
            []
        );
    })
    .await;
}

#[tokio::test]
async fn how_far_a_campaigns_letters_are_is_told() {
    both(async |bed| {
        let (campaign, _) = bed.running(5).await;
        let untold = bed.read().await.untold_threads(campaign.id).await.unwrap();
        assert_eq!(untold, []);
        for (hour, limit) in [(3, 2), (9, 1)] {
            let claims = bed.claim(limit, at(hour)).await;
            let finished: Vec<_> = claims
                .iter()
                .map(|claim| accepted(claim, at(hour)))
                .collect();
            bed.record(&finished, at(hour)).await;
        }
        let gone = bed
            .read()
            .await
            .letters_gone(campaign.id, at(8))
            .await
            .unwrap();
        let expected = Gone {
            sent: 3,
            left: 2,
            first_at: Some(at(3)),
            recent: 1,
        };
        assert_eq!(gone, expected);
        let nobody = division_bell::domain::CampaignId(99);
        let none = bed.read().await.letters_gone(nobody, at(8)).await.unwrap();
        assert_eq!(none, Gone::default());
    })
    .await;
}

#[tokio::test]
async fn a_campaign_that_is_not_queued_yet_tells_its_first_notices() {
    both(async |bed| {
        let (campaign, _) = bed.approved(4).await;
        let untold = bed.read().await.untold_threads(campaign.id).await.unwrap();
        assert_eq!(
            untold,
            [waiting(NoticeKind::Weak, Moment::from_micros(0), 4)]
        );
    })
    .await;
}

#[tokio::test]
async fn staff_are_those_who_can_sign_in_and_have_an_address() {
    both(async |bed| {
        bed.people(4).await;
        assert_eq!(bed.read().await.staff_count().await.unwrap(), 4);
        bed.sql("UPDATE accounts SET enabled = (1 = 0) WHERE sam = 'User1'")
            .await
            .unwrap();
        bed.sql("UPDATE persons SET left_at = 1 WHERE display_name LIKE '%2'")
            .await
            .unwrap();
        bed.sql("DELETE FROM account_mailboxes WHERE account_id = (SELECT MAX(id) FROM accounts)")
            .await
            .unwrap();
        assert_eq!(bed.read().await.staff_count().await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn letters_that_were_queued_before_are_put_into_the_new_order() {
    both(async |bed| {
        let (_, _) = bed.running(1).await;
        let text = include_str!("../../../migrations/sqlite/0007_rates.sql");
        let update = &text[text.find("UPDATE").unwrap()..];
        bed.sql(update.trim_end().trim_end_matches(';'))
            .await
            .unwrap();
        // The deadline of these threads is at hour 240.
        let queued = bed.claim(1, at(3)).await.remove(0);
        let kept = bed.count("SELECT MIN(priority) FROM deliveries").await;
        let expected = division_bell::domain::policy::priority(
            Category::Weak,
            queued.delivery.kind,
            Some(at(240)),
        );
        assert_eq!(kept, expected);
    })
    .await;
}

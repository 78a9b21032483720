//! What comes back: whom a report takes the notice from, whom it does not, and which doubts it settles.

use division_bell::domain::case::{CaseState, ClosedAs};
use division_bell::domain::delivery::{Outcome, Returned, Verdict};
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::{CampaignId, CaseId, DeliveryId};
use division_bell::store::{Bounce, Bounced, StoreError, ThreadState, Undelivered};

use super::bed::{Claim, accepted, at, ended};
use super::{Bed, both};

const NOT_REACHED: Bounced = Bounced {
    taken_back: true,
    settled: false,
    not_reached: 1,
};

fn report(delivery: DeliveryId, verdict: Verdict) -> Bounce {
    Bounce {
        delivery,
        verdict,
        status: Some("5.1.1".to_owned()),
        reply: Some("no such user".to_owned()),
        why: "bad_address",
    }
}

async fn came(bed: &Bed, delivery: DeliveryId, verdict: Verdict, hour: i64) -> Bounced {
    let mut tx = bed.tx().await;
    let bounced = tx
        .bounce(&report(delivery, verdict), at(hour))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    bounced
}

/// The tasks that are open: kind and reason.
async fn tasks(bed: &Bed) -> Vec<(String, String)> {
    let tasks = bed.read().await.tasks(100).await.unwrap();
    tasks
        .into_iter()
        .map(|task| (task.kind, task.reason))
        .collect()
}

fn reach() -> Vec<(String, String)> {
    vec![("reach".to_owned(), "bad_address".to_owned())]
}

/// A further letter of each running thread, accepted at `hour`.
async fn another(bed: &Bed, campaign: CampaignId, kind: NoticeKind, hour: i64) -> DeliveryId {
    let claim = claimed(bed, campaign, kind, hour).await;
    bed.record(&[accepted(&claim, at(hour))], at(hour)).await;
    claim.delivery.id
}

async fn claimed(bed: &Bed, campaign: CampaignId, kind: NoticeKind, hour: i64) -> Claim {
    let mut tx = bed.tx().await;
    let threads = tx
        .threads(campaign, ThreadState::Running, 0, 9)
        .await
        .unwrap();
    let drafts = bed.letters(&mut tx, &threads, kind).await;
    tx.queue(&drafts, at(2)).await.unwrap();
    tx.commit().await.unwrap();
    bed.claim(1, at(hour)).await.remove(0)
}

/// The first letter of a case, whatever became of it.
async fn first(bed: &Bed, case: CaseId) -> DeliveryId {
    bed.read().await.stories(case).await.unwrap()[0].id
}

#[tokio::test]
async fn a_bounce_takes_the_notice_back_once_and_the_deadline_stays() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        let case = cases[0];
        let letter = first(&bed, case).await;
        for verdict in [Verdict::Delayed, Verdict::Progress] {
            assert_eq!(came(&bed, letter, verdict, 4).await, Bounced::default());
        }
        assert_eq!(bed.states().await, "accepted 2");
        assert_eq!(came(&bed, letter, Verdict::Failed, 5).await, NOT_REACHED);
        let row = bed.case(case).await;
        assert_eq!(
            (row.state, row.deadline_at),
            (CaseState::Open, Some(at(240)))
        );
        assert_eq!(row.not_reached.as_deref(), Some("bounced"));
        assert_eq!(tasks(&bed).await, reach());
        let acts = [
            "case.opened",
            "case.due",
            "case.notified",
            "case.bounced",
            "case.not_reached",
        ];
        assert_eq!(bed.acts(case).await, acts);
        assert_eq!(bed.states().await, "accepted 1, bounced 1");
        // Another report of the same is kept, and changes nothing more.
        assert_eq!(
            came(&bed, letter, Verdict::Failed, 6).await,
            Bounced::default()
        );
        assert_eq!(bed.acts(case).await, acts);
        assert_eq!(tasks(&bed).await, reach());
        assert_eq!(bed.count("SELECT COUNT(*) FROM bounces").await, 4);
        // A report that could not be read counts as a failure.
        let other = first(&bed, cases[1]).await;
        assert_eq!(came(&bed, other, Verdict::Unparsed, 7).await, NOT_REACHED);
        assert_eq!(bed.case(cases[1]).await.state, CaseState::Open);
        let lost = bed
            .tx()
            .await
            .bounce(&report(DeliveryId(99), Verdict::Failed), at(8))
            .await;
        assert!(
            matches!(lost, Err(StoreError::Lost { .. } | StoreError::Database(_))),
            "{lost:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn after_a_bounce_the_next_accepted_letter_is_the_notice() {
    both(async |bed| {
        let (campaign, cases) = bed.told(1).await;
        let case = cases[0];
        let letter = first(&bed, case).await;
        came(&bed, letter, Verdict::Failed, 5).await;
        another(&bed, campaign.id, NoticeKind::Reminder1, 50).await;
        let row = bed.case(case).await;
        assert_eq!(
            (row.state, row.deadline_at, row.not_reached),
            (CaseState::Notified { at: at(50) }, Some(at(240)), None)
        );
    })
    .await;
}

#[tokio::test]
async fn whom_a_later_letter_has_reached_was_reached_then() {
    both(async |bed| {
        let (campaign, cases) = bed.told(1).await;
        let case = cases[0];
        let letter = first(&bed, case).await;
        let reminder = another(&bed, campaign.id, NoticeKind::Reminder1, 50).await;
        // The first notice comes back late.
        let moved = Bounced {
            not_reached: 0,
            ..NOT_REACHED
        };
        assert_eq!(came(&bed, letter, Verdict::Failed, 60).await, moved);
        let row = bed.case(case).await;
        assert_eq!(
            (row.state, row.not_reached.as_deref()),
            (CaseState::Notified { at: at(50) }, None)
        );
        assert_eq!(tasks(&bed).await, []);
        let history = bed.read().await.case_history(case).await.unwrap();
        let last: Vec<_> = history
            .iter()
            .skip(4)
            .map(|entry| (entry.act.as_str(), entry.effective_at))
            .collect();
        assert_eq!(
            last,
            [("case.bounced", None), ("case.notified", Some(at(50)))]
        );
        let as_of = bed
            .read()
            .await
            .cases_as_of(CaseId(0), at(61), 9)
            .await
            .unwrap();
        assert_eq!(
            (as_of[0].0.notice_at, as_of[0].0.undeliverable),
            (Some(at(50)), false)
        );
        // The reminder comes back as well.
        assert_eq!(came(&bed, reminder, Verdict::Failed, 70).await, NOT_REACHED);
        assert_eq!(bed.case(case).await.state, CaseState::Open);
        assert_eq!(tasks(&bed).await, reach());
    })
    .await;
}

#[tokio::test]
async fn a_reminder_that_bounces_leaves_the_first_notice_as_it_was() {
    both(async |bed| {
        let (campaign, cases) = bed.told(1).await;
        let reminder = another(&bed, campaign.id, NoticeKind::Reminder1, 50).await;
        let before = bed.acts(cases[0]).await;
        let bounced = came(&bed, reminder, Verdict::Failed, 60).await;
        assert!(bounced.taken_back && bounced.not_reached == 0);
        assert_eq!(
            bed.case(cases[0]).await.state,
            CaseState::Notified { at: at(3) }
        );
        assert_eq!(bed.acts(cases[0]).await, before);
        assert_eq!(bed.states().await, "accepted 1, bounced 1");
    })
    .await;
}

#[tokio::test]
async fn whom_a_human_being_has_told_stays_told() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        for (case, told_at, notice_at) in [(cases[0], 4, 4), (cases[1], 2, 2)] {
            let mut tx = bed.tx().await;
            tx.tell_case(case, at(told_at), "by phone", "ann", at(4))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let letter = first(&bed, case).await;
            let bounced = came(&bed, letter, Verdict::Failed, 5).await;
            assert_eq!((bounced.taken_back, bounced.not_reached), (true, 0));
            let row = bed.case(case).await;
            assert_eq!(
                (row.state, row.not_reached.as_deref()),
                (CaseState::Notified { at: at(notice_at) }, None)
            );
        }
        assert_eq!(tasks(&bed).await, []);
        assert_eq!(bed.states().await, "bounced 2");
        // What a report says of these cases is the same.
        let as_of = bed
            .read()
            .await
            .cases_as_of(CaseId(0), at(9), 9)
            .await
            .unwrap();
        let told: Vec<_> = as_of
            .iter()
            .map(|(facts, _)| (facts.notice_at, facts.undeliverable))
            .collect();
        assert_eq!(told, [(Some(at(4)), false), (Some(at(2)), false)]);
    })
    .await;
}

#[tokio::test]
async fn a_closed_case_and_thanks_move_nothing() {
    both(async |bed| {
        let (campaign, cases) = bed.told(2).await;
        let thanks = another(&bed, campaign.id, NoticeKind::Done, 4).await;
        let bounced = came(&bed, thanks, Verdict::Failed, 5).await;
        assert_eq!((bounced.taken_back, bounced.not_reached), (true, 0));
        assert_eq!(
            bed.case(cases[0]).await.state,
            CaseState::Notified { at: at(3) }
        );
        let mut tx = bed.tx().await;
        tx.withdraw_case(cases[1], "a mistake", "ann", at(6))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let before = bed.acts(cases[1]).await;
        let letter = first(&bed, cases[1]).await;
        let bounced = came(&bed, letter, Verdict::Failed, 7).await;
        assert_eq!((bounced.taken_back, bounced.not_reached), (true, 0));
        assert_eq!(
            bed.case(cases[1]).await.state,
            CaseState::Closed {
                at: at(6),
                closed_as: ClosedAs::Withdrawn
            }
        );
        assert_eq!(bed.acts(cases[1]).await, before);
        assert_eq!(tasks(&bed).await, []);
    })
    .await;
}

/// A letter whose attempt ended in doubt at hour 4: it waits for its second one, or for a decision.
async fn in_doubt(bed: &Bed, then: Undelivered) -> (CaseId, DeliveryId) {
    let (_, cases) = bed.running(1).await;
    let claim = bed.claim(1, at(3)).await.remove(0);
    let doubt = ended(&claim, Outcome::InDoubt, then, at(4));
    bed.record(&[doubt], at(4)).await;
    (cases[0], claim.delivery.id)
}

#[tokio::test]
async fn any_sign_that_the_relay_had_it_settles_a_doubt_and_it_is_not_sent_again() {
    for verdict in [Verdict::Delayed, Verdict::Progress] {
        both(async |bed| {
            let (case, letter) = in_doubt(&bed, Undelivered::Again(at(5))).await;
            let bounced = came(&bed, letter, verdict, 6).await;
            assert_eq!(
                bounced,
                Bounced {
                    settled: true,
                    ..Bounced::default()
                }
            );
            assert_eq!(bed.states().await, "accepted 1");
            assert_eq!(bed.claim(9, at(100)).await, []);
            let row = bed.case(case).await;
            assert_eq!(row.state, CaseState::Notified { at: at(4) });
            assert_eq!(
                bed.acts(case).await,
                ["case.opened", "case.due", "case.notified"]
            );
            let settled = bed.read().await.ledger(0, 100).await.unwrap();
            let settled = settled
                .iter()
                .find(|entry| entry.act == "delivery.settled")
                .unwrap();
            assert_eq!(settled.thing, Some(format!("delivery:{letter}")));
            // A report tells of a letter that was accepted, and that was in doubt for ever.
            let facts = bed.read().await.deliveries_as_of(at(7)).await.unwrap()[0].1;
            assert_eq!((facts.accepted, facts.trying, facts.in_doubt), (1, 0, 1));
            let before = bed.read().await.deliveries_as_of(at(5)).await.unwrap()[0].1;
            assert_eq!((before.accepted, before.trying), (0, 1));
            // Then it comes back after all.
            assert_eq!(came(&bed, letter, Verdict::Failed, 8).await, NOT_REACHED);
            assert_eq!(bed.case(case).await.state, CaseState::Open);
        })
        .await;
    }
}

#[tokio::test]
async fn a_failure_settles_a_doubt_as_well() {
    both(async |bed| {
        let (case, letter) = in_doubt(&bed, Undelivered::Again(at(5))).await;
        let bounced = came(&bed, letter, Verdict::Failed, 6).await;
        assert!(bounced.settled && bounced.taken_back && bounced.not_reached == 1);
        assert_eq!(bed.states().await, "bounced 1");
        assert_eq!(bed.claim(9, at(100)).await, []);
        let row = bed.case(case).await;
        assert_eq!(
            (row.state, row.not_reached.as_deref()),
            (CaseState::Open, Some("bounced"))
        );
        assert_eq!(tasks(&bed).await, reach());
    })
    .await;
}

#[tokio::test]
async fn a_doubt_that_waits_for_a_decision_needs_none_after_a_report() {
    for (verdict, states, left) in [
        (Verdict::Delayed, "accepted 1", vec![]),
        (Verdict::Failed, "bounced 1", reach()),
    ] {
        both(async |bed| {
            let (case, letter) = in_doubt(&bed, Undelivered::Again(at(5))).await;
            // Its worker dies in the second attempt.
            bed.claim(1, at(5)).await;
            let mut tx = bed.tx().await;
            tx.recover(at(9), at(7)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(bed.states().await, "stopped 1");
            assert_eq!(
                tasks(&bed).await,
                [("decide".to_owned(), "in_doubt".to_owned())]
            );
            assert!(came(&bed, letter, verdict, 8).await.settled);
            assert_eq!(bed.states().await, states);
            assert_eq!(tasks(&bed).await, left);
            let told = verdict == Verdict::Delayed;
            assert_eq!(
                matches!(bed.case(case).await.state, CaseState::Notified { .. }),
                told
            );
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_never_sent_is_on_its_way_or_has_ended_is_not_settled() {
    both(async |bed| {
        let (_, _) = bed.running(2).await;
        let claims = bed.claim(1, at(3)).await;
        let queued = DeliveryId(claims[0].delivery.id.0 % 2 + 1);
        for (letter, verdict) in [
            (queued, Verdict::Failed),
            (queued, Verdict::Delayed),
            (claims[0].delivery.id, Verdict::Failed),
            (claims[0].delivery.id, Verdict::Progress),
        ] {
            assert_eq!(came(&bed, letter, verdict, 4).await, Bounced::default());
        }
        assert_eq!(bed.states().await, "leased 1, queued 1");
        let refused = ended(
            &claims[0],
            Outcome::FailRecipient,
            Undelivered::Refused,
            at(5),
        );
        bed.record(&[refused], at(5)).await;
        assert_eq!(
            came(&bed, claims[0].delivery.id, Verdict::Failed, 6).await,
            Bounced::default()
        );
        assert_eq!(bed.states().await, "queued 1, refused 1");
        assert_eq!(bed.count("SELECT COUNT(*) FROM bounces").await, 5);
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_came_back_counts_once() {
    both(async |bed| {
        let (_, cases) = bed.told(1).await;
        let letter = first(&bed, cases[0]).await;
        let failed = Returned::Report(Verdict::Failed);
        for (digest, kind, delivery, hour, new) in [
            ("d1", failed, Some(letter), 4, true),
            ("d1", failed, Some(letter), 5, false),
            ("d2", failed, Some(letter), 5, true),
            ("d3", Returned::OutOfOffice, None, 6, true),
            ("d3", Returned::OutOfOffice, None, 7, false),
        ] {
            let mut tx = bed.tx().await;
            let kept = tx
                .keep_returned(digest, kind, delivery, at(hour))
                .await
                .unwrap();
            assert_eq!(kept, new, "{digest}");
            tx.commit().await.unwrap();
        }
        // What was rolled back was not seen.
        let mut tx = bed.tx().await;
        assert!(
            tx.keep_returned("d4", Returned::Spam, None, at(8))
                .await
                .unwrap()
        );
        tx.rollback().await.unwrap();
        for kind in Returned::ALL {
            let mut tx = bed.tx().await;
            assert!(
                tx.keep_returned(kind.word(), kind, None, at(9))
                    .await
                    .unwrap()
            );
            tx.commit().await.unwrap();
        }
        let mut tx = bed.read().await;
        assert_eq!(tx.returned_as_of(at(4)).await.unwrap(), [(failed, 1)]);
        assert_eq!(
            tx.returned_as_of(at(8)).await.unwrap(),
            [(failed, 2), (Returned::OutOfOffice, 1)]
        );
        assert_eq!(
            tx.returned_as_of(at(9)).await.unwrap().len(),
            Returned::ALL.len()
        );
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refused_us_is_remembered_by_its_settings() {
    both(async |bed| {
        let barred = async |settings: &str| bed.read().await.inbox_barred(settings).await.unwrap();
        assert_eq!(barred("one").await, None);
        for hour in [1, 2] {
            let mut tx = bed.tx().await;
            tx.bar_inbox("one", at(hour)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(barred("one").await, Some(at(hour)));
        }
        assert_eq!(barred("two").await, None);
        let mut tx = bed.tx().await;
        tx.admit_inbox().await.unwrap();
        tx.admit_inbox().await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(barred("one").await, None);
    })
    .await;
}

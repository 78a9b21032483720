//! The outbox: queued once, claimed by one, recorded once, and never forgotten in flight.

use division_bell::domain::case::CaseState;
use division_bell::domain::delivery::{Outcome, Stage};
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::{DeliveryId, Moment};
use division_bell::store::{
    DeliveryDraft, DeliveryStory, Recovered, StoreError, TemplateId, ThreadState, Undelivered,
};

use super::bed::{Claim, accepted, at, claim_in, ended, mail, unclaim_in};
use super::both;

/// Start, end, outcome, stage, code and reply of an attempt.
type Tried<'a> = (
    Moment,
    Option<Moment>,
    Option<&'a str>,
    Option<&'a str>,
    Option<i64>,
    Option<&'a str>,
);

fn tried(story: &DeliveryStory) -> Vec<Tried<'_>> {
    story
        .attempts
        .iter()
        .map(|one| {
            let (outcome, stage) = (one.outcome.as_deref(), one.stage.as_deref());
            (
                one.started_at,
                one.ended_at,
                outcome,
                stage,
                one.code,
                one.reply.as_deref(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_template_is_kept_once_by_its_content() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let one = tx
            .keep_template("h1", "notice.weak", "en-GB", "{\"a\":1}", at(0))
            .await
            .unwrap();
        let same = tx
            .keep_template("h1", "notice.weak", "en-GB", "{\"a\":1}", at(1))
            .await
            .unwrap();
        let other = tx
            .keep_template("h2", "notice.weak", "cy", "{}", at(1))
            .await
            .unwrap();
        assert_eq!(one, same);
        assert_ne!(one, other);
        let kept = tx.template(one).await.unwrap();
        assert_eq!(
            kept,
            (
                "notice.weak".to_owned(),
                "en-GB".to_owned(),
                "{\"a\":1}".to_owned()
            )
        );
        tx.commit().await.unwrap();
        assert_eq!(bed.count("SELECT COUNT(*) FROM templates").await, 2);
        assert!(bed.read().await.template(TemplateId(99)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn what_is_queued_already_is_not_queued_again() {
    both(async |bed| {
        let (campaign, _) = bed.approved(2).await;
        let mut tx = bed.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, 0, 9)
            .await
            .unwrap();
        let drafts = bed.letters(&mut tx, &threads, NoticeKind::Weak).await;
        assert_eq!(tx.queue(&drafts, at(2)).await.unwrap(), 2);
        assert_eq!(tx.queue(&drafts, at(2)).await.unwrap(), 0);
        assert_eq!(tx.queue(&[], at(2)).await.unwrap(), 0);
        // Another round, another channel and another kind are letters of their own; what else a draft says is not looked at.
        let again = |draft: &DeliveryDraft| DeliveryDraft {
            letter_hash: "other".to_owned(),
            due_at: at(9),
            ..draft.clone()
        };
        let more = [
            again(&drafts[0]),
            DeliveryDraft {
                seq: 2,
                ..again(&drafts[0])
            },
            DeliveryDraft {
                channel: "mail.2".to_owned(),
                ..again(&drafts[0])
            },
            DeliveryDraft {
                kind: NoticeKind::Done,
                ..again(&drafts[0])
            },
        ];
        assert_eq!(tx.queue(&more, at(2)).await.unwrap(), 3);
        let said = tx
            .said(&[threads[0].id, threads[1].id], NoticeKind::Weak)
            .await
            .unwrap();
        assert_eq!((said[&threads[0].id], said[&threads[1].id]), (2, 1));
        let said = tx
            .said(&[threads[0].id, threads[1].id], NoticeKind::Done)
            .await
            .unwrap();
        assert_eq!((said.len(), said[&threads[0].id]), (1, 1));
        assert_eq!(tx.said(&[], NoticeKind::Weak).await.unwrap().len(), 0);
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "queued 5");
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM deliveries WHERE letter_hash = 'letter-1'")
                .await,
            2
        );
    })
    .await;
}

#[tokio::test]
async fn the_severest_are_claimed_first_then_the_longest_due() {
    both(async |bed| {
        let (campaign, _) = bed.approved(5).await;
        let mut tx = bed.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, 0, 9)
            .await
            .unwrap();
        let mut drafts = bed.letters(&mut tx, &threads, NoticeKind::Weak).await;
        for (draft, (priority, hour)) in
            drafts
                .iter_mut()
                .zip([(30, 5), (10, 8), (30, 4), (20, 9), (10, 7)])
        {
            (draft.priority, draft.due_at) = (priority, at(hour));
        }
        tx.queue(&drafts, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.read().await.next_due().await.unwrap(), Some(at(4)));
        assert_eq!(bed.claim(9, at(3)).await, []);
        assert_eq!(bed.claim(0, at(99)).await, []);
        let order = |claims: &[Claim]| {
            claims
                .iter()
                .map(|claim| claim.delivery.thread)
                .collect::<Vec<_>>()
        };
        let of = |places: &[usize]| places.iter().map(|at| threads[*at].id).collect::<Vec<_>>();
        // What is not due yet waits, however severe it is.
        assert_eq!(order(&bed.claim(9, at(5)).await), of(&[2, 0]));
        assert_eq!(order(&bed.claim(2, at(20)).await), of(&[4, 1]));
        assert_eq!(order(&bed.claim(2, at(20)).await), of(&[3]));
        assert_eq!(bed.read().await.next_due().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_claim_has_all_that_a_letter_is_made_from_and_its_attempt_is_written_down() {
    both(async |bed| {
        let (campaign, cases) = bed.running(1).await;
        let claims = bed.claim(9, at(3)).await;
        let one = &claims[0].delivery;
        assert_eq!(
            (one.campaign, one.kind, one.seq, &one.channel[..]),
            (campaign.id, NoticeKind::Weak, 1, "mail")
        );
        assert_eq!(
            (&one.recipient, &one.facts[..], &one.letter_hash[..]),
            (&mail("user@parl.example"), "{}", "letter-1")
        );
        assert_eq!(
            (
                one.queued_at,
                one.attempts,
                one.first_attempt_at,
                one.possible_duplicate
            ),
            (at(2), 0, None, false)
        );
        assert_eq!(
            (&one.zone[..], one.message_ids.clone()),
            ("Europe/London", format!("<t{}@bell.example>", one.thread))
        );
        assert_eq!(bed.claim(9, at(3)).await, []);
        let story = bed.read().await.stories(cases[0]).await.unwrap().remove(0);
        assert_eq!(
            (story.id, &story.state[..], &story.kind[..]),
            (one.id, "leased", "notice.weak")
        );
        assert_eq!(tried(&story), [(at(3), None, None, None, None, None)]);
        assert!(bed.read().await.has_delivery(one.id).await.unwrap());
        assert!(!bed.read().await.has_delivery(DeliveryId(99)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn an_accepted_letter_is_recorded_once_and_its_case_is_notified() {
    both(async |bed| {
        let (_, cases) = bed.running(2).await;
        let claims = bed.claim(1, at(3)).await;
        let mut finished = accepted(&claims[0], at(4));
        finished.stage = Stage::Dot;
        bed.record(&[finished.clone()], at(5)).await;
        bed.record(&[], at(5)).await;
        let row = bed.read().await.cases_of(&[claims[0].delivery.thread]).await.unwrap().remove(0);
        assert_eq!(row.state, CaseState::Notified { at: at(4) });
        let entry = bed.read().await.case_history(row.id).await.unwrap().pop().unwrap();
        assert_eq!((&entry.act[..], entry.at, entry.effective_at), ("case.notified", at(5), Some(at(4))));
        let detail = format!("{{\"kind\":\"notice.weak\",\"delivery\":{}}}", claims[0].delivery.id);
        assert_eq!(entry.detail, Some(detail));
        let story = bed.read().await.stories(row.id).await.unwrap().remove(0);
        assert_eq!(&story.state[..], "accepted");
        let reply = Some("2.0.0 Ok: queued as 4XyZ");
        assert_eq!(tried(&story), [(at(3), Some(at(4)), Some("accepted"), Some("dot"), Some(250), reply)]);
        assert!(bed.count("SELECT COUNT(*) FROM deliveries WHERE state = 'accepted' AND ended_at IS NOT NULL AND lease_until IS NULL AND lease_by IS NULL").await == 1);

        // A second word about the same attempt comes too late, and takes the whole batch with it.
        let before = bed.ledger().await;
        let other = bed.claim(1, at(5)).await.remove(0);
        let mut tx = bed.tx().await;
        let lost = tx.record(&[accepted(&other, at(6)), finished], at(6)).await;
        assert!(matches!(lost, Err(StoreError::Lost { table: "deliveries", .. })), "{lost:?}");
        drop(tx);
        assert_eq!(bed.states().await, "accepted 1, leased 1");
        assert_eq!(bed.ledger().await, before);
        assert!(cases.len() == 2);
    })
    .await;
}

#[tokio::test]
async fn what_one_attempt_means_for_the_next_is_what_was_decided() {
    for (then, outcome, state, due) in [
        (
            Undelivered::Again(at(9)),
            Outcome::DeferRecipient,
            "queued",
            Some(at(9)),
        ),
        (
            Undelivered::Again(at(9)),
            Outcome::InDoubt,
            "queued",
            Some(at(9)),
        ),
        (
            Undelivered::Refused,
            Outcome::FailRecipient,
            "refused",
            None,
        ),
        (
            Undelivered::Expired,
            Outcome::DeferRecipient,
            "expired",
            None,
        ),
        (Undelivered::Stopped, Outcome::FailMessage, "stopped", None),
    ] {
        both(async |bed| {
            let (_, cases) = bed.running(1).await;
            let claim = bed.claim(1, at(3)).await.remove(0);
            bed.record(&[ended(&claim, outcome, then, at(4))], at(4))
                .await;
            assert_eq!(bed.states().await, format!("{state} 1"));
            assert_eq!(bed.read().await.next_due().await.unwrap(), due);
            assert_eq!(bed.case(cases[0]).await.state, CaseState::Open);
            assert_eq!(bed.acts(cases[0]).await, ["case.opened", "case.due"]);
            let story = bed.read().await.stories(cases[0]).await.unwrap().remove(0);
            assert_eq!(story.possible_duplicate, outcome == Outcome::InDoubt);
            let ended = bed
                .count("SELECT COUNT(*) FROM deliveries WHERE ended_at IS NOT NULL")
                .await;
            assert_eq!(ended, i64::from(due.is_none()));
            if due.is_some() {
                assert_eq!(bed.claim(1, at(8)).await, []);
                let again = bed.claim(1, at(9)).await.remove(0).delivery;
                assert_eq!((again.attempts, again.first_attempt_at), (1, Some(at(3))));
                assert_eq!(
                    (again.queued_at, again.letter_hash),
                    (at(2), "letter-1".to_owned())
                );
                assert_eq!(again.possible_duplicate, outcome == Outcome::InDoubt);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_reminder_or_a_second_channel_does_not_move_the_day_of_the_notice() {
    both(async |bed| {
        let (campaign, cases) = bed.told(1).await;
        let mut tx = bed.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Running, 0, 9)
            .await
            .unwrap();
        let reminder = bed.letters(&mut tx, &threads, NoticeKind::Reminder1).await;
        let done = bed.letters(&mut tx, &threads, NoticeKind::Done).await;
        tx.queue(&reminder, at(2)).await.unwrap();
        tx.queue(&done, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        let claims = bed.claim(9, at(50)).await;
        let finished: Vec<_> = claims.iter().map(|claim| accepted(claim, at(51))).collect();
        bed.record(&finished, at(51)).await;
        assert_eq!(
            bed.case(cases[0]).await.state,
            CaseState::Notified { at: at(3) }
        );
        // Thanks are no reminder.
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.due", "case.notified", "case.reminded"]
        );
    })
    .await;
}

#[tokio::test]
async fn of_two_letters_accepted_together_the_first_is_the_notice() {
    both(async |bed| {
        let (campaign, cases) = bed.running(1).await;
        let mut tx = bed.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Running, 0, 9)
            .await
            .unwrap();
        let mut second = bed.letters(&mut tx, &threads, NoticeKind::Weak).await;
        second[0].channel = "mail.2".to_owned();
        tx.queue(&second, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        let claims = bed.claim(9, at(3)).await;
        bed.record(
            &[accepted(&claims[0], at(9)), accepted(&claims[1], at(4))],
            at(9),
        )
        .await;
        assert_eq!(
            bed.case(cases[0]).await.state,
            CaseState::Notified { at: at(4) }
        );
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_extended_does_not_run_out() {
    both(async |bed| {
        bed.running(2).await;
        let claims = bed.claim(2, at(3)).await;
        let mut tx = bed.tx().await;
        tx.extend_leases(&[claims[0].delivery.id], at(9))
            .await
            .unwrap();
        tx.extend_leases(&[], at(9)).await.unwrap();
        let recovered = tx.recover(at(8), at(5)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            recovered,
            Recovered {
                in_doubt: 1,
                stopped: 0,
                unharmed: 0
            }
        );
        assert_eq!(bed.states().await, "leased 1, queued 1");
        // What is not in flight any more gets no lease.
        bed.record(&[accepted(&claims[0], at(5))], at(5)).await;
        let mut tx = bed.tx().await;
        tx.extend_leases(&[claims[0].delivery.id], at(9))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM deliveries WHERE lease_until IS NOT NULL")
                .await,
            0
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_in_flight_is_in_doubt_once_and_then_a_human_beings_decision() {
    both(async |bed| {
        let (_, cases) = bed.running(1).await;
        bed.claim(1, at(3)).await;
        let recover = async |again: i64, now: i64| {
            let mut tx = bed.tx().await;
            let recovered = tx.recover(at(again), at(now)).await.unwrap();
            tx.commit().await.unwrap();
            recovered
        };
        // The lease is one hour, and good to its last moment.
        assert_eq!(recover(9, 4).await, Recovered::default());
        assert!(!bed.read().await.has_expired_leases(at(4)).await.unwrap());
        assert!(bed.read().await.has_expired_leases(at(5)).await.unwrap());
        assert_eq!(
            recover(9, 5).await,
            Recovered {
                in_doubt: 1,
                stopped: 0,
                unharmed: 0
            }
        );
        assert_eq!(recover(9, 5).await, Recovered::default());
        let story = bed.read().await.stories(cases[0]).await.unwrap().remove(0);
        assert_eq!(
            (&story.state[..], story.due_at, story.possible_duplicate),
            ("queued", at(9), true)
        );
        assert_eq!(
            tried(&story),
            [(at(3), Some(at(5)), Some("in_doubt"), None, None, None)]
        );

        let again = bed.claim(1, at(9)).await.remove(0);
        assert!(again.delivery.possible_duplicate);
        assert_eq!(
            (again.delivery.attempts, again.delivery.first_attempt_at),
            (1, Some(at(3)))
        );
        assert_eq!(
            recover(19, 15).await,
            Recovered {
                in_doubt: 0,
                stopped: 1,
                unharmed: 0
            }
        );
        assert_eq!(bed.states().await, "stopped 1");
        assert_eq!(bed.claim(9, at(99)).await, []);
        let stopped =
            "SELECT COUNT(*) FROM deliveries WHERE ended_at IS NOT NULL AND possible_duplicate";
        assert_eq!(bed.count(stopped).await, 1);
        let entries = bed.read().await.ledger(0, 100).await.unwrap();
        let told: Vec<_> = entries
            .iter()
            .filter(|entry| entry.act == "deliveries.in_doubt")
            .map(|entry| entry.detail.clone().unwrap())
            .collect();
        assert_eq!(
            told,
            [
                "{\"in_doubt\":1,\"stopped\":0,\"unharmed\":0}",
                "{\"in_doubt\":0,\"stopped\":1,\"unharmed\":0}"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn the_mark_of_a_possible_duplicate_stays_when_it_is_accepted() {
    both(async |bed| {
        let (_, cases) = bed.running(1).await;
        let claim = bed.claim(1, at(3)).await.remove(0);
        bed.record(
            &[ended(
                &claim,
                Outcome::InDoubt,
                Undelivered::Again(at(4)),
                at(3),
            )],
            at(3),
        )
        .await;
        let claim = bed.claim(1, at(4)).await.remove(0);
        bed.record(&[accepted(&claim, at(5))], at(5)).await;
        let story = bed.read().await.stories(cases[0]).await.unwrap().remove(0);
        assert_eq!(
            (
                &story.state[..],
                story.possible_duplicate,
                story.attempts.len()
            ),
            ("accepted", true, 2)
        );
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_was_taken_for_dead_cannot_speak_for_the_next() {
    both(async |bed| {
        bed.running(1).await;
        let dead = bed.claim(1, at(3)).await.remove(0);
        let mut tx = bed.tx().await;
        tx.recover(at(5), at(5)).await.unwrap();
        tx.commit().await.unwrap();
        let alive = bed.claim(1, at(5)).await.remove(0);
        assert_eq!(alive.delivery.id, dead.delivery.id);

        // The delivery is leased, but not to this attempt.
        let mut tx = bed.tx().await;
        let lost = tx.record(&[accepted(&dead, at(6))], at(6)).await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        tx.rollback().await.unwrap();
        let mut tx = bed.tx().await;
        unclaim_in(&mut tx, std::slice::from_ref(&dead), at(6), at(6)).await;
        tx.commit().await.unwrap();
        let mut tx = bed.tx().await;
        let lost = tx.stop_delivery(dead.delivery.id, "worker-2", "x", at(6)).await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        tx.rollback().await.unwrap();
        assert_eq!(bed.states().await, "leased 1");
        bed.record(&[accepted(&alive, at(6))], at(6)).await;
        assert_eq!(bed.states().await, "accepted 1");
        let outcomes = "SELECT COUNT(*) FROM attempts WHERE (id, outcome) IN (SELECT MIN(id), 'in_doubt' FROM attempts UNION ALL SELECT MAX(id), 'accepted' FROM attempts)";
        assert_eq!(bed.count(outcomes).await, 2);
    })
    .await;
}

#[tokio::test]
async fn what_is_given_back_was_never_tried() {
    both(async |bed| {
        let (_, cases) = bed.running(1).await;
        let claims = bed.claim(1, at(3)).await;
        let mut tx = bed.tx().await;
        unclaim_in(&mut tx, &claims, at(7), at(4)).await;
        unclaim_in(&mut tx, &claims, at(8), at(4)).await;
        unclaim_in(&mut tx, &[], at(8), at(4)).await;
        tx.commit().await.unwrap();
        let story = bed.read().await.stories(cases[0]).await.unwrap().remove(0);
        assert_eq!(
            (&story.state[..], story.due_at, story.possible_duplicate),
            ("queued", at(7), false)
        );
        assert_eq!(
            tried(&story),
            [(at(3), Some(at(4)), Some("not_started"), None, None, None)]
        );
        let again = bed.claim(1, at(7)).await.remove(0);
        assert_eq!(again.delivery.attempts, 0);
    })
    .await;
}

#[tokio::test]
async fn a_letter_that_cannot_be_written_stops_and_says_why() {
    both(async |bed| {
        let (_, cases) = bed.running(1).await;
        let mut tx = bed.tx().await;
        let leased = tx.claim(1, "w", at(9), at(3)).await.unwrap().remove(0);
        tx.stop_delivery(leased.id, "w", "the letter cannot be written", at(4))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "stopped 1");
        let story = bed.read().await.stories(cases[0]).await.unwrap().remove(0);
        let why = Some("the letter cannot be written");
        assert_eq!(
            tried(&story),
            [(at(4), Some(at(4)), Some("not_started"), None, None, why)]
        );
        assert_eq!(bed.case(cases[0]).await.state, CaseState::Open);
    })
    .await;
}

#[tokio::test]
async fn the_story_of_a_case_is_that_of_its_own_letters() {
    both(async |bed| {
        let (campaign, cases) = bed.told(2).await;
        let mut tx = bed.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Running, 0, 9)
            .await
            .unwrap();
        let reminders = bed.letters(&mut tx, &threads, NoticeKind::Reminder1).await;
        tx.queue(&reminders, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        let stories = bed.read().await.stories(cases[1]).await.unwrap();
        let kinds: Vec<_> = stories
            .iter()
            .map(|story| (&story.kind[..], &story.state[..], story.attempts.len()))
            .collect();
        assert_eq!(
            kinds,
            [("notice.weak", "accepted", 1), ("reminder.1", "queued", 0)]
        );
        assert_eq!(stories[0].queued_at, at(2));
        assert_eq!(stories[0].recipient.expose(), "user@parl.example");
        let lone = bed
            .read()
            .await
            .stories(division_bell::domain::CaseId(99))
            .await
            .unwrap();
        assert_eq!(lone, []);
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_rolled_back_was_never_queued() {
    both(async |bed| {
        let (campaign, _) = bed.approved(2).await;
        let mut tx = bed.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, 0, 9)
            .await
            .unwrap();
        let drafts = bed.letters(&mut tx, &threads, NoticeKind::Weak).await;
        tx.queue(&drafts, at(2)).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(bed.states().await, "");
        assert_eq!(bed.count("SELECT COUNT(*) FROM templates").await, 0);
        // A claim that is not committed leaves no lease and no attempt.
        let mut tx = bed.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, 0, 9)
            .await
            .unwrap();
        let drafts = bed.letters(&mut tx, &threads, NoticeKind::Weak).await;
        tx.queue(&drafts, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.tx().await;
        assert_eq!(claim_in(&mut tx, 9, "one", at(9), at(3)).await.len(), 2);
        tx.rollback().await.unwrap();
        assert_eq!(bed.states().await, "queued 2");
        assert_eq!(bed.count("SELECT COUNT(*) FROM attempts").await, 0);
        assert_eq!(bed.claim(9, at(3)).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_letters_are_queued_claimed_and_recorded() {
    both(async |bed| {
        bed.running(10_000).await;
        let claims = bed.claim(10_000, at(3)).await;
        assert_eq!(claims.len(), 10_000);
        let finished: Vec<_> = claims.iter().map(|claim| accepted(claim, at(3))).collect();
        bed.record(&finished, at(3)).await;
        assert_eq!(bed.states().await, "accepted 10000");
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM cases WHERE state = 'notified'")
                .await,
            10_000
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_leased_and_not_begun_is_in_no_doubt_after_a_crash() {
    both(async |bed| {
        bed.running(3).await;
        let mut tx = bed.tx().await;
        let leased = tx.claim(3, "dead", at(4), at(3)).await.unwrap();
        let wanted = [(leased[0].id, leased[0].thread)];
        let begun = tx.begin_attempts(&wanted, "dead", at(3)).await.unwrap();
        assert_eq!(begun.len(), 1);
        assert_eq!(tx.begin_attempts(&[], "dead", at(3)).await.unwrap(), []);
        // Nobody begins what another has leased.
        let theirs = [(leased[1].id, leased[1].thread)];
        assert_eq!(
            tx.begin_attempts(&theirs, "alive", at(3)).await.unwrap(),
            []
        );
        tx.commit().await.unwrap();
        let mut tx = bed.tx().await;
        let recovered = tx.recover(at(9), at(5)).await.unwrap();
        tx.commit().await.unwrap();
        let expected = Recovered {
            in_doubt: 1,
            stopped: 0,
            unharmed: 2,
        };
        assert_eq!(recovered, expected);
        assert_eq!(bed.states().await, "queued 3");
        let marked = "SELECT COUNT(*) FROM deliveries WHERE possible_duplicate";
        assert_eq!(bed.count(marked).await, 1);
        assert_eq!(bed.claim(9, at(5)).await.len(), 2, "the one in doubt waits");
    })
    .await;
}

#[tokio::test]
async fn what_changed_since_it_was_leased_is_not_begun() {
    both(async |bed| {
        let (campaign, cases) = bed.running(2).await;
        let mut tx = bed.tx().await;
        let leased = tx.claim(2, "w", at(9), at(3)).await.unwrap();
        let wanted: Vec<_> = leased.iter().map(|one| (one.id, one.thread)).collect();
        let threads: Vec<i64> = leased.iter().map(|one| one.thread).collect();
        tx.hold_campaigns_of(&threads).await.unwrap();
        tx.withdraw_case(cases[0], "a mistake", "ann", at(3))
            .await
            .unwrap();
        let begun = tx.begin_attempts(&wanted, "w", at(3)).await.unwrap();
        assert_eq!(begun.len(), 1, "nobody is told about a case that is closed");
        tx.rollback().await.unwrap();
        let mut tx = bed.tx().await;
        tx.claim(2, "w", at(9), at(3)).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.tx().await;
        let running = [division_bell::domain::campaign::CampaignState::Running];
        let paused = division_bell::domain::campaign::CampaignState::Paused;
        tx.move_campaign(campaign.id, &running, paused, "ann", None, at(3))
            .await
            .unwrap();
        assert_eq!(tx.begin_attempts(&wanted, "w", at(3)).await.unwrap(), []);
        let given: Vec<_> = leased
            .iter()
            .map(|one| division_bell::store::GivenBack {
                delivery: one.id,
                thread: one.thread,
                attempt: None,
                due_at: None,
            })
            .collect();
        tx.give_back(&given, "w", at(3)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "paused 2");
    })
    .await;
}

#[tokio::test]
async fn what_the_relay_refused_for_its_own_reasons_is_queued_again_and_its_work_is_done() {
    both(async |bed| {
        use division_bell::store::TaskKind;
        let (_, cases) = bed.running(2).await;
        let claims = bed.claim(2, at(3)).await;
        let refused: Vec<_> = claims
            .iter()
            .map(|claim| ended(claim, Outcome::FailRecipient, Undelivered::Refused, at(3)))
            .collect();
        bed.record(&refused, at(3)).await;
        let mut tx = bed.tx().await;
        let work: Vec<_> = cases
            .iter()
            .map(|id| (*id, TaskKind::Reach, "refused", None))
            .collect();
        tx.open_tasks(&work, at(3)).await.unwrap();
        let all = [claims[0].delivery.id, claims[1].delivery.id, DeliveryId(99)];
        assert_eq!(tx.unrefuse(&all, at(4)).await.unwrap(), 2);
        assert_eq!(tx.unrefuse(&all, at(4)).await.unwrap(), 0);
        assert_eq!(tx.unrefuse(&[], at(4)).await.unwrap(), 0);
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "queued 2");
        assert_eq!(bed.case(cases[0]).await.not_reached, None);
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM tasks WHERE done_at IS NULL")
                .await,
            0
        );
        assert_eq!(
            bed.acts(cases[1]).await.last().map(String::as_str),
            Some("case.reachable")
        );
    })
    .await;
}

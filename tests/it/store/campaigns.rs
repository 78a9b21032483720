//! Campaigns and their threads: drafted, approved, run, paused, stopped, voided. No case gets lost on the way.

use division_bell::domain::campaign::CampaignState::{
    self, Approved, Draft, Paused, Running, Stopped, Void,
};
use division_bell::domain::case::CaseState;
use division_bell::domain::delivery::Outcome;
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::{CampaignId, CaseId, PersonId};
use division_bell::store::{
    Campaign, Following, StoreError, TaskKind, Thread, ThreadState, Undelivered,
};

use super::bed::{Someone, accepted, at, cleared, ended, started, thread, unclaim_in};
use super::{Bed, both};

async fn moved(
    bed: &Bed,
    campaign: CampaignId,
    from: &[CampaignState],
    to: CampaignState,
    hour: i64,
) {
    let mut tx = bed.tx().await;
    tx.move_campaign(campaign, from, to, "ann", Some("a reason"), at(hour))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn threads(bed: &Bed, campaign: CampaignId, state: ThreadState) -> Vec<Thread> {
    bed.read()
        .await
        .threads(campaign, state, 0, 100_000)
        .await
        .unwrap()
}

/// The people that the next draft would look at.
async fn free(bed: &Bed) -> Vec<CaseId> {
    let rows = bed
        .read()
        .await
        .unplanned(PersonId(-1), 100_000)
        .await
        .unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_campaign_is_named_by_its_month_and_a_letter() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let mut references = Vec::new();
        for _ in 0..28 {
            references.push(
                tx.draft_campaign("DB", "ann", at(0))
                    .await
                    .unwrap()
                    .reference,
            );
        }
        assert_eq!(references[..3], ["DB-2603", "DB-2603B", "DB-2603C"]);
        assert_eq!(references[25..], ["DB-2603Z", "DB-2603X26", "DB-2603X27"]);
        let next = tx.draft_campaign("DB", "ann", at(24 * 31)).await.unwrap();
        assert_eq!(next.reference, "DB-2604");
        let other = tx.draft_campaign("D", "ann", at(0)).await.unwrap();
        assert_eq!(other.reference, "D-2603");
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_draft_takes_its_cases_along_and_comes_back_as_it_was() {
    both(async |bed| {
        let (campaign, cases) = bed.drafted(3).await;
        let expected = Campaign {
            id: campaign.id,
            reference: "DB-2603".to_owned(),
            author: "ann".to_owned(),
            drafted_at: at(0),
            content_hash: "hash-1".to_owned(),
            people: 3,
            state: Draft,
            approved_by: None,
            approved_at: None,
            void_reason: None,
        };
        assert_eq!(campaign, expected);
        assert_eq!(bed.read().await.campaigns().await.unwrap(), [expected]);
        assert_eq!(
            bed.read().await.campaign(CampaignId(99)).await.unwrap(),
            None
        );

        let drafts = threads(&bed, campaign.id, ThreadState::Draft).await;
        assert_eq!(drafts.len(), 3);
        let one = &drafts[0];
        assert_eq!(
            (
                one.campaign,
                &one.content_hash[..],
                &one.ladder[..],
                &one.zone[..]
            ),
            (campaign.id, "content-1", "[]", "Europe/London")
        );
        assert_eq!(
            (
                one.kind,
                one.first_at,
                one.deadline_at,
                one.timetable.as_deref()
            ),
            (NoticeKind::Weak, None, None, None)
        );
        assert_eq!((&one.climbed[..], &one.message_ids[..]), ("[]", ""));
        let page = bed
            .read()
            .await
            .threads(campaign.id, ThreadState::Draft, drafts[0].id, 1)
            .await
            .unwrap();
        assert_eq!(page, drafts[1..2]);
        let ids: Vec<i64> = drafts.iter().map(|thread| thread.id).collect();
        assert_eq!(
            bed.read()
                .await
                .threads_by_id(&[ids[2], ids[0], 99])
                .await
                .unwrap(),
            [drafts[0].clone(), drafts[2].clone()]
        );

        let rows = bed.read().await.cases_of(&ids).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), cases);
        assert!(free(&bed).await.is_empty());
        assert_eq!(bed.ledger().await.last().unwrap(), "campaign.drafted");
    })
    .await;
}

#[tokio::test]
async fn a_person_stands_in_a_campaign_once_and_a_case_in_one_campaign() {
    both(async |bed| {
        let (first, cases) = bed.drafted(1).await;
        let people = bed.people(2).await;
        let mut tx = bed.tx().await;
        let twice = tx
            .add_threads(first.id, &[thread(&first, people[0], &[])])
            .await;
        assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
        tx.rollback().await.unwrap();
        let mut tx = bed.tx().await;
        let second = tx.draft_campaign("DB", "ann", at(1)).await.unwrap();
        tx.add_threads(second.id, &[thread(&second, people[1], &cases)])
            .await
            .unwrap();
        tx.add_threads(second.id, &[]).await.unwrap();
        tx.commit().await.unwrap();
        let own = threads(&bed, first.id, ThreadState::Draft).await;
        assert_eq!(bed.case(cases[0]).await.thread, Some(own[0].id));
    })
    .await;
}

#[tokio::test]
async fn an_approval_is_bound_to_what_was_drafted() {
    both(async |bed| {
        let (campaign, _) = bed.drafted(2).await;
        let other = Campaign {
            content_hash: "hash-2".to_owned(),
            ..campaign.clone()
        };
        let mut tx = bed.tx().await;
        let lost = tx.approve_campaign(&other, "ben", at(1)).await;
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
        tx.rollback().await.unwrap();
        let mut tx = bed.tx().await;
        tx.approve_campaign(&campaign, "ben", at(1)).await.unwrap();
        tx.commit().await.unwrap();
        let approved = bed.campaign(campaign.id).await;
        assert_eq!(
            (
                approved.state,
                approved.approved_by.as_deref(),
                approved.approved_at
            ),
            (Approved, Some("ben"), Some(at(1)))
        );
        assert_eq!(
            threads(&bed, campaign.id, ThreadState::Waiting).await.len(),
            2
        );
        assert_eq!(
            threads(&bed, campaign.id, ThreadState::Draft).await.len(),
            0
        );

        let mut tx = bed.tx().await;
        let lost = tx.approve_campaign(&campaign, "ben", at(2)).await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        let late = tx.end_draft(campaign.id, "hash-3", 9, "ann", at(2)).await;
        assert!(
            matches!(
                late,
                Err(StoreError::Lost {
                    table: "campaigns",
                    ..
                })
            ),
            "{late:?}"
        );
        tx.commit().await.unwrap();
        let entry = bed
            .read()
            .await
            .ledger(0, 100)
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!((&entry.act[..], entry.at), ("campaign.approved", at(1)));
        assert_eq!(
            entry.detail.as_deref(),
            Some("{\"author\":\"ann\",\"content\":\"hash-1\"}")
        );
    })
    .await;
}

#[tokio::test]
async fn threads_that_start_fix_their_deadline_once() {
    both(async |bed| {
        let (campaign, cases) = bed.approved(2).await;
        let waiting = threads(&bed, campaign.id, ThreadState::Waiting).await;
        let mut tx = bed.tx().await;
        tx.start_threads(cleared(campaign.id), &started(&waiting), at(2))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let running = threads(&bed, campaign.id, ThreadState::Running).await;
        let one = &running[0];
        assert_eq!(
            (one.first_at, one.deadline_at),
            (Some(at(2)), Some(at(240)))
        );
        assert_eq!(one.timetable.as_deref(), Some("{\"rungs\":[]}"));
        assert_eq!(one.message_ids, format!("<t{}@bell.example>", one.id));
        assert_eq!(bed.case(cases[0]).await.deadline_at, Some(at(240)));
        let entry = bed
            .read()
            .await
            .case_history(cases[0])
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!(
            (&entry.act[..], entry.effective_at, entry.at),
            ("case.due", Some(at(240)), at(2))
        );

        // Another who had read them as waiting comes too late: nothing moves, nothing is said twice.
        let before = bed.ledger().await;
        let mut late = started(&waiting);
        late[0].deadline_at = at(999).micros();
        let mut tx = bed.tx().await;
        tx.start_threads(cleared(campaign.id), &late, at(3))
            .await
            .unwrap();
        tx.start_threads(cleared(campaign.id), &[], at(3))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.ledger().await, before);
        assert_eq!(
            threads(&bed, campaign.id, ThreadState::Running).await,
            running
        );
        assert_eq!(bed.case(cases[0]).await.deadline_at, Some(at(240)));
    })
    .await;
}

#[tokio::test]
async fn the_longest_overdue_threads_of_running_campaigns_come_first() {
    both(async |bed| {
        let (campaign, _) = bed.running(3).await;
        let running = threads(&bed, campaign.id, ThreadState::Running).await;
        let following = |at_hour: Option<i64>, thread: &Thread| Following {
            id: thread.id,
            climbed: "[\"reminder1\"]".to_owned(),
            next_at: at_hour.map(|hour| at(hour).micros()),
            message_ids: "<a> <b>".to_owned(),
        };
        let mut tx = bed.tx().await;
        tx.follow_threads(&[
            following(Some(60), &running[0]),
            following(Some(50), &running[1]),
            following(None, &running[2]),
        ])
        .await
        .unwrap();
        tx.follow_threads(&[]).await.unwrap();
        tx.commit().await.unwrap();
        let due = async |hour, limit| -> Vec<i64> {
            let due = bed.read().await.threads_due(at(hour), limit).await.unwrap();
            due.into_iter().map(|thread| thread.id).collect()
        };
        assert_eq!(due(49, 9).await, [0; 0]);
        assert_eq!(due(50, 9).await, [running[1].id]);
        assert_eq!(due(99, 9).await, [running[1].id, running[0].id]);
        assert_eq!(due(99, 1).await, [running[1].id]);
        let one = bed
            .read()
            .await
            .threads_by_id(&[running[0].id])
            .await
            .unwrap()
            .remove(0);
        assert_eq!(
            (&one.climbed[..], &one.message_ids[..]),
            ("[\"reminder1\"]", "<a> <b>")
        );

        moved(&bed, campaign.id, &[Running], Paused, 60).await;
        assert_eq!(due(99, 9).await, [0; 0]);
        moved(&bed, campaign.id, &[Paused], Running, 61).await;
        assert_eq!(due(99, 9).await.len(), 2);
        moved(&bed, campaign.id, &[Running], Stopped, 62).await;
        assert_eq!(due(99, 9).await, [0; 0]);
        // A thread that is over does not move on.
        let mut tx = bed.tx().await;
        tx.follow_threads(&[following(Some(70), &running[0])])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM threads WHERE next_at IS NOT NULL")
                .await,
            0
        );
    })
    .await;
}

#[tokio::test]
async fn a_campaign_moves_only_from_where_it_is() {
    both(async |bed| {
        let (campaign, _) = bed.running(1).await;
        let mut tx = bed.tx().await;
        let before = bed.ledger().await;
        for (id, from) in [
            (campaign.id, &[Paused, Draft][..]),
            (campaign.id, &[]),
            (CampaignId(99), &[Running]),
        ] {
            let lost = tx
                .move_campaign(id, from, Stopped, "ann", None, at(3))
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
        }
        tx.commit().await.unwrap();
        assert_eq!(bed.ledger().await, before);
        moved(&bed, campaign.id, &[Running], Paused, 4).await;
        let entry = bed
            .read()
            .await
            .ledger(0, 100)
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!(
            (&entry.act[..], &entry.actor[..]),
            ("campaign.paused", "ann")
        );
        assert_eq!(entry.detail.as_deref(), Some("{\"reason\":\"a reason\"}"));
        assert_eq!(entry.thing, Some(format!("campaign:{}", campaign.id)));
    })
    .await;
}

#[tokio::test]
async fn a_pause_holds_what_is_queued_and_what_comes_back_but_not_thanks() {
    both(async |bed| {
        let (campaign, _) = bed.running(5).await;
        let running = threads(&bed, campaign.id, ThreadState::Running).await;
        let mut tx = bed.tx().await;
        let thanks = bed.letters(&mut tx, &running[4..], NoticeKind::Done).await;
        tx.queue(&thanks, at(2)).await.unwrap();
        tx.commit().await.unwrap();
        // Three are in flight when the pause comes.
        let claims = bed.claim(3, at(3)).await;
        moved(&bed, campaign.id, &[Running], Paused, 4).await;
        assert_eq!(bed.states().await, "leased 3, paused 2, queued 1");

        // One comes back to be tried again, one is given back, one was in doubt: none of them goes out now.
        bed.record(
            &[ended(
                &claims[0],
                Outcome::DeferRecipient,
                Undelivered::Again(at(5)),
                at(4),
            )],
            at(4),
        )
        .await;
        let mut tx = bed.tx().await;
        unclaim_in(&mut tx, &claims[1..2], at(5), at(4)).await;
        tx.recover(at(6), at(5)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "paused 5, queued 1");
        let goes = bed.claim(9, at(9)).await;
        assert_eq!(
            goes.iter()
                .map(|claim| claim.delivery.kind)
                .collect::<Vec<_>>(),
            [NoticeKind::Done]
        );
        bed.record(&[accepted(&goes[0], at(9))], at(9)).await;
        assert_eq!(bed.read().await.next_due().await.unwrap(), None);
        // Nor does what is queued in a paused campaign.
        let mut tx = bed.tx().await;
        let late = bed
            .letters(&mut tx, &running[..1], NoticeKind::Reminder1)
            .await;
        assert_eq!(tx.queue(&late, at(2)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "accepted 1, paused 6");

        moved(&bed, campaign.id, &[Paused], Running, 10).await;
        assert_eq!(bed.states().await, "accepted 1, queued 6");
        assert_eq!(bed.claim(9, at(11)).await.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_stop_frees_whom_nobody_has_told() {
    both(async |bed| {
        let (campaign, cases) = bed.running(4).await;
        // One is told, one is refused and somebody's work, one is in flight, one is still queued.
        let claims = bed.claim(3, at(3)).await;
        bed.record(&[accepted(&claims[0], at(3)), ended(&claims[1], Outcome::FailRecipient, Undelivered::Refused, at(3))], at(3)).await;
        let of = async |at: usize| bed.read().await.cases_of(&[claims[at].delivery.thread]).await.unwrap()[0].id;
        let (told, refused, in_flight) = (of(0).await, of(1).await, of(2).await);
        let queued = *cases.iter().find(|case| ![told, refused, in_flight].contains(case)).unwrap();
        let mut tx = bed.tx().await;
        tx.open_tasks(&[(refused, TaskKind::Reach, "refused", None)], at(3)).await.unwrap();
        tx.commit().await.unwrap();

        moved(&bed, campaign.id, &[Running], Stopped, 4).await;
        assert_eq!(bed.states().await, "accepted 1, leased 1, refused 1, stopped 1");
        assert_eq!(threads(&bed, campaign.id, ThreadState::Ended).await.len(), 4);
        assert_eq!(free(&bed).await, [queued]);
        // Nobody has told them, so no deadline runs; the history says so.
        assert_eq!(bed.case(queued).await.deadline_at, None);
        assert_eq!(bed.acts(queued).await, ["case.opened", "case.due", "case.freed"]);
        assert_eq!(bed.case(told).await.state, CaseState::Notified { at: at(3) });
        assert_eq!(bed.case(told).await.deadline_at, Some(at(240)));

        // What was in flight comes back unsent: it is not sent, and its case is free as well.
        bed.record(&[ended(&claims[2], Outcome::DeferRelay, Undelivered::Again(at(5)), at(4))], at(4)).await;
        assert_eq!(bed.states().await, "accepted 1, refused 1, stopped 2");
        let mut expected = [queued, in_flight];
        expected.sort();
        assert_eq!(free(&bed).await, expected);
        assert_eq!(bed.claim(9, at(99)).await, []);
        let ended = "SELECT COUNT(*) FROM deliveries WHERE state = 'stopped' AND ended_at IS NOT NULL AND lease_by IS NULL";
        assert_eq!(bed.count(ended).await, 2);

        // The next draft takes them, and their deadline is the new one.
        let row = bed.case(expected[0]).await;
        let who = Someone { account: row.account, person: row.person.unwrap() };
        let mut tx = bed.tx().await;
        let next = tx.draft_campaign("DB", "ann", at(5)).await.unwrap();
        tx.add_threads(next.id, &[thread(&next, who, &expected[..1])]).await.unwrap();
        tx.end_draft(next.id, "hash-2", 1, "ann", at(5)).await.unwrap();
        let next = tx.campaign(next.id).await.unwrap().unwrap();
        tx.approve_campaign(&next, "ben", at(6)).await.unwrap();
        let waiting = tx.threads(next.id, ThreadState::Waiting, 0, 9).await.unwrap();
        let mut start = started(&waiting);
        start[0].deadline_at = at(500).micros();
        tx.start_threads(cleared(next.id), &start, at(6)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.case(expected[0]).await.deadline_at, Some(at(500)));
    })
    .await;
}

#[tokio::test]
async fn what_was_told_while_the_campaign_was_stopped_counts_as_told() {
    both(async |bed| {
        let (campaign, cases) = bed.running(1).await;
        let claims = bed.claim(1, at(3)).await;
        moved(&bed, campaign.id, &[Running], Stopped, 4).await;
        assert_eq!(free(&bed).await, []);
        bed.record(&[accepted(&claims[0], at(5))], at(5)).await;
        assert_eq!(
            bed.case(cases[0]).await.state,
            CaseState::Notified { at: at(5) }
        );
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.due", "case.notified"]
        );
        assert_eq!(free(&bed).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_paused_campaign_that_is_stopped_leaves_nothing_paused() {
    both(async |bed| {
        let (campaign, cases) = bed.running(2).await;
        moved(&bed, campaign.id, &[Running], Paused, 3).await;
        moved(&bed, campaign.id, &[Paused], Stopped, 4).await;
        assert_eq!(bed.states().await, "stopped 2");
        assert_eq!(free(&bed).await, cases);
        let states = bed
            .read()
            .await
            .campaign_deliveries(campaign.id)
            .await
            .unwrap();
        assert_eq!(states, [("stopped".to_owned(), 2)]);
    })
    .await;
}

#[tokio::test]
async fn a_draft_or_an_approved_campaign_that_is_stopped_or_void_frees_its_cases() {
    both(async |bed| {
        let (campaign, cases) = bed.drafted(2).await;
        moved(&bed, campaign.id, &[Draft], Stopped, 1).await;
        assert_eq!(free(&bed).await, cases);
        assert_eq!(bed.acts(cases[0]).await, ["case.opened"]);
    })
    .await;
    both(async |bed| {
        let (campaign, cases) = bed.approved(2).await;
        let mut tx = bed.tx().await;
        tx.void_campaign(campaign.id, "texts have changed", at(2))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let void = bed.campaign(campaign.id).await;
        assert_eq!(
            (void.state, void.void_reason.as_deref()),
            (Void, Some("texts have changed"))
        );
        assert_eq!(free(&bed).await, cases);
        let entry = bed
            .read()
            .await
            .ledger(0, 100)
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!(
            (&entry.act[..], &entry.actor[..], entry.detail.as_deref()),
            (
                "campaign.void",
                "bell",
                Some("{\"reason\":\"texts have changed\"}")
            )
        );
        // Once, and not while it is under way.
        let mut tx = bed.tx().await;
        let lost = tx.void_campaign(campaign.id, "again", at(3)).await;
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
    })
    .await;
}

#[tokio::test]
async fn a_campaign_under_way_cannot_become_void() {
    both(async |bed| {
        let (campaign, _) = bed.running(1).await;
        let mut tx = bed.tx().await;
        let lost = tx.void_campaign(campaign.id, "x", at(3)).await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        tx.rollback().await.unwrap();
        assert_eq!(bed.campaign(campaign.id).await.state, Running);
        assert_eq!(bed.states().await, "queued 1");
    })
    .await;
}

#[tokio::test]
async fn a_thread_ends_when_its_last_case_closes_and_drops_its_reminders() {
    both(async |bed| {
        let people = bed.people(2).await;
        let openings: Vec<_> = people.iter().map(|who| super::bed::opening(*who, at(0))).collect();
        let mut tx = bed.tx().await;
        let cases = tx.open_cases(&openings, "ann", at(0)).await.unwrap();
        let campaign = tx.draft_campaign("DB", "ann", at(0)).await.unwrap();
        // One person answers for both cases.
        tx.add_threads(campaign.id, &[thread(&campaign, people[0], &cases)]).await.unwrap();
        tx.end_draft(campaign.id, "hash-1", 1, "ann", at(0)).await.unwrap();
        let campaign = tx.campaign(campaign.id).await.unwrap().unwrap();
        tx.approve_campaign(&campaign, "ben", at(1)).await.unwrap();
        let waiting = tx.threads(campaign.id, ThreadState::Waiting, 0, 9).await.unwrap();
        let id = waiting[0].id;
        tx.start_threads(cleared(campaign.id), &started(&waiting), at(2)).await.unwrap();
        for kind in [NoticeKind::Reminder1, NoticeKind::Done] {
            let letters = bed.letters(&mut tx, &waiting, kind).await;
            tx.queue(&letters, at(2)).await.unwrap();
        }
        tx.withdraw_case(cases[0], "x", "ann", at(3)).await.unwrap();
        tx.end_threads(&[id], at(3)).await.unwrap();
        assert_eq!(tx.delivery_states().await.unwrap(), [("queued".to_owned(), 2)]);
        assert_eq!(tx.threads(campaign.id, ThreadState::Running, 0, 9).await.unwrap().len(), 1);
        let open = tx.open_cases_of(&[id]).await.unwrap();
        assert_eq!(open.iter().map(|row| row.id).collect::<Vec<_>>(), [cases[1]]);

        tx.withdraw_case(cases[1], "x", "ann", at(4)).await.unwrap();
        tx.end_threads(&[id], at(4)).await.unwrap();
        tx.end_threads(&[id], at(5)).await.unwrap();
        tx.end_threads(&[], at(5)).await.unwrap();
        assert_eq!(tx.open_cases_of(&[id]).await.unwrap(), []);
        assert_eq!(tx.cases_of(&[id]).await.unwrap().len(), 2);
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "dropped 1, queued 1");
        assert_eq!(threads(&bed, campaign.id, ThreadState::Ended).await[0].id, id);
        let dropped = "SELECT COUNT(*) FROM deliveries WHERE state = 'dropped' AND kind = 'reminder.1' AND ended_at IS NOT NULL";
        assert_eq!(bed.count(dropped).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_thread_in_which_nothing_is_said_is_closed_with_its_open_case() {
    both(async |bed| {
        let (campaign, cases) = bed.approved(2).await;
        let waiting = threads(&bed, campaign.id, ThreadState::Waiting).await;
        let mut tx = bed.tx().await;
        tx.close_threads(&[waiting[0].id], at(2)).await.unwrap();
        tx.close_threads(&[], at(2)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            threads(&bed, campaign.id, ThreadState::Ended).await.len(),
            1
        );
        assert_eq!(
            threads(&bed, campaign.id, ThreadState::Waiting).await.len(),
            1
        );
        assert_eq!(bed.case(cases[0]).await.state, CaseState::Open);
    })
    .await;
}

#[tokio::test]
async fn progress_counts_proven_resets_of_what_was_not_withdrawn() {
    both(async |bed| {
        let (campaign, cases) = bed.running(4).await;
        assert_eq!(
            bed.read()
                .await
                .campaign_progress(campaign.id)
                .await
                .unwrap(),
            (0, 4)
        );
        let mut tx = bed.tx().await;
        tx.withdraw_case(cases[0], "x", "ann", at(3)).await.unwrap();
        tx.commit().await.unwrap();
        bed.sql(&format!(
            "UPDATE cases SET state = 'closed', closed_as = 'reset' WHERE id = {}",
            cases[1]
        ))
        .await
        .unwrap();
        bed.sql(&format!(
            "UPDATE cases SET state = 'closed', closed_as = 'disabled' WHERE id = {}",
            cases[2]
        ))
        .await
        .unwrap();
        assert_eq!(
            bed.read()
                .await
                .campaign_progress(campaign.id)
                .await
                .unwrap(),
            (1, 3)
        );
        assert_eq!(
            bed.read()
                .await
                .campaign_progress(CampaignId(99))
                .await
                .unwrap(),
            (0, 0)
        );
        let states = bed
            .read()
            .await
            .campaign_deliveries(campaign.id)
            .await
            .unwrap();
        assert_eq!(states, [("queued".to_owned(), 4)]);
        assert_eq!(
            bed.read()
                .await
                .campaign_deliveries(CampaignId(99))
                .await
                .unwrap(),
            []
        );
    })
    .await;
}

#[tokio::test]
async fn letters_about_exempt_cases_rest_until_the_exemption_ends() {
    both(async |bed| {
        let (campaign, cases) = bed.running(2).await;
        let running = threads(&bed, campaign.id, ThreadState::Running).await;
        let mut tx = bed.tx().await;
        for kind in [NoticeKind::Reminder1, NoticeKind::Done] {
            let letters = bed.letters(&mut tx, &running[..1], kind).await;
            tx.queue(&letters, at(2)).await.unwrap();
        }
        // Not exempt: nothing rests.
        tx.hold_letters(cases[0], at(90), at(3)).await.unwrap();
        assert_eq!(tx.due_count(at(3)).await.unwrap(), 4);
        tx.exempt_case(cases[0], at(80), "on leave", "ann", "ben", at(3)).await.unwrap();
        tx.hold_letters(cases[0], at(90), at(3)).await.unwrap();
        tx.hold_letters(cases[0], at(85), at(3)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "dropped 1, queued 3");
        // The other's notice and the thanks go now, the notice after the exemption.
        let count = async |hour| bed.read().await.due_count(at(hour)).await.unwrap();
        assert_eq!((count(1).await, count(2).await, count(89).await, count(90).await), (0, 2, 2, 3));
        let dropped = "SELECT COUNT(*) FROM deliveries WHERE state = 'dropped' AND kind = 'reminder.1' AND ended_at IS NOT NULL";
        assert_eq!(bed.count(dropped).await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_became_worse_than_its_letter_says_is_withheld_and_free() {
    both(async |bed| {
        let (_, cases) = bed.running(3).await;
        let claim = bed.claim(1, at(3)).await.remove(0);
        bed.record(&[accepted(&claim, at(3))], at(3)).await;
        let told = bed
            .read()
            .await
            .cases_of(&[claim.delivery.thread])
            .await
            .unwrap()[0]
            .id;
        let untold: Vec<CaseId> = cases.iter().copied().filter(|case| *case != told).collect();
        let mut tx = bed.tx().await;
        tx.withhold(&[told, untold[0]], at(4)).await.unwrap();
        tx.withhold(&[], at(4)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "accepted 1, dropped 1, queued 1");
        assert_eq!(free(&bed).await, [untold[0]]);
        assert_eq!(bed.case(untold[0]).await.deadline_at, None);
        assert_eq!(bed.case(told).await.deadline_at, Some(at(240)));
        assert_eq!(bed.case(told).await.thread, Some(claim.delivery.thread));
    })
    .await;
}

#[tokio::test]
async fn cases_that_are_freed_keep_a_deadline_that_their_thread_did_not_bring() {
    both(async |bed| {
        let (people, cases) = bed.cases(2).await;
        let mut tx = bed.tx().await;
        tx.open_tasks(
            &[(cases[0], TaskKind::Contain, "compromised", Some(at(24)))],
            at(0),
        )
        .await
        .unwrap();
        let campaign = tx.draft_campaign("DB", "ann", at(0)).await.unwrap();
        let drafts = [
            thread(&campaign, people[0], &cases[..1]),
            thread(&campaign, people[1], &cases[1..]),
        ];
        tx.add_threads(campaign.id, &drafts).await.unwrap();
        tx.end_draft(campaign.id, "hash-1", 2, "ann", at(0))
            .await
            .unwrap();
        let campaign = tx.campaign(campaign.id).await.unwrap().unwrap();
        tx.approve_campaign(&campaign, "ben", at(1)).await.unwrap();
        let waiting = tx
            .threads(campaign.id, ThreadState::Waiting, 0, 9)
            .await
            .unwrap();
        tx.start_threads(cleared(campaign.id), &started(&waiting), at(2))
            .await
            .unwrap();
        let ids: Vec<i64> = waiting.iter().map(|thread| thread.id).collect();
        tx.free_cases(&ids, at(3)).await.unwrap();
        tx.free_cases(&[], at(3)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(free(&bed).await, cases);
        assert_eq!(bed.case(cases[0]).await.deadline_at, Some(at(24)));
        assert_eq!(bed.case(cases[1]).await.deadline_at, None);
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.task", "case.due"]
        );
        assert_eq!(
            bed.acts(cases[1]).await,
            ["case.opened", "case.due", "case.freed"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_doubt_that_a_human_being_decides_about_is_not_told_again_by_the_next_campaign() {
    both(async |bed| {
        let (campaign, cases) = bed.running(1).await;
        for hour in [3, 9] {
            bed.claim(1, at(hour)).await;
            let mut tx = bed.tx().await;
            tx.recover(at(9), at(hour + 2)).await.unwrap();
            tx.commit().await.unwrap();
        }
        let tasks = bed.read().await.tasks(9).await.unwrap();
        assert_eq!(
            (tasks.len(), &tasks[0].kind[..], tasks[0].case),
            (1, "decide", Some(cases[0]))
        );
        moved(&bed, campaign.id, &[Running], Stopped, 12).await;
        assert_eq!(free(&bed).await, []);
    })
    .await;
}

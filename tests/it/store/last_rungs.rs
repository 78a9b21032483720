//! Hand-overs, escalations and containments: each once, committed before it is made, and found again after a crash.

use chrono::TimeDelta;
use division_bell::domain::containment::ContainmentAct;
use division_bell::domain::escalation::{About, Standing};
use division_bell::domain::finding::Category;
use division_bell::domain::hand_over::HandOverKind;
use division_bell::domain::ladder::{Demand, Ladder};
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::{AccountId, CaseId};
use division_bell::store::{
    ContainmentDraft, DeliveryDraft, Escalated, HandOverClaim, HandOverDraft, HandOverEnd,
    TaskKind, Verdict,
};

use super::bed::{accepted, at};
use super::{Bed, both};

/// `n` people who were told, and whose last rung is reached.
async fn due(bed: &Bed, n: usize) -> Vec<CaseId> {
    let (_, cases) = bed.told(n).await;
    let ladder = Ladder::standard(Category::Weak).to_json();
    bed.sql(&format!("UPDATE threads SET ladder = '{ladder}'"))
        .await
        .unwrap();
    let tasks: Vec<_> = cases
        .iter()
        .map(|case| (*case, TaskKind::HandOver, "deadline_passed", None))
        .collect();
    let mut tx = bed.tx().await;
    tx.open_tasks(&tasks, at(300)).await.unwrap();
    tx.commit().await.unwrap();
    cases
}

fn draft(case: CaseId) -> HandOverDraft {
    HandOverDraft {
        case_id: case.0,
        demand: "force_change",
        kind: "webhook",
        key: format!("key-{case}"),
    }
}

async fn begin(bed: &Bed, cases: &[CaseId], hour: i64) -> Vec<HandOverClaim> {
    let drafts: Vec<_> = cases.iter().map(|case| draft(*case)).collect();
    let mut tx = bed.tx().await;
    let claims = tx
        .begin_hand_overs(&drafts, at(hour + 1), at(hour))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    claims
}

fn end(claim: &HandOverClaim, state: &'static str, next: Option<i64>) -> HandOverEnd {
    HandOverEnd {
        id: claim.id,
        case_id: claim.case.0,
        state,
        next_at: next.map(|hour| at(hour).micros()),
        done_at: next.is_none().then(|| at(301).micros()),
        outcome: "word",
        proof: (state == "done").then(|| "status 200".to_owned()),
    }
}

#[tokio::test]
async fn a_hand_over_is_begun_by_one_of_us_and_ends_once() {
    both(async |bed| {
        let cases = due(&bed, 3).await;
        let mut tx = bed.read().await;
        let found = tx.hand_overs_due(CaseId(0), 10, at(300)).await.unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].demand, Demand::ForceChange);
        assert_eq!(found[0].begun, None);
        assert_eq!(
            tx.hand_overs_due(cases[0], 1, at(300)).await.unwrap().len(),
            1
        );
        drop(tx);
        let claims = begin(&bed, &cases, 300).await;
        assert_eq!(claims.len(), 3);
        assert!(begin(&bed, &cases, 300).await.is_empty(), "they are ours");
        let mut tx = bed.tx().await;
        let ends = [
            end(&claims[0], "done", None),
            end(&claims[1], "again", Some(305)),
            end(&claims[2], "refused", None),
        ];
        tx.end_hand_overs(&ends, "bell", at(301)).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.tx().await;
        assert!(
            tx.end_hand_overs(&ends[..1], "bell", at(301))
                .await
                .is_err(),
            "it is over"
        );
        drop(tx);
        let mut tx = bed.read().await;
        assert!(
            tx.hand_overs_due(CaseId(0), 10, at(304))
                .await
                .unwrap()
                .is_empty()
        );
        let again = tx.hand_overs_due(CaseId(0), 10, at(305)).await.unwrap();
        assert_eq!(again.len(), 1);
        let begun = again[0].begun.as_ref().unwrap();
        assert_eq!((begun.tries, begun.asked_at), (1, at(300)));
        let open = tx.hand_overs(0, true, 10).await.unwrap();
        assert_eq!(open.len(), 2);
        let all = tx.hand_overs(0, false, 10).await.unwrap();
        assert_eq!(all[0].proof.as_deref(), Some("status 200"));
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM tasks WHERE kind = 'hand_over' AND done_at IS NULL")
                .await,
            2
        );
        assert!(
            bed.acts(cases[0])
                .await
                .contains(&"case.handed_over".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn what_a_dead_worker_had_begun_is_found_and_what_was_left_to_people_can_be_asked_again() {
    both(async |bed| {
        let cases = due(&bed, 1).await;
        let claims = begin(&bed, &cases, 300).await;
        let mut tx = bed.tx().await;
        assert!(tx.hand_overs_in_doubt(at(300)).await.unwrap().is_empty());
        let lost = tx.hand_overs_in_doubt(at(302)).await.unwrap();
        assert_eq!((lost.len(), lost[0].tries), (1, 1));
        assert_eq!(lost[0].kind, HandOverKind::Webhook);
        let ends = [end(&claims[0], "stopped", None)];
        tx.end_hand_overs(&ends, "bell", at(302)).await.unwrap();
        let doubt = [(cases[0], TaskKind::Decide, "hand_over_in_doubt", None)];
        tx.open_tasks(&doubt, at(302)).await.unwrap();
        tx.hand_over_again(claims[0].id, "ann", "not there", at(303))
            .await
            .unwrap();
        assert!(
            tx.hand_over_again(claims[0].id, "ann", "twice", at(303))
                .await
                .is_err()
        );
        tx.end_doubt_of_hand_over(cases[0], "ann", at(303))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM tasks WHERE kind = 'decide' AND done_at IS NULL")
                .await,
            0
        );
        let claims = begin(&bed, &cases, 304).await;
        assert_eq!(claims[0].tries, 1, "it starts anew");
    })
    .await;
}

#[tokio::test]
async fn a_case_that_is_over_or_rests_is_not_begun() {
    both(async |bed| {
        let cases = due(&bed, 2).await;
        let mut tx = bed.tx().await;
        tx.withdraw_case(cases[0], "none", "ann", at(300))
            .await
            .unwrap();
        tx.exempt_case(cases[1], at(400), "ill", "ann", "ben", at(300))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(begin(&bed, &cases, 300).await.is_empty());
        assert_eq!(begin(&bed, &cases, 400).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_set_that_was_looked_at_is_remembered() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert_eq!(tx.rehearsed(HandOverKind::Ldap).await.unwrap(), None);
        for hash in ["one", "two"] {
            tx.keep_rehearsal(HandOverKind::Ldap, hash, "ann", at(1))
                .await
                .unwrap();
        }
        let last = tx.rehearsed(HandOverKind::Ldap).await.unwrap();
        assert_eq!(last.as_deref(), Some("two"));
        assert_eq!(tx.rehearsed(HandOverKind::File).await.unwrap(), None);
        tx.commit().await.unwrap();
    })
    .await;
}

/// Two people whose manager is the first of them, told and reminded; and the letter to that manager.
async fn escalated(bed: &Bed) -> (Vec<CaseId>, DeliveryDraft) {
    let (campaign, cases) = bed.told(3).await;
    bed.sql("UPDATE persons SET manager_id = (SELECT MIN(id) FROM persons)")
        .await
        .unwrap();
    let mut tx = bed.tx().await;
    let threads = tx.all_threads(campaign.id, 0, 10).await.unwrap();
    let reminders = bed.letters(&mut tx, &threads, NoticeKind::Reminder1).await;
    tx.queue(&reminders, at(50)).await.unwrap();
    tx.commit().await.unwrap();
    let claims = bed.claim(10, at(50)).await;
    let finished: Vec<_> = claims.iter().map(|one| accepted(one, at(50))).collect();
    bed.record(&finished, at(50)).await;
    let mut tx = bed.tx().await;
    let asked: Vec<_> = cases[1..]
        .iter()
        .map(|case| (*case, About::Overdue))
        .collect();
    tx.ask_managers(&asked, at(100)).await.unwrap();
    tx.ask_managers(&asked, at(101)).await.unwrap();
    let open = tx.escalations(0, 10, at(100)).await.unwrap();
    assert_eq!(open.len(), 2);
    assert_eq!(open[0].standing, Standing::Told { reminded: true });
    assert!(!open[0].manager_is_victim);
    assert_eq!(
        tx.escalations(open[0].id, 10, at(100)).await.unwrap().len(),
        1
    );
    let anchor = &threads[1..2];
    let letter = bed
        .letters(&mut tx, anchor, NoticeKind::Manager)
        .await
        .remove(0);
    tx.queue(std::slice::from_ref(&letter), at(100))
        .await
        .unwrap();
    let linked: Vec<_> = open
        .iter()
        .map(|one| Escalated {
            id: one.id,
            manager_id: one.manager.unwrap().0,
            thread_id: letter.thread,
            seq: 1,
        })
        .collect();
    tx.link_escalations(&linked).await.unwrap();
    let managers = [open[0].manager.unwrap()];
    assert_eq!(
        tx.managers_written_to(&managers, at(2))
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        tx.managers_written_to(&managers, at(200))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(tx.escalations(0, 10, at(100)).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    (cases[1..].to_vec(), letter)
}

#[tokio::test]
async fn a_managers_letter_that_is_taken_tells_of_all_it_names_and_of_no_notice() {
    both(async |bed| {
        let (cases, _) = escalated(&bed).await;
        let before = bed.case(cases[0]).await;
        let claims = bed.claim(10, at(101)).await;
        assert_eq!(claims.len(), 1);
        assert_eq!(claims[0].delivery.kind, NoticeKind::Manager);
        let named = bed
            .read()
            .await
            .escalated(&[claims[0].delivery.id])
            .await
            .unwrap();
        assert_eq!(named.len(), 2);
        bed.record(&[accepted(&claims[0], at(101))], at(101)).await;
        for case in &cases {
            let acts = bed.acts(*case).await;
            assert_eq!(acts.last().unwrap(), "case.manager_told");
        }
        assert_eq!(bed.case(cases[0]).await, before, "nobody is told by it");
    })
    .await;
}

#[tokio::test]
async fn a_managers_letter_in_doubt_stops_at_once_and_a_human_being_decides() {
    both(async |bed| {
        let (cases, _) = escalated(&bed).await;
        let claims = bed.claim(10, at(101)).await;
        let mut tx = bed.tx().await;
        let recovered = tx.recover(at(110), at(110)).await.unwrap();
        assert_eq!((recovered.in_doubt, recovered.stopped), (0, 1));
        tx.commit().await.unwrap();
        let doubts = "SELECT COUNT(*) FROM tasks WHERE kind = 'decide' AND reason = 'manager_in_doubt' AND done_at IS NULL";
        assert_eq!(bed.count(doubts).await, 2);
        let mut tx = bed.tx().await;
        let id = claims[0].delivery.id;
        tx.decide_doubt(id, Verdict::Arrived, "ann", "in the log", at(111))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.count(doubts).await, 0);
        assert_eq!(bed.acts(cases[1]).await.last().unwrap(), "case.manager_told");
    })
    .await;
}

#[tokio::test]
async fn a_letter_that_names_somebody_who_is_done_is_not_begun_and_is_written_anew() {
    both(async |bed| {
        let (cases, _) = escalated(&bed).await;
        let mut tx = bed.tx().await;
        let until = at(101).plus(TimeDelta::hours(1));
        let claimed = tx.claim(10, "worker-1", until, at(101)).await.unwrap();
        tx.withdraw_case(cases[1], "none", "ann", at(101))
            .await
            .unwrap();
        let wanted = [(claimed[0].id, claimed[0].thread)];
        let begun = tx
            .begin_attempts(&wanted, "worker-1", at(101))
            .await
            .unwrap();
        assert!(begun.is_empty());
        let back = division_bell::store::GivenBack {
            delivery: claimed[0].id,
            thread: claimed[0].thread,
            attempt: None,
            due_at: None,
        };
        tx.give_back(&[back], "worker-1", at(101)).await.unwrap();
        let open = tx.escalations(0, 10, at(101)).await.unwrap();
        let standings: Vec<_> = open.iter().map(|one| one.standing).collect();
        assert_eq!(
            standings,
            [Standing::Told { reminded: true }, Standing::Done]
        );
        tx.end_escalations(&[open[1].id], at(102)).await.unwrap();
        let by_hand = [(open[0].id, open[0].case, "no_manager")];
        assert_eq!(tx.escalate_by_hand(&by_hand, at(102)).await.unwrap(), 1);
        assert!(tx.escalations(0, 10, at(103)).await.unwrap().is_empty());
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_manager_whom_no_letter_reaches_is_a_human_beings_work() {
    both(async |bed| {
        escalated(&bed).await;
        let claims = bed.claim(10, at(101)).await;
        let mut tx = bed.tx().await;
        tx.manager_by_hand(&[(claims[0].delivery.id, "manager_refused")], at(102))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM tasks WHERE kind = 'manager' AND done_at IS NULL")
                .await,
            2
        );
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM cases WHERE not_reached IS NOT NULL")
                .await,
            0
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_done_to_an_account_is_written_down_once() {
    both(async |bed| {
        let (people, cases) = bed.cases(2).await;
        let account = people[0].account;
        let act = |act, hour| ContainmentDraft {
            account,
            act,
            effective_at: at(hour),
            done_by: "network team".to_owned(),
            how: "CHG-1".to_owned(),
        };
        let drafts = [
            act(ContainmentAct::RemoteCut, 1),
            act(ContainmentAct::SessionsRevoked, 2),
        ];
        let mut tx = bed.tx().await;
        assert_eq!(tx.contain(&drafts, "ann", at(3)).await.unwrap(), [account]);
        assert!(tx.contain(&drafts, "ben", at(4)).await.unwrap().is_empty());
        let kept = tx
            .containments_of(&[account, people[1].account])
            .await
            .unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(
            (kept[0].act, kept[0].effective_at),
            (ContainmentAct::RemoteCut, at(1))
        );
        assert_eq!(kept[0].noted_by, "ann");
        assert_eq!(
            tx.contained_accounts(AccountId(0), 10).await.unwrap(),
            [account]
        );
        let ended = tx.ended_cases(&[account]).await.unwrap();
        assert_eq!(ended[&account][0].0, cases[0]);
        assert_eq!(ended[&account][0].1.closed_as, None);
        for name in ["user1", "id-000001", "user1@parl.example", "s-1-5-21-1-1"] {
            assert_eq!(tx.accounts_named(name).await.unwrap(), [account], "{name}");
        }
        assert!(tx.accounts_named("nobody").await.unwrap().is_empty());
        tx.commit().await.unwrap();
        let acts = bed.ledger().await;
        assert!(
            acts.contains(&"containment.remote_cut".to_owned()),
            "{acts:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_delegate_is_told_beside_a_manager_and_stands_for_one_person_only() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        let people = bed.people(2).await;
        let mut tx = bed.tx().await;
        tx.set_delegate(people[0].person, None, "ann", at(1))
            .await
            .unwrap();
        tx.set_delegate(people[0].person, Some(people[1].person), "ann", at(1))
            .await
            .unwrap();
        let read = |persons: &std::collections::HashMap<_, division_bell::store::PersonFacts>| {
            people
                .iter()
                .map(|who| persons[&who.person].is_read_by_others)
                .collect::<Vec<_>>()
        };
        let ids = people.iter().map(|who| who.person);
        assert_eq!(read(&tx.persons(ids.clone()).await.unwrap()), [true, false]);
        let both_told = [(cases[0], About::Delegate), (cases[0], About::Overdue)];
        tx.ask_managers(&both_told, at(2)).await.unwrap();
        let open = tx.escalations(0, 10, at(4)).await.unwrap();
        let whom: Vec<_> = open.iter().map(|one| (one.about, one.manager)).collect();
        assert_eq!(
            whom,
            [
                (About::Delegate, Some(people[1].person)),
                (About::Overdue, None)
            ]
        );
        tx.end_delegate(people[0].person, "ann", at(5))
            .await
            .unwrap();
        assert_eq!(read(&tx.persons(ids).await.unwrap()), [false, false]);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_last_rung_is_written_down_once() {
    both(async |bed| {
        let (_, cases) = bed.cases(3).await;
        let mut tx = bed.tx().await;
        assert_eq!(
            tx.note_hand_overs_due(&cases[..2], at(1)).await.unwrap(),
            cases[..2]
        );
        assert_eq!(
            tx.note_hand_overs_due(&cases, at(2)).await.unwrap(),
            cases[2..]
        );
        assert_eq!(tx.note_hand_overs_due(&[], at(2)).await.unwrap(), []);
        tx.commit().await.unwrap();
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.hand_over_due"]
        );
    })
    .await;
}

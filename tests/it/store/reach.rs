//! Whom nobody has reached, who sees to it, what people say, and cases that rest.

use division_bell::domain::CaseId;
use division_bell::domain::case::CaseState;
use division_bell::domain::evidence::Grade;
use division_bell::domain::reply::{Heard, OutOfReach, Reply};
use division_bell::store::{Said, StoreError, TaskKind};

use super::bed::at;
use super::{Bed, both};

fn said(said: Reply, hour: i64) -> Said {
    Said {
        said,
        by_way: Heard::Phone,
        said_at: at(hour),
        noted_by: "ann".to_owned(),
        grade: Grade::C,
    }
}

async fn tasks(bed: &Bed) -> Vec<(Option<CaseId>, String, String)> {
    let tasks = bed.read().await.tasks(100).await.unwrap();
    tasks
        .into_iter()
        .map(|task| (task.case, task.kind, task.reason))
        .collect()
}

#[tokio::test]
async fn those_who_are_not_reached_are_listed_until_they_are_and_those_without_an_owner_come_first()
{
    both(async |bed| {
        let (_, cases) = bed.cases(3).await;
        let mut tx = bed.tx().await;
        tx.open_tasks(
            &[(cases[0], TaskKind::Reach, "bounced", Some(at(48)))],
            at(1),
        )
        .await
        .unwrap();
        let row = tx.case(cases[1]).await.unwrap().unwrap();
        tx.miss_case(&row, OutOfReach::Absent, at(24), "ann", at(2))
            .await
            .unwrap();
        tx.assign_case(cases[1], "ben", "ann", at(2)).await.unwrap();
        tx.commit().await.unwrap();
        let queue = bed.read().await.unreached(10).await.unwrap();
        let seen: Vec<_> = queue
            .iter()
            .map(|one| {
                (
                    one.case,
                    one.why.as_str(),
                    one.by.as_deref(),
                    one.deadline_at,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (cases[0], "bounced", None, Some(at(48))),
                (cases[1], "absent", Some("ben"), Some(at(24))),
            ]
        );
        assert_eq!(queue[0].since, Some(at(1)));
        // A firmer reason takes the place of the first; the deadline stays.
        let mut tx = bed.tx().await;
        let row = tx.case(cases[0]).await.unwrap().unwrap();
        tx.miss_case(&row, OutOfReach::MailboxDisabled, at(99), "ann", at(3))
            .await
            .unwrap();
        tx.tell_case(cases[1], at(4), "phone", "ben", at(4))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let queue = bed.read().await.unreached(10).await.unwrap();
        assert_eq!(queue.len(), 1);
        assert_eq!(
            (queue[0].why.as_str(), queue[0].deadline_at),
            ("mailbox_disabled", Some(at(48)))
        );
        assert_eq!(
            bed.acts(cases[1]).await,
            [
                "case.opened",
                "case.not_reached",
                "case.missed",
                "case.assigned",
                "case.told"
            ]
        );
        let mut tx = bed.tx().await;
        tx.withdraw_case(cases[0], "x", "ann", at(5)).await.unwrap();
        let row = tx.case(cases[0]).await.unwrap().unwrap();
        for lost in [
            tx.miss_case(&row, OutOfReach::Absent, at(9), "ann", at(6))
                .await,
            tx.assign_case(cases[0], "ben", "ann", at(6)).await,
        ] {
            assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_people_say_is_kept_and_closes_nothing() {
    both(async |bed| {
        let (_, cases) = bed.cases(3).await;
        let mut tx = bed.tx().await;
        for (case, reply) in cases.iter().zip(Reply::ALL) {
            tx.add_reply(*case, &said(reply, 2), at(3)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = bed.read().await;
        for (case, reply) in cases.iter().zip(Reply::ALL) {
            assert_eq!(tx.replies(*case).await.unwrap(), [said(reply, 2)]);
            assert_eq!(
                tx.case(*case).await.unwrap().unwrap().state,
                CaseState::Open
            );
        }
        drop(tx);
        let work =
            |case, kind: &str, reason: &str| (Some(case), kind.to_owned(), reason.to_owned());
        assert_eq!(
            tasks(&bed).await,
            [
                work(cases[1], "operators", "not_me"),
                work(cases[2], "help", "need_help")
            ]
        );
        let mut tx = bed.tx().await;
        let open = tx.tasks(10).await.unwrap();
        tx.end_task(open[1].id, "sat beside them", "ben", at(5))
            .await
            .unwrap();
        let twice = tx.end_task(open[1].id, "again", "ben", at(5)).await;
        assert!(matches!(twice, Err(StoreError::Lost { .. })), "{twice:?}");
        tx.open_tasks(
            &[(cases[0], TaskKind::Contain, "not_contained", None)],
            at(5),
        )
        .await
        .unwrap();
        let contain = tx.tasks(10).await.unwrap().pop().unwrap();
        let not_by_hand = tx.end_task(contain.id, "no", "ben", at(6)).await;
        assert!(
            matches!(not_by_hand, Err(StoreError::Lost { .. })),
            "{not_by_hand:?}"
        );
        tx.commit().await.unwrap();
        assert_eq!(
            bed.acts(cases[2]).await,
            ["case.opened", "case.task", "case.replied", "case.task_done"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_case_rests_by_one_word_unless_it_is_compromised() {
    both(async |bed| {
        let (_, cases) = bed.cases(2).await;
        bed.sql("UPDATE cases SET category = 'compromised' WHERE id = (SELECT MAX(id) FROM cases)")
            .await
            .unwrap();
        let mut tx = bed.tx().await;
        tx.snooze_case(cases[0], at(30), "on leave", "ann", at(2))
            .await
            .unwrap();
        let stolen = tx
            .snooze_case(cases[1], at(30), "on leave", "ann", at(2))
            .await;
        assert!(matches!(stolen, Err(StoreError::Lost { .. })), "{stolen:?}");
        tx.commit().await.unwrap();
        let resting = bed.read().await.resting(10).await.unwrap();
        assert_eq!(resting.len(), 1);
        assert_eq!(
            (resting[0].id, resting[0].rests_until()),
            (cases[0], Some(at(30)))
        );
        assert_eq!(resting[0].exempt_until, None);
        let mut tx = bed.tx().await;
        tx.exempt_case(cases[0], at(60), "trial", "ann", "ben", at(3))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.read().await.resting(10).await.unwrap()[0].rests_until(),
            Some(at(60))
        );
    })
    .await;
}

#[tokio::test]
async fn a_later_audit_verifies_what_it_looked_at_and_does_not_list() {
    use division_bell::domain::case::ClosedAs;
    use division_bell::domain::closing::ClosingReason;
    use division_bell::domain::evidence::Standing;
    use division_bell::store::CaseClosing;
    both(async |bed| {
        let (people, cases) = bed.cases(3).await;
        let proofs = super::cases::proofs(&bed, &people).await;
        let mut tx = bed.tx().await;
        let closings: Vec<CaseClosing> = cases
            .iter()
            .zip(&proofs)
            .map(|(case, evidence)| CaseClosing {
                case: *case,
                closed_as: ClosedAs::Reset,
                safe_at: Some(at(3)),
                evidence: *evidence,
                grade: Grade::A,
                reason: ClosingReason::UserChangedPassword,
                standing: Standing::Reset,
            })
            .collect();
        tx.close_cases(&closings, "bell", at(5)).await.unwrap();
        tx.commit().await.unwrap();
        let audit = division_bell::domain::AuditId(1);
        let mut tx = bed.tx().await;
        let realm = super::bed::realm().0;
        assert_eq!(
            tx.verify_cases(audit, &realm, at(2), at(6)).await.unwrap(),
            0,
            "it looked before the change"
        );
        assert_eq!(
            tx.verify_cases(audit, "elsewhere", at(9), at(9))
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            tx.verify_cases(audit, &realm, at(9), at(9)).await.unwrap(),
            3
        );
        assert_eq!(
            tx.verify_cases(audit, &realm, at(9), at(9)).await.unwrap(),
            0,
            "it says so once"
        );
        tx.commit().await.unwrap();
        let case = bed.read().await.case(cases[0]).await.unwrap().unwrap();
        assert_eq!(case.standing, Standing::Verified);
        assert_eq!(case.closed_reason, Some(ClosingReason::UserChangedPassword));
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.closed.reset", "case.verified"]
        );
    })
    .await;
}

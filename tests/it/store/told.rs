//! Those whom a human being told, and with whom no conversation is under way.

use division_bell::domain::CaseId;

use super::bed::at;
use super::both;

#[tokio::test]
async fn who_was_told_by_hand_gets_a_deadline_and_is_found_when_it_is_past() {
    both(async |bed| {
        let (_, cases) = bed.cases(3).await;
        let mut tx = bed.tx().await;
        for case in &cases[..2] {
            tx.tell_case(*case, at(2), "phone", "ann", at(2))
                .await
                .unwrap();
        }
        let undated = tx.told_undated(CaseId(0), 10).await.unwrap();
        assert_eq!(
            undated.iter().map(|case| case.id).collect::<Vec<_>>(),
            cases[..2]
        );
        assert_eq!(undated[0].reach_by.as_deref(), Some("ann"));
        assert_eq!(tx.told_undated(cases[0], 10).await.unwrap().len(), 1);
        tx.date_cases(&[(cases[0], at(48)), (cases[1], at(72))], at(3))
            .await
            .unwrap();
        tx.date_cases(&[(cases[0], at(99))], at(3)).await.unwrap();
        assert_eq!(tx.told_undated(CaseId(0), 10).await.unwrap(), []);
        let overdue = async |tx: &mut division_bell::store::Tx, now| {
            let found = tx
                .told_overdue(CaseId(0), at(0), at(now), 10)
                .await
                .unwrap();
            found.into_iter().map(|case| case.id).collect::<Vec<_>>()
        };
        assert_eq!(overdue(&mut tx, 47).await, []);
        assert_eq!(
            overdue(&mut tx, 60).await,
            cases[..1],
            "a deadline is fixed once"
        );
        tx.note_hand_overs_due(&cases[..1], at(60)).await.unwrap();
        tx.snooze_case(cases[1], at(90), "on leave", "ann", at(60))
            .await
            .unwrap();
        assert_eq!(overdue(&mut tx, 80).await, []);
        assert_eq!(overdue(&mut tx, 90).await, cases[1..2]);
        tx.commit().await.unwrap();
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.told", "case.due", "case.hand_over_due"]
        );
    })
    .await;
}

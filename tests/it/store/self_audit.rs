//! What the self-audit looks at.

use division_bell::domain::CaseId;
use division_bell::domain::campaign::CampaignState;

use super::bed::at;
use super::both;

#[tokio::test]
async fn open_cases_are_looked_at_page_by_page_with_all_that_was_done_about_them() {
    both(async |bed| {
        let (_, cases) = bed.running(3).await;
        let mut tx = bed.read().await;
        let page = tx.watched(CaseId(0), 2).await.unwrap();
        assert_eq!(
            page.iter().map(|case| case.case).collect::<Vec<_>>(),
            cases[..2]
        );
        let rest = tx.watched(cases[1], 2).await.unwrap();
        assert_eq!(
            rest.iter().map(|case| case.case).collect::<Vec<_>>(),
            cases[2..]
        );
        let thread = page[0].thread.as_ref().unwrap();
        assert_eq!(
            (thread.campaign, thread.is_running),
            (CampaignState::Running, true)
        );
        assert_eq!(
            (
                thread.letters.len(),
                thread.letters[0].is_queued,
                thread.letters[0].was_tried
            ),
            (1, true, false)
        );
        assert_eq!(
            (page[0].tasks, page[0].is_told, page[0].is_handed_over),
            (0, false, false)
        );
        assert_eq!(tx.watched(cases[2], 2).await.unwrap(), []);
        drop(tx);

        let claims = bed.claim(1, at(3)).await;
        assert_eq!(claims.len(), 1);
        let mut tx = bed.tx().await;
        tx.snooze_case(cases[1], at(30), "on leave", "ann", at(3))
            .await
            .unwrap();
        tx.withdraw_case(cases[2], "x", "ann", at(3)).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.read().await;
        assert_eq!(tx.stale_leases(at(3)).await.unwrap(), 0);
        assert_eq!(tx.stale_leases(at(1000)).await.unwrap(), 1);
        let page = tx.watched(CaseId(0), 10).await.unwrap();
        assert_eq!(page.len(), 2, "what is closed is nobody's work");
        assert_eq!(page[1].rests_until, Some(at(30)));
    })
    .await;
}

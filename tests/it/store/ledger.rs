//! The ledger: only ever added to.

use division_bell::domain::CaseId;
use division_bell::store::{Entry, Store};

use super::bed::at;
use super::both;

#[tokio::test]
async fn what_is_noted_comes_back_in_its_order() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        tx.note(
            at(0),
            "ann",
            "people.synced",
            Some("realm:ad:PARL"),
            Some("{\"joined\":3}"),
        )
        .await
        .unwrap();
        tx.note(at(1), "bell", "deliveries.in_doubt", None, None)
            .await
            .unwrap();
        tx.note_case(
            at(2),
            "ben",
            "case.exempted",
            CaseId(7),
            Some(at(9)),
            Some("{}"),
        )
        .await
        .unwrap();
        tx.note_case(at(3), "ben", "case.told", CaseId(8), None, None)
            .await
            .unwrap();
        tx.commit().await.unwrap();

        let all = bed.read().await.ledger(0, 100).await.unwrap();
        let newest = bed.read().await.newest_entry().await.unwrap();
        assert_eq!(all.last().map(|entry| entry.id), Some(newest));
        let first = Entry {
            id: all[0].id,
            at: at(0),
            actor: "ann".to_owned(),
            act: "people.synced".to_owned(),
            case_id: None,
            thing: Some("realm:ad:PARL".to_owned()),
            effective_at: None,
            detail: Some("{\"joined\":3}".to_owned()),
        };
        assert_eq!((all.len(), &all[0]), (4, &first));
        assert_eq!(
            (all[1].thing.as_deref(), all[1].detail.as_deref()),
            (None, None)
        );
        assert_eq!(
            (all[2].case_id, all[2].effective_at),
            (Some(CaseId(7)), Some(at(9)))
        );
        assert!(all.windows(2).all(|two| two[0].id < two[1].id));

        let page = bed.read().await.ledger(all[0].id, 2).await.unwrap();
        assert_eq!(page, all[1..3]);
        let history = bed.read().await.case_history(CaseId(7)).await.unwrap();
        assert_eq!(history, all[2..3]);
        assert_eq!(bed.read().await.case_history(CaseId(99)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn the_ledger_refuses_to_be_changed_or_shortened() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        tx.note(at(0), "ann", "people.synced", None, None).await.unwrap();
        tx.commit().await.unwrap();
        let mut attempts = vec![
            "UPDATE ledger SET actor = 'nobody'",
            "UPDATE ledger SET detail = NULL WHERE id = 1",
            "DELETE FROM ledger",
            "DELETE FROM ledger WHERE id = 1",
            "WITH gone AS (SELECT id FROM ledger) DELETE FROM ledger WHERE id IN (SELECT id FROM gone)",
        ];
        if matches!(bed.store, Store::Postgres(_)) {
            attempts.extend(["TRUNCATE ledger", "TRUNCATE ledger CASCADE"]);
        } else {
            // Recursive triggers are not needed for this: a replacing insert deletes first.
            attempts.push("INSERT OR REPLACE INTO ledger (id, at, actor, act) VALUES (1, 0, 'nobody', 'x')");
        }
        for attempt in attempts {
            let refused = bed.sql(attempt).await;
            let refused = refused.expect_err(attempt).to_string();
            assert!(refused.contains("the ledger is append-only"), "{attempt}: {refused}");
        }
        let kept = bed.read().await.ledger(0, 100).await.unwrap();
        assert_eq!((kept.len(), &kept[0].actor[..]), (1, "ann"));
    })
    .await;
}

#[tokio::test]
async fn what_is_noted_in_a_transaction_that_fails_was_never_noted() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        tx.note(at(0), "ann", "people.synced", None, None)
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(bed.ledger().await, [""; 0]);
    })
    .await;
}

//! Epochs and backups: who a database is, and copies of it.

use division_bell::domain::epoch::Identity;
use division_bell::store::Store;

use super::bed::at;
use super::both;

#[tokio::test]
async fn who_a_database_is_is_settled_once_and_changes_with_each_epoch() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert_eq!(tx.identity().await.unwrap(), None);
        assert!(tx.settle_identity("one").await.unwrap());
        assert!(!tx.settle_identity("two").await.unwrap());
        let first = Identity {
            instance: "one".to_owned(),
            epoch: 1,
            reached: 0,
        };
        assert_eq!(tx.identity().await.unwrap(), Some(first));
        tx.begin_epoch("three", 2, "a test", "ann", at(0))
            .await
            .unwrap();
        let second = tx.identity().await.unwrap().unwrap();
        let noted = tx.ledger(0, 10).await.unwrap().remove(0);
        assert_eq!(
            (&second.instance[..], second.epoch, second.reached),
            ("three", 2, noted.id)
        );
        assert_eq!(
            (&noted.act[..], &noted.actor[..]),
            ("epoch.advanced", "ann")
        );
        tx.forget_identity("four").await.unwrap();
        assert_eq!(tx.identity().await.unwrap().unwrap().instance, "four");
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_copy_is_whole_while_others_write_and_what_is_none_is_not_taken_for_one() {
    both(async |bed| {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("copy.db"), dir.path().join("other"));
        let mut tx = bed.tx().await;
        tx.note(at(0), "ann", "people.synced", None, None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let mut writing = bed.tx().await;
        writing
            .note(at(1), "ann", "not.yet", None, None)
            .await
            .unwrap();
        let is_sqlite = matches!(bed.store, Store::Sqlite(_));
        assert_eq!(bed.store.copy_into(&file).await.unwrap(), is_sqlite);
        writing.commit().await.unwrap();
        std::fs::write(&other, "no database").unwrap();
        assert!(!Store::is_copy(&other).await.unwrap());
        if is_sqlite {
            assert!(Store::is_copy(&file).await.unwrap());
            let copy = Store::open(&format!("sqlite://{}", file.display()), None)
                .await
                .unwrap();
            let rows = copy.read().await.unwrap().ledger(0, 10).await.unwrap();
            assert_eq!((rows.len(), &rows[0].act[..]), (1, "people.synced"));
            copy.close().await;
            let mut bytes = std::fs::read(&file).unwrap();
            bytes.truncate(bytes.len() / 2);
            std::fs::write(&other, bytes).unwrap();
            assert!(!Store::is_copy(&other).await.unwrap(), "half of one");
        }
    })
    .await;
    if let Some(url) = crate::support::postgres::database().await {
        assert!(!Store::holds_tables(&url, None).await.unwrap());
        Store::open(&url, None).await.unwrap().close().await;
        assert!(Store::holds_tables(&url, None).await.unwrap());
    }
}

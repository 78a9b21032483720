//! Scheduled runs, and the store itself: opened, closed, and the key that is settled once.

use division_bell::store::{Claimed, Store, StoreError};

use super::bed::at;
use super::{both, sqlite};
use crate::support::postgres;

#[tokio::test]
async fn a_firing_is_claimed_once() {
    both(async |bed| {
        let store = &bed.store;
        assert_eq!(
            store
                .claim_run("notify", at(0), "one", at(0))
                .await
                .unwrap(),
            Claimed::Ours
        );
        assert_eq!(
            store
                .claim_run("notify", at(0), "two", at(0))
                .await
                .unwrap(),
            Claimed::Theirs
        );
        assert_eq!(
            store
                .claim_run("notify", at(0), "one", at(1))
                .await
                .unwrap(),
            Claimed::Theirs
        );
        assert_eq!(
            store
                .claim_run("notify", at(1), "two", at(1))
                .await
                .unwrap(),
            Claimed::Ours
        );
        assert_eq!(
            store
                .claim_run("deliver", at(0), "two", at(1))
                .await
                .unwrap(),
            Claimed::Ours
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_a_firing_one_gets_it() {
    both(async |bed| {
        let tasks: Vec<_> = (0..12)
            .map(|n| {
                let store = bed.store.clone();
                tokio::spawn(async move {
                    store
                        .claim_run("notify", at(0), &format!("worker-{n}"), at(0))
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut ours = 0;
        for task in tasks {
            ours += usize::from(task.await.unwrap() == Claimed::Ours);
        }
        assert_eq!(ours, 1);
    })
    .await;
}

#[tokio::test]
async fn the_latest_firing_is_told_with_how_it_ended() {
    both(async |bed| {
        let store = &bed.store;
        assert_eq!(store.latest_run("notify").await.unwrap(), None);
        store
            .claim_run("notify", at(0), "one", at(0))
            .await
            .unwrap();
        store
            .claim_run("notify", at(2), "one", at(2))
            .await
            .unwrap();
        store
            .claim_run("deliver", at(9), "one", at(9))
            .await
            .unwrap();
        let run = store.latest_run("notify").await.unwrap().unwrap();
        assert_eq!(
            (
                &run.name[..],
                run.due_at,
                run.ended_at,
                run.result,
                run.failed
            ),
            ("notify", at(2), None, None, false)
        );

        store
            .end_run("notify", at(2), "3 queued", true, at(3))
            .await
            .unwrap();
        let run = store.latest_run("notify").await.unwrap().unwrap();
        assert_eq!(
            (run.ended_at, run.result.as_deref(), run.failed),
            (Some(at(3)), Some("3 queued"), true)
        );
        // The one before it is still open, and another's end is not ours.
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM runs WHERE ended_at IS NULL")
                .await,
            2
        );
    })
    .await;
}

#[tokio::test]
async fn firings_of_long_ago_go_and_the_latest_of_each_name_and_what_never_ended_stay() {
    both(async |bed| {
        let store = &bed.store;
        for (name, due, ends) in [
            ("notify", 0, true),
            ("notify", 1, false),
            ("notify", 2, true),
            ("notify", 3, true),
            ("report", 0, true),
        ] {
            store
                .claim_run(name, at(due), "one", at(due))
                .await
                .unwrap();
            if ends {
                store
                    .end_run(name, at(due), "done", false, at(due))
                    .await
                    .unwrap();
            }
        }
        let mut tx = bed.tx().await;
        assert_eq!(tx.purge_runs(at(0)).await.unwrap(), 0, "none is older");
        assert_eq!(tx.purge_runs(at(9)).await.unwrap(), 2);
        assert_eq!(tx.purge_runs(at(9)).await.unwrap(), 0);
        tx.commit().await.unwrap();
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM runs WHERE name = 'notify' AND ended_at IS NULL")
                .await,
            1
        );
        for (name, due) in [("notify", 3), ("report", 0)] {
            let latest = store.latest_run(name).await.unwrap().unwrap();
            assert_eq!(latest.due_at, at(due), "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_site_key_is_made_once_and_stays() {
    both(async |bed| {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = bed.store.clone();
                tokio::spawn(async move { store.site_key().await.unwrap() })
            })
            .collect();
        let mut keys = Vec::new();
        for task in tasks {
            keys.push(task.await.unwrap());
        }
        assert_eq!(keys[0].len(), 32);
        assert!(keys.iter().all(|key| *key == keys[0]));

        bed.sql("UPDATE settled SET value = 'not hexadecimal'")
            .await
            .unwrap();
        let strange = bed.store.site_key().await;
        assert!(
            matches!(
                strange,
                Err(StoreError::Strange {
                    table: "settled",
                    ..
                })
            ),
            "{strange:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_opened_again_has_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path()).await;
    store
        .claim_run("notify", at(0), "one", at(0))
        .await
        .unwrap();
    let key = store.site_key().await.unwrap();
    store.close().await;
    assert!(matches!(store.begin().await, Err(StoreError::Database(_))));
    let store = sqlite(folder.path()).await;
    assert_eq!(
        store
            .claim_run("notify", at(0), "two", at(0))
            .await
            .unwrap(),
        Claimed::Theirs
    );
    assert_eq!(store.site_key().await.unwrap(), key);
    store.close().await;

    let Some(url) = postgres::database().await else {
        return;
    };
    let store = Store::open(&url, None).await.unwrap();
    store
        .claim_run("notify", at(0), "one", at(0))
        .await
        .unwrap();
    store.close().await;
    // The password apart from the URL, as the config hands it over.
    let bare = url
        .replace("pg:pg@", "pg@")
        .replace("postgres://", "postgresql://");
    let store = Store::open(&bare, Some("pg")).await.unwrap();
    assert_eq!(
        store
            .claim_run("notify", at(0), "two", at(0))
            .await
            .unwrap(),
        Claimed::Theirs
    );
    store.close().await;
    let refused = Store::open(&bare, Some("wrong")).await.unwrap_err();
    assert!(
        !format!("{refused:?} {refused}").contains("wrong"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_url_that_names_no_database_of_ours_is_refused() {
    for url in ["", "mysql://root@localhost/bell", "bell.db", "file:bell.db"] {
        let refused = Store::open(url, None).await;
        assert!(
            matches!(refused, Err(StoreError::Url)),
            "{url}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_reader_sees_one_moment_throughout() {
    both(async |bed| {
        let mut tx = bed.read().await;
        assert_eq!(tx.ledger(0, 10).await.unwrap(), []);
        let mut writer = bed.tx().await;
        writer
            .note(at(0), "ann", "people.synced", None, None)
            .await
            .unwrap();
        writer.commit().await.unwrap();
        assert_eq!(tx.ledger(0, 10).await.unwrap(), []);
        tx.commit().await.unwrap();
        assert_eq!(bed.ledger().await, ["people.synced"]);
    })
    .await;
}

#[tokio::test]
async fn what_may_help_to_try_again_is_told_from_what_may_not() {
    // A file that somebody else is writing to.
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path()).await;
    let busy = store.begin().await.unwrap();
    let Store::Sqlite(pool) = &store else {
        unreachable!()
    };
    let mut other = pool.acquire().await.unwrap();
    sqlx::query("PRAGMA busy_timeout = 0")
        .execute(&mut *other)
        .await
        .unwrap();
    let refused = sqlx::query("INSERT INTO settled (name, value) VALUES ('a', 'b')")
        .execute(&mut *other)
        .await;
    assert!(StoreError::from(refused.unwrap_err()).is_passing());
    busy.rollback().await.unwrap();
    let twice = "INSERT INTO settled (name, value) VALUES ('a', 'b'), ('a', 'c')";
    let refused = sqlx::query(twice).execute(&mut *other).await;
    assert!(!StoreError::from(refused.unwrap_err()).is_passing());
    assert!(
        !StoreError::Lost {
            table: "cases",
            id: 1
        }
        .is_passing()
    );
    assert!(!StoreError::Url.is_passing());
    assert!(StoreError::from(sqlx::Error::PoolTimedOut).is_passing());
    drop(other);
    store.close().await;

    let Some(url) = postgres::database().await else {
        return;
    };
    let store = Store::open(&url, None).await.unwrap();
    let Store::Postgres(pool) = &store else {
        unreachable!()
    };
    for (sql, expected) in [
        (
            "DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$",
            true,
        ),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$",
            true,
        ),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'dead' USING ERRCODE = '40P01'; END $$",
            true,
        ),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'stop' USING ERRCODE = '57P01'; END $$",
            true,
        ),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '08006'; END $$",
            true,
        ),
        ("SELECT nonsense", false),
        ("SELECT 1 / 0", false),
        (
            "INSERT INTO settled (name, value) VALUES ('a', 'b'), ('a', 'c')",
            false,
        ),
    ] {
        let refused = sqlx::query(sql).execute(pool).await.unwrap_err();
        assert_eq!(StoreError::from(refused).is_passing(), expected, "{sql}");
    }
    // A server that goes away in the middle.
    let mut tx = pool.begin().await.unwrap();
    let gone = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())")
        .execute(&mut *tx)
        .await;
    assert!(StoreError::from(gone.unwrap_err()).is_passing());
    drop(tx);
    store.close().await;
}

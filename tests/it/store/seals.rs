//! Seals: the same rows are the same bytes on both databases; what is erased stays provable; a chain has one next link.

use std::collections::HashMap;

use division_bell::domain::CaseId;
use division_bell::domain::seal::{
    Link, Seal, SealedTable, again, commitment, compare, fresh, parts, personal_digest,
};
use division_bell::store::{Store, StoredSeal};

use super::bed::{Bed, at};
use super::both;

const LEDGER: SealedTable = SealedTable::Ledger;

/// Three rows of the ledger, of which the second hides something.
async fn three(bed: &Bed) {
    let mut tx = bed.tx().await;
    tx.note(at(0), "ann", "people.synced", Some("realm:ad:PARL"), None)
        .await
        .unwrap();
    let reason = Some("{\"reason\":\"Ünwell since May\"}");
    tx.note_case(at(1), "ben", "case.told", CaseId(8), Some(at(2)), reason)
        .await
        .unwrap();
    tx.note(at(3), "bell", "nothing.done", None, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Seals all of a table that is not sealed.
async fn sealed(bed: &Bed, table: SealedTable, salt: u8) -> StoredSeal {
    let mut tx = bed.tx().await;
    let before = tx.newest_seal(None).await.unwrap();
    let after = tx.sealed_upto(table).await.unwrap();
    let upto = tx.highest(table).await.unwrap().unwrap();
    let bytes = tx.written_rows(table, after, upto, 100).await.unwrap();
    let rows = parts(table, &bytes).unwrap();
    let (seen, salts) = fresh(table, &rows, || [salt; 16]);
    let seal = Seal::over(table, (after, upto), &seen, &before, at(5));
    let stored = StoredSeal { seal, salts };
    assert!(tx.add_seal(&stored).await.unwrap());
    tx.commit().await.unwrap();
    stored
}

#[tokio::test]
async fn rows_are_written_down_alike_on_both_databases_in_the_order_of_their_numbers() {
    both(async |bed| {
        three(&bed).await;
        let mut tx = bed.read().await;
        let first = tx.ledger(0, 1).await.unwrap()[0].id;
        let bytes = tx.written_rows(LEDGER, first - 1, first + 9, 100).await.unwrap();
        let (zero, one, two, three) = (at(0).micros(), at(1).micros(), at(2).micros(), at(3).micros());
        let expected = format!(
            "{first},{zero},3:ann13:people.synced-,13:realm:ad:PARL-,-{},{one},3:ben9:case.told8,-{two},30:{{\"reason\":\"Ünwell since May\"}}\
             {},{three},4:bell12:nothing.done-,--,-",
            first + 1,
            first + 2
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        let some = tx.written_rows(LEDGER, first, first + 9, 1).await.unwrap();
        let rows = parts(LEDGER, &some).unwrap();
        assert_eq!((rows.len(), rows[0].id), (1, first + 1));
        assert_eq!(tx.highest(LEDGER).await.unwrap(), Some(first + 2));
        assert_eq!(tx.rows_above(LEDGER, first).await.unwrap(), 2);
        assert_eq!(tx.highest(SealedTable::Replies).await.unwrap(), None);
        for table in SealedTable::ALL {
            tx.written_rows(table, i64::MIN, i64::MAX, i64::MAX).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_chain_has_one_next_link_and_tells_where_it_ended_at_a_moment() {
    both(async |bed| {
        three(&bed).await;
        let mut tx = bed.read().await;
        assert_eq!(tx.newest_seal(None).await.unwrap(), Link::default());
        assert_eq!(tx.sealed_upto(LEDGER).await.unwrap(), i64::MIN);
        assert_eq!(tx.ledger_as_of(at(9)).await.unwrap(), None);
        let highest = tx.highest(LEDGER).await.unwrap().unwrap();
        drop(tx);

        let stored = sealed(&bed, LEDGER, 7).await;
        let mut tx = bed.tx().await;
        assert_eq!(tx.newest_seal(None).await.unwrap(), stored.seal.link());
        assert_eq!(tx.newest_seal(Some(at(4))).await.unwrap(), Link::default());
        assert_eq!(tx.sealed_upto(LEDGER).await.unwrap(), highest);
        assert_eq!(
            tx.seals(0, 10).await.unwrap(),
            std::slice::from_ref(&stored)
        );
        assert_eq!(tx.seals(1, 10).await.unwrap(), []);
        assert!(
            !tx.add_seal(&stored).await.unwrap(),
            "somebody else was first"
        );
        tx.note(
            at(6),
            "bell",
            "ledger.verified",
            None,
            Some("{\"breaks\":2}"),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let facts = bed.read().await.ledger_as_of(at(9)).await.unwrap().unwrap();
        assert_eq!((facts.head, facts.entries), (stored.seal.hash, 3));
        assert_eq!((facts.first_at, facts.last_at), (at(0), at(3)));
        assert_eq!((facts.verified_at, facts.gaps), (Some(at(6)), 2));
        let before = bed.read().await.ledger_as_of(at(5)).await.unwrap().unwrap();
        assert_eq!((before.verified_at, before.gaps), (None, 0));
    })
    .await;
}

#[tokio::test]
async fn an_erased_text_is_gone_with_its_salt_and_the_seal_still_holds() {
    both(async |bed| {
        three(&bed).await;
        let stored = sealed(&bed, LEDGER, 7).await;
        let ids: Vec<i64> = {
            let rows = bed.read().await.ledger(0, 10).await.unwrap();
            rows.iter().map(|row| row.id).collect()
        };
        // A row that hides nothing, and one that is not sealed yet, stay as they are.
        let mut tx = bed.tx().await;
        tx.note(at(6), "ann", "case.told", None, Some("{\"reason\":\"x\"}"))
            .await
            .unwrap();
        let wanted: Vec<(i64, Option<String>)> = [ids[0], ids[1], ids[2], ids[2] + 1]
            .map(|id| (id, Some("{}".to_owned())))
            .into();
        assert_eq!(tx.erase_texts(LEDGER, &wanted, at(7)).await.unwrap(), 1);
        assert_eq!(tx.erase_texts(LEDGER, &wanted, at(8)).await.unwrap(), 0);
        assert_eq!(
            tx.erase_texts(SealedTable::Replies, &wanted, at(8))
                .await
                .unwrap(),
            0
        );
        tx.commit().await.unwrap();

        let mut tx = bed.read().await;
        let details: Vec<Option<String>> = tx
            .ledger(0, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.detail)
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            details,
            [None, some("{}"), None, some("{\"reason\":\"x\"}")]
        );
        let erased = tx.erasures(LEDGER, 0, i64::MAX).await.unwrap();
        let erasure = &erased[&ids[1]];
        let text = "{\"reason\":\"Ünwell since May\"}".as_bytes();
        assert_eq!(erasure.commitment, commitment(&[7; 16], text));
        assert_eq!(erasure.left, personal_digest(Some(b"{}")));
        let now = tx.seals(0, 1).await.unwrap().remove(0);
        assert_eq!((&now.seal, now.salts), (&stored.seal, vec![0; 16]));
        let seal = &stored.seal;
        let bytes = tx
            .written_rows(LEDGER, seal.after, seal.upto, 100)
            .await
            .unwrap();
        let rows = parts(LEDGER, &bytes).unwrap();
        assert_eq!(compare(seal, &again(seal, &[0; 16], &rows, &erased)), []);
        let without = compare(seal, &again(seal, &[0; 16], &rows, &HashMap::new()));
        assert_eq!(
            without.len(),
            1,
            "without the record of it, it would be a forgery"
        );
    })
    .await;
}

#[tokio::test]
async fn whoever_writes_to_a_table_is_listed_until_their_transaction_ends() {
    both(async |bed| {
        assert!(bed.read().await.writers(LEDGER).await.unwrap().is_empty());
        let Store::Postgres(_) = bed.store else {
            return;
        };
        let mut tx = bed.tx().await;
        tx.note(at(0), "ann", "people.synced", None, None)
            .await
            .unwrap();
        let writing = bed.read().await.writers(LEDGER).await.unwrap();
        assert_eq!(writing.len(), 1);
        assert!(
            bed.read()
                .await
                .writers(SealedTable::Replies)
                .await
                .unwrap()
                .is_empty()
        );
        tx.commit().await.unwrap();
        assert!(
            bed.read()
                .await
                .writers(LEDGER)
                .await
                .unwrap()
                .is_disjoint(&writing)
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_only_ever_added_to_refuses_all_else() {
    both(async |bed| {
        three(&bed).await;
        sealed(&bed, LEDGER, 7).await;
        let mut tx = bed.tx().await;
        tx.keep_template("hash", "notice.weak", "en-GB", "{}", at(0))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        for attempt in [
            "UPDATE seals SET hash = 'x'",
            "UPDATE seals SET leaves = 'x', salts = 'x'",
            "DELETE FROM seals",
            "UPDATE templates SET source = 'x'",
            "DELETE FROM templates",
            "UPDATE ledger SET detail = NULL WHERE detail IS NOT NULL",
        ] {
            let refused = bed.sql(attempt).await.expect_err(attempt).to_string();
            assert!(refused.contains("append-only"), "{attempt}: {refused}");
        }
    })
    .await;
}

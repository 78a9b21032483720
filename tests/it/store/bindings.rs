//! Bindings: whose a name is, by an operator's word.

use division_bell::domain::identity::{Key, KeyKind, Realm};
use division_bell::domain::{AccountId, AuditId, FindingId};
use division_bell::store::NewAudit;

use super::audits::finding;
use super::bed::{at, realm};
use super::both;

#[tokio::test]
async fn a_name_is_bound_to_the_account_that_was_named_last_and_to_none_of_another_realm() {
    both(async |bed| {
        let people = bed.people(2).await;
        let [one, other] = [people[0].account, people[1].account];
        let key = Key::login(r"PARL\Ghost").unwrap();
        let same = Key::login(r"parl\ghost").unwrap();
        let mut tx = bed.tx().await;
        assert!(tx.bound(&realm(), &[&key]).await.unwrap().is_empty());
        tx.bind_key(&realm(), &key, one, "ann", at(1))
            .await
            .unwrap();
        tx.bind_key(&realm(), &same, other, "ben", at(2))
            .await
            .unwrap();
        let bound = tx.bound(&realm(), &[&key, &same]).await.unwrap();
        assert_eq!(bound.len(), 1);
        assert_eq!(bound[&(KeyKind::NetbiosSam, key.folded())], other);
        let elsewhere = Realm("entra:other".to_owned());
        assert!(tx.bound(&elsewhere, &[&key]).await.unwrap().is_empty());
        assert_eq!(tx.realm_of(one).await.unwrap(), Some(realm()));
        assert_eq!(tx.realm_of(AccountId(99)).await.unwrap(), None);
        assert_eq!(tx.accounts_of(&realm()).await.unwrap(), 2);
        assert_eq!(tx.accounts_of(&elsewhere).await.unwrap(), 0);
        assert_eq!(tx.accounts_of_login(&realm(), "nobody").await.unwrap(), []);
        tx.commit().await.unwrap();
        assert_eq!(
            bed.ledger()
                .await
                .iter()
                .filter(|act| act.contains("key.bound"))
                .count(),
            2
        );
    })
    .await;
}

#[tokio::test]
async fn a_finding_that_named_nobody_is_given_to_an_account_once() {
    both(async |bed| {
        let people = bed.people(2).await;
        let [one, other] = [people[0].account, people[1].account];
        let mut tx = bed.tx().await;
        let new = NewAudit {
            sha256: "aa".to_owned(),
            source: "own".to_owned(),
            realm: realm(),
            format: "mapped_csv",
            file_name: "june.csv".to_owned(),
            size_bytes: 1,
            as_of: at(-2),
            as_of_assumed: false,
            imported_at: at(0),
            imported_by: "ann".to_owned(),
        };
        assert_eq!(
            tx.findings_before("own", AuditId(99), "bb").await.unwrap(),
            None
        );
        let audit = tx.add_audit(&new).await.unwrap();
        let drafts = [
            finding("k1", None, at(-3)),
            finding("k2", Some(one), at(-3)),
        ];
        tx.add_findings(audit, &drafts, at(0)).await.unwrap();
        assert_eq!(tx.findings_before("own", audit, "bb").await.unwrap(), None);
        let later = AuditId(audit.0 + 1);
        assert_eq!(
            tx.findings_before("own", later, "bb").await.unwrap(),
            Some(0)
        );
        assert_eq!(tx.findings_before("own", later, "aa").await.unwrap(), None);
        assert_eq!(
            tx.audit(audit).await.unwrap().unwrap().file_name,
            "june.csv"
        );
        assert_eq!(tx.audit(later).await.unwrap(), None);

        let unmatched = tx.unmatched_findings(FindingId(0), 10).await.unwrap();
        let [ghost] = &unmatched[..] else {
            panic!("{unmatched:?}")
        };
        assert_eq!(
            (
                ghost.audit,
                &ghost.key.given[..],
                &ghost.why[..],
                ghost.bad_as_of,
                ghost.audit_as_of
            ),
            (audit, r"PARL\ada", "nobody", at(-3), at(-2))
        );
        assert_eq!(tx.unmatched_findings(ghost.id, 10).await.unwrap(), []);
        tx.match_findings(&[ghost.id], other).await.unwrap();
        tx.match_findings(&[ghost.id], one).await.unwrap();
        assert_eq!(tx.unmatched_findings(FindingId(0), 10).await.unwrap(), []);
        tx.commit().await.unwrap();
        let of = format!("SELECT COUNT(*) FROM findings WHERE account_id = {other}");
        let count = crate::support::flow::rows(&bed.store, &of).await;
        assert_eq!(count, [["1"]], "the first word holds");
    })
    .await;
}

#[tokio::test]
async fn who_tried_a_file_last_is_known_by_the_ledger() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert_eq!(tx.held_by("file:aa").await.unwrap(), None);
        for by in ["ann", "bell"] {
            tx.note(at(1), by, "audit.held", Some("file:aa"), None)
                .await
                .unwrap();
        }
        tx.note(at(2), "ben", "audit.taken_in", Some("file:aa"), None)
            .await
            .unwrap();
        assert_eq!(
            tx.held_by("file:aa").await.unwrap().as_deref(),
            Some("bell")
        );
    })
    .await;
}

//! Audits and their findings: nothing is taken in twice.

use chrono::TimeDelta;
use division_bell::domain::finding::{
    Baseline, Precision, Reject, RejectReason, Severity, Weakness,
};
use division_bell::domain::identity::KeyKind;
use division_bell::domain::{AccountId, AuditId, Moment};
use division_bell::store::{AuditCounts, FindingDraft, NewAudit, StoreError};

use super::bed::{at, realm};
use super::{Bed, both};

fn audit(sha256: &str, source: &str) -> NewAudit {
    NewAudit {
        sha256: sha256.to_owned(),
        source: source.to_owned(),
        realm: realm(),
        format: "mapped_csv",
        file_name: "june.csv".to_owned(),
        size_bytes: 1234,
        as_of: at(-2),
        as_of_assumed: true,
        imported_at: at(0),
        imported_by: "ann".to_owned(),
    }
}

pub fn finding(key: &str, account: Option<AccountId>, bad_as_of: Moment) -> FindingDraft {
    FindingDraft {
        dedupe_key: key.to_owned(),
        line: 7,
        account,
        unmatched: account.is_none().then_some("nobody"),
        key_kind: KeyKind::NetbiosSam,
        key_given: r"PARL\ada".to_owned(),
        weakness: Weakness::Cracked,
        detail: None,
        severity: Severity::High,
        bad_as_of,
        bad_as_of_assumed: false,
        discovered_at: None,
        baseline: None,
    }
}

async fn taken_in(
    bed: &Bed,
    sha256: &str,
    drafts: &[FindingDraft],
    hour: i64,
) -> (AuditId, Vec<(i64, bool, bool)>) {
    let mut tx = bed.tx().await;
    let audit = tx.add_audit(&audit(sha256, "external")).await.unwrap();
    let stored = tx.add_findings(audit, drafts, at(hour)).await.unwrap();
    tx.commit().await.unwrap();
    let stored = stored
        .iter()
        .map(|one| (one.id.0, one.is_new, one.is_raised))
        .collect();
    (audit, stored)
}

#[tokio::test]
async fn an_audit_is_known_by_its_bytes_and_its_source() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert_eq!(tx.audit_by_hash("aa", "external").await.unwrap(), None);
        let id = tx.add_audit(&audit("aa", "external")).await.unwrap();
        assert_eq!(tx.audit_by_hash("aa", "external").await.unwrap(), Some(id));
        assert_eq!(tx.audit_by_hash("aa", "other").await.unwrap(), None);
        assert_eq!(tx.audit_by_hash("bb", "external").await.unwrap(), None);
        let other = tx.add_audit(&audit("aa", "other")).await.unwrap();
        assert_ne!(id, other);
        tx.commit().await.unwrap();

        let mut tx = bed.tx().await;
        let again = tx.add_audit(&audit("aa", "external")).await;
        assert!(matches!(again, Err(StoreError::Database(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn an_audit_is_listed_with_what_it_came_to() {
    both(async |bed| {
        let counts = AuditCounts {
            records: 31,
            findings: 29,
            sighted: 1,
            unmatched: 2,
            rejected: 3,
        };
        let mut tx = bed.tx().await;
        let id = tx.add_audit(&audit("aa", "external")).await.unwrap();
        tx.end_audit(id, &counts).await.unwrap();
        let later = NewAudit {
            imported_at: at(5),
            as_of_assumed: false,
            ..audit("bb", "external")
        };
        tx.add_audit(&later).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = bed.read().await;
        let then = tx.audits(at(4)).await.unwrap();
        assert_eq!(then.len(), 1);
        let one = &then[0];
        assert_eq!(
            (one.id, &one.sha256[..], &one.source[..]),
            (id, "aa", "external")
        );
        assert_eq!(
            (&one.realm[..], &one.format[..], &one.file_name[..]),
            ("ad:PARL", "mapped_csv", "june.csv")
        );
        assert_eq!(
            (one.size_bytes, one.as_of, one.as_of_assumed),
            (1234, at(-2), true)
        );
        assert_eq!(
            (one.imported_at, &one.imported_by[..], one.counts),
            (at(0), "ann", counts)
        );
        let now = tx.audits(at(5)).await.unwrap();
        assert_eq!(
            (now.len(), now[1].counts, now[1].as_of_assumed),
            (2, AuditCounts::default(), false)
        );
    })
    .await;
}

#[tokio::test]
async fn a_finding_that_is_seen_again_is_sighted_and_not_found_twice() {
    both(async |bed| {
        let who = bed.people(1).await[0].account;
        let (_, first) = taken_in(
            &bed,
            "aa",
            &[
                finding("k1", Some(who), at(-10)),
                finding("k2", None, at(-10)),
            ],
            0,
        )
        .await;
        assert!(
            first
                .iter()
                .all(|(_, is_new, is_raised)| *is_new && !is_raised)
        );

        // Older, the same, newer; and one that is new.
        let again = [
            finding("k2", None, at(-11)),
            finding("k1", Some(who), at(-5)),
            finding("k3", None, at(-10)),
        ];
        let (second, stored) = taken_in(&bed, "bb", &again, 24).await;
        assert_eq!(stored[0], (first[1].0, false, false));
        assert_eq!(stored[1], (first[0].0, false, true));
        assert!(stored[2].1);
        assert_eq!(bed.count("SELECT COUNT(*) FROM findings").await, 3);
        assert_eq!(bed.count("SELECT COUNT(*) FROM sightings").await, 2);
        let bad_as_of = "SELECT bad_as_of FROM findings WHERE dedupe_key = 'k1'";
        assert_eq!(bed.count(bad_as_of).await, at(-5).micros());
        let kept = "SELECT bad_as_of FROM findings WHERE dedupe_key = 'k2'";
        assert_eq!(bed.count(kept).await, at(-10).micros());

        // The same audit again, in another batch: a sighting stands once, at its latest.
        let mut tx = bed.tx().await;
        let later = finding("k1", Some(who), at(-4));
        tx.add_findings(second, std::slice::from_ref(&later), at(24))
            .await
            .unwrap();
        tx.add_findings(second, &[finding("k1", Some(who), at(-6))], at(24))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.count("SELECT COUNT(*) FROM sightings").await, 2);
        let seen = "SELECT MAX(bad_as_of) FROM sightings";
        assert_eq!(bed.count(seen).await, at(-4).micros());
        assert_eq!(bed.count(bad_as_of).await, at(-4).micros());
    })
    .await;
}

#[tokio::test]
async fn all_that_a_finding_says_is_kept() {
    both(async |bed| {
        let baseline = Baseline {
            changed_at: Some(at(-500)),
            precision: Precision::Day,
        };
        let full = FindingDraft {
            detail: Some("MapleForum".to_owned()),
            discovered_at: Some(at(-3)),
            baseline: Some(baseline),
            bad_as_of_assumed: true,
            weakness: Weakness::BreachPassword,
            ..finding("k1", None, at(-10))
        };
        taken_in(&bed, "aa", &[full], 0).await;
        let text = format!("{{\"changed_at\":\"{}\",\"precision\":\"day\"}}", at(-500));
        let kept = format!(
            "UPDATE findings SET line = line WHERE detail = 'MapleForum' AND discovered_at = {} AND baseline = '{text}' AND bad_as_of_assumed AND weakness = 'breached/breach_password'
             AND key_kind = 'netbios_sam' AND key_given = 'PARL\\ada' AND severity = 'high' AND unmatched = 'nobody' AND account_id IS NULL AND found_at = {} AND line = 7",
            at(-3).micros(), at(0).micros()
        );
        assert_eq!(bed.sql(&kept).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn findings_are_counted_and_linked_to_their_cases() {
    both(async |bed| {
        let (people, cases) = bed.cases(2).await;
        let drafts = [
            finding("k1", Some(people[0].account), at(-10)),
            finding("k2", Some(people[1].account), at(-10)),
            FindingDraft { weakness: Weakness::Empty, ..finding("k3", Some(people[1].account), at(-10)) },
        ];
        let (audit, stored) = taken_in(&bed, "aa", &drafts, 0).await;
        let mut tx = bed.tx().await;
        let id = |at: usize| division_bell::domain::FindingId(stored[at].0);
        tx.link_findings(&[(id(0), cases[0]), (id(2), cases[1])]).await.unwrap();
        tx.link_findings(&[]).await.unwrap();
        let counts = tx.finding_counts(audit).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(counts, [("weak/cracked".to_owned(), 2), ("weak/empty".to_owned(), 1)]);
        assert_eq!(bed.count("SELECT COUNT(*) FROM findings WHERE case_id IS NOT NULL").await, 2);
        let linked = "SELECT COUNT(*) FROM findings f JOIN cases c ON c.id = f.case_id AND c.account_id = f.account_id";
        assert_eq!(bed.count(linked).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_rejected_line_is_kept_by_its_number_and_a_word() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let id = tx.add_audit(&audit("aa", "external")).await.unwrap();
        let reject = |line, reason| Reject { line, reason };
        tx.add_rejects(
            id,
            &[
                reject(9, RejectReason::BadDate),
                reject(2, RejectReason::NoKey),
            ],
        )
        .await
        .unwrap();
        tx.add_rejects(id, &[]).await.unwrap();
        tx.commit().await.unwrap();
        let kept = bed.read().await.rejects(id).await.unwrap();
        assert_eq!(kept, [(2, "no_key".to_owned()), (9, "bad_date".to_owned())]);
        assert_eq!(bed.read().await.rejects(AuditId(99)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_findings_are_one_batch_and_the_same_again_are_none() {
    both(async |bed| {
        let drafts: Vec<FindingDraft> = (0..10_000)
            .map(|n| finding(&format!("k{n}"), None, at(-10)))
            .collect();
        let (_, stored) = taken_in(&bed, "aa", &drafts, 0).await;
        assert_eq!(
            stored.iter().filter(|(_, is_new, _)| *is_new).count(),
            10_000
        );
        let later: Vec<FindingDraft> = drafts
            .iter()
            .map(|draft| FindingDraft {
                bad_as_of: draft.bad_as_of.plus(TimeDelta::seconds(1)),
                ..draft.clone()
            })
            .collect();
        let (_, stored) = taken_in(&bed, "bb", &later, 1).await;
        assert!(
            stored
                .iter()
                .all(|(_, is_new, is_raised)| !is_new && *is_raised)
        );
        assert_eq!(bed.count("SELECT COUNT(*) FROM findings").await, 10_000);
        assert_eq!(bed.count("SELECT COUNT(*) FROM sightings").await, 10_000);
    })
    .await;
}

#[tokio::test]
async fn an_intake_that_is_rolled_back_leaves_nothing() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let id = tx.add_audit(&audit("aa", "external")).await.unwrap();
        tx.add_findings(id, &[finding("k1", None, at(-10))], at(0))
            .await
            .unwrap();
        tx.note(at(0), "ann", "audit.taken_in", Some("audit:1"), None)
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        // A transaction that is only dropped leaves nothing either.
        let mut tx = bed.tx().await;
        tx.add_audit(&audit("aa", "external")).await.unwrap();
        drop(tx);
        for table in [
            "SELECT COUNT(*) FROM audits",
            "SELECT COUNT(*) FROM findings",
            "SELECT COUNT(*) FROM ledger",
        ] {
            assert_eq!(bed.count(table).await, 0, "{table}");
        }
        assert_eq!(
            bed.read()
                .await
                .audit_by_hash("aa", "external")
                .await
                .unwrap(),
            None
        );
    })
    .await;
}

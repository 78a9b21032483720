//! Evidence: what a directory says, kept when it is new, confirmed when it is not.

use division_bell::domain::AccountId;
use division_bell::domain::evidence::{Evidence, Grade};
use division_bell::store::{EvidenceDraft, EvidenceRead};

use super::bed::{at, changed, realm, said};
use super::{Bed, both};

fn read(hour: i64) -> EvidenceRead {
    EvidenceRead {
        source: "directory-export".to_owned(),
        realm: realm(),
        file_name: "evidence.csv".to_owned(),
        sha256: "ee".to_owned(),
        observed_at: at(hour),
        read_at: at(hour),
    }
}

fn says(account: AccountId, evidence: Evidence) -> EvidenceDraft {
    EvidenceDraft {
        account,
        line: 2,
        grade: Grade::B,
        evidence,
    }
}

/// Reads these lines; gives the number and the age of the newest evidence of each.
async fn reading(bed: &Bed, drafts: &[EvidenceDraft]) -> Vec<(i64, Evidence, Grade)> {
    let mut tx = bed.tx().await;
    let id = tx.add_evidence_read(&read(0)).await.unwrap();
    let latest = said(&mut tx, id, drafts).await;
    tx.end_evidence_read(id, drafts.len() as u64, 1)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    drafts
        .iter()
        .map(|draft| {
            let one = &latest[&draft.account];
            (one.id.0, one.evidence.clone(), one.grade)
        })
        .collect()
}

#[tokio::test]
async fn evidence_that_says_nothing_new_only_gets_younger() {
    both(async |bed| {
        let who = bed.people(1).await[0].account;
        let first = reading(&bed, &[says(who, changed(Some(at(-50)), at(1)))]).await;
        assert_eq!(first[0].1, changed(Some(at(-50)), at(1)));
        assert_eq!(first[0].2, Grade::B);

        let same = reading(&bed, &[says(who, changed(Some(at(-50)), at(5)))]).await;
        assert_eq!(same[0].0, first[0].0);
        assert_eq!(same[0].1.observed_at, at(5));
        // An older export that says the same does not make it older again.
        let older = reading(&bed, &[says(who, changed(Some(at(-50)), at(3)))]).await;
        assert_eq!((older[0].0, older[0].1.observed_at), (first[0].0, at(5)));
        assert_eq!(bed.count("SELECT COUNT(*) FROM evidence").await, 1);

        let news = reading(&bed, &[says(who, changed(Some(at(6)), at(7)))]).await;
        assert!(news[0].0 > first[0].0);
        assert_eq!(news[0].1, changed(Some(at(6)), at(7)));
        // The same facts by better evidence are news as well.
        let better = EvidenceDraft {
            grade: Grade::A,
            ..says(who, changed(Some(at(6)), at(8)))
        };
        let better = reading(&bed, &[better]).await;
        assert_eq!((better[0].0 > news[0].0, better[0].2), (true, Grade::A));
        assert_eq!(bed.count("SELECT COUNT(*) FROM evidence").await, 3);
    })
    .await;
}

#[tokio::test]
async fn every_fact_of_evidence_comes_back() {
    both(async |bed| {
        let who = bed.people(1).await[0].account;
        let full = Evidence {
            secret_changed_at: Some(at(-49)),
            pending: true,
            date_is_zero: true,
            disabled: true,
            exists: false,
            sessions_valid_from: Some(at(-48)),
            ..changed(None, at(1))
        };
        let kept = reading(&bed, &[says(who, full.clone())]).await;
        assert_eq!(kept[0].1, full);
        let latest = bed
            .read()
            .await
            .latest_evidence(&[who, AccountId(99)])
            .await
            .unwrap();
        assert_eq!((latest.len(), &latest[&who].evidence), (1, &full));
    })
    .await;
}

#[tokio::test]
async fn a_reading_is_written_down_with_what_it_came_to() {
    both(async |bed| {
        let people = bed.people(3).await;
        let drafts: Vec<EvidenceDraft> = people.iter().map(|who| says(who.account, changed(None, at(1)))).collect();
        reading(&bed, &drafts).await;
        reading(&bed, &[]).await;
        let kept = "SELECT COUNT(*) FROM evidence_reads WHERE entries = 3 AND rejected = 1 AND realm = 'ad:PARL' AND source = 'directory-export'";
        assert_eq!(bed.count(kept).await, 1);
        assert_eq!(bed.count("SELECT COUNT(*) FROM evidence_reads").await, 2);
        assert_eq!(bed.count("SELECT COUNT(*) FROM evidence e JOIN evidence_reads r ON r.id = e.read_id").await, 3);
    })
    .await;
}

#[tokio::test]
async fn open_cases_are_known_by_the_directorys_ids_and_by_what_a_source_said_of_them() {
    both(async |bed| {
        let (people, _) = bed.cases(1).await;
        let mut tx = bed.tx().await;
        let open = tx
            .open_cases_by_object(&realm(), "directory-export")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].told_at, None);

        reading(
            &bed,
            &[says(people[0].account, changed(Some(at(-50)), at(5)))],
        )
        .await;
        let mut tx = bed.tx().await;
        let told = tx
            .open_cases_by_object(&realm(), "directory-export")
            .await
            .unwrap();
        assert_eq!(told[0].told_at, Some(at(5)));
        assert_eq!(told[0].object_id, open[0].object_id);
        let other = tx.open_cases_by_object(&realm(), "another").await.unwrap();
        assert_eq!(other[0].told_at, None);
    })
    .await;
}

#[tokio::test]
async fn accounts_are_found_by_the_directorys_ids_and_those_with_cases_are_known() {
    both(async |bed| {
        let with = bed.people(3).await;
        let (cases, _) = bed.cases(1).await;
        let mut tx = bed.tx().await;
        let facts = tx
            .accounts(with.iter().map(|who| who.account))
            .await
            .unwrap();
        let folded = |account| facts[&account].object_id.to_lowercase();
        let ids = [
            folded(with[0].account),
            folded(with[2].account),
            "nobody".to_owned(),
        ];
        let ids = ids.each_ref().map(String::as_str);
        let found = tx.known_by_object(&realm(), &ids).await.unwrap();
        assert_eq!(found.len(), 2);
        for (id, account, has_cases) in [
            (ids[0], with[0].account, with[0].account == cases[0].account),
            (ids[1], with[2].account, with[2].account == cases[0].account),
        ] {
            let known = &found[id];
            assert_eq!((known.account, known.has_cases), (account, has_cases));
            assert_eq!(known.latest, None);
        }
        let elsewhere = division_bell::domain::identity::Realm("ad:ELSEWHERE".to_owned());
        assert!(
            tx.known_by_object(&elsewhere, &ids)
                .await
                .unwrap()
                .is_empty()
        );

        let accounts: Vec<_> = with.iter().map(|who| who.account).collect();
        let found_with = tx.accounts_with_cases(&accounts).await.unwrap();
        assert_eq!(found_with, [cases[0].account]);
        tx.commit().await.unwrap();

        reading(
            &bed,
            &[says(with[2].account, changed(Some(at(-50)), at(1)))],
        )
        .await;
        let mut tx = bed.tx().await;
        let known = tx.known_by_object(&realm(), &ids).await.unwrap();
        let latest = tx.latest_evidence(&accounts).await.unwrap();
        assert_eq!(known[ids[0]].latest, None);
        assert_eq!(known[ids[1]].latest.as_ref(), latest.get(&with[2].account));
        assert!(known[ids[1]].latest.is_some());
    })
    .await;
}

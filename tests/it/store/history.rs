//! The past: what a report says of a moment stays what it says, whatever happens later.

use division_bell::domain::campaign::CampaignState::{Running, Stopped};
use division_bell::domain::case::ClosedAs;
use division_bell::domain::closing::ClosingReason;
use division_bell::domain::delivery::{Outcome, Verdict};
use division_bell::domain::evidence::{Grade, Standing};
use division_bell::domain::finding::{Category, Reject, RejectReason};
use division_bell::domain::incident::IncidentState;
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::post::{self, PostState, What};
use division_bell::domain::report::{CaseFacts, DeliveryFacts, ExceptionFacts};
use division_bell::domain::{CaseId, Moment};
use division_bell::store::{
    AuditCounts, Bounce, CaseClosing, CaseOpening, EvidenceDraft, EvidenceRead, NewAudit, TaskKind,
    ThreadState, Undelivered,
};

use super::bed::{accepted, at, changed, ended, opening, realm, said};
use super::{Bed, both};

async fn facts(bed: &Bed, as_of: Moment) -> Vec<(CaseFacts, Vec<ExceptionFacts>)> {
    bed.read()
        .await
        .cases_as_of(CaseId(0), as_of, 100)
        .await
        .unwrap()
}

async fn deliveries(bed: &Bed, as_of: Moment) -> Vec<(NoticeKind, DeliveryFacts)> {
    bed.read().await.deliveries_as_of(as_of).await.unwrap()
}

#[tokio::test]
async fn a_case_is_told_as_it_stood_however_it_went_on() {
    both(async |bed| {
        let (_, cases) = bed.told(2).await;
        let who = bed.people(2).await[0];
        let case = cases[0];
        let at_five = facts(&bed, at(5)).await;
        let (one, exceptions) = &at_five[0];
        assert_eq!(
            (at_five.len(), one.id, one.category, one.opened_at),
            (2, case, Category::Weak, at(0))
        );
        assert_eq!(
            (one.person, &one.department[..], one.found_at),
            (Some(who.person), "Committees", at(0))
        );
        assert_eq!(
            (one.notice_at, one.deadline_at, one.last_contact_at),
            (Some(at(3)), Some(at(240)), Some(at(3)))
        );
        assert!(!one.undeliverable && exceptions.is_empty() && one.reset_at.is_none());

        let mut tx = bed.tx().await;
        tx.exempt_case(case, at(300), "on leave", "ann", "ben", at(20))
            .await
            .unwrap();
        let delivery = tx.stories(cases[1]).await.unwrap()[0].id;
        let bounce = Bounce {
            delivery,
            verdict: Verdict::Failed,
            status: None,
            reply: None,
            why: "bad_address",
        };
        tx.bounce(&bounce, at(21)).await.unwrap();
        tx.open_tasks(&[(cases[1], TaskKind::Reach, "bounced", None)], at(21))
            .await
            .unwrap();
        let read = EvidenceRead {
            source: "export".to_owned(),
            realm: realm(),
            file_name: "evidence.csv".to_owned(),
            sha256: "ee".to_owned(),
            observed_at: at(30),
            read_at: at(30),
        };
        let read = tx.add_evidence_read(&read).await.unwrap();
        let draft = EvidenceDraft {
            account: who.account,
            line: 2,
            grade: Grade::A,
            evidence: changed(Some(at(29)), at(30)),
        };
        let proof = said(&mut tx, read, &[draft]).await[&who.account].id;
        tx.end_evidence_read(read, 1, 1).await.unwrap();
        let closing = CaseClosing {
            case,
            closed_as: ClosedAs::Reset,
            safe_at: Some(at(29)),
            evidence: proof,
            grade: Grade::A,
            reason: ClosingReason::PasswordChanged,
            standing: Standing::Reset,
        };
        tx.close_cases(&[closing], "bell", at(30)).await.unwrap();
        let successor = CaseOpening {
            reopens: Some(case),
            ..opening(who, at(40))
        };
        let successor = tx.open_cases(&[successor], "ann", at(40)).await.unwrap()[0];
        tx.tell_case(cases[1], at(41), "by phone", "ann", at(42))
            .await
            .unwrap();
        tx.withdraw_case(successor, "x", "ann", at(50))
            .await
            .unwrap();
        tx.commit().await.unwrap();

        assert_eq!(facts(&bed, at(5)).await, at_five);
        let at_25 = facts(&bed, at(25)).await;
        assert_eq!(at_25[0].0.exempt, [(at(20), at(300))]);
        let granted = &at_25[0].1[0];
        assert_eq!(
            (
                granted.case,
                &granted.reason[..],
                &granted.requested_by[..],
                &granted.approved_by[..]
            ),
            (case, "on leave", "ann", "ben")
        );
        assert_eq!((granted.granted_at, granted.expires_at), (at(20), at(300)));
        assert_eq!(
            (at_25[1].0.notice_at, at_25[1].0.undeliverable),
            (None, true)
        );
        let at_35 = facts(&bed, at(35)).await;
        assert_eq!(
            (
                at_35[0].0.reset_at,
                at_35[0].0.superseded_at,
                at_35[0].0.recheck_pending
            ),
            (Some(at(29)), None, true)
        );
        let at_45 = facts(&bed, at(45)).await;
        assert_eq!(
            (
                at_45.len(),
                at_45[0].0.superseded_at,
                at_45[2].0.reopened_from
            ),
            (3, Some(at(40)), Some(case))
        );
        assert_eq!(
            (at_45[1].0.notice_at, at_45[1].0.undeliverable),
            (Some(at(41)), false)
        );
        // The successor was none after all: the reset counts again, from then on.
        let at_55 = facts(&bed, at(55)).await;
        assert_eq!(
            (at_55[0].0.superseded_at, at_55[2].0.withdrawn),
            (None, true)
        );
        assert_eq!(facts(&bed, at(45)).await, at_45);

        let page = bed.read().await.cases_as_of(case, at(55), 1).await.unwrap();
        assert_eq!(
            page.iter().map(|(facts, _)| facts.id).collect::<Vec<_>>(),
            [cases[1]]
        );
        let open = async |hour| bed.read().await.tasks_open_at(at(hour)).await.unwrap();
        assert_eq!(
            (
                open(20).await,
                open(21).await,
                open(41).await,
                open(42).await
            ),
            (0, 1, 1, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn a_deadline_that_nobody_heard_of_is_taken_back() {
    both(async |bed| {
        let (campaign, cases) = bed.running(1).await;
        assert_eq!(facts(&bed, at(3)).await[0].0.deadline_at, Some(at(240)));
        let mut tx = bed.tx().await;
        tx.move_campaign(campaign.id, &[Running], Stopped, "ann", None, at(4))
            .await
            .unwrap();
        tx.open_tasks(
            &[(cases[0], TaskKind::Contain, "compromised", Some(at(24)))],
            at(5),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(facts(&bed, at(3)).await[0].0.deadline_at, Some(at(240)));
        assert_eq!(facts(&bed, at(4)).await[0].0.deadline_at, None);
        assert_eq!(facts(&bed, at(5)).await[0].0.deadline_at, Some(at(24)));
        assert_eq!(bed.case(cases[0]).await.deadline_at, Some(at(24)));
    })
    .await;
}

#[tokio::test]
async fn letters_are_counted_as_they_stood() {
    both(async |bed| {
        let (campaign, _) = bed.running(5).await;
        let claims = bed.claim(3, at(3)).await;
        let records = [
            accepted(&claims[0], at(4)),
            ended(
                &claims[1],
                Outcome::FailRecipient,
                Undelivered::Refused,
                at(4),
            ),
            ended(
                &claims[2],
                Outcome::InDoubt,
                Undelivered::Again(at(9)),
                at(4),
            ),
        ];
        bed.record(&records, at(4)).await;
        let mut tx = bed.tx().await;
        let bounce = Bounce {
            delivery: claims[0].delivery.id,
            verdict: Verdict::Failed,
            status: None,
            reply: None,
            why: "bad_address",
        };
        tx.bounce(&bounce, at(6)).await.unwrap();
        tx.commit().await.unwrap();
        let at_five = deliveries(&bed, at(5)).await;
        let expected = DeliveryFacts {
            queued: 2,
            attempted: 3,
            accepted: 1,
            refused: 1,
            expired: 0,
            trying: 1,
            bounced: 0,
            in_doubt: 1,
        };
        assert_eq!(at_five, [(NoticeKind::Weak, expected)]);
        assert_eq!(deliveries(&bed, at(6)).await[0].1.bounced, 1);
        assert_eq!(deliveries(&bed, at(1)).await, []);

        // What a stop ends is neither queued nor tried any more.
        let mut tx = bed.tx().await;
        tx.move_campaign(campaign.id, &[Running], Stopped, "ann", None, at(7))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let stopped = DeliveryFacts {
            queued: 0,
            expired: 1,
            trying: 0,
            bounced: 1,
            ..expected
        };
        assert_eq!(deliveries(&bed, at(8)).await, [(NoticeKind::Weak, stopped)]);
        assert_eq!(deliveries(&bed, at(5)).await, at_five);
    })
    .await;
}

#[tokio::test]
async fn the_papers_of_a_moment_are_those_that_were_there() {
    both(async |bed| {
        let (campaign, _) = bed.told(1).await;
        let mut tx = bed.tx().await;
        let audit = NewAudit {
            sha256: "aa".to_owned(),
            source: "external".to_owned(),
            realm: realm(),
            format: "mapped_csv",
            file_name: "june.csv".to_owned(),
            size_bytes: 1234,
            as_of: at(-2),
            as_of_assumed: false,
            imported_at: at(10),
            imported_by: "ann".to_owned(),
        };
        let audit = tx.add_audit(&audit).await.unwrap();
        let counts = AuditCounts {
            records: 10,
            findings: 5,
            sighted: 1,
            unmatched: 2,
            rejected: 2,
        };
        tx.end_audit(audit, &counts).await.unwrap();
        let reject = |line, reason| Reject { line, reason };
        tx.add_rejects(
            audit,
            &[
                reject(1, RejectReason::NoKey),
                reject(2, RejectReason::NoKey),
            ],
        )
        .await
        .unwrap();
        let draft = tx.draft_campaign("DB", "ann", at(11)).await.unwrap();
        tx.end_draft(draft.id, "hash-2", 0, "ann", at(11))
            .await
            .unwrap();
        tx.commit().await.unwrap();

        assert_eq!(bed.read().await.files_as_of(at(9)).await.unwrap(), []);
        let files = bed.read().await.files_as_of(at(10)).await.unwrap();
        let file = &files[0];
        assert_eq!(
            (
                files.len(),
                file.id,
                &file.name[..],
                &file.sha256[..],
                file.size_bytes
            ),
            (1, audit, "external: june.csv", "aa", 1234)
        );
        assert_eq!(
            (file.received_at, file.rows, file.accepted),
            (at(10), 10, 6)
        );
        assert_eq!(
            file.rejected,
            [("no_key".to_owned(), 2), ("names nobody".to_owned(), 2)]
        );

        assert_eq!(bed.read().await.campaigns_as_of(at(0)).await.unwrap(), []);
        let at_two = bed.read().await.campaigns_as_of(at(2)).await.unwrap();
        assert_eq!((at_two.len(), at_two[0].posted_at), (1, None));
        let later = bed.read().await.campaigns_as_of(at(12)).await.unwrap();
        let one = &later[0];
        assert_eq!(
            (
                later.len(),
                &one.id,
                &one.sha256[..],
                &one.author[..],
                &one.approver[..]
            ),
            (1, &campaign.reference, "hash-1", "ann", "ben")
        );
        assert_eq!((one.approved_at, one.posted_at), (Some(at(1)), Some(at(3))));

        let texts = bed.read().await.templates_as_of(at(2)).await.unwrap();
        assert_eq!(
            texts,
            [(
                "notice.weak".to_owned(),
                "en-GB".to_owned(),
                "template-1".to_owned()
            )]
        );
        assert_eq!(bed.read().await.templates_as_of(at(1)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_evidence_file_is_a_paper_once_it_has_closed_a_case() {
    both(async |bed| {
        let (people, cases) = bed.cases(1).await;
        let mut tx = bed.tx().await;
        let mut proof = None;
        // The same bytes, read twice; and others that say nothing new.
        for (hour, sha256) in [(4, "ee"), (5, "ee"), (6, "ff")] {
            let read = EvidenceRead {
                source: "export".to_owned(),
                realm: realm(),
                file_name: "evidence.csv".to_owned(),
                sha256: sha256.to_owned(),
                observed_at: at(hour),
                read_at: at(hour),
            };
            let read = tx.add_evidence_read(&read).await.unwrap();
            let draft = EvidenceDraft {
                account: people[0].account,
                line: 2,
                grade: Grade::A,
                evidence: changed(Some(at(3)), at(hour)),
            };
            proof = Some(said(&mut tx, read, &[draft]).await[&people[0].account].id);
            tx.end_evidence_read(read, 7, 1).await.unwrap();
        }
        let closing = CaseClosing {
            case: cases[0],
            closed_as: ClosedAs::Reset,
            safe_at: Some(at(3)),
            evidence: proof.unwrap(),
            grade: Grade::A,
            reason: ClosingReason::PasswordChanged,
            standing: Standing::Reset,
        };
        tx.close_cases(&[closing], "bell", at(7)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.read().await.files_as_of(at(6)).await.unwrap(), []);
        let files = bed.read().await.files_as_of(at(7)).await.unwrap();
        let file = &files[0];
        assert_eq!(
            (
                files.len(),
                &file.name[..],
                &file.sha256[..],
                file.received_at
            ),
            (1, "export: evidence.csv", "ee", at(4))
        );
        assert_eq!((file.rows, file.accepted), (8, 7));
        assert_eq!(file.rejected, [("unreadable".to_owned(), 1)]);
    })
    .await;
}

#[tokio::test]
async fn an_incident_is_told_by_the_ledger_alone() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = tx
            .open_incident("Attack", "ann", Some(at(4)), at(0))
            .await
            .unwrap();
        let post = tx
            .intend_post(incident.id, "discord", What::Status, "hash-1", at(1))
            .await
            .unwrap();
        let said = post::after(PostState::Waiting, false, post::Outcome::Said, at(1));
        tx.settle_post(&post, said, Some("777"), at(1))
            .await
            .unwrap();
        // The same on another channel is no news, and neither is a line below it.
        for (channel, what) in [("teams", What::Status), ("discord", What::Line(1))] {
            let post = tx
                .intend_post(incident.id, channel, what, "hash-1", at(2))
                .await
                .unwrap();
            tx.settle_post(&post, said, Some("778"), at(2))
                .await
                .unwrap();
        }
        // The first promise is kept, the second is not.
        tx.move_incident(
            incident.id,
            IncidentState::Contained,
            "ann",
            Some(at(8)),
            at(3),
        )
        .await
        .unwrap();
        tx.move_incident(incident.id, IncidentState::Resolved, "ann", None, at(20))
            .await
            .unwrap();
        tx.commit().await.unwrap();

        let (incidents, posts) = bed.read().await.incidents_as_of(at(-1)).await.unwrap();
        assert!(incidents.is_empty() && posts.is_empty());
        let (incidents, posts) = bed.read().await.incidents_as_of(at(0)).await.unwrap();
        assert_eq!((incidents[0].first_statement_at, posts.len()), (None, 0));
        let (incidents, posts) = bed.read().await.incidents_as_of(at(9)).await.unwrap();
        let one = &incidents[0];
        assert_eq!(
            (&one.id, one.declared_at, one.first_statement_at),
            (&incident.reference, at(0), Some(at(1)))
        );
        assert_eq!((one.promises_due, one.promises_missed), (2, 1));
        let post = &posts[0];
        assert_eq!(
            (
                &post.id,
                &post.sha256[..],
                &post.external_id[..],
                post.version
            ),
            (&incident.reference, "hash-1", "777", 1)
        );
        assert_eq!((&post.author[..], post.posted_at), ("ann", Some(at(1))));
    })
    .await;
}

#[tokio::test]
async fn what_has_a_thread_in_any_state_is_part_of_its_campaign() {
    both(async |bed| {
        let (campaign, _) = bed.told(3).await;
        let mut tx = bed.tx().await;
        let all = tx.all_threads(campaign.id, 0, 100).await.unwrap();
        tx.close_threads(&[all[1].id], at(4)).await.unwrap();
        let all = tx.all_threads(campaign.id, 0, 100).await.unwrap();
        let states: Vec<_> = all.iter().map(|thread| thread.state).collect();
        assert_eq!(
            states,
            [
                ThreadState::Running,
                ThreadState::Ended,
                ThreadState::Running
            ]
        );
        let page = tx.all_threads(campaign.id, all[0].id, 1).await.unwrap();
        assert_eq!(page, all[1..2]);
        tx.commit().await.unwrap();
    })
    .await;
}

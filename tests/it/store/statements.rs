//! Statements: their texts, approvals, moves and posts.

use division_bell::domain::audience::Audience;
use division_bell::domain::post::PostState;
use division_bell::domain::statement::{Figure, StatementKind, StatementState, Wording};
use division_bell::domain::{IncidentId, StatementId};
use division_bell::store::{Approval, Overridden, Statement, StatementDraft, StoreError, Tx};

use super::bed::at;
use super::{Bed, both};

async fn incident(bed: &Bed) -> IncidentId {
    let mut tx = bed.tx().await;
    let opened = tx
        .open_incident("Attack", "ann", Some(at(9)), at(0))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    opened.id
}

async fn draft(bed: &Bed, incident: IncidentId, about: Option<StatementId>) -> Statement {
    let channels = ["status".to_owned()];
    let draft = StatementDraft {
        incident,
        kind: match about {
            Some(_) => StatementKind::Correction,
            None => StatementKind::Statement,
        },
        about,
        audience: Audience::Press,
        channels: &channels,
        body: "We know {{ weak }}.",
    };
    let mut tx = bed.tx().await;
    let drafted = tx.draft_statement(&draft, "ann", at(1)).await.unwrap();
    tx.commit().await.unwrap();
    drafted
}

fn approval() -> Approval {
    let wording = Wording {
        text: "We know fewer than 90.".to_owned(),
        as_of_words: String::new(),
        figures: vec![Figure {
            name: "weak".to_owned(),
            count: 85,
            shown: "fewer than 90".to_owned(),
            source: "accounts_by_category".to_owned(),
        }],
        as_of: at(2),
        audience: Audience::Press,
        channels: vec!["status".to_owned()],
    };
    Approval {
        by: "ben".to_owned(),
        at: at(2),
        hash: wording.hash(),
        wording,
    }
}

async fn approved(bed: &Bed, one: &Statement) -> Statement {
    let mut tx = bed.tx().await;
    tx.approve_statement(one.id, one.version, &approval())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    of(bed, one.id).await
}

async fn of(bed: &Bed, id: StatementId) -> Statement {
    bed.read().await.statement(id).await.unwrap().unwrap()
}

async fn publish(tx: &mut Tx, one: &Statement, hash: &str) -> Result<(), StoreError> {
    tx.publish_statement(one, hash, Some(at(9)), "ann", at(4))
        .await
}

#[tokio::test]
async fn a_statement_is_drafted_edited_approved_and_what_was_approved_is_kept() {
    both(async |bed| {
        let about = incident(&bed).await;
        let one = draft(&bed, about, None).await;
        assert_eq!(
            (one.state, one.version, one.approval.clone()),
            (StatementState::Draft, 1, None)
        );
        assert_eq!(
            bed.read().await.statement(StatementId(99)).await.unwrap(),
            None
        );
        let after = approved(&bed, &one).await;
        assert_eq!(after.approval, Some(approval()));
        let mut tx = bed.tx().await;
        tx.edit_statement(
            &after,
            "Other.",
            Audience::Staff,
            &["x".to_owned()],
            "cleo",
            at(3),
        )
        .await
        .unwrap();
        // A second edit of the same text comes too late.
        let lost = tx
            .edit_statement(&after, "More.", Audience::Staff, &[], "dan", at(3))
            .await;
        assert!(
            matches!(
                lost,
                Err(StoreError::Lost {
                    table: "statements",
                    ..
                })
            ),
            "{lost:?}"
        );
        drop(tx);
        let mut tx = bed.tx().await;
        tx.edit_statement(
            &after,
            "Other.",
            Audience::Staff,
            &["x".to_owned()],
            "cleo",
            at(3),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let edited = of(&bed, one.id).await;
        assert_eq!(
            (edited.state, edited.version, edited.approval.clone()),
            (StatementState::Draft, 2, None)
        );
        assert_eq!(
            (edited.audience, edited.channels.clone()),
            (Audience::Staff, vec!["x".to_owned()])
        );
        let versions = bed.read().await.statement_versions(one.id).await.unwrap();
        let texts: Vec<_> = versions
            .iter()
            .map(|one| (one.version, &one.body[..], &one.by[..]))
            .collect();
        assert_eq!(
            texts,
            [(1, "We know {{ weak }}.", "ann"), (2, "Other.", "cleo")]
        );

        let mut tx = bed.tx().await;
        let stale = tx.approve_statement(one.id, 1, &approval()).await;
        assert!(matches!(stale, Err(StoreError::Lost { .. })), "{stale:?}");
        drop(tx);
        let again = approved(&bed, &edited).await;
        let mut tx = bed.tx().await;
        tx.send_back_statement(&again, "too long", "ben", at(4))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let back = of(&bed, one.id).await;
        assert_eq!(
            (back.sent_back.as_deref(), back.approval),
            (Some("too long"), None)
        );
        let waiting = bed.read().await.waiting_drafts().await.unwrap();
        assert_eq!(waiting.len(), 1);
        let listed = bed.read().await.statements(Some(about)).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            bed.read()
                .await
                .statements(Some(IncidentId(77)))
                .await
                .unwrap(),
            []
        );
        assert_eq!(bed.read().await.statements(None).await.unwrap().len(), 1);
        let told = bed
            .read()
            .await
            .ledger_about(&[format!("statement:{}", one.id)])
            .await
            .unwrap();
        let acts: Vec<_> = told.iter().map(|entry| &entry.act[..]).collect();
        assert_eq!(
            acts,
            [
                "statement.drafted",
                "statement.approved",
                "statement.edited",
                "statement.approved",
                "statement.sent_back"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_scheduled_statement_is_due_at_its_time_and_published_as_it_was_approved() {
    both(async |bed| {
        let about = incident(&bed).await;
        let one = draft(&bed, about, None).await;
        let one = approved(&bed, &one).await;
        let hash = approval().hash;
        let mut tx = bed.tx().await;
        let overridden = Overridden {
            by: "sol".to_owned(),
            reason: "agreed".to_owned(),
            at: at(2),
        };
        let lost = tx
            .override_statement(one.id, "other", &overridden, &[])
            .await;
        assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
        drop(tx);
        let mut tx = bed.tx().await;
        tx.override_statement(one.id, &hash, &overridden, &["a name".to_owned()])
            .await
            .unwrap();
        tx.schedule_statement(one.id, at(4), "ann", at(3))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.read().await.due_statements(at(3)).await.unwrap(), []);
        assert_eq!(
            bed.read().await.due_statements(at(4)).await.unwrap(),
            [one.id]
        );
        let mut tx = bed.tx().await;
        tx.unschedule_statement(one.id, "statement.unscheduled", None, "ann", at(3))
            .await
            .unwrap();
        tx.schedule_statement(one.id, at(4), "ann", at(3))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let scheduled = of(&bed, one.id).await;
        assert_eq!(
            (scheduled.state, scheduled.publish_at),
            (StatementState::Scheduled, Some(at(4)))
        );
        assert_eq!(scheduled.overridden, Some(overridden));

        let mut tx = bed.tx().await;
        let other = publish(&mut tx, &scheduled, "another hash").await;
        assert!(matches!(other, Err(StoreError::Lost { .. })), "{other:?}");
        drop(tx);
        // Taken off the clock at the last moment.
        let mut tx = bed.tx().await;
        tx.unschedule_statement(one.id, "statement.unscheduled", None, "ann", at(4))
            .await
            .unwrap();
        let late = publish(&mut tx, &scheduled, &hash).await;
        assert!(matches!(late, Err(StoreError::Lost { .. })), "{late:?}");
        drop(tx);
        let mut tx = bed.tx().await;
        publish(&mut tx, &scheduled, &hash).await.unwrap();
        tx.commit().await.unwrap();
        let out = of(&bed, one.id).await;
        assert_eq!(
            (out.state, out.published_at, out.approval),
            (StatementState::Published, Some(at(4)), Some(approval()))
        );
        let mut tx = bed.tx().await;
        let twice = publish(&mut tx, &scheduled, &hash).await;
        assert!(matches!(twice, Err(StoreError::Lost { .. })), "{twice:?}");
        drop(tx);
        assert_eq!(
            bed.read().await.standing_statements().await.unwrap().len(),
            1
        );

        let other = draft(&bed, about, None).await;
        let mut tx = bed.tx().await;
        tx.cancel_statement(other.id, "ann", at(5)).await.unwrap();
        let gone = tx.cancel_statement(one.id, "ann", at(5)).await;
        assert!(matches!(gone, Err(StoreError::Lost { .. })), "{gone:?}");
    })
    .await;
}

#[tokio::test]
async fn a_post_is_settled_and_marked_once() {
    both(async |bed| {
        let about = incident(&bed).await;
        let one = draft(&bed, about, None).await;
        let one = approved(&bed, &one).await;
        let mut tx = bed.tx().await;
        publish(&mut tx, &one, &approval().hash).await.unwrap();
        tx.commit().await.unwrap();
        let due = bed
            .read()
            .await
            .statement_posts_due("status")
            .await
            .unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(
            bed.read().await.statement_posts_due("press").await.unwrap(),
            []
        );
        let mut tx = bed.tx().await;
        assert_eq!(tx.statement_posts_waiting().await.unwrap(), due);
        tx.settle_statement_post(&due[0], PostState::Posted, Some("77"), None, at(5))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.read()
                .await
                .statement_posts_due("status")
                .await
                .unwrap(),
            []
        );

        let right = draft(&bed, about, Some(one.id)).await;
        let right = approved(&bed, &right).await;
        let mut tx = bed.tx().await;
        publish(&mut tx, &right, &approval().hash).await.unwrap();
        tx.commit().await.unwrap();
        let old = of(&bed, one.id).await;
        assert_eq!(
            (old.state, old.marked_by),
            (StatementState::Corrected, Some(right.id))
        );
        let later = of(&bed, right.id).await;
        let mut tx = bed.read().await;
        let marked = tx.marked(&old).await.unwrap();
        assert_eq!(marked, later.published_at.map(|at| (right.id, at)));
        assert!(marked.is_some());
        assert_eq!(tx.marked(&later).await.unwrap(), None);
        drop(tx);
        let due = bed
            .read()
            .await
            .statement_posts_due("status")
            .await
            .unwrap();
        assert_eq!(due.len(), 2, "the mark and the new one");
        let mut tx = bed.tx().await;
        tx.settle_statement_post(
            &due[0],
            PostState::Posted,
            Some("77"),
            Some(right.id),
            at(6),
        )
        .await
        .unwrap();
        tx.settle_statement_post(&due[1], PostState::Gone, None, None, at(6))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.read()
                .await
                .statement_posts_due("status")
                .await
                .unwrap(),
            []
        );
        let posts = bed.read().await.statement_posts_of(one.id).await.unwrap();
        assert_eq!(
            (
                posts[0].marked_by,
                posts[0].said_at,
                posts[0].external_id.as_deref()
            ),
            (Some(right.id), Some(at(5)), Some("77"))
        );
        let facts = bed.read().await.published_as_of(at(5)).await.unwrap();
        let told: Vec<_> = facts
            .iter()
            .map(|one| {
                (
                    &one.id[..],
                    &one.kind[..],
                    one.posted_at,
                    one.replaces.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("S-1", "statement", Some(at(5)), None),
                ("S-2", "correction", None, Some("S-1")),
            ]
        );
        assert_eq!(
            bed.read().await.published_as_of(at(3)).await.unwrap().len(),
            0
        );
    })
    .await;
}

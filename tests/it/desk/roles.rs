//! Every act of the desk as every role: who may not is declined politely, and the ledger has it.

use division_bell::config::Role;
use division_bell::desk::clock::{self, Decision};
use division_bell::desk::roles::{Act, Declined, is_allowed};
use division_bell::desk::statement::{self, Body, Edit};
use division_bell::desk::{incident, partner, posts};
use division_bell::domain::PartnerId;
use division_bell::domain::duty::{Duty, Trigger};
use division_bell::domain::incident::IncidentState;
use division_bell::store::PartnerDraft;

use super::*;

/// One operator a role, and somebody whom the config does not know.
const PEOPLE: [(&str, Option<Role>); 6] = [
    (WRITER, Some(Role::Communications)),
    (APPROVER, Some(Role::Approver)),
    (GUARD, Some(Role::Security)),
    (READER, Some(Role::Compliance)),
    (LEAD, Some(Role::IncidentLead)),
    ("discord:5", None),
];

/// Does one thing of this kind; whether it comes to anything is another matter.
async fn act(desk: &Desk, act: Act, by: &str) -> anyhow::Result<()> {
    let (app, about, id) = (desk.app(), desk.incident, StatementId(1));
    match act {
        Act::IncidentOpen => incident::open(app, "Another", None, by).await.map(drop),
        Act::IncidentMove => incident::move_to(app, about, IncidentState::Contained, None, by)
            .await
            .map(drop),
        Act::IncidentPromise => incident::promise(app, about, desk.hours(3), by)
            .await
            .map(drop),
        Act::IncidentRead => incident::log(app, about, by).await.map(drop),
        Act::PostSettle => posts::decide(app, 99, true, None, by).await.map(drop),
        Act::PartnerNote => {
            let new = PartnerDraft {
                name: "NCA",
                contact: "duty desk",
                reference: None,
                wording: None,
            };
            partner::clear(app, PartnerId(99), "them", None, by)
                .await
                .map(drop)
                .or_else(known)?;
            partner::add(app, about, &new, by).await.map(drop)
        }
        Act::PartnerRead => partner::list(app, about, by).await.map(drop),
        Act::ClockStart => clock::start(app, about, Trigger::Aware, desk.bell.now(), by)
            .await
            .map(drop),
        Act::ClockRead => clock::show(app, None, by).await.map(drop),
        Act::ClockDecide => {
            let decision = Decision::NotReported {
                reason: "no risk",
                advice: None,
                deputy: APPROVER,
            };
            clock::decide(app, about, Duty::UkGdpr, &decision, by)
                .await
                .map(drop)
        }
        Act::StatementDraft => {
            let text = Body::Text(TEXT);
            let new = NewDraft {
                incident: about,
                audience: Audience::Staff,
                channels: &[],
                text,
            };
            statement::draft(app, &new, by).await.map(drop)
        }
        Act::StatementEdit => {
            let edit = Edit {
                text: Some("Other."),
                ..Edit::default()
            };
            statement::edit(app, id, &edit, by).await.map(drop)
        }
        Act::StatementRead => statement::preview(app, id, by).await.map(drop),
        Act::StatementApprove => statement::approve(app, id, None, by).await.map(drop),
        Act::StatementSendBack => statement::send_back(app, id, "no", by).await.map(drop),
        Act::StatementOverride => statement::override_guard(app, id, "so", by).await.map(drop),
        Act::StatementPublish => statement::publish(app, id, by).await.map(drop),
        Act::StatementSchedule => statement::schedule(app, id, desk.hours(1), by)
            .await
            .map(drop),
        Act::StatementCancel => statement::cancel(app, id, by).await.map(drop),
    }
}

/// Whatever is declined for another reason than a role was allowed.
fn known(error: anyhow::Error) -> anyhow::Result<()> {
    match error.downcast_ref::<Declined>() {
        Some(Declined(why)) if !why.starts_with("sorry") => Ok(()),
        Some(_) | None => Err(error),
    }
}

#[tokio::test]
async fn every_act_as_every_role_is_done_or_declined_as_the_table_says() {
    let desk = Desk::new().await;
    desk.draft(TEXT).await;
    let mut declined = 0;
    for (name, role) in PEOPLE {
        for one in Act::ALL {
            let may = role.is_some_and(|role| one.roles().contains(&role));
            assert_eq!(is_allowed(desk.app(), one, name), may, "{name} {one:?}");
            let answer = act(&desk, one, name).await.or_else(known);
            assert_eq!(answer.is_ok(), may, "{name} {one:?}: {answer:?}");
            if let Err(error) = answer {
                declined += 1;
                let text = error.to_string();
                assert!(text.starts_with("sorry, to "), "{text}");
                assert!(text.contains("please ask somebody"), "{text}");
            }
        }
    }
    let refused = desk
        .bell
        .count(
            "SELECT COUNT(*) FROM ledger WHERE act = 'desk.refused' AND detail LIKE '%sorry, to %'",
        )
        .await;
    assert_eq!(refused, declined);
}

#[test]
fn the_table_keeps_people_apart() {
    for act in Act::ALL {
        let roles = act.roles();
        assert!(!roles.is_empty() && !act.in_words().is_empty());
        let reads = matches!(
            act,
            Act::IncidentRead | Act::StatementRead | Act::PartnerRead | Act::ClockRead
        );
        assert_eq!(roles.contains(&Role::Compliance), reads, "{act:?}");
    }
    let overlap =
        |one: Act, other: Act| one.roles().iter().any(|role| other.roles().contains(role));
    assert!(!overlap(Act::StatementDraft, Act::StatementApprove));
    assert!(!overlap(Act::StatementPublish, Act::StatementApprove));
    assert!(!Act::ClockRead.roles().contains(&Role::Communications));
}

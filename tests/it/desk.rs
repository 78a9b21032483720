//! The desk: statements drafted, approved, published and put right; promises, partners and clocks; and who may do what.

mod duties;
mod office;
mod readers;
mod release;
mod roles;
mod words;

use chrono::TimeDelta;
use division_bell::app::App;
use division_bell::desk::statement::{self, Body, NewDraft};
use division_bell::desk::{incident, office as passes};
use division_bell::domain::audience::Audience;
use division_bell::domain::{IncidentId, Moment, StatementId};
use division_bell::steps::statements;
use division_bell::store::Statement;

use crate::support::bell::{APPROVER, Bell};

/// Has the role communications and no other.
const WRITER: &str = "cleo";
/// Has the role security.
const GUARD: &str = "sol";
/// Has the role compliance: reads.
const READER: &str = "dora";
/// Leads incidents.
const LEAD: &str = "lea";

const MORE: &str = r#"
[[operator]]
name = "cleo"
roles = ["communications"]

[[operator]]
name = "sol"
roles = ["security"]

[[operator]]
name = "dora"
roles = ["compliance"]

[[operator]]
name = "lea"
roles = ["incident_lead"]
"#;

/// Answers all five questions.
const TEXT: &str = "We know that {{ weak }} accounts have a password that is easy to guess. We do not know yet if anybody used one. \
    We are writing to each person by name. You do not need to do anything unless we write to you. We will tell you more by {{ next_update }}.";

/// An office with an incident that promises more in five hours.
struct Desk {
    bell: Bell,
    incident: IncidentId,
}

impl Desk {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(more: &str) -> Self {
        let bell = Bell::with("sqlite:bell.db", &format!("{MORE}{more}")).await;
        bell.people_sync().await;
        let next = bell.now().plus(TimeDelta::hours(5));
        let opened = incident::open(&bell.app, "Weak passwords", Some(next), WRITER)
            .await
            .unwrap();
        Self {
            incident: opened.id,
            bell,
        }
    }

    fn app(&self) -> &App {
        &self.bell.app
    }

    fn hours(&self, hours: i64) -> Moment {
        self.bell.now().plus(TimeDelta::hours(hours))
    }

    async fn draft(&self, text: &str) -> StatementId {
        self.try_draft(Body::Text(text)).await.unwrap().id
    }

    async fn try_draft(&self, text: Body<'_>) -> anyhow::Result<Statement> {
        let new = NewDraft {
            incident: self.incident,
            audience: Audience::Staff,
            channels: &[],
            text,
        };
        statement::draft(self.app(), &new, WRITER).await
    }

    async fn approved(&self, text: &str) -> StatementId {
        let id = self.draft(text).await;
        statement::approve(self.app(), id, None, APPROVER)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        id
    }

    async fn published(&self, text: &str) -> StatementId {
        let id = self.approved(text).await;
        statement::publish(self.app(), id, WRITER)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        id
    }

    async fn pass(&self) -> passes::Passed {
        passes::pass(self.app())
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    async fn post(&self) -> statements::Posted {
        statements::post(self.app())
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    async fn statement(&self, id: StatementId) -> Statement {
        statement::show(self.app(), id, READER).await.unwrap()
    }

    /// The posts that the status channel has, as their texts.
    fn posts(&self) -> Vec<String> {
        crate::support::files(&self.bell.path("discord"))
            .iter()
            .filter(|path| path.extension().is_some_and(|form| form == "json"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect()
    }

    /// What the ledger says was done, of the acts that begin so.
    async fn acts(&self, prefix: &str) -> Vec<String> {
        let entries = self.bell.tx().await.ledger(0, 10_000).await.unwrap();
        entries
            .into_iter()
            .filter(|entry| entry.act.starts_with(prefix))
            .map(|entry| format!("{} {}", entry.actor, entry.act))
            .collect()
    }

    async fn alarms(&self) -> Vec<String> {
        let raised = self.bell.tx().await.alarms().await.unwrap();
        raised.into_iter().map(|alarm| alarm.name).collect()
    }
}

/// What an act was declined with.
fn declined<T: std::fmt::Debug>(answer: anyhow::Result<T>) -> String {
    let error = answer.unwrap_err();
    assert!(
        error.is::<division_bell::desk::roles::Declined>(),
        "{error:#}"
    );
    error.to_string()
}

//! Roles: what each operator may do at the desk. Asked at the head of every act; a no goes into the ledger.

use serde::Serialize;

use crate::app::App;
use crate::config::Role;

/// One kind of act at the desk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Opens an incident.
    IncidentOpen,
    /// Moves it to another state.
    IncidentMove,
    /// Promises when people hear more.
    IncidentPromise,
    /// Reads incidents, their figures and their story.
    IncidentRead,
    /// Says whether a message that may be on a channel is there.
    PostSettle,
    /// Writes down a partner, their reference, or how they may be named.
    PartnerNote,
    /// Reads them.
    PartnerRead,
    /// Says since when we are aware.
    ClockStart,
    /// Reads the regulators' clocks.
    ClockRead,
    /// Writes down that it was reported, or decides that it is not.
    ClockDecide,
    /// Writes a statement, or a correction or withdrawal of one.
    StatementDraft,
    /// Changes it.
    StatementEdit,
    /// Reads statements, previews and histories.
    StatementRead,
    /// Approves what somebody else has written.
    StatementApprove,
    /// Sends it back to its author.
    StatementSendBack,
    /// Answers for what the guard found.
    StatementOverride,
    /// Puts an approved one out.
    StatementPublish,
    /// Gives it a time.
    StatementSchedule,
    /// Takes it off the clock, or gives it up.
    StatementCancel,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::IncidentOpen,
        Self::IncidentMove,
        Self::IncidentPromise,
        Self::IncidentRead,
        Self::PostSettle,
        Self::PartnerNote,
        Self::PartnerRead,
        Self::ClockStart,
        Self::ClockRead,
        Self::ClockDecide,
        Self::StatementDraft,
        Self::StatementEdit,
        Self::StatementRead,
        Self::StatementApprove,
        Self::StatementSendBack,
        Self::StatementOverride,
        Self::StatementPublish,
        Self::StatementSchedule,
        Self::StatementCancel,
    ];

    /// Who may.
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Approver, Communications, Compliance, IncidentLead, Security};
        match self {
            Self::IncidentOpen | Self::IncidentMove | Self::IncidentPromise | Self::PostSettle => {
                &[Communications, Security, IncidentLead]
            }
            Self::IncidentRead | Self::StatementRead | Self::PartnerRead => {
                &[Communications, Approver, Security, IncidentLead, Compliance]
            }
            Self::PartnerNote => &[Communications, Security, IncidentLead],
            Self::ClockStart | Self::ClockDecide => &[Security, IncidentLead],
            Self::ClockRead => &[Security, IncidentLead, Compliance],
            Self::StatementDraft
            | Self::StatementEdit
            | Self::StatementPublish
            | Self::StatementSchedule => &[Communications],
            Self::StatementCancel => &[Communications, Approver, Security, IncidentLead],
            Self::StatementApprove => &[Approver],
            Self::StatementSendBack => &[Approver, Security, IncidentLead],
            Self::StatementOverride => &[Approver, Security],
        }
    }

    /// What it is, after "to".
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::IncidentOpen => "open an incident",
            Self::IncidentMove => "move an incident to another state",
            Self::IncidentPromise => "promise a next update",
            Self::IncidentRead => "read incidents",
            Self::PostSettle => "say whether a message is on its channel",
            Self::PartnerNote => "write down partners",
            Self::PartnerRead => "read partners",
            Self::ClockStart => "say since when you are aware of an incident",
            Self::ClockRead => "read the regulators' clocks",
            Self::ClockDecide => "decide about a report to a regulator",
            Self::StatementDraft => "draft statements, corrections and withdrawals",
            Self::StatementEdit => "edit statements",
            Self::StatementRead => "read statements",
            Self::StatementApprove => "approve statements",
            Self::StatementSendBack => "send statements back",
            Self::StatementOverride => "answer for what the disclosure guard found",
            Self::StatementPublish => "publish statements",
            Self::StatementSchedule => "schedule statements",
            Self::StatementCancel => "cancel statements",
        }
    }
}

/// A polite no, for whoever asked. The ledger has it as `desk.refused`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Declined(pub String);

/// Whether `by` has one of the roles that `act` takes. Asks nothing but the config.
pub fn is_allowed(app: &App, act: Act, by: &str) -> bool {
    act.roles().iter().any(|role| app.has_role(by, *role))
}

/// Lets `by` go on with `act`, or declines. `thing` is what it is about: `statement:12`.
pub(super) async fn may(app: &App, act: Act, thing: Option<&str>, by: &str) -> anyhow::Result<()> {
    if is_allowed(app, act, by) {
        return Ok(());
    }
    let roles: Vec<_> = act.roles().iter().map(|role| role.word()).collect();
    let why = format!(
        "sorry, to {} takes the role {}; please ask somebody who has it, as the config's [[operator]] list says",
        act.in_words(),
        roles.join(" or ")
    );
    Err(declined(app, act, thing, by, why).await)
}

/// Writes a no into the ledger, and makes the error of it. `why` never holds a name or a text.
pub(super) async fn declined(
    app: &App,
    act: Act,
    thing: Option<&str>,
    by: &str,
    why: impl Into<String>,
) -> anyhow::Error {
    let why = why.into();
    // Whoever asks may not be ours, and name themselves as they like.
    let actor: String = by.chars().filter(|c| !c.is_control()).take(100).collect();
    let detail = serde_json::json!({ "act": act, "why": why }).to_string();
    let noted = async {
        let mut tx = app.store.begin().await?;
        tx.note(
            app.clock.now(),
            &actor,
            "desk.refused",
            thing,
            Some(&detail),
        )
        .await?;
        tx.commit().await
    };
    match noted.await {
        Ok(()) => Declined(why).into(),
        Err(error) => error.into(),
    }
}

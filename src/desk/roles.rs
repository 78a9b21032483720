//! Roles: what each operator may do at the desk. SIGNATURES FIRST: bodies follow.

/// One kind of act at the desk.
pub enum Act { IncidentOpen, IncidentMove, IncidentPromise, IncidentRead, PartnerNote, PartnerRead, ClockStart, ClockRead, ClockDecide,
    StatementDraft, StatementEdit, StatementRead, StatementApprove, StatementSendBack, StatementOverride, StatementPublish,
    StatementSchedule, StatementCancel, StatementCorrect, StatementWithdraw }

impl Act {
    /// Who may.
    pub const fn roles(self) -> &'static [Role];
}

/// A polite no. Its text is for whoever asked; the ledger has it as `desk.refused`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Declined(pub String);

/// Whether `by` may; a no goes into the ledger.
pub async fn may(app: &App, act: Act, thing: Option<&str>, by: &str) -> anyhow::Result<()>;

// desk/incident.rs, beside open, move_to, show (their `by` checked by Act):
/// Promises to say more by then.
pub async fn promise(app: &App, id: IncidentId, next_update_at: Moment, by: &str) -> anyhow::Result<Incident>;
/// The whole story: states, promises, statements, partners, clocks, oldest first.
pub async fn log(app: &App, id: IncidentId, by: &str) -> anyhow::Result<Log>;

// desk/partner.rs:
pub async fn add(app: &App, id: IncidentId, new: &NewPartner<'_>, by: &str) -> anyhow::Result<Partner>;
pub async fn clear(app: &App, partner: PartnerId, wording: &str, by: &str) -> anyhow::Result<Partner>;
pub async fn list(app: &App, id: IncidentId, by: &str) -> anyhow::Result<Vec<Partner>>;

// desk/clock.rs:
pub async fn aware(app: &App, id: IncidentId, at: Moment, by: &str) -> anyhow::Result<Vec<ClockLeft>>;
pub async fn show(app: &App, id: Option<IncidentId>, by: &str) -> anyhow::Result<Vec<ClockLeft>>;
pub async fn decide(app: &App, id: IncidentId, duty: Duty, decision: &Decision<'_>, by: &str) -> anyhow::Result<ClockLeft>;

// desk/nudges.rs: what somebody should be told now; a channel carries it and says so.
pub struct Nudge { pub id: i64, pub to: String, pub text: String }
pub async fn due(app: &App) -> anyhow::Result<Vec<Nudge>>;
pub async fn carried(app: &App, nudge: &Nudge) -> anyhow::Result<()>;

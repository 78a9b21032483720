//! Facts: what the store hands over for a report, one value a case, a delivery's sums, and what stands around them.
//!
//! Only what was recorded by the report's as-of instant may be handed over. No field holds a person's name or address.

use serde::Serialize;

use crate::domain::finding::Category;
use crate::domain::ids::{AuditId, CaseId, PersonId};
use crate::domain::moment::Moment;
use crate::domain::notice::NoticeKind;

/// What is known of one case as of an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaseFacts {
    /// The case; its number is the pseudonym that the report prints.
    pub id: CaseId,
    /// Whose account it is, if that is known. Only counted.
    pub person: Option<PersonId>,
    /// The severest finding's category.
    pub category: Category,
    /// The department, as the directory writes it; empty if it does not say.
    pub department: String,
    /// Mailboxes that the account can open.
    pub mailboxes: u32,
    /// When the source saw the weakness; the end of the day if it only tells the day.
    pub found_at: Moment,
    /// The source only tells the day.
    pub found_date_only: bool,
    /// When the case was opened.
    pub opened_at: Moment,
    /// The first notice that was accepted and has not bounced, or the first human contact.
    pub notice_at: Option<Moment>,
    /// When the reset is due.
    pub deadline_at: Option<Moment>,
    /// The verified reset, as the directory tells its time.
    pub reset_at: Option<Moment>,
    /// When the account was disabled or deleted.
    pub disabled_at: Option<Moment>,
    /// False positive, duplicate, or gone before it was found: in no figure but its own.
    pub withdrawn: bool,
    /// Exceptions, from the grant until the expiry. In force at the first instant, not at the last.
    pub exempt: Vec<(Moment, Moment)>,
    /// We tried to tell, and could not.
    pub undeliverable: bool,
    /// Reset, but no audit has looked at the new password yet.
    pub recheck_pending: bool,
    /// The case whose reset a later audit found void, and whose successor this one is.
    pub reopened_from: Option<CaseId>,
    /// When a later audit found the account again: this case's reset is void, and its successor counts instead.
    pub superseded_at: Option<Moment>,
    /// The last notice, reminder or human contact.
    pub last_contact_at: Option<Moment>,
    /// Reminders mailed: which wave (1 is the first reminder), and when.
    pub reminders: Vec<(u8, Moment)>,
    /// When the identity provider was asked to force a change.
    pub handed_over_at: Option<Moment>,
    /// When a blocked sign-in was opened again.
    pub restored_at: Option<Moment>,
}

impl CaseFacts {
    /// A case of which nothing is known but that it is open. The rest is filled in with `..`.
    pub fn open(id: CaseId, category: Category, department: &str, found_at: Moment) -> Self {
        Self {
            id,
            person: None,
            category,
            department: department.to_owned(),
            mailboxes: 0,
            found_at,
            found_date_only: false,
            opened_at: found_at,
            notice_at: None,
            deadline_at: None,
            reset_at: None,
            disabled_at: None,
            withdrawn: false,
            exempt: Vec::new(),
            undeliverable: false,
            recheck_pending: false,
            reopened_from: None,
            superseded_at: None,
            last_contact_at: None,
            reminders: Vec::new(),
            handed_over_at: None,
            restored_at: None,
        }
    }
}

/// What became of the letters of one kind. Each letter that was attempted stands in exactly one of accepted, refused,
/// expired and trying.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryFacts {
    /// Waiting for a first attempt.
    pub queued: u64,
    /// Attempted at least once.
    pub attempted: u64,
    /// Taken by a relay, whether or not it bounced later.
    pub accepted: u64,
    /// Refused for good.
    pub refused: u64,
    /// Given up after the time for trying.
    pub expired: u64,
    /// Attempted, and still being tried.
    pub trying: u64,
    /// Accepted, and came back.
    pub bounced: u64,
    /// Ever in doubt: may have arrived twice.
    pub in_doubt: u64,
}

/// The letters of one kind.
pub type DeliveriesOfKind = (NoticeKind, DeliveryFacts);

/// One audit's own account of how many it looked at (table R1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Coverage {
    /// The source, such as a realm.
    pub source: String,
    /// When it was run.
    pub run_at: Moment,
    /// Accounts in scope.
    pub in_scope: u64,
    /// Of these, looked at.
    pub assessed: u64,
    /// Of these, not looked at, by reason.
    pub not_assessed: Vec<(String, u64)>,
}

/// One file that the figures rest on (table R12).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Provenance {
    /// The audit, or the directory export.
    pub id: AuditId,
    /// Its file name, without folders.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub size_bytes: u64,
    /// When it was taken in.
    pub received_at: Moment,
    /// Rows read.
    pub rows: u64,
    /// Of these, used.
    pub accepted: u64,
    /// Of these, not used, by reason.
    pub rejected: Vec<(String, u64)>,
}

/// One exception (table R7). People are named by the pseudonym of their role account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ExceptionFacts {
    /// The case it lies over.
    pub case: CaseId,
    /// Why, as a word of the list of reasons.
    pub reason: String,
    /// What is done instead.
    pub control: String,
    /// Who asked.
    pub requested_by: String,
    /// Who agreed; never who asked, nor whom it is about.
    pub approved_by: String,
    /// From when.
    pub granted_at: Moment,
    /// Until when.
    pub expires_at: Moment,
}

/// One text that went out (table R9).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StatementFacts {
    /// Its number, such as `S-3`.
    pub id: String,
    /// Its kind, such as `status.contained` or `notice.weak`.
    pub kind: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 of the approved text, in hexadecimal.
    pub sha256: String,
    /// Who wrote it, by role account.
    pub author: String,
    /// Who approved it, by role account.
    pub approver: String,
    /// When it was approved.
    pub approved_at: Option<Moment>,
    /// When it was posted or first sent.
    pub posted_at: Option<Moment>,
    /// On which channel.
    pub channel: String,
    /// The channel's own id.
    pub external_id: String,
    /// The statement that it corrects or replaces.
    pub replaces: Option<String>,
}

/// One incident's promises (for the statement metrics).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct IncidentFacts {
    /// Its number, such as `I-1`.
    pub id: String,
    /// When it was declared.
    pub declared_at: Moment,
    /// When the first official statement was posted.
    pub first_statement_at: Option<Moment>,
    /// Promised updates whose time has come.
    pub promises_due: u64,
    /// Of these, missed.
    pub promises_missed: u64,
}

/// One legal clock (table R10).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClockFacts {
    /// The duty, such as `UK GDPR art. 33(1)`.
    pub name: String,
    /// Whether a person decided that it applies; none if nobody has decided.
    pub applies: Option<bool>,
    /// What set it off, and when.
    pub trigger_at: Moment,
    /// When it is due.
    pub due_at: Moment,
    /// When it was done.
    pub submitted_at: Option<Moment>,
    /// The authority's reference.
    pub reference: Option<String>,
}

/// The state of the ledger (table R13).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LedgerFacts {
    /// The newest seal, in hexadecimal.
    pub head: String,
    /// Entries sealed.
    pub entries: u64,
    /// The first entry.
    pub first_at: Moment,
    /// The last entry.
    pub last_at: Moment,
    /// When the chain was last walked from end to end, if ever.
    pub verified_at: Option<Moment>,
    /// Breaks found by that walk.
    pub gaps: u64,
}

/// What a report says about itself. Nothing in it is read from a clock or a machine here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Header {
    /// Whose report it is.
    pub organisation: String,
    /// What it is about, such as an incident's or a campaign's name; empty for everything.
    pub scope: String,
    /// The instant that it describes.
    pub as_of: Moment,
    /// The instant at which it was asked for. Left out, the report is the same whenever it is made.
    pub generated_at: Option<Moment>,
    /// The site's zone, in which times are shown.
    pub zone: chrono_tz::Tz,
    /// Name and version of the product.
    pub product: String,
    /// SHA-256 of the configuration, in hexadecimal.
    pub config_sha256: String,
    /// SHA-256 of the template set, in hexadecimal.
    pub templates_sha256: String,
}

/// Everything in a report that is not counted from cases.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Surroundings {
    /// Distinct mailboxes behind the affected accounts. Without it, each account's own are added up.
    pub mailboxes: Option<u64>,
    /// Audit coverage.
    pub coverage: Vec<Coverage>,
    /// Letters by kind.
    pub deliveries: Vec<DeliveriesOfKind>,
    /// Tasks for human beings that are open.
    pub tasks_open: u64,
    /// Exceptions with their reasons.
    pub exceptions: Vec<ExceptionFacts>,
    /// Statements and posts.
    pub statements: Vec<StatementFacts>,
    /// Incidents.
    pub incidents: Vec<IncidentFacts>,
    /// Legal clocks.
    pub clocks: Vec<ClockFacts>,
    /// Files taken in.
    pub provenance: Vec<Provenance>,
    /// The ledger.
    pub ledger: Option<LedgerFacts>,
}

//! Statements: drafted, approved by a second person, published, put right. Every act is an operator's, checked here, and in the
//! ledger, also when it is refused.
//!
//! SIGNATURES FIRST: bodies follow.

use serde::Serialize;

use crate::app::App;
use crate::domain::guard::Finding;
use crate::domain::questions::Question;
use crate::domain::statement::{Audience, Wording};
use crate::domain::{IncidentId, Moment, StatementId};
use crate::store::{Entry, Statement, StatementVersion};

/// A statement that is to be written.
#[derive(Clone, Debug)]
pub struct NewDraft<'a> {
    /// What it is about.
    pub incident: IncidentId,
    /// Who reads it.
    pub audience: Audience,
    /// Where it goes, by the names of the config; the audience's own if empty.
    pub channels: &'a [String],
    /// The text, with variables such as `{{ compromised }}`; or that of a template.
    pub text: Body<'a>,
}

/// Where a draft's text comes from.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Typed.
    Text(&'a str),
    /// A template by its name, and values for its gaps; a gap without one stays as `[gap]`, and has to be filled before
    /// anybody can approve it.
    Template(&'a str, &'a [(String, String)]),
}

/// What an edit changes; what is none stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edit<'a> {
    /// The whole new text.
    pub text: Option<&'a str>,
    /// Who reads it.
    pub audience: Option<Audience>,
    /// Where it goes.
    pub channels: Option<&'a [String]>,
}

/// A statement as its readers would see it now, and what stands in its way.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The statement itself.
    pub statement: Statement,
    /// Text, figures with their sources, audience, channels; frozen once it is approved.
    pub wording: Wording,
    /// What an approval of it is bound to; hand it to [`approve`].
    pub hash: String,
    /// What the disclosure guard finds. Says where, never what.
    pub findings: Vec<Finding>,
    /// Which of the five questions it does not answer.
    pub unanswered: Vec<Question>,
}

/// A statement's whole story.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// As it is now.
    pub statement: Statement,
    /// Its texts, oldest first.
    pub versions: Vec<StatementVersion>,
    /// What the ledger says of it, oldest first.
    pub entries: Vec<Entry>,
}

/// Writes a draft.
pub async fn draft(app: &App, new: &NewDraft<'_>, by: &str) -> anyhow::Result<Statement>;
/// Changes a draft, or an approved one, which voids the approval.
pub async fn edit(app: &App, id: StatementId, edit: &Edit<'_>, by: &str) -> anyhow::Result<Statement>;
/// Shows a statement as readers would see it.
pub async fn preview(app: &App, id: StatementId, by: &str) -> anyhow::Result<Preview>;
/// Approves a draft and freezes its figures. `seen` is the hash of the preview that the approver looked at, if known.
pub async fn approve(app: &App, id: StatementId, seen: Option<&str>, by: &str) -> anyhow::Result<Preview>;
/// Sends it back to its author.
pub async fn send_back(app: &App, id: StatementId, reason: &str, by: &str) -> anyhow::Result<Statement>;
/// A third person answers for what the guard found in an approved statement.
pub async fn override_guard(app: &App, id: StatementId, reason: &str, by: &str) -> anyhow::Result<Statement>;
/// Puts an approved statement out: the next announcement posts it.
pub async fn publish(app: &App, id: StatementId, by: &str) -> anyhow::Result<Statement>;
/// Has an approved statement put out at a time, not before.
pub async fn schedule(app: &App, id: StatementId, at: Moment, by: &str) -> anyhow::Result<Statement>;
/// Takes a scheduled one off the clock (it stays approved), or gives up one that is not out.
pub async fn cancel(app: &App, id: StatementId, by: &str) -> anyhow::Result<Statement>;
/// Drafts a statement that puts a published one right. The old one is marked once the new one is out.
pub async fn correct(app: &App, id: StatementId, text: &str, by: &str) -> anyhow::Result<Statement>;
/// Drafts a statement that takes a published one back. The old one is marked once the new one is out.
pub async fn withdraw(app: &App, id: StatementId, reason: &str, by: &str) -> anyhow::Result<Statement>;
/// Its versions and the ledger's entries.
pub async fn history(app: &App, id: StatementId, by: &str) -> anyhow::Result<History>;
/// All of them, newest first; of one incident if it is given.
pub async fn list(app: &App, incident: Option<IncidentId>, by: &str) -> anyhow::Result<Vec<Statement>>;
/// One of them.
pub async fn show(app: &App, id: StatementId, by: &str) -> anyhow::Result<Statement>;

//! Statements: their texts, approvals and posts. SIGNATURES FIRST: methods follow.

/// A statement.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Statement {
    /// Its number, which readers see.
    pub id: StatementId,
    /// What it is about.
    pub incident: IncidentId,
    /// What it is to another one.
    pub kind: StatementKind,
    /// The published one that it puts right or takes back.
    pub about: Option<StatementId>,
    /// Who reads it.
    pub audience: Audience,
    /// Where it goes.
    pub channels: Vec<String>,
    /// As it was typed, with variables.
    pub body: String,
    /// Counts its texts, from 1.
    pub version: i64,
    /// Where it is.
    pub state: StatementState,
    /// Who drafted it.
    pub author: String,
    /// When it was drafted.
    pub drafted_at: Moment,
    /// When somebody last did something about it.
    pub touched_at: Moment,
    /// Why it was sent back, if it was, and not edited since.
    pub sent_back: Option<String>,
    /// The approval that holds.
    pub approval: Option<Approval>,
    /// Who answers for what the guard found.
    pub overridden: Option<Overridden>,
    /// When it is published by itself.
    pub publish_at: Option<Moment>,
    /// When it was put out.
    pub published_at: Option<Moment>,
    /// The later one that put it right or took it back.
    pub marked_by: Option<StatementId>,
}

/// An approval, and exactly what was approved.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Moment,
    /// What it is bound to.
    pub hash: String,
    /// The text, frozen.
    pub text: String,
    /// The figures in it, frozen.
    pub figures: Vec<Figure>,
    /// As of when.
    pub as_of: Moment,
}

//! Incident: what staff and public are told about, in five plain states.

use serde::{Deserialize, Serialize};

/// Where an incident is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Something is wrong; the cause is not known.
    Investigating,
    /// The cause is known.
    Identified,
    /// It does not spread any more.
    Contained,
    /// Things work again and are watched.
    Monitoring,
    /// It is over.
    Resolved,
}

impl IncidentState {
    /// All of them, in their usual order.
    pub const ALL: [Self; 5] = [
        Self::Investigating,
        Self::Identified,
        Self::Contained,
        Self::Monitoring,
        Self::Resolved,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Contained => "contained",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
        }
    }

    /// The state that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

//! Status: the words of the post about an incident. It has no field that could hold a name; figures stand beside it.

use serde::Serialize;

use super::lint;
use crate::domain::incident::IncidentState;

/// What the words of a status post depend on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusContext {
    /// Where the incident is.
    pub state: IncidentState,
    /// Who writes.
    pub team: String,
}

/// Why a status post cannot be written. Never quotes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadStatus {
    /// A field that may not be printed.
    #[error("the status post's {0} holds a control character, a link or braces")]
    Unsafe(&'static str),
    /// Longer than is read at a glance.
    #[error("the status post is longer than 600 characters")]
    TooLong,
}

/// The words that the status template sees.
#[derive(Serialize)]
pub(super) struct StatusWords {
    state: &'static str,
    team: String,
}

impl StatusWords {
    pub(super) fn new(status: &StatusContext) -> Result<Self, BadStatus> {
        let team = &status.team;
        if team.chars().any(lint::is_hidden)
            || lint::has_braces(team)
            || lint::something_to_follow(team).is_some()
        {
            return Err(BadStatus::Unsafe("team"));
        }
        Ok(Self {
            state: status.state.word(),
            team: team.clone(),
        })
    }
}

impl StatusContext {
    /// A sample of each state, by its word.
    pub fn samples() -> [(&'static str, Self); 5] {
        IncidentState::ALL.map(|state| {
            let team = "Digital Security Team".to_owned();
            (state.word(), Self { state, team })
        })
    }
}

//! Evidence: what a directory says about an account's password, and the one rule that turns it into a standing.

use serde::{Deserialize, Serialize};

use super::finding::Precision;
use super::moment::Moment;

/// Who changed a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The account's holder.
    Myself,
    /// An administrator: a second person knows the password.
    Admin,
    /// The source does not say.
    Unknown,
}

/// How good a piece of evidence is. Only A and B close a case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Grade {
    /// The directory tells when the secret itself changed.
    A,
    /// The directory tells when the password was last changed.
    B,
    /// A record kept by people: a help desk's list, a letter's tick sheet.
    C,
    /// The person says so.
    D,
    /// Something that looks like it: a click, an opened mail, a later sign-in.
    E,
}

/// When a password last changed, as an interval: a day-precise source only tells the day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The earliest moment it can have been.
    pub lo: Moment,
    /// The latest.
    pub hi: Moment,
    /// How exactly the source tells it.
    pub precision: Precision,
}

impl Change {
    /// A change told at `at` with `precision`: the interval runs from `at` to the end of that unit.
    pub fn at(at: Moment, precision: Precision) -> Self {
        Self {
            lo: at,
            hi: Moment::from_micros(at.micros().saturating_add(precision.span_micros())),
            precision,
        }
    }
}

/// What one source says about one account: the normal form of all directories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// The last change of the password; none if the source does not tell one, which is not "never".
    pub changed: Option<Change>,
    /// When the secret itself changed, where the directory tells it apart from the date.
    pub secret_changed_at: Option<Moment>,
    /// The directory demands a change at the next sign-in.
    pub pending: bool,
    /// The directory says "must change" by a change date of zero, so the date itself is lost.
    pub date_is_zero: bool,
    /// One cannot sign in.
    pub disabled: bool,
    /// The account exists. `false` only if its deletion is confirmed by id.
    pub exists: bool,
    /// Sessions opened before this moment have ended. None if the realm does not tell.
    pub sessions_valid_from: Option<Moment>,
    /// Who changed it.
    pub actor: Actor,
    /// When the source was read.
    pub observed_at: Moment,
}

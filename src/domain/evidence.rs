//! Evidence: what a directory says about an account's password, and the one rule that turns it into a standing.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::finding::{Baseline, Category, Precision};
use super::moment::Moment;

mod form;
mod part;

pub use form::{DateOrder, Form, Synchronised};
pub use part::Part;

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

impl Grade {
    /// The letter that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
        }
    }

    /// The grade that a letter names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::A, Self::B, Self::C, Self::D, Self::E]
            .into_iter()
            .find(|grade| grade.word() == word)
    }
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// What the directory's newest word means for a finding: recomputed from stored facts on every run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is not certain whose account this is. Nobody is told.
    Unmatched,
    /// Nobody can sign in. Re-evaluated when the account is enabled again.
    ClosedDisabled,
    /// Nothing usable is known; never to be read as "not changed".
    Unknown,
    /// A change in the future: a wrong clock or a forged value. An operator looks.
    Hold,
    /// Not changed since.
    Open,
    /// The date moved, the password did not.
    Touched,
    /// An administrator has set a temporary password; the person has not finished.
    Pending,
    /// Changed, to another bad one.
    Reopened,
    /// Changed, but sessions from before still work.
    SessionsLive,
    /// Changed.
    Reset,
    /// Changed, and a later audit that covered the account does not list it.
    Verified,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Unmatched,
        Self::ClosedDisabled,
        Self::Unknown,
        Self::Hold,
        Self::Open,
        Self::Touched,
        Self::Pending,
        Self::Reopened,
        Self::SessionsLive,
        Self::Reset,
        Self::Verified,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unmatched => "unmatched",
            Self::ClosedDisabled => "closed_disabled",
            Self::Unknown => "unknown",
            Self::Hold => "hold",
            Self::Open => "open",
            Self::Touched => "touched",
            Self::Pending => "pending",
            Self::Reopened => "reopened",
            Self::SessionsLive => "sessions_live",
            Self::Reset => "reset",
            Self::Verified => "verified",
        }
    }

    /// The standing that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|standing| standing.word() == word)
    }

    /// Whether the password has been changed for good.
    pub const fn is_reset(self) -> bool {
        matches!(self, Self::Reset | Self::Verified)
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What the rule must know of a finding, and of audits since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The account is certain.
    pub certain: bool,
    /// Why it is in an audit.
    pub category: Category,
    /// The latest moment at which the password is known to have been the bad one.
    pub bad_as_of: Moment,
    /// What the directory itself said about the last change at that time.
    pub baseline: Option<Baseline>,
    /// The as-of of the newest later audit that lists the account again.
    pub later_weak_as_of: Option<Moment>,
    /// The as-of of the newest later audit that covered the account and does not list it.
    pub later_clean_as_of: Option<Moment>,
}

/// How a realm's evidence is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// How far the clocks of auditor, directory and service may lie apart; zero if they are one clock.
    pub skew: TimeDelta,
    /// Evidence observed longer ago than this says nothing any more.
    pub max_age: TimeDelta,
    /// The realm tells which sessions are still valid, so a compromised account must show that old ones ended.
    pub exposes_sessions: bool,
    /// How far a secret's own change time may be rounded.
    pub secret_tolerance: TimeDelta,
    /// For a compromised account an administrator's reset is not the end: a second person knows that password.
    pub self_change_required_for_compromised: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            skew: TimeDelta::minutes(5),
            max_age: TimeDelta::days(7),
            exposes_sessions: false,
            secret_tolerance: TimeDelta::seconds(1),
            self_change_required_for_compromised: false,
        }
    }
}

impl Rule {
    /// The default where finding and evidence come from the same clock.
    pub fn same_clock() -> Self {
        Self {
            skew: TimeDelta::zero(),
            ..Self::default()
        }
    }
}

/// The rule: what the newest evidence says about a finding. The first condition that holds decides; their order is
/// part of the rule.
pub fn assess(found: &Found, evidence: Option<&Evidence>, rule: &Rule, now: Moment) -> Standing {
    if !found.certain {
        return Standing::Unmatched;
    }
    let Some(evidence) = evidence else {
        return Standing::Unknown;
    };
    if evidence.disabled || !evidence.exists {
        return Standing::ClosedDisabled;
    }
    if now.since(evidence.observed_at) > rule.max_age {
        return Standing::Unknown;
    }
    match evidence.changed {
        Some(change) => assess_change(found, evidence, change, rule, now),
        None if evidence.date_is_zero => assess_zero(found, evidence, rule),
        // The directory keeps no date while it waits for the person.
        None if evidence.pending => Standing::Pending,
        None => Standing::Unknown,
    }
}

fn assess_change(
    found: &Found,
    evidence: &Evidence,
    change: Change,
    rule: &Rule,
    now: Moment,
) -> Standing {
    let latest = now.plus(rule.skew);
    let secret = evidence.secret_changed_at;
    if change.lo > latest || secret.is_some_and(|secret| secret > latest) {
        return Standing::Hold;
    }
    if !is_newer(change.lo, found, rule.skew, TimeDelta::zero()) {
        return Standing::Open;
    }
    if secret.is_some_and(|secret| !secret_is_newer(secret, found, rule)) {
        return Standing::Touched;
    }
    let compromised = found.category == Category::Compromised;
    let by_admin = evidence.actor == Actor::Admin;
    if evidence.pending || (compromised && by_admin && rule.self_change_required_for_compromised) {
        return Standing::Pending;
    }
    if found
        .later_weak_as_of
        .is_some_and(|again| again >= change.lo)
    {
        return Standing::Reopened;
    }
    let sessions_ended = evidence
        .sessions_valid_from
        .is_some_and(|valid| valid >= found.bad_as_of);
    if compromised && rule.exposes_sessions && !sessions_ended {
        return Standing::SessionsLive;
    }
    if found
        .later_clean_as_of
        .is_some_and(|clean| clean > change.hi)
    {
        return Standing::Verified;
    }
    Standing::Reset
}

/// "Must change" by a change date of zero: the old password works until the next sign-in, so only a newer secret, or
/// a date that was there when the audit was taken, shows that somebody set a temporary one.
fn assess_zero(found: &Found, evidence: &Evidence, rule: &Rule) -> Standing {
    let had_a_date = found
        .baseline
        .is_some_and(|baseline| baseline.changed_at.is_some());
    let replaced = match evidence.secret_changed_at {
        Some(secret) => secret_is_newer(secret, found, rule),
        None => had_a_date,
    };
    if replaced {
        Standing::Pending
    } else {
        Standing::Open
    }
}

/// Whether a change came after the password was known to be bad: against the directory's own mark at its precision,
/// which beats clocks, else against the finding's moment plus `skew`. `rounding` is what the time compared may be
/// rounded up by.
fn is_newer(at: Moment, found: &Found, skew: TimeDelta, rounding: TimeDelta) -> bool {
    let mark = found
        .baseline
        .and_then(|baseline| baseline.changed_at.map(|at| (at, baseline.precision)));
    match mark {
        Some((mark, precision)) => {
            // A mark told to the second may be the same change as one told to the microsecond.
            let unit = precision.span_micros().max(999_999);
            at > mark.plus(TimeDelta::microseconds(unit)).plus(rounding)
        }
        None => at > found.bad_as_of.plus(skew.max(rounding)),
    }
}

fn secret_is_newer(secret: Moment, found: &Found, rule: &Rule) -> bool {
    is_newer(secret, found, rule.skew, rule.secret_tolerance)
}

/// How good a directory's word is. Whoever reads a record that people keep takes the worse of this and its own grade.
pub fn grade(evidence: &Evidence) -> Grade {
    if evidence.secret_changed_at.is_some() {
        Grade::A
    } else if evidence.changed.is_some() || evidence.disabled || !evidence.exists {
        Grade::B
    } else {
        Grade::E
    }
}

/// Whether a case may be closed on this.
pub fn closes(standing: Standing, grade: Grade) -> bool {
    (standing.is_reset() || standing == Standing::ClosedDisabled) && grade <= Grade::B
}

/// Whether newer evidence tells of an earlier change than older: a restored object or another replica. It is reported,
/// and the later change kept for one more run.
pub fn regresses(older: &Evidence, newer: &Evidence) -> bool {
    match (older.changed, newer.changed) {
        (Some(before), Some(after)) => after.hi < before.lo,
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! Closing: in which way a case ended, as a word of its own, so that reports can count what people did and what was done
//! to them. In the manner of Entra's `riskDetail`.

use serde::{Deserialize, Serialize};

use super::case::ClosedAs;
use super::evidence::{Actor, Evidence};

/// In which way a case ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosingReason {
    /// The account's holder changed the password.
    UserChangedPassword,
    /// An administrator set one that is not temporary: a second person knows it.
    AdminChangedPassword,
    /// It was changed; the directory does not say by whom.
    PasswordChanged,
    /// It had been changed before we heard of the finding: nobody had to be told.
    ChangedBeforeImport,
    /// Nobody can sign in.
    AccountDisabled,
    /// The account is gone, by its own id.
    AccountDeleted,
    /// An operator took the case back.
    Withdrawn,
}

impl ClosingReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::UserChangedPassword,
        Self::AdminChangedPassword,
        Self::PasswordChanged,
        Self::ChangedBeforeImport,
        Self::AccountDisabled,
        Self::AccountDeleted,
        Self::Withdrawn,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UserChangedPassword => "user_changed_password",
            Self::AdminChangedPassword => "admin_changed_password",
            Self::PasswordChanged => "password_changed",
            Self::ChangedBeforeImport => "changed_before_import",
            Self::AccountDisabled => "account_disabled",
            Self::AccountDeleted => "account_deleted",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The reason that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    /// How an operator reads it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::UserChangedPassword => "the holder changed the password",
            Self::AdminChangedPassword => "an administrator set a new password",
            Self::PasswordChanged => "the password was changed",
            Self::ChangedBeforeImport => "the password had been changed before the audit came in",
            Self::AccountDisabled => "the account is disabled",
            Self::AccountDeleted => "the account is deleted",
            Self::Withdrawn => "taken back by an operator",
        }
    }

    /// In which way a case ends on this evidence.
    pub const fn of(closed_as: ClosedAs, evidence: &Evidence) -> Self {
        match (closed_as, evidence.actor) {
            (ClosedAs::Withdrawn, _) => Self::Withdrawn,
            (ClosedAs::Disabled, _) if !evidence.exists => Self::AccountDeleted,
            (ClosedAs::Disabled, _) => Self::AccountDisabled,
            (ClosedAs::Reset, Actor::Myself) => Self::UserChangedPassword,
            (ClosedAs::Reset, Actor::Admin) => Self::AdminChangedPassword,
            (ClosedAs::Reset, Actor::Unknown) => Self::PasswordChanged,
        }
    }

    /// The same where the case opened and closed in one breath.
    pub const fn at_import(self) -> Self {
        match self {
            Self::UserChangedPassword | Self::AdminChangedPassword | Self::PasswordChanged => {
                Self::ChangedBeforeImport
            }
            Self::ChangedBeforeImport
            | Self::AccountDisabled
            | Self::AccountDeleted
            | Self::Withdrawn => self,
        }
    }
}

impl std::fmt::Display for ClosingReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Moment;

    #[test]
    fn words_lead_back_to_their_reasons() {
        for reason in ClosingReason::ALL {
            assert_eq!(ClosingReason::from_word(reason.word()), Some(reason));
        }
        assert_eq!(ClosingReason::from_word("forgotten"), None);
    }

    #[test]
    fn who_changed_it_and_what_became_of_the_account_decide() {
        let evidence = |actor, disabled, exists| Evidence {
            changed: None,
            secret_changed_at: None,
            pending: false,
            date_is_zero: false,
            disabled,
            exists,
            sessions_valid_from: None,
            actor,
            observed_at: Moment::from_micros(0),
        };
        for (closed_as, evidence, expected) in [
            (
                ClosedAs::Reset,
                evidence(Actor::Myself, false, true),
                ClosingReason::UserChangedPassword,
            ),
            (
                ClosedAs::Reset,
                evidence(Actor::Admin, false, true),
                ClosingReason::AdminChangedPassword,
            ),
            (
                ClosedAs::Reset,
                evidence(Actor::Unknown, false, true),
                ClosingReason::PasswordChanged,
            ),
            (
                ClosedAs::Disabled,
                evidence(Actor::Unknown, true, true),
                ClosingReason::AccountDisabled,
            ),
            (
                ClosedAs::Disabled,
                evidence(Actor::Admin, false, false),
                ClosingReason::AccountDeleted,
            ),
            (
                ClosedAs::Withdrawn,
                evidence(Actor::Myself, true, false),
                ClosingReason::Withdrawn,
            ),
        ] {
            let reason = ClosingReason::of(closed_as, &evidence);
            assert_eq!(reason, expected);
            let early = reason.at_import() == ClosingReason::ChangedBeforeImport;
            assert_eq!(early, closed_as == ClosedAs::Reset);
        }
    }
}

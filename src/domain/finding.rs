//! Finding: one line of an audit that names an account and a weakness. It has no field that could hold a secret.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::identity::{Key, Realm};
use super::moment::Moment;
use super::person::AccountKind;

/// Why an account is in an audit, mildest first: the severest open one rules the case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The password is easy to guess.
    Weak,
    /// Somebody tried to guess it.
    Attacked,
    /// It is on a list of stolen passwords.
    Breached,
    /// Somebody else has used it, or is very likely to have.
    Compromised,
}

impl Category {
    /// All of them, mildest first.
    pub const ALL: [Self; 4] = [
        Self::Weak,
        Self::Attacked,
        Self::Breached,
        Self::Compromised,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Attacked => "attacked",
            Self::Breached => "breached",
            Self::Compromised => "compromised",
        }
    }

    /// The category that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.word() == word)
    }
}

impl std::fmt::Display for Category {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

macro_rules! weaknesses {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $category:expr, $effect:expr;)*) => {
        /// The weakness that a line reports, written `category/reason`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Weakness { $($(#[$doc])* $name,)* }

        impl Weakness {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// `category/reason`, as mapping files, the database and documents write it.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The category that rules a case; none for hygiene, which is never anybody's reset.
            pub const fn category(self) -> Option<Category> {
                match self { $(Self::$name => $category,)* }
            }

            /// What the weakness leads to if nothing says otherwise.
            pub const fn effect(self) -> Effect {
                match self { $(Self::$name => $effect,)* }
            }
        }
    };
}

/// What a finding leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A case: somebody is told.
    Tell,
    /// Kept and counted, nobody is told.
    Record,
}

use Category::{Attacked, Breached, Compromised, Weak};
use Effect::{Record, Tell};

weaknesses! {
    /// A cracking tool found the password.
    Cracked = "weak/cracked", Some(Weak), Tell;
    /// It is in a dictionary.
    Dictionary = "weak/dictionary", Some(Weak), Tell;
    /// Its hash is in a list of leaked hashes.
    PwnedHash = "weak/pwned_hash", Some(Weak), Tell;
    /// Several accounts have the same one.
    SharedPassword = "weak/shared", Some(Weak), Tell;
    /// There is none.
    Empty = "weak/empty", Some(Weak), Tell;
    /// It is the account's own name.
    Username = "weak/username", Some(Weak), Tell;
    /// A computer's default.
    DefaultComputer = "weak/default_computer", Some(Weak), Tell;
    /// An auditor guessed it at the door.
    ValidGuess = "weak/valid_guess", Some(Weak), Tell;
    /// In a breach that held passwords.
    BreachPassword = "breached/breach_password", Some(Breached), Tell;
    /// In a breach without passwords.
    BreachNoPassword = "breached/breach_no_password", Some(Breached), Record;
    /// In a fabricated breach or a spam list.
    BreachInfo = "breached/breach_info", Some(Breached), Record;
    /// In a breach that the catalogue does not know yet.
    BreachUnknown = "breached/breach_unknown", Some(Breached), Record;
    /// In a paste.
    Paste = "breached/paste", Some(Breached), Record;
    /// Many failed sign-ins.
    FailedLogins = "attacked/failed_logins", Some(Attacked), Tell;
    /// One of many names that an attacker tried.
    PasswordSpray = "attacked/password_spray", Some(Attacked), Tell;
    /// Locked by failed sign-ins.
    Lockout = "attacked/lockout", Some(Attacked), Tell;
    /// A target of a known attacker.
    Targeted = "attacked/targeted", Some(Attacked), Tell;
    /// The provider saw the current password in a leak.
    LeakedCredentials = "compromised/leaked_credentials", Some(Compromised), Tell;
    /// Malware took it from somebody's machine.
    StealerLog = "compromised/stealer_log", Some(Compromised), Tell;
    /// An attacker gave the right password.
    PasswordAccepted = "compromised/password_accepted", Some(Compromised), Tell;
    /// A person confirmed the intrusion.
    Confirmed = "compromised/confirmed", Some(Compromised), Tell;
    /// The provider holds the user to be at risk.
    RiskUser = "compromised/risk_user", Some(Compromised), Tell;
    /// The provider holds a sign-in to be risky.
    RiskSignin = "compromised/risk_signin", Some(Compromised), Tell;
    /// The person reported it.
    UserReported = "compromised/user_reported", Some(Compromised), Tell;
    /// The password never expires.
    NeverExpires = "hygiene/never_expires", None, Record;
    /// No password is required.
    NotRequired = "hygiene/not_required", None, Record;
    /// Kerberos pre-authentication is off.
    Preauth = "hygiene/preauth", None, Record;
    /// Only DES.
    DesOnly = "hygiene/des_only", None, Record;
    /// Has a service principal name.
    Kerberoastable = "hygiene/kerberoastable", None, Record;
    /// An administrator that may be delegated.
    DelegatableAdmin = "hygiene/delegatable_admin", None, Record;
    /// No AES keys.
    AesMissing = "hygiene/aes_missing", None, Record;
    /// A smart-card account with a password.
    SmartcardPassword = "hygiene/smartcard_password", None, Record;
    /// An LM hash is stored.
    LmHash = "hygiene/lm_hash", None, Record;
    /// Stored reversibly.
    CleartextStored = "hygiene/cleartext_stored", None, Record;
    /// A former password was weak.
    HistoricalWeak = "hygiene/historical_weak", None, Record;
}

impl Weakness {
    /// The weakness that `category/reason` names, compared without case.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::ALL
            .iter()
            .copied()
            .find(|weakness| weakness.text().eq_ignore_ascii_case(text))
    }

    /// The severity where the source gives none.
    pub fn default_severity(self, kind: AccountKind) -> Severity {
        match (self, self.category()) {
            (_, Some(Compromised)) if kind == AccountKind::Admin => Severity::Critical,
            (Self::Empty | Self::Username, _) => Severity::Critical,
            (_, Some(Compromised | Weak)) => Severity::High,
            (_, Some(Breached | Attacked)) => Severity::Medium,
            (_, None) => Severity::Low,
        }
    }

    /// What a finding of this weakness and severity leads to: a provider's own low risk is only kept.
    pub fn effect_at(self, severity: Severity) -> Effect {
        match self {
            Self::RiskUser | Self::RiskSignin if severity == Severity::Low => Record,
            other => other.effect(),
        }
    }
}

impl std::fmt::Display for Weakness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.text())
    }
}

impl Serialize for Weakness {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.text())
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody said.
    Unknown,
    /// Worth keeping.
    Low,
    /// Worth telling.
    Medium,
    /// Soon.
    High,
    /// First.
    Critical,
}

impl Severity {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity that a word names, compared without case.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Unknown,
            Self::Low,
            Self::Medium,
            Self::High,
            Self::Critical,
        ]
        .into_iter()
        .find(|severity| severity.word().eq_ignore_ascii_case(word.trim()))
    }
}

/// How exactly a source tells a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// To the second or finer.
    Second,
    /// To the minute.
    Minute,
    /// To the day.
    Day,
}

impl Precision {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }

    /// The precision that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Second, Self::Minute, Self::Day]
            .into_iter()
            .find(|precision| precision.word() == word)
    }

    /// Microseconds that one unit of this precision spans. A second spans none: sources that tell seconds are
    /// compared exactly, with the rule's own tolerance.
    pub const fn span_micros(self) -> i64 {
        match self {
            Self::Second => 0,
            Self::Minute => 59_999_999,
            Self::Day => 86_399_999_999,
        }
    }
}

/// What the directory itself said about the last change when the audit's data were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Baseline {
    /// The last change it knew; none if it said "never".
    pub changed_at: Option<Moment>,
    /// How exactly.
    pub precision: Precision,
}

/// What leaves an audit reader: a line that can be acted on. No field can hold a password, a hash or a raw line.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditRow {
    /// Line, or record, of the file, from 1.
    pub line: u64,
    /// All names that the line gives the account. They must agree.
    pub keys: Vec<Key>,
    /// What is wrong.
    pub weakness: Weakness,
    /// Breach name, web site or detection type; never part of a secret.
    pub detail: Option<String>,
    /// How bad, if the source says.
    pub severity: Option<Severity>,
    /// The latest moment at which the password is known to have been the bad one, if the line says.
    pub bad_as_of: Option<Moment>,
    /// When the source learnt of it.
    pub discovered_at: Option<Moment>,
    /// The directory's own mark at that time.
    pub baseline: Option<Baseline>,
    /// The name looks like a former password's (`ada_history0`): it counts only if the directory knows an account of
    /// exactly that name.
    pub history_unless_known: bool,
}

impl AuditRow {
    /// A row that says no more than whose, and what is wrong.
    pub const fn bare(line: u64, keys: Vec<Key>, weakness: Weakness) -> Self {
        Self {
            line,
            keys,
            weakness,
            detail: None,
            severity: None,
            bad_as_of: None,
            discovered_at: None,
            baseline: None,
            history_unless_known: false,
        }
    }

    /// Whether a text of it holds a zero byte, as JSON can write one: no name has any, and PostgreSQL keeps none.
    pub fn has_zero(&self) -> bool {
        let texts = self.keys.iter().map(|key| &key.given);
        texts.chain(&self.detail).any(|text| text.contains('\0'))
    }
}

/// A line that could not be used. It never quotes the line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reject {
    /// Line, or record, of the file, from 1.
    pub line: u64,
    /// What a reader needs to mend it.
    pub reason: RejectReason,
}

macro_rules! reject_reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $text:literal;)*) => {
        /// Why a line could not be used.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum RejectReason { $($(#[$doc])* $name,)* }

        impl RejectReason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word that the database and documents use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What to tell a person.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reject_reasons! {
    /// No column names an account.
    NoKey = "no_key", "no column names an account";
    /// The verdict is not in the mapping.
    UnknownVerdict = "unknown_verdict", "the verdict is not in the mapping";
    /// Two keys name two accounts.
    ConflictingKeys = "conflicting_keys", "two of its keys name two different accounts";
    /// There is no such date.
    BadDate = "bad_date", "the date is impossible or in another form than the mapping says";
    /// The address is no address.
    BadAddress = "bad_address", "the address is no e-mail address";
    /// The file ends inside this line.
    Truncated = "truncated", "the file ends inside this line";
    /// The line is not in the file's form.
    Malformed = "malformed", "the line is not in the form of the rest of the file";
    /// The line is longer than is read.
    TooLong = "too_long", "the line is longer than 64 KiB";
    /// The characters are not in the file's encoding.
    BadEncoding = "bad_encoding", "the characters are not in the encoding of the file";
    /// A cell holds none of the words that its column knows.
    BadValue = "bad_value", "a cell is none of the words that its column knows";
}

impl std::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.text())
    }
}

/// What makes two reports the same finding: SHA-256 over its parts, NUL between them.
///
/// `account` is the directory's immutable id where one matched; else the key itself stands in. A shared password's
/// group changes its number in every run, so its detail is left out.
pub fn dedupe_key(
    source_kind: &str,
    realm: &Realm,
    account: Option<&str>,
    key: &Key,
    weakness: Weakness,
    detail: Option<&str>,
) -> [u8; 32] {
    let named = match account {
        Some(id) => format!("id\u{1}{id}"),
        None => format!("{}\u{1}{}", key.kind.word(), key.folded()),
    };
    let detail = match weakness {
        Weakness::SharedPassword => "",
        _ => detail.unwrap_or(""),
    };
    let mut hash = Sha256::new();
    for part in [source_kind, &realm.0, &named, weakness.text(), detail] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weakness_is_named_by_its_own_text() {
        for weakness in Weakness::ALL {
            assert_eq!(Weakness::from_text(weakness.text()), Some(*weakness));
            let category = weakness.text().split('/').next().unwrap();
            assert_eq!(
                weakness.category().map_or("hygiene", Category::word),
                category
            );
        }
        assert_eq!(
            Weakness::from_text(" Weak/Cracked "),
            Some(Weakness::Cracked)
        );
        assert_eq!(Weakness::from_text("erledigt"), None);
    }

    #[test]
    fn the_severest_category_is_the_greatest() {
        assert!(Compromised > Breached && Breached > Attacked && Attacked > Weak);
    }

    #[test]
    fn the_group_of_a_shared_password_is_no_part_of_its_identity() {
        let realm = Realm("ad:PARL".into());
        let key = Key::login(r"PARL\ada").unwrap();
        let of = |weakness, detail| {
            dedupe_key(
                "dsinternals",
                &realm,
                Some("id-1"),
                &key,
                weakness,
                Some(detail),
            )
        };
        assert_eq!(
            of(Weakness::SharedPassword, "Group 1"),
            of(Weakness::SharedPassword, "Group 2")
        );
        assert_ne!(
            of(Weakness::BreachPassword, "PlumMail"),
            of(Weakness::BreachPassword, "ExampleForum")
        );
    }

    #[test]
    fn a_low_risk_is_kept_and_nobody_is_told() {
        assert_eq!(Weakness::RiskUser.effect_at(Severity::Low), Effect::Record);
        assert_eq!(Weakness::RiskUser.effect_at(Severity::Medium), Effect::Tell);
        assert_eq!(
            Weakness::BreachPassword.effect_at(Severity::Low),
            Effect::Tell
        );
    }
}

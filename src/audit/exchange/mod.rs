//! Exchange formats: findings that somebody else made, in the words of a standard.

pub(super) mod intelmq;
pub(super) mod ocsf;
pub(super) mod stix;

use chrono_tz::Tz;

use super::culture::Dated;
use super::{AuditError, Meanings, nt};
use crate::domain::finding::{AuditRow, RejectReason, Severity, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

/// What the labels and types of these formats mean where the source's configuration says nothing else. Compared without
/// case, and with blanks, underscores and dashes alike.
const KNOWN: [(&str, Weakness); 20] = [
    ("leaked-credentials", Weakness::LeakedCredentials),
    ("leaked-credential", Weakness::LeakedCredentials),
    ("credential-leak", Weakness::LeakedCredentials),
    ("leak", Weakness::LeakedCredentials),
    ("data-leak", Weakness::LeakedCredentials),
    ("stealer-log", Weakness::StealerLog),
    ("infostealer", Weakness::StealerLog),
    ("password-spray", Weakness::PasswordSpray),
    ("password-spraying", Weakness::PasswordSpray),
    ("brute-force", Weakness::FailedLogins),
    ("failed-logins", Weakness::FailedLogins),
    ("account-lockout", Weakness::Lockout),
    ("lockout", Weakness::Lockout),
    ("targeted", Weakness::Targeted),
    ("compromised", Weakness::Confirmed),
    ("account-compromise", Weakness::Confirmed),
    ("system-compromise", Weakness::Confirmed),
    ("risky-sign-in", Weakness::RiskSignin),
    ("risky-user", Weakness::RiskUser),
    ("user-reported", Weakness::UserReported),
];

/// What a label means; the configured meaning first.
fn meaning(label: &str, configured: Option<&Meanings>) -> Option<Weakness> {
    let label = Meanings::folded(label);
    if let Some(weakness) = configured.and_then(|meanings| meanings.get(&label)) {
        return Some(weakness);
    }
    let known = KNOWN.iter().find(|(known, _)| *known == label);
    known.map(|(_, weakness)| *weakness)
}

/// An account's names in these formats: an id, a login, an address, each if it can be one.
fn keys(id: Option<&str>, login: Option<&str>, mail: Option<&str>) -> Vec<Key> {
    let sid = id.filter(|id| id.starts_with("S-1-"));
    let id = id.filter(|id| !id.starts_with("S-1-"));
    let is_mail = |text: &str| text.contains('@') && !text.contains('\\');
    let mail = mail.or(login.filter(|login| is_mail(login)));
    let mail = mail.or(id.filter(|id| is_mail(id)));
    let login = login.filter(|login| !is_mail(login)).and_then(nt::login);
    let id = id.filter(|id| !is_mail(id) && !nt::holds_hash(id));
    [
        sid.and_then(|sid| Key::new(KeyKind::Sid, sid)),
        mail.and_then(|mail| Key::new(KeyKind::Email, mail)),
        id.and_then(|id| Key::new(KeyKind::ObjectId, id)),
        login.and_then(Key::login),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A time that a member names; none if there is no such member.
fn date(text: Option<&str>) -> Result<Option<Moment>, RejectReason> {
    match text.map(|text| Dated::read(text, Tz::UTC)) {
        None => Ok(None),
        Some(Some(Dated::At(at))) => Ok(Some(at)),
        Some(Some(Dated::Either(..)) | None) => Err(RejectReason::BadDate),
    }
}

fn row(
    line: u64,
    keys: Vec<Key>,
    weakness: Weakness,
    severity: Option<Severity>,
    at: Option<Moment>,
) -> AuditRow {
    AuditRow {
        line,
        keys,
        weakness,
        detail: None,
        severity: severity.or(super::severity_of_log(weakness)),
        bad_as_of: at,
        discovered_at: None,
        baseline: None,
        history_unless_known: false,
    }
}

/// Says that a file ended in the middle of a value, or was empty.
fn finish(end: super::json::End, sink: &mut super::Sink<'_>) -> Result<(), AuditError> {
    match end {
        super::json::End::Empty => Err(super::detect::Refusal::Empty.into()),
        super::json::End::Whole => Ok(()),
        super::json::End::Cut => {
            sink.record();
            sink.reject(sink.summary.records, RejectReason::Truncated)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_compared_as_people_write_them_and_the_configuration_wins() {
        assert_eq!(
            meaning("Password_Spray", None),
            Some(Weakness::PasswordSpray)
        );
        assert_eq!(
            meaning(" leaked credentials ", None),
            Some(Weakness::LeakedCredentials)
        );
        assert_eq!(meaning("benign", None), None);
        let own = Meanings::new([
            ("Benign".to_owned(), Weakness::Confirmed),
            ("leak".to_owned(), Weakness::StealerLog),
        ]);
        assert_eq!(meaning("benign", Some(&own)), Some(Weakness::Confirmed));
        assert_eq!(meaning("leak", Some(&own)), Some(Weakness::StealerLog));
        assert_eq!(
            meaning("data-leak", Some(&own)),
            Some(Weakness::LeakedCredentials)
        );
    }

    #[test]
    fn a_name_is_what_it_looks_like() {
        let of = |id, login, mail| -> Vec<(&'static str, String)> {
            let keys = keys(id, login, mail).into_iter();
            keys.map(|key| (key.kind.word(), key.given)).collect()
        };
        assert_eq!(
            of(Some("S-1-5-21-1"), Some("ada"), Some("ada@b.example")),
            [
                ("sid", "S-1-5-21-1".to_owned()),
                ("email", "ada@b.example".to_owned()),
                ("sam", "ada".to_owned())
            ]
        );
        assert_eq!(
            of(Some("a@b.example"), Some("a@b.example"), None),
            [("email", "a@b.example".to_owned())]
        );
        assert!(of(Some("e4c62a4c4febfe31cdb0ba3e3a8f0235"), None, None).is_empty());
    }
}

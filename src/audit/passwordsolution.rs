//! PasswordSolution (EvotecIT), `Find-PasswordQuality | Export-Csv`: a row an account, a column a flag.
//!
//! `PasswordLastSet` is what the directory said when the audit was made: the baseline that beats all clocks. It is written
//! in the auditor's zone and culture; without a configured zone it is not read, for in a wrong one it could close a case
//! that is open.

use std::io::Read;

use chrono_tz::Tz;

use super::culture::{Dated, Ordered, Settled};
use super::detect::{Head, Look};
use super::table::{self, Fault, Row};
use super::{AuditError, ReadOptions, Sink};
use crate::domain::finding::{AuditRow, Baseline, Precision, RejectReason, Weakness};
use crate::domain::identity::{Key, KeyKind};

/// The columns that say yes or no, and what a yes means.
const FLAGS: [(&str, Weakness); 12] = [
    ("cleartextpassword", Weakness::CleartextStored),
    ("lmhash", Weakness::LmHash),
    ("emptypassword", Weakness::Empty),
    ("weakpassword", Weakness::Dictionary),
    ("passwordnotrequired", Weakness::NotRequired),
    ("passwordneverexpires", Weakness::NeverExpires),
    ("aeskeysmissing", Weakness::AesMissing),
    ("preauthnotrequired", Weakness::Preauth),
    ("desencryptiononly", Weakness::DesOnly),
    ("kerberoastable", Weakness::Kerberoastable),
    ("delegatableadmins", Weakness::DelegatableAdmin),
    ("smartcarduserswithpassword", Weakness::SmartcardPassword),
];

struct Columns {
    sam: usize,
    domain: Option<usize>,
    upn: Option<usize>,
    last_set: Option<usize>,
    group: Option<usize>,
    flags: Vec<(Weakness, usize)>,
}

/// One account, while the order of its date is not known.
struct Account {
    line: u64,
    keys: Vec<Key>,
    found: Vec<(Weakness, Option<String>)>,
    has_date: bool,
}

pub(super) fn look(head: &Head<'_>) -> Look {
    head.table_with(&["samaccountname", "rulename", "duplicatepasswordgroups"])
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let zone = options.time_zone.unwrap_or(Tz::UTC);
    let mut waiting = Ordered::new(zone, options.date_order);
    let columns = |head: &table::TableHead| {
        let sam = head.find("samaccountname");
        let flags = FLAGS
            .iter()
            .filter_map(|(name, weakness)| Some((*weakness, head.find(name)?)));
        Ok(Columns {
            sam: table::needed(sam, head, "SamAccountName")?,
            domain: head.find("domain"),
            upn: head.find("userprincipalname"),
            last_set: options.time_zone.and(head.find("passwordlastset")),
            group: head.find("duplicatepasswordgroups"),
            flags: flags.collect(),
        })
    };
    table::each(input, options, sink, columns, &mut |columns, row, sink| {
        let date = match row.text(columns.last_set)? {
            Some(text) => Some(Dated::read(&text, zone).ok_or(RejectReason::BadDate)?),
            None => None,
        };
        let account = account(columns, row, date.is_some())?;
        for settled in waiting.push(account, date) {
            hand_out(settled, sink)?;
        }
        if waiting.is_full() {
            return Err(Fault::File(AuditError::DateOrder));
        }
        Ok(())
    })?;
    for settled in waiting.end()? {
        hand_out(settled, sink)?;
    }
    Ok(())
}

fn account(columns: &Columns, row: &Row<'_>, has_date: bool) -> Result<Account, RejectReason> {
    let sam = row.text(Some(columns.sam))?;
    let domain = row.text(columns.domain)?;
    let named = match (&sam, &domain) {
        (Some(sam), Some(domain)) if !sam.contains('\\') => Key::login(&format!("{domain}\\{sam}")),
        (Some(sam), _) => Key::login(sam),
        (None, _) => None,
    };
    let upn = row.text(columns.upn)?;
    let upn = upn.and_then(|upn| Key::new(KeyKind::Upn, &upn));
    let keys: Vec<Key> = named.into_iter().chain(upn).collect();
    if keys.is_empty() {
        return Err(RejectReason::NoKey);
    }
    let mut found = Vec::new();
    for (weakness, at) in &columns.flags {
        if row.is_true(Some(*at))? {
            found.push((*weakness, None));
        }
    }
    if let Some(group) = row.text(columns.group)?
        && !["false", "true"]
            .iter()
            .any(|word| group.eq_ignore_ascii_case(word))
    {
        found.push((Weakness::SharedPassword, label(&group)));
    }
    Ok(Account {
        line: row.line,
        keys,
        found,
        has_date,
    })
}

/// A group's label, if it is one: the running number and nothing else.
fn label(group: &str) -> Option<String> {
    let number = group.trim_start_matches(|c: char| c.is_alphabetic() || c == ' ');
    let is_number =
        !number.is_empty() && number.len() <= 9 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| group.to_owned())
}

fn hand_out((account, at): Settled<Account>, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    let line = account.line;
    if account.has_date && at.is_none() {
        return sink.reject(line, RejectReason::BadDate);
    }
    let baseline = at.map(|at| Baseline {
        changed_at: Some(at),
        precision: Precision::Second,
    });
    for (weakness, detail) in account.found {
        sink.row(AuditRow {
            line,
            keys: account.keys.clone(),
            weakness,
            detail,
            severity: None,
            bad_as_of: None,
            discovered_at: None,
            baseline,
            history_unless_known: false,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item};

    const HEAD: &str = "#TYPE Selected.X\n\"UserPrincipalName\",\"SamAccountName\",\"Domain\",\"RuleName\",\"PasswordLastSet\",\"WeakPassword\",\"LMHash\",\"DuplicatePasswordGroups\"\n";

    fn of(rows: &str, zone: Option<Tz>) -> Result<Vec<Item>, AuditError> {
        let options = ReadOptions {
            time_zone: zone,
            ..ReadOptions::default()
        };
        let text = format!("{HEAD}{rows}");
        Ok(read_all(Format::PasswordSolution, text.as_bytes(), &options)?.0)
    }

    fn baseline(item: &Item) -> Option<String> {
        match item {
            Item::Row(row) => row.baseline?.changed_at.map(|at| at.to_string()),
            Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => None,
        }
    }

    #[test]
    fn the_last_change_is_a_mark_in_the_auditors_zone_and_culture() {
        let rows =
            "\"\",\"ada\",\"b.example\",\"\",\"03.11.2025 10:14:22\",\"True\",\"False\",\"\"\n";
        let of_zone = |zone| baseline(&of(rows, zone).unwrap()[0]);
        assert_eq!(
            of_zone(Some(chrono_tz::Europe::Vienna)).as_deref(),
            Some("2025-11-03T09:14:22Z")
        );
        assert_eq!(of_zone(None), None);
        let american = "\"\",\"ada\",\"b.example\",\"\",\"7/4/2025 1:14:22 PM\",\"True\",\"\",\"\"\n\
                        \"\",\"bea\",\"b.example\",\"\",\"7/14/2025 1:14:22 PM\",\"True\",\"\",\"\"\n";
        let items = of(american, Some(Tz::UTC)).unwrap();
        assert_eq!(baseline(&items[0]).as_deref(), Some("2025-07-04T13:14:22Z"));
        let undecided =
            "\"\",\"ada\",\"b.example\",\"\",\"7/4/2025 1:14:22 PM\",\"True\",\"\",\"\"\n";
        let refused = of(undecided, Some(Tz::UTC)).unwrap_err().to_string();
        assert!(refused.contains("date_order"), "{refused}");
    }

    #[test]
    fn an_account_without_a_flag_is_no_finding() {
        let row = "\"\",\"ada\",\"b.example\",\"\",\"\",\"maybe\",\"False\",\"\"\n";
        assert!(of(row, None).unwrap().is_empty());
    }

    #[test]
    fn rows_that_cannot_be_used_are_told() {
        for (row, expected) in [
            ("\"\",\"\",\"\",\"\",\"\",\"True\",\"\",\"\"\n", "no_key"),
            (
                "\"\",\"ada\",\"b.example\",\"\",\"soon\",\"True\",\"\",\"\"\n",
                "bad_date",
            ),
            (
                "\"\",\"ada\",\"b.example\",\"\",\"\",\"True\",\"\",\"\",\"x\"\n",
                "malformed",
            ),
            ("\"\",\"ada\",\"b.exam", "truncated"),
        ] {
            assert_eq!(
                outcomes(&of(row, Some(Tz::UTC)).unwrap()),
                [expected],
                "{row}"
            );
        }
    }

    #[test]
    fn a_group_is_kept_as_its_number_and_never_as_a_hash() {
        let of_group = |group: &str| {
            let row = format!("\"\",\"ada\",\"b.example\",\"\",\"\",\"\",\"\",\"{group}\"\n");
            match of(&row, None).unwrap().remove(0) {
                Item::Row(row) => row.detail,
                Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => panic!("no finding"),
            }
        };
        assert_eq!(of_group("Group 12").as_deref(), Some("Group 12"));
        assert_eq!(of_group("e4c62a4c4febfe31cdb0ba3e3a8f0235"), None);
    }
}

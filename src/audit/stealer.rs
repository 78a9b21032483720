//! Have I Been Pwned, API v3, stealer logs: `stealerlogsbyemaildomain` (alias → web sites), `stealerlogsbywebsitedomain`
//! (a list of addresses) and `stealerlogsbyemail` (a list of sites of one address, which names nobody and is refused).
//!
//! The first has the shape of a domain search: what it is, only the configuration knows. No date is in it: what was bad
//! was so when the newest of the catalogue's stealer logs was added.

use std::io::Read;

use super::decode::Bytes;
use super::detect::Refusal;
use super::hibp::{self, Entry, detail, finish, key_of};
use super::json::{self, End, Node, Piece, Shape};
use super::{AuditError, Catalogue, Format, ReadOptions, Sink, first_sign};
use crate::domain::address::EmailAddress;
use crate::domain::finding::{AuditRow, RejectReason, Severity, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

/// A list has no members.
const LIST: Shape = Shape {
    arrays: &[],
    wanted: &[],
};

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let domain = options.domain.ok_or(AuditError::Needs {
        format: Format::HibpStealerLogs,
        what: "the mail domain, or the web site, that was searched",
    })?;
    let at = options.catalogue.and_then(Catalogue::newest_stealer_log);
    let mut bytes = Bytes::open(input, None, options.code_page)?;
    if first_sign(&mut bytes)? == Some(b'[') {
        return of_site(bytes, domain, at, options, sink);
    }
    let end = hibp::scan_bytes(bytes, &mut |entry| {
        sink.record();
        let line = sink.summary.records;
        let Entry::Names(alias, sites) = entry else {
            return Err(Refusal::NotStealerLogs.into());
        };
        let Some(key) = key_of(alias, domain) else {
            return sink.reject(line, RejectReason::BadAddress);
        };
        for site in sites {
            sink.row(row(line, key.clone(), site, at, options))?;
        }
        Ok(())
    })?;
    finish(end, sink)
}

/// The addresses that were used on one site.
fn of_site<R: Read>(
    bytes: Bytes<R>,
    site: &str,
    at: Option<Moment>,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let end = json::pieces(bytes, &LIST, &mut |piece| {
        let Piece::Record(Node::Text(text)) = piece else {
            return Err(Refusal::NotStealerLogs.into());
        };
        sink.record();
        let line = sink.summary.records;
        if !text.contains('@') {
            return Err(Refusal::SitesOfNobody.into());
        }
        let key = EmailAddress::parse(text.trim())
            .ok()
            .and_then(|address| Key::new(KeyKind::Email, address.expose()));
        match key {
            Some(key) => sink.row(row(line, key, site, at, options)),
            None => sink.reject(line, RejectReason::BadAddress),
        }
    })?;
    match end {
        End::Empty | End::Whole => Ok(()),
        End::Cut => sink.reject(sink.summary.records + 1, RejectReason::Truncated),
    }
}

fn row(line: u64, key: Key, site: &str, at: Option<Moment>, options: &ReadOptions<'_>) -> AuditRow {
    AuditRow {
        line,
        keys: vec![key],
        weakness: Weakness::StealerLog,
        detail: detail(site),
        severity: options.owns(site).then_some(Severity::Critical),
        bad_as_of: at,
        discovered_at: at,
        baseline: None,
        history_unless_known: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Item, Summary};

    fn answer(json: &str) -> Result<(Vec<Item>, Summary), AuditError> {
        let catalogue = Catalogue::parse(
            r#"[{"Name": "Logs1", "AddedDate": "2025-11-02T21:00:11Z", "IsStealerLog": true},
                {"Name": "Logs2", "AddedDate": "2026-01-02T00:00:00Z", "IsStealerLog": true},
                {"Name": "Forum", "AddedDate": "2026-02-02T00:00:00Z"}]"#,
        )
        .unwrap();
        let domains = ["parl.example".to_owned()];
        let options = ReadOptions {
            catalogue: Some(&catalogue),
            domain: Some("parl.example"),
            domains: &domains,
            ..ReadOptions::default()
        };
        read_all(Format::HibpStealerLogs, json.as_bytes(), &options)
    }

    #[test]
    fn a_site_of_ours_is_critical_and_the_newest_logs_date_the_finding() {
        let (items, _) = answer(
            r#" {"ada":["sso.parl.example","PARL.example","notparl.example","parl.example.net"]}"#,
        )
        .unwrap();
        let seen: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::Row(row) => Some((row.severity, row.bad_as_of?.to_string())),
                Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => None,
            })
            .collect();
        let at = || "2026-01-02T00:00:00Z".to_owned();
        assert_eq!(
            seen,
            [
                (Some(Severity::Critical), at()),
                (Some(Severity::Critical), at()),
                (None, at()),
                (None, at())
            ]
        );
    }

    #[test]
    fn a_list_of_addresses_is_one_of_a_site_and_a_list_of_sites_is_nobodys() {
        let (items, _) = answer(r#"["ada@parl.example","b c@parl.example"]"#).unwrap();
        assert_eq!(outcomes(&items), ["compromised/stealer_log", "bad_address"]);
        let refused = answer(r#"["netflix.com"]"#).unwrap_err().to_string();
        assert!(refused.contains("names no account"), "{refused}");
        for other in [r#"[{"a":1}]"#, r#"{"BreachSearchResults":[{"Alias":"a"}]}"#] {
            let refused = answer(other).unwrap_err().to_string();
            assert!(refused.contains("stealer logs"), "{other}: {refused}");
        }
    }

    #[test]
    fn nobody_in_a_log_is_no_error_and_a_cut_answer_says_so() {
        for json in ["{}", "[]", "", r#"{"statusCode":404,"message":"x"}"#] {
            assert!(answer(json).unwrap().0.is_empty(), "{json}");
        }
        for json in [r#"{"ada":["a.example"],"b"#, r#"["ada@parl.example","b"#] {
            let (items, summary) = answer(json).unwrap();
            assert_eq!(outcomes(&items).last(), Some(&"truncated"), "{json}");
            assert!(summary.incomplete);
        }
    }
}

//! STIX 2.1 bundles: accounts and addresses are findings only through an observation, a sighting or an incident that
//! refers to them, and whose label says what was seen.
//!
//! References may go anywhere, so the objects are kept until the bundle has been read. `credential` is never copied out.

use std::collections::HashMap;
use std::io::Read;

use super::{date, finish, keys, meaning, row};
use crate::audit::decode::Bytes;
use crate::audit::detect::{Head, Look};
use crate::audit::json::{self, Node, Piece, Shape};
use crate::audit::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::finding::{RejectReason, Weakness};
use crate::domain::identity::Key;
use crate::domain::moment::Moment;

const SHAPE: Shape = Shape {
    arrays: &["objects"],
    wanted: &[
        "type",
        "id",
        "user_id",
        "account_login",
        "credential_last_changed",
        "value",
        "belongs_to_ref",
        "labels",
        "object_refs",
        "observed_data_refs",
        "sighting_of_ref",
        "last_observed",
        "last_seen",
        "modified",
        "revoked",
    ],
};

/// Objects that are kept, and references of all of them.
const MAX_KEPT: usize = 500_000;

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    head.json_with(&["type", "bundle", "objects"])
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let bytes = Bytes::open(input, None, options.code_page)?;
    let mut bundle = Bundle::default();
    let end = json::pieces(bytes, &SHAPE, &mut |piece| {
        let Piece::Record(object) = piece else {
            return Ok(());
        };
        sink.record();
        let line = sink.summary.records;
        bundle.take(&object, line, options, sink)
    })?;
    finish(end, sink)?;
    bundle.hand_out(sink)
}

/// What refers to accounts.
struct Seen {
    line: u64,
    weakness: Option<Weakness>,
    at: Option<Moment>,
    refs: Vec<String>,
}

#[derive(Default)]
struct Bundle {
    accounts: HashMap<String, Vec<Key>>,
    /// Address → the account that it belongs to.
    owners: HashMap<String, String>,
    /// Observation → what it observed, for sightings of it.
    observed: HashMap<String, Vec<String>>,
    seen: Vec<Seen>,
    kept: usize,
}

impl Bundle {
    fn take(
        &mut self,
        object: &Node,
        line: u64,
        options: &ReadOptions<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), AuditError> {
        let (Some(kind), Some(id)) = (object.text_of("type"), object.text_of("id")) else {
            return sink.reject(line, RejectReason::Malformed);
        };
        self.kept += 1;
        let id = id.to_owned();
        match kind {
            "user-account" => {
                if object.text_of("credential_last_changed").is_some() {
                    sink.skip(line, SkipReason::Evidence)?;
                }
                let keys = keys(
                    object.text_of("user_id"),
                    object.text_of("account_login"),
                    None,
                );
                self.accounts.insert(id, keys);
            }
            "email-addr" => {
                if let Some(owner) = object.text_of("belongs_to_ref") {
                    self.owners.insert(id.clone(), owner.to_owned());
                }
                let keys = keys(None, None, object.text_of("value"));
                self.accounts.insert(id, keys);
            }
            "observed-data" | "sighting" | "incident" if !object.is_true("revoked") => {
                self.sees(object, id, line, options, sink)?;
            }
            _ => {}
        }
        if self.kept > MAX_KEPT {
            return Err(AuditError::TooManyAtOnce);
        }
        Ok(())
    }

    fn sees(
        &mut self,
        object: &Node,
        id: String,
        line: u64,
        options: &ReadOptions<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), AuditError> {
        let at = object
            .text_of("last_observed")
            .or(object.text_of("last_seen"))
            .or(object.text_of("modified"));
        let at = match date(at) {
            Ok(at) => at,
            Err(reason) => return sink.reject(line, reason),
        };
        let members = ["object_refs", "observed_data_refs", "sighting_of_ref"];
        let refs: Vec<String> = members
            .iter()
            .flat_map(|member| object.get(member).items())
            .filter_map(|reference| reference.text().map(str::to_owned))
            .collect();
        self.kept += refs.len();
        let labels = object.get("labels").items();
        let weakness = labels
            .iter()
            .filter_map(Node::text)
            .find_map(|label| meaning(label, options.meanings));
        if !labels.is_empty() && weakness.is_none() {
            sink.skip(line, SkipReason::UnmappedLabel)?;
        }
        self.observed.insert(id, refs.clone());
        self.seen.push(Seen {
            line,
            weakness,
            at,
            refs,
        });
        Ok(())
    }

    fn hand_out(self, sink: &mut Sink<'_>) -> Result<(), AuditError> {
        for seen in &self.seen {
            let Some(weakness) = seen.weakness else {
                continue;
            };
            // An observation that is referred to stands for what it observed; no deeper.
            let targets = seen.refs.iter().flat_map(|reference| {
                self.observed
                    .get(reference)
                    .map_or(std::slice::from_ref(reference), Vec::as_slice)
            });
            for target in targets {
                let Some(keys) = self.keys(target) else {
                    continue;
                };
                sink.row(row(seen.line, keys, weakness, None, seen.at))?;
            }
        }
        Ok(())
    }

    /// An account's names, or an address with those of its account.
    fn keys(&self, target: &str) -> Option<Vec<Key>> {
        let mut keys = self.accounts.get(target)?.clone();
        let owner = self.owners.get(target);
        keys.extend(
            owner
                .and_then(|owner| self.accounts.get(owner))
                .into_iter()
                .flatten()
                .cloned(),
        );
        (!keys.is_empty()).then_some(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Format;
    use crate::audit::tests::{outcomes, read_all};

    fn of(objects: &str) -> Vec<&'static str> {
        let text = format!(r#"{{"type":"bundle","id":"bundle--1","objects":[{objects}]}}"#);
        let (items, _) = read_all(Format::Stix, text.as_bytes(), &ReadOptions::default()).unwrap();
        outcomes(&items)
    }

    const ADA: &str = r#"{"type":"user-account","id":"user-account--1","account_login":"ada","credential":"FAKE-x"}"#;

    #[test]
    fn an_account_alone_is_no_finding_and_a_sighting_of_an_observation_is_one_of_what_it_observed()
    {
        assert!(of(ADA).is_empty());
        let observed = r#"{"type":"observed-data","id":"observed-data--1","object_refs":["user-account--1"],"last_observed":"2026-02-05T03:30:00Z"}"#;
        assert!(of(&format!("{observed},{ADA}")).is_empty());
        let sighting = r#"{"type":"sighting","id":"sighting--1","observed_data_refs":["observed-data--1"],"labels":["x","Leaked credentials"]}"#;
        assert_eq!(
            of(&format!("{sighting},{observed},{ADA}")),
            ["compromised/leaked_credentials"]
        );
    }

    #[test]
    fn references_may_dangle_turn_round_or_be_nonsense() {
        for (object, expected) in [
            (
                r#"{"type":"incident","id":"i","labels":["leak"],"object_refs":["nowhere",7,null,{"a":1},"i"]}"#,
                vec![],
            ),
            (
                r#"{"type":"incident","id":"i","labels":["benign"],"object_refs":["user-account--1"]}"#,
                vec!["unmapped_label"],
            ),
            (
                r#"{"type":"incident","id":"i","labels":"leak","object_refs":"user-account--1","modified":1}"#,
                vec!["bad_date"],
            ),
            (
                r#"{"type":"incident","id":"i","labels":"leak","object_refs":"user-account--1"}"#,
                vec!["compromised/leaked_credentials"],
            ),
            (
                r#"{"type":"incident","id":"i","revoked":true,"labels":"leak","object_refs":"user-account--1"}"#,
                vec![],
            ),
            (r#"{"type":["incident"]}"#, vec!["malformed"]),
        ] {
            assert_eq!(of(&format!("{object},{ADA}")), expected, "{object}");
        }
    }
}

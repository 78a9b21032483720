//! Everything about one person, for that person: part by part, and what messages to them are made of.

use sqlx::{AssertSqlSafe, Row as _};

use super::privacy::{ACCOUNTS, CASES};
use super::{StoreError, Tx, on};
use crate::domain::PersonId;

/// Everything about one person, part by part: its columns, and its rows as text.
pub type Part = (&'static str, Vec<&'static str>, Vec<Vec<Option<String>>>);

/// What a message to somebody is made of, as long as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptMessage {
    /// The delivery's number.
    pub id: i64,
    /// Whether it is a text; a letter if not.
    pub is_text: bool,
    /// What it says of its reader, as JSON.
    pub facts: String,
    /// The template's document.
    pub document: String,
}

impl std::fmt::Debug for KeptMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptMessage")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Tx {
    /// Everything that is kept about one person, part by part.
    pub async fn all_about(&mut self, person: PersonId) -> Result<Vec<Part>, StoreError> {
        let mut all = Vec::new();
        for (name, columns, from) in PARTS {
            let columns: Vec<&'static str> = columns.split_whitespace().collect();
            let cells: Vec<String> = columns
                .iter()
                .map(|column| match *column {
                    "enabled" | "possible_duplicate" => {
                        format!("CASE WHEN x.{column} THEN 'yes' ELSE 'no' END")
                    }
                    column => format!("CAST(x.{column} AS TEXT)"),
                })
                .collect();
            let sql = format!("SELECT {} FROM {from}", cells.join(", "))
                .replace("$ACCOUNTS", ACCOUNTS)
                .replace("$CASES", CASES);
            let width = columns.len();
            let rows: Vec<Vec<Option<String>>> = on!(self, db => {
                let mut rows = Vec::new();
                for row in sqlx::query(AssertSqlSafe(sql)).bind(person.0).fetch_all(db).await? {
                    let cells: Result<Vec<Option<String>>, sqlx::Error> = (0..width).map(|at| row.try_get(at)).collect();
                    rows.push(cells?);
                }
                rows
            });
            all.push((*name, columns, rows));
        }
        Ok(all)
    }

    /// The messages to one person of which the words can still be written. What managers and delegates were told is theirs.
    pub async fn messages_to(&mut self, person: PersonId) -> Result<Vec<KeptMessage>, StoreError> {
        let rows: Vec<(i64, String, String, String)> = on!(self, db => sqlx::query_as(
            "SELECT x.id, x.channel, x.facts, t.source FROM deliveries x JOIN threads h ON h.id = x.thread_id JOIN templates t ON t.id = x.template_id
             WHERE h.person_id = $1 AND x.kind NOT LIKE 'escalation.%' AND x.facts <> '{}' ORDER BY x.id",
        ).bind(person.0).fetch_all(db).await)?;
        let kept = |(id, channel, facts, document): (i64, String, String, String)| KeptMessage {
            id,
            is_text: channel == "sms",
            facts,
            document,
        };
        Ok(rows.into_iter().map(kept).collect())
    }
}

/// The parts of what is kept about a person: name, columns of `x`, and from where.
const PARTS: &[(&str, &str, &str)] = &[
    (
        "person",
        "id display_name department language time_zone second_address mobile room building manager_mail delegate_mail joined_at left_at",
        "persons x WHERE x.id = $1",
    ),
    (
        "accounts",
        "id realm object_id sam display_name department kind enabled joined_at left_at",
        "accounts x WHERE x.holder_id = $1 ORDER BY x.id",
    ),
    (
        "names_of_accounts",
        "account_id kind key",
        "account_keys x WHERE x.account_id IN ($ACCOUNTS) ORDER BY x.account_id, x.kind, x.key",
    ),
    (
        "names_by_an_operator",
        "account_id key_kind key bound_at",
        "bindings x WHERE x.account_id IN ($ACCOUNTS) ORDER BY x.id",
    ),
    (
        "mailboxes",
        "address",
        "mailboxes x WHERE x.id IN (SELECT mailbox_id FROM account_mailboxes WHERE account_id IN ($ACCOUNTS)) ORDER BY x.id",
    ),
    (
        "findings",
        "id audit_id account_id key_kind key_given weakness detail severity bad_as_of found_at case_id",
        "findings x WHERE x.account_id IN ($ACCOUNTS) ORDER BY x.id",
    ),
    (
        "cases",
        "id account_id category severity department state standing found_at opened_at notice_at deadline_at not_reached contained_at exempt_until closed_at closed_as closed_reason safe_at",
        "cases x WHERE x.id IN ($CASES) ORDER BY x.id",
    ),
    (
        "decisions",
        "at act case_id thing effective_at detail",
        "ledger x WHERE x.case_id IN ($CASES) OR x.thing = 'person:' || CAST(CAST($1 AS BIGINT) AS TEXT) ORDER BY x.id",
    ),
    (
        "messages",
        "id kind channel recipient facts queued_at state first_attempt_at ended_at possible_duplicate",
        "deliveries x WHERE x.thread_id IN (SELECT id FROM threads WHERE person_id = $1) AND x.kind NOT LIKE 'escalation.%' ORDER BY x.id",
    ),
    (
        "attempts",
        "delivery_id started_at ended_at outcome code reply",
        "attempts x WHERE x.delivery_id IN (SELECT d.id FROM deliveries d JOIN threads t ON t.id = d.thread_id WHERE t.person_id = $1) ORDER BY x.id",
    ),
    (
        "returned",
        "delivery_id received_at action status reply",
        "bounces x WHERE x.delivery_id IN (SELECT d.id FROM deliveries d JOIN threads t ON t.id = d.thread_id WHERE t.person_id = $1) ORDER BY x.id",
    ),
    (
        "said_to_us",
        "case_id said by_way said_at grade",
        "replies x WHERE x.case_id IN ($CASES) ORDER BY x.id",
    ),
    (
        "containments",
        "account_id act effective_at done_by how",
        "containments x WHERE x.account_id IN ($ACCOUNTS) ORDER BY x.id",
    ),
    (
        "evidence",
        "account_id facts grade observed_at",
        "evidence x WHERE x.account_id IN ($ACCOUNTS) ORDER BY x.id",
    ),
];

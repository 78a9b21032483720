//! Everything about one person, for that person: part by part, and what messages to them are made of.

use sqlx::{AssertSqlSafe, Row as _};

use super::{StoreError, Tx, on};
use crate::domain::PersonId;

/// The accounts of the person in `$1`.
macro_rules! accounts {
    () => {
        "SELECT id FROM accounts WHERE holder_id = $1"
    };
}

/// Their cases.
macro_rules! cases {
    () => {
        "SELECT id FROM cases WHERE person_id = $1 OR account_id IN (SELECT id FROM accounts WHERE holder_id = $1)"
    };
}

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
        for (name, sql) in PARTS {
            let listed = sql
                .split_once(" FROM ")
                .and_then(|(head, _)| head.split_once(' '))
                .map_or("", |(_, listed)| listed);
            let columns: Vec<&'static str> = listed.split(", ").collect();
            let cells: Vec<String> = columns
                .iter()
                .map(|column| match *column {
                    "enabled" | "possible_duplicate" => {
                        format!("CASE WHEN {column} THEN 'yes' ELSE 'no' END")
                    }
                    column => format!("CAST({column} AS TEXT)"),
                })
                .collect();
            // All databases write all of it down as text.
            let sql = sql.replacen(listed, &cells.join(", "), 1);
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

/// The parts of what is kept about a person: how each is called, and where it stands. What comes out is text, so rows are ordered by
/// what is in the table, `x`.
const PARTS: &[(&str, &str)] = &[
    (
        "person",
        "SELECT id, display_name, department, language, time_zone, second_address, mobile, room, building, manager_mail, delegate_mail, joined_at, left_at FROM persons x WHERE x.id = $1",
    ),
    (
        "accounts",
        "SELECT id, realm, object_id, sam, display_name, department, kind, enabled, joined_at, left_at FROM accounts x WHERE x.holder_id = $1 ORDER BY x.id",
    ),
    (
        "names_of_accounts",
        concat!(
            "SELECT account_id, kind, key FROM account_keys x WHERE x.account_id IN (",
            accounts!(),
            ") ORDER BY x.account_id, x.kind, x.key"
        ),
    ),
    (
        "names_by_an_operator",
        concat!(
            "SELECT account_id, key_kind, key, bound_at FROM bindings x WHERE x.account_id IN (",
            accounts!(),
            ") ORDER BY x.id"
        ),
    ),
    (
        "mailboxes",
        concat!(
            "SELECT address FROM mailboxes x WHERE x.id IN (SELECT mailbox_id FROM account_mailboxes WHERE account_id IN (",
            accounts!(),
            ")) ORDER BY x.id"
        ),
    ),
    (
        "findings",
        concat!(
            "SELECT id, audit_id, account_id, key_kind, key_given, weakness, detail, severity, bad_as_of, found_at, case_id FROM findings x WHERE x.account_id IN (",
            accounts!(),
            ") ORDER BY x.id"
        ),
    ),
    (
        "cases",
        concat!(
            "SELECT id, account_id, category, severity, department, state, standing, found_at, opened_at, notice_at, deadline_at, not_reached, contained_at, exempt_until, closed_at, closed_as, closed_reason, safe_at FROM cases x WHERE x.id IN (",
            cases!(),
            ") ORDER BY x.id"
        ),
    ),
    (
        "decisions",
        concat!(
            "SELECT at, act, case_id, thing, effective_at, detail FROM ledger x WHERE x.case_id IN (",
            cases!(),
            ") OR x.thing = 'person:' || CAST(CAST($1 AS BIGINT) AS TEXT) ORDER BY x.id"
        ),
    ),
    (
        "messages",
        "SELECT id, kind, channel, recipient, facts, queued_at, state, first_attempt_at, ended_at, possible_duplicate FROM deliveries x WHERE x.thread_id IN (SELECT id FROM threads WHERE person_id = $1) AND x.kind NOT LIKE 'escalation.%' ORDER BY x.id",
    ),
    (
        "attempts",
        "SELECT delivery_id, started_at, ended_at, outcome, code, reply FROM attempts x WHERE x.delivery_id IN (SELECT d.id FROM deliveries d JOIN threads t ON t.id = d.thread_id WHERE t.person_id = $1) ORDER BY x.id",
    ),
    (
        "returned",
        "SELECT delivery_id, received_at, action, status, reply FROM bounces x WHERE x.delivery_id IN (SELECT d.id FROM deliveries d JOIN threads t ON t.id = d.thread_id WHERE t.person_id = $1) ORDER BY x.id",
    ),
    (
        "said_to_us",
        concat!(
            "SELECT case_id, said, by_way, said_at, grade FROM replies x WHERE x.case_id IN (",
            cases!(),
            ") ORDER BY x.id"
        ),
    ),
    (
        "containments",
        concat!(
            "SELECT account_id, act, effective_at, done_by, how FROM containments x WHERE x.account_id IN (",
            accounts!(),
            ") ORDER BY x.id"
        ),
    ),
    (
        "evidence",
        concat!(
            "SELECT account_id, facts, grade, observed_at FROM evidence x WHERE x.account_id IN (",
            accounts!(),
            ") ORDER BY x.id"
        ),
    ),
];

//! SQLite and PostgreSQL behind one Store: one text for each statement, beside its binds.
//!
//! A transaction is never held across the network. Rows are read and written in sets, handed over as one JSON text;
//! how a set is opened and how work is claimed are the two places where the dialects differ on purpose.

mod about;
mod alarms;
mod announcements;
mod audits;
mod backup;
mod bindings;
mod bounces;
mod campaigns;
mod case_moves;
mod cases;
mod chase;
mod closings;
mod containments;
mod cursors;
mod delegates;
mod doubts;
mod duties;
mod epochs;
mod escalations;
mod evidence;
mod figures;
mod gauges;
mod hand_overs;
mod history;
mod holds;
mod incidents;
mod interactions;
mod keys;
mod ledger;
mod legal_holds;
mod names;
mod nudges;
mod open;
mod other_ways;
mod outbox;
mod partners;
mod people;
mod posts;
mod privacy;
mod rates;
mod reach;
mod runs;
mod seals;
mod self_audit;
mod shelves;
mod statement_posts;
mod statements;
mod stories;
mod tasks;
mod told;

use serde::Serialize;
use sqlx::{Postgres, Sqlite, Transaction};

pub use about::{KeptMessage, Part};
pub use alarms::{AlarmRow, Telling};
pub use audits::{Audit, AuditCounts, FindingDraft, NewAudit, StoredFinding};
pub use bindings::UnmatchedFinding;
pub use bounces::{Bounce, Bounced};
pub use campaigns::{Campaign, Thread, ThreadDraft, ThreadQueued, ThreadState};
pub use case_moves::CaseOpening;
pub use cases::{CaseRow, Deciding};
pub use chase::LateThread;
pub use closings::CaseClosing;
pub use containments::{Containment, ContainmentDraft};
pub use cursors::Cursor;
pub use doubts::Verdict;
pub use escalations::{Escalated, Escalation};
pub use evidence::{CaseOfObject, EvidenceDraft, EvidenceRead, KnownObject, LatestEvidence};
pub use gauges::OpenCases;
pub use hand_overs::{
    HandOver, HandOverBegun, HandOverClaim, HandOverDraft, HandOverDue, HandOverEnd,
};
pub use holds::Hold;
pub use incidents::Incident;
pub use keys::{ApiToken, Credential, Session};
pub use ledger::Entry;
pub use legal_holds::LegalHold;
pub use nudges::Nudge;
pub use other_ways::{HandedOut, OtherDelivery, OtherDraft, Outstanding, Tried};
pub use outbox::{
    Begun, Delivery, DeliveryDraft, Finished, Following, GivenBack, Recovered, TemplateId,
    Undelivered,
};
pub use partners::{Partner, PartnerDraft};
pub use people::{AccountFacts, DirectoryChange, Known, PersonFacts, SyncCounts};
pub use posts::Post;
pub use privacy::{ErasureRequest, Kept};
pub use rates::{Gone, Waiting};
pub use reach::{Said, Unreached};
pub use runs::{Claimed, Run};
pub use seals::{LEDGER_VERIFIED, StoredSeal};
pub use shelves::{Exempted, Listed};
pub use statement_posts::StatementPost;
pub use statements::{Approval, Overridden, Statement, StatementDraft, StatementVersion};
pub use stories::{Attempt, CameBack, DeliveryStory};
pub use tasks::{LATE, Task, TaskKind};

/// The one store: an embedded SQLite file, or a PostgreSQL server that several machines share.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file of our own.
    Sqlite(sqlx::SqlitePool),
    /// A server.
    Postgres(sqlx::PgPool),
}

/// One transaction. Dropped without [`Tx::commit`] it leaves nothing behind.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

/// What can go wrong between us and a database. Never holds what was in a row.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, or is not there.
    #[error("the database")]
    Database(#[from] sqlx::Error),
    /// The migrations did not fit the database.
    #[error("migrating the database")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A value that no version of ours writes.
    #[error("{table}.{column} of row {id} holds something this version does not know")]
    Strange {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// Which row.
        id: i64,
    },
    /// Somebody else moved the row first, or it is not there.
    #[error("{table} {id} is not what it was a moment ago, or does not exist")]
    Lost {
        /// Which table.
        table: &'static str,
        /// Which row.
        id: i64,
    },
    /// The URL names no database that we know.
    #[error("store.url must begin with sqlite: or postgres://")]
    Url,
    /// A set of rows that does not become JSON.
    #[error("writing a set of rows")]
    Set(#[from] serde_json::Error),
}

impl StoreError {
    /// Whether trying again later may help: the database is away, busy, or full.
    pub fn is_passing(&self) -> bool {
        self.cause().is_some_and(|cause| match cause {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        })
    }

    /// Whether the database has no room left: somebody has to make some.
    pub fn is_full(&self) -> bool {
        match self.cause() {
            Some(sqlx::Error::Io(error)) => error.kind() == std::io::ErrorKind::StorageFull,
            Some(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| code == "53100" || sqlite_code(&code) == Some(13)),
            _ => false,
        }
    }

    /// What the database said, wherever it said so.
    fn cause(&self) -> Option<&sqlx::Error> {
        use sqlx::migrate::MigrateError;
        match self {
            Self::Database(error)
            | Self::Migration(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            ) => Some(error),
            Self::Migration(_)
            | Self::Strange { .. }
            | Self::Lost { .. }
            | Self::Url
            | Self::Set(_) => None,
        }
    }
}

/// SQLite: busy 5, locked 6, I/O error 10, full 13. PostgreSQL: 40001, 40P01, 53xxx, 57Pxx, 58xxx (its own disk), 08xxx.
fn is_passing(code: &str) -> bool {
    sqlite_code(code).is_some_and(|code| matches!(code, 5 | 6 | 10 | 13))
        || ["40001", "40P01"].contains(&code)
        || ["53", "57P", "58", "08"]
            .iter()
            .any(|class| code.len() == 5 && code.starts_with(class))
}

/// The primary code of an extended one. PostgreSQL's have five characters, SQLite's at most four digits.
fn sqlite_code(code: &str) -> Option<u32> {
    let code: u32 = code.parse().ok().filter(|_| code.len() < 5)?;
    Some(code & 0xff)
}

/// Run one statement on whichever database this is.
macro_rules! on {
    ($tx:expr, $db:ident => $run:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $db = &mut **tx;
                $run
            }
            $crate::store::Tx::Postgres(tx) => {
                let $db = &mut **tx;
                $run
            }
        }
    };
}

/// Run one statement over a set of rows. `d` is the set, opened from the JSON text in `$1`; further binds start at `$2`.
///
/// `CROSS JOIN` keeps SQLite to the order that is written: it knows nothing of the sizes, and would rather open the set
/// again for each row of a table than look up a row for each of the set.
macro_rules! on_set {
    ($tx:expr, $rows:expr, [$($column:ident $kind:ident),+ $(,)?], $sql:expr, $make:expr, |$query:ident, $db:ident| $run:expr) => {{
        let rows = serde_json::to_string($rows)?;
        match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $db = &mut **tx;
                let $query = $make(concat!(
                    "WITH d AS (SELECT NULL AS unused", $(", value->>'", stringify!($column), "' AS ", stringify!($column),)+
                    // json_each would write each row as text for each of its columns, to be read again there.
                    " FROM jsonb_each($1)) ", $sql
                )).bind(rows);
                $run
            }
            $crate::store::Tx::Postgres(tx) => {
                let $db = &mut **tx;
                let $query = $make(concat!(
                    "WITH d AS (SELECT * FROM json_to_recordset($1::json) AS d (unused bigint",
                    $(", ", stringify!($column), " ", stringify!($kind),)+ ")) ", $sql
                )).bind(rows);
                $run
            }
        }
    }};
}

/// Run one statement over a list of numbers or texts. `d.value` is each, opened from the JSON text in `$1`; further binds
/// start at `$2`.
macro_rules! on_list {
    ($tx:expr, $list:expr, $kind:ident, $sql:expr, $make:expr, |$query:ident, $db:ident| $run:expr) => {{
        let list = serde_json::to_string($list)?;
        match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $db = &mut **tx;
                let $query = $make(concat!(
                    "WITH d AS (SELECT value FROM json_each($1)) ",
                    $sql
                ))
                .bind(list);
                $run
            }
            $crate::store::Tx::Postgres(tx) => {
                let $db = &mut **tx;
                let $query = $make(concat!(
                    "WITH d AS (SELECT CAST(value AS ",
                    stringify!($kind),
                    ") AS value FROM json_array_elements_text($1::json)) ",
                    $sql
                ))
                .bind(list);
                $run
            }
        }
    }};
}

/// Ask about a set of rows as with [`on_set!`], and get all answers as one JSON text, an array for each: SQLite's answers come
/// from another thread, row by row, and waking up for each costs more than reading the text.
macro_rules! on_set_as_text {
    ($tx:expr, $rows:expr, [$($column:ident $kind:ident),+ $(,)?], [$first:literal $(, $out:literal)* $(,)?], $from:literal, |$query:ident| $bound:expr) => {{
        let rows = serde_json::to_string($rows)?;
        let (text,): (String,) = match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $query = sqlx::query_as(concat!(
                    "WITH d AS (SELECT NULL AS unused", $(", value->>'", stringify!($column), "' AS ", stringify!($column),)+
                    " FROM jsonb_each($1)) SELECT COALESCE(CAST(json_group_array(json_array(", $first, $(", ", $out,)* ")) AS TEXT), '[]') ", $from
                )).bind(rows);
                $bound.fetch_one(&mut **tx).await?
            }
            $crate::store::Tx::Postgres(tx) => {
                let $query = sqlx::query_as(concat!(
                    "WITH d AS (SELECT * FROM json_to_recordset($1::json) AS d (unused bigint",
                    $(", ", stringify!($column), " ", stringify!($kind),)+
                    ")) SELECT COALESCE(CAST(json_agg(json_build_array(", $first, $(", ", $out,)* ")) AS TEXT), '[]') ", $from
                )).bind(rows);
                $bound.fetch_one(&mut **tx).await?
            }
        };
        text
    }};
}

pub(crate) use {on, on_list, on_set, on_set_as_text};

impl Store {
    /// Begins a transaction that may write: SQLite takes its one write lock at once, so that it waits for its turn
    /// here and not in the middle.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// Begins a transaction that only reads, and sees one moment of the database throughout.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite(pool) => Tx::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        })
    }

    /// Closes all connections; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Makes it so.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// The number that SQLite would give to the next row of a table, while its one write lock is ours.
    async fn next_number(&mut self, question: &'static str) -> Result<i64, StoreError> {
        let (number,): (i64,) = on!(self, db => sqlx::query_as(question).fetch_one(db).await)?;
        Ok(number)
    }

    /// Leaves nothing behind.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

/// Identities as a set of rows.
#[derive(Serialize)]
struct One {
    id: i64,
}

fn ids<I: IntoIterator<Item = i64>>(ids: I) -> Vec<One> {
    ids.into_iter().map(|id| One { id }).collect()
}

/// A lost race is an error, not a silent overwrite.
fn expect_one(changed: u64, table: &'static str, id: i64) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Lost { table, id })
    }
}

fn strange(table: &'static str, column: &'static str, id: i64) -> StoreError {
    StoreError::Strange { table, column, id }
}

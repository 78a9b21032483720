//! Seals: rows as bytes that are the same on both databases, the chain over them, and which of them nobody can add to any more.
//!
//! # Up to where rows are settled
//!
//! A range may be sealed once no transaction can still add a row to it. SQLite has one writer, who counts upwards: what is
//! committed is settled. PostgreSQL hands out numbers before it commits, so a lower one may appear after a higher one. But
//! whoever inserts takes the table's ROW EXCLUSIVE lock before a number is drawn, and keeps it to the end of the
//! transaction. So: read the highest number there is; then list who holds that lock; wait, without a lock of our own, until
//! none of those holds it. Every number up to that highest one was drawn before we listed, by one of those or by somebody who
//! was through already, and a commit is seen before its locks are let go. Whoever comes later draws a higher number. Looking
//! at `pg_snapshot_xmin` alone would not do: a number is drawn before its transaction gets an id of its own.

use std::collections::{BTreeSet, HashMap};

use data_encoding::{BASE64, HEXLOWER};
use sqlx::AssertSqlSafe;

use super::{StoreError, Tx, expect_one, on, strange};
use crate::domain::Moment;
use crate::domain::report::LedgerFacts;
use crate::domain::seal::{
    Column, Erasure, Link, SALT_BYTES, Seal, SealedTable, commitment, parts, personal_digest,
    unpack,
};

/// What the ledger says when somebody has walked along the chain.
pub const LEDGER_VERIFIED: &str = "ledger.verified";

/// A seal, and the salts of what its rows hide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSeal {
    /// The seal.
    pub seal: Seal,
    /// One after the other, in the order of the rows that hide something. Zeros: destroyed.
    pub salts: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct SealRow {
    number: i64,
    made_at: i64,
    table_name: String,
    after_id: i64,
    upto_id: i64,
    row_count: i64,
    rows_hash: String,
    previous: String,
    hash: String,
    signature: Option<String>,
    leaves: String,
    salts: String,
}

impl TryFrom<SealRow> for StoredSeal {
    type Error = StoreError;

    fn try_from(row: SealRow) -> Result<Self, StoreError> {
        let number = row.number;
        let bytes = |text: &str, column| {
            let read = BASE64.decode(text.as_bytes());
            read.map_err(|_| strange("seals", column, number))
        };
        Ok(Self {
            salts: bytes(&row.salts, "salts")?,
            seal: Seal {
                number,
                made_at: Moment::from_micros(row.made_at),
                table: SealedTable::from_word(&row.table_name)
                    .ok_or_else(|| strange("seals", "table_name", number))?,
                after: row.after_id,
                upto: row.upto_id,
                rows: row.row_count.unsigned_abs(),
                rows_hash: row.rows_hash,
                leaves: bytes(&row.leaves, "leaves")?,
                previous: row.previous,
                hash: row.hash,
                signature: row.signature,
            },
        })
    }
}

macro_rules! columns {
    () => {
        "number, made_at, table_name, after_id, upto_id, row_count, rows_hash, previous, hash, signature, leaves, salts"
    };
}

/// A statement about a sealed table, with its name between the two parts.
macro_rules! of {
    ($table:expr, $before:literal, $after:literal) => {
        match $table {
            SealedTable::Ledger => concat!($before, "ledger", $after),
            SealedTable::Audits => concat!($before, "audits", $after),
            SealedTable::Templates => concat!($before, "templates", $after),
            SealedTable::Bounces => concat!($before, "bounces", $after),
            SealedTable::Replies => concat!($before, "replies", $after),
            SealedTable::Containments => concat!($before, "containments", $after),
            SealedTable::StatementVersions => concat!($before, "statement_versions", $after),
            SealedTable::Awareness => concat!($before, "awareness", $after),
            SealedTable::DutyDecisions => concat!($before, "duty_decisions", $after),
            SealedTable::Erasures => concat!($before, "erasures", $after),
        }
    };
}

/// What puts another text in the place of one that is erased; none if the table has none.
const fn erasing(table: SealedTable) -> Option<&'static str> {
    match table {
        SealedTable::Ledger => Some("UPDATE ledger SET detail = $2 WHERE id = $1"),
        SealedTable::Bounces => Some("UPDATE bounces SET reply = $2 WHERE id = $1"),
        SealedTable::Containments => Some("UPDATE containments SET how = $2 WHERE id = $1"),
        SealedTable::Audits
        | SealedTable::Templates
        | SealedTable::Replies
        | SealedTable::StatementVersions
        | SealedTable::Awareness
        | SealedTable::DutyDecisions
        | SealedTable::Erasures => None,
    }
}

/// An expression that writes a row down as [`SealedTable::columns`] says.
fn written(table: SealedTable) -> String {
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|column| match column {
            Column::Number(name) => format!("COALESCE(CAST({name} AS TEXT), '-') || ','"),
            Column::Flag(name) => format!("CASE WHEN {name} THEN '1' ELSE '0' END || ','"),
            Column::Text(name) | Column::Personal(name) => {
                format!("COALESCE(CAST(OCTET_LENGTH({name}) AS TEXT) || ':' || {name}, '-')")
            }
        })
        .collect();
    columns.join(" || ")
}

impl Tx {
    /// The newest seal, or the newest that had been made by `as_of`. Number 0 if there is none.
    pub async fn newest_seal(&mut self, as_of: Option<Moment>) -> Result<Link, StoreError> {
        let by = as_of.map_or(i64::MAX, Moment::micros);
        let row: Option<(i64, String)> = on!(self, db => sqlx::query_as("SELECT number, hash FROM seals WHERE made_at <= $1 ORDER BY number DESC LIMIT 1")
            .bind(by).fetch_optional(db).await)?;
        Ok(row.map_or_else(Link::default, |(number, hash)| Link { number, hash }))
    }

    /// What a report says of the record as of a moment; none if nothing was sealed by then.
    pub async fn ledger_as_of(&mut self, as_of: Moment) -> Result<Option<LedgerFacts>, StoreError> {
        let head = self.newest_seal(Some(as_of)).await?;
        let (entries, upto): (Option<i64>, Option<i64>) = on!(self, db => sqlx::query_as(
            "SELECT CAST(SUM(row_count) AS BIGINT), MAX(CASE WHEN table_name = 'ledger' THEN upto_id END) FROM seals WHERE number <= $1",
        ).bind(head.number).fetch_one(db).await)?;
        let (first, last): (Option<i64>, Option<i64>) = on!(self, db => sqlx::query_as(
            "SELECT (SELECT at FROM ledger WHERE id = (SELECT MIN(id) FROM ledger)), (SELECT at FROM ledger WHERE id <= $1 ORDER BY id DESC LIMIT 1)",
        ).bind(upto).fetch_one(db).await)?;
        // The plus keeps SQLite at the few rows of its own index, whatever the time is.
        let walked: Option<(i64, Option<String>)> = on!(self, db => sqlx::query_as("SELECT at, detail FROM ledger WHERE act = 'ledger.verified' AND +at <= $1 ORDER BY id DESC LIMIT 1")
            .bind(as_of.micros()).fetch_optional(db).await)?;
        let (Some(entries), Some(first), Some(last)) = (entries, first, last) else {
            return Ok(None);
        };
        let breaks = walked.as_ref().and_then(|(_, detail)| {
            let detail: serde_json::Value = serde_json::from_str(detail.as_deref()?).ok()?;
            detail.get("breaks")?.as_u64()
        });
        Ok(Some(LedgerFacts {
            head: head.hash,
            entries: entries.unsigned_abs(),
            first_at: Moment::from_micros(first),
            last_at: Moment::from_micros(last),
            verified_at: walked.map(|(at, _)| Moment::from_micros(at)),
            gaps: breaks.unwrap_or(0),
        }))
    }

    /// Up to which number a table is sealed; the lowest there is if nothing of it is.
    pub async fn sealed_upto(&mut self, table: SealedTable) -> Result<i64, StoreError> {
        let (upto,): (Option<i64>,) = on!(self, db => sqlx::query_as("SELECT MAX(upto_id) FROM seals WHERE table_name = $1")
            .bind(table.word()).fetch_one(db).await)?;
        Ok(upto.unwrap_or(i64::MIN))
    }

    /// The highest number in a table, if it has any row.
    pub async fn highest(&mut self, table: SealedTable) -> Result<Option<i64>, StoreError> {
        let sql = of!(table, "SELECT MAX(id) FROM ", "");
        let (highest,): (Option<i64>,) = on!(self, db => sqlx::query_as(sql).fetch_one(db).await)?;
        Ok(highest)
    }

    /// Who may be adding rows to a table at this moment: transactions, by names that are never given twice. On SQLite nobody
    /// whose rows could come before those that are there.
    pub async fn writers(&mut self, table: SealedTable) -> Result<BTreeSet<String>, StoreError> {
        let Self::Postgres(tx) = self else {
            return Ok(BTreeSet::new());
        };
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted AND mode = 'RowExclusiveLock'
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND relation = CAST(CAST($1 AS TEXT) AS regclass)",
        )
        .bind(table.word())
        .fetch_all(&mut **tx)
        .await?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// The rows of a table above one number and not above another, `limit` at most, in the order of their numbers, as bytes:
    /// see [`parts`].
    pub async fn written_rows(
        &mut self,
        table: SealedTable,
        after: i64,
        upto: i64,
        limit: i64,
    ) -> Result<Vec<u8>, StoreError> {
        let rows = of!(
            table,
            "SELECT * FROM ",
            " WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
        );
        let rows = rows.replacen('*', &format!("{} AS written", written(table)), 1);
        let sql = ["SELECT", "string_agg(written, '') FROM (", &rows, ") r"].join(" ");
        // SQLite would keep a text that is none; the bytes are taken as they are.
        Ok(match self {
            Self::Sqlite(tx) => {
                let row: (Option<Vec<u8>>,) = sqlx::query_as(AssertSqlSafe(sql))
                    .bind(after)
                    .bind(upto)
                    .bind(limit)
                    .fetch_one(&mut **tx)
                    .await?;
                row.0.unwrap_or_default()
            }
            Self::Postgres(tx) => {
                let row: (Option<String>,) = sqlx::query_as(AssertSqlSafe(sql))
                    .bind(after)
                    .bind(upto)
                    .bind(limit)
                    .fetch_one(&mut **tx)
                    .await?;
                row.0.unwrap_or_default().into_bytes()
            }
        })
    }

    /// Adds a seal to the chain; false if somebody else has put one in its place.
    pub async fn add_seal(&mut self, sealed: &StoredSeal) -> Result<bool, StoreError> {
        let seal = &sealed.seal;
        let count = i64::try_from(seal.rows).unwrap_or(i64::MAX);
        let added = on!(self, db => sqlx::query(
            "INSERT INTO seals (number, made_at, table_name, after_id, upto_id, row_count, rows_hash, previous, hash, signature, leaves, salts)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (number) DO NOTHING",
        ).bind(seal.number).bind(seal.made_at.micros()).bind(seal.table.word()).bind(seal.after).bind(seal.upto).bind(count)
            .bind(&seal.rows_hash).bind(&seal.previous).bind(&seal.hash).bind(&seal.signature)
            .bind(BASE64.encode(&seal.leaves)).bind(BASE64.encode(&sealed.salts)).execute(db).await.map(|done| done.rows_affected()))?;
        Ok(added == 1)
    }

    /// The seals after a number, in their order.
    pub async fn seals(&mut self, after: i64, limit: i64) -> Result<Vec<StoredSeal>, StoreError> {
        let rows: Vec<SealRow> = on!(self, db => sqlx::query_as(concat!("SELECT ", columns!(), " FROM seals WHERE number > $1 ORDER BY number LIMIT $2"))
            .bind(after).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(StoredSeal::try_from).collect()
    }

    /// What was erased of a table's rows above one number and not above another, by row.
    pub async fn erasures(
        &mut self,
        table: SealedTable,
        after: i64,
        upto: i64,
    ) -> Result<HashMap<i64, Erasure>, StoreError> {
        let rows: Vec<(i64, String, String)> = on!(self, db => sqlx::query_as(
            "SELECT row_id, commitment, left_hash FROM erasures WHERE table_name = $1 AND row_id > $2 AND row_id <= $3",
        ).bind(table.word()).bind(after).bind(upto).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(row, commitment, left)| {
                let erasure = Erasure {
                    commitment: hash_of(&commitment)
                        .ok_or_else(|| strange("erasures", "commitment", row))?,
                    left: hash_of(&left).ok_or_else(|| strange("erasures", "left_hash", row))?,
                };
                Ok((row, erasure))
            })
            .collect()
    }

    /// How many rows of a table are above a number.
    pub async fn rows_above(&mut self, table: SealedTable, id: i64) -> Result<u64, StoreError> {
        let sql = of!(table, "SELECT COUNT(*) FROM ", " WHERE id > $1");
        let (count,): (i64,) = on!(self, db => sqlx::query_as(sql).bind(id).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }

    /// Erases what a human being typed in these rows of a table, and puts what is given in its place. The chain still holds,
    /// and nothing leads back to what stood there: its salt is destroyed. Rows that are not sealed yet, have nothing to
    /// erase, or were erased before stay as they are. How many were erased.
    pub async fn erase_texts(
        &mut self,
        table: SealedTable,
        rows: &[(i64, Option<String>)],
        now: Moment,
    ) -> Result<u64, StoreError> {
        let (Some(column), Some(sql)) = (table.personal(), erasing(table)) else {
            return Ok(0);
        };
        let mut rows: Vec<&(i64, Option<String>)> = rows.iter().collect();
        rows.sort_unstable();
        let (mut erased, mut open): (u64, Option<StoredSeal>) = (0, None);
        for (id, left) in rows {
            if open.as_ref().is_none_or(|open| open.seal.upto < *id) {
                self.keep_salts(open.take()).await?;
                open = self.seal_over(table, *id).await?;
            }
            let Some(sealed) = &mut open else { continue };
            let Some(salt) = salt_of(sealed, *id) else {
                continue;
            };
            let page = self.written_rows(table, *id - 1, *id, 1).await?;
            let text = parts(table, &page)
                .map_err(|_| strange(table.word(), column, *id))?
                .first()
                .and_then(|row| row.personal.map(<[u8]>::to_vec));
            let known = self.erasures(table, *id - 1, *id).await?;
            let (Some(text), true) = (text, known.is_empty()) else {
                continue;
            };
            let hidden = HEXLOWER.encode(&commitment(salt, &text));
            let stays = HEXLOWER.encode(&personal_digest(left.as_deref().map(str::as_bytes)));
            salt.fill(0);
            on!(self, db => sqlx::query("INSERT INTO erasures (table_name, row_id, commitment, left_hash, erased_at) VALUES ($1, $2, $3, $4, $5)")
                .bind(table.word()).bind(id).bind(hidden).bind(stays).bind(now.micros()).execute(db).await.map(|_| ()))?;
            let changed = on!(self, db => sqlx::query(sql).bind(id).bind(left).execute(db).await.map(|done| done.rows_affected()))?;
            expect_one(changed, table.word(), *id)?;
            erased += 1;
        }
        self.keep_salts(open).await?;
        Ok(erased)
    }

    /// The seal that covers a row.
    async fn seal_over(
        &mut self,
        table: SealedTable,
        id: i64,
    ) -> Result<Option<StoredSeal>, StoreError> {
        let row: Option<SealRow> = on!(self, db => sqlx::query_as(concat!("SELECT ", columns!(), " FROM seals WHERE table_name = $1 AND upto_id >= $2 AND after_id < $2 ORDER BY upto_id LIMIT 1"))
            .bind(table.word()).bind(id).fetch_optional(db).await)?;
        row.map(StoredSeal::try_from).transpose()
    }

    async fn keep_salts(&mut self, sealed: Option<StoredSeal>) -> Result<(), StoreError> {
        if let Some(sealed) = sealed {
            on!(self, db => sqlx::query("UPDATE seals SET salts = $2 WHERE number = $1").bind(sealed.seal.number).bind(BASE64.encode(&sealed.salts))
                .execute(db).await.map(|_| ()))?;
        }
        Ok(())
    }
}

/// The salt of a row's text; none if it hides nothing, or the salt was destroyed.
fn salt_of(sealed: &mut StoredSeal, id: i64) -> Option<&mut [u8; SALT_BYTES]> {
    let leaves = unpack(sealed.seal.after, &sealed.seal.leaves)?;
    let hiding: Vec<i64> = leaves
        .iter()
        .filter(|leaf| leaf.hides)
        .map(|leaf| leaf.id)
        .collect();
    let place = hiding.binary_search(&id).ok()?;
    let salt = sealed
        .salts
        .as_chunks_mut::<SALT_BYTES>()
        .0
        .get_mut(place)?;
    (*salt != [0; SALT_BYTES]).then_some(salt)
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

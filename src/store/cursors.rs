//! Cursors: from where each source need only tell what changed since.

use super::{StoreError, Tx, on};
use crate::domain::Moment;

/// Where a source was read to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Of the source: `evidence:` and its name in the config.
    pub name: String,
    /// What it was read with. With other settings the position means nothing.
    pub settings: String,
    /// In the source's own words; none if it remembers nothing.
    pub position: Option<String>,
    /// When all of it was last read, not only what changed.
    pub swept_at: Option<Moment>,
    /// When it was last read.
    pub read_at: Moment,
}

type Columns = (String, String, Option<String>, Option<i64>, i64);

impl Tx {
    /// Where a source was read to; none if it never was.
    pub async fn cursor(&mut self, name: &str) -> Result<Option<Cursor>, StoreError> {
        let row: Option<Columns> = on!(self, db => sqlx::query_as("SELECT name, settings, position, swept_at, read_at FROM cursors WHERE name = $1")
            .bind(name).fetch_optional(db).await)?;
        Ok(
            row.map(|(name, settings, position, swept_at, read_at)| Cursor {
                name,
                settings,
                position,
                swept_at: swept_at.map(Moment::from_micros),
                read_at: Moment::from_micros(read_at),
            }),
        )
    }

    /// Writes down where a source was read to, in place of what was known. To be called in the transaction that saves the
    /// last of what was read.
    pub async fn keep_cursor(&mut self, cursor: &Cursor) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO cursors (name, settings, position, swept_at, read_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET
                 settings = excluded.settings, position = excluded.position, swept_at = excluded.swept_at, read_at = excluded.read_at",
        ).bind(&cursor.name).bind(&cursor.settings).bind(&cursor.position).bind(cursor.swept_at.map(Moment::micros)).bind(cursor.read_at.micros())
            .execute(db).await.map(|_| ()))?;
        Ok(())
    }
}

//! Backups: a copy of the database as of one moment, while others write; and what is looked at before one is put back.

use std::path::Path;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::{Store, StoreError};

impl Store {
    /// Copies a SQLite database into an empty file, as of one moment; whoever writes goes on. False on PostgreSQL, which has a
    /// program of its own for that.
    pub async fn copy_into(&self, file: &Path) -> Result<bool, StoreError> {
        let Self::Sqlite(pool) = self else {
            return Ok(false);
        };
        sqlx::query("VACUUM INTO $1")
            .bind(file.display().to_string())
            .execute(pool)
            .await?;
        Ok(true)
    }

    /// Whether a file is a whole SQLite database of ours. It is not changed.
    pub async fn is_copy(file: &Path) -> Result<bool, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .immutable(true);
        let mut db = match SqliteConnection::connect_with(&options).await {
            Ok(db) => db,
            Err(sqlx::Error::Database(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let looked = async {
            let whole: Vec<(String,)> = sqlx::query_as("PRAGMA quick_check")
                .fetch_all(&mut db)
                .await?;
            let (ours,): (i64,) = sqlx::query_as(
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('_sqlx_migrations', 'ledger', 'settled')",
            )
            .fetch_one(&mut db)
            .await?;
            Ok::<bool, sqlx::Error>(ours == 3 && matches!(&whole[..], [(said,)] if said == "ok"))
        };
        match looked.await {
            Err(sqlx::Error::Database(_)) => Ok(false),
            looked => Ok(looked?),
        }
    }

    /// Whether there is any table in a PostgreSQL database.
    pub async fn holds_tables(url: &str, password: Option<&str>) -> Result<bool, StoreError> {
        let mut options = PgConnectOptions::from_str(url)?;
        if let Some(password) = password {
            options = options.password(password);
        }
        let mut db = PgConnection::connect_with(&options).await?;
        let (tables,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
        )
        .fetch_one(&mut db)
        .await?;
        db.close().await?;
        Ok(tables > 0)
    }
}

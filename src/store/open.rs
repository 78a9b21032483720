//! URL → pool, pragmas, migrations, and the few values that are settled once.

use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::{Store, StoreError, on};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

impl Store {
    /// Opens the database that `url` names and brings it to this version's schema. A SQLite file is made if need be.
    ///
    /// `password` is PostgreSQL's, where it does not stand in the URL.
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        let store = if url.starts_with("sqlite:") {
            Self::Sqlite(sqlite(url).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::Postgres(postgres(url, password).await?)
        } else {
            return Err(StoreError::Url);
        };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(pool) => SQLITE.run(pool).await?,
            Self::Postgres(pool) => POSTGRES.run(pool).await?,
        }
        Ok(())
    }

    /// What this version's schema is made by.
    pub(super) fn migrations(&self) -> &'static Migrator {
        match self {
            Self::Sqlite(_) => &SQLITE,
            Self::Postgres(_) => &POSTGRES,
        }
    }

    /// The key that Message-IDs and bounce addresses are made with; 32 random bytes, settled at the first start.
    pub async fn site_key(&self) -> Result<Vec<u8>, StoreError> {
        let fresh = HEXLOWER.encode(&rand::random::<[u8; 32]>());
        let mut tx = self.begin().await?;
        on!(&mut tx, db => sqlx::query("INSERT INTO settled (name, value) VALUES ('site_key', $1) ON CONFLICT (name) DO NOTHING").bind(fresh).execute(db).await.map(|_| ()))?;
        let (kept,): (String,) = on!(&mut tx, db => sqlx::query_as("SELECT value FROM settled WHERE name = 'site_key'").fetch_one(db).await)?;
        tx.commit().await?;
        HEXLOWER
            .decode(kept.as_bytes())
            .map_err(|_| super::strange("settled", "value", 0))
    }
}

async fn sqlite(url: &str) -> Result<sqlx::SqlitePool, StoreError> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .auto_vacuum(SqliteAutoVacuum::None)
        .foreign_keys(true)
        // A big audit holds the one write lock for a while; whoever has sent a letter waits to record it.
        .busy_timeout(Duration::from_secs(600))
        // Freed pages and cells are overwritten: what retention deletes is gone from the file as well.
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", "16777216")
        // In KiB: the indexes that a big audit writes to in no order, instead of reading their pages again and again.
        .pragma("cache_size", "-16384")
        // A question with many answers wakes its asker now and then, and not for each.
        .row_buffer_size(512)
        .statement_cache_capacity(200)
        .disable_statement_logging();
    // One writer at a time is SQLite's nature; a few more connections let reports read meanwhile.
    Ok(SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(600))
        // A full or failing disk makes SQLite roll back by itself. sqlx then cannot, and takes the connection for one that
        // is in a transaction for ever: it would refuse every further one.
        .before_acquire(|connection, _| {
            Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
        })
        .connect_with(options)
        .await?)
}

async fn postgres(url: &str, password: Option<&str>) -> Result<sqlx::PgPool, StoreError> {
    let mut options = PgConnectOptions::from_str(url)?
        .application_name("bell")
        .disable_statement_logging();
    if let Some(password) = password {
        options = options.password(password);
    }
    Ok(PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options)
        .await?)
}

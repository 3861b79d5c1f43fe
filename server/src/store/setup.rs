//! A database before it is used: its roles, its schema, and whether this build fits it.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateDatabase, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, Postgres};

use super::{Error, Result, Store};

/// Every migration, in the binary.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// How long a request waits for a free connection to the database before it is told that the database is busy.
const CONNECTION_WAIT_MS_MAX: u64 = 5_000;

/// How long a transaction waits for a row that another one holds. Shorter than the journal's patience: whatever a stalled
/// transaction holds itself is let go then, so that a document held from outside holds up no other.
const LOCK_WAIT_MS_MAX: &str = "4000";

/// Why the schema could not be brought up to date, or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database lacks migrations that this build has.
    #[error("the database's schema is too old: it lacks {missing} migration(s), first {first}; run `samspil migrate`")]
    TooOld {
        /// How many are missing.
        missing: usize,
        /// The first of them.
        first: i64,
    },
    /// The database has migrations that this build does not know.
    #[error("the database's schema is too new: migration {version} was applied by a later samspil; start that one instead")]
    TooNew {
        /// The unknown migration.
        version: i64,
    },
    /// A migration was edited after it had been applied.
    #[error("migration {version} in the database is not the one in this build; the two do not belong together")]
    Altered {
        /// The migration.
        version: i64,
    },
    /// The role that the server runs as is not there.
    #[error("the role samspil_app does not exist; create it first: CREATE ROLE samspil_app LOGIN PASSWORD '…'")]
    NoAppRole,
    /// `PostgreSQL` was built without ICU, so names cannot be sorted as Danes sort them.
    #[error("this PostgreSQL has no ICU, which Danish sorting needs; use one that has (Debian's has)")]
    NoIcu,
    /// A migration failed.
    #[error("the migration failed")]
    Migrate(#[from] MigrateError),
    /// The database failed, or cannot be reached.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
}

/// Whether a server answers there.
pub async fn answers(url: &str) -> bool {
    let Ok(options) = url.parse::<PgConnectOptions>() else { return false };
    match options.connect().await {
        Ok(connection) => connection.close().await.is_ok(),
        Err(_) => false,
    }
}

/// Makes the two roles of a private cluster, where they are missing.
pub async fn roles(superuser_url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(superuser_url).await?;
    sqlx::raw_sql(
        "DO $$ BEGIN
             IF to_regrole('samspil_owner') IS NULL THEN CREATE ROLE samspil_owner LOGIN; END IF;
             IF to_regrole('samspil_app') IS NULL THEN CREATE ROLE samspil_app LOGIN; END IF;
         END $$",
    )
    .execute(&mut connection)
    .await?;
    Ok(connection.close().await?)
}

/// Makes the database of a private cluster, where it is missing; the owner role owns it.
pub async fn database(superuser_url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(superuser_url).await?;
    let exists = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'samspil') AS "exists!""#)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        sqlx::raw_sql("CREATE DATABASE samspil OWNER samspil_owner").execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// Brings the schema up to date, as the owner; returns how many migrations that took.
pub async fn migrate(owner_url: &str) -> std::result::Result<usize, SchemaError> {
    let mut connection = PgConnection::connect(owner_url).await?;
    let facts = sqlx::query!(
        r#"SELECT to_regrole('samspil_app') IS NOT NULL AS "app_role!",
                  EXISTS (SELECT FROM pg_collation WHERE collname = 'da-x-icu') AS "icu!""#
    )
    .fetch_one(&mut connection)
    .await?;
    if !facts.app_role {
        return Err(SchemaError::NoAppRole);
    }
    if !facts.icu {
        return Err(SchemaError::NoIcu);
    }
    connection.ensure_migrations_table(&MIGRATIONS.table_name).await?;
    let before = connection.list_applied_migrations(&MIGRATIONS.table_name).await?.len();
    MIGRATIONS.run_direct(None, &mut connection, false).await?;
    let after = connection.list_applied_migrations(&MIGRATIONS.table_name).await?.len();
    // `serve` looks there whether the schema fits.
    sqlx::raw_sql("GRANT SELECT ON _sqlx_migrations TO samspil_app").execute(&mut connection).await?;
    connection.close().await?;
    Ok(after - before)
}

impl Store {
    /// Connects as the app. The database need not answer yet; whoever asks first learns whether it does.
    pub fn connect(url: &str, connections_max: u32) -> std::result::Result<Self, SchemaError> {
        let options = url.parse::<PgConnectOptions>()?.application_name("samspil").options([("lock_timeout", LOCK_WAIT_MS_MAX)]);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_millis(CONNECTION_WAIT_MS_MAX))
            // A connection would keep room for the longest question and answer that it ever carried, each of them a whole document's.
            .after_release(|connection, _| {
                connection.shrink_buffers();
                Box::pin(async { Ok(true) })
            })
            .connect_lazy_with(options);
        Ok(Self::new(pool))
    }

    /// Whether the schema is exactly the one that this build was made for.
    pub async fn check_schema(&self) -> std::result::Result<(), SchemaError> {
        let mut connection = self.pool().acquire().await?;
        let applied = match connection.list_applied_migrations(&MIGRATIONS.table_name).await {
            Ok(applied) => applied,
            Err(MigrateError::Execute(error)) if no_such_table(&error) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for migration in &applied {
            match MIGRATIONS.iter().find(|known| known.version == migration.version) {
                None => return Err(SchemaError::TooNew { version: migration.version }),
                Some(known) if known.checksum != migration.checksum => {
                    return Err(SchemaError::Altered { version: migration.version });
                }
                Some(_) => {}
            }
        }
        let missing: Vec<_> = MIGRATIONS.iter().map(|known| known.version).skip(applied.len()).collect();
        match missing.first() {
            Some(first) => Err(SchemaError::TooOld { missing: missing.len(), first: *first }),
            None => Ok(()),
        }
    }

    /// Whether the database takes writes: it is no standby, and nobody has set it to read only.
    pub async fn takes_writes(&self) -> std::result::Result<bool, SchemaError> {
        let writes = sqlx::query_scalar!(r#"SELECT current_setting('transaction_read_only') = 'off' AS "writes!""#);
        Ok(writes.fetch_one(self.pool()).await?)
    }

    /// How many connections are (used, idle).
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        let idle = u32::try_from(self.pool().num_idle()).unwrap_or(u32::MAX);
        (self.pool().size().saturating_sub(idle), idle)
    }

    /// Lets go of every connection.
    pub async fn close(&self) {
        self.pool().close().await;
    }
}

/// `undefined_table`: nobody has migrated this database yet.
fn no_such_table(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "42P01")
}

/// Makes a database as a copy of `template1`: for tests, which migrate that one once.
pub async fn create_database(url: &str) -> Result<()> {
    Ok(Postgres::create_database(url).await?)
}

/// Removes a database that a test made, whoever is still connected.
pub async fn drop_database(url: &str) -> Result<()> {
    Postgres::force_drop_database(url).await.map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[sqlx::test(migrations = "../migrations")]
    async fn database_connections_max(_: PgPoolOptions, options: PgConnectOptions) {
        let store = Store::connect(options.to_url_lossy().as_str(), 2).unwrap();
        let first = store.begin().await.unwrap();
        assert_eq!(store.pool().size(), 1);
        let _second = store.begin().await.unwrap();
        assert_eq!(store.pool().size(), 2);
        let mut third = pin!(store.begin());
        assert!(third.as_mut().now_or_never().is_none(), "there is none left");
        first.rollback().await.unwrap();
        third.await.expect("whoever waits gets the first that is given back");
        assert_eq!(store.pool().size(), 2, "and a third one was never opened");
    }
}

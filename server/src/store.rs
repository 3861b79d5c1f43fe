//! What survives: the only place with SQL. Reads take `&Store`, changes take `&mut Transaction`; whoever calls `begin` calls
//! `commit`, in the same function. "Not found" is `Ok(None)`.

use sqlx::{PgPool, Postgres};

pub mod agreements;
pub mod anchors;
pub mod audit;
pub mod bench;
pub mod chain;
pub mod checkpoints;
pub mod comments;
pub mod creation;
pub mod documents;
pub mod goals;
pub mod governance;
pub mod import;
pub mod journal;
pub mod life;
pub mod log;
pub mod mail;
pub mod meetings;
pub mod moment;
pub mod notices;
pub mod papers;
pub mod people;
pub mod proposals;
pub mod revisions;
pub mod sessions;
pub mod setup;
pub mod sign_ins;
pub mod signoffs;
pub mod timestamps;

/// The database, as the role that may not alter the trail. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

/// A transaction that has not been committed yet; dropped, it is rolled back.
pub type Transaction = sqlx::Transaction<'static, Postgres>;

/// The database failed, or a row does not fit our types.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database answered with an error, or not at all.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A row holds something this build does not know.
    #[error("row of {table} holds a {what} this build does not know: {value}")]
    Unknown {
        /// Which table.
        table: &'static str,
        /// Which field.
        what: &'static str,
        /// Its value.
        value: String,
    },
}

impl Error {
    /// Did the database refuse the data itself (SQLSTATE classes 22, 23, and 54: more than it can hold, e.g. in an index)? Everything
    /// else may pass when tried again.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Error::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
            }
            Error::Database(_) => false,
            Error::Unknown { .. } => true,
        }
    }

    /// The constraint that was hit, by name, if that is what happened.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Error::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }
}

impl Error {
    /// Does the database not answer at all just now, rather than refuse what was asked?
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Error::Database(sqlx::Error::Database(error)) => {
                // Class 08: connection; 53: out of something; 57P: shut down, starting up.
                error.code().is_some_and(|code| ["08", "53", "57P"].iter().any(|class| code.starts_with(class)))
            }
            Error::Database(error) => matches!(
                error,
                sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed
            ),
            Error::Unknown { .. } => false,
        }
    }
}

/// What the functions of this module return.
pub type Result<T> = std::result::Result<T, Error>;

impl Store {
    /// A store over this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The pool, for modules of `store`.
    #[must_use]
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Transaction> {
        Ok(self.pool.begin().await?)
    }
}

/// For tests: a store as the server has it, whose role may not do more than the server's.
///
/// Its pool is its own and patient: the one that a test is given borrows its connections from a pool of all tests, and gives up after
/// 30 s, which the long tests beside it on a slow machine can outlast.
#[cfg(test)]
impl Store {
    pub(crate) async fn as_app(connect: sqlx::postgres::PgConnectOptions) -> Self {
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(5)
            .idle_timeout(std::time::Duration::from_secs(1))
            .acquire_timeout(std::time::Duration::from_mins(2));
        Self::new(pool.connect_with(connect.options([("role", "samspil_app")])).await.unwrap())
    }
}

//! The database as it was at one moment, for whoever checks all of it beside a server that works.

use sqlx::{
    Executor as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Store, setup::SchemaError};

impl Store {
    /// Connects as the app, to see the database as it was at the first question, whatever happens in it afterwards: whoever checks everything
    /// beside a server that works would take what comes meanwhile for altered. Nothing is written through it.
    pub fn at_one_moment(url: &str) -> std::result::Result<Self, SchemaError> {
        let options = url.parse::<PgConnectOptions>()?.application_name("samspil check");
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await.map(drop) })
            })
            .connect_lazy_with(options);
        Ok(Self::new(pool))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;

    use super::*;

    /// Beside a server that works: what comes after the first question is not there, and nothing is written.
    #[sqlx::test(migrations = "../migrations")]
    async fn whoever_checks_everything_sees_one_moment(_: PgPoolOptions, options: PgConnectOptions) {
        let url = options.to_url_lossy();
        let (store, still) = (Store::connect(url.as_str(), 1).unwrap(), Store::at_one_moment(url.as_str()).unwrap());
        let trail = uuid::Uuid::from_u128(7);
        let append = async |store: &Store| {
            let mut transaction = store.begin().await.unwrap();
            let at = chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap();
            let appended = crate::store::audit::append(&mut transaction, trail, "frozen", None, serde_json::json!({}), at).await;
            transaction.commit().await.unwrap();
            appended
        };
        append(&store).await.unwrap();
        assert_eq!(still.trail(trail).await.unwrap().len(), 1);
        append(&store).await.unwrap();
        assert_eq!((store.trail(trail).await.unwrap().len(), still.trail(trail).await.unwrap().len()), (2, 1));
        assert!(append(&still).await.is_err());
    }
}

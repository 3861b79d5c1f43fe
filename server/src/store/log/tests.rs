//! Two transactions at once: what an append sees of a right that is being taken away.

use sqlx::PgPool;

use super::*;
use crate::{
    import::{self, Mode, Source},
    store::sessions::{self, NewSession},
};

fn now() -> DateTime<Utc> {
    "2026-11-23T13:30:00+01:00".parse().unwrap()
}

const SESSION: SessionId = SessionId(Uuid::from_u128(7));

/// A document of the demo and a batch of one update for it, by a person who is signed in.
async fn demo(pool: PgPool) -> (Store, Batch) {
    let store = Store::new(pool);
    import::run(Source::Demo, &store, now(), Mode::Apply).await.unwrap();
    let row = sqlx::query!("SELECT id, head, access_version FROM document WHERE slug = 'agr-2027-oesterklit'");
    let row = row.fetch_one(store.pool()).await.unwrap();
    let document = DocumentId(row.id);
    let person = sqlx::query!("SELECT id, access_version FROM person ORDER BY id LIMIT 1").fetch_one(store.pool()).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    let new = NewSession {
        id: SESSION,
        token_hash: vec![7],
        person: PersonId(person.id),
        issuer: "https://idp.example".into(),
        subject: "7".into(),
        sid: None,
        roles: Vec::new(),
        id_token: None,
        auth_time: None,
        acr: None,
        created_at: now(),
        expires_at: now() + chrono::TimeDelta::hours(12),
    };
    sessions::insert(&mut transaction, &new).await.unwrap();
    transaction.commit().await.unwrap();
    let batch = Batch {
        document,
        head: unsigned(row.head),
        versions: Versions {
            document: row.access_version,
            persons: vec![(PersonId(person.id), person.access_version)],
            sessions: vec![(SESSION, 0)],
        },
        rows: vec![Row { person: PersonId(person.id), session: SESSION, payload: Bytes::from_static(&[0, 0]), hash: [0; 32] }],
        clients: Vec::new(),
        projection: None,
        at: now(),
    };
    (store, batch)
}

async fn head(store: &Store, document: DocumentId) -> u64 {
    let head = sqlx::query_scalar!("SELECT head FROM document WHERE id = $1", document.0).fetch_one(store.pool()).await.unwrap();
    let rows = sqlx::query_scalar!(r#"SELECT max(seq) AS "seq!" FROM document_update WHERE document_id = $1"#, document.0);
    assert_eq!(rows.fetch_one(store.pool()).await.unwrap(), head, "the head is the newest row");
    unsigned(head)
}

/// Waits until somebody in this database waits for a lock.
async fn somebody_waits(store: &Store) {
    let waiting = || {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock') AS "waits!""#
        )
        .fetch_one(store.pool())
    };
    while !waiting().await.unwrap() {
        tokio::task::yield_now().await;
    }
}

#[derive(Clone, Copy, Debug)]
enum Taken {
    Document,
    Person,
    Session,
}

async fn take(transaction: &mut Transaction, taken: Taken, batch: &Batch) {
    let person = batch.versions.persons[0].0;
    match taken {
        Taken::Document => sqlx::query!("UPDATE document SET access_version = access_version + 1 WHERE id = $1", batch.document.0),
        Taken::Person => sqlx::query!("UPDATE person SET access_version = access_version + 1 WHERE id = $1", person.0),
        Taken::Session => sqlx::query!("UPDATE session SET access_version = access_version + 1 WHERE id = $1", SESSION.0),
    }
    .execute(&mut **transaction)
    .await
    .unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn g5_no_update_commits_after_the_revocation_commits(pool: PgPool) {
    let (store, mut batch) = demo(pool).await;
    for taken in [Taken::Document, Taken::Person, Taken::Session] {
        let before = head(&store, batch.document).await;
        let mut revocation = store.begin().await.unwrap();
        take(&mut revocation, taken, &batch).await;
        let appending = tokio::spawn({
            let (store, batch) = (store.clone(), batch.clone());
            async move { append(&store, &[&batch]).await }
        });
        // It has read nothing that it could commit on: it waits for the revocation.
        somebody_waits(&store).await;
        revocation.commit().await.unwrap();
        let appended = appending.await.unwrap();
        assert!(
            matches!(&appended, Err(NotAppended::AccessChanged(documents)) if *documents == [batch.document]),
            "{taken:?}: {appended:?}"
        );
        assert_eq!(head(&store, batch.document).await, before, "{taken:?}");
        match taken {
            Taken::Document => batch.versions.document += 1,
            Taken::Person => batch.versions.persons[0].1 += 1,
            Taken::Session => batch.versions.sessions[0].1 += 1,
        }
    }
    let before = head(&store, batch.document).await;
    assert_eq!(append(&store, &[&batch]).await.unwrap(), [before + 1], "under the versions as they are now it is written");
    assert_eq!(head(&store, batch.document).await, before + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_appends_at_once_get_one_place_each(pool: PgPool) {
    let (store, batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    // Holds the row as another node's append would, and raises the head.
    let mut other = store.begin().await.unwrap();
    raise_heads(&mut other, &[&batch]).await.unwrap();
    insert_rows(&mut other, &[&batch], &[before + 1]).await.unwrap();
    let appending = tokio::spawn({
        let (store, batch) = (store.clone(), batch.clone());
        async move { append(&store, &[&batch]).await }
    });
    somebody_waits(&store).await;
    other.commit().await.unwrap();
    assert_eq!(appending.await.unwrap().unwrap(), [before + 2]);
    assert_eq!(head(&store, batch.document).await, before + 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_builds_on_words_that_a_restored_database_lacks_is_not_written(pool: PgPool) {
    let (store, mut batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    batch.head = before + 3;
    let appended = append(&store, &[&batch]).await;
    assert!(matches!(&appended, Err(NotAppended::Rewound(documents)) if *documents == [batch.document]), "{appended:?}");
    assert_eq!(head(&store, batch.document).await, before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_that_touches_no_right_is_waited_for_and_then_the_words_are_written(pool: PgPool) {
    let (store, batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    // New rows under the same versions: the session is noted as used, the person gets a title.
    for (place, person) in [(1, false), (2, true)] {
        let mut touching = store.begin().await.unwrap();
        if person {
            sqlx::query!("UPDATE person SET title = 'Rektor' WHERE id = $1", batch.versions.persons[0].0.0).execute(&mut *touching).await
        } else {
            sqlx::query!("UPDATE session SET seen_at = $2 WHERE id = $1", SESSION.0, now()).execute(&mut *touching).await
        }
        .unwrap();
        let appending = tokio::spawn({
            let (store, batch) = (store.clone(), batch.clone());
            async move { append(&store, &[&batch]).await }
        });
        somebody_waits(&store).await;
        touching.commit().await.unwrap();
        assert_eq!(appending.await.unwrap().unwrap(), [before + place]);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_the_goals_look_like_is_not_said_without_another_nodes_words(pool: PgPool) {
    let (store, mut batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    assert_eq!(append(&store, &[&batch]).await.unwrap(), [before + 1]);
    // Admitted before that was here: the words find a place, a projection of the whole document does not.
    assert_eq!(append(&store, &[&batch]).await.unwrap(), [before + 2]);
    batch.projection = Some(crate::content::Projection::default());
    let appended = append(&store, &[&batch]).await;
    assert!(matches!(&appended, Err(NotAppended::Behind(documents)) if *documents == [batch.document]), "{appended:?}");
    assert_eq!(head(&store, batch.document).await, before + 2);
    batch.head = before + 2;
    assert_eq!(append(&store, &[&batch]).await.unwrap(), [before + 3]);
}

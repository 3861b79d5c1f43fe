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
    let row = sqlx::query!("SELECT id, head, access_version FROM document WHERE slug = 'agr-2027-fjordskolen'");
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
        anchors: Vec::new(),
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
            async move { store.appender().append(&[&batch]).await }
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
    assert_eq!(store.appender().append(&[&batch]).await.unwrap(), [before + 1], "under the versions as they are now it is written");
    assert_eq!(head(&store, batch.document).await, before + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_appends_at_once_get_one_place_each(pool: PgPool) {
    let (store, batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    // Holds the row as another node's append would, and raises the head.
    let mut other = store.begin().await.unwrap();
    append_updates(&mut other, &[&batch], FirstWords::Elsewhere).await.unwrap().unwrap();
    let appending = tokio::spawn({
        let (store, batch) = (store.clone(), batch.clone());
        async move { store.appender().append(&[&batch]).await }
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
    let appended = store.appender().append(&[&batch]).await;
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
            async move { store.appender().append(&[&batch]).await }
        });
        somebody_waits(&store).await;
        touching.commit().await.unwrap();
        assert_eq!(appending.await.unwrap().unwrap(), [before + place]);
    }
}

/// The same person's words for another document.
async fn elsewhere(store: &Store, batch: &Batch, slug: &str) -> Batch {
    let row = sqlx::query!("SELECT id, head, access_version FROM document WHERE slug = $1", slug).fetch_one(store.pool()).await.unwrap();
    let versions = Versions { document: row.access_version, ..batch.versions.clone() };
    Batch { document: DocumentId(row.id), head: unsigned(row.head), versions, ..batch.clone() }
}

/// Is this row held by a transaction that is under way?
async fn is_held(store: &Store, taken: Taken, batch: &Batch) -> bool {
    let person = batch.versions.persons[0].0;
    match taken {
        Taken::Document => sqlx::query_scalar!("SELECT id FROM document WHERE id = $1 FOR UPDATE SKIP LOCKED", batch.document.0),
        Taken::Person => sqlx::query_scalar!("SELECT id FROM person WHERE id = $1 FOR UPDATE SKIP LOCKED", person.0),
        Taken::Session => sqlx::query_scalar!("SELECT id FROM session WHERE id = $1 FOR UPDATE SKIP LOCKED", SESSION.0),
    }
    .fetch_optional(store.pool())
    .await
    .unwrap()
    .is_none()
}

#[sqlx::test(migrations = "../migrations")]
async fn g5_documents_are_locked_first_then_persons_then_sessions(pool: PgPool) {
    let (store, batch) = demo(pool).await;
    let order = [Taken::Document, Taken::Person, Taken::Session];
    for (place, held) in order.into_iter().enumerate() {
        let mut other = store.begin().await.unwrap();
        take(&mut other, held, &batch).await;
        let appending = tokio::spawn({
            let (store, batch) = (store.clone(), batch.clone());
            async move { store.appender().append(&[&batch]).await }
        });
        somebody_waits(&store).await;
        for (other, taken) in order.into_iter().enumerate().filter(|(other, _)| *other != place) {
            assert_eq!(is_held(&store, taken, &batch).await, other < place, "{taken:?} while it waits for {held:?}");
        }
        other.rollback().await.unwrap();
        appending.await.unwrap().unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn g5_documents_are_locked_in_ascending_order(pool: PgPool) {
    let (store, batch) = demo(pool).await;
    let mut batches = [elsewhere(&store, &batch, "agr-2027-klitskolen").await, batch];
    batches.sort_by_key(|batch| batch.document);
    let mut other = store.begin().await.unwrap();
    take(&mut other, Taken::Document, &batches[0]).await;
    let appending = tokio::spawn({
        let (store, [first, second]) = (store.clone(), batches.clone());
        async move { store.appender().append(&[&second, &first]).await }
    });
    somebody_waits(&store).await;
    assert!(!is_held(&store, Taken::Document, &batches[1]).await, "the second is not taken before the first");
    other.rollback().await.unwrap();
    appending.await.unwrap().unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_refused_names_its_document_and_nothing_of_the_others_is_written(pool: PgPool) {
    let (store, fine) = demo(pool).await;
    let other = elsewhere(&store, &fine, "agr-2027-klitskolen").await;
    let before = (head(&store, fine.document).await, head(&store, other.document).await);
    let changed = |change: fn(&mut Batch)| {
        let mut batch = other.clone();
        change(&mut batch);
        batch
    };
    let revoked = [
        changed(|batch| batch.versions.document += 1),
        changed(|batch| batch.versions.persons[0].1 += 1),
        changed(|batch| batch.versions.sessions[0].1 += 1),
        changed(|batch| batch.versions.persons.push((PersonId(Uuid::nil()), 0))),
        changed(|batch| batch.versions.sessions.push((SessionId(Uuid::nil()), 0))),
    ];
    for (case, batch) in revoked.iter().enumerate() {
        let appended = store.appender().append(&[&fine, batch]).await;
        assert!(matches!(&appended, Err(NotAppended::AccessChanged(documents)) if *documents == [batch.document]), "{case}: {appended:?}");
    }
    let rewound = changed(|batch| batch.head += 1);
    let appended = store.appender().append(&[&fine, &rewound]).await;
    assert!(matches!(&appended, Err(NotAppended::Rewound(documents)) if *documents == [rewound.document]), "{appended:?}");
    let missing = changed(|batch| batch.document = DocumentId(Uuid::nil()));
    let appended = store.appender().append(&[&fine, &missing]).await;
    assert!(matches!(&appended, Err(NotAppended::AccessChanged(documents)) if *documents == [missing.document]), "{appended:?}");
    // Two batches for one document would get the same places; the database refuses that.
    let appended = store.appender().append(&[&fine, &other, &other]).await;
    assert!(matches!(&appended, Err(NotAppended::Store(error)) if error.is_refusal()), "{appended:?}");
    assert_eq!((head(&store, fine.document).await, head(&store, other.document).await), before);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_client_id_belongs_to_who_used_it_first_until_it_is_retired(pool: PgPool) {
    let (store, mut batch) = demo(pool).await;
    let (document, person) = (batch.document, batch.versions.persons[0].0);
    let somebody = sqlx::query_scalar!("SELECT id FROM person WHERE id <> $1 ORDER BY id LIMIT 1", person.0);
    let somebody = PersonId(somebody.fetch_one(store.pool()).await.unwrap());
    let before = head(&store, document).await;
    batch.clients = vec![(41, person), (42, person)];
    assert_eq!(store.appender().append(&[&batch]).await.unwrap(), [before + 1]);
    batch.clients = vec![(42, person)];
    assert_eq!(store.appender().append(&[&batch]).await.unwrap(), [before + 2], "their own again is fine");

    batch.clients = vec![(43, person), (42, somebody)];
    let appended = store.appender().append(&[&batch]).await;
    assert!(matches!(&appended, Err(NotAppended::ClientTaken(documents)) if *documents == [document]), "{appended:?}");
    let log = store.log(document, ReadFrom::Snapshot).await.unwrap().unwrap();
    assert!(log.owners.iter().all(|owner| owner.client != 43), "nothing of a batch that is refused is kept");

    sqlx::query!("UPDATE document_client SET retired = true WHERE document_id = $1", document.0).execute(store.pool()).await.unwrap();
    batch.clients = vec![(41, person)];
    let appended = store.appender().append(&[&batch]).await;
    assert!(matches!(&appended, Err(NotAppended::ClientTaken(documents)) if *documents == [document]), "{appended:?}");
    assert_eq!(head(&store, document).await, before + 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn first_words_begin_the_draft_once_and_on_record(pool: PgPool) {
    let (store, batch) = demo(pool).await;
    let unbegun = sqlx::query!(
        r#"SELECT d.slug AS "slug!", a.id FROM document d JOIN agreement a ON a.current_document_id = d.id WHERE d.status = 'not_started' LIMIT 1"#
    );
    let unbegun = unbegun.fetch_one(store.pool()).await.unwrap();
    let first = elsewhere(&store, &batch, &unbegun.slug).await;
    let (events, before) = (store.trail(unbegun.id).await.unwrap().len(), head(&store, first.document).await);
    let mut appender = store.appender();
    let mut both = [&first, &batch];
    both.sort_by_key(|batch| batch.document);
    appender.append(&both).await.unwrap();
    let status = sqlx::query_scalar!("SELECT status FROM document WHERE id = $1", first.document.0);
    assert_eq!(status.fetch_one(store.pool()).await.unwrap(), "drafting");
    let trail = store.trail(unbegun.id).await.unwrap();
    assert_eq!((trail.len(), trail[events].0.kind.as_str()), (events + 1, "status_changed"));
    assert_eq!(trail[events].0.person, Some(first.rows[0].person.0));

    appender.append(&both).await.unwrap();
    assert_eq!(store.trail(unbegun.id).await.unwrap().len(), events + 1, "second words begin nothing");
    assert_eq!(head(&store, first.document).await, before + 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_server_s_own_role_may_append(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let (store, batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    let app = Store::as_app(options).await;
    assert_eq!(app.appender().append(&[&batch]).await.unwrap(), [before + 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_a_line_that_broke_a_new_one_is_made(pool: PgPool) {
    let (store, batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    let mut appender = store.appender();
    appender.append(&[&batch]).await.unwrap();
    let lines = sqlx::query_scalar!(
        r#"SELECT count(pg_terminate_backend(pid)) AS "count!" FROM pg_stat_activity
           WHERE datname = current_database() AND query LIKE 'SELECT append_updates%'"#
    );
    assert_eq!(lines.fetch_one(store.pool()).await.unwrap(), 1);
    let appended = appender.append(&[&batch]).await;
    assert!(matches!(&appended, Err(NotAppended::Store(error)) if !error.is_refusal()), "{appended:?}");
    assert_eq!(appender.append(&[&batch]).await.unwrap(), [before + 2]);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_the_goals_look_like_is_not_said_without_another_nodes_words(pool: PgPool) {
    let (store, mut batch) = demo(pool).await;
    let before = head(&store, batch.document).await;
    assert_eq!(store.appender().append(&[&batch]).await.unwrap(), [before + 1]);
    // Admitted before that was here: the words find a place, a projection of the whole document does not.
    assert_eq!(store.appender().append(&[&batch]).await.unwrap(), [before + 2]);
    batch.projection = Some(crate::content::Projection::default());
    let appended = store.appender().append(&[&batch]).await;
    assert!(matches!(&appended, Err(NotAppended::Behind(documents)) if *documents == [batch.document]), "{appended:?}");
    assert_eq!(head(&store, batch.document).await, before + 2);
    batch.head = before + 2;
    assert_eq!(store.appender().append(&[&batch]).await.unwrap(), [before + 3]);
}

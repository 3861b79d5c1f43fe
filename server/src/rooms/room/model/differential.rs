//! The database of the model and the real one are given the same transactions and must give the same answers: otherwise everything that
//! is shown about the model would be about a toy.

use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    super::tests::id,
    database::{Database, LeftOut, NotAppended, Rights},
};
use crate::{
    domain::ids::{DocumentId, PersonId, SessionId},
    import::{self, Mode, Source},
    store::{
        Store,
        log::{self, Batch, ReadFrom, Row, Versions},
        sessions::{self, NewSession},
    },
};

const TRANSACTIONS: usize = 400;
/// As in the batches that are made here: small enough that every answer is met often.
const CLIENTS: std::ops::Range<u64> = 1..9;

fn now() -> DateTime<Utc> {
    "2026-11-23T13:30:00+01:00".parse().unwrap()
}

/// A document of the demo with three people who are signed in, on disk and in the model alike.
async fn both(pool: PgPool) -> (Store, Database, DocumentId, Vec<(PersonId, SessionId)>) {
    let store = Store::new(pool);
    import::run(Source::Demo, &store, now(), Mode::Apply).await.unwrap();
    let document = sqlx::query!("SELECT id, access_version FROM document WHERE slug = 'agr-2027-oesterklit'");
    let document = document.fetch_one(store.pool()).await.unwrap();
    let rows = sqlx::query!("SELECT id, access_version FROM person ORDER BY id LIMIT 3").fetch_all(store.pool()).await.unwrap();
    let mut people = Vec::new();
    let mut transaction = store.begin().await.unwrap();
    for (number, person) in (7..).zip(&rows) {
        let session = SessionId(id(number));
        let new = NewSession {
            id: session,
            token_hash: vec![u8::try_from(number).unwrap()],
            person: PersonId(person.id),
            issuer: "https://idp.example".into(),
            subject: number.to_string(),
            sid: None,
            roles: Vec::new(),
            id_token: None,
            auth_time: None,
            acr: None,
            created_at: now(),
            expires_at: now() + chrono::TimeDelta::hours(12),
        };
        sessions::insert(&mut transaction, &new).await.unwrap();
        people.push((PersonId(person.id), session));
    }
    transaction.commit().await.unwrap();
    let log = store.log(DocumentId(document.id), ReadFrom::Beginning).await.unwrap().unwrap();
    let mut model = Database::new(people.iter().map(|(_, session)| *session));
    model.log = log.updates.into_iter().map(|update| update.payload).collect();
    model.owners = log.owners.into_iter().map(|owner| (owner.client, (owner.person, owner.retired))).collect();
    model.document_version = document.access_version;
    model.persons = rows.iter().map(|person| (PersonId(person.id), (person.access_version, Rights::Writes))).collect();
    (store, model, DocumentId(document.id), people)
}

/// A batch that is mostly as it should be, and now and then admitted under something old.
fn batch(random: &mut StdRng, model: &Database, document: DocumentId, people: &[(PersonId, SessionId)]) -> Batch {
    let old = |random: &mut StdRng, version: i64| if random.random_ratio(1, 12) { version - 1 } else { version };
    let writers: Vec<(PersonId, SessionId)> = people.iter().copied().filter(|_| random.random()).collect();
    let writers = if writers.is_empty() { vec![people[0]] } else { writers };
    let rows = (0..random.random_range(1..4)).map(|_| {
        let (person, session) = *writers.choose(random).unwrap();
        Row { person, session, payload: vec![0, 0].into(), hash: random.random() }
    });
    let rows: Vec<Row> = rows.collect();
    let head = model.head();
    let clients = (0..random.random_range(0..3)).map(|_| (random.random_range(CLIENTS), writers.choose(random).unwrap().0));
    let clients = clients.collect();
    Batch {
        document,
        head: match random.random_range(0..10) {
            0 => head + random.random_range(1..3),
            1..4 => head.saturating_sub(random.random_range(0..3)),
            _ => head,
        },
        versions: Versions {
            document: old(random, model.document_version),
            persons: writers.iter().map(|(person, _)| (*person, old(random, model.persons[person].0))).collect(),
            sessions: writers.iter().map(|(_, session)| (*session, old(random, model.sessions[session].0))).collect(),
        },
        rows,
        clients,
        projection: random.random_ratio(1, 5).then(crate::content::Projection::default),
        anchors: Vec::new(),
        at: now(),
    }
}

/// Something that takes or gives rights, done to both.
async fn change(random: &mut StdRng, store: &Store, model: &mut Database, document: DocumentId, people: &[(PersonId, SessionId)]) {
    let (person, session) = *people.choose(random).unwrap();
    match random.random_range(0..4) {
        0 => {
            model.document_version += 1;
            sqlx::query!("UPDATE document SET access_version = access_version + 1 WHERE id = $1", document.0).execute(store.pool()).await
        }
        1 => {
            model.set_rights(person, Rights::Writes);
            sqlx::query!("UPDATE person SET access_version = access_version + 1 WHERE id = $1", person.0).execute(store.pool()).await
        }
        2 => {
            model.end(session);
            sqlx::query!("UPDATE session SET access_version = access_version + 1 WHERE id = $1", session.0).execute(store.pool()).await
        }
        _ => {
            let client = random.random_range(CLIENTS);
            model.owners.entry(client).and_modify(|owner| owner.1 = true);
            let client = i64::try_from(client).unwrap();
            sqlx::query!("UPDATE document_client SET retired = true WHERE document_id = $1 AND client_id = $2", document.0, client)
                .execute(store.pool())
                .await
        }
    }
    .unwrap();
}

async fn on_disk(store: &Store, document: DocumentId) -> (u64, Vec<bytes::Bytes>, Vec<(u64, (Option<PersonId>, bool))>) {
    let log = store.log(document, ReadFrom::Beginning).await.unwrap().unwrap();
    let mut owners: Vec<_> = log.owners.into_iter().map(|owner| (owner.client, (owner.person, owner.retired))).collect();
    owners.sort_unstable_by_key(|(client, _)| *client);
    (log.head, log.updates.into_iter().map(|update| update.payload).collect(), owners)
}

#[sqlx::test(migrations = "../migrations")]
async fn the_database_of_the_model_answers_as_postgresql_does(pool: PgPool) {
    let (store, mut model, document, people) = both(pool).await;
    let mut appender = store.appender();
    let mut random = StdRng::seed_from_u64(7);
    let mut met = [0; 5];
    for number in 0..TRANSACTIONS {
        if random.random_ratio(1, 8) {
            change(&mut random, &store, &mut model, document, &people).await;
        }
        let batch = batch(&mut random, &model, document, &people);
        let found = match appender.append(&[&batch]).await {
            Ok(first) => Ok(first[0]),
            Err(log::NotAppended::AccessChanged(_)) => Err(NotAppended::AccessChanged),
            Err(log::NotAppended::Rewound(_)) => Err(NotAppended::Rewound),
            Err(log::NotAppended::Behind(_)) => Err(NotAppended::Behind),
            Err(log::NotAppended::ClientTaken(_)) => Err(NotAppended::ClientTaken),
            Err(log::NotAppended::Store(error)) => panic!("transaction {number}: {error}"),
        };
        let expected = model.append(&batch, LeftOut::default());
        assert_eq!(found, expected, "transaction {number}: {batch:?}");
        let model_says = (model.head(), model.log.clone(), model.owners.iter().map(|(client, owner)| (*client, *owner)).collect());
        assert_eq!(on_disk(&store, document).await, model_says, "transaction {number}: {batch:?}");
        met[match expected {
            Ok(_) => 0,
            Err(NotAppended::AccessChanged) => 1,
            Err(NotAppended::Rewound) => 2,
            Err(NotAppended::Behind) => 3,
            Err(NotAppended::ClientTaken) => 4,
        }] += 1;
    }
    assert!(met.iter().all(|times| *times >= 3), "every answer was met: {met:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_room_reads_after_a_seq_is_the_end_of_the_log(pool: PgPool) {
    let (store, mut model, document, people) = both(pool).await;
    let mut appender = store.appender();
    let mut random = StdRng::seed_from_u64(8);
    for _ in 0..20 {
        let batch = Batch { projection: None, ..batch(&mut random, &model, document, &people) };
        // Both take it, or neither; that is held elsewhere.
        let _ = appender.append(&[&batch]).await;
        let _ = model.append(&batch, LeftOut::default());
        let after = random.random_range(0..=model.head());
        let (found, expected) = (store.log(document, ReadFrom::After(after)).await.unwrap().unwrap(), model.read(after));
        assert_eq!(found.head, expected.head);
        let seqs = |log: &log::Log| log.updates.iter().map(|update| (update.seq, update.payload.clone())).collect::<Vec<_>>();
        assert_eq!(seqs(&found), seqs(&expected));
        let heads = store.versions(&[document], &[], &[]).await.unwrap().heads;
        assert_eq!(heads[&document], expected.head);
        assert_eq!(heads.get(&DocumentId(Uuid::from_u128(7))), None);
    }
}

//! Rights are taken away while people type: a text is frozen, a person loses their place, a sign-in ends. Each is silent within moments,
//! and not one update of theirs commits after the revocation did (G5). Figure F10 of reliability-security §7.

use std::sync::Arc;
use std::time::Duration;

use samspil_server::config::Limits;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::harness::{Live, Prepared, TestServer, faults, first_section};

/// Two people write in each; each of them is silenced eight times in two ways and with the other.
const DOCUMENTS: u32 = 125;
/// So many documents at a time: the storm is the rights', not the machine's.
const AT_ONCE: usize = 12;

/// What is taken away, in one transaction with a new access version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revocation {
    /// The text is frozen for signing: both are silenced, and stay.
    Freeze,
    /// A person's places are taken away.
    Place,
    /// A person's sign-in ends.
    SignIn,
}

const FREEZE: &str = "UPDATE document SET status = 'ready_to_sign', access_version = access_version + 1 WHERE id = $1";
const THAW: &str = "UPDATE document SET status = 'in_dialogue', access_version = access_version + 1 WHERE id = $1";
const TAKE_PLACE: &str =
    "WITH gone AS (DELETE FROM person_role WHERE person_id = $1 RETURNING *), kept AS (INSERT INTO taken SELECT * FROM gone)
     UPDATE person SET access_version = access_version + 1 WHERE id = $1";
const GIVE_PLACE: &str =
    "WITH back AS (DELETE FROM taken WHERE person_id = $1 RETURNING *), given AS (INSERT INTO person_role SELECT * FROM back)
     UPDATE person SET access_version = access_version + 1 WHERE id = $1";
const END_SIGN_IN: &str = "UPDATE session SET ended_at = now(), access_version = access_version + 1 WHERE person_id = $1";

/// One person at a document, who types all the time.
struct Typist {
    live: Live,
    section: String,
    person: Uuid,
}

impl Typist {
    async fn sit_down(prepared: &Prepared, number: usize) -> Self {
        let live = Live::open(prepared.doors[number].clone()).await;
        let section = first_section(&live.content());
        let person = live.hello.as_ref().unwrap().person.id;
        let mut typist = Self { live, section, person };
        typist.key().await;
        typist
    }

    /// Presses a key, and hears what becomes of it.
    async fn key(&mut self) {
        self.live.type_in(&self.section, 0, "x").await;
        self.live.until("heard", |live| live.settled() || live.closed.is_some()).await;
    }

    fn is_silenced(&self) -> bool {
        self.live.closed.is_some() || self.live.abilities.last().is_some_and(|told| !told.abilities.edit)
    }

    /// Types until told not to; answers when that was.
    async fn type_until_silenced(&mut self) -> Instant {
        while !self.is_silenced() {
            self.key().await;
        }
        Instant::now()
    }
}

/// Takes something away from this person at this document. Answers when that was committed, and where the log stood: with the row of
/// the right locked, nothing of theirs can have come after what the log says now.
async fn take_away(database: &mut PgConnection, what: Revocation, document: Uuid, person: Uuid) -> (Instant, i64) {
    let (statement, whose) = match what {
        Revocation::Freeze => (FREEZE, document),
        Revocation::Place => (TAKE_PLACE, person),
        Revocation::SignIn => (END_SIGN_IN, person),
    };
    let mut transaction = database.begin().await.unwrap();
    sqlx::query(statement).bind(whose).execute(&mut *transaction).await.unwrap();
    let head = sqlx::query_scalar("SELECT head FROM document WHERE id = $1").bind(document).fetch_one(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    (Instant::now(), head)
}

/// What these people have in the log after this place.
async fn committed_after(database: &mut PgConnection, document: Uuid, head: i64, people: &[Uuid]) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM document_update WHERE document_id = $1 AND seq > $2 AND person_id = ANY($3)")
        .bind(document)
        .bind(head)
        .bind(people)
        .fetch_one(database)
        .await
        .unwrap()
}

/// How long each of the two was heard after each revocation.
async fn storm(prepared: Prepared, mut database: PgConnection) -> Vec<Duration> {
    let document = prepared.document;
    let mut silences = Vec::new();
    for what in [Revocation::Freeze, Revocation::Place, Revocation::Freeze, Revocation::SignIn] {
        let (mut one, mut other) = (Typist::sit_down(&prepared, 0).await, Typist::sit_down(&prepared, 1).await);
        let people = [one.person, other.person];
        if what == Revocation::Freeze {
            let (one_silent, other_silent, (at, head)) =
                tokio::join!(one.type_until_silenced(), other.type_until_silenced(), take_away(&mut database, what, document, people[0]));
            assert_eq!(committed_after(&mut database, document, head, &people).await, 0, "{what:?}: committed after it had");
            for typist in [&mut one, &mut other] {
                typist.key().await;
                assert!(typist.live.closed.is_none() && typist.live.refused.last().is_some(), "they read on, and are refused");
            }
            silences.extend([one_silent, other_silent].map(|silent| silent.saturating_duration_since(at)));
            sqlx::query(THAW).bind(document).execute(&mut database).await.unwrap();
            continue;
        }
        // One loses it while both type; then the other does.
        for (mut silenced, person) in [(one, people[0]), (other, people[1])] {
            let (silent, (at, head)) = tokio::join!(silenced.type_until_silenced(), take_away(&mut database, what, document, person));
            assert_eq!(committed_after(&mut database, document, head, &[person]).await, 0, "{what:?}: committed after it had");
            let code = if what == Revocation::Place { 4403 } else { 4401 };
            assert_eq!(silenced.live.until_closed().await.0, code, "{what:?}");
            silences.push(silent.saturating_duration_since(at));
        }
        if what == Revocation::Place {
            for person in people {
                sqlx::query(GIVE_PLACE).bind(person).execute(&mut database).await.unwrap();
            }
        }
    }
    silences
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_f10_a_thousand_times_somebody_loses_the_right_to_write_and_nothing_of_theirs_commits_after() {
    let limits = Limits { peer_updates_per_s: 100_000, peer_updates_burst: 100_000, peer_cpu_ms_per_10s: 100_000, ..Limits::default() };
    let server = TestServer::start_with(limits).await;
    sqlx::query("CREATE TABLE taken (LIKE person_role)").execute(&mut server.superuser().await).await.unwrap();
    let documents = DOCUMENTS * u32::try_from(faults()).unwrap();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut storms = JoinSet::new();
    for prepared in server.prepare(documents, 2, 0).await {
        let (places, url) = (places.clone(), server.superuser_url());
        storms.spawn(async move {
            let _place = places.acquire().await.unwrap();
            storm(prepared, PgConnection::connect(&url).await.unwrap()).await
        });
    }
    let mut silences: Vec<Duration> = storms.join_all().await.into_iter().flatten().collect();
    silences.sort_unstable();
    let at = |percent: usize| silences[silences.len() * percent / 100];
    println!("F10 silenced {} times · p50 {:?} p99 {:?} · updates accepted after: 0", silences.len(), at(50), at(99));
    assert_eq!(silences.len(), documents as usize * 8);
    server.stop().await;
}

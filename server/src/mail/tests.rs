//! What is settled and what is sent, against a real database and a mail server that can say no.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use uuid::Uuid;

use super::*;
use crate::import::{self, Mode, Source};

fn at(minutes: i64) -> DateTime<Utc> {
    "2026-11-23T12:30:00Z".parse::<DateTime<Utc>>().unwrap() + Duration::minutes(minutes)
}

/// A mail server on loopback. It refuses the first mails as told, and keeps the others.
struct MailServer {
    url: Secret,
    kept: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    async fn start(refusals: usize, with: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Secret::new(format!("smtp://{}", listener.local_addr().unwrap()));
        let kept: Arc<Mutex<Vec<String>>> = Arc::default();
        let (mails, left) = (kept.clone(), Arc::new(AtomicUsize::new(refusals)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mails, left) = (mails.clone(), left.clone());
                tokio::spawn(async move {
                    let (read, mut write) = stream.into_split();
                    let mut lines = BufReader::new(read).lines();
                    write.write_all(b"220 mail.example.dk\r\n").await.unwrap();
                    let mut mail: Option<String> = None;
                    while let Ok(Some(line)) = lines.next_line().await {
                        let answer = match &mut mail {
                            Some(_) if line == "." => {
                                mails.lock().unwrap().extend(mail.take());
                                "250 kept"
                            }
                            Some(words) => {
                                words.push_str(&line);
                                words.push('\n');
                                continue;
                            }
                            None if line.starts_with("MAIL")
                                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() =>
                            {
                                with
                            }
                            None if line == "DATA" => {
                                mail = Some(String::new());
                                "354 go on"
                            }
                            None => "250 so be it",
                        };
                        write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { url, kept }
    }

    fn kept(&self) -> Vec<String> {
        self.kept.lock().unwrap().clone()
    }
}

struct World {
    store: Store,
    server: MailServer,
    leader: PersonId,
    head: PersonId,
    document: Uuid,
    agreement: Uuid,
    thread: Uuid,
}

impl World {
    async fn new(pool: PgPool, server: MailServer) -> Self {
        let store = Store::new(pool);
        import::run(Source::Demo, &store, at(0), Mode::Apply).await.unwrap();
        let row = sqlx::query!(
            "SELECT t.id, t.document_id, v.agreement_id, a.unit_leader_id, a.counterpart_id FROM thread t
             JOIN agreement_version v USING (document_id) JOIN agreement a ON a.id = v.agreement_id JOIN org_node o ON o.id = a.unit_id
             WHERE o.slug = 'fjordskolen' AND t.quote IS NOT NULL ORDER BY t.number LIMIT 1"
        )
        .fetch_one(store.pool())
        .await
        .unwrap();
        sqlx::query!("DELETE FROM notification").execute(store.pool()).await.unwrap();
        Self {
            store,
            server,
            leader: PersonId(row.unit_leader_id),
            head: PersonId(row.counterpart_id),
            document: row.document_id,
            agreement: row.agreement_id,
            thread: row.id,
        }
    }

    /// Something to tell the leader.
    async fn happens(&self, kind: NoticeKind, when: DateTime<Utc>) -> Uuid {
        let id = Uuid::now_v7();
        sqlx::query!(
            "INSERT INTO notification (id, person_id, kind, document_id, thread_id, caused_by, at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            id,
            self.leader.0,
            notice::kind_id(kind),
            self.document,
            self.thread,
            self.head.0,
            when
        )
        .execute(self.store.pool())
        .await
        .unwrap();
        id
    }

    /// One round of the worker at this moment.
    async fn round(&self, when: DateTime<Utc>) {
        let mail = Mail::Smtp(self.server.url.clone());
        let public_url = "https://samspil.klitfjord.example";
        let postman = Postman::new(self.store.clone(), Clock::frozen(when), &mail, None, public_url, Duration::minutes(10));
        postman.unwrap().unwrap().round().await.unwrap();
    }

    async fn choose(&self, kind: NoticeKind, way: NoticeWay) {
        let mut transaction = self.store.begin().await.unwrap();
        store::notices::choose(&mut transaction, self.leader, kind, way).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn r3_ten_comments_in_ten_minutes_are_one_mail(pool: PgPool) {
    let world = World::new(pool, MailServer::start(0, "").await).await;
    for minute in 0..10 {
        world.happens(NoticeKind::Comment, at(minute)).await;
        world.round(at(minute)).await;
    }
    assert_eq!(world.server.kept(), Vec::<String>::new(), "it waits for more");
    world.round(at(10)).await;
    let kept = world.server.kept();
    assert_eq!(kept.len(), 1);
    let mail = &kept[0];
    assert!(mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{mail}");
    assert!(mail.contains("List-Unsubscribe: <https://samspil.klitfjord.example/mail/unsubscribe/"), "{mail}");
    assert!(mail.contains("Auto-Submitted: auto-generated") && mail.contains("@samspil.klitfjord.example>"), "{mail}");
    assert!(mail.contains("text/plain") && mail.contains("text/html"), "{mail}");
    let sent = &world.store.sent_mails(10).await.unwrap()[0];
    assert_eq!(sent.letter.subject.split(':').nth(1), Some(" 10 nye kommentarer"), "{}", sent.letter.subject);
    let link = format!("https://samspil.klitfjord.example/agreements/{}#thread-{}", world.agreement, world.thread);
    assert_eq!(sent.letter.plain.matches(&link).count(), 10);
    world.round(at(60)).await;
    assert_eq!(world.server.kept().len(), 1, "told once");
}

#[sqlx::test(migrations = "../migrations")]
async fn r3_each_kind_goes_the_way_that_was_chosen(pool: PgPool) {
    let world = World::new(pool, MailServer::start(0, "").await).await;
    world.choose(NoticeKind::Comment, NoticeWay::Off).await;
    world.choose(NoticeKind::Reply, NoticeWay::InApp).await;
    world.choose(NoticeKind::Mention, NoticeWay::AtOnce).await;
    world.happens(NoticeKind::Comment, at(0)).await;
    world.happens(NoticeKind::Reply, at(0)).await;
    world.round(at(60)).await;
    assert_eq!(world.server.kept().len(), 0);
    world.happens(NoticeKind::Mention, at(61)).await;
    world.round(at(61)).await;
    assert_eq!(world.server.kept().len(), 1, "at once");
}

#[sqlx::test(migrations = "../migrations")]
async fn r3_what_was_read_or_may_not_be_seen_any_more_is_not_mailed(pool: PgPool) {
    let world = World::new(pool, MailServer::start(0, "").await).await;
    let read = world.happens(NoticeKind::Mention, at(0)).await;
    let mut transaction = world.store.begin().await.unwrap();
    store::notices::read_up_to(&mut transaction, world.leader, read, at(1)).await.unwrap();
    transaction.commit().await.unwrap();
    world.round(at(20)).await;
    assert_eq!(world.server.kept().len(), 0);

    world.happens(NoticeKind::Mention, at(21)).await;
    sqlx::query!("DELETE FROM person_role WHERE person_id = $1", world.leader.0).execute(world.store.pool()).await.unwrap();
    world.round(at(40)).await;
    assert_eq!(world.server.kept().len(), 0, "who lost the right is told nothing");
}

#[sqlx::test(migrations = "../migrations")]
async fn r2_what_concerns_a_signature_is_mailed_although_it_was_read(pool: PgPool) {
    let world = World::new(pool, MailServer::start(0, "").await).await;
    for (mails, kind) in notice::ALWAYS.into_iter().enumerate() {
        let minute = i64::try_from(mails).unwrap() * 10;
        let read = world.happens(kind, at(minute)).await;
        let mut transaction = world.store.begin().await.unwrap();
        store::notices::read_up_to(&mut transaction, world.leader, read, at(minute)).await.unwrap();
        transaction.commit().await.unwrap();
        world.round(at(minute)).await;
        assert_eq!(world.server.kept().len(), mails + 1, "{kind:?}");
        world.round(at(minute + 5)).await;
        assert_eq!(world.server.kept().len(), mails + 1, "{kind:?}, once");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_mail_server_that_is_busy_is_tried_again_and_gets_the_mail_once(pool: PgPool) {
    let world = World::new(pool, MailServer::start(2, "451 busy").await).await;
    world.happens(NoticeKind::Mention, at(0)).await;
    world.round(at(10)).await;
    world.round(at(10)).await;
    assert_eq!(world.server.kept().len(), 0, "not before its time");
    world.round(at(11)).await;
    assert_eq!(world.server.kept().len(), 0, "the second refusal");
    world.round(at(12)).await;
    assert_eq!(world.server.kept().len(), 0, "twice as long the second time");
    world.round(at(13)).await;
    world.round(at(100)).await;
    assert_eq!(world.server.kept().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_mail_that_is_refused_for_good_is_given_up_with_its_reason(pool: PgPool) {
    let world = World::new(pool, MailServer::start(1, "550 no such person").await).await;
    world.happens(NoticeKind::Mention, at(0)).await;
    world.round(at(10)).await;
    let row =
        sqlx::query!(r#"SELECT given_up_at IS NOT NULL AS "given_up!", last_error FROM mail"#).fetch_one(world.store.pool()).await.unwrap();
    assert!(row.given_up && row.last_error.as_deref().is_some_and(|error| error.contains("550")), "{:?}", row.last_error);
    world.round(at(10_000)).await;
    assert_eq!(world.server.kept().len(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_mail_whose_worker_died_is_anothers_after_a_while(pool: PgPool) {
    let world = World::new(pool, MailServer::start(0, "").await).await;
    world.happens(NoticeKind::Mention, at(0)).await;
    // Settled, taken, and then the worker is gone.
    let mail = Mail::Smtp(Secret::new("smtp://127.0.0.1:1"));
    let postman =
        Postman::new(world.store.clone(), Clock::frozen(at(10)), &mail, None, "https://samspil.klitfjord.example", Duration::minutes(10));
    postman.unwrap().unwrap().settle(world.leader).await.unwrap();
    assert!(world.store.take_mail(at(10), TAKEN_FOR).await.unwrap().is_some());
    world.round(at(11)).await;
    assert_eq!(world.server.kept().len(), 0);
    world.round(at(12)).await;
    assert_eq!(world.server.kept().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn rfc_8058_the_address_in_the_mail_ends_its_kinds(pool: PgPool) {
    let world = World::new(pool, MailServer::start(0, "").await).await;
    world.happens(NoticeKind::Mention, at(0)).await;
    world.round(at(10)).await;
    let address = world.store.sent_mails(1).await.unwrap()[0].unsubscribe.clone();
    let secret = BASE64_URL_SAFE_NO_PAD.decode(address.rsplit('/').next().unwrap()).unwrap();
    assert_eq!(world.store.unsubscribes(sha256(&secret)).await.unwrap(), Some((world.leader, vec![NoticeKind::Mention])));
    assert_eq!(world.store.unsubscribes([0; 32]).await.unwrap(), None);
}

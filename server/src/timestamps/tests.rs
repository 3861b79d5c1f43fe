use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::*;

#[path = "../../evidence/tests/openssl/authority.rs"]
mod authority;
use authority::{Authority as Openssl, EXPIRED, P256, RSA};

/// How the authority behaves just now.
const UP: u8 = 0;
const DOWN: u8 = 1;
const ABOUT_SOMETHING_ELSE: u8 = 2;
const ANSWERS_AN_OLD_QUESTION: u8 = 3;

struct Behind {
    openssl: Openssl,
    mood: AtomicU8,
    old: std::sync::Mutex<Option<Vec<u8>>>,
}

async fn stamp(State(behind): State<Arc<Behind>>, question: Bytes) -> (StatusCode, Vec<u8>) {
    match behind.mood.load(Ordering::SeqCst) {
        DOWN => return (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
        ABOUT_SOMETHING_ELSE => {
            return (StatusCode::OK, behind.openssl.answer(&timestamp::request(&sha256(b"noget andet"), &[1; 16])));
        }
        ANSWERS_AN_OLD_QUESTION => return (StatusCode::OK, behind.old.lock().unwrap().clone().unwrap()),
        _ => {}
    }
    let answer = behind.openssl.answer(&question);
    *behind.old.lock().unwrap() = Some(answer.clone());
    (StatusCode::OK, answer)
}

/// A server in front of `openssl ts`, on loopback; answers its address.
async fn serve(openssl: Openssl) -> (Arc<Behind>, String) {
    let behind = Arc::new(Behind { openssl, mood: AtomicU8::new(UP), old: std::sync::Mutex::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tsr", listener.local_addr().unwrap());
    let router = Router::new().route("/tsr", post(stamp)).with_state(behind.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (behind, url)
}

async fn checkpoint(pool: &PgPool, number: i64) {
    sqlx::query("INSERT INTO seal_key (kid, jwk, since) VALUES ('k', '{}', now()) ON CONFLICT DO NOTHING").execute(pool).await.unwrap();
    sqlx::query("INSERT INTO checkpoint (number, note, seal_kid, at) VALUES ($1, $2, 'k', now())")
        .bind(number)
        .bind(format!("kontrolpunkt {number}\n"))
        .execute(pool)
        .await
        .unwrap();
}

fn stamper(store: &Store, urls: &[String], certificates: String) -> Stamper {
    let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
    Stamper::new(store.clone(), Clock::frozen(now), &Timestamps { urls: urls.to_vec(), certificates }).unwrap().unwrap()
}

/// A round in which everybody may be asked.
async fn ask(stamper: &mut Stamper) {
    stamper.authorities.iter_mut().for_each(|authority| authority.not_before = None);
    stamper.round().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn every_new_checkpoint_is_stamped_once_the_authority_answers_as_it_should(pool: PgPool) {
    let store = Store::new(pool.clone());
    let (behind, url) = serve(Openssl::new(P256)).await;
    let mut stamper = stamper(&store, &[url], behind.openssl.root());
    ask(&mut stamper).await;
    checkpoint(&pool, 1).await;
    ask(&mut stamper).await;
    let [first] = &store.stamps(1).await.unwrap()[..] else { panic!("not stamped") };
    let trusted = Authorities::from_pem(first.certificates.as_bytes()).unwrap();
    let kept = timestamp::check(&first.answer, &sha256(b"kontrolpunkt 1\n"), &trusted).unwrap();
    assert_eq!(kept.at, first.stamped_at);

    checkpoint(&pool, 2).await;
    for mood in [DOWN, ABOUT_SOMETHING_ELSE, ANSWERS_AN_OLD_QUESTION] {
        behind.mood.store(mood, Ordering::SeqCst);
        ask(&mut stamper).await;
        assert!(store.stamps(2).await.unwrap().is_empty(), "mood {mood}");
        assert!(stamper.authorities[0].not_before.is_some_and(|not_before| not_before > Instant::now()), "it is asked again later");
    }
    assert_eq!(stamper.authorities[0].failures, 3);
    behind.mood.store(UP, Ordering::SeqCst);
    ask(&mut stamper).await;
    assert_eq!((store.stamps(2).await.unwrap().len(), stamper.authorities[0].failures), (1, 0));
    assert_eq!(store.newest_stamped_checkpoint().await.unwrap().unwrap().number, 2);
    assert!(sqlx::query("UPDATE timestamp_token SET at = now()").execute(&pool).await.is_err(), "nobody alters it");
    assert!(sqlx::query("DELETE FROM timestamp_token").execute(&pool).await.is_err(), "nobody removes it");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_authority_that_is_not_to_be_trusted_keeps_no_other_from_answering(pool: PgPool) {
    let store = Store::new(pool.clone());
    let (good, good_url) = serve(Openssl::new(P256)).await;
    let (_unknown, unknown_url) = serve(Openssl::new(RSA)).await;
    let (expired, expired_url) = serve(Openssl::new(EXPIRED)).await;
    checkpoint(&pool, 1).await;
    let certificates = good.openssl.root() + &expired.openssl.root();
    let mut stamper = stamper(&store, &[unknown_url, expired_url, "http://127.0.0.1:1/tsr".into(), good_url.clone()], certificates);
    ask(&mut stamper).await;
    let stamps = store.stamps(1).await.unwrap();
    assert_eq!(stamps.iter().map(|stamp| stamp.authority.as_str()).collect::<Vec<_>>(), [name(&good_url)]);
    assert_eq!(stamper.authorities.iter().map(|authority| authority.failures).collect::<Vec<_>>(), [1, 1, 1, 0]);
}

#[test]
fn whoever_does_not_answer_is_asked_ever_more_seldom() {
    let waits: Vec<u64> = (0..9).map(|failures| again_after(failures).as_secs()).collect();
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    assert_eq!(name("https://tsa.example.dk:8443/tsr?x=/"), "tsa.example.dk_8443");
}

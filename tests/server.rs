//! The server as a whole: it starts, answers, is careful, and stops.

use std::time::{Duration, Instant};

use openidconnect::reqwest::Method;
use samspil_client_protocol::frame;
use samspil_server::config::Limits;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{DEADLINE, Live, TestServer, people};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_through_the_provider_and_is_known() {
    let server = TestServer::start().await;
    let mut browser = server.sign_in(people::HEAD).await;
    let me = browser.get("/api/me").await;
    assert_eq!(me.status, 200);
    assert_eq!(me.json()["municipality"], "Klitfjord Kommune");
    assert!(me.json()["roles"].as_array().unwrap().contains(&json!("head_of_department")), "{}", me.json());
    assert_eq!(me.header("cache-control"), "no-store");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signed_in_is_told_so() {
    let server = TestServer::start().await;
    let answer = server.browser().get("/api/me").await;
    assert_eq!((answer.status, answer.header("content-type")), (401, "application/problem+json"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_what_was_agreed_does_not_read_how_it_was_talked_over() {
    let server = TestServer::start().await;
    let mut mayor = server.sign_in("p-borgmester").await;
    let document = mayor.document_of("Klitfjord Bibliotek").await;
    assert_eq!(mayor.get(&format!("/api/documents/{document}")).await.status, 200);
    assert_eq!(mayor.get(&format!("/api/documents/{document}/threads")).await.status, 404);
    let mut leader = server.sign_in("p-l-bibliotek").await;
    assert_eq!(leader.get(&format!("/api/documents/{document}/threads")).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_a_page_unless_it_is_ours() {
    let server = TestServer::start().await;
    let mut browser = server.browser();
    let page = browser.get("/agreements/et-eller-andet").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    for path in ["/api/findes-ikke", "/_app/immutable/findes-ikke.js", "/live/x/y", "/auth/findes-ikke", "/manifest.json"] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_changes_nothing() {
    let server = TestServer::start().await;
    let mut browser = server.sign_in(people::HEAD).await;
    for origin in ["null", "https://ond.example", "http://127.0.0.1"] {
        let answer = browser.send_json_from(origin, Method::POST, "/auth/logout", &json!({})).await;
        assert_eq!((answer.status, answer.json()["type"].as_str()), (403, Some("/problems/foreign-origin")), "{origin}");
    }
    assert_eq!(browser.get("/api/me").await.status, 200);
    assert_eq!(browser.send_json(Method::POST, "/auth/logout", &json!({})).await.status, 303);
    assert_eq!(browser.get("/api/me").await.status, 401);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_request_bytes_max() {
    let server = TestServer::start_with(Limits { request_bytes_max: 1_000, ..Limits::default() }).await;
    let mut leader = server.sign_in(people::LEADER).await;
    let document = leader.document_of("Fjordskolen").await;
    let body = |text: &str| json!({ "pieces": [{ "place": "rammer", "text": text }] });
    let empty = body("").to_string().len();
    for (bytes, status) in [(999, 201), (1_000, 201), (1_001, 413)] {
        let body = body(&"x".repeat(bytes - empty));
        assert_eq!(body.to_string().len(), bytes);
        let answer = leader.send_json(Method::POST, &format!("/api/documents/{document}/proposals"), &body).await;
        assert_eq!(answer.status, status, "{bytes} bytes: {}", String::from_utf8_lossy(&answer.body));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l16_who_signs_in_too_often_from_one_address_is_told_when_to_come_back() {
    // At one a minute none comes back while this runs; a sign-in is begun and ended.
    let server = TestServer::start_with(Limits { sign_ins_per_min: 1, sign_ins_burst: 5, ..Limits::default() }).await;
    let mut leader = server.sign_in(people::LEADER).await;
    server.sign_in(people::HEAD).await;
    let mut stranger = server.browser();
    assert_eq!(stranger.get("/auth/login").await.status, 303, "the fifth");
    for path in ["/auth/login", "/auth/callback?state=x&code=y", "/auth/invite?code=x"] {
        let answer = stranger.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (429, "application/problem+json"), "{path}");
        assert_eq!(answer.json()["type"], "/problems/too-often");
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    // Nobody who is here notices, and the provider is heard.
    assert_eq!(leader.get("/api/me").await.status, 200);
    assert_eq!(stranger.send_json(Method::POST, "/auth/backchannel-logout", &json!({})).await.status, 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_who_is_slow_to_say_what_they_want_is_not_waited_for() {
    let server = TestServer::start_with(Limits { header_ms_max: 1_000, ..Limits::default() }).await;
    let mut leader = server.sign_in(people::LEADER).await;
    let document = leader.document_of("Fjordskolen").await;
    let mut live = Live::open(leader.door(document)).await;
    let mut slow = TcpStream::connect(server.addr()).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    // A header now and then, for ever.
    let (mut hears, mut says) = slow.split();
    let mut answer = Vec::new();
    tokio::select! {
        ended = hears.read_to_end(&mut answer) => drop(ended),
        () = async {
            loop {
                let _ = says.write_all(b"x-slow: 1\r\n").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        } => {}
        () = tokio::time::sleep(DEADLINE) => panic!("it is still waited for"),
    }
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    // Who speaks up is answered, and a live socket is no request that takes too long.
    assert_eq!(leader.get("/api/me").await.status, 200);
    live.type_in("rammer", 0, "stadig her ").await;
    live.until_settled().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_this_builds_is_not_ready() {
    let server = TestServer::start().await;
    let mut database = PgConnection::connect(&server.superuser_url()).await.unwrap();
    sqlx::raw_sql("INSERT INTO _sqlx_migrations SELECT 99991231000000, 'later', now(), true, '', 0").execute(&mut database).await.unwrap();
    let answer = server.browser().get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(String::from_utf8_lossy(&answer.body).contains("too new"), "{answer:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_outlives_the_server() {
    let server = TestServer::start().await;
    let mut browser = server.sign_in(people::LEADER).await;
    let server = server.restart().await;
    assert_eq!(browser.get("/api/me").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_and_figures_need_no_sign_in_and_tell_nothing_about_people() {
    let server = TestServer::start().await;
    let mut browser = server.sign_in(people::LEADER).await;
    browser.get("/api/me").await;
    assert_eq!((browser.get("/healthz").await.status, browser.get("/readyz").await.status), (200, 200));
    let figures = String::from_utf8(server.browser().get("/metrics").await.body.to_vec()).unwrap();
    assert!(figures.contains(r#"samspil_request_duration_seconds_count{method="GET",route="/api/me",status="200"}"#), "{figures}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_opens_with_hello_and_closes_with_come_back_when_the_server_stops() {
    let server = TestServer::start().await;
    let mut browser = server.sign_in(people::HEAD).await;
    let document = browser.document_of("Fjordskolen").await;
    let mut socket = browser.open(document).await;
    assert_eq!(socket.frame().await.unwrap()[0], 100, "the first frame is hello (H2)");
    socket.send(frame::sync_step1(&[0])).await;
    let step2 = socket.frame_where(|frame| frame.starts_with(&[0, 1])).await.unwrap();
    assert!(step2.len() > 1_000, "everything that an empty client lacks (S2), not {} bytes", step2.len());
    let begun = Instant::now();
    let (closed, ()) = tokio::join!(socket.frame_where(|_| false), server.stop());
    assert_eq!(closed, Err(4000));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

//! What whoever watches the server is told: whether it can be used, and otherwise why not; its figures, and the dashboard that draws
//! them; its log, which says how everything ended and nothing of what was said.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;

use crate::harness::{Browser, DEADLINE, Door, Live, ServerProcess, TestServer, people};
use samspil_server::config::Limits;

const UNIT: &str = "Fjordskolen";
const SECTION: &str = "rammer";

/// Asks `/readyz` until the answer is this; what it says otherwise is why not.
async fn until_ready(browser: &mut Browser, status: u16, words: &str) {
    let give_up = Instant::now() + DEADLINE;
    loop {
        let answer = browser.get("/readyz").await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status == status && said.contains(words) {
            return;
        }
        assert!(Instant::now() < give_up, "it never said {status} {words:?}, but {} {said:?}", answer.status);
        tokio::task::yield_now().await;
    }
}

/// The name of the database that this connection is in.
async fn own_name(database: &mut PgConnection) -> String {
    sqlx::query_scalar("SELECT current_database()::text").fetch_one(database).await.unwrap()
}

/// Ends the server's connections, so that what was set for new ones holds.
async fn cut_off(database: &mut PgConnection, name: &str) {
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = 'samspil_app'")
        .bind(name)
        .execute(database)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_says_that_the_database_cannot_be_reached() {
    let server = TestServer::start().await;
    let mut browser = server.browser();
    until_ready(&mut browser, 200, "ready").await;
    let name = own_name(&mut server.superuser().await).await;
    // Who shuts a database must not be in it.
    let elsewhere = server.superuser_url().replacen(&format!("/{name}?"), "/postgres?", 1);
    let mut database = PgConnection::connect(&elsewhere).await.unwrap();
    let open = |value: bool| sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {value}"));
    sqlx::raw_sql(open(false)).execute(&mut database).await.unwrap();
    cut_off(&mut database, &name).await;
    until_ready(&mut browser, 503, "the database cannot be used").await;
    assert_eq!(browser.get("/healthz").await.status, 200, "the process lives all the same");
    sqlx::raw_sql(open(true)).execute(&mut database).await.unwrap();
    until_ready(&mut browser, 200, "ready").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_says_that_the_database_does_not_answer() {
    let server = TestServer::start().await;
    let mut browser = server.browser();
    let mut database = server.superuser().await;
    let mut holding = database.begin().await.unwrap();
    holding.execute("LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE").await.unwrap();
    until_ready(&mut browser, 503, "the database does not answer").await;
    holding.rollback().await.unwrap();
    until_ready(&mut browser, 200, "ready").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_says_that_the_database_takes_no_writes() {
    let server = TestServer::start().await;
    let mut browser = server.browser();
    let mut database = server.superuser().await;
    let name = own_name(&mut database).await;
    let set = |value: &str| sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}"));
    sqlx::raw_sql(set("on")).execute(&mut database).await.unwrap();
    cut_off(&mut database, &name).await;
    until_ready(&mut browser, 503, "the database takes no writes").await;
    sqlx::raw_sql(set("off")).execute(&mut database).await.unwrap();
    cut_off(&mut database, &name).await;
    until_ready(&mut browser, 200, "ready").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_says_that_words_wait_too_long_and_figures_say_how_many() {
    let server = TestServer::start_with(Limits { unacknowledged_s_max: 1, ..Limits::default() }).await;
    let mut leader = server.sign_in(people::LEADER).await;
    let document = leader.document_of(UNIT).await;
    let mut live = Live::open(leader.door(document)).await;
    let mut database = server.superuser().await;
    let mut holding = database.begin().await.unwrap();
    sqlx::query("SELECT FROM document WHERE id = $1 FOR UPDATE").bind(document).execute(&mut *holding).await.unwrap();
    live.type_in(SECTION, 0, "ventende ord ").await;
    until_ready(&mut leader, 503, "words have been waiting").await;
    // Figures are the whole process's; of those that are set when asked, this answer's own are in it.
    let figures = figures(&mut leader).await;
    assert!(value(&figures, "samspil_unacknowledged_age_seconds") > 1.0);
    assert!(value(&figures, "samspil_room_waiting_updates") >= 1.0);
    holding.rollback().await.unwrap();
    live.until_settled().await;
    until_ready(&mut leader, 200, "ready").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_says_that_the_server_is_stopping_while_there_is_somebody_to_ask() {
    let server = TestServer::start_with(Limits { stop_ms_max: 60_000, ..Limits::default() }).await;
    let mut leader = server.sign_in(people::LEADER).await;
    let document = leader.document_of(UNIT).await;
    let mut live = Live::open(leader.door(document)).await;
    let late = leader.door(document);
    let mut database = server.superuser().await;
    let mut holding = database.begin().await.unwrap();
    sqlx::query("SELECT FROM document WHERE id = $1 FOR UPDATE").bind(document).execute(&mut *holding).await.unwrap();
    live.type_in(SECTION, 0, "sidste ord ").await;
    until_held_up(&mut server.superuser().await).await;
    let watching = async {
        until_ready(&mut leader, 503, "stopping").await;
        let mut latecomer = Live::new(late);
        // On a slow machine the listener may be gone by now.
        if latecomer.connect().await.is_ok() {
            assert!([4000, 1006].contains(&latecomer.until_closed().await.0), "nothing is opened any more");
        }
        assert!(!latecomer.synced);
    };
    tokio::join!(server.stop(), watching);
}

/// Waits until somebody waits for a lock in this database.
async fn until_held_up(database: &mut PgConnection) {
    let give_up = Instant::now() + DEADLINE;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *database).await.unwrap() == 0 {
        assert!(Instant::now() < give_up, "nothing is held up");
    }
}

async fn figures(browser: &mut Browser) -> String {
    let answer = browser.get("/metrics").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4"));
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The value of a figure without labels.
fn value(figures: &str, name: &str) -> f64 {
    let line = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {figures}")).parse().unwrap()
}

/// Every word of ours in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.starts_with("samspil_")).map(str::to_owned).collect()
}

/// A short run in which everything happens that the dashboard draws: somebody writes, is refused, is turned away, and goes.
async fn short_run(server: &TestServer) {
    let mut leader = server.sign_in(people::LEADER).await;
    let document = leader.document_of(UNIT).await;
    let mut live = Live::open(leader.door(document)).await;
    live.type_in(SECTION, 0, "nogle ord ").await;
    live.until_settled().await;
    live.send_update(b"nonsense").await;
    live.until("refused", |live| !live.refused.is_empty()).await;
    let mut stranger = Live::new(Door { cookie: String::new(), ..leader.door(document) });
    stranger.connect().await.unwrap();
    assert_eq!(stranger.until_closed().await.0, 4401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_that_the_dashboard_draws_is_there_and_every_figure_is_explained() {
    let server = TestServer::start().await;
    short_run(&server).await;
    let figures = figures(&mut server.browser()).await;
    let dashboard: Value = serde_json::from_str(include_str!("../docs/operations/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let asked: Vec<&str> =
        panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()).map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(asked.len() >= panels.len(), "a panel draws nothing");
    let samples: BTreeSet<&str> =
        figures.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    for question in &asked {
        for name in names(question) {
            assert!(samples.contains(name.as_str()), "no {name} in {figures}");
        }
    }
    let explained: BTreeSet<&str> = figures.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    for sample in samples.iter().filter(|name| !name.is_empty()) {
        let figure = ["_bucket", "_sum", "_count"].iter().fold(*sample, |name, end| name.strip_suffix(end).unwrap_or(name));
        assert!(explained.contains(figure), "{figure} is not explained");
    }
    // And nothing is kept that nobody looks at: the build is counted, everything else drawn.
    let drawn: BTreeSet<String> = asked.iter().flat_map(|question| names(question)).collect();
    for (figure, ..) in samspil_server::telemetry::FIGURES {
        assert!(drawn.iter().any(|name| name.starts_with(figure)), "the dashboard does not draw {figure}");
    }
    server.stop().await;
}

/// Threat "log forging, leaking": what people write, their cookies and the tokens of a sign-in are in no log, however much is logged.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_and_no_key_to_it_is_ever_logged() {
    const SECRET: &str = "Rødgrødmedfløde";
    let (server, log) = ServerProcess::start_logging("trace").await;
    let mut leader = server.browser();
    leader.sign_in(people::LEADER).await;
    let document = leader.document_of(UNIT).await;
    let mut live = Live::open(leader.door(document)).await;
    live.type_in(SECTION, 0, SECRET).await;
    live.until_settled().await;
    live.send_frame(samspil_client_protocol::frame::awareness([(7, 1, &*format!(r#"{{"x":"{SECRET}"}}"#))].into_iter())).await;
    live.type_in(&format!("{SECRET} findes ikke"), 0, SECRET).await;
    live.until("refused", |live| !live.refused.is_empty()).await;
    assert!(leader.content(document).await.contains(SECRET), "it was said");
    leader.get("/api/documents/forged%0d%0aINFO%20ready").await;
    live.send_message(tokio_tungstenite::tungstenite::Message::Close(None)).await;
    live.until_closed().await;
    let logged = log_with(&log, "a connection ended").await;
    let ended = logged.lines().find(|line| line.contains("a connection ended")).unwrap();
    for field in ["duration_ms=", "code=", "frames_in=", "frames_out=", "bytes_in=", "bytes_out="] {
        assert!(ended.contains(field), "{field} is missing: {ended}");
    }
    assert!(logged.lines().any(|line| line.contains(r#"route="/api/agreements""#) && line.contains("duration_ms=")), "{logged}");
    let led_to: BTreeSet<&str> = leader
        .led_to
        .iter()
        .flat_map(|url| url.split(['?', '&']))
        .filter_map(|pair| pair.split_once('='))
        .map(|(_, value)| value)
        .collect();
    let keys: Vec<&str> = led_to.into_iter().chain(leader.cookies()).filter(|key| key.len() >= 20 && !key.contains('%')).collect();
    assert!(keys.len() >= 5, "a cookie, a state, a nonce, a challenge, a code: {keys:?}");
    // Everything that is signed begins so: `{"` in base64.
    let secrets: Vec<&str> = keys.into_iter().chain([SECRET, "eyJ", "forged"]).collect();
    let all = format!("{logged}{}", server.database_log());
    let leaks: Vec<&str> = all.lines().filter(|line| secrets.iter().any(|secret| line.contains(secret))).collect();
    assert_eq!(leaks, [""; 0], "of {secrets:?}");
    assert_eq!(server.terminate().await, Some(0));
}

/// What a log says, once it says this.
async fn log_with(log: &Path, words: &str) -> String {
    let give_up = Instant::now() + DEADLINE;
    loop {
        let logged = std::fs::read_to_string(log).unwrap();
        if logged.contains(words) {
            return logged;
        }
        assert!(Instant::now() < give_up, "{words:?} was never logged");
        tokio::task::yield_now().await;
    }
}

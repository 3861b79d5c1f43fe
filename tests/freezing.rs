//! A text that is frozen for signing, taken back, and continued in a new version: what each of it refuses, what it keeps, and that nobody
//! writes while it stands still, on any path.

use openidconnect::reqwest::Method;
use samspil_client_protocol::message::{AbilityReason, RefusalAction, RefusalCode};
use samspil_server::config::Limits;
use samspil_server::content::sha256;
use samspil_server::stop_points::StopPoint;
use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _};
use uuid::Uuid;
use yrs::{TransactionMut, XmlElementPrelim, XmlElementRef, XmlFragment as _, XmlFragmentRef, XmlTextPrelim};

use crate::harness::{Answer, Browser, Door, Live, ServerProcess, TestServer, first_section, people};

/// Hjemmeplejen Nord's agreement was reopened: all is in place in it once its comments are answered.
const UNIT: &str = "Hjemmeplejen Nord";
pub(crate) const LEADER: &str = "p-l-hjemmenord";
pub(crate) const HEAD: &str = "p-chef-aeldre";
const WHY: &str = "Forkert antal biler i rammeafsnittet";

/// The two parties at their browsers, and a document of theirs with nothing missing.
pub(crate) async fn ready_to_freeze(mut leader: Browser, head: Browser) -> (Browser, Browser, Uuid) {
    let document = leader.document_of(UNIT).await;
    settle_comments(&mut leader, document).await;
    (leader, head, document)
}

async fn parties(server: &TestServer) -> (Browser, Browser, Uuid) {
    ready_to_freeze(server.sign_in(LEADER).await, server.sign_in(HEAD).await).await
}

async fn settle_comments(browser: &mut Browser, document: Uuid) {
    let threads = browser.get(&format!("/api/documents/{document}/threads")).await.json();
    for thread in threads.as_array().unwrap().iter().filter(|thread| thread["state"] == "open") {
        let path = format!("/api/threads/{}/resolve", thread["id"].as_str().unwrap());
        assert_eq!(browser.send_json(Method::POST, &path, &json!({})).await.status, 200);
    }
}

async fn post(browser: &mut Browser, document: Uuid, step: &str, body: Value) -> Answer {
    browser.send_json(Method::POST, &format!("/api/documents/{document}/{step}"), &body).await
}

pub(crate) async fn freeze(browser: &mut Browser, document: Uuid) -> Value {
    let answer = post(browser, document, "freeze", json!({})).await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

async fn reopen(browser: &mut Browser, document: Uuid) {
    let answer = post(browser, document, "reopen", json!({ "reason": WHY })).await;
    assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
}

fn problem(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["type"].as_str().unwrap().to_owned())
}

async fn page(browser: &mut Browser, document: Uuid) -> Value {
    let head = browser.get(&format!("/api/documents/{document}")).await.json();
    browser.get(&format!("/api/agreements/{}", head["agreement_id"].as_str().unwrap())).await.json()
}

fn hash_of(content: &str) -> String {
    hex::encode(sha256(content.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_text_is_what_its_log_says_and_refuses_every_word_on_every_path() {
    let server = TestServer::start().await;
    let (mut leader, mut head, document) = parties(&server).await;
    let mut writer = Live::open(leader.door(document)).await;
    let section = first_section(&leader.content(document).await);
    writer.type_in(&section, 0, "Sidste ord. ").await;
    writer.until_settled().await;
    let frozen = freeze(&mut head, document).await;
    assert_eq!(frozen["seq"], writer.seq);
    let content = leader.content(document).await;
    assert_eq!(frozen["content_sha256"], hash_of(&content));

    // Whoever has it open is told at once, and why a word does not go in.
    writer.until("told", |live| live.abilities.iter().any(|told| told.reason == AbilityReason::Frozen)).await;
    writer.type_in(&section, 0, "For sent. ").await;
    writer.until("refused", |live| !live.refused.is_empty()).await;
    assert_eq!((writer.refused[0].code, writer.refused[0].action), (RefusalCode::Frozen, RefusalAction::KeepAsProposal));
    // So is whoever comes later, and a client that speaks plain Yjs.
    let mut later = Live::open(head.door(document)).await;
    later.type_in(&section, 0, "For sent. ").await;
    later.until("refused", |live| !live.refused.is_empty()).await;
    let mut plain = Live::open(Door { samspil: false, ..head.door(document) }).await;
    plain.type_in(&section, 0, "For sent. ").await;
    assert_eq!(plain.until_closed().await.0, 4403);
    assert_eq!(leader.content(document).await, content, "not a letter has moved");

    // And so is whoever comes past the server, as the role that it has in its database.
    let mut database = server.superuser().await;
    sqlx::query("SET ROLE samspil_app").execute(&mut database).await.unwrap();
    for statement in [
        "INSERT INTO document_update (document_id, seq, payload, hash, at) SELECT id, head + 1, '', '', now() FROM document WHERE id = $1",
        "UPDATE document SET head = head + 1 WHERE id = $1",
        "DELETE FROM document_update WHERE document_id = $1",
        "UPDATE document_update SET payload = '' WHERE document_id = $1",
        "UPDATE revision SET content = '' WHERE document_id = $1",
        "DELETE FROM revision WHERE document_id = $1",
    ] {
        assert!(sqlx::query(statement).bind(document).execute(&mut database).await.is_err(), "{statement}");
    }
    database.close().await.unwrap();

    let shown = page(&mut leader, document).await;
    assert_eq!(shown["summary"]["status"], "ready_to_sign");
    assert_eq!(shown["frozen"], frozen);
    assert_eq!(shown["steps"], json!({ "freeze": false, "override_dialogue": false, "reopen": true, "renew": false }));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_frozen_while_writers_pour_is_exactly_what_was_acknowledged() {
    let server = TestServer::start().await;
    let (leader, mut head, document) = parties(&server).await;
    let section = first_section(&head.content(document).await);
    let mut pouring = Vec::new();
    for number in 0..4 {
        let door = if number % 2 == 0 { leader.door(document) } else { head.door(document) };
        let section = section.clone();
        pouring.push(tokio::spawn(async move {
            let mut live = Live::open(door).await;
            let mut word = 0;
            while live.refused.is_empty() && live.closed.is_none() {
                live.type_in(&section, 0, &format!("[{number}.{word}]")).await;
                live.until("an answer", |live| live.settled() || !live.refused.is_empty() || live.closed.is_some()).await;
                word += 1;
            }
            // What the last frame carried was refused, what came before it was acknowledged.
            (number, word - 1, live.refused.first().map(|refused| refused.code))
        }));
    }
    // Until all of them have words in it.
    loop {
        let content = head.content(document).await;
        if (0..4).all(|number| content.contains(&format!("[{number}.3]"))) {
            break;
        }
    }
    let frozen = freeze(&mut head, document).await;
    let content = head.content(document).await;
    assert_eq!(frozen["content_sha256"], hash_of(&content));
    for writer in pouring {
        let (number, refused, code) = writer.await.unwrap();
        assert_eq!(code, Some(RefusalCode::Frozen));
        assert!(refused > 3);
        for word in 0..refused {
            assert!(content.contains(&format!("[{number}.{word}]")), "acknowledged, and not in what is signed: {number}.{word}");
        }
        assert!(!content.contains(&format!("[{number}.{refused}]")), "refused, and in what is signed");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_freeze_at_once_make_one_frozen_text() {
    let server = TestServer::start().await;
    let (mut leader, mut head, document) = parties(&server).await;
    let (one, other) = tokio::join!(post(&mut leader, document, "freeze", json!({})), post(&mut head, document, "freeze", json!({})));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let revisions = leader.get(&format!("/api/documents/{document}/versions")).await.json();
    let here = revisions.as_array().unwrap().iter().filter(|revision| revision["frozen"] == true && revision["seq"].is_u64());
    assert_eq!(here.count(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_took_in_before_the_freeze_is_in_it_and_what_comes_later_is_refused_there() {
    let server = TestServer::start().await;
    let (leader, mut head, document) = parties(&server).await;
    let other = server.second_node().await;
    let section = first_section(&head.content(document).await);
    // This server's room is open, and may have heard nothing yet of what the other one takes in.
    let _here = Live::open(leader.door(document)).await;
    let door = Door { server: other.addr(), origin: Some(other.public_url().to_owned()), ..leader.door(document) };
    let mut there = Live::open(door).await;
    there.type_in(&section, 0, "Fra den anden server. ").await;
    there.until_settled().await;
    let frozen = freeze(&mut head, document).await;
    assert_eq!(frozen["seq"], there.seq);
    there.type_in(&section, 0, "For sent. ").await;
    there.until("refused there, too", |live| !live.refused.is_empty()).await;
    let content = head.content(document).await;
    assert!(content.contains("Fra den anden server.") && !content.contains("For sent."));
    other.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_in_words_and_stops_the_freeze() {
    let server = TestServer::start().await;
    let mut leader = server.sign_in(LEADER).await;
    let document = leader.document_of(UNIT).await;
    let refused = post(&mut leader, document, "freeze", json!({})).await;
    assert_eq!(problem(&refused), (409, "/problems/not-in-place".into()));
    assert!(refused.json()["detail"].as_str().unwrap().contains("åben"), "{}", refused.json());
    settle_comments(&mut leader, document).await;

    // A dialogue that was not held is passed over by the counterpart alone, with a reason, on record.
    let mut database = server.superuser().await;
    sqlx::query("UPDATE meeting SET status = 'planned'").execute(&mut database).await.unwrap();
    let refused = post(&mut leader, document, "freeze", json!({})).await;
    assert_eq!(problem(&refused), (409, "/problems/not-in-place".into()));
    assert!(refused.json()["detail"].as_str().unwrap().contains("dialogmøde"), "{}", refused.json());
    let why = "Mødet blev holdt uden for Samspil.";
    let refused = post(&mut leader, document, "freeze", json!({ "override_dialogue": why })).await;
    assert_eq!(problem(&refused), (403, "/problems/forbidden".into()));
    let mut head = server.sign_in(HEAD).await;
    let refused = post(&mut head, document, "freeze", json!({ "override_dialogue": "kort" })).await;
    assert_eq!(problem(&refused), (422, "/problems/no-reason".into()));
    assert_eq!(page(&mut head, document).await["steps"]["override_dialogue"], true);
    assert_eq!(page(&mut leader, document).await["steps"]["override_dialogue"], false);
    assert_eq!(post(&mut head, document, "freeze", json!({ "override_dialogue": why })).await.status, 201);
    let shown = page(&mut leader, document).await;
    let last = shown["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((last["kind"].as_str(), last["reason"].as_str()), (Some("frozen"), Some(why)));
    let newest = "SELECT body FROM audit_event WHERE type = 'frozen' ORDER BY at DESC LIMIT 1";
    let row = sqlx::query(newest).fetch_one(&mut database).await.unwrap();
    assert_eq!(row.get::<Value, _>("body")["override"]["reason"], why);
    assert_eq!(server.notary().await.check_all().await.unwrap(), Vec::<String>::new());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_taken_back_by_a_party_with_a_reason_and_signatures_lapse_for_good() {
    let server = TestServer::start().await;
    // One party has signed Strandsneglen's agreement.
    let mut leader = server.sign_in("p-l-strandsneglen").await;
    let document = leader.document_of("Børnehuset Strandsneglen").await;
    for (reason, chars) in [("", 0), ("For få b", 8), ("         x         ", 1)] {
        let refused = post(&mut leader, document, "reopen", json!({ "reason": reason })).await;
        assert_eq!(problem(&refused), (422, "/problems/no-reason".into()));
        assert!(refused.json()["detail"].as_str().unwrap().contains(&format!("Du har skrevet {chars}.")), "{}", refused.json());
    }
    let mut secretariat = server.sign_in("p-sekretariat").await;
    let refused = post(&mut secretariat, document, "reopen", json!({ "reason": WHY })).await;
    assert_eq!(problem(&refused), (403, "/problems/forbidden".into()));
    let mut head = server.sign_in("p-chef-dagtilbud").await;
    assert_eq!(post(&mut head, document, "freeze", json!({})).await.status, 409, "it is frozen already");
    reopen(&mut head, document).await;
    assert_eq!(problem(&post(&mut head, document, "reopen", json!({ "reason": WHY })).await), (409, "/problems/wrong-status".into()));

    let lapsed = |shown: &Value| {
        let signatures = shown["signatures"].as_array().unwrap();
        assert_eq!(signatures.len(), 1);
        assert_eq!((signatures[0]["valid"].as_bool(), signatures[0]["lapsed_because"].as_str()), (Some(false), Some(WHY)));
    };
    let shown = page(&mut leader, document).await;
    assert_eq!((shown["summary"]["status"].as_str(), shown["frozen"].is_null()), (Some("reopened"), true));
    lapsed(&shown);
    // Whoever signed is told why, in Samspil, and by a mail that nobody turns off.
    let told = leader.get("/api/notifications").await.json();
    assert_eq!((told["items"][0]["kind"].as_str(), told["items"][0]["reason"].as_str()), (Some("reopened"), Some(WHY)));
    let settings = json!({ "items": [{ "kind": "reopened", "way": "off" }] });
    assert_eq!(leader.send_json(Method::PUT, "/api/notification-settings", &settings).await.status, 422);

    // The same text once more is another text to sign.
    settle_comments(&mut head, document).await;
    let frozen = freeze(&mut head, document).await;
    let shown = page(&mut leader, document).await;
    lapsed(&shown);
    assert_eq!(shown["summary"]["status"], "ready_to_sign");
    assert_eq!(shown["frozen"]["number"], frozen["number"]);
    let told = leader.get("/api/notifications").await.json();
    assert_eq!(told["items"][0]["kind"], "ready_to_sign");
    assert_eq!(server.notary().await.check_all().await.unwrap(), Vec::<String>::new());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_words_from_before_a_freeze_do_not_merge_after_reopening() {
    let server = TestServer::start().await;
    let (mut leader, mut head, document) = parties(&server).await;
    let section = first_section(&leader.content(document).await);
    // Typed on a line that is gone, under a client id that the server has never seen.
    let mut plain = Live::open(Door { samspil: false, ..leader.door(document) }).await;
    let mut stays = Live::open(leader.door(document)).await;
    assert_eq!(stays.hello.as_ref().unwrap().freezes, 0);
    plain.cut();
    plain.type_in(&section, 0, "Skrevet uden net. ").await;
    freeze(&mut head, document).await;
    stays.until("told", |live| !live.abilities.is_empty()).await;
    reopen(&mut head, document).await;
    assert_eq!(stays.until_closed().await.0, 4000, "it comes back, and hears how often the text was frozen");
    // A page of ours hears it before it sends anything, and keeps older words apart (`replica.test.ts`).
    let mut fresh = Live::open(leader.door(document)).await;
    assert_eq!(fresh.hello.as_ref().unwrap().freezes, 1);
    // A plain client does not, and is stopped.
    plain.connect().await.unwrap();
    assert_eq!(plain.until_closed().await.0, 4403);
    assert!(!leader.content(document).await.contains("uden net"));
    fresh.type_in(&section, 0, "Skrevet bagefter. ").await;
    fresh.until_settled().await;
    assert!(leader.content(document).await.contains("Skrevet bagefter."));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_begins_with_the_signed_words_and_the_signed_one_stays_in_force() {
    const LIBRARY: &str = "Klitfjord Bibliotek";
    let server = TestServer::start().await;
    let mut leader = server.sign_in("p-l-bibliotek").await;
    let signed = leader.document_of(LIBRARY).await;
    let before = leader.content(signed).await;
    let mut stranger = server.sign_in(people::TEACHER).await;
    assert_eq!(post(&mut stranger, signed, "new-version", json!({})).await.status, 404);
    let begun = post(&mut leader, signed, "new-version", json!({})).await;
    assert_eq!(begun.status, 201, "{}", String::from_utf8_lossy(&begun.body));
    let next: Uuid = begun.json()["document_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(begun.json()["version"], 2);
    assert_eq!(problem(&post(&mut leader, signed, "new-version", json!({})).await), (409, "/problems/wrong-status".into()));

    assert_eq!(leader.document_of(LIBRARY).await, next);
    assert_eq!(leader.content(next).await, before, "the same words under the same goal ids");
    let shown = page(&mut leader, next).await;
    assert_eq!((shown["summary"]["status"].as_str(), shown["summary"]["version"].as_u64()), (Some("drafting"), Some(2)));
    let versions = shown["versions"].as_array().unwrap();
    assert_eq!(versions.iter().map(|version| version["in_force"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(versions[1]["document_id"], signed.to_string());
    let agreement = shown["summary"]["id"].as_str().unwrap();
    let old = leader.get(&format!("/api/agreements/{agreement}?version=1")).await.json();
    assert_eq!(
        (old["summary"]["status"].as_str(), old["summary"]["document_id"].as_str()),
        (Some("signed"), Some(&signed.to_string()[..]))
    );
    assert_eq!(old["steps"]["renew"], false, "one next version at a time");
    assert_eq!(leader.get(&format!("/api/agreements/{agreement}?version=7")).await.status, 404);

    // It is written in while the signed one stands still.
    let mut writer = Live::open(leader.door(next)).await;
    let section = first_section(&before);
    writer.type_in(&section, 0, "Nyt i version 2. ").await;
    writer.until_settled().await;
    assert_eq!(leader.content(signed).await, before);
    // Who reads what is signed, and no drafts, still reads what is in force.
    let mut politician = server.sign_in("p-fmd-boern").await;
    assert_eq!(politician.document_of(LIBRARY).await, signed);
    let seen = politician.get(&format!("/api/agreements/{agreement}")).await.json();
    assert_eq!((seen["summary"]["version"].as_u64(), seen["versions"].as_array().unwrap().len()), (Some(1), 1));
    assert_eq!(politician.get(&format!("/api/agreements/{agreement}?version=2")).await.status, 404);
    assert_eq!(server.notary().await.check_all().await.unwrap(), Vec::<String>::new());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_while_it_freezes_has_frozen_or_has_not() {
    let mut server = ServerProcess::start().await;
    for point in [StopPoint::Sealed, StopPoint::StatusWritten, StopPoint::StatusChanged] {
        server = server.kill_and_restart_to_stop_at(&point.to_string()).await;
        let (mut leader, mut head) = (server.browser(), server.browser());
        leader.sign_in(LEADER).await;
        head.sign_in(HEAD).await;
        let (mut leader, mut head, document) = ready_to_freeze(leader, head).await;
        let section = first_section(&leader.content(document).await);
        let mut writer = Live::open(leader.door(document)).await;
        writer.type_in(&section, 0, &format!("Før {point}. ")).await;
        writer.until_settled().await;
        let path = format!("/api/documents/{document}/freeze");
        assert!(head.attempt_json(Method::POST, &path, &json!({})).await.is_none(), "{point}: it dies before it answers");
        writer.cut();
        server.killed_itself().await;
        server = server.kill_and_restart().await;
        let shown = page(&mut leader, document).await;
        let frozen = point == StopPoint::StatusChanged;
        assert_eq!(shown["summary"]["status"], if frozen { "ready_to_sign" } else { "reopened" }, "{point}");
        let history = shown["history"].as_array().unwrap();
        assert_eq!(history.last().unwrap()["kind"] == "frozen", frozen, "{point}: with its event, or without both");
        let content = leader.content(document).await;
        assert!(content.contains(&format!("Før {point}. ")), "{point}: what was acknowledged is there");
        if frozen {
            assert_eq!(shown["frozen"]["content_sha256"], hash_of(&content));
        } else {
            let mut again = Live::open(leader.door(document)).await;
            again.type_in(&section, 0, "Efter. ").await;
            again.until_settled().await;
        }
    }
    server.terminate().await;
}

/// Lists in lists, so many of them, with a word in the last but one. Of 31 all types are admitted, of 32 none.
pub(crate) fn lists_in_lists(deep: usize) -> impl FnOnce(&XmlFragmentRef, &mut TransactionMut<'_>) {
    move |section, transaction| {
        let mut item: Option<XmlElementRef> = None;
        for at in 0..deep {
            let list = XmlElementPrelim::empty("bullet_list");
            let list = match item {
                Some(item) => item.push_back(transaction, list),
                None => section.push_back(transaction, list),
            };
            let inner = list.push_back(transaction, XmlElementPrelim::empty("list_item"));
            let paragraph = inner.push_back(transaction, XmlElementPrelim::empty("paragraph"));
            if at + 2 == deep {
                paragraph.push_back(transaction, XmlTextPrelim::new("dybt nede"));
            }
            item = Some(inner);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deepest_text_that_is_admitted_is_shown_frozen_and_printed() {
    let server = TestServer::start().await;
    let (mut leader, mut head, document) = parties(&server).await;
    let section = first_section(&leader.content(document).await);
    let mut writers = [Live::open(leader.door(document)).await, Live::open(leader.door(document)).await];
    for (writer, deep) in writers.iter_mut().zip([32, 31]) {
        let fragment = writer.doc.get_or_insert_xml_fragment(format!("section:{section}"));
        writer.change(|transaction| lists_in_lists(deep)(&fragment, transaction)).await;
        writer.until_settled().await;
    }
    let [deeper, deepest] = &writers;
    assert_eq!(deeper.refused.iter().map(|refused| refused.code).collect::<Vec<_>>(), [RefusalCode::TooLarge]);
    assert!(deepest.refused.is_empty() && deepest.says("dybt nede"));
    assert!(page(&mut leader, document).await["summary"].is_object());
    let frozen = freeze(&mut head, document).await;
    assert_eq!(frozen["content_sha256"], hash_of(&leader.content(document).await));
    assert!(page(&mut head, document).await["summary"].is_object());
    let paper = head.get(&format!("/api/documents/{document}/pdf")).await;
    assert_eq!((paper.status, &paper.body[..5]), (200, &b"%PDF-"[..]));
    server.stop().await;
}

/// How long a freeze takes, from the click to the answer. It decides nothing; `cargo test --release -p samspil-tests --test all --
/// --nocapture --test-threads 1 freezing::figure signoffs::r2_what_an_old_key` prints what a release build takes, with the other figures
/// of signing.
#[tokio::test(flavor = "multi_thread")]
async fn figure_of_freezing_a_text_of_two_mebibytes() {
    const KEYSTROKES: u32 = 2_000;
    let server = TestServer::start_with(Limits {
        peer_bytes_per_s: 64 << 20,
        peer_updates_per_s: 100_000,
        peer_cpu_ms_per_10s: 1_000_000,
        ..Limits::default()
    })
    .await;
    let (mut leader, mut head, document) = parties(&server).await;
    let section = first_section(&leader.content(document).await);
    let mut writer = Live::open(leader.door(document)).await;
    for _ in 0..KEYSTROKES {
        writer.type_in(&section, 0, "x").await;
    }
    let pasted = "Vi samler sporene på fjerde årgang, og alle kender planen for ugen. ".repeat(1_000);
    while leader.content(document).await.len() < 2 << 20 {
        writer.type_in(&section, 0, &pasted).await;
        writer.until_settled().await;
    }
    let begun = tokio::time::Instant::now();
    let frozen = freeze(&mut head, document).await;
    let took = begun.elapsed();
    let content = leader.content(document).await;
    assert_eq!(frozen["content_sha256"], hash_of(&content));
    println!("freeze to ready: {} bytes of text, {} rows in the log, {took:?}", content.len(), frozen["seq"]);
    server.stop().await;
}

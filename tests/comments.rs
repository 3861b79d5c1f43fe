//! Comments that hold: what people say beside a text, and where it stands while others write (acceptance R3, R12).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use openidconnect::reqwest::Method;
use samspil_client_protocol::message::Event;
use samspil_server::config::Limits;
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;
use yrs::updates::encoder::Encode as _;
use yrs::{Assoc, IndexedSequence as _, Text as _, Transact as _};

use crate::harness::{Answer, Browser, Live, TestServer, first_text, people};

const UNIT: &str = "Fjordskolen";
const SECTION: &str = "rammer";

/// Somebody with the document open, and a browser to comment with.
struct At {
    browser: Browser,
    live: Live,
    document: Uuid,
}

impl At {
    async fn desk(server: &TestServer, person: &str) -> Self {
        let mut browser = server.sign_in(person).await;
        let document = browser.document_of(UNIT).await;
        let live = Live::open(browser.door(document)).await;
        Self { browser, live, document }
    }

    /// Words of the section's first paragraph as the page has them selected.
    fn select(&self, quote: &str) -> Value {
        let mut transaction = self.live.doc.transact_mut();
        let fragment = yrs::WriteTxn::get_or_insert_xml_fragment(&mut transaction, format!("section:{SECTION}"));
        let text = first_text(&fragment, &mut transaction);
        let words: String = text
            .diff(&transaction, yrs::types::text::YChange::identity)
            .into_iter()
            .map(|run| run.insert.to_string(&transaction))
            .collect();
        let before = &words[..words.find(quote).unwrap_or_else(|| panic!("{quote} does not stand in {words}"))];
        let units = |text: &str| u32::try_from(text.encode_utf16().count()).unwrap();
        let (from, to) = (units(before), units(before) + units(quote));
        let position = |at, side| BASE64_STANDARD.encode(text.sticky_index(&transaction, at, side).unwrap().encode_v1());
        json!({ "kind": "words", "field": format!("section:{SECTION}"), "start": position(from, Assoc::After), "end": position(to, Assoc::Before), "quote": quote })
    }

    async fn begin(&mut self, about: Value, body: &str) -> Answer {
        self.post(&format!("/api/documents/{}/threads", self.document), &json!({ "id": Uuid::new_v4(), "about": about, "body": body }))
            .await
    }

    async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.browser.send_json(Method::POST, path, body).await
    }

    async fn act(&mut self, thread: &Value, what: &str, body: &Value) -> Answer {
        self.post(&format!("/api/threads/{}/{what}", thread["id"].as_str().unwrap()), body).await
    }

    async fn thread(&mut self, thread: &Value) -> Value {
        let threads = self.browser.get(&format!("/api/documents/{}/threads", self.document)).await.json();
        threads.as_array().unwrap().iter().find(|found| found["id"] == thread["id"]).cloned().unwrap_or_default()
    }

    async fn hears_of(&mut self, thread: &Value) {
        let id = thread["id"].as_str().unwrap().parse().unwrap();
        self.live.until("an event about the thread", |live| live.events.contains(&Event::ThreadChanged { thread_id: id })).await;
        self.live.events.clear();
    }
}

#[track_caller]
fn refused(answer: &Answer, status: u16, kind: &str) -> String {
    let problem = answer.json();
    assert_eq!((answer.status, problem["type"].as_str().unwrap()), (status, kind), "{problem}");
    problem["detail"].as_str().unwrap_or_default().to_owned()
}

fn created(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_a_comment_stays_with_its_words_through_deletion_and_return_and_a_restart() {
    let server = TestServer::start().await;
    let (mut teacher, mut leader) = (At::desk(&server, people::TEACHER).await, At::desk(&server, people::LEADER).await);
    leader.live.type_in(SECTION, 0, "Skolen har tolv små spor i alt. ").await;
    teacher.live.until("the words", |live| live.says("tolv små spor")).await;
    let about = teacher.select("tolv små spor");
    let thread = created(&teacher.begin(about, "<b>Hvorfor</b> tolv?").await);
    assert_eq!((thread["quote"].as_str(), thread["comments"][0]["body"].as_str()), (Some("tolv små spor"), Some("<b>Hvorfor</b> tolv?")));
    assert_eq!((&thread["detached_at"], &thread["state"], &thread["can"]["resolve"]), (&Value::Null, &json!("open"), &json!(true)));
    leader.hears_of(&thread).await;

    // Typed before it: nothing to tell. Deleted with everything around: detached, with its quote.
    leader.live.type_in(SECTION, 0, "Altså: ").await;
    leader.live.until_settled().await;
    let length = "Altså: Skolen har tolv små spor i alt. ".encode_utf16().count();
    leader
        .live
        .change(|transaction| {
            let fragment = yrs::WriteTxn::get_or_insert_xml_fragment(transaction, format!("section:{SECTION}"));
            first_text(&fragment, transaction).remove_range(transaction, 0, u32::try_from(length).unwrap());
        })
        .await;
    leader.hears_of(&thread).await;
    let gone = leader.thread(&thread).await;
    assert!(gone["detached_at"].is_string() && gone["anchor"].is_null(), "{gone}");
    assert_eq!(gone["quote"], "tolv små spor");
    assert_eq!(gone["version"], thread["version"], "its words moving change no version");

    // They come back, in a room that was opened anew after a restart.
    drop((leader, teacher));
    let server = server.restart().await;
    let mut leader = At::desk(&server, people::LEADER).await;
    leader.live.type_in(SECTION, 0, "Skolen har tolv små spor i alt. ").await;
    leader.hears_of(&thread).await;
    let back = leader.thread(&thread).await;
    assert!(back["detached_at"].is_null(), "{back}");
    let about = leader.select("tolv små spor");
    assert_eq!((&back["anchor"]["start"], &back["anchor"]["end"]), (&about["start"], &about["end"]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_for_what_it_is() {
    let server = TestServer::start().await;
    let mut teacher = At::desk(&server, people::TEACHER).await;
    let threads = format!("/api/documents/{}/threads", teacher.document);
    let whole = json!({ "kind": "document" });
    let with = |body: &str, more: Value| {
        let mut new = json!({ "id": Uuid::new_v4(), "about": whole, "body": body });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        new
    };
    for (what, new, status, kind) in [
        ("empty", with(" \n ", json!({})), 422, "/problems/invalid"),
        ("too long", with(&"å".repeat(4_001), json!({})), 422, "/problems/too-long"),
        ("a character that cannot be kept", with("nul\0", json!({})), 422, "/problems/invalid"),
        ("a CPR number", with("Se 010203-1234", json!({})), 422, "/problems/looks-like-cpr"),
        ("a mention of nobody", with("Hej", json!({ "mentions": [Uuid::nil()] })), 422, "/problems/mention-without-access"),
        ("no such section", with("Hej", json!({ "about": { "kind": "section", "section_key": "x" } })), 422, "/problems/invalid"),
        ("no such goal", with("Hej", json!({ "about": { "kind": "goal", "goal_id": Uuid::nil() } })), 409, "/problems/anchor-gone"),
        ("a proposal for no words", with("Hej", json!({ "proposal": "andre" })), 422, "/problems/invalid"),
        ("nothing known", json!({ "id": Uuid::new_v4() }), 422, "/problems/invalid"),
    ] {
        let answer = teacher.post(&threads, &new).await;
        assert_eq!((answer.status, answer.json()["type"].as_str()), (status, Some(kind)), "{what}");
    }
    assert!(refused(&teacher.post(&threads, &with(&"x".repeat(4_001), json!({}))).await, 422, "/problems/too-long").contains("4000"));
    created(&teacher.post(&threads, &with(&"å".repeat(4_000), json!({}))).await);
    created(&teacher.post(&threads, &with("Se 010203-1234", json!({ "confirmed_personal_data": true }))).await);

    // Whoever may not read it is not named; who is offered may.
    let stranger = server.sign_in("p-l-bibliotek").await.get("/api/me").await.json()["person"].clone();
    let named = teacher.post(&threads, &with("Hej", json!({ "mentions": [stranger["id"]] }))).await;
    assert!(refused(&named, 422, "/problems/mention-without-access").contains(stranger["name"].as_str().unwrap()));
    let offered = teacher.browser.get(&format!("/api/documents/{}/mentionable", teacher.document)).await.json();
    let offered: Vec<&Value> = offered["items"].as_array().unwrap().iter().map(|person| &person["id"]).collect();
    assert!(offered.len() >= 3 && offered.len() <= 20 && !offered.contains(&&stranger["id"]), "{offered:?}");
    created(&teacher.post(&threads, &with("Hej alle", json!({ "mentions": offered }))).await);

    // A selection that does not stand there any more, and forged ones.
    let mut leader = At::desk(&server, people::LEADER).await;
    leader.live.type_in(SECTION, 0, "Kort forbi står her. ").await;
    teacher.live.until("the words", |live| live.says("Kort forbi")).await;
    let about = teacher.select("Kort forbi");
    leader
        .live
        .change(|transaction| {
            let fragment = yrs::WriteTxn::get_or_insert_xml_fragment(transaction, format!("section:{SECTION}"));
            first_text(&fragment, transaction).remove_range(transaction, 0, 21);
        })
        .await;
    leader.live.until_settled().await;
    refused(&teacher.begin(about.clone(), "Hvad?").await, 409, "/problems/anchor-gone");
    for (field, value) in [("start", "!"), ("start", "AAAA"), ("end", "CQEBAA==")] {
        let mut forged = about.clone();
        forged[field] = value.into();
        refused(&teacher.begin(forged, "Hvad?").await, 422, "/problems/anchor-forged");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_resolved_by_one_and_reopened_by_who_answers() {
    let server = TestServer::start().await;
    let (mut teacher, mut leader, mut head) =
        (At::desk(&server, people::TEACHER).await, At::desk(&server, people::LEADER).await, At::desk(&server, people::HEAD).await);
    let thread = created(&leader.begin(json!({ "kind": "section", "section_key": SECTION }), "Skal det med?").await);
    refused(&teacher.act(&thread, "resolve", &json!({})).await, 403, "/problems/forbidden");
    let nothing = json!({});
    let (first, second) = tokio::join!(leader.act(&thread, "resolve", &nothing), head.act(&thread, "resolve", &nothing));
    assert_eq!((first.status, second.status), (200, 200));
    let (first, second) = (first.json(), second.json());
    assert_eq!(
        (&first["state"], &first["resolved_by"], &first["resolved_at"]),
        (&json!("resolved"), &second["resolved_by"], &second["resolved_at"])
    );
    assert!(first["resolved_by"]["name"].is_string());

    let reply = json!({ "id": Uuid::new_v4(), "body": "Ja, det skal." });
    refused(&teacher.act(&thread, "comments", &reply).await, 409, "/problems/thread-resolved");
    let mut opening = reply.clone();
    opening["reopen"] = true.into();
    let reopened = created(&teacher.act(&thread, "comments", &opening).await);
    assert_eq!((&reopened["state"], &reopened["resolved_by"]), (&json!("open"), &Value::Null));
    // The answer was lost on the way, and the page sends it again.
    let again = created(&teacher.act(&thread, "comments", &opening).await);
    assert_eq!(again["comments"].as_array().unwrap().len(), 2);
    let taken_up = teacher.act(&thread, "for-meeting", &json!({ "on": true })).await.json();
    assert_eq!(taken_up["for_meeting"], true);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_words_are_reworded_and_deleted_and_the_trace_stays() {
    let server = TestServer::start().await;
    let (mut teacher, mut leader) = (At::desk(&server, people::TEACHER).await, At::desk(&server, people::LEADER).await);
    let threads = format!("/api/documents/{}/threads", teacher.document);
    let new = json!({ "id": Uuid::new_v4(), "about": { "kind": "document" }, "body": "Fejll" });
    let thread = created(&teacher.post(&threads, &new).await);
    let sent_again = created(&teacher.post(&threads, &new).await);
    assert_eq!((&sent_again["id"], sent_again["comments"].as_array().unwrap().len()), (&thread["id"], 1));
    assert_eq!((&thread["unread_from"], &thread["mine"]), (&Value::Null, &json!(true)));
    assert_eq!(leader.thread(&thread).await["unread_from"], 1);
    let read = json!({ "up_to": { (thread["id"].as_str().unwrap()): 7 } });
    assert_eq!(leader.post(&format!("{threads}/read"), &read).await.status, 204);
    assert_eq!(leader.thread(&thread).await["unread_from"], Value::Null);

    let comment = format!("/api/comments/{}", thread["comments"][0]["id"].as_str().unwrap());
    let better = json!({ "body": "Fejl" });
    refused(&leader.browser.send_json_if(1, Method::PATCH, &comment, &better).await, 403, "/problems/forbidden");
    refused(&teacher.browser.send_json(Method::PATCH, &comment, &better).await, 428, "/problems/version-required");
    let edited = teacher.browser.send_json_if(1, Method::PATCH, &comment, &better).await.json();
    assert_eq!((&edited["comments"][0]["body"], &edited["comments"][0]["version"]), (&json!("Fejl"), &json!(2)));
    assert!(edited["comments"][0]["edited_at"].is_string());
    refused(&teacher.browser.send_json_if(1, Method::PATCH, &comment, &better).await, 412, "/problems/stale");
    let kept: Vec<String> = sqlx::query("SELECT body FROM comment_revision")
        .fetch_all(&mut server.superuser().await)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(kept, ["Fejll"]);

    let answered = created(&leader.act(&thread, "comments", &json!({ "id": Uuid::new_v4(), "body": "Rettet." })).await);
    refused(&leader.browser.send_json(Method::DELETE, &comment, &json!({})).await, 403, "/problems/forbidden");
    let deleted = teacher.browser.send_json(Method::DELETE, &comment, &json!({})).await.json();
    assert_eq!((&deleted["comments"][0]["body"], &deleted["comments"][1]["body"]), (&json!(""), &json!("Rettet.")));
    assert!(deleted["comments"][0]["deleted_at"].is_string() && deleted["comments"][0]["person"]["name"].is_string());
    let last = format!("/api/comments/{}", answered["comments"][1]["id"].as_str().unwrap());
    assert_eq!(leader.browser.send_json(Method::DELETE, &last, &json!({})).await.status, 204, "nothing is said in it any more");
    assert_eq!(teacher.thread(&thread).await, Value::Null);
    let left: i64 = sqlx::query("SELECT count(*) FROM comment_revision WHERE body <> ''")
        .fetch_one(&mut server.superuser().await)
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0, "deleted words are gone for everybody");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_proposed_words_are_inserted_once_and_only_for_the_words_they_replace() {
    let server = TestServer::start().await;
    let (mut teacher, mut leader, mut head) =
        (At::desk(&server, people::TEACHER).await, At::desk(&server, people::LEADER).await, At::desk(&server, people::HEAD).await);
    leader.live.type_in(SECTION, 0, "Vi har tolv små spor. ").await;
    teacher.live.until("the words", |live| live.says("tolv små spor")).await;
    let threads = format!("/api/documents/{}/threads", teacher.document);
    let propose = |about: Value, words: &str| json!({ "id": Uuid::new_v4(), "about": about, "body": "Bedre?", "proposal": words });
    let new = propose(teacher.select("tolv små spor"), "tretten spor");
    let thread = created(&teacher.post(&threads, &new).await);
    assert_eq!((&thread["proposal"]["state"], &thread["can"]["insert"]), (&json!("open"), &json!(false)));
    refused(&teacher.act(&thread, "proposal/claim", &json!({})).await, 403, "/problems/forbidden");
    refused(&leader.act(&thread, "proposal", &json!({ "outcome": "inserted" })).await, 409, "/problems/conflict");

    let nothing = json!({});
    let (one, other) = tokio::join!(leader.act(&thread, "proposal/claim", &nothing), head.act(&thread, "proposal/claim", &nothing));
    let (mut winner, mut loser, lost) = if one.status == 200 { (leader, head, other) } else { (head, leader, one) };
    assert!(refused(&lost, 409, "/problems/proposal-taken").ends_with("er ved at indsætte forslaget."));
    winner.live.until("the words that it replaces", |live| live.says("tolv små spor")).await;
    winner
        .live
        .change(|transaction| {
            let fragment = yrs::WriteTxn::get_or_insert_xml_fragment(transaction, format!("section:{SECTION}"));
            let text = first_text(&fragment, transaction);
            text.remove_range(transaction, 7, 13);
            text.insert(transaction, 7, "tretten spor");
        })
        .await;
    winner.live.until_settled().await;
    let report = json!({ "outcome": "inserted", "seq": winner.live.seq });
    for _ in 0..2 {
        let inserted = winner.act(&thread, "proposal", &report).await.json();
        assert_eq!(
            (&inserted["proposal"]["state"], &inserted["quote"]),
            (&json!("inserted"), &json!("tolv små spor")),
            "it keeps both texts"
        );
    }
    let (stands, about) = (winner.thread(&thread).await, winner.select("tretten spor"));
    assert_eq!((&stands["anchor"]["start"], &stands["anchor"]["end"]), (&about["start"], &about["end"]), "it stands on them now");
    assert!(stands["detached_at"].is_null());
    refused(&loser.act(&thread, "proposal/claim", &json!({})).await, 409, "/problems/proposal-taken");
    refused(&loser.act(&thread, "proposal", &json!({ "outcome": "declined" })).await, 409, "/problems/proposal-taken");

    // The words changed meanwhile: the editor is told, and nothing is taken.
    teacher.live.until("the new words", |live| live.says("tretten spor")).await;
    let new = propose(teacher.select("tretten spor"), "fjorten spor");
    let thread = created(&teacher.post(&threads, &new).await);
    winner.live.type_in(SECTION, 10, "X").await;
    winner.live.until_settled().await;
    refused(&loser.act(&thread, "proposal/claim", &json!({})).await, 409, "/problems/anchor-changed");
    let declined = loser.act(&thread, "proposal", &json!({ "outcome": "declined" })).await.json();
    assert_eq!(declined["proposal"]["state"], "declined");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_concerned_are_told_in_the_transaction_of_what_happened() {
    let server = TestServer::start().await;
    let (mut teacher, mut leader) = (At::desk(&server, people::TEACHER).await, At::desk(&server, people::LEADER).await);
    let head = server.sign_in(people::HEAD).await.get("/api/me").await.json()["person"]["id"].clone();
    let threads = format!("/api/documents/{}/threads", teacher.document);
    let new = json!({ "id": Uuid::new_v4(), "about": { "kind": "document" }, "body": "Hej", "mentions": [head] });
    let thread = created(&teacher.post(&threads, &new).await);
    created(&leader.act(&thread, "comments", &json!({ "id": Uuid::new_v4(), "body": "Hej selv" })).await);
    leader.act(&thread, "resolve", &json!({})).await;
    let told: Vec<(String, String)> = sqlx::query(
        "SELECT person.slug, notification.kind FROM notification JOIN person ON person.id = notification.person_id ORDER BY notification.at, 1",
    )
    .fetch_all(&mut server.superuser().await)
    .await
    .unwrap()
    .iter()
    .map(|row| (row.get(0), row.get(1)))
    .collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(person, kind)| (&person[..], &kind[..])).collect();
    assert_eq!(
        told,
        [
            (people::HEAD, "mention"),
            (people::LEADER, "comment"),
            (people::HEAD, "comment"),
            (people::TEACHER, "reply"),
            (people::TEACHER, "resolved"),
        ]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l15_what_is_said_beside_a_text_is_bounded() {
    let limits =
        Limits { comment_chars_max: 10, comment_mentions_max: 2, thread_comments_max: 3, document_threads_max: 5, ..Limits::default() };
    let server = TestServer::start_with(limits).await;
    let mut teacher = At::desk(&server, people::TEACHER).await;
    let whole = json!({ "kind": "document" });
    for chars in [9, 10] {
        created(&teacher.begin(whole.clone(), &"å".repeat(chars)).await);
    }
    let said = refused(&teacher.begin(whole.clone(), &"å".repeat(11)).await, 422, "/problems/too-long");
    assert_eq!(said, "Der er plads til 10 tegn.");

    // The demo has begun three threads here.
    refused(&teacher.begin(whole, "En til").await, 409, "/problems/conflict");
    let threads = teacher.browser.get(&format!("/api/documents/{}/threads", teacher.document)).await.json();
    assert_eq!(threads.as_array().unwrap().len(), 5);

    let offered = teacher.browser.get(&format!("/api/documents/{}/mentionable", teacher.document)).await.json();
    let people: Vec<&Value> = offered["items"].as_array().unwrap().iter().map(|person| &person["id"]).collect();
    let thread = threads[4].clone();
    let reply = |mentions: &[&Value]| json!({ "id": Uuid::new_v4(), "body": "Ja", "mentions": mentions });
    refused(&teacher.act(&thread, "comments", &reply(&people[..3])).await, 422, "/problems/invalid");
    for named in 1..=2 {
        created(&teacher.act(&thread, "comments", &reply(&people[..named])).await);
    }
    refused(&teacher.act(&thread, "comments", &reply(&[])).await, 409, "/problems/conflict");
    assert_eq!(teacher.thread(&thread).await["comments"].as_array().unwrap().len(), 3, "what was refused is not there");
    server.stop().await;
}

//! Live documents over real sockets on a real database: what people see, what they are refused, and what is on disk.

use std::collections::BTreeSet;
use std::time::Duration;

use openidconnect::reqwest::Method;
use samspil_client_protocol::api::ReadOnlyBecause;
use samspil_client_protocol::message::{AbilityReason, Event, RefusalAction, RefusalCode};
use samspil_server::config::Limits;
use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;
use yrs::Text as _;

use crate::harness::{Browser, Door, Live, TestServer, first_text, people};

const UNIT: &str = "Fjordskolen";
/// What freezing for signing does to the rights.
const FREEZE: &str = "UPDATE document SET status = 'ready_to_sign', access_version = access_version + 1 WHERE id = $1";
const SECTION: &str = "rammer";

/// The two parties of one agreement, at their browsers, and the agreement's document.
async fn parties(server: &TestServer) -> (Browser, Browser, Uuid) {
    let mut leader = server.sign_in(people::LEADER).await;
    let head = server.sign_in(people::HEAD).await;
    let document = leader.document_of(UNIT).await;
    (leader, head, document)
}

/// Waits until all of them say what the server has on disk, and that says all of these words.
async fn converge(replicas: &mut [&mut Live], browser: &mut Browser, document: Uuid, words: &[&str]) {
    for live in &mut *replicas {
        live.until_settled().await;
    }
    let content = browser.content(document).await;
    for word in words {
        assert!(content.contains(word), "{word} is not on disk: {content}");
    }
    for live in replicas {
        live.until("the same as on disk", |live| live.content() == content).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_g3_two_people_write_in_one_paragraph_and_see_only_what_is_on_disk() {
    let server = TestServer::start().await;
    let (mut leader_browser, head_browser, document) = parties(&server).await;
    let mut leader = Live::open(leader_browser.door(document)).await;
    let mut head = Live::open(head_browser.door(document)).await;
    for round in 0..20 {
        let (ours, theirs) = (format!("[leder {round}]"), format!("[chef {round}]"));
        tokio::join!(leader.type_in(SECTION, 0, &ours), head.type_in(SECTION, 0, &theirs));
        head.until("the leader's words", |head| head.says(&ours)).await;
        assert!(leader_browser.content(document).await.contains(&ours), "what another sees is on disk");
        leader.until("the head's words", |leader| leader.says(&theirs)).await;
    }
    converge(&mut [&mut leader, &mut head], &mut leader_browser, document, &["[leder 0]", "[chef 19]"]).await;
    assert!(leader.seq >= 40, "every edit has a row: {}", leader.seq);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_only_our_own_pages_open_a_socket() {
    let server = TestServer::start().await;
    let (leader, _, document) = parties(&server).await;
    let door = leader.door(document);
    let own = door.origin.clone().unwrap();
    let port: u16 = own.rsplit_once(':').unwrap().1.parse().unwrap();
    let foreign = [
        None,
        Some("null".to_owned()),
        Some("https://ond.example".to_owned()),
        Some(format!("{own}.ond.example")),
        Some(format!("http://127.0.0.1:{}", port.wrapping_add(1))),
        Some("http://127.0.0.1".to_owned()),
        Some(format!("https://127.0.0.1:{port}")),
        Some(format!("http://localhost:{port}")),
        Some(format!("{own}/")),
    ];
    for origin in foreign {
        let refused = Door { origin: origin.clone(), ..door.clone() }.knock().await.err();
        assert_eq!(refused, Some(403), "{origin:?}");
    }
    assert!(door.knock().await.is_ok());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_a_stranger_signs_in_and_what_one_may_not_see_is_not_there() {
    let server = TestServer::start().await;
    let (leader, _, document) = parties(&server).await;
    let hidden = server.sign_in("p-dir-bkl").await.document_of("Klitfjord Bibliotek").await;
    let door = leader.door(document);
    let mut closed = Vec::new();
    for door in [
        Door { cookie: String::new(), ..door.clone() },
        Door { cookie: "samspil=gammel".into(), ..door.clone() },
        Door { document: Uuid::from_u128(7).to_string(), ..door.clone() },
        Door { document: "ikke-et-id".into(), ..door.clone() },
        Door { document: hidden.to_string(), ..door.clone() },
    ] {
        let mut live = Live::new(door);
        live.connect().await.unwrap();
        closed.push(live.until_closed().await);
        assert!(live.hello.is_none() && !live.synced, "nothing was said before that");
    }
    assert_eq!(closed[0].0, 4401);
    assert_eq!(closed[1], closed[0]);
    assert_eq!(closed[2].0, 4404);
    assert_eq!(closed[3], closed[2]);
    assert_eq!(closed[4], closed[2]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_a_readers_raw_update_changes_nothing() {
    let server = TestServer::start().await;
    let (mut leader, _, document) = parties(&server).await;
    let before = leader.content(document).await;
    let door = server.sign_in(people::TEACHER).await.door(document);

    // A teacher of the school may comment on its agreement, and not write in it.
    let mut reader = Live::open(door.clone()).await;
    let abilities = reader.hello.as_ref().unwrap().abilities;
    assert!(abilities.comment && !abilities.edit);
    reader.type_in(SECTION, 0, "indsmuglet").await;
    reader.until_settled().await;
    let refused = reader.refused[0];
    assert_eq!((refused.code, refused.action), (RefusalCode::ReadOnly, RefusalAction::KeepAsProposal));

    let mut standard = Live::open(Door { samspil: false, ..door }).await;
    standard.type_in(SECTION, 0, "indsmuglet").await;
    assert_eq!(standard.until_closed().await.0, 4403);
    assert_eq!(leader.content(document).await, before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_two_hundred_pairs_open_one_document_at_once_and_agree() {
    const PAIRS: usize = 200;
    let limits = Limits { sockets_per_session_max: PAIRS, ..Limits::default() };
    let server = TestServer::start_with(limits).await;
    let (mut leader, head, document) = parties(&server).await;
    let mut opening = JoinSet::new();
    for at in 0..2 * PAIRS {
        let door = if at % 2 == 0 { leader.door(document) } else { head.door(document) };
        opening.spawn(Live::open(door));
    }
    let mut replicas = opening.join_all().await;
    let peers: BTreeSet<u32> = replicas.iter().map(|live| live.hello.as_ref().unwrap().peer_id).collect();
    assert_eq!(peers.len(), 2 * PAIRS, "all in one room, which gives each a number of its own");
    // Some of them write, all of them listen.
    let mut talking = JoinSet::new();
    for (at, mut live) in replicas.drain(..).enumerate() {
        talking.spawn(async move {
            if at % 20 == 0 {
                live.type_in(SECTION, 0, &format!("[{at}]")).await;
            }
            live.until("everybody's words", |live| live.heard >= 20 || (0..400).step_by(20).all(|at| live.says(&format!("[{at}]")))).await;
            live.until("really everybody's", |live| (0..400).step_by(20).all(|at| live.says(&format!("[{at}]")))).await;
            live
        });
    }
    let replicas = talking.join_all().await;
    let content = leader.content(document).await;
    assert!(replicas.iter().all(|live| live.content() == content), "all agree with the disk");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_open_a_new_agreement_at_once_find_its_template_once() {
    let server = TestServer::start().await;
    let mut leader_browser = server.sign_in("p-l-oesterklit-2").await;
    let head_browser = server.sign_in("p-chef-dagtilbud").await;
    let document = leader_browser.document_of("Børnehuset Østerklit").await;
    let template = leader_browser.content(document).await;
    let (mut leader, mut head) = tokio::join!(Live::open(leader_browser.door(document)), Live::open(head_browser.door(document)));
    assert_eq!((leader.content(), head.content()), (template.clone(), template.clone()));
    let template: Value = serde_json::from_str(&template).unwrap();
    let sections = template["sections"].as_object().unwrap();
    assert!(!sections.is_empty() && sections.values().all(|nodes| nodes.as_array().unwrap().len() == 1), "one paragraph each: {template}");
    // The first words of both at once make it a draft, once.
    let before = begun(&server).await;
    let section = sections.keys().next().unwrap();
    tokio::join!(leader.type_in(section, 0, "Vores "), head.type_in(section, 0, "Jeres "));
    converge(&mut [&mut leader, &mut head], &mut leader_browser, document, &["Vores ", "Jeres "]).await;
    assert_eq!(begun(&server).await, before + 1);
    server.stop().await;
}

/// How many agreements the trail says were begun.
async fn begun(server: &TestServer) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit_event WHERE type = 'status_changed' AND body->>'to' = 'drafting'")
        .fetch_one(&mut server.superuser().await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_who_does_not_read_is_sent_away_to_come_back_and_loses_nothing_and_holds_up_nobody() {
    let limits = Limits {
        peer_queue_bytes_max: 1 << 20,
        peer_bytes_per_s: 16 << 20,
        peer_updates_per_s: 10_000,
        peer_cpu_ms_per_10s: 100_000,
        ..Limits::default()
    };
    let server = TestServer::start_with(limits).await;
    let (mut leader_browser, head_browser, document) = parties(&server).await;
    let mut leader = Live::open(leader_browser.door(document)).await;
    let mut slow = Live::open(Door { receive_buffer: Some(4096), ..head_browser.door(document) }).await;
    let mut quick = Live::open(head_browser.door(document)).await;
    let section = leader.doc.get_or_insert_xml_fragment(format!("section:{SECTION}"));
    let words = "x".repeat(256 << 10);
    // The slow one hears nothing until far more has been written than any buffer on the way takes.
    for round in 1..=80 {
        leader.type_in(SECTION, 0, &words).await;
        leader.change(|transaction| first_text(&section, transaction).remove_range(transaction, 0, 256 << 10)).await;
        leader.until_settled().await;
        // The answer to the first question, and every word.
        quick.until("every word so far", |quick| quick.heard > 2 * round).await;
    }
    assert_eq!(slow.until_closed().await.0, 4001);
    slow.door.receive_buffer = None;
    slow.reconnect().await;
    converge(&mut [&mut slow, &mut quick, &mut leader], &mut leader_browser, document, &[]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_frame_of_the_largest_size_is_read_and_a_larger_one_is_not() {
    let server = TestServer::start().await;
    let (leader, _, document) = parties(&server).await;
    let size = Limits::default().frame_bytes_max;
    // 255 is no message number that anybody knows: read, and passed over.
    for (bytes, closed) in [(size - 1, false), (size, false), (size + 1, true)] {
        let mut live = Live::open(leader.door(document)).await;
        let mut frame = vec![0; bytes];
        frame[..2].copy_from_slice(&[0xff, 1]);
        live.send_frame(frame.into()).await;
        if closed {
            assert_eq!(live.until_closed().await.0, 1009, "{bytes} bytes");
        } else {
            live.type_in(SECTION, 0, "videre ").await;
            live.until_settled().await;
        }
    }
    let mut live = Live::open(leader.door(document)).await;
    live.send_message(Message::text("tekst")).await;
    assert_eq!(live.until_closed().await.0, 4403);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_document_that_fills_up_says_so_and_takes_words_again_once_the_limit_is_raised() {
    let (near, full) = (100 << 10, 200 << 10);
    let roomy = Limits { document_bytes_warn: 1 << 20, document_bytes_max: 1 << 20, ..Limits::default() };
    let server = TestServer::start_with(Limits { document_bytes_warn: near, document_bytes_max: full, ..roomy.clone() }).await;
    let (mut leader_browser, head_browser, document) = parties(&server).await;
    let teacher_browser = server.sign_in(people::TEACHER).await;
    let mut leader = Live::open(leader_browser.door(document)).await;
    let mut head = Live::open(head_browser.door(document)).await;
    let mut teacher = Live::open(teacher_browser.door(document)).await;
    let is_told = |live: &Live| live.events.contains(&Event::NearlyFull);
    assert!(!is_told(&leader));
    leader.type_in(SECTION, 0, &"næsten ".repeat(near / 7)).await;
    leader.until("told", is_told).await;
    head.until("told", is_told).await;
    assert!(is_told(&Live::open(head_browser.door(document)).await) && !is_told(&teacher), "also who comes later; not who cannot write");
    leader.type_in(SECTION, 0, &"helt ".repeat(full / 5)).await;
    let is_full = |live: &Live| live.abilities.iter().any(|told| told.reason == AbilityReason::Full && !told.abilities.edit);
    for live in [&mut leader, &mut head] {
        live.until("told that it is full", is_full).await;
    }
    let before = leader_browser.content(document).await;
    leader.type_in(SECTION, 0, "for sent ").await;
    leader.until_settled().await;
    let refused = *leader.refused.last().unwrap();
    assert_eq!((refused.code, refused.action), (RefusalCode::DocumentFull, RefusalAction::KeepAsProposal));
    assert_eq!(leader_browser.content(document).await, before);
    let abilities = Live::open(head_browser.door(document)).await.hello.unwrap().abilities;
    assert_eq!((abilities.read, abilities.comment, abilities.edit), (true, true, false));
    assert_eq!(abilities.read_only_because, Some(ReadOnlyBecause::Full));
    teacher.until("the last words that got in", |teacher| teacher.content() == before).await;
    assert!(teacher.abilities.is_empty());
    let server = server.restart_with(roomy).await;
    let mut head = Live::open(head_browser.door(document)).await;
    assert!(head.hello.as_ref().unwrap().abilities.edit);
    head.type_in(SECTION, 0, "der er plads igen ").await;
    converge(&mut [&mut head], &mut leader_browser, document, &["der er plads igen "]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l12_a_session_has_so_many_places_and_another_device_has_its_own() {
    let server = TestServer::start_with(Limits { sockets_per_session_max: 2, ..Limits::default() }).await;
    let (leader, _, document) = parties(&server).await;
    let phone = server.sign_in(people::LEADER).await;
    let mut tabs = [Live::open(leader.door(document)).await, Live::open(leader.door(document)).await];
    let mut third = Live::new(leader.door(document));
    third.connect().await.unwrap();
    assert_eq!(third.until_closed().await.0, 4000);
    let mut on_phone = Live::open(phone.door(document)).await;
    // All of them are the same person's, and each hears the others.
    on_phone.type_in(SECTION, 0, "fra telefonen ").await;
    for tab in &mut tabs {
        tab.until("the phone's words", |tab| tab.says("fra telefonen ")).await;
    }
    let [first, second] = &mut tabs;
    first.type_in(SECTION, 0, "fra fanen ").await;
    second.until("the tab's words", |tab| tab.says("fra fanen ")).await;
    first.cut();
    // The place is free once the server has noticed.
    third.reconnect().await;
    assert_eq!(third.content(), second.content());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_closes_this_sessions_sockets_and_no_others() {
    let server = TestServer::start().await;
    let (mut leader, head, document) = parties(&server).await;
    let phone = server.sign_in(people::LEADER).await;
    let mut tabs = [Live::open(leader.door(document)).await, Live::open(leader.door(document)).await];
    let mut others = [Live::open(phone.door(document)).await, Live::open(head.door(document)).await];
    let door = leader.door(document);
    tabs[0].type_in(SECTION, 0, "lige før ").await;
    let answer = leader.send_json(Method::POST, "/auth/logout", &json!({})).await;
    assert!(answer.status < 400, "{answer:?}");
    for tab in &mut tabs {
        assert_eq!(tab.until_closed().await.0, 4401);
    }
    let mut again = Live::new(door);
    again.connect().await.unwrap();
    assert_eq!(again.until_closed().await.0, 4401, "the cookie is worth nothing any more");
    others[0].type_in(SECTION, 0, "videre ").await;
    let [phone, head] = &mut others;
    head.until("the phone's words", |head| head.says("videre ")).await;
    phone.until_settled().await;
    server.stop().await;
}

/// Does this while the person types all the time.
async fn while_typing<T>(live: &mut Live, section: &str, other: impl Future<Output = T>) -> T {
    tokio::pin!(other);
    loop {
        tokio::select! {
            done = &mut other => return done,
            () = async {
                live.type_in(section, 0, "x").await;
                live.until("heard", |live| live.settled() || live.closed.is_some()).await;
            } => {}
        }
    }
}

async fn head(database: &mut sqlx::PgConnection, document: Uuid) -> i64 {
    sqlx::query("SELECT head FROM document WHERE id = $1").bind(document).fetch_one(database).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_nothing_is_accepted_into_a_frozen_text() {
    let server = TestServer::start().await;
    let (mut leader_browser, head_browser, document) = parties(&server).await;
    let mut database = server.superuser().await;
    let mut leader = Live::open(leader_browser.door(document)).await;
    let mut head_page = Live::open(head_browser.door(document)).await;
    for _ in 0..5 {
        leader.type_in(SECTION, 0, "før ").await;
        head_page.type_in(SECTION, 0, "også før ").await;
    }
    while_typing(&mut leader, SECTION, sqlx::query(FREEZE).bind(document).execute(&mut database)).await.unwrap();
    let frozen_at = head(&mut database, document).await;
    let frozen = leader_browser.content(document).await;
    for live in [&mut leader, &mut head_page] {
        live.type_in(SECTION, 0, "efter ").await;
        live.until_settled().await;
        live.until("told", |live| live.abilities.iter().any(|told| told.reason == AbilityReason::Frozen && !told.abilities.edit)).await;
        let last = live.refused.last().expect("the last words are refused");
        assert_eq!((last.code, last.action, last.frame), (RefusalCode::Frozen, RefusalAction::KeepAsProposal, live.sent));
        assert!(live.closed.is_none(), "they read on");
    }
    assert_eq!(head(&mut database, document).await, frozen_at);
    assert_eq!(leader_browser.content(document).await, frozen);
    drop(database);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_server_that_stops_says_come_back_and_has_all_it_acknowledged() {
    let server = TestServer::start().await;
    let (mut leader_browser, head_browser, document) = parties(&server).await;
    let mut writers = JoinSet::new();
    for (name, door) in [("leder", leader_browser.door(document)), ("chef", head_browser.door(document))] {
        writers.spawn(async move {
            let mut live = Live::open(door).await;
            let mut saved = Vec::new();
            for word in (0..).map(|number| format!("[{name} {number}]")) {
                live.type_in(SECTION, 0, &word).await;
                live.until("settled or closed", |live| live.settled() || live.closed.is_some()).await;
                if live.closed.is_some() {
                    break;
                }
                saved.push(word);
            }
            (live, saved)
        });
    }
    let mut watching = Live::open(head_browser.door(document)).await;
    watching.until("both write", |live| live.says("[leder 10]") && live.says("[chef 10]")).await;
    let begun = Instant::now();
    let server = server.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "stopped and started again in {:?}", begun.elapsed());
    let content = leader_browser.content(document).await;
    for (mut live, saved) in writers.join_all().await {
        assert_eq!(live.closed.as_ref().map(|closed| closed.0), Some(4000));
        let lost: Vec<_> = saved.iter().filter(|word| !content.contains(*word)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        live.reconnect().await;
        converge(&mut [&mut live], &mut leader_browser, document, &[]).await;
    }
    assert_eq!(watching.until_closed().await.0, 4000);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_document_that_cannot_be_loaded_is_an_error_and_never_an_empty_one() {
    let server = TestServer::start().await;
    let (mut leader, _, document) = parties(&server).await;
    let before = leader.content(document).await;
    // Whoever asked for the text may have opened it: nothing is in memory after this.
    let server = server.restart().await;
    let mut database = server.superuser().await;
    sqlx::query("REVOKE SELECT ON document_update FROM samspil_app").execute(&mut database).await.unwrap();
    let mut live = Live::new(leader.door(document));
    live.connect().await.unwrap();
    assert_eq!(live.until_closed().await.0, 4000);
    assert!(live.hello.is_none() && !live.synced, "nobody is shown anything");
    sqlx::query("GRANT SELECT ON document_update TO samspil_app").execute(&mut database).await.unwrap();
    live.reconnect().await;
    assert_eq!((live.content(), leader.content(document).await), (before.clone(), before));
    drop(database);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_while_nothing_can_be_saved_nothing_is_called_saved_and_then_all_of_it_is() {
    let server = TestServer::start().await;
    let (mut leader_browser, head_browser, document) = parties(&server).await;
    let mut leader = Live::open(leader_browser.door(document)).await;
    let mut head_page = Live::open(head_browser.door(document)).await;
    leader.until("its first answer is settled", |leader| leader.sent > 0 && leader.settled()).await;
    let saved = leader.saved;
    let mut database = server.superuser().await;
    sqlx::query("REVOKE INSERT ON document_update FROM samspil_app").execute(&mut database).await.unwrap();
    for number in 0..10 {
        leader.type_in(SECTION, 0, &format!("[{number}]")).await;
    }
    // The server asks the disk again and again; nobody is told anything meanwhile.
    let told = tokio::time::timeout(Duration::from_secs(2), leader.until_settled()).await;
    assert!(told.is_err() && leader.saved == saved && leader.closed.is_none(), "{:?}", leader.closed);
    assert!(!head_page.says("[0]"));
    sqlx::query("GRANT INSERT ON document_update TO samspil_app").execute(&mut database).await.unwrap();
    converge(&mut [&mut leader, &mut head_page], &mut leader_browser, document, &["[0]", "[9]"]).await;
    assert!(leader.refused.is_empty());
    drop(database);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_a_document_that_somebody_holds_in_the_database_holds_up_no_other() {
    let server = TestServer::start().await;
    let (mut held_browser, _, held) = parties(&server).await;
    let mut other_browser = server.sign_in("p-l-klitskolen").await;
    let other = other_browser.document_of("Klitskolen").await;
    let mut in_held = Live::open(held_browser.door(held)).await;
    let mut in_other = Live::open(other_browser.door(other)).await;
    let mut holder = server.superuser().await;
    let mut holding = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM document WHERE id = $1 FOR UPDATE").bind(held).execute(&mut *holding).await.unwrap();
    let before = in_held.saved;
    // Both gather while the first of them waits, and then go together.
    for number in 0..20 {
        in_held.type_in(SECTION, 0, &format!("[holdt {number}]")).await;
        in_other.type_in(SECTION, 0, &format!("[fri {number}]")).await;
    }
    in_other.until_settled().await;
    in_other.type_in(SECTION, 0, "[bagefter]").await;
    in_other.until_settled().await;
    assert!(other_browser.content(other).await.contains("[bagefter]"));
    assert!(in_held.closed.is_none() && in_held.saved <= before + 1, "the held one waits");
    holding.rollback().await.unwrap();
    converge(&mut [&mut in_held], &mut held_browser, held, &["[holdt 0]", "[holdt 19]"]).await;
    converge(&mut [&mut in_other], &mut other_browser, other, &["[fri 0]", "[fri 19]"]).await;
    drop(holder);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_l11_who_writes_faster_than_the_disk_is_read_more_slowly_and_never_refused() {
    let limits = Limits {
        peer_updates_per_s: 1_000_000,
        peer_cpu_ms_per_10s: 100_000,
        peer_updates_burst: 1_000_000,
        peer_bytes_per_s: 1 << 30,
        room_unsaved_updates_max: 50,
        ..Limits::default()
    };
    let server = TestServer::start_with(limits).await;
    let (mut browser, _, document) = parties(&server).await;
    let mut leader = Live::open(browser.door(document)).await;
    for number in 0..3_000 {
        leader.type_in(SECTION, 0, &format!("[{number}]")).await;
    }
    converge(&mut [&mut leader], &mut browser, document, &["[0]", "[2999]"]).await;
    assert!(leader.refused.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_written_in_without_a_pause_has_snapshots_made() {
    let limits = Limits {
        peer_updates_per_s: 1_000_000,
        peer_updates_burst: 1_000_000,
        peer_bytes_per_s: 1 << 30,
        peer_cpu_ms_per_10s: 100_000,
        ..Limits::default()
    };
    let server = TestServer::start_with(limits).await;
    let (browser, _, document) = parties(&server).await;
    let mut leader = Live::open(browser.door(document)).await;
    let mut database = server.superuser().await;
    let snapshot = async {
        loop {
            let seq: i64 = sqlx::query_scalar("SELECT snapshot_seq FROM document WHERE id = $1")
                .bind(document)
                .fetch_one(&mut database)
                .await
                .unwrap();
            if seq > 2_000 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let write = async {
        for _ in 0..20_000 {
            leader.type_in(SECTION, 0, "x").await;
            // There is always something on its way to the disk, and something behind that.
            leader.until("heard", |leader| leader.waiting.len() < 200).await;
        }
        panic!("no snapshot was made while 20,000 edits came");
    };
    tokio::select! {
        () = snapshot => {}
        () = write => {}
    }
    drop(database);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_spares_the_next_one_a_long_log() {
    let server = TestServer::start().await;
    let (leader, head, document) = parties(&server).await;
    let mut live = Live::open(leader.door(document)).await;
    for _ in 0..150 {
        live.type_in(SECTION, 0, "x").await;
    }
    live.until_settled().await;
    let words = live.content();
    // They are still here when it stops.
    let server = server.restart().await;
    let mut database = server.superuser().await;
    let (head_seq, snapshot_seq): (i64, i64) =
        sqlx::query_as("SELECT head, snapshot_seq FROM document WHERE id = $1").bind(document).fetch_one(&mut database).await.unwrap();
    assert_eq!(snapshot_seq, head_seq, "no row is left to replay");
    assert!(head_seq > 150);
    assert_eq!(Live::open(head.door(document)).await.content(), words);
    drop(database);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_two_nodes_on_one_database_show_each_other_what_is_written_on_either() {
    let server = TestServer::start().await;
    let (mut leader_browser, head_browser, document) = parties(&server).await;
    let second = server.second_node().await;
    let elsewhere = Door { server: second.addr(), origin: Some(second.public_url().to_owned()), ..head_browser.door(document) };
    let mut leader = Live::open(leader_browser.door(document)).await;
    let mut head = Live::open(elsewhere).await;
    // By turns: each hears only of what is on disk, from a node on which nobody writes just then.
    leader.type_in(SECTION, 0, "[her]").await;
    head.until("what was written on the other node", |head| head.says("[her]")).await;
    head.type_in(SECTION, 0, "[der]").await;
    leader.until("what was written on the other node", |leader| leader.says("[der]")).await;
    // And both at once, so that each commits between the other's.
    for round in 0..20 {
        let (ours, theirs) = (format!("[leder {round}]"), format!("[chef {round}]"));
        tokio::join!(leader.type_in(SECTION, 0, &ours), head.type_in(SECTION, 0, &theirs));
        tokio::join!(leader.until_settled(), head.until_settled());
    }
    // A node answers for what it has heard of: once its own people have it, it has.
    leader.until("the last words from the other node", |leader| leader.says("[chef 19]")).await;
    head.until("the last words from the other node", |head| head.says("[leder 19]")).await;
    converge(&mut [&mut leader, &mut head], &mut leader_browser, document, &["[leder 0]", "[chef 19]"]).await;
    second.stop().await;
    server.stop().await;
}

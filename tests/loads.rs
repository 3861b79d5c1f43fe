//! Many people at once, for a short while: nothing is lost, and everybody agrees with the disk. What is measured is printed; `make bench`
//! is where figures are taken. F7, F8 and F14 of reliability-security §7; `SAMSPIL_FAULTS=10` has them write ten times as long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use samspil_server::config::Limits;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{Live, Prepared, TestServer, faults, first_section};

/// p50, p95, p99.
fn spread(mut durations: Vec<Duration>) -> String {
    durations.sort_unstable();
    let at = |percent: usize| durations[(durations.len() * percent / 100).min(durations.len() - 1)];
    format!("p50 {:?} p95 {:?} p99 {:?}", at(50), at(95), at(99))
}

/// One person who writes words, one each interval, or as fast as they are acknowledged; answers how long each took.
async fn write(live: &mut Live, name: &str, words: usize, every: Option<Duration>) -> Vec<Duration> {
    let section = first_section(&live.content());
    live.until_settled().await;
    let mut took = Vec::new();
    let mut sent: HashMap<u64, Instant> = HashMap::new();
    let mut next = Instant::now();
    let mut written = 0;
    while took.len() < words {
        let turn = written < words && if every.is_some() { Instant::now() >= next } else { sent.is_empty() };
        if turn {
            live.type_in(&section, 0, &format!("[{name} {written}]")).await;
            sent.insert(live.sent, Instant::now());
            written += 1;
            next += every.unwrap_or_default();
            continue;
        }
        let wait = if written < words && every.is_some() { next } else { Instant::now() + crate::harness::DEADLINE };
        let heard = tokio::time::timeout_at(wait, live.hear()).await.is_ok();
        assert!(heard || Instant::now() >= next && written < words, "{name}: {} of {written} acknowledged", took.len());
        assert!(live.closed.is_none() && live.refused.is_empty(), "{name}: {:?} {:?}", live.closed, live.refused);
        let saved = live.saved;
        took.extend(sent.extract_if(|frame, _| *frame <= saved).map(|(_, at)| at.elapsed()));
    }
    took
}

/// Everybody has every word of everybody, and what the server has.
async fn agree(replicas: &mut [Live], words: usize) {
    let first = &mut replicas[0];
    first.until("every word", |live| count(&live.content()) == words).await;
    let content = first.content();
    for live in replicas {
        live.until("the same as everybody", |live| live.content() == content).await;
    }
}

fn count(content: &str) -> usize {
    content.matches("[p ").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g3_f7_five_hundred_people_in_a_hundred_documents_write_and_nothing_is_lost() {
    const DOCUMENTS: u32 = 100;
    const WRITERS: u32 = 5;
    /// Each writes a word every two seconds: 250 a second together.
    const EVERY: Duration = Duration::from_secs(2);
    let words = 6 * faults();
    let server = TestServer::start().await;
    let mut tables = JoinSet::new();
    for (number, Prepared { doors, .. }) in server.prepare(DOCUMENTS, WRITERS, 0).await.into_iter().enumerate() {
        tables.spawn(async move {
            let mut seats = JoinSet::new();
            for (seat, door) in doors.into_iter().enumerate() {
                seats.spawn(async move {
                    let mut live = Live::open(door).await;
                    // Spread over the interval, as people are.
                    let first = EVERY * u32::try_from((number * 7 + seat * 100) % 500).unwrap() / 500;
                    tokio::time::sleep(first).await;
                    let took = write(&mut live, &format!("p {seat}"), words, Some(EVERY)).await;
                    (live, took)
                });
            }
            let (mut replicas, took): (Vec<Live>, Vec<_>) = seats.join_all().await.into_iter().unzip();
            agree(&mut replicas, WRITERS as usize * words).await;
            took.concat()
        });
    }
    let took = tables.join_all().await.concat();
    println!("F7 500 sockets, 100 documents, 250 edits/s · edits {} · missing 0 · acknowledged {}", took.len(), spread(took));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g3_f8_fifty_write_in_one_document_and_two_hundred_read_it_and_all_agree() {
    const WRITERS: u32 = 50;
    const READERS: u32 = 200;
    let words = 10 * faults();
    let server = TestServer::start().await;
    let prepared = server.prepare(1, WRITERS, READERS).await.remove(0);
    let mut opening = JoinSet::new();
    for (seat, door) in prepared.doors.into_iter().enumerate() {
        opening.spawn(async move { (seat, Live::open(door).await) });
    }
    let every_word = WRITERS as usize * words;
    let written = Arc::new(Semaphore::new(0));
    let mut talking = JoinSet::new();
    for (seat, mut live) in opening.join_all().await {
        let written = written.clone();
        talking.spawn(async move {
            let mut took = Vec::new();
            if seat < WRITERS as usize {
                took = write(&mut live, &format!("p {seat}"), words, None).await;
                written.add_permits(1);
            }
            // Who has nothing to say listens, until the last one has written.
            let last = written.acquire_many(WRITERS);
            tokio::pin!(last);
            while tokio::select! { _ = &mut last => false, () = live.hear() => true } {}
            (live, took)
        });
    }
    let (mut replicas, took): (Vec<Live>, Vec<_>) = talking.join_all().await.into_iter().unzip();
    agree(&mut replicas, every_word).await;
    let took = took.concat();
    println!("F8 50 writers and 200 readers in one document · edits {} · missing 0 · acknowledged {}", took.len(), spread(took));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_thousand_rooms_are_opened_at_once_after_a_restart() {
    const DOCUMENTS: u32 = 1_000;
    let server = TestServer::start().await;
    let prepared = server.prepare(DOCUMENTS, 2, 0).await;
    let server = server.restart().await;
    assert_eq!(server.open_rooms(), 0);
    let began = Instant::now();
    let mut opening = JoinSet::new();
    for Prepared { doors, .. } in prepared {
        opening.spawn(async move {
            let began = Instant::now();
            let live = Live::open(doors[0].clone()).await;
            assert!(!first_section(&live.content()).is_empty(), "the template is there");
            (live, began.elapsed())
        });
    }
    let (replicas, took): (Vec<Live>, Vec<Duration>) = opening.join_all().await.into_iter().unzip();
    let all = began.elapsed();
    assert_eq!(server.open_rooms(), DOCUMENTS as usize);
    println!("F14 {} rooms opened at once after a restart in {all:?} · each {}", replicas.len(), spread(took));
    drop(replicas);
    server.stop().await;
}

/// Never more than a megabyte at once, as a page pastes it.
const PASTE_BYTES: usize = 700 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn f8_a_document_of_almost_four_mebibytes_is_read_and_written_as_any_other() {
    let limits = Limits { peer_bytes_per_s: 1 << 30, ..Limits::default() };
    let most = limits.document_bytes_max;
    let server = TestServer::start_with(limits).await;
    let prepared = server.prepare(1, 2, 8).await.remove(0);
    let mut writer = Live::open(prepared.doors[0].clone()).await;
    let section = first_section(&writer.content());
    for _ in 0..most / PASTE_BYTES {
        writer.type_in(&section, 0, &"ord ".repeat(PASTE_BYTES / 4)).await;
        writer.until_settled().await;
    }
    let mut opening = JoinSet::new();
    for door in prepared.doors.into_iter().skip(1) {
        opening.spawn(Live::open(door));
    }
    let mut replicas = opening.join_all().await;
    writer.until_settled().await;
    let took = write(&mut writer, "p 0", 20, None).await;
    replicas.push(writer);
    agree(&mut replicas, 20).await;
    println!("F8 a document of {} KiB · edits 20 · missing 0 · acknowledged {}", (most / PASTE_BYTES * PASTE_BYTES) >> 10, spread(took));
    server.stop().await;
}

//! The database goes away, falls silent, becomes slow, loses an answer, or comes back as it was yesterday, while people write: nothing
//! acknowledged is lost (G1), nothing is called saved that is not (G9), nothing is there twice, memory stays bounded, and everything goes
//! on by itself afterwards. Figure F2 of reliability-security §7; the line is `harness/line.rs`.

use std::time::Duration;

use rand::Rng as _;
use samspil_client_protocol::message::{RefusalAction, RefusalCode};
use samspil_server::config::Limits;
use sqlx::Connection as _;
use tokio::time::Instant;
use yrs::{Doc, ReadTxn as _, StateVector, Text as _, Transact as _};

use crate::harness::{
    AtCommit, Counter, DEADLINE, DatabaseLine, Live, Party, Seed, ServerProcess, TestServer, Weather, faults, first_text, people,
};

/// Fast writers are not held up by their own rate: what is tried here is the database's.
fn limits() -> Limits {
    Limits {
        peer_updates_per_s: 100_000,
        peer_updates_burst: 100_000,
        peer_bytes_per_s: 1 << 30,
        peer_cpu_ms_per_10s: 100_000,
        ..Limits::default()
    }
}

/// All write while this happens, until so many more words are acknowledged; then all are settled and agree, on lines that never broke.
async fn write_through(party: &mut Party, words: u32, happens: impl Future<Output = ()>, after: &str) {
    let counter = Counter::new();
    let writing = party.all_write(&counter);
    happens.await;
    counter.words(words).await;
    counter.enough.close();
    party.writers = writing.join_all().await;
    for writer in &mut party.writers {
        writer.live.until_settled().await;
        assert!(writer.live.closed.is_none() && writer.live.refused.is_empty(), "{after}: the page stays open: {:?}", writer.live.closed);
    }
    party.holds_what_was_promised(after).await;
    party.agree(after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f2_a_line_cut_before_within_or_after_a_commit_loses_nothing_and_writes_nothing_twice() {
    const AT: [AtCommit; 3] = [AtCommit::CutBefore, AtCommit::CutWithin, AtCommit::LoseAnswer];
    const TIMES: usize = 4;
    let (seed, random) = Seed::draw("outages::g1_f2_a_line_cut");
    let (server, line) = TestServer::start_on_a_line(limits()).await;
    let mut party = Party::begin(|| server.browser(), 2, random).await;
    let times = TIMES * faults();
    for time in 0..times {
        for what in AT {
            let words = party.random.random_range(1..60);
            write_through(&mut party, words, line.at_next_commit(what), &format!("{what:?}, time {time}")).await;
        }
    }
    println!(
        "F2 line cut at a commit {} times, {times} of them before its answer · {seed} · acknowledged edits checked {} · lost 0",
        times * AT.len(),
        party.checked
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g9_f2_commits_that_take_five_seconds_lose_nothing_and_nothing_is_saved_before() {
    let (seed, random) = Seed::draw("outages::g1_g9_f2_commits");
    let (server, line) = TestServer::start_on_a_line(limits()).await;
    let mut party = Party::begin(|| server.browser(), 1, random).await;
    // Shorter and longer than the journal's patience.
    for slow in [Duration::from_secs(3), Duration::from_millis(5_500)] {
        line.weather(Weather::SlowCommits(slow));
        write_through(&mut party, 2, async {}, &format!("commits of {slow:?}")).await;
    }
    line.weather(Weather::Fine);
    write_through(&mut party, 50, async {}, "fine again").await;
    println!("F2 commits of 3 s and 5.5 s · {seed} · acknowledged edits checked {} · lost 0", party.checked);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g4_an_append_that_was_given_up_and_commits_later_settles_its_words_and_nothing_is_written_twice() {
    let (server, line) = TestServer::start_on_a_line(limits()).await;
    let (mut leader, head) = (server.sign_in(people::LEADER).await, server.sign_in(people::HEAD).await);
    let document = leader.document_of("Fjordskolen").await;
    let mut writing = Live::open(leader.door(document)).await;
    let mut reading = Live::open(head.door(document)).await;
    writing.until("its first answer is settled", |live| live.sent > 0 && live.settled()).await;
    let mut database = server.superuser().await;
    let head_of = "SELECT head FROM document WHERE id = $1";
    let before: i64 = sqlx::query_scalar(head_of).bind(document).fetch_one(&mut database).await.unwrap();
    tokio::join!(line.at_next_commit(AtCommit::Late), writing.type_in("rammer", 0, "[givet op]"));
    // The journal has lost patience once the room, before it reads the log again, waits for what was left behind.
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let given_up = async {
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut database).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, given_up).await.expect("it is given up");
    assert!(!writing.settled() && !reading.says("[givet op]"), "nobody is told of what is not on disk");
    line.pass_late().await;
    writing.until_settled().await;
    assert!(writing.refused.is_empty() && writing.closed.is_none());
    reading.until("the words", |live| live.says("[givet op]")).await;
    let after: i64 = sqlx::query_scalar(head_of).bind(document).fetch_one(&mut database).await.unwrap();
    assert_eq!(after, before + 1, "sent again, and acknowledged without a row");
    let content = leader.content(document).await;
    assert_eq!((content.matches("[givet op]").count(), writing.content(), reading.content()), (1, content.clone(), content));
    drop(database);
    server.stop().await;
}

/// A line that fails for so long, and then not any more.
async fn fails(line: &DatabaseLine, weather: Weather, how_long: Duration) {
    line.weather(weather);
    // The outage itself; nothing is waited for.
    tokio::time::sleep(how_long).await;
    line.weather(Weather::Fine);
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f2_a_database_that_is_gone_for_a_while_is_found_again_by_itself() {
    let (seed, random) = Seed::draw("outages::g1_f2_a_database_that_is_gone");
    let (server, line) = TestServer::start_on_a_line(limits()).await;
    let mut party = Party::begin(|| server.browser(), 2, random).await;
    // Shorter than who writes here waits for an answer (`DEADLINE`).
    let gone = Duration::from_secs(if faults() > 1 { 20 } else { 6 });
    for weather in [Weather::Gone, Weather::Silent] {
        write_through(&mut party, 100, fails(&line, weather, gone), &format!("{weather:?}")).await;
    }
    write_through(&mut party, 100, async { line.forget_connections() }, "connections forgotten").await;
    println!(
        "F2 database gone for {gone:?}, silent for as long, and connections forgotten · {seed} · acknowledged edits checked {} · lost 0",
        party.checked
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l11_g9_what_cannot_be_saved_is_kept_up_to_the_cap_and_then_refused_and_all_of_it_is_saved_afterwards() {
    let (_seed, random) = Seed::draw("outages::l11_g9");
    let (server, line) = TestServer::start_on_a_line(limits()).await;
    let mut party = Party::begin(|| server.browser(), 1, random).await;
    let most = Limits::default().room_unsaved_updates_max;
    // What anybody says counts, also the other's answer to what they have.
    for writer in &mut party.writers {
        writer.live.until_settled().await;
    }
    line.weather(Weather::Gone);
    let writer = &mut party.writers[0];
    let saved = writer.live.saved;
    for _ in 0..most + 500 {
        writer.write_word().await;
    }
    let (full, writer_sent) = (Instant::now(), writer.live.sent);
    writer.live.until("told that nothing can be saved", |live| !live.refused.is_empty()).await;
    let told = full.elapsed();
    let first = writer.live.refused[0];
    assert_eq!((first.code, first.action), (RefusalCode::NotSaving, RefusalAction::Resync));
    assert_eq!(first.frame, saved + most as u64 + 1, "as many as fit are kept");
    assert!(writer.live.saved == saved && writer.live.closed.is_none(), "nothing is called saved, and the page stays open");
    line.weather(Weather::Fine);
    // What was turned away is asked for again, and sent in one.
    party.writers[0].live.until("all of it sent and saved", |live| live.sent > writer_sent && live.settled()).await;
    party.agree("saved again").await;
    println!("L11 full at {most} updates, said after {told:?}; all saved afterwards");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l11_g6_memory_stays_flat_however_much_comes_while_nothing_can_be_saved() {
    const THROWN_BYTES: usize = 96 << 20;
    const WORD_BYTES: usize = 16 << 10;
    let server = ServerProcess::start_with(&[
        ("SAMSPIL_LIMIT_PEER_UPDATES_PER_S", "100000"),
        ("SAMSPIL_LIMIT_PEER_CPU_MS_PER_10S", "100000"),
        ("SAMSPIL_LIMIT_PEER_BYTES_PER_S", "1000000000"),
        ("SAMSPIL_LIMIT_DOCUMENT_BYTES_MAX", "1000000000"),
    ])
    .await;
    let mut leader = server.browser();
    leader.sign_in(people::LEADER).await;
    let document = leader.document_of("Fjordskolen").await;
    let mut live = Live::open(leader.door(document)).await;
    live.until("its first answer is settled", |live| live.sent > 0 && live.settled()).await;
    let saved = live.saved;
    server.database_stands_still();
    let before = server.resident_bytes();
    // Words of another replica, so that this one has nothing to send when it is asked what was turned away.
    let thrown = Doc::new();
    let text = first_text(&thrown.get_or_insert_xml_fragment("section:rammer"), &mut thrown.transact_mut());
    let first = thrown.transact().encode_state_as_update_v1(&StateVector::default());
    live.send_update(&first).await;
    let (mut refused, mut sent) = (0, 0);
    while sent < THROWN_BYTES {
        let update = {
            let mut transaction = thrown.transact_mut();
            text.insert(&mut transaction, 0, &"x".repeat(WORD_BYTES));
            transaction.encode_update_v1()
        };
        live.send_update(&update).await;
        sent += WORD_BYTES;
        live.until("heard", |live| live.waiting.len() < 1_000 || !live.refused.is_empty()).await;
        refused += std::mem::take(&mut live.refused).len();
    }
    assert!(live.saved == saved && live.closed.is_none() && refused > 0, "{} saved, {:?}, {refused} refused", live.saved, live.closed);
    let grown = server.resident_bytes().saturating_sub(before);
    println!("L11 {} MiB thrown at a database that stands still: grown by {} MiB", THROWN_BYTES >> 20, grown >> 20);
    // 8 MiB are kept; what a socket and the room's inbox hold on the way is bounded, too.
    assert!(grown < THROWN_BYTES / 2, "grown by {grown}");
    server.database_goes_on();
    live.until_settled().await;
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f2_a_database_restored_from_an_older_backup_sends_everybody_to_start_over_from_what_it_has() {
    let (_seed, random) = Seed::draw("outages::g1_f2_a_database_restored");
    let server = TestServer::start_with(limits()).await;
    let mut party = Party::begin(|| server.browser(), 1, random).await;
    write_through(&mut party, 40, async {}, "before the backup").await;
    let mut database = server.superuser().await;
    let backup = party.browser.content(party.document).await;
    let head: i64 =
        sqlx::query_scalar("SELECT head FROM document WHERE id = $1").bind(party.document).fetch_one(&mut database).await.unwrap();
    write_through(&mut party, 40, async {}, "after the backup").await;
    let seen = party.writers[0].live.seq;
    // The backup is put back under a server that has seen more.
    let mut restoring = database.begin().await.unwrap();
    for restore in [
        "SELECT set_config('session_replication_role', 'replica', true) WHERE $1::uuid IS NOT NULL AND $2::bigint IS NOT NULL",
        "DELETE FROM document_update WHERE document_id = $1 AND seq > $2",
        "UPDATE document SET head = $2 WHERE id = $1",
    ] {
        sqlx::query(restore).bind(party.document).bind(head).execute(&mut *restoring).await.unwrap();
    }
    restoring.commit().await.unwrap();
    for writer in &mut party.writers {
        writer.write_word().await;
    }
    for writer in &mut party.writers {
        assert_eq!(writer.live.until_closed().await.0, 4001, "come back and start over");
    }
    // What is served is the backup, and its hello lets a page see that it has to build its replica anew.
    assert_eq!(party.browser.content(party.document).await, backup);
    let mut again = Live::open(party.writers[0].live.door.clone()).await;
    let hello = again.hello.as_ref().unwrap().seq;
    assert!(hello < seen && hello == u64::try_from(head).unwrap(), "hello says {hello}, seen was {seen}");
    assert_eq!(again.content(), backup);
    again.type_in("rammer", 0, "[videre]").await;
    again.until_settled().await;
    assert!(again.refused.is_empty() && party.browser.content(party.document).await.contains("[videre]"));
    drop(database);
    server.stop().await;
}

//! The server, its database, or both at once are killed while people write, at every named point where a word, a right or the server
//! itself passes from one hand to the next (`server/src/stop_points.rs`): what was acknowledged is on disk (G1), nobody has seen what is
//! not (G2), nothing is there twice, and everybody ends with the same text (G3). Figures F1 and F2 of reliability-security §7.
//!
//! What happens is drawn from a seed. It is another one each time, unless `SAMSPIL_SEED` names it; a failure prints the command that has
//! the same again. `SAMSPIL_FAULTS=5` goes round five times; `scripts/faults` does, for all faults.

use std::time::Duration;

use openidconnect::reqwest::Method;
use rand::Rng as _;
use samspil_server::stop_points::StopPoint;
use serde_json::json;

use crate::harness::{Counter, Party, Seed, ServerProcess, faults, people, words};

/// Each party writes in so many windows.
const WINDOWS: usize = 2;
/// A room that everybody has left makes a snapshot of so many updates.
const WORTH_A_SNAPSHOT: u32 = 150;

/// The server kills itself there while everybody writes, and starts again.
async fn server_dies_at(mut server: ServerProcess, party: &mut Party, point: StopPoint) -> ServerProcess {
    let stop_at = format!("{point}:{}", party.random.random_range(1..=often(point)));
    server = server.kill_and_restart_to_stop_at(&stop_at).await;
    let counter = Counter::new();
    // Somebody who signs out in between.
    let mut guest = server.browser();
    if point == StopPoint::SessionEnded {
        guest.sign_in(people::LEADER).await;
    }
    let writing = party.all_come_in_and_write(&counter);
    match point {
        StopPoint::SnapshotCompared | StopPoint::SnapshotWritten | StopPoint::SnapshotKept => {
            counter.words(WORTH_A_SNAPSHOT).await;
            counter.enough.close();
        }
        StopPoint::SessionEnded => {
            counter.words(20).await;
            let answer = guest.attempt_json(Method::POST, "/auth/logout", &json!({})).await;
            assert!(answer.is_none(), "it dies before it answers: {answer:?}");
        }
        StopPoint::Stopping | StopPoint::RoomDrained | StopPoint::Drained => {
            counter.words(20).await;
            server.ask_to_stop();
        }
        StopPoint::BeforeReload => {
            counter.words(20).await;
            server.crash_database(|_| 0);
        }
        _ => {}
    }
    party.writers = writing.join_all().await;
    for writer in &mut party.writers {
        // Who had enough leaves.
        writer.live.cut();
    }
    server.killed_itself().await;
    server = server.kill_and_restart().await;
    if point == StopPoint::SessionEnded {
        assert_eq!(guest.get("/api/me").await.status, 401, "{stop_at}: whose sign-in ended is out");
    }
    party.holds_what_was_promised(&stop_at).await;
    party.all_come_back_and_agree(&stop_at).await;
    server
}

/// Where many words come by, it is one of the first so many.
fn often(point: StopPoint) -> u32 {
    match point {
        StopPoint::FrameReceived | StopPoint::Admitted | StopPoint::Applied | StopPoint::BeforeFanOut => 150,
        StopPoint::BeforeAppend
        | StopPoint::Gathered
        | StopPoint::BeforeCommit
        | StopPoint::Committing
        | StopPoint::AfterCommit
        | StopPoint::BeforeAnswer
        | StopPoint::BeforeSaved
        | StopPoint::AfterSaved => 60,
        _ => 1,
    }
}

/// A status that changes: `freezing` stops there.
fn is_of_a_status(point: StopPoint) -> bool {
    matches!(point, StopPoint::Sealed | StopPoint::StatusWritten | StopPoint::StatusChanged)
}

/// A word's way from the socket to those who read it; the others are a document's, a sign-in's, and the server's own.
fn is_on_a_words_way(point: StopPoint) -> bool {
    often(point) > 1
}

/// The server is killed at these points, each round.
async fn killed_at_each(test: &'static str, points: impl Fn(StopPoint) -> bool) {
    let (seed, random) = Seed::draw(test);
    let mut server = ServerProcess::start().await;
    let mut party = Party::begin(|| server.browser(), WINDOWS, random).await;
    let mut kills = 0;
    for _ in 0..faults() {
        for point in StopPoint::ALL.iter().copied().filter(|point| points(*point)) {
            server = server_dies_at(server, &mut party, point).await;
            kills += 1;
        }
    }
    println!("F1 server killed at named points {kills} times · {seed} · acknowledged edits checked {} · lost 0", party.checked);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g2_f1_a_server_killed_anywhere_on_a_words_way_loses_nothing_it_acknowledged_or_showed() {
    killed_at_each("kills::g1_g2_f1_a_server_killed_anywhere", is_on_a_words_way).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g2_f1_a_server_killed_while_it_opens_compacts_reloads_signs_out_or_stops_loses_nothing() {
    killed_at_each("kills::g1_g2_f1_a_server_killed_while", |point| !is_on_a_words_way(point) && !is_of_a_status(point)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f1_a_server_and_its_database_that_die_together_lose_nothing_acknowledged() {
    const AT: [StopPoint; 5] =
        [StopPoint::Applied, StopPoint::BeforeCommit, StopPoint::Committing, StopPoint::AfterCommit, StopPoint::AfterSaved];
    let (seed, random) = Seed::draw("kills::g1_f1_a_server_and_its_database");
    let mut server = ServerProcess::start().await;
    let mut party = Party::begin(|| server.browser(), WINDOWS, random).await;
    for _ in 0..faults() {
        for point in AT {
            let stop_at = format!("{point}:{}:stall:60000", party.random.random_range(1..=often(point)));
            server = server.kill_and_restart_to_stop_at(&stop_at).await;
            let writing = party.all_come_in_and_write(&Counter::new());
            server.comes_by().await;
            server = server.power_fails_and_returns().await;
            party.writers = writing.join_all().await;
            party.holds_what_was_promised(&stop_at).await;
            party.all_come_back_and_agree(&stop_at).await;
        }
    }
    let kills = faults() * AT.len();
    println!("F1 server and database killed together {kills} times · {seed} · acknowledged edits checked {} · lost 0", party.checked);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f2_a_database_that_crashes_anywhere_in_a_transaction_loses_nothing_acknowledged() {
    const AT: [StopPoint; 5] =
        [StopPoint::BeforeAppend, StopPoint::Gathered, StopPoint::BeforeCommit, StopPoint::Committing, StopPoint::AfterCommit];
    const CRASHES: usize = 2;
    let (seed, random) = Seed::draw("kills::g1_f2_a_database_that_crashes");
    let mut server = ServerProcess::start().await;
    let mut party = Party::begin(|| server.browser(), WINDOWS, random).await;
    for _ in 0..faults() {
        for point in AT {
            // The server stands still there while its database dies under it, again and again.
            let stop_at = format!("{point}:{}:stall:100", party.random.random_range(10..=often(point)));
            server = server.kill_and_restart_to_stop_at(&stop_at).await;
            for writer in &mut party.writers {
                writer.come_in().await;
                assert!(writer.live.closed.is_none(), "{:?}", writer.live.closed);
            }
            for _ in 0..CRASHES {
                let counter = Counter::new();
                let writing = party.all_write(&counter);
                server.comes_by().await;
                let process = party.random.random::<u32>() as usize;
                server.crash_database(|count| process % count.max(1));
                counter.words(100).await;
                counter.enough.close();
                party.writers = writing.join_all().await;
                for writer in &mut party.writers {
                    writer.live.until_settled().await;
                    assert!(
                        writer.live.closed.is_none() && writer.live.refused.is_empty(),
                        "the page stays open: {:?}",
                        writer.live.closed
                    );
                }
                party.holds_what_was_promised(&stop_at).await;
                party.agree(&stop_at).await;
            }
        }
    }
    let crashes = faults() * AT.len() * CRASHES;
    println!("F2 database crashed {crashes} times · {seed} · acknowledged edits checked {} · lost 0", party.checked);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_server_that_is_asked_to_stop_while_people_write_says_come_back_and_writes_all_that_it_admitted() {
    const TIMES: usize = 10;
    let (seed, random) = Seed::draw("kills::g1_a_server_that_is_asked");
    let mut server = ServerProcess::start().await;
    let mut party = Party::begin(|| server.browser(), WINDOWS, random).await;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        // It is asked when so many words have been taken into the document, the last of them just now.
        let admitted = party.random.random_range(1..=often(StopPoint::Applied)) as usize;
        let stop_at = format!("{}:{admitted}:stall:100", StopPoint::Applied);
        let before: usize = party.writers.iter().map(|writer| writer.words.len()).sum();
        server = server.kill_and_restart_to_stop_at(&stop_at).await;
        let writing = party.all_come_in_and_write(&Counter::new());
        server.comes_by().await;
        took.push(server.stop().await);
        party.writers = writing.join_all().await;
        for writer in &party.writers {
            assert_eq!(writer.live.closed.as_ref().unwrap().0, 4000, "{stop_at}: {}", writer.name);
        }
        server = server.kill_and_restart().await;
        let written = words(&party.browser.content(party.document).await).len() - before;
        assert!(written >= admitted, "{stop_at}: {written} are written of at least {admitted} that were admitted");
        party.holds_what_was_promised(&stop_at).await;
        party.all_come_back_and_agree(&stop_at).await;
    }
    let longest = took.iter().max().unwrap();
    println!("SIGTERM under load {TIMES} times · {seed} · acknowledged edits checked {} · lost 0 · longest {longest:?}", party.checked);
    assert!(*longest < Duration::from_secs(10), "server and database took {took:?}");
    server.terminate().await;
}

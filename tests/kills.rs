//! The server, its database, or both at once are killed while people write, at every named point where a word, a right or the server
//! itself passes from one hand to the next (`server/src/stop_points.rs`): what was acknowledged is on disk (G1), nobody has seen what is
//! not (G2), nothing is there twice, and everybody ends with the same text (G3). Figures F1 and F2 of reliability-security §7.
//!
//! What happens is drawn from a seed. It is another one each time, unless `SAMSPIL_SEED` names it; a failure prints the command that has
//! the same again. `SAMSPIL_FAULTS=5` goes round five times; `scripts/faults` does, for all faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openidconnect::reqwest::Method;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use samspil_server::stop_points::StopPoint;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::harness::{Browser, Live, Seed, ServerProcess, faults, people};

const SECTION: &str = "rammer";
/// Each party writes in so many windows.
const WINDOWS: usize = 2;
/// A room that everybody has left makes a snapshot of so many updates.
const WORTH_A_SNAPSHOT: u32 = 150;

/// Somebody who writes numbered words, and knows which of them were acknowledged.
struct Writer {
    live: Live,
    name: String,
    random: StdRng,
    words: Vec<(u64, String)>,
    /// So many of the words were acknowledged on earlier connections.
    earlier: usize,
}

impl Writer {
    /// Comes in, if the server lives for so long.
    async fn come_in(&mut self) {
        self.earlier = self.words.len();
        if self.live.connect().await.is_err() {
            self.live.cut();
        }
        self.live.until("in, or the door is shut", |live| live.synced || live.closed.is_some()).await;
    }

    /// Writes until the connection ends or nobody wants more; each acknowledgement is put on the counter.
    async fn write(mut self, counter: Counter) -> Self {
        while self.live.closed.is_none() && !counter.enough.is_closed() {
            let word = format!("{} {}", self.name, self.words.len());
            self.live.type_in(SECTION, 0, &format!("[{word}]")).await;
            self.words.push((self.live.sent, word));
            let (before, under_way) = (self.live.saved, self.random.random_range(0..8));
            let room = |live: &Live| live.waiting.len() <= under_way || live.closed.is_some();
            self.live.until("acknowledged", room).await;
            counter.acknowledged.add_permits(usize::try_from(self.live.saved.saturating_sub(before)).unwrap());
        }
        self
    }

    fn acknowledged(&self) -> impl Iterator<Item = &str> {
        let now = self.words[self.earlier..].iter().take_while(|(frame, _)| *frame <= self.live.saved);
        self.words[..self.earlier].iter().chain(now).map(|(_, word)| word.as_str())
    }

    /// Comes back and has everything acknowledged.
    async fn come_back(mut self) -> Self {
        self.live.reconnect().await;
        self.earlier = self.words.len();
        self
    }
}

/// Counts acknowledgements, and says when there are enough.
#[derive(Clone)]
struct Counter {
    acknowledged: Arc<Semaphore>,
    enough: Arc<Semaphore>,
}

impl Counter {
    fn new() -> Self {
        Self { acknowledged: Arc::new(Semaphore::new(0)), enough: Arc::new(Semaphore::new(0)) }
    }

    async fn words(&self, words: u32) {
        self.acknowledged.acquire_many(words).await.unwrap().forget();
    }
}

/// The words in a text, and how often each is there.
fn words(content: &str) -> BTreeMap<&str, usize> {
    let mut words = BTreeMap::new();
    // JSON has brackets of its own; ours hold a name and a number.
    for after in content.split('[').skip(1).filter(|after| after.starts_with("leder ") || after.starts_with("chef ")) {
        let word = after.split_once(']').map_or(after, |(word, _)| word);
        *words.entry(word).or_default() += 1;
    }
    words
}

/// Four windows of two people, who write in one paragraph of one document.
struct Party {
    server: ServerProcess,
    browser: Browser,
    document: Uuid,
    writers: Vec<Writer>,
    random: StdRng,
    /// Acknowledged edits that were looked for after a fault.
    checked: usize,
}

impl Party {
    async fn begin(mut random: StdRng) -> Self {
        let server = ServerProcess::start().await;
        let mut browser = server.browser();
        browser.sign_in(people::LEADER).await;
        let document = browser.document_of("Fjordskolen").await;
        let mut head = server.browser();
        head.sign_in(people::HEAD).await;
        let mut writers = Vec::new();
        for window in 0..WINDOWS {
            for (who, at) in [("leder", &browser), ("chef", &head)] {
                let live = Live::open(at.door(document)).await;
                let random = StdRng::seed_from_u64(random.random());
                writers.push(Writer { live, name: format!("{who} {window}"), random, words: Vec::new(), earlier: 0 });
            }
        }
        Self { server, browser, document, writers, random, checked: 0 }
    }

    /// Everybody begins to write; the writers are handed back when their lines have ended or the counter has enough.
    fn all_write(&mut self, counter: &Counter) -> JoinSet<Writer> {
        let mut writing = JoinSet::new();
        for writer in self.writers.drain(..) {
            writing.spawn(writer.write(counter.clone()));
        }
        writing
    }

    /// The same, from outside the door.
    fn all_come_in_and_write(&mut self, counter: &Counter) -> JoinSet<Writer> {
        let mut writing = JoinSet::new();
        for mut writer in self.writers.drain(..) {
            let counter = counter.clone();
            writing.spawn(async move {
                writer.come_in().await;
                writer.write(counter).await
            });
        }
        writing
    }

    /// What is on disk now, before anybody sends anything again, has all that was acknowledged (G1) and all that anybody was shown of
    /// the others (G2), and nothing twice.
    async fn holds_what_was_promised(&mut self, after: &str) {
        let content = self.browser.content(self.document).await;
        let on_disk = words(&content);
        let promised: BTreeSet<&str> = self.writers.iter().flat_map(Writer::acknowledged).collect();
        let lost: Vec<_> = promised.iter().filter(|word| !on_disk.contains_key(*word)).collect();
        assert!(lost.is_empty(), "{after}: acknowledged and lost: {lost:?}");
        for writer in &self.writers {
            let shown = writer.live.content();
            let others = words(&shown).into_keys().filter(|word| !word.starts_with(&format!("{} ", writer.name)));
            let unsaved: Vec<_> = others.filter(|word| !on_disk.contains_key(word)).collect();
            assert!(unsaved.is_empty(), "{after}: {} was shown what is not on disk: {unsaved:?}", writer.name);
        }
        let twice: Vec<_> = on_disk.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{after}: there twice: {twice:?}");
        self.checked += promised.len();
    }

    /// They all come back, and all end with what is on disk: every word that any of them wrote, once.
    async fn all_come_back_and_agree(&mut self, after: &str) {
        let mut coming = JoinSet::new();
        for writer in self.writers.drain(..) {
            coming.spawn(writer.come_back());
        }
        self.writers = coming.join_all().await;
        self.agree(after).await;
    }

    async fn agree(&mut self, after: &str) {
        let content = self.browser.content(self.document).await;
        let on_disk = words(&content);
        let written: usize = self.writers.iter().map(|writer| writer.words.len()).sum();
        assert!(on_disk.len() == written && on_disk.values().all(|times| *times == 1), "{after}: every word once, of {written}");
        for writer in &mut self.writers {
            writer.live.until("the same as on disk", |live| live.content() == content).await;
        }
    }

    /// The server kills itself there while everybody writes, and starts again.
    async fn server_dies_at(mut self, point: StopPoint) -> Self {
        let stop_at = format!("{point}:{}", self.random.random_range(1..=often(point)));
        self.server = self.server.kill_and_restart_to_stop_at(&stop_at).await;
        let counter = Counter::new();
        // Somebody who signs out in between.
        let mut guest = self.server.browser();
        if point == StopPoint::SessionEnded {
            guest.sign_in(people::LEADER).await;
        }
        let writing = self.all_come_in_and_write(&counter);
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
                self.server.ask_to_stop();
            }
            StopPoint::BeforeReload => {
                counter.words(20).await;
                self.server.crash_database(|_| 0);
            }
            _ => {}
        }
        self.writers = writing.join_all().await;
        for writer in &mut self.writers {
            // Who had enough leaves.
            writer.live.cut();
        }
        self.server.killed_itself().await;
        self.server = self.server.kill_and_restart().await;
        if point == StopPoint::SessionEnded {
            assert_eq!(guest.get("/api/me").await.status, 401, "{stop_at}: whose sign-in ended is out");
        }
        self.holds_what_was_promised(&stop_at).await;
        self.all_come_back_and_agree(&stop_at).await;
        self
    }
}

/// Where many words come by, it is one of the first so many.
fn often(point: StopPoint) -> u32 {
    match point {
        StopPoint::FrameReceived | StopPoint::Admitted | StopPoint::Applied | StopPoint::BeforeFanOut => 150,
        StopPoint::BeforeAppend
        | StopPoint::Gathered
        | StopPoint::HeadsRaised
        | StopPoint::RowsWritten
        | StopPoint::BeforeCommit
        | StopPoint::AfterCommit
        | StopPoint::BeforeAnswer
        | StopPoint::BeforeSaved
        | StopPoint::AfterSaved => 60,
        _ => 1,
    }
}

/// A word's way from the socket to those who read it; the others are a document's, a sign-in's, and the server's own.
fn is_on_a_words_way(point: StopPoint) -> bool {
    often(point) > 1
}

/// The server is killed at these points, each round.
async fn killed_at_each(test: &'static str, points: impl Fn(StopPoint) -> bool) {
    let (seed, random) = Seed::draw(test);
    let mut party = Party::begin(random).await;
    let mut kills = 0;
    for _ in 0..faults() {
        for point in StopPoint::ALL.iter().copied().filter(|point| points(*point)) {
            party = party.server_dies_at(point).await;
            kills += 1;
        }
    }
    println!("F1 server killed at named points {kills} times · {seed} · acknowledged edits checked {} · lost 0", party.checked);
    party.server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g2_f1_a_server_killed_anywhere_on_a_words_way_loses_nothing_it_acknowledged_or_showed() {
    killed_at_each("kills::g1_g2_f1_a_server_killed_anywhere", is_on_a_words_way).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g2_f1_a_server_killed_while_it_opens_compacts_reloads_signs_out_or_stops_loses_nothing() {
    killed_at_each("kills::g1_g2_f1_a_server_killed_while", |point| !is_on_a_words_way(point)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f1_a_server_and_its_database_that_die_together_lose_nothing_acknowledged() {
    const AT: [StopPoint; 5] =
        [StopPoint::Applied, StopPoint::RowsWritten, StopPoint::BeforeCommit, StopPoint::AfterCommit, StopPoint::AfterSaved];
    let (seed, random) = Seed::draw("kills::g1_f1_a_server_and_its_database");
    let mut party = Party::begin(random).await;
    for _ in 0..faults() {
        for point in AT {
            let stop_at = format!("{point}:{}:stall:60000", party.random.random_range(1..=often(point)));
            party.server = party.server.kill_and_restart_to_stop_at(&stop_at).await;
            let writing = party.all_come_in_and_write(&Counter::new());
            party.server.comes_by().await;
            party.server = party.server.power_fails_and_returns().await;
            party.writers = writing.join_all().await;
            party.holds_what_was_promised(&stop_at).await;
            party.all_come_back_and_agree(&stop_at).await;
        }
    }
    let kills = faults() * AT.len();
    println!("F1 server and database killed together {kills} times · {seed} · acknowledged edits checked {} · lost 0", party.checked);
    party.server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f2_a_database_that_crashes_anywhere_in_a_transaction_loses_nothing_acknowledged() {
    const AT: [StopPoint; 5] =
        [StopPoint::Gathered, StopPoint::HeadsRaised, StopPoint::RowsWritten, StopPoint::BeforeCommit, StopPoint::AfterCommit];
    const CRASHES: usize = 2;
    let (seed, random) = Seed::draw("kills::g1_f2_a_database_that_crashes");
    let mut party = Party::begin(random).await;
    for _ in 0..faults() {
        for point in AT {
            // The server stands still there while its database dies under it, again and again.
            let stop_at = format!("{point}:{}:stall:100", party.random.random_range(10..=often(point)));
            party.server = party.server.kill_and_restart_to_stop_at(&stop_at).await;
            for writer in &mut party.writers {
                writer.come_in().await;
                assert!(writer.live.closed.is_none(), "{:?}", writer.live.closed);
            }
            for _ in 0..CRASHES {
                let counter = Counter::new();
                let writing = party.all_write(&counter);
                party.server.comes_by().await;
                let process = party.random.random::<u32>() as usize;
                party.server.crash_database(|count| process % count.max(1));
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
    party.server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_server_that_is_asked_to_stop_while_people_write_says_come_back_and_writes_all_that_it_admitted() {
    const TIMES: usize = 10;
    let (seed, random) = Seed::draw("kills::g1_a_server_that_is_asked");
    let mut party = Party::begin(random).await;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        // It is asked when so many words have been taken into the document, the last of them just now.
        let admitted = party.random.random_range(1..=often(StopPoint::Applied)) as usize;
        let stop_at = format!("{}:{admitted}:stall:100", StopPoint::Applied);
        let before: usize = party.writers.iter().map(|writer| writer.words.len()).sum();
        party.server = party.server.kill_and_restart_to_stop_at(&stop_at).await;
        let writing = party.all_come_in_and_write(&Counter::new());
        party.server.comes_by().await;
        took.push(party.server.stop().await);
        party.writers = writing.join_all().await;
        for writer in &party.writers {
            assert_eq!(writer.live.closed.as_ref().unwrap().0, 4000, "{stop_at}: {}", writer.name);
        }
        party.server = party.server.kill_and_restart().await;
        let written = words(&party.browser.content(party.document).await).len() - before;
        assert!(written >= admitted, "{stop_at}: {written} are written of at least {admitted} that were admitted");
        party.holds_what_was_promised(&stop_at).await;
        party.all_come_back_and_agree(&stop_at).await;
    }
    let longest = took.iter().max().unwrap();
    println!("SIGTERM under load {TIMES} times · {seed} · acknowledged edits checked {} · lost 0 · longest {longest:?}", party.checked);
    assert!(*longest < Duration::from_secs(10), "server and database took {took:?}");
    party.server.terminate().await;
}

//! The server, its database, or both at once are killed while several people write, again and again: what was acknowledged is on disk
//! (G1), and everybody ends with the same text (G3). Figures F1 and F2 of reliability-security §7.
//!
//! What happens is drawn from a seed. It is another one each time, unless `SAMSPIL_SEED` names it; a failure says which it was.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::harness::{Browser, Live, ServerProcess, people};

const SECTION: &str = "rammer";
/// Each party writes in so many windows.
const WINDOWS: usize = 2;

/// Says how to have the same again, when a test fails.
struct Seed(u64, &'static str);

impl Seed {
    fn draw(test: &'static str) -> (Self, StdRng) {
        let named = std::env::var("SAMSPIL_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = named.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
        (Self(seed, test), StdRng::seed_from_u64(seed))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: SAMSPIL_SEED={} cargo test -p samspil-tests --test all kills::{}", self.0, self.1);
        }
    }
}

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
    /// Writes until the connection ends or nobody wants more; each acknowledgement is put on the counter.
    async fn write(mut self, acknowledged: Arc<Semaphore>, enough: Arc<Semaphore>) -> Self {
        while self.live.closed.is_none() && !enough.is_closed() {
            let word = format!("[{} {}]", self.name, self.words.len());
            self.live.type_in(SECTION, 0, &word).await;
            self.words.push((self.live.sent, word));
            let (before, under_way) = (self.live.saved, self.random.random_range(0..8));
            let room = |live: &Live| live.waiting.len() <= under_way || live.closed.is_some();
            self.live.until("acknowledged", room).await;
            acknowledged.add_permits(usize::try_from(self.live.saved.saturating_sub(before)).unwrap());
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

async fn writers(server: &ServerProcess, random: &mut StdRng) -> (Vec<Writer>, Browser, Uuid) {
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
    (writers, browser, document)
}

/// All of them write; once so many words have been acknowledged, this happens; then they write on until their connection ends, or
/// until so many more have been acknowledged.
async fn all_write<T>(writers: Vec<Writer>, words: u32, happens: impl Future<Output = T>, more: Option<u32>) -> (Vec<Writer>, T) {
    let (acknowledged, enough) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut writing = JoinSet::new();
    for writer in writers {
        writing.spawn(writer.write(acknowledged.clone(), enough.clone()));
    }
    acknowledged.acquire_many(words).await.unwrap().forget();
    let happened = happens.await;
    if let Some(more) = more {
        acknowledged.acquire_many(more).await.unwrap().forget();
        enough.close();
    }
    (writing.join_all().await, happened)
}

/// Which acknowledged words are not in the text on disk?
fn lost(writers: &[Writer], content: &str) -> Vec<String> {
    writers.iter().flat_map(Writer::acknowledged).filter(|word| !content.contains(*word)).map(str::to_owned).collect()
}

/// They all come back, and all end with what is on disk, which has every word that any of them wrote.
async fn all_come_back_and_agree(writers: Vec<Writer>, browser: &mut Browser, document: Uuid) -> Vec<Writer> {
    let mut coming = JoinSet::new();
    for writer in writers {
        coming.spawn(writer.come_back());
    }
    let mut writers = coming.join_all().await;
    let content = browser.content(document).await;
    assert_eq!(lost(&writers, &content), [""; 0]);
    for writer in &mut writers {
        writer.live.until("the same as on disk", |live| live.content() == content).await;
    }
    writers
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f1_a_server_killed_while_people_write_loses_nothing_it_acknowledged() {
    const KILLS: usize = 10;
    let (seed, mut random) = Seed::draw("g1_f1");
    let mut server = ServerProcess::start().await;
    let (mut writers, mut browser, document) = writers(&server, &mut random).await;
    let (mut checked, mut missing) = (0, Vec::new());
    for kill in 0..KILLS {
        let words = random.random_range(1..150);
        let died = async {
            // Every other time the database dies at the same moment, without closing.
            if kill % 2 == 0 { server.kill_and_restart().await } else { server.power_fails_and_returns().await }
        };
        (writers, server) = all_write(writers, words, died, None).await;
        // Nobody has come back yet: what is there now was there when it died.
        missing.extend(lost(&writers, &browser.content(document).await));
        checked += writers.iter().map(|writer| writer.acknowledged().count()).sum::<usize>();
        writers = all_come_back_and_agree(writers, &mut browser, document).await;
    }
    println!(
        "F1 server killed {KILLS} times, half of them with its database · seed {} · acknowledged edits checked {checked} · lost {}",
        seed.0,
        missing.len()
    );
    assert_eq!(missing, [""; 0]);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_f2_a_database_that_crashes_while_people_write_loses_nothing_acknowledged() {
    const CRASHES: usize = 6;
    let (seed, mut random) = Seed::draw("g1_f2");
    let server = ServerProcess::start().await;
    let (mut writers, mut browser, document) = writers(&server, &mut random).await;
    let mut checked = 0;
    for _ in 0..CRASHES {
        let (words, process) = (random.random_range(1..150), random.random::<u32>() as usize);
        let crash = async { server.crash_database(|count| process % count.max(1)) };
        (writers, ()) = all_write(writers, words, crash, Some(100)).await;
        for writer in &mut writers {
            writer.live.until("settled", Live::settled).await;
            assert!(writer.live.closed.is_none() && writer.live.refused.is_empty(), "the page stays open: {:?}", writer.live.closed);
        }
        let content = browser.content(document).await;
        assert_eq!(lost(&writers, &content), [""; 0]);
        checked += writers.iter().map(|writer| writer.acknowledged().count()).sum::<usize>();
        for writer in &mut writers {
            writer.live.until("the same as on disk", |live| live.content() == content).await;
        }
    }
    println!("F2 database crashed {CRASHES} times · seed {} · acknowledged edits checked {checked} · lost 0", seed.0);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_server_that_is_asked_to_stop_while_people_write_says_come_back_within_two_seconds() {
    let (_seed, mut random) = Seed::draw("g1_a_server_that_is_asked");
    let server = ServerProcess::start().await;
    let (writers, mut browser, document) = writers(&server, &mut random).await;
    let (writers, (took, server)) = all_write(writers, 50, server.stop_and_restart(), None).await;
    assert!(took < Duration::from_secs(4), "server and database took {took:?}");
    assert!(writers.iter().all(|writer| writer.live.closed.as_ref().unwrap().0 == 4000));
    assert_eq!(lost(&writers, &browser.content(document).await), [""; 0]);
    all_come_back_and_agree(writers, &mut browser, document).await;
    server.terminate().await;
}

//! People who write numbered words in one paragraph, and what is known of them: which were acknowledged, who was shown which. For tests
//! that break something meanwhile and look what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::browser::Browser;
use super::live::Live;
use super::people;

const SECTION: &str = "rammer";

/// Somebody who writes numbered words, and knows which of them were acknowledged.
pub struct Writer {
    pub live: Live,
    pub name: String,
    random: StdRng,
    pub words: Vec<(u64, String)>,
    /// So many of the words were acknowledged on earlier connections.
    earlier: usize,
}

impl Writer {
    /// Comes in, if the server lives for so long.
    pub async fn come_in(&mut self) {
        self.earlier = self.words.len();
        if self.live.connect().await.is_err() {
            self.live.cut();
        }
        self.live.until("in, or the door is shut", |live| live.synced || live.closed.is_some()).await;
    }

    /// Writes until the connection ends or nobody wants more; each acknowledgement is put on the counter.
    pub async fn write(mut self, counter: Counter) -> Self {
        while self.live.closed.is_none() && !counter.enough.is_closed() {
            self.write_word().await;
            let (before, under_way) = (self.live.saved, self.random.random_range(0..8));
            let room = |live: &Live| live.waiting.len() <= under_way || live.closed.is_some();
            self.live.until("acknowledged", room).await;
            counter.acknowledged.add_permits(usize::try_from(self.live.saved.saturating_sub(before)).unwrap());
        }
        self
    }

    /// Writes the next word, without waiting for anything.
    pub async fn write_word(&mut self) {
        let word = format!("{} {}", self.name, self.words.len());
        self.live.type_in(SECTION, 0, &format!("[{word}]")).await;
        self.words.push((self.live.sent, word));
    }

    /// The words that are known to be safe.
    pub fn acknowledged(&self) -> impl Iterator<Item = &str> {
        let now = self.words[self.earlier..].iter().take_while(|(frame, _)| *frame <= self.live.saved);
        self.words[..self.earlier].iter().chain(now).map(|(_, word)| word.as_str())
    }

    /// Comes back and has everything acknowledged.
    pub async fn come_back(mut self) -> Self {
        self.live.reconnect().await;
        self.earlier = self.words.len();
        self
    }
}

/// Counts acknowledgements, and says when there are enough.
#[derive(Clone)]
pub struct Counter {
    acknowledged: Arc<Semaphore>,
    pub enough: Arc<Semaphore>,
}

impl Counter {
    pub fn new() -> Self {
        Self { acknowledged: Arc::new(Semaphore::new(0)), enough: Arc::new(Semaphore::new(0)) }
    }

    pub async fn words(&self, words: u32) {
        self.acknowledged.acquire_many(words).await.unwrap().forget();
    }
}

/// The words in a text, and how often each is there.
pub fn words(content: &str) -> BTreeMap<&str, usize> {
    let mut words = BTreeMap::new();
    // JSON has brackets of its own; ours hold a name and a number.
    for after in content.split('[').skip(1).filter(|after| after.starts_with("leder ") || after.starts_with("chef ")) {
        let word = after.split_once(']').map_or(after, |(word, _)| word);
        *words.entry(word).or_default() += 1;
    }
    words
}

/// Four windows of two people, who write in one paragraph of one document.
pub struct Party {
    pub browser: Browser,
    pub document: Uuid,
    pub writers: Vec<Writer>,
    pub random: StdRng,
    /// Acknowledged edits that were looked for after a fault.
    pub checked: usize,
}

impl Party {
    /// They sign in and sit down, `windows` windows each.
    pub async fn begin(browser: impl Fn() -> Browser, windows: usize, mut random: StdRng) -> Self {
        let (mut leader, mut head) = (browser(), browser());
        leader.sign_in(people::LEADER).await;
        head.sign_in(people::HEAD).await;
        let document = leader.document_of("Fjordskolen").await;
        let mut writers = Vec::new();
        for window in 0..windows {
            for (who, at) in [("leder", &leader), ("chef", &head)] {
                let live = Live::open(at.door(document)).await;
                let random = StdRng::seed_from_u64(random.random());
                writers.push(Writer { live, name: format!("{who} {window}"), random, words: Vec::new(), earlier: 0 });
            }
        }
        Self { browser: leader, document, writers, random, checked: 0 }
    }

    /// Everybody begins to write; the writers are handed back when their lines have ended or the counter has enough.
    pub fn all_write(&mut self, counter: &Counter) -> JoinSet<Writer> {
        let mut writing = JoinSet::new();
        for writer in self.writers.drain(..) {
            writing.spawn(writer.write(counter.clone()));
        }
        writing
    }

    /// The same, from outside the door.
    pub fn all_come_in_and_write(&mut self, counter: &Counter) -> JoinSet<Writer> {
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
    pub async fn holds_what_was_promised(&mut self, after: &str) {
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
    pub async fn all_come_back_and_agree(&mut self, after: &str) {
        let mut coming = JoinSet::new();
        for writer in self.writers.drain(..) {
            coming.spawn(writer.come_back());
        }
        self.writers = coming.join_all().await;
        self.agree(after).await;
    }

    pub async fn agree(&mut self, after: &str) {
        let content = self.browser.content(self.document).await;
        let on_disk = words(&content);
        let written: usize = self.writers.iter().map(|writer| writer.words.len()).sum();
        assert!(on_disk.len() == written && on_disk.values().all(|times| *times == 1), "{after}: every word once, of {written}");
        for writer in &mut self.writers {
            writer.live.until("the same as on disk", |live| live.content() == content).await;
        }
    }
}

//! The line between a server and its database, in our hands: it can be cut, fall silent, be slow, or lose the answer to a commit. It
//! reads PostgreSQL's protocol as far as it must to know which message commits words.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::database::DataDir;
use super::live::DEADLINE;

/// What every connection meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Fine,
    /// Connections are cut and new ones are not taken: the database is gone.
    Gone,
    /// Nothing passes, in either direction, and nobody is told: what was on its way passes when the weather changes.
    Silent,
    /// What commits words passes so much later.
    SlowCommits(Duration),
}

/// What happens once, when words are committed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtCommit {
    /// The line is cut before the database hears of it.
    CutBefore,
    /// The line is cut after half of the message.
    CutWithin,
    /// The database commits, and the line is cut before the server hears of it.
    LoseAnswer,
    /// It is held until [`DatabaseLine::pass_late`], however long ago the server has given it up.
    Late,
}

/// A line to one database's socket.
pub struct DatabaseLine {
    dir: DataDir,
    shared: Arc<Shared>,
}

struct Shared {
    socket: String,
    weather: watch::Sender<Weather>,
    /// Connections that are older than this pass nothing any more, in silence.
    forgotten: watch::Sender<u64>,
    at_commit: Mutex<VecDeque<AtCommit>>,
    happened: Semaphore,
    late: Semaphore,
}

const SOCKET: &str = ".s.PGSQL.5432";

impl DatabaseLine {
    /// A line to the database of this URL; [`Self::url`] leads through it.
    pub fn new(url: &str) -> Self {
        let (_, host) = url.split_once("?host=").expect("the URL names a socket");
        let dir = DataDir::new();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let shared = Arc::new(Shared {
            socket: Path::new(host).join(SOCKET).to_str().unwrap().to_owned(),
            weather: watch::Sender::new(Weather::Fine),
            forgotten: watch::Sender::new(0),
            at_commit: Mutex::default(),
            happened: Semaphore::new(0),
            late: Semaphore::new(0),
        });
        tokio::spawn(accept(listener, shared.clone()));
        Self { dir, shared }
    }

    /// The same database as this URL's, through the line.
    pub fn url(&self, url: &str) -> String {
        let (before, _) = url.split_once("?host=").unwrap();
        format!("{before}?host={}", self.dir.path().display())
    }

    /// From now on.
    pub fn weather(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// The connections that there are pass nothing any more and nobody is told, as when a firewall has forgotten them. New ones work.
    pub fn forget_connections(&self) {
        self.shared.forgotten.send_modify(|forgotten| *forgotten += 1);
    }

    /// Waits until words are committed next, and does this then.
    pub async fn at_next_commit(&self, what: AtCommit) {
        self.shared.at_commit.lock().unwrap().push_back(what);
        self.happened().await;
    }

    /// Lets pass what was held, and waits until the database has committed it.
    pub async fn pass_late(&self) {
        self.shared.late.add_permits(1);
        self.happened().await;
    }

    async fn happened(&self) {
        tokio::time::timeout(DEADLINE, self.shared.happened.acquire()).await.expect("words are committed").unwrap().forget();
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let gone = *shared.weather.borrow() == Weather::Gone;
            if !gone && let Ok(server) = UnixStream::connect(&shared.socket).await {
                // However it ends, both sides see their end of it.
                let _ = Connection::new(client, server, shared).run().await;
            }
        });
    }
}

struct Connection {
    from_client: OwnedReadHalf,
    to_client: OwnedWriteHalf,
    from_server: OwnedReadHalf,
    to_server: OwnedWriteHalf,
    said: BytesMut,
    answered: BytesMut,
    known: Known,
    shared: Arc<Shared>,
}

/// What has been understood of the conversation.
#[derive(Default)]
struct Known {
    /// The startup message has passed; until then messages have no letter.
    begun: bool,
    in_transaction: bool,
    /// Prepared statements that append words.
    appending: HashSet<Bytes>,
    /// One of them has been bound since the last sync.
    appends: bool,
}

impl Known {
    /// Does this message of the client's commit words?
    fn commits(&mut self, message: &[u8]) -> bool {
        if !self.begun {
            // Startup has protocol 3; a question for TLS has another number.
            self.begun = message[4..8] == [0, 3, 0, 0];
            return false;
        }
        let body = &message[5..];
        let mut words = body.split(|byte| *byte == 0);
        match message[0] {
            b'Q' => body.starts_with(b"COMMIT"),
            b'P' => {
                let (name, sql) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let sql = String::from_utf8_lossy(sql);
                if sql.contains("INSERT INTO document_update") || sql.contains("append_updates(") {
                    self.appending.insert(Bytes::copy_from_slice(name));
                }
                false
            }
            b'B' => {
                self.appends |= words.nth(1).is_some_and(|statement| self.appending.contains(statement));
                false
            }
            // Outside a transaction the statement commits itself.
            b'S' => std::mem::take(&mut self.appends) && !self.in_transaction,
            _ => false,
        }
    }
}

/// The next whole message, if it is here.
fn message(buffer: &mut BytesMut, lettered: bool) -> Option<Bytes> {
    let at = usize::from(lettered);
    let mut length = buffer.get(at..at + 4)?;
    let whole = at + length.get_u32() as usize;
    (buffer.len() >= whole).then(|| buffer.split_to(whole).freeze())
}

impl Connection {
    fn new(client: UnixStream, server: UnixStream, shared: Arc<Shared>) -> Self {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (said, answered, known) = (BytesMut::new(), BytesMut::new(), Known::default());
        Self { from_client, to_client, from_server, to_server, said, answered, known, shared }
    }

    async fn run(mut self) -> std::io::Result<()> {
        let (mut weather, mut forgotten) = (self.shared.weather.subscribe(), self.shared.forgotten.subscribe());
        loop {
            tokio::select! {
                biased;
                _ = forgotten.changed() => return std::future::pending().await,
                () = becomes(&mut weather, |weather| weather == Weather::Gone) => return Ok(()),
                read = self.from_client.read_buf(&mut self.said) => if read? == 0 { return Ok(()) },
                read = self.from_server.read_buf(&mut self.answered) => if read? == 0 { return Ok(()) },
            }
            tokio::select! {
                _ = forgotten.changed() => return std::future::pending().await,
                () = becomes(&mut weather, |weather| weather != Weather::Silent) => {}
            }
            while let Some(message) = message(&mut self.said, self.known.begun) {
                if self.known.commits(&message) && !self.commit(&message).await? {
                    return Ok(());
                }
                self.to_server.write_all(&message).await?;
            }
            self.pass_answers().await?;
        }
    }

    /// What happens at a commit; `false`: the line is cut.
    async fn commit(&mut self, message: &[u8]) -> std::io::Result<bool> {
        let weather = *self.shared.weather.borrow();
        if let Weather::SlowCommits(by) = weather {
            // The one who waits may have gone meanwhile; the database hears of it all the same.
            tokio::time::sleep(by).await;
        }
        let what = self.shared.at_commit.lock().unwrap().pop_front();
        let Some(what) = what else { return Ok(true) };
        match what {
            AtCommit::CutBefore => {}
            AtCommit::CutWithin => self.to_server.write_all(&message[..message.len() / 2]).await?,
            AtCommit::LoseAnswer => self.commit_unheard(message).await?,
            AtCommit::Late => {
                self.shared.happened.add_permits(1);
                self.shared.late.acquire().await.expect("nobody closes it").forget();
                self.commit_unheard(message).await?;
            }
        }
        self.shared.happened.add_permits(1);
        Ok(false)
    }

    /// The database hears it and answers, and nobody hears that.
    async fn commit_unheard(&mut self, message: &[u8]) -> std::io::Result<()> {
        self.to_server.write_all(message).await?;
        loop {
            self.from_server.read_buf(&mut self.answered).await?;
            while let Some(answer) = self::message(&mut self.answered, true) {
                if answer[0] == b'Z' && answer[5] == b'I' {
                    return Ok(());
                }
            }
        }
    }

    async fn pass_answers(&mut self) -> std::io::Result<()> {
        // Before the startup the database says a single letter, to a question for TLS.
        if !self.known.begun {
            return self.to_client.write_all_buf(&mut self.answered).await;
        }
        while let Some(answer) = message(&mut self.answered, true) {
            if answer[0] == b'Z' {
                self.known.in_transaction = answer[5] != b'I';
            }
            self.to_client.write_all(&answer).await?;
        }
        Ok(())
    }
}

/// Waits for such weather.
async fn becomes(weather: &mut watch::Receiver<Weather>, such: impl Fn(Weather) -> bool) {
    // The line's owner is gone: then nothing changes any more.
    let _ = weather.wait_for(|weather| such(*weather)).await.map(|_| ());
}

//! The load generator of `make bench`: many people write at once over real sockets, and it says how long words took to be safe, and
//! to be seen. Timings are printed, never judged; what is judged is that nothing is missing.
//!
//! `samspil-load edits|idle|ingest|commit …`, each printing one line of JSON.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use samspil_client_protocol::frame::{self, Reader};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use uuid::Uuid;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    ClientID, Doc, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update, XmlElementPrelim, XmlFragment, XmlTextPrelim,
    XmlTextRef,
};

/// A document as `samspil bench prepare` lists it.
#[derive(Clone, Deserialize)]
struct Prepared {
    document_id: Uuid,
    cookies: Vec<String>,
}

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;
type Stream = SplitStream<WebSocketStream<TcpStream>>;
type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["edits", server, list, per_s, seconds] => edits(server, list, per_s, seconds).await,
        ["idle", server, list, pid] => idle(server, list, pid).await,
        ["ingest", server, list, count] => ingest(server, list, count).await,
        ["open", server, list, times] => open_cold(server, list, times).await,
        ["commit", database, count] => one_commit(database, count).await,
        _ => Err("usage: samspil-load edits SERVER LIST PER_S SECONDS | idle SERVER LIST PID | ingest SERVER LIST COUNT | \
                  open SERVER LIST TIMES | commit DATABASE_URL COUNT"
            .into()),
    };
    match outcome {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("samspil-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn prepared(list: &str) -> Result<Vec<Prepared>, Error> {
    std::fs::read_to_string(list)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// A person at a document: a replica with a paragraph of their own, and a socket.
struct Person {
    doc: Doc,
    text: XmlTextRef,
    sink: Sink,
    stream: Stream,
}

const SECTION: &str = "section:kerneopgave";

async fn knock(server: SocketAddr, document: Uuid, cookie: &str) -> Result<(Sink, Stream), Error> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{server}/live/{document}").into_client_request()?;
    request.headers_mut().insert("origin", format!("http://{server}").parse()?);
    request.headers_mut().insert("cookie", cookie.parse()?);
    request.headers_mut().insert("sec-websocket-protocol", "samspil.v1".parse()?);
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    Ok(socket.split())
}

/// Opens the document as a page does, and waits until everything is here.
async fn enter(server: SocketAddr, document: Uuid, cookie: &str) -> Result<(Doc, Sink, Stream), Error> {
    let (mut sink, mut stream) = knock(server, document, cookie).await?;
    let client = u64::from(Uuid::new_v4().as_fields().0).max(1);
    let doc = Doc::with_options(Options { client_id: ClientID::new(client), offset_kind: OffsetKind::Utf16, ..Options::default() });
    sink.send(Message::Binary(frame::sync_step1(&StateVector::default().encode_v1()))).await?;
    while let Some(message) = stream.next().await {
        let bytes = match message? {
            Message::Binary(bytes) => bytes,
            Message::Close(why) => return Err(format!("closed: {why:?}").into()),
            _ => continue,
        };
        let mut reader = Reader::new(&bytes);
        if (reader.varuint()?, reader.varuint()?) == (0, 1) {
            doc.transact_mut().apply_update(Update::decode_v1(reader.bytes()?)?)?;
            return Ok((doc, sink, stream));
        }
    }
    Err("the line ended while opening".into())
}

async fn sit_down(server: SocketAddr, document: Uuid, cookie: &str) -> Result<Person, Error> {
    let (doc, mut sink, mut stream) = enter(server, document, cookie).await?;
    let section = doc.get_or_insert_xml_fragment(SECTION);
    let before = doc.transact().state_vector();
    let text = {
        let mut transaction = doc.transact_mut();
        let paragraph = section.push_back(&mut transaction, XmlElementPrelim::empty("paragraph"));
        paragraph.push_back(&mut transaction, XmlTextPrelim::new("0"))
    };
    let update = doc.transact().encode_diff_v1(&before);
    sink.send(Message::Binary(frame::sync_step2(&update))).await?;
    // Settled before the measuring begins.
    while let Some(message) = stream.next().await {
        if let Message::Binary(bytes) = message? {
            let mut reader = Reader::new(&bytes);
            match reader.varuint()? {
                101 => return Ok(Person { doc, text, sink, stream }),
                102 => return Err(format!("refused: {}", reader.string()?).into()),
                _ => {}
            }
        }
    }
    Err("the line ended while sitting down".into())
}

/// When each update was sent, by its bytes: whoever receives them knows how long they took.
type SentAt = Arc<Mutex<HashMap<Bytes, Instant>>>;

#[derive(Default)]
struct Measured {
    acknowledged_us: Vec<u64>,
    seen_us: Vec<u64>,
    sent: u64,
    settled: u64,
    refused: u64,
}

/// Everybody writes one character so many times a second for so many seconds, and moves their caret as often.
async fn edits(server: &str, list: &str, per_s: &str, seconds: &str) -> Result<Value, Error> {
    let (server, per_s, seconds): (SocketAddr, u32, u32) = (server.parse()?, per_s.parse()?, seconds.parse()?);
    let mut seats = JoinSet::new();
    for document in prepared(list)? {
        let sent_at = SentAt::default();
        for cookie in document.cookies {
            let sent_at = sent_at.clone();
            seats.spawn(async move { Ok::<_, Error>((sit_down(server, document.document_id, &cookie).await?, sent_at)) });
        }
    }
    let mut people = Vec::new();
    while let Some(person) = seats.join_next().await {
        people.push(person??);
    }
    let writers = people.len();
    let began = Instant::now();
    let mut writing = JoinSet::new();
    for (number, (person, sent_at)) in people.into_iter().enumerate() {
        // Spread over the first interval, as people are.
        let first = Duration::from_secs_f64(f64::from(u32::try_from(number)?) / f64::from(u32::try_from(writers)?) / f64::from(per_s));
        writing.spawn(write(person, sent_at, first, per_s, seconds));
    }
    let mut all = Measured::default();
    while let Some(measured) = writing.join_next().await {
        let measured = measured??;
        all.acknowledged_us.extend(measured.acknowledged_us);
        all.seen_us.extend(measured.seen_us);
        all.sent += measured.sent;
        all.settled += measured.settled;
        all.refused += measured.refused;
    }
    if all.settled != all.sent || all.refused != 0 {
        return Err(format!("{} of {} edits settled, {} refused", all.settled, all.sent, all.refused).into());
    }
    Ok(json!({
        "what": "edits", "writers": writers, "edits": all.sent, "seconds": began.elapsed().as_secs_f64(), "missing": all.sent - all.settled,
        "acknowledged_us": spread(&mut all.acknowledged_us), "seen_us": spread(&mut all.seen_us),
    }))
}

async fn write(person: Person, sent_at: SentAt, first: Duration, per_s: u32, seconds: u32) -> Result<Measured, Error> {
    let Person { doc, text, mut sink, mut stream } = person;
    let mut measured = Measured::default();
    let mut waiting: HashMap<u64, Instant> = HashMap::new();
    let mut settled = 1;
    let total = u64::from(per_s) * u64::from(seconds);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + first, Duration::from_secs(1) / per_s);
    let client = doc.client_id().get();
    while measured.settled < total {
        tokio::select! {
            _ = ticks.tick(), if measured.sent < total => {
                let update: Bytes = {
                    let mut transaction = doc.transact_mut();
                    text.push(&mut transaction, "x");
                    transaction.encode_update_v1().into()
                };
                let now = Instant::now();
                measured.sent += 1;
                waiting.insert(measured.sent + 1, now);
                sent_at.lock().map_err(|_| "poisoned")?.insert(update.clone(), now);
                sink.feed(Message::Binary(frame::update(&update))).await?;
                let caret = format!("{{\"cursor\":{},\"place\":\"kerneopgave\"}}", measured.sent);
                sink.feed(Message::Binary(frame::awareness([(client, u32::try_from(measured.sent)?, caret.as_str())].into_iter()))).await?;
                sink.flush().await?;
            }
            message = stream.next() => {
                let now = Instant::now();
                let bytes = match message.ok_or("the line ended")?? {
                    Message::Binary(bytes) => bytes,
                    Message::Close(why) => return Err(format!("closed: {why:?}").into()),
                    _ => continue,
                };
                let mut reader = Reader::new(&bytes);
                match reader.varuint()? {
                    0 if reader.varuint()? == 2 => {
                        let update = Bytes::copy_from_slice(reader.bytes()?);
                        if let Some(sent) = sent_at.lock().map_err(|_| "poisoned")?.get(&update) {
                            measured.seen_us.push(micros(now - *sent));
                        }
                    }
                    101 => {
                        let frames = reader.varuint()?;
                        for frame in settled + 1..=frames {
                            if let Some(sent) = waiting.remove(&frame) {
                                measured.acknowledged_us.push(micros(now - sent));
                                measured.settled += 1;
                            }
                        }
                        settled = frames;
                    }
                    102 => measured.refused += 1,
                    _ => {}
                }
            }
        }
    }
    Ok(measured)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// p50, p95, p99 and the longest.
fn spread(values: &mut [u64]) -> Value {
    values.sort_unstable();
    let at = |per_mille: usize| values.get((values.len() * per_mille / 1000).min(values.len().saturating_sub(1))).copied().unwrap_or(0);
    json!({ "p50": at(500), "p95": at(950), "p99": at(990), "max": values.last().copied().unwrap_or(0), "count": values.len() })
}

/// Memory of the server before and with every seat of the list taken, each with a caret and otherwise quiet.
async fn idle(server: &str, list: &str, pid: &str) -> Result<Value, Error> {
    let server: SocketAddr = server.parse()?;
    let before = resident_kib(pid)?;
    let mut seats = Vec::new();
    for document in prepared(list)? {
        for cookie in &document.cookies {
            let (doc, mut sink, stream) = enter(server, document.document_id, cookie).await?;
            let client = doc.client_id().get();
            sink.send(Message::Binary(frame::awareness([(client, 1, "{\"cursor\":1}")].into_iter()))).await?;
            seats.push((sink, stream));
        }
    }
    let with = resident_kib(pid)?;
    let connections = seats.len() as u64;
    Ok(json!({
        "what": "idle", "connections": connections, "before_kib": before, "with_kib": with,
        "bytes_per_connection": with.saturating_sub(before) * 1024 / connections.max(1),
    }))
}

fn resident_kib(pid: &str) -> Result<u64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// One person's edits into one document, as fast as they are taken in.
async fn ingest(server: &str, list: &str, count: &str) -> Result<Value, Error> {
    let (server, count): (SocketAddr, u64) = (server.parse()?, count.parse()?);
    let document = prepared(list)?.into_iter().next().ok_or("no document")?;
    let person = sit_down(server, document.document_id, &document.cookies[0]).await?;
    let Person { doc, text, mut sink, mut stream } = person;
    let updates: Vec<Bytes> = (0..count)
        .map(|_| {
            let mut transaction = doc.transact_mut();
            text.push(&mut transaction, "x");
            transaction.encode_update_v1().into()
        })
        .collect();
    let began = Instant::now();
    let sending = tokio::spawn(async move {
        for update in updates {
            sink.feed(Message::Binary(frame::update(&update))).await?;
        }
        sink.flush().await?;
        Ok::<_, Error>(sink)
    });
    let mut settled = 0;
    while settled < count {
        let bytes = match stream.next().await.ok_or("the line ended")?? {
            Message::Binary(bytes) => bytes,
            Message::Close(why) => return Err(format!("closed: {why:?}").into()),
            _ => continue,
        };
        let mut reader = Reader::new(&bytes);
        match reader.varuint()? {
            101 => settled = reader.varuint()? - 1,
            102 => return Err(format!("refused: {}", reader.string()?).into()),
            _ => {}
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(sending.await??);
    let per_s = count * 1_000 / u64::try_from(began.elapsed().as_millis())?.max(1);
    Ok(json!({ "what": "ingest", "edits": count, "seconds": seconds, "edits_per_s": per_s }))
}

/// How long the first document of the list takes from knocking to having everything, the room being cold the first time.
async fn open_cold(server: &str, list: &str, times: &str) -> Result<Value, Error> {
    let (server, times): (SocketAddr, usize) = (server.parse()?, times.parse()?);
    let document = prepared(list)?.into_iter().next().ok_or("no document")?;
    let mut taken = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let (_doc, _sink, _stream) = enter(server, document.document_id, &document.cookies[0]).await?;
        taken.push(micros(began.elapsed()));
    }
    Ok(json!({ "what": "open", "first_us": taken.first(), "later_us": spread(&mut taken[1..].to_vec()) }))
}

/// The yardstick: one client's durable transaction on the same cluster, raising a head and inserting a row, one after another.
async fn one_commit(database: &str, count: &str) -> Result<Value, Error> {
    let count: usize = count.parse()?;
    let mut connection = sqlx::PgConnection::connect(database).await?;
    let document: Uuid = sqlx::query_scalar("SELECT id FROM document ORDER BY id DESC LIMIT 1").fetch_one(&mut connection).await?;
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        let mut transaction = connection.begin().await?;
        let head: i64 = sqlx::query_scalar("UPDATE document SET head = head + 1 WHERE id = $1 RETURNING head")
            .bind(document)
            .fetch_one(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO document_update (document_id, seq, payload, hash, at) VALUES ($1, $2, '\\x0000', '\\x00', now())")
            .bind(document)
            .bind(head)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        taken.push(micros(began.elapsed()));
    }
    Ok(json!({ "what": "one commit", "us": spread(&mut taken) }))
}

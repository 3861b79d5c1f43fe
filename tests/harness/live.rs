//! A live document as a client has it: a replica of its own, a socket, and what the server has said about it. It speaks the standard
//! Yjs protocol and, unless told otherwise, `samspil.v1`. It never sleeps: whoever waits names a condition.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use samspil_client_protocol::frame::{self, Reader};
use samspil_client_protocol::message::{AbilityChanged, Event, Hello, Refused};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use uuid::Uuid;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    ClientID, Doc, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, TransactionMut, Update, XmlElementPrelim, XmlElementRef,
    XmlFragment, XmlTextPrelim, XmlTextRef,
};

/// How long any condition may take to come true, on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Where a client opens its document, and as whom.
#[derive(Clone)]
pub struct Door {
    /// Where the server listens.
    pub server: SocketAddr,
    /// The document, as it stands in the address: a test may write anything.
    pub document: String,
    /// The header `Cookie`; empty: none.
    pub cookie: String,
    /// The header `Origin`; `None`: none.
    pub origin: Option<String>,
    /// Offer `samspil.v1`?
    pub samspil: bool,
    /// Bytes that the machine takes in for a client that does not read; `None`: as many as it likes.
    pub receive_buffer: Option<u32>,
}

impl Door {
    /// A page of ours.
    pub fn new(server: SocketAddr, document: Uuid, cookie: String) -> Self {
        let origin = Some(format!("http://{server}"));
        Self { server, document: document.to_string(), cookie, origin, samspil: true, receive_buffer: None }
    }

    /// Knocks. `Err`: the status with which the upgrade was refused.
    pub async fn knock(&self) -> Result<WebSocketStream<TcpStream>, u16> {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        // The server may be starting again just now.
        let Ok(stream) = socket.connect(self.server).await else { return Err(0) };
        stream.set_nodelay(true).unwrap();
        let mut request = format!("ws://{}/live/{}", self.server, self.document).into_client_request().unwrap();
        if let Some(origin) = &self.origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        if !self.cookie.is_empty() {
            request.headers_mut().insert("cookie", self.cookie.parse().unwrap());
        }
        if self.samspil {
            request.headers_mut().insert("sec-websocket-protocol", "samspil.v1".parse().unwrap());
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((stream, _)) => Ok(stream),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(_) => Err(0),
        }
    }
}

/// Why a socket ended: code and words; 1006 when it broke off.
pub type Closed = (u16, String);

/// A replica of a live document, with its connection.
pub struct Live {
    /// Where it lives.
    pub door: Door,
    /// The replica.
    pub doc: Doc,
    stream: Option<WebSocketStream<TcpStream>>,
    /// What the server said first.
    pub hello: Option<Hello>,
    /// The server has sent what this replica lacked.
    pub synced: bool,
    /// Update frames sent on this connection.
    pub sent: u64,
    /// Of those, how many are settled; and where the log stood.
    pub saved: u64,
    /// Where the log stood at the last acknowledgement.
    pub seq: u64,
    /// When each frame that is not settled was sent.
    pub waiting: VecDeque<(u64, Instant)>,
    /// What was refused on this connection.
    pub refused: Vec<Refused>,
    /// Changes of rights, as told.
    pub abilities: Vec<AbilityChanged>,
    /// Events, as told.
    pub events: Vec<Event>,
    /// Presence states heard: client id and JSON.
    pub presence: Vec<(u64, String)>,
    /// How this connection ended.
    pub closed: Option<Closed>,
    /// Updates heard from others on this connection.
    pub heard: u64,
}

/// A Yjs client id that nobody else has: the lower 32 bits of a random UUID, as Yjs takes 32 random bits.
pub fn client_id() -> u64 {
    u64::from(Uuid::new_v4().as_fields().0).max(1)
}

impl Live {
    /// A replica that is not connected yet.
    pub fn new(door: Door) -> Self {
        let options = Options { client_id: ClientID::new(client_id()), offset_kind: OffsetKind::Utf16, ..Options::default() };
        Self {
            door,
            doc: Doc::with_options(options),
            stream: None,
            hello: None,
            synced: false,
            sent: 0,
            saved: 0,
            seq: 0,
            waiting: VecDeque::new(),
            refused: Vec::new(),
            abilities: Vec::new(),
            events: Vec::new(),
            presence: Vec::new(),
            closed: None,
            heard: 0,
        }
    }

    /// Opens the document and waits until it is here.
    pub async fn open(door: Door) -> Self {
        let mut live = Self::new(door);
        live.connect().await.expect("the upgrade is accepted");
        live.until("synced", |live| live.synced).await;
        live
    }

    /// Connects, without waiting for the document; what this replica has and the server lacks follows when the server asks.
    pub async fn connect(&mut self) -> Result<(), u16> {
        self.stream = None;
        let stream = self.door.knock().await?;
        self.stream = Some(stream);
        (self.hello, self.synced, self.closed) = (None, false, None);
        (self.sent, self.saved, self.heard) = (0, 0, 0);
        self.waiting.clear();
        self.refused.clear();
        let state_vector = self.doc.transact().state_vector().encode_v1();
        self.send_frame(frame::sync_step1(&state_vector)).await;
        Ok(())
    }

    /// Connects again and again until the server takes it, and waits until both have everything.
    pub async fn reconnect(&mut self) {
        let give_up = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < give_up, "the server does not come back: {:?}", self.closed);
            if self.connect().await.is_ok() {
                while self.closed.is_none() && !(self.synced && self.settled() && self.sent > 0) {
                    if tokio::time::timeout_at(give_up, self.hear()).await.is_err() {
                        break;
                    }
                }
                if self.closed.is_none() {
                    return;
                }
            }
            // Not a wait for a condition of ours: a client that comes back does so a little later each time.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The connection is gone without a word, as when a cable is pulled.
    pub fn cut(&mut self) {
        self.stream = None;
        self.closed = Some((1006, String::new()));
    }

    /// Everything sent on this connection is settled.
    pub fn settled(&self) -> bool {
        self.saved == self.sent
    }

    /// Changes the replica and sends the change. Answers the update.
    pub async fn change(&mut self, change: impl FnOnce(&mut TransactionMut<'_>)) -> Bytes {
        let update: Bytes = {
            let mut transaction = self.doc.transact_mut();
            change(&mut transaction);
            transaction.encode_update_v1().into()
        };
        self.send_update(&update).await;
        update
    }

    /// Types into the first paragraph of a section.
    pub async fn type_in(&mut self, section: &str, at: u32, words: &str) {
        let fragment = self.doc.get_or_insert_xml_fragment(format!("section:{section}"));
        self.change(|transaction| {
            let text = first_text(&fragment, transaction);
            let at = at.min(text.len(transaction));
            text.insert(transaction, at, words);
        })
        .await;
    }

    /// Sends an update that need not be in the replica.
    pub async fn send_update(&mut self, update: &[u8]) {
        self.send_frame(frame::update(update)).await;
    }

    /// Sends any frame. A dead connection is noticed when listening.
    pub async fn send_frame(&mut self, frame: Bytes) {
        if frame.len() > 1 && frame[0] == 0 && frame[1] != 0 {
            self.sent += 1;
            self.waiting.push_back((self.sent, Instant::now()));
        }
        self.send_message(Message::Binary(frame)).await;
    }

    /// Sends any message.
    pub async fn send_message(&mut self, message: Message) {
        if let Some(stream) = &mut self.stream {
            let _ = stream.send(message).await;
        }
    }

    /// Takes in the next message. Does nothing for ever once the connection has ended.
    pub async fn hear(&mut self) {
        let Some(stream) = &mut self.stream else { return std::future::pending().await };
        match stream.next().await {
            Some(Ok(Message::Binary(frame))) => self.take(&frame).await,
            Some(Ok(Message::Close(close))) => {
                // The answer to it is sent by reading on.
                let _ = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
                self.stream = None;
                self.closed = Some(close.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string())));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                self.stream = None;
                self.closed = Some((1006, String::new()));
            }
        }
    }

    async fn take(&mut self, bytes: &Bytes) {
        let mut reader = Reader::new(bytes);
        match reader.varuint().unwrap() {
            0 => {
                let kind = reader.varuint().unwrap();
                let body = reader.bytes().unwrap();
                if kind == 0 {
                    let theirs = StateVector::decode_v1(body).unwrap();
                    let diff = self.doc.transact().encode_state_as_update_v1(&theirs);
                    self.send_frame(frame::sync_step2(&diff)).await;
                } else {
                    self.doc.transact_mut().apply_update(Update::decode_v1(body).unwrap()).unwrap();
                    self.synced |= kind == 1;
                    self.heard += 1;
                }
            }
            1 => {
                let body = reader.bytes().unwrap();
                let entries = frame::awareness_entries(body).unwrap();
                self.presence.extend(entries.into_iter().map(|(client, _, state)| (client, state.to_owned())));
            }
            100 => self.hello = Some(json(&mut reader)),
            101 => {
                (self.saved, self.seq) = (reader.varuint().unwrap(), reader.varuint().unwrap());
                while self.waiting.front().is_some_and(|(frame, _)| *frame <= self.saved) {
                    self.waiting.pop_front();
                }
            }
            102 => self.refused.push(json(&mut reader)),
            103 => self.events.push(json(&mut reader)),
            104 => self.abilities.push(json(&mut reader)),
            _ => {}
        }
    }

    /// Listens until this holds.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + DEADLINE;
        while !holds(self) {
            assert!(
                tokio::time::timeout_at(give_up, self.hear()).await.is_ok(),
                "never came true: {what}; saved {} of {}, closed {:?}, refused {:?}",
                self.saved,
                self.sent,
                self.closed,
                self.refused
            );
        }
    }

    /// Listens until everything sent is settled.
    pub async fn until_settled(&mut self) {
        self.until("settled", Self::settled).await;
    }

    /// Listens until the server has closed; answers the code and the words.
    pub async fn until_closed(&mut self) -> Closed {
        self.until("closed", |live| live.closed.is_some()).await;
        self.closed.clone().unwrap()
    }

    /// The canonical content of the replica.
    pub fn content(&self) -> String {
        String::from_utf8(samspil_server::content::render(&self.doc)).unwrap()
    }

    /// Is this text in it?
    pub fn says(&self, words: &str) -> bool {
        self.content().contains(words)
    }
}

/// The text of the first paragraph of a fragment, made if it is empty.
pub fn first_text(fragment: &yrs::XmlFragmentRef, transaction: &mut TransactionMut<'_>) -> XmlTextRef {
    let paragraph: XmlElementRef = match fragment.get(transaction, 0).and_then(yrs::XmlOut::into_xml_element) {
        Some(paragraph) => paragraph,
        None => fragment.push_back(transaction, XmlElementPrelim::empty("paragraph")),
    };
    match paragraph.get(transaction, 0).and_then(yrs::XmlOut::into_xml_text) {
        Some(text) => text,
        None => paragraph.push_back(transaction, XmlTextPrelim::new("")),
    }
}

/// The key of a document's first section, of its canonical content.
pub fn first_section(content: &str) -> String {
    let content: serde_json::Value = serde_json::from_str(content).unwrap();
    content["sections"].as_object().unwrap().keys().next().expect("it has sections").clone()
}

fn json<T: serde::de::DeserializeOwned>(reader: &mut Reader<'_>) -> T {
    serde_json::from_str(reader.string().unwrap()).unwrap()
}

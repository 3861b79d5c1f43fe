//! A WebSocket that speaks to our server and to Hocuspocus, so that one generator and one clock measure both. As lean as one thread that
//! plays thousands of people needs it: frames go out unmasked in effect, come in without copies, and nothing but updates is decoded.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use samspil_client_protocol::frame::{self, Reader, put_bytes, put_varuint};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};
use yrs::StateVector;
use yrs::updates::encoder::Encode;

/// Anything that ends a measurement.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Whose frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// client-protocol/SPEC.md.
    Samspil,
    /// The same behind the document's name; `SyncStatus` acknowledges one frame.
    Hocuspocus,
}

/// A place at a document.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Where the server listens.
    pub addr: SocketAddr,
    /// What it speaks.
    pub dialect: Dialect,
    /// The document's id or name.
    pub document: String,
    /// `name=value`; Hocuspocus has none.
    pub cookie: String,
}

/// What a frame from the server means to a generator of load.
#[derive(Debug)]
pub enum Heard {
    /// So many of this connection's frames with words are settled, in all.
    Acknowledged(u64),
    /// Somebody's words.
    Update(Bytes),
    /// The answer to the first question: everything.
    Everything(Bytes),
    /// The server will not have it.
    Refused(String),
    /// Nothing that is measured.
    Other,
}

/// One connection to one document.
pub struct Socket {
    stream: TcpStream,
    dialect: Dialect,
    /// Before every message: nothing, or the document's name.
    prefix: Vec<u8>,
    inbox: BytesMut,
    outbox: BytesMut,
    acknowledged: u64,
}

impl Socket {
    /// Opens the document as a page does, and waits until everything is here.
    pub async fn open(seat: &Seat) -> Result<(Self, Bytes), Error> {
        Self::enter(seat, TcpSocket::new_v4()?).await
    }

    /// The same with so small a buffer that the machine cannot read ahead on behalf of a reader who does not.
    pub async fn open_narrow(seat: &Seat) -> Result<(Self, Bytes), Error> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4 << 10)?;
        Self::enter(seat, socket).await
    }

    async fn enter(seat: &Seat, socket: TcpSocket) -> Result<(Self, Bytes), Error> {
        let stream = socket.connect(seat.addr).await?;
        stream.set_nodelay(true)?;
        let mut prefix = Vec::new();
        if seat.dialect == Dialect::Hocuspocus {
            put_bytes(&mut prefix, seat.document.as_bytes());
        }
        let (inbox, outbox) = (BytesMut::with_capacity(1 << 10), BytesMut::new());
        let mut socket = Self { stream, dialect: seat.dialect, prefix, inbox, outbox, acknowledged: 0 };
        socket.shake_hands(seat).await?;
        if seat.dialect == Dialect::Hocuspocus {
            // Auth, token, an empty one: its default configuration asks nobody.
            socket.queue(&[2, 0, 0]);
        }
        socket.queue(&frame::sync_step1(&StateVector::default().encode_v1()));
        socket.flush().await?;
        loop {
            match socket.next().await? {
                Heard::Everything(state) => return Ok((socket, state)),
                Heard::Refused(why) => return Err(format!("refused at the door: {why}").into()),
                _ => {}
            }
        }
    }

    async fn shake_hands(&mut self, seat: &Seat) -> Result<(), Error> {
        let (addr, document, cookie) = (seat.addr, &seat.document, &seat.cookie);
        let ours = format!("Origin: http://{addr}\r\nCookie: {cookie}\r\nSec-WebSocket-Protocol: samspil.v1\r\n");
        let (path, headers) = match seat.dialect {
            Dialect::Samspil => (format!("/live/{document}"), ours),
            Dialect::Hocuspocus => ("/".to_owned(), String::new()),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: c2Ftc3BpbC1iZW5jaC1rMQ==\r\n{headers}\r\n"
        );
        self.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            if let Some(at) = self.inbox.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.read().await?;
        };
        let answer = self.inbox.split_to(end + 4);
        if !answer.starts_with(b"HTTP/1.1 101 ") {
            return Err(format!("no upgrade: {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(())
    }

    /// Puts a message into the next flush.
    pub fn queue(&mut self, message: &[u8]) {
        const BINARY: u8 = 0x82;
        self.queue_frame(BINARY, message);
    }

    fn queue_frame(&mut self, opcode: u8, message: &[u8]) {
        const MASKED: u8 = 0x80;
        let prefix: &[u8] = if opcode == PONG { &[] } else { &self.prefix };
        let length = prefix.len() + message.len();
        self.outbox.put_u8(opcode);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short), _) if short < 126 => self.outbox.put_u8(MASKED | short),
            (_, Ok(middle)) => {
                self.outbox.put_u8(MASKED | 0x7e);
                self.outbox.put_u16(middle);
            }
            _ => {
                self.outbox.put_u8(MASKED | 0x7f);
                self.outbox.put_u64(length as u64);
            }
        }
        // A mask of zeros changes nothing and costs nothing; the server unmasks all the same.
        self.outbox.put_u32(0);
        self.outbox.put_slice(prefix);
        self.outbox.put_slice(message);
    }

    /// Sends what is queued.
    pub async fn flush(&mut self) -> Result<(), Error> {
        while self.outbox.has_remaining() {
            self.stream.write_buf(&mut self.outbox).await?;
        }
        Ok(())
    }

    /// Sends some of what is queued, if the server takes it now, and says whether something is left.
    pub fn flush_some(&mut self) -> Result<bool, Error> {
        while self.outbox.has_remaining() {
            match self.stream.try_write(&self.outbox) {
                Ok(written) => self.outbox.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Waits until the server takes something again, or says something, and takes what it says in.
    pub async fn readable_or_writable(&mut self) -> Result<(), Error> {
        let ready = self.stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
        if !ready.is_readable() {
            return Ok(());
        }
        self.inbox.reserve(READ_BYTES);
        match self.stream.try_read_buf(&mut self.inbox) {
            Ok(0) => Err(ENDED.into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Heard, Error> {
        loop {
            if let Some(heard) = self.already_here()? {
                return Ok(heard);
            }
            self.read().await?;
        }
    }

    /// The next frame, if all of it has arrived.
    pub fn already_here(&mut self) -> Result<Option<Heard>, Error> {
        while let Some((opcode, body)) = self.take_frame() {
            match opcode & 0x0f {
                2 => return self.understand(&body).map(Some),
                8 => return Err(format!("closed by the server: {}", reason(&body)).into()),
                9 => {
                    self.queue_frame(PONG, &body);
                    // At the latest with the next flush; a pong is never urgent.
                    self.flush_some()?;
                }
                _ => {}
            }
        }
        Ok(None)
    }

    async fn read(&mut self) -> Result<(), Error> {
        self.inbox.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.inbox).await? {
            0 => Err(ENDED.into()),
            _ => Ok(()),
        }
    }

    /// A frame of the WebSocket, if all of it is here. Servers do not mask, and these two do not split messages.
    fn take_frame(&mut self) -> Option<(u8, Bytes)> {
        let mut header = &self.inbox[..];
        let opcode = header.try_get_u8().ok()?;
        let length = match header.try_get_u8().ok()? {
            126 => usize::from(header.try_get_u16().ok()?),
            127 => usize::try_from(header.try_get_u64().ok()?).ok()?,
            short => usize::from(short),
        };
        if header.len() < length {
            return None;
        }
        let header = self.inbox.len() - header.len();
        self.inbox.advance(header);
        Some((opcode, self.inbox.split_to(length).freeze()))
    }

    fn understand(&mut self, message: &Bytes) -> Result<Heard, Error> {
        let mut reader = Reader::new(message);
        if self.dialect == Dialect::Hocuspocus {
            reader.bytes()?;
        }
        let body = |reader: &mut Reader<'_>| -> Result<Bytes, Error> { Ok(message.slice_ref(reader.bytes()?)) };
        Ok(match (self.dialect, reader.varuint()?) {
            (_, 0 | 4) => match reader.varuint()? {
                1 => Heard::Everything(body(&mut reader)?),
                2 => Heard::Update(body(&mut reader)?),
                _ => Heard::Other,
            },
            (Dialect::Samspil, 101) => Heard::Acknowledged(reader.varuint()?),
            (Dialect::Samspil, 102) => Heard::Refused(reader.string()?.to_owned()),
            (Dialect::Hocuspocus, 8) if reader.varuint()? == 1 => {
                self.acknowledged += 1;
                Heard::Acknowledged(self.acknowledged)
            }
            (Dialect::Hocuspocus, 2) if reader.varuint()? == 1 => Heard::Refused(reader.string()?.to_owned()),
            (Dialect::Hocuspocus, 7 | 8) => Heard::Refused("it closes or did not save".to_owned()),
            _ => Heard::Other,
        })
    }
}

const PONG: u8 = 0x8a;
const READ_BYTES: usize = 1 << 10;
const ENDED: &str = "the line ended";

fn reason(close: &[u8]) -> String {
    match close {
        [high, low, words @ ..] => format!("{} {}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(words)),
        _ => "without a reason".to_owned(),
    }
}

/// An update that types this text after the block (`client`, `clock` − 1), and erases the blocks before it if asked to: what Yjs makes of a
/// person who types, without a replica for each.
pub fn typed(client: u64, clock: u32, text: &str, erased: Option<u32>) -> BytesMut {
    const TEXT_AFTER_ORIGIN: u8 = 0x84;
    let mut update = BytesMut::with_capacity(text.len() + 32);
    update.put_slice(&[1, 1]);
    put_varuint(&mut update, client);
    put_varuint(&mut update, u64::from(clock));
    update.put_u8(TEXT_AFTER_ORIGIN);
    put_varuint(&mut update, client);
    put_varuint(&mut update, u64::from(clock) - 1);
    put_bytes(&mut update, text.as_bytes());
    if let Some(length) = erased {
        update.put_u8(1);
        put_varuint(&mut update, client);
        update.put_u8(1);
        put_varuint(&mut update, u64::from(clock - length));
        put_varuint(&mut update, u64::from(length));
    } else {
        update.put_u8(0);
    }
    update
}

//! Close codes of a live socket. Each says what the client is to do next (SPEC C1–C8).

use serde::Serialize;

/// Why the server closes a live socket, as a WebSocket close code (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[repr(u16)]
pub enum CloseCode {
    /// C2: a frame was larger than `frame_bytes_max` (the code that RFC 6455 gives it).
    FrameTooLarge = 1009,
    /// C3: come back after a short, growing wait; nothing is wrong with the client.
    ComeBack = 4000,
    /// C4: come back and start over with a sync step 1; frames were skipped or would have been.
    Resync = 4001,
    /// C5: the session is over: sign in again. Unsent words are kept by the client.
    SignIn = 4401,
    /// C6: stop. The reason is in the close frame; do not come back with the same replica.
    Stop = 4403,
    /// C7: there is no such document, or it may not be seen. The two look the same.
    NotFound = 4404,
    /// C8: the client id belongs to somebody else or is retired: come back with a new one.
    NewClientId = 4409,
}

impl CloseCode {
    /// The number that goes into the close frame.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }
}

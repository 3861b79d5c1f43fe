//! Every limit on what comes from outside, with its name, its unit and the rule it serves (SPEC L, reliability-security §4).
//! Each is a flag and a variable `SAMSPIL_LIMIT_<NAME>`; nothing else in the server holds such a number.

use std::fmt::Display;
use std::str::FromStr;

/// Makes the struct, its flags, its variables and its defaults from one table.
macro_rules! limits {
    ($( $(#[doc = $doc:literal])+ $name:ident : $type:ty = $default:expr, $env:literal; )+) => {
        /// What may come from outside, and how much of it.
        #[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
        #[command(next_help_heading = "Limits")]
        pub struct Limits {
            $(
                $(#[doc = $doc])+
                #[arg(long, env = $env, value_name = "N", default_value_t = { const DEFAULT: $type = $default; DEFAULT }, hide_env_values = true,
                      value_parser = |text: &str| positive::<$type>(text, $env, const { $default }))]
                pub $name: $type,
            )+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $name: $default, )+ }
            }
        }

        impl Limits {
            /// Every limit as (variable, value in force, default).
            pub fn list(&self) -> Vec<(&'static str, String, String)> {
                let default = Self::default();
                vec![ $( ($env, self.$name.to_string(), default.$name.to_string()), )+ ]
            }
        }
    };
}

limits! {
    /// L1: bytes in one frame; a larger one closes the socket with 1009.
    frame_bytes_max: usize = 1 << 20, "SAMSPIL_LIMIT_FRAME_BYTES_MAX";
    /// L2: blocks in one update.
    update_blocks_max: usize = 20_000, "SAMSPIL_LIMIT_UPDATE_BLOCKS_MAX";
    /// L2: blocks in one update that share parent, key and origin; their cost is quadratic.
    update_same_origin_max: usize = 1_000, "SAMSPIL_LIMIT_UPDATE_SAME_ORIGIN_MAX";
    /// L2: milliseconds of processor time for applying one update; a longer one is taken back.
    update_cpu_ms_max: u64 = 500, "SAMSPIL_LIMIT_UPDATE_CPU_MS_MAX";
    /// L3: clients with blocks in one update.
    update_clients_max: usize = 64, "SAMSPIL_LIMIT_UPDATE_CLIENTS_MAX";
    /// L3: delete ranges in one update that are new here.
    update_delete_ranges_max: usize = 4_000, "SAMSPIL_LIMIT_UPDATE_DELETE_RANGES_MAX";
    /// L4: nesting of plain values.
    value_depth_max: usize = 32, "SAMSPIL_LIMIT_VALUE_DEPTH_MAX";
    /// L4: nesting of shared types.
    type_depth_max: usize = 64, "SAMSPIL_LIMIT_TYPE_DEPTH_MAX";
    /// L4: bytes of one attribute or plain value.
    attribute_bytes_max: usize = 8 << 10, "SAMSPIL_LIMIT_ATTRIBUTE_BYTES_MAX";
    /// L5: encoded bytes of a document beyond which those who write in it are warned.
    document_bytes_warn: usize = 2 << 20, "SAMSPIL_LIMIT_DOCUMENT_BYTES_WARN";
    /// L5: encoded bytes of a document; a larger one is read-only.
    document_bytes_max: usize = 4 << 20, "SAMSPIL_LIMIT_DOCUMENT_BYTES_MAX";
    /// L6: Yjs client ids that have written in a document beyond which those who write in it are warned.
    document_clients_warn: usize = 4_000, "SAMSPIL_LIMIT_DOCUMENT_CLIENTS_WARN";
    /// L6: Yjs client ids that have written in a document; one with more is read-only.
    document_clients_max: usize = 8_000, "SAMSPIL_LIMIT_DOCUMENT_CLIENTS_MAX";
    /// L7: bytes of a client's state vector.
    state_vector_bytes_max: usize = 128 << 10, "SAMSPIL_LIMIT_STATE_VECTOR_BYTES_MAX";
    /// L8: update frames a second from one peer, sustained; beyond it the socket is read more slowly.
    peer_updates_per_s: u32 = 60, "SAMSPIL_LIMIT_PEER_UPDATES_PER_S";
    /// L8: update frames that one peer may send at once.
    peer_updates_burst: u32 = 200, "SAMSPIL_LIMIT_PEER_UPDATES_BURST";
    /// L8: bytes a second from one peer, sustained.
    peer_bytes_per_s: u32 = 256 << 10, "SAMSPIL_LIMIT_PEER_BYTES_PER_S";
    /// L8: seconds without progress on a socket before it is closed with 4000.
    peer_stalled_s: u64 = 30, "SAMSPIL_LIMIT_PEER_STALLED_S";
    /// L8: milliseconds of processor time in ten seconds for what one session sends to a document; beyond it the socket is closed with 4000.
    peer_cpu_ms_per_10s: u32 = 250, "SAMSPIL_LIMIT_PEER_CPU_MS_PER_10S";
    /// L9: bytes of one presence state.
    presence_bytes_max: usize = 1 << 10, "SAMSPIL_LIMIT_PRESENCE_BYTES_MAX";
    /// L9: presence states a second from one peer.
    presence_per_s: u32 = 10, "SAMSPIL_LIMIT_PRESENCE_PER_S";
    /// L9: seconds after which a silent peer is shown as gone.
    presence_idle_s: u64 = 30, "SAMSPIL_LIMIT_PRESENCE_IDLE_S";
    /// L10: bytes waiting to be sent to one peer; beyond it the socket is closed with 4001.
    peer_queue_bytes_max: usize = 4 << 20, "SAMSPIL_LIMIT_PEER_QUEUE_BYTES_MAX";
    /// L10: frames waiting to be sent to one peer.
    peer_queue_messages_max: usize = 256, "SAMSPIL_LIMIT_PEER_QUEUE_MESSAGES_MAX";
    /// L11: updates a room holds that are not on disk yet; beyond it the room is read-only.
    room_unsaved_updates_max: usize = 1_000, "SAMSPIL_LIMIT_ROOM_UNSAVED_UPDATES_MAX";
    /// L11: bytes of such updates.
    room_unsaved_bytes_max: usize = 8 << 20, "SAMSPIL_LIMIT_ROOM_UNSAVED_BYTES_MAX";
    /// L12: sockets of one session.
    sockets_per_session_max: usize = 10, "SAMSPIL_LIMIT_SOCKETS_PER_SESSION_MAX";
    /// L13: refusals in a row before a peer is closed with 4403.
    refusals_before_close: u32 = 3, "SAMSPIL_LIMIT_REFUSALS_BEFORE_CLOSE";
    /// Updates that the journal writes in one transaction.
    journal_batch_updates_max: usize = 4_096, "SAMSPIL_LIMIT_JOURNAL_BATCH_UPDATES_MAX";
    /// Bytes that the journal writes in one transaction.
    journal_batch_bytes_max: usize = 1 << 20, "SAMSPIL_LIMIT_JOURNAL_BATCH_BYTES_MAX";
    /// Seconds that a room without peers stays in memory.
    room_idle_s: u64 = 60, "SAMSPIL_LIMIT_ROOM_IDLE_S";
    /// Connections to the database.
    database_connections_max: u32 = 16, "SAMSPIL_LIMIT_DATABASE_CONNECTIONS_MAX";
    /// Bytes in the body of a request.
    request_bytes_max: usize = 1 << 20, "SAMSPIL_LIMIT_REQUEST_BYTES_MAX";
    /// Milliseconds that a request may take before it is answered 503.
    request_ms_max: u64 = 30_000, "SAMSPIL_LIMIT_REQUEST_MS_MAX";
    /// L14: milliseconds for the head of a request; a connection that takes longer, or on which none comes, is closed. A proxy that keeps
    /// connections open lets go of them sooner.
    header_ms_max: u64 = 30_000, "SAMSPIL_LIMIT_HEADER_MS_MAX";
    /// Connections at once, live sockets among them; others wait until there is a place.
    connections_max: usize = 50_000, "SAMSPIL_LIMIT_CONNECTIONS_MAX";
    /// L16: sign-ins begun or ended from one address in a minute, sustained; a sign-in is two.
    sign_ins_per_min: u32 = 300, "SAMSPIL_LIMIT_SIGN_INS_PER_MIN";
    /// L16: and so many at once.
    sign_ins_burst: u32 = 600, "SAMSPIL_LIMIT_SIGN_INS_BURST";
    /// Seconds that an update may wait to be saved before `/readyz` says that the server cannot be used.
    unacknowledged_s_max: u64 = 10, "SAMSPIL_LIMIT_UNACKNOWLEDGED_S_MAX";
    /// L15: characters in a comment, and in proposed wording.
    comment_chars_max: usize = 4_000, "SAMSPIL_LIMIT_COMMENT_CHARS_MAX";
    /// L15: people that one comment names.
    comment_mentions_max: usize = 20, "SAMSPIL_LIMIT_COMMENT_MENTIONS_MAX";
    /// L15: comments in one thread.
    thread_comments_max: usize = 500, "SAMSPIL_LIMIT_THREAD_COMMENTS_MAX";
    /// L15: threads beside one document.
    document_threads_max: usize = 2_000, "SAMSPIL_LIMIT_DOCUMENT_THREADS_MAX";
    /// L17: bytes of a file that is uploaded to be checked.
    verify_bytes_max: usize = 32 << 20, "SAMSPIL_LIMIT_VERIFY_BYTES_MAX";
    /// Documents that are printed at once; further ones wait their turn.
    prints_at_once_max: usize = 2, "SAMSPIL_LIMIT_PRINTS_AT_ONCE_MAX";
    /// Milliseconds that the server takes at most to stop.
    stop_ms_max: u64 = 2_000, "SAMSPIL_LIMIT_STOP_MS_MAX";
}

impl Limits {
    /// The limits that a client can keep to, as `hello` tells them.
    pub fn for_hello(&self) -> samspil_client_protocol::message::Limits {
        samspil_client_protocol::message::Limits {
            frame_bytes_max: u32::try_from(self.frame_bytes_max).unwrap_or(u32::MAX),
            peer_updates_per_s: self.peer_updates_per_s,
            presence_bytes_max: u32::try_from(self.presence_bytes_max).unwrap_or(u32::MAX),
        }
    }
}

/// A whole number from 1; the refusal names the variable and shows one that works.
fn positive<T: FromStr + PartialOrd + From<u8> + Display + Copy>(text: &str, env: &str, example: T) -> Result<T, String> {
    text.parse::<T>()
        .ok()
        .filter(|number| *number >= T::from(1))
        .ok_or_else(|| format!("not a whole number from 1 upward; for example {env}={example}"))
}

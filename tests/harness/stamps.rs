//! An authority for time stamps (RFC 3161) that answers when it is told to: openssl behind a door.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use samspil_server::config::Timestamps;
use tokio::sync::Semaphore;

#[path = "../../server/evidence/tests/openssl/authority.rs"]
#[expect(dead_code, reason = "the tests beside the checks know more kinds of authorities")]
mod authority;
use authority::{Authority, P256};

/// The authority. Whoever asks it waits until it is told to answer.
pub struct StampAuthority {
    door: Arc<Door>,
    url: String,
}

struct Door {
    openssl: Authority,
    answers: Semaphore,
}

impl StampAuthority {
    /// Starts it on a free port; it answers nobody yet.
    pub async fn start() -> Self {
        let door = Arc::new(Door { openssl: Authority::new(P256), answers: Semaphore::new(0) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tsr", listener.local_addr().unwrap());
        let router = Router::new().route("/tsr", post(answer)).with_state(door.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { door, url }
    }

    /// From now on it answers whoever asks, and whoever has been waiting.
    pub fn answer(&self) {
        self.door.answers.add_permits(1);
    }

    /// From now on it answers nobody any more.
    pub fn fall_silent(&self) {
        assert_eq!(self.door.answers.forget_permits(1), 1, "nobody is being answered");
    }

    /// The settings of a municipality that asks and trusts it.
    pub fn settings(&self) -> Timestamps {
        Timestamps { urls: vec![self.url.clone()], certificates: self.door.openssl.root() }
    }
}

async fn answer(State(door): State<Arc<Door>>, question: Bytes) -> Vec<u8> {
    // Handed back when it has answered: one at a time, as openssl's files want it.
    let _turn = door.answers.acquire().await.unwrap();
    door.openssl.answer(&question)
}

//! Takes connections: so many at once, each with so long for the head of a request (reliability-security §5, flooding). When the
//! server stops, nothing new is taken and requests under way come to their end. A live socket keeps its place for as long as it lives.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request, serve::Listener};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::config::Limits;

/// A connection's place among those that there are at once; every request carries it. Whoever goes on with the connection after the
/// request, as a live socket does, keeps it that long.
#[derive(Clone, Debug)]
pub struct Place(#[expect(dead_code, reason = "it is given back when the last one who holds it lets go")] Arc<OwnedSemaphorePermit>);

/// Serves until the server stops, and then until the last request has been answered. Dropped before that, it cuts the rest off.
pub async fn serve(mut listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let http = http(&limits);
    let mut open = JoinSet::new();
    loop {
        let (stream, from, place) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            taken = async {
                // Those for whom there is no place wait at the door until there is one.
                let place = places.clone().acquire_owned().await;
                let (stream, from) = Listener::accept(&mut listener).await;
                (stream, from, place)
            } => taken,
        };
        // Nobody closes the semaphore.
        let Ok(place) = place.map(|place| Place(Arc::new(place))) else { break };
        // Without TCP_NODELAY a keystroke waits for the one before it to be acknowledged by the network.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
        }
        open.spawn(converse(stream, from, place, router.clone(), http.clone(), stop.clone()));
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(limits.header_ms_max));
    http
}

/// One connection, until it ends or has become a socket.
async fn converse<I>(stream: I, from: SocketAddr, place: Place, router: Router, http: http1::Builder, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        request.extensions_mut().insert(place.clone());
        request
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
        net::TcpStream,
        time::Instant,
    };

    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: samspil\r\nconnection: close\r\n\r\n";

    fn router() -> Router {
        Router::new().route("/", get(async || "her"))
    }

    fn place() -> Place {
        Place(Arc::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()))
    }

    /// A line to a server that waits so long for the head of a request.
    fn line(header_ms_max: u64) -> DuplexStream {
        let (near, far) = tokio::io::duplex(4096);
        let http = http(&Limits { header_ms_max, ..Limits::default() });
        tokio::spawn(converse(far, "127.0.0.1:1".parse().unwrap(), place(), router(), http, CancellationToken::new()));
        near
    }

    /// What is heard until the line ends, and when that was.
    async fn heard(line: &mut DuplexStream, began: Instant) -> (bool, Duration) {
        let mut bytes = Vec::new();
        // A line that is cut is one that ends.
        let _ = line.read_to_end(&mut bytes).await;
        (bytes.starts_with(b"HTTP/1.1 200"), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn l14_header_ms_max() {
        let took = async |ms: u64| {
            let (began, mut line) = (Instant::now(), line(10_000));
            line.write_all(&HEAD[..20]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(ms)).await;
            // It may have been cut by now.
            let _ = line.write_all(&HEAD[20..]).await;
            heard(&mut line, began).await
        };
        assert_eq!(took(9_990).await, (true, Duration::from_millis(9_990)));
        assert!(took(10_000).await.1 < Duration::from_millis(10_010), "whichever comes first");
        assert!(!took(10_010).await.0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_byte_now_and_then_is_not_waited_for_any_longer() {
        let (began, mut line) = (Instant::now(), line(10_000));
        for byte in HEAD {
            if line.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
        assert!(!heard(&mut line, began).await.0);
        assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_at_all_is_not_waited_for_either() {
        let (began, mut line) = (Instant::now(), line(10_000));
        let (answered, after) = heard(&mut line, began).await;
        assert!(!answered && after < Duration::from_millis(10_010), "{after:?}");
    }

    /// How many of three are answered while all of them stay.
    async fn answered(connections_max: usize) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { connections_max, ..Limits::default() };
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let serving = tokio::spawn(serve(listener, router(), limits, stopping));
        let mut lines = Vec::new();
        for _ in 0..3 {
            let mut line = TcpStream::connect(address).await.unwrap();
            line.write_all(b"GET / HTTP/1.1\r\nhost: samspil\r\n\r\n").await.unwrap();
            lines.push(line);
        }
        let mut answered = Vec::new();
        let mut waiting = lines;
        // Those who have a place are answered, and as each of them goes, one more.
        for _ in 0..connections_max.min(3) {
            let mut line = waiting.remove(0);
            assert_eq!(line.read_u8().await.unwrap(), b'H');
            answered.push(line);
        }
        let at_once = answered.len();
        for mut line in waiting {
            let unheard = line.try_read(&mut [0; 1]).map_err(|error| error.kind());
            assert_eq!(unheard, Err(std::io::ErrorKind::WouldBlock), "there is no place for it yet");
            answered.remove(0);
            assert_eq!(line.read_u8().await.unwrap(), b'H');
            answered.push(line);
        }
        stop.cancel();
        serving.await.unwrap();
        at_once
    }

    #[tokio::test]
    async fn connections_max() {
        assert_eq!(answered(2).await, 2);
        assert_eq!(answered(3).await, 3);
        assert_eq!(answered(4).await, 3);
    }
}

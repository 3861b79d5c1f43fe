//! The one place where the parts meet: start, serve, stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRef};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{
    Router,
    http::{HeaderName, HeaderValue},
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use crate::auth::demo_idp::{self, DemoIdp};
use crate::auth::step_up::How;
use crate::auth::{Sessions, SignIns, StepUps, oidc};
use crate::clock::Clock;
use crate::config::{Config, Limits, Mail, Provider};
use crate::connections;
use crate::domain::claims::RoleMapping;
use crate::gateway::{self, Gateway};
use crate::http::demo_mail::{self, MailShown};
use crate::http::door::{self, OwnOrigin, Patience};
use crate::http::health::{self, Stopping};
use crate::http::pace::Pace;
use crate::http::web::{self, Pages};
use crate::http::{self, Counter, Outside, Site, notices, problem};
use crate::journal::Courier;
use crate::keys::{self, Keys, Places};
use crate::mail::{self, Postman};
use crate::notary::Notary;
use crate::papers::Papers;
use crate::rooms::Rooms;
use crate::rooms::quarantine::Quarantine;
use crate::stop_points::{self, StopPoint};
use crate::store::Store;
use crate::store::setup::SchemaError;
use crate::telemetry;
use crate::timestamps::{self, Stamper};

/// Starts the server.
#[derive(Debug)]
pub struct App;

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("{setting}={address} cannot be listened on; is another server running there?")]
    Listen {
        /// Which setting named it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Time stamps cannot be asked for.
    #[error(transparent)]
    Timestamps(#[from] timestamps::Error),
    /// The database cannot be used, or its schema is not this build's.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The public address is not one that a browser would write.
    #[error("SAMSPIL_PUBLIC_URL is not an origin in plain letters; for example SAMSPIL_PUBLIC_URL=https://samspil.example.dk")]
    PublicUrl,
    /// What is known of updates that end the server cannot be read or written.
    #[error("SAMSPIL_DATA_DIR={} cannot be used", dir.display())]
    DataDir {
        /// Where it is.
        dir: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The demo identity provider does not start.
    #[error(transparent)]
    DemoProvider(#[from] demo_idp::Error),
    /// The keys that seal and keep cannot be used.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// Mail cannot be sent as configured.
    #[error(transparent)]
    Mail(#[from] mail::Error),
    /// The identity provider cannot be used as configured.
    #[error("the identity provider cannot be used as SAMSPIL_OIDC_ISSUER names it")]
    Provider(#[from] oidc::Error),
}

/// What handlers ask for, each the part it needs: `State<Store>`, `State<Sessions>` …
#[derive(Clone, FromRef)]
struct Parts {
    store: Store,
    clock: Clock,
    limits: Arc<Limits>,
    own_origin: OwnOrigin,
    sign_ins: SignIns,
    step_ups: StepUps,
    gateway: Gateway,
    rooms: Rooms,
    stopping: Stopping,
    patience: Patience,
    pages: Pages,
    mail_shown: MailShown,
    pace: Pace,
}

/// A server that runs.
pub struct Running {
    addr: SocketAddr,
    public_url: String,
    stop_within: Duration,
    stopping: Stopping,
    stop_accepting: CancellationToken,
    rooms: Rooms,
    gateway: Gateway,
    store: Store,
    /// The server, and beside it in the demo the identity provider.
    serving: Vec<JoinHandle<()>>,
}

impl App {
    /// Starts everything; when this returns, the server can be used.
    pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
        // From now on figures are kept; before, they would be lost.
        telemetry::figures();
        let store = Store::connect(config.database_url.reveal(), config.limits.database_connections_max)?;
        store.check_schema().await?;
        let places = Places { data_dir: config.data_dir.clone(), seal: config.seal_key.clone(), token: config.token_key.clone() };
        let keys = Arc::new(Keys::open(&places, &store, clock.now()).await?);
        let (listener, addr) = listen("SAMSPIL_LISTEN", config.listen).await?;
        let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{addr}"));
        let stop_accepting = CancellationToken::new();
        let mut serving = Vec::new();
        let (provider, person_claim, roles) = match &config.provider {
            Provider::Demo { listen: address } => {
                let (listener, addr) = listen("SAMSPIL_DEMO_IDP_LISTEN", *address).await?;
                let demo = DemoIdp::new(addr, store.clone(), clock, &public_url, &config.data_dir)?;
                let settings = oidc_settings(demo.issuer(), demo_idp::CLIENT_ID, demo.client_secret(), &public_url, &[]);
                serving.push(tokio::spawn(connections::serve(listener, demo.router(), config.limits.clone(), stop_accepting.clone())));
                (settings, Some(demo_idp::PERSON_CLAIM.to_owned()), RoleMapping::own_names("roles"))
            }
            Provider::Oidc(oidc) => {
                let secret = oidc.client_secret.reveal();
                let settings = oidc_settings(&oidc.issuer, &oidc.client_id, secret, &public_url, &oidc.scopes);
                (settings, oidc.person_claim.clone(), oidc.roles.clone())
            }
        };
        let provider_origin = web::origin_of(&provider.issuer);
        let provider = oidc::Provider::new(provider)?;
        let sessions = Sessions::new(store.clone(), &public_url);
        let sign_ins = SignIns::new(store.clone(), sessions.clone(), provider.clone(), roles.clone(), person_claim);
        let notary = Notary::new(store.clone(), keys, &public_url);
        let how = How {
            step_up: config.step_up.clone(),
            skew: chrono::Duration::seconds(config.step_up_skew_s.into()),
            demonstration: matches!(config.provider, Provider::Demo { .. }),
        };
        let step_ups = StepUps::new(store.clone(), sessions.clone(), provider, roles, notary.clone(), how);
        let quarantine =
            Quarantine::open(&config.data_dir).map_err(|source| StartError::DataDir { dir: config.data_dir.clone(), source })?;
        let rooms = Rooms::start(store.clone(), sessions.clone(), clock, config.limits.clone(), quarantine);
        let stopping = Stopping::default();
        let origin = HeaderValue::try_from(&public_url).map_err(|_| StartError::PublicUrl)?;
        let gateway = Gateway::new(store.clone(), sessions.clone(), rooms.clone(), clock, config.limits.clone(), origin);
        let parts = Parts {
            store: store.clone(),
            clock,
            limits: Arc::new(config.limits.clone()),
            own_origin: OwnOrigin(public_url.as_str().into()),
            sign_ins,
            step_ups: step_ups.clone(),
            gateway: gateway.clone(),
            rooms: rooms.clone(),
            stopping: stopping.clone(),
            patience: Patience(Duration::from_millis(config.limits.request_ms_max)),
            pages: Pages { provider_origin, was_url: config.was_url.clone() },
            mail_shown: MailShown(matches!(config.mail, Mail::Files(_))),
            pace: Pace::new(&config.limits, config.trusted_hops),
        };
        let site = Site { demo: matches!(config.provider, Provider::Demo { .. }), was_url: config.was_url.clone() };
        let papers = Papers::new(store.clone(), rooms.clone(), config.limits.prints_at_once_max, site.demo);
        let api = http::Parts {
            store: store.clone(),
            sessions,
            clock,
            rooms: rooms.clone(),
            step_ups,
            notary: notary.clone(),
            counter: Counter::new(config.verify_for),
            papers: papers.clone(),
            outside: Outside { folder: config.journal_dir.is_some(), stamps: !config.timestamps.urls.is_empty() },
            site,
            limits: Arc::new(config.limits.clone()),
        };
        serving.push(tokio::spawn(connections::serve(listener, router(parts, api), config.limits.clone(), stop_accepting.clone())));
        if let Some(dir) = config.journal_dir.clone() {
            let courier = Courier::new(store.clone(), papers.clone(), clock, dir);
            serving.push(tokio::spawn(courier.work(stop_accepting.clone())));
        }
        if let Some(stamper) = Stamper::new(store.clone(), clock, &config.timestamps)? {
            serving.push(tokio::spawn(stamper.work(stop_accepting.clone())));
        }
        let gather = chrono::Duration::seconds(config.mail_gather_s.into());
        if let Some(postman) = Postman::new(store.clone(), clock, &config.mail, config.mail_from.as_deref(), &public_url, gather)? {
            serving.push(tokio::spawn(postman.work(stop_accepting.clone())));
        }
        serving.push(tokio::spawn(notary.work(clock, stop_accepting.clone())));
        serving.push(tokio::spawn(telemetry::keep_figures_small(stop_accepting.clone())));
        let stop_within = Duration::from_millis(config.limits.stop_ms_max);
        Ok(Running { addr, public_url, stop_within, stopping, stop_accepting, rooms, gateway, store, serving })
    }
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The origin that people use.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// How many live documents are in memory.
    pub fn open_rooms(&self) -> usize {
        self.rooms.open_rooms()
    }

    /// Stops: takes nothing new, saves what is under way, and says to every socket that it should come back.
    pub async fn stop(self) {
        // Whoever watches hears it, as long as there is somebody to ask: the listener goes last.
        self.stopping.begin();
        stop_points::reach(StopPoint::Stopping);
        let give_up = tokio::time::Instant::now() + self.stop_within;
        self.rooms.shutdown(self.stop_within / 2).await;
        self.stop_accepting.cancel();
        stop_points::reach(StopPoint::Drained);
        // The rooms have closed every socket; here each of them hears it.
        if tokio::time::timeout_at(give_up, self.gateway.all_gone()).await.is_err() {
            tracing::warn!("some sockets did not end in time and were cut off");
        }
        for mut serving in self.serving {
            if tokio::time::timeout_at(give_up, &mut serving).await.is_err() {
                tracing::warn!("some requests did not end in time and were cut off");
                serving.abort();
            }
        }
        if tokio::time::timeout_at(give_up, self.store.close()).await.is_err() {
            tracing::warn!("some questions to the database did not end in time and were cut off");
        }
    }
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { setting, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn oidc_settings(issuer: &str, client_id: &str, client_secret: &str, public_url: &str, scopes: &[String]) -> oidc::Settings {
    oidc::Settings {
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        client_secret: openidconnect::ClientSecret::new(client_secret.to_owned()),
        public_url: public_url.to_owned(),
        scopes: scopes.to_vec(),
    }
}

/// Every route. Layers: the last one added sees a request first.
fn router(parts: Parts, api: http::Parts) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/was", get(web::was))
        .route("/demo/mail", get(demo_mail::list))
        .route("/demo/mail/{id}", get(demo_mail::read))
        .route("/mail/unsubscribe/{secret}", get(notices::ask_unsubscribe).post(notices::unsubscribe))
        .merge(http::api(api))
        .merge(http::auth::routes())
        .merge(gateway::routes())
        .fallback(web::fallback)
        .layer(DefaultBodyLimit::max(parts.limits.request_bytes_max))
        .layer(from_fn_with_state(parts.clone(), door::in_time))
        .layer(from_fn_with_state(parts.clone(), door::only_our_pages))
        .layer(CatchPanicLayer::custom(door::panicked))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(parts.clone(), door::careful_headers))
        .layer(from_fn(telemetry::one_line_per_request))
        .layer(from_fn(problem::carry_request_id))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(parts)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How long it takes to stop a server on which a request takes so long, and whether that came to its end.
    async fn stopped(stop_ms_max: u64, request_takes_ms: u64) -> (Duration, bool) {
        let limits = Limits { stop_ms_max, ..Limits::default() };
        let store = Store::connect("postgres://localhost/nobody-asks", 1).unwrap();
        let sessions = Sessions::new(store.clone(), "http://localhost");
        let data_dir = std::env::temp_dir().join(format!("samspil-app-tests-{}", std::process::id()));
        std::fs::create_dir_all(&data_dir).unwrap();
        let quarantine = Quarantine::open(&data_dir).unwrap();
        std::fs::remove_dir_all(data_dir).unwrap();
        let rooms = Rooms::start(store.clone(), sessions.clone(), Clock::machine(), limits.clone(), quarantine);
        let origin = HeaderValue::from_static("http://localhost");
        let gateway = Gateway::new(store.clone(), sessions, rooms.clone(), Clock::machine(), limits.clone(), origin);
        let done = CancellationToken::new();
        let ending = done.clone();
        let request = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(request_takes_ms)).await;
            ending.cancel();
        });
        let running = Running {
            addr: "127.0.0.1:1".parse().unwrap(),
            public_url: "http://localhost".to_owned(),
            stop_within: Duration::from_millis(limits.stop_ms_max),
            stopping: Stopping::default(),
            stop_accepting: CancellationToken::new(),
            rooms,
            gateway,
            store,
            serving: vec![request],
        };
        let began = Instant::now();
        running.stop().await;
        (began.elapsed(), done.is_cancelled())
    }

    #[tokio::test(start_paused = true)]
    async fn stop_ms_max() {
        assert_eq!(stopped(2_000, 1_999).await, (Duration::from_millis(1_999), true));
        assert_eq!(stopped(2_000, 2_000).await.0, Duration::from_secs(2), "whichever comes first");
        assert_eq!(stopped(2_000, 2_001).await, (Duration::from_secs(2), false));
    }
}

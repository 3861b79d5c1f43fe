//! The real server in this process, on a free port, with the demo provider beside it and a database of its own.

use std::net::SocketAddr;

use samspil_evidence::seal::SealKey;
use samspil_server::app::{App, Running};
use samspil_server::bench::{self, Wanted};
use samspil_server::clock::Clock;
use samspil_server::config::{AskedAs, Config, Limits, Mail, Oidc, Provider, Secret, StepUp, Timestamps, VerifyFor};
use samspil_server::domain::claims::RoleMapping;
use samspil_server::keys::{Keys, Places};
use samspil_server::notary::Notary;
use samspil_server::store::Store;
use serde_json::Value;
use uuid::Uuid;

use super::browser::Browser;
use super::database::{DataDir, Database, demo_clock, superuser};
use super::line::DatabaseLine;
use super::live::Door;
use super::provider::OddProvider;

/// An agreement of [`TestServer::prepare`].
#[derive(Clone)]
pub struct Prepared {
    /// Its document.
    pub document: Uuid,
    /// The doors of those who write, the two parties first, and then of those who read.
    pub doors: Vec<Door>,
}

/// A server that a test has to itself.
pub struct TestServer {
    running: Running,
    database: Database,
    data_dir: DataDir,
    clock: Clock,
    config: Config,
}

impl TestServer {
    /// Starts one with the demo municipality, at its moment.
    pub async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    /// The same, with other limits.
    pub async fn start_with(limits: Limits) -> Self {
        Self::start_as(limits, |config| config).await
    }

    /// The same, with any other settings.
    pub async fn start_as(limits: Limits, alter: impl FnOnce(Config) -> Config) -> Self {
        let database = Database::new().await;
        let data_dir = DataDir::new();
        let clock = demo_clock();
        let config = alter(config(&database, &data_dir, limits));
        let running = App::start(config.clone(), clock).await.unwrap();
        Self { running, database, data_dir, clock, config }
    }

    /// The same, with a line to its database that can fail.
    pub async fn start_on_a_line(limits: Limits) -> (Self, DatabaseLine) {
        let database = Database::new().await;
        let data_dir = DataDir::new();
        let clock = demo_clock();
        let line = DatabaseLine::new(&database.app_url());
        let database_url = Secret::new(line.url(&database.app_url()));
        let config = Config { database_url, ..config(&database, &data_dir, limits) };
        let running = App::start(config.clone(), clock).await.unwrap();
        (Self { running, database, data_dir, clock, config }, line)
    }

    /// The same, with a provider that signs what it is told to; signatures are asked for in this way, and authorities for time stamps.
    pub async fn start_at(provider: &OddProvider, asked: AskedAs, timestamps: Timestamps) -> Self {
        let oidc = Oidc {
            issuer: provider.issuer().to_owned(),
            client_id: OddProvider::CLIENT.to_owned(),
            client_secret: Secret::new("known-to-both"),
            person_claim: Some("person".to_owned()),
            roles: RoleMapping::own_names("roles"),
            scopes: Vec::new(),
        };
        let step_up = StepUp { levels: vec![OddProvider::LEVEL.to_owned()], asked };
        Self::start_as(Limits::default(), |config| Config { provider: Provider::Oidc(oidc), step_up, timestamps, ..config }).await
    }

    /// Whoever could check what this server has sealed.
    pub async fn notary(&self) -> Notary {
        let store = Store::connect(&self.database.app_url(), 2).unwrap();
        let places = Places { data_dir: self.data_dir.path().to_owned(), seal: None, token: None };
        let keys = Keys::open(&places, &store, self.clock.now()).await.unwrap();
        Notary::new(store, keys.into(), self.running.public_url())
    }

    /// Puts a new key on top of the one that has sealed so far: the next start seals with it.
    pub fn change_the_seal_key(&self) {
        let file = self.data_dir.path().join("seal-key.pem");
        let old = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{}{old}", SealKey::from_seed([9; 32]).to_pem())).unwrap();
    }

    /// Stops it and starts it again, on the same database and at the same address.
    pub async fn restart(self) -> Self {
        self.restart_with(Limits::default()).await
    }

    /// The same, with other limits.
    pub async fn restart_with(self, limits: Limits) -> Self {
        let Self { running, database, data_dir, clock, config } = self;
        let listen = running.addr();
        running.stop().await;
        let config = Config { listen, limits, ..config };
        let running = App::start(config.clone(), clock).await.unwrap();
        Self { running, database, data_dir, clock, config }
    }

    /// A second node on the same database, as a server process of its own would be. It is stopped before the first.
    pub async fn second_node(&self) -> Running {
        App::start(config(&self.database, &self.data_dir, Limits::default()), self.clock).await.unwrap()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    /// Its database, as the superuser.
    pub fn superuser_url(&self) -> String {
        self.database.superuser_url()
    }

    /// A connection to its database as the superuser.
    pub async fn superuser(&self) -> sqlx::PgConnection {
        superuser(&self.superuser_url()).await
    }

    /// How many rooms are in memory.
    pub fn open_rooms(&self) -> usize {
        self.running.open_rooms()
    }

    /// A browser with nobody signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(self.running.public_url())
    }

    /// A browser in which this person has signed in, through the real code flow.
    pub async fn sign_in(&self, person: &str) -> Browser {
        let mut browser = self.browser();
        browser.sign_in(person).await;
        browser
    }

    /// Agreements with people of their own, who are signed in; as `samspil bench prepare` makes them.
    pub async fn prepare(&self, documents: u32, writers: u32, readers: u32) -> Vec<Prepared> {
        let store = Store::connect(&self.database.app_url(), 2).unwrap();
        let mut list = Vec::new();
        bench::prepare(&store, self.clock, self.running.public_url(), Wanted { documents, writers, readers }, &mut list).await.unwrap();
        store.close().await;
        let (addr, list) = (self.running.addr(), String::from_utf8(list).unwrap());
        let prepared = list.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let document = line["document_id"].as_str().unwrap().parse().unwrap();
            let cookies = line["cookies"].as_array().unwrap().iter();
            Prepared { document, doors: cookies.map(|cookie| Door::new(addr, document, cookie.as_str().unwrap().to_owned())).collect() }
        });
        prepared.collect()
    }

    /// Stops it and removes its database. A test that fails leaves that to the next run.
    pub async fn stop(self) {
        self.running.stop().await;
        self.database.remove().await;
    }
}

fn config(database: &Database, data_dir: &DataDir, limits: Limits) -> Config {
    let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config {
        listen: any_port,
        public_url: None,
        trusted_hops: 0,
        data_dir: data_dir.path().to_owned(),
        database_url: Secret::new(database.app_url()),
        provider: Provider::Demo { listen: any_port },
        mail_from: None,
        mail_gather_s: 600,
        mail: Mail::Files(data_dir.path().join("mail")),
        timestamps: Timestamps::default(),
        journal_dir: None,
        was_url: None,
        step_up: StepUp { levels: vec!["urn:samspil:demo:fresh".to_owned()], asked: AskedAs::AcrValues },
        step_up_skew_s: 5,
        seal_key: None,
        token_key: None,
        verify_for: VerifyFor::Everybody,
        limits,
    }
}

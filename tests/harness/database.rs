//! One private cluster for the whole test binary, and a database of its own for every test: a copy of one that was migrated and
//! filled with the demo municipality once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;

use chrono::{DateTime, Utc};
use samspil_server::clock::Clock;
use samspil_server::cluster::Cluster;
use samspil_server::import;
use samspil_server::store::{Store, setup};
use sqlx::{Connection as _, PgConnection};

/// The moment at which the demo municipality's data stands.
pub fn demo_now() -> DateTime<Utc> {
    "2026-11-23T13:30:00+01:00".parse().unwrap()
}

/// A clock that stands at `demo_now` when the test begins, and ticks.
pub fn demo_clock() -> Clock {
    Clock::offset(demo_now() - Clock::machine().now())
}

/// A database of this test's own, removed with it.
pub struct Database {
    name: String,
}

/// `(database, role) → URL`, made once the cluster stands.
struct Shared {
    socket_url: String,
}

impl Shared {
    fn url(&self, role: &str, database: &str) -> String {
        self.socket_url.replacen("postgres@", &format!("{role}@"), 1).replacen("/postgres?", &format!("/{database}?"), 1)
    }
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (ready, wait) = mpsc::channel();
        // The cluster ends with the thread that starts it: this one stays as long as the process.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _cluster = runtime.block_on(async {
                let cluster = Cluster::start(&own_dir(), None).await.unwrap();
                fill(&cluster.superuser_url("template1")).await;
                ready.send(cluster.superuser_url("postgres")).unwrap();
                cluster
            });
            loop {
                thread::park();
            }
        });
        Shared { socket_url: wait.recv().expect("the cluster starts") }
    })
}

/// Every new database of a cluster is a copy of `template1`.
async fn fill(url: &str) {
    setup::migrate(url).await.unwrap();
    let store = Store::connect(url, 1).unwrap();
    import::run(import::Source::Demo, &store, demo_now(), import::Mode::Apply).await.unwrap();
    // Nobody may be connected to a database that is copied.
    store.close().await;
}

/// A directory named after this process; what processes that are gone left behind is removed.
fn own_dir() -> PathBuf {
    let prefix = "samspil-tests-";
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let gone = name.strip_prefix(prefix).is_some_and(|process| !Path::new("/proc").join(process).exists());
        if gone {
            // Another test binary may be removing it just now.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    std::env::temp_dir().join(format!("{prefix}{}", std::process::id()))
}

impl Database {
    /// A new one, with the demo municipality in it.
    pub async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Self { name };
        let url = tokio::task::spawn_blocking(shared).await.unwrap().url("postgres", &database.name);
        setup::create_database(&url).await.unwrap();
        database
    }

    /// As the role that the server runs as.
    pub fn app_url(&self) -> String {
        shared().url("samspil_app", &self.name)
    }

    /// As the superuser: for a test that must do what nobody may.
    pub fn superuser_url(&self) -> String {
        shared().url("postgres", &self.name)
    }

    /// Removes it.
    pub async fn remove(self) {
        setup::drop_database(&self.superuser_url()).await.unwrap();
    }
}

/// A connection as the superuser, for a test that must do what nobody may, or what no page can do yet.
pub async fn superuser(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// A directory of this test's own, removed with it.
pub struct DataDir(PathBuf);

impl DataDir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("samspil-data-{}-{nth}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

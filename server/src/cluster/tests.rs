use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};

use super::*;

/// A data directory of this test's own, gone with the test.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("samspil-cluster-{}-{nth}", std::process::id())))
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn write_word(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE word (word text); INSERT INTO word VALUES ('blåbærgrød')").execute(&mut connection).await.unwrap();
}

async fn read_word(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT word FROM word").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let dir = DataDir::new();
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    write_word(&cluster.owner_url()).await;
    cluster.stop().await;
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    assert_eq!(read_word(&cluster.owner_url()).await, "blåbærgrød");
    cluster.stop().await;
}

#[tokio::test]
async fn what_was_written_is_there_after_the_server_was_killed() {
    let dir = DataDir::new();
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    write_word(&cluster.owner_url()).await;
    cluster.signal(Signal::KILL);
    drop(cluster);
    // The children of the killed one are still going: the new one waits for its place.
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    assert_eq!(read_word(&cluster.owner_url()).await, "blåbærgrød");
    cluster.stop().await;
}

/// Whose starter was killed belongs to the machine's first process, and not every one of those asks at once how its children ended.
#[tokio::test]
async fn a_server_that_has_ended_and_that_nobody_asked_how_is_not_waited_for() {
    let dir = DataDir::new();
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    write_word(&cluster.owner_url()).await;
    cluster.stop().await;
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    let data = dir.0.join("postgresql").canonicalize().unwrap().join("data");
    let file = data.join("postmaster.pid");
    fs::write(&file, format!("{}\n{}\n", ended.id(), data.display())).unwrap();
    while !matches!(holder(&file), Some(Holder::Dead)) {
        tokio::task::yield_now().await;
    }
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    assert_eq!(read_word(&cluster.owner_url()).await, "blåbærgrød");
    cluster.stop().await;
    ended.wait().unwrap();
}

#[tokio::test]
async fn a_second_start_on_the_same_directory_is_refused_in_words() {
    let dir = DataDir::new();
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    let error = Cluster::start(&dir.0, None).await.unwrap_err();
    assert!(error.to_string().contains("is in use by another samspil"), "{error}");
    cluster.stop().await;
}

#[tokio::test]
async fn nothing_listens_on_a_network_and_durability_is_on() {
    let dir = DataDir::new();
    let cluster = Cluster::start(&dir.0, None).await.unwrap();
    let mut connection = PgConnection::connect(&cluster.superuser_url("postgres")).await.unwrap();
    for (setting, wanted) in [("listen_addresses", ""), ("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")] {
        let found: String = sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, wanted, "{setting}");
    }
    let provider: String = sqlx::query_scalar("SELECT datlocprovider::text FROM pg_database WHERE datname = 'samspil'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(provider, "i");
    cluster.stop().await;
}

#[tokio::test]
async fn a_directory_that_the_database_cannot_reach_leads_elsewhere() {
    let account = Account::of_postgresql().unwrap();
    let dir = DataDir::new();
    fs::create_dir_all(&dir.0).unwrap();
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
    let base = base_dir(&dir.0, &account).unwrap();
    // An ordinary user owns the directory and stays in it; root runs the database as somebody else, who cannot enter.
    if rustix::process::geteuid().is_root() {
        assert!(base.starts_with("/var/lib/samspil"), "{}", base.display());
        assert_eq!(fs::read_link(dir.0.join("postgresql")).unwrap(), base);
        fs::remove_dir_all(base).unwrap();
    } else {
        assert_eq!(base, dir.0.join("postgresql"));
    }
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_a_short_one() {
    let dir = DataDir::new();
    let long = dir.0.join("et-meget-langt-navn-på-en-mappe-som-ingen-ville-vælge-frivilligt-men-som-findes");
    let cluster = Cluster::start(&long, None).await.unwrap();
    assert!(cluster.socket_dir.as_os_str().len() <= SOCKET_DIR_BYTES_MAX);
    assert!(store::setup::answers(&cluster.app_url()).await);
    let socket_dir = cluster.socket_dir.clone();
    cluster.stop().await;
    fs::remove_dir_all(socket_dir).unwrap();
}

#[test]
fn programs_of_another_major_version_are_refused_for_data_that_is_there() {
    let dir = DataDir::new();
    fs::create_dir_all(&dir.0).unwrap();
    fs::write(dir.0.join("PG_VERSION"), "9\n").unwrap();
    let error = Programs::find(None, &dir.0).unwrap_err();
    assert!(error.to_string().contains("apt-get install postgresql-9"), "{error}");
}

#[test]
fn missing_programs_are_said_with_what_to_install() {
    let dir = DataDir::new();
    let error = Programs::find(Some(Path::new("/nowhere")), &dir.0).unwrap_err();
    assert!(error.to_string().contains("apt-get install postgresql"), "{error}");
}

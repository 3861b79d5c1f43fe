//! The private `PostgreSQL`: started by us from the machine's own programs, on a Unix socket only we can reach, durable, and found
//! again at the next start. The demo, the benchmark and the tests run on it; production has its own (`DATABASE_URL`).
//!
//! It never installs anything, never listens on a network, and never turns durability off.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use sha2::{Digest, Sha256};
use tokio::process::{Child, Command};
use tokio::time::Instant;

mod programs;
#[cfg(test)]
mod tests;

use programs::{Account, Programs};

use crate::store;

/// How long a server that is still closing may take before a new one gives up waiting for its place, and how long one may take to start:
/// after a crash it first has every file written to the disk, which others may keep busy.
const START_MS_MAX: u64 = 90_000;
/// How long to wait between two looks at a server that is starting.
const LOOK_EVERY_MS: u64 = 20;
/// How long a server may take to close before it is made to.
const STOP_MS_MAX: u64 = 10_000;
/// The kernel takes 107 bytes for a socket's path; `PostgreSQL` adds its own name to the directory.
const SOCKET_DIR_BYTES_MAX: usize = 85;

/// A running private `PostgreSQL`. It ends with the thread that started it, if not before: start it from a thread that stays.
#[derive(Debug)]
pub struct Cluster {
    server: Child,
    socket_dir: PathBuf,
    /// Held as long as the cluster runs.
    _lock: File,
}

/// Why the private `PostgreSQL` did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the places has the programs.
    #[error(
        "PostgreSQL's programs were not found; install them (Debian: apt-get install postgresql) or set SAMSPIL_POSTGRESQL_BIN=/usr/lib/postgresql/15/bin"
    )]
    NotInstalled,
    /// Only programs older than 15 are there.
    #[error("PostgreSQL {found} is too old; 15 or later is needed (Debian: apt-get install postgresql)")]
    TooOld {
        /// The newest major version found.
        found: u32,
    },
    /// The data was written by another major version than the programs that are there.
    #[error(
        "the database in {dir} was made by PostgreSQL {wanted}, and those programs are not installed (apt-get install postgresql-{wanted})"
    )]
    OtherMajor {
        /// Where the data is.
        dir: PathBuf,
        /// The major version that wrote it.
        wanted: u32,
    },
    /// Another process holds the data directory.
    #[error("{dir} is in use by another samspil; stop that one first, or choose another directory with SAMSPIL_DATA_DIR")]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// A directory exists where the socket should be, and it is somebody else's.
    #[error("{dir} belongs to somebody else; remove it, or choose a shorter SAMSPIL_DATA_DIR")]
    SocketDirTaken {
        /// The directory.
        dir: PathBuf,
    },
    /// As root, and there is nobody to run the database as.
    #[error("PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody")]
    NoAccount,
    /// A program said no.
    #[error("{program} failed:\n{words}")]
    Failed {
        /// Which program.
        program: &'static str,
        /// Its last words.
        words: String,
    },
    /// It did not answer in time.
    #[error("PostgreSQL did not answer within {} s; its log is {log}", START_MS_MAX / 1000)]
    Silent {
        /// Its log.
        log: PathBuf,
    },
    /// The file system refused.
    #[error("{what} {path}")]
    Files {
        /// What we wanted to do.
        what: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The roles or the database could not be made.
    #[error("the private database could not be prepared")]
    Prepare(#[from] store::Error),
}

/// Adds what was tried, and with which file.
trait During<T> {
    fn during(self, what: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, what: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Files { what, path: path.to_owned(), source })
    }
}

impl Cluster {
    /// Starts the cluster of this data directory, making it the first time.
    pub async fn start(data_dir: &Path, programs_dir: Option<&Path>) -> Result<Self, Error> {
        fs::create_dir_all(data_dir).during("cannot make", data_dir)?;
        let data_dir = data_dir.canonicalize().during("cannot find", data_dir)?;
        let lock = lock(&data_dir)?;
        let account = Account::of_postgresql()?;
        let base = base_dir(&data_dir, &account)?;
        let data = base.join("data");
        let programs = Programs::find(programs_dir, &data)?;
        if !data.join("PG_VERSION").exists() {
            initialise(&programs, &account, &base, &data).await?;
        }
        let socket_dir = socket_dir(&base, &account)?;
        let server = run(&programs, &account, &base, &data, &socket_dir).await?;
        let cluster = Self { server, socket_dir, _lock: lock };
        store::setup::roles(&cluster.superuser_url("postgres")).await?;
        store::setup::database(&cluster.superuser_url("postgres")).await?;
        Ok(cluster)
    }

    /// The URL of the main database of the cluster that another process runs in this data directory, as the role that the server
    /// runs as; `None` when there is no cluster there.
    pub fn url_of_running(data_dir: &Path) -> Option<String> {
        let base = data_dir.join("postgresql").canonicalize().ok()?;
        let account = Account::of_postgresql().ok()?;
        let socket_dir = socket_dir(&base, &account).ok()?;
        Some(format!("postgres://samspil_app@localhost/{DATABASE}?host={}", socket_dir.display()))
    }

    /// The URL of the main database, as the role that the server runs as.
    pub fn app_url(&self) -> String {
        self.url("samspil_app", DATABASE)
    }

    /// The URL of the main database, as the role that owns the tables.
    pub fn owner_url(&self) -> String {
        self.url("samspil_owner", DATABASE)
    }

    /// The URL of any database, as the superuser: for tests that make their own.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url("postgres", database)
    }

    /// The URL of any database, as any role.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@localhost/{database}?host={}", self.socket_dir.display())
    }

    /// The process id of the server, for tests that kill it.
    pub fn process_id(&self) -> Option<u32> {
        self.server.id()
    }

    /// Stops the server and waits until everything is on disk.
    pub async fn stop(mut self) {
        self.signal(Signal::INT);
        if tokio::time::timeout(Duration::from_millis(STOP_MS_MAX), self.server.wait()).await.is_err() {
            tracing::warn!("the private PostgreSQL did not stop in time and is made to; it recovers at the next start");
            self.signal(Signal::QUIT);
            let _ = self.server.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.server.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // It may just have ended by itself, which is what we want.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The one database of a private cluster.
const DATABASE: &str = "samspil";

impl Drop for Cluster {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}

/// Without the lock a second copy would happily connect to the first one's socket.
fn lock(data_dir: &Path) -> Result<File, Error> {
    let path = data_dir.join("postgresql.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).during("cannot open", &path)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse { dir: data_dir.to_owned() }),
        Err(errno) => Err(Error::Files { what: "cannot lock", path, source: errno.into() }),
    }
}

/// Where the cluster lives: in the data directory, unless the account that runs it cannot reach that (root's home), then in
/// `/var/lib/samspil`, with a link in the data directory that leads there.
fn base_dir(data_dir: &Path, account: &Account) -> Result<PathBuf, Error> {
    let inside = data_dir.join("postgresql");
    if account.reaches(data_dir) {
        own_dir(&inside, account)?;
        return Ok(inside);
    }
    let elsewhere = Path::new("/var/lib/samspil").join(short_name(data_dir));
    fs::create_dir_all("/var/lib/samspil").during("cannot make", &elsewhere)?;
    own_dir(&elsewhere, account)?;
    if fs::symlink_metadata(&inside).is_err() {
        symlink(&elsewhere, &inside).during("cannot link", &inside)?;
    }
    Ok(elsewhere)
}

/// Beside the data, unless that path is too long for a socket.
fn socket_dir(base: &Path, account: &Account) -> Result<PathBuf, Error> {
    let beside = base.join("run");
    let dir = if beside.as_os_str().len() <= SOCKET_DIR_BYTES_MAX {
        beside
    } else {
        std::env::temp_dir().join(format!("samspil-{}", short_name(base)))
    };
    own_dir(&dir, account)?;
    Ok(dir)
}

/// Makes a directory that only this account reads; one that is there already must be exactly that.
fn own_dir(dir: &Path, account: &Account) -> Result<(), Error> {
    match fs::create_dir(dir) {
        Ok(()) => {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).during("cannot protect", dir)?;
            account.give(dir).during("cannot give away", dir)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(dir).during("cannot look at", dir)?;
            if found.is_dir() && found.uid() == account.uid && found.mode() & 0o777 == 0o700 {
                Ok(())
            } else {
                Err(Error::SocketDirTaken { dir: dir.to_owned() })
            }
        }
        Err(error) => Err(error).during("cannot make", dir),
    }
}

/// A name for this path that is short and always the same.
fn short_name(path: &Path) -> String {
    hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..6])
}

/// Makes the cluster beside its place and moves it there when it is whole: an interrupted start leaves no half of one.
async fn initialise(programs: &Programs, account: &Account, base: &Path, data: &Path) -> Result<(), Error> {
    let unfinished = base.join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).during("cannot remove", &unfinished)?;
    }
    let mut command = account.command(&programs.initdb, base);
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--data-checksums", "--no-instructions"]);
    command.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=da-DK"]).arg("--pgdata").arg(&unfinished);
    let output = command.output().await.during("cannot run", &programs.initdb)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Failed { program: "initdb", words });
    }
    fs::rename(&unfinished, data).during("cannot move", &unfinished)
}

/// Starts the server and waits until it answers. The previous one may still be closing (its starter was killed): it then ends at
/// once, saying so, and is tried again. A previous one that takes too long is made to close.
async fn run(programs: &Programs, account: &Account, base: &Path, data: &Path, socket_dir: &Path) -> Result<Child, Error> {
    let log = base.join("postgresql.log");
    let url = format!("postgres://postgres@localhost/postgres?host={}", socket_dir.display());
    let give_up = Instant::now() + Duration::from_millis(START_MS_MAX);
    let mut patient_until = Some(Instant::now() + Duration::from_millis(STOP_MS_MAX));
    let mut server = spawn(programs, account, base, data, socket_dir, &log)?;
    loop {
        tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
        let ours = server.id().unwrap_or_default();
        if let Some(status) = server.try_wait().during("cannot watch", &programs.postgres)? {
            let words = fs::read_to_string(&log).unwrap_or_default();
            if Instant::now() > give_up || !may_still_be_closing(&words) {
                return Err(Error::Failed { program: "postgres", words: format!("{status}\n{}", last_lines(&words)) });
            }
            for file in [data.join("postmaster.pid"), socket_dir.join(".s.PGSQL.5432.lock")] {
                match holder(&file) {
                    Some(Holder::Dead) => hand_over(&file, ours)?,
                    Some(Holder::Alive(pid)) if patient_until.is_some_and(|until| Instant::now() > until) => {
                        patient_until = None;
                        tracing::warn!(
                            "the previous private PostgreSQL did not stop in time and is made to; it recovers at the next start"
                        );
                        let _ = kill_process(pid, Signal::QUIT);
                    }
                    _ => {}
                }
            }
            server = spawn(programs, account, base, data, socket_dir, &log)?;
        } else if store::setup::answers(&url).await {
            return Ok(server);
        } else if Instant::now() > give_up {
            return Err(Error::Silent { log });
        }
    }
}

/// Who a lock file is of: a server before ours, since nobody else starts one while we hold the directory.
enum Holder {
    /// It runs.
    Alive(Pid),
    /// It has ended, and whoever ought to have asked how has not: until then its number counts as taken, and `PostgreSQL` waits for it.
    Dead,
}

fn holder(file: &Path) -> Option<Holder> {
    let pid = fs::read_to_string(file).ok()?.lines().next()?.trim().parse::<i32>().ok().and_then(Pid::from_raw)?;
    // `pid (name) state …`, where the name may hold anything.
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (name, state) = stat.split_once('(')?.1.rsplit_once(") ")?;
    match state.chars().next()? {
        'Z' | 'X' => Some(Holder::Dead),
        _ => (name == "postgres").then_some(Holder::Alive(pid)),
    }
}

/// Puts the number of a process that is gone for good into a lock file. The rest stays: by it `PostgreSQL` sees whether anybody of the one
/// before still has the data in memory.
fn hand_over(file: &Path, gone: u32) -> Result<(), Error> {
    let words = fs::read_to_string(file).during("cannot read", file)?;
    let rest = words.split_once('\n').map_or("", |(_, rest)| rest);
    fs::write(file, format!("{gone}\n{rest}")).during("cannot write", file)
}

fn may_still_be_closing(words: &str) -> bool {
    ["lock file \"", "pre-existing shared memory block"].iter().any(|sign| words.contains(sign))
}

fn last_lines(words: &str) -> String {
    let lines: Vec<_> = words.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

fn spawn(programs: &Programs, account: &Account, base: &Path, data: &Path, socket_dir: &Path, log: &Path) -> Result<Child, Error> {
    let log_file = File::create(log).during("cannot open", log)?;
    let mut command = account.command(&programs.postgres, base);
    command.arg("-D").arg(data).args(["-h", "", "-p", "5432", "-k"]).arg(socket_dir);
    for setting in [
        "fsync=on",
        "full_page_writes=on",
        "synchronous_commit=on",
        "unix_socket_permissions=0700",
        "logging_collector=off",
        "log_destination=stderr",
        "lc_messages=C",
    ] {
        command.args(["-c", setting]);
    }
    // A group of its own: Ctrl-C in the terminal is for us, and we stop the database when we are done with it.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
    end_with_us(&mut command);
    command.spawn().during("cannot run", &programs.postgres)
}

/// However we end, the database ends with us: the kernel interrupts it.
#[expect(unsafe_code, reason = "the only way to do something between fork and exec")]
fn end_with_us(command: &mut Command) {
    let us = rustix::process::getpid();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; these are two system calls.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::INT))?;
            // We may have ended before the line above: then nobody will ever tell it.
            if rustix::process::getppid() == Some(us) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
        });
    }
}

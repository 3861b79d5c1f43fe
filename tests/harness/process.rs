//! The real server as a process of its own, with everything it starts: for tests that kill it.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::browser::Browser;
use super::database::DataDir;
use super::live::DEADLINE;

/// A first start makes a database and imports a municipality; on a busy machine that takes its time.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// Set it to see what the servers log while the tests run, and not only of those that fail.
const SHOW_LOG: &str = "SAMSPIL_TEST_LOG";

/// `samspil demo`, on a data directory of this test's own.
pub struct ServerProcess {
    child: Child,
    /// Before the directory that it lies in.
    _log: Option<Log>,
    data_dir: DataDir,
    public_url: String,
    /// How often it has come by the point where it was to stop.
    reached: watch::Receiver<u32>,
}

impl ServerProcess {
    /// Starts it and waits until it says that it is ready.
    pub async fn start() -> Self {
        Self::spawn(DataDir::new(), "127.0.0.1:0", &[]).await
    }

    /// The same, with these settings.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::spawn(DataDir::new(), "127.0.0.1:0", settings).await
    }

    /// Starts one that writes its log, at this level, into a file; answers where.
    pub async fn start_logging(level: &str) -> (Self, PathBuf) {
        let data_dir = DataDir::new();
        let log = Log::of(&data_dir);
        let path = log.0.clone();
        (Self::spawn_to(data_dir, "127.0.0.1:0", &[("SAMSPIL_LOG", level)], Some(log)).await, path)
    }

    /// Everything that its database has logged.
    pub fn database_log(&self) -> String {
        let dir = self.data_dir.path().join("postgresql");
        let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|file| file.extension().is_some_and(|extension| extension == "log"));
        logs.map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    /// Kills it, giving it no time for anything, and starts it again at the same address.
    pub async fn kill_and_restart(self) -> Self {
        self.restart(&[]).await
    }

    /// The same, and the new one stops there: the words of `SAMSPIL_STOP_AT`.
    pub async fn kill_and_restart_to_stop_at(self, stop_at: &str) -> Self {
        // On a busy machine, too, it comes to the points at which it stops.
        self.restart(&[("SAMSPIL_STOP_AT", stop_at), ("SAMSPIL_LIMIT_STOP_MS_MAX", "60000")]).await
    }

    /// Waits until it has killed itself where it was told to.
    pub async fn killed_itself(&mut self) {
        self.ended_by(Signal::KILL).await;
    }

    /// Waits until it has aborted where it was told to.
    pub async fn aborted(&mut self) {
        self.ended_by(Signal::ABORT).await;
    }

    async fn ended_by(&mut self, signal: Signal) {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it comes to where it is to stop").unwrap();
        assert_eq!(ended.signal(), Some(signal.as_raw()), "{ended}");
    }

    /// Waits until it comes by the point where it is to stand still.
    pub async fn comes_by(&mut self) {
        self.reached.mark_unchanged();
        tokio::time::timeout(DEADLINE, self.reached.changed()).await.expect("it comes by in time").expect("it is alive");
    }

    async fn restart(mut self, settings: &[(&str, &str)]) -> Self {
        // It may have ended already, which is as good.
        let _ = self.child.kill().await;
        let address = self.public_url.trim_start_matches("http://").to_owned();
        Self::spawn(self.data_dir, &address, settings).await
    }

    /// Kills it together with its whole database at one moment, as when the power fails, and starts it again.
    pub async fn power_fails_and_returns(self) -> Self {
        self.signal_database(Signal::KILL);
        self.kill_and_restart().await
    }

    /// Kills one of the processes of the database that serve our connections: the database stops all others, forgets everything
    /// that is not in its log, and starts anew by itself.
    pub fn crash_database(&self, choose: impl FnOnce(usize) -> usize) {
        let serving = children(self.postmaster(), "samspil_app");
        if let Some(process) = serving.get(choose(serving.len())) {
            // It may just have ended.
            let _ = rustix::process::kill_process(*process, Signal::KILL);
        }
    }

    /// Every process of the database stands still, as when its disk hangs: connections stay, and nobody answers.
    pub fn database_stands_still(&self) {
        self.signal_database(Signal::STOP);
    }

    /// And goes on.
    pub fn database_goes_on(&self) {
        self.signal_database(Signal::CONT);
    }

    /// Each process of the database leads a group of its own, so each is told by itself; the one that starts the others stands still
    /// meanwhile.
    fn signal_database(&self, signal: Signal) {
        let postmaster = self.postmaster();
        rustix::process::kill_process(postmaster, Signal::STOP).unwrap();
        for process in children(postmaster, "").into_iter().chain([postmaster]) {
            // It may just have ended.
            let _ = rustix::process::kill_process(process, signal);
        }
    }

    /// Memory that the server holds.
    pub fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it runs"))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    fn postmaster(&self) -> Pid {
        let file = self.data_dir.path().join("postgresql/data/postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap()).unwrap()
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        let process = Pid::from_raw(i32::try_from(self.child.id().expect("it runs")).unwrap()).unwrap();
        rustix::process::kill_process(process, Signal::TERM).unwrap();
    }

    /// Asks it to stop and waits until it has; answers how long that took, database and all.
    pub async fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        self.ask_to_stop();
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it stops").unwrap();
        assert_eq!(ended.code(), Some(0), "{ended}");
        begun.elapsed()
    }

    /// Asks it to stop and waits until it has; returns its exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        self.ask_to_stop();
        self.child.wait().await.unwrap().code()
    }

    /// A browser with nobody signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.public_url)
    }

    async fn spawn(data_dir: DataDir, listen: &str, settings: &[(&str, &str)]) -> Self {
        let log = env::var_os(SHOW_LOG).is_none().then(|| Log::of(&data_dir));
        Self::spawn_to(data_dir, listen, settings, log).await
    }

    async fn spawn_to(data_dir: DataDir, listen: &str, settings: &[(&str, &str)], log: Option<Log>) -> Self {
        let mut command = Command::new(binary().await);
        command.arg("demo").arg("--data-dir").arg(data_dir.path());
        command.args(["--listen", listen, "--demo-idp-listen", "127.0.0.1:0"]);
        command.env_remove("DATABASE_URL").env_remove("SAMSPIL_OIDC_ISSUER").env_remove("SAMSPIL_PUBLIC_URL");
        command.envs(settings.iter().copied()).stderr(log.as_ref().map_or_else(Stdio::inherit, Log::open));
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.strip_prefix("ready ") {
                    return url.to_owned();
                }
            }
            panic!("the server ended before it was ready");
        };
        let public_url = tokio::time::timeout(READY_WITHIN, ready).await.expect("the server is ready in time");
        let (times, reached) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                times.send_modify(|times| *times += u32::from(line.starts_with("reached ")));
            }
        });
        Self { child, _log: log, data_dir, public_url, reached }
    }
}

/// Where a server's lines go, and that of those before it on the same data. They are shown when the test fails.
struct Log(PathBuf);

impl Log {
    fn of(data_dir: &DataDir) -> Self {
        Self(data_dir.path().join("log"))
    }

    fn open(&self) -> Stdio {
        std::fs::File::options().create(true).append(true).open(&self.0).unwrap().into()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", std::fs::read_to_string(&self.0).unwrap_or_default());
        }
    }
}

/// The binary that the test script built, or else the one that cargo builds now.
pub async fn binary() -> PathBuf {
    if let Some(path) = env::var_os("SAMSPIL_BIN") {
        return path.into();
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let built = Command::new(env!("CARGO")).args(["build", "-p", "samspil-server"]).current_dir(&root).status().await.unwrap();
    assert!(built.success(), "the server does not build");
    root.join("target/debug/samspil")
}

/// Processes that this one started, of those whose command line has this in it.
fn children(parent: Pid, command_has: &str) -> Vec<Pid> {
    let parent = format!("PPid:\t{}\n", parent.as_raw_nonzero());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let command = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        (status.contains(&parent) && command.contains(command_has)).then(|| Pid::from_raw(pid)).flatten()
    });
    processes.collect()
}

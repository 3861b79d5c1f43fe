//! The real server as a process of its own, with everything it starts: for tests that kill it.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::browser::Browser;
use super::database::DataDir;

/// A first start makes a database and imports a municipality; on a busy machine that takes its time.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// `samspil demo`, on a data directory of this test's own.
pub struct ServerProcess {
    child: Child,
    data_dir: DataDir,
    public_url: String,
}

impl ServerProcess {
    /// Starts it and waits until it says that it is ready.
    pub async fn start() -> Self {
        let data_dir = DataDir::new();
        let (child, public_url) = spawn(&data_dir, "127.0.0.1:0").await;
        Self { child, data_dir, public_url }
    }

    /// Kills it, giving it no time for anything, and starts it again at the same address.
    pub async fn kill_and_restart(mut self) -> Self {
        self.child.kill().await.unwrap();
        let address = self.public_url.trim_start_matches("http://").to_owned();
        let (child, public_url) = spawn(&self.data_dir, &address).await;
        Self { child, data_dir: self.data_dir, public_url }
    }

    /// Asks it to stop and waits until it has; returns its exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        let id = i32::try_from(self.child.id().expect("it runs")).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), rustix::process::Signal::TERM).unwrap();
        self.child.wait().await.unwrap().code()
    }

    /// A browser with nobody signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.public_url)
    }
}

async fn spawn(data_dir: &DataDir, listen: &str) -> (Child, String) {
    let mut command = Command::new(binary().await);
    command.arg("demo").arg("--data-dir").arg(data_dir.path());
    command.args(["--listen", listen, "--demo-idp-listen", "127.0.0.1:0"]);
    command.env_remove("DATABASE_URL").env_remove("SAMSPIL_OIDC_ISSUER").env_remove("SAMSPIL_PUBLIC_URL");
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
    (child, public_url)
}

/// The binary that the test script built, or else the one that cargo builds now.
async fn binary() -> PathBuf {
    if let Some(path) = env::var_os("SAMSPIL_BIN") {
        return path.into();
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let built = Command::new(env!("CARGO")).args(["build", "-p", "samspil-server"]).current_dir(&root).status().await.unwrap();
    assert!(built.success(), "the server does not build");
    root.join("target/debug/samspil")
}

//! Where `PostgreSQL`'s programs are, which of them fits the data, and as whom they run.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{During, Error};

/// The oldest major version that has what we use.
const MAJOR_MIN: u32 = 15;

/// The programs of one installation.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
}

impl Programs {
    /// The setting first, then `PATH`, then Debian's and Red Hat's places; data that is there decides the major version.
    pub(super) fn find(setting: Option<&Path>, data: &Path) -> Result<Self, Error> {
        let mut found: Vec<(u32, PathBuf)> = candidates(setting).into_iter().filter_map(|dir| Some((major(&dir)?, dir))).collect();
        // Stable: of the same major version, the earlier place stays first.
        found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
        let wanted = fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse::<u32>().ok());
        let fits = found.iter().find(|(major, _)| wanted.map_or(*major >= MAJOR_MIN, |wanted| wanted == *major));
        match (fits, wanted, found.first()) {
            (Some((_, dir)), ..) => Ok(Self { initdb: dir.join("initdb"), postgres: dir.join("postgres") }),
            (None, _, None) => Err(Error::NotInstalled),
            (None, Some(wanted), _) => Err(Error::OtherMajor { dir: data.to_owned(), wanted }),
            (None, None, Some((newest, _))) => Err(Error::TooOld { found: *newest }),
        }
    }
}

fn candidates(setting: Option<&Path>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = setting.into_iter().map(Path::to_owned).collect();
    if setting.is_some() {
        return places;
    }
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    places.extend(debian);
    let red_hat = fs::read_dir("/usr")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("pgsql-")));
    places.extend(red_hat.map(|entry| entry.path().join("bin")));
    places
}

/// The major version of the server in this directory, if one is there; `postgres --version` says `postgres (PostgreSQL) 15.14 …`.
fn major(dir: &Path) -> Option<u32> {
    if !dir.join("initdb").exists() {
        return None;
    }
    let output = std::process::Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    let words = String::from_utf8(output.stdout).ok()?;
    let version = words.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// Who runs the database: we ourselves, or for root somebody else, because `PostgreSQL` refuses root.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    gid: u32,
    is_us: bool,
}

impl Account {
    pub(super) fn of_postgresql() -> Result<Self, Error> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Self { uid: uid.as_raw(), gid: rustix::process::getegid().as_raw(), is_us: true });
        }
        let path = Path::new("/etc/passwd");
        let passwd = fs::read_to_string(path).during("cannot read", path)?;
        ["postgres", "nobody"].iter().find_map(|name| account_named(&passwd, name)).ok_or(Error::NoAccount)
    }

    /// A command that runs as this account, from a directory it can stand in, with nothing of our `PG…` variables.
    pub(super) fn command(&self, program: impl AsRef<OsStr>, dir: &Path) -> Command {
        let mut command = Command::new(program);
        if !self.is_us {
            command.uid(self.uid).gid(self.gid);
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.current_dir(dir).env("LC_ALL", "C.UTF-8");
        command
    }

    /// Whether this account can walk down to a directory.
    pub(super) fn reaches(&self, dir: &Path) -> bool {
        self.is_us
            || dir.ancestors().all(|step| {
                fs::metadata(step).is_ok_and(|found| {
                    let execute = if found.uid() == self.uid {
                        0o100
                    } else if found.gid() == self.gid {
                        0o010
                    } else {
                        0o001
                    };
                    found.mode() & execute != 0
                })
            })
    }

    /// Makes a directory this account's.
    pub(super) fn give(&self, dir: &Path) -> io::Result<()> {
        if self.is_us { Ok(()) } else { chown(dir, Some(self.uid), Some(self.gid)) }
    }
}

fn account_named(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Account { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()?, is_us: false })
}

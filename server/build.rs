//! A new migration recompiles the list of migrations; a new web build recompiles the embedded files. Without a web build there is
//! a page that says how to make one, so that the server can be worked on without Node.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const NO_WEB_YET: &str = "<!doctype html>\n<html lang=\"da\"><meta charset=\"utf-8\"><title>Samspil</title>\n\
    <p>Siderne er ikke bygget endnu: k\u{f8}r <code>make web</code>.</p>\n</html>\n";

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
    let pages = Path::new("../web/build");
    if !pages.join("index.html").exists() {
        fs::create_dir_all(pages).expect("web/build can be made");
        fs::write(pages.join("index.html"), NO_WEB_YET).expect("web/build can be written");
    }
    // In debug the files are read from disk while running: a new web build needs no new server.
    if env::var("PROFILE").is_ok_and(|profile| profile != "debug") {
        println!("cargo:rerun-if-changed=../web/build");
        println!("cargo:rerun-if-changed=../demo-data");
        pack_relocations();
    }
}

/// The typesetter brings addresses that the loader has to correct: 4 MB of memory at rest as plain entries, 50 kB packed (`DT_RELR`), which
/// the GNU C library reads since 2.36.
fn pack_relocations() {
    let version = Command::new("getconf").arg("GNU_LIBC_VERSION").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version);
    let minor = version.trim().strip_prefix("glibc 2.").and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_some_and(|minor| minor >= 36) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

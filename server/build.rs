//! A new migration recompiles the list of migrations; a new web build recompiles the embedded files.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}

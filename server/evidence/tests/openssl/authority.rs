//! A time stamp authority of its own for a test: certificates made by openssl, answers by `openssl ts`.

use std::{
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// An authority with its own root, in a directory of its own.
pub struct Authority(PathBuf);

/// How an authority's certificate is made.
#[derive(Clone, Copy)]
pub struct Made {
    key: &'static [&'static str],
    from: &'static str,
    to: &'static str,
}

pub const P256: Made =
    Made { key: &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], from: "20200101000000Z", to: "20990101000000Z" };
pub const RSA: Made = Made { key: &["-newkey", "rsa:2048"], ..P256 };
pub const EXPIRED: Made = Made { to: "20210101000000Z", ..P256 };

impl Authority {
    pub fn new(made: Made) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("samspil-tsa-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let this = Self(dir);
        std::fs::write(this.0.join("openssl.cnf"), CONFIG).unwrap();
        std::fs::write(this.0.join("serial"), "01\n").unwrap();
        std::fs::write(this.0.join("index.txt"), "").unwrap();
        let ca = ["req", "-x509", "-config", "openssl.cnf", "-nodes", "-days", "3650", "-subj", "/CN=Rod", "-extensions", "root"];
        this.openssl(&[&ca[..], P256.key, &["-keyout", "ca.key", "-out", "ca.pem"]].concat());
        let asked = ["req", "-config", "openssl.cnf", "-nodes", "-subj", "/O=Tidens Vogter/CN=Tidsstempler"];
        this.openssl(&[&asked[..], made.key, &["-keyout", "tsa.key", "-out", "tsa.csr"]].concat());
        let signs = ["ca", "-batch", "-config", "openssl.cnf", "-in", "tsa.csr", "-out", "tsa.pem", "-notext", "-extensions", "stamps"];
        this.openssl(&[&signs[..], &["-startdate", made.from, "-enddate", made.to]].concat());
        this
    }

    pub fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").current_dir(&self.0).args(arguments).output().expect("openssl is there");
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn answer(&self, question: &[u8]) -> Vec<u8> {
        std::fs::write(self.file("question.tsq"), question).unwrap();
        self.openssl(&["ts", "-reply", "-config", "openssl.cnf", "-queryfile", "question.tsq", "-out", "answer.tsr"]);
        std::fs::read(self.file("answer.tsr")).unwrap()
    }

    /// The root's certificate, in PEM form.
    pub fn root(&self) -> String {
        std::fs::read_to_string(self.file("ca.pem")).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const CONFIG: &str = "
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
serial = serial
default_md = sha256
policy = any
[any]
commonName = supplied
organizationName = optional
[stamps]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = stamping
[stamping]
serial = tsaserial
signer_cert = tsa.pem
signer_key = tsa.key
certs = ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
";

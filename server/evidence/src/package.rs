//! The evidence package: one `.zip` with everything that proves an agreement, in a form that has exactly one spelling, so that any altered
//! byte is found, also in what a zip holds beside its files.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _, Write as _},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use zip::{CompressionMethod, DateTime as ZipTime, ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{
    Hash, canonical,
    checkpoint::Inclusion,
    seal::{PublicKey, SealKey},
    sha256,
    statement::Party,
    trail::AuditEvent,
};

/// What the manifest's seal is a seal of.
pub const MANIFEST: &str = "samspil-package";
/// What an approval's seal is a seal of.
pub const APPROVAL: &str = "samspil-approval";
/// A package is never larger.
const BYTES_MAX: u64 = 64 << 20;
/// And has no more files.
const FILES_MAX: usize = 64;

/// An evidence package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its files, by name. [`MANIFEST_FILE`] is not among them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The sealed list of its files.
    pub manifest: String,
}

/// The manifest's name in the zip.
pub const MANIFEST_FILE: &str = "manifest.jws";
/// The signed content, canonical JSON.
pub const CONTENT_FILE: &str = "indhold.json";
/// The agreement as people read it.
pub const PDF_FILE: &str = "aftale.pdf";
/// How to check it, in Danish.
pub const README_FILE: &str = "LÆSMIG.txt";
/// The agreement's whole trail.
pub const TRAIL_FILE: &str = "spor.json";
/// The checkpoint over all trails.
pub const CHECKPOINT_FILE: &str = "kontrolpunkt.txt";
/// That the trail is in the checkpoint.
pub const INCLUSION_FILE: &str = "kontrolpunkt-spor.json";
/// The keys that made the seals and the checkpoint.
pub const KEYS_FILE: &str = "noegler.json";

/// Where the time stamps are: each an answer (`.tsr`) and the certificates that were trusted about it (`.pem`).
pub const TIME_STAMPS: &str = "tidsstempler/";

/// The file of one part of an approval: `statement.json`, `id-token.jwt`, `idp-key.json`, `seal.jws`.
#[must_use]
pub fn approval_file(party: Party, part: &str) -> String {
    let side = match party {
        Party::UnitLeader => "aftaleholder",
        Party::Counterpart => "modpart",
    };
    format!("underskrift-{side}/{part}")
}

/// One party's approval with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// For which side.
    pub party: Party,
    /// The statement, in its one spelling.
    pub statement: Vec<u8>,
    /// What proves it; `None`: it came with made-up data, and nobody has approved anything.
    pub proof: Option<SealedSignIn>,
}

/// A fresh sign-in that proves a statement, and the seal that binds the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSignIn {
    /// The ID token.
    pub id_token: String,
    /// The provider's key that verifies it, a JWK.
    pub idp_key: String,
    /// The server's seal over statement and token.
    pub seal: String,
}

/// What an approval's seal holds.
#[must_use]
pub fn approval_seal(statement: &[u8], id_token: &str, sealed_at: DateTime<Utc>) -> Value {
    json!({
        "statement_sha256": hex::encode(sha256(statement)),
        "id_token_sha256": hex::encode(sha256(id_token.as_bytes())),
        "sealed_at": sealed_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
    })
}

/// An event of a trail as it stands in a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailEvent {
    /// The event.
    pub event: AuditEvent,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

/// What an outside authority said about the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStamp {
    /// The host that was asked.
    pub authority: String,
    /// The answer, as it came.
    pub answer: Vec<u8>,
    /// The certificates that were trusted about it, in PEM form.
    pub certificates: String,
}

/// What goes into a package.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Which document.
    pub document: Uuid,
    /// Its content, canonical JSON.
    pub content: Vec<u8>,
    /// The agreement as people read it, if it could be made.
    pub pdf: Option<Vec<u8>>,
    /// How to check it.
    pub readme: String,
    /// The approvals, in the order in which they were given.
    pub approvals: Vec<Approval>,
    /// The agreement's trail.
    pub trail: Vec<(AuditEvent, Hash)>,
    /// The newest checkpoint that has the trail, with the proof.
    pub checkpoint: Option<(String, Inclusion)>,
    /// What outside authorities said about the checkpoint (RFC 3161).
    pub timestamps: Vec<TimeStamp>,
    /// Every key that sealed something in it.
    pub keys: Vec<PublicKey>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// Why bytes are no package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPackage {
    /// Not a zip.
    #[error("it is not a zip file")]
    NotAZip,
    /// Too large, or too many files.
    #[error("it is larger than any package")]
    TooLarge,
    /// A zip that we would have written otherwise.
    #[error("it is not written as packages are")]
    Altered,
    /// A zip whose own sum for a file is another.
    #[error("{0} has been altered")]
    FileAltered(String),
    /// A package without its manifest.
    #[error("it has no {MANIFEST_FILE}")]
    NoManifest,
}

impl Package {
    /// Puts a package together and seals it.
    #[must_use]
    pub fn seal(contents: Contents, key: &SealKey) -> Self {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let spelled = |value: &Value| canonical::to_vec(value);
        files.insert(CONTENT_FILE.into(), contents.content);
        files.insert(README_FILE.into(), contents.readme.into_bytes());
        if let Some(pdf) = contents.pdf {
            files.insert(PDF_FILE.into(), pdf);
        }
        for approval in contents.approvals {
            let name = |part| approval_file(approval.party, part);
            files.insert(name("statement.json"), approval.statement);
            if let Some(proof) = approval.proof {
                files.insert(name("id-token.jwt"), proof.id_token.into_bytes());
                files.insert(name("idp-key.json"), proof.idp_key.into_bytes());
                files.insert(name("seal.jws"), proof.seal.into_bytes());
            }
        }
        let trail: Vec<Value> =
            contents.trail.into_iter().map(|(event, hash)| json!({ "event": event, "hash": hex::encode(hash) })).collect();
        files.insert(TRAIL_FILE.into(), spelled(&trail.into()));
        if let Some((checkpoint, inclusion)) = contents.checkpoint {
            files.insert(CHECKPOINT_FILE.into(), checkpoint.into_bytes());
            files.insert(INCLUSION_FILE.into(), spelled(&json!(inclusion)));
        }
        for stamp in contents.timestamps {
            files.insert(format!("{TIME_STAMPS}{}.tsr", stamp.authority), stamp.answer);
            files.insert(format!("{TIME_STAMPS}{}.pem", stamp.authority), stamp.certificates.into_bytes());
        }
        files.insert(KEYS_FILE.into(), spelled(&json!({ "keys": contents.keys })));
        let listed: BTreeMap<&String, String> = files.iter().map(|(name, bytes)| (name, hex::encode(sha256(bytes)))).collect();
        let manifest = key.seal(
            MANIFEST,
            &json!({
                "package": 1,
                "document": contents.document,
                "files": listed,
                "made_at": contents.made_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            }),
        );
        Self { files, manifest }
    }

    /// Its bytes: the same files give the same bytes.
    ///
    /// # Panics
    ///
    /// Never: a zip in memory can always be written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Stored, not packed: the bytes of a file can be found in the zip with any tool, for as long as there are tools.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(ZipTime::default())
            .unix_permissions(0o644);
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let all = self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        for (name, bytes) in all.chain([(MANIFEST_FILE, self.manifest.as_bytes())]) {
            zip.start_file(name, options).expect("a file can be begun in memory");
            zip.write_all(bytes).expect("memory can be written");
        }
        zip.finish().expect("a zip can be ended in memory").into_inner()
    }

    /// Reads a package, only as [`Self::to_bytes`] writes it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAPackage> {
        if bytes.len() as u64 > BYTES_MAX {
            return Err(NotAPackage::TooLarge);
        }
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| NotAPackage::NotAZip)?;
        if zip.len() > FILES_MAX {
            return Err(NotAPackage::TooLarge);
        }
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let mut file = zip.by_index(index).map_err(|_| NotAPackage::Altered)?;
            if file.compression() != CompressionMethod::Stored || file.size() > bytes.len() as u64 {
                return Err(NotAPackage::Altered);
            }
            let mut content = Vec::new();
            let name = file.name().to_owned();
            if file.read_to_end(&mut content).is_err() {
                return Err(NotAPackage::FileAltered(name));
            }
            files.insert(name, content);
        }
        let manifest = files.remove(MANIFEST_FILE).ok_or(NotAPackage::NoManifest)?;
        let package = Self { files, manifest: String::from_utf8(manifest).map_err(|_| NotAPackage::Altered)? };
        if package.to_bytes() == bytes { Ok(package) } else { Err(NotAPackage::Altered) }
    }
}

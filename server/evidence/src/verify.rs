//! Checks a package with nothing but the package: one line for each check, in the order in which each builds on the one before.
//!
//! What it cannot know is whose the keys are: a package made by somebody else holds together, too. So the report names the key, for
//! comparison with the one that the municipality has published, and a caller that knows it gives it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Hash, canonical,
    checkpoint::{self, Head, Inclusion},
    package::{
        APPROVAL, CHECKPOINT_FILE, CONTENT_FILE, INCLUSION_FILE, KEYS_FILE, MANIFEST, NotAPackage, PDF_FILE, Package, TIME_STAMPS,
        TRAIL_FILE, TrailEvent, approval_file, approval_seal,
    },
    seal::{self, PublicKey},
    sha256,
    statement::{Party, Statement},
    timestamp::{self, Authorities, Stamp},
    token::{self, NotProven, Proof},
    trail::{AuditEvent, first_break},
};

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// The file is a package, written as packages are.
    Package,
    /// Its key is the one that is known.
    Key,
    /// Every file is the one that the manifest lists, and the manifest is sealed.
    Manifest,
    /// The content is canonical.
    Content,
    /// A party's statement is about this content.
    Statement(Party),
    /// A party's fresh sign-in proves the statement.
    SignIn(Party),
    /// The server's seal binds statement and sign-in.
    Seal(Party),
    /// Both parties, two people, one text.
    Parties,
    /// The trail holds together and has the approvals.
    Trail,
    /// The trail is in a signed checkpoint.
    Checkpoint,
    /// Outside authorities have stamped the checkpoint.
    TimeStamp,
}

impl Check {
    /// What it is called where it is not spoken of in words.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Key => "key",
            Self::Manifest => "manifest",
            Self::Content => "content",
            Self::Statement(_) => "statement",
            Self::SignIn(_) => "sign_in",
            Self::Seal(_) => "seal",
            Self::Parties => "parties",
            Self::Trail => "trail",
            Self::Checkpoint => "checkpoint",
            Self::TimeStamp => "time_stamp",
        }
    }

    /// Whose approval it is about.
    #[must_use]
    pub fn party(self) -> Option<Party> {
        match self {
            Self::Statement(party) | Self::SignIn(party) | Self::Seal(party) => Some(party),
            _ => None,
        }
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whose = match self.party() {
            Some(Party::UnitLeader) => "the unit leader's ",
            Some(Party::Counterpart) => "the counterpart's ",
            None => "",
        };
        let what = match self {
            Self::Package => "the file is an evidence package, written as packages are",
            Self::Key => "its keys are known",
            Self::Manifest => "every file is the one that the sealed list names",
            Self::Content => "the content is in its one spelling",
            Self::Statement(_) => "statement is about this content",
            Self::SignIn(_) => "fresh sign-in proves the statement",
            Self::Seal(_) => "approval is sealed by the server",
            Self::Parties => "two people approved one text, one for each side",
            Self::Trail => "the trail holds together and has the approvals",
            Self::Checkpoint => "the trail is in a signed checkpoint",
            Self::TimeStamp => "outside authorities have stamped the checkpoint",
        };
        write!(f, "{whose}{what}")
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It is not there yet; what is there holds.
    Waits(Waits),
    /// It is only shown: it came with made-up data, and nobody has approved anything.
    Demonstration,
    /// It does not hold.
    Broken(Reason),
}

/// What a package may still wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Only one party has approved.
    OtherParty,
    /// No checkpoint has the approvals yet.
    Checkpoint,
}

/// Why a check does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes are no package.
    #[error(transparent)]
    NotAPackage(#[from] NotAPackage),
    /// A file is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// A file is not what it was when the package was made.
    #[error("{0} has been altered")]
    Altered(String),
    /// A file that was not there when the package was made.
    #[error("{0} does not belong in it")]
    Foreign(String),
    /// A seal does not hold.
    #[error(transparent)]
    Seal(#[from] seal::Broken),
    /// Made with another key than the one that is known.
    #[error("the package was made with the key {0}, which is not known")]
    OtherKey(String),
    /// Not the one spelling.
    #[error("{0} is not in its one spelling")]
    Spelling(String),
    /// The statement is about something else.
    #[error("the statement is about other content")]
    OtherContent,
    /// The sign-in does not prove it.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// Nobody has approved.
    #[error("nobody has approved")]
    Nobody,
    /// One person on both sides.
    #[error("one person approved for both sides")]
    OnePerson,
    /// They approved different states of the text, or one names another approval than the other's as the one before it.
    #[error("the approvals do not belong together")]
    NotInOrder,
    /// The trail breaks at this event.
    #[error("the trail breaks at event {0}")]
    TrailBreaks(i64),
    /// An approval is not in the trail, or has lapsed there.
    #[error("the trail does not hold the approval")]
    NotInTrail,
    /// The checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Broken),
    /// The time stamp does not hold.
    #[error(transparent)]
    TimeStamp(#[from] timestamp::Broken),
}

impl Waits {
    /// What it is called where it is not spoken of in words.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::OtherParty => "other_party",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OtherParty => "only one party has approved",
            Self::Checkpoint => "no checkpoint has the approvals yet",
        })
    }
}

impl Reason {
    /// What it is called where it is not spoken of in words.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::NotAPackage(NotAPackage::NotAZip) => "not_a_zip",
            Self::NotAPackage(NotAPackage::TooLarge) => "too_large",
            Self::NotAPackage(NotAPackage::Altered) => "package_altered",
            Self::NotAPackage(NotAPackage::NoManifest) => "no_manifest",
            Self::Missing(_) => "missing",
            Self::NotAPackage(NotAPackage::FileAltered(_)) | Self::Altered(_) => "altered",
            Self::Foreign(_) => "foreign",
            Self::Seal(_) => "seal",
            Self::OtherKey(_) => "other_key",
            Self::Spelling(_) => "spelling",
            Self::OtherContent => "other_content",
            Self::NotProven(NotProven::Malformed) => "token_malformed",
            Self::NotProven(NotProven::Signature) => "token_signature",
            Self::NotProven(NotProven::Nonce) => "token_nonce",
            Self::NotProven(NotProven::Issuer) => "token_issuer",
            Self::NotProven(NotProven::Subject) => "token_subject",
            Self::NotProven(NotProven::Audience) => "token_audience",
            Self::NotProven(NotProven::NoAuthTime | NotProven::NotFresh | NotProven::Ahead) => "token_not_fresh",
            Self::NotProven(NotProven::Level) => "token_level",
            Self::Nobody => "nobody",
            Self::OnePerson => "one_person",
            Self::NotInOrder => "not_together",
            Self::TrailBreaks(_) => "trail_breaks",
            Self::NotInTrail => "not_in_trail",
            Self::Checkpoint(_) => "checkpoint",
            Self::TimeStamp(_) => "time_stamp",
        }
    }

    /// The file, key or event it is about, as it is called.
    #[must_use]
    pub fn about(&self) -> Option<String> {
        match self {
            Self::NotAPackage(NotAPackage::FileAltered(name))
            | Self::Missing(name)
            | Self::Altered(name)
            | Self::Foreign(name)
            | Self::OtherKey(name)
            | Self::Spelling(name) => Some(name.clone()),
            Self::TrailBreaks(seq) => Some(seq.to_string()),
            _ => None,
        }
    }
}

/// What a package says, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The checks, in order. After a broken one the rest is left out where it could not be trusted.
    pub lines: Vec<(Check, Outcome)>,
    /// The key that sealed the package.
    pub key: Option<String>,
    /// SHA-256 of the content, in hexadecimal.
    pub content_sha256: Option<String>,
    /// The approvals that hold, each with the sign-in that proves it; without one it is only shown (see [`Outcome::Demonstration`]).
    pub approvals: Vec<(Statement, Option<Proof>)>,
    /// The time stamps that hold, as far as one trusts the certificates beside them.
    pub stamps: Vec<Stamp>,
}

impl Report {
    /// Nothing is broken, and every approval in it was proven by the person it names.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.whole() && !self.lines.iter().any(|(_, outcome)| *outcome == Outcome::Demonstration)
    }

    /// Nothing is broken, whatever it is worth.
    #[must_use]
    pub fn whole(&self) -> bool {
        !self.lines.is_empty() && self.first_broken().is_none()
    }

    /// The first broken link.
    #[must_use]
    pub fn first_broken(&self) -> Option<(Check, &Reason)> {
        self.lines.iter().find_map(|(check, outcome)| match outcome {
            Outcome::Broken(reason) => Some((*check, reason)),
            Outcome::Holds | Outcome::Waits(_) | Outcome::Demonstration => None,
        })
    }

    fn say(&mut self, check: Check, outcome: Result<Outcome, Reason>) -> bool {
        let outcome = outcome.unwrap_or_else(Outcome::Broken);
        let goes_on = !matches!(outcome, Outcome::Broken(_));
        self.lines.push((check, outcome));
        goes_on
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    package: u16,
    document: Uuid,
    files: BTreeMap<String, String>,
    #[serde(rename = "made_at")]
    _made_at: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<PublicKey>,
}

/// Checks a package. With `known`, its keys must be among those, else any key is taken and named.
#[must_use]
pub fn verify(bytes: &[u8], known: Option<&[PublicKey]>) -> Report {
    let mut report = Report::default();
    let package = match Package::from_bytes(bytes) {
        Ok(package) => package,
        Err(error) => {
            report.say(Check::Package, Err(error.into()));
            return report;
        }
    };
    report.say(Check::Package, Ok(Outcome::Holds));
    let keys = match keys_of(&package) {
        Ok(keys) => keys,
        Err(reason) => {
            report.say(Check::Key, Err(reason));
            return report;
        }
    };
    let manifest = match opened_manifest(&package, &keys) {
        Ok((manifest, key)) => {
            report.key = Some(key);
            manifest
        }
        Err(reason) => {
            report.say(Check::Manifest, Err(reason));
            return report;
        }
    };
    if let Some(known) = known {
        let foreign = keys.iter().find(|key| !known.contains(key));
        if !report.say(Check::Key, foreign.map_or(Ok(Outcome::Holds), |key| Err(Reason::OtherKey(key.kid())))) {
            return report;
        }
    }
    if !report.say(Check::Manifest, files_as_listed(&package, &manifest)) {
        return report;
    }
    let content = match content_of(&package) {
        Ok(content) => content,
        Err(reason) => {
            report.say(Check::Content, Err(reason));
            return report;
        }
    };
    report.content_sha256 = Some(hex::encode(sha256(content)));
    report.say(Check::Content, Ok(Outcome::Holds));
    for party in [Party::UnitLeader, Party::Counterpart] {
        if package.files.contains_key(&approval_file(party, "statement.json"))
            && !approval(&mut report, &package, party, &manifest, content, &keys)
        {
            return report;
        }
    }
    let parties = parties(&report);
    if report.say(Check::Parties, parties) {
        let (trail, found) = trail(&report, &package, manifest.document);
        if report.say(Check::Trail, trail) {
            let checkpoint = in_checkpoint(&package, &keys, &found);
            if report.say(Check::Checkpoint, checkpoint) && package.files.keys().any(|name| name.starts_with(TIME_STAMPS)) {
                let stamps = stamps(&package);
                let outcome = stamps.map(|stamps| {
                    report.stamps = stamps;
                    Outcome::Holds
                });
                report.say(Check::TimeStamp, outcome);
            }
        }
    }
    report
}

fn file<'p>(package: &'p Package, name: &str) -> Result<&'p [u8], Reason> {
    package.files.get(name).map(Vec::as_slice).ok_or_else(|| Reason::Missing(name.to_owned()))
}

fn text<'p>(package: &'p Package, name: &str) -> Result<&'p str, Reason> {
    std::str::from_utf8(file(package, name)?).map_err(|_| Reason::Altered(name.to_owned()))
}

/// A file of canonical JSON, read as what it is.
fn read<T: serde::de::DeserializeOwned>(package: &Package, name: &str) -> Result<T, Reason> {
    let bytes = file(package, name)?;
    let spelling = || Reason::Spelling(name.to_owned());
    let value = canonical::from_slice(bytes).map_err(|_| spelling())?;
    if has_fractions(&value) || canonical::to_vec(&value) != bytes {
        return Err(spelling());
    }
    serde_json::from_value(value).map_err(|_| spelling())
}

/// Canonical JSON holds no floating numbers.
fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => !(number.is_i64() || number.is_u64()),
        Value::Array(items) => items.iter().any(has_fractions),
        Value::Object(members) => members.values().any(has_fractions),
        _ => false,
    }
}

fn keys_of(package: &Package) -> Result<Vec<PublicKey>, Reason> {
    Ok(read::<Keys>(package, KEYS_FILE)?.keys)
}

fn opened_manifest(package: &Package, keys: &[PublicKey]) -> Result<(Manifest, String), Reason> {
    let (payload, key) = seal::open(&package.manifest, MANIFEST, keys)?;
    let manifest: Manifest = serde_json::from_value(payload).map_err(|_| Reason::Seal(seal::Broken::Malformed))?;
    if manifest.package == 1 { Ok((manifest, key.kid())) } else { Err(Reason::Seal(seal::Broken::Malformed)) }
}

fn files_as_listed(package: &Package, manifest: &Manifest) -> Result<Outcome, Reason> {
    for (name, listed) in &manifest.files {
        if hex::encode(sha256(file(package, name)?)) != *listed {
            return Err(Reason::Altered(name.clone()));
        }
    }
    match package.files.keys().find(|name| !manifest.files.contains_key(*name)) {
        Some(foreign) => Err(Reason::Foreign(foreign.clone())),
        None if package.files.get(PDF_FILE).is_some_and(|pdf| !pdf.starts_with(b"%PDF-")) => Err(Reason::Altered(PDF_FILE.into())),
        None => Ok(Outcome::Holds),
    }
}

fn content_of(package: &Package) -> Result<&[u8], Reason> {
    read::<Value>(package, CONTENT_FILE)?;
    file(package, CONTENT_FILE)
}

/// One party's approval. `false`: something in it is broken.
fn approval(report: &mut Report, package: &Package, party: Party, manifest: &Manifest, content: &[u8], keys: &[PublicKey]) -> bool {
    let name = |part| approval_file(party, part);
    let read = || -> Result<(Statement, &[u8]), Reason> {
        let spelled = file(package, &name("statement.json"))?;
        let statement = Statement::from_bytes(spelled).ok_or_else(|| Reason::Spelling(name("statement.json")))?;
        let same = statement.content_sha256 == hex::encode(sha256(content)) && statement.document == manifest.document;
        if same && statement.party == party { Ok((statement, spelled)) } else { Err(Reason::OtherContent) }
    };
    let (statement, spelled) = match read() {
        Ok(read) => read,
        Err(reason) => return report.say(Check::Statement(party), Err(reason)),
    };
    report.say(Check::Statement(party), Ok(Outcome::Holds));
    // Made-up data has a statement and nothing else. That it is no proof is told in its place, so it is never taken for one.
    if statement.demonstration && ["id-token.jwt", "idp-key.json", "seal.jws"].iter().all(|part| !package.files.contains_key(&name(part))) {
        report.approvals.push((statement, None));
        return report.say(Check::SignIn(party), Ok(Outcome::Demonstration));
    }
    let proof = text(package, &name("id-token.jwt"))
        .and_then(|token| Ok((token, text(package, &name("idp-key.json"))?)))
        .and_then(|(token, key)| Ok((token, token::prove(token, key, &statement, spelled, token::CLOCK_SKEW)?)));
    let (token, proof) = match proof {
        Ok(proof) => proof,
        Err(reason) => return report.say(Check::SignIn(party), Err(reason)),
    };
    report.say(Check::SignIn(party), Ok(Outcome::Holds));
    let sealed = text(package, &name("seal.jws")).and_then(|seal| Ok(seal::open(seal, APPROVAL, keys)?.0)).and_then(|sealed| {
        let at = sealed["sealed_at"].as_str().and_then(|at| DateTime::parse_from_rfc3339(at).ok()).map(|at| at.to_utc());
        let bound = at.is_some_and(|at| approval_seal(spelled, token, at) == sealed);
        if bound { Ok(Outcome::Holds) } else { Err(Reason::OtherContent) }
    });
    let holds = report.say(Check::Seal(party), sealed);
    if holds {
        report.approvals.push((statement, Some(proof)));
    }
    holds
}

fn parties(report: &Report) -> Result<Outcome, Reason> {
    let holds = if report.approvals.iter().all(|(_, proof)| proof.is_some()) { Outcome::Holds } else { Outcome::Demonstration };
    match &report.approvals[..] {
        [] => Err(Reason::Nobody),
        [(_, Some(_))] => Ok(Outcome::Waits(Waits::OtherParty)),
        [(_, None)] => Ok(holds),
        [(one, _), (other, _), ..] => {
            if one.person.id == other.person.id || one.identity == other.identity {
                return Err(Reason::OnePerson);
            }
            let same = (one.revision, &one.log_sha256, one.head) == (other.revision, &other.log_sha256, other.head);
            // Whoever read before the other had approved names none; both may have, when they sit at one table.
            let fits = |this: &Statement, that: &Statement| {
                this.previous_sha256.as_ref().is_none_or(|named| *named == hex::encode(sha256(&that.to_bytes())) && this.at >= that.at)
            };
            if same && fits(one, other) && fits(other, one) { Ok(holds) } else { Err(Reason::NotInOrder) }
        }
    }
}

/// What a trail that holds has for the checkpoint.
#[derive(Default)]
struct Trail {
    /// Where it ended after each event.
    heads: Vec<Head>,
    /// Seq of the newest approval.
    approved: u64,
}

/// The trail holds, has each approval, not lapsed since, and names the paper.
fn trail(report: &Report, package: &Package, document: Uuid) -> (Result<Outcome, Reason>, Trail) {
    let read = || -> Result<Vec<(AuditEvent, Hash)>, Reason> {
        read::<Vec<TrailEvent>>(package, TRAIL_FILE)?
            .into_iter()
            .map(|TrailEvent { event, hash }| {
                let hash = hex::decode(hash).ok().and_then(|hash| hash.try_into().ok());
                Ok((event, hash.ok_or_else(|| Reason::Spelling(TRAIL_FILE.into()))?))
            })
            .collect()
    };
    let events = match read() {
        Ok(events) => events,
        Err(reason) => return (Err(reason), Trail::default()),
    };
    if let Some(seq) = first_break(&events) {
        return (Err(Reason::TrailBreaks(seq)), Trail::default());
    }
    let about = |event: &AuditEvent| event.body["document"].as_str() == Some(&document.to_string());
    let signed = |statement: &Statement, proven: bool| {
        let hash = hex::encode(sha256(&statement.to_bytes()));
        let at = events.iter().rposition(|(event, _)| {
            event.kind == "signed"
                && about(event)
                && event.body["statement_sha256"].as_str() == Some(&hash)
                && event.trail == statement.agreement
                // Which of the two it is stands in the trail: a proof that is taken away leaves no demonstration behind.
                && (event.body["demonstration"] == true) != proven
        });
        at.filter(|at| lapse_of(&events, *at).is_none())
    };
    let places: Option<Vec<usize>> = report.approvals.iter().map(|(statement, proof)| signed(statement, proof.is_some())).collect();
    let Some(places) = places else { return (Err(Reason::NotInTrail), Trail::default()) };
    // What both have approved is printed once, and which print it is stands in the trail.
    let printed = |pdf: &[u8]| {
        let hash = hex::encode(sha256(pdf));
        let revision = report.approvals.first().map(|(statement, _)| statement.revision);
        events.iter().any(|(event, _)| {
            event.kind == "printed"
                && about(event)
                && event.body["revision"].as_u64() == revision.map(u64::from)
                && event.body["pdf_sha256"].as_str() == Some(&hash)
        })
    };
    if report.approvals.len() > 1 && package.files.get(PDF_FILE).is_some_and(|pdf| !printed(pdf)) {
        return (Err(Reason::Altered(PDF_FILE.into())), Trail::default());
    }
    let heads = events.iter().map(|(event, hash)| Head { trail: event.trail, seq: event.seq.unsigned_abs(), hash: *hash });
    let approved = places.iter().filter_map(|place| events.get(*place)).map(|(event, _)| event.seq.unsigned_abs()).max();
    (Ok(Outcome::Holds), Trail { heads: heads.collect(), approved: approved.unwrap_or(0) })
}

/// The event with which the signature that this event tells of lapsed. Whoever lets one lapse names it.
#[must_use]
pub fn lapse_of(trail: &[(AuditEvent, Hash)], signed: usize) -> Option<&AuditEvent> {
    let (event, _) = trail.get(signed)?;
    let names_it = |later: &AuditEvent| {
        ["signature", "statement_sha256"].iter().any(|name| event.body[name].is_string() && later.body[name] == event.body[name])
    };
    trail[signed + 1..].iter().map(|(later, _)| later).find(|later| later.kind == "signature_invalidated" && names_it(later))
}

fn in_checkpoint(package: &Package, keys: &[PublicKey], trail: &Trail) -> Result<Outcome, Reason> {
    if !package.files.contains_key(CHECKPOINT_FILE) {
        return Ok(Outcome::Waits(Waits::Checkpoint));
    }
    let checkpoint = checkpoint::open(text(package, CHECKPOINT_FILE)?, keys)?;
    let inclusion: Inclusion = read(package, INCLUSION_FILE)?;
    let head = trail.heads.iter().find(|head| head.seq == inclusion.seq).ok_or(checkpoint::Broken::NotIncluded)?;
    checkpoint.includes(head, &inclusion)?;
    // One from before an approval has the trail, and not that approval.
    Ok(if inclusion.seq < trail.approved { Outcome::Waits(Waits::Checkpoint) } else { Outcome::Holds })
}

/// What outside authorities said about the checkpoint.
fn stamps(package: &Package) -> Result<Vec<Stamp>, Reason> {
    let hash = sha256(file(package, CHECKPOINT_FILE)?);
    let answers = package.files.iter().filter_map(|(name, answer)| Some((name.strip_prefix(TIME_STAMPS)?.strip_suffix(".tsr")?, answer)));
    answers
        .map(|(authority, answer)| {
            let beside = format!("{TIME_STAMPS}{authority}.pem");
            let trusted = Authorities::from_pem(file(package, &beside)?).map_err(|_| Reason::Spelling(beside))?;
            Ok(timestamp::check(answer, &hash, &trusted)?)
        })
        .collect()
}

#[cfg(test)]
mod tests;

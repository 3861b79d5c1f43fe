//! Holds what was approved together: checkpoints over all trails, the package that proves an agreement to anybody, and the check that
//! nothing in the database was altered behind the server's back (reliability-security §6).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use samspil_evidence::{
    Hash,
    checkpoint::{self, Head, Inclusion},
    package::{APPROVAL, Approval, Contents, Package, SealedSignIn, TimeStamp, approval_seal},
    seal::{self, PublicKey},
    sha256,
    statement::{self, Statement},
    timestamp::{self, Authorities},
    token,
    trail::{AuditEvent, SYSTEM_TRAIL, first_break},
    verify::lapse_of,
};
use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::Clock,
    domain::{
        ids::DocumentId,
        signoff::{DEMONSTRATION, side},
    },
    keys::Keys,
    store::{
        self, Store, Transaction, audit,
        checkpoints::{self, CheckpointRow, SealKeyRow},
        papers::PRINTED,
        signoffs::{ApprovalRow, EvidenceRow, ProofRow},
        timestamps::{STAMPED, StampRow},
    },
};

/// A checkpoint is made when the newest is so old and something has happened since.
const CHECKPOINT_EVERY: chrono::Duration = chrono::Duration::hours(1);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How to check a package, in Danish.
const README: &str = include_str!("notary/laesmig.txt");

/// Whoever holds the keys and what they sealed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notary {
    store: Store,
    keys: Arc<Keys>,
    /// Whose checkpoints they are: the public address without its scheme.
    origin: Arc<str>,
}

/// Why no package can be made.
#[derive(Debug, thiserror::Error)]
pub enum Unpackable {
    /// Nobody has approved it with evidence that is held here.
    #[error("there is no evidence of a signature")]
    NoEvidence,
    /// What is kept encrypted does not open: it was altered, or the key is another one.
    #[error("the identity token of signature {0} cannot be opened")]
    Closed(Uuid),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Notary {
    /// With these keys, for the server that people reach at this address.
    #[must_use]
    pub fn new(store: Store, keys: Arc<Keys>, public_url: &str) -> Self {
        let origin = public_url.split_once("://").map_or(public_url, |(_, host)| host).into();
        Self { store, keys, origin }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Fixes all trails as they end now, in the transaction of what has just happened.
    pub async fn fix(&self, transaction: &mut Transaction, now: DateTime<Utc>) -> store::Result<()> {
        let number = checkpoints::lock(transaction).await?.map_or(1, |newest| newest.number + 1);
        let at = audit::kept(now);
        audit::append(transaction, SYSTEM_TRAIL, "checkpoint", None, json!({ "number": number }), at).await?;
        let mut heads = checkpoints::heads(transaction).await?;
        let key = self.keys.seal();
        let note = checkpoint::sign(&self.origin, &mut heads, key);
        let new = CheckpointRow { number, note, seal_kid: key.public().kid(), at };
        checkpoints::insert(transaction, &new, &heads).await
    }

    /// Makes a checkpoint every hour in which something has happened.
    pub async fn work(self, clock: Clock, stop: CancellationToken) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {
                    if let Err(error) = self.fix_if_due(clock.now()).await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "no checkpoint could be made; it is tried again in a minute");
                    }
                }
            }
        }
    }

    /// Makes a checkpoint if the newest is an hour old and something has happened since; answers whether it did.
    pub async fn fix_if_due(&self, now: DateTime<Utc>) -> store::Result<bool> {
        if let Some(newest) = self.store.newest_checkpoint().await? {
            if now - newest.at < CHECKPOINT_EVERY {
                return Ok(false);
            }
            let then: HashSet<Head> = self.store.checkpoint_heads(newest.number).await?.into_iter().collect();
            let mut transaction = self.store.begin().await?;
            let heads = checkpoints::heads(&mut transaction).await?;
            drop(transaction);
            let system = then.iter().find(|head| head.trail == SYSTEM_TRAIL).map_or(0, |head| head.seq);
            let moved = heads.iter().any(|head| head.trail != SYSTEM_TRAIL && !then.contains(head));
            if !moved && !self.store.system_moved(system).await? {
                return Ok(false);
            }
        }
        let mut transaction = self.store.begin().await?;
        // Another node may have been quicker.
        if checkpoints::lock(&mut transaction).await?.is_some_and(|newest| now - newest.at < CHECKPOINT_EVERY) {
            return Ok(false);
        }
        self.fix(&mut transaction, now).await?;
        transaction.commit().await.map_err(store::Error::from)?;
        Ok(true)
    }

    /// The evidence package of a document: everything that proves what was approved. `pdf` is the agreement as people read it.
    pub async fn package(&self, document: DocumentId, pdf: Option<Vec<u8>>, now: DateTime<Utc>) -> Result<Vec<u8>, Unpackable> {
        let frozen = self.store.frozen_revision(document).await?.ok_or(Unpackable::NoEvidence)?;
        let approvals: Vec<Approval> = self
            .store
            .approvals(document)
            .await?
            .into_iter()
            .filter(|row| row.valid && row.revision == frozen.number)
            .filter_map(|row| row.evidence.map(|evidence| (row.id, row.party, evidence)))
            .map(|(id, party, evidence)| {
                let sealed = |row: ProofRow| {
                    let (id_token, idp_key) = self.opened(&row, &evidence.statement_sha256).ok_or(Unpackable::Closed(id))?;
                    Ok::<_, Unpackable>(SealedSignIn { id_token, idp_key, seal: row.seal })
                };
                Ok(Approval { party: side(party), proof: evidence.proof.map(sealed).transpose()?, statement: evidence.statement })
            })
            .collect::<Result<_, Unpackable>>()?;
        if approvals.is_empty() {
            return Err(Unpackable::NoEvidence);
        }
        // The checkpoint before the trail: whatever it has is in the trail that is read afterwards.
        let (checkpoint, timestamps) = self.checkpoint_of(frozen.agreement.0).await?;
        let contents = Contents {
            document: document.0,
            content: frozen.content.to_vec(),
            pdf,
            readme: README.to_owned(),
            approvals,
            trail: self.store.trail(frozen.agreement.0).await?,
            checkpoint,
            timestamps,
            keys: self.store.seal_keys().await?.into_iter().map(|row| row.key).collect(),
            made_at: now,
        };
        let keys = self.keys.clone();
        // Hashing some megabytes is no work for the threads that answer.
        let packed = tokio::task::spawn_blocking(move || Package::seal(contents, keys.seal()).to_bytes()).await;
        packed.map_err(|error| store::Error::Database(sqlx::Error::Io(std::io::Error::other(error))).into())
    }

    /// The newest checkpoint that has the trail, with what outside authorities said about it: a stamped one that has the last approval goes
    /// before a newer one that nobody has stamped yet.
    async fn checkpoint_of(&self, trail: Uuid) -> store::Result<(Option<(String, Inclusion)>, Vec<TimeStamp>)> {
        let stamped = self.store.newest_stamped_checkpoint().await?;
        let last = self.store.last_signed(trail).await?;
        if let Some(row) = stamped
            && let Some(inclusion) = checkpoint::include(&mut self.store.checkpoint_heads(row.number).await?, trail)
            && last.is_none_or(|last| inclusion.seq >= last)
        {
            let stamps = self.store.stamps(row.number).await?.into_iter().map(stamp);
            return Ok((Some((row.note, inclusion)), stamps.collect()));
        }
        let Some(row) = self.store.newest_checkpoint().await? else { return Ok((None, Vec::new())) };
        let inclusion = checkpoint::include(&mut self.store.checkpoint_heads(row.number).await?, trail);
        Ok((inclusion.map(|inclusion| (row.note, inclusion)), Vec::new()))
    }

    /// Token and provider's key of an approval.
    fn opened(&self, proof: &ProofRow, about: &[u8]) -> Option<(String, String)> {
        let open = |closed: &[u8]| String::from_utf8(self.keys.token().open(closed, about)?).ok();
        Some((open(&proof.id_token)?, open(&proof.idp_key)?))
    }

    /// Everything in the database that does not hold together, in words; empty when all of it does.
    pub async fn check_all(&self) -> store::Result<Vec<String>> {
        let mut findings = Findings::default();
        let mut trails: HashMap<Uuid, Vec<(AuditEvent, Hash)>> = HashMap::new();
        for trail in self.store.trails().await? {
            let events = self.store.trail(trail).await?;
            if let Some(seq) = first_break(&events) {
                findings.say(format!("trail {trail} breaks at event {seq}"));
            }
            trails.insert(trail, events);
        }
        for (trail, seq) in self.store.broken_links().await? {
            findings.say(format!("event {seq} of trail {trail} does not name the one before it"));
        }
        let system = trails.get(&SYSTEM_TRAIL).map(Vec::as_slice).unwrap_or_default();
        let keys = match self.store.seal_keys().await {
            Ok(keys) => keys,
            Err(store::Error::Unknown { table, what, .. }) => {
                findings.say(format!("a row of {table} has no readable {what}"));
                return Ok(findings.0);
            }
            Err(error) => return Err(error),
        };
        findings.keys(&keys, system);
        self.check_checkpoints(&mut findings, &keys, system).await?;
        self.check_stamps(&mut findings, system).await?;
        self.check_papers(&mut findings, &trails).await?;
        for document in self.store.signed_documents().await? {
            let Some(agreement) = self.store.agreement_of(document).await? else { continue };
            let events = trails.get(&agreement.0).map(Vec::as_slice).unwrap_or_default();
            for row in self.store.approvals(document).await? {
                self.check_signature(&mut findings, &row, events, &keys).await?;
            }
        }
        for (agreement, kind, at) in self.store.off_record().await? {
            findings.say(format!("the history of agreement {agreement} and its trail differ about {kind} at {at}"));
        }
        for (document, status, stand) in self.store.misplaced().await? {
            findings.say(format!("document {document} is said to be {status}, and {stand} signature(s) stand"));
        }
        for (_, event) in trails.values().flatten().map(|(event, hash)| (hash, event)).filter(|(_, event)| event.kind == "signed") {
            if !self.store.holds_signature_of(event).await? {
                findings.say(format!("the signature of event {} in trail {} is gone", event.seq, event.trail));
            }
        }
        Ok(findings.0)
    }

    async fn check_checkpoints(&self, findings: &mut Findings, keys: &[SealKeyRow], system: &[(AuditEvent, Hash)]) -> store::Result<()> {
        let rows = self.store.checkpoints().await?;
        let made: Vec<&AuditEvent> = system.iter().map(|(event, _)| event).filter(|event| event.kind == "checkpoint").collect();
        for (place, event) in made.iter().enumerate() {
            let number = event.body["number"].as_i64().unwrap_or_default();
            let there = rows.get(place).is_some_and(|row| row.number == number && row.at == event.at);
            findings.expect(there, || format!("checkpoint {number} is not the one that was made"));
        }
        findings.expect(rows.len() == made.len(), || "there are checkpoints that nobody made".to_owned());
        for row in rows {
            let signer: Vec<PublicKey> = keys.iter().filter(|key| key.kid == row.seal_kid).map(|key| key.key.clone()).collect();
            let heads = self.store.checkpoint_heads(row.number).await;
            let holds = match (checkpoint::open(&row.note, &signer), heads) {
                (Ok(found), Ok(mut heads)) => found.size == heads.len() as u64 && found.root == checkpoint::root(&mut heads),
                (_, Err(error @ store::Error::Database(_))) => return Err(error),
                _ => false,
            };
            findings.expect(holds, || format!("checkpoint {} is not of the trails as they were", row.number));
        }
        Ok(())
    }

    /// Every answer of an authority is the one that came, and says what is shown of it.
    async fn check_stamps(&self, findings: &mut Findings, system: &[(AuditEvent, Hash)]) -> store::Result<()> {
        let came: Vec<&AuditEvent> = system.iter().map(|(event, _)| event).filter(|event| event.kind == STAMPED).collect();
        let notes: HashMap<i64, String> = self.store.checkpoints().await?.into_iter().map(|row| (row.number, row.note)).collect();
        let rows = self.store.all_stamps().await?;
        findings.expect(rows.len() == came.len(), || "there are not the time stamps that came".to_owned());
        for (checkpoint, row, at) in rows {
            let on_record = came.iter().any(|event| event.at == at && event.body == row.on_record(checkpoint));
            let trusted = Authorities::from_pem(row.certificates.as_bytes());
            let stamp = trusted.ok().zip(notes.get(&checkpoint)).and_then(|(trusted, note)| {
                let hash = sha256(note.as_bytes());
                timestamp::check(&row.answer, &hash, &trusted).ok()
            });
            findings.expect(on_record && stamp.is_some_and(|stamp| stamp.at == row.stamped_at), || {
                format!("the time stamp of {} for checkpoint {checkpoint} is not the one that came", row.authority)
            });
        }
        Ok(())
    }

    /// Every paper of a signed agreement is the one that was printed.
    async fn check_papers(&self, findings: &mut Findings, trails: &HashMap<Uuid, Vec<(AuditEvent, Hash)>>) -> store::Result<()> {
        let printed: Vec<&AuditEvent> = trails.values().flatten().map(|(event, _)| event).filter(|event| event.kind == PRINTED).collect();
        let rows = self.store.kept_papers().await?;
        findings.expect(rows.len() == printed.len(), || "there are not the papers that were printed".to_owned());
        for row in rows {
            let pdf = self.store.paper(row.document, row.revision).await?.unwrap_or_default();
            let hash = sha256(&pdf);
            let is_it = |event: &&AuditEvent| {
                event.at == row.at
                    && event.body["document"].as_str() == Some(&row.document.to_string())
                    && event.body["revision"].as_u64() == Some(row.revision.into())
                    && event.body["pdf_sha256"].as_str() == Some(&hex::encode(hash))
            };
            findings.expect(row.sha256 == hash && printed.iter().any(is_it), || {
                format!("the paper of document {}, revision {}, is not the one that was printed", row.document, row.revision)
            });
        }
        Ok(())
    }

    async fn check_signature(
        &self,
        findings: &mut Findings,
        row: &ApprovalRow,
        trail: &[(AuditEvent, Hash)],
        keys: &[SealKeyRow],
    ) -> store::Result<()> {
        let Some(evidence) = &row.evidence else {
            let imported = trail.iter().any(|(event, _)| event.body["imported"] == true && is_event_of(event, row));
            findings.expect(imported, || format!("signature {} has no evidence and was not imported", row.id));
            return Ok(());
        };
        if let Err(what) = self.prove_signature(row, evidence, trail, keys) {
            findings.say(format!("signature {}: {what}", row.id));
        }
        let frozen = self.store.revision_text(row.document, row.revision).await?;
        let by = frozen.as_ref().map(|text| (text.at, text.person));
        let as_frozen = trail.iter().any(|(event, _)| {
            event.kind == "frozen" && event.body["revision"].as_u64() == Some(row.revision.into()) && Some((event.at, event.person)) == by
        });
        findings.expect(as_frozen, || format!("signature {}: the text was not frozen so, or not then", row.id));
        let named = Statement::from_bytes(&evidence.statement);
        let holds = named.zip(frozen).is_some_and(|(statement, text)| {
            let schema = i32::from(statement.schema);
            statement.content_sha256 == hex::encode(sha256(&text.content))
                && statement.content_sha256 == hex::encode(&text.content_sha256)
                && statement.log_sha256 == hex::encode(&text.log_sha256)
                && (statement.head, Some(schema)) == (text.seq, text.schema)
        });
        findings.expect(holds, || format!("signature {}: the text it approves is not the one that is kept", row.id));
        if let Some(statement) = Statement::from_bytes(&evidence.statement) {
            let log = self.store.log_hashes(row.document, statement.head).await?;
            let whole = log.iter().all(|(_, _, hash, payload)| sha256(payload)[..] == hash[..]);
            let found = statement::log_hash(
                log.iter().map(|(seq, person, hash, _)| (*seq, *person, hash.as_slice().try_into().unwrap_or([0; 32]))),
            );
            findings.expect(whole && hex::encode(found) == statement.log_sha256, || {
                format!("signature {}: the log of document {} is not the one that was approved", row.id, row.document)
            });
        }
        Ok(())
    }

    fn prove_signature(
        &self,
        row: &ApprovalRow,
        evidence: &EvidenceRow,
        trail: &[(AuditEvent, Hash)],
        keys: &[SealKeyRow],
    ) -> Result<(), &'static str> {
        let hold = |holds: bool, what: &'static str| if holds { Ok(()) } else { Err(what) };
        let statement = Statement::from_bytes(&evidence.statement).ok_or("its statement is not in its one spelling")?;
        let hash = sha256(&evidence.statement);
        hold(hash[..] == evidence.statement_sha256, "its statement is not the one that was kept")?;
        hold(
            (statement.document, statement.revision, statement.party, statement.person.id)
                == (row.document.0, row.revision, side(row.party), row.person.0)
                && (evidence.document, evidence.revision) == (row.document, row.revision)
                && row.content_sha256.as_deref().map(hex::encode) == Some(statement.content_sha256.clone()),
            "it is not of what its statement says",
        )?;
        let method = if let Some(proof) = &evidence.proof {
            self.prove_sign_in(row, evidence, proof, &statement, keys)?;
            METHOD
        } else {
            hold(statement.demonstration, "its proof is gone")?;
            hold((row.auth_time, &row.acr) == (row.signed_at, &None), "nobody signed in for it, and it says otherwise")?;
            DEMONSTRATION
        };
        hold(row.signed_at == evidence.at && row.method == method, "it was not made so, or not then")?;
        let named = hex::encode(hash);
        let at = trail.iter().position(|(event, _)| event.body["statement_sha256"] == named.as_str() && is_event_of(event, row));
        let at = at.ok_or("the trail does not have it")?;
        hold((trail[at].0.body["demonstration"] == true) == evidence.proof.is_none(), "the trail says otherwise of its proof")?;
        let as_kept = match lapse_of(trail, at) {
            None => row.valid && row.lapsed_at.is_none() && row.lapsed_reason.is_none(),
            Some(event) => !row.valid && row.lapsed_at == Some(event.at) && row.lapsed_reason.as_deref() == event.body["reason"].as_str(),
        };
        hold(as_kept, "whether it stands is not what the trail says")
    }

    fn prove_sign_in(
        &self,
        row: &ApprovalRow,
        evidence: &EvidenceRow,
        proof: &ProofRow,
        statement: &Statement,
        keys: &[SealKeyRow],
    ) -> Result<(), &'static str> {
        let hold = |holds: bool, what: &'static str| if holds { Ok(()) } else { Err(what) };
        let (id_token, idp_key) = self.opened(proof, &evidence.statement_sha256).ok_or("its identity token cannot be opened")?;
        let proven = token::prove(&id_token, &idp_key, statement, &evidence.statement, token::CLOCK_SKEW)
            .map_err(|_| "its identity token does not prove it")?;
        hold((proven.auth_time, &proven.acr) == (row.auth_time, &row.acr), "its sign-in is not the one of its token")?;
        let key: Vec<PublicKey> = keys.iter().filter(|key| key.kid == proof.seal_kid).map(|key| key.key.clone()).collect();
        let (sealed, _) = seal::open(&proof.seal, APPROVAL, &key).map_err(|_| "its seal does not hold")?;
        hold(sealed == approval_seal(&evidence.statement, &id_token, evidence.at), "its seal is of something else")
    }
}

/// How an approval is proved.
const METHOD: &str = "oidc_reauthentication";

/// Is this the event of that signature?
fn is_event_of(event: &AuditEvent, row: &ApprovalRow) -> bool {
    event.kind == "signed"
        && event.at == row.signed_at
        && event.person == Some(row.person.0)
        && event.body["revision"].as_u64() == Some(row.revision.into())
        && event.body["party"].as_str() == Some(store::signoffs::party_id(row.party))
}

/// What does not hold.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn say(&mut self, what: String) {
        self.0.push(what);
    }

    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.say(what());
        }
    }

    fn keys(&mut self, keys: &[SealKeyRow], system: &[(AuditEvent, Hash)]) {
        let taken: Vec<&AuditEvent> = system.iter().map(|(event, _)| event).filter(|event| event.kind == "seal_key").collect();
        for event in &taken {
            let kid = event.body["kid"].as_str().unwrap_or_default();
            let there = keys.iter().any(|row| row.kid == kid && row.key.kid() == kid && row.since == event.at);
            self.expect(there, || format!("the seal key {kid} is not the one that was taken into use"));
        }
        self.expect(keys.len() == taken.len(), || "there are seal keys that were never taken into use".to_owned());
    }
}

fn stamp(row: StampRow) -> TimeStamp {
    TimeStamp { authority: row.authority, answer: row.answer, certificates: row.certificates }
}

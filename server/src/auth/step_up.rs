//! Approving with a fresh sign-in: the statement, the way to the identity provider and back, and what must be right before an approval
//! is taken (reliability-security §6). Everything fails closed, each failure with its own reason, on record. An attempt belongs to the
//! sign-in in which the button was pressed and counts once. Called by `http::signoffs` and `http::auth`.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum_extra::extract::cookie::Cookie;
use chrono::{DateTime, Duration, Utc};
use openidconnect::ClaimsVerificationError;
use samspil_evidence::{
    package::{APPROVAL, approval_seal},
    sha256,
    statement::{Decision, Identity, Mandate, Signatory, Statement, VERSION, nonce},
    token::{self, NotProven, Proof},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    oidc::{self, Provider, Token},
    session::{Sessions, SignedIn, hash, random},
    sign_in::Answer,
};
use crate::{
    config::StepUp,
    domain::{
        access::{Party, Standing, danish_day, standing},
        claims::RoleMapping,
        document::Status,
        ids::{AgreementId, DocumentId, PersonId},
        principal::Principal,
        signoff::{Locale, Refused, consent, may_approve, side, status_after},
    },
    notary::Notary,
    store::{
        self, Store, Transaction, audit,
        documents::DocumentRow,
        people::PersonRow,
        revisions::FrozenRevision,
        sessions::Renewed,
        signoffs::{self, ApprovalRow, Attempt, NewApproval},
    },
};

/// Whoever does not come back from the provider within this time presses the button again.
const ATTEMPT_MAX: Duration = Duration::minutes(10);
/// Rights may change under our hands; so often it is looked at anew.
const LOOKS_MAX: usize = 5;

/// Approvals with a fresh sign-in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StepUps {
    store: Store,
    sessions: Sessions,
    provider: Provider,
    roles: Arc<RoleMapping>,
    notary: Notary,
    how: Arc<How>,
}

/// What the municipality asks of a fresh sign-in.
#[derive(Clone, Debug)]
pub struct How {
    /// The level, and how it is asked for.
    pub step_up: StepUp,
    /// How far the provider's clock may be from ours.
    pub skew: Duration,
    /// In a demonstration; statements say so.
    pub demonstration: bool,
}

/// What came of an attempt when the browser is back.
#[derive(Debug)]
pub struct Completed {
    /// About which agreement.
    pub agreement: AgreementId,
    /// Documents whose pages are to be told.
    pub changed: Vec<DocumentId>,
    /// Taken, with the cookie of the renewed sign-in; or refused.
    pub outcome: Result<Cookie<'static>, Refused>,
}

/// Why an approval was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// For a reason that the person is told, and that is on record.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What somebody may approve now, in their own words.
#[derive(Clone, Debug)]
pub struct Offer {
    /// For which side, by what right.
    pub standing: Standing,
    /// For whom, when it is a substitute.
    pub on_behalf_of: Option<PersonRow>,
    /// The words that are agreed to.
    pub consent: String,
}

/// What somebody's page has shown them when they pressed the button.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// SHA-256 of the text's bytes, in hexadecimal.
    pub content_sha256: &'a str,
    /// The words beside the button.
    pub consent: &'a str,
    /// In which language.
    pub locale: Locale,
}

/// A token that proves a statement.
struct Proven {
    token: Token,
    key: String,
    proof: Proof,
    statement: Statement,
    principal: Principal,
}

impl StepUps {
    /// Approvals at this provider, whose roles mean what `roles` says.
    #[must_use]
    pub fn new(store: Store, sessions: Sessions, provider: Provider, roles: RoleMapping, notary: Notary, how: How) -> Self {
        Self { store, sessions, provider, roles: Arc::new(roles), notary, how: Arc::new(how) }
    }

    /// Is this a demonstration?
    #[must_use]
    pub fn demonstration(&self) -> bool {
        self.how.demonstration
    }

    /// What this person may approve in this document now, in these words; or why they may not.
    pub async fn offer(
        &self,
        principal: &Principal,
        document: &DocumentRow,
        frozen: Option<&FrozenRevision>,
        rows: &[ApprovalRow],
        locale: Locale,
        now: DateTime<Utc>,
    ) -> Result<Offer, Failed> {
        let (Some(agreement), Status::Agreement(status)) = (&document.access.agreement, document.access.status) else {
            return Err(Refused::NotFrozen.into());
        };
        let signed: Vec<(Party, PersonId)> = rows.iter().filter(|row| row.valid).map(|row| (row.party, row.person)).collect();
        let standing = may_approve(principal.person, standing(principal, agreement, danish_day(now)), status, &signed)?;
        let frozen = frozen.ok_or(Refused::NotFrozen)?;
        let party = match standing.party {
            Party::UnitLeader => agreement.unit_leader,
            Party::Counterpart => agreement.counterpart,
        };
        let row = self.store.agreements(&[(frozen.agreement, Some(frozen.document))]).await?.pop().ok_or(Refused::NotFrozen)?;
        let side = match standing.party {
            Party::UnitLeader => &row.unit.name,
            Party::Counterpart => row.unit.parent_name.as_ref().unwrap_or(&row.unit.name),
        };
        let party = self.store.person(party).await?.ok_or(Refused::NotAParty)?;
        let consent = consent(locale, standing.mandate, side, &party.display_name, frozen.number);
        Ok(Offer { standing, on_behalf_of: (standing.mandate == Mandate::Substitute).then_some(party), consent })
    }

    /// Sends somebody to prove that they approve what their page has shown; answers where to.
    pub async fn begin(&self, signed_in: &SignedIn, document: &DocumentRow, shown: Shown<'_>) -> Result<String, Failed> {
        let begun = self.try_begin(signed_in, document, shown).await;
        let party = |agreement| standing(&signed_in.principal, agreement, danish_day(signed_in.now)).is_some();
        if let (Err(Failed::Refused(reason)), Some(agreement)) = (&begun, document.agreement_id)
            && document.access.agreement.as_ref().is_some_and(party)
        {
            let about = About { agreement, document: document.access.document, person: signed_in.principal.person, statement: &[] };
            self.put_on_record(&about, *reason, signed_in.now).await?;
        }
        begun
    }

    async fn try_begin(&self, signed_in: &SignedIn, document: &DocumentRow, shown: Shown<'_>) -> Result<String, Failed> {
        let (principal, now) = (&signed_in.principal, signed_in.now);
        let frozen = self.store.frozen_revision(document.access.document).await?;
        let rows = self.store.approvals(document.access.document).await?;
        let offer = self.offer(principal, document, frozen.as_ref(), &rows, shown.locale, now).await?;
        let frozen = frozen.ok_or(Refused::NotFrozen)?;
        // The words, too: they name the revision and for whom, and either may be another since the page asked.
        if (hex::encode(frozen.content_sha256).as_str(), offer.consent.as_str()) != (shown.content_sha256, shown.consent) {
            return Err(Refused::OtherText.into());
        }
        let session = self.store.session(principal.session).await?.ok_or(Refused::SignedOut)?;
        if session.issuer != self.provider.issuer() {
            return Err(Refused::SignedOut.into());
        }
        let me = self.store.person(principal.person).await?.ok_or(Refused::NotAParty)?;
        let about = self.store.agreements(&[(frozen.agreement, Some(frozen.document))]).await?.pop().ok_or(Refused::NotFrozen)?;
        let other = rows.iter().find(|row| row.valid && row.party != offer.standing.party).and_then(|row| row.evidence.as_ref());
        let statement = Statement {
            statement: VERSION,
            demonstration: self.how.demonstration,
            municipality: self.store.municipality_name().await?.unwrap_or_default(),
            agreement: frozen.agreement.0,
            document: frozen.document.0,
            version: frozen.version,
            revision: frozen.number,
            title: format!("{} · {}", about.title, about.unit.name),
            content_sha256: hex::encode(frozen.content_sha256),
            schema: frozen.schema,
            head: frozen.seq,
            log_sha256: hex::encode(frozen.log_sha256),
            decision: Decision::Approve,
            party: side(offer.standing.party),
            mandate: offer.standing.mandate,
            person: signatory(&me),
            on_behalf_of: offer.on_behalf_of.as_ref().map(signatory),
            identity: Identity {
                issuer: session.issuer,
                subject: session.subject,
                client: self.provider.client_id().to_owned(),
                required_acr: self.how.step_up.levels.clone(),
            },
            consent: offer.consent,
            locale: shown.locale.id().to_owned(),
            previous_sha256: other.map(|other| hex::encode(&other.statement_sha256)),
            at: audit::kept(now),
            random: hex::encode(random::<16>()),
        }
        .to_bytes();
        let hint = self.store.login_name(principal.person).await?;
        let departure = self.provider.depart_to_prove(nonce(&statement), &self.how.step_up, hint, now).await.map_err(provider_failed)?;
        let attempt = Attempt {
            session: principal.session,
            person: principal.person,
            agreement: frozen.agreement,
            document: frozen.document,
            statement,
            pkce_verifier: departure.pkce_verifier,
            expires_at: now + ATTEMPT_MAX,
        };
        self.store.keep_approval_attempt(&hash(&departure.state), &attempt, now).await?;
        Ok(departure.url.into())
    }

    /// The browser is back from the provider. `None`: not with an attempt of ours; it was an ordinary sign-in.
    pub async fn complete(&self, answer: &Answer, headers: &HeaderMap, now: DateTime<Utc>) -> store::Result<Option<Completed>> {
        let Some(state) = answer.state.as_deref() else { return Ok(None) };
        let Some((attempt, first)) = self.store.use_approval_attempt(&hash(state), now).await? else { return Ok(None) };
        let proven = if first { self.prove(&attempt, answer, headers, now).await } else { Err(Refused::UsedBefore.into()) };
        let accepted = match proven {
            Ok(proven) => self.accept(&attempt, &proven, now).await,
            Err(failed) => Err(failed),
        };
        let (outcome, changed) = match accepted {
            Ok((cookie, changed)) => {
                tracing::info!(person.id = %attempt.person, document.id = %attempt.document, "approved");
                (Ok(cookie), changed)
            }
            Err(Failed::Refused(reason)) => {
                tracing::warn!(person.id = %attempt.person, document.id = %attempt.document, reason = reason.id(), "an approval was refused");
                let (agreement, document, person) = (attempt.agreement, attempt.document, attempt.person);
                self.put_on_record(&About { agreement, document, person, statement: &attempt.statement }, reason, now).await?;
                (Err(reason), Vec::new())
            }
            Err(Failed::Store(error)) => return Err(error),
        };
        Ok(Some(Completed { agreement: attempt.agreement, changed, outcome }))
    }

    /// Believes what came back only if everything about it is right.
    async fn prove(&self, attempt: &Attempt, answer: &Answer, headers: &HeaderMap, now: DateTime<Utc>) -> Result<Proven, Failed> {
        if now >= attempt.expires_at {
            return Err(Refused::Expired.into());
        }
        let signed_in = self.sessions.authenticate(headers, now).await?.ok_or(Refused::SignedOut)?;
        if (signed_in.principal.session, signed_in.principal.person) != (attempt.session, attempt.person) {
            return Err(Refused::SignedOut.into());
        }
        self.provider.check_issuer(answer.iss.as_deref(), now).await.map_err(provider_failed)?;
        if answer.error.is_some() {
            return Err(Refused::ProviderRefused.into());
        }
        let code = answer.code.clone().ok_or(Refused::ProviderRefused)?;
        let statement = Statement::from_bytes(&attempt.statement).ok_or(Refused::Expired)?;
        let exchanged = self.provider.exchange(code, attempt.pkce_verifier.clone(), nonce(&attempt.statement), now).await;
        let token = exchanged.map_err(provider_failed)?;
        let (proof, key) = proven_by(&token, &statement, &attempt.statement, self.how.skew)?;
        if proof.auth_time > now + self.how.skew {
            return Err(Refused::FutureLogin.into());
        }
        // What the fresh token says they may be counts, not what the older one said.
        let token_roles = self.roles.roles(&token.claims).map_err(|_| Refused::NotAParty)?;
        Ok(Proven { token, key, proof, statement, principal: Principal { token_roles, ..signed_in.principal } })
    }

    /// Takes the approval, all at once: signature and evidence, the event in the trail, the new status, the renewed sign-in; and when both
    /// sides have approved, the checkpoint.
    async fn accept(&self, attempt: &Attempt, proven: &Proven, now: DateTime<Utc>) -> Result<(Cookie<'static>, Vec<DocumentId>), Failed> {
        let at = audit::kept(now);
        let statement = &proven.statement;
        let keys = self.notary.keys();
        let sealed = keys.seal().seal(APPROVAL, &approval_seal(&attempt.statement, &proven.token.raw, at));
        let about = sha256(&attempt.statement);
        let close = |secret: &str| keys.token().close(secret.as_bytes(), &about);
        let (id_token, idp_key, seal_kid) = (close(&proven.token.raw), close(&proven.key), keys.seal().public().kid());
        for _ in 0..LOOKS_MAX {
            let document = self.store.document_access(attempt.document).await?.ok_or(Refused::NotFrozen)?;
            let frozen = self.store.frozen_revision(attempt.document).await?.ok_or(Refused::NotFrozen)?;
            let person = self.store.person(attempt.person).await?.ok_or(Refused::NotAParty)?;
            let placements = self.store.placements(attempt.person).await?;
            let principal = Principal { placements, ..proven.principal.clone() };
            let access = document.access.agreement.as_ref().ok_or(Refused::NotFrozen)?;
            let stands = standing(&principal, access, danish_day(now));
            let stands = stands.filter(|stands| (side(stands.party), stands.mandate) == (statement.party, statement.mandate));

            let mut transaction = self.store.begin().await?;
            let locked = signoffs::lock(&mut transaction, attempt.agreement, attempt.document).await?.ok_or(Refused::NotFrozen)?;
            let (person_version, session) = signoffs::lock_person(&mut transaction, attempt.person, attempt.session).await?;
            session.ok_or(Refused::SignedOut)?;
            if (locked.access_version, locked.access_version, person_version)
                != (document.access_version, frozen.access_version, person.access_version)
            {
                // Somebody was quicker: looked at anew, as it is now.
                continue;
            }
            let Status::Agreement(status) = locked.status else { return Err(Refused::NotFrozen.into()) };
            let signed = signoffs::standing(&mut transaction, attempt.document).await?;
            let stands = may_approve(attempt.person, stands, status, &signed)?;
            same_text(statement, &frozen)?;
            // For whom a substitute said they act must still be the party.
            let party = match stands.party {
                Party::UnitLeader => access.unit_leader,
                Party::Counterpart => access.counterpart,
            };
            if statement.on_behalf_of.as_ref().is_some_and(|named| named.id != party.0) {
                return Err(Refused::NotAParty.into());
            }
            let new = NewApproval {
                id: Uuid::now_v7(),
                document: attempt.document,
                revision: frozen.number,
                content_sha256: frozen.content_sha256,
                party: stands.party,
                person: attempt.person,
                at,
                auth_time: proven.proof.auth_time,
                acr: proven.proof.acr.as_deref(),
                statement: &attempt.statement,
                id_token: &id_token,
                idp_key: &idp_key,
                seal: &sealed,
                seal_kid: &seal_kid,
            };
            signoffs::insert(&mut transaction, &new).await?;
            let after = status_after(signed.len());
            let body = signed_event(statement, &new, locked.status, Status::Agreement(after));
            signoffs::move_on(&mut transaction, attempt.agreement, &new, after, body).await?;
            let mut changed = vec![attempt.document];
            if !signed.is_empty() {
                changed.extend(self.enter_into_force(&mut transaction, attempt, at).await?);
            }
            let (token_hash, cookie) = self.sessions.another_cookie();
            let renewed = Renewed {
                token_hash: &token_hash,
                sid: proven.token.text("sid"),
                id_token: &proven.token.raw,
                auth_time: proven.proof.auth_time,
                acr: proven.proof.acr.as_deref(),
            };
            store::sessions::renew(&mut transaction, attempt.session, &renewed).await?;
            transaction.commit().await.map_err(store::Error::from)?;
            return Ok((cookie, changed));
        }
        Err(Refused::NotFrozen.into())
    }

    /// Both have approved: the version before is replaced, and all trails are fixed. Answers what was replaced.
    async fn enter_into_force(
        &self,
        transaction: &mut Transaction,
        attempt: &Attempt,
        at: DateTime<Utc>,
    ) -> store::Result<Vec<DocumentId>> {
        let replaced = signoffs::supersede(transaction, attempt.agreement, attempt.document).await?;
        for document in &replaced {
            let body = json!({ "document": document.0, "by": attempt.document.0 });
            audit::append(transaction, attempt.agreement.0, "superseded", None, body, at).await?;
        }
        self.notary.fix(transaction, at).await?;
        Ok(replaced)
    }

    async fn put_on_record(&self, about: &About<'_>, reason: Refused, now: DateTime<Utc>) -> store::Result<()> {
        let mut body = json!({ "document": about.document.0, "reason": reason.id() });
        if !about.statement.is_empty() {
            body["statement_sha256"] = hex::encode(sha256(about.statement)).into();
        }
        let mut transaction = self.store.begin().await?;
        audit::append(&mut transaction, about.agreement.0, "approval_refused", Some(about.person), body, now).await?;
        transaction.commit().await.map_err(store::Error::from)
    }
}

/// What a refusal is about.
struct About<'a> {
    agreement: AgreementId,
    document: DocumentId,
    person: PersonId,
    statement: &'a [u8],
}

/// The statement is about the text as it is frozen now.
fn same_text(statement: &Statement, frozen: &FrozenRevision) -> Result<(), Refused> {
    let same = statement.revision == frozen.number
        && statement.content_sha256 == hex::encode(frozen.content_sha256)
        && statement.log_sha256 == hex::encode(frozen.log_sha256)
        && (statement.head, statement.schema) == (frozen.seq, frozen.schema);
    if same { Ok(()) } else { Err(Refused::OtherText) }
}

fn signed_event(statement: &Statement, new: &NewApproval<'_>, from: Status, to: Status) -> serde_json::Value {
    json!({
        "document": new.document.0,
        "signature": new.id,
        "revision": new.revision,
        "party": signoffs::party_id(new.party),
        "mandate": statement.mandate,
        "on_behalf_of": statement.on_behalf_of.as_ref().map(|person| person.id),
        "content_sha256": statement.content_sha256,
        "statement_sha256": hex::encode(sha256(new.statement)),
        "seal_sha256": hex::encode(sha256(new.seal.as_bytes())),
        "from": from.id(),
        "to": to.id(),
    })
}

/// The proof, and which of the provider's keys verifies it.
fn proven_by(token: &Token, statement: &Statement, spelled: &[u8], skew: Duration) -> Result<(Proof, String), Refused> {
    let mut last = Refused::Token;
    for key in &token.keys {
        match token::prove(&token.raw, key, statement, spelled, skew) {
            Ok(proof) => return Ok((proof, key.clone())),
            Err(NotProven::Signature | NotProven::Malformed) => {}
            Err(reason) => last = reason.into(),
        }
    }
    Err(last)
}

fn provider_failed(error: oidc::Error) -> Refused {
    match error {
        oidc::Error::Refused(_) => Refused::ProviderRefused,
        oidc::Error::WrongIssuer => Refused::Issuer,
        oidc::Error::Token(cause) => match cause.downcast_ref::<ClaimsVerificationError>() {
            Some(ClaimsVerificationError::InvalidNonce(_)) => Refused::Nonce,
            Some(ClaimsVerificationError::InvalidIssuer(_)) => Refused::Issuer,
            _ => Refused::Token,
        },
        oidc::Error::Provider { .. } | oidc::Error::Down | oidc::Error::Settings { .. } => Refused::ProviderDown,
    }
}

fn signatory(person: &PersonRow) -> Signatory {
    Signatory { id: person.id, name: person.display_name.clone(), title: person.title.clone() }
}
